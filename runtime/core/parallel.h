/* Threads. Work is cut into items whose number and borders depend on the size of the work alone; items are
   given to however many threads there are, and partial results are added in the order of the items. That is
   why every result has the same bits for any thread count.
   The threads are our own: the calling thread takes over what others have not begun, so that one which the
   system does not let run, beside other busy processes or on a slower core, holds nobody up. */
#ifndef SM_PARALLEL_H
#define SM_PARALLEL_H

#include <stddef.h>
#include <stdint.h>

enum {
  SM_BATCH_CHUNKS = 16, /* a batch is cut into at most this many chunks */
  SM_BLOCK = 16 * 1024  /* elements in one chunk of a pointwise loop; work on fewer stays on one thread */
};

typedef struct sm_range {
  size_t first, last; /* half open: first <= i < last */
} sm_range;

/* Chunk number `chunk` of `chunks` of `count` items; sizes differ by at most one. */
static inline sm_range sm_chunk(size_t count, size_t chunks, size_t chunk) {
  size_t quotient = count / chunks, rest = count % chunks;
  size_t first = chunk * quotient + (chunk < rest ? chunk : rest);
  return (sm_range){first, first + quotient + (chunk < rest)};
}

/* How many chunks a batch of `count` items is cut into: at least 1. */
static inline size_t sm_batch_chunks(size_t count) {
  return count < 1 ? 1 : count < SM_BATCH_CHUNKS ? count : SM_BATCH_CHUNKS;
}

/* How many blocks of SM_BLOCK elements (the last may be shorter) a pointwise loop has. */
static inline size_t sm_blocks(size_t count) { return (count + SM_BLOCK - 1) / SM_BLOCK; }

static inline sm_range sm_block(size_t count, size_t block) {
  size_t first = block * SM_BLOCK, last = first + SM_BLOCK;
  return (sm_range){first, last < count ? last : count};
}

/* One item of some work; `work` is what was given to sm_parallel. */
typedef void sm_task(const void *work, size_t item);

#define SM_LARGE SIZE_MAX /* elements of work that is worth threads whatever its size */

/* Calls task(work, item) once for every item < count, on up to sm_thread_count() threads, and returns when all
   are done. Items must not depend on one another. Work on SM_BLOCK elements or fewer stays on the calling
   thread, and so does work that a task gives, or a second thread while the first is at it. Where the system
   refuses threads, fewer do the work.
   A thread begins with a run of items that depends on `count` alone, and takes others only when that is done: kernels
   that cut the same memory alike find in a core's own cache what that core wrote there before. */
void sm_parallel(size_t count, size_t elements, sm_task *task, const void *work);

/* The same for the kernels that a training step's time goes into: subnormal numbers count as 0 (core/subnormal.h),
   whether one thread or several do the work, and the caller has its own mode of the processor again afterwards. */
void sm_compute(size_t count, size_t elements, sm_task *task, const void *work);

/* The same, but each thread goes through its run from the last item to the first: what the work before wrote last is
   still in the cache. */
void sm_compute_backwards(size_t count, size_t elements, sm_task *task, const void *work);

/* For every block of a pointwise loop over so many elements. */
static inline void sm_parallel_blocks(size_t elements, sm_task *task, const void *work) {
  sm_parallel(sm_blocks(elements), elements, task, work);
}

int sm_thread_count(void);             /* threads that the next work may use: OMP_NUM_THREADS, or all cores */
void sm_set_thread_count(int threads); /* 1 … SM_THREADS; not while there is work in any thread */
size_t sm_workers(size_t count); /* threads that so many items may use, for each to have scratch of its own */
int sm_thread_index(void);       /* inside a task: 0 … sm_workers(count)-1, one thread's alone */
const char *sm_instruction_set(
    void); /* what this build of the core was compiled for: "x86-64-v4", "base", … */

enum { SM_THREADS = 1024 }; /* at most */

#endif
