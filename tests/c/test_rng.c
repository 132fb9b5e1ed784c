/* Random numbers: the published answers, the independence of how a fill is cut, and the distributions. */
#include "numbers.h"

#include "core/dropout.h"
#include "core/parallel.h"
#include "core/rng.h"

typedef void fill(real *out, const sm_rng *rng, size_t n);
static fill *const fills[] = {sm_rng_uniform, sm_rng_normal, sm_rng_truncated, sm_rng_exponential, sm_rng_gumbel};

/* Random123's kat_vectors for philox4x32-10. */
static void philox_gives_the_published_answers(void **state) {
  (void)state;
  static const struct {
    uint32_t counter[4], key[2], want[4];
  } known[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t i = 0; i < COUNT_OF(known); i++) {
    uint32_t got[4];
    sm_philox(got, known[i].counter, known[i].key);
    assert_memory_equal(got, known[i].want, sizeof got);
  }
}

/* The layout of the counter is part of every recorded run. */
static void uniform_numbers_come_from_the_documented_counter(void **state) {
  (void)state;
  const uint64_t seed = 0x0123456789abcdefu, offset = 0x3fffffffdu;
  sm_rng rng = {seed, 9, offset};
  real got[7];
  sm_rng_uniform(got, &rng, COUNT_OF(got));
  for (uint64_t i = 0; i < COUNT_OF(got); i++) {
    uint64_t block = (offset + i) / 4;
    uint32_t word[4], counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), 9, 0};
    sm_philox(word, counter, (uint32_t[]){0x89abcdefu, 0x01234567u});
    assert_true((double)got[i] == (word[(offset + i) % 4] >> 8) * 0x1p-24);
  }
}

static void an_element_depends_on_its_offset_alone(void **state) {
  (void)state;
  enum { n = 40000 };
  for (size_t f = 0; f < COUNT_OF(fills); f++) {
    real *whole = unwritten(n);
    sm_set_thread_count(1);
    fills[f](whole, &(sm_rng){7, 1, 5}, n);
    for (int threads = 2; threads <= 3; threads++) {
      real *same = unwritten(n);
      sm_set_thread_count(threads);
      fills[f](same, &(sm_rng){7, 1, 5}, n);
      assert_same_bits(same, whole, n);
      free(same);
    }
    for (size_t first = 0; first < 9; first++) {
      for (size_t count = 0; count < 530; count += 1 + count / 3) {
        real *part = unwritten(count);
        fills[f](part, &(sm_rng){7, 1, 5 + first}, count);
        assert_same_bits(part, whole + first, count);
        free(part);
      }
    }
    free(whole);
  }
}

static void seeds_and_streams_differ(void **state) {
  (void)state;
  static const sm_rng rngs[] = {{1, 0, 0}, {2, 0, 0}, {1, 1, 0}, {1ull << 32, 0, 0}, {1, 0, 4}};
  real x[COUNT_OF(rngs)][8];
  for (size_t i = 0; i < COUNT_OF(rngs); i++) {
    sm_rng_uniform(x[i], &rngs[i], 8);
    for (size_t j = 0; j < i; j++) assert_memory_not_equal(x[i], x[j], sizeof x[i]);
  }
}

typedef struct moments {
  double mean, variance, skew, kurtosis, low, high;
} moments;

static moments moments_of(const real *x, size_t n) {
  moments m = {.low = INFINITY, .high = -INFINITY};
  double count = (double)n;
  for (size_t i = 0; i < n; i++) m.mean += (double)x[i] / count;
  for (size_t i = 0; i < n; i++) {
    double d = (double)x[i] - m.mean;
    m.variance += d * d / count;
    m.skew += d * d * d / count;
    m.kurtosis += d * d * d * d / count;
    m.low = fmin(m.low, (double)x[i]);
    m.high = fmax(m.high, (double)x[i]);
  }
  return m;
}

/* Bounds are about five standard errors of the moment for n samples. */
static void fills_have_their_distribution(void **state) {
  (void)state;
  enum { n = 400000, bins = 100 };
  real *x = unwritten(n);
  sm_rng rng = {20, 3, 0};

  sm_rng_uniform(x, &rng, n);
  moments uniform = moments_of(x, n);
  assert_true(fabs(uniform.mean - 0.5) < 0.0025 && fabs(uniform.variance - 1.0 / 12) < 0.0007);
  assert_true(uniform.low >= 0 && uniform.high < 1);
  double count[bins] = {0}, chi_square = 0;
  for (size_t i = 0; i < n; i++) count[(size_t)(x[i] * bins)]++;
  for (int i = 0; i < bins; i++) chi_square += (count[i] - n / bins) * (count[i] - n / bins) / (n / bins);
  assert_true(chi_square > 45 && chi_square < 175); /* 99 degrees of freedom, beyond the 1e-5 tails */

  sm_rng_normal(x, &rng, n);
  moments normal = moments_of(x, n);
  assert_true(fabs(normal.mean) < 0.008 && fabs(normal.variance - 1) < 0.012);
  assert_true(fabs(normal.skew) < 0.02 && fabs(normal.kurtosis - 3) < 0.08);
  assert_true(normal.high > 4 && normal.high < 7 && normal.low < -4 && normal.low > -7);
  double neighbours = 0;
  for (size_t i = 1; i < n; i++) neighbours += (double)x[i - 1] * (double)x[i] / n;
  assert_true(fabs(neighbours) < 0.008);

  sm_rng_truncated(x, &rng, n);
  moments truncated = moments_of(x, n);
  assert_true(truncated.low >= -2 && truncated.high <= 2 && truncated.high > 1.999);
  assert_true(fabs(truncated.mean) < 0.007 && fabs(truncated.variance - 0.7737) < 0.01);
  free(x);
}

static void truncated_numbers_are_the_normal_ones_within_bounds(void **state) {
  (void)state;
  enum { n = 5000 };
  real *normal = unwritten(n), *truncated = unwritten(n);
  sm_rng rng = {3, 0, 11};
  sm_rng_normal(normal, &rng, n);
  sm_rng_truncated(truncated, &rng, n);
  int redrawn = 0;
  for (size_t i = 0; i < n; i++) {
    if (fabs((double)normal[i]) <= 2)
      assert_true(truncated[i] == normal[i]);
    else
      redrawn++;
  }
  assert_true(redrawn > 150 && redrawn < 310); /* 4.55% */
  free(normal);
  free(truncated);
}

static void a_permutation_holds_every_number_once(void **state) {
  (void)state;
  for (size_t n = 0; n < 3000; n = n * 2 + 1) {
    int32_t *order = block_of(n * sizeof *order);
    bool *seen = calloc(n + 1, sizeof *seen);
    sm_rng_permutation(order, &(sm_rng){5, 2, 77}, n);
    for (size_t i = 0; i < n; i++) {
      assert_true(order[i] >= 0 && (size_t)order[i] < n && !seen[order[i]]);
      seen[order[i]] = true;
    }
    free(seen);
    free(order);
  }
}

static void permutations_are_equally_likely(void **state) {
  (void)state;
  enum { draws = 60000 };
  double count[27] = {0}, chi_square = 0;
  for (uint64_t i = 0; i < draws; i++) {
    int32_t order[3];
    sm_rng_permutation(order, &(sm_rng){8, 2, 3 * i}, 3);
    count[order[0] * 9 + order[1] * 3 + order[2]]++;
  }
  static const int possible[] = {5, 7, 11, 15, 19, 21};
  for (size_t i = 0; i < COUNT_OF(possible); i++) {
    double d = count[possible[i]] - draws / 6.0;
    chi_square += d * d / (draws / 6.0);
  }
  assert_true(chi_square < 30); /* 5 degrees of freedom: 1e-5 lies at 30.9 */
}

static void dropout_keeps_where_the_uniform_number_is_p_or_more(void **state) {
  (void)state;
  enum { n = 40003 };
  static const double ps[] = {0, 0.25, 0.5, 0.9, 1 - 0x1p-24};
  real *x = numbers(n, 4), *uniform = unwritten(n);
  sm_rng rng = {11, 2, 6};
  sm_rng_uniform(uniform, &rng, n);
  x[3] = INFINITY, x[4] = NAN;
  for (size_t k = 0; k < COUNT_OF(ps); k++) {
    real *first = unwritten(n), scale = (real)(1 / (1 - ps[k]));
    sm_set_thread_count(1);
    sm_dropout(first, x, &rng, ps[k], n);
    for (size_t i = 0; i < n; i++) {
      real want = (double)uniform[i] >= ps[k] ? x[i] * scale : 0;
      assert_true(first[i] == want || (isnan(first[i]) && isnan(want)));
    }
    for (int threads = 2; threads <= 3; threads++) {
      real *same = block_of(n * sizeof *same);
      memcpy(same, x, n * sizeof *same);
      sm_set_thread_count(threads);
      sm_dropout(same, same, &rng, ps[k], n);
      assert_same_bits(same, first, n);
      free(same);
    }
    free(first);
  }
  free(x);
  free(uniform);
}

static void draws_have_their_distribution_with_any_number_of_threads(void **state) {
  (void)state;
  enum { n = 60000, classes = 4, bound = 7 };
  const sm_rng rng = {5, 2, 3};
  real *x = unwritten(n), *p = unwritten(n), *drawn = unwritten(n), *same = unwritten(n);
  int32_t *number = block_of(n * sizeof *number), *again = block_of(n * sizeof *again);
  size_t count[bound] = {0};

  sm_set_thread_count(1);
  sm_rng_integers(number, -3, bound, &rng, n);
  for (size_t i = 0; i < n; i++) {
    assert_true(number[i] >= -3 && number[i] < -3 + bound);
    count[number[i] + 3]++;
  }
  for (size_t i = 0; i < bound; i++) assert_true(fabs((double)count[i] - n / 7.) < 5 * sqrt(n / 7.));
  sm_set_thread_count(3);
  sm_rng_integers(again, -3, bound, &rng, n);
  assert_memory_equal(again, number, n * sizeof *number);
  sm_rng_integers(number, INT32_MIN, (uint64_t)1 << 32, &rng, n); /* all there are */
  double mean = 0;
  for (size_t i = 0; i < n; i++) mean += (double)number[i] * 0x1p-31 / n;
  assert_true(fabs(mean) < 5 / sqrt(3. * n));

  double exponential = 0, gumbel = 0, ones = 0, wanted = 0;
  sm_rng_exponential(x, &rng, n);
  for (size_t i = 0; i < n; i++) exponential += (double)x[i] / n;
  sm_rng_gumbel(x, &rng, n);
  for (size_t i = 0; i < n; i++) gumbel += (double)x[i] / n;
  assert_true(fabs(exponential - 1) < 5 / sqrt(n) && fabs(gumbel - 0.5772156649) < 5 * 1.2825 / sqrt(n));

  for (size_t i = 0; i < n; i++) p[i] = (real)(i % 5) / 4;
  sm_rng_bernoulli(drawn, p, &rng, n);
  for (size_t i = 0; i < n; i++) {
    assert_true(drawn[i] == 0 || drawn[i] == 1);
    if (i % 5 == 0) assert_true(drawn[i] == 0);
    if (i % 5 == 4) assert_true(drawn[i] == 1);
    ones += (double)drawn[i], wanted += (double)p[i];
  }
  assert_true(fabs(ones - wanted) < 5 * sqrt(n / 4.));
  sm_set_thread_count(1);
  sm_rng_bernoulli(same, p, &rng, n);
  assert_same_bits(same, drawn, n);

  enum { rows = 40, draws = n / rows };
  const real weights[classes] = {0, 1, 0, 3};
  real *all = block_of(rows * classes * sizeof *all);
  for (size_t i = 0; i < rows * classes; i++) all[i] = weights[i % classes];
  double *scratch = block_of(sm_multinomial_scratch(rows, classes) * sizeof *scratch);
  sm_rng_multinomial(number, all, scratch, &rng, 1, rows, classes, draws);
  sm_set_thread_count(3);
  sm_rng_multinomial(again, all, scratch, &rng, 1, rows, classes, draws);
  assert_memory_equal(again, number, rows * draws * sizeof *number);
  size_t second = 0;
  for (size_t i = 0; i < rows * draws; i++) {
    assert_true(number[i] == 2 || number[i] == 4);
    second += number[i] == 2;
  }
  assert_true(fabs((double)second - rows * draws / 4.) < 5 * sqrt(rows * draws * 3 / 16.));
  free(x), free(p), free(drawn), free(same), free(number), free(again), free(all), free(scratch);
}

static void weights_are_checked_by_position(void **state) {
  (void)state;
  const real weights[] = {1, 0, -1, NAN, INFINITY, 2}, rows[] = {0, 1, 0, 0};
  assert_int_equal(sm_weights_outside(weights, 1, 6), 2);
  assert_int_equal(sm_weights_outside(weights, 1, 2), 2);
  assert_int_equal(sm_weights_outside(weights + 3, 9, 3), 0);
  assert_int_equal(sm_weights_outside(weights + 4, 9, 2), 0);
  assert_int_equal(sm_weights_outside(weights + 5, 1, 1), 0);
  assert_int_equal(sm_weights_nothing(rows, 2, 2), 1);
  assert_int_equal(sm_weights_nothing(rows, 1, 2), 1);
  assert_int_equal(sm_weights_nothing(rows, 0, 2), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(draws_have_their_distribution_with_any_number_of_threads),
      cmocka_unit_test(weights_are_checked_by_position),
      cmocka_unit_test(philox_gives_the_published_answers),
      cmocka_unit_test(uniform_numbers_come_from_the_documented_counter),
      cmocka_unit_test(an_element_depends_on_its_offset_alone),
      cmocka_unit_test(seeds_and_streams_differ),
      cmocka_unit_test(fills_have_their_distribution),
      cmocka_unit_test(truncated_numbers_are_the_normal_ones_within_bounds),
      cmocka_unit_test(a_permutation_holds_every_number_once),
      cmocka_unit_test(permutations_are_equally_likely),
      cmocka_unit_test(dropout_keeps_where_the_uniform_number_is_p_or_more),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
