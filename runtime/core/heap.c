#include "core/heap.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { PAGE = 2 << 20 }; /* bytes of a large one */

static size_t steps_of(size_t bytes) { return (bytes + SM_HEAP_STEP - 1) / SM_HEAP_STEP; }

void sm_heap_open(sm_heap *heap) {
  *heap = (sm_heap){0};
#ifndef SM_EXACT_BLOCKS /* the sanitizers know blocks of malloc's alone */
  heap->blocks = aligned_alloc(PAGE, SM_HEAP_ALL);
  if (!heap->blocks) return;
  heap->next = heap->blocks;
  heap->end = heap->blocks + SM_HEAP_ALL;
#ifdef MADV_HUGEPAGE
  madvise(heap->blocks, SM_HEAP_ALL, MADV_HUGEPAGE); /* a wish: without it, small pages serve */
#endif
#endif
}

void sm_heap_close(sm_heap *heap) {
  free(heap->blocks);
  *heap = (sm_heap){0};
}

void *sm_heap_take(sm_heap *heap, size_t bytes) {
  if (bytes == 0 || bytes > SM_HEAP_MOST) return NULL;
  size_t steps = steps_of(bytes), size = steps * SM_HEAP_STEP;
  void *block = heap->given[steps];
  if (block) {
    heap->given[steps] = *(void **)block;
  } else {
    if ((size_t)(heap->end - heap->next) < size) return NULL;
    block = heap->next;
    heap->next += size;
  }
  heap->live++;
  return block;
}

void sm_heap_give(sm_heap *heap, void *block, size_t bytes) {
  size_t steps = steps_of(bytes);
  *(void **)block = heap->given[steps];
  heap->given[steps] = block;
  heap->live--;
}
