/* Functions of one element, and of two with NumPy's broadcasting. */
#ifndef SM_POINTWISE_H
#define SM_POINTWISE_H

#include "core/tensor.h"

typedef enum sm_unary { SM_NEG, SM_EXP, SM_LOG, SM_SQRT, SM_ABS, SM_TANH, SM_SIGMOID, SM_RELU, SM_SOFTPLUS } sm_unary;

/* y = f(x), n elements; y may be x. softplus is log(1 + exp x), which neither overflows nor loses small values. */
void sm_unary_forward(real *y, const real *x, sm_unary f, size_t n);

/* The same on the calling thread. */
void sm_unary_run(real *y, const real *x, sm_unary f, size_t n);

/* gx = gy * f'(x); x and y are the forward pass's input and output. The derivative of abs and of relu at 0 is 0. */
void sm_unary_backward(real *gx, const real *gy, const real *x, const real *y, sm_unary f, size_t n);

/* y = min(max(x, low), high); NaN stays NaN. gx = gy where low <= x <= high, else 0. */
void sm_clamp_forward(real *y, const real *x, real low, real high, size_t n);
void sm_clamp_backward(real *gx, const real *gy, const real *x, real low, real high, size_t n);

/* The derivatives of a^b are functions of two as well: the slope by a, b a^(b-1), is 0 where b is 0, also at a = 0; the
   growth with b, a^b log a, is 0 where a is 0 and b >= 0, and NaN where a is below 0. */
typedef enum sm_binary { SM_ADD, SM_SUB, SM_MUL, SM_DIV, SM_POW, SM_POW_SLOPE, SM_POW_GROWTH } sm_binary;

/* How two shapes broadcast: the result's shape, and for each of its axes how far an operand steps (0: repeated).
   Axes that step alike are merged, so `rank` axes remain to loop over. */
typedef struct sm_broadcast {
  sm_shape shape;
  int rank;
  size_t size[SM_MAX_RANK], step_a[SM_MAX_RANK], step_b[SM_MAX_RANK];
} sm_broadcast;

/* SM_BAD_SHAPE, naming both shapes, when an axis has two sizes and neither is 1; and when the result is too large. */
sm_status sm_broadcast_plan(sm_broadcast *plan, const sm_shape *a, const sm_shape *b, sm_error *error);

/* y = f(a, b), y of plan->shape. */
void sm_binary_forward(real *y, const real *a, const real *b, sm_binary f, const sm_broadcast *plan);

/* y = f(a, b) on the calling thread, n elements; an operand with a step of 1 advances, one with a step of 0 is one
   number outside of y. y may be an operand that advances. At most one of the two steps is 0, unless n is 1. */
void sm_binary_run(real *y, const real *a, const real *b, size_t step_a, size_t step_b, sm_binary f, size_t n);

/* y = f(a, value), or f(value, b) when swapped; n elements. */
void sm_binary_number(real *y, const real *x, double value, bool swapped, sm_binary f, size_t n);

#endif
