/* The Lua module "sm.host", which only this program has. */
#ifndef SM_HOST_MODULE_H
#define SM_HOST_MODULE_H

#include <lua.h>

/* version             of this program, such as "0.2.0"
   executable          path of this program
   interrupted()       whether a signal asked to stop
   graceful(boolean)   true: a signal only sets that flag; false: it raises an error in the running Lua code
   set_interruption(v) what that error is
   output_closed()     whether the reader of what is written is gone
   set_threads(count)  threads to compute with; to be called before the numeric libraries are loaded
   start(words, path)  → process: words[1] with the others, quietly, its errors into a file (host/process.h)
   gather(words, seconds)  → what it wrote to standard output, and "done", "failed", "late" or "interrupted"
   ended(process)      nil while it runs, then once "exit", code or "signal", number
   stop(process)       asks it to stop; only before `ended` has told its end
   sleep(seconds)      at most; a signal ends it
   guarded(f)          → a function that calls f while the C stack has room (host/stack.h)
   worker(words)       → another process of this program that runs what is not trusted (host/worker_module.h)
   channel             in such a process: what it says to its supervisor (host/channel.h)
   confine, restrict, wipe_environment: host/confine_module.h */
int sm_host_open(lua_State *L);

#endif
