/* Convolution without patches, by tiles of sums in registers (core/tile.h). It takes every shape;
   vectors lie along the output channels, so that with few of them vectors are partly idle. Arguments,
   scratch and results are those of the functions in core/conv.h. Each element of an image is one sum in one
   order, however the work is cut; the filter gradient is cut into chunks by its sizes alone. */
#ifndef SM_CONV_DIRECT_H
#define SM_CONV_DIRECT_H

#include "core/conv.h"

size_t sm_conv_direct_forward_scratch(const sm_conv2d *conv);
size_t sm_conv_direct_forward_each_scratch(const sm_conv2d *conv);
size_t sm_conv_direct_backward_data_scratch(const sm_conv2d *conv);
size_t sm_conv_direct_backward_filter_scratch(const sm_conv2d *conv);

void sm_conv_direct_forward(real *y, const real *x, const real *w, const real *bias, void *scratch,
                            const sm_conv2d *conv);
void sm_conv_direct_forward_each(sm_conv2d_task *task, const void *work, const real *x, const real *w,
                                 const real *bias, void *scratch, const sm_conv2d *conv);
void sm_conv_direct_backward_data(real *gx, const real *gy, const real *w, void *scratch,
                                  const sm_conv2d *conv);
void sm_conv_direct_backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                                    const sm_conv2d *conv);

#endif
