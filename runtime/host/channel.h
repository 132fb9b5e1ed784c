/* The worker's end of what it says to its supervisor: descriptor 3, a UNIX stream socket. */
#ifndef SM_HOST_CHANNEL_H
#define SM_HOST_CHANNEL_H

#include <lua.h>
#include <stdbool.h>

enum { SM_CHANNEL = 3 }; /* the descriptor */

/* Makes stdout and stderr streams that write frames, 'o' and 'e', of whole frames always. To be called before Lua
   opens its libraries, which remember the two. False where descriptor 3 is no UNIX stream socket. */
bool sm_channel_open(void);

/* Pushes the table `channel` of the module; nil where this process is no worker.
   send(bytes)   a message; what was printed before is sent before
   receive()     → the supervisor's next message; nil where it is gone */
void sm_channel_push(lua_State *L);

#endif
