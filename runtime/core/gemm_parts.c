#include "core/gemm_parts.h"

enum {
  BLOCK = 1 << 15, /* numbers of c, at most */
  COLUMNS = 256    /* of them, at most: a multiple of every panel */
};

static void add(real *to, size_t ld_to, const real *from, size_t ld_from, size_t rows, size_t columns) {
  for (size_t i = 0; i < rows; i++, to += ld_to, from += ld_from) {
#pragma omp simd
    for (size_t j = 0; j < columns; j++) to[j] += from[j];
  }
}

/* Place 0 of the stack is c itself. */
static void add_block(real *c, size_t ld_c, size_t parts, sm_gemm_part *sum, const void *work, sm_range rows,
                      sm_range columns) {
  real stack[SM_PART_LEVELS - 1][BLOCK];
  const size_t height = rows.last - rows.first, width = columns.last - columns.first;
  for (size_t part = 0; part < parts; part++) {
    size_t place = sm_part_place(part);
    sum(place > 0 ? stack[place - 1] : c, place > 0 ? width : ld_c, work, rows, columns, part);
    for (size_t merges = sm_part_merges(part); merges-- > 0; place--)
      add(place > 1 ? stack[place - 2] : c, place > 1 ? width : ld_c, stack[place - 1], width, height, width);
  }
}

void sm_gemm_add_parts(real *c, size_t ld_c, size_t height, size_t width, size_t parts, sm_gemm_part *sum,
                       const void *work) {
  const size_t columns = width < COLUMNS ? width : COLUMNS, rows = columns > 0 ? BLOCK / columns : 1;
  for (size_t i = 0; i < height; i += rows) {
    for (size_t j = 0; j < width; j += columns) {
      const sm_range down = {i, height - i < rows ? height : i + rows};
      const sm_range across = {j, width - j < columns ? width : j + columns};
      add_block(c + i * ld_c + j, ld_c, parts, sum, work, down, across);
    }
  }
}
