/* Reductions, running sums and sums that undo broadcasting: functions of runtime.math. */
#include "bind/bind.h"
#include "core/extremes.h"
#include "core/logsumexp.h"
#include "core/reduce.h"
#include "core/scan.h"

/* sum_to(x, shape) → x summed over the axes that broadcasting `shape` repeated */
static int sum_to(lua_State *L) {
  const sm_tensor *x = sm_lua_real(L, 1);
  sm_shape shape;
  sm_lua_shape(L, 2, &shape);
  if (sm_shape_equal(&shape, &x->shape)) {
    lua_settop(L, 1);
    return 1;
  }
  const sm_tensor *out = sm_lua_new(L, SM_REAL, &shape);
  sm_memory *memory = sm_lua_memory(L);
  sm_error error;
  if (sm_sum_to(sm_lua_data(L, out), sm_lua_data(L, x), &shape, &x->shape, memory, &error) != SM_OK)
    sm_lua_raise(L, &error);
  return 1;
}

static sm_shape without_axis(const sm_shape *shape, int axis) {
  sm_shape rest = {0};
  for (int i = 0; axis >= 0 && i < shape->rank; i++)
    if (i != axis) rest.size[rest.rank++] = shape->size[i];
  return rest;
}

/* Raises unless a tensor has the shape of what is left of `whole` without an axis. */
static void check_rest(lua_State *L, const sm_tensor *x, const sm_shape *whole, int axis) {
  sm_shape rest = without_axis(whole, axis);
  char first[SM_SHAPE_TEXT], second[SM_SHAPE_TEXT];
  if (!sm_shape_equal(&x->shape, &rest))
    sm_lua_fail(L, "expected a tensor of shape %s, got %s", sm_shape_text(first, &rest),
                sm_shape_text(second, &x->shape));
}

typedef void reduction(real *out, const real *x, const sm_axis *along);

static int reduce(lua_State *L, reduction *kernel) {
  const sm_tensor *x = sm_lua_real(L, 1);
  int axis = sm_lua_axis(L, 2, &x->shape);
  sm_shape shape = without_axis(&x->shape, axis);
  sm_axis along = sm_axis_of(&x->shape, axis);
  const sm_tensor *out = sm_lua_new(L, SM_REAL, &shape);
  kernel(sm_lua_data(L, out), sm_lua_data(L, x), &along);
  return 1;
}

/* The sum of all elements, or their mean; then the sum in double, and how many they are. */
static int reduce_all(lua_State *L, bool is_mean) {
  const sm_tensor *x = sm_lua_real(L, 1);
  const size_t count = sm_shape_count(&x->shape);
  const sm_tensor *out = sm_lua_new(L, SM_REAL, &(sm_shape){0});
  real *to = sm_lua_data(L, out);
  const double total = sm_sum_all(sm_lua_data(L, x), count);
  *to = (real)(is_mean ? total / (double)count : total);
  lua_pushnumber(L, (lua_Number)total);
  lua_pushnumber(L, is_mean ? (lua_Number)count : 1);
  return 3;
}

/* each: (x, axis or nil: all) → what is left without the axis; of all, the sum in double and its divisor too. The sum
   of all goes by parts of the batch. */
static int sum(lua_State *L) { return lua_isnoneornil(L, 2) ? reduce_all(L, false) : reduce(L, sm_sum); }
static int mean(lua_State *L) { return lua_isnoneornil(L, 2) ? reduce_all(L, true) : reduce(L, sm_mean); }

/* sum_batch(x) → what is left without the first axis, a batch's: the sum over it by parts */
static int sum_batch(lua_State *L) {
  const sm_tensor *x = sm_lua_real(L, 1);
  if (x->shape.rank == 0) sm_lua_bad_argument(L, 1, "a tensor with at least one axis");
  const sm_shape shape = without_axis(&x->shape, 0);
  const sm_tensor *out = sm_lua_new(L, SM_REAL, &shape);
  sm_sum_batch(sm_lua_data(L, out), sm_lua_data(L, x), x->shape.size[0], sm_shape_count(&shape));
  return 1;
}
static int norm(lua_State *L) { return reduce(L, sm_norm); }
static int logsumexp(lua_State *L) { return reduce(L, sm_logsumexp); }
static int prod(lua_State *L) { return reduce(L, sm_prod); }

/* squares(x, axis) → sums of the squared differences from the means, the means */
static int squares(lua_State *L) {
  const sm_tensor *x = sm_lua_real(L, 1);
  int axis = sm_lua_axis(L, 2, &x->shape);
  sm_shape shape = without_axis(&x->shape, axis);
  sm_axis along = sm_axis_of(&x->shape, axis);
  const sm_tensor *out = sm_lua_new(L, SM_REAL, &shape), *means = sm_lua_new(L, SM_REAL, &shape);
  sm_squares(sm_lua_data(L, out), sm_lua_data(L, means), sm_lua_data(L, x), &along);
  return 2;
}

/* prod_backward(gy, x, axis) → gx */
static int prod_backward(lua_State *L) {
  const sm_tensor *gy = sm_lua_real(L, 1), *x = sm_lua_real(L, 2);
  int axis = sm_lua_axis(L, 3, &x->shape);
  sm_axis along = sm_axis_of(&x->shape, axis);
  check_rest(L, gy, &x->shape, axis);
  const sm_tensor *gx = sm_lua_new(L, SM_REAL, &x->shape);
  sm_prod_backward(sm_lua_data(L, gx), sm_lua_data(L, gy), sm_lua_data(L, x), &along);
  return 1;
}

/* cumsum(x, axis, backwards) → running sums */
static int cumsum(lua_State *L) {
  const sm_tensor *x = sm_lua_real(L, 1);
  int axis = sm_lua_axis(L, 2, &x->shape);
  sm_axis along = sm_axis_of(&x->shape, axis);
  bool backwards = lua_toboolean(L, 3);
  const sm_tensor *out = sm_lua_new(L, SM_REAL, &x->shape);
  sm_cumsum(sm_lua_data(L, out), sm_lua_data(L, x), backwards, &along);
  return 1;
}

/* The axis of argument `index` of x, or all elements, for `name` to find the largest or smallest of. */
static int extremes_axis(lua_State *L, int index, const sm_tensor *x, const char *name) {
  int axis = sm_lua_axis(L, index, &x->shape);
  sm_axis along = sm_axis_of(&x->shape, axis);
  sm_error error;
  char text[SM_SHAPE_TEXT];
  if (along.axis == 0)
    sm_lua_fail(L, "%s of nothing: shape %s is empty along the axis", name, sm_shape_text(text, &x->shape));
  if (sm_extremes_check(&along, &error) != SM_OK) sm_lua_fail(L, "%s: %s", name, error.message);
  return axis;
}

typedef void extremes(real *out, int32_t *position, const real *x, const sm_axis *along);

/* Pushes the extreme values and their positions, which count from `first`. */
static int push_extremes(lua_State *L, const char *name, extremes *kernel, int32_t first) {
  const sm_tensor *x = sm_lua_real(L, 1);
  int axis = extremes_axis(L, 2, x, name);
  sm_axis along = sm_axis_of(&x->shape, axis);
  sm_shape shape = without_axis(&x->shape, axis);
  const sm_tensor *out = sm_lua_new(L, SM_REAL, &shape), *position = sm_lua_new(L, SM_INT32, &shape);
  int32_t *data = sm_lua_data(L, position);
  kernel(sm_lua_data(L, out), data, sm_lua_data(L, x), &along);
  for (size_t i = 0, count = first ? sm_shape_count(&shape) : 0; i < count; i++) data[i] += first;
  return 2;
}

/* each: (x, axis) → values, 0-based positions along the axis */
static int max(lua_State *L) { return push_extremes(L, "max", sm_max, 0); }
static int min(lua_State *L) { return push_extremes(L, "min", sm_min, 0); }

/* each: (x, axis) → 1-based positions along the axis */
static int argmax(lua_State *L) {
  push_extremes(L, "argmax", sm_max, 1);
  return 1;
}
static int argmin(lua_State *L) {
  push_extremes(L, "argmin", sm_min, 1);
  return 1;
}

/* extremes_backward(gy, positions, shape, axis) → gx */
static int extremes_backward(lua_State *L) {
  const sm_tensor *gy = sm_lua_real(L, 1), *position = sm_lua_typed(L, 2, SM_INT32);
  sm_shape shape;
  sm_lua_shape(L, 3, &shape);
  int axis = sm_lua_axis(L, 4, &shape);
  sm_axis along = sm_axis_of(&shape, axis);
  check_rest(L, gy, &shape, axis);
  check_rest(L, position, &shape, axis);
  const sm_tensor *gx = sm_lua_new(L, SM_REAL, &shape);
  const int32_t *places = sm_lua_data(L, position);
  for (size_t i = 0, count = sm_shape_count(&position->shape); i < count; i++)
    if (places[i] < 0 || (size_t)places[i] >= along.axis) sm_lua_bad_argument(L, 2, "positions within the axis");
  sm_extremes_backward(sm_lua_data(L, gx), sm_lua_data(L, gy), places, &along);
  return 1;
}

/* spread(gy, shape, axis, scale) → gx: scale * gy repeated along the axis */
static int spread(lua_State *L) {
  const sm_tensor *gy = sm_lua_real(L, 1);
  sm_shape shape;
  sm_lua_shape(L, 2, &shape);
  int axis = sm_lua_axis(L, 3, &shape);
  sm_axis along = sm_axis_of(&shape, axis);
  check_rest(L, gy, &shape, axis);
  double scale = sm_lua_number(L, 4);
  const sm_tensor *gx = sm_lua_new(L, SM_REAL, &shape);
  sm_spread(sm_lua_data(L, gx), sm_lua_data(L, gy), scale, &along);
  return 1;
}

static int sum_of_squares(lua_State *L) {
  const sm_tensor *x = sm_lua_real(L, 1);
  lua_pushnumber(L, (lua_Number)sm_sum_of_squares(sm_lua_data(L, x), sm_shape_count(&x->shape)));
  return 1;
}

/* is_finite(x) → true when every element is, as integers are */
static int is_finite(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  size_t count = sm_shape_count(&x->shape);
  lua_pushboolean(L, x->dtype != SM_REAL || sm_first_not_finite(sm_lua_data(L, x), count) == count);
  return 1;
}

void sm_lua_add_reductions(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"sum_to", sum_to}, {"sum", sum}, {"sum_batch", sum_batch}, {"mean", mean}, {"norm", norm},
      {"logsumexp", logsumexp}, {"squares", squares},
      {"prod", prod}, {"prod_backward", prod_backward}, {"cumsum", cumsum}, {"max", max}, {"min", min},
      {"argmax", argmax}, {"argmin", argmin}, {"extremes_backward", extremes_backward}, {"spread", spread},
      {"sum_of_squares", sum_of_squares}, {"is_finite", is_finite},
      {NULL, NULL}};
  sm_lua_add_functions(L, functions);
}
