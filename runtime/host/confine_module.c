#include "host/confine_module.h"

#include <lauxlib.h>
#include <limits.h>
#include <string.h>

#include "host/confine.h"
#include "host/restrict.h"

/* The paths of a field of the table at 1; they stay on the stack, and so in memory. */
static const char *const *check_paths(lua_State *L, const char *field, size_t *count) {
  *count = 0;
  if (lua_getfield(L, 1, field) == LUA_TNIL) return NULL;
  if (!lua_istable(L, -1)) luaL_error(L, "confine: '%s' is no list of paths", field);
  int list = lua_gettop(L);
  size_t length = (size_t)lua_rawlen(L, list);
  luaL_checkstack(L, length < INT_MAX / 2 ? (int)length + 2 : INT_MAX / 2, "too many paths");
  const char **paths = lua_newuserdatauv(L, (length + 1) * sizeof *paths, 0);
  for (size_t i = 0; i < length; i++) {
    size_t bytes = 0;
    paths[i] = lua_rawgeti(L, list, (lua_Integer)i + 1) == LUA_TSTRING ? lua_tolstring(L, -1, &bytes) : NULL;
    if (!paths[i] || strlen(paths[i]) != bytes) luaL_error(L, "confine: '%s' is no list of paths", field);
  }
  *count = length;
  return paths;
}

static int confine(lua_State *L) {
  sm_host_reach reach;
  sm_host_reason reason;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  reach.read = check_paths(L, "read", &reach.reads);
  reach.write = check_paths(L, "write", &reach.writes);
  if (!sm_host_confine(&reach, &reason)) return luaL_error(L, "%s", reason.text);
  return 0;
}

/* A limit of the table at 1: a whole number of at least 1; 0 where there is none. */
static uint64_t check_limit(lua_State *L, const char *field) {
  if (lua_getfield(L, 1, field) == LUA_TNIL) return 0;
  int whole;
  lua_Integer value = lua_tointegerx(L, -1, &whole);
  if (!whole || value < 1) luaL_error(L, "restrict: '%s' is no whole number of at least 1", field);
  lua_pop(L, 1);
  return (uint64_t)value;
}

static int restrict_to(lua_State *L) {
  sm_host_reason reason;
  luaL_checktype(L, 1, LUA_TTABLE);
  sm_host_limits limits = {
    .memory = check_limit(L, "memory"),
    .cpu = check_limit(L, "cpu"),
    .file = check_limit(L, "file"),
    .descriptors = check_limit(L, "descriptors"),
  };
  if (!sm_host_restrict(&limits, &reason)) return luaL_error(L, "%s", reason.text);
  return 0;
}

static int wipe_environment(lua_State *L) {
  (void)L;
  sm_host_wipe_environment();
  return 0;
}

void sm_host_add_confinement(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"confine", confine},
    {"restrict", restrict_to},
    {"wipe_environment", wipe_environment},
    {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}
