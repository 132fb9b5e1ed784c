/* Grouped softmax against the definition in double, at its limits, and its gradient. */
#include "numbers.h"

#include <stdio.h>

#include "core/parallel.h"
#include "core/pointwise.h"
#include "core/softmax.h"

enum { MOST_GROUPS = 64 };

typedef struct layout {
  size_t count;
  int32_t size[MOST_GROUPS];
} layout;

static layout equal(size_t count, int32_t size) {
  layout groups = {.count = count};
  for (size_t i = 0; i < count; i++) groups.size[i] = size;
  return groups;
}

static sm_groups groups_of(const layout *from, double temperature, bool scale, bool off) {
  sm_groups groups = {0, from->count, from->size, temperature, scale, off};
  for (size_t i = 0; i < from->count; i++) groups.channels += (size_t)from->size[i];
  return groups;
}

/* Every way through the room: narrow, wide, odd, larger than a tile, alone and among uneven ones. */
static const layout *layouts(size_t *count) {
  static layout all[40];
  static const int32_t sizes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 16, 17, 20, 31, 32, 33, 64, 100};
  static const layout others[] = {
      {1, {1024}},     {1, {1025}},    {2, {3000, 3000}}, {3, {16, 16, 32}},
      {3, {3, 5, 8}},  {2, {2, 30}},   {4, {1, 1, 6, 4}}, {5, {1, 2, 3, 4, 5}},
      {3, {8, 24, 9}}, {2, {1500, 2}}, {1, {2}},          {64, {2}},
  };
  size_t n = 0;
  for (size_t i = 0; i < COUNT_OF(sizes); i++) all[n++] = equal(3, sizes[i]);
  for (size_t i = 0; i < COUNT_OF(others); i++) all[n++] = others[i];
  all[n - 1] = equal(MOST_GROUPS, 2);
  *count = n;
  return all;
}

/* The definition, with the maximum taken off first. y (rows, channels). */
static double *reference(const real *x, const sm_groups *groups, size_t rows) {
  double *y = calloc(rows * groups->channels + 1, sizeof *y), *to = y;
  for (size_t row = 0; row < rows; row++) {
    for (size_t g = 0; g < groups->count; g++) {
      int32_t size = groups->size[g];
      double top = groups->off ? 0 : -INFINITY, sum = 0;
      for (int32_t i = 0; i < size; i++) top = fmax(top, (double)x[i]);
      for (int32_t i = 0; i < size; i++) {
        to[i] = (double)x[i] == top ? 1 : exp(((double)x[i] - top) / groups->temperature);
        sum += to[i];
      }
      if (groups->off) sum += exp(-top / groups->temperature);
      for (int32_t i = 0; i < size; i++) to[i] *= (groups->scale ? size : 1) / sum;
      x += size;
      to += size;
    }
  }
  return y;
}

static void forward_is_the_definition(void **state) {
  (void)state;
  static const size_t rows[] = {0, 1, 2, 15, 16, 17, 40};
  size_t count;
  const layout *all = layouts(&count);
  for (size_t k = 0; k < count; k++) {
    for (int option = 0; option < 12; option++) {
      sm_groups groups = groups_of(&all[k], (double[]){1, 0.3, 4}[option % 3], option / 3 % 2, option / 6);
      size_t n = rows[(k + (size_t)option) % COUNT_OF(rows)], elements = n * groups.channels;
      real *x = numbers(elements, (uint32_t)k), *y = unwritten(elements);
      for (size_t i = 0; i < elements; i++) x[i] *= 8;
      double *want = reference(x, &groups, n);
      sm_set_thread_count(1);
      sm_softmax_forward(y, x, &groups, n);
      for (size_t i = 0; i < elements; i++) {
        if (!(fabs((double)y[i] - want[i]) <= rounding * want[i])) {
          fail_msg("layout %zu, option %d, element %zu: got %g, expected %g", k, option, i, (double)y[i],
                   want[i]);
        }
      }
      sm_set_thread_count(3);
      sm_softmax_forward(x, x, &groups, n);
      assert_same_bits(x, y, elements);
      free(x);
      free(y);
      free(want);
    }
  }
}

/* Of the weighted sum of the outputs, by central differences of the definition in double. */
static void backward_agrees_with_differences(void **state) {
  (void)state;
  const double h = 1e-5, tolerance = sizeof(real) == sizeof(double) ? 1e-9 : 1e-5;
  size_t count;
  const layout *all = layouts(&count);
  for (size_t k = 0; k < count; k++) {
    if (all[k].size[0] > 64) continue;
    for (int option = 0; option < 8; option++) {
      sm_groups groups = groups_of(&all[k], option % 2 ? 1 : 0.7, option / 2 % 2, option / 4);
      size_t rows = 3, channels = groups.channels, n = rows * channels;
      real *x = numbers(n, (uint32_t)k), *gy = numbers(n, 99), *y = unwritten(n), *gx = unwritten(n);
      sm_softmax_forward(y, x, &groups, rows);
      sm_softmax_backward(gx, gy, y, &groups, rows);
      for (size_t i = 0; i < n; i++) {
        size_t row = i / channels;
        double sides[2];
        for (int side = 0; side < 2; side++) {
          double step = (side ? 1 : -1) * h, sum = 0, top = groups.off ? 0 : -INFINITY, total = 0;
          size_t first = row * channels, g = 0;
          while (first + (size_t)groups.size[g] <= i) first += (size_t)groups.size[g++];
          size_t last = first + (size_t)groups.size[g];
          for (size_t j = first; j < last; j++) top = fmax(top, (double)x[j]);
          for (size_t j = first; j < last; j++) {
            double e = exp(((double)x[j] + (j == i ? step : 0) - top) / groups.temperature);
            total += e;
            sum += e * (double)gy[j];
          }
          if (groups.off) total += exp(-top / groups.temperature);
          sides[side] = sum / total * (groups.scale ? groups.size[g] : 1);
        }
        double want = (sides[1] - sides[0]) / (2 * h);
        if (!(fabs((double)gx[i] - want) <= tolerance * (1 + fabs(want)))) {
          fail_msg("layout %zu, option %d, element %zu: got %.12g, expected %.12g", k, option, i,
                   (double)gx[i], want);
        }
      }
      free(x);
      free(gy);
      free(y);
      free(gx);
    }
  }
}

/* The gradient of large layouts against its formula; in place, and on several threads, the same bits. */
static void backward_is_its_formula_at_every_size(void **state) {
  (void)state;
  size_t count;
  const layout *all = layouts(&count);
  for (size_t k = 0; k < count; k++) {
    for (int option = 0; option < 2; option++) {
      sm_groups groups = groups_of(&all[k], 2, option, true);
      size_t rows = 37, n = rows * groups.channels;
      real *x = numbers(n, (uint32_t)k), *gy = numbers(n, 98), *y = unwritten(n), *gx = unwritten(n);
      sm_set_thread_count(1);
      sm_softmax_forward(y, x, &groups, rows);
      sm_softmax_backward(gx, gy, y, &groups, rows);
      for (size_t first = 0, g = 0; first < n; g = (g + 1) % groups.count) {
        size_t size = (size_t)groups.size[g];
        double scale = groups.scale ? (double)size : 1, mean = dot(y + first, gy + first, size) / scale;
        for (size_t i = first; i < first + size; i++) {
          assert_true(fabs((double)gx[i] - (double)y[i] / 2 * ((double)gy[i] - mean)) <= rounding);
        }
        first += size;
      }
      for (int threads = 2; threads <= 3; threads++) {
        real *same = block_of(n * sizeof *same);
        memcpy(same, gy, n * sizeof *same);
        sm_set_thread_count(threads);
        sm_softmax_backward(same, same, y, &groups, rows);
        assert_same_bits(same, gx, n);
        free(same);
      }
      free(x);
      free(gy);
      free(y);
      free(gx);
    }
  }
}

/* One group's logits, written at every place of a long tensor that starts at every place of a register. */
static void a_group_has_the_same_bits_wherever_it_stands(void **state) {
  (void)state;
  enum { rows = 150, shifts = 16 };
  for (int32_t size = 1; size < 70; size += size < 20 ? 1 : 7) {
    layout one = equal(1, size);
    sm_groups groups = groups_of(&one, 0.7, false, true);
    size_t n = rows * (size_t)size;
    real *logits = numbers((size_t)size, 5), *gradient = numbers((size_t)size, 6);
    real *x = block_of((n + shifts) * sizeof *x), *gy = block_of((n + shifts) * sizeof *gy);
    real *first_y = unwritten((size_t)size), *first_gx = unwritten((size_t)size);
    sm_softmax_forward(first_y, logits, &groups, 1);
    sm_softmax_backward(first_gx, gradient, first_y, &groups, 1);
    for (size_t shift = 0; shift < shifts; shift += 3) {
      for (size_t row = 0; row < rows; row++) {
        memcpy(x + shift + row * (size_t)size, logits, (size_t)size * sizeof *x);
        memcpy(gy + shift + row * (size_t)size, gradient, (size_t)size * sizeof *gy);
      }
      sm_softmax_forward(x + shift, x + shift, &groups, rows);
      sm_softmax_backward(gy + shift, gy + shift, x + shift, &groups, rows);
      for (size_t row = 0; row < rows; row++) {
        assert_same_bits(x + shift + row * (size_t)size, first_y, (size_t)size);
        assert_same_bits(gy + shift + row * (size_t)size, first_gx, (size_t)size);
      }
    }
    free(logits);
    free(gradient);
    free(x);
    free(gy);
    free(first_y);
    free(first_gx);
  }
}

static void a_group_of_two_is_the_logistic_sigmoid(void **state) {
  (void)state;
  enum { rows = 500 };
  layout pair = equal(1, 2), single = equal(1, 1);
  sm_groups two = groups_of(&pair, 1, false, false), one_or_off = groups_of(&single, 1, false, true);
  real *x = numbers(2 * rows, 7), y[2 * rows], difference[rows], sigmoid[rows], off[rows];
  for (size_t i = 0; i < rows; i++) {
    x[2 * i] *= 20;
    difference[i] = x[2 * i] - x[2 * i + 1];
  }
  sm_softmax_forward(y, x, &two, rows);
  sm_softmax_forward(off, difference, &one_or_off, rows);
  sm_pointwise_flat(sigmoid, (const real *const[]){difference}, (size_t[]){1}, SM_SIGMOID, rows);
  for (size_t i = 0; i < rows; i++) {
    assert_true(fabs((double)(y[2 * i] - sigmoid[i])) <= rounding * (double)sigmoid[i]);
    assert_true(fabs((double)(off[i] - sigmoid[i])) <= rounding * (double)sigmoid[i]);
  }
  free(x);
}

static void limits_of_size(int32_t size) {
  const real huge = (real)1e38, inf = INFINITY;
  layout one = equal(1, size);
  sm_groups plain = groups_of(&one, 1, false, false), hot = groups_of(&one, 1e-300, false, false);
  sm_groups off = groups_of(&one, 1, false, true);
  size_t n = (size_t)size;
  real *x = unwritten(n), *y = unwritten(n), even = (real)1 / (real)size;
  static const struct {
    double first, other, p, q; /* the first logit, the others, and what they become, q = 1: evenly */
  } cases[] = {
      {INFINITY, 1, 1, 0}, {1, -INFINITY, 1, 0}, {1e38, -1e38, 1, 0}, {3e38, -3e38, 1, 0}, {1e38, 0, 1, 0},
  };
  for (size_t k = 0; k < COUNT_OF(cases); k++) {
    for (size_t place = 0; place < n; place++) {
      for (size_t i = 0; i < n; i++) x[i] = (real)(i == place ? cases[k].first : cases[k].other);
      sm_softmax_forward(y, x, &plain, 1);
      for (size_t i = 0; i < n; i++) assert_true((double)y[i] == (i == place ? cases[k].p : cases[k].q));
    }
  }
  static const double alike[] = {-INFINITY, 1e38, -1e38, -3.4e38, 0};
  for (size_t k = 0; k < COUNT_OF(alike); k++) {
    for (size_t i = 0; i < n; i++) x[i] = (real)alike[k];
    sm_softmax_forward(y, x, &plain, 1);
    for (size_t i = 0; i < n; i++) assert_true(fabs((double)(y[i] - even)) <= rounding * (double)even);
    sm_softmax_forward(y, x, &off, 1);
    double p = alike[k] > 0 ? 1.0 / size : alike[k] < 0 ? 0 : 1.0 / (size + 1);
    for (size_t i = 0; i < n; i++) assert_true(fabs((double)y[i] - p) <= rounding * p);
  }
  for (size_t i = 0; i < n; i++)
    x[i] = i == 1 ? (real)0.001 : 0; /* almost no temperature: the largest takes all */
  sm_softmax_forward(y, x, &hot, 1);
  for (size_t i = 0; i < n; i++) assert_true(y[i] == (i == 1));
  for (size_t i = 0; i < n; i++) x[i] = i == 1 ? NAN : huge;
  sm_softmax_forward(y, x, &plain, 1);
  for (size_t i = 0; i < n; i++) assert_true(isnan(y[i]));
  x[0] = -inf;
  x[1] = 0;
  for (size_t i = 2; i < n; i++) x[i] = -inf;
  sm_softmax_forward(y, x, &off, 1);
  for (size_t i = 0; i < n; i++) assert_true(y[i] == (i == 1 ? (real)0.5 : 0));
  free(x);
  free(y);
}

static void limits_are_safe(void **state) {
  (void)state;
  static const int32_t sizes[] = {2, 3, 4, 7, 8, 10, 16, 19, 64, 1030};
  for (size_t k = 0; k < COUNT_OF(sizes); k++) limits_of_size(sizes[k]);
}

/* Not a number, with any of the bits that may go with it. */
static void every_nan_stays_one(void **state) {
  (void)state;
  static const int32_t sizes[] = {2, 4, 5, 16, 20, 64};
  for (size_t k = 0; k < COUNT_OF(sizes); k++) {
    layout one = equal(1, sizes[k]);
    sm_groups groups = groups_of(&one, 1, false, false);
    size_t n = (size_t)sizes[k];
    for (int payload = 0; payload < 3; payload++) {
      real *x = numbers(n, 3);
      memset(x + 1, 0xff, sizeof *x);
      if (payload > 0) ((unsigned char *)(x + 1))[sizeof *x - 1] = 0x7f;
      if (payload > 1) ((unsigned char *)(x + 1))[0] = 0x01;
      assert_true(isnan(x[1]));
      sm_softmax_forward(x, x, &groups, 1);
      for (size_t i = 0; i < n; i++) assert_true(isnan(x[i]));
      free(x);
    }
  }
}

static void a_nan_stays_in_its_group(void **state) {
  (void)state;
  layout uneven = {3, {3, 4, 17}};
  sm_groups groups = groups_of(&uneven, 1, false, false);
  real *x = numbers(24 * 5, 9), *y = unwritten(24 * 5);
  x[24 * 2 + 4] = NAN;
  sm_softmax_forward(y, x, &groups, 5);
  for (size_t i = 0; i < 24 * 5; i++) assert_true(isnan(y[i]) == (i >= 24 * 2 + 3 && i < 24 * 2 + 7));
  free(x);
  free(y);
}

static void wrong_groups_are_named(void **state) {
  (void)state;
  sm_error error;
  layout groups = {3, {4, 1, 3}};
  sm_groups check = groups_of(&groups, 1, false, true);
  assert_int_equal(sm_groups_check(&check, &error), SM_OK);
  check.off = false;
  assert_int_equal(sm_groups_check(&check, &error), SM_BAD_VALUE);
  assert_non_null(
      strstr(error.message, "softmax group 2 has one channel: its probability would be constant"));
  groups.size[1] = 0;
  assert_int_equal(sm_groups_check(&check, &error), SM_BAD_VALUE);
  assert_string_equal(error.message, "softmax group 2 has size 0, expected at least 2");
  groups.size[1] = 2;
  assert_int_equal(sm_groups_check(&check, &error), SM_BAD_SHAPE);
  assert_string_equal(error.message,
                      "softmax group sizes add up to 9, expected the 8 channels of the last axis");
  check.channels = 9;
  static const double temperatures[] = {0, -1, NAN, INFINITY};
  static const char *const texts[] = {"0", "-1", "nan", "inf"};
  for (size_t i = 0; i < COUNT_OF(temperatures); i++) {
    char want[128];
    check.temperature = temperatures[i];
    assert_int_equal(sm_groups_check(&check, &error), SM_BAD_VALUE);
    snprintf(want, sizeof want, "softmax temperature is %s, expected a finite number above 0", texts[i]);
    assert_string_equal(error.message, want);
  }
}

/* Of groups as large as these a sum in float would lose a hundredth. */
static void the_options_of_a_very_large_group_add_up_to_1(void **state) {
  (void)state;
  static const int32_t sizes[] = {4096, 4097, 70001, 20 * 1000 * 1000};
  for (size_t k = 0; k < COUNT_OF(sizes); k++) {
    for (int variant = 0; variant < 4; variant++) {
      const size_t n = (size_t)sizes[k];
      if (n > 100000 && variant > 0) break;
      const sm_groups groups = {n, 1, &sizes[k], variant == 3 ? 0.5 : 1, variant == 1, variant == 2};
      real *x = numbers(n, 1), *gy = numbers(n, 2), *y = unwritten(n), *gx = unwritten(n);
      double top = groups.off ? 0 : -INFINITY, sum = 0, got = 0, mean = 0;
      for (size_t i = 0; i < n; i++) top = fmax(top, (double)x[i]);
      for (size_t i = 0; i < n; i++) sum += exp(((double)x[i] - top) / groups.temperature);
      if (groups.off) sum += exp((0 - top) / groups.temperature);
      sm_softmax_forward(y, x, &groups, 1);
      const double scale = groups.scale ? (double)n : 1;
      for (size_t i = 0; i < n; i++) {
        double want = scale * exp(((double)x[i] - top) / groups.temperature) / sum;
        assert_true(fabs((double)y[i] - want) <= 1e-5 * want);
        got += (double)y[i] / scale;
        mean += (double)y[i] / scale * (double)gy[i];
      }
      if (!groups.off) assert_true(fabs(got - 1) < 1e-5);
      sm_softmax_backward(gx, gy, y, &groups, 1);
      for (size_t i = 0; i < n; i++) {
        double want = (double)y[i] / groups.temperature * ((double)gy[i] - mean);
        assert_true(fabs((double)gx[i] - want) <= 1e-5 * (double)y[i] / groups.temperature);
      }
      memcpy(y, x, n * sizeof *x);
      sm_softmax_forward(y, y, &groups, 1);
      sm_softmax_backward(gy, gy, y, &groups, 1);
      assert_same_bits(gy, gx, n);
      free(x), free(gy), free(y), free(gx);
    }
  }
}

/* Logits as far apart as can be, at temperatures as high and as low as can be. */
static void the_ends_of_the_range_are_safe(void **state) {
  (void)state;
  const int32_t size = 2;
  const double largest = sizeof(real) == sizeof(double) ? 1.7e308 : 3.4e38;
  sm_groups groups = {2, 1, &size, largest / 129, false, false};
  sm_error error;
  assert_int_equal(sm_groups_check(&groups, &error), SM_OK);
  real x[2] = {(real)largest, (real)-largest}, y[2];
  sm_softmax_forward(y, x, &groups, 1);
  assert_true(y[0] == 1 && (double)y[1] < 1e-37);
  x[1] = (real)(largest * 0.99);
  sm_softmax_forward(y, x, &groups, 1);
  assert_near((double)y[1], 1 / (1 + exp(0.01 * 129)), 20);
  groups.temperature = 129 / largest;
  assert_int_equal(sm_groups_check(&groups, &error), SM_OK);
  x[0] = (real)(129 / largest), x[1] = 0;
  sm_softmax_forward(y, x, &groups, 1);
  assert_near((double)y[0], 1 / (1 + exp(-1)), 20);
  const double beyond[] = {largest, largest / 100, 1 / largest, 100 / largest};
  for (size_t i = 0; i < COUNT_OF(beyond); i++) {
    groups.temperature = beyond[i];
    assert_int_equal(sm_groups_check(&groups, &error), SM_BAD_VALUE);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_options_of_a_very_large_group_add_up_to_1),
      cmocka_unit_test(the_ends_of_the_range_are_safe),
      cmocka_unit_test(forward_is_the_definition),
      cmocka_unit_test(backward_agrees_with_differences),
      cmocka_unit_test(backward_is_its_formula_at_every_size),
      cmocka_unit_test(a_group_has_the_same_bits_wherever_it_stands),
      cmocka_unit_test(a_group_of_two_is_the_logistic_sigmoid),
      cmocka_unit_test(limits_are_safe),
      cmocka_unit_test(every_nan_stays_one),
      cmocka_unit_test(a_nan_stays_in_its_group),
      cmocka_unit_test(wrong_groups_are_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
