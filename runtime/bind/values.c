/* Numbers of Lua into tensors and back: constants, ranges, nested tables. */
#include <math.h>

#include "bind/bind.h"
#include "core/loss.h"

/* Among numbers as among other data, what is nearly 0 may round to it. */
static bool fits(double value, sm_dtype dtype) {
  const sm_type *type = sm_type_of(dtype);
  if (type->is_real) return sm_stays_finite(value);
  return value == floor(value) && value >= (double)type->least && value <= (double)type->greatest;
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
  if (fill) sm_fill(sm_lua_data(L, out), dtype, value, sm_shape_count(&shape));
  return 1;
}

/* Reads the shape of nested tables from their first elements. */
static void nested_shape(lua_State *L, int index, sm_shape *shape) {
  shape->rank = 0;
  lua_pushvalue(L, index);
  while (lua_type(L, -1) == LUA_TTABLE) {
    sm_lua_plain_list(L, lua_gettop(L));
    if (shape->rank == SM_MAX_RANK) sm_lua_fail(L, "tensor: tables nested deeper than %d", SM_MAX_RANK);
    shape->size[shape->rank++] = (size_t)lua_rawlen(L, -1);
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
  }
  lua_pop(L, 1);
}

static void write_element(lua_State *L, const sm_tensor *out, size_t i, double value) {
  char *data = sm_lua_data(L, out);
  sm_fill(data + i * sm_dtype_bytes(out->dtype), out->dtype, value, 1);
}

/* Converts the numbers of the nested tables at the top of the stack, depth first; *next is the next element. */
static void read_nested(lua_State *L, sm_tensor *out, int axis, size_t *next) {
  luaL_checkstack(L, 4, "nested tables");
  if (axis == out->shape.rank) {
    if (lua_type(L, -1) != LUA_TNUMBER)
      sm_lua_fail(L, "tensor: element %I must be a number, got %s", (LUAI_UACINT)(*next + 1), luaL_typename(L, -1));
    double value = lua_tonumber(L, -1);
    if (!fits(value, out->dtype))
      sm_lua_fail(L, "tensor: element %I does not fit %s: %f", (LUAI_UACINT)(*next + 1), sm_dtype_name(out->dtype),
                  value);
    write_element(L, out, (*next)++, value);
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
  char *data = sm_lua_data(L, out);
  for (size_t i = 0; i < shape.size[0]; i++) {
    double value = start + step * (double)i;
    if (!fits(value, dtype)) sm_lua_fail(L, "arange: %f does not fit %s", value, sm_dtype_name(dtype));
    sm_fill(data + i * bytes, dtype, value, 1);
  }
  return 1;
}

/* limits(dtype) → the least and the greatest integer that a type of integers holds; nothing of the real type */
static int limits(lua_State *L) {
  const sm_type *type = sm_type_of(sm_lua_dtype(L, 1));
  if (type->is_real) return 0;
  lua_pushinteger(L, (lua_Integer)type->least);
  lua_pushinteger(L, (lua_Integer)type->greatest);
  return 2;
}

static void push_element(lua_State *L, const sm_tensor *x, size_t i) {
  const void *data = sm_lua_data(L, x);
  switch (x->dtype) {
    case SM_REAL: lua_pushnumber(L, (lua_Number)((const real *)data)[i]); return;
    case SM_UINT8: lua_pushinteger(L, ((const uint8_t *)data)[i]); return;
    case SM_INT32: lua_pushinteger(L, ((const int32_t *)data)[i]); return;
  }
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

static size_t first_outside(lua_State *L, const sm_tensor *x, double low, double high, double *largest) {
  return sm_labels_outside(largest, sm_lua_data(L, x), x->dtype, low, high, sm_shape_count(&x->shape));
}

/* labels_outside(x, low, high): the position (1-based) and the value of the first element that is no integer from low
   to high; or nil, and the largest of all elements, low - 1 where there are none */
static int labels_outside(lua_State *L) {
  double low = sm_lua_number(L, 2), high = sm_lua_number(L, 3), largest;
  const sm_tensor *x = sm_lua_tensor(L, 1);
  size_t count = sm_shape_count(&x->shape), found = first_outside(L, x, low, high, &largest);
  if (found < count) {
    lua_pushinteger(L, (lua_Integer)found + 1);
    push_element(L, x, found);
    return 2;
  }
  lua_pushnil(L);
  lua_pushnumber(L, largest);
  return 2;
}

void sm_lua_add_values(lua_State *L) {
  static const luaL_Reg functions[] = {{"full", full},       {"tensor", from},
                                       {"range", range},     {"item", item},
                                       {"totable", totable}, {"labels_outside", labels_outside},
                                       {"limits", limits},   {NULL, NULL}};
  sm_lua_add_functions(L, functions);
}
