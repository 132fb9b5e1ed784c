/* Convolution by the Fourier transform, of images that fit, with their padding on one side, into 16 x 16 pixels: there
   it multiplies spectra, 128 complex numbers of an image, so that a pixel of 14x14 costs 2.6 multiplications per
   channel and filter whatever the filter's size. Mathieu, Henaff and LeCun 2013, arxiv.org/abs/1312.5851; against
   Winograd's method on processors Zlateski, Jia, Li and Durand 2018, arxiv.org/abs/1809.07851.

   Rounding is relative to the largest number of an image, and an infinity or NaN spreads over it: images that the
   method does not bear do not come here (core/conv_range.h).

   Arguments, scratch and results are those of the functions in core/conv.h. */
#ifndef SM_CONV_FOURIER_H
#define SM_CONV_FOURIER_H

#include <stdbool.h>

#include "core/conv.h"

/* Whether the method can compute a convolution: stride 1, channels and filters in multiples of SM_FOURIER_CHANNELS,
   and no window that reaches around 16 x 16 pixels from one side of its image to the other. */
enum { SM_FOURIER_CHANNELS = 16 };
bool sm_conv_fourier_takes(const sm_conv2d *conv);

/* Multiplications of an image per channel and filter. */
enum { SM_FOURIER_PRODUCTS = 508 };

size_t sm_conv_fourier_forward_scratch(const sm_conv2d *conv);
size_t sm_conv_fourier_backward_data_scratch(const sm_conv2d *conv);
size_t sm_conv_fourier_backward_filter_scratch(const sm_conv2d *conv);

void sm_conv_fourier_forward(real *y, const real *x, const real *w, const real *bias, void *scratch,
                             const sm_conv2d *conv);
void sm_conv_fourier_forward_each(sm_conv2d_task *task, const void *work, const real *x, const real *w,
                                  const real *bias, void *scratch, const sm_conv2d *conv);
void sm_conv_fourier_backward_data(real *gx, const real *gy, const real *w, void *scratch,
                                   const sm_conv2d *conv);
void sm_conv_fourier_backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                                     const sm_conv2d *conv);

#endif
