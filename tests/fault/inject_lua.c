/* The Lua module of the injector:

     inject.arm(kind, n, length, way)  from now on the n-th of its kind fails, and length - 1 after it. kind: "memory"
                                       or "calls"; way, of calls: "EIO", "ENOSPC", "EINTR", "EAGAIN" or "short", a
                                       transfer of half the bytes. n = 0 counts and fails nothing
     inject.disarm()                   → how many there were, how many failed, what failed first
     inject.child(f)                   calls f in a process of its own → what it returns, a string; "exit" or
                                       "signal"; code
     inject.held()                     → {place = count} of blocks taken outside Lua since arm and not given back
     inject.room(bytes)                lets the address space grow by so many bytes and no more; lifted by room()
     inject.descriptors(), inject.limit(seconds)
*/
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <link.h>
#include <lua.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inject.h"

static int lua_arm(lua_State *L) {
  static const char *const kinds[] = {"", "memory", "calls", NULL};
  static const char *const ways[] = {"EIO", "ENOSPC", "EINTR", "EAGAIN", "short", NULL};
  static const int errors[] = {EIO, ENOSPC, EINTR, EAGAIN, SHORT};
  int kind = luaL_checkoption(L, 1, NULL, kinds), way = luaL_checkoption(L, 4, "EIO", ways);
  long first = (long)luaL_checkinteger(L, 2), length = (long)luaL_optinteger(L, 3, 1);
  atomic_store(&inject_watching, true);
  inject_arm(kind, first, length, errors[way]);
  return 0;
}

static int lua_disarm(lua_State *L) {
  atomic_store(&inject.kind, 0);
  lua_pushinteger(L, atomic_load(&inject.made));
  lua_pushinteger(L, atomic_load(&inject.failed));
  lua_pushstring(L, inject.where);
  return 3;
}

/* Where the code of Lua itself lies, whose blocks its collector counts. */
static int find_lua(struct dl_phdr_info *object, size_t size, void *unused) {
  (void)size, (void)unused;
  uintptr_t code = (uintptr_t)dlsym(RTLD_DEFAULT, "lua_newstate"), first = UINTPTR_MAX, last = 0;
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *part = &object->dlpi_phdr[i];
    if (part->p_type != PT_LOAD || !(part->p_flags & PF_X)) continue;
    uintptr_t start = object->dlpi_addr + part->p_vaddr;
    if (start < first) first = start;
    if (start + part->p_memsz > last) last = start + part->p_memsz;
  }
  if (code < first || code >= last) return 0;
  inject_lua_first = first;
  inject_lua_last = last;
  return 1;
}

static int lua_held(lua_State *L) {
  atomic_store(&inject_watching, false);
  lua_newtable(L);
  for (int i = 0; i < INJECT_SLOTS; i++) {
    if (!inject_held[i].block || inject_held[i].block == &inject_gone) continue;
    Dl_info info = {0};
    dladdr(inject_held[i].caller, &info);
    const char *file = info.dli_fname ? strrchr(info.dli_fname, '/') : NULL;
    const char *base = info.dli_sname ? info.dli_saddr : info.dli_fbase;
    lua_pushfstring(L, "%s %s+%d", file ? file + 1 : "?", info.dli_sname ? info.dli_sname : "?",
                    (int)((const char *)inject_held[i].caller - base));
    lua_pushvalue(L, -1);
    lua_gettable(L, -3);
    lua_Integer count = lua_tointeger(L, -1) + 1;
    lua_pop(L, 1);
    lua_pushinteger(L, count);
    lua_settable(L, -3);
  }
  return 1;
}

static int lua_child(lua_State *L) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return luaL_error(L, "no pipe: %s", strerror(errno));
  fflush(NULL);
  pid_t process = fork();
  if (process < 0) return luaL_error(L, "no process: %s", strerror(errno));
  if (process == 0) {
    close(ends[0]);
    lua_settop(L, 1);
    bool raised = lua_pcall(L, 0, 1, 0) != LUA_OK;
    size_t bytes = 0;
    const char *text = lua_tolstring(L, 1, &bytes);
    if (!text) text = "no string", bytes = strlen(text);
    if (raised && write(ends[1], "raised: ", 8) < 8) _exit(3);
    for (ssize_t put; bytes > 0; text += put, bytes -= (size_t)put)
      if ((put = write(ends[1], text, bytes)) <= 0) _exit(3);
    _exit(raised);
  }
  close(ends[1]);
  luaL_Buffer output;
  luaL_buffinit(L, &output);
  char piece[4096];
  for (ssize_t got; (got = read(ends[0], piece, sizeof piece)) != 0;)
    if (got > 0) luaL_addlstring(&output, piece, (size_t)got);
    else if (errno != EINTR) break;
  luaL_pushresult(&output);
  close(ends[0]);
  int status = 0;
  while (waitpid(process, &status, 0) < 0 && errno == EINTR) continue;
  lua_pushstring(L, WIFSIGNALED(status) ? "signal" : "exit");
  lua_pushinteger(L, WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  return 3;
}

static int lua_descriptors(lua_State *L) {
  enum { MOST = 256 };
  int count = 0;
  for (int i = 0; i < MOST; i++) count += fcntl(i, F_GETFD) >= 0;
  lua_pushinteger(L, count);
  return 1;
}

/* The stack grows in the address space, too, and where it cannot, the process ends: it is as large as it will be. */
static void grow_stack(void) {
  volatile char stack[4 << 20];
  for (size_t i = 0; i < sizeof stack; i += 4096) stack[i] = 0;
}

/* room(bytes): the address space may grow by so many from now on; room() lifts that. */
static int lua_room(lua_State *L) {
  struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
  unsigned long pages = 0;
  getrlimit(RLIMIT_AS, &limit);
  limit.rlim_cur = limit.rlim_max;
  if (!lua_isnoneornil(L, 1)) {
    grow_stack();
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%lu", &pages) != 1) return luaL_error(L, "the size of this process is not known");
    fclose(file);
    limit.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + (rlim_t)luaL_checkinteger(L, 1);
  }
  if (setrlimit(RLIMIT_AS, &limit) != 0) return luaL_error(L, "no limit: %s", strerror(errno));
  return 0;
}

/* limit(seconds): of the processor's time, and twenty times as many by the clock, until this process is killed. */
static int lua_limit(lua_State *L) {
  rlim_t seconds = (rlim_t)luaL_checkinteger(L, 1);
  setrlimit(RLIMIT_CPU, &(struct rlimit){seconds, seconds + 1});
  setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
  alarm((unsigned)(20 * seconds));
  return 0;
}

int luaopen_inject(lua_State *L);

int luaopen_inject(lua_State *L) {
  static const luaL_Reg functions[] = {{"arm", lua_arm}, {"disarm", lua_disarm}, {"child", lua_child},
                                       {"held", lua_held}, {"descriptors", lua_descriptors},
                                       {"limit", lua_limit}, {"room", lua_room}, {NULL, NULL}};
  dl_iterate_phdr(find_lua, NULL);
  luaL_newlib(L, functions);
  return 1;
}
