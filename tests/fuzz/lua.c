/* Readers that are written in Lua. One state has the library loaded; the script of the harness's name gives a function
   that takes the bytes of an input and returns what is wrong, or nil. libFuzzer sees the lines that run. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"

int luaopen_sm_runtime(lua_State *L);

enum { COUNTERS = 1 << 16, MOST_BYTES = 1 << 26, MOST_INPUT = 1 << 16 };

__attribute__((used, section("__libfuzzer_extra_counters"))) static uint8_t counters[COUNTERS];

static lua_State *L;
static size_t in_use, most; /* bytes of Lua's; an input that takes many is a finding */
static uint32_t before;     /* the line before this one */

static void *allocate(void *ud, void *block, size_t old, size_t new) {
  (void)ud;
  if (!block) old = 0;
  if (new > old && in_use + (new - old) > most) return NULL;
  in_use += new - old;
  if (new > 0) return realloc(block, new);
  free(block);
  return NULL;
}

/* Which file a line is of shows in the line before it, mostly: to ask costs more than the line does. */
static void count_line(lua_State *state, lua_Debug *line) {
  (void)state;
  uint32_t hash = (uint32_t)line->currentline * 2654435761u >> 8;
  counters[(hash ^ before) % COUNTERS]++;
  before = hash >> 1;
}

/* write(ending, bytes) → the path of a file in memory with these bytes */
static int write_input(lua_State *state) {
  size_t size;
  const char *ending = luaL_checkstring(state, 1), *bytes = luaL_checklstring(state, 2, &size);
  lua_pushstring(state, input_file(ending, bytes, size));
  return 1;
}

/* Runs a script of tests/fuzz with write; its result stays on the stack. */
static void load_script(const char *root, const char *name) {
  lua_pushfstring(L, "package.path = '%s/lua/?.lua;%s/lua/?/init.lua;%s/tests/fuzz/?.lua;' .. package.path", root, root,
                  root);
  if (luaL_dostring(L, lua_tostring(L, -1)) != LUA_OK) finding("%s", lua_tostring(L, -1));
  lua_pushfstring(L, "%s/tests/fuzz/%s.lua", root, name);
  if (luaL_loadfile(L, lua_tostring(L, -1)) != LUA_OK) finding("%s", lua_tostring(L, -1));
  lua_pushcfunction(L, write_input);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) finding("%s", lua_tostring(L, -1));
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc;
  const char *root = getenv("SOURCE"), *slash = strrchr((*argv)[0], '/');
  most = SIZE_MAX;
  L = lua_newstate(allocate, NULL);
  if (!L) finding("no state");
  luaL_openlibs(L);
  luaL_requiref(L, "sm.runtime", luaopen_sm_runtime, 0);
  load_script(root ? root : ".", slash ? slash + 1 : (*argv)[0]);
  lua_gc(L, LUA_GCCOLLECT);
  most = in_use + MOST_BYTES;
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > MOST_INPUT) return 0;
  before = 0;
  lua_sethook(L, count_line, LUA_MASKLINE, 0);
  lua_pushvalue(L, -1);
  lua_pushlstring(L, (const char *)data, size);
  int status = lua_pcall(L, 1, 1, 0);
  lua_sethook(L, NULL, 0, 0);
  if (status != LUA_OK || !lua_isnil(L, -1)) finding("%s", luaL_tolstring(L, -1, NULL));
  lua_pop(L, 1);
  return 0;
}
