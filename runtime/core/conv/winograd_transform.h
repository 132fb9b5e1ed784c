/* The transforms of Winograd's method with eight points, for vectors of channels.

   Let V(n) be the 8 x n matrix that evaluates a polynomial of n coefficients at 0, 1, -1, 2, -2, 1/2, -1/2 and
   infinity (the last coefficient). The product of polynomials of m and r coefficients, m + r = 9, is
   V(8)^-1 [V(m) h * V(r) g] with * taken point by point. Its transpose in h is the convolution of m outputs
   with a filter g of r numbers over d of 8 numbers, its transpose in g is the filter's gradient:
     y  = V(m)^T [V(r) g  * V(8)^-T d]
     gg = V(r)^T [V(m) gy * V(8)^-T d].
   V(8)^-T is taken without the denominators, sm_winograd_scale, which the other side is multiplied by.
   In two dimensions each transform is applied along both axes. */
#ifndef SM_CONV_WINOGRAD_TRANSFORM_H
#define SM_CONV_WINOGRAD_TRANSFORM_H

#include "core/tile.h"

enum { SM_WINOGRAD_POINTS = 8 };

/* One over the product of a point's differences from the other finite points; 1 for infinity. */
static const real sm_winograd_scale[SM_WINOGRAD_POINTS] = {
    -1, (real)-2 / 9, (real)-2 / 9, (real)1 / 90, (real)1 / 90, (real)32 / 45, (real)32 / 45, 1};

/* The positive finite points, and the squares' coefficients a, b of (x^2 - q^2)(x^2 - r^2) = x^4 + a x^2 + b
   for the two others. */
static const struct {
  real at, a, b;
} sm_winograd_pairs[3] = {{1, (real)-4.25, 1}, {2, (real)-1.25, (real)0.25}, {(real)0.5, -5, 4}};

/* out (8) = V(n) x, for x (n) that lie x_step apart. */
SM_INLINE void sm_winograd_evaluate(sm_vector *out, const sm_vector *x, const int x_step, const int n) {
  const int even_end = (n - 1) / 2 * 2, odd_end = n / 2 * 2 - 1;
  out[0] = x[0];
  SM_UNROLL
  for (int p = 0; p < 3; p++) {
    const real at = sm_winograd_pairs[p].at, square = at * at;
    sm_vector even = x[even_end * x_step], odd = x[odd_end * x_step];
    SM_UNROLL
    for (int k = even_end - 2; k >= 0; k -= 2) even = x[k * x_step] + even * square;
    SM_UNROLL
    for (int k = odd_end - 2; k >= 1; k -= 2) odd = x[k * x_step] + odd * square;
    out[1 + 2 * p] = even + odd * at;
    out[2 + 2 * p] = even - odd * at;
  }
  out[7] = x[(n - 1) * x_step];
}

/* out (n) = V(n)^T x. */
SM_INLINE void sm_winograd_collect(sm_vector *out, const sm_vector *x, const int x_step, const int n) {
  sm_vector even[3], odd[3];
  SM_UNROLL
  for (int p = 0; p < 3; p++) {
    even[p] = x[(1 + 2 * p) * x_step] + x[(2 + 2 * p) * x_step];
    odd[p] = x[(1 + 2 * p) * x_step] - x[(2 + 2 * p) * x_step];
  }
  real power[3] = {1, 1, 1};
  SM_UNROLL
  for (int k = 0; k < n; k++) {
    const sm_vector *part = k % 2 ? odd : even;
    sm_vector sum = part[0] + part[1] * power[1] + part[2] * power[2];
    if (k == 0) sum += x[0];
    if (k == n - 1) sum += x[7 * x_step];
    out[k] = sum;
    power[1] *= sm_winograd_pairs[1].at;
    power[2] *= sm_winograd_pairs[2].at;
  }
}

/* out (8) = V(8)^-T x without the denominators: finite point p has the coefficients of the product of
   (x - q) over the other finite points q, infinity those of the product over all. */
SM_INLINE void sm_winograd_spread(sm_vector *out, const sm_vector *x, const int x_step) {
  const real all = (real)5.25; /* x (x^2 - 1)(x^2 - 4)(x^2 - 1/4) = x^7 - 5.25 x^5 + 5.25 x^3 - x */
  out[0] = (x[6 * x_step] - x[0]) + (x[2 * x_step] - x[4 * x_step]) * all;
  SM_UNROLL
  for (int p = 0; p < 3; p++) {
    const real a = sm_winograd_pairs[p].a, b = sm_winograd_pairs[p].b, at = sm_winograd_pairs[p].at;
    sm_vector even = x[6 * x_step] + x[4 * x_step] * a + x[2 * x_step] * b;
    sm_vector odd = x[5 * x_step] + x[3 * x_step] * a + x[1 * x_step] * b;
    out[1 + 2 * p] = even + odd * at;
    out[2 + 2 * p] = even - odd * at;
  }
  out[7] = (x[7 * x_step] - x[1 * x_step]) + (x[3 * x_step] - x[5 * x_step]) * all;
}

#endif
