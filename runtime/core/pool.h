/* Pooling of NHWC images over the windows of window.h, whose strides may differ. Padding never takes part: it is below
   every value for the maximum and, unless that is asked for, not counted by the average. Windows that hold no pixel of
   the image are refused by the plan. */
#ifndef SM_POOL_H
#define SM_POOL_H

#include "core/window.h"

/* sm_window_plan, and SM_BAD_VALUE where a window would hold no pixel or, for the maximum, more than INT_MAX.
   *out = (batch, out_height, out_width, channels). */
sm_status sm_maxpool_plan(sm_window *window, sm_shape *out, const sm_shape *x, size_t kernel_height,
                          size_t kernel_width, const sm_window_options axes[2], sm_error *error);
sm_status sm_avgpool_plan(sm_window *window, sm_shape *out, const sm_shape *x, size_t kernel_height,
                          size_t kernel_width, const sm_window_options axes[2], sm_error *error);

/* What holds a position in a window: a byte where there are at most 256, else SM_INT32. */
sm_dtype sm_maxpool_position_type(const sm_window *window);

/* y = the largest value of each window, NaN if there is one; which (same shape as y, of the type above, or NULL) = its
   position in the window, row by row from 0; ties go to the first. With relu, y is relu of that, which is the largest
   of relu's values. Both passes of both pools write every element of their outputs. */
void sm_maxpool_forward(real *y, void *which, const real *x, bool relu, const sm_window *window);

/* Whether all positions, as sm_maxpool_forward gives them, lie within the window. */
bool sm_maxpool_positions_fit(const void *which, const sm_window *window);

/* source (of y's shape) = the element of its image {height, width, channels} that each maximum is, from 0. Images have
   at most INT32_MAX elements. */
void sm_maxpool_sources(int32_t *source, const void *which, const sm_window *window);

/* y: what the forward pass gave with relu, NULL without. */
void sm_maxpool_backward(real *gx, const real *gy, const void *which, const real *y, const sm_window *window);

/* The mean of each window. count_padding: a sum is divided by the window's elements on the image and its padding, not
   beyond. */
void sm_avgpool_forward(real *y, const real *x, bool count_padding, const sm_window *window);
void sm_avgpool_backward(real *gx, const real *gy, bool count_padding, const sm_window *window);

#endif
