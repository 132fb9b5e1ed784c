#include "host/restrict.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int memory_file = -1; /* /proc/self/statm */

bool sm_host_remember_memory(sm_host_reason *reason) {
  if (memory_file < 0) memory_file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  return memory_file >= 0 || sm_host_cannot(reason, "/proc/self/statm cannot be read");
}

/* The memory that RLIMIT_DATA counts, and that of the first stack. */
static bool find_memory(uint64_t *bytes, sm_host_reason *reason) {
  char text[256];
  unsigned long long pages;
  if (!sm_host_remember_memory(reason)) return false;
  ssize_t length = pread(memory_file, text, sizeof text - 1, 0);
  if (length < 0) return sm_host_cannot(reason, "/proc/self/statm cannot be read");
  text[length] = 0;
  errno = 0;
  if (sscanf(text, "%*s %*s %*s %*s %*s %llu", &pages) != 1)
    return sm_host_cannot(reason, "/proc/self/statm does not tell the memory of this process");
  *bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
  return true;
}

/* `spare`: how much the limit that cannot be raised lies above the one that acts. */
static bool limit_to(int kind, uint64_t value, uint64_t spare, const char *what, sm_host_reason *reason) {
  struct rlimit limit;
  if (getrlimit(kind, &limit) != 0) return sm_host_cannot(reason, "the limit of %s cannot be read", what);
  if (value < limit.rlim_cur) limit.rlim_cur = value;
  if (value + spare < limit.rlim_max) limit.rlim_max = value + spare;
  return setrlimit(kind, &limit) == 0 || sm_host_cannot(reason, "the limit of %s cannot be set", what);
}

bool sm_host_restrict(const sm_host_limits *limits, sm_host_reason *reason) {
  uint64_t memory = 0;
  if (!limit_to(RLIMIT_CORE, 0, 0, "core dumps", reason)) return false;
  if (limits->cpu && !limit_to(RLIMIT_CPU, limits->cpu, 1, "processor time", reason)) return false;
  if (limits->file && !limit_to(RLIMIT_FSIZE, limits->file, 0, "the size of files", reason)) return false;
  if (limits->file) signal(SIGXFSZ, SIG_IGN); /* the write fails instead */
  if (limits->descriptors && !limit_to(RLIMIT_NOFILE, limits->descriptors, 0, "open files", reason)) return false;
  if (!limits->memory) return true;
  return find_memory(&memory, reason) && limit_to(RLIMIT_DATA, memory + limits->memory, 0, "memory", reason);
}

/* Where the kernel has put the environment that the process began with. What the loader has replaced there, as it does
   with GLIBC_TUNABLES, nothing points to any more. */
static void wipe_first_environment(void) {
  enum { START = 50, BEHIND_NAME = 3 }; /* of the fields in proc(5), from 1: env_start, and env_end after it */
  char text[2048];
  FILE *file = fopen("/proc/self/stat", "r");
  size_t length = file ? fread(text, 1, sizeof text - 1, file) : 0;
  if (file) fclose(file);
  text[length] = '\0';
  char *field = strrchr(text, ')'); /* the name may have spaces */
  for (int number = BEHIND_NAME - 1; field && number < START; number++) field = strchr(field + 1, ' ');
  unsigned long start = 0, end = 0;
  if (field && sscanf(field, "%lu %lu", &start, &end) == 2 && start && end > start)
    memset((void *)start, 0, end - start);
}

void sm_host_wipe_environment(void) {
  extern char **environ;
  for (char **entry = environ; entry && *entry; entry++) memset(*entry, 0, strlen(*entry));
  wipe_first_environment();
  clearenv();
}
