#include "core/scan.h"

#include "core/reduce_tile.h"

typedef struct scan {
  real *out;
  const real *x, *gy;
  const sm_axis *along;
  bool backwards;
} scan;

/* Of a result with as many elements as x: nothing counts along the giant axes of one without any. */
static void run_whole(sm_task *tile, const scan *work) {
  if (sm_elements_of(work->along) > 0) sm_parallel(sm_tile_count(work->along), sm_elements_of(work->along), tile, work);
}

static void run(sm_task *tile, const scan *work) {
  sm_parallel(sm_tile_count(work->along), sm_elements_of(work->along), tile, work);
}

static void cumsum_tile(const void *work, size_t task) {
  const scan *of = work;
  const size_t rows = of->along->axis, stride = of->along->inner;
  sm_result_tile tile = sm_tile_of(of->along, task);
  if (stride == 1) { /* one column */
    double sum = 0;
    for (size_t k = 0; k < rows; k++) {
      size_t at = tile.from + (of->backwards ? rows - 1 - k : k);
      sum += (double)of->x[at];
      of->out[at] = (real)sum;
    }
    return;
  }
  double sums[SM_COLUMNS] = {0};
  for (size_t k = 0; k < rows; k++) {
    size_t row = of->backwards ? rows - 1 - k : k;
    const real *from = of->x + tile.from + row * stride;
    real *to = of->out + tile.from + row * stride;
#pragma omp simd
    for (size_t i = 0; i < tile.width; i++) {
      sums[i] += (double)from[i];
      to[i] = (real)sums[i];
    }
  }
}

void sm_cumsum(real *out, const real *x, bool backwards, const sm_axis *along) {
  run_whole(cumsum_tile, &(scan){.out = out, .x = x, .along = along, .backwards = backwards});
}

/* ---- products ---- */

enum { FACTORS = 16 /* of one column that are multiplied side by side */ };

/* product (width) = that of each column of x, of which `zeros` (width), where it is given, counts the zeros: these are
   then left out. */
static void multiply(double *product, size_t *zeros, const real *x, size_t rows, size_t width, size_t stride) {
  for (size_t i = 0; i < width; i++) product[i] = 1;
  for (size_t i = 0; i < width && zeros; i++) zeros[i] = 0;
  if (stride == 1) { /* one column */
    double lanes[FACTORS];
    size_t none = 0;
    for (size_t i = 0; i < FACTORS; i++) lanes[i] = 1;
    for (size_t row = 0; row < rows; row += FACTORS) {
      size_t n = rows - row < FACTORS ? rows - row : FACTORS;
      for (size_t i = 0; i < n; i++) {
        bool out = zeros && x[row + i] == 0;
        none += out;
        lanes[i] *= out ? 1 : (double)x[row + i];
      }
    }
    for (size_t i = 0; i < FACTORS; i++) product[0] *= lanes[i];
    if (zeros) zeros[0] = none;
    return;
  }
  for (size_t row = 0; row < rows; row++) {
    const real *from = x + row * stride;
    for (size_t i = 0; i < width; i++) {
      bool out = zeros && from[i] == 0;
      if (zeros) zeros[i] += out;
      product[i] *= out ? 1 : (double)from[i];
    }
  }
}

static void prod_tile(const void *work, size_t task) {
  const scan *of = work;
  sm_result_tile tile = sm_tile_of(of->along, task);
  double product[SM_COLUMNS];
  multiply(product, NULL, of->x + tile.from, of->along->axis, tile.width, of->along->inner);
  for (size_t i = 0; i < tile.width; i++) of->out[tile.to + i] = (real)product[i];
}

void sm_prod(real *out, const real *x, const sm_axis *along) {
  run(prod_tile, &(scan){.out = out, .x = x, .along = along});
}

static void prod_backward_tile(const void *work, size_t task) {
  const scan *of = work;
  const size_t stride = of->along->inner;
  sm_result_tile tile = sm_tile_of(of->along, task);
  double product[SM_COLUMNS];
  size_t zeros[SM_COLUMNS];
  multiply(product, zeros, of->x + tile.from, of->along->axis, tile.width, stride);
  for (size_t row = 0; row < of->along->axis; row++) {
    const real *x = of->x + tile.from + row * stride, *gy = of->gy + tile.to;
    real *gx = of->out + tile.from + row * stride;
    for (size_t i = 0; i < tile.width; i++) {
      bool only = zeros[i] == 1 && x[i] == 0; /* the others are not 0 */
      double others = zeros[i] == 0 ? product[i] / (double)x[i] : only ? product[i] : 0;
      gx[i] = (real)((double)gy[i] * others);
    }
  }
}

void sm_prod_backward(real *gx, const real *gy, const real *x, const sm_axis *along) {
  run_whole(prod_backward_tile, &(scan){.out = gx, .x = x, .gy = gy, .along = along});
}
