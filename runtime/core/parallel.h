/* Threads. Work is cut into chunks whose number and borders depend on the size of the work alone; chunks are
   given to however many threads there are, and partial results are added in chunk order. That is why every
   result has the same bits for any thread count. */
#ifndef SM_PARALLEL_H
#define SM_PARALLEL_H

#include <stddef.h>

enum {
  SM_BATCH_CHUNKS = 16,  /* a batch is cut into at most this many chunks */
  SM_BLOCK = 16 * 1024   /* elements in one chunk of a pointwise loop; shorter loops stay on one thread */
};

typedef struct sm_range {
  size_t first, last; /* half open: first <= i < last */
} sm_range;

/* Chunk number `chunk` of `chunks` of `count` items; sizes differ by at most one. */
static inline sm_range sm_chunk(size_t count, int chunks, int chunk) {
  size_t n = (size_t)chunks, i = (size_t)chunk;
  size_t quotient = count / n, rest = count % n;
  size_t first = i * quotient + (i < rest ? i : rest);
  return (sm_range){first, first + quotient + (i < rest)};
}

/* How many chunks a batch of `count` items is cut into: at least 1. */
static inline int sm_batch_chunks(size_t count) {
  return count < 1 ? 1 : count < SM_BATCH_CHUNKS ? (int)count : SM_BATCH_CHUNKS;
}

/* How many blocks of SM_BLOCK elements (the last may be shorter) a pointwise loop has. */
static inline long sm_blocks(size_t count) { return (long)((count + SM_BLOCK - 1) / SM_BLOCK); }

static inline sm_range sm_block(size_t count, long block) {
  size_t first = (size_t)block * SM_BLOCK;
  size_t last = first + SM_BLOCK;
  return (sm_range){first, last < count ? last : count};
}

int sm_thread_count(void);             /* threads that the next parallel loop uses */
void sm_set_thread_count(int threads); /* at least 1 */
int sm_thread_index(void);             /* inside a parallel loop: 0 … sm_thread_count()-1 */
const char *sm_instruction_set(void);  /* what this build of the core was compiled for: "x86-64-v4", "base", … */

#endif
