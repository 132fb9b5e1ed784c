#ifndef SM_DROPOUT_H
#define SM_DROPOUT_H

#include "core/rng.h"

/* out = x kept with probability 1-p and scaled by 1/(1-p), else 0. The same call with the gradient in place
   of x is the backward pass, so no mask is stored. 0 <= p <= SM_DROPOUT_MOST: a draw has 24 bits, and with fewer left
   none would be kept. */
#define SM_DROPOUT_MOST (1 - 0x1p-24)
void sm_dropout(real *out, const real *x, const sm_rng *rng, double p, size_t n);

#endif
