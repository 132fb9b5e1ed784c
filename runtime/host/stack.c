#include "host/stack.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

/* Where the stack was when the first function was guarded, and how far it may grow from there: half of what the system
   allows. The rest is for the arguments of the program, and for what is called within Lua's own limits. */
static uintptr_t begin;
static size_t allowed;

static void look_at_stack(void) {
  enum { usual = 8 << 20, share = 2 };
  struct rlimit limit;
  bool known = getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  allowed = (known ? (size_t)limit.rlim_cur : usual) / share;
  begin = (uintptr_t)__builtin_frame_address(0);
}

static int call_guarded(lua_State *L) {
  if (begin - (uintptr_t)__builtin_frame_address(0) > allowed)
    return luaL_error(L, "stack overflow: too many coroutines close one another");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

int sm_host_guarded(lua_State *L) {
  if (!begin) look_at_stack();
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_pushcclosure(L, call_guarded, 1);
  return 1;
}
