/* The one place where an error of Lua is raised, with the user's own line in front. */
#include <string.h>

#include "bind/bind.h"

/* Pushes "file:line: " of the innermost Lua function outside the library, or "" where there is none. */
static void push_user_position(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, "sm.own_sources");
  size_t length = 0;
  const char *library = lua_tolstring(L, -1, &length);
  enum { MOST_LEVELS = 10000 }; /* finding each takes longer the deeper it is */
  lua_Debug info;
  for (int level = 0; level < MOST_LEVELS && lua_getstack(L, level, &info); level++) {
    lua_getinfo(L, "Sl", &info);
    bool ours = library && strncmp(info.source, library, length) == 0;
    if (info.currentline > 0 && !ours) {
      lua_pop(L, 1);
      lua_pushfstring(L, "%s:%d: ", info.short_src, info.currentline);
      return;
    }
  }
  lua_pop(L, 1);
  lua_pushliteral(L, "");
}

/* The message on top as sm.text.visible writes it, once that is known: plain Lua shows a message as it is. */
static void make_visible(lua_State *L) {
  if (lua_getfield(L, LUA_REGISTRYINDEX, "sm.visible") != LUA_TFUNCTION) {
    lua_pop(L, 1);
    return;
  }
  lua_insert(L, -2);
  lua_pushliteral(L, "\n\t"); /* stay as they are */
  lua_pcall(L, 2, 1, 0);       /* an error in it, of no memory, is raised instead */
}

/* A message that quotes something very long loses its middle: it is read by people. */
static void shorten(lua_State *L) { /* [message] on top */
  enum { MOST = 4000, BEGINNING = 1000, END = 500 };
  size_t length;
  const char *text = lua_tolstring(L, -1, &length);
  if (length <= MOST) return;
  lua_pushlstring(L, text, BEGINNING);
  lua_pushfstring(L, " … (%I bytes) … ", (LUAI_UACINT)(length - BEGINNING - END));
  lua_pushlstring(L, text + length - END, END);
  lua_concat(L, 3);
  lua_replace(L, -2);
}

/* The message becomes an error of a kind, once sm.problem is known, which makes one. */
static void make_problem(lua_State *L, const char *kind) { /* [words, message] on top */
  if (lua_getfield(L, LUA_REGISTRYINDEX, "sm.problem") != LUA_TFUNCTION) {
    lua_pop(L, 1);
    return;
  }
  lua_insert(L, -3);
  lua_insert(L, -2); /* [problem, message, words] */
  lua_pushstring(L, kind);
  lua_insert(L, -3);
  lua_call(L, 3, 1);
}

_Noreturn static void raise_message(lua_State *L, const char *kind) { /* [words] on top */
  luaL_checkstack(L, 8, NULL);
  shorten(L);
  lua_pushvalue(L, -1);
  push_user_position(L);
  lua_insert(L, -2);
  lua_concat(L, 2);
  make_visible(L);
  if (kind) make_problem(L, kind);
  lua_error(L);
  __builtin_unreachable();
}

void sm_lua_raise(lua_State *L, const sm_error *error) {
  lua_pushstring(L, error->message);
  raise_message(L, error->status == SM_NO_MEMORY ? "memory" : NULL);
}

void sm_lua_raise_kind(lua_State *L, const char *message, const char *kind) {
  lua_pushstring(L, message);
  raise_message(L, kind);
}

void sm_lua_fail(lua_State *L, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  lua_pushvfstring(L, format, arguments);
  va_end(arguments);
  raise_message(L, NULL);
}
