/* Comparisons, choices by them, and questions about all elements. Operands broadcast as in NumPy: `axes`
   is what sm_strided_broadcast gives, and a number is an operand of rank 0. */
#ifndef SM_COMPARE_H
#define SM_COMPARE_H

#include "core/pointwise.h"
#include "core/reduce.h"

typedef struct sm_operand {
  const void *data;
  sm_dtype dtype;
  bool is_number; /* data is a double, whatever the element type */
} sm_operand;

/* y = 1 where a and b compare so, else 0. Numbers of different types are compared exactly. f is one of SM_LT to SM_NE;
   any comparison with NaN gives 0, but SM_NE gives 1. */
void sm_compare(uint8_t *y, const sm_operand *a, const sm_operand *b, sm_rule f, const sm_strided *axes);

/* y = a where the condition is not 0, else b: elements of `bytes`, 1, 4 or 8; axes of y, condition, a, b. */
void sm_where(void *y, const uint8_t *condition, const void *a, const void *b, size_t bytes, const sm_strided *axes);

void sm_is_finite(uint8_t *y, const real *x, size_t n); /* y = 1 where x is neither infinite nor NaN, else 0 */

/* out (outer, inner) = whether any element along the axis, or all of them, are not 0; NaN is not 0. No element: any is
   0, all is 1. */
void sm_any(uint8_t *out, const void *x, sm_dtype dtype, const sm_axis *along);
void sm_all(uint8_t *out, const void *x, sm_dtype dtype, const sm_axis *along);

#endif
