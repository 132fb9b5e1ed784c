#include "core/softmax_axis.h"

#include <math.h>

#include "core/lines.h"
#include "core/math.h"
#include "core/parallel.h"
#include "core/softmax_groups.h"
#include "core/softmax_log.h"
#include "core/tile.h"

/* Equals are compared, not subtracted, so that infinities of one sign are equally likely. */
static inline real shifted(real x, real top, real inverse) { return x == top ? 0 : (x - top) * inverse; }

static inline real larger(real a, real b) { return a > b ? a : b; }

static inline size_t least(size_t a, size_t b) { return a < b ? a : b; }

SM_INLINE void forward(real *y, const real *x, size_t n, size_t stride, size_t lines, sm_softmax_rule rule,
                       const bool log_of) {
  real top[SM_LINES], part[SM_LINES];
  double sum[SM_LINES];
  const real inverse = rule.inverse, floor = rule.off ? 0 : -INFINITY;
  for (size_t k = 0; k < lines; k++) top[k] = floor;
  for (size_t i = 0; i < n; i++) {
#pragma omp simd
    for (size_t k = 0; k < lines; k++) top[k] = larger(x[i * stride + k], top[k]);
  }
#pragma omp simd
  for (size_t k = 0; k < lines; k++) sum[k] = rule.off ? (double)sm_exp_negative(shifted(0, top[k], inverse)) : 0;
  for (size_t first = 0; first < n; first += SM_LINE_SUM) {
    const size_t last = least(n, first + SM_LINE_SUM);
    for (size_t k = 0; k < lines; k++) part[k] = 0;
    for (size_t i = first; i < last; i++) {
#pragma omp simd
      for (size_t k = 0; k < lines; k++) {
        const real z = shifted(x[i * stride + k], top[k], inverse), e = sm_exp_negative(z);
        y[i * stride + k] = log_of ? z : e;
        part[k] += e;
      }
    }
    for (size_t k = 0; k < lines; k++) sum[k] += (double)part[k];
  }
  for (size_t k = 0; k < lines; k++) {
    part[k] = log_of ? (real)log(sum[k]) : (real)((rule.scale ? (double)n : 1) / sum[k]);
  }
  for (size_t i = 0; i < n; i++) {
#pragma omp simd
    for (size_t k = 0; k < lines; k++) {
      y[i * stride + k] = log_of ? y[i * stride + k] - part[k] : y[i * stride + k] * part[k];
    }
  }
}

SM_INLINE void backward(real *gx, const real *gy, const real *y, size_t n, size_t stride, size_t lines,
                        sm_softmax_rule rule, const bool log_of) {
  real part[SM_LINES];
  double sum[SM_LINES];
  const real inverse = rule.inverse;
  for (size_t k = 0; k < lines; k++) sum[k] = 0;
  for (size_t first = 0; first < n; first += SM_LINE_SUM) {
    const size_t last = least(n, first + SM_LINE_SUM);
    for (size_t k = 0; k < lines; k++) part[k] = 0;
    for (size_t i = first; i < last; i++) {
      const real *g = gy + i * stride, *p = y + i * stride;
#pragma omp simd
      for (size_t k = 0; k < lines; k++) part[k] = log_of ? part[k] + g[k] : sm_fma(g[k], p[k], part[k]);
    }
    for (size_t k = 0; k < lines; k++) sum[k] += (double)part[k];
  }
  for (size_t k = 0; k < lines; k++) part[k] = (real)(sum[k] / (rule.scale && !log_of ? (double)n : 1));
  for (size_t i = 0; i < n; i++) {
    const real *g = gy + i * stride, *p = y + i * stride;
    real *to = gx + i * stride;
#pragma omp simd
    for (size_t k = 0; k < lines; k++) {
      to[k] = log_of ? sm_fma(-sm_exp_negative(p[k]), part[k], g[k]) * inverse : p[k] * (g[k] - part[k]) * inverse;
    }
  }
}

/* Constants let the compiler unroll, and leave what is asked in a loop out of it. */
static void forward_many(real *y, const real *x, const real *unused, size_t n, size_t stride, size_t lines,
                         const void *given) {
  const sm_softmax_rule rule = *(const sm_softmax_rule *)given;
  (void)unused;
  if (lines < SM_LINES)
    forward(y, x, n, stride, lines, rule, rule.log);
  else if (rule.log)
    forward(y, x, n, stride, SM_LINES, rule, true);
  else
    forward(y, x, n, stride, SM_LINES, rule, false);
}

static void backward_many(real *gx, const real *gy, const real *y, size_t n, size_t stride, size_t lines,
                          const void *given) {
  const sm_softmax_rule rule = *(const sm_softmax_rule *)given;
  if (lines < SM_LINES)
    backward(gx, gy, y, n, stride, lines, rule, rule.log);
  else if (rule.log)
    backward(gx, gy, y, n, stride, SM_LINES, rule, true);
  else
    backward(gx, gy, y, n, stride, SM_LINES, rule, false);
}

/* ---- one line without gaps: without log a group of softmax_groups.h ---- */

static void forward_one(real *y, const real *x, const real *unused, size_t n, const void *given) {
  const sm_softmax_rule rule = *(const sm_softmax_rule *)given;
  (void)unused;
  if (!rule.log) {
    sm_equal_groups_forward(y, x, (sm_group_rule){rule.inverse, rule.scale, rule.off}, 1, n, n);
    return;
  }
  real top = rule.off ? 0 : -INFINITY;
#pragma omp simd reduction(max : top)
  for (size_t i = 0; i < n; i++) top = larger(x[i], top);
  double sum = rule.off ? (double)sm_exp_negative(shifted(0, top, rule.inverse)) : 0;
  for (size_t first = 0; first < n; first += SM_LINE_SUM) {
    const size_t last = least(n, first + SM_LINE_SUM);
    real part = 0;
#pragma omp simd reduction(+ : part)
    for (size_t i = first; i < last; i++) {
      y[i] = shifted(x[i], top, rule.inverse);
      part += sm_exp_negative(y[i]);
    }
    sum += (double)part;
  }
  const real less = (real)log(sum);
#pragma omp simd
  for (size_t i = 0; i < n; i++) y[i] -= less;
}

static void backward_one(real *gx, const real *gy, const real *y, size_t n, const void *given) {
  const sm_softmax_rule rule = *(const sm_softmax_rule *)given;
  if (!rule.log) {
    sm_equal_groups_backward(gx, gy, y, (sm_group_rule){rule.inverse, rule.scale, rule.off}, 1, n, n);
    return;
  }
  double sum = 0;
  for (size_t first = 0; first < n; first += SM_LINE_SUM) {
    const size_t last = least(n, first + SM_LINE_SUM);
    real part = 0;
#pragma omp simd reduction(+ : part)
    for (size_t i = first; i < last; i++) part += gy[i];
    sum += (double)part;
  }
  const real all = (real)sum;
#pragma omp simd
  for (size_t i = 0; i < n; i++) gx[i] = sm_fma(-sm_exp_negative(y[i]), all, gy[i]) * rule.inverse;
}

static const sm_line_kernel FORWARD = {forward_many, forward_one}, BACKWARD = {backward_many, backward_one};

/* ---- the logarithm in short groups of the last axis ---- */

typedef struct short_groups {
  real *out;
  const real *a, *b; /* x, or gy and y */
  const sm_axis *along;
  sm_group_rule rule;
  size_t chunks;
} short_groups;

static void chunk_of_groups(const void *work, size_t chunk) {
  const short_groups *of = work;
  const size_t size = of->along->axis;
  const sm_range range = sm_chunk(of->along->outer, of->chunks, chunk);
  const size_t at = range.first * size, count = range.last - range.first;
  if (of->b)
    sm_packed_log_backward(of->out + at, of->a + at, of->b + at, of->rule, count, size);
  else
    sm_packed_log_forward(of->out + at, of->a + at, of->rule, count, size);
}

/* Whether this was a case for it. */
static bool is_packed_log(real *out, const real *a, const real *b, const sm_axis *along, const sm_softmax_rule *rule) {
  const size_t elements = along->outer * along->axis, blocks = sm_blocks(elements);
  if (!rule->log || along->inner != 1 || elements == 0 || !sm_groups_are_packed(along->axis)) return false;
  const short_groups of = {out, a, b, along, {rule->inverse, false, rule->off},
                           blocks < along->outer ? blocks : along->outer};
  sm_compute(of.chunks, elements, chunk_of_groups, &of);
  return true;
}

void sm_softmax_axis_forward(real *y, const real *x, const sm_axis *along, const sm_softmax_rule *rule) {
  if (!is_packed_log(y, x, NULL, along, rule)) sm_each_line(y, x, NULL, along, &FORWARD, rule);
}

void sm_softmax_axis_backward(real *gx, const real *gy, const real *y, const sm_axis *along,
                              const sm_softmax_rule *rule) {
  if (!is_packed_log(gx, gy, y, along, rule)) sm_each_line(gx, gy, y, along, &BACKWARD, rule);
}
