/* The bootstrap: means of what is drawn from a few values, again and again. */
#ifndef SM_RESAMPLE_H
#define SM_RESAMPLE_H

#include <stddef.h>

#include "core/tensor.h"

/* *low, *high = the mean that is number `beyond` (at least 1, at most resamples) from the least and from the greatest,
   of the means of `resamples` samples of `count` values each. draws is (resamples, count), from 0 to 1: which value is
   taken. A sum is over the draws in their order. scratch: 2 * beyond numbers. */
void sm_resample(double *low, double *high, const double *values, const real *draws, size_t beyond, double *scratch,
                 size_t count, size_t resamples);

#endif
