#include "core/tile.h"

static const real zeros[SM_PANEL];

/* rows, vectors and adjacent_rows are constants where this is called, so that the loops over them vanish and
   the sums are registers. */
SM_INLINE void tile_of(const sm_tile *tile, const int rows, const int vectors, const bool adjacent_rows) {
  sm_vector sum[SM_TILE_ROWS][SM_TILE_VECTORS];
  const real *start = tile->start ? tile->start : zeros;
  if (tile->start == NULL || tile->start_step == 0) {
    sm_vector row[SM_TILE_VECTORS];
    SM_UNROLL
    for (int j = 0; j < vectors; j++) row[j] = *(const sm_vector *)(start + j * SM_VECTOR);
    SM_UNROLL
    for (int i = 0; i < rows; i++) {
      SM_UNROLL
      for (int j = 0; j < vectors; j++) sum[i][j] = row[j];
    }
  } else {
    SM_UNROLL
    for (int i = 0; i < rows; i++) {
      SM_UNROLL
      for (int j = 0; j < vectors; j++) {
        sum[i][j] = *(const sm_vector *)(start + (size_t)i * tile->start_step + j * SM_VECTOR);
      }
    }
  }
  const size_t a_step = tile->a_step, b_step = tile->b_step, terms = tile->terms;
  for (size_t block = 0; block < tile->blocks; block++) {
    for (size_t run = 0; run < tile->runs; run++) {
      const real *a = tile->a + block * tile->a_block + run * tile->a_run;
      const real *b = tile->b + block * tile->b_block + run * tile->b_run;
      for (size_t term = 0; term < terms; term++, b += b_step) {
        sm_vector b_row[SM_TILE_VECTORS];
        SM_UNROLL
        for (int j = 0; j < vectors; j++) b_row[j] = *(const sm_vector *)(b + j * SM_VECTOR);
        SM_UNROLL
        for (int i = 0; i < rows; i++) {
          real number = adjacent_rows ? a[i] : a[(size_t)i * a_step];
          SM_UNROLL
          for (int j = 0; j < vectors; j++) sum[i][j] += b_row[j] * number;
        }
        a += adjacent_rows ? a_step : 1;
      }
    }
  }
  SM_UNROLL
  for (int i = 0; i < rows; i++) {
    real *out = tile->out + (size_t)i * tile->out_step;
    SM_UNROLL
    for (int j = 0; j < vectors; j++) *(sm_vector *)(out + j * SM_VECTOR) = sum[i][j];
  }
}

/* rows is known only here; vectors and adjacent_rows are constants. */
SM_INLINE void tile_of_rows(const sm_tile *tile, int rows, const int vectors, const bool adjacent_rows) {
#if SM_VECTOR_REGISTERS == 32
  if (rows == 14) tile_of(tile, 14, vectors, adjacent_rows);
  if (rows == 13) tile_of(tile, 13, vectors, adjacent_rows);
  if (rows == 12) tile_of(tile, 12, vectors, adjacent_rows);
  if (rows == 11) tile_of(tile, 11, vectors, adjacent_rows);
  if (rows == 10) tile_of(tile, 10, vectors, adjacent_rows);
  if (rows == 9) tile_of(tile, 9, vectors, adjacent_rows);
  if (rows == 8) tile_of(tile, 8, vectors, adjacent_rows);
  if (rows == 7) tile_of(tile, 7, vectors, adjacent_rows);
#endif
  if (rows == 6) tile_of(tile, 6, vectors, adjacent_rows);
  if (rows == 5) tile_of(tile, 5, vectors, adjacent_rows);
  if (rows == 4) tile_of(tile, 4, vectors, adjacent_rows);
  if (rows == 3) tile_of(tile, 3, vectors, adjacent_rows);
  if (rows == 2) tile_of(tile, 2, vectors, adjacent_rows);
  if (rows == 1) tile_of(tile, 1, vectors, adjacent_rows);
}

void sm_tile_multiply(const sm_tile *tile, size_t rows, size_t width, bool adjacent_rows) {
  bool wide = width == SM_PANEL;
  if (wide && adjacent_rows) tile_of_rows(tile, (int)rows, SM_TILE_VECTORS, true);
  if (wide && !adjacent_rows) tile_of_rows(tile, (int)rows, SM_TILE_VECTORS, false);
  if (!wide && adjacent_rows) tile_of_rows(tile, (int)rows, 1, true);
  if (!wide && !adjacent_rows) tile_of_rows(tile, (int)rows, 1, false);
}
