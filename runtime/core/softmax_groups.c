#include "core/softmax_groups.h"

#include <math.h>
#include <string.h>

#include "core/group_lanes.h"

/* Groups whose size is a power of two and no larger than a vector lie side by side in it, and sums and maxima
   are folded within each. Groups of a vector or more take vectors of their own. Other small ones are transposed
   LANES at a time, so that each has a vector lane of its own. */
enum { LANES = SM_GROUPS_TOGETHER };

static inline real scale_of(sm_group_rule rule, size_t size) { return rule.scale ? (real)size : 1; }

/* ---- groups of 1, 2, 4, … SM_VECTOR channels, side by side ---- */

SM_INLINE sm_vector packed_forward(sm_vector x, sm_group_rule rule, int size) {
  sm_vector top = fold_max(x, size);
  if (rule.off) top = larger_each(top, all_lanes(0));
  sm_vector e = exp_each(shifted_each(x, top, rule.inverse)), sum = fold_sum(e, size);
  if (rule.off) sum += off_each(top, rule.inverse);
  return e * (scale_of(rule, (size_t)size) / sum);
}

/* gx = y/temperature * (gy - mean), where mean = the sum of p*gy over the group = the sum of y*gy / scale. The
   temperature comes last: its inverse times a y that is scaled may overflow where nothing passes. */
SM_INLINE sm_vector packed_backward(sm_vector gy, sm_vector y, sm_group_rule rule, int size) {
  sm_vector mean = fold_sum(y * gy, size) / scale_of(rule, (size_t)size);
  return y * (gy - mean) * rule.inverse;
}

/* `count` elements of groups of one size. What is left of the last vector goes through a copy; its idle lanes
   are groups of zeros. */
SM_INLINE void packed_groups_forward(real *y, const real *x, sm_group_rule rule, size_t count, int size) {
  size_t i = 0;
  for (; i + SM_VECTOR <= count; i += SM_VECTOR) store(y + i, packed_forward(load(x + i), rule, size));
  if (i < count) {
    real rest[SM_VECTOR] ALIGNED = {0};
    memcpy(rest, x + i, (count - i) * sizeof *x);
    store(rest, packed_forward(load(rest), rule, size));
    memcpy(y + i, rest, (count - i) * sizeof *y);
  }
}

SM_INLINE void packed_groups_backward(real *gx, const real *gy, const real *y, sm_group_rule rule, size_t count,
                                      int size) {
  size_t i = 0;
  for (; i + SM_VECTOR <= count; i += SM_VECTOR) {
    store(gx + i, packed_backward(load(gy + i), load(y + i), rule, size));
  }
  if (i < count) {
    real rest[SM_VECTOR] ALIGNED = {0}, gradient[SM_VECTOR] ALIGNED = {0};
    memcpy(rest, y + i, (count - i) * sizeof *y);
    memcpy(gradient, gy + i, (count - i) * sizeof *gy);
    store(gradient, packed_backward(load(gradient), load(rest), rule, size));
    memcpy(gx + i, gradient, (count - i) * sizeof *gx);
  }
}

/* ---- groups of SM_VECTOR channels or more ---- */

/* Where the size is no multiple of a vector, the last vector overlaps the one before it; the mask of its lanes
   that do not. */
static inline sm_lanes fresh_lanes(size_t size) {
  sm_lanes lane;
  for (int i = 0; i < SM_VECTOR; i++) lane[i] = (size_t)i + size % SM_VECTOR >= SM_VECTOR ? -1 : 0;
  return lane;
}

SM_INLINE void wide_forward(real *y, const real *x, sm_group_rule rule, size_t count, size_t stride,
                            size_t size) {
  const size_t whole = size / SM_VECTOR * SM_VECTOR, end = size - SM_VECTOR;
  const sm_lanes fresh = fresh_lanes(size);
  for (size_t group = 0; group < count; group++) {
    const real *from = x + group * stride;
    real *to = y + group * stride;
    sm_vector last = load(from + end), top = last, sum = {0};
    for (size_t i = 0; i < whole; i += SM_VECTOR) top = larger_each(load(from + i), top);
    top = fold_max(top, SM_VECTOR);
    if (rule.off) top = larger_each(top, all_lanes(0));
    for (size_t i = 0; i < whole; i += SM_VECTOR) {
      sm_vector e = exp_each(shifted_each(load(from + i), top, rule.inverse));
      store(to + i, e);
      sum += e;
    }
    if (whole < size) {
      last = exp_each(shifted_each(last, top, rule.inverse));
      sum += (sm_vector)(fresh & (sm_lanes)last);
    }
    sum = fold_sum(sum, SM_VECTOR);
    if (rule.off) sum += off_each(top, rule.inverse);
    const real factor = scale_of(rule, size) / sum[0];
    for (size_t i = 0; i < whole; i += SM_VECTOR) store(to + i, load(to + i) * factor);
    if (whole < size) store(to + end, last * factor);
  }
}

SM_INLINE void wide_backward(real *gx, const real *gy, const real *y, sm_group_rule rule, size_t count,
                             size_t stride, size_t size) {
  const size_t whole = size / SM_VECTOR * SM_VECTOR, end = size - SM_VECTOR;
  const sm_lanes fresh = fresh_lanes(size);
  for (size_t group = 0; group < count; group++) {
    const size_t first = group * stride;
    sm_vector last = load(gy + first + end), sum = {0}; /* read before gx, which may be gy, is written */
    for (size_t i = first; i < first + whole; i += SM_VECTOR) sum += load(y + i) * load(gy + i);
    if (whole < size) sum += (sm_vector)(fresh & (sm_lanes)(load(y + first + end) * last));
    const real mean = fold_sum(sum, SM_VECTOR)[0] / scale_of(rule, size);
    for (size_t i = first; i < first + whole; i += SM_VECTOR) {
      store(gx + i, load(y + i) * (load(gy + i) - mean) * rule.inverse);
    }
    if (whole < size) store(gx + first + end, load(y + first + end) * (last - mean) * rule.inverse);
  }
}

/* ---- groups of very many channels ---- */

/* Sums of so many channels are added in double. Smaller groups are one sum, as above. */
enum { LONG_SUM = 4096 };

static void long_forward(real *y, const real *x, sm_group_rule rule, size_t size) {
  real top = rule.off ? 0 : -INFINITY, tops[LANES];
  double sum = 0;
  for (size_t lane = 0; lane < LANES; lane++) tops[lane] = top;
  for (size_t i = 0; i + LANES <= size; i += LANES) {
#pragma omp simd
    for (size_t lane = 0; lane < LANES; lane++) tops[lane] = larger(x[i + lane], tops[lane]);
  }
  for (size_t i = size - size % LANES; i < size; i++) top = larger(x[i], top);
  for (size_t lane = 0; lane < LANES; lane++) top = larger(tops[lane], top);
  for (size_t first = 0; first < size; first += LONG_SUM) {
    size_t last = size - first < LONG_SUM ? size : first + LONG_SUM;
    real part = 0;
#pragma omp simd reduction(+ : part)
    for (size_t i = first; i < last; i++) {
      real e = sm_exp_negative(shifted(x[i], top, rule.inverse));
      y[i] = e;
      part += e;
    }
    sum += (double)part;
  }
  if (rule.off) sum += (double)sm_exp_negative(shifted(0, top, rule.inverse));
  const real factor = (real)((rule.scale ? (double)size : 1) / sum);
#pragma omp simd
  for (size_t i = 0; i < size; i++) y[i] *= factor;
}

static void long_backward(real *gx, const real *gy, const real *y, sm_group_rule rule, size_t size) {
  double sum = 0;
  for (size_t first = 0; first < size; first += LONG_SUM) {
    size_t last = size - first < LONG_SUM ? size : first + LONG_SUM;
    real part = 0;
#pragma omp simd reduction(+ : part)
    for (size_t i = first; i < last; i++) part += y[i] * gy[i];
    sum += (double)part;
  }
  const real mean = (real)(sum / (rule.scale ? (double)size : 1)), inverse = rule.inverse;
#pragma omp simd
  for (size_t i = 0; i < size; i++) gx[i] = y[i] * (gy[i] - mean) * inverse;
}

/* ---- other small groups: columns of lanes ---- */

/* column (size, LANES) = x, where lane i's group begins i*stride elements into x; lanes from `active` on are
   0. */
SM_INLINE void gather(real *column, const real *x, size_t active, size_t stride, size_t size) {
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

SM_INLINE void scatter(real *y, const real *column, size_t active, size_t stride, size_t size) {
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
SM_INLINE void columns_forward(real *y, const real *x, sm_group_rule rule, size_t active, size_t stride,
                               size_t size) {
  real column[LANES * LANES] ALIGNED, top[LANES] ALIGNED, sum[LANES] ALIGNED;
  const real inverse = rule.inverse, scale = scale_of(rule, size);
  const real floor = rule.off ? 0 : -INFINITY; /* the lowest value that a maximum may have */
  gather(column, x, active, stride, size);
#pragma omp simd
  for (size_t lane = 0; lane < LANES; lane++) top[lane] = floor;
  for (size_t i = 0; i < size; i++) {
#pragma omp simd
    for (size_t lane = 0; lane < LANES; lane++) top[lane] = larger(column[i * LANES + lane], top[lane]);
  }
#pragma omp simd
  for (size_t lane = 0; lane < LANES; lane++)
    sum[lane] = rule.off ? sm_exp_negative(shifted(0, top[lane], inverse)) : 0;
  for (size_t i = 0; i < size; i++) {
#pragma omp simd
    for (size_t lane = 0; lane < LANES; lane++) {
      real e = sm_exp_negative(shifted(column[i * LANES + lane], top[lane], inverse));
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

SM_INLINE void columns_backward(real *gx, const real *gy, const real *y, sm_group_rule rule, size_t active,
                                size_t stride, size_t size) {
  real column[LANES * LANES] ALIGNED, gradient[LANES * LANES] ALIGNED, mean[LANES] ALIGNED;
  const real inverse = rule.inverse, scale = scale_of(rule, size);
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
      gradient[at] = column[at] * (gradient[at] - mean[lane]) * inverse;
    }
  }
  scatter(gx, gradient, active, stride, size);
}

/* ---- any groups ---- */

/* Sizes that are met most are constants, for which the compiler unrolls. */
void sm_equal_groups_forward(real *y, const real *x, sm_group_rule rule, size_t count, size_t stride, size_t size) {
  if (stride == size && size <= SM_VECTOR && (size & (size - 1)) == 0) {
    const size_t n = count * size;
    switch (size) {
      case 1: packed_groups_forward(y, x, rule, n, 1); return;
      case 2: packed_groups_forward(y, x, rule, n, 2); return;
      case 4: packed_groups_forward(y, x, rule, n, 4); return;
      case 8: packed_groups_forward(y, x, rule, n, 8); return;
      default: packed_groups_forward(y, x, rule, n, SM_VECTOR); return;
    }
  }
  if (size == 2 * SM_VECTOR)
    wide_forward(y, x, rule, count, stride, 2 * SM_VECTOR);
  else if (size == 4 * SM_VECTOR)
    wide_forward(y, x, rule, count, stride, 4 * SM_VECTOR);
  else if (size > LONG_SUM)
    for (size_t i = 0; i < count; i++) long_forward(y + i * stride, x + i * stride, rule, size);
  else if (size >= SM_VECTOR)
    wide_forward(y, x, rule, count, stride, size);
  else {
    for (size_t i = 0; i < count; i += LANES) {
      size_t active = count - i < LANES ? count - i : LANES, at = i * stride;
      columns_forward(y + at, x + at, rule, active, stride, size);
    }
  }
}

void sm_equal_groups_backward(real *gx, const real *gy, const real *y, sm_group_rule rule, size_t count, size_t stride,
                              size_t size) {
  if (stride == size && size <= SM_VECTOR && (size & (size - 1)) == 0) {
    const size_t n = count * size;
    switch (size) {
      case 1: packed_groups_backward(gx, gy, y, rule, n, 1); return;
      case 2: packed_groups_backward(gx, gy, y, rule, n, 2); return;
      case 4: packed_groups_backward(gx, gy, y, rule, n, 4); return;
      case 8: packed_groups_backward(gx, gy, y, rule, n, 8); return;
      default: packed_groups_backward(gx, gy, y, rule, n, SM_VECTOR); return;
    }
  }
  if (size == 2 * SM_VECTOR)
    wide_backward(gx, gy, y, rule, count, stride, 2 * SM_VECTOR);
  else if (size == 4 * SM_VECTOR)
    wide_backward(gx, gy, y, rule, count, stride, 4 * SM_VECTOR);
  else if (size > LONG_SUM)
    for (size_t i = 0; i < count; i++) long_backward(gx + i * stride, gy + i * stride, y + i * stride, rule, size);
  else if (size >= SM_VECTOR)
    wide_backward(gx, gy, y, rule, count, stride, size);
  else {
    for (size_t i = 0; i < count; i += LANES) {
      size_t active = count - i < LANES ? count - i : LANES, at = i * stride;
      columns_backward(gx + at, gy + at, y + at, rule, active, stride, size);
    }
  }
}
