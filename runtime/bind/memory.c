/* The memory of a Lua state's tensors, and when the collector looks after it. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bind/bind.h"
#include "core/heap.h"

/* Where Lua's own memory comes from: small blocks of ours, and what Lua had before. At the end of a state it outlives
   the rest, until the last small block is given back. */
typedef struct lua_memory {
  sm_heap small;
  lua_State *state;   /* the main thread */
  lua_Alloc allocate; /* that of the state before, and what it is called with */
  void *allocator;
} lua_memory;

/* One per Lua state. The collector sees a tensor as a few dozen bytes, so what really hangs on tensors is watched
   here. It runs in generational mode: a young collection takes what has died since the one before, which in training
   is a step's tensors; only what lived through two of them grows old and waits for a full one. So does, in Lua 5.4,
   what dies after one and has a finalizer: the block of a gradient goes back at once, the few dozen bytes that Lua
   keeps of it do not. */
typedef struct state_memory {
  lua_memory *lua;
  void *reserve;  /* for what has to go on when memory ran out; NULL when that is so */
  int calls;      /* of the allocator, while there is none */
  size_t refused; /* bytes that Lua was refused by the last call, which it asks for again once it has collected */
  sm_memory *memory; /* NULL before the first tensor, and after the last of a state that closes */
  void *scratch;     /* of the kernel call under way, or of one that was given up */
  size_t scratch_bytes;
  size_t after_young; /* bytes live after the last collection */
  size_t after_full;  /* bytes live after the last full collection */
  size_t after_step;  /* bytes live after the last collection at the end of a step */
  size_t needed;      /* the most that was live after a collection within a step */
  bool aged;          /* there was one since the last step */
  size_t heap;        /* Lua's own bytes after it */
} state_memory;

enum {
  RESERVE = 1 << 20,    /* bytes */
  RESERVE_CALLS = 1024, /* of the allocator until the reserve is asked for again */
  SLACK = 64 << 20,      /* bytes of tensors that may pile up unnoticed */
  AGED = 16 << 20,       /* that may have grown old before they died */
  HEAP_SLACK = 16 << 10, /* of Lua's own */
  HEAP_SHARE = 4         /* or as large a part of it: a full collection takes about as long as there is heap */
};

/* How far a step goes, as lua_gc reads it from its variable arguments. */
#if LUA_VERSION_NUM >= 505
typedef size_t gc_step;
#else
typedef int gc_step;
#endif

static const char memory_key = 0; /* its address is the key of the registry's state_memory */

/* Their names can be seen from outside: the tests of failing allocations leave to Lua's collector what they take. */
__attribute__((visibility("default"))) void *sm_lua_allocate(void *, void *, size_t, size_t);
__attribute__((visibility("default"))) void *sm_lua_allocate_block(lua_memory *, void *, size_t, size_t);

/* Lua's allocator has it at hand, but where the state closes, or somebody has put another in front. */
static state_memory *memory_of(lua_State *L) {
  void *own;
  if (lua_getallocf(L, &own) == sm_lua_allocate) return own;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &memory_key);
  own = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return own;
}

sm_memory *sm_lua_memory(lua_State *L) {
  state_memory *own = memory_of(L);
  sm_error error;
  if (!own->memory && !(own->memory = sm_memory_new())) {
    sm_fail(&error, SM_NO_MEMORY, "out of memory");
    sm_lua_raise(L, &error);
  }
  return own->memory;
}

static sm_memory_use use_of(const state_memory *own) {
  return own->memory ? sm_memory_used(own->memory) : (sm_memory_use){0};
}

static size_t live(const state_memory *own) { return use_of(own).live; }

static size_t heap(lua_State *L) {
  return ((size_t)lua_gc(L, LUA_GCCOUNT) << 10) + (size_t)lua_gc(L, LUA_GCCOUNTB);
}

static void collect_all(lua_State *L, state_memory *own) {
  lua_gc(L, LUA_GCCOLLECT);
  own->after_young = own->after_full = live(own);
  own->heap = heap(L);
}

/* A young collection, and a full one when there is old garbage, most likely: when twice as much is alive as after the
   last, or Lua's own memory has grown. */
static void collect_young(lua_State *L, state_memory *own) {
  lua_gc(L, LUA_GCSTEP, (gc_step)0);
  own->after_young = live(own);
  size_t growth = own->heap / HEAP_SHARE > HEAP_SLACK ? own->heap / HEAP_SHARE : HEAP_SLACK;
  if (own->after_young > 2 * own->after_full + SLACK || heap(L) > own->heap + growth) collect_all(L, own);
}

void sm_lua_collect_all(lua_State *L) { collect_all(L, memory_of(L)); }

/* What a step has at hand lives through a collection within it, and grows old: memory that it needs each time is no
   reason for one. */
void sm_lua_collect_if_due(lua_State *L) {
  state_memory *own = memory_of(L);
  size_t usual = own->after_young > own->needed ? own->after_young : own->needed;
  if (live(own) <= 2 * usual + SLACK) return;
  collect_young(L, own);
  if (own->after_young > own->needed) own->needed = own->after_young;
  own->aged = true;
}

int sm_lua_collect(lua_State *L) {
  state_memory *own = memory_of(L);
  collect_young(L, own);
  if (own->aged && own->after_young > own->after_step + AGED) collect_all(L, own);
  own->after_step = own->after_young;
  own->aged = false;
  return 0;
}

int sm_lua_trim(lua_State *L) {
  state_memory *own = memory_of(L);
  collect_all(L, own);
  if (own->memory) sm_memory_trim(own->memory);
  return 0;
}

static void give_scratch(state_memory *own) {
  if (own->scratch) sm_memory_give(own->memory, own->scratch, own->scratch_bytes);
  own->scratch = NULL;
}

static void *take_scratch(state_memory *own, sm_memory *memory, size_t bytes) {
  give_scratch(own);
  own->scratch_bytes = bytes;
  return own->scratch = sm_memory_take(memory, bytes);
}

void *sm_lua_take(lua_State *L, size_t bytes) {
  sm_lua_poison(L);
  if (bytes == 0) return NULL;
  state_memory *own = memory_of(L);
  sm_memory *memory = sm_lua_memory(L);
  if (take_scratch(own, memory, bytes)) return own->scratch;
  for (int i = 0; i < SM_COLLECTIONS; i++) {
    collect_all(L, own);
    if (take_scratch(own, memory, bytes)) return own->scratch;
  }
  sm_error error;
  sm_fail(&error, SM_NO_MEMORY, "out of memory: %zu bytes of scratch", bytes);
  sm_lua_raise(L, &error);
}

void sm_lua_give(lua_State *L) { give_scratch(memory_of(L)); }

#ifdef SM_POISON
/* At every SM_POISON_EVERY-th chance: what trains takes hours otherwise. */
void sm_lua_poison(lua_State *L) {
  static long every = 0, chances = 0;
  const char *wanted = getenv("SM_POISON_EVERY");
  if (!every) every = wanted ? atol(wanted) : 1;
  if (every <= 1 || ++chances % every == 0) lua_gc(L, LUA_GCCOLLECT);
}
#endif

int sm_lua_memory_use(lua_State *L) {
  sm_memory_use use = use_of(memory_of(L));
  lua_pushinteger(L, (lua_Integer)use.live);
  lua_pushinteger(L, (lua_Integer)use.cached);
  return 2;
}

/* ---- Lua's own memory ---- */

/* A block of `after` bytes in place of one of `before`, with what is in both; or NULL, and the old one stays. */
void *sm_lua_allocate_block(lua_memory *lua, void *block, size_t before, size_t after) {
  sm_heap *small = &lua->small;
  bool is_small = block && sm_heap_has(small, block);
  if (block && !is_small) return lua->allocate(lua->allocator, block, before, after);
  void *made = after ? sm_heap_take(small, after) : NULL;
  if (after && !made) made = lua->allocate(lua->allocator, NULL, block ? 0 : before, after);
  if (!block || (after && !made)) return made || after > before ? made : block; /* what shrinks can stay */
  if (made) memcpy(made, block, before < after ? before : after);
  sm_heap_give(small, block, before);
  return made;
}

/* Lua was refused memory, has collected, and is refused it again. What died meanwhile and has a finalizer, tensors say,
   is still there: Lua runs finalizers in its next collection alone. So that comes as soon as Lua goes on, and the
   reserve serves until then. */
static void *last_resort(state_memory *own, void *block, size_t before, size_t after) {
  lua_State *L = own->lua->state;
  if (lua_gc(L, LUA_GCISRUNNING) == 1) lua_gc(L, LUA_GCRESTART); /* changes numbers alone */
  if (!own->reserve) return NULL;
  free(own->reserve);
  own->reserve = NULL;
  own->calls = 0;
  return sm_lua_allocate_block(own->lua, block, before, after);
}

static void take_reserve(state_memory *own) {
  if (own->calls++ % RESERVE_CALLS == 0) own->reserve = malloc(RESERVE);
}

/* Where the system refuses, what tensors have given back is given to it, and it is asked once more. */
void *sm_lua_allocate(void *of_state, void *block, size_t before, size_t after) {
  state_memory *own = of_state;
  void *made = sm_lua_allocate_block(own->lua, block, before, after);
  if (after == 0) return NULL;
  if (made && own->reserve) return made;
  if (made) {
    take_reserve(own);
    return made;
  }
  if (own->memory) {
    sm_memory_trim(own->memory);
    made = sm_lua_allocate_block(own->lua, block, before, after);
  }
  if (!made && own->refused == after) made = last_resort(own, block, before, after);
  own->refused = made || own->refused == after ? 0 : after;
  return made;
}

static void watch_allocator(lua_State *L, state_memory *own) {
  own->lua = malloc(sizeof *own->lua);
  if (!own->lua) luaL_error(L, "not enough memory");
  sm_heap_open(&own->lua->small);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  own->lua->state = lua_tothread(L, -1);
  lua_pop(L, 1);
  own->lua->allocate = lua_getallocf(L, &own->lua->allocator);
  lua_setallocf(L, sm_lua_allocate, own);
}

/* Once nothing is left in small blocks, the state has the allocator that it had before. */
static void leave_if_empty(lua_memory *lua) {
  if (lua->small.live > 0) return;
  lua_setallocf(lua->state, lua->allocate, lua->allocator);
  sm_heap_close(&lua->small);
  free(lua);
}

static void *allocate_at_end(void *lua, void *block, size_t before, size_t after) {
  void *made = sm_lua_allocate_block(lua, block, before, after);
  leave_if_empty(lua);
  return made;
}

/* Of a state that has left it before, nothing. */
static void leave_allocator(lua_State *L, state_memory *own) {
  lua_memory *lua = own->lua;
  own->lua = NULL;
  if (!lua) return;
  lua_setallocf(L, allocate_at_end, lua);
  leave_if_empty(lua);
  free(own->reserve);
  own->reserve = NULL;
}

/* A tensor that outlives its state, as one made by a finalizer when all is over, keeps the memory from being freed. */
static int free_memory(lua_State *L) {
  state_memory *own = memory_of(L);
  if (!own || own != lua_touserdata(L, 1)) return 0;
  leave_allocator(L, own);
  give_scratch(own);
  if (live(own) > 0) return 0;
  sm_memory_free(own->memory);
  own->memory = NULL;
  return 0;
}

/* Finalizers run in reverse order of creation at the end of a state: made before any tensor, freed after all. A module
   that is loaded again finds the memory in which the tensors of before live. */
void sm_lua_open_memory(lua_State *L) {
  if (memory_of(L)) return;
  state_memory *own = lua_newuserdatauv(L, sizeof *own, 0);
  *own = (state_memory){0};
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, free_memory);
  lua_setfield(L, -2, "__gc");
  sm_lua_protect(L);
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &memory_key);
  watch_allocator(L, own);
}
