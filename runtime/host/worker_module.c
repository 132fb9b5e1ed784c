#include "host/worker_module.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/locate.h"
#include "host/worker.h"
#include "io/again.h"

static const char type_name[] = "smrun.worker";
static sm_worker *current; /* the one that may live */

static sm_worker *check_worker(lua_State *L) { return luaL_checkudata(L, 1, type_name); }

static sm_worker *check_living(lua_State *L) {
  sm_worker *worker = check_worker(L);
  if (worker->process == 0) luaL_error(L, "the worker has ended");
  return worker;
}

static double check_seconds(lua_State *L, int index) {
  double seconds = luaL_checknumber(L, index);
  luaL_argcheck(L, seconds >= 0, index, "expected seconds of at least 0");
  return seconds;
}

static int send_message(lua_State *L) {
  sm_worker *worker = check_worker(L);
  size_t length;
  const char *bytes = luaL_checklstring(L, 2, &length);
  luaL_argcheck(L, length <= SM_FRAME_MOST, 2, "a message has at most 16 MiB");
  int error = sm_worker_send(worker, bytes, length);
  if (error == EPIPE) return luaL_error(L, "the worker is gone");
  if (error) return luaL_error(L, "the worker cannot be told: %s", strerror(error));
  return 0;
}

static int push_end(lua_State *L, sm_worker *worker) {
  bool by_signal = WIFSIGNALED(worker->status);
  lua_pushliteral(L, "ended");
  lua_pushstring(L, worker->broken ? "broken" : by_signal ? "signal" : "exit");
  lua_pushinteger(L, by_signal ? WTERMSIG(worker->status) : WEXITSTATUS(worker->status));
  lua_pushstring(L, worker->watch.why);
  lua_pushnumber(L, worker->cpu_seconds);
  worker->ended = true;
  return 5;
}

static int next_event(lua_State *L) {
  sm_worker *worker = check_worker(L);
  double seconds = lua_isnoneornil(L, 2) ? HUGE_VAL : check_seconds(L, 2);
  if (worker->ended) return luaL_error(L, "the worker has ended");
  sm_frame frame;
  sm_worker_event event = sm_worker_next(worker, seconds, &frame);
  switch (event) {
    case SM_WORKER_NOTHING:
      return 0;
    case SM_WORKER_NO_MEMORY:
      return luaL_error(L, "not enough memory");
    case SM_WORKER_ENDED:
      return push_end(L, worker);
    case SM_WORKER_NOISED:
      lua_pushliteral(L, "noise");
      lua_pushlstring(L, (const char *)worker->noise, worker->noise_length);
      break;
    case SM_WORKER_FRAME:
      lua_pushstring(L, frame.kind == 'm' ? "message" : frame.kind == 'o' ? "output" : "errors");
      lua_pushlstring(L, (const char *)frame.bytes, frame.length);
  }
  sm_worker_taken(worker, event, &frame);
  return 2;
}

/* A field of the table at 2 that is a count; more than there can be where it has none. */
static long long count_field(lua_State *L, const char *name, bool *given) {
  lua_Integer count = LLONG_MAX - 1;
  if (lua_getfield(L, 2, name) != LUA_TNIL) {
    int exact;
    count = lua_tointegerx(L, -1, &exact);
    if (!exact || count < 0) luaL_error(L, "%s: expected a whole number of at least 0", name);
    *given = true;
  }
  lua_pop(L, 1);
  return count;
}

/* Opens the directories that the table on top of the stack names; NULL where one cannot be: *failed is its name, and
   errno says why. Raises only before the first is open. */
static int *open_directories(lua_State *L, size_t count, const char **failed) {
  const char **names = lua_newuserdatauv(L, (count + 1) * sizeof *names, 0);
  luaL_checkstack(L, (int)count, "too many directories");
  for (size_t i = 0; i < count; i++) {
    lua_geti(L, -2 - (int)i, (lua_Integer)i + 1);
    names[i] = luaL_checkstring(L, -1);
  }
  int *directories = malloc((count + 1) * sizeof *directories);
  size_t opened = 0;
  *failed = "memory";
  while (directories && opened < count) {
    directories[opened] = sm_open_again(AT_FDCWD, names[opened], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directories[opened] >= 0) {
      opened++;
      continue;
    }
    int error = errno;
    *failed = names[opened];
    while (opened > 0) close(directories[--opened]);
    free(directories);
    directories = NULL;
    errno = error;
  }
  return directories;
}

static int limit(lua_State *L) {
  enum { MOST_DIRECTORIES = 1000 };
  sm_worker *worker = check_living(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  double seconds = -1;
  if (lua_getfield(L, 2, "seconds") != LUA_TNIL) seconds = check_seconds(L, 3);
  lua_settop(L, 2);
  bool disk = false;
  long long bytes = count_field(L, "bytes", &disk), files = count_field(L, "files", &disk);
  if (disk) {
    if (lua_getfield(L, 2, "directories") == LUA_TNIL) lua_newtable(L);
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_Unsigned count = lua_rawlen(L, 3);
    if (count > MOST_DIRECTORIES) return luaL_error(L, "more than %d directories", MOST_DIRECTORIES);
    const char *failed;
    lua_settop(L, 3);
    int *directories = open_directories(L, (size_t)count, &failed);
    if (!directories) return luaL_error(L, "cannot watch %s: %s", failed, strerror(errno));
    int error = sm_watch_disk(&worker->watch, bytes, files, directories, (size_t)count);
    if (error) return luaL_error(L, "cannot watch a disk: %s", strerror(error));
  }
  if (seconds >= 0) sm_watch_time(&worker->watch, seconds);
  return 0;
}

static int patience(lua_State *L) {
  sm_worker *worker = check_living(L);
  sm_watch_patience(&worker->watch, check_seconds(L, 2));
  return 0;
}

static int kill_worker(lua_State *L) {
  sm_worker *worker = check_worker(L);
  if (worker->process != 0) sm_watch_signal(&worker->watch, SIGKILL, NULL);
  return 0;
}

/* Whether it has ended; what it has sent may still be to come. */
static int gone(lua_State *L) {
  sm_worker *worker = check_worker(L);
  siginfo_t info = {0};
  bool lives = worker->process != 0 &&
               waitid(P_PID, (id_t)worker->process, &info, WEXITED | WNOWAIT | WNOHANG) == 0 && info.si_pid == 0;
  lua_pushboolean(L, !lives);
  return 1;
}

static int release(lua_State *L) {
  sm_worker *worker = check_worker(L);
  sm_worker_release(worker);
  worker->ended = true;
  if (current == worker) current = NULL;
  return 0;
}

static sm_worker *new_worker(lua_State *L) {
  static const luaL_Reg methods[] = {{"send", send_message}, {"next", next_event},  {"limit", limit},
                                     {"patience", patience}, {"kill", kill_worker}, {"gone", gone},
                                     {NULL, NULL}};
  static const luaL_Reg own[] = {{"__gc", release}, {"__close", release}, {NULL, NULL}};
  sm_worker *worker = lua_newuserdatauv(L, sizeof *worker, 0);
  sm_worker_clear(worker);
  if (luaL_newmetatable(L, type_name)) {
    luaL_setfuncs(L, own, 0);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
  }
  lua_setmetatable(L, -2);
  return worker;
}

int sm_host_worker(lua_State *L) {
  int shared = (int)luaL_optinteger(L, 2, -1);
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) {
    lua_createtable(L, 1, 0);
    lua_pushliteral(L, "--worker");
    lua_seti(L, -2, 1);
    lua_replace(L, 1);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer count = luaL_len(L, 1);
  luaL_argcheck(L, count >= 1 && count < INT_MAX / 2, 1, "expected at least one word");
  if (current && current->process != 0) return luaL_error(L, "there is a worker already");
  luaL_checkstack(L, (int)count + 5, "too many words");
  const char **words = lua_newuserdatauv(L, (size_t)(count + 2) * sizeof *words, 0);
  sm_host_push_executable(L);
  words[0] = lua_tostring(L, -1);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_geti(L, 1, i);
    words[i] = luaL_checkstring(L, -1);
  }
  words[count + 1] = NULL;
  sm_worker *worker = new_worker(L);
  int error = sm_worker_start(worker, (char *const *)words, shared);
  if (error) return luaL_error(L, "cannot start a worker: %s", strerror(error));
  current = worker;
  return 1;
}
