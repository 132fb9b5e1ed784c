/* Recurrent networks against loops in double, step by step, and their gradients against differences. */
#include "numbers.h"

#include "core/parallel.h"
#include "core/recurrent.h"

typedef struct network {
  sm_recurrence of;
  real *a, *v, *d, *h, *c; /* of the input's part; d, h and c may be NULL */
} network;

static size_t rows_of(const network *n) { return n->of.batch * n->of.steps; }
static size_t wide(const network *n) { return sm_cell_gates(n->of.cell) * n->of.size; }

static network make(sm_cell cell, size_t batch, size_t steps, size_t size, bool reverse, bool all) {
  network n = {.of = {cell, batch, steps, size, reverse}};
  n.a = numbers(rows_of(&n) * wide(&n), 1);
  n.v = numbers(size * wide(&n), 2);
  for (size_t i = 0; i < size * wide(&n); i++) n.v[i] /= (real)size;
  n.d = all ? numbers(wide(&n), 3) : NULL;
  n.h = all ? numbers(batch * size, 4) : NULL;
  n.c = all && cell == SM_LSTM ? numbers(batch * size, 5) : NULL;
  return n;
}

static void drop(network *n) {
  free(n->a);
  free(n->v);
  free(n->d);
  free(n->h);
  free(n->c);
}

static double logistic(double x) { return 1 / (1 + exp(-x)); }

/* y, and c of every step. */
static void slow(double *y, double *cells, const network *n) {
  const size_t size = n->of.size, all = wide(n);
  double *h = calloc(size + 1, sizeof *h), *c = calloc(size + 1, sizeof *c), *r = calloc(all + 1, sizeof *r);
  for (size_t i = 0; i < n->of.batch; i++) {
    for (size_t j = 0; j < size; j++) {
      h[j] = n->h ? (double)n->h[i * size + j] : 0;
      c[j] = n->c ? (double)n->c[i * size + j] : 0;
    }
    for (size_t time = 0; time < n->of.steps; time++) {
      size_t row = i * n->of.steps + (n->of.reverse ? n->of.steps - 1 - time : time);
      for (size_t k = 0; k < all; k++) {
        r[k] = n->d ? (double)n->d[k] : 0;
        for (size_t j = 0; j < size; j++) r[k] += h[j] * (double)n->v[j * all + k];
      }
      const real *a = n->a + row * all;
      for (size_t j = 0; j < size; j++) {
        if (n->of.cell == SM_RNN_TANH) h[j] = tanh((double)a[j] + r[j]);
        if (n->of.cell == SM_RNN_RELU) h[j] = fmax((double)a[j] + r[j], 0);
        if (n->of.cell == SM_GRU) {
          double z = logistic((double)a[size + j] + r[size + j]);
          double next = tanh((double)a[2 * size + j] + logistic((double)a[j] + r[j]) * r[2 * size + j]);
          h[j] = (1 - z) * next + z * h[j];
        }
        if (n->of.cell == SM_LSTM) {
          c[j] = logistic((double)a[size + j] + r[size + j]) * c[j] +
                 logistic((double)a[j] + r[j]) * tanh((double)a[2 * size + j] + r[2 * size + j]);
          h[j] = logistic((double)a[3 * size + j] + r[3 * size + j]) * tanh(c[j]);
        }
        y[row * size + j] = h[j];
        cells[row * size + j] = c[j];
      }
    }
  }
  free(h);
  free(c);
  free(r);
}

/* What a pass gives, in memory of its own. */
typedef struct result {
  real *y, *gates, *kept, *ga, *gr, *gh, *gc;
} result;

static void *scratch_of(const sm_recurrence *of) {
  size_t bytes = 0;
  assert_true(sm_recurrent_scratch(&bytes, of));
  return unwritten(bytes / sizeof(real) + 1);
}

static result both_passes(const network *n, const real *gy, const real *gc_last) {
  size_t count = rows_of(n) * n->of.size, gates = rows_of(n) * wide(n), state = n->of.batch * n->of.size;
  result r = {.gates = block_of(gates * sizeof(real)), .kept = unwritten(count), .ga = unwritten(gates),
              .gh = unwritten(state), .gc = unwritten(state)};
  bool single = sm_cell_gates(n->of.cell) == 1;
  memcpy(r.gates, n->a, gates * sizeof(real));
  r.y = single ? r.gates : unwritten(count);
  r.gr = n->of.cell == SM_GRU ? unwritten(gates) : r.ga;
  void *scratch = scratch_of(&n->of);
  sm_recurrent_forward(r.y, r.gates, single ? NULL : r.kept, n->v, n->d, n->h, n->c, scratch, &n->of);
  sm_recurrent_backward(r.ga, r.gr, r.gh, n->of.cell == SM_LSTM ? r.gc : NULL, gy, gc_last, r.y, r.gates,
                        single ? NULL : r.kept, n->v, n->h, n->c, scratch, &n->of);
  free(scratch);
  return r;
}

static void drop_result(result *r) {
  if (r->y != r->gates) free(r->y);
  if (r->gr != r->ga) free(r->gr);
  free(r->gates);
  free(r->kept);
  free(r->ga);
  free(r->gh);
  free(r->gc);
}

static const struct {
  size_t batch, steps, size;
} cases[] = {{1, 1, 1}, {3, 5, 4}, {2, 3, 17}, {33, 4, 32}, {5, 2, 70}, {260, 2, 3}, {0, 3, 2}, {2, 0, 3}, {2, 3, 0}};

static void states_are_those_of_loops_with_any_number_of_threads(void **state) {
  (void)state;
  for (size_t k = 0; k < COUNT_OF(cases); k++) {
    for (int kind = 0; kind < 16; kind++) {
      network n = make((sm_cell)(kind / 4), cases[k].batch, cases[k].steps, cases[k].size, kind & 1, kind & 2);
      size_t count = rows_of(&n) * n.of.size, gates = rows_of(&n) * wide(&n), first = n.of.batch * n.of.size;
      double *want = calloc(count + 1, sizeof *want), *cells = calloc(count + 1, sizeof *cells);
      real *gy = numbers(count, 6);
      slow(want, cells, &n);
      sm_set_thread_count(1);
      result one = both_passes(&n, gy, NULL);
      assert_close(one.y, want, count, 30);
      if (n.of.cell == SM_LSTM) assert_close(one.kept, cells, count, 30);
      for (int threads = 2; threads <= 3; threads++) {
        sm_set_thread_count(threads);
        result more = both_passes(&n, gy, NULL);
        assert_same_bits(more.y, one.y, count);
        assert_same_bits(more.ga, one.ga, gates);
        assert_same_bits(more.gr, one.gr, gates);
        assert_same_bits(more.gh, one.gh, first);
        drop_result(&more);
      }
      drop_result(&one);
      drop(&n);
      free(want);
      free(cells);
      free(gy);
    }
  }
}

/* The sum of y * gy and of the last c * gc, in double. */
static double objective(const network *n, const real *gy, const real *gc) {
  size_t size = n->of.size, count = rows_of(n) * size;
  double *y = calloc(count, sizeof *y), *cells = calloc(count, sizeof *cells), sum = 0;
  slow(y, cells, n);
  for (size_t i = 0; i < count; i++) sum += y[i] * (double)gy[i];
  size_t last = n->of.reverse ? 0 : n->of.steps - 1;
  for (size_t i = 0; i < n->of.batch; i++)
    for (size_t j = 0; j < size; j++)
      sum += cells[(i * n->of.steps + last) * size + j] * (double)gc[i * size + j];
  free(y);
  free(cells);
  return sum;
}

static void gradient_is_that_of_differences(const network *n, real *x, size_t count, const real *got, const real *gy,
                                            const real *gc) {
  for (size_t i = 0; i < count; i++) {
    real before = x[i], step = (real)(1.0 / 1024);
    x[i] = before + step;
    double more = objective(n, gy, gc), up = (double)x[i];
    x[i] = before - step;
    double slope = (more - objective(n, gy, gc)) / (up - (double)x[i]);
    x[i] = before;
    if (fabs(slope - (double)got[i]) > 1e-4)
      fail_msg("element %zu: got %.9g, differences %.9g", i, (double)got[i], slope);
  }
}

static void gradients_are_those_of_differences(void **state) {
  (void)state;
  for (int kind = 0; kind < 8; kind++) {
    network n = make((sm_cell)(kind / 2), 3, 4, 5, kind & 1, true);
    size_t first = n.of.batch * n.of.size;
    real *gy = numbers(rows_of(&n) * n.of.size, 6), *gc = numbers(first, 7);
    result r = both_passes(&n, gy, n.of.cell == SM_LSTM ? gc : NULL);
    for (size_t i = 0; n.of.cell != SM_LSTM && i < first; i++) gc[i] = 0;
    gradient_is_that_of_differences(&n, n.a, rows_of(&n) * wide(&n), r.ga, gy, gc);
    gradient_is_that_of_differences(&n, n.h, first, r.gh, gy, gc);
    if (n.c) gradient_is_that_of_differences(&n, n.c, first, r.gc, gy, gc);
    drop_result(&r);
    drop(&n);
    free(gy);
    free(gc);
  }
}

static void states_before_and_after_are_found(void **state) {
  (void)state;
  for (int reverse = 0; reverse <= 1; reverse++) {
    sm_recurrence of = {SM_LSTM, 3, 4, 5, reverse};
    real *y = numbers(60, 1), *h = numbers(15, 2), *before = unwritten(60), *last = unwritten(15);
    for (int given = 0; given <= 1; given++) {
      sm_recurrent_before(before, y, given ? h : NULL, &of);
      sm_recurrent_last(last, y, &of);
      for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 5; j++) {
          for (size_t step = 0; step < 4; step++) {
            bool first = step == (reverse ? 3 : 0);
            size_t from = (i * 4 + (reverse ? step + 1 : step - 1)) * 5 + j;
            real want = !first ? y[from] : given ? h[i * 5 + j] : 0;
            assert_same_bits(before + (i * 4 + step) * 5 + j, &want, 1);
          }
          assert_same_bits(last + i * 5 + j, y + (i * 4 + (reverse ? 0 : 3)) * 5 + j, 1);
        }
      }
    }
    free(y);
    free(h);
    free(before);
    free(last);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(states_are_those_of_loops_with_any_number_of_threads),
      cmocka_unit_test(gradients_are_those_of_differences),
      cmocka_unit_test(states_before_and_after_are_found),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
