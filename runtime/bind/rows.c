/* Shapes and rows: tensors that share the memory of others, and rows that are put together or back. */
#include <string.h>

#include "bind/bind.h"

/* reshape(x, shape): shares storage; one size may be -1, and is then worked out. */
static int reshape(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  char from_text[SM_SHAPE_TEXT], to_text[SM_SHAPE_TEXT];
  size_t count = sm_shape_count(&x->shape);
  lua_Integer unknown = 0;
  luaL_checktype(L, 2, LUA_TTABLE);
  sm_lua_plain_list(L, 2);
  lua_Integer rank = (lua_Integer)lua_rawlen(L, 2);
  if (rank > SM_MAX_RANK) sm_lua_fail(L, "a tensor has at most %d axes, got %I", SM_MAX_RANK, (LUAI_UACINT)rank);
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
  bytes = sm_shape_count(&shape) * sizeof(real);
  if (shape.rank == 0 || !sm_multiply(&before, first, inner_count(&shape) * sizeof(real)) || before > bytes ||
      count * sizeof(real) > bytes - before)
    sm_lua_bad_argument(L, 1, "rows of that shape");
  if (count == 0) before = 0;
  const sm_tensor *out = sm_lua_new(L, SM_REAL, &shape);
  char *data = sm_lua_data(L, out);
  memset(data, 0, bytes);
  memcpy(data + before, sm_lua_data(L, gy), count * sizeof(real));
  return 1;
}

/* The rows index[first … first+count-1] of x, from arguments 1 to 4, and the shape of what they make. */
typedef struct rows {
  const sm_tensor *x, *index;
  size_t first, count;
  sm_shape shape;
} rows;

static rows check_rows(lua_State *L, const sm_tensor *x) {
  const sm_tensor *index = sm_lua_typed(L, 2, SM_INT32);
  lua_Integer total = (lua_Integer)sm_shape_count(&index->shape), first = sm_lua_integer(L, 3, 0, total);
  size_t count = (size_t)sm_lua_integer(L, 4, 0, total - first);
  if (x->shape.rank == 0) sm_lua_fail(L, "gather: a scalar has no rows");
  rows r = {x, index, (size_t)first, count, x->shape};
  r.shape.size[0] = count;
  return r;
}

/* Where the rows are, each of which x has. */
static const int32_t *row_index(lua_State *L, const rows *r) {
  const int32_t *row = (const int32_t *)sm_lua_data(L, r->index) + r->first;
  size_t size = r->x->shape.size[0];
  for (size_t i = 0; i < r->count; i++)
    if (row[i] < 0 || (size_t)row[i] >= size)
      sm_lua_fail(L, "gather: row %d is out of range: there are %I", (int)row[i], (LUAI_UACINT)size);
  return row;
}

/* gather(x, index, first, count): rows of x, of the same type; index is 0-based int32. */
static int gather(lua_State *L) {
  const rows r = check_rows(L, sm_lua_tensor(L, 1));
  const sm_tensor *out = sm_lua_new(L, r.x->dtype, &r.shape);
  size_t bytes = inner_count(&r.shape) * sm_dtype_bytes(r.x->dtype);
  const int32_t *row = row_index(L, &r);
  const char *from = sm_lua_data(L, r.x);
  char *to = sm_lua_data(L, out);
  for (size_t i = 0; i < r.count && bytes; i++) memcpy(to + i * bytes, from + (size_t)row[i] * bytes, bytes);
  return 1;
}

/* gather_bytes(x, index, first, count, scale): the same from bytes to real, multiplied by scale. */
static int gather_bytes(lua_State *L) {
  const rows r = check_rows(L, sm_lua_typed(L, 1, SM_UINT8));
  double scale = sm_lua_number(L, 5);
  const sm_tensor *out = sm_lua_new(L, SM_REAL, &r.shape);
  const int32_t *row = row_index(L, &r);
  sm_gather_bytes(sm_lua_data(L, out), sm_lua_data(L, r.x), row, (real)scale, r.count, inner_count(&r.shape));
  return 1;
}

void sm_lua_add_rows(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"reshape", reshape}, {"select", select_first}, {"slice", slice}, {"place", place}, {"gather", gather},
      {"gather_bytes", gather_bytes}, {NULL, NULL}};
  sm_lua_add_functions(L, functions);
}
