#include "core/gemm_thin.h"

#include <string.h>

#include "core/math.h"
#include "core/parallel.h"
#include "core/tile.h"

enum {
  MOST = 8,      /* rows of a */
  TOGETHER = 8,  /* rows of b that are added in one go */
  COLUMNS = 512, /* to sums of so many columns, which stay in the first cache */
  LEAST = 32     /* rows of b in one part of it */
};

typedef struct product {
  real *c;
  const real *a, *b, *bias; /* bias may be NULL */
  bool relu;
  size_t m, n, k;
  size_t parts; /* that the rows of b, as they are stored, are cut into */
} product;

/* WITH(rows) for every number of rows, so that it is a constant there and loops over the rows vanish. */
#define FOR_ROWS(WITH) WITH(1) WITH(2) WITH(3) WITH(4) WITH(5) WITH(6) WITH(7) WITH(8)

/* c (m, columns) += bias, or relu of it, for columns of c from `first` on. */
static void finish(const product *of, size_t first, size_t columns) {
  for (size_t i = 0; i < of->m; i++) {
    real *c = of->c + i * of->n + first;
    for (size_t j = 0; j < columns && of->bias; j++) c[j] += of->bias[first + j];
    for (size_t j = 0; j < columns && of->relu; j++) c[j] = sm_relu(c[j]);
  }
}

/* ---- b as it is: the sum of its rows, each times a number ---- */

/* The sums over part of the terms, for some columns. */
typedef struct partial {
  const product *of;
  real *sums; /* (parts, m, COLUMNS) */
  sm_range columns;
} partial;

/* sums (rows, COLUMNS) = a (rows, terms) * b (terms, columns). */
SM_INLINE void sum_terms(real *sums, const partial *at, sm_range terms, const int rows) {
  const product *of = at->of;
  size_t columns = at->columns.last - at->columns.first;
  for (int i = 0; i < rows; i++) memset(sums + i * COLUMNS, 0, columns * sizeof *sums);
  for (size_t first = terms.first, count; first < terms.last; first += count) {
    real number[TOGETHER][MOST];
    count = terms.last - first < TOGETHER ? terms.last - first : TOGETHER;
    for (size_t t = 0; t < count; t++) {
      for (int i = 0; i < rows; i++) number[t][i] = of->a[(size_t)i * of->k + first + t];
    }
    for (size_t j = 0; j < columns; j += SM_VECTOR) {
      const real *b = of->b + first * of->n + at->columns.first + j;
      sm_vector sum[MOST];
      SM_UNROLL
      for (int i = 0; i < rows; i++) sum[i] = *(const sm_vector *)(sums + i * COLUMNS + j);
      for (size_t t = 0; t < count; t++, b += of->n) {
        sm_vector b_row = *(const sm_vector *)b;
        SM_UNROLL
        for (int i = 0; i < rows; i++) sum[i] = sm_vector_fma(b_row, number[t][i] - (sm_vector){0}, sum[i]);
      }
      SM_UNROLL
      for (int i = 0; i < rows; i++) *(sm_vector *)(sums + i * COLUMNS + j) = sum[i];
    }
  }
}

static void sum_part(const void *work, size_t part) {
  const partial *at = work;
  const product *of = at->of;
  sm_range terms = sm_chunk(of->k, of->parts, part);
  real *sums = at->sums + part * of->m * COLUMNS;
#define SUM(rows) \
  if (of->m == (rows)) sum_terms(sums, at, terms, (rows));
  FOR_ROWS(SUM)
#undef SUM
}

/* Parts of b's rows are summed apart, so that each thread reads its own. */
static void add_rows(const product *of) {
  real sums[SM_BATCH_CHUNKS * MOST * COLUMNS];
  for (size_t first = 0; first < of->n; first += COLUMNS) {
    sm_range columns = {first, first + COLUMNS < of->n ? first + COLUMNS : of->n};
    size_t count = columns.last - columns.first;
    sm_compute(of->parts, of->k * count, sum_part, &(partial){of, sums, columns});
    for (size_t i = 0; i < of->m; i++) {
      real *c = of->c + i * of->n + first;
      memcpy(c, sums + i * COLUMNS, count * sizeof *c);
      for (size_t part = 1; part < of->parts; part++) {
        const real *more = sums + (part * of->m + i) * COLUMNS;
        for (size_t j = 0; j < count; j++) c[j] += more[j];
      }
    }
    finish(of, first, count);
  }
}

/* ---- b transposed: its rows, each multiplied by those of a ---- */

/* c (rows, columns) = a (rows, k) * the transpose of b (columns, k). */
SM_INLINE void multiply_some(real *c, const real *b, const product *of, const int columns, const int rows) {
  sm_vector sum[4][MOST] = {{{0}}};
  for (size_t term = 0; term < of->k; term += SM_VECTOR) {
    SM_UNROLL
    for (int j = 0; j < columns; j++) {
      sm_vector b_row = *(const sm_vector *)(b + (size_t)j * of->k + term);
      SM_UNROLL
      for (int i = 0; i < rows; i++)
        sum[j][i] = sm_vector_fma(b_row, *(const sm_vector *)(of->a + (size_t)i * of->k + term), sum[j][i]);
    }
  }
  for (int i = 0; i < rows; i++) {
    for (int j = 0; j < columns; j++) {
      real total = 0;
      SM_UNROLL
      for (int lane = 0; lane < SM_VECTOR; lane++) total += sum[j][i][lane];
      c[(size_t)i * of->n + (size_t)j] = total;
    }
  }
}

/* As many rows of b together as there are registers for their sums. */
SM_INLINE void multiply_rows(const product *of, sm_range columns, const int rows) {
  const int together = rows <= 3 ? 4 : rows <= 6 ? 2 : 1;
  size_t j = columns.first;
  for (; j + (size_t)together <= columns.last; j += (size_t)together) {
    multiply_some(of->c + j, of->b + j * of->k, of, together, rows);
  }
  for (; j < columns.last; j++) multiply_some(of->c + j, of->b + j * of->k, of, 1, rows);
}

static void multiply_part(const void *work, size_t part) {
  const product *of = work;
  sm_range columns = sm_chunk(of->n, of->parts, part);
#define MULTIPLY(rows) \
  if (of->m == (rows)) multiply_rows(of, columns, (rows));
  FOR_ROWS(MULTIPLY)
#undef MULTIPLY
  finish(of, columns.first, columns.last - columns.first);
}

bool sm_gemm_is_thin(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k) {
  return m <= MOST && !transpose_a && (transpose_b ? k : n) % SM_VECTOR == 0;
}

void sm_gemm_thin(real *c, const real *a, const real *b, const real *bias, bool relu, bool transpose_b,
                  size_t m, size_t n, size_t k) {
  if (m == 0 || n == 0) return;
  size_t rows = transpose_b ? n : k, parts = rows / LEAST;
  const product of = {
      c, a, b, bias, relu, m, n, k, parts < 1 ? 1 : parts < SM_BATCH_CHUNKS ? parts : SM_BATCH_CHUNKS};
  if (transpose_b)
    sm_compute(of.parts, n * k, multiply_part, &of);
  else
    add_rows(&of);
}
