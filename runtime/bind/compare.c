/* Comparisons, choices by them, isfinite, any and all: runtime.compare. */
#include "bind/bind.h"
#include "core/compare.h"

/* An operand: a tensor or a number, which is one of rank 0. */
typedef struct operand {
  const sm_tensor *tensor; /* NULL: a number */
  double number;
  real rounded; /* the number, as a real */
  sm_shape shape;
} operand;

static operand read_operand(lua_State *L, int index) {
  operand given = {0};
  if (lua_type(L, index) == LUA_TNUMBER) {
    given.number = lua_tonumber(L, index);
    given.rounded = (real)given.number;
    return given;
  }
  if (!sm_lua_test_tensor(L, index)) sm_lua_bad_argument(L, index, "a tensor or a number");
  given.tensor = sm_lua_tensor(L, index);
  given.shape = given.tensor->shape;
  return given;
}

/* Upvalue 1 of a function that several share: which one it is, up to `last`. */
static int which(lua_State *L, int last) { return (int)sm_lua_integer(L, lua_upvalueindex(1), 0, last); }

static void broadcast(lua_State *L, sm_strided *axes, sm_shape *shape, const operand *operands, int count) {
  const sm_shape *shapes[SM_OPERANDS];
  sm_error error;
  for (int i = 0; i < count; i++) shapes[i] = &operands[i].shape;
  if (sm_strided_broadcast(axes, shape, shapes, count, &error) != SM_OK)
    sm_lua_fail(L, "%s: %s", lua_tostring(L, lua_upvalueindex(2)), error.message);
}

/* What a kernel reads of an operand: a real number where the other is real, else a double. */
static sm_operand read_by(lua_State *L, const operand *given, const operand *other) {
  if (given->tensor) return (sm_operand){sm_lua_data(L, given->tensor), given->tensor->dtype, false};
  bool is_real = !other->tensor || sm_is_real(other->tensor->dtype);
  return (sm_operand){is_real ? (const void *)&given->rounded : &given->number, SM_REAL, !is_real};
}

/* A number among reals must be one of them. */
static void check_number(lua_State *L, int index, const operand *given, const operand *other) {
  if (!given->tensor && (!other->tensor || sm_is_real(other->tensor->dtype))) sm_lua_constant(L, index);
}

/* f(a, b) → uint8 */
static int compare(lua_State *L) {
  const sm_rule f = (sm_rule)which(L, SM_NE);
  const operand operands[] = {read_operand(L, 1), read_operand(L, 2)};
  check_number(L, 1, &operands[0], &operands[1]);
  check_number(L, 2, &operands[1], &operands[0]);
  sm_strided axes;
  sm_shape shape;
  broadcast(L, &axes, &shape, operands, 2);
  const sm_tensor *y = sm_lua_new(L, SM_UINT8, &shape);
  const sm_operand a = read_by(L, &operands[0], &operands[1]), b = read_by(L, &operands[1], &operands[0]);
  sm_compare(sm_lua_data(L, y), &a, &b, f, &axes);
  return 1;
}

/* An element of any type, of a number that must be one. */
typedef union element {
  real number;
  uint8_t byte;
  int32_t integer;
} element;

static element element_of(lua_State *L, int index, sm_dtype dtype) {
  element e = {0};
  switch (dtype) {
    case SM_REAL: e.number = (real)sm_lua_constant(L, index); break;
    case SM_UINT8: e.byte = (uint8_t)sm_lua_element(L, index, dtype); break;
    case SM_INT32: e.integer = (int32_t)sm_lua_element(L, index, dtype); break;
  }
  return e;
}

/* where(condition, a, b) → a where the condition is not 0, else b */
static int where(lua_State *L) {
  const sm_tensor *condition = sm_lua_typed(L, 1, SM_UINT8);
  const operand operands[] = {{.tensor = condition, .shape = condition->shape}, read_operand(L, 2),
                              read_operand(L, 3)};
  sm_dtype dtype = SM_REAL;
  element numbers[3];
  if (operands[2].tensor) dtype = operands[2].tensor->dtype;
  if (operands[1].tensor) dtype = operands[1].tensor->dtype;
  for (int i = 1; i < 3; i++) {
    if (operands[i].tensor) sm_lua_typed(L, i + 1, dtype);
    else numbers[i] = element_of(L, i + 1, dtype);
  }
  sm_strided axes;
  sm_shape shape;
  broadcast(L, &axes, &shape, operands, 3);
  const sm_tensor *y = sm_lua_new(L, dtype, &shape);
  const void *from[3];
  for (int i = 0; i < 3; i++) from[i] = operands[i].tensor ? sm_lua_data(L, operands[i].tensor) : &numbers[i];
  sm_where(sm_lua_data(L, y), from[0], from[1], from[2], sm_dtype_bytes(dtype), &axes);
  return 1;
}

/* isfinite(x) → uint8; integers are */
static int is_finite(lua_State *L) {
  const sm_tensor *x = sm_lua_tensor(L, 1);
  size_t count = sm_shape_count(&x->shape);
  const sm_tensor *y = sm_lua_new(L, SM_UINT8, &x->shape);
  const void *from = sm_lua_data(L, x);
  switch (x->dtype) {
    case SM_REAL: sm_is_finite(sm_lua_data(L, y), from, count); break;
    case SM_UINT8:
    case SM_INT32: sm_fill(sm_lua_data(L, y), SM_UINT8, 1, count); break;
  }
  return 1;
}

/* f(x, axis) → uint8, without the axis; nil: over all elements */
static int ask(lua_State *L) {
  const int all = which(L, 1);
  const sm_tensor *x = sm_lua_tensor(L, 1);
  int axis = sm_lua_axis(L, 2, &x->shape);
  sm_shape rest = {0};
  for (int i = 0; axis >= 0 && i < x->shape.rank; i++)
    if (i != axis) rest.size[rest.rank++] = x->shape.size[i];
  const sm_axis along = sm_axis_of(&x->shape, axis);
  const sm_tensor *out = sm_lua_new(L, SM_UINT8, &rest);
  const void *from = sm_lua_data(L, x);
  if (all) sm_all(sm_lua_data(L, out), from, x->dtype, &along);
  else sm_any(sm_lua_data(L, out), from, x->dtype, &along);
  return 1;
}

void sm_lua_open_compare(lua_State *L) {
  static const luaL_Reg functions[] = {{"where", where}, {"isfinite", is_finite}, {NULL, NULL}};
  static const struct {
    const char *name;
    lua_CFunction function;
    int which;
  } several[] = {{"lt", compare, SM_LT},         {"le", compare, SM_LE},
                 {"gt", compare, SM_GT},         {"ge", compare, SM_GE},
                 {"eq", compare, SM_EQ},         {"ne", compare, SM_NE},
                 {"any", ask, 0},               {"all", ask, 1}};
  sm_lua_functions(L, functions);
  for (size_t i = 0; i < sizeof several / sizeof *several; i++) {
    lua_pushinteger(L, several[i].which);
    lua_pushstring(L, several[i].name); /* for messages: see sm_lua_bad_argument */
    lua_pushcclosure(L, several[i].function, 2);
    lua_setfield(L, -2, several[i].name);
  }
}
