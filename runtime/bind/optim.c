/* Optimizer rules: runtime.optim. Each call of a rule is one pass over one parameter, in place, and returns false when
   the gradient is not finite. The last argument is a table of the rule's numbers. */
#include <string.h>

#include "bind/bind.h"
#include "core/optim.h"

/* Argument `index`, a tensor of the parameter's shape, to read. */
static const real *numbers_of(lua_State *L, int index, const sm_tensor *w) {
  const sm_tensor *state = sm_lua_real(L, index);
  char expected[SM_SHAPE_TEXT], given[SM_SHAPE_TEXT];
  if (!sm_shape_equal(&state->shape, &w->shape))
    sm_lua_fail(L, "expected a tensor of the parameter's shape %s, got %s", sm_shape_text(expected, &w->shape),
                sm_shape_text(given, &state->shape));
  return state->data;
}

/* The same, to be changed by the step. */
static real *state_of(lua_State *L, int index, const sm_tensor *w) {
  numbers_of(L, index, w);
  return sm_lua_real_to_change(L, index)->data;
}

static sm_gradient gradient_of(lua_State *L, const sm_tensor *w, int settings) {
  luaL_checktype(L, settings, LUA_TTABLE);
  return (sm_gradient){.g = numbers_of(L, 2, w),
                       .scale = sm_lua_field_number(L, settings, "scale", 1),
                       .clip = sm_lua_field_number(L, settings, "clip", 0),
                       .weight_decay = sm_lua_field_number(L, settings, "weight_decay", 0)};
}

/* sgd(w, g, velocity or nil, {lr, momentum, nesterov}) */
static int sgd(lua_State *L) {
  const sm_tensor *w = sm_lua_real_to_change(L, 1);
  sm_gradient gradient = gradient_of(L, w, 4);
  double momentum = sm_lua_field_number(L, 4, "momentum", 0);
  real *velocity = lua_isnil(L, 3) ? NULL : state_of(L, 3, w);
  if ((momentum != 0) != (velocity != NULL)) sm_lua_bad_argument(L, 3, "a velocity exactly when there is momentum");
  lua_pushboolean(L, sm_sgd_step(w->data, velocity, &gradient, sm_lua_field_number(L, 4, "lr", 0), momentum,
                                 sm_lua_field_boolean(L, 4, "nesterov"), sm_shape_count(&w->shape)));
  return 1;
}

/* rmsprop(w, g, square, {lr, decay, epsilon}) */
static int rmsprop(lua_State *L) {
  const sm_tensor *w = sm_lua_real_to_change(L, 1);
  sm_gradient gradient = gradient_of(L, w, 4);
  lua_pushboolean(L, sm_rmsprop_step(w->data, state_of(L, 3, w), &gradient, sm_lua_field_number(L, 4, "lr", 0),
                                     sm_lua_field_number(L, 4, "decay", 0), sm_lua_field_number(L, 4, "epsilon", 0),
                                     sm_shape_count(&w->shape)));
  return 1;
}

/* adam(w, g, m, v, {lr, beta1, beta2, epsilon, decoupled, step}) */
static int adam(lua_State *L) {
  const sm_tensor *w = sm_lua_real_to_change(L, 1);
  sm_gradient gradient = gradient_of(L, w, 5);
  sm_adam rule = {.lr = sm_lua_field_number(L, 5, "lr", 0),
                  .beta1 = sm_lua_field_number(L, 5, "beta1", 0),
                  .beta2 = sm_lua_field_number(L, 5, "beta2", 0),
                  .epsilon = sm_lua_field_number(L, 5, "epsilon", 0),
                  .decoupled = sm_lua_field_boolean(L, 5, "decoupled"),
                  .step = (uint64_t)sm_lua_field_number(L, 5, "step", 1)};
  lua_pushboolean(L, sm_adam_step(w->data, state_of(L, 3, w), state_of(L, 4, w), &gradient, &rule,
                                  sm_shape_count(&w->shape)));
  return 1;
}

/* smorms3(w, g, mem, a, b, {cap, epsilon}) */
static int smorms3(lua_State *L) {
  const sm_tensor *w = sm_lua_real_to_change(L, 1);
  sm_gradient gradient = gradient_of(L, w, 6);
  lua_pushboolean(L, sm_smorms3_step(w->data, state_of(L, 3, w), state_of(L, 4, w), state_of(L, 5, w), &gradient,
                                     sm_lua_field_number(L, 6, "cap", 0), sm_lua_field_number(L, 6, "epsilon", 0),
                                     sm_shape_count(&w->shape)));
  return 1;
}

/* squared_change(before, after) → Σ (after − before)² */
static int squared_change(lua_State *L) {
  const sm_tensor *before = sm_lua_real(L, 1);
  const real *after = numbers_of(L, 2, before);
  lua_pushnumber(L, (lua_Number)sm_squared_change(before->data, after, sm_shape_count(&before->shape)));
  return 1;
}

/* smorms3_look({{mem, a, b, {cap, epsilon}}, …}, fraction, …) → the share of weights whose step was held by the cap;
   for each fraction, the memory that this fraction of the weights do not exceed */
static int smorms3_look(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  int fractions = lua_gettop(L) - 1;
  luaL_checkstack(L, fractions + 10, "too many fractions");
  sm_smorms3_look *look = lua_newuserdatauv(L, sizeof *look, 0);
  memset(look, 0, sizeof *look);
  int first = lua_gettop(L) + 1;
  lua_Integer parameters = luaL_len(L, 1);
  for (lua_Integer i = 1; i <= parameters; i++) {
    lua_geti(L, 1, i);
    luaL_checktype(L, first, LUA_TTABLE);
    for (int part = 1; part <= 4; part++) lua_geti(L, first, part);
    const sm_tensor *mem = sm_lua_real(L, first + 1);
    luaL_checktype(L, first + 4, LUA_TTABLE);
    sm_smorms3_observe(look, mem->data, numbers_of(L, first + 2, mem), numbers_of(L, first + 3, mem),
                       sm_lua_field_number(L, first + 4, "cap", 0), sm_lua_field_number(L, first + 4, "epsilon", 0),
                       sm_shape_count(&mem->shape));
    lua_settop(L, first - 1);
  }
  lua_pushnumber(L, (lua_Number)look->held / (lua_Number)look->count);
  for (int i = 0; i < fractions; i++)
    lua_pushnumber(L, (lua_Number)sm_smorms3_memory(look, sm_lua_number(L, 2 + i)));
  return 1 + fractions;
}

void sm_lua_open_optim(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"sgd", sgd}, {"rmsprop", rmsprop}, {"adam", adam}, {"smorms3", smorms3}, {"squared_change", squared_change},
      {"smorms3_look", smorms3_look}, {NULL, NULL}};
  sm_lua_functions(L, functions);
}
