/* Convolution and max-pool of its results in one pass: these are pooled while they are in the cache, and not kept. */
#ifndef SM_CONV_MAXPOOL_H
#define SM_CONV_MAXPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/conv/conv.h"

/* y and which: what sm_maxpool_forward (core/pool.h) gives of what sm_conv2d_forward gives, bit for bit. `pool` is over
   images of conv's results. scratch: sm_conv2d_forward_each_scratch(conv) bytes. */
void sm_conv2d_maxpool_forward(real *y, void *which, const real *x, const real *w, const real *bias,
                               bool relu, void *scratch, const sm_conv2d *conv, const sm_window *pool);

#endif
