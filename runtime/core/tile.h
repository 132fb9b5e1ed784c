/* The inner loop of direct convolution and of matrix products: a tile of sums that stays in registers. Its columns
   are output channels; its rows are pixels, in the filter gradient filter elements, or the rows of a matrix.
   Written in GNU vector extensions, for whatever vectors the core is compiled for. */
#ifndef SM_TILE_H
#define SM_TILE_H

#include <stdbool.h>
#include <string.h>

#include "core/math.h"
#include "core/tensor.h"

#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/* Both may be given to the compiler, which makes any vectors of those it has: so is other processors' code tested. */
#if defined(SM_VECTOR_BYTES)
#elif defined(__AVX512F__)
#define SM_VECTOR_BYTES 64
#elif defined(__AVX__)
#define SM_VECTOR_BYTES 32
#else
#define SM_VECTOR_BYTES 16
#endif

#if defined(SM_VECTOR_REGISTERS)
#elif defined(__AVX512F__) || defined(__aarch64__)
#define SM_VECTOR_REGISTERS 32
#else
#define SM_VECTOR_REGISTERS 16
#endif

#define SM_INLINE static inline __attribute__((always_inline))

#ifdef SM_DOUBLE
#define SM_OF_REAL(single, twice) twice
#else
#define SM_OF_REAL(single, twice) single
#endif

/* Before a loop whose count the compiler knows: leaves no loop. */
#ifdef __clang__
#define SM_UNROLL _Pragma("clang loop unroll(full)")
#else
#define SM_UNROLL _Pragma("GCC unroll 16")
#endif

/* Whether tiles may be wider than high, 3 rows of 4 vectors instead of 6 of 2: these load 7 times for 12 multiply-adds,
   not 8 times. Where another thread runs on the same core, every instruction that is none of them counts: with AVX2
   products of a Fourier transform's cells take 0.88 to 0.93 of the time then, images of one channel 0.83 to 0.95, and
   less is gained where the core is one thread's own. Without fused multiply-adds there is no register for products. */
#define SM_WIDE_TILES (SM_VECTOR_BYTES == 32 && SM_VECTOR_REGISTERS == 16)

/* The registers have room for a tile's sums, the numbers of one term that are used more often, and one of the rest. */
enum {
  SM_VECTOR = SM_VECTOR_BYTES / (int)sizeof(real), /* numbers in a vector */
  SM_TILE_VECTORS = SM_WIDE_TILES ? 4 : 2,
  SM_TILE_ROWS = SM_VECTOR_REGISTERS == 32 ? 14 : 6, /* of the highest tile */
  SM_PANEL = SM_TILE_VECTORS * SM_VECTOR             /* channels of the widest */
};

/* Anywhere in an array of numbers. */
typedef real sm_vector __attribute__((vector_size(SM_VECTOR_BYTES), aligned(sizeof(real)), may_alias));

/* a*b + c in each lane, in one rounding where the processor has the instruction, which is asked for by name: of the
   multiply-adds that a compiler finds it makes two instructions where it takes that for faster, as gcc 14 does in a
   loop that waits for one sum, and then a sum's bits would depend on the tile that it lies in. */
SM_INLINE sm_vector sm_vector_fma(sm_vector a, sm_vector b, sm_vector c) {
#if !SM_HAS_FMA
  return a * b + c;
#elif SM_VECTOR_BYTES == 64 && defined(__AVX512F__)
  return SM_OF_REAL(_mm512_fmadd_ps, _mm512_fmadd_pd)(a, b, c);
#elif SM_VECTOR_BYTES == 32 && defined(__AVX__)
  return SM_OF_REAL(_mm256_fmadd_ps, _mm256_fmadd_pd)(a, b, c);
#elif SM_VECTOR_BYTES == 16 && defined(__aarch64__)
  return SM_OF_REAL(vfmaq_f32, vfmaq_f64)(c, a, b);
#else
  for (int lane = 0; lane < SM_VECTOR; lane++) c[lane] = sm_fma(a[lane], b[lane], c[lane]);
  return c;
#endif
}

/* Integers as wide as the numbers of a vector: what comparing two vectors gives, all bits or none. */
typedef __typeof__((sm_vector){0} > (sm_vector){0}) sm_lanes;

/* Those below n. */
SM_INLINE sm_lanes sm_first_lanes(size_t n) {
  sm_lanes on;
  for (int lane = 0; lane < SM_VECTOR; lane++) on[lane] = lane < (int)n ? -1 : 0;
  return on;
}

#if SM_VECTOR_BYTES == 64 && defined(__AVX512F__)
/* The same as a mask. */
#define SM_FIRST_LANES(n) ((SM_OF_REAL(__mmask16, __mmask8))((1u << (n)) - 1))
#endif

/* n <= SM_VECTOR numbers, and zeros. */
SM_INLINE sm_vector sm_vector_load(const real *x, size_t n) {
  if (n == SM_VECTOR) return *(const sm_vector *)x;
#if SM_VECTOR_BYTES == 64 && defined(__AVX512F__)
  return SM_OF_REAL(_mm512_maskz_loadu_ps, _mm512_maskz_loadu_pd)(SM_FIRST_LANES(n), x);
#elif SM_VECTOR_BYTES == 32 && defined(__AVX__)
  return SM_OF_REAL(_mm256_maskload_ps, _mm256_maskload_pd)(x, (__m256i)sm_first_lanes(n));
#else
  sm_vector numbers = {0};
  memcpy(&numbers, x, n * sizeof *x);
  return numbers;
#endif
}

SM_INLINE void sm_vector_store(real *out, sm_vector numbers, size_t n) {
  if (n == SM_VECTOR) {
    *(sm_vector *)out = numbers;
    return;
  }
#if SM_VECTOR_BYTES == 64 && defined(__AVX512F__)
  SM_OF_REAL(_mm512_mask_storeu_ps, _mm512_mask_storeu_pd)(out, SM_FIRST_LANES(n), numbers);
#elif SM_VECTOR_BYTES == 32 && defined(__AVX__)
  SM_OF_REAL(_mm256_maskstore_ps, _mm256_maskstore_pd)(out, (__m256i)sm_first_lanes(n), numbers);
#else
  memcpy(out, &numbers, n * sizeof *out);
#endif
}

/* Lane i = x[which[i]], each of which is below SM_VECTOR. */
SM_INLINE sm_vector sm_vector_permute(sm_vector x, sm_lanes which) {
#if SM_VECTOR_BYTES == 64 && defined(__AVX512F__)
  return SM_OF_REAL(_mm512_permutexvar_ps, _mm512_permutexvar_pd)((__m512i)which, x);
#elif SM_VECTOR_BYTES == 32 && defined(__AVX2__) && !defined(SM_DOUBLE)
  return _mm256_permutevar8x32_ps(x, (__m256i)which);
#else
  sm_vector y;
  for (int lane = 0; lane < SM_VECTOR; lane++) y[lane] = x[which[lane]];
  return y;
#endif
}

/* One tile, or several one below the other: out[row] = start[row] + the sum over blocks, runs and terms, in this order,
   of a[row] * b, where out, start and b are one to SM_TILE_VECTORS vectors wide and a is one number. Steps are in
   elements. */
typedef struct sm_tile {
  real *out;
  const real *start;           /* NULL: zeros */
  size_t out_step, start_step; /* between rows */
  const real *a, *b;
  size_t a_step;       /* between rows (terms are adjacent), or between terms (rows are adjacent) */
  size_t b_step;       /* between terms */
  size_t a_run, b_run; /* between runs */
  size_t a_block, b_block;
  size_t blocks, runs, terms;
  size_t lanes; /* of the last vector of out and start; the rest is neither read nor written. 0: all */
  size_t parts; /* above 1: the sum over the terms goes by so many parts (core/parts.h), of one run without a start, in
                   whole vectors */
} sm_tile;

/* Channels are computed a panel at a time; the last may be narrower, and its last vector partly idle. */
typedef struct sm_panel {
  size_t first, count; /* channels */
  size_t width;        /* count rounded up to whole vectors */
} sm_panel;

/* Up to whole vectors. */
static inline size_t sm_rounded(size_t channels) {
  return (channels + SM_VECTOR - 1) / SM_VECTOR * SM_VECTOR;
}

/* Rows of the highest tile of a panel's width. */
static inline size_t sm_tile_rows(size_t width) {
  size_t vectors = width / SM_VECTOR;
  return vectors <= 2 ? SM_TILE_ROWS : 2 * SM_TILE_ROWS / vectors;
}

static inline size_t sm_panels_of(size_t channels) { return (channels + SM_PANEL - 1) / SM_PANEL; }

static inline sm_panel sm_panel_of(size_t channels, size_t index) {
  size_t first = index * SM_PANEL, rest = channels - first, count = rest < SM_PANEL ? rest : SM_PANEL;
  return (sm_panel){first, count, sm_rounded(count)};
}

/* out (width) = x (count), then zeros. */
static inline void sm_copy_padded(real *out, const real *x, const sm_panel *at) {
  for (size_t j = 0; j < at->width; j += SM_VECTOR) {
    size_t left = at->count - j;
    *(sm_vector *)(out + j) = sm_vector_load(x + j, left < SM_VECTOR ? left : SM_VECTOR);
  }
}

/* Computes rows, `width` (a panel's) wide, as many tiles one below the other as they take. adjacent_rows says what
   a_step is between. */
void sm_tile_multiply(const sm_tile *tile, size_t rows, size_t width, bool adjacent_rows);

#endif
