/* Expressions that are computed in one pass: runtime.expression. */
#include "bind/bind.h"
#include "core/expression.h"

static const char CLASS[] = "sm.expression";

enum { FIELDS = 4 }; /* of an instruction in Lua: what it computes, and three operands */

static size_t length(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TTABLE) sm_lua_bad_argument(L, index, "a list of numbers");
  sm_lua_plain_list(L, index);
  lua_Unsigned count = lua_rawlen(L, index);
  if (count > (lua_Unsigned)SM_EXPRESSION_VALUES * FIELDS)
    sm_lua_fail(L, "pointwise: the function is too large: it takes more than %d numbers and steps",
                SM_EXPRESSION_VALUES - SM_EXPRESSION_INPUTS - SM_EXPRESSION_OUTPUTS);
  return (size_t)count;
}

static int integer(lua_State *L, int list, size_t position) {
  lua_rawgeti(L, list, (lua_Integer)position);
  int exact = 0;
  lua_Integer value = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &exact) : 0;
  if (!exact || value < 0 || value > INT16_MAX) sm_lua_bad_argument(L, list, "a list of small integers");
  lua_pop(L, 1);
  return (int)value;
}

/* make(inputs, constants, instructions, outputs, name for messages) → an expression. Instructions have four integers
   each: one of `operations`, and the values that are its operands. Values count from 0: the inputs, the constants, the
   results of the instructions. Every number is checked. */
static int make(lua_State *L) {
  const int inputs = (int)sm_lua_integer(L, 1, 0, INT16_MAX);
  const size_t constants = length(L, 2), fields = length(L, 3), outputs = length(L, 4);
  if (fields % FIELDS != 0) sm_lua_bad_argument(L, 3, "a list of four integers for each instruction");
  const size_t instructions = fields / FIELDS, head = sizeof(sm_expression);
  if (outputs > SM_EXPRESSION_OUTPUTS) sm_lua_bad_argument(L, 4, "a shorter list");
  sm_expression *e = lua_newuserdatauv(
      L, head + instructions * sizeof(sm_instruction) + constants * sizeof(real), 1);
  sm_instruction *instruction = (sm_instruction *)(e + 1);
  real *constant = (real *)(instruction + instructions);
  *e = (sm_expression){.inputs = inputs, .constants = (int)constants, .instructions = (int)instructions,
                       .outputs = (int)outputs, .constant = constant, .instruction = instruction};
  for (size_t i = 0; i < constants; i++) {
    lua_rawgeti(L, 2, (lua_Integer)i + 1);
    if (lua_type(L, -1) != LUA_TNUMBER) sm_lua_bad_argument(L, 2, "a list of numbers");
    double value = lua_tonumber(L, -1);
    if (!sm_stays_finite(value))
      sm_lua_fail(L, "pointwise: the number %f in the function does not fit " SM_REAL_NAME, value);
    constant[i] = (real)value;
    lua_pop(L, 1);
  }
  for (size_t i = 0; i < instructions; i++) {
    const size_t at = i * FIELDS + 1;
    const int code = integer(L, 3, at);
    instruction[i] = (sm_instruction){.f = (sm_rule)code};
    for (size_t k = 0; k < 3; k++) instruction[i].operand[k] = integer(L, 3, at + 1 + k);
  }
  for (size_t k = 0; k < outputs; k++) e->output[k] = integer(L, 4, k + 1);
  sm_error error;
  if (sm_expression_make(e, &error) != SM_OK) sm_lua_fail(L, "pointwise: %s", error.message);
  luaL_setmetatable(L, CLASS);
  lua_pushvalue(L, 5);
  lua_setiuservalue(L, -2, 1);
  return 1;
}

/* run(expression, periods or nil, divisor or nil, x, …) → its outputs. An input is a tensor, real or uint8, or a
   number. An output whose period is not 0 is as many sums, in a tensor of one axis: element i is added to sum i %
   period, by parts of the batch. With a divisor the first output is a loss, one sum, which it divides; after the
   outputs comes the sum itself, a number. */
static int run(lua_State *L) {
  const sm_expression *e = luaL_testudata(L, 1, CLASS);
  if (!e) sm_lua_bad_argument(L, 1, "an expression");
  enum { BEFORE = 3 }; /* arguments before the inputs */
  if (lua_gettop(L) != e->inputs + BEFORE)
    sm_lua_fail(L, "run: expected an expression, periods, a divisor and %d inputs, got %d", e->inputs,
                lua_gettop(L) - BEFORE);
  const bool is_loss = !lua_isnil(L, 3);
  const double divisor = is_loss ? sm_lua_number(L, 3) : 1;
  int periods[SM_EXPRESSION_OUTPUTS] = {0};
  if (!lua_isnil(L, 2)) {
    if (length(L, 2) != (size_t)e->outputs) sm_lua_bad_argument(L, 2, "a period for each output");
    for (int k = 0; k < e->outputs; k++) periods[k] = integer(L, 2, (size_t)k + 1);
  }
  luaL_checkstack(L, e->outputs + 4, NULL);
  const sm_tensor *given[SM_EXPRESSION_INPUTS];
  const sm_shape *shapes[SM_EXPRESSION_INPUTS];
  const void *inputs[SM_EXPRESSION_INPUTS];
  sm_dtype dtypes[SM_EXPRESSION_INPUTS];
  real numbers[SM_EXPRESSION_INPUTS];
  const sm_shape scalar = {0};
  for (int i = 0; i < e->inputs; i++) {
    const int index = i + 1 + BEFORE;
    given[i] = NULL;
    shapes[i] = &scalar;
    dtypes[i] = SM_REAL;
    if (lua_type(L, index) == LUA_TNUMBER) {
      numbers[i] = (real)sm_lua_constant(L, index);
    } else {
      if (!sm_lua_test_tensor(L, index)) sm_lua_bad_argument(L, index, "a tensor or a number");
      given[i] = sm_lua_tensor(L, index);
      shapes[i] = &given[i]->shape;
      dtypes[i] = given[i]->dtype;
      if (dtypes[i] != SM_REAL && dtypes[i] != SM_UINT8)
        sm_lua_bad_argument(L, index, "a " SM_REAL_NAME " or uint8 tensor or a number");
    }
  }
  sm_expression_plan plan;
  sm_error error;
  if (sm_expression_plan_of(&plan, e, shapes, dtypes, &error) != SM_OK)
    sm_lua_fail(L, "%s: %s", lua_getiuservalue(L, 1, 1) == LUA_TSTRING ? lua_tostring(L, -1) : "run", error.message);
  const sm_tensor *y[SM_EXPRESSION_OUTPUTS];
  for (int k = 0; k < e->outputs; k++)
    if (periods[k] && sm_expression_sum(&plan, k, (size_t)periods[k], &error) != SM_OK) sm_lua_raise(L, &error);
  for (int k = 0; k < e->outputs; k++) {
    const sm_shape sums = {1, {plan.period[k]}};
    y[k] = sm_lua_new(L, SM_REAL, periods[k] ? &sums : &plan.shape);
  }
  plan.is_loss = is_loss;
  plan.divisor = divisor;
  const size_t bytes = sm_expression_scratch(&plan);
  void *scratch = sm_lua_take(L, bytes);
  if (sm_expression_scratch(&plan) > bytes)
    sm_lua_fail(L, "pointwise: the number of threads was changed during the call");
  real *out[SM_EXPRESSION_OUTPUTS];
  for (int i = 0; i < e->inputs; i++) inputs[i] = given[i] ? sm_lua_data(L, given[i]) : &numbers[i];
  for (int k = 0; k < e->outputs; k++) out[k] = sm_lua_data(L, y[k]);
  sm_expression_run(out, inputs, e, &plan, scratch);
  sm_lua_give(L);
  if (is_loss) lua_pushnumber(L, (lua_Number)plan.total[0]);
  return e->outputs + is_loss;
}

void sm_lua_open_expression(lua_State *L) {
  static const luaL_Reg functions[] = {{"make", make}, {"run", run}, {NULL, NULL}};
  luaL_newmetatable(L, CLASS);
  sm_lua_protect(L);
  lua_pop(L, 1);
  sm_lua_functions(L, functions);
  lua_newtable(L);
  for (int f = 0; f < SM_RULES; f++) {
    lua_pushinteger(L, f);
    lua_setfield(L, -2, sm_rule_name((sm_rule)f));
  }
  lua_setfield(L, -2, "operations");
}
