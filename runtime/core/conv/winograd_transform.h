/* The transforms of Winograd's method, for vectors of channels.

   Let V(n) be the matrix that evaluates a polynomial of n coefficients at N points: 0, the pairs p and -p of
   sm_winograd_pairs, and infinity (the last coefficient). The product of polynomials of m and r coefficients,
   m + r = N + 1, is V(N)^-1 [V(m) h * V(r) g] with * taken point by point. Its transpose in h is the convolution of m
   outputs with a filter g of r numbers over d of N numbers, its transpose in g is the filter's gradient:
     y  = V(m)^T [V(r) g  * V(N)^-T d]
     gg = V(r)^T [V(m) gy * V(N)^-T d].
   V(N)^-T is taken without the denominators, sm_winograd_scale, which the other side is multiplied by.
   In two dimensions each transform is applied along both axes. N and n are constants where this is called, so that the
   loops vanish.

   The six points' rounding error was the least of the symmetric ones whose numbers are short, next to that of direct
   sums 2.1 times against 4.3 times with 1 and 2. Of eight, those with 1/2, 1 and 2 have the least. Barabasz, Anderson,
   Soodhalter and Gregg 2020, "Error analysis and improving the accuracy of Winograd convolution for deep neural
   networks", arxiv.org/abs/1803.10986, say why numbers near 1 on both sides are good. */
#ifndef SM_CONV_WINOGRAD_TRANSFORM_H
#define SM_CONV_WINOGRAD_TRANSFORM_H

#include "core/tile.h"

enum { SM_WINOGRAD_MOST = 8 /* points */ };

/* The positive finite ones of six and of eight points. */
static const real sm_winograd_pairs[2][3] = {{(real)0.6875, (real)1.375}, {1, 2, (real)0.5}};

SM_INLINE const real *sm_winograd_pairs_of(const int points) { return sm_winograd_pairs[points == 8]; }

SM_INLINE real sm_winograd_square(const int points, int pair) {
  real at = sm_winograd_pairs_of(points)[pair];
  return at * at;
}

/* One over the product of a point's differences from the other finite points; 1 for infinity. */
SM_INLINE real sm_winograd_scale(const int points, size_t point) {
  const int pairs = points / 2 - 1, own = ((int)point - 1) / 2;
  real product = 1;
  if (point == (size_t)points - 1) return 1;
  for (int p = 0; p < pairs; p++) {
    real square = sm_winograd_square(points, p);
    if (point == 0) product *= -square;
    else product *= p == own ? 2 * square : sm_winograd_square(points, own) - square;
  }
  return 1 / product;
}

/* out (points) = V(n) x, for x (n) that lie x_step apart. */
SM_INLINE void sm_winograd_evaluate(sm_vector *out, const sm_vector *x, const int x_step, const int n,
                                    const int points) {
  const int pairs = points / 2 - 1, even_end = (n - 1) / 2 * 2, odd_end = n / 2 * 2 - 1;
  out[0] = x[0];
  SM_UNROLL
  for (int p = 0; p < pairs; p++) {
    const real at = sm_winograd_pairs_of(points)[p], square = at * at;
    sm_vector even = x[even_end * x_step], odd = x[odd_end * x_step];
    SM_UNROLL
    for (int k = even_end - 2; k >= 0; k -= 2) even = x[k * x_step] + even * square;
    SM_UNROLL
    for (int k = odd_end - 2; k >= 1; k -= 2) odd = x[k * x_step] + odd * square;
    out[1 + 2 * p] = even + odd * at;
    out[2 + 2 * p] = even - odd * at;
  }
  out[points - 1] = x[(n - 1) * x_step];
}

/* out (n) = V(n)^T x. */
SM_INLINE void sm_winograd_collect(sm_vector *out, const sm_vector *x, const int x_step, const int n,
                                   const int points) {
  const int pairs = points / 2 - 1;
  sm_vector even[3], odd[3];
  real power[3] = {1, 1, 1};
  SM_UNROLL
  for (int p = 0; p < pairs; p++) {
    even[p] = x[(1 + 2 * p) * x_step] + x[(2 + 2 * p) * x_step];
    odd[p] = x[(1 + 2 * p) * x_step] - x[(2 + 2 * p) * x_step];
  }
  SM_UNROLL
  for (int k = 0; k < n; k++) {
    const sm_vector *part = k % 2 ? odd : even;
    sm_vector sum = part[0] * power[0];
    SM_UNROLL
    for (int p = 1; p < pairs; p++) sum += part[p] * power[p];
    if (k == 0) sum += x[0];
    if (k == n - 1) sum += x[(points - 1) * x_step];
    out[k] = sum;
    SM_UNROLL
    for (int p = 0; p < pairs; p++) power[p] *= sm_winograd_pairs_of(points)[p];
  }
}

/* out (points) = V(points)^-T x without the denominators: finite point p has the coefficients of the product of
   (x - q) over the other finite points q, infinity those of the product over all. A pair's are those of x^2 - q^2 over
   the other pairs, times x (x + p) and x (x - p). */
SM_INLINE void sm_winograd_spread(sm_vector *out, const sm_vector *x, const int x_step, const int points) {
  const int pairs = points / 2 - 1;
  SM_UNROLL
  for (int p = -1; p < pairs; p++) { /* -1: over all pairs */
    real of_power[4] = {0, 0, 0, 1}; /* coefficients of (x^2)^0 and so on, the last of the highest power */
    int count = 0;
    SM_UNROLL
    for (int q = 0; q < pairs; q++) {
      if (q == p) continue;
      count++;
      SM_UNROLL
      for (int k = 3 - count; k < 3; k++) of_power[k] -= sm_winograd_square(points, q) * of_power[k + 1];
    }
    sm_vector even = x[2 * count * x_step], odd = x[(2 * count + 1) * x_step];
    if (p >= 0) even = x[(2 * count + 2) * x_step];
    SM_UNROLL
    for (int k = count - 1; k >= 0; k--) {
      even += x[(2 * k + (p >= 0 ? 2 : 0)) * x_step] * of_power[3 - count + k];
      odd += x[(2 * k + 1) * x_step] * of_power[3 - count + k];
    }
    if (p < 0) {
      out[0] = even;
      out[points - 1] = odd;
    } else {
      const real at = sm_winograd_pairs_of(points)[p];
      out[1 + 2 * p] = even + odd * at;
      out[2 + 2 * p] = even - odd * at;
    }
  }
}

#endif
