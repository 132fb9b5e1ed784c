/* Elements of tensors in another order or place: runtime.stride. Each is a copy in one pass. */
#include <string.h>

#include "bind/bind.h"
#include "core/stride.h"

/* A list of integers at index: reads it raw into `list`, and returns how many there are, at most `most`. */
static int integers(lua_State *L, int index, lua_Integer *list, int most, const char *expected) {
  if (lua_type(L, index) != LUA_TTABLE) sm_lua_bad_argument(L, index, expected);
  sm_lua_plain_list(L, index);
  lua_Unsigned count = lua_rawlen(L, index);
  if (count > (lua_Unsigned)most) sm_lua_bad_argument(L, index, expected);
  for (int i = 0; i < (int)count; i++) {
    int exact = 0;
    lua_rawgeti(L, index, i + 1);
    if (lua_type(L, -1) == LUA_TNUMBER) list[i] = lua_tointegerx(L, -1, &exact);
    if (!exact) sm_lua_bad_argument(L, index, expected);
    lua_pop(L, 1);
  }
  return (int)count;
}

/* view(x, shape, sizes, steps, offset) → a tensor of `shape` whose elements, in order, are those of x from element
   `offset` on, along axes of these sizes and steps */
static int view(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  sm_shape shape;
  sm_lua_shape(L, 2, &shape);
  lua_Integer sizes[SM_STRIDED_RANK], steps[SM_STRIDED_RANK];
  sm_strided axes = {.operands = 2};
  axes.rank = integers(L, 3, sizes, SM_STRIDED_RANK, "a list of sizes");
  if (integers(L, 4, steps, SM_STRIDED_RANK, "a list of steps") != axes.rank)
    sm_lua_bad_argument(L, 4, "a list of as many steps as there are sizes");
  size_t count = 1, offset = (size_t)sm_lua_integer(L, 5, 0, LUA_MAXINTEGER);
  for (int axis = 0; axis < axes.rank; axis++) {
    axes.size[axis] = (size_t)sizes[axis];
    axes.step[1][axis] = (ptrdiff_t)steps[axis];
    if (sizes[axis] < 0 || !sm_multiply(&count, count, sizes[axis] == 0 ? 1 : axes.size[axis]))
      sm_lua_bad_argument(L, 3, "sizes of a tensor");
  }
  count = sm_strided_count(&axes);
  if (count != sm_shape_count(&shape)) sm_lua_bad_argument(L, 3, "as many elements as the shape has");
  if (!sm_strided_fits(&axes, 1, offset, sm_shape_count(&x->shape)))
    sm_lua_bad_argument(L, 4, "steps within the tensor");
  ptrdiff_t next = 1;
  for (int axis = axes.rank - 1; axis >= 0; axis--) {
    axes.step[0][axis] = next;
    next *= (ptrdiff_t)axes.size[axis];
  }
  size_t bytes = sm_dtype_bytes(x->dtype);
  const sm_tensor *out = sm_lua_new(L, x->dtype, &shape);
  const char *from = sm_lua_data(L, x);
  void *to = sm_lua_data(L, out);
  if (count > 0) sm_strided_copy(to, from + offset * bytes, bytes, &axes);
  return 1;
}

/* The part of x that lies in a tensor of `shape` when x begins at `before`: axes of both, and where they begin. */
typedef struct overlap {
  sm_strided axes;
  size_t first[SM_MAX_RANK]; /* of each axis of the shape */
  size_t to, from, count;
} overlap;

static overlap place_in(const sm_shape *shape, const sm_shape *x, const lua_Integer *before) {
  overlap part = {.axes = {.rank = shape->rank, .operands = 2}};
  sm_strided_row_major(part.axes.step[0], shape);
  sm_strided_row_major(part.axes.step[1], x);
  for (int axis = 0; axis < shape->rank; axis++) {
    lua_Integer size = (lua_Integer)shape->size[axis], own = (lua_Integer)x->size[axis];
    lua_Integer first = before[axis] < 0 ? 0 : before[axis], skipped = before[axis] < 0 ? -before[axis] : 0;
    lua_Integer last = before[axis] > size - own ? size : before[axis] + own;
    part.axes.size[axis] = last > first ? (size_t)(last - first) : 0;
    if (last <= first) continue;
    part.first[axis] = (size_t)first;
    part.to += (size_t)(first * part.axes.step[0][axis]);
    part.from += (size_t)(skipped * part.axes.step[1][axis]);
  }
  part.count = sm_strided_count(&part.axes);
  return part;
}

/* Fills what lies around a part of a tensor: along each axis what is before and behind it, where the axes further out
   are within it. */
static void fill_around(char *to, const sm_shape *shape, const overlap *part, const void *element, size_t bytes) {
  sm_strided axes = {.rank = shape->rank, .operands = 2}; /* the element's steps are all 0 */
  memcpy(axes.size, shape->size, sizeof shape->size);
  sm_strided_row_major(axes.step[0], shape);
  for (int axis = 0; axis < shape->rank; axis++) {
    size_t step = (size_t)axes.step[0][axis] * bytes, first = part->first[axis], own = part->axes.size[axis];
    axes.size[axis] = first;
    sm_strided_copy(to, element, bytes, &axes);
    axes.size[axis] = shape->size[axis] - first - own;
    sm_strided_copy(to + (first + own) * step, element, bytes, &axes);
    axes.size[axis] = own;
    to += first * step;
  }
}

/* Where x begins in a tensor of `shape`, from the list at index: 0-based, negative where x begins before it. */
static void read_places(lua_State *L, int index, lua_Integer before[SM_MAX_RANK], const sm_shape *shape,
                        const sm_shape *x) {
  const lua_Integer limit = LUA_MAXINTEGER / 4;
  if (shape->rank != x->rank) sm_lua_bad_argument(L, 1, "a tensor of as many axes as the shape");
  if (integers(L, index, before, SM_MAX_RANK, "a list of positions") != shape->rank)
    sm_lua_bad_argument(L, index, "a position for each axis");
  for (int axis = 0; axis < shape->rank; axis++)
    if (before[axis] < -limit || before[axis] > limit) sm_lua_bad_argument(L, index, "positions within a tensor");
}

/* pad(x, shape, before, value) → a tensor of `shape` filled with value, but for x, which begins at `before` */
static int pad(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  sm_shape shape;
  lua_Integer before[SM_MAX_RANK];
  sm_lua_shape(L, 2, &shape);
  read_places(L, 3, before, &shape, &x->shape);
  double value = sm_is_real(x->dtype) ? sm_lua_constant(L, 4) : (double)sm_lua_element(L, 4, x->dtype);
  const overlap part = place_in(&shape, &x->shape, before);
  const sm_tensor *out = sm_lua_new(L, x->dtype, &shape);
  size_t bytes = sm_dtype_bytes(x->dtype), count = sm_shape_count(&shape);
  char *to = sm_lua_data(L, out);
  const char *from = sm_lua_data(L, x);
  double element; /* as wide as any */
  sm_fill(&element, x->dtype, value, 1);
  if (count > 0) fill_around(to, &shape, &part, &element, bytes);
  if (part.count > 0) sm_strided_copy(to + part.to * bytes, from + part.from * bytes, bytes, &part.axes);
  return 1;
}

/* add_into(sum, x, before): adds x in place to the part of sum that begins at `before`; returns sum */
static int add_into(lua_State *L) {
  sm_tensor *sum = sm_lua_real(L, 1);
  const sm_tensor *x = sm_lua_real(L, 2);
  lua_Integer before[SM_MAX_RANK];
  read_places(L, 3, before, &sum->shape, &x->shape);
  if (sum->storage == x->storage) sm_lua_bad_argument(L, 2, "a tensor with memory of its own");
  const overlap part = place_in(&sum->shape, &x->shape, before);
  const real *from = sm_lua_data(L, x);
  real *to = sm_lua_change(L, sum);
  if (part.count > 0) sm_strided_add(to + part.to, from + part.from, &part.axes);
  lua_settop(L, 1);
  return 1;
}

/* cat(list, axis) → tensors of one type joined along an axis, in which alone their sizes may differ */
static int cat(lua_State *L) {
  if (lua_type(L, 1) != LUA_TTABLE) sm_lua_bad_argument(L, 1, "a list of tensors");
  sm_lua_plain_list(L, 1);
  lua_Unsigned length = lua_rawlen(L, 1);
  if (length == 0 || length > INT32_MAX) sm_lua_bad_argument(L, 1, "a list of at least one tensor");
  const int count = (int)length;
  luaL_checkstack(L, count + 8, "too many tensors");
  const sm_tensor **parts = lua_newuserdatauv(L, length * sizeof *parts, 0);
  sm_shape shape = {0};
  sm_dtype dtype = SM_REAL;
  int axis = 0;
  char expected[SM_SHAPE_TEXT], given[SM_SHAPE_TEXT];
  for (int i = 1; i <= count; i++) { /* on the stack nobody takes them away */
    lua_rawgeti(L, 1, i);
    const sm_tensor *x = parts[i - 1] = sm_lua_test_tensor(L, -1);
    if (!x) sm_lua_fail(L, "cat: element %d of the list must be a tensor, got %s", i, luaL_typename(L, -1));
    if (i == 1) {
      shape = x->shape;
      dtype = x->dtype;
      if (shape.rank == 0) sm_lua_fail(L, "cat: a scalar has no axis to join along");
      axis = lua_isnoneornil(L, 2) ? 0 : sm_lua_axis(L, 2, &shape);
      continue;
    }
    if (x->dtype != dtype)
      sm_lua_fail(L, "cat: tensor %d must be %s, as the first is, got %s", i, sm_dtype_name(dtype),
                  sm_dtype_name(x->dtype));
    sm_shape alike = x->shape;
    if (alike.rank == shape.rank) alike.size[axis] = shape.size[axis];
    if (!sm_shape_equal(&alike, &shape))
      sm_lua_fail(L, "cat: tensor %d must have shape %s but for axis %d, got %s", i, sm_shape_text(expected, &shape),
                  axis + 1, sm_shape_text(given, &x->shape));
    size_t sum = shape.size[axis] + x->shape.size[axis];
    if (sum > PTRDIFF_MAX) sm_lua_fail(L, "cat: the tensors together are larger than memory can be");
    shape.size[axis] = sum;
  }
  const sm_tensor *out = sm_lua_new(L, dtype, &shape);
  char *to = sm_lua_data(L, out);
  size_t bytes = sm_dtype_bytes(dtype), first = 0;
  sm_strided axes = {.rank = shape.rank, .operands = 2};
  sm_strided_row_major(axes.step[0], &shape);
  for (int i = 0; i < count; i++) {
    const sm_tensor *x = parts[i];
    const void *from = sm_lua_data(L, x);
    memcpy(axes.size, x->shape.size, sizeof x->shape.size);
    sm_strided_row_major(axes.step[1], &x->shape);
    if (sm_shape_count(&x->shape) > 0)
      sm_strided_copy(to + first * (size_t)axes.step[0][axis] * bytes, from, bytes, &axes);
    first += x->shape.size[axis];
  }
  return 1;
}

/* roll(x, n, axis) → each element n positions further along an axis, those at the end to the beginning */
static int roll(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  lua_Integer n = sm_lua_integer(L, 2, -LUA_MAXINTEGER, LUA_MAXINTEGER);
  int axis = sm_lua_axis(L, 3, &x->shape);
  if (axis < 0) sm_lua_bad_argument(L, 3, "an axis");
  lua_Integer size = (lua_Integer)x->shape.size[axis];
  const sm_tensor *out = sm_lua_new(L, x->dtype, &x->shape);
  size_t bytes = sm_dtype_bytes(x->dtype), shift = size ? (size_t)((n % size + size) % size) : 0;
  const char *from = sm_lua_data(L, x);
  char *to = sm_lua_data(L, out);
  sm_strided axes = {.rank = x->shape.rank, .operands = 2};
  memcpy(axes.size, x->shape.size, sizeof x->shape.size);
  sm_strided_row_major(axes.step[0], &x->shape);
  sm_strided_row_major(axes.step[1], &x->shape);
  size_t step = (size_t)axes.step[0][axis] * bytes, rest = (size_t)size - shift;
  if (sm_shape_count(&x->shape) == 0) return 1;
  axes.size[axis] = rest;
  sm_strided_copy(to + shift * step, from, bytes, &axes);
  axes.size[axis] = shift;
  if (shift > 0) sm_strided_copy(to, from + rest * step, bytes, &axes);
  return 1;
}

void sm_lua_open_stride(lua_State *L) {
  static const luaL_Reg functions[] = {{"view", view}, {"pad", pad},   {"add_into", add_into},
                                       {"cat", cat},   {"roll", roll}, {NULL, NULL}};
  sm_lua_functions(L, functions);
}
