/* The machine for expressions: random ones against one element at a time, one against a formula in double, and what is
   refused. */
#include "numbers.h"

#include "core/expression.h"
#include "core/parallel.h"

static uint32_t state_of_random;

static uint32_t below(uint32_t limit) {
  state_of_random = state_of_random * 1664525u + 1013904223u;
  return (state_of_random >> 8) % limit;
}

enum { STEPS = 60, INPUTS = 5, CONSTANTS = 3, OUTPUTS = 3 };

typedef struct program {
  sm_expression expression;
  sm_instruction instruction[STEPS], original[STEPS];
  real constant[CONSTANTS];
  int output[OUTPUTS]; /* values */
} program;

static void make_random(program *p, int steps, uint32_t seed) {
  state_of_random = seed;
  *p = (program){.constant = {(real)0.5, 2, 3}};
  for (int i = 0; i < steps; i++) {
    sm_instruction *at = &p->instruction[i];
    at->f = (sm_rule)below(SM_RULES);
    for (int k = 0; k < 3; k++) at->operand[k] = (int)below((uint32_t)(INPUTS + CONSTANTS + i));
    p->original[i] = *at;
  }
  p->expression = (sm_expression){.inputs = INPUTS, .constants = CONSTANTS, .instructions = steps, .outputs = OUTPUTS,
                                  .constant = p->constant, .instruction = p->instruction};
  for (int k = 0; k < OUTPUTS; k++)
    p->output[k] = p->expression.output[k] = (int)below((uint32_t)(INPUTS + CONSTANTS + steps));
  sm_error error;
  assert_int_equal(sm_expression_make(&p->expression, &error), SM_OK);
}

static real apply(const sm_instruction *at, const real *a, const real *b, const real *c) {
  real y;
  sm_pointwise_run(&y, (const real *const[]){a, b, c}, (const size_t[]){0, 0, 0}, at->f, 1);
  return y;
}

/* Element i of a result by the book: no axes are merged, no registers are shared. */
static void expect(real *out, const program *p, int steps, const void *const *inputs, const sm_dtype *dtypes,
                   const sm_shape *const shapes[], const sm_shape *result, size_t i) {
  real value[INPUTS + CONSTANTS + STEPS];
  for (int k = 0; k < INPUTS; k++) {
    size_t rest = i, at = 0, step = 1;
    for (int axis = 1; axis <= result->rank; axis++) {
      size_t size = result->size[result->rank - axis], index = rest % size;
      rest /= size;
      if (axis > shapes[k]->rank) continue;
      size_t own = shapes[k]->size[shapes[k]->rank - axis];
      at += own == 1 ? 0 : index * step;
      step *= own;
    }
    value[k] = dtypes[k] == SM_UINT8 ? ((const uint8_t *)inputs[k])[at] : ((const real *)inputs[k])[at];
  }
  for (int k = 0; k < CONSTANTS; k++) value[INPUTS + k] = p->constant[k];
  for (int k = 0; k < steps; k++) {
    const sm_instruction *at = &p->original[k];
    value[INPUTS + CONSTANTS + k] =
        apply(at, &value[at->operand[0]], &value[at->operand[1]], &value[at->operand[2]]);
  }
  for (int k = 0; k < OUTPUTS; k++) out[k] = value[p->output[k]];
}

static const struct {
  sm_shape shape[INPUTS];
} cases[] = {
    {{{1, {7}}, {1, {7}}, {0, {0}}, {1, {1}}, {1, {7}}}},
    {{{2, {300, 130}}, {1, {130}}, {2, {300, 1}}, {0, {0}}, {2, {300, 130}}}},
    {{{2, {37, 1025}}, {2, {1, 1025}}, {2, {37, 1}}, {1, {1025}}, {2, {1, 1}}}},
    {{{4, {3, 1, 5, 1}}, {3, {400, 1, 9}}, {1, {9}}, {3, {1, 5, 1}}, {4, {3, 400, 5, 9}}}},
    {{{1, {40000}}, {1, {40000}}, {1, {40000}}, {1, {1}}, {1, {40000}}}},
    {{{2, {0, 3}}, {1, {3}}, {1, {1}}, {0, {0}}, {2, {0, 1}}}},
    {{{0, {0}}, {0, {0}}, {0, {0}}, {0, {0}}, {0, {0}}}},
    {{{1, {1023}}, {1, {1}}, {1, {1023}}, {0, {0}}, {1, {1023}}}},
    {{{1, {1025}}, {1, {1025}}, {0, {0}}, {1, {1025}}, {1, {1}}}},
    {{{2, {5, 3277}}, {1, {3277}}, {2, {5, 1}}, {2, {1, 3277}}, {2, {5, 1}}}}, /* one more than a block of threads */
    {{{2, {20000, 2}}, {1, {2}}, {2, {20000, 1}}, {0, {0}}, {1, {2}}}},
};

static const double special[] = {0, -0.0, 1, -1, INFINITY, -INFINITY, NAN, 2.5, -3.5, 1e-30, 0.25, 88};

static void *fill(sm_dtype dtype, size_t n, uint32_t seed) {
  if (dtype == SM_REAL) {
    real *x = numbers(n, seed);
    for (size_t i = 0; i < n; i += 3) x[i] = (real)special[(i * 7 + seed) % COUNT_OF(special)];
    return x;
  }
  uint8_t *x = block_of(n);
  for (size_t i = 0; i < n; i++) x[i] = (uint8_t)((i * 37 + seed) % 3);
  return x;
}

static void assert_alike(real got, real want, size_t i) {
  if (got != got && want != want) return; /* which NaN it is says nothing */
  if (memcmp(&got, &want, sizeof got) != 0)
    fail_msg("element %zu: %.17g instead of %.17g", i, (double)got, (double)want);
}

static void random_expressions_are_computed(void **state) {
  (void)state;
  const sm_dtype dtypes[INPUTS] = {SM_REAL, SM_REAL, SM_REAL, SM_REAL, SM_UINT8};
  for (size_t c = 0; c < COUNT_OF(cases); c++) {
    const sm_shape *shapes[INPUTS];
    void *inputs[INPUTS];
    for (int k = 0; k < INPUTS; k++) {
      shapes[k] = &cases[c].shape[k];
      inputs[k] = fill(dtypes[k], sm_shape_count(shapes[k]), (uint32_t)(c * 10 + (size_t)k));
    }
    for (uint32_t seed = 1; seed <= 40; seed += (uint32_t)stride_of_cases()) {
      const int steps = (int)(seed % STEPS) + 1;
      program p;
      make_random(&p, steps, seed);
      sm_expression_plan plan;
      sm_error error;
      assert_int_equal(sm_expression_plan_of(&plan, &p.expression, shapes, dtypes, &error), SM_OK);
      real *first[OUTPUTS] = {0};
      for (int threads = 1; threads <= 3; threads++) {
        sm_set_thread_count(threads);
        real *out[OUTPUTS];
        for (int k = 0; k < OUTPUTS; k++) out[k] = unwritten(plan.n);
        void *scratch = block_of(sm_expression_scratch(&plan));
        sm_expression_run(out, (const void *const *)inputs, &p.expression, &plan, scratch);
        free(scratch);
        for (int k = 0; k < OUTPUTS; k++) {
          if (threads == 1) {
            first[k] = out[k];
            continue;
          }
          for (size_t i = 0; i < plan.n; i++) assert_alike(out[k][i], first[k][i], i);
          free(out[k]);
        }
      }
      for (size_t i = 0; i < plan.n; i += plan.n > 5000 ? 1 + i % 7 + (i & 1023 ? 0 : 13) : 1) {
        real want[OUTPUTS];
        expect(want, &p, steps, (const void *const *)inputs, dtypes, shapes, &plan.shape, i);
        for (int k = 0; k < OUTPUTS; k++) assert_alike(first[k][i], want[k], i);
      }
      for (int k = 0; k < OUTPUTS; k++) free(first[k]);
    }
    for (int k = 0; k < INPUTS; k++) free(inputs[k]);
  }
}

/* 0.5 x (1 + tanh(0.8 (x + 0.04 x³))) */
static void gelu_is_near_the_formula(void **state) {
  (void)state;
  enum { X, HALF, ONE, TWO_PI, SMALL, THREE, CUBE, SCALED, SUM, INSIDE, TANH, MORE, HALVED, Y };
  const real constant[] = {(real)0.5, 1, (real)0.8, (real)0.04, 3};
  sm_instruction steps[] = {{SM_POW, {X, THREE}, 0},    {SM_MUL, {CUBE, SMALL}, 0},
                            {SM_ADD, {X, SCALED}, 0},   {SM_MUL, {TWO_PI, SUM}, 0},
                            {SM_TANH, {INSIDE}, 0},     {SM_ADD, {ONE, TANH}, 0},
                            {SM_MUL, {HALF, X}, 0},     {SM_MUL, {HALVED, MORE}, 0}};
  sm_expression e = {.inputs = 1, .constants = 5, .instructions = COUNT_OF(steps), .outputs = 1, .output = {Y},
                     .constant = constant, .instruction = steps};
  sm_error error;
  assert_int_equal(sm_expression_make(&e, &error), SM_OK);
  assert_true(e.registers <= 2);
  const sm_shape shape = {1, {50000}}, *shapes[] = {&shape};
  const sm_dtype dtype = SM_REAL;
  sm_expression_plan plan;
  assert_int_equal(sm_expression_plan_of(&plan, &e, shapes, &dtype, &error), SM_OK);
  real *x = numbers(plan.n, 1), *y = unwritten(plan.n);
  double *want = block_of(plan.n * sizeof *want);
  for (size_t i = 0; i < plan.n; i++) {
    double v = (double)(x[i] *= 4);
    want[i] = 0.5 * v * (1 + tanh((double)constant[2] * (v + (double)constant[3] * v * v * v)));
  }
  void *scratch = block_of(sm_expression_scratch(&plan));
  sm_expression_run(&y, (const void *const[]){x}, &e, &plan, scratch);
  assert_close(y, want, plan.n, 4);
  free(scratch), free(want), free(x), free(y);
}

/* x², added up by several periods at once, and in full */
static void outputs_are_added_up(void **state) {
  (void)state;
  sm_instruction square = {SM_MUL, {0, 0}, 0};
  enum { ALL = 5 };
  const size_t periods[ALL] = {0, 1, 3, 1000, 24};
  sm_expression e = {.inputs = 1, .instructions = 1, .outputs = ALL, .output = {1, 1, 1, 1, 0}, .instruction = &square};
  sm_error error;
  assert_int_equal(sm_expression_make(&e, &error), SM_OK);
  const size_t counts[] = {0, 3000, 51000, 6144000};
  for (size_t c = 0; c < 3 + (size_t)(stride_of_cases() == 1); c++) {
    const sm_shape shape = {1, {counts[c]}}, *shapes[] = {&shape};
    const sm_dtype dtype = SM_REAL;
    sm_expression_plan plan;
    assert_int_equal(sm_expression_plan_of(&plan, &e, shapes, &dtype, &error), SM_OK);
    for (int k = 1; k < ALL; k++) assert_int_equal(sm_expression_sum(&plan, k, periods[k], &error), SM_OK);
    assert_int_equal(sm_expression_sum(&plan, 1, 0, &error), SM_BAD_VALUE);
    assert_int_equal(sm_expression_sum(&plan, 1, SM_EXPRESSION_BLOCK + 1, &error), SM_BAD_VALUE);
    if (plan.n > 0) assert_int_equal(sm_expression_sum(&plan, 1, 7, &error), SM_BAD_VALUE);
    real *x = numbers(plan.n, 9), *first[ALL];
    for (int threads = 1; threads <= 3; threads++) {
      sm_set_thread_count(threads);
      real *out[ALL];
      for (int k = 0; k < ALL; k++) out[k] = unwritten(k ? periods[k] : plan.n);
      void *scratch = block_of(sm_expression_scratch(&plan));
      sm_expression_run(out, (const void *const[]){x}, &e, &plan, scratch);
      free(scratch);
      for (int k = 0; k < ALL; k++) {
        if (threads == 1) first[k] = out[k];
        else assert_same_bits(out[k], first[k], k ? periods[k] : plan.n), free(out[k]);
      }
    }
    for (int k = 1; k < ALL; k++) {
      for (size_t i = 0; i < periods[k]; i++) {
        long double sum = 0;
        for (size_t at = i; at < plan.n; at += periods[k]) sum += k == 4 ? x[at] : first[0][at];
        assert_near(first[k][i], (double)sum, fabs((double)sum));
      }
    }
    for (int k = 0; k < ALL; k++) free(first[k]);
    free(x);
  }
}

static void what_is_no_expression_is_refused(void **state) {
  (void)state;
  const real constant[] = {1};
  const struct {
    sm_instruction at;
    int inputs, output;
  } bad[] = {{{SM_ADD, {0, 2, 0}, 0}, 1, 2},      {{SM_ADD, {-1, 0, 0}, 0}, 1, 2},
             {{SM_RULES, {0}, 0}, 1, 2},    {{(sm_rule)1000, {0}, 0}, 1, 2},
             {{SM_WHERE, {0, 0, 1000000}, 0}, 1, 2},      {{(sm_rule)-1, {0}, 0}, 1, 2},
             {{SM_EXP, {0}, 0}, 1, 3},             {{SM_EXP, {0}, 0}, 1, -1},
             {{SM_EXP, {0}, 0}, SM_EXPRESSION_INPUTS + 1, 0}, {{SM_EXP, {0}, 0}, -1, 0}};
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    sm_instruction at = bad[i].at;
    sm_expression e = {.inputs = bad[i].inputs, .constants = 1, .instructions = 1, .outputs = 1,
                       .output = {bad[i].output}, .constant = constant, .instruction = &at};
    sm_error error;
    assert_int_equal(sm_expression_make(&e, &error), SM_BAD_VALUE);
  }
  sm_expression e = {.inputs = 1, .outputs = 0};
  assert_int_equal(sm_expression_make(&e, NULL), SM_BAD_VALUE);
  e.outputs = SM_EXPRESSION_OUTPUTS + 1;
  assert_int_equal(sm_expression_make(&e, NULL), SM_BAD_VALUE);
  e.outputs = 1, e.instructions = SM_EXPRESSION_VALUES;
  assert_int_equal(sm_expression_make(&e, NULL), SM_BAD_VALUE);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(random_expressions_are_computed),
                                     cmocka_unit_test(gelu_is_near_the_formula),
                                     cmocka_unit_test(outputs_are_added_up),
                                     cmocka_unit_test(what_is_no_expression_is_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
