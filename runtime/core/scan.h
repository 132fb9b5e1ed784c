/* Running sums along one axis, and products, whose gradient at each element is the product of the others. See reduce.h
   for what an axis is. Both accumulate in double, in the order of the axis. */
#ifndef SM_SCAN_H
#define SM_SCAN_H

#include "core/reduce.h"

/* out (outer, axis, inner) = the sum of x up to each element, it included; backwards: from it to the end, which is the
   gradient of the other. */
void sm_cumsum(real *out, const real *x, bool backwards, const sm_axis *along);

/* out (outer, inner) = the product; 1 over an empty axis. */
void sm_prod(real *out, const real *x, const sm_axis *along);

/* gx = gy times the product of all others, also where elements are 0. */
void sm_prod_backward(real *gx, const real *gy, const real *x, const sm_axis *along);

#endif
