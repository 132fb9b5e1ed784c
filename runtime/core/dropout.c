#include "core/dropout.h"

#include <math.h>

#include "core/parallel.h"
#include "core/philox.h"

typedef struct dropping {
  real *out;
  const real *x;
  const sm_rng *rng;
  uint32_t kept_from; /* the fraction from which a number is kept */
  real scale;         /* of what is kept */
  size_t n;
} dropping;

static void dropout_block(const void *work, size_t block) {
  const dropping *of = work;
  const uint32_t kept_from = of->kept_from;
  const real scale = of->scale;
  sm_range range = sm_block(of->n, block);
  for (size_t first = range.first, last; first < range.last; first = last) {
    sm_stretch part;
    sm_draw(&part, of->rng, first, range.last);
    last = part.last;
    const uint32_t *word = part.word + part.skip;
    const real *x = of->x + first;
    real *out = of->out + first;
#pragma omp simd
    for (size_t i = 0; i < last - first; i++) {
      real kept = x[i] * scale;
      out[i] = sm_fraction_of(word[i]) >= kept_from ? kept : 0;
    }
  }
}

void sm_dropout(real *out, const real *x, const sm_rng *rng, double p, size_t n) {
  const dropping work = {
      .out = out,
      .rng = rng,
      .x = x,
      .scale = (real)(1 / (1 - p)),
      .n = n,
      .kept_from = (uint32_t)ceil(p / sm_fraction_unit)}; /* where the uniform number is >= p */
  sm_parallel_blocks(n, dropout_block, &work);
}
