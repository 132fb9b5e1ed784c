/* What the tests of the numerical rooms share: arrays of reproducible numbers and how they are compared. */
#ifndef SM_TESTS_NUMBERS_H
#define SM_TESTS_NUMBERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/tensor.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* Relative error of one operation, with room for a few hundred of them. */
#ifdef SM_DOUBLE
static const double rounding = 1e-13;
#else
static const double rounding = 1e-5;
#endif

/* Exactly `bytes`, so that a sanitizer sees every access beyond, aligned as tensors are. */
static inline void *block_of(size_t bytes) {
  void *block = NULL;
  assert_int_equal(posix_memalign(&block, SM_ALIGNMENT, bytes ? bytes : 1), 0);
  return block;
}

/* n numbers of [-1, 1) that depend on the seed. */
static inline real *numbers(size_t n, uint32_t seed) {
  real *x = block_of(n * sizeof *x);
  uint32_t state = seed * 2654435761u + 12345u;
  for (size_t i = 0; i < n; i++) {
    state = state * 1664525u + 1013904223u;
    x[i] = (real)((double)(state >> 8) / (1 << 23) - 1);
  }
  return x;
}

/* n NaNs: an output in which every element that was not written shows. */
static inline real *unwritten(size_t n) {
  real *x = block_of(n * sizeof *x);
  for (size_t i = 0; i < n; i++) x[i] = NAN;
  return x;
}

/* got (n) is want (n) up to the rounding of sums of about `terms` numbers of size 1. */
static inline void assert_close(const real *got, const double *want, size_t n, double terms) {
  for (size_t i = 0; i < n; i++) {
    if (!(fabs((double)got[i] - want[i]) <= rounding * (terms + 1))) {
      fail_msg("element %zu of %zu: got %.17g, expected %.17g", i, n, (double)got[i], want[i]);
    }
  }
}

static inline void assert_same_bits(const real *a, const real *b, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (memcmp(a + i, b + i, sizeof *a) != 0) {
      fail_msg("element %zu of %zu: %.17g and %.17g differ", i, n, (double)a[i], (double)b[i]);
    }
  }
}

/* Whether a case of so many multiplications is left out, for EMULATED in the environment says that an emulator runs it,
   which takes a hundred times as long for each. Sanitizers take ten times as long. */
static inline bool is_left_out(double multiplications) {
#ifdef __SANITIZE_ADDRESS__
  if (multiplications > 1e7) return true;
#endif
  return multiplications > 5e6 && getenv("EMULATED");
}

/* How far a loop over many alike cases steps: to each, or to every fifth where an emulator or sanitizers make it slow. */
static inline int stride_of_cases(void) {
#ifdef __SANITIZE_ADDRESS__
  return 5;
#else
  return getenv("EMULATED") ? 5 : 1;
#endif
}

static inline double dot(const real *a, const real *b, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
  return sum;
}

static inline void assert_near(double got, double want, double terms) {
  if (!(fabs(got - want) <= rounding * (terms + 1))) fail_msg("got %.17g, expected %.17g", got, want);
}

#endif
