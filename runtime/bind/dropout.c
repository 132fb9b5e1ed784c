/* runtime.random.dropout. */
#include "bind/random.h"
#include "core/dropout.h"

/* dropout(x, p, seed, stream, offset) → x kept with probability 1-p and scaled, else 0 */
static int dropout(lua_State *L) {
  const sm_tensor *x = sm_lua_real(L, 1);
  double p = sm_lua_number(L, 2);
  if (!(p >= 0 && p < 1)) sm_lua_fail(L, "dropout: the probability must be at least 0 and below 1, got %f", p);
  if (p > SM_DROPOUT_MOST) sm_lua_fail(L, "dropout: the probability must be at most 1 - 2^-24, got 1 - %f", 1 - p);
  size_t count = sm_shape_count(&x->shape);
  sm_rng rng = sm_lua_rng(L, 3, count);
  const sm_tensor *y = sm_lua_new(L, SM_REAL, &x->shape);
  sm_dropout(sm_lua_data(L, y), sm_lua_data(L, x), &rng, p, count);
  return 1;
}

void sm_lua_add_dropout(lua_State *L) {
  static const luaL_Reg functions[] = {{"dropout", dropout}, {NULL, NULL}};
  sm_lua_add_functions(L, functions);
}
