/* Elements by their indices, and in order: runtime.index. */
#include <string.h>

#include "bind/bind.h"
#include "core/index.h"
#include "core/sort.h"

/* A tensor of indices; `first` is the argument after it: 1 where positions are counted, 0 where labels are. */
typedef struct indexed {
  const sm_tensor *tensor;
  int32_t first;
  const char *name; /* of the function, for messages */
} indexed;

static const char *name_of(lua_State *L) { return lua_tostring(L, lua_upvalueindex(2)); }

static indexed read_indices(lua_State *L, int argument) {
  const sm_tensor *index = sm_lua_tensor(L, argument);
  if (sm_is_real(index->dtype)) sm_lua_bad_argument(L, argument, "an int32 or uint8 tensor");
  indexed given = {index, (int32_t)sm_lua_integer(L, argument + 1, 0, 1), name_of(L)};
  return given;
}

void sm_lua_bad_index(lua_State *L, const char *name, const sm_tensor *tensor, size_t wrong, int32_t value,
                      int32_t first, size_t size) {
  bool tokens = strcmp(name, "embedding") == 0;
  const char *what = first ? "position" : tokens ? "token" : "label", *hint = "";
  lua_Integer end = (lua_Integer)size;
  if (first && value == 0) hint = "; positions count from 1";
  if (!first && value == end) hint = tokens ? "; tokens count from 0" : "; labels count from 0";
  char text[SM_MAX_RANK * 22 + 1] = "";
  size_t place[SM_MAX_RANK];
  int rank = tensor->shape.rank;
  for (int axis = rank - 1; axis >= 0; axis--) {
    place[axis] = wrong % tensor->shape.size[axis] + 1;
    wrong /= tensor->shape.size[axis];
  }
  for (int axis = 0, used = 0; axis < rank; axis++)
    used += snprintf(text + used, sizeof text - (size_t)used, "%s%zu%s", axis ? ", " : rank > 1 ? "{" : "", place[axis],
                     rank > 1 && axis == rank - 1 ? "}" : "");
  if (size == 0)
    sm_lua_fail(L, "%s: got %s %d at position %s, but there are none to choose from", name, what, (int)value, text);
  sm_lua_fail(L, "%s: expected %ss from %d to %I, got %d at position %s%s", name, what, (int)first,
              (LUAI_UACINT)(end - 1 + first), (int)value, text, hint);
}

/* The indices of an axis of `size`; raises for the first that it does not have. To be called after all allocations. */
static sm_indices check_indices(lua_State *L, const indexed *of, size_t size) {
  const sm_indices index = {sm_lua_data(L, of->tensor), of->tensor->dtype, of->first,
                            sm_shape_count(&of->tensor->shape)};
  size_t wrong = sm_indices_check(&index, size);
  if (wrong < index.count)
    sm_lua_bad_index(L, of->name, of->tensor, wrong, sm_index_at(&index, wrong), of->first, size);
  return index;
}

/* The axis of argument `index`, which must be there. */
static int needed_axis(lua_State *L, int index, const sm_shape *shape) {
  if (lua_isnoneornil(L, index)) sm_lua_bad_argument(L, index, "an axis");
  return sm_lua_axis(L, index, shape);
}

/* Raises unless two tensors have one shape but for an axis. */
static void check_alike(lua_State *L, const sm_shape *x, const sm_shape *index, int axis) {
  sm_shape alike = *index;
  if (alike.rank == x->rank) alike.size[axis] = x->size[axis];
  char expected[SM_SHAPE_TEXT], given[SM_SHAPE_TEXT];
  if (!sm_shape_equal(&alike, x))
    sm_lua_fail(L, "%s: the indices must have shape %s but for axis %d, got %s", name_of(L),
                sm_shape_text(expected, x), axis + 1, sm_shape_text(given, index));
}

/* gather(x, axis, index, first) → out[i, j, k] = x[i, index[i, j, k], k], of index's shape */
static int gather(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  int axis = needed_axis(L, 2, &x->shape);
  const indexed of = read_indices(L, 3);
  const sm_shape *shape = &of.tensor->shape;
  check_alike(L, &x->shape, shape, axis);
  const sm_tensor *out = sm_lua_new(L, x->dtype, shape);
  const sm_indices index = check_indices(L, &of, x->shape.size[axis]);
  const sm_axis along = sm_axis_of(&x->shape, axis);
  sm_gather(sm_lua_data(L, out), sm_lua_data(L, x), &index, sm_dtype_bytes(x->dtype), &along, shape->size[axis]);
  return 1;
}

/* scatter_add(x or shape, axis, index, first, src) → x, or zeros, plus src[i, j, k] at [i, index[i, j, k], k] */
static int scatter_add(lua_State *L) {
  const sm_tensor *x = lua_type(L, 1) == LUA_TTABLE ? NULL : sm_lua_real(L, 1);
  sm_shape shape;
  if (x) shape = x->shape;
  else sm_lua_shape(L, 1, &shape);
  int axis = needed_axis(L, 2, &shape);
  const indexed of = read_indices(L, 3);
  const sm_tensor *src = sm_lua_real(L, 5);
  check_alike(L, &shape, &of.tensor->shape, axis);
  char expected[SM_SHAPE_TEXT], given[SM_SHAPE_TEXT];
  if (!sm_shape_equal(&src->shape, &of.tensor->shape))
    sm_lua_fail(L, "%s: what is added must have the indices' shape %s, got %s", name_of(L),
                sm_shape_text(expected, &of.tensor->shape), sm_shape_text(given, &src->shape));
  const sm_tensor *out = sm_lua_new(L, SM_REAL, &shape);
  const sm_indices index = check_indices(L, &of, shape.size[axis]);
  const sm_axis along = sm_axis_of(&shape, axis);
  const void *from = sm_lua_data(L, src), *before = sm_lua_data(L, x);
  real *to = sm_lua_data(L, out);
  if (before) sm_convert(to, SM_REAL, before, SM_REAL, sm_shape_count(&shape));
  else memset(to, 0, sm_shape_count(&shape) * sizeof *to);
  sm_scatter_add(to, from, &index, &along, src->shape.size[axis]);
  return 1;
}

/* index_select(x, axis, index, first) → x[i, index[j], k] */
static int index_select(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  int axis = needed_axis(L, 2, &x->shape);
  const indexed of = read_indices(L, 3);
  sm_shape shape = x->shape;
  shape.size[axis] = sm_shape_count(&of.tensor->shape);
  const sm_tensor *out = sm_lua_new(L, x->dtype, &shape);
  const sm_indices index = check_indices(L, &of, x->shape.size[axis]);
  const sm_axis along = sm_axis_of(&x->shape, axis);
  sm_index_select(sm_lua_data(L, out), sm_lua_data(L, x), &index, sm_dtype_bytes(x->dtype), &along);
  return 1;
}

/* index_add(shape, axis, index, first, src) → zeros plus src[i, j, k] at [i, index[j], k] */
static int index_add(lua_State *L) {
  sm_shape shape;
  sm_lua_shape(L, 1, &shape);
  int axis = needed_axis(L, 2, &shape);
  const indexed of = read_indices(L, 3);
  const sm_tensor *src = sm_lua_real(L, 5);
  sm_shape alike = src->shape;
  if (alike.rank == shape.rank) alike.size[axis] = shape.size[axis];
  if (!sm_shape_equal(&alike, &shape) || src->shape.size[axis] != sm_shape_count(&of.tensor->shape))
    sm_lua_bad_argument(L, 5, "a tensor with one element along the axis for each index");
  const sm_tensor *out = sm_lua_new(L, SM_REAL, &shape);
  const sm_indices index = check_indices(L, &of, shape.size[axis]);
  const sm_axis along = sm_axis_of(&shape, axis);
  const void *from = sm_lua_data(L, src);
  real *to = sm_lua_data(L, out);
  memset(to, 0, sm_shape_count(&shape) * sizeof *to);
  sm_index_add(to, from, &index, &along);
  return 1;
}

/* index_add_batch(rows, index, first, src) → zeros {rows, …}, plus src[j] at [index[j]], where src is a batch's: by
   parts of it */
static int index_add_batch(lua_State *L) {
  const size_t rows = (size_t)sm_lua_integer(L, 1, 0, LUA_MAXINTEGER);
  const indexed of = read_indices(L, 2);
  const sm_tensor *src = sm_lua_real(L, 4);
  const size_t picks = sm_shape_count(&of.tensor->shape);
  if (src->shape.rank == 0 || src->shape.size[0] != picks)
    sm_lua_bad_argument(L, 4, "a tensor with one element along the first axis for each index");
  sm_shape shape = src->shape;
  shape.size[0] = rows;
  size_t bytes;
  if (!sm_index_add_batch_scratch(&bytes, rows, picks)) sm_lua_fail(L, "%s: the tensor is too large", name_of(L));
  const sm_tensor *out = sm_lua_new(L, SM_REAL, &shape);
  void *scratch = sm_lua_take(L, bytes);
  const sm_indices index = check_indices(L, &of, rows);
  const void *from = sm_lua_data(L, src);
  real *to = sm_lua_data(L, out);
  const size_t count = sm_shape_count(&shape);
  sm_index_add_batch(to, from, &index, rows, rows ? count / rows : 0, scratch);
  sm_lua_give(L);
  return 1;
}

/* one_hot(index, first, n) → 1 at the index of each, else 0: an axis of n more */
static int one_hot(lua_State *L) {
  const indexed of = read_indices(L, 1);
  sm_shape shape = of.tensor->shape;
  char text[SM_SHAPE_TEXT];
  if (shape.rank == SM_MAX_RANK)
    sm_lua_fail(L, "one_hot: a tensor has at most %d axes, and labels %s have them all", SM_MAX_RANK,
                sm_shape_text(text, &shape));
  size_t size = (size_t)sm_lua_integer(L, 3, 0, INT32_MAX);
  shape.size[shape.rank++] = size;
  const sm_tensor *out = sm_lua_new(L, SM_REAL, &shape);
  const sm_indices index = check_indices(L, &of, size);
  sm_one_hot(sm_lua_data(L, out), &index, size);
  return 1;
}

/* topk(x, k, axis, descending) → the k first in order, and their positions, which count from 1 */
static int topk(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  int axis = needed_axis(L, 3, &x->shape);
  sm_shape shape = x->shape;
  shape.size[axis] = (size_t)sm_lua_integer(L, 2, 0, (lua_Integer)x->shape.size[axis]);
  bool descending = lua_toboolean(L, 4);
  const sm_axis along = sm_axis_of(&x->shape, axis);
  size_t bytes, again;
  sm_error error;
  if (sm_sort_scratch(&bytes, &along, &error) != SM_OK) sm_lua_raise(L, &error);
  const sm_tensor *values = sm_lua_new(L, x->dtype, &shape), *positions = sm_lua_new(L, SM_INT32, &shape);
  void *scratch = sm_lua_take(L, bytes);
  if (sm_sort_scratch(&again, &along, &error) != SM_OK || again > bytes)
    sm_lua_fail(L, "%s: the number of threads was changed during the call", name_of(L));
  const void *from = sm_lua_data(L, x);
  void *to = sm_lua_data(L, values);
  sm_topk(to, sm_lua_data(L, positions), from, x->dtype, &along, shape.size[axis], descending, scratch);
  sm_lua_give(L);
  return 2;
}

void sm_lua_open_index(lua_State *L) {
  static const luaL_Reg functions[] = {{"gather", gather},
                                       {"scatter_add", scatter_add},
                                       {"index_select", index_select},
                                       {"index_add", index_add},
                                       {"index_add_batch", index_add_batch},
                                       {"one_hot", one_hot},
                                       {"pick", gather}, /* the same, by the name that errors give */
                                       {"embedding", index_select},
                                       {"topk", topk},
                                       {NULL, NULL}};
  sm_lua_functions(L, functions);
}
