#include "core/rng.h"

#include <math.h>
#include <string.h>

#include "core/parallel.h"

/* The counter of a draw: words 0 and 1 hold the number of its block (four elements share one), word 2 the
   stream, word 3 the attempt: 0, or how often the element's draw was refused and made again. */
enum {
  WORDS = 4, /* in a Philox block */
  ROUNDS = 10,
  TILE_BLOCKS = 64, /* blocks that are generated at once */
  TILE = WORDS * TILE_BLOCKS
};

/* The multipliers and the steps of the key (the golden ratio, and the square root of 3 less 1), from the
   paper. */
static const uint32_t multiplier_0 = 0xD2511F53u, multiplier_1 = 0xCD9E8D57u;
static const uint32_t key_step_0 = 0x9E3779B9u, key_step_1 = 0xBB67AE85u;

static inline void philox(uint32_t out[WORDS], uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3,
                          uint32_t k0, uint32_t k1) {
  for (int round = 0; round < ROUNDS; round++) {
    uint64_t product_0 = (uint64_t)multiplier_0 * c0, product_1 = (uint64_t)multiplier_1 * c2;
    c0 = (uint32_t)(product_1 >> 32) ^ c1 ^ k0;
    c1 = (uint32_t)product_1;
    c2 = (uint32_t)(product_0 >> 32) ^ c3 ^ k1;
    c3 = (uint32_t)product_0;
    k0 += key_step_0;
    k1 += key_step_1;
  }
  out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

void sm_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]) {
  philox(out, counter[0], counter[1], counter[2], counter[3], key[0], key[1]);
}

static void draw_block(uint32_t word[WORDS], const sm_rng *rng, uint64_t block, uint32_t attempt) {
  philox(word, (uint32_t)block, (uint32_t)(block >> 32), rng->stream, attempt, (uint32_t)rng->seed,
         (uint32_t)(rng->seed >> 32));
}

static uint32_t draw_one(const sm_rng *rng, uint64_t element, uint32_t attempt) {
  uint32_t word[WORDS];
  draw_block(word, rng, element / WORDS, attempt);
  return word[element % WORDS];
}

/* The words of a stretch of a fill: element first + i has word[skip + i]. Whole tiles are drawn, whose fixed
   number of blocks suits vectors, even where the fill ends before. */
typedef struct stretch {
  uint32_t word[TILE];
  size_t skip, last; /* words before the first element's; the element after the stretch */
} stretch;

/* Draws elements from `first` on, up to `last` at most. */
static void draw(stretch *part, const sm_rng *rng, size_t first, size_t last) {
  const uint64_t start = rng->offset + first, first_block = start / WORDS;
  part->skip = (size_t)(start % WORDS);
  part->last = last - first < TILE - part->skip ? last : first + TILE - part->skip;
#pragma omp simd
  for (size_t i = 0; i < TILE_BLOCKS; i++) draw_block(part->word + WORDS * i, rng, first_block + i, 0);
}

/* [0, 1) of a word: its upper 24 bits, which every real holds exactly. */
static inline uint32_t fraction_of(uint32_t word) { return word >> 8; }
static const double fraction_unit = 0x1p-24;

typedef struct filling {
  real *out;
  const sm_rng *rng;
  double limit;       /* of normal numbers */
  const real *x;      /* what dropout drops from, … */
  uint32_t kept_from; /* … keeps where the fraction is this or more, … */
  real scale;         /* … and multiplies by this */
  bool logarithm;     /* of an exponential number */
  size_t n;
} filling;

static void uniform_block(const void *work, size_t block) {
  const filling *of = work;
  sm_range range = sm_block(of->n, block);
  for (size_t first = range.first, last; first < range.last; first = last) {
    stretch part;
    draw(&part, of->rng, first, range.last);
    last = part.last;
    for (size_t i = first; i < last; i++) {
      of->out[i] = (real)fraction_of(part.word[part.skip + i - first]) * (real)fraction_unit;
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
  uint32_t word[WORDS];
  double pair[2];
  draw_block(word, rng, element / WORDS, attempt);
  normal_pair(pair, word + element % WORDS / 2 * 2);
  return pair[element % 2];
}

/* Normal numbers; those beyond `limit` are drawn again, at the next attempt of the same element. */
static void normal_block(const void *work, size_t block) {
  const filling *of = work;
  const sm_rng *rng = of->rng;
  sm_range range = sm_block(of->n, block);
  for (size_t first = range.first, last; first < range.last; first = last) {
    stretch part;
    double normal[TILE];
    draw(&part, rng, first, range.last);
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
    stretch part;
    draw(&part, rng, first, n);
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
    stretch part;
    draw(&part, of->rng, first, range.last);
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
    stretch part;
    draw(&part, of->rng, first, range.last);
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
    stretch part;
    draw(&part, of->rng, first, range.last);
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
      stretch part;
      draw(&part, of->rng, first, (row + 1) * n);
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

/* ---- dropout ---- */

static void dropout_block(const void *work, size_t block) {
  const filling *of = work;
  const uint32_t kept_from = of->kept_from;
  const real scale = of->scale;
  sm_range range = sm_block(of->n, block);
  for (size_t first = range.first, last; first < range.last; first = last) {
    stretch part;
    draw(&part, of->rng, first, range.last);
    last = part.last;
    const uint32_t *word = part.word + part.skip;
    const real *x = of->x + first;
    real *out = of->out + first;
#pragma omp simd
    for (size_t i = 0; i < last - first; i++) {
      real kept = x[i] * scale;
      out[i] = fraction_of(word[i]) >= kept_from ? kept : 0;
    }
  }
}

void sm_dropout(real *out, const real *x, const sm_rng *rng, double p, size_t n) {
  const filling work = {
      .out = out,
      .rng = rng,
      .x = x,
      .scale = (real)(1 / (1 - p)),
      .n = n,
      .kept_from = (uint32_t)ceil(p / fraction_unit)}; /* where the uniform number is >= p */
  sm_parallel_blocks(n, dropout_block, &work);
}
