#include "host/interrupt.h"

#include <errno.h>
#include <lauxlib.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A signal has no argument for its handler, so that what it needs is kept here. */
static volatile sig_atomic_t interrupted, graceful, unheard, output_closed, raised;
static lua_State *volatile interrupted_state;
static pthread_t main_thread;
static struct timespec first_signal; /* when the first one came; used in the handler alone */
static volatile sig_atomic_t asked;  /* which signal that was; 0: one whose outcome is not watched */
static volatile sig_atomic_t worker;   /* a process that signals are passed on to */
static volatile sig_atomic_t stopping; /* whether one has come that is passed on */
static atomic_bool passed_on;          /* whether the process got it; another thread asks */
static volatile sig_atomic_t at_prompt; /* SIGINT stops a line that runs, and not the program */
static volatile sig_atomic_t line_runs; /* one of this process, or one of the worker's */
static volatile sig_atomic_t early;     /* SIGINT came when a line was typed, and did not run yet */
static volatile sig_atomic_t of_line;   /* whether `interrupted` is SIGINT's at a prompt */
static volatile sig_atomic_t pressed;   /* how often SIGINT came since a line was awaited */
static volatile sig_atomic_t insisted;  /* whether that has ended the worker */
static struct timespec first_pressed;   /* when it came first; used with signals blocked */

/* Whoever sends a signal to a process and to its group, as timeout(1) does, sends it twice at once; a person who
   means it the second time is slower. Seconds. */
static const double second_thoughts = 0.5;

/* At a prompt the first SIGINT may ask training to save, the second stops it; whoever presses a third time so many
   seconds after the first has seen that what runs does not stop. A key that is held down is no third time. */
static const double third_thoughts = 2;

/* Seconds that may pass after a signal: until a training loop has asked for it, which it does once a step; until Lua
   has been stopped, which a function of its libraries or a kernel may hold up; until what the error has set off is
   over, which a script may have caught. */
enum { UNTIL_ASKED = 600, UNTIL_RAISED = 5, UNTIL_ENDED = 30 };

const char *const sm_host_interruption = "smrun.interruption";

/* Runs at the next instruction of the main Lua thread after a signal. A coroutine has a hook of its own: one that
   runs when the signal comes is stopped when it gives control back. */
static void stop(lua_State *L, lua_Debug *event) {
  (void)event;
  lua_sethook(L, NULL, 0, 0);
  raised = 1;
  alarm(UNTIL_ENDED);
  if (lua_getfield(L, LUA_REGISTRYINDEX, sm_host_interruption) == LUA_TNIL) lua_pushliteral(L, "interrupted");
  lua_error(L);
}

static void stop_soon(lua_State *L) {
  lua_sethook(L, stop, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
  alarm(UNTIL_RAISED);
}

static void pass_on(void) {
  if (worker && !passed_on && kill(worker, SIGTERM) == 0) passed_on = true;
}

static void die(int signal_number) {
  if (worker) kill(worker, SIGKILL);
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

static double since(const struct timespec *before) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)(now.tv_sec - before->tv_sec) + 1e-9 * (double)(now.tv_nsec - before->tv_nsec);
}

/* Runs at the next instruction of a line that is to stop. */
static void stop_line(lua_State *L, lua_Debug *event) {
  (void)event;
  lua_sethook(L, NULL, 0, 0);
  alarm(0);
  if (lua_getfield(L, LUA_REGISTRYINDEX, sm_host_interruption) == LUA_TNIL) lua_pushliteral(L, "interrupted");
  lua_error(L);
}

/* Passes SIGINT on to the worker that has the line, which may be a stranger's and catch it: the third one kills. */
static bool interrupt_worker(void) {
  if (!worker) return false;
  if (pressed == 0) clock_gettime(CLOCK_MONOTONIC, &first_pressed);
  if (pressed < 3) pressed++;
  insisted = insisted || (pressed == 3 && since(&first_pressed) >= third_thoughts);
  kill(worker, insisted ? SIGKILL : SIGINT);
  return true;
}

/* SIGINT at a prompt. Training is asked to save first, and stopped by a second signal. */
static void interrupt_line(void) {
  lua_State *L = interrupted_state;
  bool asked_before = interrupted && of_line;
  if (interrupt_worker() || (interrupted && !of_line)) return;
  if (!line_runs) {
    early = 1;
    return;
  }
  interrupted = of_line = 1;
  if ((graceful && !asked_before) || !L) return;
  lua_sethook(L, stop_line, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
  alarm(UNTIL_RAISED);
}

static void on_signal(int signal_number) {
  int saved_errno = errno;
  if (!pthread_equal(pthread_self(), main_thread)) {
    pthread_kill(main_thread, signal_number); /* a worker thread must not touch the Lua state */
  } else if (signal_number == SIGPIPE && (output_closed || graceful || unheard)) {
    output_closed = 1; /* the write fails, and that is all */
  } else if (signal_number == SIGINT && at_prompt) {
    interrupt_line();
  } else if (signal_number != SIGPIPE && (worker ? stopping : interrupted && !of_line)) {
    if (since(&first_signal) >= second_thoughts) die(signal_number);
  } else {
    lua_State *L = interrupted_state;
    clock_gettime(CLOCK_MONOTONIC, &first_signal);
    if (signal_number == SIGPIPE) output_closed = 1;
    if (signal_number != SIGPIPE) {
      stopping = 1;
      pass_on();
    }
    interrupted = 1;
    of_line = 0;
    asked = signal_number;
    if (!graceful && L) stop_soon(L);
    else alarm(L ? UNTIL_ASKED : UNTIL_RAISED);
  }
  errno = saved_errno;
}

/* Nobody has answered a signal in time. */
static void on_alarm(int signal_number) {
  static const char message[] = "\nsmrun: killed, for what ran did not stop\n";
  static const char advice[] = "\nsmrun: what runs has not stopped yet; Ctrl-\\ ends smrun\n";
  int saved_errno = errno;
  lua_State *L = interrupted_state;
  if (!pthread_equal(pthread_self(), main_thread)) {
    pthread_kill(main_thread, signal_number);
  } else if (at_prompt && !asked) {
    if (line_runs && write(STDERR_FILENO, advice, strlen(advice)) < 0) errno = saved_errno;
  } else if (graceful && !raised && L) {
    graceful = 0;
    stop_soon(L);
  } else if (asked) {
    if (write(STDERR_FILENO, message, strlen(message)) < 0) errno = saved_errno;
    die(asked);
  }
  errno = saved_errno;
}

/* Stops the worker, then this process as SIGTSTP does it, until SIGCONT comes. */
static void on_stop(int signal_number) {
  int saved_errno = errno;
  if (!pthread_equal(pthread_self(), main_thread)) {
    pthread_kill(main_thread, signal_number);
  } else {
    struct sigaction usual = {.sa_handler = SIG_DFL}, own;
    sigset_t this_one, before;
    sigemptyset(&this_one);
    sigaddset(&this_one, signal_number);
    if (worker) kill(worker, SIGSTOP);
    sigaction(signal_number, &usual, &own);
    raise(signal_number);
    pthread_sigmask(SIG_UNBLOCK, &this_one, &before);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    sigaction(signal_number, &own, NULL);
    if (worker) kill(worker, SIGCONT);
  }
  errno = saved_errno;
}

static void on_continue(int signal_number) {
  int saved_errno = errno;
  (void)signal_number;
  if (worker) kill(worker, SIGCONT);
  errno = saved_errno;
}

/* A signal that is not ignored gets a handler; one that has it gets the system's own again where `handler` is that. */
static void handle(int signal_number, void (*handler)(int)) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, before;
  sigfillset(&action.sa_mask);
  if (sigaction(signal_number, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
    sigaction(signal_number, &action, NULL);
}

void sm_host_pass_on_to(pid_t process) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  worker = process;
  if (process) passed_on = false;
  if (asked && stopping) pass_on();
  handle(SIGTSTP, process ? on_stop : SIG_DFL);
  handle(SIGCONT, process ? on_continue : SIG_DFL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

bool sm_host_passed_on(void) { return passed_on; }

bool sm_host_signalled(void) { return interrupted != 0; }

void sm_host_catch_signals(lua_State *L) {
  static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXCPU, SIGUSR1};
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigfillset(&action.sa_mask);
  main_thread = pthread_self();
  interrupted_state = L;
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    struct sigaction before;
    bool ignored = sigaction(signals[i], NULL, &before) == 0 && before.sa_handler == SIG_IGN;
    if (!ignored || signals[i] == SIGPIPE) sigaction(signals[i], &action, NULL);
  }
  action.sa_handler = on_alarm;
  sigaction(SIGALRM, &action, NULL);
}

void sm_host_release_signals(void) { interrupted_state = NULL; }

bool sm_host_interrupted(void) {
  if (interrupted) { /* the library knows, and does what is left to do */
    asked = 0;
    alarm(0);
  }
  return interrupted != 0;
}

bool sm_host_output_closed(void) { return output_closed != 0; }

void sm_host_be_graceful(bool on) { graceful = on; }

void sm_host_be_at_prompt(bool on) { at_prompt = on; }

void sm_host_await_line(void) { early = pressed = 0; }

void sm_host_interrupt_worker(void) { interrupt_worker(); }

bool sm_host_insisted(void) { return insisted != 0; }

void sm_host_begin_line(void) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  line_runs = 1;
  if (early) interrupt_line();
  early = 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void sm_host_end_line(lua_State *L) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  line_runs = early = 0;
  if (lua_gethook(L) == stop_line) {
    lua_sethook(L, NULL, 0, 0);
    alarm(0);
  }
  if (of_line) interrupted = of_line = 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void sm_host_be_unheard(bool on) { unheard = on; }
