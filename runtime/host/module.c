#include "host/module.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "host/channel.h"
#include "host/confine_module.h"
#include "host/interrupt.h"
#include "host/locate.h"
#include "host/process.h"
#include "host/stack.h"
#include "host/threads.h"
#include "host/worker_module.h"
#include "version.h"

static int interrupted(lua_State *L) {
  lua_pushboolean(L, sm_host_interrupted());
  return 1;
}

static int graceful(lua_State *L) {
  luaL_checktype(L, 1, LUA_TBOOLEAN);
  sm_host_be_graceful(lua_toboolean(L, 1));
  return 0;
}

static int at_prompt(lua_State *L) {
  luaL_checktype(L, 1, LUA_TBOOLEAN);
  sm_host_be_at_prompt(lua_toboolean(L, 1));
  return 0;
}

/* line(f, handler, …) → as xpcall: a call that SIGINT stops, and nothing around it. */
static int line(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushvalue(L, 2); /* handler, f, … */
  lua_remove(L, 2);
  lua_insert(L, 1);
  sm_host_begin_line();
  int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 1);
  sm_host_end_line(L);
  lua_pushboolean(L, status == LUA_OK);
  lua_replace(L, 1);
  return lua_gettop(L);
}

static int unheard(lua_State *L) {
  luaL_checktype(L, 1, LUA_TBOOLEAN);
  sm_host_be_unheard(lua_toboolean(L, 1));
  return 0;
}

static int set_interruption(lua_State *L) {
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  lua_setfield(L, LUA_REGISTRYINDEX, sm_host_interruption);
  return 0;
}

static int output_closed(lua_State *L) {
  lua_pushboolean(L, sm_host_output_closed());
  return 1;
}

static int insisted(lua_State *L) {
  lua_pushboolean(L, sm_host_insisted());
  return 1;
}

static int set_threads(lua_State *L) {
  lua_Integer count = luaL_checkinteger(L, 1);
  luaL_argcheck(L, count >= 1 && count <= INT_MAX, 1, "expected at least 1");
  sm_host_set_threads((int)count);
  return 0;
}

/* The words of the table at 1 as execv takes them; they stay on the stack, and so in memory. */
static char **check_words(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer count = luaL_len(L, 1);
  luaL_argcheck(L, count >= 1 && count < INT_MAX, 1, "expected at least one word");
  luaL_checkstack(L, (int)count + 1, "too many words");
  char **words = lua_newuserdatauv(L, (size_t)(count + 1) * sizeof *words, 0);
  for (lua_Integer i = 0; i < count; i++) {
    lua_geti(L, 1, i + 1);
    words[i] = (char *)luaL_checkstring(L, -1);
  }
  words[count] = NULL;
  return words;
}

static int start(lua_State *L) {
  const char *errors = luaL_checkstring(L, 2);
  char **words = check_words(L);
  pid_t process = sm_host_start(words, errors);
  if (process < 0) return luaL_error(L, "cannot start %s: %s", words[0], strerror(errno));
  lua_pushinteger(L, process);
  return 1;
}

static int gather(lua_State *L) {
  enum { capacity = 1 << 16 };
  double seconds = luaL_optnumber(L, 2, 0);
  char **words = check_words(L);
  char *output = lua_newuserdatauv(L, capacity, 0);
  size_t length;
  int status = 0;
  sm_host_end end = sm_host_gather(words, seconds, output, capacity, &length, &status);
  if (end == SM_HOST_NOT_STARTED) return luaL_error(L, "cannot start %s: %s", words[0], strerror(errno));
  lua_pushlstring(L, output, length);
  bool done = end == SM_HOST_ENDED && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  lua_pushstring(L, done ? "done" : end == SM_HOST_ENDED ? "failed" : end == SM_HOST_LATE ? "late" : "interrupted");
  return 2;
}

static int ended(lua_State *L) {
  int status, over = sm_host_ended((pid_t)luaL_checkinteger(L, 1), &status);
  if (over < 0) return luaL_error(L, "cannot wait for a process: %s", strerror(errno));
  if (!over) return 0;
  bool by_signal = WIFSIGNALED(status);
  lua_pushstring(L, by_signal ? "signal" : "exit");
  lua_pushinteger(L, by_signal ? WTERMSIG(status) : WEXITSTATUS(status));
  return 2;
}

static int stop(lua_State *L) {
  sm_host_stop((pid_t)luaL_checkinteger(L, 1));
  return 0;
}

static int sleep_seconds(lua_State *L) {
  lua_Number seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds >= 0 && seconds < INT_MAX, 1, "expected seconds of at least 0");
  struct timespec time = {.tv_sec = (time_t)seconds};
  time.tv_nsec = (long)(1e9 * (seconds - (lua_Number)time.tv_sec));
  nanosleep(&time, NULL);
  return 0;
}

int sm_host_open(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"interrupted", interrupted},
    {"graceful", graceful},
    {"unheard", unheard},
    {"at_prompt", at_prompt},
    {"line", line},
    {"set_interruption", set_interruption},
    {"output_closed", output_closed},
    {"insisted", insisted},
    {"set_threads", set_threads},
    {"start", start},
    {"gather", gather},
    {"ended", ended},
    {"stop", stop},
    {"sleep", sleep_seconds},
    {"guarded", sm_host_guarded},
    {"worker", sm_host_worker},
    {NULL, NULL},
  };
  luaL_newlib(L, functions);
  sm_host_add_confinement(L);
  lua_pushliteral(L, SM_VERSION);
  lua_setfield(L, -2, "version");
  lua_pushboolean(L, sm_host_threads_by_default());
  lua_setfield(L, -2, "threads_by_default");
  sm_host_push_executable(L);
  lua_setfield(L, -2, "executable");
  lua_getfield(L, LUA_REGISTRYINDEX, sm_host_libraries);
  lua_setfield(L, -2, "libraries");
  sm_channel_push(L);
  lua_setfield(L, -2, "channel");
  return 1;
}
