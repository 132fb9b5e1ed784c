#include "core/memory.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Block sizes are rounded up to one of four steps per power of two, so a block wastes at most a fifth
   of itself and a class is found by arithmetic. The first bytes of a cached block hold the list.
   Built for the sanitizers (SM_EXACT_BLOCKS), a block has the bytes that were asked for and is never cached, so that
   they see every access beside it and after it was given back. */
enum { STEPS = 4, CLASSES = 64 * STEPS };

typedef struct block {
  struct block *next;
} block;

struct sm_memory {
  block *cached[CLASSES];
  sm_memory_use use;
};

#ifndef SM_EXACT_BLOCKS
typedef struct size_class {
  int index;
  size_t bytes; /* 0: larger than any block */
} size_class;

static size_class class_of(size_t bytes) {
  if (bytes <= SM_ALIGNMENT * STEPS) {
    size_t units = bytes ? (bytes + SM_ALIGNMENT - 1) / SM_ALIGNMENT : 1;
    return (size_class){.index = (int)units - 1, .bytes = units * SM_ALIGNMENT};
  }
  if (bytes > (size_t)PTRDIFF_MAX / 2) return (size_class){0};
  int power = 63 - __builtin_clzll((unsigned long long)(bytes - 1)); /* 2^power <= bytes-1 < 2^(power+1) */
  size_t step = (size_t)1 << (power - 2);
  size_t steps = (bytes - ((size_t)1 << power) + step - 1) / step; /* 1..STEPS */
  return (size_class){.index = power * STEPS + (int)steps - 1, .bytes = ((size_t)1 << power) + steps * step};
}
#endif

/* Where the system has large pages, a large block lies on them: it is there sooner, for it takes one page fault where
   small pages take 512, and reading it misses fewer translations of addresses. */
static void *new_block(size_t bytes) {
  enum { LARGE_PAGE = 2 << 20 };
  bool large = bytes >= LARGE_PAGE;
  void *made;
  if (posix_memalign(&made, large ? LARGE_PAGE : SM_ALIGNMENT, bytes)) return NULL;
#ifdef MADV_HUGEPAGE
  if (large) madvise(made, bytes, MADV_HUGEPAGE); /* a wish: without it, small pages serve */
#endif
  return made;
}

sm_memory *sm_memory_new(void) { return calloc(1, sizeof(sm_memory)); }

static void free_cached(sm_memory *memory) {
  for (int i = 0; i < CLASSES; i++) {
    while (memory->cached[i]) {
      block *first = memory->cached[i];
      memory->cached[i] = first->next;
      free(first);
    }
  }
  memory->use.cached = 0;
}

void sm_memory_trim(sm_memory *memory) {
  free_cached(memory);
#ifdef __GLIBC__
  malloc_trim(0); /* what is free lies in the way of larger blocks otherwise */
#endif
}

void sm_memory_free(sm_memory *memory) {
  if (!memory) return;
  free_cached(memory);
  free(memory);
}

#ifdef SM_EXACT_BLOCKS
void *sm_memory_take(sm_memory *memory, size_t bytes) {
  void *taken = bytes <= (size_t)PTRDIFF_MAX / 2 ? new_block(bytes) : NULL;
  if (taken) memory->use.live += bytes;
  return taken;
}

void sm_memory_give(sm_memory *memory, void *given, size_t bytes) {
  if (given) memory->use.live -= bytes;
  free(given);
}
#else
void *sm_memory_take(sm_memory *memory, size_t bytes) {
  size_class class = class_of(bytes);
  if (class.bytes == 0) return NULL;
  block *taken = memory->cached[class.index];
  if (taken) {
    memory->cached[class.index] = taken->next;
    memory->use.cached -= class.bytes;
  } else {
    taken = new_block(class.bytes);
    if (!taken) {
      sm_memory_trim(memory);
      taken = new_block(class.bytes);
      if (!taken) return NULL;
    }
  }
  memory->use.live += class.bytes;
  return taken;
}

void sm_memory_give(sm_memory *memory, void *given, size_t bytes) {
  if (!given) return;
  size_class class = class_of(bytes);
  block *first = given;
  first->next = memory->cached[class.index];
  memory->cached[class.index] = first;
  memory->use.cached += class.bytes;
  memory->use.live -= class.bytes;
}
#endif

sm_memory_use sm_memory_used(const sm_memory *memory) { return memory->use; }
