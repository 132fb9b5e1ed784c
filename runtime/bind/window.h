/* What bindings of windows over images share. A window's options are a table that Lua has checked: {stride=, dilation=,
   padding=, partial=}. Stride and dilation are a number or {down, across}, padding is "same", "valid", pixels on each
   side, {down, across} or {top, left, bottom, right}. */
#ifndef SM_BIND_WINDOW_H
#define SM_BIND_WINDOW_H

#include "bind/bind.h"
#include "core/window.h"

/* Options down and across. */
void sm_lua_window_options(lua_State *L, int index, sm_window_options axes[2]);

/* Raises unless the tensor at index has this shape. */
void sm_lua_expect_shape(lua_State *L, int index, const char *where, const char *what, const sm_shape *expected);

/* The window over images of shape x from arguments `index`, the kernel, and `index`+1, options; *y is the result's
   shape. */
sm_window sm_lua_maxpool_window(lua_State *L, int index, const sm_shape *x, sm_shape *y);

/* Pushes a tensor for the positions of maxima, or nil, which is NULL, where they are not wanted. */
const sm_tensor *sm_lua_push_positions(lua_State *L, bool wanted, const sm_shape *shape, const sm_window *window);

void sm_lua_add_windows(lua_State *L); /* to the table of conv.c, which is on top */

#endif
