/* Small blocks for a language that makes and frees them by the hundred, as Lua does the tape of each step. They lie in
   one range of addresses, whose beginning a few pages of the largest kind hold, and a block that is given back is the
   next one of its size that is taken: so that little of it has left the caches since. For one thread. */
#ifndef SM_HEAP_H
#define SM_HEAP_H

#include <stdbool.h>
#include <stddef.h>

enum {
  SM_HEAP_STEP = 16,        /* sizes are multiples of it, and so are addresses */
  SM_HEAP_MOST = 1024,      /* bytes of a block */
  SM_HEAP_PIECE = 4 << 20,  /* by so many bytes the heap grows */
  SM_HEAP_ALL = 128 << 20   /* bytes of all blocks: those of ten thousand runs that are compared */
};

typedef struct sm_heap {
  char *blocks, *next, *usable, *end; /* what is behind `usable` is addresses alone, no memory */
  void *range;
  size_t live;                                  /* blocks that are not given back */
  void *given[SM_HEAP_MOST / SM_HEAP_STEP + 1]; /* the last one given back of each size; it has the one before in it */
} sm_heap;

void sm_heap_open(sm_heap *heap); /* without memory it is empty */
void sm_heap_close(sm_heap *heap);

/* A block; NULL where it were too large, or no bytes, or the memory is used up. */
void *sm_heap_take(sm_heap *heap, size_t bytes);
void sm_heap_give(sm_heap *heap, void *block, size_t bytes); /* at most as many as were asked for */

static inline bool sm_heap_has(const sm_heap *heap, const void *block) {
  return heap->blocks && (const char *)block >= heap->blocks && (const char *)block < heap->end;
}

#endif
