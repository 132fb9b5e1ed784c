#include "host/module.h"

#include <lauxlib.h>
#include <limits.h>

#include "host/interrupt.h"
#include "host/locate.h"
#include "host/threads.h"

static int interrupted(lua_State *L) {
  lua_pushboolean(L, sm_host_interrupted());
  return 1;
}

static int graceful(lua_State *L) {
  luaL_checktype(L, 1, LUA_TBOOLEAN);
  sm_host_be_graceful(lua_toboolean(L, 1));
  return 0;
}

static int output_closed(lua_State *L) {
  lua_pushboolean(L, sm_host_output_closed());
  return 1;
}

static int set_threads(lua_State *L) {
  lua_Integer count = luaL_checkinteger(L, 1);
  luaL_argcheck(L, count >= 1 && count <= INT_MAX, 1, "expected at least 1");
  sm_host_set_threads((int)count);
  return 0;
}

int sm_host_open(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"interrupted", interrupted},
    {"graceful", graceful},
    {"output_closed", output_closed},
    {"set_threads", set_threads},
    {NULL, NULL},
  };
  luaL_newlib(L, functions);
  lua_pushliteral(L, SM_VERSION);
  lua_setfield(L, -2, "version");
  sm_host_push_executable(L);
  lua_setfield(L, -2, "executable");
  return 1;
}
