/* Files: IDX, NPY, PNG, the frame of safetensors, durable writing. runtime.io. What the JSON of a safetensors file
   says is read and written in lua/sm/files.lua. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bind/bind.h"
#include "io/base64.h"
#include "io/checksum.h"
#include "io/durable.h"
#include "io/idx.h"
#include "io/npy.h"
#include "io/png.h"
#include "io/safetensors.h"

static const char *const READER = "sm.safetensors";
static const char *const WRITER = "sm.writer";

/* Arguments are read first, then what is pushed is made, and only then is a reader or writer looked at: an allocation
   may collect, and a finalizer close it. */

static const char *check_path(lua_State *L, int index) { return sm_lua_text(L, index, "a path"); }

static uint64_t check_offset(lua_State *L, int index) {
  return (uint64_t)sm_lua_integer(L, index, 0, LUA_MAXINTEGER);
}

/* Pushes a released tensor for a reader to fill, so that an error on the way leaves nothing behind. */
static sm_tensor *push_empty(lua_State *L) {
  sm_tensor *out = sm_lua_new(L, SM_UINT8, &(sm_shape){.rank = 1});
  sm_tensor_release(out);
  return out;
}

/* read_idx(path) → tensor */
static int read_idx(lua_State *L) {
  const char *path = check_path(L, 1);
  sm_error error;
  if (sm_idx_read(push_empty(L), sm_lua_memory(L), path, &error) != SM_OK) sm_lua_raise(L, &error);
  return 1;
}

/* read_npy(path) → tensor */
static int read_npy(lua_State *L) {
  const char *path = check_path(L, 1);
  sm_error error;
  if (sm_npy_read(push_empty(L), sm_lua_memory(L), path, &error) != SM_OK) sm_lua_raise(L, &error);
  return 1;
}

/* write_npy(path, x) */
static int write_npy(lua_State *L) {
  const char *path = check_path(L, 1);
  const sm_tensor *x = sm_lua_tensor(L, 2);
  sm_error error;
  fflush(stdout); /* in front of what goes to /dev/stdout */
  if (sm_npy_write(path, x, &error) != SM_OK) sm_lua_raise(L, &error);
  return 0;
}

/* How many channels are asked for; 0 of nil: as many as the file has. */
static int check_channels(lua_State *L, int index) {
  int channels = lua_isnoneornil(L, index) ? 0 : (int)sm_lua_integer(L, index, 1, 4);
  if (channels == 2) sm_lua_bad_argument(L, index, "1, 3 or 4 channels");
  return channels;
}

/* read_png(path, channels or nil) → tensor {height, width, channels} */
static int read_png(lua_State *L) {
  const char *path = check_path(L, 1);
  int channels = check_channels(L, 2);
  sm_error error;
  if (sm_png_read(push_empty(L), sm_lua_memory(L), path, channels, &error) != SM_OK) sm_lua_raise(L, &error);
  return 1;
}

/* read_pngs(paths, channels or nil) → tensor {count, height, width, channels}; paths: one text, with a zero byte
   between one and the next */
static int read_pngs(lua_State *L) {
  size_t bytes, count = 1;
  const char *paths = sm_lua_string(L, 1, &bytes);
  int channels = check_channels(L, 2);
  for (const char *at = paths; (at = memchr(at, 0, bytes - (size_t)(at - paths))); at++) count++;
  sm_error error;
  sm_status status = sm_png_read_all(push_empty(L), sm_lua_memory(L), paths, count, channels, &error);
  if (status != SM_OK) sm_lua_raise(L, &error);
  return 1;
}

/* write_png(path, x) */
static int write_png(lua_State *L) {
  const char *path = check_path(L, 1);
  const sm_tensor *x = sm_lua_tensor(L, 2);
  sm_error error;
  fflush(stdout); /* in front of what goes to /dev/stdout */
  if (sm_png_write(path, x, &error) != SM_OK) sm_lua_raise(L, &error);
  return 0;
}

/* write_durably(path, content) */
static int write_durably(lua_State *L) {
  const char *path = check_path(L, 1);
  size_t bytes;
  const char *content = sm_lua_string(L, 2, &bytes);
  sm_error error;
  fflush(stdout);
  if (sm_write_durably(path, content, bytes, &error) != SM_OK) sm_lua_raise(L, &error);
  return 0;
}

/* make_directory(path) → true; false where there is something of that name; nil and the reason */
static int make_directory(lua_State *L) {
  bool made;
  sm_error error;
  sm_status status = sm_make_directory(&made, check_path(L, 1), &error);
  if (status == SM_OK) lua_pushboolean(L, made);
  else lua_pushnil(L);
  lua_pushstring(L, status == SM_OK ? NULL : error.message); /* NULL: nil */
  return 2;
}

/* move_directory(from, to) → true; false where there is something of that name; nil and the reason */
static int move_directory(lua_State *L) {
  bool moved;
  sm_error error;
  sm_status status = sm_move_directory(&moved, check_path(L, 1), check_path(L, 2), &error);
  if (status == SM_OK) lua_pushboolean(L, moved);
  else lua_pushnil(L);
  lua_pushstring(L, status == SM_OK ? NULL : error.message); /* NULL: nil */
  return 2;
}

/* base64(bytes) → text */
static int base64(lua_State *L) {
  size_t bytes;
  const char *data = sm_lua_string(L, 1, &bytes);
  size_t length = sm_base64_length(bytes);
  luaL_Buffer buffer;
  sm_base64_encode(luaL_buffinitsize(L, &buffer, length), data, bytes);
  luaL_pushresultsize(&buffer, length);
  return 1;
}

static int push_checksum(lua_State *L, uint32_t sum) {
  char digits[sizeof "01234567"];
  snprintf(digits, sizeof digits, "%08" PRIx32, sum);
  lua_pushstring(L, digits);
  return 1;
}

/* checksum(tensor or string) → CRC-32 of its bytes, eight hexadecimal digits */
static int checksum(lua_State *L) {
  size_t bytes;
  const void *data;
  if (lua_type(L, 1) == LUA_TSTRING) {
    data = lua_tolstring(L, 1, &bytes);
  } else {
    const sm_tensor *x = sm_lua_tensor(L, 1);
    data = x->data;
    bytes = sm_shape_count(&x->shape) * sm_dtype_bytes(x->dtype);
  }
  return push_checksum(L, sm_checksum(data, bytes));
}

static FILE *check_file(lua_State *L) {
  const luaL_Stream *stream = luaL_testudata(L, 1, LUA_FILEHANDLE);
  if (!stream) sm_lua_bad_argument(L, 1, "an open file");
  if (!stream->closef) sm_lua_fail(L, "this file is closed");
  return stream->f;
}

/* is_locked(file) → whether another process holds the lock; takes none. The file is open for writing. */
static int is_locked(lua_State *L) {
  struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  lua_pushboolean(L, fcntl(fileno(check_file(L)), F_GETLK, &whole) == 0 && whole.l_type != F_UNLCK);
  return 1;
}

/* lock(file) → true; false where another process holds the lock; nil and the reason where it cannot be had. The lock
   on a file that is open for writing ends with the process, or when it closes any handle of that file. */
static int lock(lua_State *L) {
  struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  if (fcntl(fileno(check_file(L)), F_SETLK, &whole) == 0) {
    lua_pushboolean(L, true);
    return 1;
  }
  if (errno == EACCES || errno == EAGAIN) {
    lua_pushboolean(L, false);
    return 1;
  }
  const char *reason = strerror(errno);
  lua_pushnil(L);
  lua_pushstring(L, reason);
  return 2;
}

/* safetensors_dtype(x) → "F32" */
static int safetensors_dtype(lua_State *L) {
  lua_pushstring(L, sm_safetensors_dtype(sm_lua_tensor(L, 1)->dtype));
  return 1;
}

/* A reader, open or not; the path of its file is the userdata's user value. */
static sm_safetensors *any_reader(lua_State *L) {
  sm_safetensors *reader = luaL_testudata(L, 1, READER);
  if (!reader) sm_lua_bad_argument(L, 1, "a reader of a .safetensors file");
  return reader;
}

static sm_safetensors *check_reader(lua_State *L) {
  sm_safetensors *reader = any_reader(L);
  if (reader->file.descriptor < 0) sm_lua_fail(L, "this file is closed");
  return reader;
}

/* How much of a path names a directory beneath which no link is followed (see io/beneath.h); 0: the path has no such
   part. */
static size_t check_root(lua_State *L, int index) {
  return lua_isnoneornil(L, index) ? 0 : (size_t)sm_lua_integer(L, index, 1, (lua_Integer)lua_rawlen(L, 1));
}

/* open_safetensors(path, root) → reader */
static int open_safetensors(lua_State *L) {
  const char *path = check_path(L, 1);
  size_t root = check_root(L, 2);
  sm_safetensors *reader = lua_newuserdatauv(L, sizeof *reader, 1);
  *reader = (sm_safetensors){.file = {.descriptor = -1}};
  luaL_setmetatable(L, READER);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  sm_error error;
  sm_status status = root ? sm_safetensors_open_beneath(reader, path, root, &error)
                          : sm_safetensors_open(reader, path, &error);
  if (status != SM_OK) sm_lua_raise(L, &error);
  return 1;
}

/* reader:header() → JSON text, bytes of data */
static int reader_header(lua_State *L) {
  size_t bytes = check_reader(L)->header_bytes;
  luaL_Buffer buffer;
  char *text = luaL_buffinitsize(L, &buffer, bytes);
  const sm_safetensors *reader = check_reader(L);
  uint64_t data_bytes = reader->data_bytes;
  sm_error error;
  if (sm_safetensors_header(text, reader, &error) != SM_OK) sm_lua_raise(L, &error);
  luaL_pushresultsize(&buffer, bytes);
  lua_pushinteger(L, (lua_Integer)data_bytes);
  return 2;
}

/* reader:read(name, dtype, shape, first, last) → tensor, or nil and the reason when it is nothing that can be read
   here; offsets into the data, last exclusive */
static int reader_read(lua_State *L) {
  check_reader(L);
  const char *name = sm_lua_string(L, 2, NULL), *dtype = sm_lua_string(L, 3, NULL);
  sm_shape shape;
  sm_lua_sizes(L, 4, &shape);
  uint64_t first = check_offset(L, 5), last = check_offset(L, 6);
  sm_error error;
  sm_tensor *out = push_empty(L);
  const sm_safetensors *reader = check_reader(L);
  sm_status status =
      sm_safetensors_read(out, sm_lua_memory(L), reader, name, dtype, &shape, first, last, &error);
  if (status == SM_OK) return 1;
  if (status != SM_BAD_VALUE) sm_lua_raise(L, &error);
  lua_pushnil(L);
  lua_pushstring(L, error.message);
  return 2;
}

/* reader:checksum(first, last) → CRC-32 of these bytes of data, eight hexadecimal digits */
static int reader_checksum(lua_State *L) {
  uint64_t first = check_offset(L, 2), last = check_offset(L, 3);
  const sm_safetensors *reader = check_reader(L);
  uint32_t sum;
  sm_error error;
  if (sm_safetensors_checksum(&sum, reader, first, last, &error) != SM_OK) sm_lua_raise(L, &error);
  return push_checksum(L, sum);
}

static int reader_close(lua_State *L) {
  sm_safetensors_close(any_reader(L));
  return 0;
}

static sm_writer *any_writer(lua_State *L) {
  sm_writer *writer = luaL_testudata(L, 1, WRITER);
  if (!writer) sm_lua_bad_argument(L, 1, "a writer of a file");
  return writer;
}

static sm_writer *check_writer(lua_State *L) {
  sm_writer *writer = any_writer(L);
  if (writer->descriptor < 0) sm_lua_fail(L, "this file is closed");
  return writer;
}

/* create(path, root) → writer: nothing is seen under `path` before writer:commit() */
static int create(lua_State *L) {
  const char *path = check_path(L, 1);
  size_t root = check_root(L, 2);
  sm_writer *writer = lua_newuserdatauv(L, sizeof *writer, 0);
  *writer = (sm_writer){.descriptor = -1, .directory = -1};
  luaL_setmetatable(L, WRITER);
  sm_error error;
  fflush(stdout);
  sm_status status = root ? sm_writer_open_beneath(writer, path, root, &error) : sm_writer_open(writer, path, &error);
  if (status != SM_OK) sm_lua_raise(L, &error);
  return 1;
}

/* writer:header(json): the front of a safetensors file */
static int writer_header(lua_State *L) {
  size_t bytes;
  const char *json = sm_lua_string(L, 2, &bytes);
  sm_writer *writer = check_writer(L);
  sm_error error;
  if (sm_safetensors_write_header(writer, json, bytes, &error) != SM_OK) sm_lua_raise(L, &error);
  return 0;
}

/* writer:write(x): the bytes of a tensor, or of a string */
static int writer_write(lua_State *L) {
  const void *data;
  size_t bytes;
  if (lua_type(L, 2) == LUA_TSTRING) {
    data = lua_tolstring(L, 2, &bytes);
  } else {
    const sm_tensor *x = sm_lua_tensor(L, 2);
    data = x->data;
    bytes = sm_shape_count(&x->shape) * sm_dtype_bytes(x->dtype);
  }
  sm_writer *writer = check_writer(L);
  sm_error error;
  if (sm_writer_write(writer, data, bytes, &error) != SM_OK) sm_lua_raise(L, &error);
  return 0;
}

static int writer_commit(lua_State *L) {
  sm_error error;
  if (sm_writer_commit(check_writer(L), &error) != SM_OK) sm_lua_raise(L, &error);
  return 0;
}

static int writer_abandon(lua_State *L) {
  sm_writer_abandon(any_writer(L));
  return 0;
}

void sm_lua_open_io(lua_State *L) {
  static const luaL_Reg reader[] = {{"header", reader_header},
                                    {"read", reader_read},
                                    {"checksum", reader_checksum},
                                    {"close", reader_close},
                                    {NULL, NULL}};
  static const luaL_Reg writer[] = {{"header", writer_header},
                                    {"write", writer_write},
                                    {"commit", writer_commit},
                                    {"abandon", writer_abandon},
                                    {NULL, NULL}};
  static const luaL_Reg functions[] = {{"read_idx", read_idx},
                                       {"read_npy", read_npy},
                                       {"write_npy", write_npy},
                                       {"read_png", read_png},
                                       {"read_pngs", read_pngs},
                                       {"write_png", write_png},
                                       {"write_durably", write_durably},
                                       {"make_directory", make_directory},
                                       {"move_directory", move_directory},
                                       {"base64", base64},
                                       {"checksum", checksum},
                                       {"lock", lock},
                                       {"is_locked", is_locked},
                                       {"safetensors_dtype", safetensors_dtype},
                                       {"open_safetensors", open_safetensors},
                                       {"create", create},
                                       {NULL, NULL}};
  sm_lua_class(L, READER, reader, reader_close);
  sm_lua_class(L, WRITER, writer, writer_abandon);
  sm_lua_functions(L, functions);
  sm_lua_add_beneath(L);
  sm_lua_add_npz(L);
}
