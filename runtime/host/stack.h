/* The C stack of the thread that runs Lua. */
#ifndef SM_HOST_STACK_H
#define SM_HOST_STACK_H

#include <lua.h>

/* For Lua: guarded(f) → a function that calls f while there is room on the C stack, and raises where there is not.
   Lua 5.4.4 does not count the levels of coroutines that are closed while others are being closed. */
int sm_host_guarded(lua_State *L);

#endif
