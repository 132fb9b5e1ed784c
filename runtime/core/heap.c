#include "core/heap.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

enum { PAGE = 2 << 20, RANGE = SM_HEAP_ALL + PAGE }; /* bytes of a large one; and so that one begins there */

static size_t steps_of(size_t bytes) { return (bytes + SM_HEAP_STEP - 1) / SM_HEAP_STEP; }

void sm_heap_open(sm_heap *heap) {
  *heap = (sm_heap){0};
#ifndef SM_EXACT_BLOCKS /* the sanitizers know blocks of malloc's alone */
  heap->range = mmap(NULL, RANGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (heap->range == MAP_FAILED) {
    heap->range = NULL;
    return;
  }
  heap->blocks = (char *)heap->range + (PAGE - (uintptr_t)heap->range % PAGE) % PAGE;
  heap->next = heap->usable = heap->blocks;
  heap->end = heap->blocks + SM_HEAP_ALL;
#endif
}

void sm_heap_close(sm_heap *heap) {
  if (heap->range) munmap(heap->range, RANGE);
  *heap = (sm_heap){0};
}

/* False where all is used, or the system gives no more. */
static bool grow(sm_heap *heap) {
  if (heap->usable == heap->end || mprotect(heap->usable, SM_HEAP_PIECE, PROT_READ | PROT_WRITE) != 0) return false;
#ifdef MADV_HUGEPAGE
  madvise(heap->usable, SM_HEAP_PIECE, MADV_HUGEPAGE); /* a wish: without it, small pages serve */
#endif
  heap->usable += SM_HEAP_PIECE;
  return true;
}

void *sm_heap_take(sm_heap *heap, size_t bytes) {
  if (bytes == 0 || bytes > SM_HEAP_MOST) return NULL;
  size_t steps = steps_of(bytes), size = steps * SM_HEAP_STEP;
  void *block = heap->given[steps];
  if (block) {
    heap->given[steps] = *(void **)block;
  } else {
    if ((size_t)(heap->usable - heap->next) < size && !grow(heap)) return NULL;
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
