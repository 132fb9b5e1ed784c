/* Other processes of this program. */
#ifndef SM_HOST_PROCESS_H
#define SM_HOST_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

/* Starts words[0], a path, with the null-terminated `words`. Its standard input is empty, its standard output
   goes nowhere, its errors into a new file. It is in a process group of its own, so that Ctrl-C reaches this
   process alone, and gets SIGTERM when this process dies, however it dies. The process id, or -1 with errno. */
pid_t sm_host_start(char *const *words, const char *errors);

/* 1 when a process started here has ended: *status is as waitpid gives it, and it is not to be asked for
   again; 0 while it runs; -1 with errno. */
int sm_host_ended(pid_t process, int *status);

typedef enum sm_host_end { SM_HOST_ENDED, SM_HOST_INTERRUPTED, SM_HOST_LATE, SM_HOST_NOT_STARTED } sm_host_end;

/* Runs words[0] as above, with this process's standard errors, and gathers what it writes to standard output: the
   first `capacity` bytes, *length of them. A signal that asks this process to stop, and `seconds` that have passed
   (0: any number), end it and all that it has started. *status is as waitpid gives it; SM_HOST_NOT_STARTED sets
   errno. */
sm_host_end sm_host_gather(char *const *words, double seconds, char *output, size_t capacity, size_t *length,
                           int *status);

/* Asks a process and all that it has started to stop. */
void sm_host_stop(pid_t process);

#endif
