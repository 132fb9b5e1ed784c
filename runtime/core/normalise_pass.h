/* What the kernels of normalisation share. */
#ifndef SM_NORMALISE_PASS_H
#define SM_NORMALISE_PASS_H

#include <math.h>

#include "core/normalise.h"
#include "core/tile.h"

enum { SUMS = 2 /* of each channel, in double */ };

/* What the passes read of each channel. */
enum { MEAN, SLOPE, BIAS, SHIFT, PULL, FACTORS };

/* A pass, its sums of each part, and the factors of each channel that follow from them. */
typedef struct pass {
  const sm_normalisation *of;
  real *out, *new_mean, *new_variance; /* the last two in the forward pass */
  const real *x, *gy, *mean, *variance, *weight, *bias, *beside, *y;
  real *passed; /* of the backward pass, where y is given */
  bool relu, limited; /* limited: relu's values are at most */
  real limit;
  double *sums;  /* (outer, parts, SUMS, width), or with single rows (parts, SUMS, width) */
  real *factors; /* (outer, FACTORS, width) */
  size_t width;  /* channels of as many rows as are seen as one */
  size_t parts, items, chunks;
  bool has_sums; /* whether single rows add theirs up */
} pass;

static inline bool has_single_rows(const sm_normalisation *of) { return of->rows == 1; }

static inline double inverse_of(real variance, const sm_normalisation *of) {
  return 1 / sqrt((double)variance + of->epsilon);
}

/* A vector's numbers in double: one vector of the same width, of floats two. */
typedef double wide __attribute__((vector_size(SM_VECTOR_BYTES), aligned(sizeof(double)), may_alias));

enum { WIDE = SM_VECTOR_BYTES / (int)sizeof(double), WIDES = SM_VECTOR / WIDE };

/* Part `part` of them. gcc 12 widens in four pieces where it is not asked by name. */
SM_INLINE wide widened(sm_vector x, int part) {
#if defined(SM_DOUBLE)
  return part == 0 ? (wide)x : (wide){0};
#elif SM_VECTOR_BYTES == 64 && defined(__AVX512F__)
  return (wide)_mm512_cvtps_pd(part == 0 ? _mm512_castps512_ps256((__m512)x)
                                         : _mm256_castpd_ps(_mm512_extractf64x4_pd((__m512d)x, 1)));
#elif SM_VECTOR_BYTES == 32 && defined(__AVX__)
  return (wide)_mm256_cvtps_pd(part == 0 ? _mm256_castps256_ps128((__m256)x) : _mm256_extractf128_ps((__m256)x, 1));
#else
  wide y;
  for (int lane = 0; lane < WIDE; lane++) y[lane] = (double)x[part * WIDE + lane];
  return y;
#endif
}

/* Numbers where the lanes of `where` are set, zero elsewhere. */
SM_INLINE sm_vector masked(sm_lanes where, sm_vector x) { return (sm_vector)((sm_lanes)x & where); }

/* Where relu lets a gradient pass that gave y, or was given it. */
SM_INLINE sm_lanes passes(sm_vector y, bool limited, real limit) {
  const sm_lanes above = ~(y <= 0);
  return limited ? above & ~(y >= limit) : above;
}

/* An item of single rows, of a group at once while it is in the cache: forward, and the gradient with its sums. */
void sm_normalise_rows(const pass *p, size_t item);
void sm_normalise_rows_gradient(const pass *p, size_t item);

#endif
