/* Normalisation, and what may be added to it and relu after it, against plain sums in double. */
#include "numbers.h"

#include "core/normalise.h"
#include "core/parallel.h"

typedef struct shape_case {
  size_t outer, rows, channels, groups;
} shape_case;

static const shape_case cases[] = {
    {1, 2, 1, 1},      {1, 7, 3, 3},      {1, 300, 3, 3},    {1, 1003, 17, 17}, {1, 4096, 16, 16}, {1, 2500, 32, 32},
    {1, 777, 30, 30},  {1, 515, 63, 63},  {1, 130, 70, 70},  {1, 40, 1030, 1030}, {1, 9, 5000, 5000}, {3, 50, 12, 4},
    {70, 30, 10, 5},   {5, 400, 6, 1},    {2, 90000, 1, 1},  {40, 1, 33, 1},    {3, 1, 12, 4},     {1, 20000, 5, 5},
    {0, 4, 3, 3},      {1, 0, 3, 3},      {2, 4, 0, 1},
};

/* What is given, what is found, and what is expected, of one call each way. */
typedef struct run {
  const shape_case *at;
  size_t count, groups;
  real *x, *gy, *beside, *weight, *bias;
  real *y, *mean, *variance, *gx, *gw, *gb, *passed;
  bool adds;
  double relu;
} run;

static sm_normalisation described(const shape_case *at) {
  return (sm_normalisation){at->outer, at->rows, at->channels, at->groups, 1e-3,
                            at->outer == 1 && at->groups == at->channels};
}

/* No relu, relu, and one that keeps below a number. */
static const double relus[] = {0, (double)INFINITY, 0.375};

enum { MORE = 6 /* ways to go on: adding or not, with each of these */ };

static run begin(const shape_case *at, bool adds, double relu) {
  const size_t count = at->outer * at->rows * at->channels, groups = at->outer * at->groups, c = at->channels;
  return (run){.at = at, .count = count, .groups = groups, .x = numbers(count, 1), .gy = numbers(count, 2),
               .beside = numbers(count, 3), .weight = numbers(c, 4), .bias = numbers(c, 5), .y = unwritten(count),
               .mean = unwritten(groups), .variance = unwritten(groups), .gx = unwritten(count), .gw = unwritten(c),
               .gb = unwritten(c), .passed = unwritten(count), .adds = adds, .relu = relu};
}

static void end(run *r) {
  real *all[] = {r->x,    r->gy,       r->beside, r->weight, r->bias, r->y,
                 r->mean, r->variance, r->gx,     r->gw,     r->gb,   r->passed};
  for (size_t i = 0; i < COUNT_OF(all); i++) free(all[i]);
}

static void compute(run *r, bool in_place) {
  const sm_normalisation of = described(r->at);
  const bool keeps = r->adds && r->relu != 0;
  size_t bytes;
  assert_true(sm_normalise_scratch(&bytes, &of));
  void *scratch = block_of(bytes);
  sm_normalise_forward(r->y, r->mean, r->variance, r->x, r->weight, r->bias, r->adds ? r->beside : NULL, r->relu, NULL,
                       &of, scratch);
  real *gy = in_place ? (keeps ? r->passed : r->gx) : r->gy;
  if (in_place && r->count) memcpy(gy, r->gy, r->count * sizeof *gy);
  sm_normalise_backward(r->gx, r->gw, r->gb, keeps ? r->passed : NULL, gy, r->x, keeps ? r->y : NULL, r->mean,
                        r->variance, r->weight, r->bias, r->relu, NULL, &of, scratch);
  free(scratch);
}

static double *doubles(size_t n) { return calloc(n ? n : 1, sizeof(double)); }

/* Each group by itself, one number after the other. */
static void check(const run *r) {
  const shape_case *at = r->at;
  const size_t size = at->channels / at->groups;
  double *y = doubles(r->count), *gx = doubles(r->count), *g = doubles(r->count), *mean = doubles(r->groups);
  double *variance = doubles(r->groups), *gw = doubles(at->channels), *gb = doubles(at->channels);
  for (size_t group = 0; group < r->groups; group++) {
    const size_t outer = group / at->groups, from = group % at->groups * size;
    const double n = (double)(at->rows * size);
    double all = 0, along = 0;
#define EACH(i, c)                                                                                   \
  for (size_t row = 0; row < at->rows; row++)                                                        \
    for (size_t c = from, i = (outer * at->rows + row) * at->channels + from; c < from + size; c++, i++)
    EACH(i, c) mean[group] += (double)r->x[i] / n;
    EACH(i, c) variance[group] += ((double)r->x[i] - mean[group]) * ((double)r->x[i] - mean[group]) / n;
    const double inverse = 1 / sqrt(variance[group] + 1e-3);
    EACH(i, c) {
      const double z = ((double)r->x[i] - mean[group]) * inverse;
      y[i] = z * (double)r->weight[c] + (double)r->bias[c] + (r->adds ? (double)r->beside[i] : 0);
      g[i] = (double)r->gy[i];
      if (r->relu != 0 && (r->y[i] <= 0 || (double)r->y[i] == r->relu)) g[i] = 0; /* near these rounding decides */
      if (r->relu != 0 && y[i] < 0) y[i] = 0;
      if (r->relu != 0 && y[i] > r->relu) y[i] = r->relu;
      gw[c] += g[i] * z;
      gb[c] += g[i];
      all += g[i] * (double)r->weight[c] / n;
      along += g[i] * (double)r->weight[c] * z / n;
    }
    EACH(i, c) {
      const double z = ((double)r->x[i] - mean[group]) * inverse;
      gx[i] = (g[i] * (double)r->weight[c] - all - z * along) * inverse;
    }
  }
  if (r->count) {
    assert_close(r->mean, mean, r->groups, 1);
    assert_close(r->variance, variance, r->groups, 1);
  }
  assert_close(r->y, y, r->count, 8);
  assert_close(r->gx, gx, r->count, 40);
  assert_close(r->gw, gw, at->channels, 8 * sqrt((double)(at->outer * at->rows)));
  assert_close(r->gb, gb, at->channels, 8 * sqrt((double)(at->outer * at->rows)));
  if (r->adds && r->relu != 0) assert_close(r->passed, g, r->count, 0);
  double *all[] = {y, gx, g, mean, variance, gw, gb};
  for (size_t i = 0; i < COUNT_OF(all); i++) free(all[i]);
}

static bool may_have_more(const shape_case *at, int more) { return more == 0 || at->rows != 1; }

static void it_matches_sums_in_double(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    for (int more = 0; more < MORE; more++) {
      if (!may_have_more(&cases[i], more)) continue;
      for (int in_place = 0; in_place < 2; in_place++) {
        run r = begin(&cases[i], more & 1, relus[more / 2]);
        compute(&r, in_place);
        check(&r);
        end(&r);
      }
    }
  }
}

static void bits_do_not_depend_on_the_number_of_threads(void **state) {
  (void)state;
  const int threads = sm_thread_count();
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    for (int more = 0; more < MORE; more++) {
      if (!may_have_more(&cases[i], more)) continue;
      run one = begin(&cases[i], more & 1, relus[more / 2]), many = begin(&cases[i], more & 1, relus[more / 2]);
      sm_set_thread_count(1);
      compute(&one, false);
      sm_set_thread_count(5);
      compute(&many, false);
      assert_memory_equal(one.y, many.y, one.count * sizeof(real));
      assert_memory_equal(one.gx, many.gx, one.count * sizeof(real));
      assert_memory_equal(one.gw, many.gw, cases[i].channels * sizeof(real));
      assert_memory_equal(one.variance, many.variance, one.groups * sizeof(real));
      end(&one);
      end(&many);
    }
  }
  sm_set_thread_count(threads);
}

/* What comes after has the bits of separate passes: relu and its gradient follow from the sum as it was rounded. */
static void one_pass_has_the_bits_of_several(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    if (cases[i].rows == 1) continue;
    for (int more = 2; more < MORE; more++) {
      const bool adds = more & 1;
      const real limit = (real)relus[more / 2];
      run apart = begin(&cases[i], false, 0), at_once = begin(&cases[i], adds, relus[more / 2]);
      compute(&at_once, false);
      compute(&apart, false);
      for (size_t k = 0; k < apart.count; k++) {
        real y = apart.y[k];
        if (adds) y = apart.beside[k] + y;
        apart.y[k] = y <= 0 ? 0 : y >= limit ? limit : y;
        if (y <= 0 || (limit < INFINITY && y >= limit)) apart.gy[k] = 0;
      }
      assert_memory_equal(at_once.y, apart.y, apart.count * sizeof(real));
      real *y = block_of(apart.count * sizeof *y);
      if (apart.count) memcpy(y, apart.y, apart.count * sizeof *y);
      compute(&apart, false);
      assert_memory_equal(at_once.gx, apart.gx, apart.count * sizeof(real));
      assert_memory_equal(at_once.gw, apart.gw, cases[i].channels * sizeof(real));
      if (adds) assert_memory_equal(at_once.passed, apart.gy, apart.count * sizeof(real));
      free(y);
      end(&apart);
      end(&at_once);
    }
  }
}

/* A channel far from 0 loses nothing by that, and one with a NaN spoils no other. */
static void channels_are_on_their_own(void **state) {
  (void)state;
  const shape_case at = {1, 2000, 5, 5};
  run r = begin(&at, false, true), plain = begin(&at, false, true);
  for (size_t row = 0; row < at.rows; row++) r.x[row * 5 + 1] = (real)(4096 + (double)(row % 2));
  r.x[700 * 5 + 3] = NAN;
  compute(&r, false);
  compute(&plain, false);
  assert_true(fabs((double)r.variance[1] - 0.25) < 1e-6);
  assert_true(isnan(r.mean[3]) && isnan(r.variance[3]));
  for (size_t row = 0; row < at.rows; row++) {
    assert_true(isnan(r.y[row * 5 + 3]) && isnan(r.gx[row * 5 + 3]));
    assert_memory_equal(r.y + row * 5 + 4, plain.y + row * 5 + 4, sizeof(real));
    assert_memory_equal(r.gx + row * 5, plain.gx + row * 5, sizeof(real));
  }
  end(&r);
  end(&plain);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_matches_sums_in_double),
      cmocka_unit_test(bits_do_not_depend_on_the_number_of_threads),
      cmocka_unit_test(one_pass_has_the_bits_of_several),
      cmocka_unit_test(channels_are_on_their_own),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
