/* Attention against loops in double, and its gradients against differences. */
#include "numbers.h"

#include "core/attention.h"
#include "core/gemm.h"
#include "core/parallel.h"

/* Heads lie beside each other, and with `packed` queries, keys and values, too. */
static sm_attention plan(size_t batch, size_t heads, size_t queries, size_t keys, size_t width, bool causal,
                         bool packed) {
  const size_t all = heads * width, row = packed ? 3 * all : all;
  return (sm_attention){.batch = batch, .heads = heads, .queries = queries, .keys = keys, .width = width,
                        .value_width = width, .q = {queries * row, width, row}, .k = {keys * row, width, row},
                        .v = {keys * row, width, row}, .out = {queries * all, width, all}, .scale = (real)0.3,
                        .causal = causal};
}

static double score(const sm_attention *of, const real *q, const real *k, const size_t at[4]) {
  double sum = 0;
  for (size_t c = 0; c < of->width; c++)
    sum += (double)q[at[0] * of->q.batch + at[1] * of->q.head + at[2] * of->q.row + c] *
           (double)k[at[0] * of->k.batch + at[1] * of->k.head + at[3] * of->k.row + c];
  sum *= (double)of->scale;
  const sm_mask *m = &of->mask;
  size_t i = at[0] * m->batch + at[1] * m->head + at[2] * m->query + at[3] * m->key;
  if (m->data && m->dtype == SM_UINT8 && !((const uint8_t *)m->data)[i]) sum = -INFINITY;
  if (m->data && m->dtype == SM_REAL) sum += (double)((const real *)m->data)[i];
  return of->causal && at[3] > at[2] ? -INFINITY : sum;
}

static void slow(double *out, const real *q, const real *k, const real *v, const sm_attention *of) {
  double *p = calloc(of->keys + 1, sizeof *p);
  for (size_t n = 0; n < of->batch * of->heads * of->queries; n++) {
    size_t at[4] = {n / (of->heads * of->queries), n / of->queries % of->heads, n % of->queries, 0};
    double largest = -INFINITY, sum = 0;
    for (at[3] = 0; at[3] < of->keys; at[3]++) largest = fmax(largest, p[at[3]] = score(of, q, k, at));
    for (size_t j = 0; j < of->keys; j++) sum += p[j] = largest > -INFINITY ? exp(p[j] - largest) : 0;
    double *y = out + at[0] * of->out.batch + at[1] * of->out.head + at[2] * of->out.row;
    for (size_t c = 0; c < of->value_width; c++) {
      y[c] = 0;
      for (size_t j = 0; j < of->keys && sum > 0; j++)
        y[c] += p[j] / sum * (double)v[at[0] * of->v.batch + at[1] * of->v.head + j * of->v.row + c];
    }
  }
  free(p);
}

typedef struct result {
  size_t outs, queries, keys, offset; /* numbers in each, and from q to k and to v where they are packed */
  real *out, *gq, *gk, *gv, *log_sum;
} result;

static result both_passes(const real *q, const real *k, const real *v, const real *gy, const sm_attention *of,
                          bool packed) {
  size_t all = of->heads * of->width, sums = of->batch * of->heads * of->queries, forward = 0, backward = 0;
  result r = {.outs = of->batch * of->queries * all, .queries = of->batch * of->q.batch,
              .keys = of->batch * of->k.batch,
              .offset = packed ? all : 0};
  r.out = unwritten(r.outs);
  r.log_sum = unwritten(sums);
  r.gq = unwritten(r.queries);
  r.gk = packed ? r.gq + r.offset : unwritten(r.keys);
  r.gv = packed ? r.gq + 2 * r.offset : unwritten(r.keys);
  assert_true(sm_attention_scratch(&forward, of, false) && sm_attention_scratch(&backward, of, true));
  real *first = unwritten(forward / sizeof(real)), *second = unwritten(backward / sizeof(real));
  sm_attention_forward(r.out, r.log_sum, q, k, v, first, of);
  sm_attention_backward(r.gq, r.gk, r.gv, gy, r.out, r.log_sum, q, k, v, second, of);
  free(first);
  free(second);
  return r;
}

static void drop(result *r) {
  free(r->out);
  free(r->log_sum);
  free(r->gq);
  if (r->offset == 0) free(r->gk);
  if (r->offset == 0) free(r->gv);
}

static const struct {
  size_t batch, heads, queries, keys, width;
} cases[] = {{1, 1, 1, 1, 1},   {2, 3, 5, 7, 4},  {1, 2, 130, 33, 5}, {2, 1, 70, 70, 16}, {1, 1, 3, 3000, 2},
             {2, 2, 300, 4, 3}, {0, 2, 3, 3, 2}, {2, 2, 0, 3, 2},    {2, 2, 3, 0, 2}};

static void means_are_those_of_loops_with_any_number_of_threads(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    for (int kind = 0; kind < 12; kind++) {
      bool packed = kind & 1 && cases[i].queries == cases[i].keys;
      sm_attention of = plan(cases[i].batch, cases[i].heads, cases[i].queries, cases[i].keys, cases[i].width, kind & 2,
                             packed);
      size_t pairs = of.queries * of.keys, all = of.heads * of.width;
      uint8_t *seen = block_of(pairs);
      for (size_t j = 0; j < pairs; j++) seen[j] = j % of.keys != 0 && j * 7 % 5 != 0;
      real *added = numbers(of.heads * of.keys, 9);
      if (kind / 4 == 1) of.mask = (sm_mask){seen, SM_UINT8, 0, 0, of.keys, 1};
      if (kind / 4 == 2) of.mask = (sm_mask){added, SM_REAL, 0, of.keys, 0, 1};
      real *q = numbers(of.batch * of.q.batch, 1), *k = packed ? q + all : numbers(of.batch * of.k.batch, 2);
      real *v = packed ? q + 2 * all : numbers(of.batch * of.v.batch, 3);
      real *gy = numbers(of.batch * of.queries * all, 4);
      double *want = calloc(of.batch * of.queries * all + 1, sizeof *want);
      slow(want, q, k, v, &of);
      sm_set_thread_count(1);
      result one = both_passes(q, k, v, gy, &of, packed);
      assert_close(one.out, want, one.outs, 10);
      for (int threads = 2; threads <= 3; threads++) {
        sm_set_thread_count(threads);
        result more = both_passes(q, k, v, gy, &of, packed);
        assert_same_bits(more.out, one.out, one.outs);
        assert_same_bits(more.gq, one.gq, one.queries);
        if (!packed) assert_same_bits(more.gk, one.gk, one.keys);
        if (!packed) assert_same_bits(more.gv, one.gv, one.keys);
        drop(&more);
      }
      drop(&one);
      free(want);
      free(gy);
      free(q);
      if (!packed) free(k);
      if (!packed) free(v);
      free(seen);
      free(added);
    }
  }
}

static double objective(const real *q, const real *k, const real *v, const real *gy, const sm_attention *of) {
  size_t count = of->batch * of->queries * of->heads * of->width;
  double *out = calloc(count, sizeof *out), sum = 0;
  slow(out, q, k, v, of);
  for (size_t i = 0; i < count; i++) sum += out[i] * (double)gy[i];
  free(out);
  return sum;
}

static void gradients_are_those_of_differences(void **state) {
  (void)state;
  for (int kind = 0; kind < 4; kind++) {
    bool packed = kind & 1;
    sm_attention of = plan(2, 2, 6, packed ? 6 : 5, 3, kind & 2, packed);
    size_t all = of.heads * of.width;
    real *q = numbers(of.batch * of.q.batch, 1), *k = packed ? q + all : numbers(of.batch * of.k.batch, 2);
    real *v = packed ? q + 2 * all : numbers(of.batch * of.v.batch, 3);
    real *gy = numbers(of.batch * of.queries * all, 4);
    result r = both_passes(q, k, v, gy, &of, packed);
    real *operands[] = {q, k, v}, *gradients[] = {r.gq, r.gk, r.gv};
    for (int which = 0; which < (packed ? 1 : 3); which++) {
      for (size_t i = 0; i < (which == 0 ? r.queries : r.keys); i++) {
        real *x = operands[which] + i, before = *x, step = (real)(1.0 / 1024);
        *x = before + step;
        double more = objective(q, k, v, gy, &of), up = (double)*x;
        *x = before - step;
        double slope = (more - objective(q, k, v, gy, &of)) / (up - (double)*x), got = (double)gradients[which][i];
        *x = before;
        if (fabs(slope - got) > 1e-5) fail_msg("%d, element %zu: got %.9g, differences %.9g", which, i, got, slope);
      }
    }
    drop(&r);
    free(gy);
    free(q);
    if (!packed) free(k);
    if (!packed) free(v);
  }
}

static void infinite_and_undefined_scores_are_as_in_a_softmax(void **state) {
  (void)state;
  const sm_attention of = plan(1, 1, 3, 2, 1, false, false);
  const real q[] = {1, NAN, 1}, k[] = {1, 2}, v[] = {1, NAN}, whole[] = {1, 3};
  real out[3], scratch[64 * 16];
  size_t bytes;
  assert_true(sm_attention_scratch(&bytes, &of, false) && bytes <= sizeof scratch);
  sm_attention_forward(out, NULL, q, k, whole, scratch, &of);
  assert_true(out[0] > 1 && out[0] < 3 && out[1] != out[1] && out[2] == out[0]);
  sm_attention_forward(out, NULL, q, k, v, scratch, &of);
  assert_true(out[0] != out[0]);
}

int main(void) {
  sm_error error;
  if (sm_blas_load(&error) != SM_OK) {
    print_error("%s\n", error.message);
    return 1;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(means_are_those_of_loops_with_any_number_of_threads),
      cmocka_unit_test(gradients_are_those_of_differences),
      cmocka_unit_test(infinite_and_undefined_scores_are_as_in_a_softmax),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
