/* NHWC images in another size: each pixel the nearest one, or interpolated between the four around it. */
#ifndef SM_UPSAMPLE_H
#define SM_UPSAMPLE_H

#include "core/tensor.h"

/* One axis. Position i of the result is at i * step / per of the image, with `linear` at (i + 1/2) * step / per - 1/2,
   unless `corners`, where it is as without. The nearest pixel is the one before. */
typedef struct sm_upsample_axis {
  size_t size, positions; /* pixels of the image and of the result; neither is 0 */
  double step, per;
} sm_upsample_axis;

typedef struct sm_upsample {
  size_t batch, channels;
  sm_upsample_axis down, across;
  bool linear;
  bool corners; /* positions of the corners coincide: the caller's step and per */
} sm_upsample;

size_t sm_upsample_scratch(const sm_upsample *of); /* bytes, for each pass */

/* y (batch, down.positions, across.positions, channels) from x (batch, down.size, across.size, channels) */
void sm_upsample_forward(real *y, const real *x, void *scratch, const sm_upsample *of);

/* The adjoint. */
void sm_upsample_backward(real *gx, const real *gy, void *scratch, const sm_upsample *of);

#endif
