#include "host/watch.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/interrupt.h"

/* Seconds between two looks; from asking to killing; that one look counts at most, for a longer one means that this
   process was stopped. */
static const double glance = 0.1, reprieve = 0.8, longest = 1;

/* A look at a disk takes at most one part of so many of the time. */
static const double share = 10;

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Waits, with the lock held, for so many seconds or until somebody wakes the threads. */
static void wait_for(sm_watch *watch, double seconds) {
  struct timespec until;
  double at = seconds_now() + seconds;
  until.tv_sec = (time_t)at;
  until.tv_nsec = (long)(1e9 * (at - (double)until.tv_sec));
  pthread_cond_timedwait(&watch->wake, &watch->lock, &until);
}

/* With the lock held. */
static void send(sm_watch *watch, int signal_number, const char *why) {
  if (watch->process == 0) return;
  if (!watch->why) watch->why = why;
  kill(watch->process, signal_number);
}

static void *watch_clock(void *data) {
  sm_watch *watch = data;
  double asked = -1, before = seconds_now(), after_signal = 0;
  pthread_mutex_lock(&watch->lock);
  while (!watch->quit) {
    double next = watch->seconds + (asked >= 0 ? reprieve : 0) - watch->used;
    wait_for(watch, next < glance ? fmax(next, 0.001) : glance);
    double now = seconds_now(), passed = fmin(now - before, longest);
    before = now;
    watch->used += passed;
    if (sm_host_passed_on()) after_signal += passed;
    if (after_signal > watch->patience) send(watch, SIGKILL, "signal");
    if (watch->used < watch->seconds) {
      asked = -1; /* a later limit */
    } else if (asked < 0) {
      asked = watch->used;
      send(watch, SIGTERM, "time");
    } else if (watch->used >= asked + reprieve) {
      send(watch, SIGKILL, "time");
    }
  }
  pthread_mutex_unlock(&watch->lock);
  return NULL;
}

static void *watch_disk(void *data) {
  sm_watch *watch = data;
  const sm_usage most = {watch->bytes, watch->files};
  pthread_mutex_lock(&watch->lock);
  while (!watch->disk_quit) {
    pid_t process = watch->process;
    pthread_mutex_unlock(&watch->lock);
    double begin = seconds_now();
    sm_usage usage = {0};
    if (process) sm_usage_unnamed(process, &usage);
    for (size_t i = 0; i < watch->count && !sm_usage_exceeds(&usage, &most); i++)
      sm_usage_beneath(watch->directories[i], &usage, &most, &watch->disk_quit);
    double next = fmax(glance, (share - 1) * (seconds_now() - begin)), wanted = seconds_now() + next;
    pthread_mutex_lock(&watch->lock);
    if (usage.bytes > most.bytes)
      send(watch, SIGKILL, "disk");
    else if (usage.files > most.files)
      send(watch, SIGKILL, "files");
    while (!watch->disk_quit && seconds_now() < wanted) wait_for(watch, wanted - seconds_now());
  }
  pthread_mutex_unlock(&watch->lock);
  return NULL;
}

/* A thread that no signal is handled in. */
static int start_thread(pthread_t *thread, void *(*body)(void *), sm_watch *watch) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(thread, NULL, body, watch);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
}

int sm_watch_start(sm_watch *watch, pid_t process) {
  enum { usual = 10 };
  *watch = (sm_watch){.process = process, .seconds = INFINITY, .patience = usual};
  pthread_mutex_init(&watch->lock, NULL);
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&watch->wake, &attributes);
  pthread_condattr_destroy(&attributes);
  int error = start_thread(&watch->clock, watch_clock, watch);
  if (error) {
    pthread_cond_destroy(&watch->wake);
    pthread_mutex_destroy(&watch->lock);
  }
  return error;
}

void sm_watch_time(sm_watch *watch, double seconds) {
  pthread_mutex_lock(&watch->lock);
  watch->seconds = seconds;
  watch->used = 0;
  pthread_cond_broadcast(&watch->wake);
  pthread_mutex_unlock(&watch->lock);
}

void sm_watch_patience(sm_watch *watch, double seconds) {
  pthread_mutex_lock(&watch->lock);
  watch->patience = seconds;
  pthread_mutex_unlock(&watch->lock);
}

static void wake_up(sm_watch *watch, bool *quit) {
  pthread_mutex_lock(&watch->lock);
  __atomic_store_n(quit, true, __ATOMIC_RELAXED);
  pthread_cond_broadcast(&watch->wake);
  pthread_mutex_unlock(&watch->lock);
}

static void end_disk(sm_watch *watch) {
  if (watch->has_disk) {
    wake_up(watch, &watch->disk_quit);
    pthread_join(watch->disk, NULL);
  }
  watch->has_disk = watch->disk_quit = false;
  for (size_t i = 0; i < watch->count; i++) close(watch->directories[i]);
  free(watch->directories);
  watch->directories = NULL;
  watch->count = 0;
}

int sm_watch_disk(sm_watch *watch, long long bytes, long long files, int *directories, size_t count) {
  end_disk(watch);
  watch->bytes = bytes;
  watch->files = files;
  watch->directories = directories;
  watch->count = count;
  int error = start_thread(&watch->disk, watch_disk, watch);
  watch->has_disk = error == 0;
  return error;
}

void sm_watch_signal(sm_watch *watch, int signal_number, const char *why) {
  pthread_mutex_lock(&watch->lock);
  send(watch, signal_number, why);
  pthread_mutex_unlock(&watch->lock);
}

void sm_watch_forget(sm_watch *watch) {
  pthread_mutex_lock(&watch->lock);
  watch->process = 0;
  pthread_mutex_unlock(&watch->lock);
}

void sm_watch_end(sm_watch *watch) {
  end_disk(watch);
  wake_up(watch, &watch->quit);
  pthread_join(watch->clock, NULL);
  pthread_cond_destroy(&watch->wake);
  pthread_mutex_destroy(&watch->lock);
}
