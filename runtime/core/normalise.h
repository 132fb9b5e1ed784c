/* Numbers brought to mean 0 and variance 1 in groups, then scaled and shifted channel by channel:
   y = weight * (x - mean) / sqrt(variance + epsilon) + bias. Forward and backward each read their inputs twice, or once
   where a group is in one row, and write once. */
#ifndef SM_NORMALISE_H
#define SM_NORMALISE_H

#include <stdbool.h>

#include "core/tensor.h"

/* x is (outer, rows, channels). The channels are in `groups` groups of neighbours, all of one size. In each `outer` a
   group has a mean and a variance (over their number, biased) of its channels in all rows. So layers are normalised
   with rows = 1 and one group, groups of an image's channels with outer = images, and batches with outer = 1 and a
   group for every channel. */
typedef struct sm_normalisation {
  size_t outer, rows, channels, groups;
  double epsilon; /* > 0 */
} sm_normalisation;

/* *bytes of scratch for either pass; false where that is more than a pointer can reach. */
bool sm_normalise_scratch(size_t *bytes, const sm_normalisation *of);

/* mean and variance are (outer, groups). weight and bias (channels) may be NULL: 1 and 0. With rows > 1 there may come
   more in the same pass: `beside`, of x's shape or NULL, is added, and then relu taken. relu is 0 for none, and else
   the limit that it keeps below: INFINITY, or 6 as relu6 has it. */
void sm_normalise_forward(real *y, real *mean, real *variance, const real *x, const real *weight, const real *bias,
                          const real *beside, double relu, const sm_normalisation *of, void *scratch);

/* With z = (x - mean) / sqrt(variance + epsilon) and g = weight * gy, and means over a group in all rows:
   gx = (g - mean(g) - z * mean(g * z)) / sqrt(variance + epsilon); gw = sum of gy * z, gb = sum of gy (channels), over
   all rows of all `outer`. gw and gb may be NULL, gx may be gy.
   Where relu came after, gy is first set to 0 where relu was, or the limit; bias is read for that alone. Where
   something was added before relu, y is what the forward pass gave, and `passed`, not NULL, becomes that gradient,
   which is also that of what was added; it may be gy, and then gx may not. Otherwise y and passed are NULL. */
void sm_normalise_backward(real *gx, real *gw, real *gb, real *passed, const real *gy, const real *x, const real *y,
                           const real *mean, const real *variance, const real *weight, const real *bias, double relu,
                           const sm_normalisation *of, void *scratch);

/* running (n) = keep * running + (1 - keep) * batch. */
void sm_normalise_follow(real *running, const real *batch, double keep, size_t n);

#endif
