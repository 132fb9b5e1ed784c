/* What the binding files share: the tensor userdata, argument checks, and the one place where a status becomes
   a Lua error. A binding checks its arguments, makes its outputs, then calls the core, which does not raise. */
#ifndef SM_BIND_H
#define SM_BIND_H

#include <lauxlib.h>
#include <lua.h>

#include "core/tensor.h"

/* Errors. The message begins with the user's own `file:line:`, the innermost level outside the library. */
_Noreturn void sm_lua_raise(lua_State *L, const sm_error *error);
_Noreturn void sm_lua_fail(lua_State *L, const char *format, ...); /* formats as lua_pushfstring does */

/* The memory of this state's tensors. */
sm_memory *sm_lua_memory(lua_State *L);
void sm_lua_open_memory(lua_State *L);    /* before any tensor is made */
void sm_lua_collect_all(lua_State *L);    /* a full collection */
void sm_lua_collect_if_due(lua_State *L); /* a young one, when much has piled up since the last */
int sm_lua_collect(lua_State *L);         /* for Lua: collect(): a young one, at the end of a training step */
int sm_lua_memory_use(lua_State *L);      /* for Lua: memory() → bytes live in tensors, bytes cached for reuse */

/* Scratch for one kernel call. Between take and give nothing may raise. sm_lua_take raises when there is no
   memory, after a full collection did not help; bytes = 0 gives NULL. */
void *sm_lua_take(lua_State *L, size_t bytes);
void sm_lua_give(lua_State *L, void *block, size_t bytes);

/* Tensors. The user values of a tensor hold what the tape needs. */
enum {
  SM_GRADIENT = 1,
  SM_UNSEEN = 2, /* true while nobody but the tape and the optimizers has had the gradient in hand */
  SM_NODE = 3,
  SM_USER_VALUES = 3
};

sm_tensor *sm_lua_test_tensor(lua_State *L, int index);               /* NULL if it is none */
sm_tensor *sm_lua_tensor(lua_State *L, int index);                    /* raises if it is none, or released */
sm_tensor *sm_lua_real(lua_State *L, int index);                      /* … or not of the real type */
sm_tensor *sm_lua_typed(lua_State *L, int index, sm_dtype dtype);     /* … or not of that type */
sm_tensor *sm_lua_real_or_nil(lua_State *L, int index);               /* NULL for nil */
sm_tensor *sm_lua_real_to_change(lua_State *L, int index);            /* … and counts as changed in place from now on */
sm_tensor *sm_lua_new(lua_State *L, sm_dtype dtype, const sm_shape *shape); /* pushes; undefined content */
sm_tensor *sm_lua_like(lua_State *L, int index, bool reuse); /* pushes a tensor like the real one at index, or itself
                                                                if it may be overwritten and nobody shares its data */
sm_tensor *sm_lua_share(lua_State *L, const sm_tensor *base, const sm_shape *shape, size_t offset); /* pushes */

/* Other arguments; each raises a message with the function's name, the argument's number, and what was given. */
void sm_lua_sizes(lua_State *L, int index, sm_shape *sizes);          /* {2, 3}: any sizes of at least 0 */
void sm_lua_shape(lua_State *L, int index, sm_shape *shape);          /* … those of a tensor that can be */
void sm_lua_push_shape(lua_State *L, const sm_shape *shape);
sm_dtype sm_lua_dtype(lua_State *L, int index);                       /* a name, or nil for real */
int sm_lua_axis(lua_State *L, int index, const sm_shape *shape);      /* 1-based or negative → 0-based; nil → -1 */
double sm_lua_number(lua_State *L, int index);
double sm_lua_constant(lua_State *L, int index);                      /* for a kernel; raises unless it survives */
lua_Integer sm_lua_integer(lua_State *L, int index, lua_Integer low, lua_Integer high);
double sm_lua_field_number(lua_State *L, int index, const char *key, double absent);
bool sm_lua_field_boolean(lua_State *L, int index, const char *key);
_Noreturn void sm_lua_bad_argument(lua_State *L, int index, const char *expected);

/* Pushes a table of functions, each of which carries its name for messages, however it is called. */
void sm_lua_functions(lua_State *L, const luaL_Reg *functions);
void sm_lua_add_functions(lua_State *L, const luaL_Reg *functions); /* to the table on top */

/* Each pushes the table of one binding file. */
void sm_lua_open_tensor(lua_State *L);
void sm_lua_add_values(lua_State *L); /* these two add to the table of tensor.c, which is on top */
void sm_lua_add_rows(lua_State *L);
void sm_lua_open_tape(lua_State *L);
void sm_lua_open_math(lua_State *L);
void sm_lua_open_conv(lua_State *L);
void sm_lua_open_softmax(lua_State *L);
void sm_lua_open_optim(lua_State *L);
void sm_lua_open_random(lua_State *L);
void sm_lua_open_system(lua_State *L);
void sm_lua_open_io(lua_State *L);
void sm_lua_add_beneath(lua_State *L); /* to the table of io.c, which is on top */

#endif
