#include "core/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/settings.h"
#include "core/subnormal.h"

/* The items of a piece of work are dealt out evenly. A thread takes its own, one after the other, and then
   those that others have not begun. A share is what may still be taken: the next item in the lower half, the
   end in the upper. */
typedef struct share {
  _Alignas(64) _Atomic uint64_t items;
} share;

static struct {
  pthread_once_t decided;
  int threads; /* wanted, the calling one included */
  bool tried;  /* to start helpers */
  int helpers; /* that run; their places are 1 … helpers */
  share *share;
  pthread_t *helper;

  sm_task *task; /* the work at hand, which stays while an item of it is not done */
  const void *work;
  size_t count, shares; /* into which its items are dealt */
  bool backwards;
  sm_mode mode;        /* of whoever gave it */
  uint32_t number;     /* of it: announced, when it was */
  _Atomic size_t done; /* items */
  _Atomic int workers; /* threads that have had an item */

  atomic_flag busy;           /* a thread has work at hand */
  _Atomic uint32_t announced; /* pieces of work so far */
  _Atomic int asleep;         /* helpers */
  _Atomic bool quit;
  pthread_mutex_t lock;
  pthread_cond_t wake;
} pool = {.decided = PTHREAD_ONCE_INIT,
          .busy = ATOMIC_FLAG_INIT,
          .lock = PTHREAD_MUTEX_INITIALIZER,
          .wake = PTHREAD_COND_INITIALIZER};

/* A library that is loaded by a running program has a thread's variables allocated when the thread first uses them, and
   the C library ends the program where there is no memory for that. In this model they are there from the beginning. */
#define OF_THREAD static _Thread_local __attribute__((tls_model("initial-exec")))

OF_THREAD int own_index;       /* in the work at hand, in the order of first items */
OF_THREAD uint32_t own_number; /* of the work in which this thread last had an item */

enum {
  PATIENCE = 500 * 1000, /* nanoseconds that a helper looks for work before it sleeps: more than there usually
                            are between two kernels */
  LOOKS = 64,            /* between two looks at the clock, and offers of the core to another thread */
  STACK = 8 << 20        /* bytes; kernels keep packed blocks on it */
};

static inline void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* ---- items ---- */

static void deal(share *to, sm_range items) {
  atomic_store_explicit(&to->items, (uint64_t)items.last << 32 | items.first, memory_order_release);
}

/* Takes an item. Whoever has one may read the work at hand, which is the item's. */
static bool take(share *from, size_t *item) {
  uint64_t items = atomic_load_explicit(&from->items, memory_order_relaxed);
  while ((uint32_t)items < items >> 32) {
    if (atomic_compare_exchange_weak_explicit(&from->items, &items, items + 1, memory_order_acquire,
                                              memory_order_relaxed)) {
      *item = (uint32_t)items;
      return true;
    }
  }
  return false;
}

/* The item that is as far from the end of the share at `place` as `item` is from its beginning. */
static size_t mirrored(size_t item, int place) {
  sm_range items = sm_chunk(pool.count, pool.shares, (size_t)place);
  return items.first + (items.last - 1 - item);
}

/* Takes items until there are none, those of the share at its place first. */
static void help(int place) {
  for (int i = 0; i < pool.threads; i++) {
    int from = (place + i) % pool.threads;
    size_t item, count = 0;
    for (; take(&pool.share[from], &item); count++) {
      if (own_number != pool.number) {
        own_number = pool.number;
        if ((sm_mode_now() ^ pool.mode) & SM_FLUSH) sm_set_mode(pool.mode);
        own_index = atomic_fetch_add_explicit(&pool.workers, 1, memory_order_relaxed);
      }
      pool.task(pool.work, pool.backwards ? mirrored(item, from) : item);
    }
    if (count > 0) atomic_fetch_add_explicit(&pool.done, count, memory_order_release);
  }
}

/* ---- helpers ---- */

/* Until there is work that was announced after number *seen; false when it is time to go. */
static bool await_work(uint32_t *seen) {
  int64_t limit = 0;
  for (int look = 1; atomic_load(&pool.announced) == *seen && !atomic_load(&pool.quit); look++) {
    relax();
    if (look % LOOKS > 0) continue;
    sched_yield(); /* to the caller itself, where the system has put both on one core */
    int64_t time = now();
    if (limit == 0) limit = time + PATIENCE;
    if (time < limit) continue;
    pthread_mutex_lock(&pool.lock);
    atomic_fetch_add(&pool.asleep, 1);
    while (atomic_load(&pool.announced) == *seen && !atomic_load(&pool.quit)) {
      pthread_cond_wait(&pool.wake, &pool.lock);
    }
    atomic_fetch_sub(&pool.asleep, 1);
    pthread_mutex_unlock(&pool.lock);
  }
  *seen = atomic_load(&pool.announced);
  return !atomic_load(&pool.quit);
}

static void *run_helper(void *place) {
  uint32_t seen = 0;
  do help((int)(intptr_t)place);
  while (await_work(&seen));
  return NULL;
}

static void wake_all(void) {
  pthread_mutex_lock(&pool.lock);
  pthread_cond_broadcast(&pool.wake);
  pthread_mutex_unlock(&pool.lock);
}

static void stop_helpers(void) {
  atomic_store(&pool.quit, true);
  wake_all();
  for (int i = 0; i < pool.helpers; i++) pthread_join(pool.helper[i], NULL);
  free(pool.share);
  free(pool.helper);
  pool.share = NULL;
  pool.helper = NULL;
  pool.helpers = 0;
  pool.tried = false;
  atomic_store(&pool.quit, false);
}

/* A child process has the calling thread alone. */
static void forget_helpers(void) {
  pool.helpers = 0;
  pool.tried = false;
  atomic_store(&pool.asleep, 0);
  atomic_flag_clear(&pool.busy);
  pthread_mutex_init(&pool.lock, NULL);
  pthread_cond_init(&pool.wake, NULL);
}

static void start_helpers(void) {
  static bool watches_forks;
  pool.tried = true;
  if (!watches_forks) watches_forks = pthread_atfork(NULL, NULL, forget_helpers) == 0;
  if (!watches_forks) return;
  size_t threads = (size_t)pool.threads;
  pool.share = aligned_alloc(_Alignof(share), threads * sizeof *pool.share);
  pool.helper = malloc(threads * sizeof *pool.helper);
  pthread_attr_t attributes;
  if (!pool.share || !pool.helper || pthread_attr_init(&attributes)) return;
  pthread_attr_setstacksize(&attributes, STACK);
  for (size_t i = 0; i < threads; i++) deal(&pool.share[i], (sm_range){0, 0});
  static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
  sigset_t others, before; /* signals from outside are the main thread's */
  sigfillset(&others);
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&others, own[i]);
  pthread_sigmask(SIG_SETMASK, &others, &before);
  for (int i = 1; i < pool.threads; i++) {
    if (pthread_create(&pool.helper[i - 1], &attributes, run_helper, (void *)(intptr_t)i)) break;
    pool.helpers = i;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
}

/* ---- work ---- */

static void share_work(size_t count, sm_task *task, const void *work, bool backwards) {
  pool.task = task;
  pool.work = work;
  pool.count = count;
  pool.shares = count < (size_t)pool.threads ? count : (size_t)pool.threads;
  pool.backwards = backwards;
  pool.mode = sm_mode_now();
  pool.number = atomic_load(&pool.announced) + 1;
  atomic_store_explicit(&pool.done, 0, memory_order_relaxed);
  atomic_store_explicit(&pool.workers, 0, memory_order_relaxed);
  for (size_t i = 0; i < pool.shares; i++) deal(&pool.share[i], sm_chunk(count, pool.shares, i));
  atomic_fetch_add(&pool.announced, 1);
  if (atomic_load(&pool.asleep) > 0) wake_all();
  help(0);
  own_index = 0;
  for (int look = 1; atomic_load_explicit(&pool.done, memory_order_acquire) < count; look++) {
    if (look % LOOKS > 0)
      relax();
    else
      sched_yield();
  }
}

static void work_alone(size_t count, sm_task *task, const void *work, bool backwards) {
  int before = own_index; /* of a task that gives this work */
  own_index = 0;
  for (size_t item = 0; item < count; item++) task(work, backwards ? count - 1 - item : item);
  own_index = before;
}

static void run(size_t count, size_t elements, sm_task *task, const void *work, bool backwards) {
  bool large = count > 1 && count <= UINT32_MAX && elements > SM_BLOCK && sm_thread_count() > 1;
  if (!large || atomic_flag_test_and_set(&pool.busy)) {
    work_alone(count, task, work, backwards);
    return;
  }
  if (!pool.tried) start_helpers();
  if (pool.helpers > 0)
    share_work(count, task, work, backwards);
  else
    work_alone(count, task, work, backwards);
  atomic_flag_clear(&pool.busy);
}

void sm_parallel(size_t count, size_t elements, sm_task *task, const void *work) {
  run(count, elements, task, work, false);
}

static void compute(size_t count, size_t elements, sm_task *task, const void *work, bool backwards) {
  sm_mode before = sm_flush_subnormal();
  run(count, elements, task, work, backwards);
  sm_set_mode(before);
}

void sm_compute(size_t count, size_t elements, sm_task *task, const void *work) {
  compute(count, elements, task, work, false);
}

void sm_compute_backwards(size_t count, size_t elements, sm_task *task, const void *work) {
  compute(count, elements, task, work, true);
}

static void set_threads(int threads) {
  pool.threads = threads < 1 ? 1 : threads < SM_THREADS ? threads : SM_THREADS;
}

static void decide(void) {
  int threads = sm_settings_now()->threads;
  cpu_set_t cores;
  if (threads < 1) threads = sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
  set_threads(threads);
}

int sm_thread_count(void) {
  pthread_once(&pool.decided, decide);
  return pool.threads;
}

void sm_set_thread_count(int threads) {
  pthread_once(&pool.decided, decide);
  if (pool.tried) stop_helpers();
  set_threads(threads);
}

size_t sm_workers(size_t count) {
  size_t threads = (size_t)sm_thread_count();
  return count < 1 ? 1 : count < threads ? count : threads;
}

int sm_thread_index(void) { return own_index; }

const char *sm_instruction_set(void) { return SM_INSTRUCTION_SET; }
