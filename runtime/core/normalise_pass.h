/* What the kernels of normalisation share. */
#ifndef SM_NORMALISE_PASS_H
#define SM_NORMALISE_PASS_H

#include <math.h>

#include "core/normalise.h"
#include "core/parts.h"
#include "core/tile.h"

enum { SUMS = SM_NORMALISE_SUMS };

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
  double *sums;  /* (outer, pieces, SUMS, width), or with single rows (pieces, SUMS, width) */
  real *factors; /* (outer or, for a batch's statistics, parts, FACTORS, width) */
  double *spare; /* of a batch (SUMS, channels) */
  size_t width;  /* channels of as many rows as are seen as one */
  size_t parts;  /* of the batch, where rows, or single rows, are cut into them; else 1 */
  size_t pieces; /* that all the rows are cut into: as many in each part */
  size_t sharing; /* items that have the same factors */
  size_t items, chunks;
  bool has_sums; /* whether single rows add theirs up */
} pass;

static inline bool has_single_rows(const sm_normalisation *of) { return of->rows == 1 && !of->batch; }

static inline double inverse_of(real variance, const sm_normalisation *of) {
  return 1 / sqrt((double)variance + of->epsilon);
}

/* Piece `item` of so many rows. */
static inline sm_range piece_of(const pass *p, size_t rows, size_t item) {
  const size_t each = p->pieces / p->parts;
  const sm_range part = sm_part(rows, p->parts, item / each);
  const sm_range piece = sm_chunk(part.last - part.first, each, item % each);
  return (sm_range){part.first + piece.first, part.first + piece.last};
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

/* An item of other rows: the sums of x - s and of its square, with s in the mean's place; y; the sums of g and of
   g * (x - mean), where g is what relu lets pass of gy; gx. */
void sm_normalise_squares(const pass *p, size_t item);
void sm_normalise_apply(const pass *p, size_t item);
void sm_normalise_gradients(const pass *p, size_t item);
void sm_normalise_apply_gradient(const pass *p, size_t item);

/* Statistics (SUMS, apart) of `rows` rows: those of `more` others are merged into them (Chan, Golub and LeVeque 1979,
   "Updating formulae and a pairwise algorithm for computing sample variances"). */
void sm_normalise_merge_two(double *statistics, const double *others, size_t apart, size_t rows, size_t more,
                            size_t channels);

#endif
