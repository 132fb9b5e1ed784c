/* Convolution of numbers that are no ordinary ones, NaN, infinities, very large and very small, by every method against
   nested loops in double: each reaches the results that it is a term of and no others. */
#include "numbers.h"

#include "core/conv/conv.h"
#include "core/conv/maxpool.h"
#include "core/conv/range.h"
#include "core/gemm.h"
#include "core/parallel.h"
#include "core/parts.h"
#include "core/pool.h"

#include <float.h>
#include <stdio.h>

#ifdef SM_DOUBLE
static const double greatest = DBL_MAX;
#else
static const double greatest = (double)FLT_MAX;
#endif

typedef struct shape_case {
  size_t batch, height, width, channels, kernel_height, kernel_width, filters;
  sm_window_options axes[2];
} shape_case;

#define AXIS(stride, kind, padding) \
  { stride, kind, padding, padding, 1, false }
#define SAME(stride) \
  { AXIS(stride, SM_PADDING_SAME, 0), AXIS(stride, SM_PADDING_SAME, 0) }
#define VALID(stride) \
  { AXIS(stride, SM_PADDING_VALID, 0), AXIS(stride, SM_PADDING_VALID, 0) }
#define PADDED(stride, padding) \
  { AXIS(stride, SM_PADDING_EXPLICIT, padding), AXIS(stride, SM_PADDING_EXPLICIT, padding) }

static const shape_case cases[] = {
    {5, 14, 14, 32, 5, 5, 32, SAME(1)},   {3, 9, 20, 16, 3, 3, 48, SAME(1)},  {4, 8, 7, 16, 5, 5, 16, VALID(1)},
    {3, 6, 6, 16, 3, 3, 16, PADDED(1, 4)}, {4, 7, 9, 1, 3, 3, 16, SAME(1)},   {3, 7, 9, 3, 3, 5, 5, SAME(1)},
    {3, 9, 8, 20, 3, 3, 17, SAME(2)},     {2, 9, 8, 3, 2, 3, 20, PADDED(3, 2)}, {3, 5, 5, 7, 1, 1, 9, VALID(1)},
    {17, 6, 6, 2, 3, 3, 16, SAME(1)},     {3, 7, 6, 40, 3, 3, 3, SAME(1)},  {2, 7, 6, 3, 3, 3, 32, SAME(2)},
    {2, 5, 6, 32, 2, 3, 6, PADDED(1, 2)},
};

/* NULL: the one that costs least. */
static const char *const methods[] = {"fourier", "winograd", "direct", NULL};

#ifdef SM_DOUBLE
#define SMALLEST DBL_MIN
#else
#define SMALLEST FLT_MIN
#endif

static const real SUBNORMAL = (real)SMALLEST / 4;

typedef struct planned {
  sm_conv2d conv;
  size_t x, w, y;
} planned;

static planned plan(const shape_case *at, const char *method) {
  planned p;
  sm_shape x = {4, {at->batch, at->height, at->width, at->channels}}, out;
  sm_shape w = {4, {at->kernel_height, at->kernel_width, at->channels, at->filters}};
  sm_error error;
  if (sm_conv2d_plan(&p.conv, &out, &x, &w, at->axes, 1, &error)) fail_msg("%s", error.message);
  assert_true(sm_conv2d_use(&p.conv, method));
  p.x = sm_shape_count(&x);
  p.w = sm_shape_count(&w);
  p.y = sm_shape_count(&out);
  return p;
}

typedef struct arrays {
  real *x, *w, *gy;
} arrays;

static arrays ordinary(const planned *p) {
  return (arrays){numbers(p->x, 1), numbers(p->w, 2), numbers(p->y, 3)};
}

static void free_arrays(arrays *a) { free(a->x), free(a->w), free(a->gy); }

/* What a pass should give: for each result the sum of its terms, that of their sizes, and the largest. */
typedef struct sums {
  double *sum, *size, *largest;
} sums;

static sums no_sums(size_t n) {
  sums s = {block_of(n * sizeof(double)), block_of(n * sizeof(double)), block_of(n * sizeof(double))};
  for (size_t i = 0; i < n; i++) s.sum[i] = s.size[i] = s.largest[i] = 0;
  return s;
}

static void free_sums(sums *s) { free(s->sum), free(s->size), free(s->largest); }

static void add_term(sums *s, size_t at, real a, real b) {
  double term = (double)a * (double)b, size = fabs(term);
  s->sum[at] += term;
  s->size[at] += size;
  if (size > s->largest[at]) s->largest[at] = size;
}

static void add_all(sums *y, sums *gx, sums *gw, const arrays *a, const sm_conv2d *conv) {
  const sm_window *p = &conv->window;
  size_t iy = 0;
  for (size_t b = 0; b < p->batch; b++) {
    for (size_t oy = 0; oy < p->out_height; oy++) {
      for (size_t ox = 0; ox < p->out_width; ox++) {
        for (size_t f = 0; f < conv->filters; f++, iy++) {
          for (size_t tap = 0; tap < p->kernel_height * p->kernel_width; tap++) {
            size_t row = oy * p->stride + tap / p->kernel_width, column = ox * p->stride + tap % p->kernel_width;
            if (row < p->top || row >= p->top + p->height) continue;
            if (column < p->left || column >= p->left + p->width) continue;
            for (size_t c = 0; c < p->channels; c++) {
              size_t ix = ((b * p->height + row - p->top) * p->width + column - p->left) * p->channels + c;
              size_t iw = (tap * p->channels + c) * conv->filters + f;
              add_term(y, iy, a->x[ix], a->w[iw]);
              add_term(gx, ix, a->gy[iy], a->w[iw]);
              add_term(gw, iw, a->gy[iy], a->x[ix]);
            }
          }
        }
      }
    }
  }
}

/* Where the sum itself leaves the range of `real`, any result will do. */
static void assert_result(real got, const sums *want, size_t i, double allowed, const char *what) {
  double sum = want->sum[i], size = want->size[i];
  if (isfinite(size) && size * 2 >= greatest) return;
  bool right = isnan(sum)      ? isnan(got)
               : isinf(sum)    ? (double)got == sum
                               : fabs((double)got - sum) <= allowed + rounding * size;
  if (right) return;
  fail_msg("%s, element %zu: got %g, expected %g of terms up to %g", what, i, (double)got, sum, want->largest[i]);
}

static void assert_results(const real *got, const sums *want, size_t n, double smallest, const char *what) {
  double share = SM_CONV_SPREAD * rounding / 10;
  for (size_t i = 0; i < n; i++) {
    double largest = isfinite(want->largest[i]) ? want->largest[i] : 0;
    assert_result(got[i], want, i, share * (largest > smallest ? largest : smallest), what);
  }
}

static void *scratch_of(size_t bytes) {
  void *scratch = block_of(bytes);
  memset(scratch, 0xff, bytes); /* NaNs */
  return scratch;
}

static real *forward(const planned *p, const arrays *a) {
  real *y = unwritten(p->y);
  void *scratch = scratch_of(sm_conv2d_forward_scratch(&p->conv));
  sm_conv2d_forward(y, a->x, a->w, NULL, scratch, &p->conv);
  free(scratch);
  return y;
}

static real *backward_data(const planned *p, const arrays *a) {
  real *gx = unwritten(p->x);
  void *scratch = scratch_of(sm_conv2d_backward_data_scratch(&p->conv));
  sm_conv2d_backward_data(gx, a->gy, a->w, scratch, &p->conv);
  free(scratch);
  return gx;
}

static real *backward_filter(real *gbias, const planned *p, const arrays *a) {
  real *gw = unwritten(p->w);
  void *scratch = scratch_of(sm_conv2d_backward_filter_scratch(&p->conv));
  sm_conv2d_backward_filter(gw, gbias, a->gy, a->x, scratch, &p->conv);
  free(scratch);
  return gw;
}

static uint32_t drawn(uint32_t *state, uint32_t below) {
  *state = *state * 1664525u + 1013904223u;
  return (*state >> 8) % below;
}

static real special(uint32_t which) {
  const double values[] = {NAN, INFINITY, -INFINITY, 1e7, -1e20, 1e36, 1e-38, -0.0, 1e-42, 5e4, -1e7, 1e-12};
  return (real)values[which % COUNT_OF(values)];
}

static void passes_match(const planned *p, const arrays *a, const sums *y, const sums *gx, const sums *gw,
                         const char *what) {
  char text[80];
  double floor = 1; /* beside which a result that sees zeros alone may be wrong by `share` */
  real *got = forward(p, a);
  snprintf(text, sizeof text, "%s, y by %s", what, sm_conv2d_method(&p->conv, SM_CONV_FORWARD));
  assert_results(got, y, p->y, floor, text);
  free(got);
  got = backward_data(p, a);
  snprintf(text, sizeof text, "%s, gx by %s", what, sm_conv2d_method(&p->conv, SM_CONV_BACKWARD_DATA));
  assert_results(got, gx, p->x, floor, text);
  free(got);
  got = backward_filter(NULL, p, a);
  snprintf(text, sizeof text, "%s, gw by %s", what, sm_conv2d_method(&p->conv, SM_CONV_BACKWARD_FILTER));
  assert_results(got, gw, p->w, floor, text);
  free(got);
}

static void special_numbers_reach_what_they_are_terms_of(void **state) {
  (void)state;
  uint32_t random = 7;
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    for (uint32_t round = 0; round < 36; round += (uint32_t)stride_of_cases()) {
      planned p = plan(&cases[i], NULL);
      arrays a = ordinary(&p);
      real *into = round % 3 == 0 ? a.x : round % 3 == 1 ? a.w : a.gy;
      size_t n = round % 3 == 0 ? p.x : round % 3 == 1 ? p.w : p.y;
      uint32_t count = 1 + drawn(&random, 3);
      for (uint32_t k = 0; k < count; k++) into[drawn(&random, (uint32_t)n)] = special(round / 3 + 3 * k);
      sums y = no_sums(p.y), gx = no_sums(p.x), gw = no_sums(p.w);
      add_all(&y, &gx, &gw, &a, &p.conv);
      for (size_t k = 0; k < COUNT_OF(methods); k++) {
        assert_true(sm_conv2d_use(&p.conv, methods[k]));
        char what[48];
        snprintf(what, sizeof what, "case %zu, round %u", i, (unsigned)round);
        passes_match(&p, &a, &y, &gx, &gw, what);
      }
      free_sums(&y), free_sums(&gx), free_sums(&gw);
      free_arrays(&a);
    }
  }
}

/* One number of every size among others of every size. Products that are subnormal count as 0. */
static void the_error_is_within_its_bound_at_every_magnitude(void **state) {
  (void)state;
  const double lost = 1e5 * (double)SMALLEST; /* of which assert_results allows a share */
  static const shape_case transformed[] = {{2, 14, 14, 16, 5, 5, 16, SAME(1)}, {2, 12, 18, 16, 3, 3, 16, SAME(1)}};
  for (size_t i = 0; i < 2 * COUNT_OF(transformed); i++) {
    for (int all = -36; all <= 24; all += 12) {
      for (int one = 0; one <= 14 && all + one < 36; one += stride_of_cases()) {
        planned p = plan(&transformed[i / 2], i % 2 ? "winograd" : "fourier");
        arrays a = ordinary(&p);
        for (size_t j = 0; j < p.x; j++) a.x[j] *= (real)pow(10, all);
        for (size_t j = 0; j < p.y; j++) a.gy[j] *= (real)pow(10, all);
        a.x[p.x / 4] = a.gy[p.y / 4] = (real)pow(10, all + one);
        sums y = no_sums(p.y), gx = no_sums(p.x), gw = no_sums(p.w);
        add_all(&y, &gx, &gw, &a, &p.conv);
        real *got_y = forward(&p, &a), *got_gx = backward_data(&p, &a);
        assert_results(got_y, &y, p.y, lost, "y");
        assert_results(got_gx, &gx, p.x, lost, "gx");
        free(got_y), free(got_gx);
        free_sums(&y), free_sums(&gx), free_sums(&gw);
        free_arrays(&a);
      }
    }
  }
}

/* Images have the bits that they have beside any others; one that a transform does not bear has those of the direct
   method. */
static void an_image_does_not_depend_on_its_neighbours(void **state) {
  (void)state;
  int threads = sm_thread_count();
  const real spikes[] = {NAN, (real)INFINITY, (real)1e7, (real)1e36, (real)1e5};
  for (size_t i = 0; i < 4 * COUNT_OF(spikes); i++) {
    planned p = plan(&cases[i / COUNT_OF(spikes)], NULL);
    size_t image = p.x / p.conv.window.batch, result = p.y / p.conv.window.batch;
    for (size_t k = 0; k < 2; k++) {
      assert_true(sm_conv2d_use(&p.conv, methods[k]));
      planned direct = p;
      assert_true(sm_conv2d_use(&direct.conv, "direct"));
      arrays a = ordinary(&p);
      real *y = forward(&p, &a), *gx = backward_data(&p, &a);
      a.x[image + 5] = a.gy[result + 5] = spikes[i % COUNT_OF(spikes)];
      real *direct_y = forward(&direct, &a), *direct_gx = backward_data(&direct, &a), *gw = NULL;
      for (int count = 1; count <= 3; count++) {
        sm_set_thread_count(count);
        real *other_y = forward(&p, &a), *other_gx = backward_data(&p, &a), *other_gw = backward_filter(NULL, &p, &a);
        assert_same_bits(other_y, y, result);
        assert_memory_equal(other_y + result, direct_y + result, result * sizeof *y);
        assert_same_bits(other_y + 2 * result, y + 2 * result, p.y - 2 * result);
        assert_same_bits(other_gx, gx, image);
        assert_memory_equal(other_gx + image, direct_gx + image, image * sizeof *gx);
        assert_same_bits(other_gx + 2 * image, gx + 2 * image, p.x - 2 * image);
        if (gw) assert_memory_equal(other_gw, gw, p.w * sizeof *gw);
        free(other_y), free(other_gx), free(gw);
        gw = other_gw;
      }
      free(y), free(gx), free(direct_y), free(direct_gx), free(gw);
      free_arrays(&a);
    }
  }
  sm_set_thread_count(threads);
}

/* How many images are not borne. */
static size_t count_unborne(const sm_conv_watch *watch, const uint8_t *unborne, size_t batch) {
  size_t count = 0;
  for (size_t i = 0; i < batch; i++) {
    if (watch) sm_conv_look(watch, i);
    count += unborne[i];
  }
  return count;
}

static void ordinary_images_are_borne(void **state) {
  (void)state;
  for (size_t i = 0; i < 4; i++) {
    planned p = plan(&cases[i], NULL);
    uint8_t *unborne = block_of(p.conv.window.batch), unborne_parts[SM_PARTS];
    void *scratch = scratch_of(sm_conv_range_scratch(&p.conv));
    for (int kind = 0; kind < 6; kind++) {
      arrays a = ordinary(&p);
      for (size_t j = 0; j < p.x; j++) {
        if (kind == 1) a.x[j] = 0;
        if (kind == 2) a.x[j] = j % 777 == 5;        /* a few bright pixels among zeros */
        if (kind == 3) a.x[j] = 1;
        if (kind == 5) a.x[j] = SUBNORMAL;
        if (kind == 4) a.x[j] = a.x[j] < 0 ? 0 : (real)exp(-20 * (double)a.x[j]); /* sharp choices of channels */
      }
      size_t batch = p.conv.window.batch;
      const sm_conv_watch *watch = sm_conv_forward_watch(unborne, a.x, a.w, scratch, &p.conv);
      assert_int_equal(count_unborne(watch, unborne, batch), 0);
      watch = sm_conv_backward_data_watch(unborne, a.gy, a.w, scratch, &p.conv);
      assert_int_equal(count_unborne(watch, unborne, batch), 0);
      sm_conv_backward_filter_look(unborne_parts, a.gy, a.x, scratch, &p.conv);
      for (size_t part = 0; part < p.conv.parts; part++) assert_false(unborne_parts[part]);
      free_arrays(&a);
    }
    free(unborne), free(scratch);
  }
}

/* Channels in units of their own: the weights of small ones are large. */
static void small_channels_with_large_weights_are_not_lost(void **state) {
  (void)state;
  shape_case at = {3, 14, 14, 32, 3, 3, 16, SAME(1)};
  planned p = plan(&at, "fourier");
  arrays a = ordinary(&p);
  for (size_t j = 0; j < p.x; j++) a.x[j] *= j % 32 < 16 ? (real)1e5 : (real)1e-3;
  for (size_t j = 0; j < p.w; j++) a.w[j] *= j / 16 % 32 < 16 ? (real)0 : (real)1e3;
  sums y = no_sums(p.y), gx = no_sums(p.x), gw = no_sums(p.w);
  add_all(&y, &gx, &gw, &a, &p.conv);
  real *got = forward(&p, &a);
  assert_results(got, &y, p.y, 0, "y");
  free(got);
  got = backward_filter(NULL, &p, &a);
  assert_results(got, &gw, p.w, 0, "gw");
  free(got);
  free_sums(&y), free_sums(&gx), free_sums(&gw);
  free_arrays(&a);
}

static void pooling_in_the_same_pass_hands_images_over_too(void **state) {
  (void)state;
  int threads = sm_thread_count();
  const real spikes[] = {NAN, (real)1e7};
  for (size_t i = 0; i < 4 * COUNT_OF(methods) * COUNT_OF(spikes); i++) {
    planned p = plan(&cases[i % 4], methods[i / 4 % COUNT_OF(methods)]);
    arrays a = ordinary(&p);
    a.x[p.x / p.conv.window.batch + 3] = spikes[i / 4 / COUNT_OF(methods)];
    const sm_window *at = &p.conv.window;
    sm_shape between = {4, {at->batch, at->out_height, at->out_width, p.conv.filters}}, out;
    sm_window pool;
    const sm_window_options touching[2] = VALID(2);
    assert_int_equal(sm_maxpool_plan(&pool, &out, &between, 2, 2, touching, NULL), SM_OK);
    size_t n = sm_shape_count(&out);
    real *y = forward(&p, &a), *want = unwritten(n), *got = unwritten(n);
    sm_maxpool_forward(want, NULL, y, true, &pool);
    for (int count = 1; count <= 3; count++) {
      sm_set_thread_count(count);
      void *scratch = scratch_of(sm_conv2d_forward_each_scratch(&p.conv));
      sm_conv2d_maxpool_forward(got, NULL, a.x, a.w, NULL, true, scratch, &p.conv, &pool);
      assert_memory_equal(got, want, n * sizeof *got);
      free(scratch);
    }
    free(y), free(want), free(got);
    free_arrays(&a);
  }
  sm_set_thread_count(threads);
}

static int load_blas(void **state) {
  (void)state;
  sm_error error;
  return unsetenv("SMRUN_CONV") == 0 && sm_blas_load(&error) == SM_OK ? 0 : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(special_numbers_reach_what_they_are_terms_of),
      cmocka_unit_test(the_error_is_within_its_bound_at_every_magnitude),
      cmocka_unit_test(an_image_does_not_depend_on_its_neighbours),
      cmocka_unit_test(ordinary_images_are_borne),
      cmocka_unit_test(small_channels_with_large_weights_are_not_lost),
      cmocka_unit_test(pooling_in_the_same_pass_hands_images_over_too),
  };
  return cmocka_run_group_tests(tests, load_blas, NULL);
}
