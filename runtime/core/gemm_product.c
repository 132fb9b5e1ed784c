/* Products by tiles, which threads share: sm_matmul_by. */
#include <string.h>

#include "core/gemm.h"
#include "core/gemm_direct.h"
#include "core/gemm_parts.h"
#include "core/gemm_thin.h"
#include "core/gemm_tiles.h"
#include "core/math.h"

/* Tiles that a product is worth. The bits of BLAS depend on them, and they on sizes alone; those of direct sums do not,
   and a thick product, which is packed again for every tile, is cut into no more than there are threads. */
static int tiles_of(size_t m, size_t n, size_t k, bool thick) {
  double work = (double)m * (double)n * (double)k;
  int tiles = 1;
  if (thick) return sm_at_most((size_t)(work / SM_GEMM_WORK) + 1, sm_thread_count());
  while (tiles < SM_GEMM_TILES && work >= 2.0 * SM_GEMM_WORK * tiles) tiles *= 2;
  return tiles;
}

typedef struct product {
  real *c;
  const real *a, *b, *bias;
  bool relu, transpose_a, transpose_b, direct;
  size_t m, n, k;
  size_t parts_m, parts_n, parts_k; /* of the batch, that the rows, the columns or the terms are cut into */
  bool by_parts;                    /* whether the terms are the batch */
  sm_gemm_grid tiles;               /* of each part */
} product;

/* c (height, width) = the product of some rows and columns over some terms, with its bias, by parts of the terms. */
static void multiply(real *c, size_t ld_c, const product *of, sm_range rows, sm_range columns, sm_range terms,
                     size_t parts) {
  const size_t m = rows.last - rows.first, n = columns.last - columns.first, k = terms.last - terms.first;
  const size_t ld_a = of->transpose_a ? of->m : of->k, ld_b = of->transpose_b ? of->k : of->n;
  const real *a = of->a + (of->transpose_a ? terms.first * ld_a + rows.first : rows.first * ld_a + terms.first);
  const real *b = of->b + (of->transpose_b ? columns.first * ld_b + terms.first : terms.first * ld_b + columns.first);
  const real *bias = of->bias ? of->bias + columns.first : NULL;
  if (of->direct) {
    sm_gemm_direct(c, a, b, bias, of->transpose_a, of->transpose_b, m, n, k, parts, ld_a, ld_b, ld_c,
                   of->n - columns.last);
  } else {
    for (size_t i = 0; i < m && bias; i++) memcpy(c + i * ld_c, bias, n * sizeof *c);
    sm_gemm_serial(c, a, b, of->transpose_a, of->transpose_b, bias != NULL, m, n, k, ld_a, ld_b, ld_c);
  }
}

/* A tile, and what of it is summed. */
typedef struct tile_of {
  const product *of;
  sm_range rows, columns;
} tile_of;

static void sum_part(real *c, size_t ld_c, const void *work, sm_range rows, sm_range columns, size_t part) {
  const tile_of *tile = work;
  const product *of = tile->of;
  const sm_range down = {tile->rows.first + rows.first, tile->rows.first + rows.last};
  const sm_range across = {tile->columns.first + columns.first, tile->columns.first + columns.last};
  multiply(c, ld_c, of, down, across, sm_part(of->k, of->parts_k, part), 1);
}

/* Part `part` of what is cut into tiles, and within it tile `tile` of `tiles`. */
static sm_range range_of(size_t size, size_t parts, size_t part, int tiles, size_t tile) {
  const sm_range own = sm_part(size, parts, part), range = sm_gemm_range(own.last - own.first, (size_t)tiles, tile);
  return (sm_range){own.first + range.first, own.first + range.last};
}

static void product_tile(const void *work, size_t item) {
  const product *of = work;
  const sm_gemm_grid *tiles = &of->tiles;
  const size_t count = (size_t)(tiles->rows * tiles->columns), part = item / count, tile = item % count;
  const sm_range rows = range_of(of->m, of->parts_m, of->parts_m > 1 ? part : 0, tiles->rows,
                                 tile / (size_t)tiles->columns);
  const sm_range columns = range_of(of->n, of->parts_n, of->parts_n > 1 ? part : 0, tiles->columns,
                                    tile % (size_t)tiles->columns);
  const size_t height = rows.last - rows.first, width = columns.last - columns.first;
  real *c = of->c + rows.first * of->n + columns.first;
  if (of->by_parts && !(of->direct && of->k <= SM_GEMM_DIRECT_PARTED))
    sm_gemm_add_parts(c, of->n, height, width, of->parts_k, sum_part, &(tile_of){of, rows, columns});
  else
    multiply(c, of->n, of, rows, columns, (sm_range){0, of->k}, of->parts_k);
  for (size_t i = 0; i < height && of->relu; i++) {
    for (size_t j = 0; j < width; j++) c[i * of->n + j] = sm_relu(c[i * of->n + j]);
  }
}

/* BLAS gives an element other bits in a product of other sizes: the rows or columns of a batch go part by part. */
void sm_matmul_by(real *c, const real *a, const real *b, const real *bias, bool relu, bool transpose_a,
                  bool transpose_b, size_t m, size_t n, size_t k, sm_gemm_batch batch, sm_gemm_kernel kernel) {
  if (m == 0 || n == 0) return;
  const sm_parts now = batch == SM_GEMM_WHOLE ? (sm_parts){1, 1} : sm_parts_now();
  const size_t all = now.parts * now.ranks;
  size_t high = batch == SM_GEMM_ROWS ? m * now.ranks : m, wide = batch == SM_GEMM_COLUMNS ? n * now.ranks : n;
  size_t deep = batch == SM_GEMM_TERMS ? k * now.ranks : k;
  if (kernel == SM_GEMM_BY_RULE) kernel = sm_matmul_choice(transpose_a, transpose_b, high, wide, deep);
  if (kernel == SM_GEMM_THIN && all > 1 && batch != SM_GEMM_ROWS) kernel = SM_GEMM_DIRECT;
  if (kernel == SM_GEMM_THIN) {
    sm_gemm_thin(c, a, b, bias, relu, transpose_b, m, n, k);
    return;
  }
  product work = {.c = c, .a = a, .b = b, .bias = bias, .relu = relu, .transpose_a = transpose_a,
                  .transpose_b = transpose_b, .direct = kernel == SM_GEMM_DIRECT, .m = m, .n = n, .k = k,
                  .parts_m = 1, .parts_n = 1, .parts_k = 1, .by_parts = batch == SM_GEMM_TERMS && all > 1};
  const double operations = (double)m * (double)n * (double)k;
  if (!work.direct && batch == SM_GEMM_ROWS) {
    work.parts_m = now.parts;
    high = sm_ceil_divide(high, all);
  } else if (!work.direct && batch == SM_GEMM_COLUMNS) {
    work.parts_n = now.parts;
    wide = sm_ceil_divide(wide, all);
  } else if (work.direct) {
    high = m;
    wide = n;
  }
  if (work.by_parts) work.parts_k = now.parts;
  work.tiles = sm_gemm_grid_of(high, wide, tiles_of(high, wide, deep, work.direct && m > SM_GEMM_DIRECT_THICK));
  const size_t items = (size_t)(work.tiles.rows * work.tiles.columns) * work.parts_m * work.parts_n;
  sm_compute(items, operations < SM_GEMM_WORK ? 1 : SM_LARGE, product_tile, &work);
}
