/* The logarithm of the softmax in short groups that lie one after the other. */
#ifndef SM_SOFTMAX_LOG_H
#define SM_SOFTMAX_LOG_H

#include "core/softmax_groups.h"

/* Whether `size` is a power of two that a vector holds: only such groups are computed here. */
bool sm_groups_are_packed(size_t size);

/* y = log-softmax of x in `count` groups; rule.scale is not read. y may be x. */
void sm_packed_log_forward(real *y, const real *x, sm_group_rule rule, size_t count, size_t size);

/* gx = (gy - exp(y) * the sum of gy over the group) / temperature, from the forward pass's y; gx may be gy. */
void sm_packed_log_backward(real *gx, const real *gy, const real *y, sm_group_rule rule, size_t count, size_t size);

#endif
