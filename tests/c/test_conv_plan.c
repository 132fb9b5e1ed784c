/* Plans of convolution: sizes, padding, the choice of a kernel, and what is refused. */
#include "numbers.h"

#include "core/conv/conv.h"
#include "core/settings.h"

#define AXIS(stride, kind, padding) \
  { stride, kind, padding, padding, 1, false }
#define SAME(stride) \
  { AXIS(stride, SM_PADDING_SAME, 0), AXIS(stride, SM_PADDING_SAME, 0) }
#define VALID(stride) \
  { AXIS(stride, SM_PADDING_VALID, 0), AXIS(stride, SM_PADDING_VALID, 0) }
#define PADDED(stride, padding) \
  { AXIS(stride, SM_PADDING_EXPLICIT, padding), AXIS(stride, SM_PADDING_EXPLICIT, padding) }

static void padding_same_is_tensorflows(void **state) {
  (void)state;
  static const struct {
    size_t size, kernel;
    int stride;
    size_t positions, before;
  } expected[] = {
      {28, 5, 1, 28, 2}, {28, 2, 1, 28, 0}, {28, 4, 1, 28, 1}, {5, 3, 2, 3, 1},
      {4, 3, 2, 2, 0},   {6, 3, 2, 3, 0},   {6, 5, 2, 3, 1},   {7, 1, 3, 3, 0},
      {3, 9, 1, 3, 4},   {4, 2, 5, 1, 0},   {1, 3, 4, 1, 1},   {0, 3, 1, 0, 0},
  };
  for (size_t i = 0; i < COUNT_OF(expected); i++) {
    sm_shape x = {4, {2, expected[i].size, 8, 1}};
    const sm_window_options axes[2] = SAME(expected[i].stride);
    sm_window window;
    assert_int_equal(sm_window_plan(&window, &x, expected[i].kernel, 1, axes, NULL), SM_OK);
    assert_int_equal(window.out_height, expected[i].positions);
    assert_int_equal(window.top, expected[i].before);
  }
}

static void a_transposed_plan_has_a_usual_size(void **state) {
  (void)state;
  static const struct {
    size_t height, kernel;
    sm_window_options axes[2];
    size_t usual;
  } expected[] = {
      {7, 5, SAME(2), 14}, {7, 5, SAME(1), 7},       {7, 5, VALID(2), 17},
      {1, 1, VALID(3), 1}, {7, 5, PADDED(2, 1), 15}, {7, 3, PADDED(1, 1), 7},
  };
  for (size_t i = 0; i < COUNT_OF(expected); i++) {
    sm_shape y = {4, {2, expected[i].height, 9, 4}}, w = {4, {expected[i].kernel, 3, 6, 4}}, x;
    sm_conv2d conv;
    assert_int_equal(sm_conv2d_transpose_plan(&conv, &x, &y, &w, expected[i].axes, 1, NULL, NULL), SM_OK);
    assert_int_equal(x.size[1], expected[i].usual);
    assert_int_equal(x.size[3], 6);
    assert_int_equal(conv.window.out_height, expected[i].height);
    assert_int_equal(conv.window.out_width, 9);
  }
}

typedef struct refusal {
  sm_shape x, w;
  sm_window_options axes[2];
  sm_status status;
  const char *message;
} refusal;

static const refusal refused_plans[] = {
    {{3, {28, 28, 1}},
     {4, {5, 5, 1, 32}},
     SAME(1),
     SM_BAD_SHAPE,
     "expected images {batch, height, width, channels}, got {28, 28, 1} (with filters {5, 5, 1, 32})"},
    {{4, {50, 28, 28, 1}},
     {2, {5, 5}},
     SAME(1),
     SM_BAD_SHAPE,
     "expected filters {kernel, kernel, in, out}, got {5, 5} (with images {50, 28, 28, 1})"},
    {{4, {50, 28, 28, 1}},
     {4, {5, 5, 3, 32}},
     SAME(1),
     SM_BAD_SHAPE,
     "images {50, 28, 28, 1} and filters {5, 5, 3, 32}: expected 3 channels, got 1; channels come last"},
    {{4, {50, 28, 28, 1}},
     {4, {5, 5, 1, 32}},
     SAME(0),
     SM_BAD_VALUE,
     "images {50, 28, 28, 1} and filters {5, 5, 1, 32}: expected a stride of at least 1, got 0"},
    {{4, {50, 28, 28, 1}},
     {4, {5, 5, 1, 32}},
     PADDED(1, -2),
     SM_BAD_VALUE,
     "images {50, 28, 28, 1} and filters {5, 5, 1, 32}: expected a padding of at least 0, got -2"},
    {{4, {50, 28, 28, 1}},
     {4, {0, 5, 1, 32}},
     SAME(1),
     SM_BAD_VALUE,
     "images {50, 28, 28, 1} and filters {0, 5, 1, 32}: expected a window of 1x1 to 2147483647x2147483647, "
     "got 0x5"},
    {{4, {50, 3, 28, 1}},
     {4, {5, 5, 1, 32}},
     VALID(1),
     SM_BAD_SHAPE,
     "images {50, 3, 28, 1} and filters {5, 5, 1, 32}: a window of 5x5 is larger than images {50, 3, 28, 1} "
     "with padding 0"},
    {{4, {50, 28, 1, 1}},
     {4, {5, 5, 1, 32}},
     PADDED(1, 1),
     SM_BAD_SHAPE,
     "images {50, 28, 1, 1} and filters {5, 5, 1, 32}: a window of 5x5 is larger than images {50, 28, 1, 1} "
     "with padding 1"},
    {{4, {0, 3000000000, 1, 1}},
     {4, {5, 5, 1, 32}},
     SAME(1),
     SM_BAD_SHAPE,
     "images {0, 3000000000, 1, 1} and filters {5, 5, 1, 32}: expected images of at most "
     "2147483647x2147483647, got {0, 3000000000, 1, 1}"},
    {{4, {0, 9, 9, 100000000}},
     {4, {5, 5, 100000000, 0}},
     SAME(1),
     SM_BAD_SHAPE,
     "images {0, 9, 9, 100000000} and filters {5, 5, 100000000, 0}: 0 filters of 5x5x100000000 at 9 "
     "positions in a row: more than 2147483647 numbers"},
};

static void plans_that_do_not_fit_are_refused_with_both_shapes(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(refused_plans); i++) {
    const refusal *at = &refused_plans[i];
    sm_conv2d conv;
    sm_shape out;
    sm_error error;
    assert_int_equal(sm_conv2d_plan(&conv, &out, &at->x, &at->w, at->axes, 1, &error), at->status);
    assert_int_equal(error.status, at->status);
    assert_string_equal(error.message, at->message);
  }
}

static void transposed_plans_that_do_not_fit_are_refused(void **state) {
  (void)state;
  static const size_t too_large[2] = {18, 17}, beyond[2] = {17, 3000000000};
  static const struct {
    refusal at;
    const size_t *size;
  } refused[] = {
      {{{4, {2, 7, 7, 5}},
        {4, {5, 5, 1, 4}},
        SAME(1),
        SM_BAD_SHAPE,
        "images {2, 7, 7, 5} and filters {5, 5, 1, 4}: expected 4 channels, got 5; channels come last"},
       NULL},
      {{{4, {2, 7, 7, 4}},
        {4, {5, 5, 1, 4}},
        VALID(1),
        SM_BAD_SHAPE,
        "images {2, 7, 7, 4} and filters {5, 5, 1, 4}: the size 18x17 does not lead to images {2, 7, 7, 4}: "
        "expected a height of 11 to 11 and a width of 11 to 11"},
       too_large},
      {{{4, {2, 7, 7, 4}},
        {4, {5, 5, 1, 4}},
        SAME(2),
        SM_BAD_SHAPE,
        "images {2, 7, 7, 4} and filters {5, 5, 1, 4}: the size 17x3000000000 does not lead to images "
        "{2, 7, 7, 4}: expected a height of 13 to 14 and a width of 13 to 14"},
       beyond},
      {{{4, {2, 1, 7, 4}},
        {4, {1, 1, 1, 4}},
        PADDED(1, 1),
        SM_BAD_SHAPE,
        "images {2, 1, 7, 4} and filters {1, 1, 1, 4}: no size leads to images {2, 1, 7, 4} through a window "
        "of 1x1"},
       NULL},
      {{{4, {2, 1, 7, 4}},
        {4, {1, 1, 1, 4}},
        PADDED(3, 1),
        SM_BAD_SHAPE,
        "images {2, 1, 7, 4} and filters {1, 1, 1, 4}: the size -1x17 does not lead to images {2, 1, 7, 4}: "
        "expected a height of 0 to 1 and a width of 17 to 19"},
       NULL},
      {{{4, {2, 0, 7, 4}},
        {4, {3, 3, 1, 4}},
        VALID(1),
        SM_BAD_SHAPE,
        "images {2, 0, 7, 4} and filters {3, 3, 1, 4}: no size leads to images {2, 0, 7, 4} through a window "
        "of 3x3"},
       NULL},
      {{{4, {2, 7, 7, 4}},
        {4, {3, 3, 1, 4}},
        VALID(0),
        SM_BAD_VALUE,
        "images {2, 7, 7, 4} and filters {3, 3, 1, 4}: expected a stride of at least 1, got 0"},
       NULL},
  };
  for (size_t i = 0; i < COUNT_OF(refused); i++) {
    const refusal *at = &refused[i].at;
    sm_conv2d conv;
    sm_shape out;
    sm_error error;
    assert_int_equal(
        sm_conv2d_transpose_plan(&conv, &out, &at->x, &at->w, at->axes, 1, refused[i].size, &error),
        at->status);
    assert_string_equal(error.message, at->message);
  }
}

static void the_environment_overrides_the_rule(void **state) {
  (void)state;
  static const char wherever[] = "SMRUN_CONV wherever it can, else the method that costs least";
  static const struct {
    const char *value, *rule, *method; /* of all passes */
  } expected[] = {
      {"fourier", wherever, "fourier"}, {"winograd", wherever, "winograd"}, {"direct", wherever, "direct"},
      {"channelwise", wherever, "direct"},
      {"", "of each layer and pass the method that costs least", "direct"},
  };
  sm_shape x = {4, {2, 6, 6, 16}}, y = {4, {2, 6, 6, 32}}, w = {4, {3, 3, 16, 32}}, out;
  const sm_window_options axes[2] = SAME(1);
  sm_conv2d conv;
  sm_error error;
  for (size_t i = 0; i < COUNT_OF(expected); i++) {
    assert_int_equal(setenv("SMRUN_CONV", expected[i].value, 1), 0);
    sm_settings_read();
    assert_int_equal(sm_conv2d_plan(&conv, &out, &x, &w, axes, 1, NULL), SM_OK);
    for (int pass = 0; pass < SM_CONV_PASSES; pass++)
      assert_string_equal(sm_conv2d_method(&conv, (sm_conv_pass)pass), expected[i].method);
    assert_int_equal(sm_conv2d_transpose_plan(&conv, &out, &y, &w, axes, 1, NULL, NULL), SM_OK);
    for (int pass = 0; pass < SM_CONV_PASSES; pass++)
      assert_string_equal(sm_conv2d_method(&conv, (sm_conv_pass)pass), expected[i].method);
    assert_string_equal(sm_conv2d_rule(), expected[i].rule);
  }
  assert_int_equal(setenv("SMRUN_CONV", "fast", 1), 0);
  sm_settings_read();
  assert_int_equal(sm_conv2d_plan(&conv, &out, &x, &w, axes, 1, &error), SM_BAD_VALUE);
  assert_string_equal(error.message,
                      "SMRUN_CONV: expected channelwise, fourier, winograd or direct, got \"fast\"");
  assert_int_equal(sm_conv2d_transpose_plan(&conv, &out, &y, &w, axes, 1, NULL, &error), SM_BAD_VALUE);
  assert_string_equal(sm_conv2d_rule(), "none: SMRUN_CONV names no method");
  assert_int_equal(unsetenv("SMRUN_CONV"), 0);
  sm_settings_read();
}

static int clear_environment(void **state) {
  (void)state;
  return unsetenv("SMRUN_CONV");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(padding_same_is_tensorflows),
      cmocka_unit_test(a_transposed_plan_has_a_usual_size),
      cmocka_unit_test(plans_that_do_not_fit_are_refused_with_both_shapes),
      cmocka_unit_test(transposed_plans_that_do_not_fit_are_refused),
      cmocka_unit_test(the_environment_overrides_the_rule),
  };
  return cmocka_run_group_tests(tests, clear_environment, NULL);
}
