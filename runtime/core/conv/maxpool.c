#include "core/conv/maxpool.h"

#include <stddef.h>

#include "core/pool.h"

typedef struct pooling {
  real *y;
  char *which;
  bool relu;
  sm_window pool; /* over one image */
} pooling;

static void pool_image(const void *work, size_t image, real *result) {
  const pooling *of = work;
  size_t first = image * of->pool.out_height * of->pool.out_width * of->pool.channels;
  size_t bytes = first * sm_dtype_bytes(sm_maxpool_position_type(&of->pool));
  sm_maxpool_forward(of->y + first, of->which ? of->which + bytes : NULL, result, of->relu, &of->pool);
}

void sm_conv2d_maxpool_forward(real *y, void *which, const real *x, const real *w, const real *bias,
                               bool relu, void *scratch, const sm_conv2d *conv, const sm_window *pool) {
  pooling of = {y, which, relu, *pool};
  of.pool.batch = 1;
  sm_conv2d_forward_each(pool_image, &of, x, w, bias, scratch, conv);
}
