/* The inner loop of direct convolution: a tile of sums that stays in registers. Forward, the rows of a tile are
   pixels and its columns are filters; in the filter gradient its rows are filter elements. Written in GNU
   vector extensions, for whatever vectors the core is compiled for. */
#ifndef SM_CONV_TILE_H
#define SM_CONV_TILE_H

#include <stdbool.h>

#include "core/tensor.h"

#if defined(__AVX512F__)
#define SM_VECTOR_BYTES 64
#elif defined(__AVX__)
#define SM_VECTOR_BYTES 32
#else
#define SM_VECTOR_BYTES 16
#endif

#if defined(__AVX512F__) || defined(__aarch64__)
#define SM_VECTOR_REGISTERS 32
#else
#define SM_VECTOR_REGISTERS 16
#endif

#ifdef __clang__
#define SM_UNROLL _Pragma("clang loop unroll(full)")
#else
#define SM_UNROLL _Pragma("GCC unroll 16")
#endif

/* A tile's sums, one row of b and one number of a fit the registers together. */
enum {
  SM_VECTOR = SM_VECTOR_BYTES / (int)sizeof(real),
  SM_TILE_VECTORS = 2,
  SM_TILE_ROWS = SM_VECTOR_REGISTERS == 32 ? 14 : 6,
  SM_PANEL = SM_TILE_VECTORS * SM_VECTOR
};

/* Anywhere in an array of numbers. */
typedef real sm_vector __attribute__((vector_size(SM_VECTOR_BYTES), aligned(sizeof(real)), may_alias));

/* out[row] = start[row] + the sum over blocks, runs and terms, in this order, of a[row, term] * b[term], where
   start, out and b are `vectors` vectors wide. */
typedef struct sm_tile {
  real *out;
  const real *start; /* NULL: zeros */
  size_t out_step, start_step; /* from one row to the next */
  const real *a, *b;
  size_t a_step;       /* between rows (terms are adjacent), or between terms (rows are adjacent) */
  size_t b_step;       /* between terms */
  size_t a_run, b_run; /* from one run to the next */
  size_t a_block, b_block;
  size_t blocks, runs, terms;
} sm_tile;

/* rows, vectors and adjacent_rows are constants where this is called. */
static inline __attribute__((always_inline)) void sm_tile_of(const sm_tile *tile, const int rows,
                                                             const int vectors, const bool adjacent_rows) {
  sm_vector sum[SM_TILE_ROWS][SM_TILE_VECTORS];
  SM_UNROLL
  for (int i = 0; i < rows; i++) {
    SM_UNROLL
    for (int j = 0; j < vectors; j++) sum[i][j] = (sm_vector){0};
  }
  if (tile->start) {
    SM_UNROLL
    for (int i = 0; i < rows; i++) {
      const real *start = tile->start + (size_t)i * tile->start_step;
      SM_UNROLL
      for (int j = 0; j < vectors; j++) sum[i][j] = *(const sm_vector *)(start + j * SM_VECTOR);
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

static inline __attribute__((always_inline)) void sm_tile_of_rows(const sm_tile *tile, int rows,
                                                                  const int vectors, const bool adjacent_rows) {
  switch (rows) {
    case 1: sm_tile_of(tile, 1, vectors, adjacent_rows); break;
    case 2: sm_tile_of(tile, 2, vectors, adjacent_rows); break;
    case 3: sm_tile_of(tile, 3, vectors, adjacent_rows); break;
    case 4: sm_tile_of(tile, 4, vectors, adjacent_rows); break;
    case 5: sm_tile_of(tile, 5, vectors, adjacent_rows); break;
    case 6: sm_tile_of(tile, 6, vectors, adjacent_rows); break;
#if SM_VECTOR_REGISTERS == 32
    case 7: sm_tile_of(tile, 7, vectors, adjacent_rows); break;
    case 8: sm_tile_of(tile, 8, vectors, adjacent_rows); break;
    case 9: sm_tile_of(tile, 9, vectors, adjacent_rows); break;
    case 10: sm_tile_of(tile, 10, vectors, adjacent_rows); break;
    case 11: sm_tile_of(tile, 11, vectors, adjacent_rows); break;
    case 12: sm_tile_of(tile, 12, vectors, adjacent_rows); break;
    case 13: sm_tile_of(tile, 13, vectors, adjacent_rows); break;
    case 14: sm_tile_of(tile, 14, vectors, adjacent_rows); break;
#endif
    default: break;
  }
}

#endif
