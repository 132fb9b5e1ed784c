/* The tape: what record.c records and walk.c walks back over. A node is a list, so that its fields are found without
   their names. */
#ifndef SM_BIND_TAPE_H
#define SM_BIND_TAPE_H

#include "bind/bind.h"

/* Of a node; lua/sm/autograd.lua and gradients.lua have the same numbers. */
enum sm_node {
  SM_NODE_NAME = 1, /* of the operation */
  SM_NODE_BACKWARD, /* its gradient, a function; false once the node was walked */
  SM_NODE_SAVED,    /* `versions` of the tensors that this needs, nil or false where it needs none */
  SM_NODE_NUMBER,   /* larger than those of all it depends on */
  SM_NODE_WALK,     /* the last walk that has met it */
  SM_NODE_KIND,
  SM_NODE_COUNT,    /* of inputs */
  SM_NODE_INPUTS    /* where these begin */
};

typedef enum sm_node_kind {
  SM_ONCE,
  SM_TWICE,      /* its gradient has one, too */
  SM_FOREIGN,    /* its gradient is a person's code, which may keep what it is given and what it gives */
  SM_OVERWRITTEN /* the node of all that copy_ has filled: no gradient passes, and it stays */
} sm_node_kind;

typedef struct sm_tape {
  lua_Integer nodes, walks; /* so far */
  int usual;                /* nodes of the last walk */
} sm_tape;

sm_tape *sm_lua_tape(lua_State *L);
int sm_lua_push_node(lua_State *L, int index);       /* of any value: nil, true or a node; its type */
int sm_lua_versions(lua_State *L);                   /* for Lua: versions(x, …) */
bool sm_lua_push_changed(lua_State *L, int versions); /* the first that was changed since, pushed if there is one */
lua_Integer sm_lua_node_integer(lua_State *L, int node, enum sm_node field);
void sm_lua_set_node_integer(lua_State *L, int node, enum sm_node field, lua_Integer value);

#endif
