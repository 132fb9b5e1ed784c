#include "host/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { cannot_start = 127 }; /* exit code of a process that never became the program, as a shell has it */

/* Every signal that this program catches does again what the system says. */
static void forget_handlers(void) {
  for (int number = 1; number < NSIG; number++) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_IGN) signal(number, SIG_DFL);
  }
}

/* The new process on its way to the program. All signals are blocked until none of them can be lost. */
static void become(char *const *words, int nowhere, int errors, pid_t parent, const sigset_t *unblocked) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(cannot_start);
  int input = dup2(nowhere, STDIN_FILENO), output = dup2(nowhere, STDOUT_FILENO);
  if (input < 0 || output < 0 || dup2(errors, STDERR_FILENO) < 0) _exit(cannot_start);
  forget_handlers();
  sigprocmask(SIG_SETMASK, unblocked, NULL);
  execv(words[0], words);
  const char *reason = strerror(errno);
  if (write(STDERR_FILENO, reason, strlen(reason)) < 0) _exit(cannot_start);
  _exit(cannot_start);
}

pid_t sm_host_start(char *const *words, const char *errors) {
  int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  int file = open(errors, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR);
  pid_t process = -1;
  if (nowhere >= 0 && file >= 0) {
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    signal(SIGCHLD, SIG_DFL); /* where a parent had it ignored, how a process ended would be lost */
    pid_t parent = getpid();
    process = fork();
    if (process == 0) become(words, nowhere, file, parent, &before);
    sigprocmask(SIG_SETMASK, &before, NULL);
  }
  int saved_errno = errno;
  if (nowhere >= 0) close(nowhere);
  if (file >= 0) close(file);
  errno = saved_errno;
  return process;
}

int sm_host_ended(pid_t process, int *status) {
  pid_t found;
  do {
    found = waitpid(process, status, WNOHANG);
  } while (found < 0 && errno == EINTR);
  return found < 0 ? -1 : found > 0;
}
