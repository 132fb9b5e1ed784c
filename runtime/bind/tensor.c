/* The tensor userdata: creation, views, conversion to and from Lua. Differentiable methods are added in Lua. */
#include <math.h>
#include <string.h>

#include "bind/bind.h"
#include "core/pointwise.h"
#include "core/reduce.h"

static const char *const METATABLE = "sm.tensor";

/* Pushes a released tensor, so that whatever fails next leaves nothing behind. */
static sm_tensor *push_released(lua_State *L) {
  sm_tensor *tensor = lua_newuserdatauv(L, sizeof *tensor, SM_USER_VALUES);
  *tensor = (sm_tensor){0};
  luaL_setmetatable(L, METATABLE);
  return tensor;
}

sm_tensor *sm_lua_new(lua_State *L, sm_dtype dtype, const sm_shape *shape) {
  sm_memory *memory = sm_lua_memory(L);
  sm_tensor *tensor = push_released(L);
  sm_error error;
  sm_status status = sm_tensor_new(tensor, memory, dtype, shape, &error);
  if (status == SM_NO_MEMORY) {
    sm_lua_collect_all(L);
    status = sm_tensor_new(tensor, memory, dtype, shape, &error);
  }
  if (status != SM_OK) sm_lua_raise(L, &error);
  sm_lua_collect_if_due(L);
  return tensor;
}

sm_tensor *sm_lua_like(lua_State *L, int index, bool reuse) {
  sm_tensor *x = sm_lua_real(L, index);
  if (!reuse || x->storage->references > 1) return sm_lua_new(L, SM_REAL, &x->shape);
  lua_pushvalue(L, index);
  return x;
}

sm_tensor *sm_lua_share(lua_State *L, const sm_tensor *base, const sm_shape *shape, size_t offset) {
  sm_tensor *tensor = push_released(L);
  sm_error error;
  if (sm_tensor_share(tensor, base, shape, offset, &error) != SM_OK) sm_lua_raise(L, &error);
  return tensor;
}

sm_tensor *sm_lua_test_tensor(lua_State *L, int index) { return luaL_testudata(L, index, METATABLE); }

sm_tensor *sm_lua_tensor(lua_State *L, int index) {
  sm_tensor *tensor = sm_lua_test_tensor(L, index);
  if (!tensor) sm_lua_bad_argument(L, index, "a tensor");
  if (!tensor->storage)
    sm_lua_fail(L, "this tensor was released: a gradient inside a backward pass lives only as long as the pass; "
                   "keep a copy with :clone()");
  return tensor;
}

sm_tensor *sm_lua_typed(lua_State *L, int index, sm_dtype dtype) {
  sm_tensor *tensor = sm_lua_tensor(L, index);
  if (tensor->dtype != dtype) {
    lua_pushfstring(L, "a %s tensor (x:to(\"%s\") converts)", sm_dtype_name(dtype), sm_dtype_name(dtype));
    sm_lua_bad_argument(L, index, lua_tostring(L, -1));
  }
  return tensor;
}

sm_tensor *sm_lua_real(lua_State *L, int index) { return sm_lua_typed(L, index, SM_REAL); }

sm_tensor *sm_lua_real_or_nil(lua_State *L, int index) {
  return lua_isnoneornil(L, index) ? NULL : sm_lua_real(L, index);
}

sm_tensor *sm_lua_real_to_change(lua_State *L, int index) {
  sm_tensor *tensor = sm_lua_real(L, index);
  tensor->storage->version++;
  return tensor;
}

/* Among numbers as among other data, what is nearly 0 may round to it. */
static bool fits(double value, sm_dtype dtype) {
  if (dtype == SM_REAL) return fabs(value) < 1 || sm_survives(value);
  return value == floor(value) && value >= (dtype == SM_UINT8 ? 0 : INT32_MIN) &&
         value <= (dtype == SM_UINT8 ? UINT8_MAX : INT32_MAX);
}

/* full(shape, value, dtype): value nil leaves the content undefined. */
static int full(lua_State *L) {
  sm_shape shape;
  sm_lua_shape(L, 1, &shape);
  sm_dtype dtype = sm_lua_dtype(L, 3);
  bool fill = !lua_isnoneornil(L, 2);
  double value = fill ? sm_lua_number(L, 2) : 0;
  if (!fits(value, dtype)) sm_lua_fail(L, "full: %f does not fit %s", value, sm_dtype_name(dtype));
  if (dtype == SM_REAL && fill) sm_lua_constant(L, 2);
  sm_tensor *out = sm_lua_new(L, dtype, &shape);
  if (fill) sm_fill(out->data, dtype, value, sm_shape_count(&shape));
  return 1;
}

/* Reads the shape of nested tables from their first elements. */
static void nested_shape(lua_State *L, int index, sm_shape *shape) {
  shape->rank = 0;
  lua_pushvalue(L, index);
  while (lua_type(L, -1) == LUA_TTABLE) {
    if (shape->rank == SM_MAX_RANK) sm_lua_fail(L, "tensor: tables nested deeper than %d", SM_MAX_RANK);
    shape->size[shape->rank++] = (size_t)lua_rawlen(L, -1);
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
  }
  lua_pop(L, 1);
}

/* Converts the numbers of the nested tables at the top of the stack, depth first; *next is the next element. */
static void read_nested(lua_State *L, sm_tensor *out, int axis, size_t *next) {
  luaL_checkstack(L, 4, "nested tables");
  if (axis == out->shape.rank) {
    if (lua_type(L, -1) != LUA_TNUMBER)
      sm_lua_fail(L, "tensor: element %I must be a number, got %s", (LUAI_UACINT)(*next + 1), luaL_typename(L, -1));
    double value = lua_tonumber(L, -1);
    if (!fits(value, out->dtype))
      sm_lua_fail(L, "tensor: element %I does not fit %s: %f", (LUAI_UACINT)(*next + 1), sm_dtype_name(out->dtype), value);
    sm_fill((char *)out->data + *next * sm_dtype_bytes(out->dtype), out->dtype, value, 1);
    ++*next;
    return;
  }
  size_t size = out->shape.size[axis];
  if (lua_type(L, -1) != LUA_TTABLE || lua_rawlen(L, -1) != size) {
    const char *given = lua_type(L, -1) == LUA_TTABLE
                            ? lua_pushfstring(L, "one of %I", (LUAI_UACINT)lua_rawlen(L, -1)) : luaL_typename(L, -1);
    sm_lua_fail(L, "tensor: ragged tables: expected a table of %I elements at depth %d, got %s",
                (LUAI_UACINT)size, axis + 1, given);
  }
  if (size == 0) { /* a table without positions must be empty */
    lua_pushnil(L);
    if (lua_next(L, -2)) sm_lua_fail(L, "tensor: expected a list of numbers, got a table with other keys");
  }
  for (size_t i = 0; i < size; i++) {
    lua_rawgeti(L, -1, (lua_Integer)i + 1);
    read_nested(L, out, axis + 1, next);
    lua_pop(L, 1);
  }
}

/* tensor(value, dtype): a number or nested tables of numbers. */
static int from(lua_State *L) {
  int type = lua_type(L, 1);
  if (type != LUA_TNUMBER && type != LUA_TTABLE) sm_lua_bad_argument(L, 1, "a number or a table of numbers");
  sm_dtype dtype = sm_lua_dtype(L, 2);
  sm_shape shape;
  nested_shape(L, 1, &shape);
  sm_tensor *out = sm_lua_new(L, dtype, &shape);
  size_t next = 0;
  lua_pushvalue(L, 1);
  read_nested(L, out, 0, &next);
  lua_pop(L, 1);
  return 1;
}

/* range(start, step, count, dtype) */
static int range(lua_State *L) {
  double start = sm_lua_number(L, 1), step = sm_lua_number(L, 2);
  sm_shape shape = {.rank = 1, .size = {(size_t)sm_lua_integer(L, 3, 0, LUA_MAXINTEGER)}};
  sm_dtype dtype = sm_lua_dtype(L, 4);
  sm_tensor *out = sm_lua_new(L, dtype, &shape);
  size_t bytes = sm_dtype_bytes(dtype);
  for (size_t i = 0; i < shape.size[0]; i++) {
    double value = start + step * (double)i;
    if (!fits(value, dtype)) sm_lua_fail(L, "arange: %f does not fit %s", value, sm_dtype_name(dtype));
    sm_fill((char *)out->data + i * bytes, dtype, value, 1);
  }
  return 1;
}

static double element(const sm_tensor *x, size_t i) {
  switch (x->dtype) {
    case SM_UINT8: return ((const uint8_t *)x->data)[i];
    case SM_INT32: return ((const int32_t *)x->data)[i];
    default: return (double)((const real *)x->data)[i];
  }
}

static void push_element(lua_State *L, const sm_tensor *x, size_t i) {
  if (x->dtype == SM_REAL) lua_pushnumber(L, (lua_Number)element(x, i));
  else lua_pushinteger(L, (lua_Integer)element(x, i));
}

static int item(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  if (sm_shape_count(&x->shape) != 1) {
    char text[SM_SHAPE_TEXT];
    sm_lua_fail(L, "item: expected a tensor of one element, got shape %s", sm_shape_text(text, &x->shape));
  }
  push_element(L, x, 0);
  return 1;
}

static void push_nested(lua_State *L, const sm_tensor *x, int axis, size_t *next) {
  luaL_checkstack(L, 4, "nested tables");
  if (axis == x->shape.rank) {
    push_element(L, x, (*next)++);
    return;
  }
  size_t size = x->shape.size[axis];
  lua_createtable(L, (int)(size < INT32_MAX ? size : 0), 0);
  for (size_t i = 0; i < size; i++) {
    push_nested(L, x, axis + 1, next);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

/* A tensor without elements may still stand for any number of empty tables. */
static void check_tables(lua_State *L, const sm_shape *shape) {
  const size_t most = (size_t)1 << 24;
  if (sm_shape_count(shape) > 0) return;
  size_t tables = 1;
  for (int axis = 0; axis < shape->rank && shape->size[axis] > 0; axis++) {
    if (sm_multiply(&tables, tables, shape->size[axis]) && tables <= most) continue;
    char text[SM_SHAPE_TEXT];
    sm_lua_fail(L, "totable: shape %s has no elements, and more than %I empty tables", sm_shape_text(text, shape),
                (LUAI_UACINT)most);
  }
}

static int totable(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  check_tables(L, &x->shape);
  size_t next = 0;
  push_nested(L, x, 0, &next);
  return 1;
}

/* reshape(x, shape): shares storage; one size may be -1, and is then worked out. */
static int reshape(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  char from_text[SM_SHAPE_TEXT], to_text[SM_SHAPE_TEXT];
  size_t count = sm_shape_count(&x->shape);
  lua_Integer unknown = 0;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_Integer rank = (lua_Integer)lua_rawlen(L, 2);
  lua_createtable(L, (int)rank, 0);
  for (lua_Integer i = 1; i <= rank; i++) {
    lua_rawgeti(L, 2, i);
    if (lua_isinteger(L, -1) && lua_tointeger(L, -1) == -1) {
      if (unknown) sm_lua_fail(L, "reshape: only one size may be -1, got it at %d and %d", (int)unknown, (int)i);
      unknown = i;
      lua_pop(L, 1);
      lua_pushinteger(L, 1);
    }
    lua_rawseti(L, -2, i);
  }
  sm_shape shape;
  sm_lua_shape(L, lua_gettop(L), &shape);
  if (unknown) {
    size_t known = sm_shape_count(&shape);
    if (known == 0 || count % known != 0)
      sm_lua_fail(L, "reshape: %s has %I elements, which the known sizes (product %I) do not divide",
                  sm_shape_text(from_text, &x->shape), (LUAI_UACINT)count, (LUAI_UACINT)known);
    shape.size[unknown - 1] = count / known;
  }
  if (sm_shape_count(&shape) != count)
    sm_lua_fail(L, "reshape: %s has %I elements, %s has %I", sm_shape_text(from_text, &x->shape), (LUAI_UACINT)count,
                sm_shape_text(to_text, &shape), (LUAI_UACINT)sm_shape_count(&shape));
  sm_lua_share(L, x, &shape, 0);
  return 1;
}

/* Position 1 … size, or negative from the end → 0-based. It is never 0. */
static size_t position(lua_State *L, int index, const sm_tensor *x) {
  if (x->shape.rank == 0) sm_lua_fail(L, "a scalar has no elements to index; use x:item()");
  size_t size = x->shape.size[0];
  int exact = 0;
  lua_Integer given = lua_type(L, index) == LUA_TNUMBER ? lua_tointegerx(L, index, &exact) : 0;
  if (!exact) sm_lua_bad_argument(L, index, "an integer position");
  lua_Integer i = given < 0 ? given + (lua_Integer)size : given - 1;
  if (given == 0 || i < 0 || (size_t)i >= size)
    sm_lua_fail(L, "position %I is out of range: the first axis has %I elements, counted from 1",
                (LUAI_UACINT)given, (LUAI_UACINT)size);
  return (size_t)i;
}

static size_t inner_count(const sm_shape *shape) {
  sm_shape inner = *shape;
  inner.size[0] = 1;
  return sm_shape_count(&inner);
}

/* select(x, i): x[i], one rank less, sharing storage. */
static int select_first(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  size_t i = position(L, 2, x);
  sm_shape shape = {.rank = x->shape.rank - 1};
  memcpy(shape.size, x->shape.size + 1, sizeof *shape.size * (size_t)shape.rank);
  sm_lua_share(L, x, &shape, i * inner_count(&x->shape));
  return 1;
}

/* slice(x, first, last): both included, sharing storage; last = first - 1 gives an empty tensor. */
static int slice(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  if (x->shape.rank == 0) sm_lua_fail(L, "slice: a scalar has no axis to slice");
  lua_Integer size = (lua_Integer)x->shape.size[0];
  lua_Integer first = sm_lua_integer(L, 2, -size, size < LUA_MAXINTEGER ? size + 1 : size);
  lua_Integer last = lua_isnoneornil(L, 3) ? size : sm_lua_integer(L, 3, -size, size);
  if (first < 0) first += size, first++;
  if (last < 0) last += size, last++;
  if (first < 1 || last < first - 1)
    sm_lua_fail(L, "slice: positions %I to %I are no range of an axis of %I elements, counted from 1",
                (LUAI_UACINT)first, (LUAI_UACINT)last, (LUAI_UACINT)size);
  sm_shape shape = x->shape;
  shape.size[0] = (size_t)(last - first + 1);
  sm_lua_share(L, x, &shape, (size_t)(first - 1) * inner_count(&x->shape));
  return 1;
}

/* place(gy, shape, first): zeros of `shape` with gy from 0-based row `first` on: the gradient of a slice. */
static int place(lua_State *L) {
  const sm_tensor *gy = sm_lua_real(L, 1);
  sm_shape shape;
  sm_lua_shape(L, 2, &shape);
  size_t first = (size_t)sm_lua_integer(L, 3, 0, LUA_MAXINTEGER), count = sm_shape_count(&gy->shape), before, bytes;
  sm_tensor *out = sm_lua_new(L, SM_REAL, &shape);
  real *data = out->data;
  bytes = sm_shape_count(&shape) * sizeof(real);
  if (shape.rank == 0 || !sm_multiply(&before, first, inner_count(&shape) * sizeof(real)) || before > bytes ||
      count * sizeof(real) > bytes - before)
    sm_lua_bad_argument(L, 1, "rows of that shape");
  if (count == 0) before = 0;
  memset(data, 0, bytes);
  memcpy((char *)data + before, gy->data, count * sizeof(real));
  return 1;
}

/* to(x, dtype): a copy; x:clone() and x:to(). From real to integers towards 0, and to the nearest that there is. */
static int convert(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  sm_dtype dtype = lua_isnoneornil(L, 2) ? x->dtype : sm_lua_dtype(L, 2);
  size_t count = sm_shape_count(&x->shape);
  if (x->dtype == SM_REAL && dtype != SM_REAL) {
    size_t i = sm_first_nan(x->data, count);
    if (i < count) sm_lua_fail(L, "to: element %I is nan, which no %s is", (LUAI_UACINT)i + 1, sm_dtype_name(dtype));
  }
  sm_tensor *out = sm_lua_new(L, dtype, &x->shape);
  sm_convert(out->data, dtype, x->data, x->dtype, count);
  return 1;
}

/* copy_(x, y): y's numbers into x, in place; returns x. */
static int copy_into(lua_State *L) {
  sm_tensor *x = sm_lua_tensor(L, 1);
  const sm_tensor *y = sm_lua_typed(L, 2, x->dtype);
  if (!sm_shape_equal(&x->shape, &y->shape)) {
    char to[SM_SHAPE_TEXT], given[SM_SHAPE_TEXT];
    sm_lua_fail(L, "copy_: expected shape %s, got %s", sm_shape_text(to, &x->shape), sm_shape_text(given, &y->shape));
  }
  size_t bytes = sm_shape_count(&x->shape) * sm_dtype_bytes(x->dtype);
  if (bytes) memmove(x->data, y->data, bytes);
  x->storage->version++;
  lua_settop(L, 1);
  return 1;
}

/* The rows index[first … first+count-1] of x, checked. */
static const int32_t *row_index(lua_State *L, const sm_tensor *x, size_t *count) {
  const sm_tensor *index = sm_lua_typed(L, 2, SM_INT32);
  lua_Integer total = (lua_Integer)sm_shape_count(&index->shape);
  lua_Integer first = sm_lua_integer(L, 3, 0, total);
  *count = (size_t)sm_lua_integer(L, 4, 0, total - first);
  if (x->shape.rank == 0) sm_lua_fail(L, "gather: a scalar has no rows");
  const int32_t *rows = (const int32_t *)index->data + first;
  for (size_t i = 0; i < *count; i++)
    if (rows[i] < 0 || (size_t)rows[i] >= x->shape.size[0])
      sm_lua_fail(L, "gather: row %d is out of range: there are %I", (int)rows[i], (LUAI_UACINT)x->shape.size[0]);
  return rows;
}

/* gather(x, index, first, count): rows of x, of the same type; index is 0-based int32. */
static int gather(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  size_t count;
  const int32_t *rows = row_index(L, x, &count);
  sm_shape shape = x->shape;
  shape.size[0] = count;
  sm_tensor *out = sm_lua_new(L, x->dtype, &shape);
  size_t bytes = inner_count(&shape) * sm_dtype_bytes(x->dtype);
  for (size_t i = 0; i < count && bytes; i++)
    memcpy((char *)out->data + i * bytes, (const char *)x->data + (size_t)rows[i] * bytes, bytes);
  return 1;
}

/* gather_bytes(x, index, first, count, scale): the same from bytes to real, multiplied by scale. */
static int gather_bytes(lua_State *L) {
  const sm_tensor *x = sm_lua_typed(L, 1, SM_UINT8);
  size_t count;
  const int32_t *rows = row_index(L, x, &count);
  double scale = sm_lua_number(L, 5);
  sm_shape shape = x->shape;
  shape.size[0] = count;
  sm_tensor *out = sm_lua_new(L, SM_REAL, &shape);
  sm_gather_bytes(out->data, x->data, rows, (real)scale, count, inner_count(&shape));
  return 1;
}

static int release(lua_State *L) {
  sm_tensor *x = sm_lua_test_tensor(L, 1);
  if (x) sm_tensor_release(x);
  return 0;
}

static int get_node(lua_State *L) {
  if (!sm_lua_test_tensor(L, 1)) lua_pushnil(L);
  else lua_getiuservalue(L, 1, SM_NODE);
  return 1;
}

static int set_node(lua_State *L) {
  sm_lua_tensor(L, 1);
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, SM_NODE);
  return 0;
}

/* gradient(x) → what x.grad is, without counting as a look at it */
static int get_gradient(lua_State *L) {
  sm_lua_tensor(L, 1);
  lua_getiuservalue(L, 1, SM_GRADIENT);
  return 1;
}

/* x.grad = the value at index 2, which nobody has seen or somebody has. A gradient that nobody has seen gives its
   memory back at once, where the collector would take its time. */
static void replace_gradient(lua_State *L, bool unseen) {
  lua_settop(L, 2);
  if (lua_getiuservalue(L, 1, SM_UNSEEN) == LUA_TBOOLEAN) {
    lua_getiuservalue(L, 1, SM_GRADIENT);
    if (!lua_rawequal(L, 2, -1)) sm_tensor_release(sm_lua_test_tensor(L, -1));
  }
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, SM_GRADIENT);
  if (unseen) lua_pushboolean(L, true);
  else lua_pushnil(L);
  lua_setiuservalue(L, 1, SM_UNSEEN);
}

/* set_gradient(x, g): x.grad = g, a gradient of the tape's own */
static int set_gradient(lua_State *L) {
  sm_lua_tensor(L, 1);
  sm_lua_tensor(L, 2);
  replace_gradient(L, true);
  return 0;
}

/* is_shared(x) → whether another tensor has the same memory */
static int is_shared(lua_State *L) {
  lua_pushboolean(L, sm_lua_tensor(L, 1)->storage->references > 1);
  return 1;
}

/* is_part(x) → whether its memory has room for more than x */
static int is_part(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  lua_pushboolean(L, sm_shape_count(&x->shape) * sm_dtype_bytes(x->dtype) < x->storage->bytes);
  return 1;
}

/* versions(x, …) → {x, how often its memory was changed in place (by copy_, an optimizer's step), …}; what is no tensor is
   passed over */
static int versions(lua_State *L) {
  int last = lua_gettop(L);
  lua_createtable(L, 2 * last, 0);
  lua_Integer next = 1;
  for (int i = 1; i <= last; i++) {
    const sm_tensor *x = sm_lua_test_tensor(L, i);
    if (!x || !x->storage) continue;
    lua_pushvalue(L, i);
    lua_rawseti(L, -2, next++);
    lua_pushinteger(L, (lua_Integer)x->storage->version);
    lua_rawseti(L, -2, next++);
  }
  return 1;
}

/* changed(versions) → the first of its tensors that was changed since, or nil */
static int changed(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  for (lua_Integer i = 1, n = (lua_Integer)lua_rawlen(L, 1); i < n; i += 2) {
    lua_settop(L, 1);
    lua_rawgeti(L, 1, i);
    lua_rawgeti(L, 1, i + 1);
    if ((lua_Integer)sm_lua_tensor(L, 2)->storage->version == lua_tointeger(L, 3)) continue;
    lua_settop(L, 2);
    return 1;
  }
  return 0;
}

/* count(x) → number of elements */
static int count(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)sm_shape_count(&sm_lua_tensor(L, 1)->shape));
  return 1;
}

/* same_shape(x, y) → whether two tensors have one shape */
static int same_shape(lua_State *L) {
  lua_pushboolean(L, sm_shape_equal(&sm_lua_tensor(L, 1)->shape, &sm_lua_tensor(L, 2)->shape));
  return 1;
}

static int is_tensor(lua_State *L) {
  lua_pushboolean(L, sm_lua_test_tensor(L, 1) != NULL);
  return 1;
}

/* index(x, key): upvalue 1 is the table of methods, filled in Lua, whose metatable raises for unknown names. */
static int index_tensor(lua_State *L) {
  if (lua_type(L, 2) == LUA_TSTRING) {
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
    const char *key = lua_tostring(L, 2);
    const sm_tensor *x = sm_lua_test_tensor(L, 1);
    if (strcmp(key, "grad") == 0) {
      lua_pushnil(L);
      lua_setiuservalue(L, 1, SM_UNSEEN);
      lua_getiuservalue(L, 1, SM_GRADIENT);
    } else if (strcmp(key, "shape") == 0) sm_lua_push_shape(L, &x->shape);
    else if (strcmp(key, "dtype") == 0) lua_pushstring(L, sm_dtype_name(x->dtype));
    else lua_getfield(L, lua_upvalueindex(1), key);
    return 1;
  }
  if (lua_type(L, 2) != LUA_TNUMBER) sm_lua_bad_argument(L, 2, "a position or the name of a method");
  const sm_tensor *x = sm_lua_tensor(L, 1);
  if (x->shape.rank > 0 && lua_tonumber(L, 2) == (lua_Number)x->shape.size[0] + 1) return 0; /* where ipairs ends */
  lua_getfield(L, lua_upvalueindex(1), "select");
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_call(L, 2, 1);
  return 1;
}

static int set_index(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "grad") != 0)
    sm_lua_fail(L, "elements of a tensor cannot be assigned; build a new one, or copy into it with x:copy_(y)");
  if (!lua_isnil(L, 3)) {
    const sm_tensor *gradient = sm_lua_test_tensor(L, 3);
    if (!gradient) sm_lua_fail(L, "x.grad must be a tensor or nil, got %s", luaL_typename(L, 3));
    if (gradient->dtype != SM_REAL)
      sm_lua_fail(L, "x.grad must be a " SM_REAL_NAME " tensor, got %s", sm_dtype_name(gradient->dtype));
    if (!sm_shape_equal(&gradient->shape, &x->shape)) {
      char expected[SM_SHAPE_TEXT], given[SM_SHAPE_TEXT];
      sm_lua_fail(L, "a gradient must have its tensor's shape %s, got %s", sm_shape_text(expected, &x->shape),
                  sm_shape_text(given, &gradient->shape));
    }
  }
  lua_remove(L, 2);
  replace_gradient(L, false);
  return 0;
}

static int length(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  if (x->shape.rank == 0) sm_lua_fail(L, "a scalar has no length");
  lua_pushinteger(L, (lua_Integer)x->shape.size[0]);
  return 1;
}

void sm_lua_open_tensor(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"full", full}, {"tensor", from}, {"range", range}, {"item", item}, {"totable", totable},
      {"reshape", reshape}, {"select", select_first}, {"slice", slice}, {"place", place}, {"to", convert},
      {"copy_", copy_into}, {"gather", gather}, {"gather_bytes", gather_bytes}, {"release", release},
      {"gradient", get_gradient}, {"set_gradient", set_gradient}, {"is_shared", is_shared}, {"is_part", is_part},
      {"versions", versions}, {"changed", changed}, {"node", get_node}, {"set_node", set_node}, {"is_tensor", is_tensor}, {"count", count},
      {"same_shape", same_shape}, {"memory", sm_lua_memory_use}, {"collect", sm_lua_collect}, {NULL, NULL}};
  sm_lua_open_memory(L);
  lua_newtable(L); /* methods, filled in Lua */
  luaL_newmetatable(L, METATABLE);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, index_tensor, 1);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, set_index);
  lua_setfield(L, -2, "__newindex");
  lua_pushcfunction(L, length);
  lua_setfield(L, -2, "__len");
  lua_pushcfunction(L, release);
  lua_setfield(L, -2, "__gc");
  sm_lua_functions(L, functions);
  lua_insert(L, -3); /* [functions, methods, metatable] */
  lua_setfield(L, -3, "metatable");
  lua_setfield(L, -2, "methods");
}
