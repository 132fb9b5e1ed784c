/* Cross-entropy and accuracy. */
#include "numbers.h"

#include "core/loss.h"
#include "core/parallel.h"

static int32_t *labels(size_t rows, size_t classes, uint32_t seed) {
  int32_t *label = block_of(rows * sizeof *label);
  real *x = numbers(rows, seed);
  for (size_t i = 0; i < rows; i++) label[i] = (int32_t)((x[i] + 1) / 2 * (real)classes);
  free(x);
  return label;
}

/* Of labels, with no options. */
static void forward(real *loss, real *log_sum, const real *x, const int32_t *label, size_t rows, size_t classes) {
  double total, divisor;
  sm_cross_entropy_forward(loss, log_sum, &total, &divisor, x, &(sm_target){.label = label}, rows, classes);
  assert_true(divisor == (double)rows);
}

static void backward(real *gx, real gy, const real *log_sum, const real *x, const int32_t *label, size_t rows,
                     size_t classes) {
  sm_cross_entropy_backward(gx, gy, log_sum, (double)rows, x, &(sm_target){.label = label}, rows, classes);
}

static size_t correct_rows(const real *x, const int32_t *label, size_t rows, size_t classes) {
  size_t counted = rows, correct = sm_correct(&counted, x, &(sm_target){.label = label}, classes);
  assert_int_equal(counted, rows);
  return correct;
}

/* The loss of one row, with column `moved` raised by `step`. */
static double row_reference(const real *x, int32_t label, size_t classes, size_t moved, double step) {
  double top = -INFINITY, sum = 0;
  for (size_t j = 0; j < classes; j++) top = fmax(top, (double)x[j]);
  for (size_t j = 0; j < classes; j++) sum += exp((double)x[j] + (j == moved ? step : 0) - top);
  return log(sum) - ((double)x[label] + ((size_t)label == moved ? step : 0) - top);
}

static const struct {
  size_t rows, classes;
} sizes[] = {{1, 1}, {1, 10}, {50, 10}, {17, 3}, {5000, 10}, {33, 257}, {3, 1000}, {100, 2}, {75, 63}, {40, 64}};

static void the_loss_is_its_definition(void **state) {
  (void)state;
  for (size_t k = 0; k < COUNT_OF(sizes); k++) {
    size_t rows = sizes[k].rows, classes = sizes[k].classes, n = rows * classes;
    real *x = numbers(n, 1), *log_sum = unwritten(rows), *same_sum = unwritten(rows), loss, same;
    int32_t *label = labels(rows, classes, 2);
    for (size_t i = 0; i < n; i++) x[i] *= 6;
    double want = 0;
    for (size_t i = 0; i < rows; i++)
      want += row_reference(x + i * classes, label[i], classes, 0, 0) / (double)rows;
    sm_set_thread_count(1);
    forward(&loss, log_sum, x, label, rows, classes);
    assert_near((double)loss, want, 1);
    for (int threads = 2; threads <= 3; threads++) {
      sm_set_thread_count(threads);
      forward(&same, same_sum, x, label, rows, classes);
      assert_same_bits(&same, &loss, 1);
      assert_same_bits(same_sum, log_sum, rows);
    }
    free(x);
    free(log_sum);
    free(same_sum);
    free(label);
  }
}

static void its_gradient_agrees_with_differences(void **state) {
  (void)state;
  const double h = 1e-5, tolerance = sizeof(real) == sizeof(double) ? 1e-9 : 1e-6;
  for (size_t k = 0; k < COUNT_OF(sizes); k++) {
    size_t rows = sizes[k].rows, classes = sizes[k].classes, n = rows * classes;
    real *x = numbers(n, 3), *log_sum = unwritten(rows), *gx = unwritten(n), *same = unwritten(n), loss;
    int32_t *label = labels(rows, classes, 4);
    sm_set_thread_count(1);
    forward(&loss, log_sum, x, label, rows, classes);
    backward(gx, (real)0.5, log_sum, x, label, rows, classes);
    for (size_t i = 0; i < n; i += 1 + n / 5000) {
      size_t row = i / classes, j = i % classes;
      const real *from = x + row * classes;
      double more = row_reference(from, label[row], classes, j, h);
      double less = row_reference(from, label[row], classes, j, -h);
      double want = 0.5 * (more - less) / (2 * h) / (double)rows;
      assert_true(fabs((double)gx[i] - want) <= tolerance / (double)rows);
    }
    sm_set_thread_count(3);
    backward(same, (real)0.5, log_sum, x, label, rows, classes);
    assert_same_bits(same, gx, n);
    free(x);
    free(log_sum);
    free(gx);
    free(same);
    free(label);
  }
}

static void limits_are_safe(void **state) {
  (void)state;
  const real inf = INFINITY, huge = (real)1e38;
  static const int32_t label[] = {1};
  real loss, log_sum, gx[3];

  const real tie[] = {huge, huge, -huge};
  forward(&loss, &log_sum, tie, label, 1, 3);
  backward(gx, 1, &log_sum, tie, label, 1, 3);
  assert_near((double)loss, log(2), 1);
  assert_near((double)gx[0], 0.5, 1);
  assert_near((double)gx[1], -0.5, 1);
  assert_true(gx[2] == 0);

  const real masked[] = {-inf, 2, 2};
  forward(&loss, &log_sum, masked, label, 1, 3);
  backward(gx, 1, &log_sum, masked, label, 1, 3);
  assert_near((double)loss, log(2), 1);
  assert_true(gx[0] == 0);

  const real impossible[] = {0, -inf, 0}, nothing[] = {-inf, -inf, -inf}, unknown[] = {0, 0, NAN};
  forward(&loss, &log_sum, impossible, label, 1, 3);
  assert_true(loss == inf);
  forward(&loss, &log_sum, nothing, label, 1, 3);
  assert_true(loss == inf);
  forward(&loss, &log_sum, unknown, label, 1, 3);
  assert_true(isnan(loss));
  forward(&loss, NULL, NULL, NULL, 0, 3);
  assert_true(isnan(loss));
}

/* Equal infinities share the probability; gradients stay finite. */
static void infinite_logits_have_their_limit(void **state) {
  (void)state;
  const real inf = INFINITY;
  const struct {
    real x[3];
    int32_t label;
    double loss, gradient[3];
  } cases[] = {
      {{inf, 0, 0}, 0, 0, {0, 0, 0}},
      {{inf, 0, 0}, 1, INFINITY, {1, -1, 0}},
      {{0, inf, inf}, 2, 0.69314718055994531, {0, 0.5, -0.5}},
      {{-inf, 0, -inf}, 1, 0, {0, 0, 0}},
      {{-inf, 0, 0}, 0, INFINITY, {-1, 0.5, 0.5}},
      {{-inf, inf, 0}, 0, INFINITY, {-1, 1, 0}},
      {{-inf, -inf, -inf}, 1, INFINITY, {1. / 3, -2. / 3, 1. / 3}},
      {{NAN, inf, -inf}, 2, NAN, {NAN, NAN, NAN}},
      {{0, NAN, -inf}, 2, NAN, {NAN, NAN, NAN}},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    real loss, log_sum, gx[3];
    forward(&loss, &log_sum, cases[i].x, &cases[i].label, 1, 3);
    if (isnan(cases[i].loss)) assert_true(isnan(loss));
    else if (isinf(cases[i].loss)) assert_true((double)loss == cases[i].loss);
    else assert_near((double)loss, cases[i].loss, 1);
    backward(gx, 1, &log_sum, cases[i].x, &cases[i].label, 1, 3);
    for (int k = 0; k < 3; k++) {
      if (isnan(cases[i].gradient[k])) assert_true(isnan(gx[k]));
      else assert_near((double)gx[k], cases[i].gradient[k], 1);
    }
  }
}

static void labels_are_checked_by_position(void **state) {
  (void)state;
  const int32_t high[] = {0, 9, 10, -1}, low[] = {3, -1};
  const sm_target target = {.label = high}, other = {.label = low};
  assert_int_equal(sm_labels_check(&target, 2, 10), 2);
  assert_int_equal(sm_labels_check(&target, 0, 0), 0);
  assert_int_equal(sm_labels_check(&target, 4, 10), 2);
  assert_int_equal(sm_labels_check(&target, 1, 0), 0);
  assert_int_equal(sm_labels_check(&other, 2, 10), 1);
  const sm_target ignoring = {.label = high, .ignores = true, .ignored = 10};
  assert_int_equal(sm_labels_check(&ignoring, 4, 10), 3);
}

/* Every kind of target against the definition; gradients against differences. */
static void targets_are_weighted_smoothed_and_ignored(void **state) {
  (void)state;
  enum { rows = 37, classes = 7, n = rows * classes };
  const double h = 1e-5, tolerance = sizeof(real) == sizeof(double) ? 1e-8 : 2e-6;
  real *x = numbers(n, 7), *q = numbers(n, 8), *w = numbers(classes, 9);
  int32_t *label = labels(rows, classes, 10);
  for (size_t i = 0; i < n; i++) q[i] = (real)fabs((double)q[i]);
  for (size_t i = 0; i < classes; i++) w[i] = (real)(fabs((double)w[i]) + 0.2);
  q[3] = 0;
  for (int kind = 0; kind < 16; kind++) {
    sm_target target = {.smoothing = kind & 1 ? 0.15 : 0, .weight = kind & 2 ? w : NULL};
    if (kind & 4) target.probability = q;
    else target.label = label;
    if (kind & 8) {
      if (kind & 4) continue;
      target.ignores = true;
      target.ignored = 2;
    }
    double want = 0, divide = 0, total, divisor;
    for (size_t i = 0; i < rows; i++) {
      if (target.ignores && label[i] == target.ignored) continue;
      for (size_t j = 0; j < classes; j++) {
        double share = kind & 4 ? (double)q[i * classes + j] : label[i] == (int32_t)j;
        share = (share * (1 - target.smoothing) + target.smoothing / classes) * (kind & 2 ? (double)w[j] : 1);
        want += share * row_reference(x + i * classes, (int32_t)j, classes, 0, 0);
      }
      divide += kind & 4 || !(kind & 2) ? 1 : (double)w[label[i]];
    }
    real loss, log_sum[rows], gx[n], same[n];
    sm_set_thread_count(1);
    sm_cross_entropy_forward(&loss, log_sum, &total, &divisor, x, &target, rows, classes);
    assert_near((double)loss, want / divide, 1);
    assert_near(divisor, divide, 1);
    sm_cross_entropy_backward(gx, (real)0.5, log_sum, divisor, x, &target, rows, classes);
    for (size_t i = 0; i < rows; i++) {
      bool ignored = target.ignores && label[i] == target.ignored;
      for (size_t moved = 0; moved < classes; moved++) {
        double slope = 0;
        for (size_t j = 0; j < classes && !ignored; j++) {
          double share = kind & 4 ? (double)q[i * classes + j] : label[i] == (int32_t)j;
          share = (share * (1 - target.smoothing) + target.smoothing / classes) * (kind & 2 ? (double)w[j] : 1);
          slope += share * (row_reference(x + i * classes, (int32_t)j, classes, moved, h) -
                            row_reference(x + i * classes, (int32_t)j, classes, moved, -h)) / (2 * h);
        }
        assert_true(fabs((double)gx[i * classes + moved] - 0.5 * slope / divide) <= tolerance);
      }
    }
    sm_set_thread_count(3);
    sm_cross_entropy_backward(same, (real)0.5, log_sum, divisor, x, &target, rows, classes);
    assert_same_bits(same, gx, n);
  }
  const int32_t none[] = {5, 5};
  const sm_target nothing = {.label = none, .ignores = true, .ignored = 5};
  real loss, log_sum[2], gx[6];
  double total, divisor;
  sm_cross_entropy_forward(&loss, log_sum, &total, &divisor, x, &nothing, 2, 3);
  sm_cross_entropy_backward(gx, 1, log_sum, divisor, x, &nothing, 2, 3);
  assert_true(isnan(loss) && divisor == 0);
  for (size_t i = 0; i < 6; i++) assert_true(gx[i] == 0);
  free(x), free(q), free(w), free(label);
}

static void the_first_label_outside_is_found(void **state) {
  (void)state;
  double largest;
  const int32_t label[] = {3, 0, 7, -1, 9, INT32_MAX};
  assert_int_equal(sm_labels_outside(&largest, label, SM_INT32, 0, 9, 6), 3);
  assert_int_equal(sm_labels_outside(&largest, label, SM_INT32, 0, 9, 3), 3);
  assert_true(largest == 7);
  assert_int_equal(sm_labels_outside(&largest, label, SM_INT32, 0, 2, 6), 0);
  assert_int_equal(sm_labels_outside(&largest, label, SM_INT32, -1, INT32_MAX, 6), 6);
  assert_true(largest == INT32_MAX);
  assert_int_equal(sm_labels_outside(&largest, label, SM_INT32, 0, 9, 0), 0);
  assert_true(largest == -1);
  const uint8_t byte[] = {255, 0};
  assert_int_equal(sm_labels_outside(&largest, byte, SM_UINT8, 0, 254, 2), 0);
  assert_int_equal(sm_labels_outside(&largest, byte, SM_UINT8, 0, 255, 2), 2);
  const real odd[] = {2, (real)0.5, NAN, INFINITY, -INFINITY};
  for (size_t i = 1; i < 5; i++) {
    assert_int_equal(sm_labels_outside(&largest, odd, SM_REAL, -INFINITY, 9, 1), 1);
    assert_int_equal(sm_labels_outside(&largest, odd + i, SM_REAL, -9, 9, 1), 0);
  }
}

static void rows_are_correct_when_the_first_largest_is_the_label(void **state) {
  (void)state;
  const real x[] = {0,      1, 0, /**/ 1,   1, 0, /**/ 1,         1,         0,
                    /**/ 0, 0, 0, /**/ NAN, 1, 0, /**/ -INFINITY, -INFINITY, -3};
  const int32_t label[] = {1, 0, 1, 0, 1, 2};
  const size_t want[] = {0, 1, 2, 2, 3, 3, 4}; /* of the first rows */
  for (size_t rows = 0; rows <= 6; rows++) assert_int_equal(correct_rows(x, label, rows, 3), want[rows]);

  enum { rows = 9000, classes = 10 };
  real *many = numbers(rows * classes, 5);
  int32_t *guess = labels(rows, classes, 6);
  size_t correct = 0;
  for (size_t i = 0; i < rows; i++) {
    int32_t best = 0;
    for (int32_t j = 1; j < classes; j++) {
      if (many[i * classes + (size_t)j] > many[i * classes + (size_t)best]) best = j;
    }
    correct += best == guess[i];
  }
  for (int threads = 1; threads <= 3; threads++) {
    sm_set_thread_count(threads);
    assert_int_equal(correct_rows(many, guess, rows, classes), correct);
  }
  free(many);
  free(guess);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_loss_is_its_definition),
      cmocka_unit_test(its_gradient_agrees_with_differences),
      cmocka_unit_test(limits_are_safe),
      cmocka_unit_test(infinite_logits_have_their_limit),
      cmocka_unit_test(targets_are_weighted_smoothed_and_ignored),
      cmocka_unit_test(labels_are_checked_by_position),
      cmocka_unit_test(the_first_label_outside_is_found),
      cmocka_unit_test(rows_are_correct_when_the_first_largest_is_the_label),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
