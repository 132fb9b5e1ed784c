/* smrun: a Lua state with the library in reach, run by the command line that is written in Lua (sm.cli). */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/channel.h"
#include "host/interrupt.h"
#include "host/locate.h"
#include "host/module.h"
#include "host/threads.h"
#include "io/descriptors.h"

/* Errors of an experiment are reported by sm.cli; this is for an error of the program itself. */
static int add_traceback(lua_State *L) {
  const char *message = luaL_tolstring(L, 1, NULL);
  luaL_traceback(L, L, message, 1);
  return 1;
}

/* No arguments. Opens the standard libraries, finds the library of smrun, and catches signals. */
static int prepare(lua_State *L) {
  luaL_openlibs(L);
  sm_host_set_paths(L);
  luaL_requiref(L, "sm.host", sm_host_open, 0);
  sm_host_catch_signals(L);
  return 0;
}

enum { WRONG_USAGE = 2 }; /* exit code */

/* Whether this process is a supervisor's worker. A second word names the module that it runs, for tests. */
static bool is_worker(int argc, char **argv) { return argc > 1 && strcmp(argv[1], "--worker") == 0; }

/* Arguments: argc and argv. Calls require("sm.cli").main(arg), or a worker's module in its place, and pushes the exit
   code that it gives. */
static int run(lua_State *L) {
  int argc = (int)lua_tointeger(L, 1);
  char **argv = lua_touserdata(L, 2);
  lua_getglobal(L, "require");
  lua_pushstring(L, !is_worker(argc, argv) ? "sm.cli" : argc > 2 ? argv[2] : "sm.cli.worker");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "main");
  lua_createtable(L, argc, 1);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i);
  }
  lua_call(L, 1, 1);
  return 1;
}

/* Bytes that a terminal might obey are written as in a Lua string. */
static void complain(const char *message) {
  fputs("smrun: ", stderr);
  for (const unsigned char *at = (const unsigned char *)message; *at; at++) {
    bool plain = *at == '\n' || *at == '\t' || (*at >= ' ' && *at < 0x7F);
    fprintf(stderr, plain ? "%c" : "\\%03d", *at);
  }
  fputs("\n", stderr);
}

/* Both calls in turn; the exit code. */
static int protected_run(lua_State *L, int argc, char **argv) {
  lua_pushcfunction(L, add_traceback);
  lua_pushcfunction(L, prepare);
  int status = lua_pcall(L, 0, 0, 0);
  if (status == LUA_OK) {
    lua_pushcfunction(L, run);
    lua_pushinteger(L, argc);
    lua_pushlightuserdata(L, argv);
    status = lua_pcall(L, 2, 1, 1);
  }
  if (status == LUA_OK) return (int)lua_tointeger(L, -1);
  const char *message = lua_tostring(L, -1);
  if (!sm_host_output_closed() || !sm_host_interrupted()) complain(message ? message : "an error without a text");
  return EXIT_FAILURE;
}

/* The exit code: a full disk behind standard output is an error, a reader that has gone is none. */
static int check_output(int code) {
  bool written = fflush(stdout) == 0 && !ferror(stdout);
  if (written || sm_host_output_closed()) return code;
  fputs("smrun: standard output could not be written\n", stderr);
  return code == EXIT_SUCCESS ? EXIT_FAILURE : code;
}

/* Memory that Lua frees is used again a moment later: the allocator does not hand it back in between. */
static void keep_freed_memory(void) {
  enum { MIB = 1 << 20 };
  mallopt(M_TRIM_THRESHOLD, 64 * MIB);
  mallopt(M_MMAP_THRESHOLD, 4 * MIB);
}

int main(int argc, char **argv) {
  if (!sm_fill_descriptors()) return EXIT_FAILURE; /* and nowhere to say so */
  if (is_worker(argc, argv) && !sm_channel_open()) {
    fputs("smrun: --worker is what smrun starts by itself, with a socket as descriptor 3\n", stderr);
    return WRONG_USAGE;
  }
  keep_freed_memory();
  lua_State *L = luaL_newstate();
  if (!L) {
    fputs("smrun: not enough memory\n", stderr);
    return EXIT_FAILURE;
  }
  sm_host_default_threads();
  int code = protected_run(L, argc, argv);
  sm_host_release_signals();
  lua_close(L);
  return check_output(code);
}
