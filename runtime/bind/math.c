/* Pointwise functions: runtime.math, with what reduce.c and product.c add. */
#include "bind/bind.h"
#include "core/pointwise.h"

static void check_same_shape(lua_State *L, const sm_tensor *a, const sm_tensor *b) {
  char first[SM_SHAPE_TEXT], second[SM_SHAPE_TEXT];
  if (!sm_shape_equal(&a->shape, &b->shape))
    sm_lua_fail(L, "expected two tensors of one shape, got %s and %s", sm_shape_text(first, &a->shape),
                sm_shape_text(second, &b->shape));
}

/* Upvalue 1 of a function that several operations share: which one it is, up to `last`. */
static int which(lua_State *L, int last) { return (int)sm_lua_integer(L, lua_upvalueindex(1), 0, last); }

/* f(x) → y; upvalue 1 is the sm_unary. */
static int unary_forward(lua_State *L) {
  const sm_tensor *x = sm_lua_real(L, 1);
  sm_unary f = (sm_unary)which(L, SM_SOFTPLUS);
  const sm_tensor *y = sm_lua_new(L, SM_REAL, &x->shape);
  sm_unary_forward(sm_lua_data(L, y), sm_lua_data(L, x), f, sm_shape_count(&x->shape));
  return 1;
}

/* f_backward(gy, x, y, reuse) → gx, in gy's place if it may be reused */
static int unary_backward(lua_State *L) {
  const sm_tensor *gy = sm_lua_real(L, 1), *x = sm_lua_real(L, 2), *y = sm_lua_real(L, 3);
  check_same_shape(L, gy, x);
  check_same_shape(L, gy, y);
  sm_unary f = (sm_unary)which(L, SM_SOFTPLUS);
  const sm_tensor *gx = sm_lua_like(L, 1, lua_toboolean(L, 4));
  sm_unary_backward(sm_lua_data(L, gx), sm_lua_data(L, gy), sm_lua_data(L, x), sm_lua_data(L, y), f,
                    sm_shape_count(&x->shape));
  return 1;
}

/* clamp(x, low, high) → y */
static int clamp(lua_State *L) {
  const sm_tensor *x = sm_lua_real(L, 1);
  double low = sm_lua_constant(L, 2), high = sm_lua_constant(L, 3);
  if (!(low <= high)) sm_lua_fail(L, "clamp: expected low <= high, got %f and %f", low, high);
  const sm_tensor *y = sm_lua_new(L, SM_REAL, &x->shape);
  sm_clamp_forward(sm_lua_data(L, y), sm_lua_data(L, x), (real)low, (real)high, sm_shape_count(&x->shape));
  return 1;
}

/* clamp_backward(gy, x, low, high) → gx */
static int clamp_backward(lua_State *L) {
  const sm_tensor *gy = sm_lua_real(L, 1), *x = sm_lua_real(L, 2);
  double low = sm_lua_constant(L, 3), high = sm_lua_constant(L, 4);
  check_same_shape(L, gy, x);
  const sm_tensor *gx = sm_lua_new(L, SM_REAL, &x->shape);
  sm_clamp_backward(sm_lua_data(L, gx), sm_lua_data(L, gy), sm_lua_data(L, x), (real)low, (real)high,
                    sm_shape_count(&x->shape));
  return 1;
}

/* A number that is an operand. A summand or a factor may be nearly 0, as one that decays in a loop, and become it; a
   divisor, a base or an exponent may not, for 0 gives another answer there. */
static double operand(lua_State *L, int index, sm_binary f) {
  bool may_vanish = f == SM_ADD || f == SM_SUB || f == SM_MUL || (f == SM_DIV && index == 1);
  double value = sm_lua_number(L, index);
  return may_vanish && sm_stays_finite(value) ? value : sm_lua_constant(L, index);
}

/* f(a, b) → y, where argument `number` is one. */
static int binary_number(lua_State *L, sm_binary f, int number) {
  const sm_tensor *x = sm_lua_real(L, 3 - number);
  double value = operand(L, number, f);
  const sm_tensor *y = sm_lua_new(L, SM_REAL, &x->shape);
  sm_binary_number(sm_lua_data(L, y), sm_lua_data(L, x), value, number == 1, f, sm_shape_count(&x->shape));
  return 1;
}

/* f(a, b) → y, where one of the two may be a number; upvalue 1 is the sm_binary. */
static int binary(lua_State *L) {
  sm_binary f = (sm_binary)which(L, SM_POW_GROWTH);
  for (int number = 1; number <= 2; number++)
    if (lua_type(L, number) == LUA_TNUMBER) return binary_number(L, f, number);
  for (int operand = 1; operand <= 2; operand++)
    if (!sm_lua_test_tensor(L, operand)) sm_lua_bad_argument(L, operand, "a tensor or a number");
  const sm_tensor *a = sm_lua_real(L, 1), *b = sm_lua_real(L, 2);
  sm_broadcast plan;
  sm_error error;
  if (sm_broadcast_plan(&plan, &a->shape, &b->shape, &error) != SM_OK) sm_lua_raise(L, &error);
  const sm_tensor *y = sm_lua_new(L, SM_REAL, &plan.shape);
  sm_binary_forward(sm_lua_data(L, y), sm_lua_data(L, a), sm_lua_data(L, b), f, &plan);
  return 1;
}

/* rounded(number) → the nearest that a real can be */
static int rounded(lua_State *L) {
  lua_pushnumber(L, (lua_Number)(real)sm_lua_number(L, 1));
  return 1;
}

static void add_closure(lua_State *L, const char *name, lua_CFunction function, int which) {
  lua_pushinteger(L, which);
  lua_pushstring(L, name); /* for messages: see sm_lua_bad_argument */
  lua_pushcclosure(L, function, 2);
  lua_setfield(L, -2, name);
}

void sm_lua_open_math(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"clamp", clamp}, {"clamp_backward", clamp_backward}, {"rounded", rounded},
      {NULL, NULL}};
  static const struct {
    const char *forward, *backward;
    sm_unary f;
  } unaries[] = {{"neg", "neg_backward", SM_NEG},    {"exp", "exp_backward", SM_EXP},
                 {"log", "log_backward", SM_LOG},    {"sqrt", "sqrt_backward", SM_SQRT},
                 {"abs", "abs_backward", SM_ABS},    {"tanh", "tanh_backward", SM_TANH},
                 {"relu", "relu_backward", SM_RELU}, {"sigmoid", "sigmoid_backward", SM_SIGMOID},
                 {"softplus", "softplus_backward", SM_SOFTPLUS}};
  static const struct {
    const char *name;
    sm_binary f;
  } binaries[] = {{"add", SM_ADD}, {"sub", SM_SUB}, {"mul", SM_MUL}, {"div", SM_DIV}, {"pow", SM_POW},
                  {"pow_slope", SM_POW_SLOPE}, {"pow_growth", SM_POW_GROWTH}};
  sm_lua_functions(L, functions);
  sm_lua_add_reductions(L);
  sm_lua_add_products(L);
  for (size_t i = 0; i < sizeof unaries / sizeof *unaries; i++) {
    add_closure(L, unaries[i].forward, unary_forward, unaries[i].f);
    add_closure(L, unaries[i].backward, unary_backward, unaries[i].f);
  }
  for (size_t i = 0; i < sizeof binaries / sizeof *binaries; i++)
    add_closure(L, binaries[i].name, binary, binaries[i].f);
}
