#include "core/contract.h"

#include <string.h>

#include "core/gemm.h"
#include "core/gemm_direct.h"
#include "core/gemm_parts.h"
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
  sm_gemm_grid tiles;    /* of each part */
  size_t summed;         /* positions */
  size_t items, chunks;  /* tiles of all matrices, and how many runs of them are a thread's work */
  size_t parts_m, parts_n, parts; /* of the batch, that rows, columns or sums are cut into */
  bool by_parts, direct;          /* by_parts: sums */
  bool is_column, is_row;         /* c of all ranks */
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

/* Some rows and columns of one matrix from c on, one of the summed products over some terms, by parts of them. */
static void multiply(real *c, size_t ld_c, const contraction *at, sm_range rows, sm_range columns, sm_range terms,
                     size_t parts, bool add) {
  const sm_contraction *plan = at->plan;
  const bool ta = plan->transpose_a, tb = plan->transpose_b;
  size_t m = rows.last - rows.first, n = columns.last - columns.first, k = terms.last - terms.first;
  const real *a = at->a + (ta ? terms.first * plan->row_a + rows.first : rows.first * plan->row_a + terms.first);
  const real *b = at->b + (tb ? columns.first * plan->row_b + terms.first : terms.first * plan->row_b + columns.first);
  if (at->is_column) {
    by_vector(c, ld_c, a, plan->row_a, ta, b, tb ? 1 : plan->row_b, add, m, k);
  } else if (at->is_row) {
    by_vector(c, 1, b, plan->row_b, !tb, a, ta ? plan->row_a : 1, add, n, k);
  } else if (at->direct) {
    sm_gemm_direct(c, a, b, NULL, ta, tb, m, n, k, parts, plan->row_a, plan->row_b, ld_c,
                   plan->n - columns.last);
  } else {
    sm_gemm_serial(c, a, b, ta, tb, add, m, n, k, plan->row_a, plan->row_b, ld_c);
  }
}

/* A tile, and what of it is summed. */
typedef struct tile_of {
  const contraction *at;
  sm_range rows, columns;
} tile_of;

/* Part number `part` of the terms, or of the positions that are summed; all of the others. */
static void sum_part(real *c, size_t ld_c, const void *work, sm_range rows, sm_range columns, size_t part) {
  const tile_of *tile = work;
  const contraction *at = tile->at;
  const sm_contraction *plan = at->plan;
  const sm_range down = {tile->rows.first + rows.first, tile->rows.first + rows.last};
  const sm_range across = {tile->columns.first + columns.first, tile->columns.first + columns.last};
  const bool of_terms = plan->batch == SM_CONTRACT_K;
  const sm_range terms = sm_part(plan->k, of_terms ? at->parts : 1, of_terms ? part : 0);
  const sm_range positions = sm_part(at->summed, of_terms ? 1 : at->parts, of_terms ? 0 : part);
  if (positions.first == positions.last) {
    for (size_t i = 0; i < rows.last - rows.first; i++)
      memset(c + i * ld_c, 0, (columns.last - columns.first) * sizeof *c);
  }
  for (size_t position = positions.first; position < positions.last; position++) {
    contraction one = *at;
    go_to(&one, plan->kept, plan->kept + plan->summed, position);
    multiply(c, ld_c, &one, down, across, terms, 1, position > positions.first);
  }
}

/* Part `part` of what is cut into tiles, and within it tile `tile` of `tiles`. */
static sm_range range_of(size_t size, size_t parts, size_t part, int tiles, size_t tile) {
  const sm_range own = sm_part(size, parts, part), range = sm_gemm_range(own.last - own.first, (size_t)tiles, tile);
  return (sm_range){own.first + range.first, own.first + range.last};
}

static void contract_tile(const contraction *all, size_t item) {
  contraction at = *all;
  const sm_contraction *plan = at.plan;
  const size_t tiles = (size_t)(at.tiles.rows * at.tiles.columns), parts = at.parts_m * at.parts_n;
  const size_t tile = item % tiles, part = item / tiles % parts;
  const sm_range rows = range_of(plan->m, at.parts_m, at.parts_m > 1 ? part : 0, at.tiles.rows,
                                 tile / (size_t)at.tiles.columns);
  const sm_range columns = range_of(plan->n, at.parts_n, at.parts_n > 1 ? part : 0, at.tiles.columns,
                                    tile % (size_t)at.tiles.columns);
  if (rows.first == rows.last || columns.first == columns.last) return;
  go_to(&at, 0, plan->kept, item / tiles / parts);
  real *c = at.c + rows.first * plan->row_c + columns.first;
  const tile_of own = {&at, rows, columns};
  if (at.by_parts && at.direct && plan->k <= SM_GEMM_DIRECT_PARTED && plan->m > 1 && plan->n > 1)
    multiply(c, plan->row_c, &at, rows, columns, (sm_range){0, plan->k}, at.parts, false);
  else if (at.by_parts)
    sm_gemm_add_parts(c, plan->row_c, rows.last - rows.first, columns.last - columns.first, at.parts, sum_part, &own);
  else
    sum_part(c, plan->row_c, &own, (sm_range){0, rows.last - rows.first},
             (sm_range){0, columns.last - columns.first}, 0);
}

static void contract_chunk(const void *work, size_t chunk) {
  const contraction *all = work;
  sm_range range = sm_chunk(all->items, all->chunks, chunk);
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
  const sm_parts now = plan->batch == SM_CONTRACT_WHOLE ? (sm_parts){1, 1} : sm_parts_now();
  const size_t all_parts = now.parts * now.ranks;
  size_t high = plan->batch == SM_CONTRACT_M ? m * now.ranks : m;
  size_t wide = plan->batch == SM_CONTRACT_N ? n * now.ranks : n;
  const size_t deep = plan->batch == SM_CONTRACT_K ? k * now.ranks : k;
  const double matrices = (double)count * (double)(plan->batch == SM_CONTRACT_KEPT ? now.ranks : 1);
  const double sums = (double)summed * (double)(plan->batch == SM_CONTRACT_SUMMED ? now.ranks : 1);
  contraction all = {.c = c, .a = a, .b = b, .plan = plan, .summed = summed, .parts_m = 1, .parts_n = 1, .parts = 1};
  all.is_column = wide == 1;
  all.is_row = high == 1;
  all.by_parts = all_parts > 1 && (plan->batch == SM_CONTRACT_K || plan->batch == SM_CONTRACT_SUMMED);
  if (all.by_parts) all.parts = now.parts;
  all.direct = sums == 1 && sm_matmul_kernel(plan->transpose_a, plan->transpose_b, high, wide, deep) != SM_GEMM_BLAS;
  if (!all.direct && plan->batch == SM_CONTRACT_M) { /* as in sm_matmul_by */
    all.parts_m = now.parts;
    high = sm_ceil_divide(high, all_parts);
  } else if (!all.direct && plan->batch == SM_CONTRACT_N) {
    all.parts_n = now.parts;
    wide = sm_ceil_divide(wide, all_parts);
  }
  /* Many matrices are a thread's work each; few are cut. By sizes alone. */
  int tiles = 1;
  double work = (double)high * (double)wide * (double)deep * sums;
  while (tiles < SM_GEMM_TILES && matrices * tiles < SM_GEMM_TILES && work >= 2.0 * SM_GEMM_WORK * tiles) tiles *= 2;
  all.tiles = sm_gemm_grid_of(high, wide, tiles);
  all.items = count * (size_t)(all.tiles.rows * all.tiles.columns) * all.parts_m * all.parts_n;
  double operations = (double)m * (double)n * (double)k * (double)summed * (double)count;
  double chunks = operations / SM_BLOCK + 1;
  all.chunks = chunks < (double)all.items ? (size_t)chunks : all.items;
  sm_compute(all.chunks, all.chunks > 1 ? SM_LARGE : 1, contract_chunk, &all);
}
