/* Pooling against a plain search of every window, with ties, NaN, padding and windows that overlap. */
#include "numbers.h"

#include "core/parallel.h"
#include "core/pool.h"

typedef struct shape_case {
  size_t batch, height, width, channels, kernel_height, kernel_width;
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
#define APART(down, top, across, left) \
  { AXIS(down, SM_PADDING_EXPLICIT, top), AXIS(across, SM_PADDING_EXPLICIT, left) }

#define SIDE(stride, before, after, dilation, partial) \
  { stride, SM_PADDING_EXPLICIT, before, after, dilation, partial }

static const shape_case cases[] = {
    {50, 28, 28, 32, 2, 2, VALID(2)}, {3, 7, 9, 5, 2, 2, VALID(2)},  {3, 7, 9, 5, 2, 2, SAME(2)},
    {2, 7, 9, 33, 3, 3, VALID(1)},    {2, 7, 9, 70, 3, 2, SAME(1)},  {2, 7, 9, 3, 3, 4, PADDED(2, 2)},
    {1, 1, 1, 1, 1, 1, VALID(1)},     {2, 5, 5, 3, 1, 1, VALID(3)},  {2, 5, 5, 3, 9, 9, SAME(1)},
    {2, 16, 16, 2, 16, 16, VALID(1)}, {17, 4, 4, 8, 2, 2, VALID(1)}, {0, 4, 4, 8, 2, 2, VALID(2)},
    {2, 4, 4, 0, 2, 2, VALID(2)},     {2, 0, 4, 3, 2, 2, SAME(1)},   {2, 3, 3, 40, 2, 2, SAME(5)},
    {1, 4, 8, 1, 1, 4, APART(1, 0, 4, 0)},   {2, 9, 8, 5, 3, 1, APART(3, 1, 1, 0)},
    {2, 7, 9, 17, 2, 3, APART(1, 1, 2, 0)},  {2, 7, 9, 4, 3, 2, APART(2, 0, 3, 1)},
    {2, 9, 7, 3, 2, 2, APART(2, 0, 1, 1)},   {2, 9, 7, 3, 2, 2, APART(1, 1, 2, 0)},
    {2, 17, 16, 3, 17, 16, VALID(1)},        {2, 20, 33, 18, 16, 17, APART(3, 4, 2, 5)},
    {1, 50, 40, 5, 50, 40, VALID(1)},        {2, 5, 6, 3, 19, 40, SAME(1)},
    {2, 9, 8, 5, 3, 2, {SIDE(1, 0, 0, 2, false), SIDE(2, 1, 1, 3, false)}},
    {2, 9, 8, 17, 2, 3, {SIDE(5, 2, 1, 3, true), SIDE(2, 0, 1, 1, true)}},
    {2, 7, 8, 3, 2, 2, {SIDE(2, 0, 0, 1, true), SIDE(3, 0, 0, 1, true)}},
    {2, 2, 3, 18, 5, 9, {SIDE(3, 1, 0, 1, true), SIDE(1, 0, 0, 1, true)}},
    {1, 1, 9, 2, 2, 2, {SIDE(2, 2, 0, 2, false), SIDE(4, 1, 3, 1, true)}},
};

typedef struct planned {
  sm_window window;
  size_t x, y;
} planned;

typedef sm_status plan_function(sm_window *window, sm_shape *out, const sm_shape *x, size_t kernel_height,
                                size_t kernel_width, const sm_window_options axes[2], sm_error *error);

static planned plan(const shape_case *at, plan_function *make_plan) {
  sm_shape x = {4, {at->batch, at->height, at->width, at->channels}}, out;
  planned p;
  sm_error error;
  if (make_plan(&p.window, &out, &x, at->kernel_height, at->kernel_width, at->axes, &error)) {
    fail_msg("%s", error.message);
  }
  assert_int_equal(out.rank, 4);
  assert_int_equal(out.size[0], at->batch);
  assert_int_equal(out.size[3], at->channels);
  p.x = at->batch * at->height * at->width * at->channels;
  p.y = at->batch * out.size[1] * out.size[2] * at->channels;
  return p;
}

/* The positions in x of what one window holds of one channel, with their positions in the window. */
typedef struct held {
  size_t count, x[2048], position[2048];
} held;

static held held_by(const sm_window *p, size_t iy) {
  size_t c = iy % p->channels, ox = iy / p->channels % p->out_width;
  size_t oy = iy / p->channels / p->out_width % p->out_height,
         b = iy / p->channels / p->out_width / p->out_height;
  held window = {0};
  for (size_t ky = 0; ky < p->kernel_height; ky++) {
    for (size_t kx = 0; kx < p->kernel_width; kx++) {
      size_t row = oy * p->stride + ky * p->dilation, column = ox * p->stride_across + kx * p->dilation_across;
      if (row < p->top || row - p->top >= p->height || column < p->left || column - p->left >= p->width)
        continue;
      window.x[window.count] =
          ((b * p->height + row - p->top) * p->width + column - p->left) * p->channels + c;
      window.position[window.count++] = ky * p->kernel_width + kx;
    }
  }
  return window;
}

/* Positions in the windows of n outputs, none of them right. */
static void *positions(const planned *p, size_t n) {
  size_t bytes = n * sm_dtype_bytes(sm_maxpool_position_type(&p->window));
  void *x = block_of(bytes);
  memset(x, 0xee, bytes);
  return x;
}

static size_t position(const planned *p, const void *which, size_t i) {
  bool wide = sm_maxpool_position_type(&p->window) == SM_INT32;
  return wide ? (size_t)((const int32_t *)which)[i] : ((const uint8_t *)which)[i];
}

static double *zeros(size_t n) {
  double *x = block_of(n * sizeof *x);
  for (size_t i = 0; i < n; i++) x[i] = 0;
  return x;
}

/* Which of the window's pixels is its maximum: the first NaN, else the first of the largest. */
static size_t search(const real *x, const held *window) {
  size_t best = 0;
  for (size_t i = 0; i < window->count; i++) {
    if (isnan(x[window->x[i]])) return i;
    if (x[window->x[i]] > x[window->x[best]]) best = i;
  }
  return best;
}

/* Images with few different values, so that most windows have ties, and with infinities. */
static real *coarse_numbers(size_t n, uint32_t seed) {
  real *x = numbers(n, seed);
  for (size_t i = 0; i < n; i++) x[i] = (real)floor(2 * (double)x[i]);
  for (size_t i = 0; i < n; i += 11) x[i] = -INFINITY;
  return x;
}

static void check_maximum(const planned *p, const real *x, bool relu) {
  real *y = unwritten(p->y), *gy = numbers(p->y, 7), *gx = unwritten(p->x);
  void *which = positions(p, p->y);
  double *want_gx = zeros(p->x);
  sm_maxpool_forward(y, which, x, relu, &p->window);
  sm_maxpool_backward(gx, gy, which, relu ? y : NULL, &p->window);
  real *alone = unwritten(p->y);
  sm_maxpool_forward(alone, NULL, x, relu, &p->window);
  assert_memory_equal(alone, y, p->y * sizeof *y);
  free(alone);
  for (size_t i = 0; i < p->y; i++) {
    held window = held_by(&p->window, i);
    size_t best = search(x, &window);
    real largest = x[window.x[best]];
    bool stopped = relu && largest <= 0;
    assert_true(y[i] == (stopped ? 0 : largest) || (isnan(y[i]) && isnan(largest)));
    assert_int_equal(position(p, which, i), window.position[best]);
    if (!stopped) want_gx[window.x[best]] += (double)gy[i];
  }
  assert_close(gx, want_gx, p->x, (double)(p->window.kernel_height * p->window.kernel_width));
  free(y), free(gy), free(gx), free(which), free(want_gx);
}

static void the_maximum_matches_a_search(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    planned p = plan(&cases[i], sm_maxpool_plan);
    real *fine = numbers(p.x, 1), *coarse = coarse_numbers(p.x, 2);
    for (int relu = 0; relu < 2; relu++) {
      check_maximum(&p, fine, relu);
      check_maximum(&p, coarse, relu);
    }
    free(fine), free(coarse);
  }
}

static void a_nan_is_the_maximum_of_its_window(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    planned p = plan(&cases[i], sm_maxpool_plan);
    real *x = numbers(p.x, 3);
    for (size_t j = 0; j < p.x; j += 5) x[j] = NAN;
    check_maximum(&p, x, false);
    check_maximum(&p, x, true);
    free(x);
  }
}

static void a_window_of_minus_infinities_has_its_first_pixel(void **state) {
  (void)state;
  const real x[4] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
  planned p = plan(&(shape_case){1, 2, 2, 1, 2, 2, VALID(2)}, sm_maxpool_plan);
  real y = 0;
  uint8_t which = 9;
  sm_maxpool_forward(&y, &which, x, false, &p.window);
  assert_true(isinf(y) && y < 0);
  assert_int_equal(which, 0);
}

/* Elements of a window on the image or its padding. */
static size_t padded_elements(const sm_window *p, size_t iy) {
  size_t ox = iy / p->channels % p->out_width, oy = iy / p->channels / p->out_width % p->out_height, count = 0;
  for (size_t ky = 0; ky < p->kernel_height; ky++) {
    for (size_t kx = 0; kx < p->kernel_width; kx++) {
      size_t row = oy * p->stride + ky * p->dilation, column = ox * p->stride_across + kx * p->dilation_across;
      count += row < p->top + p->height + p->bottom && column < p->left + p->width + p->right;
    }
  }
  return count;
}

static void the_average_counts_the_pixels_of_the_image_and_padding_where_asked(void **state) {
  (void)state;
  for (size_t i = 0; i < 2 * COUNT_OF(cases); i++) {
    bool count_padding = i % 2;
    planned p = plan(&cases[i / 2], sm_avgpool_plan);
    real *x = numbers(p.x, 1), *gy = numbers(p.y, 2), *y = unwritten(p.y), *gx = unwritten(p.x);
    double *want_y = zeros(p.y), *want_gx = zeros(p.x);
    sm_avgpool_forward(y, x, count_padding, &p.window);
    sm_avgpool_backward(gx, gy, count_padding, &p.window);
    for (size_t j = 0; j < p.y; j++) {
      held window = held_by(&p.window, j);
      double count = (double)(count_padding ? padded_elements(&p.window, j) : window.count);
      assert_true(window.count > 0);
      for (size_t k = 0; k < window.count; k++) {
        want_y[j] += (double)x[window.x[k]] / count;
        want_gx[window.x[k]] += (double)gy[j] / count;
      }
    }
    assert_close(y, want_y, p.y, 1);
    assert_close(gx, want_gx, p.x, (double)(p.window.kernel_height * p.window.kernel_width));
    assert_near(dot(y, gy, p.y), dot(x, gx, p.x), (double)p.x);
    free(x), free(gy), free(y), free(gx), free(want_y), free(want_gx);
  }
}

/* Sums of so many equal shares, one after the other, would be far off. */
static void an_average_of_many_pixels_is_exact_enough(void **state) {
  (void)state;
  enum { SIZE = 4100 };
  planned p = plan(&(shape_case){1, SIZE, SIZE, 1, SIZE, SIZE, VALID(1)}, sm_avgpool_plan);
  real *x = block_of(p.x * sizeof *x), y = 0;
  for (size_t i = 0; i < p.x; i++) x[i] = 1;
  sm_avgpool_forward(&y, x, false, &p.window);
  assert_near((double)y, 1, 10);
  free(x);
}

static void an_average_may_be_global(void **state) {
  (void)state;
  enum { SIZE = 40, CHANNELS = 3 };
  planned p = plan(&(shape_case){2, SIZE, SIZE, CHANNELS, SIZE, SIZE, VALID(1)}, sm_avgpool_plan);
  real *x = numbers(p.x, 1), *y = unwritten(p.y);
  sm_avgpool_forward(y, x, false, &p.window);
  assert_int_equal(p.y, 2 * CHANNELS);
  double want[2 * CHANNELS] = {0};
  for (size_t i = 0; i < p.x; i++) {
    want[i / (SIZE * SIZE * CHANNELS) * CHANNELS + i % CHANNELS] += (double)x[i] / (SIZE * SIZE);
  }
  assert_close(y, want, p.y, 1);
  free(x), free(y);
}

static void bits_do_not_depend_on_the_number_of_threads(void **state) {
  (void)state;
  int threads = sm_thread_count();
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    planned p = plan(&cases[i], sm_maxpool_plan);
    real *x = numbers(p.x, 1), *gy = numbers(p.y, 2), *first[4], *again[4];
    for (int count = 1; count <= 3; count++) {
      sm_set_thread_count(count);
      real **out = count == 1 ? first : again;
      void *which = positions(&p, p.y);
      for (int k = 0; k < 4; k++) out[k] = unwritten(k % 2 ? p.x : p.y);
      sm_maxpool_forward(out[0], which, x, true, &p.window);
      sm_maxpool_backward(out[1], gy, which, out[0], &p.window);
      sm_avgpool_forward(out[2], x, false, &p.window);
      sm_avgpool_backward(out[3], gy, false, &p.window);
      for (int k = 0; k < 4 && count > 1; k++) {
        assert_same_bits(again[k], first[k], k % 2 ? p.x : p.y);
        free(again[k]);
      }
      free(which);
    }
    for (int k = 0; k < 4; k++) free(first[k]);
    free(x), free(gy);
  }
  sm_set_thread_count(threads);
}

static void windows_that_do_not_fit_are_refused(void **state) {
  (void)state;
  static const struct {
    plan_function *make_plan;
    sm_shape x;
    size_t kernel[2];
    sm_window_options axes[2];
    sm_status status;
    const char *message;
  } refused[] = {
      {sm_maxpool_plan,
       {3, {4, 4, 1}},
       {2, 2},
       VALID(2),
       SM_BAD_SHAPE,
       "expected images {batch, height, width, channels}, got {4, 4, 1}"},
      {sm_maxpool_plan,
       {4, {1, 40, 40, 1}},
       {65536, 65536},
       SAME(2),
       SM_BAD_VALUE,
       "expected a window of at most 2147483647 pixels, got 65536x65536"},
      {sm_avgpool_plan,
       {4, {1, 2, 4, 1}},
       {3, 7},
       APART(1, 1, 2, 1),
       SM_BAD_SHAPE,
       "a window of 3x7 is larger than images {1, 2, 4, 1} with padding 1"},
      {sm_avgpool_plan,
       {4, {1, 2, 4, 1}},
       {3, 4},
       APART(1, 0, 2, 1),
       SM_BAD_SHAPE,
       "a window of 3x4 is larger than images {1, 2, 4, 1} with padding 0x1"},
      {sm_avgpool_plan,
       {4, {1, 2, 4, 1}},
       {2, 2},
       APART(1, 0, -2, 1),
       SM_BAD_VALUE,
       "expected a stride of at least 1, got -2"},
      {sm_maxpool_plan,
       {4, {1, 40, 40, 1}},
       {0, 2},
       VALID(2),
       SM_BAD_VALUE,
       "expected a window of 1x1 to 2147483647x2147483647, got 0x2"},
      {sm_avgpool_plan,
       {4, {1, 2, 4, 1}},
       {3, 3},
       VALID(2),
       SM_BAD_SHAPE,
       "a window of 3x3 is larger than images {1, 2, 4, 1} with padding 0"},
      {sm_avgpool_plan,
       {4, {1, 4, 4, 1}},
       {2, 2},
       VALID(0),
       SM_BAD_VALUE,
       "expected a stride of at least 1, got 0"},
      {sm_maxpool_plan,
       {4, {1, 4, 4, 1}},
       {2, 2},
       PADDED(2, 2),
       SM_BAD_VALUE,
       "with padding 2x2 some windows of 2x2 hold no pixel of images {1, 4, 4, 1}"},
      {sm_avgpool_plan,
       {4, {1, 4, 4, 1}},
       {3, 2},
       PADDED(1, 2),
       SM_BAD_VALUE,
       "with padding 2x2 some windows of 3x2 hold no pixel of images {1, 4, 4, 1}"},
      {sm_maxpool_plan,
       {4, {1, 0, 4, 1}},
       {2, 2},
       PADDED(1, 1),
       SM_BAD_VALUE,
       "with padding 1x1 some windows of 2x2 hold no pixel of images {1, 0, 4, 1}"},
      {sm_maxpool_plan,
       {4, {1, 2, 4, 1}},
       {2, 2},
       {SIDE(1, 1, 1, 3, false), SIDE(1, 0, 0, 1, false)},
       SM_BAD_VALUE,
       "with padding 1x0 and dilation 3x1 some windows of 2x2 hold no pixel of images {1, 2, 4, 1}"},
      {sm_maxpool_plan,
       {4, {1, 2, 4, 1}},
       {2, 3},
       {SIDE(1, 0, 1, 3, false), SIDE(1, 0, 2, 3, false)},
       SM_BAD_SHAPE,
       "a window of 2x3 with dilation 3x3 is larger than images {1, 2, 4, 1} with padding {0, 0, 1, 2}"},
  };
  for (size_t i = 0; i < COUNT_OF(refused); i++) {
    sm_window window;
    sm_shape out;
    sm_error error;
    sm_status status = refused[i].make_plan(&window, &out, &refused[i].x, refused[i].kernel[0],
                                            refused[i].kernel[1], refused[i].axes, &error);
    assert_int_equal(status, refused[i].status);
    assert_string_equal(error.message, refused[i].message);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_maximum_matches_a_search),
      cmocka_unit_test(a_nan_is_the_maximum_of_its_window),
      cmocka_unit_test(a_window_of_minus_infinities_has_its_first_pixel),
      cmocka_unit_test(the_average_counts_the_pixels_of_the_image_and_padding_where_asked),
      cmocka_unit_test(an_average_may_be_global),
      cmocka_unit_test(an_average_of_many_pixels_is_exact_enough),
      cmocka_unit_test(bits_do_not_depend_on_the_number_of_threads),
      cmocka_unit_test(windows_that_do_not_fit_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
