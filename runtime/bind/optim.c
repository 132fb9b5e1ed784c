/* Optimizer rules: runtime.optim. Each call of a rule is one pass over one parameter, in place, and returns false when
   the gradient is not finite. The last argument is a table of the rule's numbers. */
#include <string.h>

#include "bind/bind.h"
#include "core/optim.h"

/* Argument `index`, a tensor of the parameter's shape. */
static sm_tensor *like(lua_State *L, int index, const sm_tensor *w) {
  sm_tensor *state = sm_lua_real(L, index);
  char expected[SM_SHAPE_TEXT], given[SM_SHAPE_TEXT];
  if (!sm_shape_equal(&state->shape, &w->shape))
    sm_lua_fail(L, "expected a tensor of the parameter's shape %s, got %s", sm_shape_text(expected, &w->shape),
                sm_shape_text(given, &state->shape));
  return state;
}

/* The settings that all rules have, of the table at `settings`; the gradient itself comes later. */
static sm_gradient gradient_settings(lua_State *L, int settings) {
  return (sm_gradient){.scale = sm_lua_field_number(L, settings, "scale", 1),
                       .clip = sm_lua_field_number(L, settings, "clip", 0),
                       .weight_decay = sm_lua_field_number(L, settings, "weight_decay", 0)};
}

/* sgd(w, g, velocity or nil, {lr, momentum, nesterov}) */
static int sgd(lua_State *L) {
  sm_tensor *w = sm_lua_real(L, 1), *g = like(L, 2, w), *velocity = lua_isnil(L, 3) ? NULL : like(L, 3, w);
  sm_gradient gradient = gradient_settings(L, 4);
  double lr = sm_lua_field_number(L, 4, "lr", 0), momentum = sm_lua_field_number(L, 4, "momentum", 0);
  bool nesterov = sm_lua_field_boolean(L, 4, "nesterov");
  if ((momentum != 0) != (velocity != NULL)) sm_lua_bad_argument(L, 3, "a velocity exactly when there is momentum");
  gradient.g = sm_lua_data(L, g);
  lua_pushboolean(L, sm_sgd_step(sm_lua_change(L, w), sm_lua_change(L, velocity), &gradient, lr, momentum, nesterov,
                                 sm_shape_count(&w->shape)));
  return 1;
}

/* rmsprop(w, g, square, {lr, decay, epsilon}) */
static int rmsprop(lua_State *L) {
  sm_tensor *w = sm_lua_real(L, 1), *g = like(L, 2, w), *square = like(L, 3, w);
  sm_gradient gradient = gradient_settings(L, 4);
  double lr = sm_lua_field_number(L, 4, "lr", 0), decay = sm_lua_field_number(L, 4, "decay", 0);
  double epsilon = sm_lua_field_number(L, 4, "epsilon", 0);
  gradient.g = sm_lua_data(L, g);
  lua_pushboolean(L, sm_rmsprop_step(sm_lua_change(L, w), sm_lua_change(L, square), &gradient, lr, decay, epsilon,
                                     sm_shape_count(&w->shape)));
  return 1;
}

/* adam(w, g, m, v, {lr, beta1, beta2, epsilon, decoupled, step}) */
static int adam(lua_State *L) {
  const double most_steps = 0x1p53;
  sm_tensor *w = sm_lua_real(L, 1), *g = like(L, 2, w), *m = like(L, 3, w), *v = like(L, 4, w);
  sm_gradient gradient = gradient_settings(L, 5);
  double step = sm_lua_field_number(L, 5, "step", 1);
  if (!(step >= 1 && step <= most_steps)) sm_lua_fail(L, "option 'step' must be from 1 to 2^53, got %f", step);
  sm_adam rule = {.lr = sm_lua_field_number(L, 5, "lr", 0),
                  .beta1 = sm_lua_field_number(L, 5, "beta1", 0),
                  .beta2 = sm_lua_field_number(L, 5, "beta2", 0),
                  .epsilon = sm_lua_field_number(L, 5, "epsilon", 0),
                  .decoupled = sm_lua_field_boolean(L, 5, "decoupled"),
                  .step = (uint64_t)step};
  gradient.g = sm_lua_data(L, g);
  lua_pushboolean(L, sm_adam_step(sm_lua_change(L, w), sm_lua_change(L, m), sm_lua_change(L, v), &gradient, &rule,
                                  sm_shape_count(&w->shape)));
  return 1;
}

/* lion(w, g, m, {lr, beta1, beta2}) */
static int lion(lua_State *L) {
  sm_tensor *w = sm_lua_real(L, 1), *g = like(L, 2, w), *m = like(L, 3, w);
  sm_gradient gradient = gradient_settings(L, 4);
  double lr = sm_lua_field_number(L, 4, "lr", 0), beta1 = sm_lua_field_number(L, 4, "beta1", 0);
  double beta2 = sm_lua_field_number(L, 4, "beta2", 0);
  gradient.g = sm_lua_data(L, g);
  lua_pushboolean(L, sm_lion_step(sm_lua_change(L, w), sm_lua_change(L, m), &gradient, lr, beta1, beta2,
                                  sm_shape_count(&w->shape)));
  return 1;
}

/* smorms3(w, g, mem, a, b, {cap, epsilon}) */
static int smorms3(lua_State *L) {
  sm_tensor *w = sm_lua_real(L, 1), *g = like(L, 2, w);
  sm_tensor *mem = like(L, 3, w), *a = like(L, 4, w), *b = like(L, 5, w);
  sm_gradient gradient = gradient_settings(L, 6);
  double cap = sm_lua_field_number(L, 6, "cap", 0), epsilon = sm_lua_field_number(L, 6, "epsilon", 0);
  gradient.g = sm_lua_data(L, g);
  lua_pushboolean(L, sm_smorms3_step(sm_lua_change(L, w), sm_lua_change(L, mem), sm_lua_change(L, a),
                                     sm_lua_change(L, b), &gradient, cap, epsilon, sm_shape_count(&w->shape)));
  return 1;
}

/* squared_change(before, after) → Σ (after − before)² */
static int squared_change(lua_State *L) {
  const sm_tensor *before = sm_lua_real(L, 1), *after = like(L, 2, before);
  lua_pushnumber(L, (lua_Number)sm_squared_change(sm_lua_data(L, before), sm_lua_data(L, after),
                                                  sm_shape_count(&before->shape)));
  return 1;
}

/* Adds {mem, a, b, {cap, epsilon}}, on top of the stack, to what is looked at. */
static void observe(lua_State *L, sm_smorms3_look *look) {
  int first = lua_gettop(L);
  luaL_checktype(L, first, LUA_TTABLE);
  for (int part = 1; part <= 4; part++) lua_rawgeti(L, first, part);
  const sm_tensor *mem = sm_lua_real(L, first + 1), *a = like(L, first + 2, mem), *b = like(L, first + 3, mem);
  double cap = sm_lua_field_number(L, first + 4, "cap", 0), epsilon = sm_lua_field_number(L, first + 4, "epsilon", 0);
  sm_smorms3_observe(look, sm_lua_data(L, mem), sm_lua_data(L, a), sm_lua_data(L, b), cap, epsilon,
                     sm_shape_count(&mem->shape));
}

/* smorms3_look({{mem, a, b, {cap, epsilon}}, …}, fraction, …) → the share of weights whose step was held by the cap;
   for each fraction, the memory that this fraction of the weights do not exceed */
static int smorms3_look(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  int fractions = lua_gettop(L) - 1;
  luaL_checkstack(L, fractions + 10, "too many fractions");
  sm_smorms3_look *look = lua_newuserdatauv(L, sizeof *look, 0);
  memset(look, 0, sizeof *look);
  int top = lua_gettop(L);
  for (lua_Integer i = 1, parameters = (lua_Integer)lua_rawlen(L, 1); i <= parameters; i++) {
    lua_rawgeti(L, 1, i);
    observe(L, look);
    lua_settop(L, top);
  }
  lua_pushnumber(L, (lua_Number)look->held / (lua_Number)look->count);
  for (int i = 0; i < fractions; i++)
    lua_pushnumber(L, (lua_Number)sm_smorms3_memory(look, sm_lua_number(L, 2 + i)));
  return 1 + fractions;
}

void sm_lua_open_optim(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"sgd", sgd}, {"rmsprop", rmsprop}, {"adam", adam}, {"lion", lion}, {"smorms3", smorms3},
      {"squared_change", squared_change}, {"smorms3_look", smorms3_look}, {NULL, NULL}};
  sm_lua_functions(L, functions);
}
