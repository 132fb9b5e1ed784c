/* The logarithm of a sum of exponentials along one axis. See reduce.h for what an axis is. */
#ifndef SM_LOGSUMEXP_H
#define SM_LOGSUMEXP_H

#include "core/reduce.h"

/* out = log(sum of exp x), safe for large x; -inf over an empty axis. Adds in double, in an order that depends on the
   sizes alone. */
void sm_logsumexp(real *out, const real *x, const sm_axis *along);

#endif
