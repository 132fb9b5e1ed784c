/* Products of tensors: many matrices, read and written where they lie. */
#include "numbers.h"

#include "core/contract.h"
#include "core/gemm.h"
#include "core/parallel.h"

/* Every element of c by its definition. */
static void reference(double *c, const real *a, const real *b, const sm_contraction *plan) {
  size_t positions = 1, inner = 1;
  for (int axis = 0; axis < plan->kept; axis++) positions *= plan->size[axis];
  for (int axis = plan->kept; axis < plan->kept + plan->summed; axis++) inner *= plan->size[axis];
  for (size_t p = 0; p < positions; p++) {
    size_t at_a = 0, at_b = 0, at_c = 0, rest = p;
    for (int axis = plan->kept; axis-- > 0; rest /= plan->size[axis]) {
      at_a += rest % plan->size[axis] * plan->step_a[axis];
      at_b += rest % plan->size[axis] * plan->step_b[axis];
      at_c += rest % plan->size[axis] * plan->step_c[axis];
    }
    for (size_t i = 0; i < plan->m; i++) {
      for (size_t j = 0; j < plan->n; j++) {
        double sum = 0;
        for (size_t q = 0; q < inner; q++) {
          size_t in_a = at_a, in_b = at_b;
          rest = q;
          for (int axis = plan->kept + plan->summed; axis-- > plan->kept; rest /= plan->size[axis]) {
            in_a += rest % plan->size[axis] * plan->step_a[axis];
            in_b += rest % plan->size[axis] * plan->step_b[axis];
          }
          for (size_t l = 0; l < plan->k; l++) {
            size_t x = in_a + (plan->transpose_a ? l * plan->row_a + i : i * plan->row_a + l);
            size_t y = in_b + (plan->transpose_b ? j * plan->row_b + l : l * plan->row_b + j);
            sum += (double)a[x] * (double)b[y];
          }
        }
        c[at_c + i * plan->row_c + j] = sum;
      }
    }
  }
}

static const struct {
  size_t batch, repeats, summed, m, n, k;
} sizes[] = {{1, 1, 1, 1, 1, 1},   {3, 1, 1, 4, 5, 6},     {2, 3, 1, 7, 3, 2},   {2, 1, 3, 5, 4, 6},   {1, 4, 5, 1, 9, 70},
             {5, 1, 2, 80, 1, 40}, {600, 1, 1, 1, 1, 33},  {8, 1, 1, 96, 80, 32}, {1, 1, 1, 150, 70, 300},
             {1, 1, 40, 64, 33, 9}, {20, 1, 1, 130, 66, 70}, {2, 2, 1, 1, 100, 3}, {2, 1, 1, 100, 1, 3}};

/* a is (batch, summed, m, k), the same for all repeats; b (repeats, batch, summed, k, n); c lies as (m, batch, repeats,
   n). */
static sm_contraction plan_of(size_t index, bool transpose_a, bool transpose_b) {
  size_t batch = sizes[index].batch, repeats = sizes[index].repeats, summed = sizes[index].summed;
  size_t m = sizes[index].m, n = sizes[index].n, k = sizes[index].k;
  return (sm_contraction){
      .m = m, .n = n, .k = k, .transpose_a = transpose_a, .transpose_b = transpose_b, .row_a = transpose_a ? m : k,
      .row_b = transpose_b ? k : n, .row_c = batch * repeats * n, .kept = 2, .summed = 1,
      .size = {batch, repeats, summed}, .step_a = {summed * m * k, 0, m * k},
      .step_b = {summed * k * n, batch * summed * k * n, k * n}, .step_c = {repeats * n, n, 0}};
}

static void products_are_their_definition_with_any_number_of_threads(void **state) {
  (void)state;
  for (size_t index = 0; index < COUNT_OF(sizes); index++) {
    for (int variant = 0; variant < 4; variant++) {
      sm_contraction plan = plan_of(index, variant & 1, variant & 2);
      size_t count_a = plan.size[0] * plan.step_a[0], count_b = plan.size[1] * plan.step_b[1];
      size_t count_c = plan.m * plan.row_c;
      if (is_left_out((double)count_c * (double)plan.k * (double)plan.size[2])) continue;
      real *a = numbers(count_a, 1), *b = numbers(count_b, 2), *c = unwritten(count_c), *same = unwritten(count_c);
      double *want = block_of(count_c * sizeof *want);
      sm_error error;
      assert_int_equal(sm_contract_check(&plan, count_c, count_a, count_b, &error), SM_OK);
      reference(want, a, b, &plan);
      sm_set_thread_count(1);
      sm_contract(c, a, b, &plan);
      assert_close(c, want, count_c, sqrt((double)(plan.k * plan.size[2])) * 2);
      for (int threads = 2; threads <= 3; threads++) {
        sm_set_thread_count(threads);
        sm_contract(same, a, b, &plan);
        assert_same_bits(same, c, count_c);
      }
      free(a), free(b), free(c), free(same), free(want);
    }
  }
}

static void nothing_to_sum_gives_zeros(void **state) {
  (void)state;
  real c[6] = {NAN, NAN, NAN, NAN, NAN, NAN};
  const real zeros[6] = {0};
  sm_contraction plan = {.m = 2, .n = 3, .row_c = 3};
  sm_error error;
  assert_int_equal(sm_contract_check(&plan, 6, 0, 0, &error), SM_OK);
  sm_contract(c, NULL, NULL, &plan);
  assert_same_bits(c, zeros, 6);
  c[0] = NAN;
  plan = (sm_contraction){.m = 2, .n = 3, .k = 4, .row_a = 4, .row_b = 3, .row_c = 3, .summed = 1, .size = {0}};
  assert_int_equal(sm_contract_check(&plan, 6, 0, 0, &error), SM_OK);
  sm_contract(c, NULL, NULL, &plan);
  assert_same_bits(c, zeros, 6);
  plan = (sm_contraction){.n = 3, .k = 4};
  assert_int_equal(sm_contract_check(&plan, 0, 0, 12, &error), SM_OK);
  sm_contract(NULL, NULL, NULL, &plan);
}

static void what_reaches_beyond_a_tensor_is_refused(void **state) {
  (void)state;
  const sm_contraction right = plan_of(3, false, true);
  size_t a = right.size[0] * right.step_a[0], b = right.size[1] * right.step_b[1], c = right.m * right.row_c;
  sm_error error;
  assert_int_equal(sm_contract_check(&right, c, a, b, &error), SM_OK);
  assert_int_equal(sm_contract_check(&right, c, a - 1, b, &error), SM_BAD_SHAPE);
  assert_int_equal(sm_contract_check(&right, c, a, b - 1, &error), SM_BAD_SHAPE);
  assert_int_equal(sm_contract_check(&right, c - 1, a, b, &error), SM_BAD_SHAPE);
  assert_int_equal(sm_contract_check(&right, c + 1, a, b, &error), SM_BAD_SHAPE);
  for (int field = 0; field < 8; field++) {
    sm_contraction wrong = right;
    size_t *number[] = {&wrong.m, &wrong.n, &wrong.k, &wrong.row_a, &wrong.row_b, &wrong.row_c, &wrong.step_a[0],
                        &wrong.size[2]};
    const size_t values[] = {SIZE_MAX, (size_t)1 << 32, *number[field] + 1};
    for (size_t i = 0; i < COUNT_OF(values); i++) {
      *number[field] = values[i];
      assert_int_equal(sm_contract_check(&wrong, c, a, b, &error), SM_BAD_SHAPE);
    }
  }
  sm_contraction narrow = right; /* rows that overlap */
  narrow.row_a = right.k - 1;
  assert_int_equal(sm_contract_check(&narrow, c, a, b, &error), SM_BAD_SHAPE);
}

int main(void) {
  sm_error error;
  if (sm_blas_load(&error) != SM_OK) return 1;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(products_are_their_definition_with_any_number_of_threads),
      cmocka_unit_test(nothing_to_sum_gives_zeros),
      cmocka_unit_test(what_reaches_beyond_a_tensor_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
