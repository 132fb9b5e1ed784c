/* Files of a directory that may be a stranger's: runtime.io.beneath, see io/beneath.h. Each function takes the
   directory and a name beneath it, "plots/a.png"; what cannot be done is nil, the reason, and "link" where that is a
   symbolic link. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bind/bind.h"
#include "core/parallel.h"
#include "io/beneath.h"
#include "io/durable.h"

static const char *const OPEN = "sm.beneath"; /* what a function has open, closed however it ends */

typedef struct opened {
  int descriptor;
  DIR *listing;
} opened;

static int close_opened(lua_State *L) {
  opened *open = luaL_testudata(L, 1, OPEN);
  if (!open) return 0;
  if (open->listing) closedir(open->listing);
  else if (open->descriptor >= 0) close(open->descriptor);
  *open = (opened){.descriptor = -1};
  return 0;
}

/* Pushes a value that has nothing open yet; it is closed when the function that pushed it returns or raises. */
static opened *push_opened(lua_State *L) {
  opened *open = lua_newuserdatauv(L, sizeof *open, 0);
  *open = (opened){.descriptor = -1};
  luaL_setmetatable(L, OPEN);
  lua_toclose(L, -1);
  return open;
}

/* The path that the first two arguments make, which is pushed; *root = the length of the directory. */
static const char *push_path(lua_State *L, size_t *root) {
  const char *directory = sm_lua_text(L, 1, "a directory"), *name = sm_lua_text(L, 2, "a name");
  *root = strlen(directory);
  if (*root == 0) sm_lua_bad_argument(L, 1, "a directory");
  return lua_pushfstring(L, "%s/%s", directory, name);
}

static int push_reason(lua_State *L, const sm_error *error) {
  lua_pushnil(L);
  lua_pushstring(L, error->message);
  lua_pushstring(L, error->status == SM_LINK ? "link" : NULL); /* NULL: nil */
  return 3;
}

static int done(lua_State *L, sm_status status, const sm_error *error) {
  if (status != SM_OK) return push_reason(L, error);
  lua_pushboolean(L, true);
  return 1;
}

/* read(directory, name, limit) → text; nil alone where there is no such file; nil and the reason where it is no regular
   file, or larger than so many bytes */
static int read_text(lua_State *L) {
  size_t root;
  const char *path = push_path(L, &root);
  lua_Integer limit = sm_lua_integer(L, 3, 0, LUA_MAXINTEGER);
  opened *open = push_opened(L);
  sm_error error;
  if (sm_beneath_open(&open->descriptor, path, root, O_RDONLY, &error) != SM_OK) return push_reason(L, &error);
  lua_pushnil(L);
  if (open->descriptor < 0) return 1;
  struct stat status;
  if (fstat(open->descriptor, &status) != 0) {
    const char *reason = strerror(errno);
    lua_pushfstring(L, "%s: cannot read its size: %s", path, reason);
    return 2;
  }
  if (status.st_size > limit) {
    lua_pushfstring(L, "%s: expected at most %I bytes, found %I", path, limit, (lua_Integer)status.st_size);
    return 2;
  }
  size_t bytes = 0;
  char *text = lua_newuserdatauv(L, (size_t)status.st_size + 1, 0);
  while (bytes < (size_t)status.st_size) { /* what comes behind has been written since */
    ssize_t got = read(open->descriptor, text + bytes, (size_t)status.st_size - bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const char *reason = strerror(errno);
      lua_pushnil(L);
      lua_pushfstring(L, "%s: cannot read: %s", path, reason);
      return 2;
    }
    if (got == 0) break;
    bytes += (size_t)got;
  }
  lua_pushlstring(L, text, bytes);
  return 1;
}

/* write(directory, name, content) → true: all of it or nothing */
static int write_text(lua_State *L) {
  size_t root, bytes;
  const char *path = push_path(L, &root);
  const char *content = sm_lua_string(L, 3, &bytes);
  sm_error error;
  return done(L, sm_write_durably_beneath(path, root, content, bytes, &error), &error);
}

static int close_stream(lua_State *L) {
  luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  return luaL_fileresult(L, fclose(stream->f) == 0, NULL);
}

/* open(directory, name, "r", "a" or "r+") → a file of Lua's; nil alone where there is none to read or change */
static int open_stream(lua_State *L) {
  static const char *const modes[] = {"r", "a", "r+", NULL};
  static const int flags_of[] = {O_RDONLY, O_WRONLY | O_APPEND | O_CREAT, O_RDWR};
  int choice = luaL_checkoption(L, 3, NULL, modes), flags = flags_of[choice];
  const char *mode = modes[choice];
  size_t root;
  const char *path = push_path(L, &root);
  luaL_Stream *stream = lua_newuserdatauv(L, sizeof *stream, 0);
  stream->closef = NULL; /* not open yet */
  luaL_setmetatable(L, LUA_FILEHANDLE);
  int descriptor;
  sm_error error;
  if (sm_beneath_open(&descriptor, path, root, flags, &error) != SM_OK) return push_reason(L, &error);
  if (descriptor < 0) {
    lua_pushnil(L);
    return 1;
  }
  stream->f = fdopen(descriptor, mode);
  if (stream->f) {
    stream->closef = close_stream;
    return 1;
  }
  int reason = errno;
  close(descriptor);
  lua_pushnil(L);
  lua_pushfstring(L, "%s: cannot open: %s", path, strerror(reason));
  return 2;
}

static const char *kind_of(mode_t mode) {
  return S_ISREG(mode) ? "file" : S_ISDIR(mode) ? "directory" : S_ISLNK(mode) ? "link" : "other";
}

/* status(directory, name) → "file", "directory", "link" or "other"; bytes; seconds and nanoseconds of its last change;
   whether its owner may run it. nil alone where there is nothing, or a link on the way. */
static int status(lua_State *L) {
  size_t root;
  const char *path = push_path(L, &root);
  struct stat found;
  bool exists;
  sm_error error;
  if (sm_beneath_status(&found, &exists, path, root, &error) != SM_OK) return push_reason(L, &error);
  if (!exists) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushstring(L, kind_of(found.st_mode));
  lua_pushinteger(L, (lua_Integer)found.st_size);
  lua_pushinteger(L, (lua_Integer)found.st_mtim.tv_sec);
  lua_pushinteger(L, (lua_Integer)found.st_mtim.tv_nsec);
  lua_pushboolean(L, found.st_mode & S_IXUSR);
  return 5;
}

enum { STAMP_BYTES = 4 * sizeof(int64_t) + sizeof(uint16_t), MOST_FILES = 8, AT_ONCE = 512 };

/* What there is in a directory. */
typedef struct stamp {
  bool exists, complete; /* the directory; the files that tell it */
  int64_t newest;        /* seconds; -1 of none */
  dev_t device;
  ino_t number;
  size_t length;
  char bytes[MOST_FILES * STAMP_BYTES];
} stamp;

typedef struct stamping {
  const char *directories[AT_ONCE], *files[MOST_FILES];
  size_t file_count, first; /* of the files, those that tell the directory */
  stamp *found;
} stamping;

/* Appends what tells whether a file is still the same: its kind, number and size, and in nanoseconds when its content
   and anything of it were changed last. One sign where there is none. → the later of these in seconds; -1 of none. */
static int64_t add_stamp(stamp *to, int directory, const char *name) {
  struct stat found;
  if (fstatat(directory, name, &found, AT_SYMLINK_NOFOLLOW) != 0) {
    to->bytes[to->length++] = errno == ENOENT ? '-' : '?';
    return -1;
  }
  const int64_t fields[] = {(int64_t)found.st_ino, found.st_size,
                            found.st_mtim.tv_sec * INT64_C(1000000000) + found.st_mtim.tv_nsec,
                            found.st_ctim.tv_sec * INT64_C(1000000000) + found.st_ctim.tv_nsec};
  const uint16_t mode = (uint16_t)found.st_mode;
  memcpy(to->bytes + to->length, fields, sizeof fields);
  memcpy(to->bytes + to->length + sizeof fields, &mode, sizeof mode);
  to->length += STAMP_BYTES;
  return found.st_ctim.tv_sec > found.st_mtim.tv_sec ? found.st_ctim.tv_sec : found.st_mtim.tv_sec;
}

static void stamp_directory(const void *of, size_t item) {
  const stamping *work = of;
  stamp *to = &work->found[item];
  int directory;
  sm_error error;
  struct stat place;
  *to = (stamp){.newest = -1};
  if (sm_beneath_root(&directory, work->directories[item], &error) != SM_OK || directory < 0) return;
  if (fstat(directory, &place) == 0) {
    to->exists = to->complete = true;
    to->device = place.st_dev;
    to->number = place.st_ino;
    for (size_t i = 0; i < work->file_count; i++) {
      int64_t changed = add_stamp(to, directory, work->files[i]);
      if (changed > to->newest) to->newest = changed;
      if (changed < 0 && i < work->first) to->complete = false;
    }
  }
  close(directory);
}

static void push_stamp(lua_State *L, const stamp *of, int results, lua_Integer position) {
  if (of->exists) lua_pushlstring(L, of->bytes, of->length);
  else lua_pushboolean(L, false);
  lua_rawseti(L, results, position);
  lua_pushinteger(L, of->newest);
  lua_rawseti(L, results + 1, position);
  lua_pushboolean(L, of->complete);
  lua_rawseti(L, results + 2, position);
  if (of->exists) lua_pushfstring(L, "%I %I", (LUAI_UACINT)of->device, (LUAI_UACINT)of->number);
  else lua_pushboolean(L, false);
  lua_rawseti(L, results + 3, position);
}

/* The strings of a list, which the list holds, from number `first` on. → how many there are, at most `most`. */
static size_t read_texts(lua_State *L, int list, size_t first, const char **texts, size_t most, const char *what) {
  size_t count = 0, all = lua_rawlen(L, list);
  for (; count < most && first + count < all; count++) {
    size_t length = 0;
    int type = lua_rawgeti(L, list, (lua_Integer)(first + count) + 1);
    texts[count] = type == LUA_TSTRING ? lua_tolstring(L, -1, &length) : NULL;
    if (!texts[count] || strlen(texts[count]) != length) sm_lua_bad_argument(L, list, what);
    lua_pop(L, 1);
  }
  return count;
}

/* stamps(directories, names, first) → four lists, of as many as there are directories: bytes that are the same as long
   as the files of these names in one are, false where there is no such directory; when the newest was changed, in
   seconds; whether the first few are there; a text that tells the directory from all others. */
static int stamps(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TTABLE);
  stamping work = {.first = (size_t)sm_lua_integer(L, 3, 0, MOST_FILES)};
  work.file_count = read_texts(L, 2, 0, work.files, MOST_FILES, "a list of at most 8 names");
  int results = lua_gettop(L) + 1;
  for (int i = 0; i < 4; i++) lua_newtable(L);
  work.found = sm_lua_take(L, AT_ONCE * sizeof *work.found);
  for (size_t done = 0, count; (count = read_texts(L, 1, done, work.directories, AT_ONCE, "a list of directories")) > 0;
       done += count) {
    sm_parallel(count, SM_LARGE, stamp_directory, &work);
    for (size_t i = 0; i < count; i++) push_stamp(L, &work.found[i], results, (lua_Integer)(done + i) + 1);
  }
  sm_lua_give(L);
  return 4;
}

/* → nil, why a directory cannot be listed: a part of the list would pass for the whole. */
static int push_unlisted(lua_State *L, const char *path, int reason) {
  lua_pushnil(L);
  lua_pushfstring(L, "%s: cannot list: %s", path, strerror(reason));
  return 2;
}

/* list(directory, name) → a table from the names in a directory to their kinds, as status has them; nil alone where
   there is no such directory */
static int list(lua_State *L) {
  size_t root;
  const char *path = push_path(L, &root);
  opened *open = push_opened(L);
  sm_error error;
  if (sm_beneath_open_directory(&open->descriptor, path, root, &error) != SM_OK) return push_reason(L, &error);
  if (open->descriptor >= 0 && !(open->listing = fdopendir(open->descriptor))) return push_unlisted(L, path, errno);
  if (!open->listing) {
    lua_pushnil(L);
    return 1;
  }
  lua_newtable(L);
  for (;;) {
    struct stat found;
    errno = 0;
    const struct dirent *entry = readdir(open->listing);
    if (!entry && errno != 0) return push_unlisted(L, path, errno);
    if (!entry) return 1;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (fstatat(dirfd(open->listing), entry->d_name, &found, AT_SYMLINK_NOFOLLOW) == 0) {
      lua_pushstring(L, kind_of(found.st_mode));
      lua_setfield(L, -2, entry->d_name);
    } else if (errno != ENOENT) { /* what was removed meanwhile is not there */
      return push_unlisted(L, path, errno);
    }
  }
}

/* make(directory, name) → true once there is such a directory */
static int make(lua_State *L) {
  size_t root;
  const char *path = push_path(L, &root);
  sm_error error;
  return done(L, sm_beneath_make(path, root, &error), &error);
}

/* remove(directory, name) → true once nothing of that name is there */
static int remove_all(lua_State *L) {
  size_t root;
  const char *path = push_path(L, &root);
  sm_error error;
  return done(L, sm_beneath_remove(path, root, &error), &error);
}

/* hold(directory or nil) → true: from now on nothing beneath it is reached through a link */
static int hold(lua_State *L) {
  const char *directory = lua_isnoneornil(L, 1) ? NULL : sm_lua_text(L, 1, "a directory");
  sm_error error;
  return done(L, sm_beneath_hold(directory, &error), &error);
}

void sm_lua_add_beneath(lua_State *L) {
  static const luaL_Reg functions[] = {{"read", read_text}, {"write", write_text}, {"open", open_stream},
                                       {"status", status},  {"list", list},        {"make", make},
                                       {"remove", remove_all}, {"hold", hold},     {"stamps", stamps},
                                       {NULL, NULL}};
  sm_lua_class(L, OPEN, NULL, close_opened);
  sm_lua_functions(L, functions);
  sm_lua_add_append(L);
  lua_setfield(L, -2, "beneath");
}
