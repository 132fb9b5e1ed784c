/* Convolution by Winograd's method: tiles of the images and the filters are taken for polynomials, evaluated at
   eight points on each axis, multiplied point by point, and the products brought back. A 5x5 filter then costs 4
   multiplications per pixel instead of 25, a 3x3 filter 1.8 instead of 9, besides the transforms, which the
   channels share. Winograd 1980, "Arithmetic Complexity of Computations"; for convolutional networks Lavin and
   Gray 2015, arxiv.org/abs/1509.09308.

   Sums run through products of larger numbers than in the direct method, so that rounding is about ten times
   larger relative to the largest number that a tile sees, and an infinity or NaN spreads over its tile: images that it
   does not bear do not come here (core/conv_range.h).

   Arguments, scratch and results are those of the functions in core/conv.h. */
#ifndef SM_CONV_WINOGRAD_H
#define SM_CONV_WINOGRAD_H

#include <stdbool.h>

#include "core/conv.h"

/* Whether the method can compute a convolution: filters of 3x3 or 5x5, stride 1, and channels and filters in
   multiples of SM_WINOGRAD_CHANNELS. */
enum { SM_WINOGRAD_CHANNELS = 16 };
bool sm_conv_winograd_takes(const sm_conv2d *conv);

/* Tiles of the output, and of the input for the data gradient. Each costs so many multiplications per channel and
   filter. */
enum { SM_WINOGRAD_PRODUCTS = 64 };
size_t sm_conv_winograd_tiles(const sm_conv2d *conv);
size_t sm_conv_winograd_input_tiles(const sm_conv2d *conv);

size_t sm_conv_winograd_forward_scratch(const sm_conv2d *conv);
size_t sm_conv_winograd_backward_data_scratch(const sm_conv2d *conv);
size_t sm_conv_winograd_backward_filter_scratch(const sm_conv2d *conv);

void sm_conv_winograd_forward(real *y, const real *x, const real *w, const real *bias, void *scratch,
                              const sm_conv2d *conv);
void sm_conv_winograd_backward_data(real *gx, const real *gy, const real *w, void *scratch,
                                    const sm_conv2d *conv);
void sm_conv_winograd_backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                                      const sm_conv2d *conv);

#endif
