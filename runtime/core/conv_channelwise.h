/* Convolution of groups that would not fill a vector; depthwise ones have a channel each. Vectors lie along the
   results' channels, across the groups, so that no lane is idle: each lane is multiplied with the source channels of
   its own group, one term after the other. Where a group is one channel on either side these are where the lanes are;
   else source rows are first laid out so. Padding is left out of the sums.

   Arguments, scratch and results are those of the functions in core/conv.h. */
#ifndef SM_CONV_CHANNELWISE_H
#define SM_CONV_CHANNELWISE_H

#include "core/conv.h"
#include "core/conv_rule.h"

/* Whether a pass has groups, and few results of each. */
bool sm_conv_channelwise_takes(const sm_conv2d *conv, sm_conv_pass pass);

size_t sm_conv_channelwise_forward_scratch(const sm_conv2d *conv);
size_t sm_conv_channelwise_backward_data_scratch(const sm_conv2d *conv);
size_t sm_conv_channelwise_backward_filter_scratch(const sm_conv2d *conv);

void sm_conv_channelwise_forward(real *y, const real *x, const real *w, const real *bias, void *scratch,
                                 const sm_conv2d *conv);
void sm_conv_channelwise_backward_data(real *gx, const real *gy, const real *w, void *scratch, const sm_conv2d *conv);
void sm_conv_channelwise_backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                                         const sm_conv2d *conv);

#endif
