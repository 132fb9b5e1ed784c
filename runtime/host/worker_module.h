/* A worker, for Lua. */
#ifndef SM_HOST_WORKER_MODULE_H
#define SM_HOST_WORKER_MODULE_H

#include <lua.h>

/* worker(words)  → a worker: this program with these words after its name, by default "--worker"; one at a time.
   A worker has these methods. All but `kill` raise where it cannot be.
   send(bytes)        a message
   next(seconds)      → "message", "output", "errors" or "noise", and bytes; nil where nothing comes in time, and once
                      after a signal; at last, and once, "ended", then "exit", "signal" or "broken", the exit code or
                      the signal's number, why ("time", "disk", "files", "signal", "broken" or nil), and seconds of
                      processors
   limit { seconds =, bytes =, files =, directories = {…} }   from now on (host/watch.h); what is not given stays
   patience(seconds)  how long it may go on after a signal was passed on to it
   kill()             at once; its end still comes through `next` */
int sm_host_worker(lua_State *L);

#endif
