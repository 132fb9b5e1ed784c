/* Recurrent networks: runtime.recurrent. */
#include <string.h>

#include "bind/bind.h"
#include "core/recurrent.h"

static const char *const names[] = {
    [SM_RNN_TANH] = "tanh", [SM_RNN_RELU] = "relu", [SM_GRU] = "gru", [SM_LSTM] = "lstm"};

static sm_cell read_cell(lua_State *L, int index) {
  const char *name = sm_lua_string(L, index, NULL);
  for (int i = 0; i < (int)(sizeof names / sizeof *names); i++)
    if (strcmp(name, names[i]) == 0) return (sm_cell)i;
  sm_lua_bad_argument(L, index, "the name of a cell");
}

/* A real tensor of this shape, or NULL for nil. */
static const sm_tensor *expected(lua_State *L, int index, const char *what, const sm_shape *shape) {
  const sm_tensor *x = sm_lua_real_or_nil(L, index);
  char want[SM_SHAPE_TEXT], have[SM_SHAPE_TEXT];
  if (x && !sm_shape_equal(&x->shape, shape))
    sm_lua_fail(L, "%s must have shape %s, got %s", what, sm_shape_text(want, shape), sm_shape_text(have, &x->shape));
  return x;
}

static sm_shape shape_of(int rank, size_t a, size_t b, size_t c) { return (sm_shape){rank, {a, b, c}}; }

/* What both passes take: the gates {batch, steps, G size} and v {size, G size}. */
static sm_recurrence read_sizes(lua_State *L, sm_cell cell, const sm_tensor *gates, const sm_tensor *v, bool reverse) {
  char first[SM_SHAPE_TEXT], second[SM_SHAPE_TEXT];
  size_t all;
  if (gates->shape.rank != 3 || v->shape.rank != 2 || !sm_multiply(&all, v->shape.size[0], sm_cell_gates(cell)) ||
      v->shape.size[1] != all || gates->shape.size[2] != all)
    sm_lua_fail(L, "gates {batch, steps, %d size} and a matrix {size, %d size} do not fit: %s and %s",
                (int)sm_cell_gates(cell), (int)sm_cell_gates(cell), sm_shape_text(first, &gates->shape),
                sm_shape_text(second, &v->shape));
  return (sm_recurrence){cell, gates->shape.size[0], gates->shape.size[1], v->shape.size[0], reverse};
}

static void *take(lua_State *L, const sm_recurrence *of) {
  size_t bytes, again;
  if (!sm_recurrent_scratch(&bytes, of)) sm_lua_fail(L, "the state is too large");
  void *scratch = sm_lua_take(L, bytes);
  if (!sm_recurrent_scratch(&again, of) || again > bytes)
    sm_lua_fail(L, "%s: the number of threads was changed during the call", names[of->cell]);
  return scratch;
}

/* forward(cell, gates, v, d, h, c, reverse, last) → y, kept; d, h, c may be nil. gates, the input's part, become what
   backward takes. y is gates where the cell has one; with `last`, of an lstm, it is flat, and the last c comes after
   it. */
static int forward(lua_State *L) {
  sm_cell cell = read_cell(L, 1);
  sm_tensor *gates = sm_lua_real(L, 2);
  const sm_tensor *v = sm_lua_real(L, 3);
  bool reverse = lua_toboolean(L, 7), last = lua_toboolean(L, 8);
  const sm_recurrence of = read_sizes(L, cell, gates, v, reverse);
  sm_shape state = shape_of(2, of.batch, of.size, 0), all = shape_of(3, of.batch, of.steps, of.size);
  sm_shape flat = {.rank = 1};
  const sm_tensor *d = expected(L, 4, "the bias", &(sm_shape){1, {sm_cell_gates(cell) * of.size}});
  const sm_tensor *h = expected(L, 5, "h", &state), *c = expected(L, 6, "c", &state);
  if (last && (cell != SM_LSTM || of.steps == 0)) sm_lua_bad_argument(L, 8, "the last c of an lstm with steps");
  if (last && !sm_shape_extent(&flat.size[0], &(sm_shape){3, {of.batch, of.steps + 1, of.size}}, 1))
    sm_lua_fail(L, "the result is too large");
  lua_settop(L, 8);
  const sm_tensor *y = gates, *kept = NULL;
  if (sm_cell_gates(cell) == 1) lua_pushvalue(L, 2);
  else y = sm_lua_new(L, SM_REAL, last ? &flat : &all);
  if (sm_cell_keeps(cell)) kept = sm_lua_new(L, SM_REAL, &all);
  else lua_pushnil(L);
  void *scratch = take(L, &of);
  real *inner = sm_lua_change(L, gates), *out = sm_lua_data(L, y), *cells = sm_lua_data(L, kept);
  sm_recurrent_forward(out, inner, cells, sm_lua_data(L, v), sm_lua_data(L, d), sm_lua_data(L, h), sm_lua_data(L, c),
                       scratch, &of);
  if (last) sm_recurrent_last(out + of.batch * of.steps * of.size, cells, &of);
  sm_lua_give(L);
  return 2;
}

/* backward(cell, gates, v, y, kept, h, c, gy, gc, reverse, state) → ga, gr, gh, gc: of the sums of the gates, {batch
   steps, G size}, as far as they come from the input and from the state; of the first state if it is asked for, else
   nil. gc and what forward had none of are nil. ga and gr are one tensor but for a gru. */
static int backward(lua_State *L) {
  sm_cell cell = read_cell(L, 1);
  const sm_tensor *gates = sm_lua_real(L, 2), *v = sm_lua_real(L, 3);
  bool reverse = lua_toboolean(L, 10), wanted = lua_toboolean(L, 11);
  const sm_recurrence of = read_sizes(L, cell, gates, v, reverse);
  sm_shape state = shape_of(2, of.batch, of.size, 0), all = shape_of(3, of.batch, of.steps, of.size);
  const sm_tensor *y = expected(L, 4, "y", &all), *kept = expected(L, 5, "what was kept", &all);
  const sm_tensor *h = expected(L, 6, "h", &state), *c = expected(L, 7, "c", &state);
  const sm_tensor *gy = expected(L, 8, "the gradient", &all), *gc_last = expected(L, 9, "the gradient of c", &state);
  if (!y || !gy || !kept != !sm_cell_keeps(cell)) sm_lua_fail(L, "expected what forward has given");
  lua_settop(L, 11);
  const sm_shape rows = shape_of(2, of.batch * of.steps, gates->shape.size[2], 0);
  const sm_tensor *ga = sm_lua_new(L, SM_REAL, &rows), *gr = ga, *gh = NULL, *gc = NULL;
  if (cell == SM_GRU) gr = sm_lua_new(L, SM_REAL, &rows);
  else lua_pushvalue(L, -1);
  if (wanted) gh = sm_lua_new(L, SM_REAL, &state);
  else lua_pushnil(L);
  if (wanted && cell == SM_LSTM) gc = sm_lua_new(L, SM_REAL, &state);
  else lua_pushnil(L);
  void *scratch = take(L, &of);
  sm_recurrent_backward(sm_lua_data(L, ga), sm_lua_data(L, gr), sm_lua_data(L, gh), sm_lua_data(L, gc),
                        sm_lua_data(L, gy), sm_lua_data(L, gc_last), sm_lua_data(L, y), sm_lua_data(L, gates),
                        sm_lua_data(L, kept), sm_lua_data(L, v), sm_lua_data(L, h), sm_lua_data(L, c), scratch, &of);
  sm_lua_give(L);
  return 4;
}

/* before(y, h, reverse) → of every step the state before it, {batch, steps, size}; h may be nil */
static int before(lua_State *L) {
  const sm_tensor *y = sm_lua_real(L, 1);
  if (y->shape.rank != 3) sm_lua_bad_argument(L, 1, "states {batch, steps, size}");
  sm_recurrence of = {.batch = y->shape.size[0], .steps = y->shape.size[1], .size = y->shape.size[2],
                      .reverse = lua_toboolean(L, 3)};
  sm_shape state = shape_of(2, of.batch, of.size, 0);
  const sm_tensor *h = expected(L, 2, "h", &state), *out = sm_lua_new(L, SM_REAL, &y->shape);
  sm_recurrent_before(sm_lua_data(L, out), sm_lua_data(L, y), sm_lua_data(L, h), &of);
  return 1;
}

void sm_lua_open_recurrent(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"forward", forward}, {"backward", backward}, {"before", before}, {NULL, NULL}};
  sm_lua_functions(L, functions);
}
