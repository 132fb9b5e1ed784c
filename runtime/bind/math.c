/* runtime.math: what reduce.c and product.c add, and numbers as a kernel has them. */
#include "bind/bind.h"

/* rounded(number) → the nearest that a real can be */
static int rounded(lua_State *L) {
  lua_pushnumber(L, (lua_Number)(real)sm_lua_number(L, 1));
  return 1;
}

void sm_lua_open_math(lua_State *L) {
  static const luaL_Reg functions[] = {{"rounded", rounded}, {NULL, NULL}};
  sm_lua_functions(L, functions);
  sm_lua_add_reductions(L);
  sm_lua_add_products(L);
}
