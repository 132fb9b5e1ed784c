/* A confined process and the rest of the system: no other process, no network, no privileges, bounded memory. And what
   it computes with, threads and matrix products, works as before. */
#include "confined.h"

#include <arpa/inet.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "core/gemm.h"
#include "core/parallel.h"

enum { page = 4096, anywhere = MAP_PRIVATE | MAP_ANONYMOUS };

static const char *no_process_is_made(const grounds *place) {
  char *const words[] = {"/bin/true", NULL}, *const none[] = {NULL};
  (void)place;
  FORBIDDEN(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); /* what fork is */
#ifdef SYS_fork
  FORBIDDEN(syscall(SYS_fork));
  FORBIDDEN(syscall(SYS_vfork));
#endif
  FORBIDDEN(syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0));
  FORBIDDEN(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
  FORBIDDEN(syscall(435 /* clone3 */, NULL, 0));
  FORBIDDEN(fork());
  FORBIDDEN(execve(words[0], words, none));
  FORBIDDEN(syscall(SYS_execveat, AT_FDCWD, words[0], words, none, 0));
  FORBIDDEN(unshare(CLONE_NEWUSER));
  FORBIDDEN(setns(place->inherited, 0));
  return NULL;
}

static const char *no_process_is_touched(const grounds *place) {
  pid_t parent = place->parent;
  siginfo_t info = {.si_code = SI_QUEUE};
  char byte = 0;
  struct iovec here = {&byte, 1};
  struct rlimit limit = {64, 64};
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(0, &cpus);
  FORBIDDEN(kill(parent, 0));
  FORBIDDEN(kill(parent, SIGCONT));
  FORBIDDEN(kill(-1, 0));
  FORBIDDEN(kill(0, 0));
  FORBIDDEN(syscall(SYS_tgkill, parent, parent, SIGCONT));
  FORBIDDEN(syscall(SYS_tkill, parent, SIGCONT));
  FORBIDDEN(syscall(SYS_rt_sigqueueinfo, parent, SIGCONT, &info));
  FORBIDDEN(syscall(SYS_rt_tgsigqueueinfo, parent, parent, SIGCONT, &info));
  FORBIDDEN(syscall(424 /* pidfd_send_signal */, place->inherited, SIGCONT, NULL, 0));
  FORBIDDEN(syscall(434 /* pidfd_open */, parent, 0));
  FORBIDDEN(syscall(438 /* pidfd_getfd */, place->inherited, 0, 0));
  FORBIDDEN(fcntl(place->inherited, F_SETOWN, parent)); /* and F_SETSIG, O_ASYNC: a signal of one's choice */
  FORBIDDEN(fcntl(place->inherited, F_SETSIG, SIGKILL));
  FORBIDDEN(fcntl(place->inherited, F_NOTIFY, DN_MODIFY));
  FORBIDDEN(fcntl(place->inherited, F_SETLEASE, F_RDLCK));
  FORBIDDEN(ptrace(PTRACE_ATTACH, parent, NULL, NULL));
  FORBIDDEN(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
  FORBIDDEN(process_vm_readv(parent, &here, 1, &here, 1, 0));
  FORBIDDEN(process_vm_writev(parent, &here, 1, &here, 1, 0));
  FORBIDDEN(prlimit(parent, RLIMIT_NOFILE, &limit, NULL));
  FORBIDDEN(prlimit(parent, RLIMIT_NOFILE, NULL, &limit));
  FORBIDDEN(setpriority(PRIO_PROCESS, (id_t)parent, 10));
  FORBIDDEN(sched_setaffinity(parent, sizeof cpus, &cpus));
  FORBIDDEN(setsid());
  FORBIDDEN(setpgid(0, parent));
  EXPECT(pthread_kill(pthread_self(), 0) == 0 && getppid() == parent);
  return NULL;
}

static const char *no_network_is_reached(const grounds *place) {
  static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_ALG, AF_BLUETOOTH, AF_VSOCK};
  static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET};
  struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "/run/x"};
  int ends[2];
  (void)place;
  for (size_t i = 0; i < COUNT_OF(families); i++)
    for (size_t j = 0; j < COUNT_OF(types); j++) {
      FORBIDDEN(socket(families[i], types[j], 0));
      FORBIDDEN(socketpair(families[i], types[j], 0, ends));
    }
  for (int open_one = 0; open_one < 16; open_one++) { /* nor with a socket that is open, whichever it is */
    struct msghdr message = {.msg_name = &name, .msg_namelen = sizeof name};
    FORBIDDEN(connect(open_one, (struct sockaddr *)&name, sizeof name));
    FORBIDDEN(bind(open_one, (struct sockaddr *)&name, sizeof name));
    FORBIDDEN(listen(open_one, 1));
    FORBIDDEN(accept(open_one, NULL, NULL));
    FORBIDDEN(sendto(open_one, "", 1, 0, (struct sockaddr *)&name, sizeof name));
    FORBIDDEN(sendmsg(open_one, &message, 0));
    FORBIDDEN(recvmsg(open_one, &message, 0));
    FORBIDDEN(setsockopt(open_one, SOL_SOCKET, SO_BROADCAST, ends, sizeof *ends));
  }
  return NULL;
}

static const char *no_terminal_is_spoken_to(const grounds *place) {
  static const unsigned long requests[] = {TIOCSTI, TIOCLINUX, TCGETS, TIOCGWINSZ, TIOCSCTTY, TCSETS, FIONREAD,
                                           TIOCSTI | 1UL << 32};
  (void)place;
  for (size_t i = 0; i < COUNT_OF(requests); i++)
    EXPECT(ioctl(STDOUT_FILENO, requests[i], "x") == -1 && errno == ENOTTY);
  EXPECT(!isatty(STDOUT_FILENO));
  return NULL;
}

static const char *no_privilege_is_left(const grounds *place) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {{0}};
  FORBIDDEN(syscall(SYS_capset, &header, sets));
  FORBIDDEN(setuid(0));
  FORBIDDEN(setgroups(0, NULL));
  FORBIDDEN(prctl(PR_SET_DUMPABLE, 1));
  FORBIDDEN(prctl(PR_SET_PDEATHSIG, 0));
  FORBIDDEN(prctl(PR_SET_SECCOMP, 1));
  FORBIDDEN(prctl(PR_SET_NAME, "another"));
  FORBIDDEN(personality(READ_IMPLIES_EXEC));
  FORBIDDEN(mount("none", place->writable, "tmpfs", 0, NULL));
  FORBIDDEN(umount(place->writable));
  FORBIDDEN(chroot(place->writable));
  FORBIDDEN(syscall(SYS_umask, 0));
  FORBIDDEN(syscall(SYS_pivot_root, place->writable, place->writable));
  FORBIDDEN(syscall(SYS_keyctl, 0, 0, 0, 0, 0));
  FORBIDDEN(syscall(SYS_add_key, "user", "x", "y", 1, 0));
  FORBIDDEN(syscall(SYS_bpf, 0, NULL, 0));
  FORBIDDEN(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
  FORBIDDEN(syscall(SYS_userfaultfd, 0));
  FORBIDDEN(syscall(425 /* io_uring_setup */, 1, NULL));
  FORBIDDEN(syscall(428 /* open_tree */, AT_FDCWD, "/", 0));
  FORBIDDEN(syscall(429 /* move_mount */, 0, "", 0, "", 0));
  FORBIDDEN(syscall(437 /* openat2 */, AT_FDCWD, "/", NULL, 0));
  FORBIDDEN(syscall(452 /* fchmodat2 */, AT_FDCWD, place->writable, 0, 0));
  FORBIDDEN(syscall(463 /* setxattrat */, AT_FDCWD, place->writable, 0, 0, 0, 0));
  FORBIDDEN(syscall(511, 0));
  FORBIDDEN(syscall(SYS_open_by_handle_at, place->inherited, NULL, 0));
  FORBIDDEN(syscall(SYS_fanotify_init, 0, 0));
  FORBIDDEN(syscall(SYS_inotify_init1, 0));
  FORBIDDEN(syscall(SYS_syslog, 10, NULL, 0));
  FORBIDDEN(sethostname("x", 1));
  FORBIDDEN(syscall(SYS_reboot, 0, 0, 0, NULL));
  return NULL;
}

static const char *limits_are_not_raised(const grounds *place) {
  static const int kinds[] = {RLIMIT_CORE, RLIMIT_NOFILE};
  struct rlimit limit;
  (void)place;
  for (size_t i = 0; i < COUNT_OF(kinds); i++) {
    EXPECT(getrlimit((__rlimit_resource_t)kinds[i], &limit) == 0);
    limit.rlim_max++;
    FORBIDDEN(setrlimit((__rlimit_resource_t)kinds[i], &limit));
  }
  EXPECT(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0 && limit.rlim_max == 0);
  return NULL;
}

static long maps(size_t bytes, int rights, int flags, int file) {
  void *room = mmap(NULL, bytes, rights, flags, file, 0);
  if (room == MAP_FAILED) return -1;
  munmap(room, bytes);
  return 0;
}

static const char *no_code_and_no_uncounted_memory_is_mapped(const grounds *place) {
  char path[path_size];
  int file = open(beneath(path, place->writable, "file"), O_RDWR);
  void *room = mmap(NULL, page, PROT_READ | PROT_WRITE, anywhere, -1, 0);
  EXPECT(file >= 0 && room != MAP_FAILED);
  FORBIDDEN(maps(page, PROT_READ | PROT_WRITE | PROT_EXEC, anywhere, -1));
  FORBIDDEN(maps(page, PROT_READ | PROT_EXEC, MAP_PRIVATE, file));
  FORBIDDEN(mprotect(room, page, PROT_READ | PROT_EXEC));
  FORBIDDEN(syscall(SYS_pkey_mprotect, room, page, PROT_READ | PROT_EXEC, -1));
  FORBIDDEN(maps(page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1));
  FORBIDDEN(maps(page, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1));
  FORBIDDEN(maps(page, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1));
  FORBIDDEN(maps(page, PROT_READ | PROT_WRITE, anywhere | MAP_GROWSDOWN, -1));
  FORBIDDEN(maps(page, PROT_READ | PROT_WRITE, anywhere | MAP_HUGETLB, -1));
  FORBIDDEN(maps(page, PROT_READ | PROT_WRITE, anywhere | MAP_LOCKED, -1));
  FORBIDDEN(maps(page, PROT_READ | PROT_WRITE, MAP_SHARED, file));
  FORBIDDEN(fallocate(file, FALLOC_FL_KEEP_SIZE, 0, page)); /* a whole disk at once, past the limit of a file */
  FORBIDDEN(syscall(SYS_mlock, room, page));
  FORBIDDEN(memfd_create("x", 0));
  FORBIDDEN(syscall(447 /* memfd_secret */, 0));
#ifdef SYS_shmget
  FORBIDDEN(syscall(SYS_shmget, 0, page, 01600));
#endif
  FORBIDDEN(syscall(SYS_remap_file_pages, room, page, 0, 0, 0));
  EXPECT(maps(page, PROT_READ, MAP_SHARED, file) == 0 && maps(page, PROT_READ, MAP_PRIVATE, file) == 0);
  munmap(room, page);
  close(file);
  return NULL;
}

/* What Landlock of Linux 6.1 leaves open, the filter alone holds. */
static void the_filter_alone_refuses_what_old_kernels_miss(void **state) {
  const grounds *place = *state;
  need_confinement();
  pid_t process = fork();
  if (process == 0) {
    char path[path_size];
    sm_host_reason reason;
    beneath(path, place->outside, "file");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !sm_host_confine_calls(&reason)) _exit(1);
    if (open(path, O_RDONLY | O_TRUNC) >= 0 || open(path, O_ACCMODE | O_TRUNC) >= 0) _exit(2);
    pid_t parent = place->parent;
    if (syscall(SYS_tgkill, parent, parent, 0) == 0) _exit(5);
    if (truncate(path, 0) == 0 || chmod(path, 0) == 0 || socket(AF_INET, SOCK_STREAM, 0) >= 0) _exit(3);
    _exit(open(path, O_RDWR | O_TRUNC) >= 0 ? 0 : 4); /* so that the file is there to be emptied */
  }
  int status = -1;
  waitpid(process, &status, 0);
  assert_int_equal(status, 0);
}

enum { side = 96, many = 200 };
static real *first, *second, *expected;

static void add_one(const void *work, size_t item) { ((int *)work)[item]++; }

static const char *threads_compute_as_before(const grounds *place) {
  (void)place;
  int counts[many] = {0};
  sm_parallel(many, SM_LARGE, add_one, counts);
  for (size_t i = 0; i < many; i++) EXPECT(counts[i] == 1);
  real *own = malloc(side * side * sizeof *own);
  EXPECT(own != NULL);
  sm_matmul_by(own, first, second, NULL, false, false, false, side, side, side, SM_GEMM_WHOLE, SM_GEMM_BLAS);
  EXPECT(memcmp(own, expected, side * side * sizeof *own) == 0);
  free(own);
  return NULL;
}

static void a_confined_process_computes(void **state) {
  sm_error error;
  need_confinement();
  if (sm_blas_load(&error) != SM_OK) fail_msg("%s", error.message);
  first = numbers(side * side, 1);
  second = numbers(side * side, 2);
  expected = numbers(side * side, 3);
  sm_set_thread_count(1);
  sm_matmul_by(expected, first, second, NULL, false, false, false, side, side, side, SM_GEMM_WHOLE, SM_GEMM_BLAS);
  sm_set_thread_count(4);
  run_confined(*state, threads_compute_as_before, false);
  free(first), free(second), free(expected);
}

static const char *memory_ends_with_an_error(const grounds *place) {
  enum { limit = 256 << 20, piece = 16 << 20, pieces = limit / piece };
  static bool limited; /* the first thread is alone when it comes here */
  sm_host_reason reason;
  (void)place;
  if (limited) return NULL;
  limited = true;
  if (!sm_host_restrict(&(sm_host_limits){.memory = limit, .cpu = 60, .file = piece, .descriptors = 32}, &reason))
    return "the limits cannot be set";
  int taken = 0;
  void *room[pieces + 1] = {NULL};
  while (taken <= pieces && (room[taken] = mmap(NULL, piece, PROT_READ | PROT_WRITE, anywhere, -1, 0)) != MAP_FAILED)
    memset(room[taken++], 1, piece);
  EXPECT(taken >= pieces / 2 && taken <= pieces && errno == ENOMEM);
#ifndef SM_EXACT_BLOCKS /* a sanitizer's malloc ends the program */
  void *volatile refused = malloc(limit); /* which a compiler would otherwise take for granted */
  EXPECT(!refused);
#endif
  for (int i = 0; i < taken; i++) munmap(room[i], piece);
  EXPECT(maps(limit / 2, PROT_READ | PROT_WRITE, anywhere, -1) == 0);
  struct rlimit now;
  EXPECT(getrlimit(RLIMIT_CPU, &now) == 0 && now.rlim_cur == 60 && now.rlim_max == 61);
  EXPECT(getrlimit(RLIMIT_DATA, &now) == 0 && now.rlim_cur == now.rlim_max);
  char path[path_size];
  int file = open(beneath(path, place->writable, "large"), O_RDWR | O_CREAT, 0666), last = file;
  EXPECT(file >= 0 && ftruncate(file, piece) == 0 && ftruncate(file, piece + 1) == -1 && errno == EFBIG);
  while ((file = open(path, O_RDONLY)) >= 0) last = file;
  EXPECT(errno == EMFILE && last < 32 && unlink(path) == 0);
  while (last > place->inherited) close(last--);
  return NULL;
}

static void *wait_for(void *mutex) {
  pthread_mutex_lock(mutex);
  return NULL;
}

static void a_second_thread_is_too_late(void **state) {
  const grounds *place = *state;
  need_confinement();
  pid_t process = fork();
  if (process == 0) {
    pthread_t thread;
    pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&held);
    pthread_create(&thread, NULL, wait_for, &held);
    const char *wrong = confine(place);
    _exit(wrong && strstr(wrong, "thread") && open("/", O_RDONLY) >= 0 ? 0 : 1);
  }
  int status = -1;
  waitpid(process, &status, 0);
  assert_int_equal(status, 0);
}

/* Whoever looks from outside sees what is left of its privileges. */
static void no_capability_is_left(void **state) {
  static const char *const lines[] = {"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "NoNewPrivs:\t1",
                                      "CapEff:\t0000000000000000", "CapAmb:\t0000000000000000", "Seccomp:\t2"};
  char path[path_size], text[4096] = "", ready;
  int ends[2];
  need_confinement();
  assert_int_equal(pipe(ends), 0);
  pid_t process = fork();
  if (process == 0) {
    bool done = !confine(*state) && confine(*state) /* the second time it is told no */ && write(ends[1], "x", 1) == 1;
    while (done) pause();
    _exit(1);
  }
  close(ends[1]);
  assert_int_equal(read(ends[0], &ready, 1), 1);
  close(ends[0]);
  snprintf(path, sizeof path, "/proc/%ld/status", (long)process);
  int file = open(path, O_RDONLY);
  assert_true(read(file, text, sizeof text - 1) > 0);
  close(file);
  kill(process, SIGKILL);
  waitpid(process, NULL, 0);
  for (size_t i = 0; i < COUNT_OF(lines); i++)
    if (!strstr(text, lines[i])) fail_msg("no %s in %s", lines[i], text);
  if (geteuid() == 0) assert_non_null(strstr(text, "CapBnd:\t0000000000000000"));
}

static void no_environment_is_left(void **state) {
  (void)state;
  pid_t process = fork();
  if (process == 0) {
    char bytes[1 << 16];
    setenv("SM_TEST_SECRET", "secret", 1);
    const char *kept = getenv("SM_TEST_SECRET");
    sm_host_wipe_environment();
    if (getenv("SM_TEST_SECRET") || getenv("PATH") || *kept) _exit(1);
    int file = open("/proc/self/environ", O_RDONLY);
    for (ssize_t got; (got = read(file, bytes, sizeof bytes)) > 0;)
      for (ssize_t i = 0; i < got; i++)
        if (bytes[i]) _exit(2);
    _exit(0);
  }
  int status = -1;
  waitpid(process, &status, 0);
  assert_int_equal(status, 0);
}

/* The leak sanitizer, where there is one, would fail here. */
static void a_confined_process_ends_as_it_wants(void **state) {
  need_confinement();
  pid_t process = fork();
  if (process == 0) exit(confine(*state) ? 1 : 3);
  int status = -1;
  waitpid(process, &status, 0);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

#define CONFINED(deed) \
  static void test_##deed(void **state) { try_confined(state, deed); }
CONFINED(no_process_is_made)
CONFINED(no_process_is_touched)
CONFINED(no_network_is_reached)
CONFINED(no_terminal_is_spoken_to)
CONFINED(no_privilege_is_left)
CONFINED(limits_are_not_raised)
CONFINED(no_code_and_no_uncounted_memory_is_mapped)
CONFINED(memory_ends_with_an_error)
#define TEST(function) cmocka_unit_test_setup_teardown(function, make_place, remove_place)

int main(void) {
  const struct CMUnitTest tests[] = {
    TEST(test_no_process_is_made),
    TEST(test_no_process_is_touched),
    TEST(test_no_network_is_reached),
    TEST(test_no_terminal_is_spoken_to),
    TEST(test_no_privilege_is_left),
    TEST(test_limits_are_not_raised),
    TEST(test_no_code_and_no_uncounted_memory_is_mapped),
    TEST(the_filter_alone_refuses_what_old_kernels_miss),
    TEST(a_confined_process_computes),
    TEST(test_memory_ends_with_an_error),
    TEST(a_second_thread_is_too_late),
    TEST(no_capability_is_left),
    TEST(no_environment_is_left),
    TEST(a_confined_process_ends_as_it_wants),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
