#include "host/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host/interrupt.h"

enum { cannot_start = 127 }; /* exit code of a process that never became the program, as a shell has it */

/* Every signal that this program catches does again what the system says. */
static void forget_handlers(void) {
  for (int number = 1; number < NSIG; number++) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_IGN) signal(number, SIG_DFL);
  }
}

typedef struct descriptors {
  int input, output, errors;
} descriptors;

/* The new process on its way to the program. All signals are blocked until none of them can be lost. */
static void become(char *const *words, descriptors own, pid_t parent, const sigset_t *unblocked) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(cannot_start);
  int input = dup2(own.input, STDIN_FILENO), output = dup2(own.output, STDOUT_FILENO);
  if (input < 0 || output < 0 || dup2(own.errors, STDERR_FILENO) < 0) _exit(cannot_start);
  forget_handlers();
  signal(SIGTTOU, SIG_IGN); /* a progress bar of its own may go to a terminal that is set to stop others' output */
  sigprocmask(SIG_SETMASK, unblocked, NULL);
  execv(words[0], words);
  const char *reason = strerror(errno);
  if (write(STDERR_FILENO, reason, strlen(reason)) < 0) _exit(cannot_start);
  _exit(cannot_start);
}

static pid_t start(char *const *words, descriptors own) {
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  signal(SIGCHLD, SIG_DFL); /* where a parent had it ignored, how a process ended would be lost */
  pid_t parent = getpid(), process = fork();
  if (process == 0) become(words, own, parent, &before);
  int saved_errno = errno;
  sigprocmask(SIG_SETMASK, &before, NULL);
  errno = saved_errno;
  return process;
}

static void close_all(const int *list, size_t count) {
  int saved_errno = errno;
  for (size_t i = 0; i < count; i++)
    if (list[i] >= 0) close(list[i]);
  errno = saved_errno;
}

pid_t sm_host_start(char *const *words, const char *errors) {
  int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  int file = open(errors, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR);
  pid_t process = -1;
  if (nowhere >= 0 && file >= 0) process = start(words, (descriptors){nowhere, nowhere, file});
  close_all((int[]){nowhere, file}, 2);
  return process;
}

void sm_host_stop(pid_t process) {
  if (kill(-process, SIGTERM) != 0) kill(process, SIGTERM); /* it may not have its group yet */
}

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Waits for the end for at most so many seconds; whether it came. */
static bool ends_within(pid_t process, double seconds, int *status) {
  static const struct timespec moment = {.tv_nsec = 10 * 1000 * 1000};
  double last = seconds_now() + seconds;
  do {
    if (sm_host_ended(process, status) != 0) return true;
    nanosleep(&moment, NULL);
  } while (seconds_now() < last);
  return false;
}

/* The next of what the process writes; false at its end. */
static bool gather_some(int from, char *output, size_t capacity, size_t *length) {
  char rest[4096];
  bool room = *length < capacity;
  ssize_t got = read(from, room ? output + *length : rest, room ? capacity - *length : sizeof rest);
  if (got > 0 && room) *length += (size_t)got;
  return got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN));
}

sm_host_end sm_host_gather(char *const *words, double seconds, char *output, size_t capacity, size_t *length,
                           int *status) {
  enum { glance = 100 }; /* milliseconds, for a signal that came just before the wait */
  static const double patience = 2; /* seconds from asking to killing */
  int ends[2] = {-1, -1}, nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  pid_t process = -1;
  *length = 0;
  if (nowhere >= 0 && pipe2(ends, O_CLOEXEC) == 0)
    process = start(words, (descriptors){nowhere, ends[1], STDERR_FILENO});
  close_all((int[]){nowhere, ends[1]}, 2);
  if (process < 0) {
    close_all(ends, 1);
    return SM_HOST_NOT_STARTED;
  }
  double last = seconds_now() + seconds;
  bool open = true, over = false, stopping = sm_host_interrupted(); /* what is run then, cleans up */
  sm_host_end end = SM_HOST_ENDED;
  while (!over && end == SM_HOST_ENDED) {
    struct pollfd ready = {.fd = ends[0], .events = POLLIN};
    if (open && poll(&ready, 1, glance) > 0) open = gather_some(ends[0], output, capacity, length);
    if (!open) over = ends_within(process, 0, status);
    if (!stopping && sm_host_interrupted()) end = SM_HOST_INTERRUPTED;
    else if (seconds > 0 && seconds_now() >= last) end = SM_HOST_LATE;
  }
  close(ends[0]);
  if (over) return SM_HOST_ENDED;
  sm_host_stop(process);
  if (!ends_within(process, patience, status)) {
    kill(-process, SIGKILL);
    ends_within(process, patience, status);
  }
  return end;
}

int sm_host_ended(pid_t process, int *status) {
  pid_t found;
  do {
    found = waitpid(process, status, WNOHANG);
  } while (found < 0 && errno == EINTR);
  return found < 0 ? -1 : found > 0;
}
