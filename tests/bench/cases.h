/* The kernels of the core as the benchmark sees them: operands, a run, a plain reference and a peer. */
#ifndef BENCH_CASES_H
#define BENCH_CASES_H

#include "core/conv/conv.h"
#include "core/rng.h"
#include "core/softmax.h"
#include "measure.h"
#include "peer.h"

enum { BENCH_NAME = 64, BENCH_OWNED = 12, BENCH_MOST_GROUPS = 8, BENCH_PARAMETERS = 3274634 };

typedef struct bench_case bench_case;
typedef void bench_run(bench_case *c);
typedef double bench_reference(const bench_case *c, size_t index);

struct bench_case {
  char name[BENCH_NAME];
  bench_run *run;
  bench_reference *reference; /* what out[0][index] is after the first run, in double */
  peer *peer;                 /* NULL: none */
  double flop;                /* above 0: the yardstick is the peak of matrix products */
  bench_traffic traffic;      /* else it is this */

  const real *in[3]; /* operands, in the kernel's order */
  real *out[4];      /* results; out[0] is checked */
  size_t count;      /* of out[0] */
  size_t m, n, k;    /* of a matrix product; m rows of n else */
  uint8_t *which;
  void *scratch;
  sm_conv2d conv; /* its window is that of pooling too */
  sm_groups groups;
  int32_t sizes[BENCH_MOST_GROUPS];
  sm_rng rng;
  void *owned[BENCH_OWNED]; /* blocks that bench_case_free gives back */
  int blocks;
};

/* How many cases there are. */
int bench_case_count(void);

/* Makes case number `index`, with a peer where `peers` is set and there is one. SM_NO_MEMORY, or what a plan
   refused. */
sm_status bench_case_new(bench_case *c, int index, bool peers, sm_error *error);
void bench_case_free(bench_case *c);

/* ---- for those who make cases ---- */

/* Blocks that the case owns, zeroed; NULL when memory runs out. bench_numbers are between -scale and scale,
   another sequence for each `stream`. */
void *bench_own(bench_case *c, size_t bytes);
real *bench_zeros(bench_case *c, size_t n);
real *bench_numbers(bench_case *c, size_t n, real scale, uint32_t stream);
sm_status bench_no_memory(const bench_case *c, sm_error *error);

typedef enum bench_rule { BENCH_SGD, BENCH_RMSPROP, BENCH_ADAM, BENCH_SMORMS3, BENCH_RULES } bench_rule;

sm_status bench_optimizer_new(bench_case *c, bench_rule which, sm_error *error);

#endif
