/* Softmax along one axis, which need not be the last, and its logarithm. */
#ifndef SM_SOFTMAX_AXIS_H
#define SM_SOFTMAX_AXIS_H

#include "core/reduce.h"

typedef struct sm_softmax_rule {
  real inverse; /* 1/temperature, a positive number */
  bool scale;   /* multiplies by the elements of the axis; not with log */
  bool off;     /* one more option, with logit 0, which is no output */
  bool log;     /* the logarithm of the probabilities: x/temperature - log(sum of exp(x/temperature)) */
} sm_softmax_rule;

/* y = softmax of x along the axis, both (outer, axis, inner). As sm_softmax_forward where numbers are not finite. y may
   be x. */
void sm_softmax_axis_forward(real *y, const real *x, const sm_axis *along, const sm_softmax_rule *rule);

/* gx = scale*p/temperature * (gy - sum of p*gy), with log (gy - p * sum of gy)/temperature, from gy and the forward
   pass's output y. gx may be gy. */
void sm_softmax_axis_backward(real *gx, const real *gy, const real *y, const sm_axis *along,
                              const sm_softmax_rule *rule);

#endif
