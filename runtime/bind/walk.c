/* The walk back over the tape: part of runtime.tape. The loop over the nodes is in lua/sm/gradients.lua, since what
   computes a gradient may be a person's code, and yield. */
#include <limits.h>
#include <stdlib.h>

#include "bind/tape.h"

static const char *name_of(lua_State *L, int node) { /* stays on the stack */
  lua_rawgeti(L, node, SM_NODE_NAME);
  const char *name = lua_tostring(L, -1);
  return name ? name : "?";
}

/* Raises where a node was walked already, so that what its gradient needs is gone. */
static void check_unwalked(lua_State *L, int node) {
  lua_rawgeti(L, node, SM_NODE_BACKWARD);
  if (!lua_toboolean(L, -1))
    sm_lua_fail(L, "backward: the graph of this '%s' was already walked by an earlier backward() and its intermediate "
                   "results are freed; compute the loss again", name_of(L, node));
  lua_pop(L, 1);
}

enum { MOST_ROOM = 1000 }; /* nodes */

typedef struct place {
  lua_Integer number, at;
} place;

static int by_number(const void *a, const void *b) {
  lua_Integer x = ((const place *)a)->number, y = ((const place *)b)->number;
  return x < y ? 1 : x > y ? -1 : 0;
}

/* The list at index, of nodes, in the order of their numbers, the largest first: pushed. */
static void push_sorted(lua_State *L, int list, lua_Integer count) {
  place *places = lua_newuserdatauv(L, (size_t)count * sizeof *places, 0);
  for (lua_Integer i = 0; i < count; i++) {
    lua_rawgeti(L, list, i + 1);
    places[i] = (place){sm_lua_node_integer(L, lua_gettop(L), SM_NODE_NUMBER), i + 1};
    lua_pop(L, 1);
  }
  qsort(places, (size_t)count, sizeof *places, by_number);
  lua_createtable(L, count < INT_MAX ? (int)count : 0, 0);
  for (lua_Integer i = 0; i < count; i++) {
    lua_rawgeti(L, list, places[i].at);
    lua_rawseti(L, -2, i + 1);
  }
}

/* nodes_before(node) → every node that it depends on, and itself: a list, the latest first. An empty table and an empty
   list with room for the gradients and the leaves of a walk over them, if it is as long as the last. */
static int nodes_before(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  sm_tape *tape = sm_lua_tape(L);
  lua_Integer walk = ++tape->walks, count = 1, least = sm_lua_node_integer(L, 1, SM_NODE_NUMBER);
  int room = tape->usual;
  bool sorted = true; /* so far, as they are in a row of layers */
  sm_lua_set_node_integer(L, 1, SM_NODE_WALK, walk);
  lua_createtable(L, room, 0);
  lua_pushvalue(L, 1);
  lua_rawseti(L, 2, 1);
  for (lua_Integer at = 1; at <= count; at++) {
    lua_settop(L, 2);
    lua_rawgeti(L, 2, at);
    check_unwalked(L, 3);
    lua_Integer inputs = sm_lua_node_integer(L, 3, SM_NODE_COUNT);
    for (lua_Integer i = 0; i < inputs; i++) {
      lua_settop(L, 3);
      lua_rawgeti(L, 3, SM_NODE_INPUTS + i);
      if (sm_lua_push_node(L, 4) != LUA_TTABLE || sm_lua_node_integer(L, 5, SM_NODE_WALK) == walk) continue;
      lua_Integer number = sm_lua_node_integer(L, 5, SM_NODE_NUMBER);
      sorted = sorted && number < least;
      least = number;
      sm_lua_set_node_integer(L, 5, SM_NODE_WALK, walk);
      lua_rawseti(L, 2, ++count);
    }
  }
  lua_settop(L, 2);
  if (!sorted) push_sorted(L, 2, count);
  tape->usual = count < MOST_ROOM ? (int)count : MOST_ROOM;
  lua_createtable(L, 0, 3 * room);
  lua_createtable(L, 2 * room, 0);
  return 3;
}

/* A gradient knows in how many places of walks it is held. One that nobody holds any more gives its memory back at
   once. What user code has seen is held by it for good, and is left to the collector. An error leaves counts that are
   too high, so that the collector gets these gradients, too. */
static void let_go_of(lua_State *L, int index, bool graph) {
  size_t *held = sm_lua_held(L, index);
  if (*held > 0 && --*held == 0 && !graph) sm_tensor_release(sm_lua_test_tensor(L, index));
}

/* let_go(g, graph): of a gradient that is not kept */
static int let_go(lua_State *L) {
  sm_lua_tensor(L, 1);
  let_go_of(L, 1, lua_toboolean(L, 2));
  return 0;
}

/* lend(g): held by a walk, to begin with, and by the caller for good */
static int lend(lua_State *L) {
  sm_lua_tensor(L, 1);
  *sm_lua_held(L, 1) += 2;
  return 0;
}

/* hold(g): held in one more place */
static int hold(lua_State *L) {
  sm_lua_tensor(L, 1);
  ++*sm_lua_held(L, 1);
  return 0;
}

/* Whether nobody else has the gradient at index, or its memory, or has seen it: then it is the caller's. */
static bool is_own(lua_State *L, int index) {
  return *sm_lua_held(L, index) == 1 && sm_lua_tensor(L, index)->storage->references == 1;
}

/* take(g, graph) → whether the place that it was held in may keep it: nobody else has it, or its memory */
static int take(lua_State *L) {
  sm_lua_tensor(L, 1);
  bool own = !lua_toboolean(L, 2) && is_own(L, 1);
  size_t *held = sm_lua_held(L, 1);
  if (*held > 0) --*held;
  lua_pushboolean(L, own);
  return 1;
}

/* settle(leaves, gradients) → those leaves whose gradient is not leaf.grad now, since they had one, or somebody else
   has this one: a list */
static int settle(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  lua_newtable(L);
  lua_Integer rest = 0;
  for (lua_Integer i = 1, n = (lua_Integer)lua_rawlen(L, 1); i <= n; i++) {
    enum { X = 4, G = 5 };
    lua_settop(L, 3);
    lua_rawgeti(L, 1, i);
    lua_pushvalue(L, X);
    lua_rawget(L, 2);
    sm_lua_tensor(L, X);
    sm_lua_tensor(L, G);
    if (lua_getiuservalue(L, X, SM_GRADIENT) != LUA_TNIL || !is_own(L, G)) {
      lua_pushvalue(L, X);
      lua_rawseti(L, 3, ++rest);
    } else {
      *sm_lua_held(L, G) = 0;
      lua_settop(L, G);
      sm_lua_put_gradient(L, X);
    }
  }
  lua_settop(L, 3);
  return 1;
}

/* A walk, the first argument of `pass`: a list. */
enum way {
  ARRIVED = 1, /* table: leaf or node → its gradient so far */
  LEAVES,      /* list of those that have one, in the order of the first */
  GRAPH,       /* whether the graph stays */
  PLUS,        /* function(a, b) → the sum of two gradients */
  LEADS,       /* set of the nodes that gradients go to, or nil or false for all */
  WANTED,      /* beside it, the set of leaves and nodes that they are for */
  FOUND,       /* beside it, table: node that is wanted → its gradient */
  LEAF,        /* function(leaf, name of the operation), called for each leaf, or nil */
  PASSING      /* function(g, x, node), or nil: asked of the gradient g that goes from node to its input x; whether it
                  goes on. If not, it is held back, and is not let go of here */
};

/* What `pass` has at hand: places on the stack. */
enum { WAY = 1, NODE = 2, GY = 3, FIRST = 4 };

static bool is_in(lua_State *L, int set, int key) {
  lua_pushvalue(L, key);
  lua_rawget(L, set);
  bool is_so = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return is_so;
}

/* Whether a gradient is wanted at a leaf or node, or leads to what is: at `key` is a tensor, at `node` its node. */
static bool is_wanted(lua_State *L, int key, int node) {
  int top = lua_gettop(L);
  bool is_so = !lua_isnil(L, node);
  if (is_so && lua_rawgeti(L, WAY, LEADS) == LUA_TTABLE) {
    lua_rawgeti(L, WAY, WANTED);
    is_so = is_in(L, top + 1, node) || is_in(L, top + 2, key);
  }
  lua_settop(L, top);
  return is_so;
}

static bool is_graph(lua_State *L) {
  lua_rawgeti(L, WAY, GRAPH);
  bool is_so = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return is_so;
}

/* Raises where a tensor that a node's gradient needs was changed in place since it was recorded. */
static void check_saved(lua_State *L) {
  int saved = lua_gettop(L) + 1;
  if (lua_rawgeti(L, NODE, SM_NODE_SAVED) == LUA_TTABLE && sm_lua_push_changed(L, saved)) {
    char shape[SM_SHAPE_TEXT];
    sm_shape_text(shape, &sm_lua_tensor(L, -1)->shape);
    const char *name = name_of(L, NODE);
    sm_lua_fail(L, "backward: the gradient of '%s' needs a tensor of shape %s as it was, but copy_ or an optimizer's "
                   "step has changed it since; call backward() before, or give '%s' a copy of its own, x:clone()",
                name, shape, name);
  }
  lua_settop(L, saved - 1);
}

/* A node is done with: its gradient has gone on, its inputs and what it needed are let go of, but where the graph
   stays. gy: at GY, or nil where none has arrived. */
static void leave(lua_State *L, bool graph) {
  if (!lua_isnil(L, GY)) {
    lua_rawgeti(L, WAY, ARRIVED);
    lua_pushvalue(L, NODE);
    lua_pushnil(L);
    lua_rawset(L, -3);
    let_go_of(L, GY, graph);
  }
  if (graph || sm_lua_node_integer(L, NODE, SM_NODE_KIND) == SM_OVERWRITTEN) return;
  lua_Integer inputs = sm_lua_node_integer(L, NODE, SM_NODE_COUNT);
  lua_pushboolean(L, false);
  lua_rawseti(L, NODE, SM_NODE_BACKWARD);
  lua_pushnil(L);
  lua_rawseti(L, NODE, SM_NODE_SAVED);
  sm_lua_set_node_integer(L, NODE, SM_NODE_COUNT, 0);
  for (lua_Integer i = 0; i < inputs; i++) {
    lua_pushnil(L);
    lua_rawseti(L, NODE, SM_NODE_INPUTS + i);
  }
}

/* ready(way, node) → gy, the gradient that has arrived, and whether the node's function may overwrite it; nil where
   nothing is to be computed, and the node is left. Raises where its gradient cannot be computed. */
static int ready(lua_State *L) {
  luaL_checktype(L, WAY, LUA_TTABLE);
  luaL_checktype(L, NODE, LUA_TTABLE);
  lua_settop(L, NODE);
  bool graph = is_graph(L);
  lua_rawgeti(L, WAY, ARRIVED);
  lua_pushvalue(L, NODE);
  lua_rawget(L, GY);
  lua_replace(L, GY);
  if (!lua_isnil(L, GY) && lua_rawgeti(L, WAY, WANTED) == LUA_TTABLE && is_in(L, GY + 1, NODE)) {
    lua_rawgeti(L, WAY, FOUND);
    lua_pushvalue(L, NODE);
    lua_pushvalue(L, GY);
    lua_rawset(L, -3);
    ++*sm_lua_held(L, GY);
  }
  lua_settop(L, GY);
  if (lua_isnil(L, GY) || (lua_rawgeti(L, WAY, LEADS) == LUA_TTABLE && !is_in(L, GY + 1, NODE))) {
    leave(L, graph);
    return 0;
  }
  check_unwalked(L, NODE);
  check_saved(L);
  lua_Integer kind = sm_lua_node_integer(L, NODE, SM_NODE_KIND);
  if (graph && kind != SM_TWICE && kind != SM_OVERWRITTEN)
    sm_lua_fail(L, "the gradient of '%s' has no gradient itself, which create_graph asks for", name_of(L, NODE));
  size_t *held = sm_lua_held(L, GY);
  if (kind == SM_FOREIGN) ++*held;
  lua_settop(L, GY);
  lua_pushboolean(L, *held == 1 && !graph);
  return 2;
}

/* An input without a node of its own that gets its first gradient. */
static void add_leaf(lua_State *L, int leaf) {
  lua_rawgeti(L, WAY, LEAVES);
  lua_pushvalue(L, leaf);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 1);
  if (lua_rawgeti(L, WAY, LEAF) == LUA_TFUNCTION) {
    lua_pushvalue(L, leaf);
    lua_rawgeti(L, NODE, SM_NODE_NAME);
    lua_call(L, 2, 0);
  } else {
    lua_pop(L, 1);
  }
}

/* Whether the gradient at g goes on now, from the node to its input. For a leaf whose gradients are held back, false
   arrives. */
static bool goes_on(lua_State *L, int g, int input, bool is_leaf) {
  int top = lua_gettop(L);
  bool is_so = true;
  if (lua_rawgeti(L, WAY, PASSING) == LUA_TFUNCTION) {
    lua_pushvalue(L, g);
    lua_pushvalue(L, input);
    lua_pushvalue(L, NODE);
    lua_call(L, 3, 1);
    is_so = lua_toboolean(L, -1);
  }
  lua_settop(L, top);
  if (is_so || !is_leaf) return is_so;
  lua_rawgeti(L, WAY, ARRIVED);
  lua_pushvalue(L, input);
  if (lua_rawget(L, top + 1) == LUA_TNIL) {
    add_leaf(L, input);
    lua_pushvalue(L, input);
    lua_pushboolean(L, false);
    lua_rawset(L, top + 1);
  }
  lua_settop(L, top);
  return false;
}

/* Puts what is on top in the place of the gradient at g, which is let go of. */
static void exchange(lua_State *L, int g, bool graph) {
  sm_lua_tensor(L, -1);
  if (!lua_rawequal(L, -1, g)) {
    ++*sm_lua_held(L, lua_gettop(L));
    let_go_of(L, g, graph);
  }
  lua_replace(L, g);
}

/* Every gradient that goes from a node to one of its inputs passes here: g, at index, to input number i. */
static void deliver(lua_State *L, int g, lua_Integer i, bool graph) {
  int input = lua_gettop(L) + 1, target = input + 1, sum = input + 3;
  lua_rawgeti(L, NODE, SM_NODE_INPUTS + i);
  sm_lua_push_node(L, input);
  if (!is_wanted(L, input, target)) {
    let_go_of(L, g, graph);
    return;
  }
  const sm_tensor *x = sm_lua_tensor(L, input), *gradient = sm_lua_tensor(L, g);
  if (!sm_shape_equal(&x->shape, &gradient->shape)) {
    char given[SM_SHAPE_TEXT], expected[SM_SHAPE_TEXT];
    sm_lua_fail(L, "backward: the gradient of '%s' for its input %d has shape %s, the input %s", name_of(L, NODE),
                (int)i + 1, sm_shape_text(given, &gradient->shape), sm_shape_text(expected, &x->shape));
  }
  bool is_leaf = lua_isboolean(L, target);
  if (!goes_on(L, g, input, is_leaf)) return;
  if (is_leaf) lua_copy(L, input, target);
  lua_rawgeti(L, WAY, ARRIVED);
  lua_pushvalue(L, target);
  if (lua_rawget(L, sum - 1) == LUA_TNIL) {
    if (is_leaf) add_leaf(L, input);
  } else {
    lua_rawgeti(L, WAY, PLUS);
    lua_pushvalue(L, sum);
    lua_pushvalue(L, g);
    lua_call(L, 2, 1);
    let_go_of(L, sum, graph);
    exchange(L, g, graph);
  }
  lua_pushvalue(L, target);
  lua_pushvalue(L, g);
  lua_rawset(L, sum - 1);
}

/* pass(way, node, gy, gradient, …): what the node's function has made of gy: a gradient, or nil or false, of each
   input, and then tensors that nobody needs any more. They go on to the inputs, and the node is left. */
static int pass(lua_State *L) {
  luaL_checktype(L, WAY, LUA_TTABLE);
  luaL_checktype(L, NODE, LUA_TTABLE);
  sm_lua_tensor(L, GY);
  int last = lua_gettop(L), given = last - FIRST + 1;
  luaL_checkstack(L, 16, "too many gradients");
  check_unwalked(L, NODE); /* by user code, meanwhile */
  bool graph = is_graph(L);
  size_t holds = sm_lua_node_integer(L, NODE, SM_NODE_KIND) == SM_FOREIGN ? 2 : 1;
  lua_Integer inputs = sm_lua_node_integer(L, NODE, SM_NODE_COUNT);
  int taken = inputs < given ? (int)inputs : given;
  for (int i = 0; i < taken; i++) /* held for each of the inputs that it is of, until it has arrived there */
    if (lua_toboolean(L, FIRST + i)) {
      sm_lua_tensor(L, FIRST + i);
      *sm_lua_held(L, FIRST + i) += holds;
    }
  for (int i = 0; i < taken; i++) {
    if (lua_toboolean(L, FIRST + i)) deliver(L, FIRST + i, i, graph);
    lua_settop(L, last);
  }
  for (int i = taken; i < given && !graph; i++) {
    sm_tensor *between = sm_lua_test_tensor(L, FIRST + i);
    if (between) sm_tensor_release(between);
  }
  leave(L, graph);
  return 0;
}

void sm_lua_add_walk(lua_State *L) {
  static const luaL_Reg functions[] = {{"nodes_before", nodes_before},
                                       {"ready", ready}, {"pass", pass},
                                       {"lend", lend}, {"hold", hold}, {"let_go", let_go}, {"take", take},
                                       {"settle", settle}, {NULL, NULL}};
  sm_lua_add_functions(L, functions);
}
