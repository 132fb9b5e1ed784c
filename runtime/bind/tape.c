/* What the tape keeps with a tensor and asks of its memory: runtime.tape. */
#include "bind/tape.h"

static const char overwritten_key = 0; /* its address is the key of the node that all overwritten tensors have */

int sm_lua_push_node(lua_State *L, int index) {
  const sm_tensor *x = sm_lua_test_tensor(L, index);
  if (!x) {
    lua_pushnil(L);
    return LUA_TNIL;
  }
  int type = lua_getiuservalue(L, index, SM_NODE);
  if (type != LUA_TNIL || !x->storage || !x->storage->overwritten || x->is_detached) return type;
  lua_pop(L, 1);
  return lua_rawgetp(L, LUA_REGISTRYINDEX, &overwritten_key);
}

lua_Integer sm_lua_node_integer(lua_State *L, int node, enum sm_node field) {
  lua_rawgeti(L, node, field);
  lua_Integer value = lua_tointeger(L, -1);
  lua_pop(L, 1);
  return value;
}

void sm_lua_set_node_integer(lua_State *L, int node, enum sm_node field, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_rawseti(L, node, field);
}

/* node(x) → its own, or the one of what was overwritten */
static int get_node(lua_State *L) {
  sm_lua_push_node(L, 1);
  return 1;
}

/* tracks(x) → whether it wants a gradient */
static int tracks(lua_State *L) {
  lua_pushboolean(L, sm_lua_push_node(L, 1) != LUA_TNIL);
  return 1;
}

/* set_overwritten_node(node): what `node` gives for every tensor whose memory was overwritten */
static int set_overwritten_node(lua_State *L) {
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &overwritten_key);
  return 0;
}

/* set_overwritten(x, true or false): with what a gradient should pass through. That holds for every tensor in x's
   memory, but for a detached one, which is told from them. */
static int set_overwritten(lua_State *L) {
  sm_tensor *x = sm_lua_tensor(L, 1);
  bool is_so = lua_toboolean(L, 2);
  if (!x->is_detached) {
    x->storage->overwritten = is_so;
    return 0;
  }
  if (is_so) lua_rawgetp(L, LUA_REGISTRYINDEX, &overwritten_key);
  else lua_pushnil(L);
  lua_setiuservalue(L, 1, SM_NODE);
  return 0;
}

/* detach(x) → x's numbers in x's memory, through which no gradient passes */
static int detach(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  sm_lua_share(L, x, &x->shape, 0)->is_detached = true;
  return 1;
}

static int set_node(lua_State *L) {
  sm_lua_tensor(L, 1);
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, SM_NODE);
  return 0;
}

/* is_part(x) → whether its memory has room for more than x */
static int is_part(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  lua_pushboolean(L, sm_shape_count(&x->shape) * sm_dtype_bytes(x->dtype) < x->storage->bytes);
  return 1;
}

/* versions(x, …) → {x, how often its memory was changed in place (by copy_, an optimizer's step), …}; what is no tensor
   is passed over */
int sm_lua_versions(lua_State *L) {
  int last = lua_gettop(L);
  lua_createtable(L, 2 * last, 0);
  lua_Integer next = 1;
  for (int i = 1; i <= last; i++) {
    const sm_tensor *x = sm_lua_test_tensor(L, i);
    if (!x || !x->storage) continue;
    lua_pushvalue(L, i);
    lua_rawseti(L, -2, next++);
    lua_pushinteger(L, (lua_Integer)x->storage->version);
    lua_rawseti(L, -2, next++);
  }
  return 1;
}

bool sm_lua_push_changed(lua_State *L, int versions) {
  int top = lua_gettop(L);
  for (lua_Integer i = 1, n = (lua_Integer)lua_rawlen(L, versions); i < n; i += 2) {
    lua_rawgeti(L, versions, i);
    lua_rawgeti(L, versions, i + 1);
    bool is_same = (lua_Integer)sm_lua_tensor(L, top + 1)->storage->version == lua_tointeger(L, top + 2);
    lua_settop(L, is_same ? top : top + 1);
    if (!is_same) return true;
  }
  return false;
}

/* changed(versions) → the first of its tensors that was changed since, or nil */
static int changed(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  return sm_lua_push_changed(L, 1);
}

/* is_any_varying(examples, x, …) → whether one of these differs between processes that train together: one that is
   marked, and of those without a node one whose first size is `examples`, or, where that is nil, every one */
static int is_any_varying(lua_State *L) {
  const int last = lua_gettop(L);
  const bool all = lua_isnil(L, 1);
  const size_t examples = all ? 0 : (size_t)sm_lua_integer(L, 1, 0, LUA_MAXINTEGER);
  bool is_one = false;
  for (int i = 2; i <= last && !is_one; i++) {
    const sm_tensor *x = sm_lua_test_tensor(L, i);
    if (!x) continue;
    is_one = x->varies || (x->storage && x->storage->varies);
    if (is_one || !(all || (x->shape.rank > 0 && x->shape.size[0] == examples))) continue;
    is_one = lua_getiuservalue(L, i, SM_NODE) == LUA_TNIL;
    lua_settop(L, last);
  }
  lua_pushboolean(L, is_one);
  return 1;
}

/* set_varying(x, …): marks these, and what is made to share their memory later; what is no tensor is passed over */
static int set_varying(lua_State *L) {
  for (int i = lua_gettop(L); i > 0; i--) {
    sm_tensor *x = sm_lua_test_tensor(L, i);
    if (x) x->varies = true;
  }
  return 0;
}

/* fill_varying(x): marks all that shares x's memory */
static int fill_varying(lua_State *L) {
  sm_lua_tensor(L, 1)->storage->varies = true;
  return 0;
}

void sm_lua_open_tape(lua_State *L) {
  static const luaL_Reg functions[] = {{"node", get_node},
                                       {"tracks", tracks},
                                       {"set_node", set_node},
                                       {"set_overwritten", set_overwritten},
                                       {"set_overwritten_node", set_overwritten_node},
                                       {"detach", detach},
                                       {"is_part", is_part},
                                       {"versions", sm_lua_versions},
                                       {"changed", changed},
                                       {"is_any_varying", is_any_varying},
                                       {"set_varying", set_varying},
                                       {"fill_varying", fill_varying},
                                       {NULL, NULL}};
  sm_lua_functions(L, functions);
}
