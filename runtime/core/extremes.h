/* The largest and the smallest element along one axis. See reduce.h for what an axis is. */
#ifndef SM_EXTREMES_H
#define SM_EXTREMES_H

#include "core/reduce.h"

/* SM_BAD_SHAPE for an axis without elements, or of more than an int32 counts. */
sm_status sm_extremes_check(const sm_axis *along, sm_error *error);

/* Largest, or smallest, element and its 0-based position; ties go to the first, NaN wins. Either output may be NULL.
   sm_extremes_check has let the axis pass. */
void sm_max(real *out, int32_t *position, const real *x, const sm_axis *along);
void sm_min(real *out, int32_t *position, const real *x, const sm_axis *along);

/* gx = 0 but for gx[position] = gy: the gradient of both. Positions are within the axis. */
void sm_extremes_backward(real *gx, const real *gy, const int32_t *position, const sm_axis *along);

#endif
