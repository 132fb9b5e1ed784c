/* Normalisation of layers, groups and batches: runtime.normalise. */
#include <math.h>

#include "bind/bind.h"
#include "core/normalise.h"

/* From argument `index` on outer, rows and channels, which x is seen as, the number of groups and epsilon. Without
   groups the rows are a batch's, and outer is 1. */
static sm_normalisation check_normal(lua_State *L, const sm_tensor *x, int index) {
  size_t size[3], count = 1;
  bool fits = true;
  for (int i = 0; i < 3; i++) {
    size[i] = (size_t)sm_lua_integer(L, index + i, 0, LUA_MAXINTEGER);
    fits = fits && sm_multiply(&count, count, size[i]);
  }
  if (!fits || count != sm_shape_count(&x->shape)) sm_lua_bad_argument(L, index, "sizes of as many elements");
  const bool batch = lua_isnil(L, index + 3);
  if (batch && size[0] != 1) sm_lua_bad_argument(L, index, "1 for a batch");
  lua_Integer groups = batch ? (lua_Integer)(size[2] ? size[2] : 1) : sm_lua_integer(L, index + 3, 1, LUA_MAXINTEGER);
  if (size[2] % (size_t)groups != 0) sm_lua_bad_argument(L, index + 3, "a number of groups that divides the channels");
  sm_normalisation of = {size[0], size[1], size[2], (size_t)groups, sm_lua_constant(L, index + 4), batch};
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
static void check_after(lua_State *L, int index, const sm_tensor *given, const sm_tensor *x,
                        const sm_normalisation *of, double relu) {
  if (given && !sm_shape_equal(&given->shape, &x->shape))
    sm_lua_bad_argument(L, index, "a tensor of the input's shape");
  if ((given || relu != 0) && of->rows == 1 && !of->batch) sm_lua_bad_argument(L, index, "nothing after single rows");
}

/* Two numbers of each channel, of so many ranks, from the list at index; they lie on the stack. */
static double *read_sums(lua_State *L, int index, size_t ranks, size_t channels) {
  size_t count;
  if (lua_type(L, index) != LUA_TTABLE) sm_lua_bad_argument(L, index, "a list of numbers");
  sm_lua_plain_list(L, index);
  if (!sm_multiply(&count, ranks * SM_NORMALISE_SUMS, channels) || lua_rawlen(L, index) != count)
    sm_lua_bad_argument(L, index, "two numbers for each channel");
  double *sums = lua_newuserdatauv(L, count ? count * sizeof *sums : 1, 0);
  for (size_t i = 0; i < count; i++) {
    if (lua_rawgeti(L, index, (lua_Integer)i + 1) != LUA_TNUMBER) sm_lua_bad_argument(L, index, "a list of numbers");
    sums[i] = lua_tonumber(L, -1);
    lua_pop(L, 1);
  }
  return sums;
}

/* Memory for two numbers of each channel, which lies on the stack, and room for as many results. */
static double *make_sums(lua_State *L, size_t channels) {
  if (channels > INT16_MAX * SM_NORMALISE_SUMS) sm_lua_fail(L, "normalise: there are too many channels");
  luaL_checkstack(L, (int)channels * SM_NORMALISE_SUMS + LUA_MINSTACK, NULL);
  return lua_newuserdatauv(L, channels ? channels * SM_NORMALISE_SUMS * sizeof(double) : 1, 0);
}

/* Pushes them, and gives their number. */
static int push_sums(lua_State *L, const double *sums, size_t channels) {
  for (size_t i = 0; i < channels * SM_NORMALISE_SUMS; i++) lua_pushnumber(L, sums[i]);
  return (int)channels * SM_NORMALISE_SUMS;
}

/* statistics(x, outer, rows, channels, nil, epsilon) → those of a batch, which sm_normalise_statistics gives: numbers
   */
static int statistics(lua_State *L) {
  lua_settop(L, 6);
  const sm_tensor *x = sm_lua_real(L, 1);
  const sm_normalisation of = check_normal(L, x, 2);
  if (!of.batch) sm_lua_bad_argument(L, 5, "no groups");
  double *found = make_sums(L, of.channels);
  void *scratch = take(L, &of);
  sm_normalise_statistics(found, sm_lua_data(L, x), &of, scratch);
  sm_lua_give(L);
  return push_sums(L, found, of.channels);
}

/* merged(list of the statistics of all ranks, one after the other, ranks, rows of each, channels) → those of all
   together: numbers */
static int merged(lua_State *L) {
  lua_settop(L, 4);
  const size_t ranks = (size_t)sm_lua_integer(L, 2, 1, INT16_MAX);
  const size_t rows = (size_t)sm_lua_integer(L, 3, 0, LUA_MAXINTEGER);
  const size_t channels = (size_t)sm_lua_integer(L, 4, 0, INT16_MAX * SM_NORMALISE_SUMS);
  double *all = read_sums(L, 1, ranks, channels);
  luaL_checkstack(L, (int)channels * SM_NORMALISE_SUMS, NULL);
  sm_normalise_merge(all, ranks, rows, channels);
  return push_sums(L, all, channels);
}

/* forward(x, weight, bias, outer, rows, channels, groups or nil, epsilon, beside, relu, statistics) → y, mean, variance
   {outer, groups}, or {groups} where outer is 1; weight, bias and beside, which is added before relu, may be nil; relu
   true, or the number that it keeps below; statistics of a batch of all ranks, or nil */
static int forward(lua_State *L) {
  lua_settop(L, 11);
  const sm_tensor *x = sm_lua_real(L, 1);
  const sm_normalisation of = check_normal(L, x, 4);
  const sm_tensor *weight = check_count(L, 2, of.channels), *bias = check_count(L, 3, of.channels);
  const sm_tensor *beside = sm_lua_real_or_nil(L, 9);
  const double relu = check_relu(L, 10);
  check_after(L, 9, beside, x, &of, relu);
  const double *given = NULL;
  if (!lua_isnil(L, 11)) {
    if (!of.batch) sm_lua_bad_argument(L, 11, "nothing where there are groups");
    given = read_sums(L, 11, 1, of.channels);
  }
  const sm_shape each = {2, {of.outer, of.groups}}, one = {1, {of.groups}}, groups = of.outer == 1 ? one : each;
  const sm_tensor *y = sm_lua_new(L, SM_REAL, &x->shape);
  const sm_tensor *mean = sm_lua_new(L, SM_REAL, &groups), *variance = sm_lua_new(L, SM_REAL, &groups);
  void *scratch = take(L, &of);
  sm_normalise_forward(sm_lua_data(L, y), sm_lua_data(L, mean), sm_lua_data(L, variance), sm_lua_data(L, x),
                       sm_lua_data(L, weight), sm_lua_data(L, bias), sm_lua_data(L, beside), relu, given, &of,
                       scratch);
  sm_lua_give(L);
  return 3;
}

/* A new tensor, or nil. */
static const sm_tensor *push_parameter(lua_State *L, bool wanted, const sm_shape *shape) {
  if (wanted) return sm_lua_new(L, SM_REAL, shape);
  lua_pushnil(L);
  return NULL;
}

/* backward(gy, x, mean, variance, weight or nil, outer, rows, channels, groups or nil, epsilon, with_parameters, reuse,
   relu, bias or nil, y or nil, sums) → gx, gw and gb {channels} or nil without parameters, passed or nil. y is what
   `forward` gave where it added something before relu; then `passed` is the gradient of that. gx, or passed, in gy's
   place if it may be reused. sums: nil but for a batch of several ranks; true for the first half of the pass, which
   gives gw, gb, passed or nil, and its sums, numbers; for the second half, which gives gx alone, a list of those of all
   ranks, added. Its gy is `passed`, if the first half gave that, and then it takes neither y nor relu. */
static int backward(lua_State *L) {
  lua_settop(L, 16);
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
  check_after(L, 15, y, x, &of, relu);
  const bool halves = !lua_isnil(L, 16), first = halves && lua_type(L, 16) == LUA_TBOOLEAN;
  if (halves && !of.batch) sm_lua_bad_argument(L, 16, "nothing where there are groups");
  if (halves && !first && (with_parameters || y)) sm_lua_bad_argument(L, 16, "true with parameters or y");
  double *sums = halves && !first ? read_sums(L, 16, 1, of.channels) : NULL;
  if (first) sums = make_sums(L, of.channels);
  const sm_shape channels = {1, {of.channels}};
  const sm_tensor *gx = first ? NULL : sm_lua_like(L, 1, reuse && !y);
  const sm_tensor *gw = push_parameter(L, with_parameters, &channels);
  const sm_tensor *gb = push_parameter(L, with_parameters, &channels);
  const sm_tensor *passed = y ? sm_lua_like(L, 1, reuse) : NULL;
  if (first && !y) lua_pushnil(L);
  void *scratch = take(L, &of);
  sm_normalise_backward(sm_lua_data(L, gx), sm_lua_data(L, gw), sm_lua_data(L, gb), sm_lua_data(L, passed),
                        sm_lua_data(L, gy), sm_lua_data(L, x), sm_lua_data(L, y), sm_lua_data(L, mean),
                        sm_lua_data(L, variance), sm_lua_data(L, weight), sm_lua_data(L, bias), relu, sums, &of,
                        scratch);
  sm_lua_give(L);
  return first ? 3 + push_sums(L, sums, of.channels) : y ? 4 : 3;
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
  static const luaL_Reg functions[] = {{"forward", forward}, {"backward", backward}, {"follow", follow},
                                       {"statistics", statistics}, {"merged", merged}, {NULL, NULL}};
  sm_lua_functions(L, functions);
}
