/* Signals that ask the program to stop. */
#ifndef SM_HOST_INTERRUPT_H
#define SM_HOST_INTERRUPT_H

#include <lua.h>
#include <stdbool.h>
#include <sys/types.h>

/* From here on SIGINT, SIGTERM, SIGHUP, SIGUSR1 (which mpirun passes on) and a write to a closed pipe stop the Lua code
   of `L`, the main state: by an error in whatever it runs, or, while it asked for grace, by a flag alone. The error is
   what the registry has under the name below, or else the text "interrupted". Where nobody asks for the flag within a
   minute, the error comes after all. Where the error cannot come within 5 seconds, since a function in C runs, or the
   program goes on for another 30, the signal kills. So does a second one, half a second later or more; further writes
   to a closed pipe merely fail. Signals that the parent process ignores stay ignored. */
extern const char *const sm_host_interruption;
void sm_host_catch_signals(lua_State *L);

/* A signal stops no Lua code from here on: to be called before the state is closed. */
void sm_host_release_signals(void);

/* true: a signal only sets the flag, and a write to a closed pipe stops nothing. */
void sm_host_be_graceful(bool on);

/* true: there is a prompt, and SIGINT stops what a line of it has begun, by the same error, and not the program. A
   line that has asked for grace is only told of the first one. A worker has the line where there is one: it is sent
   SIGINT, and killed by the third in one line. One that comes between `await` and `begin` is for the line that is
   about to run. */
void sm_host_be_at_prompt(bool on);
void sm_host_await_line(void);
void sm_host_begin_line(void);
/* SIGINT has come while the worker was asked what a line may become; to be called with all signals blocked. */
void sm_host_interrupt_worker(void);
/* Whether the worker was killed so. */
bool sm_host_insisted(void);
/* Also forgets the SIGINT that has stopped the line. L: the main state. */
void sm_host_end_line(lua_State *L);

/* true: a write to a closed pipe stops nothing. A run is not lost because its reader has gone. */
void sm_host_be_unheard(bool on);

/* Whether a signal asked to stop. Whoever is told so is trusted to end: no time is counted from then on. */
bool sm_host_interrupted(void);

/* Whether a signal asked to stop; as long as nobody is told so, time is counted as before. */
bool sm_host_signalled(void);

/* From here on signals go to a process as well, a worker of this one. The first that asks to stop, or one whose outcome
   nobody has asked for yet, reaches it at once as SIGTERM; one that kills this process kills it before. It is stopped
   while SIGTSTP stops this one. 0: to none any more, to be said before that process is reaped. */
void sm_host_pass_on_to(pid_t process);

/* Whether that process was sent SIGTERM so. */
bool sm_host_passed_on(void);

/* Whether a write found its reader gone. */
bool sm_host_output_closed(void);

#endif
