/* The ring in which this process says what all ranks are to make of its numbers: runtime.ring, see mpi/ring.h. There is
   one, and it is there to the end of the process. sm.collective is what others use. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bind/bind.h"
#include "mpi/ring.h"

static sm_ring_client client;

static void need_ring(lua_State *L) {
  if (!client.ring) sm_lua_fail(L, "this process has no ring: it is no rank");
}

/* attach(descriptor) → rank, from 0, and how many ranks there are. The descriptor is closed. */
static int attach(lua_State *L) {
  int file = (int)sm_lua_integer(L, 1, 0, INT32_MAX);
  if (client.ring) sm_lua_fail(L, "this process has a ring already");
  sm_ring *ring = sm_ring_map(file);
  if (!ring) sm_lua_fail(L, "the ring of this rank cannot be reached: %s", strerror(errno));
  close(file);
  uint32_t posted = atomic_load(&ring->posted); /* by a process that was here before */
  client = (sm_ring_client){.ring = ring, .posted = posted, .taken = posted};
  lua_pushinteger(L, ring->rank);
  lua_pushinteger(L, ring->ranks);
  return 2;
}

/* The elements of a tensor from a position on, which argument 2 says. */
static size_t check_rest(lua_State *L, const sm_tensor *x, size_t *from) {
  size_t count = sm_shape_count(&x->shape);
  *from = (size_t)sm_lua_integer(L, 2, 0, (lua_Integer)count);
  return count - *from;
}

/* put(x, from) → the position up to which its numbers were put, and whether that is the end: no slot is free else */
static int put(lua_State *L) {
  need_ring(L);
  sm_tensor *x = sm_lua_real(L, 1);
  size_t from, rest = check_rest(L, x, &from);
  const real *data = sm_lua_data(L, x);
  size_t put = rest > 0 ? sm_ring_put(&client, data + from, rest) : 0;
  lua_pushinteger(L, (lua_Integer)(from + put));
  lua_pushboolean(L, put == rest);
  return 2;
}

/* take(x, from) → the position up to which the sums lie in x, and whether that is the end. x counts as changed when
   they come first. */
static int take(lua_State *L) {
  need_ring(L);
  sm_tensor *x = sm_lua_test_tensor(L, 1); /* one that was released since gets nothing */
  if (!x) sm_lua_bad_argument(L, 1, "a tensor");
  size_t from, rest = check_rest(L, x, &from);
  real *data = !x->storage ? NULL : from == 0 ? sm_lua_change(L, x) : sm_lua_data(L, x);
  size_t taken = sm_ring_take(&client, data ? data + from : NULL, rest);
  lua_pushinteger(L, (lua_Integer)(from + taken));
  lua_pushboolean(L, taken == rest);
  return 2;
}

static int flush(lua_State *L) {
  need_ring(L);
  sm_ring_flush(&client);
  return 0;
}

static int push_await(lua_State *L) {
  if (sm_ring_await(&client)) return 0;
  lua_pushstring(L, client.ring->words);
  return 1;
}

/* await() → nil when the oldest slot is done; else why nothing will be done any more */
static int await(lua_State *L) {
  need_ring(L);
  return push_await(L);
}

/* exchange(kind, bytes) → what all ranks make of it: "sum" of doubles, "first"; or nil, and why it will not be. At most
   a slot's bytes, after all sums were taken. */
static int exchange(lua_State *L) {
  static const char *const names[] = {"sum", "first", NULL};
  static const sm_ring_kind kinds[] = {SM_RING_DOUBLES, SM_RING_FIRST};
  need_ring(L);
  sm_ring_kind kind = kinds[luaL_checkoption(L, 1, NULL, names)];
  size_t bytes;
  const char *data = sm_lua_string(L, 2, &bytes);
  if (bytes > SM_RING_BYTES) sm_lua_bad_argument(L, 2, "no more bytes than a slot holds");
  if (client.filled > 0 || client.posted != client.taken) sm_lua_fail(L, "there are sums that were not waited for");
  sm_ring_post(&client, kind, data, bytes);
  lua_pushnil(L);
  if (push_await(L) > 0) return 2;
  lua_pushlstring(L, sm_ring_done(&client), bytes);
  return 1;
}

void sm_lua_open_ring(lua_State *L) {
  static const luaL_Reg functions[] = {{"attach", attach}, {"put", put},           {"take", take}, {"flush", flush},
                                       {"await", await},   {"exchange", exchange}, {NULL, NULL}};
  sm_lua_functions(L, functions);
  lua_pushinteger(L, SM_RING_BYTES);
  lua_setfield(L, -2, "bytes");
}
