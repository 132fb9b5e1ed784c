/* Random numbers: runtime.random. Where a stream stands is three integers, kept in Lua: seed, stream, offset. */
#include "bind/bind.h"
#include "core/rng.h"

/* The stream from argument `index` on, for a draw of `count` numbers. */
static sm_rng check_rng(lua_State *L, int index, size_t count) {
  const sm_rng rng = {.seed = (uint64_t)sm_lua_integer(L, index, LUA_MININTEGER, LUA_MAXINTEGER),
                  .stream = (uint32_t)sm_lua_integer(L, index + 1, 0, UINT32_MAX),
                  .offset = (uint64_t)sm_lua_integer(L, index + 2, 0, LUA_MAXINTEGER)};
  if (count > LUA_MAXINTEGER - rng.offset)
    sm_lua_fail(L, "this random stream has %I numbers left, not %I", (LUAI_UACINT)(LUA_MAXINTEGER - rng.offset),
                (LUAI_UACINT)count);
  return rng;
}

typedef void fill(real *out, const sm_rng *rng, size_t n);

static int draw(lua_State *L, fill *kernel) {
  sm_shape shape;
  sm_lua_shape(L, 1, &shape);
  size_t count = sm_shape_count(&shape);
  sm_rng rng = check_rng(L, 2, count);
  const sm_tensor *out = sm_lua_new(L, SM_REAL, &shape);
  kernel(sm_lua_data(L, out), &rng, count);
  return 1;
}

/* each: (shape, seed, stream, offset) → tensor */
static int uniform(lua_State *L) { return draw(L, sm_rng_uniform); }
static int normal(lua_State *L) { return draw(L, sm_rng_normal); }
static int truncated(lua_State *L) { return draw(L, sm_rng_truncated); }

/* permutation(n, seed, stream, offset) → int32 tensor, 0-based */
static int permutation(lua_State *L) {
  sm_shape shape = {.rank = 1, .size = {(size_t)sm_lua_integer(L, 1, 0, INT32_MAX)}};
  sm_rng rng = check_rng(L, 2, shape.size[0]);
  const sm_tensor *out = sm_lua_new(L, SM_INT32, &shape);
  sm_rng_permutation(sm_lua_data(L, out), &rng, shape.size[0]);
  return 1;
}

/* dropout(x, p, seed, stream, offset) → x kept with probability 1-p and scaled, else 0 */
static int dropout(lua_State *L) {
  const sm_tensor *x = sm_lua_real(L, 1);
  double p = sm_lua_number(L, 2);
  if (!(p >= 0 && p < 1)) sm_lua_fail(L, "dropout: the probability must be at least 0 and below 1, got %f", p);
  if (p > SM_DROPOUT_MOST) sm_lua_fail(L, "dropout: the probability must be at most 1 - 2^-24, got 1 - %f", 1 - p);
  size_t count = sm_shape_count(&x->shape);
  sm_rng rng = check_rng(L, 3, count);
  const sm_tensor *y = sm_lua_new(L, SM_REAL, &x->shape);
  sm_dropout(sm_lua_data(L, y), sm_lua_data(L, x), &rng, p, count);
  return 1;
}

/* bits(seed, stream, offset) → an integer of 64 random bits */
static int bits(lua_State *L) {
  sm_rng rng = check_rng(L, 1, 1);
  const uint32_t counter[4] = {(uint32_t)rng.offset, (uint32_t)(rng.offset >> 32), rng.stream, 0};
  const uint32_t key[2] = {(uint32_t)rng.seed, (uint32_t)(rng.seed >> 32)};
  uint32_t word[4];
  sm_philox(word, counter, key);
  lua_pushinteger(L, (lua_Integer)((uint64_t)word[1] << 32 | word[0]));
  return 1;
}

void sm_lua_open_random(lua_State *L) {
  static const luaL_Reg functions[] = {{"uniform", uniform}, {"normal", normal}, {"truncated", truncated},
                                       {"permutation", permutation}, {"dropout", dropout}, {"bits", bits},
                                       {NULL, NULL}};
  sm_lua_functions(L, functions);
}
