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
  bool batch;     /* whether the rows are a batch's; then outer is 1 and every channel is a group. Else outer is */
} sm_normalisation;

/* Sums over a batch go by parts (core/parts.h): those of gw and gb in real; what a batch is normalised by in double,
   from means and sums of squares around them, which are merged as a tree. So several ranks normalise by the batch of
   all: each gives its own statistics or sums, all get all of them, and go on with what sm_normalise_merge or the
   addition of ranks as a tree makes of them. */
enum { SM_NORMALISE_SUMS = 2 /* numbers of each channel: (2, channels) */ };

/* *statistics (2, channels) = the means, and the sums of the squared distances from them, of x's rows, a batch's. */
void sm_normalise_statistics(double *statistics, const real *x, const sm_normalisation *of, void *scratch);

/* statistics (ranks, 2, channels), of `rows` rows each: the first becomes that of all. */
void sm_normalise_merge(double *statistics, size_t ranks, size_t rows, size_t channels);

/* *bytes of scratch for either pass; false where that is more than a pointer can reach. */
bool sm_normalise_scratch(size_t *bytes, const sm_normalisation *of);

/* mean and variance are (outer, groups). weight and bias (channels) may be NULL: 1 and 0. With rows > 1 there may come
   more in the same pass: `beside`, of x's shape or NULL, is added, and then relu taken. relu is 0 for none, and else
   the limit that it keeps below: INFINITY, or 6 as relu6 has it. statistics (2, channels): those of a batch of all
   ranks; NULL: of this one alone. */
void sm_normalise_forward(real *y, real *mean, real *variance, const real *x, const real *weight, const real *bias,
                          const real *beside, double relu, const double *statistics, const sm_normalisation *of,
                          void *scratch);

/* With z = (x - mean) / sqrt(variance + epsilon) and g = weight * gy, and means over a group in all rows:
   gx = (g - mean(g) - z * mean(g * z)) / sqrt(variance + epsilon); gw = sum of gy * z, gb = sum of gy (channels), over
   all rows of all `outer`. gw and gb may be NULL, gx may be gy.
   Where relu came after, gy is first set to 0 where relu was, or the limit; bias is read for that alone. Where
   something was added before relu, y is what the forward pass gave, and `passed`, not NULL, becomes that gradient,
   which is also that of what was added; it may be gy, and then gx may not. Otherwise y and passed are NULL.
   gx is NULL for the first half of a batch's pass: then `sums` (2, channels) become those that the second half needs of
   all ranks. For that half gw and gb are NULL, gy is what passed became, if there is one, and `sums` are those of all
   ranks, added. Else sums is NULL. */
void sm_normalise_backward(real *gx, real *gw, real *gb, real *passed, const real *gy, const real *x, const real *y,
                           const real *mean, const real *variance, const real *weight, const real *bias, double relu,
                           double *sums, const sm_normalisation *of, void *scratch);

/* running (n) = keep * running + (1 - keep) * batch. */
void sm_normalise_follow(real *running, const real *batch, double keep, size_t n);

#endif
