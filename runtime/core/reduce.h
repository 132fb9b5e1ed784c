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

/* SM_BAD_SHAPE for an axis without elements, or of more than an int32 counts. */
sm_status sm_max_check(const sm_axis *along, sm_error *error);

/* Largest element and its 0-based position; ties go to the first, NaN wins. Either output may be NULL.
   sm_max_check has let the axis pass. */
void sm_max(real *out, int32_t *position, const real *x, const sm_axis *along);

/* gx = 0 but for gx[position] = gy: the gradient of sm_max. Positions are within the axis. */
void sm_max_backward(real *gx, const real *gy, const int32_t *position, const sm_axis *along);

/* gx (outer, axis, inner) = scale * gy (outer, inner) repeated: the gradient of a sum (scale 1) or a mean. */
void sm_spread(real *gx, const real *gy, double scale, const sm_axis *along);

/* out (shape `to`) = x (shape `from`) summed over every axis that broadcasting `to` to `from` repeats: the
   gradient of broadcasting. SM_BAD_SHAPE when `to` does not broadcast to `from`; SM_NO_MEMORY for the
   scratch that several separate axes need. */
sm_status sm_sum_to(real *out, const real *x, const sm_shape *to, const sm_shape *from, sm_memory *memory,
                    sm_error *error);

/* Sum of squares in double: the length of a gradient. */
double sm_sum_of_squares(const real *x, size_t n);

/* 0-based position of the first element that is not finite; n when all are. */
size_t sm_first_not_finite(const real *x, size_t n);

#endif
