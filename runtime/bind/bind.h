/* What the binding files share: the one place where a status becomes a Lua error (raise.c), the memory of tensors
   (memory.c), argument checks (check.c) and the tensor userdata (tensor.c). Each of these uses those before it alone.

   Lua code of the user's can run wherever Lua allocates, for a collection calls finalizers. It may release a gradient,
   put other numbers into a tensor, change an option table or the number of threads. So a binding goes in this order:
   1. It reads and copies all arguments, from tables without metamethods, and checks them. Tensors stay on the stack.
   2. It makes its outputs with sm_lua_new, and after them takes scratch with sm_lua_take.
   3. It asks sm_lua_data and sm_lua_change for pointers. A tensor's shape and type never change, so what was checked of
      them still holds; its storage may be gone, and then these two raise. What a kernel relies on in the numbers of a
      tensor, labels or positions, is checked now.
   4. It calls the kernel, which does not raise.
   From 3 on it touches Lua no more, but to raise or to push a boolean or a number. tests/lua/bindings_spec.lua holds
   this up. */
#ifndef SM_BIND_H
#define SM_BIND_H

#include <lauxlib.h>
#include <lua.h>

#include "core/tensor.h"

/* Errors. The message begins with the user's own `file:line:`, the innermost level outside the library. */
_Noreturn void sm_lua_raise(lua_State *L, const sm_error *error);                      /* SM_NO_MEMORY has a kind */
_Noreturn void sm_lua_raise_kind(lua_State *L, const char *message, const char *kind); /* see sm.problem; NULL: none */
_Noreturn void sm_lua_fail(lua_State *L, const char *format, ...); /* formats as lua_pushfstring does */

/* The memory of this state's tensors. */
sm_memory *sm_lua_memory(lua_State *L);
void sm_lua_open_memory(lua_State *L);    /* before any tensor is made */
void sm_lua_collect_all(lua_State *L);    /* a full collection */
/* How many free all that can be freed. What a finalizer has seen goes when it is collected again; until then it lies
   between the blocks of the tensors that it knew. */
enum { SM_COLLECTIONS = 2 };
void sm_lua_collect_if_due(lua_State *L); /* a young one, when much has piled up since the last */
int sm_lua_collect(lua_State *L);         /* for Lua: collect(): a young one, at the end of a training step */
int sm_lua_trim(lua_State *L);            /* trim(): a full one, and memory that lies idle goes back to the system */
int sm_lua_memory_use(lua_State *L);      /* for Lua: memory() → bytes live in tensors, bytes cached for reuse */

/* Scratch for one kernel call: the last thing that is allocated before it. What raises before sm_lua_give leaves the
   block to the next sm_lua_take. sm_lua_take raises when there is no memory, after a full collection did not help;
   bytes = 0 gives NULL. */
void *sm_lua_take(lua_State *L, size_t bytes);
void sm_lua_give(lua_State *L);

/* In the build `make POISON=1` a collection, so that every finalizer runs where one may; else nothing. */
#ifdef SM_POISON
void sm_lua_poison(lua_State *L);
#else
static inline void sm_lua_poison(lua_State *L) { (void)L; }
#endif

/* Hides the metatable on top from getmetatable, so that no script calls what it holds with another object. */
void sm_lua_protect(lua_State *L);

/* A protected metatable, in the registry under `name`, with these methods or NULL; `close` also runs when a value is
   collected or its <close> variable ends. */
void sm_lua_class(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction close);

/* Tensors. The user values of a tensor hold what the tape needs. */
enum {
  SM_GRADIENT = 1,
  SM_UNSEEN = 2, /* true while nobody but the tape and the optimizers has had the gradient in hand, false where a
                    person's optimizer has; without a gradient, what Lua kept of one */
  SM_NODE = 3,
  SM_USER_VALUES = 3
};

void sm_lua_push_metatable(lua_State *L);                             /* that all tensors share */
_Noreturn void sm_lua_released(lua_State *L);                         /* raises */
sm_tensor *sm_lua_push_released(lua_State *L);                        /* so that a failure leaves nothing behind */
sm_tensor *sm_lua_test_tensor(lua_State *L, int index);               /* NULL if it is none */
size_t *sm_lua_held(lua_State *L, int index);                         /* of a tensor: see walk.c */
sm_tensor *sm_lua_tensor(lua_State *L, int index);                    /* raises if it is none, or released */
sm_tensor *sm_lua_real(lua_State *L, int index);                      /* … or not of the real type */
sm_tensor *sm_lua_typed(lua_State *L, int index, sm_dtype dtype);     /* … or not of that type */
sm_tensor *sm_lua_real_or_nil(lua_State *L, int index);               /* NULL for nil */

/* The numbers of a tensor, or NULL of NULL. Raises if it was released meanwhile: see the order above. */
static inline void *sm_lua_data(lua_State *L, const sm_tensor *x) {
  if (x && !x->storage) sm_lua_released(L);
  return x ? x->data : NULL;
}
/* The same, to change them in place: the storage counts it. */
static inline void *sm_lua_change(lua_State *L, sm_tensor *x) {
  void *data = sm_lua_data(L, x);
  if (x) x->storage->version++;
  return data;
}

sm_tensor *sm_lua_new(lua_State *L, sm_dtype dtype, const sm_shape *shape); /* pushes; undefined content */
void sm_lua_put_gradient(lua_State *L, int x); /* x.grad = a gradient of the tape's own, above x on top; pops it */
sm_tensor *sm_lua_like(lua_State *L, int index, bool reuse); /* pushes a tensor like the real one at index, or itself
                                                                if it may be overwritten and nobody shares its data */
sm_tensor *sm_lua_share(lua_State *L, const sm_tensor *base, const sm_shape *shape, size_t offset); /* pushes */

/* Other arguments; each raises a message with the function's name, the argument's number, and what was given. Tables
   are read raw; a list whose metatable gives it more elements than that is refused. */
void sm_lua_plain_list(lua_State *L, int index); /* raises where it is one of these */
void sm_lua_sizes(lua_State *L, int index, sm_shape *sizes);          /* {2, 3}: any sizes of at least 0 */
void sm_lua_shape(lua_State *L, int index, sm_shape *shape);          /* … those of a tensor that can be */
void sm_lua_push_shape(lua_State *L, const sm_shape *shape);
sm_dtype sm_lua_dtype(lua_State *L, int index);                       /* a name, or nil for real */
int sm_lua_axis(lua_State *L, int index, const sm_shape *shape);      /* 1-based or negative → 0-based; nil → -1 */
double sm_lua_number(lua_State *L, int index);
double sm_lua_constant(lua_State *L, int index);                      /* for a kernel; raises unless it survives */
lua_Integer sm_lua_integer(lua_State *L, int index, lua_Integer low, lua_Integer high);
lua_Integer sm_lua_element(lua_State *L, int index, sm_dtype dtype); /* an integer that a type of integers holds */
const char *sm_lua_string(lua_State *L, int index, size_t *bytes);     /* bytes may be NULL */
const char *sm_lua_text(lua_State *L, int index, const char *what);    /* a string without zero bytes: "a path" */
double sm_lua_field_number(lua_State *L, int index, const char *key, double absent);
bool sm_lua_field_boolean(lua_State *L, int index, const char *key);
int sm_lua_field(lua_State *L, int index, const char *key); /* pushes the field of a table; its type */
/* Index number `wrong`, 0-based, of a tensor of them has a value that an axis of `size` has not; they count from
   `first`: 1 positions, 0 labels. */
_Noreturn void sm_lua_bad_index(lua_State *L, const char *name, const sm_tensor *tensor, size_t wrong, int32_t value,
                                int32_t first, size_t size);
_Noreturn void sm_lua_bad_argument(lua_State *L, int index, const char *expected);

/* Pushes a table of functions, each of which carries its name for messages, however it is called. */
void sm_lua_functions(lua_State *L, const luaL_Reg *functions);
void sm_lua_add_functions(lua_State *L, const luaL_Reg *functions); /* to the table on top */

/* Each pushes the table of one binding file. */
void sm_lua_open_tensor(lua_State *L);
void sm_lua_add_values(lua_State *L); /* these two add to the table of tensor.c, which is on top */
void sm_lua_add_rows(lua_State *L);
void sm_lua_open_tape(lua_State *L);
void sm_lua_add_record(lua_State *L); /* these two add to the table of tape.c, which is on top */
void sm_lua_add_walk(lua_State *L);
void sm_lua_open_math(lua_State *L);
void sm_lua_add_reductions(lua_State *L); /* these two add to the table of math.c, which is on top */
void sm_lua_add_products(lua_State *L);
void sm_lua_open_parts(lua_State *L);
void sm_lua_open_pointwise(lua_State *L);
void sm_lua_open_stride(lua_State *L);
void sm_lua_open_index(lua_State *L);
void sm_lua_open_compare(lua_State *L);
void sm_lua_open_expression(lua_State *L);
void sm_lua_open_conv(lua_State *L);
void sm_lua_open_softmax(lua_State *L);
void sm_lua_open_loss(lua_State *L);
void sm_lua_open_attention(lua_State *L);
void sm_lua_open_recurrent(lua_State *L);
void sm_lua_open_normalise(lua_State *L);
void sm_lua_open_optim(lua_State *L);
void sm_lua_open_random(lua_State *L);
void sm_lua_add_dropout(lua_State *L); /* these three add to the table of random.c, which is on top */
void sm_lua_add_augment(lua_State *L);
void sm_lua_add_resample(lua_State *L);
void sm_lua_open_system(lua_State *L);
void sm_lua_open_io(lua_State *L);
void sm_lua_open_ring(lua_State *L);
void sm_lua_add_append(lua_State *L);  /* this one to the table of beneath.c, which is on top */
void sm_lua_add_beneath(lua_State *L); /* these two to the table of io.c, which is on top */
void sm_lua_add_npz(lua_State *L);

#endif
