/* What windows see of NHWC images, as rows of a matrix: im2col, and its adjoint. */
#ifndef SM_UNFOLD_H
#define SM_UNFOLD_H

#include "core/window.h"

/* patches (batch, out_height, out_width, kernel_height, kernel_width, channels) = what each window sees; 0 in
   padding. */
void sm_unfold(real *patches, const real *x, const sm_window *window);

/* The adjoint: x = the sum of what patches have of each pixel. */
void sm_fold(real *x, const real *patches, const sm_window *window);

#endif
