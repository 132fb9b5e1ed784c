/* Softmax over groups of one size: the kernels behind core/softmax.h. */
#ifndef SM_SOFTMAX_GROUPS_H
#define SM_SOFTMAX_GROUPS_H

#include "core/tensor.h"

enum { SM_GROUPS_TOGETHER = 64 / sizeof(real) /* numbers in the widest vector register */ };

/* What every group of a call has in common. */
typedef struct sm_group_rule {
  real inverse; /* 1/temperature */
  bool scale, off;
} sm_group_rule;

/* y = softmax of x in `count` groups of `size` channels, each beginning `stride` elements after the one before; y may
   be x. Where groups do not adjoin (stride > size), SM_GROUPS_TOGETHER at a time are fastest. */
void sm_equal_groups_forward(real *y, const real *x, sm_group_rule rule, size_t count, size_t stride, size_t size);

/* gx from gy and the forward pass's y, as in sm_softmax_backward; gx may be gy. */
void sm_equal_groups_backward(real *gx, const real *gy, const real *y, sm_group_rule rule, size_t count, size_t stride,
                              size_t size);

#endif
