/* Where the program and its library lie. */
#ifndef SM_HOST_LOCATE_H
#define SM_HOST_LOCATE_H

#include <lua.h>

/* Pushes the path of this program. Raises when the system does not tell. */
void sm_host_push_executable(lua_State *L);

/* Puts a searcher for the library behind that of package.preload: its Lua files run with globals of their own, copies
   of Lua's, so that no script changes what they call. The library is also in front of package.path and package.cpath,
   unless ';' or '?' is in its directories' names; then come the system's modules, then those that the environment
   (LUA_PATH, LUA_CPATH) names. From the build directory the library is the source tree's; otherwise, for a program at
   PREFIX/bin/smrun, it is PREFIX/share/smrun/lua and PREFIX/lib/smrun, or where LuaRocks puts it,
   PREFIX/share/lua/5.4 and PREFIX/lib/lua/5.4. Raises when it is not there, saying where it was looked for. */
void sm_host_set_paths(lua_State *L);

/* The key in the registry of the directory of the library's modules in C, once the paths are set. */
extern const char *const sm_host_libraries;

#endif
