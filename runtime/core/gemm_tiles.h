/* How products are cut into tiles, a thread's work each: for gemm.c and contract.c alone. */
#ifndef SM_GEMM_TILES_H
#define SM_GEMM_TILES_H

#include "core/parallel.h"

/* A product is cut into rows x columns tiles. */
typedef struct sm_gemm_grid {
  int rows, columns;
} sm_gemm_grid;

enum {
  SM_GEMM_TILES = 16,    /* at most, a power of two */
  SM_GEMM_EDGE = 32,     /* borders lie on multiples of this, as BLAS's inner kernels and panels like them */
  SM_GEMM_WORK = 1 << 19 /* multiplications below which a tile is not worth a thread's attention */
};

static inline size_t sm_ceil_divide(size_t a, size_t b) { return (a + b - 1) / b; }

static inline int sm_at_most(size_t count, int limit) { return count < (size_t)limit ? (int)count : limit; }

/* As many tiles as are asked for and the edges give, laid out so that the least is copied: a (m, k) is read once per
   column of tiles, b (k, n) once per row of tiles. */
static inline sm_gemm_grid sm_gemm_grid_of(size_t m, size_t n, int tiles) {
  sm_gemm_grid best = {0, 0};
  double least = 0;
  for (int part = 1; part <= tiles; part++) {
    if (tiles % part != 0) continue;
    sm_gemm_grid cut = {sm_at_most(sm_ceil_divide(m, SM_GEMM_EDGE), part),
                        sm_at_most(sm_ceil_divide(n, SM_GEMM_EDGE), tiles / part)};
    double copied = (double)cut.columns * (double)m + (double)cut.rows * (double)n;
    int more = cut.rows * cut.columns - best.rows * best.columns;
    if (more > 0 || (more == 0 && copied < least)) {
      least = copied;
      best = cut;
    }
  }
  return best;
}

/* Border of part `part` of `parts` of `size`, in whole SM_GEMM_EDGEs. */
static inline sm_range sm_gemm_range(size_t size, size_t parts, size_t part) {
  sm_range units = sm_chunk(sm_ceil_divide(size, SM_GEMM_EDGE), parts, part);
  size_t first = units.first * SM_GEMM_EDGE, last = units.last * SM_GEMM_EDGE;
  return (sm_range){first, last < size ? last : size};
}

#endif
