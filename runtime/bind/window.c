#include "bind/window.h"

#include <limits.h>
#include <string.h>

#include "core/pool.h"
#include "core/unfold.h"
#include "core/upsample.h"

/* ---- options ---- */

/* Pops a value, an integer for all sides or axes or a list: option `key`. Returns how many numbers it has. */
static int pop_numbers(lua_State *L, const char *key, int numbers[], int most) {
  bool is_list = lua_type(L, -1) == LUA_TTABLE;
  size_t length = is_list ? lua_rawlen(L, -1) : 1;
  bool fits = !is_list || length == 2 || length == (size_t)most;
  int count = fits ? (int)length : 0;
  for (int i = 0; i < count && fits; i++) {
    if (is_list) lua_rawgeti(L, -1, i + 1);
    else lua_pushvalue(L, -1);
    int exact = 0;
    lua_Integer number = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &exact) : 0;
    fits = exact && number >= 0 && number <= INT_MAX;
    numbers[i] = (int)number;
    lua_pop(L, 1);
  }
  if (!fits) sm_lua_fail(L, "option '%s' must be an integer from 0 to %d, or a list of them", key, INT_MAX);
  lua_pop(L, 1);
  return count;
}

/* A number for both axes, or {down, across}. */
static void axes_field(lua_State *L, int index, const char *key, int absent, int numbers[2]) {
  numbers[0] = absent;
  int count = 1;
  if (sm_lua_field(L, index, key) == LUA_TNIL) lua_pop(L, 1);
  else count = pop_numbers(L, key, numbers, 2);
  if (count == 1) numbers[1] = numbers[0];
}

void sm_lua_window_options(lua_State *L, int index, sm_window_options axes[2]) {
  luaL_checktype(L, index, LUA_TTABLE);
  int strides[2], dilations[2], sides[4] = {0};
  axes_field(L, index, "stride", 1, strides);
  axes_field(L, index, "dilation", 1, dilations);
  bool partial = sm_lua_field_boolean(L, index, "partial");
  sm_padding_kind kind = SM_PADDING_VALID;
  int type = sm_lua_field(L, index, "padding");
  if (type == LUA_TSTRING || type == LUA_TNIL) {
    const char *name = type == LUA_TSTRING ? lua_tostring(L, -1) : "valid";
    if (strcmp(name, "same") == 0) kind = SM_PADDING_SAME;
    else if (strcmp(name, "valid") != 0) sm_lua_fail(L, "option 'padding' must be 'same' or 'valid', got '%s'", name);
    lua_pop(L, 1);
  } else {
    kind = SM_PADDING_EXPLICIT;
    int count = pop_numbers(L, "padding", sides, 4);
    if (count == 1) sides[1] = sides[0];
    if (count <= 2) memcpy(sides + 2, sides, 2 * sizeof *sides);
  }
  for (int axis = 0; axis < 2; axis++)
    axes[axis] = (sm_window_options){.stride = strides[axis],
                                     .kind = kind,
                                     .before = sides[axis],
                                     .after = sides[axis + 2],
                                     .dilation = dilations[axis],
                                     .partial = partial};
}

void sm_lua_expect_shape(lua_State *L, int index, const char *where, const char *what, const sm_shape *expected) {
  const sm_tensor *given = sm_lua_tensor(L, index);
  char want[SM_SHAPE_TEXT], have[SM_SHAPE_TEXT];
  if (!sm_shape_equal(&given->shape, expected))
    sm_lua_fail(L, "%s: the %s must have shape %s, got %s", where, what, sm_shape_text(want, expected),
                sm_shape_text(have, &given->shape));
}

/* ---- pools ---- */

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
static sm_window pool_window(lua_State *L, int index, pool_plan *plan, const char *where, const sm_shape *x,
                             sm_shape *y) {
  size_t kernel[2];
  kernel_size(L, index, kernel);
  sm_window_options axes[2];
  sm_lua_window_options(L, index + 1, axes);
  if (sm_lua_field(L, index + 1, "where") == LUA_TSTRING) where = lua_tostring(L, -1); /* of a pool over sequences */
  lua_pop(L, 1);
  sm_window window;
  sm_error error;
  if (plan(&window, y, x, kernel[0], kernel[1], axes, &error)) sm_lua_fail(L, "%s: %s", where, error.message);
  return window;
}

sm_window sm_lua_maxpool_window(lua_State *L, int index, const sm_shape *x, sm_shape *y) {
  return pool_window(L, index, sm_maxpool_plan, "maxpool2d", x, y);
}

static sm_window avgpool_window(lua_State *L, int index, const sm_shape *x, sm_shape *y) {
  return pool_window(L, index, sm_avgpool_plan, "avgpool2d", x, y);
}

const sm_tensor *sm_lua_push_positions(lua_State *L, bool wanted, const sm_shape *shape, const sm_window *window) {
  if (wanted) return sm_lua_new(L, sm_maxpool_position_type(window), shape);
  lua_pushnil(L);
  return NULL;
}

/* maxpool2d(x, kernel, options, relu, whether which is wanted) → y, which or nil */
static int maxpool2d(lua_State *L) {
  const sm_tensor *x = sm_lua_real(L, 1);
  sm_shape shape;
  sm_window window = sm_lua_maxpool_window(L, 2, &x->shape, &shape);
  bool relu = lua_toboolean(L, 4), wanted = lua_toboolean(L, 5);
  const sm_tensor *y = sm_lua_new(L, SM_REAL, &shape), *which = sm_lua_push_positions(L, wanted, &shape, &window);
  sm_maxpool_forward(sm_lua_data(L, y), sm_lua_data(L, which), sm_lua_data(L, x), relu, &window);
  return 2;
}

/* maxpool2d_backward(gy, which, shape of x, kernel, options, y or nil) → gx; y is what the forward pass gave with
   relu */
static int maxpool2d_backward(lua_State *L) {
  const sm_tensor *gy = sm_lua_real(L, 1);
  sm_shape x, y;
  sm_lua_shape(L, 3, &x);
  sm_window window = sm_lua_maxpool_window(L, 4, &x, &y);
  const sm_tensor *which = sm_lua_typed(L, 2, sm_maxpool_position_type(&window));
  sm_lua_expect_shape(L, 1, "maxpool2d", "gradient", &y);
  sm_lua_expect_shape(L, 2, "maxpool2d", "positions", &y);
  const sm_tensor *with_relu = sm_lua_real_or_nil(L, 6);
  if (with_relu) sm_lua_expect_shape(L, 6, "maxpool2d", "output", &y);
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
  sm_window window = sm_lua_maxpool_window(L, 3, &x, &y);
  const sm_tensor *which = sm_lua_typed(L, 1, sm_maxpool_position_type(&window));
  sm_lua_expect_shape(L, 1, "maxpool2d", "positions", &y);
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

/* avgpool2d(x, kernel, options) → y */
static int avgpool2d(lua_State *L) {
  const sm_tensor *x = sm_lua_real(L, 1);
  sm_shape shape;
  sm_window window = avgpool_window(L, 2, &x->shape, &shape);
  bool count = sm_lua_field_boolean(L, 3, "count_padding");
  const sm_tensor *y = sm_lua_new(L, SM_REAL, &shape);
  sm_avgpool_forward(sm_lua_data(L, y), sm_lua_data(L, x), count, &window);
  return 1;
}

/* avgpool2d_backward(gy, shape of x, kernel, options) → gx */
static int avgpool2d_backward(lua_State *L) {
  const sm_tensor *gy = sm_lua_real(L, 1);
  sm_shape x, y;
  sm_lua_shape(L, 2, &x);
  sm_window window = avgpool_window(L, 3, &x, &y);
  bool count = sm_lua_field_boolean(L, 4, "count_padding");
  sm_lua_expect_shape(L, 1, "avgpool2d", "gradient", &y);
  const sm_tensor *gx = sm_lua_new(L, SM_REAL, &x);
  sm_avgpool_backward(sm_lua_data(L, gx), sm_lua_data(L, gy), count, &window);
  return 1;
}

/* ---- unfolding ---- */

/* The window over images of shape x from arguments `index` (kernel) and `index`+1 (options); *y is (batch, out_height,
   out_width, kernel_height * kernel_width * channels). */
static sm_window unfolding(lua_State *L, int index, const sm_shape *x, sm_shape *y) {
  size_t kernel[2], elements;
  kernel_size(L, index, kernel);
  sm_window_options axes[2];
  sm_lua_window_options(L, index + 1, axes);
  sm_window window;
  sm_error error;
  if (sm_window_plan(&window, x, kernel[0], kernel[1], axes, &error)) sm_lua_fail(L, "unfold: %s", error.message);
  if (!sm_multiply(&elements, kernel[0], kernel[1]) || !sm_multiply(&elements, elements, window.channels))
    sm_lua_fail(L, "unfold: the windows hold too many numbers");
  *y = (sm_shape){4, {window.batch, window.out_height, window.out_width, elements}};
  return window;
}

/* unfold(x, kernel, options) → y */
static int unfold(lua_State *L) {
  const sm_tensor *x = sm_lua_real(L, 1);
  sm_shape shape;
  const sm_window window = unfolding(L, 2, &x->shape, &shape);
  const sm_tensor *y = sm_lua_new(L, SM_REAL, &shape);
  sm_unfold(sm_lua_data(L, y), sm_lua_data(L, x), &window);
  return 1;
}

/* fold(y, shape of x, kernel, options) → x: the adjoint */
static int fold(lua_State *L) {
  const sm_tensor *y = sm_lua_real(L, 1);
  sm_shape shape, expected;
  sm_lua_shape(L, 2, &shape);
  const sm_window window = unfolding(L, 3, &shape, &expected);
  sm_lua_expect_shape(L, 1, "unfold", "gradient", &expected);
  const sm_tensor *x = sm_lua_new(L, SM_REAL, &shape);
  sm_fold(sm_lua_data(L, x), sm_lua_data(L, y), &window);
  return 1;
}

/* ---- upsampling ---- */

/* One axis from argument `index`, {size, positions, step, per}: see core/upsample.h. */
static sm_upsample_axis upsampled_axis(lua_State *L, int index) {
  luaL_checktype(L, index, LUA_TTABLE);
  double numbers[4];
  for (int i = 0; i < 4; i++) {
    lua_rawgeti(L, index, i + 1);
    numbers[i] = lua_tonumber(L, -1);
    lua_pop(L, 1);
    bool is_size = i < 2;
    if (!(numbers[i] >= (is_size ? 1 : 0) && numbers[i] <= INT_MAX))
      sm_lua_bad_argument(L, index, "{size, positions, step, per}");
  }
  return (sm_upsample_axis){(size_t)numbers[0], (size_t)numbers[1], numbers[2], numbers[3]};
}

/* (x, {size, positions, step, per} down, the same across, linear, corners) → the images in the other size, or, of
   gradients with `positions` pixels, in the first. */
static int resample(lua_State *L, bool back) {
  const sm_tensor *x = sm_lua_real(L, 1);
  sm_shape shape = x->shape;
  sm_upsample of = {.down = upsampled_axis(L, 2),
                    .across = upsampled_axis(L, 3),
                    .linear = lua_toboolean(L, 4),
                    .corners = lua_toboolean(L, 5)};
  if (shape.rank != 4) sm_lua_bad_argument(L, 1, "images {batch, height, width, channels}");
  of.batch = shape.size[0];
  of.channels = shape.size[3];
  shape.size[1] = back ? of.down.positions : of.down.size;
  shape.size[2] = back ? of.across.positions : of.across.size;
  sm_lua_expect_shape(L, 1, "upsample2d", back ? "gradient" : "images", &shape);
  shape.size[1] = back ? of.down.size : of.down.positions;
  shape.size[2] = back ? of.across.size : of.across.positions;
  const sm_tensor *y = sm_lua_new(L, SM_REAL, &shape);
  void *scratch = sm_lua_take(L, sm_upsample_scratch(&of));
  (back ? sm_upsample_backward : sm_upsample_forward)(sm_lua_data(L, y), sm_lua_data(L, x), scratch, &of);
  sm_lua_give(L);
  return 1;
}

static int upsample2d(lua_State *L) { return resample(L, false); }
static int upsample2d_backward(lua_State *L) { return resample(L, true); }

void sm_lua_add_windows(lua_State *L) {
  static const luaL_Reg functions[] = {{"maxpool2d", maxpool2d},
                                       {"maxpool2d_backward", maxpool2d_backward},
                                       {"maxpool2d_sources", maxpool2d_sources},
                                       {"avgpool2d", avgpool2d},
                                       {"avgpool2d_backward", avgpool2d_backward},
                                       {"unfold", unfold},
                                       {"fold", fold},
                                       {"upsample2d", upsample2d},
                                       {"upsample2d_backward", upsample2d_backward},
                                       {NULL, NULL}};
  sm_lua_add_functions(L, functions);
}
