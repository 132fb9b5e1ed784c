/* Sparsemax: the point of the probability simplex that is nearest to x. Martins and Astudillo 2016,
   arxiv.org/abs/1602.02068. */
#ifndef SM_SPARSEMAX_H
#define SM_SPARSEMAX_H

#include "core/reduce.h"

/* y = max(x - tau, 0) along the axis, both (outer, axis, inner), with the tau for which each line of y adds up to 1.
   Safe for any finite x and for -inf; equal infinities that are the largest share alike; NaN spoils its line. y may be
   x. */
void sm_sparsemax_forward(real *y, const real *x, const sm_axis *along);

/* gx = gy - its mean over the line's elements that have y > 0, and 0 at the others. gx may be gy. It is its own
   gradient by gy. */
void sm_sparsemax_backward(real *gx, const real *gy, const real *y, const sm_axis *along);

#endif
