/* The Lua module sm.runtime: one table per binding file. */
#include <limits.h>

#include "bind/bind.h"
#include "core/gemm.h"
#include "core/settings.h"
#include "io/descriptors.h"
#include "version.h"

/* raise(message, kind): an error at the user's own line; with a kind it is one of sm.problem. */
static int raise(lua_State *L) {
  sm_lua_raise_kind(L, luaL_checkstring(L, 1), luaL_optstring(L, 2, NULL));
}

/* set_library(prefix, visible, problem): sources that begin with it are the library's own, never the user's line; what
   errors say goes through visible(text, kept); problem(kind, message, words) makes one that has a kind. */
static int set_library(lua_State *L) {
  luaL_checkstring(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  lua_settop(L, 3);
  lua_setfield(L, LUA_REGISTRYINDEX, "sm.problem");
  lua_setfield(L, LUA_REGISTRYINDEX, "sm.visible");
  lua_setfield(L, LUA_REGISTRYINDEX, "sm.own_sources");
  return 0;
}

static int results(lua_State *L, int status, lua_KContext below) {
  (void)status;
  return lua_gettop(L) - (int)below;
}

/* Upvalues: the function, how many arguments it takes, and what is called with the first one too many. */
static int call_upvalue(lua_State *L) {
  for (int i = (int)lua_tointeger(L, lua_upvalueindex(2)) + 1; i <= lua_gettop(L); i++) {
    if (lua_isnil(L, i)) continue;
    lua_pushvalue(L, lua_upvalueindex(3));
    lua_pushvalue(L, i);
    lua_call(L, 1, 0);
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, results);
  return results(L, LUA_OK, 0);
}

/* traced(f, most, refuse) → a C function that calls f. Without `most` it takes any number of arguments; with it, it
   calls refuse(argument), which raises, for the first one beyond these that is not nil. A Lua function called as
   `return f(…)` takes its caller's place on the stack; behind a C function the caller stays, and messages find the
   user's line. */
static int traced(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 3);
  lua_pushinteger(L, lua_isnil(L, 2) ? INT_MAX - 1 : sm_lua_integer(L, 2, 0, INT_MAX - 1));
  lua_replace(L, 2);
  lua_pushcclosure(L, call_upvalue, 3);
  return 1;
}

static void open_tensor(lua_State *L) {
  sm_lua_open_tensor(L);
  sm_lua_add_values(L);
  sm_lua_add_rows(L);
}

static void open_tape(lua_State *L) {
  sm_lua_open_tape(L);
  sm_lua_add_record(L);
  sm_lua_add_walk(L);
}

static void open_random(lua_State *L) {
  sm_lua_open_random(L);
  sm_lua_add_dropout(L);
  sm_lua_add_augment(L);
  sm_lua_add_resample(L);
}

static void add(lua_State *L, const char *name, void (*open)(lua_State *)) {
  open(L);
  lua_setfield(L, -2, name);
}

__attribute__((visibility("default"))) int luaopen_sm_runtime(lua_State *L);

/* What is loaded again is the same table, without what the library has taken from it. */
int luaopen_sm_runtime(lua_State *L) {
  static const char loaded = 0; /* its address is the key of the table */
  sm_error error;
  luaL_checkversion(L); /* built for 5.4, it is not loaded by 5.5 */
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &loaded) == LUA_TTABLE) return 1;
  if (!sm_fill_descriptors()) return luaL_error(L, "descriptors 0 to 2 are closed, and /dev/null cannot be opened");
  sm_settings_now(); /* from here on nothing in the core reads the environment */
  if (sm_blas_load(&error) != SM_OK) { /* no line of the user's is at fault */
    lua_pushstring(L, error.message);
    return lua_error(L);
  }
  lua_gc(L, LUA_GCGEN, 0, 0); /* a step's tensors die young: see memory.c */
  lua_newtable(L);
  add(L, "tensor", open_tensor);
  add(L, "tape", open_tape);
  add(L, "math", sm_lua_open_math);
  add(L, "parts", sm_lua_open_parts);
  add(L, "pointwise", sm_lua_open_pointwise);
  add(L, "stride", sm_lua_open_stride);
  add(L, "index", sm_lua_open_index);
  add(L, "compare", sm_lua_open_compare);
  add(L, "expression", sm_lua_open_expression);
  add(L, "conv", sm_lua_open_conv);
  add(L, "softmax", sm_lua_open_softmax);
  add(L, "loss", sm_lua_open_loss);
  add(L, "attention", sm_lua_open_attention);
  add(L, "recurrent", sm_lua_open_recurrent);
  add(L, "normalise", sm_lua_open_normalise);
  add(L, "optim", sm_lua_open_optim);
  add(L, "random", open_random);
  add(L, "system", sm_lua_open_system);
  add(L, "io", sm_lua_open_io);
  add(L, "ring", sm_lua_open_ring);
  lua_pushliteral(L, SM_REAL_NAME);
  lua_setfield(L, -2, "real");
  lua_pushliteral(L, SM_VERSION);
  lua_setfield(L, -2, "version");
  lua_pushcfunction(L, raise);
  lua_setfield(L, -2, "raise");
  lua_pushcfunction(L, traced);
  lua_setfield(L, -2, "traced");
  lua_pushcfunction(L, set_library);
  lua_setfield(L, -2, "set_library");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &loaded);
  return 1;
}
