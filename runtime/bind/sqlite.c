/* A database of SQLite that lives in memory: sm.sqlite, a module of its own, which only what needs it loads. SQLite
   opens no file and takes no lock. What a database is made from may be a stranger's: its schema is not trusted, and
   nothing in it can run. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bind/bind.h"
#include "io/beneath.h"
#include "io/checksum.h"

enum { SUM_BYTES = 8 }; /* behind a database, where SQLite does not look: a checksum in hexadecimal digits */

static const char *const DATABASE = "sm.sqlite";
static const char *const HELD = "sm.sqlite.held"; /* what a function has, given back however it ends */

typedef struct database {
  sqlite3 *connection;
} database;

typedef struct held {
  sqlite3_stmt *statement;
  unsigned char *bytes;
  int descriptor;
} held;

static int close_database(lua_State *L) {
  database *open = luaL_testudata(L, 1, DATABASE);
  if (!open) return 0;
  sqlite3_close_v2(open->connection); /* does nothing with NULL */
  open->connection = NULL;
  return 0;
}

static int free_held(lua_State *L) {
  held *one = luaL_testudata(L, 1, HELD);
  if (!one) return 0;
  sqlite3_finalize(one->statement);
  sqlite3_free(one->bytes);
  if (one->descriptor >= 0) close(one->descriptor);
  *one = (held){.descriptor = -1};
  return 0;
}

/* Pushes what is freed when the function that pushed it returns or raises. */
static held *push_held(lua_State *L) {
  held *one = lua_newuserdatauv(L, sizeof *one, 0);
  *one = (held){.descriptor = -1};
  luaL_setmetatable(L, HELD);
  lua_toclose(L, -1);
  return one;
}

static sqlite3 *check_database(lua_State *L) {
  database *open = luaL_testudata(L, 1, DATABASE);
  if (!open) sm_lua_bad_argument(L, 1, "a database");
  if (!open->connection) sm_lua_fail(L, "this database is closed");
  return open->connection;
}

_Noreturn static void raise_no_memory(lua_State *L) {
  sm_lua_raise_kind(L, "there is not enough memory for a database", "memory");
}

/* → nil, why SQLite could not do it. */
static int push_reason(lua_State *L, sqlite3 *connection, int code) {
  if (code == SQLITE_NOMEM) raise_no_memory(L);
  lua_pushnil(L);
  lua_pushstring(L, connection ? sqlite3_errmsg(connection) : sqlite3_errstr(code));
  return 2;
}

/* What a stranger's database may not do here. */
static void restrict_database(sqlite3 *connection) {
  sqlite3_db_config(connection, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  sqlite3_db_config(connection, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
  sqlite3_db_config(connection, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
  sqlite3_db_config(connection, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
  sqlite3_limit(connection, SQLITE_LIMIT_ATTACHED, 0);
}

static void write_sum(char digits[SUM_BYTES + 1], const void *data, size_t size) {
  snprintf(digits, SUM_BYTES + 1, "%08" PRIx32, sm_checksum(data, size));
}

/* Pushes a database that is empty; NULL, and nil with the reason pushed, where there is none. */
static sqlite3 *push_database(lua_State *L) {
  database *made = lua_newuserdatauv(L, sizeof *made, 0);
  made->connection = NULL;
  luaL_setmetatable(L, DATABASE);
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX;
  int code = sqlite3_open_v2(":memory:", &made->connection, flags, NULL);
  if (code == SQLITE_OK) restrict_database(made->connection);
  else push_reason(L, made->connection, code);
  return code == SQLITE_OK ? made->connection : NULL;
}

/* new() → a database that is empty; nil and the reason */
static int new_database(lua_State *L) { return push_database(L) ? 1 : 2; }

/* The bytes of a file, in memory of SQLite's that is pushed; NULL where it has another size than it said. */
static unsigned char *push_content(lua_State *L, int descriptor, size_t size) {
  held *content = push_held(L);
  content->bytes = sqlite3_malloc64(size);
  if (!content->bytes) raise_no_memory(L);
  for (size_t at = 0; at < size;) {
    ssize_t got = read(descriptor, content->bytes + at, size - at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return NULL;
    at += (size_t)got;
  }
  return content->bytes;
}

static int push_problem(lua_State *L, const char *problem) {
  lua_pushnil(L);
  lua_pushstring(L, problem);
  return 2;
}

/* open(directory, name, limit) → a database that has what a file says, made of what bytes() has given; nil and the
   reason. What is no database, with the checksum of one, is told by the first statement. No link leads to the file. */
static int open_database(lua_State *L) {
  const char *directory = sm_lua_text(L, 1, "a directory"), *name = sm_lua_text(L, 2, "a name");
  lua_Integer limit = sm_lua_integer(L, 3, SUM_BYTES, LUA_MAXINTEGER);
  const char *path = lua_pushfstring(L, "%s/%s", directory, name);
  held *file = push_held(L);
  sm_error error;
  if (sm_beneath_open(&file->descriptor, path, strlen(directory), O_RDONLY, &error) != SM_OK)
    return push_problem(L, error.message);
  struct stat found;
  if (file->descriptor < 0 || fstat(file->descriptor, &found) != 0) return push_problem(L, "there is no such file");
  if (found.st_size <= SUM_BYTES || found.st_size > limit) return push_problem(L, "it has no size of a database");
  size_t size = (size_t)found.st_size - SUM_BYTES;
  unsigned char *content = push_content(L, file->descriptor, size + SUM_BYTES);
  char sum[SUM_BYTES + 1];
  if (content) write_sum(sum, content, size);
  if (!content || memcmp(sum, content + size, SUM_BYTES) != 0) return push_problem(L, "its checksum is another one");
  held *owner = lua_touserdata(L, -1);
  sqlite3 *connection = push_database(L);
  if (!connection) return 2;
  owner->bytes = NULL; /* from here on SQLite's to free, failing too */
  int code = sqlite3_deserialize(connection, "main", content, (sqlite3_int64)size, (sqlite3_int64)size + SUM_BYTES,
                                 SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY);
  return code == SQLITE_OK ? 1 : push_reason(L, connection, code);
}

/* Binds the values of the table at the top to a statement's parameters. Strings are bytes, also in a column of text. */
static int bind_row(lua_State *L, sqlite3_stmt *statement) {
  int code = SQLITE_OK;
  for (int i = 1; i <= sqlite3_bind_parameter_count(statement) && code == SQLITE_OK; i++) {
    size_t bytes;
    const char *text;
    switch (lua_rawgeti(L, -1, i)) {
      case LUA_TNIL: code = sqlite3_bind_null(statement, i); break;
      case LUA_TNUMBER:
        code = lua_isinteger(L, -1) ? sqlite3_bind_int64(statement, i, lua_tointeger(L, -1))
                                    : sqlite3_bind_double(statement, i, lua_tonumber(L, -1));
        break;
      case LUA_TSTRING:
        text = lua_tolstring(L, -1, &bytes);
        code = sqlite3_bind_text64(statement, i, text, bytes, SQLITE_TRANSIENT, SQLITE_UTF8);
        break;
      default: sm_lua_fail(L, "run: value %d is neither a number nor a string nor nil", i);
    }
    lua_pop(L, 1);
  }
  return code;
}

static void push_column(lua_State *L, sqlite3_stmt *statement, int column) {
  const void *bytes;
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER: lua_pushinteger(L, sqlite3_column_int64(statement, column)); break;
    case SQLITE_FLOAT: lua_pushnumber(L, sqlite3_column_double(statement, column)); break;
    case SQLITE_NULL: lua_pushboolean(L, false); break; /* so that a row has no holes */
    default:
      bytes = sqlite3_column_blob(statement, column);
      lua_pushlstring(L, bytes ? bytes : "", (size_t)sqlite3_column_bytes(statement, column));
  }
}

/* Steps through a statement; appends the rows that it gives to the table at `results`. */
static int step_all(lua_State *L, sqlite3_stmt *statement, int results, lua_Integer *count) {
  int columns = sqlite3_column_count(statement), code;
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
    lua_createtable(L, columns, 0);
    for (int i = 0; i < columns; i++) {
      push_column(L, statement, i);
      lua_rawseti(L, -2, i + 1);
    }
    lua_rawseti(L, results, ++*count);
  }
  return code;
}

/* database:run(sql, rows) → the rows that one statement gives, each a table of numbers, strings and, for NULL, false;
   nil and the reason. It is done once for each of `rows`, tables of what its parameters are; without `rows` once. */
static int run(lua_State *L) {
  sqlite3 *connection = check_database(L);
  size_t length;
  const char *sql = sm_lua_string(L, 2, &length);
  lua_settop(L, 3);
  bool once = lua_isnil(L, 3);
  if (!once && lua_type(L, 3) != LUA_TTABLE) sm_lua_bad_argument(L, 3, "an array of rows");
  lua_Integer given = once ? 1 : (lua_Integer)lua_rawlen(L, 3), count = 0;
  held *prepared = push_held(L);
  lua_newtable(L);
  int results = lua_gettop(L);
  int code = sqlite3_prepare_v3(connection, sql, (int)length + 1, 0, &prepared->statement, NULL);
  if (code != SQLITE_OK) return push_reason(L, connection, code);
  for (lua_Integer i = 1; i <= given; i++) {
    if (!once && lua_rawgeti(L, 3, i) != LUA_TTABLE) sm_lua_fail(L, "run: row %I is no table", (LUAI_UACINT)i);
    code = once ? SQLITE_OK : bind_row(L, prepared->statement);
    lua_settop(L, results);
    if (code == SQLITE_OK) code = step_all(L, prepared->statement, results, &count);
    if (code != SQLITE_DONE) return push_reason(L, connection, code);
    sqlite3_reset(prepared->statement);
  }
  return 1;
}

/* database:bytes() → what a file of this database is, with its checksum */
static int bytes(lua_State *L) {
  sqlite3 *connection = check_database(L);
  held *copy = push_held(L);
  sqlite3_int64 size = 0;
  copy->bytes = sqlite3_serialize(connection, "main", &size, 0);
  if (!copy->bytes && size > 0) raise_no_memory(L);
  const char *whole = copy->bytes ? (const char *)copy->bytes : "";
  char sum[SUM_BYTES + 1];
  write_sum(sum, whole, (size_t)size);
  luaL_Buffer buffer;
  luaL_buffinitsize(L, &buffer, (size_t)size + SUM_BYTES);
  luaL_addlstring(&buffer, whole, (size_t)size);
  luaL_addlstring(&buffer, sum, SUM_BYTES);
  luaL_pushresult(&buffer);
  return 1;
}

__attribute__((visibility("default"))) int luaopen_sm_sqlite(lua_State *L);

int luaopen_sm_sqlite(lua_State *L) {
  static const luaL_Reg methods[] = {{"run", run}, {"bytes", bytes}, {"close", close_database}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"new", new_database}, {"open", open_database}, {NULL, NULL}};
  luaL_checkversion(L);
  sm_lua_class(L, DATABASE, methods, close_database);
  sm_lua_class(L, HELD, NULL, free_held);
  lua_newtable(L);
  sm_lua_add_functions(L, functions);
  lua_pushstring(L, sqlite3_libversion());
  lua_setfield(L, -2, "version");
  return 1;
}
