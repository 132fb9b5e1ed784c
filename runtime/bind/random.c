/* Random numbers: runtime.random. Where a stream stands is three integers, kept in Lua: seed, stream, offset. */
#include <float.h>

#include "bind/random.h"

sm_rng sm_lua_rng(lua_State *L, int index, size_t count) {
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
  sm_rng rng = sm_lua_rng(L, 2, count);
  const sm_tensor *out = sm_lua_new(L, SM_REAL, &shape);
  kernel(sm_lua_data(L, out), &rng, count);
  return 1;
}

/* each: (shape, seed, stream, offset) → tensor */
static int uniform(lua_State *L) { return draw(L, sm_rng_uniform); }
static int normal(lua_State *L) { return draw(L, sm_rng_normal); }
static int truncated(lua_State *L) { return draw(L, sm_rng_truncated); }
static int exponential(lua_State *L) { return draw(L, sm_rng_exponential); }
static int gumbel(lua_State *L) { return draw(L, sm_rng_gumbel); }

/* integers(shape, seed, stream, offset, low, high) → int32 tensor of numbers from low to high - 1 */
static int integers(lua_State *L) {
  sm_shape shape;
  sm_lua_shape(L, 1, &shape);
  size_t count = sm_shape_count(&shape);
  sm_rng rng = sm_lua_rng(L, 2, count);
  lua_Integer low = sm_lua_integer(L, 5, INT32_MIN, INT32_MAX);
  lua_Integer high = sm_lua_integer(L, 6, low + 1, (lua_Integer)INT32_MAX + 1);
  const sm_tensor *out = sm_lua_new(L, SM_INT32, &shape);
  sm_rng_integers(sm_lua_data(L, out), (int32_t)low, (uint64_t)(high - low), &rng, count);
  return 1;
}

/* A tensor's numbers, which are from 0 to `most`; raises for the first that is not. */
static const real *weights_of(lua_State *L, const char *name, const sm_tensor *p, double most) {
  const real *data = sm_lua_data(L, p);
  size_t count = sm_shape_count(&p->shape), wrong = sm_weights_outside(data, most, count);
  if (wrong == count) return data;
  char text[SM_SHAPE_TEXT];
  sm_shape place = p->shape;
  double value = (double)data[wrong];
  for (int axis = place.rank; axis-- > 0; wrong /= p->shape.size[axis])
    place.size[axis] = wrong % p->shape.size[axis] + 1;
  sm_shape_text(text, &place);
  const char *expected = most > 1 ? "finite weights of at least 0" : "probabilities from 0 to 1";
  sm_lua_fail(L, "%s: expected %s, got %f at %s", name, expected, value, text);
}

/* bernoulli(p, seed, stream, offset) → 1 with probability p, else 0 */
static int bernoulli(lua_State *L) {
  const sm_tensor *p = sm_lua_real(L, 1);
  size_t count = sm_shape_count(&p->shape);
  sm_rng rng = sm_lua_rng(L, 2, count);
  const sm_tensor *out = sm_lua_new(L, SM_REAL, &p->shape);
  const real *data = weights_of(L, "bernoulli", p, 1);
  sm_rng_bernoulli(sm_lua_data(L, out), data, &rng, count);
  return 1;
}

/* multinomial(p, n, seed, stream, offset, first) → {…, n} positions in the last axis of p, counted from first */
static int multinomial(lua_State *L) {
  const sm_tensor *p = sm_lua_real(L, 1);
  char text[SM_SHAPE_TEXT];
  if (p->shape.rank == 0 || p->shape.size[p->shape.rank - 1] == 0)
    sm_lua_fail(L, "multinomial: expected weights along the last axis, got shape %s", sm_shape_text(text, &p->shape));
  size_t classes = p->shape.size[p->shape.rank - 1], rows = sm_shape_count(&p->shape) / classes, bytes;
  if (classes > INT32_MAX) sm_lua_fail(L, "multinomial: expected at most %d weights in a row", INT32_MAX);
  sm_shape shape = p->shape;
  size_t n = shape.size[shape.rank - 1] = (size_t)sm_lua_integer(L, 2, 0, INT32_MAX);
  size_t extent;
  if (!sm_shape_extent(&extent, &shape, sizeof(int32_t)))
    sm_lua_fail(L, "a tensor of shape %s is larger than memory can be", sm_shape_text(text, &shape));
  sm_rng rng = sm_lua_rng(L, 3, rows * n);
  int32_t first = (int32_t)sm_lua_integer(L, 6, 0, 1);
  const sm_tensor *out = sm_lua_new(L, SM_INT32, &shape);
  if (!sm_multiply(&bytes, sm_multinomial_scratch(rows, classes), sizeof(double)))
    sm_lua_fail(L, "multinomial: too many weights");
  double *scratch = sm_lua_take(L, bytes);
  const real *data = weights_of(L, "multinomial", p, sizeof(real) == sizeof(double) ? DBL_MAX : (double)FLT_MAX);
  size_t nothing = sm_weights_nothing(data, rows, classes);
  if (nothing < rows)
    sm_lua_fail(L, "multinomial: row %I of the weights has none above 0", (LUAI_UACINT)nothing + 1);
  sm_rng_multinomial(sm_lua_data(L, out), data, scratch, &rng, first, rows, classes, n);
  sm_lua_give(L);
  return 1;
}

/* permutation(n, seed, stream, offset, first) → int32 tensor of first … first + n - 1, shuffled; by default from 0 */
static int permutation(lua_State *L) {
  sm_shape shape = {.rank = 1, .size = {(size_t)sm_lua_integer(L, 1, 0, INT32_MAX)}};
  sm_rng rng = sm_lua_rng(L, 2, shape.size[0]);
  int32_t first = lua_isnoneornil(L, 5) ? 0 : (int32_t)sm_lua_integer(L, 5, 0, 1);
  const sm_tensor *out = sm_lua_new(L, SM_INT32, &shape);
  int32_t *data = sm_lua_data(L, out);
  sm_rng_permutation(data, &rng, shape.size[0]);
  for (size_t i = 0; i < shape.size[0] && first; i++) data[i] += first;
  return 1;
}

/* bits(seed, stream, offset) → an integer of 64 random bits */
static int bits(lua_State *L) {
  sm_rng rng = sm_lua_rng(L, 1, 1);
  const uint32_t counter[4] = {(uint32_t)rng.offset, (uint32_t)(rng.offset >> 32), rng.stream, 0};
  const uint32_t key[2] = {(uint32_t)rng.seed, (uint32_t)(rng.seed >> 32)};
  uint32_t word[4];
  sm_philox(word, counter, key);
  lua_pushinteger(L, (lua_Integer)((uint64_t)word[1] << 32 | word[0]));
  return 1;
}

void sm_lua_open_random(lua_State *L) {
  static const luaL_Reg functions[] = {{"uniform", uniform}, {"normal", normal}, {"truncated", truncated},
                                       {"permutation", permutation}, {"bits", bits},
                                       {"integers", integers}, {"exponential", exponential}, {"gumbel", gumbel},
                                       {"bernoulli", bernoulli}, {"multinomial", multinomial},
                                       {NULL, NULL}};
  sm_lua_functions(L, functions);
}
