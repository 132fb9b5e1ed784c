/* The tensor userdata: memory, gradients, indexing. Differentiable methods are added in Lua. */
#include <string.h>

#include "bind/bind.h"

static sm_tensor *push_released(lua_State *L) {
  sm_tensor *tensor = sm_lua_push_released(L);
  sm_lua_poison(L);
  return tensor;
}

sm_tensor *sm_lua_new(lua_State *L, sm_dtype dtype, const sm_shape *shape) {
  sm_memory *memory = sm_lua_memory(L);
  sm_tensor *tensor = push_released(L);
  sm_error error;
  sm_status status = sm_tensor_new(tensor, memory, dtype, shape, &error);
  for (int i = 0; i < SM_COLLECTIONS && status == SM_NO_MEMORY; i++) {
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
  sm_lua_data(L, base);
  if (sm_tensor_share(tensor, base, shape, offset, &error) != SM_OK) sm_lua_raise(L, &error);
  return tensor;
}

/* to(x, dtype): a copy; x:clone() and x:to(). From real to integers towards 0, and to the nearest that there is; NaN
   becomes 0. */
static int convert(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  sm_dtype dtype = lua_isnoneornil(L, 2) ? x->dtype : sm_lua_dtype(L, 2);
  size_t count = sm_shape_count(&x->shape);
  sm_tensor *out = sm_lua_new(L, dtype, &x->shape);
  sm_convert(sm_lua_data(L, out), dtype, sm_lua_data(L, x), x->dtype, count);
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
  const void *from = sm_lua_data(L, y);
  void *to = sm_lua_change(L, x);
  if (bytes) memmove(to, from, bytes);
  lua_settop(L, 1);
  return 1;
}

static int release(lua_State *L) {
  sm_tensor *x = sm_lua_test_tensor(L, 1);
  if (x) sm_tensor_release(x);
  return 0;
}

/* gradient(x) → what x.grad is, without counting as a look at it */
static int get_gradient(lua_State *L) {
  sm_lua_tensor(L, 1);
  lua_getiuservalue(L, 1, SM_GRADIENT);
  return 1;
}

/* lend_gradient(x) → the same, for a person's code that may keep it: what it keeps will not have other numbers */
static int lend_gradient(lua_State *L) {
  get_gradient(L);
  if (lua_getiuservalue(L, 1, SM_UNSEEN) == LUA_TBOOLEAN) {
    lua_pushboolean(L, false);
    lua_setiuservalue(L, 1, SM_UNSEEN);
  }
  lua_pop(L, 1);
  return 1;
}

/* x.grad = g, which is above x on top, and which nobody has seen or somebody has. A gradient that nobody has seen gives
   its memory back at once, where the collector would take its time. What Lua keeps of it stays for the next one. */
static void replace_gradient(lua_State *L, int x, bool unseen) {
  int g = x + 1, left = x + 2, seen = x + 3, gradient = x + 4;
  if (unseen) lua_pushboolean(L, true);
  else lua_pushnil(L);
  if (lua_getiuservalue(L, x, SM_UNSEEN) == LUA_TBOOLEAN) {
    lua_getiuservalue(L, x, SM_GRADIENT);
    sm_tensor *before = sm_lua_test_tensor(L, gradient);
    if (before && !lua_rawequal(L, g, gradient)) {
      sm_tensor_release(before);
      if (lua_isnil(L, g) && lua_toboolean(L, seen)) lua_copy(L, gradient, left);
    }
  }
  lua_settop(L, left);
  lua_setiuservalue(L, x, SM_UNSEEN);
  lua_setiuservalue(L, x, SM_GRADIENT);
}

/* forget_gradients({x, …}): x.grad = nil for each */
static int forget_gradients(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  for (lua_Integer i = 1, n = (lua_Integer)lua_rawlen(L, 1); i <= n; i++) {
    lua_settop(L, 1);
    lua_rawgeti(L, 1, i);
    sm_lua_tensor(L, 2);
    lua_pushnil(L);
    replace_gradient(L, 2, false);
  }
  return 0;
}

/* A new userdata for each step's gradient would grow old before it dies, which takes full collections; where one is
   left, it gets g's memory, and g is released. */
void sm_lua_put_gradient(lua_State *L, int x) {
  int g = x + 1, left = x + 3;
  bool is_recorded = lua_getiuservalue(L, g, SM_NODE) != LUA_TNIL;
  lua_getiuservalue(L, x, SM_UNSEEN);
  sm_tensor *tensor = sm_lua_test_tensor(L, g), *kept = sm_lua_test_tensor(L, left);
  if (kept && !is_recorded) {
    *kept = *tensor;
    *tensor = (sm_tensor){0};
    lua_copy(L, left, g);
  }
  lua_settop(L, g);
  replace_gradient(L, x, true);
}

/* set_gradient(x, g): x.grad = g, a gradient of the tape's own */
static int set_gradient(lua_State *L) {
  sm_lua_tensor(L, 1);
  sm_lua_tensor(L, 2);
  lua_settop(L, 2);
  sm_lua_put_gradient(L, 1);
  return 0;
}

/* count(x) → number of elements */
static int count(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)sm_shape_count(&sm_lua_tensor(L, 1)->shape));
  return 1;
}

/* sizes(x) → those of its axes, which x.shape would put into a table */
static int sizes(lua_State *L) {
  const sm_shape *shape = &sm_lua_tensor(L, 1)->shape;
  for (int axis = 0; axis < shape->rank; axis++) lua_pushinteger(L, (lua_Integer)shape->size[axis]);
  return shape->rank;
}

/* rows(x) → how many axes it has, how long the last one is, and how many rows of it there are; 0 for a scalar */
static int rows(lua_State *L) {
  const sm_shape *shape = &sm_lua_tensor(L, 1)->shape;
  lua_Integer count = 1;
  for (int axis = 0; axis < shape->rank - 1; axis++) count *= (lua_Integer)shape->size[axis];
  lua_pushinteger(L, shape->rank);
  lua_pushinteger(L, shape->rank ? (lua_Integer)shape->size[shape->rank - 1] : 0);
  lua_pushinteger(L, shape->rank ? count : 0);
  return 3;
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

/* index(x, key): upvalue 1 is the table of methods, whose metatable raises for unknown names. */
static int index_tensor(lua_State *L) {
  if (lua_type(L, 2) == LUA_TSTRING) {
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
    const char *key = lua_tostring(L, 2);
    const sm_tensor *x = sm_lua_test_tensor(L, 1);
    if (!x) sm_lua_bad_argument(L, 1, "a tensor");
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
  lua_settop(L, 2);
  replace_gradient(L, 1, false);
  return 0;
}

static int length(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  if (x->shape.rank == 0) sm_lua_fail(L, "a scalar has no length");
  lua_pushinteger(L, (lua_Integer)x->shape.size[0]);
  return 1;
}

/* Sets field `name` of the tensors' metatable to the value on top, and pops it. */
static void set_field(lua_State *L, const char *name) {
  sm_lua_push_metatable(L);
  lua_insert(L, -2);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

/* define(methods, operators): the methods of all tensors, and {add=, …, tostring=function} */
static int define(lua_State *L) {
  static const char *const operators[][2] = {{"add", "__add"}, {"sub", "__sub"}, {"mul", "__mul"}, {"div", "__div"},
                                             {"pow", "__pow"}, {"unm", "__unm"}, {"lt", "__lt"}, {"le", "__le"},
                                             {"tostring", "__tostring"}};
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TTABLE);
  for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
    if (sm_lua_field(L, 2, operators[i][0]) != LUA_TFUNCTION)
      sm_lua_fail(L, "define: expected a function for '%s', got %s", operators[i][0], luaL_typename(L, -1));
    set_field(L, operators[i][1]);
  }
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, index_tensor, 1);
  set_field(L, "__index");
  return 0;
}

void sm_lua_open_tensor(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"to", convert}, {"copy_", copy_into}, {"release", release}, {"gradient", get_gradient},
      {"lend_gradient", lend_gradient}, {"set_gradient", set_gradient},
      {"forget_gradients", forget_gradients}, {"is_tensor", is_tensor},
      {"count", count}, {"define", define}, {"same_shape", same_shape}, {"sizes", sizes}, {"rows", rows},
      {"memory", sm_lua_memory_use}, {"collect", sm_lua_collect}, {"trim", sm_lua_trim}, {NULL, NULL}};
  sm_lua_open_memory(L);
  sm_lua_push_metatable(L);
  lua_pushcfunction(L, set_index);
  lua_setfield(L, -2, "__newindex");
  lua_pushcfunction(L, length);
  lua_setfield(L, -2, "__len");
  lua_pushcfunction(L, release);
  lua_setfield(L, -2, "__gc");
  sm_lua_protect(L);
  lua_pop(L, 1);
  sm_lua_functions(L, functions);
}
