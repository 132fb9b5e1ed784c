/* Attention: runtime.attention. Operands are {batch, rows, channels}, whose channels are cut into heads, or {batch,
   heads, rows, channels}; queries, keys and values may lie side by side in the channels of one tensor. */
#include <limits.h>

#include "bind/bind.h"
#include "core/attention.h"
#include "core/gemm.h"

/* One of the operands: a tensor, or a part of its channels. */
typedef struct operand {
  const sm_tensor *tensor;
  size_t offset, batch, heads, rows, width; /* width: of a head */
  sm_heads steps;
} operand;

static operand operand_of(lua_State *L, const sm_tensor *x, size_t heads, size_t parts, size_t part) {
  char text[SM_SHAPE_TEXT];
  const size_t *size = x->shape.size;
  if (x->shape.rank == 4 && heads == 1 && parts == 1) {
    const sm_heads steps = {size[1] * size[2] * size[3], size[2] * size[3], size[3]};
    return (operand){x, 0, size[0], size[1], size[2], size[3], steps};
  }
  if (x->shape.rank != 3 || size[2] % (heads * parts) != 0)
    sm_lua_fail(L, "expected {batch, rows, channels}, with channels for %I heads, got %s", (LUAI_UACINT)heads,
                sm_shape_text(text, &x->shape));
  const size_t width = size[2] / parts;
  const sm_heads steps = {size[1] * size[2], width / heads, size[2]};
  return (operand){x, part * width, size[0], heads, size[1], width / heads, steps};
}

typedef struct operands {
  operand q, k, v;
  bool together; /* in one tensor */
  const sm_tensor *mask;
  sm_shape out; /* of the result */
  sm_attention plan;
} operands;

/* From argument `first` on q, k, v, or all three and twice nil; from `index` on mask or nil, heads, causal, scale. */
static operands read_operands(lua_State *L, int first, int index) {
  operands o = {.mask = lua_isnil(L, index) ? NULL : sm_lua_tensor(L, index)};
  const sm_tensor *q = sm_lua_real(L, first), *k = sm_lua_real_or_nil(L, first + 1);
  const sm_tensor *v = sm_lua_real_or_nil(L, first + 2);
  size_t heads = (size_t)sm_lua_integer(L, index + 1, 1, INT_MAX / 4), parts = k && v ? 1 : 3;
  o.together = parts == 3;
  o.q = operand_of(L, q, heads, parts, 0);
  o.k = operand_of(L, parts == 1 ? k : q, heads, parts, 1 % parts);
  o.v = operand_of(L, parts == 1 ? v : q, heads, parts, 2 % parts);
  if (o.k.batch != o.q.batch || o.v.batch != o.q.batch || o.k.heads != o.q.heads || o.v.heads != o.q.heads ||
      o.k.width != o.q.width || o.v.rows != o.k.rows || !v != !k)
    sm_lua_fail(L, "queries, keys and values do not fit");
  const size_t most = SM_GEMM_LIMIT - SM_ALIGNMENT;
  if (o.q.rows > most || o.k.rows > most || o.q.steps.row > most || o.k.steps.row > most || o.v.steps.row > most)
    sm_lua_fail(L, "shapes are too large for BLAS, which counts to %d", SM_GEMM_LIMIT);
  o.out = q->shape;
  o.out.size[o.out.rank - 1] = o.v.width * (q->shape.rank == 4 ? 1 : heads);
  o.plan = (sm_attention){.batch = o.q.batch, .heads = o.q.heads, .queries = o.q.rows, .keys = o.k.rows,
                          .width = o.q.width, .value_width = o.v.width, .q = o.q.steps, .k = o.k.steps,
                          .v = o.v.steps, .causal = lua_toboolean(L, index + 2),
                          .scale = (real)sm_lua_constant(L, index + 3)};
  if (o.mask) {
    const size_t want[] = {o.q.batch, o.q.heads, o.q.rows, o.k.rows};
    size_t steps[4], next = 1;
    const sm_shape *shape = &o.mask->shape;
    if (shape->rank != 4 || (o.mask->dtype != SM_REAL && o.mask->dtype != SM_UINT8))
      sm_lua_bad_argument(L, index, "a " SM_REAL_NAME " or uint8 mask of four axes");
    for (int axis = 3; axis >= 0; next *= shape->size[axis--]) {
      if (shape->size[axis] != want[axis] && shape->size[axis] != 1)
        sm_lua_bad_argument(L, index, "a mask {batch, heads, queries, keys}");
      steps[axis] = shape->size[axis] == 1 ? 0 : next;
    }
    o.plan.mask = (sm_mask){NULL, o.mask->dtype, steps[0], steps[1], steps[2], steps[3]};
  }
  return o;
}

/* The plan of a result of this shape. */
static void place_result(operands *o) {
  const size_t *size = o->out.size, width = o->v.width;
  o->plan.out = o->out.rank == 4 ? (sm_heads){size[1] * size[2] * width, size[2] * width, width}
                                 : (sm_heads){size[1] * size[2], width, size[2]};
}

static void *take(lua_State *L, const sm_attention *of, bool is_backward) {
  size_t bytes, again;
  if (!sm_attention_scratch(&bytes, of, is_backward)) sm_lua_fail(L, "attention: the scores are too large");
  void *scratch = sm_lua_take(L, bytes);
  if (!sm_attention_scratch(&again, of, is_backward) || again > bytes)
    sm_lua_fail(L, "attention: the number of threads was changed during the call");
  return scratch;
}

static real *part_of(lua_State *L, const operand *o, const sm_tensor *x) {
  return (real *)sm_lua_data(L, x) + o->offset;
}

/* forward(q, k, v, mask, heads, causal, scale, keep) → out, log_sum, which is nil unless keep. mask is nil or has four
   axes. With k and v nil all three are in q. */
static int forward(lua_State *L) {
  operands o = read_operands(L, 1, 4);
  bool keep = lua_toboolean(L, 8);
  place_result(&o);
  const sm_shape sums = {3, {o.plan.batch, o.plan.heads, o.plan.queries}};
  const sm_tensor *out = sm_lua_new(L, SM_REAL, &o.out), *log_sum = NULL;
  if (keep) log_sum = sm_lua_new(L, SM_REAL, &sums);
  else lua_pushnil(L);
  void *scratch = take(L, &o.plan, false);
  o.plan.mask.data = sm_lua_data(L, o.mask);
  sm_attention_forward(sm_lua_data(L, out), sm_lua_data(L, log_sum), part_of(L, &o.q, o.q.tensor),
                       part_of(L, &o.k, o.k.tensor), part_of(L, &o.v, o.v.tensor), scratch, &o.plan);
  sm_lua_give(L);
  return 2;
}

/* backward(gy, out, log_sum, q, k, v, mask, heads, causal, scale) → gq, gk, gv, or one for all three as above */
static int backward(lua_State *L) {
  const sm_tensor *gy = sm_lua_real(L, 1), *out = sm_lua_real(L, 2), *log_sum = sm_lua_real(L, 3);
  operands o = read_operands(L, 4, 7);
  place_result(&o);
  const sm_shape sums = {3, {o.plan.batch, o.plan.heads, o.plan.queries}};
  if (!sm_shape_equal(&gy->shape, &o.out) || !sm_shape_equal(&out->shape, &o.out) ||
      !sm_shape_equal(&log_sum->shape, &sums))
    sm_lua_fail(L, "attention: expected what forward has given, and a gradient of its shape");
  const sm_tensor *gq = sm_lua_new(L, SM_REAL, &o.q.tensor->shape), *gk = gq, *gv = gq;
  if (!o.together) {
    gk = sm_lua_new(L, SM_REAL, &o.k.tensor->shape);
    gv = sm_lua_new(L, SM_REAL, &o.v.tensor->shape);
  }
  void *scratch = take(L, &o.plan, true);
  o.plan.mask.data = sm_lua_data(L, o.mask);
  sm_attention_backward(part_of(L, &o.q, gq), part_of(L, &o.k, gk), part_of(L, &o.v, gv), sm_lua_data(L, gy),
                        sm_lua_data(L, out), sm_lua_data(L, log_sum), part_of(L, &o.q, o.q.tensor),
                        part_of(L, &o.k, o.k.tensor), part_of(L, &o.v, o.v.tensor), scratch, &o.plan);
  sm_lua_give(L);
  return o.together ? 1 : 3;
}

void sm_lua_open_attention(lua_State *L) {
  static const luaL_Reg functions[] = {{"forward", forward}, {"backward", backward}, {NULL, NULL}};
  sm_lua_functions(L, functions);
}
