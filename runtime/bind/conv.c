/* Convolution and pooling: runtime.conv. A window's options are {stride=, padding="same"|"valid"|n}, checked in Lua;
   those of pools may have {down, across} for n and for the stride. */
#include <limits.h>
#include <string.h>

#include "bind/bind.h"
#include "core/conv.h"
#include "core/conv_maxpool.h"
#include "core/pool.h"

/* Pops a value, an integer for both axes or {down, across}: option `key`. */
static void pop_axes(lua_State *L, const char *key, int numbers[2]) {
  for (int axis = 0; axis < 2; axis++) {
    if (lua_type(L, -1) == LUA_TTABLE) lua_rawgeti(L, -1, axis + 1);
    else lua_pushvalue(L, -1);
    int exact = 0;
    lua_Integer number = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &exact) : 0;
    if (!exact || number < 0 || number > INT_MAX)
      sm_lua_fail(L, "option '%s' must be an integer from 0 to %d, or two of them", key, INT_MAX);
    numbers[axis] = (int)number;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* Options down and across. */
static void axis_options(lua_State *L, int index, sm_window_options axes[2]) {
  luaL_checktype(L, index, LUA_TTABLE);
  int strides[2], paddings[2] = {0};
  sm_lua_field(L, index, "stride");
  pop_axes(L, "stride", strides);
  sm_padding_kind kind = SM_PADDING_VALID;
  int type = sm_lua_field(L, index, "padding");
  if (type == LUA_TSTRING || type == LUA_TNIL) {
    const char *name = type == LUA_TSTRING ? lua_tostring(L, -1) : "valid";
    if (strcmp(name, "same") == 0) kind = SM_PADDING_SAME;
    else if (strcmp(name, "valid") != 0) sm_lua_fail(L, "option 'padding' must be 'same' or 'valid', got '%s'", name);
    lua_pop(L, 1);
  } else {
    kind = SM_PADDING_EXPLICIT;
    pop_axes(L, "padding", paddings);
  }
  for (int axis = 0; axis < 2; axis++) axes[axis] = (sm_window_options){strides[axis], kind, paddings[axis]};
}

/* Of a convolution, the same for both axes. */
static sm_window_options window_options(lua_State *L, int index) {
  sm_window_options axes[2];
  axis_options(L, index, axes);
  return axes[0];
}

static void check(lua_State *L, const char *name, sm_status status, const sm_error *error) {
  if (status != SM_OK) sm_lua_fail(L, "%s: %s", name, error->message);
}

static void expect_shape(lua_State *L, int index, const char *what, const sm_shape *expected) {
  const sm_tensor *given = sm_lua_tensor(L, index);
  char want[SM_SHAPE_TEXT], have[SM_SHAPE_TEXT];
  if (!sm_shape_equal(&given->shape, expected))
    sm_lua_fail(L, "conv2d: the %s must have shape %s, got %s", what, sm_shape_text(want, expected),
                sm_shape_text(have, &given->shape));
}

/* A convolution that is planned, and its operands. */
typedef struct planned {
  sm_conv2d conv;
  const sm_tensor *x, *w, *bias; /* arguments 1 to 3 */
  sm_shape y;                    /* of its results */
} planned;

/* Of arguments 1 to 4, (x, w, bias or nil, options). */
static planned plan_conv2d(lua_State *L) {
  planned p = {.x = sm_lua_real(L, 1), .w = sm_lua_real(L, 2), .bias = sm_lua_real_or_nil(L, 3)};
  sm_window_options options = window_options(L, 4);
  sm_error error;
  check(L, "conv2d", sm_conv2d_plan(&p.conv, &p.y, &p.x->shape, &p.w->shape, &options, &error), &error);
  if (p.bias) expect_shape(L, 3, "bias", &(sm_shape){.rank = 1, .size = {p.conv.filters}});
  return p;
}

/* Scratch of as many bytes as `size` asks for, which depends on the number of threads. */
static void *take(lua_State *L, size_t (*size)(const sm_conv2d *), const sm_conv2d *conv) {
  size_t bytes = size(conv);
  void *scratch = sm_lua_take(L, bytes);
  if (size(conv) > bytes) sm_lua_fail(L, "conv2d: the number of threads was changed during the call");
  return scratch;
}

/* conv2d(x, w, bias or nil, options) → y */
static int conv2d(lua_State *L) {
  const planned p = plan_conv2d(L);
  const sm_tensor *y = sm_lua_new(L, SM_REAL, &p.y);
  void *scratch = take(L, sm_conv2d_forward_scratch, &p.conv);
  sm_conv2d_forward(sm_lua_data(L, y), sm_lua_data(L, p.x), sm_lua_data(L, p.w), sm_lua_data(L, p.bias), scratch,
                    &p.conv);
  sm_lua_give(L);
  return 1;
}

static int push_backward_data(lua_State *L, const sm_tensor *gy, const sm_tensor *w, const sm_shape *shape,
                              const sm_conv2d *conv) {
  const sm_tensor *gx = sm_lua_new(L, SM_REAL, shape);
  void *scratch = take(L, sm_conv2d_backward_data_scratch, conv);
  sm_conv2d_backward_data(sm_lua_data(L, gx), sm_lua_data(L, gy), sm_lua_data(L, w), scratch, conv);
  sm_lua_give(L);
  return 1;
}

/* conv2d_backward_data(gy, w, shape of x, options) → gx */
static int conv2d_backward_data(lua_State *L) {
  const sm_tensor *gy = sm_lua_real(L, 1), *w = sm_lua_real(L, 2);
  sm_shape x, y;
  sm_lua_shape(L, 3, &x);
  sm_window_options options = window_options(L, 4);
  sm_conv2d conv;
  sm_error error;
  check(L, "conv2d", sm_conv2d_plan(&conv, &y, &x, &w->shape, &options, &error), &error);
  expect_shape(L, 1, "gradient", &y);
  return push_backward_data(L, gy, w, &x, &conv);
}

/* conv2d_backward_filter(gy, x, shape of w, options, want bias) → gw, gbias or nil */
static int conv2d_backward_filter(lua_State *L) {
  const sm_tensor *gy = sm_lua_real(L, 1), *x = sm_lua_real(L, 2);
  sm_shape w, y;
  sm_lua_shape(L, 3, &w);
  sm_window_options options = window_options(L, 4);
  bool want_bias = lua_toboolean(L, 5);
  sm_conv2d conv;
  sm_error error;
  check(L, "conv2d", sm_conv2d_plan(&conv, &y, &x->shape, &w, &options, &error), &error);
  expect_shape(L, 1, "gradient", &y);
  const sm_tensor *gw = sm_lua_new(L, SM_REAL, &w), *gbias = NULL;
  if (want_bias) gbias = sm_lua_new(L, SM_REAL, &(sm_shape){.rank = 1, .size = {conv.filters}});
  else lua_pushnil(L);
  void *scratch = take(L, sm_conv2d_backward_filter_scratch, &conv);
  sm_conv2d_backward_filter(sm_lua_data(L, gw), sm_lua_data(L, gbias), sm_lua_data(L, gy), sm_lua_data(L, x), scratch,
                            &conv);
  sm_lua_give(L);
  return 2;
}

/* conv2d_transpose(y, w, options, {height, width} or nil) → x */
static int conv2d_transpose(lua_State *L) {
  const sm_tensor *y = sm_lua_real(L, 1), *w = sm_lua_real(L, 2);
  sm_window_options options = window_options(L, 3);
  sm_shape size = {0}, x;
  if (!lua_isnoneornil(L, 4)) {
    sm_lua_sizes(L, 4, &size);
    if (size.rank != 2) sm_lua_bad_argument(L, 4, "a size like {height, width}");
  }
  sm_conv2d conv;
  sm_error error;
  sm_status status =
      sm_conv2d_transpose_plan(&conv, &x, &y->shape, &w->shape, &options, size.rank ? size.size : NULL, &error);
  check(L, "conv2d_transpose", status, &error);
  return push_backward_data(L, y, w, &x, &conv);
}

/* kernel: a number or {height, width} */
static void kernel_size(lua_State *L, int index, size_t kernel[2]) {
  if (lua_type(L, index) == LUA_TTABLE) {
    sm_shape size;
    sm_lua_sizes(L, index, &size);
    if (size.rank != 2) sm_lua_bad_argument(L, index, "a window's size or {height, width}");
    kernel[0] = size.size[0];
    kernel[1] = size.size[1];
  } else {
    kernel[0] = kernel[1] = (size_t)sm_lua_integer(L, index, 1, INT32_MAX);
  }
}

typedef sm_status pool_plan(sm_window *window, sm_shape *out, const sm_shape *x, size_t kernel_height,
                            size_t kernel_width, const sm_window_options axes[2], sm_error *error);

/* The window over images of shape x from arguments `index` (kernel) and `index`+1 (options). */
static sm_window pool_window(lua_State *L, int index, pool_plan *plan, const sm_shape *x, sm_shape *y) {
  size_t kernel[2];
  kernel_size(L, index, kernel);
  sm_window_options axes[2];
  axis_options(L, index + 1, axes);
  sm_window window;
  sm_error error;
  check(L, plan == sm_maxpool_plan ? "maxpool2d" : "avgpool2d",
        plan(&window, y, x, kernel[0], kernel[1], axes, &error), &error);
  return window;
}

/* Pushes a tensor for the positions of maxima, or nil where they are not wanted. */
static const sm_tensor *push_positions(lua_State *L, bool wanted, const sm_shape *shape, const sm_window *window) {
  if (wanted) return sm_lua_new(L, sm_maxpool_position_type(window), shape);
  lua_pushnil(L);
  return NULL;
}

/* maxpool2d(x, kernel, options, relu, whether which is wanted) → y, which or nil */
static int maxpool2d(lua_State *L) {
  const sm_tensor *x = sm_lua_real(L, 1);
  sm_shape shape;
  sm_window window = pool_window(L, 2, sm_maxpool_plan, &x->shape, &shape);
  bool relu = lua_toboolean(L, 4), wanted = lua_toboolean(L, 5);
  const sm_tensor *y = sm_lua_new(L, SM_REAL, &shape), *which = push_positions(L, wanted, &shape, &window);
  sm_maxpool_forward(sm_lua_data(L, y), sm_lua_data(L, which), sm_lua_data(L, x), relu, &window);
  return 2;
}

/* maxpool2d_backward(gy, which, shape of x, kernel, options, y or nil) → gx; y is what the forward pass gave with
   relu */
static int maxpool2d_backward(lua_State *L) {
  const sm_tensor *gy = sm_lua_real(L, 1);
  sm_shape x, y;
  sm_lua_shape(L, 3, &x);
  sm_window window = pool_window(L, 4, sm_maxpool_plan, &x, &y);
  const sm_tensor *which = sm_lua_typed(L, 2, sm_maxpool_position_type(&window));
  expect_shape(L, 1, "gradient", &y);
  expect_shape(L, 2, "positions", &y);
  const sm_tensor *with_relu = sm_lua_real_or_nil(L, 6);
  if (with_relu) expect_shape(L, 6, "output", &y);
  const sm_tensor *gx = sm_lua_new(L, SM_REAL, &x);
  const void *positions = sm_lua_data(L, which);
  if (!sm_maxpool_positions_fit(positions, &window)) sm_lua_bad_argument(L, 2, "positions within the window");
  sm_maxpool_backward(sm_lua_data(L, gx), sm_lua_data(L, gy), positions, sm_lua_data(L, with_relu), &window);
  return 1;
}

/* maxpool2d_sources(which, shape of x, kernel, options) → the element of its image that each maximum is, from 0 */
static int maxpool2d_sources(lua_State *L) {
  sm_shape x, y;
  sm_lua_shape(L, 2, &x);
  sm_window window = pool_window(L, 3, sm_maxpool_plan, &x, &y);
  const sm_tensor *which = sm_lua_typed(L, 1, sm_maxpool_position_type(&window));
  expect_shape(L, 1, "positions", &y);
  size_t pixels;
  if (!sm_multiply(&pixels, window.height, window.width) || !sm_multiply(&pixels, pixels, window.channels) ||
      pixels > INT32_MAX)
    sm_lua_fail(L, "maxpool2d: a gradient of the gradient needs images of at most %d elements", INT32_MAX);
  const sm_tensor *source = sm_lua_new(L, SM_INT32, &y);
  const void *positions = sm_lua_data(L, which);
  if (!sm_maxpool_positions_fit(positions, &window)) sm_lua_bad_argument(L, 1, "positions within the window");
  sm_maxpool_sources(sm_lua_data(L, source), positions, &window);
  return 1;
}

/* conv2d_maxpool2d(x, w, bias or nil, options, kernel, pool's options, relu, whether which is wanted) → y, which or
   nil, shape of what was pooled */
static int conv2d_maxpool2d(lua_State *L) {
  const planned p = plan_conv2d(L);
  sm_shape shape;
  const sm_window window = pool_window(L, 5, sm_maxpool_plan, &p.y, &shape);
  bool relu = lua_toboolean(L, 7), wanted = lua_toboolean(L, 8);
  const sm_tensor *y = sm_lua_new(L, SM_REAL, &shape), *which = push_positions(L, wanted, &shape, &window);
  sm_lua_push_shape(L, &p.y);
  void *scratch = take(L, sm_conv2d_forward_each_scratch, &p.conv);
  sm_conv2d_maxpool_forward(sm_lua_data(L, y), sm_lua_data(L, which), sm_lua_data(L, p.x), sm_lua_data(L, p.w),
                            sm_lua_data(L, p.bias), relu, scratch, &p.conv, &window);
  sm_lua_give(L);
  return 3;
}

/* avgpool2d(x, kernel, options) → y */
static int avgpool2d(lua_State *L) {
  const sm_tensor *x = sm_lua_real(L, 1);
  sm_shape shape;
  sm_window window = pool_window(L, 2, sm_avgpool_plan, &x->shape, &shape);
  const sm_tensor *y = sm_lua_new(L, SM_REAL, &shape);
  sm_avgpool_forward(sm_lua_data(L, y), sm_lua_data(L, x), &window);
  return 1;
}

/* avgpool2d_backward(gy, shape of x, kernel, options) → gx */
static int avgpool2d_backward(lua_State *L) {
  const sm_tensor *gy = sm_lua_real(L, 1);
  sm_shape x, y;
  sm_lua_shape(L, 2, &x);
  sm_window window = pool_window(L, 3, sm_avgpool_plan, &x, &y);
  expect_shape(L, 1, "gradient", &y);
  const sm_tensor *gx = sm_lua_new(L, SM_REAL, &x);
  sm_avgpool_backward(sm_lua_data(L, gx), sm_lua_data(L, gy), &window);
  return 1;
}

void sm_lua_open_conv(lua_State *L) {
  static const luaL_Reg functions[] = {{"conv2d", conv2d},
                                       {"conv2d_backward_data", conv2d_backward_data},
                                       {"conv2d_backward_filter", conv2d_backward_filter},
                                       {"conv2d_transpose", conv2d_transpose},
                                       {"conv2d_maxpool2d", conv2d_maxpool2d},
                                       {"maxpool2d", maxpool2d},
                                       {"maxpool2d_backward", maxpool2d_backward},
                                       {"maxpool2d_sources", maxpool2d_sources},
                                       {"avgpool2d", avgpool2d},
                                       {"avgpool2d_backward", avgpool2d_backward},
                                       {NULL, NULL}};
  sm_lua_functions(L, functions);
}
