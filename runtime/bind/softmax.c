/* Softmax and its like: runtime.softmax. */
#include "bind/bind.h"
#include "core/softmax.h"
#include "core/softmax_axis.h"
#include "core/sparsemax.h"
#include "core/winners.h"

/* The groups of x's last axis from `index`: a number of equal groups or a table of sizes, then temperature, scale, off.
   Pushes the buffer that holds the sizes. */
static sm_groups check_groups(lua_State *L, int index, const sm_tensor *x) {
  char text[SM_SHAPE_TEXT];
  if (x->shape.rank == 0) sm_lua_fail(L, "softmax: expected a last axis of channels, got shape {}");
  sm_groups groups = {.channels = x->shape.size[x->shape.rank - 1], .temperature = sm_lua_constant(L, index + 1),
                      .scale = lua_toboolean(L, index + 2), .off = lua_toboolean(L, index + 3)};
  size_t channels = groups.channels, count;
  bool equal = lua_type(L, index) != LUA_TTABLE;
  if (equal) {
    count = (size_t)sm_lua_integer(L, index, 1, INT32_MAX);
    if (channels % count != 0)
      sm_lua_fail(L, "softmax: %I channels cannot be divided into %I equal groups (input %s)", (LUAI_UACINT)channels,
                  (LUAI_UACINT)count, sm_shape_text(text, &x->shape));
    if (channels / count < 1 || channels / count > INT32_MAX)
      sm_lua_fail(L, "softmax: expected groups of 1 to %d channels, got shape %s", INT32_MAX,
                  sm_shape_text(text, &x->shape));
  } else {
    sm_lua_plain_list(L, index);
    count = (size_t)lua_rawlen(L, index);
  }
  int32_t *size = lua_newuserdatauv(L, (count ? count : 1) * sizeof *size, 0);
  for (size_t i = 0; i < count; i++) {
    if (!equal) lua_rawgeti(L, index, (lua_Integer)i + 1);
    size[i] = equal ? (int32_t)(channels / count) : (int32_t)sm_lua_integer(L, -1, INT32_MIN, INT32_MAX);
    if (!equal) lua_pop(L, 1);
  }
  groups.count = count;
  groups.size = size;
  sm_error error;
  if (sm_groups_check(&groups, &error) != SM_OK) sm_lua_raise(L, &error);
  return groups;
}

static size_t rows_of(const sm_tensor *x) {
  size_t channels = x->shape.size[x->shape.rank - 1];
  return channels ? sm_shape_count(&x->shape) / channels : 0;
}

/* softmax(x, groups or sizes, temperature, scale, off) → y */
static int softmax(lua_State *L) {
  const sm_tensor *x = sm_lua_real(L, 1);
  sm_groups groups = check_groups(L, 2, x);
  const sm_tensor *y = sm_lua_new(L, SM_REAL, &x->shape);
  sm_softmax_forward(sm_lua_data(L, y), sm_lua_data(L, x), &groups, rows_of(x));
  return 1;
}

/* softmax_backward(gy, y, groups or sizes, temperature, scale, off, reuse) → gx, in gy's place if it may be reused */
static int softmax_backward(lua_State *L) {
  const sm_tensor *gy = sm_lua_real(L, 1), *y = sm_lua_real(L, 2);
  bool reuse = lua_toboolean(L, 7);
  if (!sm_shape_equal(&gy->shape, &y->shape)) sm_lua_bad_argument(L, 1, "a gradient of the output's shape");
  sm_groups groups = check_groups(L, 3, y);
  const sm_tensor *gx = sm_lua_like(L, 1, reuse);
  sm_softmax_backward(sm_lua_data(L, gx), sm_lua_data(L, gy), sm_lua_data(L, y), &groups, rows_of(y));
  return 1;
}

/* An axis from argument `index`, of a tensor. */
static sm_axis check_along(lua_State *L, int index, const sm_tensor *x) {
  int axis = sm_lua_axis(L, index, &x->shape);
  return sm_axis_of(&x->shape, axis);
}

/* Temperature, scale, off and log from argument `index` on. */
static sm_softmax_rule check_rule(lua_State *L, int index) {
  double inverse = 1 / sm_lua_constant(L, index);
  if (!(inverse > 0) || !sm_survives(inverse)) sm_lua_bad_argument(L, index, "a temperature within its bounds");
  return (sm_softmax_rule){(real)inverse, lua_toboolean(L, index + 1), lua_toboolean(L, index + 2),
                           lua_toboolean(L, index + 3)};
}

/* softmax_axis(x, axis, temperature, scale, off, log) → y */
static int softmax_axis(lua_State *L) {
  const sm_tensor *x = sm_lua_real(L, 1);
  const sm_axis along = check_along(L, 2, x);
  const sm_softmax_rule rule = check_rule(L, 3);
  const sm_tensor *y = sm_lua_new(L, SM_REAL, &x->shape);
  sm_softmax_axis_forward(sm_lua_data(L, y), sm_lua_data(L, x), &along, &rule);
  return 1;
}

/* softmax_axis_backward(gy, y, axis, temperature, scale, off, log, reuse) → gx, in gy's place if it may be reused */
static int softmax_axis_backward(lua_State *L) {
  const sm_tensor *gy = sm_lua_real(L, 1), *y = sm_lua_real(L, 2);
  bool reuse = lua_toboolean(L, 8);
  if (!sm_shape_equal(&gy->shape, &y->shape)) sm_lua_bad_argument(L, 1, "a gradient of the output's shape");
  const sm_axis along = check_along(L, 3, y);
  const sm_softmax_rule rule = check_rule(L, 4);
  const sm_tensor *gx = sm_lua_like(L, 1, reuse);
  sm_softmax_axis_backward(sm_lua_data(L, gx), sm_lua_data(L, gy), sm_lua_data(L, y), &along, &rule);
  return 1;
}

/* sparsemax(x, axis) → y */
static int sparsemax(lua_State *L) {
  const sm_tensor *x = sm_lua_real(L, 1);
  const sm_axis along = check_along(L, 2, x);
  const sm_tensor *y = sm_lua_new(L, SM_REAL, &x->shape);
  sm_sparsemax_forward(sm_lua_data(L, y), sm_lua_data(L, x), &along);
  return 1;
}

/* sparsemax_backward(gy, y, axis, reuse) → gx, in gy's place if it may be reused */
static int sparsemax_backward(lua_State *L) {
  const sm_tensor *gy = sm_lua_real(L, 1), *y = sm_lua_real(L, 2);
  bool reuse = lua_toboolean(L, 4);
  if (!sm_shape_equal(&gy->shape, &y->shape)) sm_lua_bad_argument(L, 1, "a gradient of the output's shape");
  const sm_axis along = check_along(L, 3, y);
  const sm_tensor *gx = sm_lua_like(L, 1, reuse);
  sm_sparsemax_backward(sm_lua_data(L, gx), sm_lua_data(L, gy), sm_lua_data(L, y), &along);
  return 1;
}

/* winners(value, x, axis, k, reuse) → value at the k largest of each line of x, else 0, in its place if it may be
   reused */
static int winners(lua_State *L) {
  const sm_tensor *value = sm_lua_real(L, 1), *x = sm_lua_real(L, 2);
  bool reuse = lua_toboolean(L, 5);
  if (!sm_shape_equal(&value->shape, &x->shape)) sm_lua_bad_argument(L, 1, "a tensor of the second's shape");
  const sm_axis along = check_along(L, 3, x);
  if (along.axis > INT32_MAX) sm_lua_bad_argument(L, 2, "an axis that an int32 counts");
  const size_t most = along.axis < SM_MOST_WINNERS ? along.axis : SM_MOST_WINNERS;
  const size_t k = (size_t)sm_lua_integer(L, 4, 0, (lua_Integer)most);
  const sm_tensor *out = sm_lua_like(L, 1, reuse);
  sm_winners(sm_lua_data(L, out), sm_lua_data(L, value), sm_lua_data(L, x), k, &along);
  return 1;
}

void sm_lua_open_softmax(lua_State *L) {
  static const luaL_Reg functions[] = {{"softmax", softmax},
                                       {"softmax_backward", softmax_backward},
                                       {"softmax_axis", softmax_axis},
                                       {"softmax_axis_backward", softmax_axis_backward},
                                       {"sparsemax", sparsemax},
                                       {"sparsemax_backward", sparsemax_backward},
                                        {"winners", winners},
                                       {NULL, NULL}};
  sm_lua_functions(L, functions);
}
