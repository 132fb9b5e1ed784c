/* Each rule against a plain transcription in double, over 1,000 steps. */
#include "numbers.h"

#include "core/optim.h"
#include "core/parallel.h"

enum { STATES = 3, STEPS = 1000 };

typedef struct rule {
  const char *name;
  bool (*step)(real *w, real *state[STATES], const sm_gradient *gradient, uint64_t t, size_t n);
  void (*reference)(double *w, double state[STATES], double g, double decay, uint64_t t);
  double first_state; /* of state[0]; the others begin at 0 */
  sm_gradient with;   /* scale, clip and decay; g is filled in */
  double tolerance;   /* float: of |w - reference| after the last step, relative to the weights' size of 1 */
} rule;

static const double lr = 0.01, momentum = 0.9, decay_rate = 0.95, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
static const double cap = 1e-2, smorms3_epsilon = 1e-16, lion_rate = 1e-3;

static bool sgd(real *w, real *state[STATES], const sm_gradient *gradient, uint64_t t, size_t n) {
  (void)state, (void)t;
  return sm_sgd_step(w, NULL, gradient, lr, 0, false, n);
}

static void sgd_reference(double *w, double state[STATES], double g, double decay, uint64_t t) {
  (void)state, (void)t;
  g += decay * *w;
  *w -= lr * g;
}

static bool sgd_momentum(real *w, real *state[STATES], const sm_gradient *gradient, uint64_t t, size_t n) {
  (void)t;
  return sm_sgd_step(w, state[0], gradient, lr, momentum, false, n);
}

static void sgd_momentum_reference(double *w, double state[STATES], double g, double decay, uint64_t t) {
  (void)t;
  g += decay * *w;
  state[0] = momentum * state[0] + g;
  *w -= lr * state[0];
}

static bool sgd_nesterov(real *w, real *state[STATES], const sm_gradient *gradient, uint64_t t, size_t n) {
  (void)t;
  return sm_sgd_step(w, state[0], gradient, lr, momentum, true, n);
}

static void sgd_nesterov_reference(double *w, double state[STATES], double g, double decay, uint64_t t) {
  (void)t;
  g += decay * *w;
  state[0] = momentum * state[0] + g;
  *w -= lr * (g + momentum * state[0]);
}

static bool rmsprop(real *w, real *state[STATES], const sm_gradient *gradient, uint64_t t, size_t n) {
  (void)t;
  return sm_rmsprop_step(w, state[0], gradient, lr, decay_rate, epsilon, n);
}

static void rmsprop_reference(double *w, double state[STATES], double g, double decay, uint64_t t) {
  (void)t;
  g += decay * *w;
  state[0] = decay_rate * state[0] + (1 - decay_rate) * g * g;
  *w -= lr * g / (sqrt(state[0]) + epsilon);
}

static bool adam(real *w, real *state[STATES], const sm_gradient *gradient, uint64_t t, size_t n) {
  return sm_adam_step(w, state[0], state[1], gradient, &(sm_adam){lr, beta1, beta2, epsilon, false, t}, n);
}

static void adam_reference(double *w, double state[STATES], double g, double decay, uint64_t t) {
  g += decay * *w;
  state[0] = beta1 * state[0] + (1 - beta1) * g;
  state[1] = beta2 * state[1] + (1 - beta2) * g * g;
  double correction = sqrt(1 - pow(beta2, (double)t)) / (1 - pow(beta1, (double)t));
  *w -= lr * correction * state[0] / (sqrt(state[1]) + epsilon);
}

static bool adamw(real *w, real *state[STATES], const sm_gradient *gradient, uint64_t t, size_t n) {
  return sm_adam_step(w, state[0], state[1], gradient, &(sm_adam){lr, beta1, beta2, epsilon, true, t}, n);
}

static void adamw_reference(double *w, double state[STATES], double g, double decay, uint64_t t) {
  *w *= 1 - lr * decay;
  adam_reference(w, state, g, 0, t);
}

static bool lion(real *w, real *state[STATES], const sm_gradient *gradient, uint64_t t, size_t n) {
  (void)t;
  return sm_lion_step(w, state[0], gradient, lion_rate, beta1, decay_rate, n);
}

static void lion_reference(double *w, double state[STATES], double g, double decay, uint64_t t) {
  (void)t;
  double toward = beta1 * state[0] + (1 - beta1) * g;
  *w = *w * (1 - lion_rate * decay) - (toward > 0 ? lion_rate : toward < 0 ? -lion_rate : 0);
  state[0] = decay_rate * state[0] + (1 - decay_rate) * g;
}

static bool smorms3(real *w, real *state[STATES], const sm_gradient *gradient, uint64_t t, size_t n) {
  (void)t;
  return sm_smorms3_step(w, state[0], state[1], state[2], gradient, cap, smorms3_epsilon, n);
}

static void smorms3_reference(double *w, double state[STATES], double g, double decay, uint64_t t) {
  (void)t;
  g += decay * *w;
  double r = 1 / (state[0] + 1);
  state[1] = (1 - r) * state[1] + r * g;
  state[2] = (1 - r) * state[2] + r * g * g;
  double x = state[1] * state[1] / (state[2] + smorms3_epsilon);
  *w -= g * fmin(x, cap) / (sqrt(state[2]) + smorms3_epsilon);
  state[0] = 1 + state[0] * (1 - x);
}

static const rule rules[] = {
    {"sgd", sgd, sgd_reference, 0, {NULL, 1, 0, 0}, 1e-5},
    {"sgd, decay", sgd, sgd_reference, 0, {NULL, 0.5, 0.3, 0.1}, 1e-5},
    {"momentum", sgd_momentum, sgd_momentum_reference, 0, {NULL, 1, 0, 0}, 1e-5},
    {"momentum, clip", sgd_momentum, sgd_momentum_reference, 0, {NULL, 2, 0.5, 0.01}, 1e-5},
    {"nesterov", sgd_nesterov, sgd_nesterov_reference, 0, {NULL, 1, 0, 0.01}, 1e-5},
    {"rmsprop", rmsprop, rmsprop_reference, 0, {NULL, 1, 0, 0}, 1e-4},
    {"rmsprop, clip", rmsprop, rmsprop_reference, 0, {NULL, 1, 0.2, 0.01}, 1e-4},
    {"adam", adam, adam_reference, 0, {NULL, 1, 0, 0}, 1e-4},
    {"adam, decay", adam, adam_reference, 0, {NULL, 0.1, 0, 0.01}, 1e-4},
    {"adamw", adamw, adamw_reference, 0, {NULL, 1, 0.7, 0.1}, 1e-4},
    {"lion", lion, lion_reference, 0, {NULL, 1, 0, 0}, 3e-3}, /* a sign may turn: a step twice */
    {"lion, decay", lion, lion_reference, 0, {NULL, 2, 0.5, 0.1}, 3e-3},
    {"smorms3", smorms3, smorms3_reference, 1, {NULL, 1, 0, 0}, 1e-4},
    {"smorms3, clip", smorms3, smorms3_reference, 1, {NULL, 3, 0.8, 0.01}, 1e-4},
};

/* Noise around the slope of a bowl whose middle is 0.3, computed from the reference's weights, so that both
   runs see the same gradients. */
static void gradients(real *g, const double *w, size_t n, uint64_t t) {
  real *noise = numbers(n, (uint32_t)t);
  for (size_t i = 0; i < n; i++) g[i] = (real)(w[i] - 0.3) + noise[i] * (real)0.5;
  free(noise);
}

static void rules_follow_their_transcription(void **state) {
  (void)state;
  enum { n = 101 };
  for (size_t k = 0; k < COUNT_OF(rules); k++) {
    const rule *by = &rules[k];
    real *w = numbers(n, 1), *g = unwritten(n), *states[STATES];
    double want[n], want_state[n][STATES] = {{0}};
    for (int s = 0; s < STATES; s++) states[s] = calloc(n, sizeof(real));
    for (size_t i = 0; i < n; i++) {
      want[i] = (double)w[i];
      states[0][i] = (real)by->first_state;
      want_state[i][0] = by->first_state;
    }
    for (uint64_t t = 1; t <= STEPS; t++) {
      gradients(g, want, n, t);
      sm_gradient gradient = by->with;
      gradient.g = g;
      assert_true(by->step(w, states, &gradient, t, n));
      for (size_t i = 0; i < n; i++) {
        double seen = (double)g[i] * gradient.scale;
        if (gradient.clip > 0) seen = fmax(fmin(seen, gradient.clip), -gradient.clip);
        by->reference(&want[i], want_state[i], seen, gradient.weight_decay, t);
      }
    }
    double tolerance = sizeof(real) == sizeof(double) ? 1e-11 : by->tolerance;
    for (size_t i = 0; i < n; i++) {
      if (!(fabs((double)w[i] - want[i]) <= tolerance)) {
        fail_msg("%s, element %zu: got %.9g, expected %.9g", by->name, i, (double)w[i], want[i]);
      }
    }
    free(w);
    free(g);
    for (int s = 0; s < STATES; s++) free(states[s]);
  }
}

static void bits_depend_neither_on_position_nor_on_threads(void **state) {
  (void)state;
  enum { n = 40000, part = 83, shifts = 17 };
  for (size_t k = 0; k < COUNT_OF(rules); k++) {
    real *first = numbers(n, 2), *first_state[STATES], *g = numbers(n, 3);
    for (int s = 0; s < STATES; s++) {
      first_state[s] = numbers(n, 4 + (uint32_t)s);
      for (size_t i = 0; i < n; i++) first_state[s][i] = (real)fabs((double)first_state[s][i]) + 1;
    }
    sm_gradient gradient = rules[k].with;
    gradient.g = g;
    for (int threads = 1; threads <= 3; threads++) {
      real *w = numbers(n, 2), *states[STATES];
      for (int s = 0; s < STATES; s++) {
        states[s] = block_of(n * sizeof(real));
        memcpy(states[s], first_state[s], n * sizeof(real));
      }
      sm_set_thread_count(threads);
      assert_true(rules[k].step(w, states, &gradient, 3, n));
      if (threads == 1) {
        for (size_t shift = 0; shift < shifts; shift++) {
          real moved[part], *moved_state[STATES];
          memcpy(moved, first + shift, sizeof moved);
          for (int s = 0; s < STATES; s++) {
            moved_state[s] = block_of(sizeof moved);
            memcpy(moved_state[s], first_state[s] + shift, sizeof moved);
          }
          sm_gradient from = gradient;
          from.g = g + shift;
          assert_true(rules[k].step(moved, moved_state, &from, 3, part));
          assert_same_bits(moved, w + shift, part);
          for (int s = 0; s < STATES; s++) {
            assert_same_bits(moved_state[s], states[s] + shift, part);
            free(moved_state[s]);
          }
        }
        memcpy(first, w, n * sizeof *w);
      }
      assert_same_bits(w, first, n);
      for (int s = 0; s < STATES; s++) free(states[s]);
      free(w);
    }
    for (int s = 0; s < STATES; s++) free(first_state[s]);
    free(first);
    free(g);
  }
}

static void gradients_that_are_not_finite_are_refused(void **state) {
  (void)state;
  enum { n = 20000 };
  static const double bad[] = {NAN, INFINITY, -INFINITY};
  static const size_t places[] = {0, 5, 100, 16383, 16384, n - 1};
  real *w = unwritten(n), *g = unwritten(n), *states[STATES];
  for (int s = 0; s < STATES; s++) states[s] = unwritten(n);
  for (size_t k = 0; k < COUNT_OF(rules); k++) {
    for (size_t p = 0; p < COUNT_OF(places); p++) {
      for (size_t i = 0; i < n; i++) {
        w[i] = 1;
        g[i] = i % 2 ? (real)1e15 : 0;
        for (int s = 0; s < STATES; s++) states[s][i] = 1;
      }
      sm_gradient gradient = rules[k].with;
      gradient.g = g;
      assert_true(rules[k].step(w, states, &gradient, 1, n));
      g[places[p]] = (real)bad[p % COUNT_OF(bad)];
      assert_false(rules[k].step(w, states, &gradient, 2, n));
    }
    sm_gradient nothing = rules[k].with;
    assert_true(rules[k].step(w, states, &nothing, 1, 0));
  }
  free(w);
  free(g);
  for (int s = 0; s < STATES; s++) free(states[s]);
}

/* The square of one gradient, or its step, is beyond real: that element stays, with its state, and can go on. */
static void a_step_that_is_not_finite_leaves_its_element_as_it_was(void **state) {
  (void)state;
  enum { n = 40, bad = 21 };
  const double huge = sizeof(real) == sizeof(double) ? 1e200 : 1e22;
  for (size_t k = 0; k < COUNT_OF(rules); k++) {
    real *w = numbers(n, 1), *want = numbers(n, 1), *g = numbers(n, 2), *states[STATES], *want_states[STATES];
    for (int s = 0; s < STATES; s++) {
      states[s] = numbers(n, 3);
      want_states[s] = numbers(n, 3);
      for (size_t i = 0; i < n; i++) states[s][i] = want_states[s][i] = (real)fabs((double)states[s][i]);
    }
    sm_gradient gradient = rules[k].with;
    gradient.g = g;
    gradient.clip = 0;
    const real before = w[bad], of_state[] = {states[0][bad], states[1][bad], states[2][bad]};
    bool plain = rules[k].step == sgd || rules[k].step == sgd_momentum || rules[k].step == sgd_nesterov ||
                 rules[k].step == lion;
    assert_true(rules[k].step(want, want_states, &gradient, 1, n));
    g[bad] = plain ? INFINITY : (real)huge;
    assert_false(rules[k].step(w, states, &gradient, 1, n));
    assert_true(w[bad] == before);
    for (int s = 0; s < STATES; s++) assert_true(states[s][bad] == of_state[s]);
    want[bad] = w[bad];
    assert_same_bits(w, want, n);
    for (int s = 0; s < STATES; s++) {
      want_states[s][bad] = states[s][bad];
      assert_same_bits(states[s], want_states[s], n);
    }
    g[bad] = 1;
    assert_true(rules[k].step(w, states, &gradient, 2, n));
    assert_true(isfinite(w[bad]) && w[bad] < before);
    for (int s = 0; s < STATES; s++) free(states[s]), free(want_states[s]);
    free(w), free(want), free(g);
  }
}

/* mem = 1 gives r = 1/2, so x = (g/2)²/(g²/2) = 1/2 whatever the gradient: a weight moves by sqrt 2 * cap. */
static void the_first_step_of_smorms3_is_the_cap_times_root_2(void **state) {
  (void)state;
  static const double gs[] = {1e-6, -3, 1e6};
  for (size_t i = 0; i < COUNT_OF(gs); i++) {
    real w = 0, g = (real)gs[i], mem = 1, a = 0, b = 0;
    sm_gradient gradient = {&g, 1, 0, 0};
    assert_true(sm_smorms3_step(&w, &mem, &a, &b, &gradient, 1e-3, 1e-16, 1));
    assert_true(fabs((double)w + copysign(sqrt(2) * 1e-3, gs[i])) < 1e-6);
    assert_true(fabs((double)mem - 1.5) < 0.01);
  }
}

static void changes_are_summed_in_double_on_any_number_of_threads(void **state) {
  (void)state;
  static const size_t counts[] = {0, 1, 15, 16, 17, 1000, 100003};
  for (size_t c = 0; c < COUNT_OF(counts); c++) {
    size_t n = counts[c];
    real *before = numbers(n, 1), *after = numbers(n, 2);
    double want = 0, first = 0;
    for (size_t i = 0; i < n; i++) want += pow((double)after[i] - (double)before[i], 2);
    for (int threads = 1; threads <= 3; threads++) {
      sm_set_thread_count(threads);
      double got = sm_squared_change(before, after, n);
      if (threads == 1) first = got;
      assert_true(fabs(got - want) <= 1e-12 * want);
      assert_memory_equal(&got, &first, sizeof got);
    }
    free(before);
    free(after);
  }
}

static int by_size(const void *a, const void *b) {
  real x = *(const real *)a, y = *(const real *)b;
  return (x > y) - (x < y);
}

/* Against counting one by one and sorting; memories from 1 to a million, in two calls. */
static void a_look_at_smorms3_counts_and_sorts(void **state) {
  (void)state;
  enum { n = 50001, part = 20000 };
  real *mem = numbers(n, 1), *a = numbers(n, 2), *b = numbers(n, 3);
  uint64_t held = 0;
  for (size_t i = 0; i < n; i++) {
    mem[i] = (real)pow(10, 3 * (1 + (double)mem[i]));
    b[i] = (real)fabs((double)b[i]);
    held += a[i] * a[i] / (b[i] + (real)smorms3_epsilon) >= (real)0.3;
  }
  assert_in_range(held, n / 4, 3 * n / 4);
  sm_smorms3_look first;
  for (int threads = 1; threads <= 3; threads++) {
    sm_smorms3_look look = {0};
    sm_set_thread_count(threads);
    sm_smorms3_observe(&look, mem, a, b, 0.3, smorms3_epsilon, part);
    sm_smorms3_observe(&look, mem + part, a + part, b + part, 0.3, smorms3_epsilon, n - part);
    if (threads == 1) first = look;
    assert_memory_equal(&look, &first, sizeof look);
  }
  assert_int_equal(first.count, n);
  assert_int_equal(first.held, held);
  qsort(mem, n, sizeof *mem, by_size);
  static const double fractions[] = {0, 0.1, 0.5, 0.9, 1};
  for (size_t f = 0; f < COUNT_OF(fractions); f++) {
    size_t rank = (size_t)ceil(fractions[f] * n);
    double want = (double)mem[rank > 0 ? rank - 1 : 0];
    assert_true(fabs(sm_smorms3_memory(&first, fractions[f]) - want) <= want / 256);
  }
  free(mem);
  free(a);
  free(b);
}

static void a_look_at_nothing_or_beyond_its_bins_is_safe(void **state) {
  (void)state;
  sm_smorms3_look look = {0};
  assert_true(isnan(sm_smorms3_memory(&look, 0.5)));
  sm_smorms3_observe(&look, NULL, NULL, NULL, 1, 1e-16, 0);
  assert_int_equal(look.count, 0);
  real mem[] = {0, (real)1e30, -1, NAN}, a[4] = {0}, b[4] = {0};
  sm_smorms3_observe(&look, mem, a, b, 1, 1e-16, 4);
  assert_int_equal(look.count, 4);
  assert_int_equal(look.held, 0);
  assert_true(sm_smorms3_memory(&look, 0) < 0.51);
  assert_true(sm_smorms3_memory(&look, 1) > 5e11);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rules_follow_their_transcription),
      cmocka_unit_test(bits_depend_neither_on_position_nor_on_threads),
      cmocka_unit_test(gradients_that_are_not_finite_are_refused),
      cmocka_unit_test(a_step_that_is_not_finite_leaves_its_element_as_it_was),
      cmocka_unit_test(the_first_step_of_smorms3_is_the_cap_times_root_2),
      cmocka_unit_test(changes_are_summed_in_double_on_any_number_of_threads),
      cmocka_unit_test(a_look_at_smorms3_counts_and_sorts),
      cmocka_unit_test(a_look_at_nothing_or_beyond_its_bins_is_safe),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
