/* Softmax, its logarithm and sparsemax along any axis, against their definitions in double; and their gradients. */
#include "numbers.h"

#include "core/parallel.h"
#include "core/softmax_axis.h"
#include "core/sparsemax.h"

/* Every way through core/lines.c: copies, neighbours, single lines; whole and partial blocks; long sums. */
static const sm_axis axes[] = {{1, 1, 1},   {5, 2, 1},    {33, 16, 1},  {2, 64, 1},   {3, 65, 1},  {2, 5000, 1},
                               {2, 3, 5},   {7, 64, 31},  {2, 10, 32},  {3, 10, 70},  {1, 65, 3},  {2, 5000, 2},
                               {1, 100, 33}, {40, 8, 100}, {0, 3, 2},   {2, 0, 3},    {2, 3, 0}};

typedef struct method {
  bool scale, off, log, sparse;
  real inverse;
} method;

static const method methods[] = {{.inverse = 1}, {.inverse = 2, .scale = true}, {.inverse = (real)0.5, .off = true},
                                 {.inverse = 1, .log = true}, {.inverse = 4, .log = true, .off = true},
                                 {.sparse = true}};

static void run_forward(real *y, const real *x, const sm_axis *along, const method *m) {
  const sm_softmax_rule rule = {m->inverse, m->scale, m->off, m->log};
  if (m->sparse)
    sm_sparsemax_forward(y, x, along);
  else
    sm_softmax_axis_forward(y, x, along, &rule);
}

static void run_backward(real *gx, const real *gy, const real *y, const sm_axis *along, const method *m) {
  const sm_softmax_rule rule = {m->inverse, m->scale, m->off, m->log};
  if (m->sparse)
    sm_sparsemax_backward(gx, gy, y, along);
  else
    sm_softmax_axis_backward(gx, gy, y, along, &rule);
}

/* y and gx (n) for one line of x and gy. The threshold of sparsemax is found by halving. */
static void line(double *y, double *gx, const double *x, const double *gy, size_t n, const method *m) {
  double sum = m->off ? 1 : 0, dot = 0, low = -1e3, high = 1e3, count = 0;
  if (m->sparse) {
    for (int round = 0; round < 200; round++) {
      double tau = (low + high) / 2, total = 0;
      for (size_t i = 0; i < n; i++) total += fmax(x[i] - tau, 0);
      *(total > 1 ? &low : &high) = tau;
    }
    for (size_t i = 0; i < n; i++) {
      y[i] = fmax(x[i] - high, 0);
      count += y[i] > 0;
      dot += y[i] > 0 ? gy[i] : 0;
    }
    for (size_t i = 0; i < n; i++) gx[i] = y[i] > 0 ? gy[i] - dot / count : 0;
    return;
  }
  const double scale = m->scale ? (double)n : 1, inverse = (double)m->inverse;
  for (size_t i = 0; i < n; i++) sum += exp(x[i] * inverse);
  for (size_t i = 0; i < n; i++) dot += m->log ? gy[i] : gy[i] * exp(x[i] * inverse) / sum;
  for (size_t i = 0; i < n; i++) {
    const double p = exp(x[i] * inverse) / sum;
    y[i] = m->log ? x[i] * inverse - log(sum) : p * scale;
    gx[i] = inverse * (m->log ? gy[i] - p * dot : scale * p * (gy[i] - dot));
  }
}

static void lines_are_those_of_double(void **state) {
  (void)state;
  for (size_t k = 0; k < COUNT_OF(axes) * COUNT_OF(methods); k++) {
    const sm_axis a = axes[k / COUNT_OF(methods)];
    const method *m = &methods[k % COUNT_OF(methods)];
    const size_t n = a.outer * a.axis * a.inner;
    real *x = numbers(n, 1), *gy = numbers(n, 2), *y = unwritten(n), *gx = unwritten(n);
    real *again = block_of(n * sizeof(real));
    for (int threads = 1; threads <= 3; threads++) {
      sm_set_thread_count(threads);
      run_forward(threads == 1 ? y : memcpy(again, x, n * sizeof *x), threads == 1 ? x : again, &a, m);
      if (threads > 1) assert_memory_equal(again, y, n * sizeof *y);
      run_backward(threads == 1 ? gx : memcpy(again, gy, n * sizeof *x), threads == 1 ? gy : again, y, &a, m);
      if (threads > 1) assert_memory_equal(again, gx, n * sizeof *y);
    }
    double *values = calloc(4 * a.axis + 1, sizeof *values);
    for (size_t l = 0; l < a.outer * a.inner && a.axis > 0; l++) {
      const size_t start = l / a.inner * a.axis * a.inner + l % a.inner;
      double *from = values, *g = from + a.axis, *want = g + a.axis, *slope = want + a.axis;
      for (size_t i = 0; i < a.axis; i++) {
        from[i] = (double)x[start + i * a.inner];
        g[i] = (double)gy[start + i * a.inner];
      }
      line(want, slope, from, g, a.axis, m);
      for (size_t i = 0; i < a.axis; i++) {
        const size_t at = start + i * a.inner;
        /* a share that is nearly 0 may be 0 */
        const double near = fabs(want[i]) < 1e-6 && m->sparse ? 2 : 0;
        assert_true(fabs((double)y[at] - want[i]) <= rounding * 4 * fmax(1, fabs(want[i])));
        assert_true(fabs((double)gx[at] - slope[i]) <= rounding * 20 * fmax(1, fabs(slope[i])) + near);
      }
    }
    free(values), free(x), free(gy), free(y), free(gx), free(again);
  }
}

static void infinities_share_or_have_nothing(void **state) {
  (void)state;
  const real special[][3] = {{-INFINITY, 1, -INFINITY}, {INFINITY, 0, INFINITY}, {-INFINITY, -INFINITY, -INFINITY},
                             {NAN, 1, 2}};
  const double shares[][3] = {{0, 1, 0}, {0.5, 0, 0.5}, {1.0 / 3, 1.0 / 3, 1.0 / 3}};
  for (size_t k = 0; k < COUNT_OF(special) * COUNT_OF(methods); k++) {
    const method *m = &methods[k % COUNT_OF(methods)];
    const real *of = special[k / COUNT_OF(methods)];
    for (size_t n = 3; n <= 99; n += 96) { /* in a copy, and alone: the rest is -inf or, for NaN, 0 */
      real x[99], y[99];
      const bool is_nan = of[0] != of[0];
      for (size_t i = 0; i < n; i++) x[i] = i < 3 ? of[i] : is_nan ? 0 : -INFINITY;
      if (m->off || (n > 3 && of[2] == -INFINITY && of[1] == -INFINITY)) continue;
      run_forward(y, x, &(sm_axis){1, n, 1}, m);
      for (size_t i = 0; i < 3; i++) {
        const double p = m->log ? exp((double)y[i]) : (double)y[i] / (m->scale ? (double)n : 1);
        if (is_nan)
          assert_true(isnan(y[i]));
        else
          assert_true(fabs(p - shares[k / COUNT_OF(methods)][i]) < 1e-6);
      }
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(lines_are_those_of_double),
                                     cmocka_unit_test(infinities_share_or_have_nothing)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
