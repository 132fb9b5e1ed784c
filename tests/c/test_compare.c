/* Comparisons, choices, and whether any or all elements are not 0, against loops over all elements. */
#include "numbers.h"

#include "core/compare.h"
#include "core/parallel.h"

static const double special[] = {0, -0.0, 1, -1, INFINITY, -INFINITY, NAN, 2.5, -3.5, 255, 7};

static void *fill(sm_dtype dtype, size_t n, uint32_t seed) {
  void *x = block_of(n * sm_dtype_bytes(dtype));
  for (size_t i = 0; i < n; i++) {
    size_t k = (i * 7919 + seed * 31 + i / 5) % COUNT_OF(special);
    double value = special[k];
    switch (dtype) {
      case SM_REAL: ((real *)x)[i] = (real)value; break;
      case SM_UINT8: ((uint8_t *)x)[i] = (uint8_t)(k * 50 > 255 ? 255 : k * 50 * (k % 3)); break;
      case SM_INT32: ((int32_t *)x)[i] = isfinite(value) ? (int32_t)value : (int32_t)16777217; break;
    }
  }
  return x;
}

static double element(const void *x, sm_dtype dtype, ptrdiff_t i) {
  switch (dtype) {
    case SM_UINT8: return ((const uint8_t *)x)[i];
    case SM_INT32: return ((const int32_t *)x)[i];
    default: return (double)((const real *)x)[i];
  }
}

static bool holds(double a, double b, sm_rule f) {
  const bool all[] = {a < b, a <= b, a > b, a >= b, a == b, a != b};
  return all[f - SM_LT];
}

static const struct {
  sm_shape a, b, c;
} shapes[] = {{{1, {40000}}, {1, {40000}}, {1, {40000}}}, {{2, {300, 70}}, {1, {70}}, {2, {300, 1}}},
              {{2, {300, 1}}, {2, {300, 70}}, {0, {0}}},  {{0, {0}}, {3, {5, 6, 7}}, {2, {6, 1}}},
              {{0, {0}}, {0, {0}}, {0, {0}}},             {{2, {0, 3}}, {1, {3}}, {1, {1}}},
              {{4, {3, 1, 5, 1}}, {3, {4, 1, 9}}, {1, {9}}}};

static void numbers_of_all_types_are_compared(void **state) {
  (void)state;
  for (size_t k = 0; k < COUNT_OF(shapes); k++) {
    for (int types = 0; types < 9; types++) {
      sm_dtype type_a = (sm_dtype)(types / 3), type_b = (sm_dtype)(types % 3);
      const sm_shape *both[] = {&shapes[k].a, &shapes[k].b};
      sm_strided axes;
      sm_shape result;
      sm_error error;
      assert_int_equal(sm_strided_broadcast(&axes, &result, both, 2, &error), SM_OK);
      void *a = fill(type_a, sm_shape_count(both[0]), 1), *b = fill(type_b, sm_shape_count(both[1]), 2);
      size_t n = sm_shape_count(&result);
      const sm_operand first = {a, type_a, false}, second = {b, type_b, false};
      for (sm_rule f = SM_LT; f <= SM_NE; f++) {
        for (int threads = 1; threads <= 3; threads++) {
          uint8_t *y = block_of(n);
          memset(y, 7, n);
          sm_set_thread_count(threads);
          sm_compare(y, &first, &second, f, &axes);
          for (size_t i = 0; i < n; i++) {
            sm_strided_place at = sm_strided_start(&axes, i);
            assert_int_equal(y[i], holds(element(a, type_a, at.at[1]), element(b, type_b, at.at[2]), f));
          }
          free(y);
        }
      }
      free(a);
      free(b);
    }
  }
}

static void a_number_is_compared_exactly(void **state) {
  (void)state;
  const int32_t x[] = {16777216, 16777217, 16777218};
  const double number = 16777217;
  const sm_shape three = {1, {3}}, none = {0, {0}}, *both[] = {&three, &none};
  sm_strided axes;
  sm_shape result;
  sm_error error;
  uint8_t y[3];
  assert_int_equal(sm_strided_broadcast(&axes, &result, both, 2, &error), SM_OK);
  sm_compare(y, &(sm_operand){x, SM_INT32, false}, &(sm_operand){&number, SM_REAL, true}, SM_EQ, &axes);
  assert_true(y[0] == 0 && y[1] == 1 && y[2] == 0);
}

static void one_of_two_is_taken(void **state) {
  (void)state;
  for (size_t k = 0; k < COUNT_OF(shapes); k++) {
    const sm_shape *three[] = {&shapes[k].c, &shapes[k].a, &shapes[k].b};
    sm_strided axes;
    sm_shape result;
    sm_error error;
    assert_int_equal(sm_strided_broadcast(&axes, &result, three, 3, &error), SM_OK);
    size_t n = sm_shape_count(&result), count[3];
    for (int i = 0; i < 3; i++) count[i] = sm_shape_count(three[i]);
    uint8_t *condition = fill(SM_UINT8, count[0], 5);
    for (size_t bytes = 1; bytes <= 8; bytes = bytes == 1 ? 4 : bytes * 2) {
      unsigned char *a = block_of(count[1] * bytes), *b = block_of(count[2] * bytes), *y = block_of(n * bytes);
      for (size_t i = 0; i < count[1] * bytes; i++) a[i] = (unsigned char)(i * 13);
      for (size_t i = 0; i < count[2] * bytes; i++) b[i] = (unsigned char)(i * 17 + 5);
      for (int threads = 1; threads <= 3; threads++) {
        sm_set_thread_count(threads);
        memset(y, 1, n * bytes);
        sm_where(y, condition, a, b, bytes, &axes);
        for (size_t i = 0; i < n; i++) {
          sm_strided_place at = sm_strided_start(&axes, i);
          const unsigned char *want = condition[at.at[1]] ? a + (size_t)at.at[2] * bytes : b + (size_t)at.at[3] * bytes;
          assert_memory_equal(y + i * bytes, want, bytes);
        }
      }
      free(a);
      free(b);
      free(y);
    }
    free(condition);
  }
}

static void numbers_are_finite_or_not(void **state) {
  (void)state;
  enum { N = 40003 };
  real *x = numbers(N, 4);
  uint8_t *finite = block_of(N);
  for (size_t i = 0; i < COUNT_OF(special); i++) x[1000 + i] = (real)special[i];
  for (int threads = 1; threads <= 3; threads++) {
    sm_set_thread_count(threads);
    sm_is_finite(finite, x, N);
    for (size_t i = 0; i < N; i++) assert_int_equal(finite[i], isfinite(x[i]) != 0);
  }
  free(x);
  free(finite);
}

static void any_and_all_look_along_an_axis(void **state) {
  (void)state;
  static const sm_axis axes[] = {{1, 1, 1}, {1, 70000, 1}, {5, 300, 1}, {3, 4, 5}, {1, 9, 600}, {30, 20, 257},
                                 {3, 0, 2}, {1, 0, 1},     {0, 2, 2},   {2, 3, 0}};
  for (size_t k = 0; k < COUNT_OF(axes); k++) {
    sm_axis a = axes[k];
    size_t n = a.outer * a.axis * a.inner, results = a.outer * a.inner;
    for (sm_dtype dtype = SM_REAL; dtype <= SM_INT32; dtype++) {
      for (int kind = 0; kind < 4; kind++) { /* zeros, no zeros, one of the other in each */
        size_t bytes = sm_dtype_bytes(dtype);
        char *x = block_of(n * bytes);
        for (size_t i = 0; i < n; i++) {
          double value = kind & 1 ? (i % 2 ? NAN : -3) : i % 2 ? -0.0 : 0;
          if (kind >= 2 && i % 11 == 10) value = kind & 1 ? 0 : 3;
          if (dtype != SM_REAL) value = isnan(value) ? 200 : fabs(value);
          sm_fill(x + i * bytes, dtype, value, 1);
        }
        for (int threads = 1; threads <= 3; threads++) {
          uint8_t *any = block_of(results), *all = block_of(results);
          sm_set_thread_count(threads);
          sm_any(any, x, dtype, &a);
          sm_all(all, x, dtype, &a);
          for (size_t i = 0; i < results; i++) {
            bool want_any = false, want_all = true;
            for (size_t j = 0; j < a.axis; j++) {
              bool is = element(x, dtype, (ptrdiff_t)((i / a.inner * a.axis + j) * a.inner + i % a.inner)) != 0;
              want_any |= is;
              want_all &= is;
            }
            assert_int_equal(any[i], want_any);
            assert_int_equal(all[i], want_all);
          }
          free(any);
          free(all);
        }
        free(x);
      }
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(numbers_of_all_types_are_compared), cmocka_unit_test(a_number_is_compared_exactly),
      cmocka_unit_test(one_of_two_is_taken),
      cmocka_unit_test(numbers_are_finite_or_not), cmocka_unit_test(any_and_all_look_along_an_axis)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
