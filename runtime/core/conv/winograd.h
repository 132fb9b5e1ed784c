/* The filter gradient of core/conv/winograd.c, which has a file of its own. */
#ifndef SM_CONV_WINOGRAD_H
#define SM_CONV_WINOGRAD_H

#include "core/conv/method.h"

size_t sm_conv_winograd_chunks(const sm_conv2d *conv);
size_t sm_conv_winograd_backward_filter_scratch(const sm_conv2d *conv);
void sm_conv_winograd_backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                                const sm_conv2d *conv);

#endif
