/* Functions of one, two and three elements: accuracy, special values, gradients, broadcasting. */
#include "numbers.h"

#include "core/parallel.h"
#include "core/pointwise.h"

static double sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }
static double normal(double x) { return 0.5 + 0.5 * erf(x * sqrt(0.5)); }
static double negative(double x) { return -x; }
static double relu(double x) { return x > 0 ? x : 0; }
static double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
static double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }

enum { NO_GRADIENT = -1 };

static const struct {
  sm_rule f;
  double (*reference)(double);
  double ulps;  /* allowed distance from the reference */
  int gradient; /* the rule that has it, which reads */
  bool result;  /* f's result, or its operand */
} functions[] = {
    {SM_NEG, negative, 0, NO_GRADIENT, false},
    {SM_EXP, exp, 2, SM_MUL, true},
    {SM_EXPM1, expm1, 2, NO_GRADIENT, false},
    {SM_LOG, log, 2, SM_DIV, false},
    {SM_LOG1P, log1p, 2, NO_GRADIENT, false},
    {SM_SQRT, sqrt, 0.5, SM_SQRT_BACKWARD, true},
    {SM_ABS, fabs, 0, SM_ABS_BACKWARD, false},
    {SM_SIN, sin, 2, NO_GRADIENT, false},
    {SM_COS, cos, 2, NO_GRADIENT, false},
    {SM_TANH, tanh, 2, SM_TANH_BACKWARD, true},
    {SM_ERF, erf, 2, SM_ERF_BACKWARD, false},
    {SM_NORMAL, normal, INFINITY, SM_NORMAL_BACKWARD, false},
    {SM_SIGMOID, sigmoid, 2, SM_SIGMOID_BACKWARD, true},
    {SM_RELU, relu, 0, SM_RELU_BACKWARD, false},
    {SM_SOFTPLUS, softplus, 2, SM_SOFTPLUS_BACKWARD, false},
    {SM_SIGN, sign, 0, NO_GRADIENT, false},
    {SM_FLOOR, floor, 0, NO_GRADIENT, false},
    {SM_ROUND, rint, 0, NO_GRADIENT, false},
};

static void forward(real *y, const real *x, sm_rule f, size_t n) {
  sm_pointwise_flat(y, (const real *const[]){x}, (const size_t[]){1}, f, n);
}

static void two(real *y, const real *a, const real *b, sm_rule f, size_t n) {
  sm_pointwise_flat(y, (const real *const[]){a, b}, (const size_t[]){1, 1}, f, n);
}

static void every_rule_has_a_name_of_its_own(void **state) {
  (void)state;
  size_t of_one = 0;
  for (sm_rule f = SM_NEG; f < SM_RULES; f++) {
    assert_true(sm_rule_operands(f) >= 1 && sm_rule_operands(f) <= SM_RULE_OPERANDS);
    of_one += sm_rule_operands(f) == 1;
    for (sm_rule g = SM_NEG; g < f; g++) assert_string_not_equal(sm_rule_name(f), sm_rule_name(g));
  }
  assert_int_equal(of_one, COUNT_OF(functions));
}

#ifndef SM_DOUBLE

static double largest_real(void) { return (double)nextafterf(INFINITY, 0); }

/* Distance in units of the last place of `want`, of float; denormals share that of the smallest. */
static double ulps_between(float got, double want) {
  if (isnan(want)) return isnan(got) ? 0 : INFINITY;
  if (fabs(want) > largest_real() || isinf(got)) return (double)got == (double)(float)want ? 0 : INFINITY;
  int exponent;
  frexp(want, &exponent);
  return fabs((double)got - want) / ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
}

/* Every 1021st of all float bit patterns, among them denormals, infinities and NaNs of both signs. */
static void functions_are_within_2_ulps_of_libm_over_the_whole_range(void **state) {
  (void)state;
  enum { n = 4096, stride = 1021 };
  float *x = block_of(n * sizeof *x), *y = block_of(n * sizeof *y);
  for (uint64_t bits = 0; bits <= UINT32_MAX;) {
    size_t count = 0;
    for (; count < n && bits <= UINT32_MAX; count++, bits += stride) {
      uint32_t pattern = (uint32_t)bits;
      memcpy(x + count, &pattern, sizeof pattern);
    }
    for (size_t k = 0; k < COUNT_OF(functions); k++) {
      forward(y, x, functions[k].f, count);
      for (size_t i = 0; i < count; i++) {
        if (isnan(x[i])) {
          assert_true(isnan(y[i]));
          continue;
        }
        double want = functions[k].reference((double)x[i]), ulps = ulps_between(y[i], want);
        if (ulps > functions[k].ulps) {
          fail_msg("%s(%a): got %a, expected %a (%g ulps)", sm_rule_name(functions[k].f), (double)x[i], (double)y[i],
                   want, ulps);
        }
      }
    }
  }
  free(x);
  free(y);
}

/* Neighbours of the places where the results begin to overflow, to be denormal and to be 0. */
static void exponentials_round_correctly_at_the_edges(void **state) {
  (void)state;
  static const float edges[] = {88.72283f, -87.33654f, -103.97208f, -103.27893f, -104, 89, 0};
  for (size_t k = 0; k < COUNT_OF(edges); k++) {
    float x[41], y[41];
    x[0] = edges[k];
    for (int i = 1; i < 41; i++) x[i] = nextafterf(x[i - 1], i <= 20 ? INFINITY : -INFINITY);
    forward(y, x, SM_EXP, 41);
    for (int i = 0; i < 41; i++) assert_true(ulps_between(y[i], exp((double)x[i])) <= 1);
  }
}

#endif

static real value_of(sm_rule f, real x) {
  real y;
  forward(&y, &x, f, 1);
  return y;
}

static void special_values_are_right(void **state) {
  (void)state;
  const real inf = INFINITY;
  for (size_t k = 0; k < COUNT_OF(functions); k++) assert_true(isnan(value_of(functions[k].f, NAN)));
  assert_true(value_of(SM_EXP, 0) == 1 && value_of(SM_EXP, inf) == inf && value_of(SM_EXP, -inf) == 0);
  assert_true(value_of(SM_EXP, 1000) == inf && value_of(SM_EXP, -1000) == 0);
  assert_true(value_of(SM_LOG, 1) == 0 && value_of(SM_LOG, inf) == inf && value_of(SM_LOG, 0) == -inf);
  assert_true(value_of(SM_LOG, (real)-0.0) == -inf && isnan(value_of(SM_LOG, -1)) &&
              isnan(value_of(SM_LOG, -inf)));
  assert_true(value_of(SM_SQRT, inf) == inf && isnan(value_of(SM_SQRT, -1)));
  assert_true(value_of(SM_TANH, inf) == 1 && value_of(SM_TANH, -inf) == -1);
  assert_true(value_of(SM_TANH, (real)-0.0) == 0 && signbit(value_of(SM_TANH, (real)-0.0)));
  assert_true(value_of(SM_SIGMOID, inf) == 1 && value_of(SM_SIGMOID, -inf) == 0);
  assert_true(value_of(SM_SIGMOID, 0) == (real)0.5 && value_of(SM_SIGMOID, -80) > 0);
  assert_true(value_of(SM_RELU, -inf) == 0 && value_of(SM_RELU, inf) == inf);
  assert_false(signbit(value_of(SM_ABS, (real)-0.0)));
  assert_true(value_of(SM_SOFTPLUS, inf) == inf && value_of(SM_SOFTPLUS, -inf) == 0);
  assert_true(value_of(SM_SOFTPLUS, 1000) == 1000 && value_of(SM_SOFTPLUS, -80) > 0);
  static const sm_rule odd[] = {SM_EXPM1, SM_LOG1P, SM_SIN, SM_ERF, SM_FLOOR, SM_ROUND};
  for (size_t k = 0; k < COUNT_OF(odd); k++)
    assert_true(value_of(odd[k], 0) == 0 && signbit(value_of(odd[k], (real)-0.0)) && !signbit(value_of(odd[k], 0)));
  assert_true(value_of(SM_EXPM1, inf) == inf && value_of(SM_EXPM1, -inf) == -1 && value_of(SM_EXPM1, -1000) == -1);
  assert_true(value_of(SM_LOG1P, -1) == -inf && isnan(value_of(SM_LOG1P, -2)) && value_of(SM_LOG1P, inf) == inf);
  assert_true(isnan(value_of(SM_SIN, inf)) && isnan(value_of(SM_COS, -inf)) && value_of(SM_COS, 0) == 1);
  const double last_place = sizeof(real) == sizeof(double) ? 0x1p-52 : 0x1p-23;
  for (int i = -4000; i <= 4000; i++)
    assert_true(fabs((double)value_of(SM_NORMAL, (real)i / 400) - normal((double)((real)i / 400))) < 2 * last_place);
  assert_true(value_of(SM_ERF, inf) == 1 && value_of(SM_ERF, -inf) == -1);
}

/* sin and cos have another way for large numbers: which one is taken changes no bits. */
static void a_large_number_leaves_its_neighbours_alone(void **state) {
  (void)state;
  enum { n = 300 };
  real *x = numbers(n, 3), *y = unwritten(n), *beside = unwritten(n);
  for (size_t i = 0; i < n; i++) x[i] *= 3000;
  for (int k = 0; k < 2; k++) {
    sm_rule f = k ? SM_COS : SM_SIN;
    real kept = x[77];
    forward(y, x, f, n);
    x[77] = (real)3e30;
    forward(beside, x, f, n);
    assert_true(fabs((double)beside[77] - (k ? cos((double)x[77]) : sin((double)x[77]))) < 1e-6);
    beside[77] = y[77];
    x[77] = kept;
    assert_same_bits(beside, y, n);
  }
  free(x), free(y), free(beside);
}

/* Central differences of the reference, so that the float build is tested as well. */
static void gradients_agree_with_differences(void **state) {
  (void)state;
  const double h = 1e-5, tolerance = sizeof(real) == sizeof(double) ? 1e-9 : 2e-6;
  enum { n = 200 };
  real *x = numbers(n, 1), *gy = numbers(n, 2), *y = unwritten(n), *gx = unwritten(n);
  for (size_t k = 0; k < COUNT_OF(functions); k++) {
    if (functions[k].gradient == NO_GRADIENT) continue;
    sm_rule f = functions[k].f, gradient = (sm_rule)functions[k].gradient;
    bool positive = f == SM_LOG || f == SM_SQRT;
    for (size_t i = 0; i < n; i++) {
      x[i] = positive ? (real)fabs((double)x[i]) + (real)0.5 : x[i] + (x[i] < 0 ? -1 : 1) * (real)0.01;
    }
    forward(y, x, f, n);
    two(gx, gy, functions[k].result ? y : x, gradient, n);
    for (size_t i = 0; i < n; i++) {
      double at = (double)x[i];
      double slope = (functions[k].reference(at + h) - functions[k].reference(at - h)) / (2 * h);
      if (!(fabs((double)gx[i] - (double)gy[i] * slope) <= tolerance * (1 + fabs(slope)))) {
        fail_msg("%s'(%g): got %.12g, expected %.12g", sm_rule_name(f), at, (double)(gx[i] / gy[i]), slope);
      }
    }
  }
  real zero[2] = {0, (real)-0.0}, one[2] = {1, 1}, slope[2];
  two(slope, one, zero, SM_ABS_BACKWARD, 2);
  assert_true(slope[0] == 0 && slope[1] == 0);
  two(slope, one, zero, SM_RELU_BACKWARD, 2);
  assert_true(slope[0] == 0 && slope[1] == 0);
  two(slope, one, zero, SM_SOFTPLUS_BACKWARD, 2);
  assert_true(slope[0] == (real)0.5 && slope[1] == (real)0.5);
  free(x);
  free(gy);
  free(y);
  free(gx);
}

/* Arrays that begin at each of 16 places relative to a register, and end at any, give the same bits. */
static void bits_depend_neither_on_position_nor_on_threads(void **state) {
  (void)state;
  enum { n = 50000, shifts = 17 };
  real *x[] = {numbers(n, 3), numbers(n, 4), numbers(n, 5)};
  for (size_t i = 0; i < n; i++) x[0][i] *= 10;
  for (sm_rule f = SM_NEG; f < SM_RULES; f++) {
    const int operands = sm_rule_operands(f);
    const size_t step[] = {1, 1, 1};
    const real *all[] = {x[0], x[1], x[2]};
    real *y = unwritten(n);
    sm_set_thread_count(1);
    sm_pointwise_flat(y, all, step, f, n);
    for (int threads = 2; threads <= 3; threads++) {
      real *same = unwritten(n);
      sm_set_thread_count(threads);
      sm_pointwise_flat(same, all, step, f, n);
      assert_same_bits(same, y, n);
      free(same);
    }
    for (size_t shift = 0; shift < shifts; shift++) {
      for (size_t count = 0; count < 100; count++) {
        real part[100 + shifts], in_place[100 + shifts];
        const real *from[] = {x[0] + shift, x[1] + shift, x[2] + shift};
        sm_pointwise_flat(part + shift, from, step, f, count);
        assert_same_bits(part + shift, y + shift, count);
        for (int k = 0; k < operands; k++) {
          const real *own[] = {from[0], from[1], from[2]};
          own[k] = in_place + shift;
          memcpy(in_place + shift, x[k] + shift, count * sizeof(real));
          sm_pointwise_flat(in_place + shift, own, step, f, count);
          assert_same_bits(in_place + shift, y + shift, count);
        }
      }
    }
    free(y);
  }
  for (int k = 0; k < 3; k++) free(x[k]);
}

static const double special[] = {0, -0.0, 1, -1, INFINITY, -INFINITY, NAN, 2.5, -3.5, 0.3, 7};

/* Of what comes without rounding. */
static double choice_reference(sm_rule f, double a, double b, double c) {
  const bool is_nan = isnan(a) || isnan(b);
  switch (f) {
    case SM_LT: return a < b;
    case SM_LE: return a <= b;
    case SM_GT: return a > b;
    case SM_GE: return a >= b;
    case SM_EQ: return a == b;
    case SM_NE: return a != b;
    case SM_MAXIMUM: return is_nan ? NAN : a > b ? a : b;
    case SM_MINIMUM: return is_nan ? NAN : a < b ? a : b;
    case SM_ABS_BACKWARD: return b > 0 ? a : b < 0 ? -a : 0;
    case SM_RELU_BACKWARD: return b <= 0 ? 0 : a;
    case SM_WHERE: return a != 0 ? b : c;
    case SM_CLAMP: return a < b ? b : a > c ? c : a;
    case SM_PASS: return b == c ? a : 0;
    case SM_MAXIMUM_PASS: return b == c ? a / 2 : b < c ? 0 : a;
    case SM_MINIMUM_PASS: return b == c ? a / 2 : b > c ? 0 : a;
    default: return -1;
  }
}

static void choices_are_right_for_all_numbers(void **state) {
  (void)state;
  static const sm_rule choices[] = {SM_LT, SM_LE, SM_GT, SM_GE, SM_EQ, SM_NE, SM_MAXIMUM, SM_MINIMUM, SM_MAXIMUM_PASS,
                                    SM_MINIMUM_PASS, SM_ABS_BACKWARD, SM_RELU_BACKWARD, SM_WHERE, SM_CLAMP, SM_PASS};
  enum { some = COUNT_OF(special), n = some * some * some };
  real *x[3], *y = unwritten(n);
  for (size_t k = 0, each = 1; k < 3; k++, each *= some) {
    x[k] = block_of(n * sizeof(real));
    for (size_t i = 0; i < n; i++) x[k][i] = (real)special[i / each % some];
  }
  for (size_t k = 0; k < COUNT_OF(choices); k++) {
    for (size_t steps = 1; steps < 8; steps++) {
      const size_t step[] = {steps & 1, steps >> 1 & 1, steps >> 2};
      if (sm_rule_operands(choices[k]) == 2 && !step[0] && !step[1]) continue;
      sm_pointwise_flat(y, (const real *const[]){x[0] + 2, x[1] + 2, x[2] + 2}, step, choices[k], n - 2);
      for (size_t i = 0; i < n - 2; i++) {
        double want = choice_reference(choices[k], (double)x[0][2 + i * step[0]], (double)x[1][2 + i * step[1]],
                                       (double)x[2][2 + i * step[2]]);
        assert_true(isnan(want) ? isnan(y[i]) : y[i] == (real)want);
      }
    }
  }
  for (int k = 0; k < 3; k++) free(x[k]);
  free(y);
}

static double binary_reference(sm_rule f, double a, double b) {
  switch (f) {
    case SM_ADD:
      return a + b;
    case SM_SUB:
      return a - b;
    case SM_MUL:
      return a * b;
    case SM_DIV:
      return a / b;
    case SM_POW:
      return pow(a, b);
    case SM_POW_SLOPE:
      return b == 0 ? 0 : b * pow(a, b - 1);
    case SM_POW_GROWTH:
      return a == 0 && b >= 0 ? 0 : pow(a, b) * log(a);
    default:
      return NAN;
  }
}

/* The element of an operand that broadcasting puts at flat index `at` of the result. */
static size_t operand_index(const sm_shape *result, const sm_shape *operand, size_t at) {
  size_t index = 0, stride = 1;
  for (int axis = result->rank - 1, own = operand->rank - 1; own >= 0; axis--, own--) {
    index += (operand->size[own] == 1 ? 0 : at % result->size[axis]) * stride;
    at /= result->size[axis];
    stride *= operand->size[own];
  }
  return index;
}

static const struct {
  sm_shape a, b, want;
  int rank; /* axes that remain */
} broadcasts[] = {
    {{0}, {0}, {0}, 1},
    {{1, {7}}, {0}, {1, {7}}, 1},
    {{3, {4, 5, 6}}, {3, {4, 5, 6}}, {3, {4, 5, 6}}, 1},
    {{4, {3, 5, 7, 20}}, {1, {20}}, {4, {3, 5, 7, 20}}, 2},
    {{1, {20}}, {3, {5, 7, 20}}, {3, {5, 7, 20}}, 2},
    {{3, {60, 50, 7}}, {1, {7}}, {3, {60, 50, 7}}, 2},
    {{1, {33}}, {2, {700, 33}}, {2, {700, 33}}, 2},
    {{2, {300, 64}}, {1, {64}}, {2, {300, 64}}, 2},
    {{2, {30, 40}}, {2, {30, 1}}, {2, {30, 40}}, 2},
    {{2, {1, 40}}, {2, {30, 1}}, {2, {30, 40}}, 2},
    {{4, {3, 1, 5, 1}}, {4, {1, 4, 1, 6}}, {4, {3, 4, 5, 6}}, 4},
    {{4, {3, 4, 1, 1}}, {4, {3, 4, 5, 6}}, {4, {3, 4, 5, 6}}, 2},
    {{3, {8, 1, 9}}, {2, {7, 1}}, {3, {8, 7, 9}}, 3},
    {{5, {2, 1, 3, 1, 1}}, {3, {3, 4, 5}}, {5, {2, 1, 3, 4, 5}}, 3},
    {{4, {50, 14, 14, 8}}, {4, {1, 14, 14, 1}}, {4, {50, 14, 14, 8}}, 3},
    {{2, {0, 4}}, {1, {4}}, {2, {0, 4}}, 2},
    {{2, {3, 0}}, {2, {3, 1}}, {2, {3, 0}}, 2},
    {{8, {1, 2, 1, 2, 1, 2, 1, 2}}, {8, {2, 1, 2, 1, 2, 1, 2, 1}}, {8, {2, 2, 2, 2, 2, 2, 2, 2}}, 8},
};

static void broadcasting_follows_numpy(void **state) {
  (void)state;
  for (size_t k = 0; k < COUNT_OF(broadcasts); k++) {
    const sm_shape *shape_a = &broadcasts[k].a, *shape_b = &broadcasts[k].b;
    size_t size_a = sm_shape_count(shape_a), size_b = sm_shape_count(shape_b);
    real *a = numbers(size_a, 5), *b = numbers(size_b, 6);
    for (size_t i = 0; i < size_a; i++) a[i] += (real)1.5;
    for (size_t i = 0; i < size_b; i++) b[i] += (real)1.5;
    const sm_shape *both[] = {shape_a, shape_b};
    const real *const x[] = {a, b};
    sm_strided axes;
    sm_shape shape;
    sm_error error;
    assert_int_equal(sm_strided_broadcast(&axes, &shape, both, 2, &error), SM_OK);
    assert_true(sm_shape_equal(&shape, &broadcasts[k].want));
    size_t n = sm_shape_count(&shape);
    if (n > 0) assert_int_equal(axes.rank, broadcasts[k].rank);
    for (sm_rule f = SM_ADD; f <= SM_POW_GROWTH; f++) {
      real *y = unwritten(n);
      sm_set_thread_count(1);
      sm_pointwise(y, x, f, &axes);
      for (size_t i = 0; i < n; i++) {
        double x1 = (double)a[operand_index(&shape, shape_a, i)];
        double x2 = (double)b[operand_index(&shape, shape_b, i)];
        assert_near((double)y[i], binary_reference(f, x1, x2), 10);
      }
      sm_set_thread_count(3);
      real *same = unwritten(n);
      sm_pointwise(same, x, f, &axes);
      assert_same_bits(same, y, n);
      if (size_a == n) {
        memcpy(same, a, n * sizeof *same);
        sm_pointwise(same, (const real *const[]){same, b}, f, &axes);
        assert_same_bits(same, y, n);
      }
      free(same);
      free(y);
    }
    free(a);
    free(b);
  }
}

static void with_number(real *y, const real *x, double value, bool swapped, sm_rule f, size_t n) {
  const real number = (real)value;
  const real *const given[] = {swapped ? &number : x, swapped ? x : &number};
  sm_pointwise_flat(y, given, (const size_t[]){!swapped, swapped}, f, n);
}

static void numbers_stand_on_either_side(void **state) {
  (void)state;
  enum { n = 20000 };
  static const double values[] = {2, 1, 0.5, -1, 3};
  real *x = numbers(n, 7);
  for (size_t i = 0; i < n; i++) x[i] += 2;
  for (size_t k = 0; k < COUNT_OF(values); k++) {
    for (sm_rule f = SM_ADD; f <= SM_POW_GROWTH; f++) {
      for (int swapped = 0; swapped <= 1; swapped++) {
        if (swapped && f >= SM_POW && values[k] < 0) continue;
        real *y = unwritten(n);
        with_number(y, x, values[k], swapped, f, n);
        for (size_t i = 0; i < n; i++) {
          double at = (double)x[i];
          double want = swapped ? binary_reference(f, values[k], at) : binary_reference(f, at, values[k]);
          assert_true(fabs((double)y[i] - want) <= rounding * (fabs(want) + (f == SM_POW_GROWTH)));
        }
        free(y);
      }
    }
  }
  real square = -3, nothing = 0;
  with_number(&square, &square, 2, false, SM_POW, 1);
  assert_true(square == 9);
  with_number(&nothing, &nothing, -1, false, SM_POW, 1);
  assert_true(isinf(nothing));
  free(x);
}

static void derivatives_of_powers_are_right_at_0_and_below(void **state) {
  (void)state;
  static const struct {
    double a, b, slope, growth;
  } cases[] = {
      {0, 0, 0, 0},           {0, 1, 1, 0},
      {0, 2, 0, 0},           {0, 0.5, INFINITY, 0},
      {0, 1e-30, INFINITY, 0}, {0, -1, -INFINITY, -INFINITY},
      {2, 0, 0, 0.693147181}, {3, -1, -1. / 9, 0.366204096},
      {-2, 2, -4, NAN},       {-2, 0, 0, NAN},
      {1, 5, 5, 0},           {NAN, 0, 0, NAN},
      {NAN, 2, NAN, NAN},
  };
  for (size_t k = 0; k < COUNT_OF(cases); k++) {
    real a[2] = {(real)cases[k].a, (real)cases[k].a}, b[2] = {(real)cases[k].b, (real)cases[k].b}, y[8];
    two(y, a, b, SM_POW_SLOPE, 2);
    with_number(y + 2, a, (double)b[0], false, SM_POW_SLOPE, 2);
    two(y + 4, a, b, SM_POW_GROWTH, 2);
    with_number(y + 6, b, (double)a[0], true, SM_POW_GROWTH, 2);
    for (int i = 0; i < 8; i++) {
      double want = i < 4 ? cases[k].slope : cases[k].growth;
      bool same = isnan(want) ? isnan(y[i]) : isinf(want) ? (double)y[i] == want : fabs((double)y[i] - want) < 1e-6;
      if (!same) fail_msg("%g^%g, %d: got %g, expected %g", cases[k].a, cases[k].b, i, (double)y[i], want);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
#ifndef SM_DOUBLE
      cmocka_unit_test(functions_are_within_2_ulps_of_libm_over_the_whole_range),
      cmocka_unit_test(exponentials_round_correctly_at_the_edges),
#endif
      cmocka_unit_test(every_rule_has_a_name_of_its_own),
      cmocka_unit_test(special_values_are_right),
      cmocka_unit_test(a_large_number_leaves_its_neighbours_alone),
      cmocka_unit_test(gradients_agree_with_differences),
      cmocka_unit_test(choices_are_right_for_all_numbers),
      cmocka_unit_test(bits_depend_neither_on_position_nor_on_threads),
      cmocka_unit_test(broadcasting_follows_numpy),
      cmocka_unit_test(derivatives_of_powers_are_right_at_0_and_below),
      cmocka_unit_test(numbers_stand_on_either_side),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
