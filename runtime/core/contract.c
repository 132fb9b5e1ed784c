#include "core/contract.h"

#include <string.h>

#include "core/gemm.h"
#include "core/gemm_direct.h"
#include "core/gemm_tiles.h"

/* ---- what may be computed ---- */

/* Whether all elements of the matrices (rows, columns) along all axes lie within `count`. There are some. */
static bool reaches_within(const sm_contraction *plan, const size_t *step, size_t rows, size_t columns, size_t row,
                           size_t count) {
  size_t last, part;
  if (!sm_multiply(&last, rows - 1, row)) return false;
  last += columns - 1;
  for (int axis = 0; axis < plan->kept + plan->summed; axis++) {
    if (last >= count || !sm_multiply(&part, plan->size[axis] - 1, step[axis])) return false;
    last += part;
  }
  return last < count && (rows == 1 || row >= columns);
}

sm_status sm_contract_check(const sm_contraction *plan, size_t count_c, size_t count_a, size_t count_b,
                            sm_error *error) {
  size_t m = plan->m, n = plan->n, k = plan->k;
  const size_t counted[] = {m, n, k, plan->row_a, plan->row_b, plan->row_c};
  for (size_t i = 0; i < sizeof counted / sizeof *counted; i++)
    if (counted[i] > SM_GEMM_LIMIT)
      return sm_fail(error, SM_BAD_SHAPE, "matrices are too large for BLAS, which counts to %d", SM_GEMM_LIMIT);
  size_t kept = m * n, whole = k; /* two ints */
  bool fits = true;
  for (int axis = 0; fits && axis < plan->kept; axis++) fits = sm_multiply(&kept, kept, plan->size[axis]);
  for (int axis = plan->kept; fits && axis < plan->kept + plan->summed; axis++)
    fits = sm_multiply(&whole, whole, plan->size[axis]);
  fits = fits && kept == count_c;
  if (fits && kept > 0 && whole > 0) {
    size_t rows_a = plan->transpose_a ? k : m, rows_b = plan->transpose_b ? n : k;
    fits = reaches_within(plan, plan->step_a, rows_a, plan->transpose_a ? m : k, plan->row_a, count_a) &&
           reaches_within(plan, plan->step_b, rows_b, plan->transpose_b ? k : n, plan->row_b, count_b) &&
           reaches_within(plan, plan->step_c, m, n, plan->row_c, count_c);
  }
  return fits ? SM_OK : sm_fail(error, SM_BAD_SHAPE, "matrices do not lie within their tensors");
}

/* ---- vectors ---- */

enum { LANES = 16, ROWS = 64 };

static real dot(const real *x, size_t step_x, const real *y, size_t step_y, size_t n) {
  real lanes[LANES] = {0};
  if (step_x == 1 && step_y == 1) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
#pragma omp simd
      for (size_t j = 0; j < LANES; j++) lanes[j] += x[i + j] * y[i + j];
    }
    for (size_t j = 0; i + j < n; j++) lanes[j] += x[i + j] * y[i + j];
  } else {
    for (size_t i = 0; i < n; i++) lanes[i % LANES] += x[i * step_x] * y[i * step_y];
  }
  for (size_t half = LANES / 2; half > 0; half /= 2) {
    for (size_t j = 0; j < half; j++) lanes[j] += lanes[half + j];
  }
  return lanes[0];
}

/* c (n), every step_c, [+]= matrix (n, k) * x (k), every step_x. The matrix is stored by rows, or transposed. */
static void by_vector(real *c, size_t step_c, const real *matrix, size_t row, bool transposed, const real *x,
                      size_t step_x, bool add, size_t n, size_t k) {
  if (!transposed) {
    for (size_t i = 0; i < n; i++) {
      real sum = dot(matrix + i * row, 1, x, step_x, k);
      c[i * step_c] = add ? c[i * step_c] + sum : sum;
    }
    return;
  }
  for (size_t first = 0; first < n; first += ROWS) {
    size_t count = n - first < ROWS ? n - first : ROWS;
    real sums[ROWS] = {0};
    for (size_t l = 0; l < k; l++) {
      const real *from = matrix + l * row + first, factor = x[l * step_x];
#pragma omp simd
      for (size_t i = 0; i < count; i++) sums[i] += from[i] * factor;
    }
    for (size_t i = 0; i < count; i++) c[(first + i) * step_c] = add ? c[(first + i) * step_c] + sums[i] : sums[i];
  }
}

/* ---- products ---- */

typedef struct contraction {
  real *c;
  const real *a, *b;
  const sm_contraction *plan;
  sm_gemm_grid tiles;
  size_t summed;         /* positions */
  size_t parts, chunks;  /* tiles of all matrices, and how many runs of them are a thread's work */
  bool direct;
} contraction;

/* The pointers at position number `position` along some axes. */
static void go_to(contraction *at, int first, int last, size_t position) {
  const sm_contraction *plan = at->plan;
  for (int axis = last; axis-- > first; position /= plan->size[axis]) {
    size_t index = position % plan->size[axis];
    at->a += index * plan->step_a[axis];
    at->b += index * plan->step_b[axis];
    at->c += index * plan->step_c[axis];
  }
}

/* One matrix's part, one of the summed products. */
static void multiply(const contraction *at, sm_range rows, sm_range columns, bool add) {
  const sm_contraction *plan = at->plan;
  size_t m = rows.last - rows.first, n = columns.last - columns.first, k = plan->k;
  real *c = at->c + rows.first * plan->row_c + columns.first;
  const real *a = at->a + rows.first * (plan->transpose_a ? 1 : plan->row_a);
  const real *b = at->b + columns.first * (plan->transpose_b ? plan->row_b : 1);
  if (plan->n == 1) {
    by_vector(c, plan->row_c, a, plan->row_a, plan->transpose_a, b, plan->transpose_b ? 1 : plan->row_b, add, m, k);
  } else if (plan->m == 1) {
    by_vector(c, 1, b, plan->row_b, !plan->transpose_b, a, plan->transpose_a ? plan->row_a : 1, add, n, k);
  } else if (at->direct) {
    sm_gemm_direct(c, a, b, NULL, plan->transpose_a, plan->transpose_b, m, n, k, plan->row_a, plan->row_b,
                   plan->row_c, plan->n - columns.last);
  } else {
    sm_gemm_serial(c, a, b, plan->transpose_a, plan->transpose_b, add, m, n, k, plan->row_a, plan->row_b, plan->row_c);
  }
}

static void contract_tile(const contraction *all, size_t item) {
  contraction at = *all;
  const sm_contraction *plan = at.plan;
  size_t tiles = (size_t)(at.tiles.rows * at.tiles.columns), tile = item % tiles;
  sm_range rows = sm_gemm_range(plan->m, (size_t)at.tiles.rows, tile / (size_t)at.tiles.columns);
  sm_range columns = sm_gemm_range(plan->n, (size_t)at.tiles.columns, tile % (size_t)at.tiles.columns);
  go_to(&at, 0, plan->kept, item / tiles);
  for (size_t position = 0; position < at.summed; position++) {
    contraction one = at;
    go_to(&one, plan->kept, plan->kept + plan->summed, position);
    multiply(&one, rows, columns, position > 0);
  }
}

static void contract_chunk(const void *work, size_t chunk) {
  const contraction *all = work;
  sm_range range = sm_chunk(all->parts, all->chunks, chunk);
  for (size_t item = range.first; item < range.last; item++) contract_tile(all, item);
}

void sm_contract(real *c, const real *a, const real *b, const sm_contraction *plan) {
  size_t m = plan->m, n = plan->n, k = plan->k, count = 1, summed = 1;
  for (int axis = 0; axis < plan->kept; axis++) count *= plan->size[axis];
  for (int axis = plan->kept; axis < plan->kept + plan->summed; axis++) summed *= plan->size[axis];
  if (count == 0 || m == 0 || n == 0) return;
  if (k == 0 || summed == 0) {
    memset(c, 0, count * m * n * sizeof *c);
    return;
  }
  /* Many matrices are a thread's work each; few are cut. By sizes alone. */
  int tiles = 1;
  double work = (double)m * (double)n * (double)k * (double)summed;
  while (tiles < SM_GEMM_TILES && count * (size_t)tiles < SM_GEMM_TILES && work >= 2.0 * SM_GEMM_WORK * tiles)
    tiles *= 2;
  bool direct = summed == 1 && sm_matmul_kernel(plan->transpose_a, plan->transpose_b, m, n, k) != SM_GEMM_BLAS;
  contraction all = {.c = c, .a = a, .b = b, .plan = plan, .summed = summed, .direct = direct,
                     .tiles = sm_gemm_grid_of(m, n, tiles)};
  all.parts = count * (size_t)(all.tiles.rows * all.tiles.columns);
  double operations = work * (double)count, chunks = operations / SM_BLOCK + 1;
  all.chunks = chunks < (double)all.parts ? (size_t)chunks : all.parts;
  sm_compute(all.chunks, all.chunks > 1 ? SM_LARGE : 1, contract_chunk, &all);
}
