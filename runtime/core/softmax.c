#include "core/softmax.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "core/math.h"
#include "core/parallel.h"

#ifdef SM_DOUBLE
#define LARGEST DBL_MAX
#else
#define LARGEST FLT_MAX
#endif
#define ALIGNED __attribute__((aligned(SM_ALIGNMENT)))

/* Most groups go through in tiles that stay in the first-level cache, in three passes: each logit less the
   largest of its group, the exponential of the whole tile, the division by each group's sum. Groups of 1, 2
   or 4 are vectorised across groups, wider ones within the group. Groups of 3, 5, 6 or 7, and small ones
   among uneven groups, are transposed LANES at a time, so that each has a vector lane of its own. */
enum {
  LANES = 64 / sizeof(real), /* numbers in the widest vector register */
  TILE = 1024                /* elements; a single larger group is a tile of its own */
};

sm_status sm_groups_check(const sm_groups *groups, sm_error *error) {
  size_t sum = 0;
  for (size_t i = 0; i < groups->count; i++) {
    int32_t size = groups->size[i];
    if (size < 1) {
      return sm_fail(error, SM_BAD_VALUE, "softmax group %zu has size %d, expected at least %d", i + 1,
                     (int)size, groups->off ? 1 : 2);
    }
    if (size == 1 && !groups->off) {
      return sm_fail(error, SM_BAD_VALUE,
                     "softmax group %zu has one channel: its probability would be constant (1); use at least "
                     "2 channels a group, or off=true, which makes it the logistic sigmoid",
                     i + 1);
    }
    sum += (size_t)size;
  }
  if (sum != groups->channels) {
    return sm_fail(error, SM_BAD_SHAPE,
                   "softmax group sizes add up to %zu, expected the %zu channels of the last axis", sum,
                   groups->channels);
  }
  if (!(groups->temperature > 0) || !isfinite(groups->temperature)) {
    return sm_fail(error, SM_BAD_VALUE, "softmax temperature is %g, expected a finite number above 0",
                   groups->temperature);
  }
  return SM_OK;
}

/* What every group of a call has in common. */
typedef struct group_rule {
  real inverse; /* 1/temperature */
  bool scale, off;
} group_rule;

static group_rule rule_of(const sm_groups *groups) {
  double inverse = 1 / groups->temperature;
  return (group_rule){(real)(inverse < LARGEST ? inverse : LARGEST), groups->scale, groups->off};
}

static inline real larger(real a, real b) { return a > b ? a : b; }

/* A logit less the largest of its group, over the temperature. Equals are compared, not subtracted, so that
   infinities of one sign are equally likely. */
static inline real shifted(real x, real top, real inverse) { return x == top ? 0 : (x - top) * inverse; }

/* The lowest value that a maximum may have: with off, that option's logit. */
static inline real floor_of(const group_rule *rule) { return rule->off ? 0 : -INFINITY; }

static inline real scale_of(const group_rule *rule, size_t size) { return rule->scale ? (real)size : 1; }

/* Wide groups are reduced in two of the vectors that every x86-64 processor has. */
typedef real vector __attribute__((vector_size(16)));
typedef real unaligned __attribute__((vector_size(16), aligned(sizeof(real)), may_alias));
typedef __typeof__((vector){0} > (vector){0}) vector_mask;
enum {
  WIDTH = sizeof(vector) / sizeof(real), /* numbers in a vector */
  WIDE = 2 * WIDTH                       /* channels of the smallest wide group, which both vectors hold */
};

static inline vector load(const real *x) { return *(const unaligned *)x; }

static inline vector larger_each(vector a, vector b) {
  vector_mask from_a = a > b;
  return (vector)((from_a & (vector_mask)a) | (~from_a & (vector_mask)b));
}

/* The maximum of a group. The last two vectors overlap those before. */
static inline __attribute__((always_inline)) real group_max(const real *x, size_t size) {
  real top = x[0];
  if (size < WIDE) {
    for (size_t i = 1; i < size; i++) top = larger(x[i], top);
    return top;
  }
  vector v0 = load(x + size - WIDE), v1 = load(x + size - WIDTH);
  for (size_t i = 0; i + WIDE < size; i += WIDE) {
    v0 = larger_each(load(x + i), v0);
    v1 = larger_each(load(x + i + WIDTH), v1);
  }
  v0 = larger_each(v1, v0);
  top = v0[0];
  for (int lane = 1; lane < WIDTH; lane++) top = larger(v0[lane], top);
  return top;
}

/* The sum of a (size), or with b of a*b, in an order that depends on the size alone. */
static inline __attribute__((always_inline)) real group_sum(const real *a, const real *b, size_t size) {
  real sum = 0;
  size_t i = 0;
  if (size >= WIDE) {
    vector v0 = {0}, v1 = {0};
    for (; i + WIDE <= size; i += WIDE) {
      vector term0 = load(a + i), term1 = load(a + i + WIDTH);
      v0 += b ? term0 * load(b + i) : term0;
      v1 += b ? term1 * load(b + i + WIDTH) : term1;
    }
    v0 += v1;
    for (int lane = 0; lane < WIDTH; lane++) sum += v0[lane];
  }
  for (; i < size; i++) sum = b ? sm_fma(a[i], b[i], sum) : sum + a[i];
  return sum;
}

/* The passes below run over `count` groups of one size. Narrow groups are vectorised across groups, wide ones
   within the group; `size` is a constant where it matters, and the compiler unrolls for it. */

/* y = shifted logits. With off (count), the option off takes part in the maximum, and off = its shifted
   logit. */
static inline __attribute__((always_inline)) void shift_groups(real *y, real *off, const real *x,
                                                               real inverse, size_t count, size_t size) {
  const real floor = off ? 0 : -INFINITY; /* the lowest that the maximum may be */
  if (size < WIDE) {
#pragma omp simd
    for (size_t group = 0; group < count; group++) {
      const real *from = x + group * size;
      real *to = y + group * size;
      real top = larger(group_max(from, size), floor);
      for (size_t i = 0; i < size; i++) to[i] = shifted(from[i], top, inverse);
      if (off) off[group] = shifted(0, top, inverse);
    }
  } else {
    for (size_t group = 0; group < count; group++) {
      const real *from = x + group * size;
      real *to = y + group * size;
      real top = larger(group_max(from, size), floor);
#pragma omp simd
      for (size_t i = 0; i < size; i++) to[i] = shifted(from[i], top, inverse);
      if (off) off[group] = shifted(0, top, inverse);
    }
  }
}

/* y *= scale / the sum over the group, to which the option off adds. */
static inline __attribute__((always_inline)) void normalise_groups(real *y, const real *off, real scale,
                                                                   size_t count, size_t size) {
  if (size < WIDE) {
#pragma omp simd
    for (size_t group = 0; group < count; group++) {
      real *to = y + group * size;
      real sum = group_sum(to, NULL, size);
      if (off) sum += off[group];
      real factor = scale / sum;
      for (size_t i = 0; i < size; i++) to[i] *= factor;
    }
  } else {
    for (size_t group = 0; group < count; group++) {
      real *to = y + group * size;
      real sum = group_sum(to, NULL, size);
      if (off) sum += off[group];
      real factor = scale / sum;
#pragma omp simd
      for (size_t i = 0; i < size; i++) to[i] *= factor;
    }
  }
}

/* gx = y/temperature * (gy - mean), where mean = sum of p*gy over the group = sum of y*gy / scale. */
static inline __attribute__((always_inline)) void backward_tile(real *gx, const real *gy, const real *y,
                                                                const group_rule *rule, size_t count,
                                                                size_t size) {
  const real inverse = rule->inverse, scale = scale_of(rule, size);
  if (size < WIDE) {
#pragma omp simd
    for (size_t group = 0; group < count; group++) {
      size_t first = group * size;
      real mean = group_sum(y + first, gy + first, size) / scale;
      for (size_t i = first; i < first + size; i++) gx[i] = y[i] * inverse * (gy[i] - mean);
    }
  } else {
    for (size_t group = 0; group < count; group++) {
      size_t first = group * size;
      real mean = group_sum(y + first, gy + first, size) / scale;
#pragma omp simd
      for (size_t i = first; i < first + size; i++) gx[i] = y[i] * inverse * (gy[i] - mean);
    }
  }
}

static void exponentials(real *y, size_t n) {
#pragma omp simd
  for (size_t i = 0; i < n; i++) y[i] = sm_exp(y[i]);
}

static inline __attribute__((always_inline)) void forward_tile(real *y, const real *x, const group_rule *rule,
                                                               size_t count, size_t size) {
  const real inverse = rule->inverse, scale = scale_of(rule, size);
  if (rule->off) {
    real off[TILE] ALIGNED;
    shift_groups(y, off, x, inverse, count, size);
    exponentials(y, count * size);
    exponentials(off, count);
    normalise_groups(y, off, scale, count, size);
  } else {
    shift_groups(y, NULL, x, inverse, count, size);
    exponentials(y, count * size);
    normalise_groups(y, NULL, scale, count, size);
  }
}

/* column (size, LANES) = x, where lane i's group begins i*stride elements into x; lanes from `active` on are
   0. */
static inline __attribute__((always_inline)) void gather(real *column, const real *x, size_t active,
                                                         size_t stride, size_t size) {
  if (active == LANES) {
    for (size_t lane = 0; lane < LANES; lane++) {
      for (size_t i = 0; i < size; i++) column[i * LANES + lane] = x[lane * stride + i];
    }
  } else {
    memset(column, 0, size * LANES * sizeof *column);
    for (size_t lane = 0; lane < active; lane++) {
      for (size_t i = 0; i < size; i++) column[i * LANES + lane] = x[lane * stride + i];
    }
  }
}

static inline __attribute__((always_inline)) void scatter(real *y, const real *column, size_t active,
                                                          size_t stride, size_t size) {
  if (active == LANES) {
    for (size_t lane = 0; lane < LANES; lane++) {
      for (size_t i = 0; i < size; i++) y[lane * stride + i] = column[i * LANES + lane];
    }
  } else {
    for (size_t lane = 0; lane < active; lane++) {
      for (size_t i = 0; i < size; i++) y[lane * stride + i] = column[i * LANES + lane];
    }
  }
}

/* Up to LANES groups of one size below LANES. */
static inline __attribute__((always_inline)) void columns_forward(real *y, const real *x,
                                                                  const group_rule *rule, size_t active,
                                                                  size_t stride, size_t size) {
  real column[LANES * LANES] ALIGNED, top[LANES] ALIGNED, sum[LANES] ALIGNED;
  const real inverse = rule->inverse, floor = floor_of(rule), scale = scale_of(rule, size);
  gather(column, x, active, stride, size);
#pragma omp simd
  for (size_t lane = 0; lane < LANES; lane++) top[lane] = floor;
  for (size_t i = 0; i < size; i++) {
#pragma omp simd
    for (size_t lane = 0; lane < LANES; lane++) top[lane] = larger(column[i * LANES + lane], top[lane]);
  }
#pragma omp simd
  for (size_t lane = 0; lane < LANES; lane++)
    sum[lane] = rule->off ? sm_exp(shifted(0, top[lane], inverse)) : 0;
  for (size_t i = 0; i < size; i++) {
#pragma omp simd
    for (size_t lane = 0; lane < LANES; lane++) {
      real e = sm_exp(shifted(column[i * LANES + lane], top[lane], inverse));
      column[i * LANES + lane] = e;
      sum[lane] += e;
    }
  }
#pragma omp simd
  for (size_t lane = 0; lane < LANES; lane++) sum[lane] = scale / sum[lane];
  for (size_t i = 0; i < size; i++) {
#pragma omp simd
    for (size_t lane = 0; lane < LANES; lane++) column[i * LANES + lane] *= sum[lane];
  }
  scatter(y, column, active, stride, size);
}

/* gx = y/temperature * (gy - mean), where mean = the sum of p*gy over the group = the sum of y*gy / scale. */
static inline __attribute__((always_inline)) void columns_backward(real *gx, const real *gy, const real *y,
                                                                   const group_rule *rule, size_t active,
                                                                   size_t stride, size_t size) {
  real column[LANES * LANES] ALIGNED, gradient[LANES * LANES] ALIGNED, mean[LANES] ALIGNED;
  const real inverse = rule->inverse, scale = scale_of(rule, size);
  gather(column, y, active, stride, size);
  gather(gradient, gy, active, stride, size);
#pragma omp simd
  for (size_t lane = 0; lane < LANES; lane++) mean[lane] = 0;
  for (size_t i = 0; i < size; i++) {
#pragma omp simd
    for (size_t lane = 0; lane < LANES; lane++) {
      mean[lane] = sm_fma(column[i * LANES + lane], gradient[i * LANES + lane], mean[lane]);
    }
  }
#pragma omp simd
  for (size_t lane = 0; lane < LANES; lane++) mean[lane] /= scale;
  for (size_t i = 0; i < size; i++) {
#pragma omp simd
    for (size_t lane = 0; lane < LANES; lane++) {
      size_t at = i * LANES + lane;
      gradient[at] = column[at] * inverse * (gradient[at] - mean[lane]);
    }
  }
  scatter(gx, gradient, active, stride, size);
}

/* How many of `count` groups, `stride` elements apart, make a tile. */
static size_t tile_groups(size_t count, size_t stride, size_t size) {
  size_t most = stride == size && size < TILE ? TILE / size : 1;
  return count < most ? count : most;
}

/* Whether the passes over tiles suit these groups, rather than columns of lanes. */
static bool is_tiled(size_t stride, size_t size) {
  bool is_power_of_two = (size & (size - 1)) == 0;
  return size >= LANES || (stride == size && (size >= WIDE || is_power_of_two));
}

/* `count` groups of one size, each beginning `stride` elements after the one before. */
static void groups_forward(real *y, const real *x, const group_rule *rule, size_t count, size_t stride,
                           size_t size) {
  if (!is_tiled(stride, size)) {
    for (size_t i = 0; i < count; i += LANES) {
      size_t active = count - i < LANES ? count - i : LANES;
      columns_forward(y + i * stride, x + i * stride, rule, active, stride, size);
    }
    return;
  }
  for (size_t i = 0, n; i < count; i += n) {
    n = tile_groups(count - i, stride, size);
    real *to = y + i * stride;
    const real *from = x + i * stride;
    if (size == 1)
      forward_tile(to, from, rule, n, 1);
    else if (size == 2)
      forward_tile(to, from, rule, n, 2);
    else if (size == 4)
      forward_tile(to, from, rule, n, 4);
    else if (size == 8)
      forward_tile(to, from, rule, n, 8);
    else if (size >= WIDE)
      forward_tile(to, from, rule, n, size);
  }
}

static void groups_backward(real *gx, const real *gy, const real *y, const group_rule *rule, size_t count,
                            size_t stride, size_t size) {
  if (!is_tiled(stride, size)) {
    for (size_t i = 0; i < count; i += LANES) {
      size_t active = count - i < LANES ? count - i : LANES, at = i * stride;
      columns_backward(gx + at, gy + at, y + at, rule, active, stride, size);
    }
    return;
  }
  for (size_t i = 0, n; i < count; i += n) {
    n = tile_groups(count - i, stride, size);
    size_t at = i * stride;
    if (size == 1)
      backward_tile(gx + at, gy + at, y + at, rule, n, 1);
    else if (size == 2)
      backward_tile(gx + at, gy + at, y + at, rule, n, 2);
    else if (size == 4)
      backward_tile(gx + at, gy + at, y + at, rule, n, 4);
    else if (size == 8)
      backward_tile(gx + at, gy + at, y + at, rule, n, 8);
    else if (size >= WIDE)
      backward_tile(gx + at, gy + at, y + at, rule, n, size);
  }
}

/* The one size of all groups, 0 when they differ. */
static size_t equal_size(const sm_groups *groups) {
  for (size_t i = 1; i < groups->count; i++) {
    if (groups->size[i] != groups->size[0]) return 0;
  }
  return (size_t)groups->size[0];
}

/* Into how many chunks of whole rows the work is cut. */
static int row_chunks(size_t rows, size_t channels) {
  size_t blocks = (size_t)sm_blocks(rows * channels);
  return (int)(blocks < rows ? blocks : rows);
}

void sm_softmax_forward(real *y, const real *x, const sm_groups *groups, size_t rows) {
  if (rows == 0 || groups->channels == 0) return;
  const group_rule rule = rule_of(groups);
  const size_t channels = groups->channels, size = equal_size(groups);
  int chunks = row_chunks(rows, channels);
#pragma omp parallel for schedule(static) if (chunks > 1)
  for (int chunk = 0; chunk < chunks; chunk++) {
    sm_range range = sm_chunk(rows, chunks, chunk);
    size_t n = range.last - range.first, at = range.first * channels;
    if (size > 0) {
      groups_forward(y + at, x + at, &rule, n * groups->count, size, size);
      continue;
    }
    for (size_t row = 0; row < n; row += LANES, at += LANES * channels) {
      size_t lanes = n - row < LANES ? n - row : LANES, column = at;
      for (size_t i = 0; i < groups->count; column += (size_t)groups->size[i++]) {
        groups_forward(y + column, x + column, &rule, lanes, channels, (size_t)groups->size[i]);
      }
    }
  }
}

void sm_softmax_backward(real *gx, const real *gy, const real *y, const sm_groups *groups, size_t rows) {
  if (rows == 0 || groups->channels == 0) return;
  const group_rule rule = rule_of(groups);
  const size_t channels = groups->channels, size = equal_size(groups);
  int chunks = row_chunks(rows, channels);
#pragma omp parallel for schedule(static) if (chunks > 1)
  for (int chunk = 0; chunk < chunks; chunk++) {
    sm_range range = sm_chunk(rows, chunks, chunk);
    size_t n = range.last - range.first, at = range.first * channels;
    if (size > 0) {
      groups_backward(gx + at, gy + at, y + at, &rule, n * groups->count, size, size);
      continue;
    }
    for (size_t row = 0; row < n; row += LANES, at += LANES * channels) {
      size_t lanes = n - row < LANES ? n - row : LANES, column = at;
      for (size_t i = 0; i < groups->count; column += (size_t)groups->size[i++]) {
        groups_backward(gx + column, gy + column, y + column, &rule, lanes, channels,
                        (size_t)groups->size[i]);
      }
    }
  }
}
