/* require "sm.canvas": pictures, a Lua module of its own so that cairo is loaded only when it is needed.

     canvas.new(width, height, background)     a picture of one colour
     canvas.measure(text, {size=, bold=})      width of the text; ascent and descent of its font
     picture:rect(x, y, width, height, {fill=, stroke=, thickness=1, radius=0})
     picture:line({x1, y1, x2, y2, …}, {colour=, thickness=1})
     picture:text(x, y, text, {size=, bold=false, align="left"|"centre"|"right", colour=})
     picture:image(x, y, width, height, tensor {h, w}, {low=, high=, map={colour, …}})
     picture:image(x, y, width, height, tensor {h, w, 3}, {low=, high=})
     picture:size()                            width, height
     picture:save(path)                        PNG

   A colour is "#rrggbb" or "#rrggbbaa". io/canvas.h says what each operation does. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bind/bind.h"
#include "io/canvas.h"

static const char *const METATABLE = "sm.canvas";
static const sm_colour nothing = {0};

/* ---- arguments ---- */

/* The canvas of argument 1; open_canvas, below, gives it once no Lua code can run any more. */
static sm_canvas **check_canvas(lua_State *L) {
  sm_canvas **box = luaL_testudata(L, 1, METATABLE);
  if (!box) sm_lua_bad_argument(L, 1, "a canvas");
  return box;
}

static sm_canvas *open_canvas(lua_State *L, sm_canvas *const *box) {
  sm_lua_poison(L);
  if (!*box) sm_lua_fail(L, "this canvas was closed");
  return *box;
}

static double check_finite(lua_State *L, int index) {
  double value = sm_lua_number(L, index);
  if (!isfinite(value)) sm_lua_bad_argument(L, index, "a finite number");
  return value;
}

/* x, y, width and height, from argument 2 on. */
typedef struct rectangle {
  double x, y, width, height;
} rectangle;

static rectangle check_rectangle(lua_State *L) {
  return (rectangle){check_finite(L, 2), check_finite(L, 3), check_finite(L, 4), check_finite(L, 5)};
}

static void check_status(lua_State *L, sm_status status, const sm_error *error) {
  if (status != SM_OK) sm_lua_raise(L, error);
}

/* What was given in place of something else: a string itself, else its type; what tostring gives would be Lua code. */
static const char *given(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : luaL_typename(L, index);
}

static const char *check_text(lua_State *L, int index) {
  return sm_lua_text(L, index, "a string without zero bytes");
}

/* False unless the value at index is "#rrggbb" or "#rrggbbaa". */
static bool read_colour(lua_State *L, int index, sm_colour *colour) {
  size_t length;
  if (lua_type(L, index) != LUA_TSTRING) return false;
  const char *text = lua_tolstring(L, index, &length);
  if (text[0] != '#' || (length != 7 && length != 9)) return false;
  if (strspn(text + 1, "0123456789abcdefABCDEF") != length - 1) return false;
  unsigned long bits = strtoul(text + 1, NULL, 16);
  if (length == 7) bits = bits << 8 | 0xff;
  *colour = (sm_colour){(uint8_t)(bits >> 24), (uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits};
  return true;
}

/* The table of options at index, every key of which is among names (ended by NULL). */
static void check_options(lua_State *L, int index, const char *const *names) {
  if (lua_type(L, index) != LUA_TTABLE) sm_lua_bad_argument(L, index, "a table of options");
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
    const char *const *name = names;
    while (*name && !(key && strcmp(key, *name) == 0)) name++;
    if (!*name) sm_lua_fail(L, "canvas: unknown option '%s'", key ? key : luaL_typename(L, -2));
  }
}

static double option_number(lua_State *L, int index, const char *key, double absent) {
  double value = sm_lua_field_number(L, index, key, absent);
  if (!isfinite(value)) sm_lua_fail(L, "canvas: option '%s' must be a finite number", key);
  return value;
}

/* A colour, or nothing when the option is absent. */
static sm_colour option_colour(lua_State *L, int index, const char *key) {
  sm_colour colour = nothing;
  if (sm_lua_field(L, index, key) != LUA_TNIL && !read_colour(L, -1, &colour))
    sm_lua_fail(L, "canvas: option '%s' must be a colour like \"#1a2b3c\", got %s", key, given(L, -1));
  lua_pop(L, 1);
  return colour;
}

/* The colour of what is nothing but its colour. */
static sm_colour required_colour(lua_State *L, int index) {
  if (sm_lua_field(L, index, "colour") == LUA_TNIL) sm_lua_fail(L, "canvas: option 'colour' is missing");
  lua_pop(L, 1);
  return option_colour(L, index, "colour");
}

static sm_font option_font(lua_State *L, int index) {
  sm_font font = {option_number(L, index, "size", 0), sm_lua_field_boolean(L, index, "bold")};
  return font;
}

static sm_align option_align(lua_State *L, int index) {
  static const char *const names[] = {[SM_ALIGN_LEFT] = "left", [SM_ALIGN_CENTRE] = "centre",
                                      [SM_ALIGN_RIGHT] = "right"};
  sm_align align = SM_ALIGN_LEFT;
  if (sm_lua_field(L, index, "align") != LUA_TNIL) {
    while (align <= SM_ALIGN_RIGHT && strcmp(given(L, -1), names[align]) != 0) align++;
    if (align > SM_ALIGN_RIGHT)
      sm_lua_fail(L, "canvas: option 'align' must be \"left\", \"centre\" or \"right\", got %s", given(L, -1));
  }
  lua_pop(L, 1);
  return align;
}

/* ---- functions ---- */

/* The collector sees a picture as a few bytes: before a large one it returns those that nobody holds. */
static int new_canvas(lua_State *L) {
  enum { large = 1 << 24 }; /* pixels */
  int width = (int)sm_lua_integer(L, 1, 1, SM_CANVAS_LARGEST_SIDE);
  int height = (int)sm_lua_integer(L, 2, 1, SM_CANVAS_LARGEST_SIDE);
  sm_colour background;
  if (!read_colour(L, 3, &background)) sm_lua_bad_argument(L, 3, "a colour like \"#1a2b3c\"");
  sm_canvas **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, METATABLE);
  if (width * height >= large) sm_lua_collect_all(L);
  sm_error error;
  check_status(L, sm_canvas_new(box, width, height, background, &error), &error);
  return 1;
}

static int close_canvas(lua_State *L) {
  sm_canvas **box = check_canvas(L);
  sm_canvas_free(*box);
  *box = NULL;
  return 0;
}

static int size(lua_State *L) {
  const sm_canvas *canvas = open_canvas(L, check_canvas(L));
  lua_pushinteger(L, sm_canvas_width(canvas));
  lua_pushinteger(L, sm_canvas_height(canvas));
  return 2;
}

static int rect(lua_State *L) {
  static const char *const names[] = {"fill", "stroke", "thickness", "radius", NULL};
  sm_canvas *const *canvas = check_canvas(L);
  rectangle r = check_rectangle(L);
  check_options(L, 6, names);
  sm_box box = {.fill = option_colour(L, 6, "fill"), .stroke = option_colour(L, 6, "stroke"),
                .thickness = option_number(L, 6, "thickness", 1), .radius = option_number(L, 6, "radius", 0)};
  sm_error error;
  check_status(L, sm_canvas_rect(open_canvas(L, canvas), r.x, r.y, r.width, r.height, &box, &error), &error);
  return 0;
}

static int line(lua_State *L) {
  static const char *const names[] = {"colour", "thickness", NULL};
  sm_canvas *const *canvas = check_canvas(L);
  if (lua_type(L, 2) != LUA_TTABLE || lua_rawlen(L, 2) % 2 != 0)
    sm_lua_bad_argument(L, 2, "a table {x1, y1, x2, y2, …}");
  check_options(L, 3, names);
  sm_colour colour = required_colour(L, 3);
  double thickness = option_number(L, 3, "thickness", 1);
  size_t numbers = lua_rawlen(L, 2);
  if (numbers / 2 > SM_CANVAS_MOST_POINTS)
    sm_lua_fail(L, "a line has at most %d points, got %I", SM_CANVAS_MOST_POINTS, (LUAI_UACINT)(numbers / 2));
  double *points = lua_newuserdatauv(L, numbers * sizeof *points, 0);
  for (size_t i = 0; i < numbers; i++) {
    bool number = lua_rawgeti(L, 2, (lua_Integer)i + 1) == LUA_TNUMBER;
    points[i] = lua_tonumber(L, -1);
    if (!number || !isfinite(points[i]))
      sm_lua_fail(L, "line: coordinate %d must be a finite number, got %s", (int)i + 1,
                  number ? "one that is not" : luaL_typename(L, -1));
    lua_pop(L, 1);
  }
  sm_error error;
  check_status(L, sm_canvas_line(open_canvas(L, canvas), points, colour, thickness, numbers / 2, &error), &error);
  return 0;
}

static int measure(lua_State *L) {
  static const char *const names[] = {"size", "bold", NULL};
  const char *text = check_text(L, 1);
  check_options(L, 2, names);
  sm_text_extents extents;
  sm_error error;
  check_status(L, sm_text_measure(&extents, text, option_font(L, 2), &error), &error);
  lua_pushnumber(L, extents.width);
  lua_pushnumber(L, extents.ascent);
  lua_pushnumber(L, extents.descent);
  return 3;
}

static int text(lua_State *L) {
  static const char *const names[] = {"size", "bold", "align", "colour", NULL};
  sm_canvas *const *canvas = check_canvas(L);
  double x = check_finite(L, 2), y = check_finite(L, 3);
  const char *string = check_text(L, 4);
  check_options(L, 5, names);
  sm_font font = option_font(L, 5);
  sm_error error;
  sm_align align = option_align(L, 5);
  sm_colour colour = required_colour(L, 5);
  check_status(L, sm_canvas_text(open_canvas(L, canvas), x, y, string, font, align, colour, &error), &error);
  return 0;
}

/* Pushes the colours of option "map" as a block of memory and returns it. */
static sm_colour *push_map(lua_State *L, int index, size_t *entries) {
  if (sm_lua_field(L, index, "map") != LUA_TTABLE || lua_rawlen(L, -1) == 0)
    sm_lua_fail(L, "image: option 'map' must be a table of colours for a tensor {height, width}");
  *entries = lua_rawlen(L, -1);
  if (*entries > SM_CANVAS_MOST_COLOURS)
    sm_lua_fail(L, "image: option 'map' has at most %d colours, got %I", SM_CANVAS_MOST_COLOURS,
                (LUAI_UACINT)*entries);
  sm_colour *map = lua_newuserdatauv(L, *entries * sizeof *map, 0);
  for (size_t i = 0; i < *entries; i++) {
    lua_rawgeti(L, -2, (lua_Integer)i + 1);
    if (!read_colour(L, -1, &map[i]))
      sm_lua_fail(L, "image: entry %d of option 'map' is not a colour", (int)i + 1);
    lua_pop(L, 1);
  }
  return map;
}

static int image(lua_State *L) {
  static const char *const names[] = {"low", "high", "map", NULL};
  sm_canvas *const *canvas = check_canvas(L);
  rectangle r = check_rectangle(L);
  const sm_tensor *values = sm_lua_real(L, 6);
  check_options(L, 7, names);
  double low = option_number(L, 7, "low", 0), high = option_number(L, 7, "high", 1);
  const sm_shape *shape = &values->shape;
  bool rgb = shape->rank == 3 && shape->size[2] == 3;
  if (!rgb && shape->rank != 2) {
    char written[SM_SHAPE_TEXT];
    sm_lua_fail(L, "image: expected a tensor {height, width} or {height, width, 3}, got %s",
                sm_shape_text(written, shape));
  }
  size_t rows = shape->size[0], columns = shape->size[1], count = rows * columns, entries = 0;
  if (rows > SM_CANVAS_LARGEST_SIDE || columns > SM_CANVAS_LARGEST_SIDE)
    sm_lua_fail(L, "an image has at most %d pixels on a side, got %I rows, %I columns", SM_CANVAS_LARGEST_SIDE,
                (LUAI_UACINT)rows, (LUAI_UACINT)columns);
  if (rgb && sm_lua_field(L, 7, "map") != LUA_TNIL)
    sm_lua_fail(L, "image: option 'map' is for a tensor {height, width}; three channels are rgb");
  const sm_colour *map = rgb ? NULL : push_map(L, 7, &entries);
  sm_colour *pixels = lua_newuserdatauv(L, count * sizeof *pixels, 0);
  sm_canvas *open = open_canvas(L, canvas);
  const real *numbers = sm_lua_data(L, values);
  sm_error error;
  sm_status status = rgb ? sm_colour_rgb(pixels, numbers, low, high, count, &error)
                         : sm_colour_map(pixels, numbers, map, low, high, entries, count, &error);
  if (status == SM_OK)
    status = sm_canvas_image(open, r.x, r.y, r.width, r.height, pixels, rows, columns, &error);
  if (status != SM_OK) sm_lua_raise(L, &error);
  return 0;
}

static int save(lua_State *L) {
  sm_canvas *const *canvas = check_canvas(L);
  const char *path = check_text(L, 2);
  sm_error error;
  check_status(L, sm_canvas_save(open_canvas(L, canvas), path, &error), &error);
  return 0;
}

int luaopen_sm_canvas(lua_State *L);

int luaopen_sm_canvas(lua_State *L) {
  static const luaL_Reg functions[] = {{"new", new_canvas}, {"measure", measure}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"size", size}, {"rect", rect},   {"line", line}, {"text", text},
                                     {"image", image}, {"save", save}, {NULL, NULL}};
  sm_lua_class(L, METATABLE, methods, close_canvas);
  sm_lua_functions(L, functions);
  return 1;
}
