/* Sorting and the largest few against counting, for each element, how many come before it. */
#include "numbers.h"

#include "core/parallel.h"
#include "core/sort.h"

/* -1, 0 or 1: NaN is larger than any number. */
static int compare(double a, double b) {
  if (isnan(a) || isnan(b)) return !!isnan(a) - !!isnan(b);
  return (a > b) - (a < b);
}

static double element(const void *x, sm_dtype dtype, size_t i) {
  switch (dtype) {
    case SM_UINT8: return ((const uint8_t *)x)[i];
    case SM_INT32: return ((const int32_t *)x)[i];
    default: return (double)((const real *)x)[i];
  }
}

static void *any_numbers(sm_dtype dtype, size_t n, uint32_t seed, bool few) {
  static const double special[] = {NAN, INFINITY, -INFINITY, 0.0, -0.0, 1e-40, -1e-40, 1, -1, 3e38, -3e38};
  void *x = block_of(n * sm_dtype_bytes(dtype));
  uint32_t chance = seed * 2654435761u + 17;
  for (size_t i = 0; i < n; i++) {
    chance = chance * 1664525u + 1013904223u;
    uint32_t value = chance >> 8;
    switch (dtype) {
      case SM_UINT8: ((uint8_t *)x)[i] = (uint8_t)(few ? value % 3 : value); break;
      case SM_INT32:
        ((int32_t *)x)[i] = few ? (int32_t)(value % 5) - 2 : (int32_t)(chance ^ (chance << 16));
        break;
      default:
        ((real *)x)[i] = (real)(few ? special[value % COUNT_OF(special)] : (double)value / (1 << 23) - 1);
        if (few && value % 7 == 0) ((real *)x)[i] = (real)-NAN;
    }
  }
  return x;
}

static void one_case(sm_axis a, size_t count, sm_dtype dtype, bool descending, bool few) {
  size_t n = a.outer * a.axis * a.inner, results = a.outer * count * a.inner, bytes = sm_dtype_bytes(dtype), need;
  unsigned char *x = any_numbers(dtype, n, (uint32_t)n, few);
  sm_error error;
  for (int threads = 1; threads <= 3; threads++) {
    sm_set_thread_count(threads);
    assert_int_equal(sm_sort_scratch(&need, &a, &error), SM_OK);
    void *scratch = block_of(need);
    unsigned char *values = block_of(results * bytes);
    int32_t *positions = block_of(results * sizeof *positions), *alone = block_of(results * sizeof *alone);
    if (count == a.axis) sm_sort(values, positions, x, dtype, &a, descending, scratch);
    else sm_topk(values, positions, x, dtype, &a, count, descending, scratch);
    sm_topk(NULL, alone, x, dtype, &a, count, descending, scratch);
    assert_memory_equal(alone, positions, results * sizeof *alone);
    for (size_t i = 0; i < results; i++) {
      size_t outer = i / (count * a.inner), inner = i % a.inner, rank = i / a.inner % count;
      const size_t first = outer * a.axis * a.inner + inner;
      size_t at = (size_t)positions[i] - 1;
      assert_true(at < a.axis);
      assert_memory_equal(values + i * bytes, x + (first + at * a.inner) * bytes, bytes);
      if (rank > 0) { /* in order, and equal ones in the order of their positions: so no position comes twice */
        size_t last = (size_t)positions[i - a.inner] - 1;
        int order = compare(element(x, dtype, first + last * a.inner), element(x, dtype, first + at * a.inner));
        assert_true(order == 0 ? last < at : (order < 0) != descending);
      }
      if (rank == count - 1 && count < a.axis) { /* as many come before the last as should */
        size_t earlier = 0;
        for (size_t j = 0; j < a.axis; j++) {
          int order = compare(element(x, dtype, first + j * a.inner), element(x, dtype, first + at * a.inner));
          if (descending) order = -order;
          earlier += order < 0 || (order == 0 && j < at);
        }
        assert_int_equal(earlier, count - 1);
      }
    }
    free(scratch);
    free(values);
    free(positions);
    free(alone);
  }
  free(x);
}

static void lines_are_sorted(void **state) {
  (void)state;
  static const sm_axis axes[] = {{1, 1, 1},   {5, 2, 1},    {3, 15, 2},   {2, 16, 1}, {2, 17, 3},     {7, 100, 1},
                                 {1, 1023, 1}, {3, 1024, 1}, {1, 5000, 2}, {1, 70000, 1}, {300, 33, 4}, {4, 0, 3},
                                 {0, 4, 3},   {4, 4, 0},    {3000, 10, 1}};
  for (size_t k = 0; k < COUNT_OF(axes); k++) {
    for (sm_dtype dtype = SM_REAL; dtype <= SM_INT32; dtype++) {
      for (int kind = 0; kind < 4; kind++) one_case(axes[k], axes[k].axis, dtype, kind & 1, kind & 2);
    }
  }
}

static void the_first_few_are_found(void **state) {
  (void)state;
  static const struct {
    sm_axis along;
    size_t count;
  } cases[] = {{{3, 10, 1}, 1},  {{3, 10, 1}, 9},     {{2, 100, 3}, 5},   {{1, 5000, 1}, 10}, {{1, 5000, 1}, 4000},
               {{40, 64, 1}, 8}, {{1, 30000, 1}, 300}, {{3, 10, 2}, 0},    {{500, 40, 1}, 5}};
  for (size_t k = 0; k < COUNT_OF(cases); k++) {
    for (sm_dtype dtype = SM_REAL; dtype <= SM_INT32; dtype++) {
      for (int kind = 0; kind < 4; kind++) one_case(cases[k].along, cases[k].count, dtype, kind & 1, kind & 2);
    }
  }
}

static void an_axis_too_long_is_refused(void **state) {
  (void)state;
  size_t bytes;
  sm_error error;
  sm_axis a = {1, (size_t)INT32_MAX + 1, 0};
  assert_int_equal(sm_sort_scratch(&bytes, &a, &error), SM_BAD_SHAPE);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(lines_are_sorted), cmocka_unit_test(the_first_few_are_found),
                                     cmocka_unit_test(an_axis_too_long_is_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
