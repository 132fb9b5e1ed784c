#include "core/logsumexp.h"

#include <math.h>

#include "core/math.h"
#include "core/reduce_tile.h"

enum {
  LANES = 64, /* numbers of a long row that are compared side by side */
  SUMS = 8    /* independent running sums of a row */
};

/* Part of a tile's rows: the largest of each column, or 0 where that is not finite, and the sum of exp(x - largest). */
typedef struct exponentials {
  real top[SM_COLUMNS];
  double sum[SM_COLUMNS];
} exponentials;

static void exponentials_of(exponentials *part, const real *x, size_t rows, size_t width, size_t stride) {
  real lanes[LANES];
  for (size_t i = 0; i < width; i++) part->top[i] = -INFINITY, part->sum[i] = 0;
  if (stride == 1) { /* one column */
    double sums[SUMS] = {0};
    for (size_t i = 0; i < LANES; i++) lanes[i] = -INFINITY;
    for (size_t first = 0; first < rows; first += LANES) {
      size_t n = rows - first < LANES ? rows - first : LANES;
#pragma omp simd
      for (size_t i = 0; i < n; i++) lanes[i] = x[first + i] > lanes[i] ? x[first + i] : lanes[i];
    }
    for (size_t half = LANES / 2; half > 0; half /= 2) {
      for (size_t i = 0; i < half; i++) lanes[i] = lanes[half + i] > lanes[i] ? lanes[half + i] : lanes[i];
    }
    real top = isfinite(lanes[0]) ? lanes[0] : 0;
    part->top[0] = top;
    for (size_t first = 0; first < rows; first += LANES) {
      size_t n = rows - first < LANES ? rows - first : LANES;
#pragma omp simd
      for (size_t i = 0; i < n; i++) lanes[i] = sm_exp(x[first + i] - top);
      for (size_t i = n; i % SUMS != 0; i++) lanes[i] = 0;
      for (size_t i = 0; i < n; i += SUMS) {
        for (size_t j = 0; j < SUMS; j++) sums[j] += (double)lanes[i + j];
      }
    }
    for (size_t half = SUMS / 2; half > 0; half /= 2) {
      for (size_t i = 0; i < half; i++) sums[i] += sums[half + i];
    }
    part->sum[0] = sums[0];
    return;
  }
  for (size_t row = 0; row < rows; row++) {
#pragma omp simd
    for (size_t i = 0; i < width; i++)
      part->top[i] = x[row * stride + i] > part->top[i] ? x[row * stride + i] : part->top[i];
  }
  for (size_t i = 0; i < width; i++) part->top[i] = isfinite(part->top[i]) ? part->top[i] : 0;
  for (size_t row = 0; row < rows; row++) {
#pragma omp simd
    for (size_t i = 0; i < width; i++) part->sum[i] += (double)sm_exp(x[row * stride + i] - part->top[i]);
  }
}

typedef struct exponents {
  real *out;
  const real *x;
  const sm_axis *along;
  size_t chunks, task; /* of one tile, where threads share it */
  exponentials *part;
} exponents;

static void exponents_chunk(const void *work, size_t chunk) {
  const exponents *of = work;
  sm_result_tile tile = sm_tile_of(of->along, of->task);
  sm_range range = sm_chunk(of->along->axis, of->chunks, chunk);
  exponentials_of(of->part + chunk, of->x + tile.from + range.first * of->along->inner, range.last - range.first,
                  tile.width, of->along->inner);
}

static void logsumexp_of(real *out, const exponentials *part, size_t chunks, size_t width) {
  for (size_t i = 0; i < width; i++) {
    double top = -INFINITY, sum = 0;
    for (size_t chunk = 0; chunk < chunks; chunk++) /* a sum is 0 where there is nothing but -inf */
      if (part[chunk].sum[i] != 0) top = fmax(top, (double)part[chunk].top[i]);
    for (size_t chunk = 0; chunk < chunks; chunk++) {
      double some = part[chunk].sum[i];
      if (some != 0) sum += some - some == 0 ? some * exp((double)part[chunk].top[i] - top) : some;
    }
    out[i] = (real)(sum == 0 ? -INFINITY : log(sum) + top);
  }
}

static void exponents_tile(const void *work, size_t task) {
  const exponents *of = work;
  sm_result_tile tile = sm_tile_of(of->along, task);
  exponentials part;
  exponentials_of(&part, of->x + tile.from, of->along->axis, tile.width, of->along->inner);
  logsumexp_of(of->out + tile.to, &part, 1, tile.width);
}

void sm_logsumexp(real *out, const real *x, const sm_axis *along) {
  size_t tasks = sm_tile_count(along);
  exponents work = {.out = out, .x = x, .along = along};
  if (tasks >= SM_BATCH_CHUNKS) {
    sm_parallel(tasks, sm_elements_of(along), exponents_tile, &work);
    return;
  }
  exponentials part[SM_BATCH_CHUNKS];
  work.part = part;
  for (size_t task = 0; task < tasks; task++) {
    sm_result_tile tile = sm_tile_of(along, task);
    work.task = task;
    work.chunks = sm_partial_chunks(along->axis, tile.width);
    sm_parallel(work.chunks, SM_LARGE, exponents_chunk, &work);
    logsumexp_of(out + tile.to, part, work.chunks, tile.width);
  }
}
