/* What is recorded on the tape: part of runtime.tape. */
#include "bind/tape.h"

static const char tape_key = 0; /* its address is the key of the registry's tape */

sm_tape *sm_lua_tape(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &tape_key);
  sm_tape *own = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return own;
}

/* What the functions share that `recorders` makes, whose upvalues these are. */
typedef struct shared {
  sm_tape *tape;
  bool is_watched; /* somebody looks on, or some code is not recorded: then the function in Lua is asked */
} shared;

enum { ASKED = 1, OWN_NAME = 2, SHARED = 3, KIND = 4 };

/* Whether something is recorded now, of what is at the first `given` places. *varies, which may be NULL: whether its
   node is to say that it varies. */
static bool is_recording(lua_State *L, int given, bool *varies) {
  const shared *own = lua_touserdata(L, lua_upvalueindex(SHARED));
  if (!own->is_watched) return true;
  luaL_checkstack(L, given + 1, "too many inputs");
  lua_pushvalue(L, lua_upvalueindex(ASKED));
  for (int i = 1; i <= given; i++) lua_pushvalue(L, i);
  lua_call(L, given, 2);
  bool is_so = lua_toboolean(L, -2);
  if (varies) *varies = lua_toboolean(L, -1);
  lua_pop(L, 2);
  return is_so;
}

/* Whether one of the values from `first` on wants a gradient. */
static bool is_any_tracked(lua_State *L, int first) {
  int last = lua_gettop(L);
  bool is_one = false;
  for (int i = first; i <= last && !is_one; i++) {
    is_one = sm_lua_push_node(L, i) != LUA_TNIL;
    lua_settop(L, last);
  }
  return is_one;
}

/* record(output, name, backward, saved, input, …) → output */
static int record(lua_State *L) {
  enum { GIVEN = 4 };
  sm_lua_tensor(L, 1);
  bool varies = false;
  if (is_recording(L, lua_gettop(L), &varies) && is_any_tracked(L, GIVEN + 1)) {
    const shared *own = lua_touserdata(L, lua_upvalueindex(SHARED));
    int node = lua_gettop(L) + 1, inputs = node - 1 - GIVEN;
    luaL_checkstack(L, 4, NULL);
    lua_createtable(L, SM_NODE_INPUTS - 1 + inputs, 0);
    for (int field = SM_NODE_NAME; field <= SM_NODE_SAVED; field++) {
      lua_pushvalue(L, 1 + field);
      lua_rawseti(L, node, field);
    }
    sm_lua_set_node_integer(L, node, SM_NODE_NUMBER, ++own->tape->nodes);
    sm_lua_set_node_integer(L, node, SM_NODE_WALK, 0);
    sm_lua_set_node_integer(L, node, SM_NODE_KIND, lua_tointeger(L, lua_upvalueindex(KIND)));
    sm_lua_set_node_integer(L, node, SM_NODE_COUNT, inputs);
    for (int i = 0; i < inputs; i++) {
      lua_pushvalue(L, GIVEN + 1 + i);
      lua_rawseti(L, node, SM_NODE_INPUTS + i);
    }
    if (varies) {
      lua_pushboolean(L, true);
      lua_setfield(L, node, "varies");
    }
    lua_setiuservalue(L, 1, SM_NODE);
  }
  lua_settop(L, 1);
  return 1;
}

/* records(x, …) → whether `record` would record what is computed from these now */
static int records(lua_State *L) {
  lua_pushboolean(L, is_recording(L, 0, NULL) && is_any_tracked(L, 1));
  return 1;
}

/* saved(x, …) → `versions` of them, nil where nothing is recorded */
static int saved(lua_State *L) {
  if (is_recording(L, 0, NULL)) return sm_lua_versions(L);
  lua_pushnil(L);
  return 1;
}

/* watch(true or false): whether the function in Lua is asked */
static int watch(lua_State *L) {
  shared *own = lua_touserdata(L, lua_upvalueindex(SHARED));
  own->is_watched = lua_toboolean(L, 1);
  return 0;
}

/* recorders(asked) → records, saved, watch, and three functions `record`, of nodes of the kinds in their order.
   asked(…) gets what `record` gets, or nothing, and says whether something is recorded now, and of `record` whether the
   node varies (sm.ranks). */
static int recorders(lua_State *L) {
  static const struct {
    const char *name;
    lua_CFunction function;
    sm_node_kind kind;
  } made[] = {{"records", records, SM_ONCE}, {"saved", saved, SM_ONCE},  {"watch", watch, SM_ONCE},
              {"record", record, SM_ONCE},   {"record", record, SM_TWICE}, {"record", record, SM_FOREIGN}};
  enum { COUNT = sizeof made / sizeof *made };
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  shared *own = lua_newuserdatauv(L, sizeof *own, 0);
  *own = (shared){.tape = sm_lua_tape(L)};
  for (int i = 0; i < COUNT; i++) {
    lua_pushvalue(L, 1);
    lua_pushstring(L, made[i].name);
    lua_pushvalue(L, 2);
    lua_pushinteger(L, made[i].kind);
    lua_pushcclosure(L, made[i].function, KIND);
  }
  return COUNT;
}

/* new_overwritten(name, backward) → the node of all that copy_ has filled */
static int new_overwritten(lua_State *L) {
  lua_settop(L, 2);
  lua_createtable(L, SM_NODE_COUNT, 0);
  lua_insert(L, 1);
  lua_rawseti(L, 1, SM_NODE_BACKWARD);
  lua_rawseti(L, 1, SM_NODE_NAME);
  lua_pushboolean(L, false);
  lua_rawseti(L, 1, SM_NODE_SAVED);
  sm_lua_set_node_integer(L, 1, SM_NODE_NUMBER, 0);
  sm_lua_set_node_integer(L, 1, SM_NODE_WALK, 0);
  sm_lua_set_node_integer(L, 1, SM_NODE_KIND, SM_OVERWRITTEN);
  sm_lua_set_node_integer(L, 1, SM_NODE_COUNT, 0);
  return 1;
}

void sm_lua_add_record(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"recorders", recorders}, {"new_overwritten", new_overwritten}, {NULL, NULL}};
  sm_tape *own = lua_newuserdatauv(L, sizeof *own, 0);
  *own = (sm_tape){0};
  lua_rawsetp(L, LUA_REGISTRYINDEX, &tape_key);
  sm_lua_add_functions(L, functions);
}
