/* Softmax over mutually exclusive groups of channels: at each location exactly one option per group is on, with
   probability p = exp(x/temperature) / sum over the group. */
#ifndef SM_SOFTMAX_H
#define SM_SOFTMAX_H

#include "core/tensor.h"

typedef struct sm_groups {
  size_t channels;    /* the last axis: the sum of the sizes */
  size_t count;       /* number of groups */
  const int32_t *size; /* channels of each group, owned by the caller */
  double temperature; /* divides the logits; > 0, and within the numbers of real by a factor of 128 at either end */
  bool scale;         /* multiply by the group's size, so that the mean activation is 1 */
  bool off;           /* in every group an implicit option "none of these" with logit 0; its probability is no output */
} sm_groups;

/* SM_BAD_SHAPE when the sizes do not add up to the channels (both numbers are named), SM_BAD_VALUE for a group of one
   without `off` (it would be constant), a size below 1, or a temperature that is not positive and within its bounds. */
sm_status sm_groups_check(const sm_groups *groups, sm_error *error);

/* y (rows, channels) = softmax of x (rows, channels) in each group; safe for any finite logits and for -inf among
   them. A group whose logits are all -inf (without `off`) is uniform. y may be x. */
void sm_softmax_forward(real *y, const real *x, const sm_groups *groups, size_t rows);

/* gx = scale*p/temperature * (gy - sum over the group of p*gy), from gy and the forward pass's output y; scale is
   the group's size if `scale`, else 1. gx may be gy. */
void sm_softmax_backward(real *gx, const real *gy, const real *y, const sm_groups *groups, size_t rows);

#endif
