/* Reductions along one axis, and sums that undo broadcasting. */
#include "numbers.h"

#include "core/extremes.h"
#include "core/parallel.h"
#include "core/logsumexp.h"
#include "core/reduce.h"
#include "core/scan.h"

static const sm_axis axes[] = {
    {1, 1, 1},     {1, 100000, 1}, {3, 7, 1},     {500, 10, 1}, {2, 50000, 1}, {40, 129, 1},  {1, 5000, 10},
    {1, 9800, 64}, {50, 14, 32},   {1, 3000, 31}, {1, 100, 33}, {1, 50, 1024}, {2, 300, 257}, {1, 3, 5000},
    {4, 1, 6},     {1, 0, 4},      {3, 0, 1},     {0, 5, 2},    {2, 5, 0},
};

static void axes_are_cut_out_of_shapes(void **state) {
  (void)state;
  sm_shape shape = {4, {2, 3, 4, 5}}, scalar = {0};
  sm_axis all = sm_axis_of(&shape, -1), middle = sm_axis_of(&shape, 1), last = sm_axis_of(&shape, 3);
  assert_true(all.outer == 1 && all.axis == 120 && all.inner == 1);
  assert_true(middle.outer == 2 && middle.axis == 3 && middle.inner == 20);
  assert_true(last.outer == 24 && last.axis == 5 && last.inner == 1);
  assert_int_equal(sm_axis_of(&scalar, -1).axis, 1);
}

static void sums_and_means_are_those_of_double(void **state) {
  (void)state;
  for (size_t k = 0; k < COUNT_OF(axes); k++) {
    sm_axis a = axes[k];
    size_t results = a.outer * a.inner, n = results * a.axis;
    real *x = numbers(n, 1), *sum = unwritten(results), *mean = unwritten(results);
    sm_set_thread_count(1);
    sm_sum(sum, x, &a);
    sm_mean(mean, x, &a);
    for (size_t i = 0; i < results; i++) {
      double want = 0;
      const real *from = x + i / a.inner * a.axis * a.inner + i % a.inner;
      for (size_t j = 0; j < a.axis; j++) want += (double)from[j * a.inner];
      /* Only the result is rounded to real; the sums of double differ in order alone. */
      assert_true(fabs((double)sum[i] - want) <= rounding * (0.02 * fabs(want) + 1e-6));
      if (a.axis == 0)
        assert_true(isnan(mean[i]));
      else
        assert_true(fabs((double)mean[i] - want / (double)a.axis) <= rounding * 0.02);
    }
    for (int threads = 2; threads <= 3; threads++) {
      real *same = unwritten(results);
      sm_set_thread_count(threads);
      sm_sum(same, x, &a);
      assert_same_bits(same, sum, results);
      free(same);
    }
    free(x);
    free(sum);
    free(mean);
  }
}

static void sums_depend_on_sizes_not_on_position(void **state) {
  (void)state;
  for (size_t n = 1; n < 300; n++) {
    real *x = numbers(n, 2), *moved = block_of((n + 16) * sizeof *moved), want, got;
    sm_axis whole = {1, n, 1};
    sm_sum(&want, x, &whole);
    for (size_t shift = 1; shift <= 16; shift += 5) {
      memcpy(moved + shift, x, n * sizeof *x);
      sm_sum(&got, moved + shift, &whole);
      assert_same_bits(&got, &want, 1);
      assert_true(sm_sum_of_squares(moved + shift, n) == sm_sum_of_squares(x, n));
    }
    free(x);
    free(moved);
  }
}

static bool beats(real x, real best) { return x > best || (isnan(x) && !isnan(best)); }

static void maxima_take_the_first_of_equals_and_nan(void **state) {
  (void)state;
  for (size_t k = 0; k < COUNT_OF(axes); k++) {
    sm_axis a = axes[k];
    size_t results = a.outer * a.inner, n = results * a.axis;
    if (a.axis == 0) continue;
    real *x = numbers(n, 3);
    for (size_t i = 0; i < n; i++) x[i] = (real)(int)(x[i] * 20);                     /* many ties */
    for (size_t i = 0; i < n; i += 97) x[i] = i % 2 ? -INFINITY : i % 3 ? x[i] : NAN; /* and some of these */
    real *top = unwritten(results), *same = unwritten(results);
    int32_t *position = block_of(results * sizeof *position),
            *same_position = block_of(results * sizeof *position);
    sm_set_thread_count(1);
    sm_max(top, position, x, &a);
    for (size_t i = 0; i < results; i++) {
      const real *from = x + i / a.inner * a.axis * a.inner + i % a.inner;
      size_t best = 0;
      for (size_t j = 1; j < a.axis; j++) {
        if (beats(from[j * a.inner], from[best * a.inner])) best = j;
      }
      assert_int_equal(position[i], best);
      assert_true(top[i] == from[best * a.inner] || (isnan(top[i]) && isnan(from[best * a.inner])));
    }
    sm_set_thread_count(3);
    sm_max(same, NULL, x, &a);
    assert_same_bits(same, top, results);
    sm_max(NULL, same_position, x, &a);
    if (results) assert_memory_equal(same_position, position, results * sizeof *position);

    real *negative = unwritten(n), *least = unwritten(results);
    for (size_t i = 0; i < n; i++) negative[i] = -x[i];
    sm_min(least, same_position, negative, &a);
    for (size_t i = 0; i < results; i++) assert_true(least[i] == -top[i] || (isnan(least[i]) && isnan(top[i])));
    if (results) assert_memory_equal(same_position, position, results * sizeof *position);
    free(negative), free(least);

    real *gy = numbers(results, 4), *gx = unwritten(n);
    sm_extremes_backward(gx, gy, position, &a);
    for (size_t i = 0; i < n; i++) {
      size_t inner = i % a.inner, j = i / a.inner % a.axis, to = i / (a.inner * a.axis) * a.inner + inner;
      assert_true(gx[i] == ((int32_t)j == position[to] ? gy[to] : 0));
    }
    free(x);
    free(top);
    free(same);
    free(position);
    free(same_position);
    free(gy);
    free(gx);
  }
}

/* What the other reductions and scans are, in double, for one result. */
typedef struct figures {
  double norm, mean, squares, logsumexp, prod;
} figures;

static figures figures_of(const real *x, size_t n, size_t stride) {
  figures f = {.prod = 1};
  double top = -INFINITY, sum = 0;
  for (size_t i = 0; i < n; i++) {
    double value = (double)x[i * stride];
    f.norm += value * value;
    f.mean += value / (double)n;
    f.prod *= value;
    top = fmax(top, value);
  }
  for (size_t i = 0; i < n; i++) {
    double value = (double)x[i * stride];
    f.squares += (value - f.mean) * (value - f.mean);
    sum += exp(value - top);
  }
  f.norm = sqrt(f.norm);
  f.logsumexp = n ? log(sum) + top : -INFINITY;
  return f;
}

static void the_other_reductions_are_their_definition(void **state) {
  (void)state;
  for (size_t k = 0; k < COUNT_OF(axes); k++) {
    sm_axis a = axes[k];
    size_t results = a.outer * a.inner, n = results * a.axis;
    real *x = numbers(n, 11), *gy = numbers(results, 12), *out[9], *same;
    for (int i = 0; i < 9; i++) out[i] = unwritten(i < 5 || i == 8 ? results : n);
    for (size_t i = 0; i < n; i++) x[i] = x[i] * 0.5f + 1; /* products stay in range */
    for (size_t i = 0; i < n; i += 53) x[i] = 0;
    sm_set_thread_count(1);
    sm_norm(out[0], x, &a);
    sm_squares(out[1], out[2], x, &a);
    sm_logsumexp(out[3], x, &a);
    sm_prod(out[4], x, &a);
    sm_cumsum(out[5], x, false, &a);
    sm_cumsum(out[6], x, true, &a);
    sm_prod_backward(out[7], gy, x, &a);
    for (size_t i = 0; i < results; i++) {
      const size_t first = i / a.inner * a.axis * a.inner + i % a.inner;
      const real *from = x + first;
      figures f = figures_of(from, a.axis, a.inner);
      assert_near((double)out[0][i], f.norm, 100);
      if (a.axis == 0) assert_true(out[1][i] == 0 && isnan(out[2][i]) && out[3][i] == -INFINITY && out[4][i] == 1);
      else {
        assert_near((double)out[1][i], f.squares, f.squares);
        assert_near((double)out[2][i], f.mean, 1);
        assert_near((double)out[3][i], f.logsumexp, 10);
        assert_near((double)out[4][i], f.prod, fabs(f.prod));
      }
      double running = 0, whole = f.mean * (double)a.axis;
      for (size_t j = 0; j < a.axis; j++) {
        double others = 1, before = running, value = (double)from[j * a.inner];
        running += value;
        assert_near((double)out[5][first + j * a.inner], running, fabs(running));
        assert_near((double)out[6][first + j * a.inner], whole - before, fabs(whole));
        if (a.axis > 300) continue;
        for (size_t m = 0; m < a.axis; m++) others *= m == j ? 1 : (double)from[m * a.inner];
        assert_near((double)out[7][first + j * a.inner], others * (double)gy[i], fabs(others));
      }
    }
    sm_set_thread_count(3);
    same = unwritten(n > results ? n : results);
    sm_norm(same, x, &a), assert_same_bits(same, out[0], results);
    sm_squares(same, out[8], x, &a), assert_same_bits(same, out[1], results);
    sm_logsumexp(same, x, &a), assert_same_bits(same, out[3], results);
    sm_prod(same, x, &a), assert_same_bits(same, out[4], results);
    sm_cumsum(same, x, false, &a), assert_same_bits(same, out[5], n);
    sm_prod_backward(same, gy, x, &a), assert_same_bits(same, out[7], n);
    free(x), free(gy), free(same);
    for (int i = 0; i < 9; i++) free(out[i]);
  }
}

static void logarithms_of_sums_bear_infinities(void **state) {
  (void)state;
  enum { N = 100000 }; /* cut into chunks */
  const real inf = INFINITY;
  real *x = numbers(N, 13), y;
  const sm_axis a = {1, N, 1};
  for (size_t i = 0; i < N; i++) x[i] = -inf;
  sm_logsumexp(&y, x, &a);
  assert_true(y == -inf);
  x[N - 1] = -1000;
  sm_logsumexp(&y, x, &a);
  assert_true(y == -1000);
  x[7] = inf, x[N - 1] = 1e30f;
  sm_logsumexp(&y, x, &a);
  assert_true(y == inf);
  x[N / 2] = NAN;
  sm_logsumexp(&y, x, &a);
  assert_true(isnan(y));
  free(x);
}

static void products_have_gradients_beside_zeros(void **state) {
  (void)state;
  const real x[] = {2, 0, 3, /**/ 0, 0, 3, /**/ 2, 4, 3}, gy[] = {1, 1, 2};
  const real want[] = {0, 6, 0, /**/ 0, 0, 0, /**/ 24, 12, 16};
  real gx[9];
  sm_prod_backward(gx, gy, x, &(sm_axis){3, 3, 1});
  for (size_t i = 0; i < 9; i++) assert_near((double)gx[i], (double)want[i], 1);
}

static void spreading_repeats_the_scaled_gradient(void **state) {
  (void)state;
  for (size_t k = 0; k < COUNT_OF(axes); k++) {
    sm_axis a = axes[k];
    size_t results = a.outer * a.inner, n = results * a.axis;
    real *gy = numbers(results, 5);
    for (int threads = 1; threads <= 3; threads++) {
      real *gx = unwritten(n);
      sm_set_thread_count(threads);
      sm_spread(gx, gy, 0.3, &a);
      for (size_t i = 0; i < n; i++) {
        assert_true(gx[i] == (real)0.3 * gy[i / (a.inner * a.axis) * a.inner + i % a.inner]);
      }
      free(gx);
    }
    free(gy);
  }
}

static const struct {
  sm_shape to, from;
} sums_to[] = {
    {{1, {8}}, {4, {5, 6, 7, 8}}},
    {{0}, {3, {20, 30, 40}}},
    {{3, {2, 3, 4}}, {3, {2, 3, 4}}},
    {{2, {30, 1}}, {2, {30, 50}}},
    {{2, {1, 50}}, {2, {30, 50}}},
    {{4, {1, 6, 1, 8}}, {4, {5, 6, 7, 8}}},
    {{4, {5, 1, 7, 1}}, {4, {5, 6, 7, 8}}},
    {{3, {6, 1, 8}}, {4, {5, 6, 7, 8}}},
    {{5, {1, 2, 1, 3, 1}}, {5, {4, 2, 5, 3, 6}}},
    {{2, {1, 1}}, {4, {2, 3, 4, 5}}},
    {{2, {1, 4}}, {2, {0, 4}}},
    {{2, {1, 0}}, {2, {3, 0}}},
    {{1, {64}}, {4, {50, 14, 14, 64}}},
    {{0}, {0}},
    {{3, {1, 3, 1}}, {3, {0, 3, 2}}},
};

static void sums_undo_broadcasting(void **state) {
  (void)state;
  sm_memory *memory = sm_memory_new();
  for (size_t k = 0; k < COUNT_OF(sums_to); k++) {
    const sm_shape *to = &sums_to[k].to, *from = &sums_to[k].from;
    size_t n = sm_shape_count(from), results = sm_shape_count(to);
    real *x = numbers(n, 6), *got = unwritten(results);
    double *want = calloc(results + 1, sizeof *want);
    for (size_t i = 0; i < n; i++) {
      size_t rest = i, at = 0, stride = 1;
      for (int axis = from->rank - 1, own = to->rank - 1; own >= 0; axis--, own--) {
        at += (to->size[own] == 1 ? 0 : rest % from->size[axis]) * stride;
        rest /= from->size[axis];
        stride *= to->size[own];
      }
      want[at] += (double)x[i];
    }
    sm_error error;
    sm_set_thread_count(1 + (int)k % 3);
    assert_int_equal(sm_sum_to(got, x, to, from, memory, &error), SM_OK);
    assert_close(got, want, results, 10);
    assert_int_equal(sm_memory_used(memory).live, 0);
    free(x);
    free(got);
    free(want);
  }
  sm_memory_free(memory);
}

static void squares_are_summed_in_double(void **state) {
  (void)state;
  assert_true(sm_sum_of_squares(NULL, 0) == 0);
  for (size_t n = 1; n < 100000; n = n * 3 + 1) {
    real *x = numbers(n, 7);
    double want = dot(x, x, n);
    sm_set_thread_count(1);
    double got = sm_sum_of_squares(x, n);
    assert_true(fabs(got - want) <= 1e-12 * want);
    sm_set_thread_count(3);
    assert_true(sm_sum_of_squares(x, n) == got);
    free(x);
  }
}

static void the_first_number_that_is_not_finite_is_found(void **state) {
  (void)state;
  enum { n = 200 };
  real *x = numbers(n, 8);
  assert_int_equal(sm_first_not_finite(x, n), n);
  assert_int_equal(sm_first_not_finite(x, 0), 0);
  for (size_t i = n; i-- > 0;) {
    x[i] = i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : -INFINITY;
    assert_int_equal(sm_first_not_finite(x, n), i);
  }
  free(x);
}

static void what_has_no_largest_element_or_none_that_can_be_named_is_refused(void **state) {
  (void)state;
  sm_error error;
  assert_int_equal(sm_extremes_check(&(sm_axis){1, 0, 4}, &error), SM_BAD_SHAPE);
  assert_int_equal(sm_extremes_check(&(sm_axis){3, 1, 4}, &error), SM_OK);
  assert_int_equal(sm_extremes_check(&(sm_axis){1, INT32_MAX, 1}, &error), SM_OK);
  assert_int_equal(sm_extremes_check(&(sm_axis){1, (size_t)INT32_MAX + 1, 1}, &error), SM_BAD_SHAPE);
  assert_string_equal(error.message,
                      "the largest of 2147483648 elements: positions, which are int32, count to 2147483647");
}

static void a_sum_to_a_shape_that_does_not_broadcast_is_refused(void **state) {
  (void)state;
  sm_error error;
  real x[6] = {0}, out[6];
  const sm_shape from = {2, {2, 3}}, wrong[] = {{1, {2}}, {2, {2, 4}}, {3, {1, 2, 3}}, {1, {100000}}, {2, {0, 3}}};
  for (size_t i = 0; i < COUNT_OF(wrong); i++)
    assert_int_equal(sm_sum_to(out, x, &wrong[i], &from, NULL, &error), SM_BAD_SHAPE);
  assert_string_equal(error.message, "shape {0, 3} does not broadcast to {2, 3}");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_has_no_largest_element_or_none_that_can_be_named_is_refused),
      cmocka_unit_test(a_sum_to_a_shape_that_does_not_broadcast_is_refused),
      cmocka_unit_test(axes_are_cut_out_of_shapes),
      cmocka_unit_test(sums_and_means_are_those_of_double),
      cmocka_unit_test(sums_depend_on_sizes_not_on_position),
      cmocka_unit_test(maxima_take_the_first_of_equals_and_nan),
      cmocka_unit_test(the_other_reductions_are_their_definition),
      cmocka_unit_test(logarithms_of_sums_bear_infinities),
      cmocka_unit_test(products_have_gradients_beside_zeros),
      cmocka_unit_test(spreading_repeats_the_scaled_gradient),
      cmocka_unit_test(sums_undo_broadcasting),
      cmocka_unit_test(squares_are_summed_in_double),
      cmocka_unit_test(the_first_number_that_is_not_finite_is_found),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
