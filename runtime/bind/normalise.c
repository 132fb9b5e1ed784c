/* Normalisation of layers, groups and batches: runtime.normalise. */
#include <math.h>

#include "bind/bind.h"
#include "core/normalise.h"

/* From argument `index` on outer, rows and channels, which x is seen as, the number of groups and epsilon. */
static sm_normalisation check_normal(lua_State *L, const sm_tensor *x, int index) {
  size_t size[3], count = 1;
  bool fits = true;
  for (int i = 0; i < 3; i++) {
    size[i] = (size_t)sm_lua_integer(L, index + i, 0, LUA_MAXINTEGER);
    fits = fits && sm_multiply(&count, count, size[i]);
  }
  if (!fits || count != sm_shape_count(&x->shape)) sm_lua_bad_argument(L, index, "sizes of as many elements");
  lua_Integer groups = sm_lua_integer(L, index + 3, 1, LUA_MAXINTEGER);
  if (size[2] % (size_t)groups != 0) sm_lua_bad_argument(L, index + 3, "a number of groups that divides the channels");
  sm_normalisation of = {size[0], size[1], size[2], (size_t)groups, sm_lua_constant(L, index + 4)};
  if (!(of.epsilon > 0)) sm_lua_bad_argument(L, index + 4, "a number above 0");
  return of;
}

/* NULL, or a real tensor of so many elements. */
static const sm_tensor *check_count(lua_State *L, int index, size_t count) {
  const sm_tensor *x = sm_lua_real_or_nil(L, index);
  if (x && sm_shape_count(&x->shape) != count) sm_lua_bad_argument(L, index, "a number for each channel or group");
  return x;
}

static void *take(lua_State *L, const sm_normalisation *of) {
  size_t bytes;
  if (!sm_normalise_scratch(&bytes, of)) sm_lua_fail(L, "normalise: the tensor is too large");
  return sm_lua_take(L, bytes);
}

/* No relu, relu, or the number that it keeps below. */
static double check_relu(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TNUMBER) return lua_toboolean(L, index) ? (double)INFINITY : 0;
  const double limit = sm_lua_constant(L, index);
  if (!(limit > 0)) sm_lua_bad_argument(L, index, "a number above 0");
  return limit;
}

/* What may come after in the same pass: of one row there is none. */
static void check_after(lua_State *L, int index, const sm_tensor *given, const sm_tensor *x, size_t rows,
                        double relu) {
  if (given && !sm_shape_equal(&given->shape, &x->shape))
    sm_lua_bad_argument(L, index, "a tensor of the input's shape");
  if ((given || relu != 0) && rows == 1) sm_lua_bad_argument(L, index, "nothing after single rows");
}

/* forward(x, weight, bias, outer, rows, channels, groups, epsilon, beside, relu) → y, mean, variance {outer, groups},
   or {groups} where outer is 1; weight, bias and beside, which is added before relu, may be nil; relu true, or the
   number that it keeps below */
static int forward(lua_State *L) {
  lua_settop(L, 10);
  const sm_tensor *x = sm_lua_real(L, 1);
  const sm_normalisation of = check_normal(L, x, 4);
  const sm_tensor *weight = check_count(L, 2, of.channels), *bias = check_count(L, 3, of.channels);
  const sm_tensor *beside = sm_lua_real_or_nil(L, 9);
  const double relu = check_relu(L, 10);
  check_after(L, 9, beside, x, of.rows, relu);
  const sm_shape each = {2, {of.outer, of.groups}}, one = {1, {of.groups}}, groups = of.outer == 1 ? one : each;
  const sm_tensor *y = sm_lua_new(L, SM_REAL, &x->shape);
  const sm_tensor *mean = sm_lua_new(L, SM_REAL, &groups), *variance = sm_lua_new(L, SM_REAL, &groups);
  void *scratch = take(L, &of);
  sm_normalise_forward(sm_lua_data(L, y), sm_lua_data(L, mean), sm_lua_data(L, variance), sm_lua_data(L, x),
                       sm_lua_data(L, weight), sm_lua_data(L, bias), sm_lua_data(L, beside), relu, &of, scratch);
  sm_lua_give(L);
  return 3;
}

/* A new tensor, or nil. */
static const sm_tensor *push_parameter(lua_State *L, bool wanted, const sm_shape *shape) {
  if (wanted) return sm_lua_new(L, SM_REAL, shape);
  lua_pushnil(L);
  return NULL;
}

/* backward(gy, x, mean, variance, weight or nil, outer, rows, channels, groups, epsilon, with_parameters, reuse, relu,
   bias or nil, y or nil) → gx, gw and gb {channels} or nil without parameters, passed or nil. y is what `forward`
   gave where it added something before relu; then `passed` is the gradient of that. gx, or passed, in gy's place if it
   may be reused */
static int backward(lua_State *L) {
  lua_settop(L, 15);
  const sm_tensor *gy = sm_lua_real(L, 1), *x = sm_lua_real(L, 2);
  const sm_normalisation of = check_normal(L, x, 6);
  const bool with_parameters = lua_toboolean(L, 11);
  const bool reuse = lua_toboolean(L, 12);
  const double relu = check_relu(L, 13);
  if (!sm_shape_equal(&gy->shape, &x->shape)) sm_lua_bad_argument(L, 1, "a gradient of the output's shape");
  const sm_tensor *mean = sm_lua_real(L, 3), *variance = sm_lua_real(L, 4);
  check_count(L, 3, of.outer * of.groups);
  check_count(L, 4, of.outer * of.groups);
  const sm_tensor *weight = check_count(L, 5, of.channels), *bias = check_count(L, 14, of.channels);
  const sm_tensor *y = sm_lua_real_or_nil(L, 15);
  check_after(L, 15, y, x, of.rows, relu);
  const sm_shape channels = {1, {of.channels}};
  const sm_tensor *gx = sm_lua_like(L, 1, reuse && !y);
  const sm_tensor *gw = push_parameter(L, with_parameters, &channels);
  const sm_tensor *gb = push_parameter(L, with_parameters, &channels);
  const sm_tensor *passed = y ? sm_lua_like(L, 1, reuse) : NULL;
  void *scratch = take(L, &of);
  sm_normalise_backward(sm_lua_data(L, gx), sm_lua_data(L, gw), sm_lua_data(L, gb), sm_lua_data(L, passed),
                        sm_lua_data(L, gy), sm_lua_data(L, x), sm_lua_data(L, y), sm_lua_data(L, mean),
                        sm_lua_data(L, variance), sm_lua_data(L, weight), sm_lua_data(L, bias), relu, &of, scratch);
  sm_lua_give(L);
  return y ? 4 : 3;
}

/* follow(running, batch, keep): running = keep * running + (1 - keep) * batch, in place */
static int follow(lua_State *L) {
  sm_tensor *running = sm_lua_real(L, 1);
  const sm_tensor *batch = sm_lua_real(L, 2);
  const double keep = sm_lua_constant(L, 3);
  if (!sm_shape_equal(&running->shape, &batch->shape)) sm_lua_bad_argument(L, 2, "a tensor of the first's shape");
  sm_normalise_follow(sm_lua_change(L, running), sm_lua_data(L, batch), keep, sm_shape_count(&batch->shape));
  return 0;
}

void sm_lua_open_normalise(lua_State *L) {
  static const luaL_Reg functions[] = {{"forward", forward}, {"backward", backward}, {"follow", follow}, {NULL, NULL}};
  sm_lua_functions(L, functions);
}
