/* What talks to the other ranks for a process: a thread of its own. It does what is posted in the ring (ring.h), and
   says to the others that this rank is alive, has ended well, or has failed. All of MPI is here and in sum.c. */
#ifndef SM_MPI_WIRE_H
#define SM_MPI_WIRE_H

#include <stdbool.h>

#include "mpi/ring.h"

typedef struct sm_wire_place {
  int rank, ranks; /* from 0; 1 where nothing has started several */
  int here;        /* ranks on this machine */
  int sharing;     /* those that may run on some of the cores that this one may run on, itself included */
  int memory;      /* the descriptor of the ring */
} sm_wire_place;

/* Joins the others and starts the thread. Where no mpirun or the like has started this process, it is the only rank,
   and MPI is not begun. Once. False with the reason in `words`. */
bool sm_wire_start(sm_wire_place *place, char words[SM_RING_WORDS]);

/* What keeps the run from going on, in words that name the rank; NULL while nothing does. */
const char *sm_wire_problem(void);

/* This rank has failed: tells the others, unless one has failed before. Whether rank 0 says it to the person; false
   where this process is to say it itself. Comes back within two seconds. */
bool sm_wire_fail(const char *words);

/* The end of this rank, with its exit code. Where all goes well (0 and 130) it waits for the others to end, too. Where
   not, it ends the process, and all others: it does not come back. The exit code. */
int sm_wire_finish(int code);

#endif
