/* The calls of the system that a confined process may make: an allow-list for seccomp. What is not in it fails with
   EPERM. Pointers cannot be followed here, so that paths are for Landlock to judge. */
#include "host/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08 /* where glibc 2.41 keeps the state of random numbers */
#endif

/* Allowed with any arguments. */
static const int allowed[] = {
  /* descriptors */
  SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(preadv2), SCMP_SYS(write),
  SCMP_SYS(writev), SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(pwritev2), SCMP_SYS(lseek), SCMP_SYS(close),
  SCMP_SYS(close_range), SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(ftruncate), SCMP_SYS(fadvise64),
  SCMP_SYS(flock), SCMP_SYS(poll), SCMP_SYS(ppoll),
  /* names and what is known of files */
  SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(statx), SCMP_SYS(fstatfs),
  SCMP_SYS(statfs), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink),
  SCMP_SYS(readlinkat), SCMP_SYS(getdents64), SCMP_SYS(getcwd), SCMP_SYS(chdir), SCMP_SYS(fchdir), SCMP_SYS(unlink),
  SCMP_SYS(unlinkat), SCMP_SYS(rmdir), SCMP_SYS(rename), SCMP_SYS(renameat),
  /* memory and threads */
  SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(madvise), SCMP_SYS(msync), SCMP_SYS(futex), SCMP_SYS(set_robust_list),
  SCMP_SYS(set_tid_address), SCMP_SYS(rseq), SCMP_SYS(gettid), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
  SCMP_SYS(getcpu), SCMP_SYS(exit), SCMP_SYS(exit_group),
  /* signals and time */
  SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigpending),
  SCMP_SYS(rt_sigtimedwait), SCMP_SYS(rt_sigsuspend), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall),
  SCMP_SYS(pause), SCMP_SYS(alarm), SCMP_SYS(setitimer), SCMP_SYS(getitimer), SCMP_SYS(nanosleep),
  SCMP_SYS(clock_nanosleep), SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(time),
  SCMP_SYS(times),
  /* what the process may know of itself and the machine */
  SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
  SCMP_SYS(getrlimit), SCMP_SYS(getrusage), SCMP_SYS(getrandom), SCMP_SYS(uname), SCMP_SYS(sysinfo),
};

enum {
  SPECIAL_BITS = 07000, /* of a mode: a file that runs with its owner's rights */
  MAP_HARMLESS = MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_NORESERVE | MAP_STACK | MAP_DENYWRITE | MAP_POPULATE,
  THREAD = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |
           CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID, /* what pthread_create asks for */
  DATA = PROT_READ | PROT_WRITE,
};

#define IS(number, value) {.arg = (number), .op = SCMP_CMP_EQ, .datum_a = (value)}
#define WITHIN(number, bits, value) /* of all bits but these, the value's are set */ \
  {.arg = (number), .op = SCMP_CMP_MASKED_EQ, .datum_a = ~(uint64_t)(bits), .datum_b = (value)}
#define AMONG(number, bits, value) /* of these bits, the value's are set */ \
  {.arg = (number), .op = SCMP_CMP_MASKED_EQ, .datum_a = (bits), .datum_b = (value)}
/* Landlock's first two versions let a file be emptied by whoever may open it for reading. */
#define OPEN(call, first, access) \
  {call, 2, {AMONG(first, O_ACCMODE | O_TRUNC, access), AMONG((first) + 1, SPECIAL_BITS, 0)}}
#define OPENS(call, first)                                                                  \
  OPEN(call, first, O_RDONLY), OPEN(call, first, O_WRONLY), OPEN(call, first, O_RDWR), \
      OPEN(call, first, O_WRONLY | O_TRUNC), OPEN(call, first, O_RDWR | O_TRUNC)
#define ONLY(call, number, value) {call, 1, {IS(number, value)}}

/* Allowed where all of a row's comparisons hold. */
typedef struct rule {
  int call;
  unsigned count;
  struct scmp_arg_cmp compare[2];
} rule;

static const rule rules[] = {
  OPENS(SCMP_SYS(open), 1),
  OPENS(SCMP_SYS(openat), 2),
  {SCMP_SYS(mkdir), 1, {AMONG(1, SPECIAL_BITS, 0)}},
  {SCMP_SYS(mkdirat), 1, {AMONG(2, SPECIAL_BITS, 0)}},
  {SCMP_SYS(renameat2), 1, {WITHIN(4, 1 /* RENAME_NOREPLACE */, 0)}},
  /* Memory that is shared, or that grows downwards, is not counted as the process's. */
  {SCMP_SYS(mmap), 2, {WITHIN(2, DATA, 0), WITHIN(3, MAP_HARMLESS | MAP_ANONYMOUS, MAP_PRIVATE)}},
  {SCMP_SYS(mmap), 2, {WITHIN(2, DATA, 0), WITHIN(3, MAP_HARMLESS | MAP_ANONYMOUS, MAP_DROPPABLE)}},
  {SCMP_SYS(mmap), 2, {WITHIN(2, PROT_READ, 0), WITHIN(3, MAP_HARMLESS, MAP_SHARED)}}, /* fontconfig's caches */
  {SCMP_SYS(mprotect), 1, {WITHIN(2, DATA, 0)}},
  {SCMP_SYS(mremap), 1, {WITHIN(3, MREMAP_MAYMOVE, 0)}},
  ONLY(SCMP_SYS(clone), 0, THREAD),
  /* Others let a signal be sent to any process. */
  ONLY(SCMP_SYS(fcntl), 1, F_DUPFD),
  ONLY(SCMP_SYS(fcntl), 1, F_DUPFD_CLOEXEC),
  ONLY(SCMP_SYS(fcntl), 1, F_GETFD),
  ONLY(SCMP_SYS(fcntl), 1, F_SETFD),
  ONLY(SCMP_SYS(fcntl), 1, F_GETFL),
  ONLY(SCMP_SYS(fcntl), 1, F_SETFL),
  ONLY(SCMP_SYS(fcntl), 1, F_GETLK),
  ONLY(SCMP_SYS(fcntl), 1, F_SETLK),
  ONLY(SCMP_SYS(fcntl), 1, F_SETLKW),
  ONLY(SCMP_SYS(prctl), 0, PR_GET_SECCOMP),
  ONLY(SCMP_SYS(prlimit64), 0, 0), /* its own, which the kernel lets nobody raise without privileges */
  /* A socket that is open and connected, without an address or descriptors beside the bytes. */
  ONLY(SCMP_SYS(sendto), 4, 0),
  ONLY(SCMP_SYS(recvfrom), 4, 0),
};

#define COUNT_OF(list) (sizeof(list) / sizeof *(list))

static bool is_allowed(int call) {
  for (size_t i = 0; i < COUNT_OF(allowed); i++)
    if (allowed[i] == call) return true;
  return false;
}

/* 0, or an error of libseccomp's. A call that this processor's Linux does not have is left out by libseccomp. */
static int add_rules(scmp_filter_ctx filter) {
  int failed = 0;
  for (size_t i = 0; !failed && i < COUNT_OF(allowed); i++)
    failed = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, allowed[i], 0, NULL);
  for (size_t i = 0; !failed && i < COUNT_OF(rules); i++)
    failed = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rules[i].call, rules[i].count, rules[i].compare);
  struct scmp_arg_cmp own[] = {IS(0, (uint64_t)getpid())};
  if (!failed) failed = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), COUNT_OF(own), own);
  if (!failed) failed = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 0, NULL);
  /* Calls since Linux 5.1 have the same numbers everywhere. They are not there, so that libraries take older ones. */
  enum { first_new = 424, after_new = 512 };
  for (int call = first_new; !failed && call < after_new; call++)
    if (!is_allowed(call)) failed = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(ENOSYS), call, 0, NULL);
  return failed;
}

static int load(scmp_filter_ctx filter) {
  int failed = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  /* Before Linux 5.16 the kernel would otherwise slow the processor down against side channels. */
  if (!failed) failed = seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
  if (!failed) failed = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree */
  if (!failed) failed = add_rules(filter);
  return failed ? failed : seccomp_load(filter);
}

bool sm_host_confine_calls(sm_host_reason *reason) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  if (!filter) {
    errno = ENOMEM;
    return sm_host_cannot(reason, "no filter for system calls can be made");
  }
  int failed = load(filter);
  seccomp_release(filter);
  if (failed) {
    errno = -failed;
    return sm_host_cannot(reason, "this kernel takes no filter for system calls (seccomp)");
  }
  int tried = socket(AF_UNIX, SOCK_STREAM, 0);
  bool held = tried < 0 && errno == EPERM && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2;
  if (tried >= 0) close(tried);
  errno = 0;
  return held || sm_host_cannot(reason, "the filter for system calls (seccomp) does not hold");
}
