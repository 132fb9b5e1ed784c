#include "core/gemm_buffers.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "core/parallel.h"

enum {
  MIB = 1 << 20,
  BUFFER = 128,     /* MiB of a buffer of x86-64; others are smaller */
  LIBRARY = 48,     /* MiB that OpenBLAS itself takes, at most */
  SPARE = 16,       /* MiB that others may take meanwhile */
  LEFT = 256,       /* MiB that stay for tensors: a buffer beyond the first is taken only if there are more */
  MOST_BUFFERS = 64 /* OpenBLAS has room for more in its table */
};

static struct {
  void *(*take)(int unused);
  void (*give)(void *buffer);
  pthread_mutex_t lock;
  pthread_cond_t left;
  atomic_int threads; /* for which there are buffers, as far as memory has room */
  int count, free;    /* of buffers; where there are fewer than threads, those that nobody uses */
} buffers = {.lock = PTHREAD_MUTEX_INITIALIZER, .left = PTHREAD_COND_INITIALIZER};

static bool has_room(size_t mib) {
  void *room = mmap(NULL, mib * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return room != MAP_FAILED && munmap(room, mib * MIB) == 0;
}

static sm_status check_room(size_t mib, sm_error *error) {
  if (has_room(mib)) return SM_OK;
  return sm_fail(error, SM_NO_MEMORY, "out of memory: OpenBLAS needs %zu MiB of address space to begin with (is there "
                 "a limit, as ulimit -v sets it?)", mib);
}

sm_status sm_gemm_buffers_check(sm_error *error) { return check_room(BUFFER + LIBRARY + SPARE, error); }

/* Newer versions keep the buffer that they took while they were loaded for a thread of their own. */
sm_status sm_gemm_buffers_open(void *library, sm_error *error) {
  void *take = dlsym(library, "blas_memory_alloc"), *give = dlsym(library, "blas_memory_free");
  if (!take || !give) return SM_OK;
  sm_status status = check_room(BUFFER + 1, error);
  if (status != SM_OK) return status;
  memcpy(&buffers.take, &take, sizeof take); /* ISO C has no cast to a function */
  memcpy(&buffers.give, &give, sizeof give);
  buffers.give(buffers.take(0)); /* OpenBLAS keeps it for its calls */
  return SM_OK;
}

/* Has OpenBLAS map as many buffers as there are threads, or as memory has room for. */
static void prepare(int threads) {
  void *taken[MOST_BUFFERS];
  int wanted = threads < MOST_BUFFERS ? threads : MOST_BUFFERS, count = 0;
  while (count < wanted && (count == 0 || count < buffers.count || has_room(BUFFER + LEFT)))
    taken[count++] = buffers.take(0);
  for (int i = 0; i < count; i++) buffers.give(taken[i]);
  if (count > buffers.count) buffers.count = count;
  buffers.free = buffers.count;
}

/* The number of threads changes between the works of threads, never within one. */
static bool is_limited(void) { return buffers.take && buffers.count < sm_thread_count(); }

void sm_gemm_buffers_enter(void) {
  int threads = sm_thread_count();
  if (buffers.take && atomic_load(&buffers.threads) != threads) {
    pthread_mutex_lock(&buffers.lock);
    if (buffers.threads != threads) prepare(threads);
    atomic_store(&buffers.threads, threads);
    pthread_mutex_unlock(&buffers.lock);
  }
  if (!is_limited()) return;
  pthread_mutex_lock(&buffers.lock);
  while (buffers.free == 0) pthread_cond_wait(&buffers.left, &buffers.lock);
  buffers.free--;
  pthread_mutex_unlock(&buffers.lock);
}

void sm_gemm_buffers_leave(void) {
  if (!is_limited()) return;
  pthread_mutex_lock(&buffers.lock);
  buffers.free++;
  pthread_cond_signal(&buffers.left);
  pthread_mutex_unlock(&buffers.lock);
}
