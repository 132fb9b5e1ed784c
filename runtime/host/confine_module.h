/* What "sm.host" has for a process that confines itself. */
#ifndef SM_HOST_CONFINE_MODULE_H
#define SM_HOST_CONFINE_MODULE_H

#include <lua.h>

/* Adds to the table on top of the stack:
   confine { read = paths, write = paths }   this process can from here on reach nothing else (host/confine.h); raises
                                             where the kernel cannot hold it to that: the process then has to end
   restrict { memory = bytes, cpu = seconds, file = bytes, descriptors = count }   limits (host/restrict.h)
   wipe_environment() */
void sm_host_add_confinement(lua_State *L);

#endif
