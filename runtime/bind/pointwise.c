/* Functions of one, two and three elements: runtime.pointwise, by the names of core/pointwise.h. */
#include "bind/bind.h"
#include "core/pointwise.h"

/* A summand or a factor may be nearly 0, as one that decays in a loop, and become it; a divisor, a base or an exponent
   may not, for 0 gives another answer there. */
static real number(lua_State *L, int index, sm_rule f) {
  bool may_vanish = f == SM_ADD || f == SM_SUB || f == SM_MUL || (f == SM_DIV && index == 1);
  double value = sm_lua_number(L, index);
  return (real)(may_vanish && sm_stays_finite(value) ? value : sm_lua_constant(L, index));
}

/* f(a, …, reuse) → y. Operands are real tensors and, where there are several, numbers; they broadcast. y is in a's
   place if it may be reused and has y's shape. Upvalue 1 is the sm_rule, 2 its name. */
static int apply(lua_State *L) {
  const sm_rule f = (sm_rule)sm_lua_integer(L, lua_upvalueindex(1), 0, SM_RULES - 1);
  const int operands = sm_rule_operands(f);
  const sm_tensor *given[SM_RULE_OPERANDS];
  const sm_shape scalar = {0}, *shapes[SM_RULE_OPERANDS];
  real numbers[SM_RULE_OPERANDS];
  for (int k = 0; k < operands; k++) {
    given[k] = NULL;
    shapes[k] = &scalar;
    if (operands > 1 && lua_type(L, k + 1) == LUA_TNUMBER) {
      numbers[k] = number(L, k + 1, f);
    } else {
      if (operands > 1 && !sm_lua_test_tensor(L, k + 1)) sm_lua_bad_argument(L, k + 1, "a tensor or a number");
      given[k] = sm_lua_real(L, k + 1);
      shapes[k] = &given[k]->shape;
    }
  }
  if (!given[0] && !given[operands > 1] && !given[operands - 1]) sm_lua_bad_argument(L, 1, "a tensor");
  sm_strided axes;
  sm_shape shape;
  sm_error error;
  if (sm_strided_broadcast(&axes, &shape, shapes, operands, &error) != SM_OK)
    sm_lua_fail(L, "%s: %s", sm_rule_name(f), error.message);
  const bool reuse = lua_toboolean(L, operands + 1) && given[0] && sm_shape_equal(shapes[0], &shape);
  const sm_tensor *y = reuse ? sm_lua_like(L, 1, true) : sm_lua_new(L, SM_REAL, &shape);
  const real *x[SM_RULE_OPERANDS];
  for (int k = 0; k < operands; k++) x[k] = given[k] ? sm_lua_data(L, given[k]) : &numbers[k];
  sm_pointwise(sm_lua_data(L, y), x, f, &axes);
  return 1;
}

void sm_lua_open_pointwise(lua_State *L) {
  lua_createtable(L, 0, SM_RULES);
  for (int f = 0; f < SM_RULES; f++) {
    lua_pushinteger(L, f);
    lua_pushstring(L, sm_rule_name((sm_rule)f)); /* for messages: see sm_lua_bad_argument */
    lua_pushcclosure(L, apply, 2);
    lua_setfield(L, -2, sm_rule_name((sm_rule)f));
  }
}
