/* A cache of memory blocks: what a tensor gives back serves the next one of its size class, so that a
   training step in its steady state takes nothing from the operating system. One cache belongs to one
   owner (a Lua state) and is not shared between threads. */
#ifndef SM_MEMORY_H
#define SM_MEMORY_H

#include <stddef.h>

#define SM_ALIGNMENT 64 /* bytes: a cache line, and the widest vector register */

typedef struct sm_memory sm_memory;

/* NULL when there is no memory for the cache itself. */
sm_memory *sm_memory_new(void);

/* Gives every cached block back to the system and frees the cache. No block may be in use. */
void sm_memory_free(sm_memory *memory);

/* A block of at least `bytes`, aligned to SM_ALIGNMENT, with undefined content. When the system refuses,
   the cache is emptied and the system asked once more; NULL if it still refuses. */
void *sm_memory_take(sm_memory *memory, size_t bytes);

/* Returns a block of sm_memory_take(memory, bytes) with the same `bytes`. NULL is allowed. */
void sm_memory_give(sm_memory *memory, void *block, size_t bytes);

/* Gives every cached block back to the system. */
void sm_memory_trim(sm_memory *memory);

typedef struct sm_memory_use {
  size_t live;   /* bytes taken and not given back */
  size_t cached; /* bytes given back and kept for reuse */
} sm_memory_use;

sm_memory_use sm_memory_used(const sm_memory *memory);

#endif
