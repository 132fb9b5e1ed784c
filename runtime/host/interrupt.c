#include "host/interrupt.h"

#include <errno.h>
#include <lauxlib.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

/* A signal has no argument for its handler, so that what it needs is kept here. */
static volatile sig_atomic_t interrupted, graceful, output_closed;
static lua_State *volatile interrupted_state;
static pthread_t main_thread;
static struct timespec first_signal; /* when the first one came; used in the handler alone */

/* Whoever sends a signal to a process and to its group, as timeout(1) does, sends it twice at once; a person who
   means it the second time is slower. Seconds. */
static const double second_thoughts = 0.5;

/* Runs at the next instruction of the main Lua thread after a signal. A coroutine has a hook of its own: one that
   runs when the signal comes is stopped when it gives control back. */
static void stop(lua_State *L, lua_Debug *event) {
  (void)event;
  lua_sethook(L, NULL, 0, 0);
  lua_pushliteral(L, "interrupted");
  lua_error(L);
}

static double since(const struct timespec *before) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)(now.tv_sec - before->tv_sec) + 1e-9 * (double)(now.tv_nsec - before->tv_nsec);
}

static void on_signal(int signal_number) {
  int saved_errno = errno;
  if (!pthread_equal(pthread_self(), main_thread)) {
    pthread_kill(main_thread, signal_number); /* a worker thread must not touch the Lua state */
  } else if (signal_number == SIGPIPE && output_closed) {
    /* known already: the write fails, and that is all */
  } else if (signal_number != SIGPIPE && interrupted) {
    if (since(&first_signal) >= second_thoughts) {
      signal(signal_number, SIG_DFL);
      raise(signal_number);
    }
  } else {
    lua_State *L = interrupted_state;
    clock_gettime(CLOCK_MONOTONIC, &first_signal);
    if (signal_number == SIGPIPE) output_closed = 1;
    interrupted = 1;
    if (!graceful && L) lua_sethook(L, stop, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
  }
  errno = saved_errno;
}

void sm_host_catch_signals(lua_State *L) {
  static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigfillset(&action.sa_mask);
  main_thread = pthread_self();
  interrupted_state = L;
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    struct sigaction before;
    bool ignored = sigaction(signals[i], NULL, &before) == 0 && before.sa_handler == SIG_IGN;
    if (!ignored || signals[i] == SIGPIPE) sigaction(signals[i], &action, NULL);
  }
}

void sm_host_release_signals(void) { interrupted_state = NULL; }

bool sm_host_interrupted(void) { return interrupted != 0; }

bool sm_host_output_closed(void) { return output_closed != 0; }

void sm_host_be_graceful(bool on) { graceful = on; }
