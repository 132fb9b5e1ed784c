/* The machine: threads, clock, terminal, what was built and what runs. runtime.system. */
#include <locale.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "bind/bind.h"
#include "core/conv/conv.h"
#include "core/gemm.h"
#include "core/parallel.h"

/* threads() → number that the next kernel uses */
static int threads(lua_State *L) {
  lua_pushinteger(L, sm_thread_count());
  return 1;
}

static int set_threads(lua_State *L) {
  sm_set_thread_count((int)sm_lua_integer(L, 1, 1, 1024));
  return 0;
}

/* warm_up(): starts the threads, and computes a matrix product on each */
static int warm_up(lua_State *L) {
  (void)L;
  sm_gemm_warm_up();
  return 0;
}

/* cores() → how many this process may run on */
static int cores(lua_State *L) {
  cpu_set_t set;
  lua_pushinteger(L, sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1);
  return 1;
}

/* now() → seconds of a clock that never goes back */
static int now(lua_State *L) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  lua_pushnumber(L, (lua_Number)time.tv_sec + 1e-9 * (lua_Number)time.tv_nsec);
  return 1;
}

static int is_terminal(lua_State *L) {
  lua_pushboolean(L, isatty((int)sm_lua_integer(L, 1, 0, INT32_MAX)));
  return 1;
}

/* Pushes one extent of the terminal on standard output, nil where there is none. */
static int push_extent(lua_State *L, bool width) {
  struct winsize size = {0};
  int extent = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 ? 0 : width ? size.ws_col : size.ws_row;
  if (extent > 0) lua_pushinteger(L, extent);
  else lua_pushnil(L);
  return 1;
}

/* columns(), rows() → width and height of the terminal on standard output, nil where there is none */
static int columns(lua_State *L) { return push_extent(L, true); }
static int rows(lua_State *L) { return push_extent(L, false); }

/* width(code) → columns that a Unicode character takes on a terminal: 0, 1 or 2; nil for one that is not shown. The
   process keeps its own locale, whose character set may know less. */
static int width(lua_State *L) {
  static locale_t unicode;
  wchar_t character = (wchar_t)sm_lua_integer(L, 1, 0, 0x10FFFF);
  if (!unicode) unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
  locale_t before = unicode ? uselocale(unicode) : (locale_t)0;
  int columns = unicode ? wcwidth(character) : 1;
  if (before) uselocale(before);
  if (columns < 0) lua_pushnil(L);
  else lua_pushinteger(L, columns);
  return 1;
}

static int process_id(lua_State *L) {
  lua_pushinteger(L, getpid());
  return 1;
}

/* blas() → {config=, kernel=, path=} */
static int blas(lua_State *L) {
  lua_createtable(L, 0, 3);
  lua_pushstring(L, sm_blas_config());
  lua_setfield(L, -2, "config");
  lua_pushstring(L, sm_blas_kernel());
  lua_setfield(L, -2, "kernel");
  lua_pushstring(L, sm_blas_path());
  lua_setfield(L, -2, "path");
  return 1;
}

/* In place of os.setlocale(locale, category): numbers are written and read with a point, whatever is asked for,
   since what the library writes must be read again. A locale of numbers other than "C" is refused with nil, as one
   that the system does not have; "all" sets the other categories. */
static int set_locale(lua_State *L) {
  static const int categories[] = {LC_ALL, LC_COLLATE, LC_CTYPE, LC_MONETARY, LC_NUMERIC, LC_TIME};
  static const char *const names[] = {"all", "collate", "ctype", "monetary", "numeric", "time", NULL};
  const char *wanted = luaL_optstring(L, 1, NULL);
  int category = categories[luaL_checkoption(L, 2, "all", names)];
  const char *given = setlocale(category, wanted);
  setlocale(LC_NUMERIC, "C");
  if (given && wanted && (category == LC_ALL || category == LC_NUMERIC)) {
    given = setlocale(category, NULL);
    if (category == LC_NUMERIC && *wanted && strcmp(wanted, "C") != 0 && strcmp(wanted, "POSIX") != 0) given = NULL;
  }
  lua_pushstring(L, given);
  return 1;
}

/* Numbers have a point from here on, and os.setlocale keeps it. */
static void keep_point(lua_State *L) {
  setlocale(LC_NUMERIC, "C");
  if (lua_getglobal(L, "os") == LUA_TTABLE) {
    lua_pushcfunction(L, set_locale);
    lua_setfield(L, -2, "setlocale");
  }
  lua_pop(L, 1);
}

void sm_lua_open_system(lua_State *L) {
  keep_point(L);
  static const luaL_Reg functions[] = {{"threads", threads}, {"set_threads", set_threads},
                                       {"warm_up", warm_up}, {"cores", cores}, {"now", now},
                                       {"is_terminal", is_terminal}, {"columns", columns}, {"rows", rows},
                                       {"width", width}, {"process_id", process_id}, {"blas", blas}, {NULL, NULL}};
  sm_lua_functions(L, functions);
  lua_pushstring(L, sm_instruction_set());
  lua_setfield(L, -2, "instruction_set");
  lua_pushstring(L, sm_conv2d_rule());
  lua_setfield(L, -2, "convolution");
  lua_pushstring(L, sm_matmul_rule());
  lua_setfield(L, -2, "matrix_products");
}
