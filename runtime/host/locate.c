#include "host/locate.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const sm_host_libraries = "smrun.libraries";

void sm_host_push_executable(lua_State *L) {
  char path[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  if (length < 0) { /* no /proc: the name by which the kernel found the program */
    const char *name = (const char *)getauxval(AT_EXECFN);
    if (!name || !realpath(name, path)) {
      luaL_error(L, "where is this program? /proc/self/exe cannot be read, and %s: %s", name ? name : "its name",
                 strerror(errno));
    }
    length = (ssize_t)strlen(path);
  }
  lua_pushlstring(L, path, (size_t)length);
}

/* Replaces the path on top of the stack by the directory that holds it. */
static void to_parent(lua_State *L) {
  const char *path = lua_tostring(L, -1);
  const char *slash = strrchr(path, '/');
  lua_pushlstring(L, path, slash ? (size_t)(slash - path) : 0);
  lua_remove(L, -2);
}

static bool same_directory(const char *one, const char *other) {
  struct stat a, b;
  return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* package[field] = `first`, then the system's default, then what the environment adds to it. The field holds
   the default, or what the environment says in its place. */
static void set_path(lua_State *L, const char *field, const char *first, const char *system) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, field);
  const char *present = lua_tostring(L, -1);
  bool from_environment = present && strcmp(present, system) != 0;
  lua_pushfstring(L, "%s;%s%s%s", first, system, from_environment ? ";" : "", from_environment ? present : "");
  lua_setfield(L, -3, field);
  lua_pop(L, 2);
}

/* A searcher (package.searchers) for the modules of the library, whose directories are upvalues 1 (Lua) and 2 (C).
   Upvalue 3 is what its Lua files have as globals, 4 is package.loadlib. */
static int search_library(lua_State *L) {
  static const char *const forms[] = {"%s/%s.lua", "%s/%s/init.lua"};
  const char *name = luaL_checkstring(L, 1), *file = luaL_gsub(L, name, ".", "/");
  if (strchr(name, '/') || (strcmp(file, "sm") != 0 && strncmp(file, "sm/", 3) != 0)) return 0;
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    const char *path = lua_pushfstring(L, forms[i], lua_tostring(L, lua_upvalueindex(1)), file);
    if (access(path, R_OK) != 0) continue;
    if (luaL_loadfilex(L, path, "t") != LUA_OK)
      return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", name, path, lua_tostring(L, -1));
    lua_pushvalue(L, lua_upvalueindex(3));
    lua_setupvalue(L, -2, 1);
    lua_pushstring(L, path);
    return 2;
  }
  const char *path = lua_pushfstring(L, "%s/%s.so", lua_tostring(L, lua_upvalueindex(2)), file);
  if (access(path, R_OK) != 0) return 0;
  lua_pushvalue(L, lua_upvalueindex(4));
  lua_pushstring(L, path);
  lua_pushfstring(L, "luaopen_%s", luaL_gsub(L, name, ".", "_"));
  lua_remove(L, -2);
  lua_call(L, 2, 2);
  if (lua_isnil(L, -2)) return luaL_error(L, "error loading module '%s': %s", name, lua_tostring(L, -1));
  lua_pushstring(L, path);
  lua_replace(L, -2);
  return 2;
}

/* Pushes a table with what the one on top of the stack has. */
static void push_copy(lua_State *L) {
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, -3);) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_settable(L, -4);
  }
}

/* Pushes globals of the library's own: Lua's standard libraries as they are now, out of a script's reach. The table
   `package` is the one that `require` works with. */
static void push_globals(lua_State *L) {
  static const char *const libraries[] = {"coroutine", "debug", "io", "math", "os", "string", "table", "utf8"};
  lua_pushglobaltable(L);
  push_copy(L);
  lua_remove(L, -2);
  for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
    lua_getfield(L, -1, libraries[i]);
    push_copy(L);
    lua_setfield(L, -3, libraries[i]);
    lua_pop(L, 1);
  }
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "_G");
}

/* Puts the searcher behind that of package.preload. */
static void add_searcher(lua_State *L, const char *scripts, const char *modules) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchers");
  for (lua_Integer i = luaL_len(L, -1); i >= 2; i--) {
    lua_geti(L, -1, i);
    lua_seti(L, -2, i + 1);
  }
  lua_pushstring(L, scripts);
  lua_pushstring(L, modules);
  push_globals(L);
  lua_getfield(L, -5, "loadlib");
  lua_pushcclosure(L, search_library, 4);
  lua_seti(L, -2, 2);
}

void sm_host_set_paths(lua_State *L) {
  int top = lua_gettop(L);
  const char *scripts = SM_SOURCE_LUA, *modules = SM_BUILD_DIR "/lib";
  sm_host_push_executable(L);
  to_parent(L);
  if (!same_directory(lua_tostring(L, -1), SM_BUILD_DIR)) {
    to_parent(L);
    const char *prefix = lua_tostring(L, -1);
    scripts = lua_pushfstring(L, "%s/share/smrun/lua", prefix);
    modules = lua_pushfstring(L, "%s/lib/smrun", prefix);
    const char *of_rock = lua_pushfstring(L, "%s/share/lua/" LUA_VERSION_MAJOR "." LUA_VERSION_MINOR, prefix);
    if (access(scripts, F_OK) != 0 && access(lua_pushfstring(L, "%s/sm", of_rock), F_OK) == 0) {
      scripts = of_rock;
      modules = lua_pushfstring(L, "%s/lib/lua/" LUA_VERSION_MAJOR "." LUA_VERSION_MINOR, prefix);
    }
  }
  const char *probe = lua_pushfstring(L, "%s/sm/cli/init.lua", scripts);
  if (access(probe, R_OK) != 0) {
    luaL_error(L, "the library of smrun is not where it should be: cannot read %s (%s)", probe, strerror(errno));
  }
  lua_pushstring(L, modules);
  lua_setfield(L, LUA_REGISTRYINDEX, sm_host_libraries);
  add_searcher(L, scripts, modules);
  if (strpbrk(scripts, ";?") || strpbrk(modules, ";?")) {
    scripts = modules = "/dev/null"; /* where no file can be */
  }
  const char *lua_path = lua_pushfstring(L, "%s/?.lua;%s/?/init.lua", scripts, scripts);
  set_path(L, "path", lua_path, LUA_PATH_DEFAULT);
  const char *c_path = lua_pushfstring(L, "%s/?.so", modules);
  set_path(L, "cpath", c_path, LUA_CPATH_DEFAULT);
  lua_settop(L, top);
}
