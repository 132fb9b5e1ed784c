/* The memory that the process which computes shares with whoever talks to the other ranks: a ring of slots. The client
   fills a slot and posts it; the wire replaces what it holds by what all ranks make of it, and says that it is done.
   Slots go round in order, and each side has a counter of its own that only it writes. The client may be a stranger's
   program: the wire believes nothing that it reads here. No Lua, no MPI. */
#ifndef SM_MPI_RING_H
#define SM_MPI_RING_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/tensor.h"

enum {
  SM_RING_SLOTS = 64,
  SM_RING_BYTES = 1 << 20,                              /* of a slot */
  SM_RING_REALS = SM_RING_BYTES / (int)sizeof(real),    /* that a slot holds */
  SM_RING_WORDS = 1024,                                 /* bytes of the text that says why the ranks cannot go on */
};

/* What all ranks make of a slot; each has posted the same kind with the same number of bytes. */
typedef enum sm_ring_kind {
  SM_RING_SUM,     /* reals: the sum over the ranks, as the tree ((0 + 1) + (2 + 3)) has it */
  SM_RING_DOUBLES, /* doubles: the same */
  SM_RING_FIRST,   /* the bytes of rank 0 */
  SM_RING_KINDS
} sm_ring_kind;

typedef struct sm_ring_item {
  uint32_t kind, bytes;
} sm_ring_item;

typedef struct sm_ring {
  alignas(64) _Atomic uint32_t posted; /* slots so far, by the client */
  alignas(64) _Atomic uint32_t done;   /* slots so far, by the wire */
  alignas(64) _Atomic uint32_t failed; /* whether `words` say why nothing will be done any more */
  uint32_t rank, ranks;
  char words[SM_RING_WORDS];
  sm_ring_item items[SM_RING_SLOTS];
  alignas(4096) uint8_t slots[SM_RING_SLOTS][SM_RING_BYTES];
} sm_ring;

/* A file in memory for a ring, all zeros, whose size nobody can change. -1 with errno. */
int sm_ring_new(void);

/* Its memory, or NULL with errno, which is EINVAL where the file is none of these. */
sm_ring *sm_ring_map(int file);

/* Waits for a counter to be another than `seen`, for at most so many milliseconds; it may come back before. */
void sm_ring_wait(_Atomic uint32_t *counter, uint32_t seen, int milliseconds);
void sm_ring_wake(_Atomic uint32_t *counter);

/* The client. Reals are a stream: they fill one slot after the other, and come back in the order in which they went. */
typedef struct sm_ring_client {
  sm_ring *ring;
  uint32_t posted, taken; /* slots so far */
  size_t filled, read;    /* reals in the slot that is open, and those that were taken of the oldest */
} sm_ring_client;

/* Puts reals into free slots, and posts those that are full. How many were put: fewer where no slot is free. */
size_t sm_ring_put(sm_ring_client *client, const real *x, size_t count);

/* Takes sums in the order in which they were put; x may be NULL. How many were taken: fewer where more are not done. */
size_t sm_ring_take(sm_ring_client *client, real *x, size_t count);

/* Posts the slot that is open, if anything is in it. */
void sm_ring_flush(sm_ring_client *client);

/* Posts bytes, at most a slot's. Only where all that was put was taken. */
void sm_ring_post(sm_ring_client *client, sm_ring_kind kind, const void *data, size_t bytes);

/* Waits until the oldest slot that was posted is done. False where none will be any more: see ring->words. */
bool sm_ring_await(sm_ring_client *client);

/* The oldest slot, which is done, and which is not the client's any more. */
const void *sm_ring_done(sm_ring_client *client);

#endif
