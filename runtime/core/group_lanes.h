/* Vectors that hold several groups side by side: what softmax's kernels share. */
#ifndef SM_GROUP_LANES_H
#define SM_GROUP_LANES_H

#include "core/math.h"
#include "core/tile.h"

#ifdef SM_DOUBLE
#define VECTOR_LANES (SM_VECTOR_BYTES / 8) /* SM_VECTOR, for the preprocessor */
#else
#define VECTOR_LANES (SM_VECTOR_BYTES / 4)
#endif
#define ALIGNED __attribute__((aligned(SM_ALIGNMENT)))

static inline real larger(real a, real b) { return a > b ? a : b; }

/* A logit less the largest of its group, over the temperature. Equals are compared, not subtracted, so that
   infinities of one sign are equally likely. */
static inline real shifted(real x, real top, real inverse) { return x == top ? 0 : (x - top) * inverse; }

/* ---- the same for the lanes of a vector ---- */

static inline sm_vector load(const real *x) { return *(const sm_vector *)x; }
static inline void store(real *x, sm_vector v) { *(sm_vector *)x = v; }
static inline sm_vector all_lanes(real x) { return (sm_vector){0} + x; }

/* What has no operator for vectors is written as a loop over an array, which the compiler turns into one. */
SM_INLINE sm_vector larger_each(sm_vector a, sm_vector b) {
  real x[SM_VECTOR] ALIGNED, y[SM_VECTOR] ALIGNED;
  store(x, a);
  store(y, b);
#pragma omp simd
  for (int i = 0; i < SM_VECTOR; i++) x[i] = larger(x[i], y[i]);
  return load(x);
}

static inline sm_vector shifted_each(sm_vector x, sm_vector top, real inverse) {
  return (sm_vector)((x != top) & (sm_lanes)((x - top) * inverse));
}

SM_INLINE sm_vector exp_each(sm_vector v) {
  real lane[SM_VECTOR] ALIGNED;
  store(lane, v);
#pragma omp simd
  for (int i = 0; i < SM_VECTOR; i++) lane[i] = sm_exp_negative(lane[i]);
  return load(lane);
}

/* Lane i trades places with lane i ^ distance. */
#if VECTOR_LANES == 16
#define TRADED(v, d)                                                                                    \
  __builtin_shufflevector(v, v, 0 ^ (d), 1 ^ (d), 2 ^ (d), 3 ^ (d), 4 ^ (d), 5 ^ (d), 6 ^ (d), 7 ^ (d), \
                          8 ^ (d), 9 ^ (d), 10 ^ (d), 11 ^ (d), 12 ^ (d), 13 ^ (d), 14 ^ (d), 15 ^ (d))
#elif VECTOR_LANES == 8
#define TRADED(v, d) \
  __builtin_shufflevector(v, v, 0 ^ (d), 1 ^ (d), 2 ^ (d), 3 ^ (d), 4 ^ (d), 5 ^ (d), 6 ^ (d), 7 ^ (d))
#elif VECTOR_LANES == 4
#define TRADED(v, d) __builtin_shufflevector(v, v, 0 ^ (d), 1 ^ (d), 2 ^ (d), 3 ^ (d))
#else
#define TRADED(v, d) __builtin_shufflevector(v, v, 0 ^ (d), 1 ^ (d))
#endif

static inline sm_vector traded(sm_vector v, int distance) {
  switch (distance % SM_VECTOR) {
    case 1:
      return TRADED(v, 1 % SM_VECTOR);
    case 2:
      return TRADED(v, 2 % SM_VECTOR);
    case 4:
      return TRADED(v, 4 % SM_VECTOR);
    default:
      return TRADED(v, 8 % SM_VECTOR);
  }
}

/* Every lane becomes the maximum, or the sum, of the `width` lanes (a power of two) that it is one of. */
SM_INLINE sm_vector fold_max(sm_vector v, int width) {
  SM_UNROLL
  for (int distance = 1; distance < width; distance *= 2) v = larger_each(traded(v, distance), v);
  return v;
}

SM_INLINE sm_vector fold_sum(sm_vector v, int width) {
  SM_UNROLL
  for (int distance = 1; distance < width; distance *= 2) v += traded(v, distance);
  return v;
}

/* exp of the option off's logit less the largest of the group. */
SM_INLINE sm_vector off_each(sm_vector top, real inverse) {
  return exp_each(shifted_each(all_lanes(0), top, inverse));
}

#undef VECTOR_LANES

#endif
