/* Which kernel computes a pass of a convolution whose numbers are ordinary (core/conv_passes.c sees to the others). */
#ifndef SM_CONV_RULE_H
#define SM_CONV_RULE_H

#include "core/conv.h"

typedef enum sm_conv_pass { SM_CONV_FORWARD, SM_CONV_BACKWARD_DATA, SM_CONV_BACKWARD_FILTER } sm_conv_pass;

/* Never SM_CONV_BY_RULE. It follows from the sizes and what conv->kernel forces. */
sm_conv_kernel sm_conv_kernel_of(const sm_conv2d *conv, sm_conv_pass pass);

#endif
