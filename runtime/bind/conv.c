/* Convolution: runtime.conv, with what bind/window.c adds. A convolution's options are those of its window, with
   {groups=}, checked in Lua. */
#include "bind/window.h"
#include "core/conv/conv.h"
#include "core/conv/maxpool.h"

static void check(lua_State *L, const char *name, sm_status status, const sm_error *error) {
  if (status != SM_OK) sm_lua_fail(L, "%s: %s", name, error->message);
}

/* A convolution that is planned, and its operands. */
typedef struct planned {
  sm_conv2d conv;
  const sm_tensor *x, *w, *bias; /* arguments 1 to 3 */
  sm_shape y;                    /* of its results */
} planned;

/* A convolution's options. */
typedef struct options {
  sm_window_options axes[2];
  size_t groups;
  const char *where; /* the name for messages: of the options, which stay on the stack */
} options;

static options read_options(lua_State *L, int index) {
  options o;
  sm_lua_window_options(L, index, o.axes);
  double groups = sm_lua_field_number(L, index, "groups", 1);
  if (!(groups >= 1 && groups <= INT32_MAX)) sm_lua_fail(L, "option 'groups' must be from 1 to %d", INT32_MAX);
  o.groups = (size_t)groups;
  o.where = sm_lua_field(L, index, "where") == LUA_TSTRING ? lua_tostring(L, -1) : "conv2d";
  lua_pop(L, 1);
  return o;
}

/* Of arguments 1 to 4, (x, w, bias or nil, options). */
static planned plan_conv2d(lua_State *L) {
  planned p = {.x = sm_lua_real(L, 1), .w = sm_lua_real(L, 2), .bias = sm_lua_real_or_nil(L, 3)};
  const options o = read_options(L, 4);
  sm_error error;
  check(L, o.where, sm_conv2d_plan(&p.conv, &p.y, &p.x->shape, &p.w->shape, o.axes, o.groups, &error), &error);
  if (p.bias) sm_lua_expect_shape(L, 3, o.where, "bias", &(sm_shape){.rank = 1, .size = {p.conv.filters}});
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
  const options o = read_options(L, 4);
  sm_conv2d conv;
  sm_error error;
  check(L, o.where, sm_conv2d_plan(&conv, &y, &x, &w->shape, o.axes, o.groups, &error), &error);
  sm_lua_expect_shape(L, 1, "conv2d", "gradient", &y);
  return push_backward_data(L, gy, w, &x, &conv);
}

/* conv2d_backward_filter(gy, x, shape of w, options, want bias) → gw, gbias or nil */
static int conv2d_backward_filter(lua_State *L) {
  const sm_tensor *gy = sm_lua_real(L, 1), *x = sm_lua_real(L, 2);
  sm_shape w, y;
  sm_lua_shape(L, 3, &w);
  const options o = read_options(L, 4);
  bool want_bias = lua_toboolean(L, 5);
  sm_conv2d conv;
  sm_error error;
  check(L, o.where, sm_conv2d_plan(&conv, &y, &x->shape, &w, o.axes, o.groups, &error), &error);
  sm_lua_expect_shape(L, 1, "conv2d", "gradient", &y);
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
  const options o = read_options(L, 3);
  sm_shape size = {0}, x;
  if (!lua_isnoneornil(L, 4)) {
    sm_lua_sizes(L, 4, &size);
    if (size.rank != 2) sm_lua_bad_argument(L, 4, "a size like {height, width}");
  }
  sm_conv2d conv;
  sm_error error;
  sm_status status =
      sm_conv2d_transpose_plan(&conv, &x, &y->shape, &w->shape, o.axes, o.groups, size.rank ? size.size : NULL,
                               &error);
  check(L, "conv2d_transpose", status, &error);
  return push_backward_data(L, y, w, &x, &conv);
}

/* conv2d_maxpool2d(x, w, bias or nil, options, kernel, pool's options, relu, whether which is wanted) → y, which or
   nil, shape of what was pooled */
static int conv2d_maxpool2d(lua_State *L) {
  const planned p = plan_conv2d(L);
  sm_shape shape;
  const sm_window window = sm_lua_maxpool_window(L, 5, &p.y, &shape);
  bool relu = lua_toboolean(L, 7), wanted = lua_toboolean(L, 8);
  const sm_tensor *y = sm_lua_new(L, SM_REAL, &shape), *which = sm_lua_push_positions(L, wanted, &shape, &window);
  sm_lua_push_shape(L, &p.y);
  void *scratch = take(L, sm_conv2d_forward_each_scratch, &p.conv);
  sm_conv2d_maxpool_forward(sm_lua_data(L, y), sm_lua_data(L, which), sm_lua_data(L, p.x), sm_lua_data(L, p.w),
                            sm_lua_data(L, p.bias), relu, scratch, &p.conv, &window);
  sm_lua_give(L);
  return 3;
}

/* methods(shape of x, shape of w, options) → {forward=, data_gradient=, filter_gradient=}: the names of those that a
   convolution of these takes, on any number of threads */
static int methods(lua_State *L) {
  static const char *const passes[] = {"forward", "data_gradient", "filter_gradient"};
  sm_shape x, w, y;
  sm_lua_shape(L, 1, &x);
  sm_lua_shape(L, 2, &w);
  const options o = read_options(L, 3);
  sm_conv2d conv;
  sm_error error;
  check(L, o.where, sm_conv2d_plan(&conv, &y, &x, &w, o.axes, o.groups, &error), &error);
  lua_createtable(L, 0, SM_CONV_PASSES);
  for (int pass = 0; pass < SM_CONV_PASSES; pass++) {
    lua_pushstring(L, sm_conv2d_method(&conv, (sm_conv_pass)pass));
    lua_setfield(L, -2, passes[pass]);
  }
  return 1;
}

void sm_lua_open_conv(lua_State *L) {
  static const luaL_Reg functions[] = {{"conv2d", conv2d},
                                       {"conv2d_backward_data", conv2d_backward_data},
                                       {"conv2d_backward_filter", conv2d_backward_filter},
                                       {"conv2d_transpose", conv2d_transpose},
                                       {"conv2d_maxpool2d", conv2d_maxpool2d},
                                       {"methods", methods},
                                       {NULL, NULL}};
  sm_lua_functions(L, functions);
  sm_lua_add_windows(L);
}
