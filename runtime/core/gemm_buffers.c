#include "core/gemm_buffers.h"

#include <dlfcn.h>
#include <pthread.h>
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
  pthread_once_t once;
  pthread_mutex_t lock;
  pthread_cond_t left;
  bool limited; /* fewer buffers than threads */
  int free;     /* of them, if so */
} buffers = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER, .left = PTHREAD_COND_INITIALIZER};

static bool has_room(size_t mib) {
  void *room = mmap(NULL, mib * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return room != MAP_FAILED && munmap(room, mib * MIB) == 0;
}

sm_status sm_gemm_buffers_check(sm_error *error) {
  if (has_room(BUFFER + LIBRARY + SPARE)) return SM_OK;
  return sm_fail(error, SM_NO_MEMORY, "out of memory: OpenBLAS needs %d MiB of address space to begin with (is there a "
                 "limit, as ulimit -v sets it?)", BUFFER + LIBRARY + SPARE);
}

void sm_gemm_buffers_open(void *library) {
  void *take = dlsym(library, "blas_memory_alloc"), *give = dlsym(library, "blas_memory_free");
  if (!take || !give) return;
  memcpy(&buffers.take, &take, sizeof take); /* ISO C has no cast to a function */
  memcpy(&buffers.give, &give, sizeof give);
  buffers.give(buffers.take(0)); /* OpenBLAS keeps it for its calls */
}

/* Has OpenBLAS map as many buffers as there are threads, or as memory has room for. */
static void prepare(void) {
  if (!buffers.take) return;
  void *taken[MOST_BUFFERS];
  int threads = sm_thread_count(), wanted = threads < MOST_BUFFERS ? threads : MOST_BUFFERS, count = 0;
  taken[count++] = buffers.take(0);
  while (count < wanted && has_room(BUFFER + LEFT)) taken[count++] = buffers.take(0);
  for (int i = 0; i < count; i++) buffers.give(taken[i]);
  buffers.limited = count < threads;
  buffers.free = count;
}

void sm_gemm_buffers_enter(void) {
  pthread_once(&buffers.once, prepare);
  if (!buffers.limited) return;
  pthread_mutex_lock(&buffers.lock);
  while (buffers.free == 0) pthread_cond_wait(&buffers.left, &buffers.lock);
  buffers.free--;
  pthread_mutex_unlock(&buffers.lock);
}

void sm_gemm_buffers_leave(void) {
  if (!buffers.limited) return;
  pthread_mutex_lock(&buffers.lock);
  buffers.free++;
  pthread_cond_signal(&buffers.left);
  pthread_mutex_unlock(&buffers.lock);
}
