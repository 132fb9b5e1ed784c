/* Convolution by patches: images are unfolded (im2col) a few rows at a time, so that the patches stay in the
   cache, and multiplied with the filters in serial BLAS, a chunk of the batch per thread. It takes every shape but
   groups, and is the reference of the others. Arguments, scratch and results are those of the functions in
   core/conv.h. */
#ifndef SM_CONV_IM2COL_H
#define SM_CONV_IM2COL_H

#include "core/conv.h"

bool sm_conv_im2col_takes(const sm_conv2d *conv);

size_t sm_conv_im2col_forward_scratch(const sm_conv2d *conv);
size_t sm_conv_im2col_backward_data_scratch(const sm_conv2d *conv);
size_t sm_conv_im2col_backward_filter_scratch(const sm_conv2d *conv);

void sm_conv_im2col_forward(real *y, const real *x, const real *w, const real *bias, void *scratch,
                            const sm_conv2d *conv);
void sm_conv_im2col_backward_data(real *gx, const real *gy, const real *w, void *scratch,
                                  const sm_conv2d *conv);
void sm_conv_im2col_backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                                    const sm_conv2d *conv);

#endif
