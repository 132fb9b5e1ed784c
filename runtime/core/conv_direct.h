/* Convolution without patches: register tiles of sums over pixels or filter rows times two vectors of channels,
   in GNU vector extensions. It takes any number of output channels; below SM_CONV_DIRECT_CHANNELS most of a
   vector is idle. Arguments, scratch and results are those of the functions in core/conv.h. */
#ifndef SM_CONV_DIRECT_H
#define SM_CONV_DIRECT_H

#include "core/conv.h"

size_t sm_conv_direct_forward_scratch(const sm_conv2d *conv);
size_t sm_conv_direct_backward_data_scratch(const sm_conv2d *conv);
size_t sm_conv_direct_backward_filter_scratch(const sm_conv2d *conv);

void sm_conv_direct_forward(real *y, const real *x, const real *w, const real *bias, void *scratch,
                            const sm_conv2d *conv);
void sm_conv_direct_backward_data(real *gx, const real *gy, const real *w, void *scratch,
                                  const sm_conv2d *conv);
void sm_conv_direct_backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                                    const sm_conv2d *conv);

#endif
