#include "core/sparsemax.h"

#include <math.h>

#include "core/lines.h"
#include "core/tile.h"

/* x less the largest of its line; infinities of one sign are equal. */
static inline double below(real x, real top) { return x == top ? 0 : (double)x - (double)top; }

static inline real larger(real a, real b) { return a > b ? a : b; }

/* With d = x - max, tau lies in [-1, 0). What is not above some tau that is too small has no share, so tau is the mean
   of the rest, less 1 over their number, and grows until all of these are above it (Michelot 1986). Each round but the
   last drops an element. NaN is not dropped, and ends the search of its line. */
SM_INLINE void forward(real *y, const real *x, size_t n, size_t stride, size_t lines) {
  real top[SM_LINES];
  double tau[SM_LINES], sum[SM_LINES], count[SM_LINES], before[SM_LINES];
  for (size_t k = 0; k < lines; k++) {
    top[k] = -INFINITY;
    tau[k] = -1;
    before[k] = 0;
  }
  for (size_t i = 0; i < n; i++) {
#pragma omp simd
    for (size_t k = 0; k < lines; k++) top[k] = larger(x[i * stride + k], top[k]);
  }
  for (bool is_done = false; !is_done;) {
    for (size_t k = 0; k < lines; k++) sum[k] = count[k] = 0;
    for (size_t i = 0; i < n; i++) {
#pragma omp simd
      for (size_t k = 0; k < lines; k++) {
        const double d = below(x[i * stride + k], top[k]);
        sum[k] += d <= tau[k] ? 0 : d;
        count[k] += d <= tau[k] ? 0 : 1;
      }
    }
    is_done = true;
    for (size_t k = 0; k < lines; k++) {
      const double next = (sum[k] - 1) / count[k];
      is_done &= count[k] == before[k] || next != next;
      before[k] = count[k];
      tau[k] = next <= tau[k] ? tau[k] : next;
    }
  }
  for (size_t i = 0; i < n; i++) {
#pragma omp simd
    for (size_t k = 0; k < lines; k++) {
      const double d = below(x[i * stride + k], top[k]);
      y[i * stride + k] = d <= tau[k] ? 0 : (real)(d - tau[k]);
    }
  }
}

SM_INLINE void backward(real *gx, const real *gy, const real *y, size_t n, size_t stride, size_t lines) {
  double sum[SM_LINES], count[SM_LINES];
  real mean[SM_LINES];
  for (size_t k = 0; k < lines; k++) sum[k] = count[k] = 0;
  for (size_t i = 0; i < n; i++) {
#pragma omp simd
    for (size_t k = 0; k < lines; k++) {
      const bool is_off = y[i * stride + k] == 0;
      sum[k] += is_off ? 0 : (double)gy[i * stride + k];
      count[k] += is_off ? 0 : 1;
    }
  }
  for (size_t k = 0; k < lines; k++) mean[k] = (real)(sum[k] / count[k]);
  for (size_t i = 0; i < n; i++) {
#pragma omp simd
    for (size_t k = 0; k < lines; k++) {
      const size_t at = i * stride + k;
      gx[at] = y[at] == 0 ? 0 : gy[at] - mean[k];
    }
  }
}

static void forward_many(real *y, const real *x, const real *unused, size_t n, size_t stride, size_t lines,
                         const void *rule) {
  (void)unused;
  (void)rule;
  if (lines == SM_LINES)
    forward(y, x, n, stride, SM_LINES);
  else
    forward(y, x, n, stride, lines);
}

static void backward_many(real *gx, const real *gy, const real *y, size_t n, size_t stride, size_t lines,
                          const void *rule) {
  (void)rule;
  if (lines == SM_LINES)
    backward(gx, gy, y, n, stride, SM_LINES);
  else
    backward(gx, gy, y, n, stride, lines);
}

/* ---- one line without gaps ---- */

static void forward_one(real *y, const real *x, const real *unused, size_t n, const void *rule) {
  (void)unused;
  (void)rule;
  real top = -INFINITY;
  double tau = -1, count = 0, before;
#pragma omp simd reduction(max : top)
  for (size_t i = 0; i < n; i++) top = larger(x[i], top);
  do {
    double sum = 0;
    before = count;
    count = 0;
#pragma omp simd reduction(+ : sum, count)
    for (size_t i = 0; i < n; i++) {
      const double d = below(x[i], top);
      sum += d <= tau ? 0 : d;
      count += d <= tau ? 0 : 1;
    }
    const double next = (sum - 1) / count;
    tau = next <= tau ? tau : next;
  } while (count != before && tau == tau);
#pragma omp simd
  for (size_t i = 0; i < n; i++) {
    const double d = below(x[i], top);
    y[i] = d <= tau ? 0 : (real)(d - tau);
  }
}

static void backward_one(real *gx, const real *gy, const real *y, size_t n, const void *rule) {
  (void)rule;
  double sum = 0, count = 0;
#pragma omp simd reduction(+ : sum, count)
  for (size_t i = 0; i < n; i++) {
    sum += y[i] == 0 ? 0 : (double)gy[i];
    count += y[i] == 0 ? 0 : 1;
  }
  const real mean = (real)(sum / count);
#pragma omp simd
  for (size_t i = 0; i < n; i++) gx[i] = y[i] == 0 ? 0 : gy[i] - mean;
}

static const sm_line_kernel FORWARD = {forward_many, forward_one}, BACKWARD = {backward_many, backward_one};

void sm_sparsemax_forward(real *y, const real *x, const sm_axis *along) {
  sm_each_line(y, x, NULL, along, &FORWARD, NULL);
}

void sm_sparsemax_backward(real *gx, const real *gy, const real *y, const sm_axis *along) {
  sm_each_line(gx, gy, y, along, &BACKWARD, NULL);
}
