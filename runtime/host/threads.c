#include "host/threads.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char variable[] = "OMP_NUM_THREADS";
static bool by_default; /* whether nobody but this program has set the variable */
static const char control_groups[] = "/sys/fs/cgroup";

/* The smaller of `cores` and what the file cpu.max in this group allows: "quota period", both in microseconds,
   or "max period" without a limit. */
static long within_quota(const char *group, long cores) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s%s/cpu.max", control_groups, group);
  FILE *file = fopen(path, "r");
  if (!file) return cores;
  long quota, period;
  if (fscanf(file, "%ld %ld", &quota, &period) == 2 && quota > 0 && period > 0) {
    long paid = (quota + period - 1) / period;
    if (paid < cores) cores = paid;
  }
  fclose(file);
  return cores;
}

/* The group of this process, "/a/b", into `group`; the root group "" where there is none. */
static void find_group(char *group, int size) {
  static const char prefix[] = "0::"; /* the one hierarchy of version 2 */
  group[0] = '\0';
  FILE *file = fopen("/proc/self/cgroup", "r");
  if (!file) return;
  char line[PATH_MAX];
  while (fgets(line, sizeof line, file)) {
    if (strncmp(line, prefix, strlen(prefix)) != 0) continue;
    line[strcspn(line, "\n")] = '\0';
    snprintf(group, (size_t)size, "%s", line + strlen(prefix));
  }
  fclose(file);
}

static long usable_cores(void) {
  cpu_set_t set;
  long cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  char group[PATH_MAX];
  find_group(group, sizeof group);
  for (char *slash = strrchr(group, '/'); slash; slash = strrchr(group, '/')) {
    cores = within_quota(group, cores);
    *slash = '\0';
  }
  return within_quota("", cores);
}

/* The number that a variable has, if it is an integer from 1 to `most`; else `most`. */
static long at_most(const char *name, long most) {
  const char *text = getenv(name);
  char *end;
  long value = text ? strtol(text, &end, 10) : 0;
  return text && *text && !*end && value >= 1 && value < most ? value : most;
}

/* What a job of Slurm was given of `cores`: a cluster need not bind a job to its processors. */
static long within_job(long cores) {
  return at_most(getenv("SLURM_CPUS_PER_TASK") ? "SLURM_CPUS_PER_TASK" : "SLURM_CPUS_ON_NODE", cores);
}

void sm_host_set_threads(int count) {
  char text[16];
  snprintf(text, sizeof text, "%d", count);
  setenv(variable, text, 1);
}

bool sm_host_threads_by_default(void) { return by_default; }

void sm_host_default_threads(void) {
  by_default = !getenv(variable);
  if (by_default) sm_host_set_threads((int)within_job(usable_cores()));
}
