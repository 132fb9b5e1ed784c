/* Comparisons, choices by them, and functions that are constant between steps. Operands broadcast as in NumPy: `axes`
   is what sm_strided_broadcast gives, and a number is an operand of rank 0. */
#ifndef SM_COMPARE_H
#define SM_COMPARE_H

#include "core/reduce.h"
#include "core/stride.h"

typedef enum sm_comparison { SM_LT, SM_LE, SM_GT, SM_GE, SM_EQ, SM_NE } sm_comparison;

/* Whether two numbers compare so. */
static inline bool sm_holds(real a, real b, sm_comparison f) {
  switch (f) {
    case SM_LT: return a < b;
    case SM_LE: return a <= b;
    case SM_GT: return a > b;
    case SM_GE: return a >= b;
    case SM_EQ: return a == b;
    case SM_NE: break;
  }
  return a != b;
}

typedef struct sm_operand {
  const void *data;
  sm_dtype dtype;
  bool is_number; /* data is a double, whatever the element type */
} sm_operand;

/* y = 1 where a and b compare so, else 0. Numbers of different types are compared exactly. Any comparison with NaN
   gives 0, but SM_NE gives 1. */
void sm_compare(uint8_t *y, const sm_operand *a, const sm_operand *b, sm_comparison f, const sm_strided *axes);

/* y = a where the condition is not 0, else b: elements of `bytes`, 1, 4 or 8; axes of y, condition, a, b. */
void sm_where(void *y, const uint8_t *condition, const void *a, const void *b, size_t bytes, const sm_strided *axes);

/* The larger and the smaller of two; NaN wins. The share of a in its gradient is 1 where a wins or one of the two is
   NaN, 1/2 where both are equal, and 0 where b wins. */
typedef enum sm_extreme { SM_MAXIMUM, SM_MINIMUM, SM_MAXIMUM_SHARE, SM_MINIMUM_SHARE } sm_extreme;

void sm_extreme_of(real *y, const real *a, const real *b, sm_extreme f, const sm_strided *axes);

/* The same on the calling thread, n elements; an operand with a step of 1 advances, one with a step of 0 is one number.
   y may be an operand. */
void sm_extreme_run(real *y, const real *a, const real *b, size_t step_a, size_t step_b, sm_extreme f, size_t n);

/* -1, 0 or 1; the largest integer that is not larger; the nearest integer, of two the even one. NaN stays NaN. */
typedef enum sm_stepped { SM_SIGN, SM_FLOOR, SM_ROUND } sm_stepped;

void sm_step(real *y, const real *x, sm_stepped f, size_t n);
void sm_step_run(real *y, const real *x, sm_stepped f, size_t n); /* on the calling thread; y may be x */

void sm_is_finite(uint8_t *y, const real *x, size_t n); /* y = 1 where x is neither infinite nor NaN, else 0 */

/* out (outer, inner) = whether any element along the axis, or all of them, are not 0; NaN is not 0. No element: any is
   0, all is 1. */
void sm_any(uint8_t *out, const void *x, sm_dtype dtype, const sm_axis *along);
void sm_all(uint8_t *out, const void *x, sm_dtype dtype, const sm_axis *along);

#endif
