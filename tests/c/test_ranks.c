/* Kernels that sum over a batch: the parts of several ranks, added as the upper levels of the tree, have the bits of
   the whole batch in one process; and so has what belongs to one example. */
#include "numbers.h"

#include <stdio.h>

#include "core/contract.h"
#include "core/expression.h"
#include "core/gemm.h"
#include "core/index.h"
#include "core/loss.h"
#include "core/normalise.h"
#include "core/parallel.h"
#include "core/parts.h"
#include "core/reduce.h"

enum { PARTS = 4, MOST_RANKS = 4 };

/* What a kernel gives for some examples: sums (`sums`) over them, and numbers of each (count, `each`). Either may be
   none. */
typedef struct batch {
  const void *of;
  size_t sums, each;
  void (*compute)(const void *of, real *sum, real *each, size_t first, size_t count);
  const char *name;
} batch;

static void set(size_t parts, size_t ranks) {
  assert_int_equal(sm_set_parts((sm_parts){parts, ranks}, NULL), SM_OK);
}

static void assert_same(const char *name, const char *what, const real *got, const real *want, size_t n, size_t ranks,
                        int threads) {
  for (size_t i = 0; i < n; i++)
    if (memcmp(got + i, want + i, sizeof *got) != 0)
      fail_msg("%s: %s %zu of %zu with %zu ranks and %d threads: got %.17g, expected %.17g", name, what, i, n, ranks,
               threads, (double)got[i], (double)want[i]);
}

static void check(const batch *of, size_t examples) {
  static const int threads[] = {1, 2, 3, 5};
  real *want = unwritten(of->sums), *want_each = unwritten(examples * of->each);
  real *sums = unwritten(MOST_RANKS * of->sums), *each = unwritten(examples * of->each);
  sm_set_thread_count(1);
  set(PARTS, 1);
  of->compute(of->of, want, want_each, 0, examples);
  for (size_t t = 0; t < COUNT_OF(threads); t++) {
    sm_set_thread_count(threads[t]);
    for (size_t ranks = 1; ranks <= MOST_RANKS && examples % ranks == 0; ranks *= 2) {
      const size_t count = examples / ranks;
      set(PARTS / ranks, ranks);
      for (size_t rank = 0; rank < ranks; rank++)
        of->compute(of->of, sums + rank * of->sums, each + rank * count * of->each, rank * count, count);
      sm_add_parts(sums, ranks, of->sums);
      assert_same(of->name, "sum", sums, want, of->sums, ranks, threads[t]);
      assert_same(of->name, "number", each, want_each, examples * of->each, ranks, threads[t]);
    }
  }
  set(SM_PARTS_FIRST, 1);
  real *all[] = {want, want_each, sums, each};
  for (size_t i = 0; i < COUNT_OF(all); i++) free(all[i]);
}

/* ---- products ---- */

typedef struct product {
  const real *x, *y, *bias; /* (examples, m), (examples, n); of rows y is (m, n) */
  size_t m, n;
  sm_gemm_kernel kernel;
  bool transpose_b;
} product;

static void sum_products(const void *of, real *sum, real *each, size_t first, size_t count) {
  const product *p = of;
  (void)each;
  sm_matmul_by(sum, p->x + first * p->m, p->y + first * p->n, NULL, false, true, false, p->m, p->n, count,
               SM_GEMM_TERMS, p->kernel);
}

static void multiply_rows(const void *of, real *sum, real *each, size_t first, size_t count) {
  const product *p = of;
  (void)sum;
  sm_matmul_by(each, p->x + first * p->m, p->y, p->bias, p->bias != NULL, false, p->transpose_b, count, p->n, p->m,
               SM_GEMM_ROWS, p->kernel);
}

static const size_t examples_of[] = {1, 2, 4, 6, 7, 12, 20, 64, 100, 258, 1028};

static void products_of_batches(void **state) {
  (void)state;
  assert_int_equal(sm_blas_load(NULL), SM_OK);
  static const size_t sizes[][2] = {{1, 1}, {1, 40}, {5, 3}, {10, 100}, {33, 65}, {784, 16}, {64, 300}, {129, 513}};
  static const sm_gemm_kernel kernels[] = {SM_GEMM_BY_RULE, SM_GEMM_DIRECT, SM_GEMM_BLAS};
  for (size_t s = 0; s < COUNT_OF(sizes); s++) {
    for (size_t e = 0; e < COUNT_OF(examples_of); e++) {
      const size_t m = sizes[s][0], n = sizes[s][1], count = examples_of[e];
      real *x = numbers(count * m, 1), *y = numbers((count > m ? count : m) * n, 2), *bias = numbers(n, 3);
      for (size_t k = 0; k < COUNT_OF(kernels); k++) {
        product p = {x, y, NULL, m, n, kernels[k], false};
        char name[100];
        snprintf(name, sizeof name, "kernel %d, %zux%zu", (int)kernels[k], m, n);
        check(&(batch){&p, m * n, 0, sum_products, name}, count);
        check(&(batch){&p, 0, n, multiply_rows, name}, count);
        p.transpose_b = true;
        p.bias = bias;
        check(&(batch){&p, 0, n, multiply_rows, name}, count);
      }
      free(x);
      free(y);
      free(bias);
    }
  }
}

/* Examples x (examples, t, m) and y (examples, t, n), in the order that `swapped` says. */
typedef struct contracted {
  const real *x, *y;
  size_t m, n, t;
} contracted;

/* sum (m, n) over examples and t: k has both, or the examples are apart. */
static void contract_terms(const void *of, real *sum, real *each, size_t first, size_t count) {
  const contracted *p = of;
  (void)each;
  const sm_contraction plan = {.m = p->m, .n = p->n, .k = count * p->t, .transpose_a = true, .row_a = p->m,
                               .row_b = p->n, .row_c = p->n, .batch = SM_CONTRACT_K};
  sm_contract(sum, p->x + first * p->t * p->m, p->y + first * p->t * p->n, &plan);
}

static void contract_positions(const void *of, real *sum, real *each, size_t first, size_t count) {
  const contracted *p = of;
  (void)each;
  const sm_contraction plan = {.m = p->m, .n = p->n, .k = p->t, .transpose_a = true, .row_a = p->m, .row_b = p->n,
                               .row_c = p->n, .summed = 1, .size = {count}, .step_a = {p->t * p->m},
                               .step_b = {p->t * p->n}, .batch = SM_CONTRACT_SUMMED};
  sm_contract(sum, p->x + first * p->t * p->m, p->y + first * p->t * p->n, &plan);
}

/* each (t, n) = x (t, m) y (m, n) */
static void contract_rows(const void *of, real *sum, real *each, size_t first, size_t count) {
  const contracted *p = of;
  (void)sum;
  const sm_contraction plan = {.m = count * p->t, .n = p->n, .k = p->m, .row_a = p->m, .row_b = p->n, .row_c = p->n,
                               .batch = SM_CONTRACT_M};
  sm_contract(each, p->x + first * p->t * p->m, p->y, &plan);
}

/* each (m, n) = x' y */
static void contract_kept(const void *of, real *sum, real *each, size_t first, size_t count) {
  const contracted *p = of;
  (void)sum;
  const sm_contraction plan = {.m = p->m, .n = p->n, .k = p->t, .transpose_a = true, .row_a = p->m, .row_b = p->n,
                               .row_c = p->n, .kept = 1, .size = {count}, .step_a = {p->t * p->m},
                               .step_b = {p->t * p->n}, .step_c = {p->m * p->n}, .batch = SM_CONTRACT_KEPT};
  sm_contract(each, p->x + first * p->t * p->m, p->y + first * p->t * p->n, &plan);
}

static void contractions_of_batches(void **state) {
  (void)state;
  assert_int_equal(sm_blas_load(NULL), SM_OK);
  static const size_t sizes[][3] = {{1, 7, 3}, {7, 1, 3}, {5, 9, 4}, {40, 70, 33}, {130, 64, 20}};
  static const size_t counts[] = {2, 4, 6, 12, 36};
  for (size_t s = 0; s < COUNT_OF(sizes); s++) {
    for (size_t e = 0; e < COUNT_OF(counts); e++) {
      contracted p = {NULL, NULL, sizes[s][0], sizes[s][1], sizes[s][2]};
      real *x = numbers(counts[e] * p.t * p.m, 1), *y = numbers((counts[e] * p.t + p.m) * p.n, 2);
      p.x = x;
      p.y = y;
      check(&(batch){&p, p.m * p.n, 0, contract_terms, "terms"}, counts[e]);
      check(&(batch){&p, p.m * p.n, 0, contract_positions, "positions"}, counts[e]);
      check(&(batch){&p, 0, p.t * p.n, contract_rows, "rows"}, counts[e]);
      check(&(batch){&p, 0, p.m * p.n, contract_kept, "kept"}, counts[e]);
      free(x);
      free(y);
    }
  }
}

/* ---- sums ---- */

typedef struct summed {
  const real *x;
  size_t t, width, rows;
  const int32_t *index;
} summed;

static void sum_rows(const void *of, real *sum, real *each, size_t first, size_t count) {
  const summed *p = of;
  (void)each;
  sm_sum_batch(sum, p->x + first * p->t * p->width, count * p->t, p->width);
}

/* (examples, 1, t, width) broadcast from (1, t, 1) */
static void sum_broadcast(const void *of, real *sum, real *each, size_t first, size_t count) {
  const summed *p = of;
  (void)each;
  sm_memory *memory = sm_memory_new();
  const sm_shape from = {3, {count, p->t, p->width}}, to = {2, {p->t, 1}};
  assert_int_equal(sm_sum_to(sum, p->x + first * p->t * p->width, &to, &from, memory, NULL), SM_OK);
  sm_memory_free(memory);
}

static void add_by_index(const void *of, real *sum, real *each, size_t first, size_t count) {
  const summed *p = of;
  (void)each;
  size_t bytes;
  assert_true(sm_index_add_batch_scratch(&bytes, p->rows, count * p->t));
  void *scratch = block_of(bytes);
  const sm_indices index = {p->index + first * p->t, SM_INT32, 0, count * p->t};
  sm_index_add_batch(sum, p->x + first * p->t * p->width, &index, p->rows, p->width, scratch);
  free(scratch);
}

/* x², added up by a period of `width` and by one of 1 */
static void sum_expression(const void *of, real *sum, real *each, size_t first, size_t count) {
  const summed *p = of;
  sm_instruction square = {SM_MUL, {0, 0}, 0};
  sm_expression e = {.inputs = 1, .instructions = 1, .outputs = 3, .output = {1, 1, 1}, .instruction = &square};
  const sm_shape shape = {2, {count * p->t, p->width}}, *shapes[] = {&shape};
  const sm_dtype dtype = SM_REAL;
  sm_expression_plan plan;
  assert_int_equal(sm_expression_make(&e, NULL), SM_OK);
  assert_int_equal(sm_expression_plan_of(&plan, &e, shapes, &dtype, NULL), SM_OK);
  assert_int_equal(sm_expression_sum(&plan, 0, p->width, NULL), SM_OK);
  assert_int_equal(sm_expression_sum(&plan, 1, 1, NULL), SM_OK);
  void *scratch = block_of(sm_expression_scratch(&plan));
  real *out[] = {sum, sum + p->width, each};
  const void *inputs[] = {p->x + first * p->t * p->width};
  sm_expression_run(out, inputs, &e, &plan, scratch);
  free(scratch);
}

static void sums_of_batches(void **state) {
  (void)state;
  static const size_t sizes[][2] = {{1, 1}, {3, 1}, {1, 10}, {5, 33}, {50, 16}, {2, 1000}, {7, 300}, {1, 5000}};
  for (size_t s = 0; s < COUNT_OF(sizes); s++) {
    for (size_t e = 0; e < COUNT_OF(examples_of); e++) {
      const size_t count = examples_of[e], t = sizes[s][0], width = sizes[s][1], rows = 23;
      real *x = numbers(count * t * width, 1);
      int32_t *index = block_of(count * t * sizeof *index);
      for (size_t i = 0; i < count * t; i++) index[i] = (int32_t)(i * i * 7 % rows % 19);
      const summed p = {x, t, width, rows, index};
      check(&(batch){&p, width, 0, sum_rows, "rows"}, count);
      check(&(batch){&p, t, 0, sum_broadcast, "broadcast"}, count);
      check(&(batch){&p, rows * width, 0, add_by_index, "index"}, count);
      if (width <= SM_EXPRESSION_BLOCK) check(&(batch){&p, width + 1, t * width, sum_expression, "expression"}, count);
      free(x);
      free(index);
    }
  }
}

/* ---- losses: their sums are added in double ---- */

static void losses_of_batches(void **state) {
  (void)state;
  enum { CLASSES = 10 };
  for (size_t e = 0; e < COUNT_OF(examples_of); e++) {
    const size_t examples = examples_of[e];
    real *x = numbers(examples * CLASSES, 1), *log_sum = unwritten(examples), loss;
    int32_t *label = block_of(examples * sizeof *label);
    for (size_t i = 0; i < examples; i++) label[i] = (int32_t)(i * 7 % CLASSES);
    double want = 0, divide = 0, want_all = 0;
    for (size_t ranks = 1; ranks <= MOST_RANKS && examples % ranks == 0; ranks *= 2) {
      double totals[MOST_RANKS], divisors[MOST_RANKS], all[MOST_RANKS];
      const size_t count = examples / ranks;
      set(PARTS / ranks, ranks);
      for (size_t rank = 0; rank < ranks; rank++) {
        const sm_target target = {.label = label + rank * count};
        const real *from = x + rank * count * CLASSES;
        sm_cross_entropy_forward(&loss, log_sum, &totals[rank], &divisors[rank], from, &target, count, CLASSES);
        all[rank] = sm_sum_all(from, count * CLASSES);
      }
      sm_add_parts_double(totals, ranks, 1);
      sm_add_parts_double(divisors, ranks, 1);
      sm_add_parts_double(all, ranks, 1);
      if (ranks == 1) {
        want = totals[0];
        divide = divisors[0];
        want_all = all[0];
        assert_true(loss == (real)(want / divide));
      }
      assert_true(totals[0] == want && divisors[0] == divide && all[0] == want_all);
    }
    set(SM_PARTS_FIRST, 1);
    free(x);
    free(log_sum);
    free(label);
  }
}

/* ---- normalisation ---- */

typedef struct normal {
  size_t rows, channels, groups; /* of an example; groups 0: a batch */
  real *x, *gy, *weight, *bias;
  size_t examples;
} normal;

/* The sums are gw and gb, the numbers of each y and gx. */
static void normalise(const void *given, real *sum, real *each, size_t first, size_t count) {
  const normal *p = given;
  const size_t size = p->rows * p->channels, n = count * size;
  sm_normalisation of = {count, p->rows, p->channels, p->groups, 1e-3, false};
  size_t bytes;
  assert_true(sm_normalise_scratch(&bytes, &of));
  void *scratch = block_of(bytes);
  real *mean = unwritten(count * p->groups), *variance = unwritten(count * p->groups);
  real *y = unwritten(n), *gx = unwritten(n);
  const real *x = p->x + first * size, *gy = p->gy + first * size;
  sm_normalise_forward(y, mean, variance, x, p->weight, p->bias, NULL, 0, NULL, &of, scratch);
  sm_normalise_backward(gx, sum, sum + p->channels, NULL, gy, x, NULL, mean, variance, p->weight, p->bias, 0, NULL, &of,
                        scratch);
  for (size_t i = 0; i < count; i++) {
    memcpy(each + i * 2 * size, y + i * size, size * sizeof *y);
    memcpy(each + (i * 2 + 1) * size, gx + i * size, size * sizeof *y);
  }
  real *all[] = {scratch, mean, variance, y, gx};
  for (size_t i = 0; i < COUNT_OF(all); i++) free(all[i]);
}

static void examples_are_normalised(void **state) {
  (void)state;
  static const size_t sizes[][3] = {{1, 5, 1}, {1, 300, 1}, {1, 64, 4}, {9, 6, 3}, {50, 16, 4}, {3, 70, 1}};
  for (size_t s = 0; s < COUNT_OF(sizes); s++) {
    for (size_t e = 0; e < COUNT_OF(examples_of); e++) {
      const size_t rows = sizes[s][0], channels = sizes[s][1], count = examples_of[e], n = count * rows * channels;
      const normal p = {rows, channels, sizes[s][2], numbers(n, 1), numbers(n, 2), numbers(channels, 3),
                        numbers(channels, 4), count};
      check(&(batch){&p, 2 * channels, 2 * rows * channels, normalise, "normalised"}, count);
      real *all[] = {p.x, p.gy, p.weight, p.bias};
      for (size_t i = 0; i < COUNT_OF(all); i++) free(all[i]);
    }
  }
}

/* All ranks of a batch in turn, which exchange statistics and sums. numbers: y, gx and what passed (rows, channels
   each) of all ranks, then gw and gb, added. */
static void normalise_batch(real *y, real *gx, real *passed, real *sums, const normal *p, size_t ranks, bool adds) {
  const size_t count = p->examples / ranks, c = p->channels, size = count * c;
  const sm_normalisation of = {1, count, c, c, 1e-3, true};
  double *exchanged = block_of(MOST_RANKS * SM_NORMALISE_SUMS * c * sizeof(double));
  real *mean = unwritten(c), *variance = unwritten(c);
  size_t bytes;
  set(PARTS / ranks, ranks);
  assert_true(sm_normalise_scratch(&bytes, &of));
  void *scratch = block_of(bytes);
  if (ranks == 1) {
    sm_normalise_forward(y, mean, variance, p->x, p->weight, p->bias, adds ? p->gy : NULL, 1, NULL, &of, scratch);
    sm_normalise_backward(gx, sums, sums + c, adds ? passed : NULL, p->gy, p->x, adds ? y : NULL, mean, variance,
                          p->weight, p->bias, 1, NULL, &of, scratch);
  } else {
    for (size_t rank = 0; rank < ranks; rank++)
      sm_normalise_statistics(exchanged + rank * SM_NORMALISE_SUMS * c, p->x + rank * size, &of, scratch);
    sm_normalise_merge(exchanged, ranks, count, c);
    for (size_t rank = 0; rank < ranks; rank++)
      sm_normalise_forward(y + rank * size, mean, variance, p->x + rank * size, p->weight, p->bias,
                           adds ? p->gy + rank * size : NULL, 1, exchanged, &of, scratch);
    for (size_t rank = 0; rank < ranks; rank++)
      sm_normalise_backward(NULL, sums + rank * 2 * c, sums + (rank * 2 + 1) * c, adds ? passed + rank * size : NULL,
                            p->gy + rank * size, p->x + rank * size, adds ? y + rank * size : NULL, mean, variance,
                            p->weight, p->bias, 1, exchanged + rank * SM_NORMALISE_SUMS * c, &of, scratch);
    sm_add_parts(sums, ranks, 2 * c);
    sm_add_parts_double(exchanged, ranks, SM_NORMALISE_SUMS * c);
    for (size_t rank = 0; rank < ranks; rank++)
      sm_normalise_backward(gx + rank * size, NULL, NULL, NULL, (adds ? passed : p->gy) + rank * size,
                            p->x + rank * size, NULL, mean, variance, p->weight, p->bias, adds ? 0 : 1, exchanged, &of,
                            scratch);
  }
  void *all[] = {exchanged, mean, variance, scratch};
  for (size_t i = 0; i < COUNT_OF(all); i++) free(all[i]);
}

static void batches_are_normalised(void **state) {
  (void)state;
  static const size_t channels_of[] = {1, 3, 16, 70, 1030};
  static const int threads[] = {1, 2, 3, 5};
  for (size_t s = 0; s < COUNT_OF(channels_of); s++) {
    for (size_t e = 1; e < COUNT_OF(examples_of); e++) {
      const size_t c = channels_of[s], count = examples_of[e], n = count * c;
      const normal p = {1, c, 0, numbers(n, 1), numbers(n, 2), numbers(c, 3), numbers(c, 4), count};
      for (int adds = 0; adds < 2; adds++) {
        real *want[] = {unwritten(n), unwritten(n), unwritten(n), unwritten(2 * c)};
        sm_set_thread_count(1);
        normalise_batch(want[0], want[1], want[2], want[3], &p, 1, adds);
        for (size_t i = 0; i < COUNT_OF(threads) * 3; i++) {
          const size_t ranks = (size_t)1 << i % 3;
          if (count % ranks != 0) continue;
          real *got[] = {unwritten(n), unwritten(n), unwritten(n), unwritten(MOST_RANKS * 2 * c)};
          sm_set_thread_count(threads[i / 3]);
          normalise_batch(got[0], got[1], got[2], got[3], &p, ranks, adds);
          for (int k = 0; k < 4; k++) {
            const size_t numbers_of = k == 3 ? 2 * c : k == 2 && !adds ? 0 : n;
            assert_same("batch", "number", got[k], want[k], numbers_of, ranks, threads[i / 3]);
            free(got[k]);
          }
        }
        for (int k = 0; k < 4; k++) free(want[k]);
      }
      set(SM_PARTS_FIRST, 1);
      real *all[] = {p.x, p.gy, p.weight, p.bias};
      for (size_t i = 0; i < COUNT_OF(all); i++) free(all[i]);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(products_of_batches),    cmocka_unit_test(contractions_of_batches),
      cmocka_unit_test(sums_of_batches),        cmocka_unit_test(losses_of_batches),
      cmocka_unit_test(examples_are_normalised), cmocka_unit_test(batches_are_normalised),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
