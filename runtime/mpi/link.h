/* What wire.c and sum.c share: the ranks, and how to wait for one. */
#ifndef SM_MPI_LINK_H
#define SM_MPI_LINK_H

#include <mpi.h>
#include <stdbool.h>

#include "mpi/ring.h"

typedef struct sm_link {
  MPI_Comm data, control;
  int rank, ranks; /* a power of two */
  uint8_t *spare;  /* a slot's bytes */
  char words[SM_RING_WORDS]; /* why a call below was false */
  /* Looks after everything else while somebody waits; false where the run cannot go on. */
  bool (*look)(void);
} sm_link;

/* Replaces the `bytes` of a slot by what all ranks make of them. `number` is the slot's. False where the ranks do not
   ask for the same, or cannot go on. Sums of reals have the processor flush subnormal numbers. */
bool sm_link_do(sm_link *link, uint32_t number, sm_ring_kind kind, uint8_t *slot, size_t bytes);

#endif
