/* Members of NPZ files, and what it takes to find and to write them: lua/sm/npz.lua. Part of runtime.io. */
#include "bind/bind.h"
#include "io/checksum.h"
#include "io/file.h"
#include "io/npy.h"
#include "io/npz.h"

/* read_piece(path, offset, bytes) → string, how many bytes the file has. Fewer where it ends before; an offset below
   0 counts from its end. At most 64 MiB. */
static int read_piece(lua_State *L) {
  const char *path = sm_lua_text(L, 1, "a path");
  lua_Integer offset = sm_lua_integer(L, 2, LUA_MININTEGER, LUA_MAXINTEGER);
  size_t bytes = (size_t)sm_lua_integer(L, 3, 0, 64 << 20);
  luaL_Buffer buffer;
  char *piece = luaL_buffinitsize(L, &buffer, bytes);
  sm_file file;
  sm_error error;
  sm_status status = sm_file_open(&file, path, &error);
  if (status != SM_OK) sm_lua_raise(L, &error);
  uint64_t total = file.bytes, first = offset < 0 ? 0 - (uint64_t)offset : (uint64_t)offset;
  if (offset < 0) first = first < total ? total - first : 0;
  if (first > total) first = total;
  if (bytes > total - first) bytes = (size_t)(total - first);
  status = sm_file_read(piece, &file, first, bytes, &error);
  sm_file_close(&file);
  if (status != SM_OK) sm_lua_raise(L, &error);
  luaL_pushresultsize(&buffer, bytes);
  lua_pushinteger(L, (lua_Integer)total);
  return 2;
}

/* read_npz(path, label, offset, packed, bytes, deflated, checksum) → tensor, or nil and the reason when it is nothing
   that can be read here */
static int read_npz(lua_State *L) {
  const char *path = sm_lua_text(L, 1, "a path");
  sm_npz_member member = {.label = sm_lua_text(L, 2, "a label"), .deflated = lua_toboolean(L, 6)};
  member.offset = (uint64_t)sm_lua_integer(L, 3, 0, LUA_MAXINTEGER);
  member.packed = (uint64_t)sm_lua_integer(L, 4, 0, LUA_MAXINTEGER);
  member.bytes = (uint64_t)sm_lua_integer(L, 5, 0, LUA_MAXINTEGER);
  member.checksum = (uint32_t)sm_lua_integer(L, 7, 0, UINT32_MAX);
  sm_error error;
  sm_tensor *out = sm_lua_new(L, SM_UINT8, &(sm_shape){.rank = 1});
  sm_tensor_release(out); /* filled below, so that an error on the way leaves nothing behind */
  sm_status status = sm_npz_read(out, sm_lua_memory(L), path, &member, &error);
  if (status == SM_OK) return 1;
  if (status != SM_BAD_VALUE) sm_lua_raise(L, &error);
  lua_pushnil(L);
  lua_pushstring(L, error.message);
  return 2;
}

/* npy_front(x) → what comes before the data of x in an NPY file, CRC-32 of both */
static int npy_front(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  char text[SM_NPY_FRONT];
  size_t front = sm_npy_front(text, x), bytes = sm_shape_count(&x->shape) * sm_dtype_bytes(x->dtype);
  lua_pushlstring(L, text, front);
  uint32_t sum = sm_checksum_on(sm_checksum(text, front), sm_lua_data(L, x), bytes);
  lua_pushinteger(L, (lua_Integer)sum);
  return 2;
}

void sm_lua_add_npz(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"read_piece", read_piece}, {"read_npz", read_npz}, {"npy_front", npy_front}, {NULL, NULL}};
  sm_lua_add_functions(L, functions);
}
