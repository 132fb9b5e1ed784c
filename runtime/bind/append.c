/* Files that grow by whole pieces, beneath a directory that may be a stranger's: runtime.io.beneath.append. See
   io/append.h. What cannot be done is nil and the reason. */
#include "bind/bind.h"
#include "io/append.h"

static const char *const APPENDER = "sm.appender";

static sm_appender *any_appender(lua_State *L) {
  sm_appender *appender = luaL_testudata(L, 1, APPENDER);
  if (!appender) sm_lua_bad_argument(L, 1, "a file to append to");
  return appender;
}

static sm_appender *check_appender(lua_State *L) {
  sm_appender *appender = any_appender(L);
  if (appender->descriptor < 0) sm_lua_fail(L, "this file is closed");
  return appender;
}

static int done(lua_State *L, sm_status status, const sm_error *error) {
  lua_settop(L, 0);
  if (status == SM_OK) {
    lua_pushboolean(L, true);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, error->message);
  return 2;
}

/* append(directory, name) → a file, made where there is none; nil and the reason, and "link" where that is one */
static int append(lua_State *L) {
  const char *directory = sm_lua_text(L, 1, "a directory"), *name = sm_lua_text(L, 2, "a name");
  size_t root = lua_rawlen(L, 1);
  if (root == 0) sm_lua_bad_argument(L, 1, "a directory");
  const char *path = lua_pushfstring(L, "%s/%s", directory, name);
  sm_appender *appender = lua_newuserdatauv(L, sizeof *appender, 0);
  *appender = (sm_appender){.descriptor = -1};
  luaL_setmetatable(L, APPENDER);
  sm_error error;
  sm_status status = sm_appender_open_beneath(appender, path, root, &error);
  if (status == SM_OK) return 1;
  lua_pushnil(L);
  lua_pushstring(L, error.message);
  lua_pushstring(L, status == SM_LINK ? "link" : NULL); /* NULL: nil */
  return 3;
}

/* appender:write(text) → true: all of it is in the file, or nothing */
static int appender_write(lua_State *L) {
  size_t bytes;
  const char *text = sm_lua_string(L, 2, &bytes);
  sm_error error;
  return done(L, sm_appender_write(check_appender(L), text, bytes, &error), &error);
}

/* appender:sync() → true: what was written is on the disk. After a failure it is never tried again. */
static int appender_sync(lua_State *L) {
  sm_error error;
  return done(L, sm_appender_sync(check_appender(L), &error), &error);
}

/* appender:close() → true, also where it is closed */
static int appender_close(lua_State *L) {
  sm_error error;
  return done(L, sm_appender_close(any_appender(L), &error), &error);
}

/* Adds `append` to the table on top, and the class of what it gives. */
void sm_lua_add_append(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"write", appender_write}, {"sync", appender_sync}, {"close", appender_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"append", append}, {NULL, NULL}};
  sm_lua_class(L, APPENDER, methods, appender_close);
  sm_lua_add_functions(L, functions);
}
