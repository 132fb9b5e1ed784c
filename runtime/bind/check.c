/* Argument checks that every binding file uses, tensors among them. */
#include <string.h>

#include "bind/bind.h"

static const char tensor_metatable = 0; /* its address is the key of the metatable that all tensors share */

void sm_lua_push_metatable(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &tensor_metatable) != LUA_TNIL) return;
  lua_pop(L, 1);
  luaL_newmetatable(L, "sm.tensor"); /* as Lua's own messages call it */
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &tensor_metatable);
}

/* What a tensor is to Lua. No other userdata has this address in it, so that a tensor is known without a look at its
   metatable, which takes several calls. */
typedef struct boxed {
  sm_tensor tensor; /* first, so that a pointer to one is a pointer to both */
  const char *mark;
  size_t held; /* in how many places of walks back it is, as a gradient */
} boxed;

sm_tensor *sm_lua_push_released(lua_State *L) {
  boxed *box = lua_newuserdatauv(L, sizeof *box, SM_USER_VALUES);
  *box = (boxed){.mark = &tensor_metatable};
  sm_lua_push_metatable(L);
  lua_setmetatable(L, -2);
  return &box->tensor;
}

sm_tensor *sm_lua_test_tensor(lua_State *L, int index) {
  boxed *box = lua_touserdata(L, index);
  if (!box || lua_rawlen(L, index) != sizeof *box || box->mark != &tensor_metatable) return NULL;
  return &box->tensor;
}

size_t *sm_lua_held(lua_State *L, int index) {
  boxed *box = lua_touserdata(L, index);
  return &box->held;
}

/* Pushes a short description of a value: `string "x"`, `number 3`, `tensor {2, 3}`, `nil`. */
static const char *describe(lua_State *L, int index) {
  const sm_tensor *tensor = sm_lua_test_tensor(L, index);
  if (tensor) {
    char text[SM_SHAPE_TEXT];
    return lua_pushfstring(L, "%s tensor %s", sm_dtype_name(tensor->dtype), sm_shape_text(text, &tensor->shape));
  }
  switch (lua_type(L, index)) {
    case LUA_TSTRING: return lua_pushfstring(L, "string \"%s\"", lua_tostring(L, index));
    case LUA_TNUMBER: {
      lua_pushvalue(L, index);
      const char *text = lua_tostring(L, -1);
      return lua_pushfstring(L, "number %s", text);
    }
    case LUA_TNONE: return lua_pushliteral(L, "nothing");
    default: /* a metatable may have a name, which is read raw */
      if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING) return lua_tostring(L, -1);
      return lua_pushstring(L, luaL_typename(L, index));
  }
}

void sm_lua_bad_argument(lua_State *L, int index, const char *expected) {
  const char *given = describe(L, index);
  lua_Debug info = {0};
  const char *name = NULL;
  if (lua_getstack(L, 0, &info) && lua_getinfo(L, "nf", &info)) {
    /* Functions of the library carry their name: see sm_lua_functions. */
    name = lua_getupvalue(L, -1, 2) && lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : info.name;
  }
  bool dot = index == 1 && lua_isnoneornil(L, 1) && strcmp(expected, "a tensor") == 0; /* x.sum() for x:sum() */
  sm_lua_fail(L, "%s: argument %d must be %s, got %s%s", name ? name : "?", index, expected, given,
              dot ? "; a method is called with a colon, as in x:relu()" : "");
}

void sm_lua_released(lua_State *L) {
  sm_lua_fail(L, "this tensor was released: a gradient inside a backward pass lives only as long as the pass; "
                 "keep a copy with :clone()");
}

sm_tensor *sm_lua_tensor(lua_State *L, int index) {
  sm_tensor *tensor = sm_lua_test_tensor(L, index);
  if (!tensor) sm_lua_bad_argument(L, index, "a tensor");
  if (!tensor->storage) sm_lua_released(L);
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

void sm_lua_functions(lua_State *L, const luaL_Reg *functions) {
  lua_newtable(L);
  sm_lua_add_functions(L, functions);
}

void sm_lua_add_functions(lua_State *L, const luaL_Reg *functions) {
  for (; functions->name; functions++) {
    lua_pushnil(L); /* what a function that several operations share has as its own */
    lua_pushstring(L, functions->name);
    lua_pushcclosure(L, functions->func, 2);
    lua_setfield(L, -2, functions->name);
  }
}

void sm_lua_protect(lua_State *L) {
  lua_pushboolean(L, false);
  lua_setfield(L, -2, "__metatable");
}

void sm_lua_class(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction close) {
  luaL_newmetatable(L, name);
  if (methods) {
    sm_lua_functions(L, methods);
    lua_setfield(L, -2, "__index");
  }
  lua_pushcfunction(L, close);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, close);
  lua_setfield(L, -2, "__close");
  sm_lua_protect(L);
  lua_pop(L, 1);
}

static const char shape_metatable = 0; /* its address is the key of the metatable that all shapes share */

/* Whether the table at index has a metatable, other than that of shapes. */
static bool has_metatable(lua_State *L, int index) {
  if (!lua_getmetatable(L, index)) return false;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &shape_metatable);
  bool other = !lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return other;
}

void sm_lua_plain_list(lua_State *L, int index) {
  if (!has_metatable(L, index)) return;
  if (lua_geti(L, index, (lua_Integer)lua_rawlen(L, index) + 1) != LUA_TNIL)
    sm_lua_fail(L, "expected a plain table, got one whose metatable gives it elements; copy them into one");
  lua_pop(L, 1);
}

void sm_lua_sizes(lua_State *L, int index, sm_shape *shape) {
  if (lua_type(L, index) != LUA_TTABLE) sm_lua_bad_argument(L, index, "a shape like {2, 3}");
  sm_lua_plain_list(L, index);
  lua_Unsigned rank = lua_rawlen(L, index);
  if (rank > SM_MAX_RANK) sm_lua_fail(L, "a tensor has at most %d axes, got %d", SM_MAX_RANK, (int)rank);
  shape->rank = (int)rank;
  for (int i = 0; i < shape->rank; i++) {
    lua_rawgeti(L, index, i + 1);
    int exact = 0;
    lua_Integer size = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &exact) : 0;
    if (!exact || size < 0) {
      const char *given = describe(L, lua_gettop(L));
      sm_lua_fail(L, "size %d of a shape must be an integer of at least 0, got %s", i + 1, given);
    }
    shape->size[i] = (size_t)size;
    lua_pop(L, 1);
  }
}

void sm_lua_shape(lua_State *L, int index, sm_shape *shape) {
  sm_lua_sizes(L, index, shape);
  size_t bytes;
  sm_error error;
  if (sm_shape_bytes(&bytes, shape, SM_UINT8, &error) != SM_OK) {
    char text[SM_SHAPE_TEXT];
    sm_lua_fail(L, "a tensor of shape %s is larger than memory can be", sm_shape_text(text, shape));
  }
}

/* tostring(shape) → "{2, 3}" */
static int shape_text(lua_State *L) {
  luaL_Buffer text;
  int rank = (int)luaL_len(L, 1);
  luaL_buffinit(L, &text);
  luaL_addchar(&text, '{');
  for (int i = 1; i <= rank; i++) {
    if (i > 1) luaL_addstring(&text, ", ");
    lua_geti(L, 1, i);
    luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
    luaL_addvalue(&text);
  }
  luaL_addchar(&text, '}');
  luaL_pushresult(&text);
  return 1;
}

void sm_lua_push_shape(lua_State *L, const sm_shape *shape) {
  lua_createtable(L, shape->rank, 0);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &shape_metatable) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, shape_text);
    lua_setfield(L, -2, "__tostring");
    sm_lua_protect(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &shape_metatable);
  }
  lua_setmetatable(L, -2);
  for (int i = 0; i < shape->rank; i++) {
    lua_pushinteger(L, (lua_Integer)shape->size[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

sm_dtype sm_lua_dtype(lua_State *L, int index) {
  if (lua_isnoneornil(L, index)) return SM_REAL;
  const char *name = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "";
  for (int dtype = 0; dtype < SM_DTYPES; dtype++)
    if (strcmp(name, sm_dtype_name((sm_dtype)dtype)) == 0) return (sm_dtype)dtype;
  lua_pushliteral(L, "a dtype: ");
  for (int dtype = 0; dtype < SM_DTYPES; dtype++) {
    const char *joint = dtype == 0 ? "" : dtype == SM_DTYPES - 1 ? " or " : ", ";
    lua_pushfstring(L, "%s\"%s\"", joint, sm_dtype_name((sm_dtype)dtype));
    lua_concat(L, 2);
  }
  sm_lua_bad_argument(L, index, lua_tostring(L, -1));
}

int sm_lua_axis(lua_State *L, int index, const sm_shape *shape) {
  if (lua_isnoneornil(L, index)) return -1;
  int exact;
  lua_Integer axis = lua_tointegerx(L, index, &exact);
  if (!exact || lua_type(L, index) != LUA_TNUMBER) sm_lua_bad_argument(L, index, "an axis (an integer)");
  lua_Integer position = axis < 0 ? axis + shape->rank : axis - 1;
  if (axis == 0 || position < 0 || position >= shape->rank) {
    char text[SM_SHAPE_TEXT];
    sm_lua_fail(L, "axis %I is out of range for shape %s; axes count from 1, or from -1 at the end",
                (LUAI_UACINT)axis, sm_shape_text(text, shape));
  }
  return (int)position;
}

double sm_lua_number(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TNUMBER) sm_lua_bad_argument(L, index, "a number");
  return lua_tonumber(L, index);
}

double sm_lua_constant(lua_State *L, int index) {
  double value = sm_lua_number(L, index);
  if (!sm_survives(value)) {
    lua_pushfstring(L, "a number that fits " SM_REAL_NAME ", where this is %f", (lua_Number)(real)value);
    sm_lua_bad_argument(L, index, lua_tostring(L, -1));
  }
  return value;
}

lua_Integer sm_lua_integer(lua_State *L, int index, lua_Integer low, lua_Integer high) {
  int exact = 0;
  index = lua_absindex(L, index);
  lua_Integer value = lua_type(L, index) == LUA_TNUMBER ? lua_tointegerx(L, index, &exact) : 0;
  if (!exact || value < low || value > high) {
    lua_pushfstring(L, "an integer from %I to %I", (LUAI_UACINT)low, (LUAI_UACINT)high);
    sm_lua_bad_argument(L, index, lua_tostring(L, -1));
  }
  return value;
}

lua_Integer sm_lua_element(lua_State *L, int index, sm_dtype dtype) {
  const sm_type *type = sm_type_of(dtype);
  return sm_lua_integer(L, index, (lua_Integer)type->least, (lua_Integer)type->greatest);
}

const char *sm_lua_string(lua_State *L, int index, size_t *bytes) {
  if (lua_type(L, index) != LUA_TSTRING) sm_lua_bad_argument(L, index, "a string");
  return lua_tolstring(L, index, bytes);
}

const char *sm_lua_text(lua_State *L, int index, const char *what) {
  size_t length = 0;
  const char *text = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &length) : NULL;
  if (!text || strlen(text) != length) sm_lua_bad_argument(L, index, what);
  return text;
}

int sm_lua_field(lua_State *L, int index, const char *key) {
  index = lua_absindex(L, index);
  luaL_checktype(L, index, LUA_TTABLE);
  lua_pushstring(L, key);
  return lua_rawget(L, index);
}

double sm_lua_field_number(lua_State *L, int index, const char *key, double absent) {
  sm_lua_field(L, index, key);
  double value = absent;
  if (lua_type(L, -1) == LUA_TNUMBER) {
    value = lua_tonumber(L, -1);
  } else if (!lua_isnil(L, -1)) {
    const char *given = describe(L, lua_gettop(L));
    sm_lua_fail(L, "option '%s' must be a number, got %s", key, given);
  }
  lua_pop(L, 1);
  return value;
}

bool sm_lua_field_boolean(lua_State *L, int index, const char *key) {
  sm_lua_field(L, index, key);
  bool value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}
