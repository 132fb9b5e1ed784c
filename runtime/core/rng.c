#include "core/rng.h"

#include <math.h>
#include <string.h>

#include "core/parallel.h"
#include "core/philox.h"

void sm_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]) {
  sm_philox_words(out, counter[0], counter[1], counter[2], counter[3], key[0], key[1]);
}

static uint32_t draw_one(const sm_rng *rng, uint64_t element, uint32_t attempt) {
  uint32_t word[SM_RNG_WORDS];
  sm_draw_block(word, rng, element / SM_RNG_WORDS, attempt);
  return word[element % SM_RNG_WORDS];
}

typedef struct filling {
  real *out;
  const sm_rng *rng;
  double limit;       /* of normal numbers */
  const real *x;      /* probabilities */
  bool logarithm;     /* of an exponential number */
  size_t n;
} filling;

static void uniform_block(const void *work, size_t block) {
  const filling *of = work;
  sm_range range = sm_block(of->n, block);
  for (size_t first = range.first, last; first < range.last; first = last) {
    sm_stretch part;
    sm_draw(&part, of->rng, first, range.last);
    last = part.last;
    for (size_t i = first; i < last; i++) {
      of->out[i] = (real)sm_fraction_of(part.word[part.skip + i - first]) * (real)sm_fraction_unit;
    }
  }
}

void sm_rng_uniform(real *out, const sm_rng *rng, size_t n) {
  sm_parallel_blocks(n, uniform_block, &(filling){.out = out, .rng = rng, .n = n});
}

/* Box and Muller: two words make two independent normal numbers. Uniforms lie in the middle of their 2^-32,
   so the logarithm never meets 0. In double, so that both builds draw the same numbers up to rounding. */
static void normal_pair(double out[2], const uint32_t word[2]) {
  const double unit = 0x1p-32, two_pi = 0x1.921fb54442d18p+2;
  double radius = sqrt(-2 * log(((double)word[0] + 0.5) * unit)),
         angle = two_pi * (((double)word[1] + 0.5) * unit);
  out[0] = radius * cos(angle);
  out[1] = radius * sin(angle);
}

static double normal_one(const sm_rng *rng, uint64_t element, uint32_t attempt) {
  uint32_t word[SM_RNG_WORDS];
  double pair[2];
  sm_draw_block(word, rng, element / SM_RNG_WORDS, attempt);
  normal_pair(pair, word + element % SM_RNG_WORDS / 2 * 2);
  return pair[element % 2];
}

/* Normal numbers; those beyond `limit` are drawn again, at the next attempt of the same element. */
static void normal_block(const void *work, size_t block) {
  const filling *of = work;
  const sm_rng *rng = of->rng;
  sm_range range = sm_block(of->n, block);
  for (size_t first = range.first, last; first < range.last; first = last) {
    sm_stretch part;
    double normal[SM_RNG_TILE];
    sm_draw(&part, rng, first, range.last);
    last = part.last;
    size_t end = part.skip + (last - first);
    for (size_t i = part.skip / 2 * 2; i < end; i += 2) normal_pair(normal + i, part.word + i);
    for (size_t i = first; i < last; i++) {
      double z = normal[part.skip + i - first];
      for (uint32_t attempt = 1; fabs(z) > of->limit; attempt++)
        z = normal_one(rng, rng->offset + i, attempt);
      of->out[i] = (real)z;
    }
  }
}

static void normal_fill(real *out, const sm_rng *rng, double limit, size_t n) {
  sm_parallel_blocks(n, normal_block, &(filling){.out = out, .rng = rng, .limit = limit, .n = n});
}

void sm_rng_normal(real *out, const sm_rng *rng, size_t n) { normal_fill(out, rng, INFINITY, n); }

void sm_rng_truncated(real *out, const sm_rng *rng, size_t n) {
  const double standard_deviations = 2;
  normal_fill(out, rng, standard_deviations, n);
}

/* Lemire 2019, "Fast random integer generation in an interval": the upper half of word * bound is uniform
   once the words whose lower half is below 2^32 mod bound are drawn again. */
static uint32_t bounded(uint32_t word, uint64_t bound, const sm_rng *rng, uint64_t element) {
  uint64_t product = word * bound;
  if ((uint32_t)product < bound) {
    uint32_t refused = (uint32_t)((UINT64_C(1) << 32) % bound);
    for (uint32_t attempt = 1; (uint32_t)product < refused; attempt++) {
      product = (uint64_t)draw_one(rng, element, attempt) * bound;
    }
  }
  return (uint32_t)(product >> 32);
}

/* Element i of the draw chooses which of the places 0 … n-1-i is exchanged with place n-1-i. */
void sm_rng_permutation(int32_t *out, const sm_rng *rng, size_t n) {
  for (size_t i = 0; i < n; i++) out[i] = (int32_t)i;
  for (size_t first = 0, last; first < n; first = last) {
    sm_stretch part;
    sm_draw(&part, rng, first, n);
    last = part.last;
    for (size_t i = first; i < last; i++) {
      size_t end = n - 1 - i;
      size_t chosen = bounded(part.word[part.skip + i - first], end + 1, rng, rng->offset + i);
      int32_t exchanged = out[chosen];
      out[chosen] = out[end];
      out[end] = exchanged;
    }
  }
}

typedef struct drawing {
  int32_t *out;
  const sm_rng *rng;
  int32_t low;
  uint64_t bound;
  size_t n;
} drawing;

static void integers_block(const void *work, size_t block) {
  const drawing *of = work;
  sm_range range = sm_block(of->n, block);
  for (size_t first = range.first, last; first < range.last; first = last) {
    sm_stretch part;
    sm_draw(&part, of->rng, first, range.last);
    last = part.last;
    for (size_t i = first; i < last; i++) {
      uint32_t above = bounded(part.word[part.skip + i - first], of->bound, of->rng, of->rng->offset + i);
      of->out[i] = (int32_t)((int64_t)of->low + (int64_t)above);
    }
  }
}

void sm_rng_integers(int32_t *out, int32_t low, uint64_t bound, const sm_rng *rng, size_t n) {
  sm_parallel_blocks(n, integers_block, &(drawing){out, rng, low, bound, n});
}

/* In the middle of its 2^-32, so between 0 and 1 without either. */
static inline double open_fraction(uint32_t word) { return ((double)word + 0.5) * 0x1p-32; }

static void exponential_block(const void *work, size_t block) {
  const filling *of = work;
  sm_range range = sm_block(of->n, block);
  for (size_t first = range.first, last; first < range.last; first = last) {
    sm_stretch part;
    sm_draw(&part, of->rng, first, range.last);
    last = part.last;
    for (size_t i = first; i < last; i++) {
      double drawn = -log(open_fraction(part.word[part.skip + i - first]));
      of->out[i] = (real)(of->logarithm ? -log(drawn) : drawn);
    }
  }
}

void sm_rng_exponential(real *out, const sm_rng *rng, size_t n) {
  sm_parallel_blocks(n, exponential_block, &(filling){.out = out, .rng = rng, .n = n});
}

void sm_rng_gumbel(real *out, const sm_rng *rng, size_t n) {
  sm_parallel_blocks(n, exponential_block, &(filling){.out = out, .rng = rng, .n = n, .logarithm = true});
}

static void bernoulli_block(const void *work, size_t block) {
  const filling *of = work;
  sm_range range = sm_block(of->n, block);
  for (size_t first = range.first, last; first < range.last; first = last) {
    sm_stretch part;
    sm_draw(&part, of->rng, first, range.last);
    last = part.last;
    for (size_t i = first; i < last; i++)
      of->out[i] = open_fraction(part.word[part.skip + i - first]) < (double)of->x[i];
  }
}

void sm_rng_bernoulli(real *out, const real *p, const sm_rng *rng, size_t n) {
  sm_parallel_blocks(n, bernoulli_block, &(filling){.out = out, .rng = rng, .x = p, .n = n});
}

/* ---- drawing by weights ---- */

size_t sm_weights_outside(const real *weight, double most, size_t n) {
  size_t i = 0;
  while (i < n && (double)weight[i] >= 0 && (double)weight[i] <= most) i++;
  return i;
}

size_t sm_weights_nothing(const real *weight, size_t rows, size_t classes) {
  size_t row = 0;
  for (bool some = true; row < rows; row++) {
    some = false;
    for (size_t i = 0; i < classes; i++) some |= weight[row * classes + i] > 0;
    if (!some) break;
  }
  return row;
}

typedef struct choosing {
  int32_t *out;
  const real *weight;
  double *sums; /* (chunks, classes) */
  const sm_rng *rng;
  int32_t first; /* what the first class is called */
  size_t rows, classes, n, chunks;
} choosing;

/* The first class whose running sum is above a number from 0 to the whole: never one of weight 0. */
static size_t chosen_by(const double *sums, size_t classes, double at) {
  size_t low = 0, high = classes - 1;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (sums[middle] > at) high = middle;
    else low = middle + 1;
  }
  return low;
}

static void multinomial_chunk(const void *work, size_t chunk) {
  const choosing *of = work;
  size_t classes = of->classes, n = of->n;
  double *sums = of->sums + chunk * classes;
  sm_range rows = sm_chunk(of->rows, of->chunks, chunk);
  for (size_t row = rows.first; row < rows.last; row++) {
    size_t end = 0; /* behind the last class that can be chosen */
    double whole = 0;
    for (size_t i = 0; i < classes; i++) {
      real weight = of->weight[row * classes + i];
      if (weight > 0) end = i + 1;
      sums[i] = whole += (double)weight;
    }
    for (size_t first = row * n, last; first < (row + 1) * n; first = last) {
      sm_stretch part;
      sm_draw(&part, of->rng, first, (row + 1) * n);
      last = part.last;
      for (size_t i = first; i < last; i++) {
        double at = open_fraction(part.word[part.skip + i - first]) * whole;
        of->out[i] = (int32_t)chosen_by(sums, end, at) + of->first;
      }
    }
  }
}

size_t sm_multinomial_scratch(size_t rows, size_t classes) { return sm_batch_chunks(rows) * classes; }

void sm_rng_multinomial(int32_t *out, const real *weight, double *scratch, const sm_rng *rng, int32_t first,
                        size_t rows, size_t classes, size_t n) {
  const choosing work = {out, weight, scratch, rng, first, rows, classes, n, sm_batch_chunks(rows)};
  if (rows > 0 && n > 0) sm_parallel(work.chunks, rows * (classes + n), multinomial_chunk, &work);
}
