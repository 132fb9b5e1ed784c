/* Functions of one element and of two: accuracy, special values, gradients, broadcasting. */
#include "numbers.h"

#include "core/parallel.h"
#include "core/pointwise.h"

static double sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }
static double negative(double x) { return -x; }
static double relu(double x) { return x > 0 ? x : 0; }
static double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }

static const struct {
  sm_unary f;
  const char *name;
  double (*reference)(double);
  double ulps; /* allowed distance from the reference */
} functions[] = {
    {SM_NEG, "neg", negative, 0},        {SM_EXP, "exp", exp, 2},    {SM_LOG, "log", log, 2},
    {SM_SQRT, "sqrt", sqrt, 0.5},        {SM_ABS, "abs", fabs, 0},   {SM_TANH, "tanh", tanh, 2},
    {SM_SIGMOID, "sigmoid", sigmoid, 2}, {SM_RELU, "relu", relu, 0},
    {SM_SOFTPLUS, "softplus", softplus, 2},
};

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
      sm_unary_forward(y, x, functions[k].f, count);
      for (size_t i = 0; i < count; i++) {
        if (functions[k].f == SM_RELU && isnan(x[i])) continue;
        double want = functions[k].reference((double)x[i]), ulps = ulps_between(y[i], want);
        if (ulps > functions[k].ulps) {
          fail_msg("%s(%a): got %a, expected %a (%g ulps)", functions[k].name, (double)x[i], (double)y[i],
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
    sm_unary_forward(y, x, SM_EXP, 41);
    for (int i = 0; i < 41; i++) assert_true(ulps_between(y[i], exp((double)x[i])) <= 1);
  }
}

#endif

static real value_of(sm_unary f, real x) {
  real y;
  sm_unary_forward(&y, &x, f, 1);
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
}

/* Central differences of the reference, so that the float build is tested as well. */
static void gradients_agree_with_differences(void **state) {
  (void)state;
  const double h = 1e-5, tolerance = sizeof(real) == sizeof(double) ? 1e-9 : 2e-6;
  enum { n = 200 };
  real *x = numbers(n, 1), *gy = numbers(n, 2), *y = unwritten(n), *gx = unwritten(n);
  for (size_t k = 0; k < COUNT_OF(functions); k++) {
    sm_unary f = functions[k].f;
    bool positive = f == SM_LOG || f == SM_SQRT;
    for (size_t i = 0; i < n; i++) {
      x[i] = positive ? (real)fabs((double)x[i]) + (real)0.5 : x[i] + (x[i] < 0 ? -1 : 1) * (real)0.01;
    }
    sm_unary_forward(y, x, f, n);
    sm_unary_backward(gx, gy, x, y, f, n);
    for (size_t i = 0; i < n; i++) {
      double at = (double)x[i];
      double slope = (functions[k].reference(at + h) - functions[k].reference(at - h)) / (2 * h);
      if (!(fabs((double)gx[i] - (double)gy[i] * slope) <= tolerance * (1 + fabs(slope)))) {
        fail_msg("%s'(%g): got %.12g, expected %.12g", functions[k].name, at, (double)(gx[i] / gy[i]), slope);
      }
    }
  }
  real zero[2] = {0, (real)-0.0}, one[2] = {1, 1}, slope[2];
  sm_unary_backward(slope, one, zero, zero, SM_ABS, 2);
  assert_true(slope[0] == 0 && slope[1] == 0);
  sm_unary_backward(slope, one, zero, zero, SM_RELU, 2);
  assert_true(slope[0] == 0 && slope[1] == 0);
  sm_unary_backward(slope, one, zero, zero, SM_SOFTPLUS, 2);
  assert_true(slope[0] == (real)0.5 && slope[1] == (real)0.5);
  free(x);
  free(gy);
  free(y);
  free(gx);
}

static void clamping_keeps_nan_and_passes_the_gradient_inside(void **state) {
  (void)state;
  const real x[] = {-2, -1, 0, 1, 2, NAN, INFINITY, -INFINITY}, gy[] = {1, 2, 3, 4, 5, 6, 7, 8};
  const real want[] = {-1, -1, 0, 1, 1, NAN, 1, -1}, want_gradient[] = {0, 2, 3, 4, 0, 0, 0, 0};
  real y[8], gx[8];
  sm_clamp_forward(y, x, -1, 1, 8);
  sm_clamp_backward(gx, gy, x, -1, 1, 8);
  for (int i = 0; i < 8; i++) {
    assert_true(y[i] == want[i] || (isnan(y[i]) && isnan(want[i])));
    assert_true(gx[i] == want_gradient[i]);
  }
}

/* Arrays that begin at each of 16 places relative to a register, and end at any, give the same bits. */
static void bits_depend_neither_on_position_nor_on_threads(void **state) {
  (void)state;
  enum { n = 50000, shifts = 17 };
  real *x = numbers(n, 3), *gy = numbers(n, 4);
  for (size_t i = 0; i < n; i++) x[i] *= 10;
  for (size_t k = 0; k < COUNT_OF(functions); k++) {
    sm_unary f = functions[k].f;
    real *y = unwritten(n), *gx = unwritten(n);
    sm_set_thread_count(1);
    sm_unary_forward(y, x, f, n);
    sm_unary_backward(gx, gy, x, y, f, n);
    for (int threads = 2; threads <= 3; threads++) {
      real *same = unwritten(n);
      sm_set_thread_count(threads);
      sm_unary_forward(same, x, f, n);
      assert_same_bits(same, y, n);
      sm_unary_backward(same, gy, x, y, f, n);
      assert_same_bits(same, gx, n);
      free(same);
    }
    for (size_t shift = 0; shift < shifts; shift++) {
      for (size_t count = 0; count < 100; count++) {
        real part[100 + shifts], in_place[100 + shifts];
        sm_unary_forward(part + shift, x + shift, f, count);
        assert_same_bits(part + shift, y + shift, count);
        memcpy(in_place + shift, x + shift, count * sizeof *x);
        sm_unary_forward(in_place + shift, in_place + shift, f, count);
        assert_same_bits(in_place + shift, y + shift, count);
        memcpy(in_place + shift, gy + shift, count * sizeof *gy);
        sm_unary_backward(in_place + shift, in_place + shift, x + shift, y + shift, f, count);
        assert_same_bits(in_place + shift, gx + shift, count);
      }
    }
    free(y);
    free(gx);
  }
  free(x);
  free(gy);
}

static double binary_reference(sm_binary f, double a, double b) {
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
  }
  return NAN;
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
    sm_broadcast plan;
    sm_error error;
    assert_int_equal(sm_broadcast_plan(&plan, shape_a, shape_b, &error), SM_OK);
    assert_true(sm_shape_equal(&plan.shape, &broadcasts[k].want));
    size_t n = sm_shape_count(&plan.shape);
    if (n > 0) assert_int_equal(plan.rank, broadcasts[k].rank);
    for (sm_binary f = SM_ADD; f <= SM_POW_GROWTH; f++) {
      real *y = unwritten(n);
      sm_set_thread_count(1);
      sm_binary_forward(y, a, b, f, &plan);
      for (size_t i = 0; i < n; i++) {
        double x1 = (double)a[operand_index(&plan.shape, shape_a, i)];
        double x2 = (double)b[operand_index(&plan.shape, shape_b, i)];
        assert_near((double)y[i], binary_reference(f, x1, x2), 10);
      }
      sm_set_thread_count(3);
      real *same = unwritten(n);
      sm_binary_forward(same, a, b, f, &plan);
      assert_same_bits(same, y, n);
      if (size_a == n) {
        memcpy(same, a, n * sizeof *same);
        sm_binary_forward(same, same, b, f, &plan);
        assert_same_bits(same, y, n);
      }
      free(same);
      free(y);
    }
    free(a);
    free(b);
  }
}

static void shapes_that_do_not_broadcast_are_named(void **state) {
  (void)state;
  sm_broadcast plan;
  sm_error error;
  assert_int_equal(sm_broadcast_plan(&plan, &(sm_shape){2, {2, 3}}, &(sm_shape){1, {4}}, &error),
                   SM_BAD_SHAPE);
  assert_string_equal(
      error.message, "shapes {2, 3} and {4} do not broadcast: axis 2 of the result would have sizes 3 and 4");
  assert_int_equal(sm_broadcast_plan(&plan, &(sm_shape){2, {0, 3}}, &(sm_shape){2, {2, 3}}, &error),
                   SM_BAD_SHAPE);
  assert_string_equal(
      error.message,
      "shapes {0, 3} and {2, 3} do not broadcast: axis 1 of the result would have sizes 0 and 2");
  const size_t huge = (size_t)1 << 40;
  assert_int_equal(sm_broadcast_plan(&plan, &(sm_shape){2, {huge, 1}}, &(sm_shape){3, {0, 1, huge}}, &error),
                   SM_BAD_SHAPE);
  assert_non_null(strstr(error.message, "of shape {0, 1099511627776, 1099511627776} is larger than memory can be"));
}

static void numbers_stand_on_either_side(void **state) {
  (void)state;
  enum { n = 20000 };
  static const double values[] = {2, 1, 0.5, -1, 3};
  real *x = numbers(n, 7);
  for (size_t i = 0; i < n; i++) x[i] += 2;
  for (size_t k = 0; k < COUNT_OF(values); k++) {
    for (sm_binary f = SM_ADD; f <= SM_POW_GROWTH; f++) {
      for (int swapped = 0; swapped <= 1; swapped++) {
        if (swapped && f >= SM_POW && values[k] < 0) continue;
        real *y = unwritten(n);
        sm_binary_number(y, x, values[k], swapped, f, n);
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
  sm_binary_number(&square, &square, 2, false, SM_POW, 1);
  assert_true(square == 9);
  sm_binary_number(&nothing, &nothing, -1, false, SM_POW, 1);
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
    sm_broadcast plan;
    sm_shape pair = {1, {2}};
    assert_int_equal(sm_broadcast_plan(&plan, &pair, &pair, NULL), SM_OK);
    sm_binary_forward(y, a, b, SM_POW_SLOPE, &plan);
    sm_binary_number(y + 2, a, (double)b[0], false, SM_POW_SLOPE, 2);
    sm_binary_forward(y + 4, a, b, SM_POW_GROWTH, &plan);
    sm_binary_number(y + 6, b, (double)a[0], true, SM_POW_GROWTH, 2);
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
      cmocka_unit_test(special_values_are_right),
      cmocka_unit_test(gradients_agree_with_differences),
      cmocka_unit_test(clamping_keeps_nan_and_passes_the_gradient_inside),
      cmocka_unit_test(bits_depend_neither_on_position_nor_on_threads),
      cmocka_unit_test(broadcasting_follows_numpy),
      cmocka_unit_test(derivatives_of_powers_are_right_at_0_and_below),
      cmocka_unit_test(shapes_that_do_not_broadcast_are_named),
      cmocka_unit_test(numbers_stand_on_either_side),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
