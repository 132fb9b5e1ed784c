/* Parts of a batch: runtime.parts. */
#include "core/parts.h"

#include "bind/bind.h"

/* set(parts, ranks): how many parts of a batch this process has, and how many processes have as many each. Powers of
   two, at most `most` together. */
static int set(lua_State *L) {
  const sm_parts parts = {(size_t)sm_lua_integer(L, 1, 1, SM_PARTS), (size_t)sm_lua_integer(L, 2, 1, SM_PARTS)};
  sm_error error;
  if (sm_set_parts(parts, &error) != SM_OK) sm_lua_raise(L, &error);
  return 0;
}

/* get() → parts, ranks */
static int get(lua_State *L) {
  const sm_parts parts = sm_parts_now();
  lua_pushinteger(L, (lua_Integer)parts.parts);
  lua_pushinteger(L, (lua_Integer)parts.ranks);
  return 2;
}

void sm_lua_open_parts(lua_State *L) {
  static const luaL_Reg functions[] = {{"set", set}, {"get", get}, {NULL, NULL}};
  sm_lua_functions(L, functions);
  lua_pushinteger(L, SM_PARTS);
  lua_setfield(L, -2, "most");
  lua_pushinteger(L, SM_PARTS_FIRST);
  lua_setfield(L, -2, "first");
}
