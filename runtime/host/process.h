/* Other processes of this program. */
#ifndef SM_HOST_PROCESS_H
#define SM_HOST_PROCESS_H

#include <sys/types.h>

/* Starts words[0], a path, with the null-terminated `words`. Its standard input is empty, its standard output
   goes nowhere, its errors into a new file. It is in a process group of its own, so that Ctrl-C reaches this
   process alone, and gets SIGTERM when this process dies, however it dies. The process id, or -1 with errno. */
pid_t sm_host_start(char *const *words, const char *errors);

/* 1 when a process started here has ended: *status is as waitpid gives it, and it is not to be asked for
   again; 0 while it runs; -1 with errno. */
int sm_host_ended(pid_t process, int *status);

#endif
