/* The Lua module sm.mpi: the ranks of one run. It is a module of its own, so that smrun runs where MPI is not. */
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <unistd.h>

#include "mpi/wire.h"

/* What only rank 0 says to the person goes nowhere on the others. */
static bool silence_output(void) {
  int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  bool silent = nowhere >= 0 && dup2(nowhere, STDOUT_FILENO) >= 0;
  if (nowhere >= 0) close(nowhere);
  return silent;
}

/* start() → {rank=(from 0), ranks=, here=(those on this machine), sharing=(those that may run on cores of this one's),
   memory=(a descriptor)} */
static int start(lua_State *L) {
  sm_wire_place place;
  char words[SM_RING_WORDS];
  if (!sm_wire_start(&place, words)) return luaL_error(L, "%s", words);
  if (place.rank > 0 && !silence_output()) return luaL_error(L, "/dev/null cannot be opened");
  lua_createtable(L, 0, 4);
  lua_pushinteger(L, place.rank);
  lua_setfield(L, -2, "rank");
  lua_pushinteger(L, place.ranks);
  lua_setfield(L, -2, "ranks");
  lua_pushinteger(L, place.here);
  lua_setfield(L, -2, "here");
  lua_pushinteger(L, place.sharing);
  lua_setfield(L, -2, "sharing");
  lua_pushinteger(L, place.memory);
  lua_setfield(L, -2, "memory");
  return 1;
}

/* problem() → what keeps the run from going on; nil while nothing does */
static int problem(lua_State *L) {
  lua_pushstring(L, sm_wire_problem());
  return 1;
}

/* fail(words) → whether rank 0 tells the person of it */
static int fail(lua_State *L) {
  lua_pushboolean(L, sm_wire_fail(luaL_checkstring(L, 1)));
  return 1;
}

/* finish(code) → code, once all ranks have ended; does not come back where one has failed */
static int finish(lua_State *L) {
  lua_pushinteger(L, sm_wire_finish((int)luaL_checkinteger(L, 1)));
  return 1;
}

__attribute__((visibility("default"))) int luaopen_sm_mpi(lua_State *L);

int luaopen_sm_mpi(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"start", start}, {"problem", problem}, {"fail", fail}, {"finish", finish}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
