/* runtime.random.resample. */
#include "bind/random.h"
#include "core/resample.h"

/* resample(values, draws, beyond) → of the means of resamples, those that are number `beyond` from the least and from
   the greatest; values: a list of numbers, draws: a real tensor of as many numbers for each resample */
static int resample(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  size_t count = lua_rawlen(L, 1);
  const sm_tensor *draws = sm_lua_real(L, 2);
  size_t resamples = count > 0 ? sm_shape_count(&draws->shape) / count : 0;
  if (resamples == 0) sm_lua_bad_argument(L, 1, "a list of numbers, no more than are drawn");
  size_t beyond = (size_t)sm_lua_integer(L, 3, 1, (lua_Integer)resamples);
  double *values = sm_lua_take(L, (count + 2 * beyond) * sizeof *values);
  for (size_t i = 0; i < count; i++) {
    if (lua_rawgeti(L, 1, (lua_Integer)i + 1) != LUA_TNUMBER) sm_lua_bad_argument(L, 1, "a list of numbers");
    values[i] = lua_tonumber(L, -1);
    lua_pop(L, 1);
  }
  double low, high;
  sm_resample(&low, &high, values, sm_lua_data(L, draws), beyond, values + count, count, resamples);
  sm_lua_give(L);
  lua_pushnumber(L, low);
  lua_pushnumber(L, high);
  return 2;
}

void sm_lua_add_resample(lua_State *L) {
  static const luaL_Reg functions[] = {{"resample", resample}, {NULL, NULL}};
  sm_lua_add_functions(L, functions);
}
