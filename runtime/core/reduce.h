/* Reductions along one axis. A tensor is seen as (outer, axis, inner); the result is (outer, inner).
   Sums accumulate in double, in an order that depends on the sizes alone. */
#ifndef SM_REDUCE_H
#define SM_REDUCE_H

#include "core/tensor.h"

typedef struct sm_axis {
  size_t outer, axis, inner;
} sm_axis;

/* axis: 0-based, already checked; axis < 0: over all elements, (1, count, 1). */
sm_axis sm_axis_of(const sm_shape *shape, int axis);

void sm_sum(real *out, const real *x, const sm_axis *along);  /* 0 over an empty axis */
void sm_mean(real *out, const real *x, const sm_axis *along); /* NaN over an empty axis, as in NumPy */

void sm_norm(real *out, const real *x, const sm_axis *along); /* the root of the sum of squares */

/* out = the sum of (x - mean)², which is 0 over an empty axis, where the mean is NaN. */
void sm_squares(real *out, real *mean, const real *x, const sm_axis *along);

/* out (width) = the sum over the rows of x (rows, width), which are a batch's: by parts (core/parts.h), each of which
   is rounded to real before it is added to others. */
void sm_sum_batch(real *out, const real *x, size_t rows, size_t width);

/* The sum of n elements, by parts in double: a loss. */
double sm_sum_all(const real *x, size_t n);

/* gx (outer, axis, inner) = scale * gy (outer, inner) repeated: the gradient of a sum (scale 1) or a mean. */
void sm_spread(real *gx, const real *gy, double scale, const sm_axis *along);

/* out (shape `to`) = x (shape `from`) summed over every axis that broadcasting `to` to `from` repeats: the
   gradient of broadcasting. Where that repeats the first axis of x, a batch's, the sum over it is that of sm_sum_batch;
   sums over others are made before. SM_BAD_SHAPE when `to` does not broadcast to `from`; SM_NO_MEMORY for the
   scratch that several separate axes need. */
sm_status sm_sum_to(real *out, const real *x, const sm_shape *to, const sm_shape *from, sm_memory *memory,
                    sm_error *error);

/* Sum of squares in double: the length of a gradient. */
double sm_sum_of_squares(const real *x, size_t n);

/* 0-based position of the first element that is not finite; n when all are. */
size_t sm_first_not_finite(const real *x, size_t n);

#endif
