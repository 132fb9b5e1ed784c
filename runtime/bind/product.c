/* Products of matrices and of tensors: functions of runtime.math. */
#include <string.h>

#include "bind/bind.h"
#include "core/contract.h"
#include "core/gemm.h"

/* Which side of a product is a batch: nil for none, "rows" or "columns" of the result, or "terms", which are summed by
   parts. */
static sm_gemm_batch batch_of(lua_State *L, int index) {
  static const char *const names[] = {"", "rows", "columns", "terms"};
  if (lua_isnoneornil(L, index)) return SM_GEMM_WHOLE;
  const char *name = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "";
  for (int i = SM_GEMM_ROWS; i <= SM_GEMM_TERMS; i++)
    if (strcmp(name, names[i]) == 0) return (sm_gemm_batch)i;
  sm_lua_bad_argument(L, index, "rows, columns or terms");
}

/* matmul(a, b, transpose_a, transpose_b, bias, relu, batch or nil) → op(a) op(b) + bias, or relu of it */
static int matmul(lua_State *L) {
  const sm_gemm_batch batch = batch_of(L, 7);
  const sm_tensor *a = sm_lua_real(L, 1), *b = sm_lua_real(L, 2), *bias = sm_lua_real_or_nil(L, 5);
  bool transpose_a = lua_toboolean(L, 3), transpose_b = lua_toboolean(L, 4), relu = lua_toboolean(L, 6);
  char first[SM_SHAPE_TEXT], second[SM_SHAPE_TEXT];
  if (a->shape.rank != 2 || b->shape.rank != 2)
    sm_lua_fail(L, "matmul: expected two matrices, got shapes %s and %s", sm_shape_text(first, &a->shape),
                sm_shape_text(second, &b->shape));
  size_t m = a->shape.size[transpose_a], inner_a = a->shape.size[!transpose_a];
  size_t n = b->shape.size[!transpose_b], inner_b = b->shape.size[transpose_b];
  if (inner_a != inner_b)
    sm_lua_fail(L, "matmul: %s and %s do not fit: the inner sizes %I and %I differ", sm_shape_text(first, &a->shape),
                sm_shape_text(second, &b->shape), (LUAI_UACINT)inner_a, (LUAI_UACINT)inner_b);
  if (batch == SM_GEMM_TERMS && (bias || relu)) sm_lua_bad_argument(L, 7, "neither bias nor relu with terms");
  if (bias && (bias->shape.rank == 0 || bias->shape.size[bias->shape.rank - 1] != n ||
               sm_shape_count(&bias->shape) != n))
    sm_lua_fail(L, "linear: the bias must have shape {%I}, got %s", (LUAI_UACINT)n, sm_shape_text(first, &bias->shape));
  if (m > SM_GEMM_LIMIT || n > SM_GEMM_LIMIT || inner_a > SM_GEMM_LIMIT)
    sm_lua_fail(L, "matmul: %s and %s are too large for BLAS, which counts to %d", sm_shape_text(first, &a->shape),
                sm_shape_text(second, &b->shape), SM_GEMM_LIMIT);
  sm_shape shape = {.rank = 2, .size = {m, n}};
  const sm_tensor *c = sm_lua_new(L, SM_REAL, &shape);
  sm_matmul(sm_lua_data(L, c), sm_lua_data(L, a), sm_lua_data(L, b), sm_lua_data(L, bias), relu, transpose_a,
            transpose_b, m, n, inner_a, batch);
  return 1;
}

/* The next integer of the list at index. */
static size_t next(lua_State *L, int index, int *position, size_t most) {
  lua_rawgeti(L, index, ++*position);
  int exact = 0;
  lua_Integer value = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &exact) : 0;
  lua_pop(L, 1);
  if (!exact || value < 0 || (size_t)value > most) sm_lua_bad_argument(L, index, "a plan of sizes and steps");
  return (size_t)value;
}

/* contract(a, b, shape, plan) → a tensor of `shape`: see core/contract.h. The plan is a list of the fields of
   sm_contraction in their order, then of each axis its size and its steps in a, b and c. */
static int contract(lua_State *L) {
  const sm_tensor *a = sm_lua_real(L, 1), *b = sm_lua_real(L, 2);
  sm_shape shape;
  sm_lua_shape(L, 3, &shape);
  if (lua_type(L, 4) != LUA_TTABLE) sm_lua_bad_argument(L, 4, "a plan of sizes and steps");
  sm_lua_plain_list(L, 4);
  int at = 0;
  sm_contraction plan = {0};
  plan.m = next(L, 4, &at, SIZE_MAX);
  plan.n = next(L, 4, &at, SIZE_MAX);
  plan.k = next(L, 4, &at, SIZE_MAX);
  plan.transpose_a = next(L, 4, &at, 1);
  plan.transpose_b = next(L, 4, &at, 1);
  plan.row_a = next(L, 4, &at, SIZE_MAX);
  plan.row_b = next(L, 4, &at, SIZE_MAX);
  plan.row_c = next(L, 4, &at, SIZE_MAX);
  plan.kept = (int)next(L, 4, &at, SM_CONTRACTED);
  plan.summed = (int)next(L, 4, &at, SM_CONTRACTED - (size_t)plan.kept);
  plan.batch = (sm_contract_batch)next(L, 4, &at, SM_CONTRACT_BATCHES - 1);
  for (int axis = 0; axis < plan.kept + plan.summed; axis++) {
    plan.size[axis] = next(L, 4, &at, SIZE_MAX);
    plan.step_a[axis] = next(L, 4, &at, SIZE_MAX);
    plan.step_b[axis] = next(L, 4, &at, SIZE_MAX);
    plan.step_c[axis] = next(L, 4, &at, SIZE_MAX);
  }
  sm_error error;
  if (sm_contract_check(&plan, sm_shape_count(&shape), sm_shape_count(&a->shape), sm_shape_count(&b->shape), &error) !=
      SM_OK)
    sm_lua_raise(L, &error);
  const sm_tensor *c = sm_lua_new(L, SM_REAL, &shape);
  sm_contract(sm_lua_data(L, c), sm_lua_data(L, a), sm_lua_data(L, b), &plan);
  return 1;
}

void sm_lua_add_products(lua_State *L) {
  static const luaL_Reg functions[] = {{"matmul", matmul}, {"contract", contract}, {NULL, NULL}};
  sm_lua_add_functions(L, functions);
}
