/* Functions of one, two and three elements, with NumPy's broadcasting. */
#ifndef SM_POINTWISE_H
#define SM_POINTWISE_H

#include "core/stride.h"

/* All of them, a line each: the rule, its name in Lua, its value for the operands a, b, c. The bindings, the machine of
   core/expression.h and the loops themselves come from this table. The values are written without branches and with
   core/math.h, so that a loop over them becomes vector code.
   - Comparisons give 1 and 0. Of maximum and minimum NaN wins; their pass is what b gets of the gradient a of that of
     b and c: a where b wins or one of the two is NaN, half of a where both are equal, 0 where c wins, whatever a is.
     round goes to the even one of two.
   - The derivatives of a^b: the slope by a, b a^(b-1), is 0 where b is 0, also at a = 0; the growth with b, a^b log a,
     is 0 where a is 0 and b >= 0, and NaN where a is below 0.
   - f_backward is the gradient of f: a is that of its result; b is the result of sqrt, tanh and sigmoid, of others the
     operand. The derivative of abs and of relu at 0 is 0, that of relu at NaN 1.
   - clamp keeps NaN; pass is the gradient a of what clamp made of b where that, c, is b still.
   - normal is the probability that a normal number is below a, to 2 units in the last place of 1.
   - softplus is log(1 + exp x), which neither overflows nor loses small values. */
#define SM_POINTWISE_RULES(OF_ONE, OF_TWO, OF_THREE)                                        \
  OF_ONE(SM_NEG, "neg", -a)                                                                 \
  OF_ONE(SM_EXP, "exp", sm_exp(a))                                                          \
  OF_ONE(SM_EXPM1, "expm1", sm_expm1(a))                                                    \
  OF_ONE(SM_LOG, "log", sm_log(a))                                                          \
  OF_ONE(SM_LOG1P, "log1p", sm_log1p(a))                                                    \
  OF_ONE(SM_SQRT, "sqrt", sm_sqrt(a))                                                       \
  OF_ONE(SM_ABS, "abs", sm_abs(a))                                                          \
  OF_ONE(SM_SIN, "sin", sm_sin(a))                                                          \
  OF_ONE(SM_COS, "cos", sm_cos(a))                                                          \
  OF_ONE(SM_TANH, "tanh", sm_tanh(a))                                                       \
  OF_ONE(SM_ERF, "erf", sm_erf(a))                                                          \
  OF_ONE(SM_NORMAL, "normal", sm_normal(a))                                                 \
  OF_ONE(SM_SIGMOID, "sigmoid", sm_sigmoid(a))                                              \
  OF_ONE(SM_RELU, "relu", sm_relu(a))                                                       \
  OF_ONE(SM_SOFTPLUS, "softplus", sm_softplus(a))                                           \
  OF_ONE(SM_SIGN, "sign", a > 0 ? 1 : a < 0 ? -1 : a == 0 ? 0 : a)                          \
  OF_ONE(SM_FLOOR, "floor", sm_floor(a))                                                    \
  OF_ONE(SM_ROUND, "round", sm_round(a))                                                    \
  OF_TWO(SM_ADD, "add", a + b)                                                              \
  OF_TWO(SM_SUB, "sub", a - b)                                                              \
  OF_TWO(SM_MUL, "mul", a * b)                                                              \
  OF_TWO(SM_DIV, "div", a / b)                                                              \
  OF_TWO(SM_POW, "pow", sm_pow(a, b))                                                       \
  OF_TWO(SM_POW_SLOPE, "pow_slope", b == 0 ? 0 : b * sm_pow(a, b - 1))                      \
  OF_TWO(SM_POW_GROWTH, "pow_growth", ((a == 0) & (b >= 0)) ? 0 : sm_pow(a, b) * sm_log(a)) \
  OF_TWO(SM_LT, "lt", a < b)                                                                \
  OF_TWO(SM_LE, "le", a <= b)                                                               \
  OF_TWO(SM_GT, "gt", a > b)                                                                \
  OF_TWO(SM_GE, "ge", a >= b)                                                               \
  OF_TWO(SM_EQ, "eq", a == b)                                                               \
  OF_TWO(SM_NE, "ne", a != b)                                                               \
  OF_TWO(SM_MAXIMUM, "maximum", ((a > b) | (a != a)) ? a : b)                               \
  OF_TWO(SM_MINIMUM, "minimum", ((a < b) | (a != a)) ? a : b)                               \
  OF_TWO(SM_SQRT_BACKWARD, "sqrt_backward", a / (2 * b))                                    \
  OF_TWO(SM_ABS_BACKWARD, "abs_backward", b > 0 ? a : b < 0 ? -a : 0)                       \
  OF_TWO(SM_TANH_BACKWARD, "tanh_backward", a * ((1 - b) * (1 + b)))                        \
  OF_TWO(SM_SIGMOID_BACKWARD, "sigmoid_backward", a * (b * (1 - b)))                        \
  OF_TWO(SM_RELU_BACKWARD, "relu_backward", b <= 0 ? 0 : a)                                 \
  OF_TWO(SM_SOFTPLUS_BACKWARD, "softplus_backward", a * sm_sigmoid(b))                      \
  OF_TWO(SM_ERF_BACKWARD, "erf_backward", a * sm_erf_slope(b))                              \
  OF_TWO(SM_NORMAL_BACKWARD, "normal_backward", a * sm_normal_slope(b))                     \
  OF_THREE(SM_WHERE, "where", a != 0 ? b : c)                                               \
  OF_THREE(SM_CLAMP, "clamp", a < b ? b : a > c ? c : a)                                    \
  OF_THREE(SM_PASS, "pass", b == c ? a : 0)                                                 \
  OF_THREE(SM_MAXIMUM_PASS, "maximum_pass", b < c ? 0 : b == c ? a / 2 : a)                 \
  OF_THREE(SM_MINIMUM_PASS, "minimum_pass", b > c ? 0 : b == c ? a / 2 : a)

#define SM_RULE_ITSELF(rule, name, value) rule,
typedef enum sm_rule {
  SM_POINTWISE_RULES(SM_RULE_ITSELF, SM_RULE_ITSELF, SM_RULE_ITSELF) SM_RULES /* how many there are */
} sm_rule;
#undef SM_RULE_ITSELF

enum { SM_RULE_OPERANDS = 3 }; /* at most */

const char *sm_rule_name(sm_rule f);
int sm_rule_operands(sm_rule f);

/* y = f(x[0], …) on the calling thread, n elements; an operand with a step of 1 advances, one with a step of 0 is one
   number outside of y. If none advances, n is 1. y may be an operand that advances. */
void sm_pointwise_run(real *y, const real *const x[], const size_t step[], sm_rule f, size_t n);

/* The same on all threads. */
void sm_pointwise_flat(real *y, const real *const x[], const size_t step[], sm_rule f, size_t n);

/* The same for operands that broadcast: `axes` is what sm_strided_broadcast gives for their shapes. */
void sm_pointwise(real *y, const real *const x[], sm_rule f, const sm_strided *axes);

#endif
