#include "host/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/restrict.h"
#include "io/again.h"

/* The kernel's interface, beyond what Debian 12's headers know of it. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15)
#endif
#ifndef LANDLOCK_ACCESS_NET_BIND_TCP
#define LANDLOCK_ACCESS_NET_BIND_TCP (1ULL << 0)
#define LANDLOCK_ACCESS_NET_CONNECT_TCP (1ULL << 1)
#endif
#ifndef LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
#define LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define LANDLOCK_SCOPE_SIGNAL (1ULL << 1)
#endif

typedef struct ruleset_rights {
  uint64_t files, network, scopes;
} ruleset_rights;

static const uint64_t first_rights = LANDLOCK_ACCESS_FS_REFER - 1; /* those of version 1 */
static const uint64_t read_rights = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t write_rights =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_WRITE_FILE |
    LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |
    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REFER;
static const uint64_t rights_of_a_file =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE;

static bool confined;

/* The leak sanitizer looks at a process from another one, which a confined process cannot make. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) { return confined; }

bool sm_host_cannot(sm_host_reason *reason, const char *format, ...) {
  int number = errno;
  va_list values;
  va_start(values, format);
  int length = vsnprintf(reason->text, sizeof reason->text, format, values);
  va_end(values);
  if (number && length >= 0 && (size_t)length < sizeof reason->text)
    snprintf(reason->text + length, sizeof reason->text - (size_t)length, ": %s", strerror(number));
  return false;
}

static bool has_one_thread(sm_host_reason *reason) {
  enum { links_without = 2 };
  struct stat tasks;
  if (stat("/proc/self/task", &tasks) != 0) return sm_host_cannot(reason, "cannot count threads in /proc/self/task");
  errno = 0;
  if (tasks.st_nlink != links_without + 1)
    return sm_host_cannot(reason, "a process can confine itself only before it has a second thread");
  return true;
}

/* Why there is no Landlock, by the number of an error, which is 0 where these words say all. */
static const char *missing_landlock(int *number) {
  int why = *number;
  if (why == EOPNOTSUPP || why == ENOSYS || why == EPERM) *number = 0;
  if (why == EOPNOTSUPP) return "Landlock is switched off in this kernel (the start option lsm= must have it)";
  if (why == EPERM) return "what runs around it, a container perhaps, forbids Landlock";
  return "this kernel has no Landlock (it is in Linux 5.13 and later)";
}

/* A ruleset that forbids all that this kernel can forbid; -1 with the reason. */
static int make_ruleset(ruleset_rights *handled, sm_host_reason *reason) {
  int version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1) {
    sm_host_cannot(reason, "%s", missing_landlock(&errno));
    return -1;
  }
  *handled = (ruleset_rights){.files = first_rights};
  if (version >= 2) handled->files |= LANDLOCK_ACCESS_FS_REFER;
  if (version >= 3) handled->files |= LANDLOCK_ACCESS_FS_TRUNCATE;
  if (version >= 4) handled->network = LANDLOCK_ACCESS_NET_BIND_TCP | LANDLOCK_ACCESS_NET_CONNECT_TCP;
  if (version >= 5) handled->files |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
  if (version >= 6) handled->scopes = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL;
  size_t known = version >= 6 ? sizeof *handled
                              : version >= 4 ? offsetof(ruleset_rights, scopes) : offsetof(ruleset_rights, network);
  int ruleset = (int)syscall(SYS_landlock_create_ruleset, handled, known, 0);
  if (ruleset < 0) sm_host_cannot(reason, "Landlock takes no rules");
  return ruleset;
}

/* What lies at an open path gets these rights; a right of directories is left out for what is none. */
static bool grant(int ruleset, int opened, const struct stat *found, uint64_t rights) {
  struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = opened};
  if (!S_ISDIR(found->st_mode)) rule.allowed_access &= rights_of_a_file;
  return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

static bool is_root(const struct stat *found) {
  struct stat root;
  return stat("/", &root) == 0 && root.st_dev == found->st_dev && root.st_ino == found->st_ino;
}

static bool grant_path(int ruleset, const char *path, uint64_t rights, bool writes, bool *all, sm_host_reason *reason) {
  struct stat found;
  int opened = sm_open_again(AT_FDCWD, path, O_PATH | O_CLOEXEC | (writes ? O_NOFOLLOW : 0));
  if (opened < 0) {
    bool absent = errno == ENOENT || errno == ENOTDIR || errno == EACCES;
    return (absent && !writes) || sm_host_cannot(reason, "%s cannot be granted", path);
  }
  bool known = fstat(opened, &found) == 0, granted = false;
  if (!known) {
    sm_host_cannot(reason, "%s cannot be granted", path);
  } else if (writes && !S_ISDIR(found.st_mode) && !S_ISREG(found.st_mode)) {
    errno = 0;
    sm_host_cannot(reason, "%s cannot be granted: it is no directory and no regular file", path);
  } else {
    granted = grant(ruleset, opened, &found, rights);
    if (!granted) sm_host_cannot(reason, "%s cannot be granted", path);
    if (is_root(&found)) *all = true;
  }
  close(opened);
  return granted;
}

/* *all: whether the root directory itself is granted. */
static bool grant_paths(int ruleset, const sm_host_reach *reach, uint64_t handled, bool *all, sm_host_reason *reason) {
  *all = false;
  for (size_t i = 0; i < reach->reads; i++)
    if (!grant_path(ruleset, reach->read[i], read_rights & handled, false, all, reason)) return false;
  for (size_t i = 0; i < reach->writes; i++)
    if (!grant_path(ruleset, reach->write[i], write_rights & handled, true, all, reason)) return false;
  return true;
}

static bool drop_capabilities(sm_host_reason *reason) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {{0}};
  if (syscall(SYS_capget, &header, sets) != 0) return sm_host_cannot(reason, "capabilities cannot be read");
  bool may_bound = sets[0].effective & (1U << CAP_SETPCAP);
  for (int i = 0; may_bound && prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
    if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0 || prctl(PR_CAPBSET_READ, i, 0, 0, 0) != 0)
      return sm_host_cannot(reason, "capability %d cannot be given up", i);
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  memset(sets, 0, sizeof sets);
  if (syscall(SYS_capset, &header, sets) != 0) return sm_host_cannot(reason, "capabilities cannot be given up");
  memset(sets, 0xFF, sizeof sets);
  bool read = syscall(SYS_capget, &header, sets) == 0;
  uint32_t left = 0;
  for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
    left |= sets[i].effective | sets[i].permitted | sets[i].inheritable; /* an ambient one is in both of the last */
  errno = 0;
  return (read && !left) || sm_host_cannot(reason, "capabilities are left");
}

static bool drop_privileges(sm_host_reason *reason) {
  static const struct rlimit no_core = {0, 0};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
    return sm_host_cannot(reason, "new privileges cannot be ruled out");
  if (setrlimit(RLIMIT_CORE, &no_core) != 0) return sm_host_cannot(reason, "core dumps cannot be switched off");
  return drop_capabilities(reason);
}

/* Nobody tells whether Landlock holds a process, so it is tried. */
static bool is_held(bool all, sm_host_reason *reason) {
  int root = sm_open_again(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return true;
  close(root);
  errno = 0;
  return all || sm_host_cannot(reason, "Landlock lets this process read /, which it was not granted");
}

static bool confine_with(int ruleset, const sm_host_reach *reach, uint64_t handled, sm_host_reason *reason) {
  bool all;
  if (!grant_paths(ruleset, reach, handled, &all, reason) || !sm_host_remember_memory(reason) ||
      !drop_privileges(reason))
    return false;
  if (syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) return sm_host_cannot(reason, "Landlock does not begin");
  return is_held(all, reason) && sm_host_confine_calls(reason);
}

bool sm_host_confine(const sm_host_reach *reach, sm_host_reason *reason) {
  ruleset_rights handled;
  errno = 0;
  if (confined) return sm_host_cannot(reason, "this process is confined already");
  int ruleset = make_ruleset(&handled, reason);
  if (ruleset < 0) return false;
  confined = has_one_thread(reason) && confine_with(ruleset, reach, handled.files, reason);
  close(ruleset);
  return confined;
}
