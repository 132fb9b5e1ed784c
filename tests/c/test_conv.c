/* The kernels of convolution against nested loops in double, over shapes that are common, odd and
   degenerate. */
#include "numbers.h"

#include "core/conv/conv.h"
#include "core/conv/maxpool.h"
#include "core/conv/method.h"
#include "core/gemm.h"
#include "core/parallel.h"
#include "core/parts.h"
#include "core/pool.h"

typedef struct shape_case {
  size_t batch, height, width, channels, kernel_height, kernel_width, filters;
  sm_window_options axes[2];
  size_t groups;
} shape_case;

#define AXIS(stride, kind, padding) \
  { stride, kind, padding, padding, 1, false }
#define SAME_AXES(stride) \
  { AXIS(stride, SM_PADDING_SAME, 0), AXIS(stride, SM_PADDING_SAME, 0) }
#define VALID_AXES(stride) \
  { AXIS(stride, SM_PADDING_VALID, 0), AXIS(stride, SM_PADDING_VALID, 0) }
#define PADDED_AXES(stride, padding) \
  { AXIS(stride, SM_PADDING_EXPLICIT, padding), AXIS(stride, SM_PADDING_EXPLICIT, padding) }

#define SAME(stride) SAME_AXES(stride), 1
#define VALID(stride) VALID_AXES(stride), 1
#define PADDED(stride, padding) PADDED_AXES(stride, padding), 1
#define APART(down, top, bottom, tall, across, left, right, wide) \
  { {down, SM_PADDING_EXPLICIT, top, bottom, tall, false}, {across, SM_PADDING_EXPLICIT, left, right, wide, false} }
#define DILATED(stride, dilation) \
  { {stride, SM_PADDING_SAME, 0, 0, dilation, false}, {stride, SM_PADDING_SAME, 0, 0, dilation, false} }

static const shape_case cases[] = {
    {50, 28, 28, 1, 5, 5, 4, SAME(1)},     {50, 14, 14, 3, 5, 5, 7, SAME(1)},
    {1, 14, 14, 32, 5, 5, 16, SAME(1)},    {2, 9, 7, 3, 1, 1, 5, VALID(1)},
    {2, 9, 7, 3, 1, 1, 5, SAME(2)},        {2, 9, 7, 3, 1, 1, 5, PADDED(1, 2)},
    {3, 8, 8, 2, 2, 2, 3, SAME(1)},        {3, 8, 8, 2, 2, 2, 3, SAME(2)},
    {3, 7, 7, 2, 2, 4, 3, SAME(2)},        {2, 7, 10, 3, 3, 2, 4, VALID(1)},
    {2, 7, 10, 3, 3, 2, 4, VALID(2)},      {2, 7, 10, 3, 3, 2, 4, VALID(3)},
    {2, 7, 10, 3, 3, 2, 4, SAME(3)},       {2, 7, 10, 3, 3, 2, 4, PADDED(2, 1)},
    {2, 5, 5, 2, 4, 4, 3, PADDED(1, 3)},   {2, 5, 5, 2, 5, 5, 3, VALID(1)},
    {2, 5, 6, 2, 4, 5, 3, SAME(1)},        {2, 3, 4, 2, 7, 9, 3, SAME(1)},
    {2, 3, 4, 2, 7, 9, 3, PADDED(2, 4)},   {1, 1, 1, 1, 1, 1, 1, VALID(1)},
    {1, 1, 1, 2, 3, 3, 2, SAME(1)},        {2, 4, 4, 3, 2, 2, 3, SAME(5)},
    {2, 4, 4, 1, 1, 2, 1, PADDED(1, 3)},   {17, 6, 6, 20, 3, 3, 9, SAME(1)},
    {33, 4, 4, 5, 3, 3, 33, SAME(1)},      {1, 70, 70, 8, 5, 5, 3, VALID(1)},
    {0, 6, 6, 2, 3, 3, 4, SAME(1)},        {3, 6, 6, 0, 3, 3, 4, SAME(1)},
    {3, 6, 6, 2, 3, 3, 0, SAME(1)},        {3, 0, 6, 2, 3, 3, 4, SAME(1)},
    {3, 0, 0, 2, 3, 3, 4, PADDED(1, 2)},   {2, 6, 6, 0, 1, 1, 4, VALID(1)},
    {4, 3, 3, 6, 3, 3, 2, VALID(1)},       {2, 14, 14, 32, 5, 5, 64, SAME(1)},
    {3, 28, 28, 1, 5, 5, 32, SAME(1)},     {2, 15, 29, 9, 3, 3, 17, SAME(1)},
    {2, 9, 31, 16, 3, 4, 33, SAME(2)},     {1, 9, 30, 17, 2, 5, 40, PADDED(3, 2)},
    {2, 6, 6, 16, 1, 1, 48, VALID(1)},     {2, 6, 7, 20, 1, 1, 16, SAME(2)},
    {2, 8, 9, 16, 2, 3, 16, VALID(4)},     {1, 5, 5, 24, 3, 3, 16, PADDED(1, 4)},
    {2, 3, 4, 8, 7, 9, 16, SAME(1)},       {1, 4, 5, 9, 2, 2, 16, PADDED(3, 5)},
    {2, 12, 17, 3, 3, 3, 70, VALID(1)},    {1, 3, 3, 18, 3, 3, 16, SAME(1000000)},
    {3, 13, 9, 16, 3, 3, 48, SAME(1)},     {2, 20, 11, 48, 3, 3, 16, PADDED(1, 3)},
    {40, 12, 12, 16, 3, 3, 80, SAME(1)},
    {2, 9, 8, 16, 5, 5, 32, VALID(1)},     {1, 2, 3, 32, 5, 5, 16, SAME(1)},
    {1, 2, 3, 16, 3, 3, 16, PADDED(1, 9)}, {40, 10, 14, 16, 5, 5, 16, SAME(1)},
    {0, 6, 6, 16, 3, 3, 16, SAME(1)},      {40, 12, 12, 16, 3, 3, 32, SAME(1)},
    {40, 8, 8, 16, 3, 3, 16, VALID(1)},    {40, 14, 14, 16, 5, 5, 48, SAME(1)},
    {5, 14, 14, 32, 5, 5, 16, SAME(1)},    {19, 12, 10, 16, 4, 5, 16, SAME(1)},
    {7, 16, 16, 16, 3, 6, 16, VALID(1)},   {3, 10, 11, 16, 6, 5, 16, PADDED(1, 5)},
    {17, 14, 14, 16, 5, 5, 16, PADDED(1, 3)}, {580, 4, 4, 16, 3, 3, 16, SAME(1)},
    {2, 9, 11, 3, 3, 3, 5, DILATED(1, 2), 1},        {2, 9, 11, 16, 3, 2, 16, DILATED(1, 3), 1},
    {2, 9, 11, 3, 3, 3, 20, DILATED(2, 2), 1},       {2, 12, 17, 9, 3, 3, 17, DILATED(4, 6), 1},
    {2, 12, 17, 2, 4, 3, 3, DILATED(3, 2), 1},       {1, 4, 5, 2, 3, 3, 17, DILATED(1, 9), 1},
    {2, 9, 8, 3, 2, 3, 5, APART(2, 1, 0, 1, 1, 0, 3, 2), 1},
    {2, 9, 8, 16, 3, 3, 16, APART(1, 0, 2, 1, 3, 2, 1, 1), 1},
    {2, 9, 8, 16, 3, 3, 16, APART(1, 2, 1, 1, 1, 0, 3, 1), 1},
    {3, 10, 14, 16, 3, 3, 16, APART(1, 1, 2, 1, 1, 2, 0, 1), 1},
    {2, 9, 8, 16, 3, 1, 33, APART(3, 4, 2, 2, 2, 1, 0, 3), 1},
    {2, 7, 9, 1, 1, 5, 4, APART(1, 0, 0, 1, 1, 4, 0, 1), 1},
    {17, 1, 40, 12, 1, 5, 16, APART(1, 0, 0, 1, 2, 3, 1, 3), 1},
    {2, 9, 11, 32, 3, 3, 32, SAME_AXES(1), 32},           {2, 9, 11, 19, 3, 3, 19, SAME_AXES(1), 19},
    {3, 14, 14, 16, 5, 5, 16, SAME_AXES(2), 16},          {2, 7, 6, 5, 7, 2, 15, SAME_AXES(1), 5},
    {2, 9, 11, 12, 3, 3, 12, SAME_AXES(1), 3},            {2, 9, 11, 12, 3, 3, 24, DILATED(2, 3), 4},
    {2, 9, 11, 64, 3, 3, 32, SAME_AXES(1), 2},            {2, 6, 5, 40, 1, 1, 40, SAME_AXES(1), 2},
    {2, 6, 5, 40, 3, 6, 8, SAME_AXES(1), 4},              {2, 9, 8, 6, 2, 3, 9, APART(2, 1, 0, 1, 1, 0, 3, 2), 3},
    {1, 3, 3, 8, 1, 1, 2, SAME_AXES(1), 2},               {0, 6, 6, 4, 3, 3, 4, SAME_AXES(1), 4},
    {40, 4, 4, 32, 3, 3, 64, SAME_AXES(1), 16},           {2, 3, 4, 34, 7, 9, 34, SAME_AXES(1), 17},
    {2, 5, 5, 16, 2, 2, 16, APART(3, 0, 0, 1, 4, 1, 2, 1), 16},
    {2, 0, 5, 4, 2, 2, 4, SAME_AXES(1), 2},               {2, 4, 5, 0, 2, 2, 4, SAME_AXES(1), 2},
    {2, 9, 11, 28, 3, 3, 28, APART(1, 2, 0, 2, 1, 0, 1, 3), 28},
    {3, 9, 10, 64, 3, 3, 1, SAME(1)},      {2, 9, 11, 33, 3, 2, 3, SAME(2)},
    {2, 8, 8, 48, 1, 1, 6, VALID(1)},      {2, 12, 12, 3, 4, 4, 64, SAME(2)},
    {3, 14, 14, 6, 5, 5, 16, VALID(1)},    {1, 3, 4, 40, 5, 7, 2, SAME(1)},
    {1, 6, 150, 32, 3, 3, 7, SAME(1)},     {2, 9, 11, 40, 3, 3, 5, DILATED(1, 2), 1},
    {2, 7, 6, 96, 3, 3, 22, SAME_AXES(1), 2}, {80, 8, 8, 32, 1, 1, 80, VALID(1)},
    {80, 8, 9, 48, 3, 1, 10, SAME(1)},     {2, 30, 31, 2, 5, 4, 48, SAME(5)},
};

static const char *const methods[] = {"fourier", "winograd", "direct", "channelwise"};

/* A planned case with its sizes in elements. */
typedef struct planned {
  sm_conv2d conv;
  sm_shape out;
  size_t x, w, y;
} planned;

/* By the method of a name where it can, NULL: by the one that costs least. */
static planned plan(const shape_case *at, const char *method) {
  planned p;
  sm_shape x = {4, {at->batch, at->height, at->width, at->channels}};
  sm_shape w = {4, {at->kernel_height, at->kernel_width, at->channels / at->groups, at->filters}};
  sm_error error;
  if (sm_conv2d_plan(&p.conv, &p.out, &x, &w, at->axes, at->groups, &error)) fail_msg("%s", error.message);
  assert_true(sm_conv2d_use(&p.conv, method));
  p.x = at->batch * at->height * at->width * at->channels;
  p.w = at->kernel_height * at->kernel_width * at->channels / at->groups * at->filters;
  p.y = p.out.size[0] * p.out.size[1] * p.out.size[2] * p.out.size[3];
  return p;
}

static bool skips(const planned *p) {
  size_t filters = p->conv.filters ? p->conv.filters : 1;
  return is_left_out((double)p->w * (double)p->y / (double)filters);
}

typedef struct arrays {
  real *x, *w, *bias, *gy;
  double *y, *gx, *gw;
} arrays;

/* y = x * w, gx = gy * w and gw = gy * x, added up product by product. */
static void multiply(arrays *a, const sm_conv2d *conv) {
  const sm_window *p = &conv->window;
  size_t iy = 0;
  for (size_t b = 0; b < p->batch; b++) {
    for (size_t oy = 0; oy < p->out_height; oy++) {
      for (size_t ox = 0; ox < p->out_width; ox++) {
        for (size_t f = 0; f < conv->filters; f++, iy++) {
          for (size_t ky = 0; ky < p->kernel_height; ky++) {
            for (size_t kx = 0; kx < p->kernel_width; kx++) {
              size_t row = oy * p->stride + ky * p->dilation, column = ox * p->stride_across + kx * p->dilation_across;
              if (row < p->top || row >= p->top + p->height) continue;
              if (column < p->left || column >= p->left + p->width) continue;
              size_t own = p->channels / conv->groups, first = f / (conv->filters / conv->groups) * own;
              for (size_t c = 0; c < own; c++) {
                size_t ix = ((b * p->height + row - p->top) * p->width + column - p->left) * p->channels + first + c;
                size_t iw = ((ky * p->kernel_width + kx) * own + c) * conv->filters + f;
                a->y[iy] += (double)a->x[ix] * (double)a->w[iw];
                a->gx[ix] += (double)a->gy[iy] * (double)a->w[iw];
                a->gw[iw] += (double)a->gy[iy] * (double)a->x[ix];
              }
            }
          }
        }
      }
    }
  }
}

static double *zeros(size_t n) {
  double *x = block_of(n * sizeof *x);
  for (size_t i = 0; i < n; i++) x[i] = 0;
  return x;
}

static arrays make_arrays(const planned *p) {
  arrays a = {.x = numbers(p->x, 1),
              .w = numbers(p->w, 2),
              .bias = numbers(p->conv.filters, 3),
              .gy = numbers(p->y, 4)};
  a.y = zeros(p->y), a.gx = zeros(p->x), a.gw = zeros(p->w);
  return a;
}

static void free_arrays(arrays *a) {
  free(a->x), free(a->w), free(a->bias), free(a->gy), free(a->y), free(a->gx), free(a->gw);
}

static void *scratch_of(size_t bytes) {
  void *scratch = block_of(bytes);
  memset(scratch, 0xff, bytes); /* NaNs */
  return scratch;
}

static real *forward(const planned *p, const arrays *a, const real *bias) {
  real *y = unwritten(p->y);
  void *scratch = scratch_of(sm_conv2d_forward_scratch(&p->conv));
  sm_conv2d_forward(y, a->x, a->w, bias, scratch, &p->conv);
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

/* Winograd's sums run through larger numbers, at most so many times (a data gradient of 3x3). */
static double loss_of_precision(const planned *p) {
  bool winograd = false;
  for (int pass = 0; pass < SM_CONV_PASSES; pass++)
    winograd = winograd || strcmp(sm_conv2d_method(&p->conv, (sm_conv_pass)pass), "winograd") == 0;
  return winograd ? 8 : 1;
}

static void matches(const shape_case *at, const planned *p, arrays *a) {
  double loss = loss_of_precision(p);
  size_t filters = p->conv.filters, patch = at->kernel_height * at->kernel_width * at->channels;
  double positions = (double)(p->out.size[0] * p->out.size[1] * p->out.size[2]);
  real *y = forward(p, a, NULL);
  assert_close(y, a->y, p->y, loss * sqrt((double)patch));
  free(y);
  double *with_bias = zeros(p->y);
  for (size_t j = 0; j < p->y; j++) with_bias[j] = a->y[j] + (double)a->bias[j % filters];
  y = forward(p, a, a->bias);
  assert_close(y, with_bias, p->y, loss * sqrt((double)patch));

  real *gx = backward_data(p, a);
  assert_close(gx, a->gx, p->x, loss * sqrt((double)(at->kernel_height * at->kernel_width * filters)));

  real *gbias = unwritten(filters), *gw = backward_filter(gbias, p, a);
  double *bias_sum = zeros(filters);
  for (size_t j = 0; j < p->y; j++) bias_sum[j % filters] += (double)a->gy[j];
  assert_close(gw, a->gw, p->w, loss * sqrt(positions));
  assert_close(gbias, bias_sum, filters, sqrt(positions));
  real *without_bias = backward_filter(NULL, p, a);
  assert_same_bits(without_bias, gw, p->w);

  free(y), free(with_bias), free(gx), free(gbias), free(gw), free(bias_sum), free(without_bias);
}

static void every_pass_of_every_method_matches_the_reference(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    planned p = plan(&cases[i], NULL);
    if (skips(&p)) continue;
    arrays a = make_arrays(&p);
    multiply(&a, &p.conv);
    for (size_t k = 0; k < COUNT_OF(methods); k++) {
      assert_true(sm_conv2d_use(&p.conv, methods[k]));
      matches(&cases[i], &p, &a);
    }
    free_arrays(&a);
  }
}

/* Root mean square of the difference from exact (n), relative to that of exact. */
static double error_of(real *got, const double *exact, size_t n) {
  double wrong = 0, all = 0;
  for (size_t i = 0; i < n; i++) {
    wrong += ((double)got[i] - exact[i]) * ((double)got[i] - exact[i]);
    all += exact[i] * exact[i];
  }
  free(got);
  return sqrt(wrong / all);
}

/* How many times as large Winograd's rounding may be as that of direct sums. Their filter gradients are sums of short
   ones, nearly exact where images are few and small. docs/results/convolution.md has the distribution. */
static void winograd_rounds_little_more_than_direct_sums(void **state) {
  (void)state;
  static const struct { shape_case at; double most[SM_CONV_PASSES]; } layers[] = {
      {{16, 16, 16, 16, 3, 3, 16, SAME(1)}, {4, 4, 6}},     {{8, 12, 12, 64, 3, 3, 64, SAME(1)}, {4, 4, 6}},
      {{16, 5, 7, 128, 3, 3, 48, PADDED(1, 1)}, {4, 4, 6}}, {{4, 14, 14, 32, 5, 5, 32, SAME(1)}, {7, 7, 18}},
      {{2, 11, 13, 96, 5, 5, 48, VALID(1)}, {7, 7, 18}},
  };
  if (sizeof(real) > sizeof(float)) skip(); /* the reference is no more exact */
  for (size_t i = 0; i < COUNT_OF(layers); i++) {
    planned p = plan(&layers[i].at, NULL);
    if (skips(&p)) continue;
    arrays a = make_arrays(&p);
    for (size_t k = 0; k < p.x; k++) a.x[k] = a.x[k] > 0 ? a.x[k] : 0; /* as after relu */
    multiply(&a, &p.conv);
    double error[2][SM_CONV_PASSES];
    for (int way = 0; way < 2; way++) {
      const char *name = way ? "winograd" : "direct";
      assert_true(sm_conv2d_use(&p.conv, name));
      for (int pass = 0; pass < SM_CONV_PASSES; pass++)
        assert_string_equal(sm_conv2d_method(&p.conv, (sm_conv_pass)pass), name);
      error[way][SM_CONV_FORWARD] = error_of(forward(&p, &a, NULL), a.y, p.y);
      error[way][SM_CONV_BACKWARD_DATA] = error_of(backward_data(&p, &a), a.gx, p.x);
      error[way][SM_CONV_BACKWARD_FILTER] = error_of(backward_filter(NULL, &p, &a), a.gw, p.w);
    }
    for (int pass = 0; pass < SM_CONV_PASSES; pass++) {
      double ratio = error[1][pass] / error[0][pass];
      if (!(ratio > 0.5 && ratio <= layers[i].most[pass])) /* less: Winograd's method was not asked */
        fail_msg("layer %zu, pass %d: %.3g by Winograd's method, %.3g by direct sums", i, pass, error[1][pass],
                 error[0][pass]);
    }
    free_arrays(&a);
  }
}

/* Each pass goes by a method that takes it and that none costs less than; every method is the one for some case. */
static void the_method_that_costs_least_is_taken(void **state) {
  (void)state;
  size_t taken[COUNT_OF(methods)] = {0};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    const planned p = plan(&cases[i], NULL);
    for (int pass = 0; pass < SM_CONV_PASSES; pass++) {
      const sm_conv_method *chosen = p.conv.method[pass];
      assert_true(chosen->takes(&p.conv, (sm_conv_pass)pass));
      for (size_t k = 0; k < COUNT_OF(methods); k++) {
        planned other = plan(&cases[i], methods[k]);
        const sm_conv_method *method = other.conv.method[pass];
        assert_true(chosen->cost(&p.conv, (sm_conv_pass)pass) <= method->cost(&p.conv, (sm_conv_pass)pass));
        taken[k] += strcmp(chosen->name, methods[k]) == 0;
      }
    }
  }
  for (size_t k = 0; k < COUNT_OF(methods); k++) assert_true(taken[k] > 0);
}

/* Every pixel, channel and filter holds the same numbers as every other of its kind, so every sum must, too,
   wherever it is computed: in the body of a vector or its tail, at the first pixel or the last. */
static void an_element_does_not_depend_on_its_position(void **state) {
  (void)state;
  static const shape_case uniform[] = {
      {2, 9, 33, 3, 3, 3, 37, VALID(1)},
      {3, 10, 19, 19, 3, 2, 37, VALID(1)},
      {1, 6, 31, 1, 5, 5, 17, VALID(1)},
  };
  for (size_t i = 0; i < COUNT_OF(uniform); i++) {
    planned p = plan(&uniform[i], "direct");
    arrays a = make_arrays(&p);
    size_t channels = uniform[i].channels, filters = uniform[i].filters;
    for (size_t j = 0; j < p.x; j++) a.x[j] = a.x[j % channels];
    for (size_t j = 0; j < p.w; j++) a.w[j] = a.w[j / filters * filters];
    real *y = forward(&p, &a, NULL);
    for (size_t j = 0; j < p.y; j++) assert_same_bits(y + j, y, 1);

    for (size_t j = 0; j < p.x; j++) a.x[j] = a.x[j / channels * channels];
    for (size_t j = 0; j < p.y; j++) a.gy[j] = a.gy[j / filters * filters];
    real *gw = backward_filter(NULL, &p, &a);
    for (size_t j = 0; j < p.w; j++) assert_same_bits(gw + j, gw, 1);

    for (size_t j = 0; j < p.y; j++) a.gy[j] = a.gy[j % filters];
    for (size_t j = 0; j < p.w; j++) a.w[j] = a.w[j % filters];
    real *gx = backward_data(&p, &a);
    const sm_window *window = &p.conv.window;
    size_t line = window->width * channels,
           middle = window->kernel_height * line + window->kernel_width * channels;
    for (size_t row = window->kernel_height; row + window->kernel_height <= window->height; row++) {
      for (size_t j = window->kernel_width * channels; j + window->kernel_width * channels <= line; j++) {
        assert_same_bits(gx + row * line + j, gx + middle, 1);
      }
    }
    free(y), free(gw), free(gx);
    free_arrays(&a);
  }
}

static void the_data_pass_is_the_adjoint_of_the_forward_pass(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(cases) * COUNT_OF(methods); i++) {
    planned p = plan(&cases[i / COUNT_OF(methods)], methods[i % COUNT_OF(methods)]);
    if (skips(&p)) continue;
    arrays a = make_arrays(&p);
    real *y = forward(&p, &a, NULL), *gx = backward_data(&p, &a);
    real *gw = backward_filter(NULL, &p, &a);
    double product = dot(y, a.gy, p.y);
    double terms = loss_of_precision(&p) * (double)(p.w + p.x + p.y);
    assert_near(product, dot(a.x, gx, p.x), terms);
    assert_near(product, dot(a.w, gw, p.w), terms);
    free(y), free(gx), free(gw);
    free_arrays(&a);
  }
}

/* <conv(x, w) + bias, gy>, of which gx, gw and gbias are the gradients. */
static double objective(const planned *p, const arrays *a) {
  real *y = forward(p, a, a->bias);
  double sum = dot(y, a->gy, p->y);
  free(y);
  return sum;
}

static void assert_slope(real gradient, real *parameter, const planned *p, const arrays *a) {
  const double step = 0.25; /* the objective is linear in each parameter, so a large step only rounds less */
  real kept = *parameter;
  *parameter = (real)((double)kept + step);
  double above = objective(p, a);
  *parameter = (real)((double)kept - step);
  double below = objective(p, a);
  *parameter = kept;
  assert_near((double)gradient, (above - below) / (2 * step), loss_of_precision(p) * (double)p->y / step);
}

static void gradients_are_the_slopes_of_the_forward_pass(void **state) {
  (void)state;
  static const size_t chosen[] = {7, 8, 12, 13, 17, 18, 24, 36, 40, 42, 46, 47, 48};
  for (size_t i = 0; i < COUNT_OF(chosen) * COUNT_OF(methods); i++) {
    planned p = plan(&cases[chosen[i / COUNT_OF(methods)]], methods[i % COUNT_OF(methods)]);
    arrays a = make_arrays(&p);
    real *gbias = unwritten(p.conv.filters), *gw = backward_filter(gbias, &p, &a),
         *gx = backward_data(&p, &a);
    for (size_t j = 0; j < p.x; j += 1 + p.x / 13) assert_slope(gx[j], &a.x[j], &p, &a);
    for (size_t j = 0; j < p.w; j += 1 + p.w / 13) assert_slope(gw[j], &a.w[j], &p, &a);
    for (size_t j = 0; j < p.conv.filters; j++) assert_slope(gbias[j], &a.bias[j], &p, &a);
    free(gbias), free(gw), free(gx);
    free_arrays(&a);
  }
}

static void bits_do_not_depend_on_the_number_of_threads(void **state) {
  (void)state;
  static const int counts[] = {2, 3, 5};
  int threads = sm_thread_count();
  for (size_t i = 0; i < COUNT_OF(cases) * COUNT_OF(methods); i++) {
    planned p = plan(&cases[i / COUNT_OF(methods)], methods[i % COUNT_OF(methods)]);
    if (skips(&p)) continue;
    arrays a = make_arrays(&p);
    sm_set_thread_count(1);
    real *gbias = unwritten(p.conv.filters);
    real *y = forward(&p, &a, a.bias), *gx = backward_data(&p, &a), *gw = backward_filter(gbias, &p, &a);
    for (size_t k = 0; k < COUNT_OF(counts); k++) {
      sm_set_thread_count(counts[k]);
      real *gbias2 = unwritten(p.conv.filters);
      real *y2 = forward(&p, &a, a.bias), *gx2 = backward_data(&p, &a),
           *gw2 = backward_filter(gbias2, &p, &a);
      assert_same_bits(y2, y, p.y);
      assert_same_bits(gx2, gx, p.x);
      assert_same_bits(gw2, gw, p.w);
      assert_same_bits(gbias2, gbias, p.conv.filters);
      free(y2), free(gx2), free(gw2), free(gbias2);
    }
    free(y), free(gx), free(gw), free(gbias);
    free_arrays(&a);
  }
  sm_set_thread_count(threads);
}

/* Where windows of 2x2 fit the results. */
static void pooling_in_the_same_pass_gives_the_same_bits(void **state) {
  (void)state;
  int threads = sm_thread_count();
  size_t pooled = 0;
  for (size_t i = 0; i < COUNT_OF(cases) * COUNT_OF(methods); i++) {
    planned p = plan(&cases[i / COUNT_OF(methods)], methods[i % COUNT_OF(methods)]);
    if (skips(&p)) continue;
    const sm_window_options axes[2] = VALID_AXES(2);
    sm_window pool;
    sm_shape shape;
    if (sm_maxpool_plan(&pool, &shape, &p.out, 2, 2, axes, NULL) != SM_OK) continue;
    arrays a = make_arrays(&p);
    size_t count = shape.size[0] * shape.size[1] * shape.size[2] * shape.size[3];
    uint8_t *which = block_of(count), *which2 = block_of(count);
    for (int relu = 0; relu <= 1; relu++) {
      real *y = forward(&p, &a, a.bias), *want = unwritten(count);
      sm_maxpool_forward(want, which, y, relu, &pool);
      for (int k = 1; k <= 3; k++) {
        sm_set_thread_count(k);
        real *got = unwritten(count);
        void *scratch = scratch_of(sm_conv2d_forward_each_scratch(&p.conv));
        memset(which2, 0xff, count);
        sm_conv2d_maxpool_forward(got, which2, a.x, a.w, a.bias, relu, scratch, &p.conv, &pool);
        assert_same_bits(got, want, count);
        assert_memory_equal(which2, which, count);
        free(got), free(scratch);
      }
      free(y), free(want);
    }
    pooled += count;
    free(which), free(which2);
    free_arrays(&a);
  }
  sm_set_thread_count(threads);
  assert_true(pooled > 0);
}

static void a_transposed_plan_turns_a_plan_around(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    const shape_case *at = &cases[i];
    if (at->axes[0].kind != SM_PADDING_SAME && (at->height == 0 || at->width == 0)) continue;
    planned p = plan(at, NULL);
    sm_shape w = {4, {at->kernel_height, at->kernel_width, at->channels / at->groups, at->filters}}, x;
    sm_conv2d turned;
    const size_t size[2] = {at->height, at->width};
    assert_int_equal(sm_conv2d_transpose_plan(&turned, &x, &p.out, &w, at->axes, at->groups, size, NULL), SM_OK);
    assert_int_equal(x.size[0], at->batch);
    assert_int_equal(x.size[1], at->height);
    assert_int_equal(x.size[2], at->width);
    assert_int_equal(x.size[3], at->channels);
    assert_memory_equal(&turned.window, &p.conv.window, sizeof turned.window);
    assert_int_equal(turned.groups, p.conv.groups);
    assert_int_equal(turned.filters, p.conv.filters);
  }
}

/* The sum over ranks, as a tree, of the filter gradient that each has of its own images. */
static void add_ranks(real *gw, real *gbias, const shape_case *at, const char *method, const arrays *a, size_t ranks) {
  shape_case own = *at;
  own.batch /= ranks;
  assert_int_equal(sm_set_parts((sm_parts){SM_PARTS_FIRST / ranks, ranks}, NULL), SM_OK);
  planned p = plan(&own, method);
  for (size_t rank = 0; rank < ranks; rank++) {
    const arrays mine = {.x = a->x + rank * p.x, .gy = a->gy + rank * p.y};
    real *bias = unwritten(p.conv.filters), *sum = backward_filter(bias, &p, &mine);
    memcpy(gw + rank * p.w, sum, p.w * sizeof *gw);
    memcpy(gbias + rank * p.conv.filters, bias, p.conv.filters * sizeof *gbias);
    free(bias), free(sum);
  }
  sm_add_parts(gw, ranks, p.w);
  sm_add_parts(gbias, ranks, p.conv.filters);
  assert_int_equal(sm_set_parts((sm_parts){SM_PARTS_FIRST, 1}, NULL), SM_OK);
}

/* Also where one part has a number that no transform bears beside the others. */
static void parts_of_a_batch_add_up_to_the_bits_of_the_whole(void **state) {
  (void)state;
  const int threads = sm_thread_count();
  static const shape_case whole[] = {
      {4, 14, 14, 32, 5, 5, 32, SAME(1)},  {20, 8, 8, 32, 5, 5, 16, SAME(1)},  {36, 8, 8, 16, 3, 3, 48, SAME(1)},
      {4, 40, 40, 16, 3, 3, 16, SAME(1)},  {8, 8, 8, 192, 3, 3, 160, SAME(1)}, {12, 9, 7, 3, 5, 5, 6, SAME(1)},
      {4, 31, 29, 64, 3, 3, 3, SAME(1)},   {8, 12, 12, 24, 3, 3, 40, SAME(2)}, {16, 4, 4, 128, 1, 1, 96, VALID(1)},
      {4, 30, 31, 48, 3, 3, 48, SAME_AXES(1), 48}, {8, 9, 9, 12, 5, 5, 6, SAME_AXES(1), 3},
  };
  for (size_t i = 0; i < 2 * COUNT_OF(whole); i++) {
    const shape_case *at = &whole[i / 2];
    for (size_t k = 0; k < COUNT_OF(methods); k++) {
      planned p = plan(at, methods[k]);
      if (strcmp(sm_conv2d_method(&p.conv, SM_CONV_BACKWARD_FILTER), methods[k]) != 0 || skips(&p)) continue;
      arrays a = make_arrays(&p);
      if (i % 2) a.x[p.x / 2] = (real)1e6;
      real *gbias = unwritten(at->filters), *gw = backward_filter(gbias, &p, &a);
      for (size_t ranks = 2; ranks <= 4; ranks *= 2) {
        real *sum = unwritten(ranks * p.w), *bias_sum = unwritten(ranks * at->filters);
        sm_set_thread_count((int)(5 - ranks));
        add_ranks(sum, bias_sum, at, methods[k], &a, ranks);
        assert_same_bits(sum, gw, p.w);
        assert_same_bits(bias_sum, gbias, at->filters);
        free(sum), free(bias_sum);
      }
      free(gbias), free(gw), free_arrays(&a);
    }
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
      cmocka_unit_test(every_pass_of_every_method_matches_the_reference),
      cmocka_unit_test(winograd_rounds_little_more_than_direct_sums),
      cmocka_unit_test(the_method_that_costs_least_is_taken),
      cmocka_unit_test(an_element_does_not_depend_on_its_position),
      cmocka_unit_test(the_data_pass_is_the_adjoint_of_the_forward_pass),
      cmocka_unit_test(gradients_are_the_slopes_of_the_forward_pass),
      cmocka_unit_test(bits_do_not_depend_on_the_number_of_threads),
      cmocka_unit_test(parts_of_a_batch_add_up_to_the_bits_of_the_whole),
      cmocka_unit_test(pooling_in_the_same_pass_gives_the_same_bits),
      cmocka_unit_test(a_transposed_plan_turns_a_plan_around),
  };
  return cmocka_run_group_tests(tests, load_blas, NULL);
}
