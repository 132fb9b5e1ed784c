/* The optimizers' cases. Weights and state start at zero, so that the weights hold the first step. */
#include <math.h>
#include <stdio.h>

#include "cases.h"
#include "core/optim.h"

static sm_gradient gradient_of(const bench_case *c) { return (sm_gradient){.g = c->in[0], .scale = 1}; }

static void run_sgd(bench_case *c) {
  sm_gradient g = gradient_of(c);
  sm_sgd_step(c->out[0], c->out[1], &g, 1e-2, 0.9, false, c->count);
}

static void run_rmsprop(bench_case *c) {
  sm_gradient g = gradient_of(c);
  sm_rmsprop_step(c->out[0], c->out[1], &g, 1e-3, 0.9, 1e-8, c->count);
}

static void run_adam(bench_case *c) {
  sm_gradient g = gradient_of(c);
  sm_adam adam = {.lr = 1e-4, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .step = 1};
  sm_adam_step(c->out[0], c->out[1], c->out[2], &g, &adam, c->count);
}

static void run_smorms3(bench_case *c) {
  sm_gradient g = gradient_of(c);
  sm_smorms3_step(c->out[0], c->out[1], c->out[2], c->out[3], &g, 1e-3, 1e-16, c->count);
}

static double reference_sgd(const bench_case *c, size_t i) { return -1e-2 * (double)c->in[0][i]; }

static double reference_rmsprop(const bench_case *c, size_t i) {
  double g = (double)c->in[0][i];
  return -1e-3 * g / (sqrt(0.1 * g * g) + 1e-8);
}

static double reference_adam(const bench_case *c, size_t i) {
  double g = (double)c->in[0][i];
  return -1e-4 * sqrt(0.001) / 0.1 * (0.1 * g) / (sqrt(0.001 * g * g) + 1e-8);
}

static double reference_smorms3(const bench_case *c, size_t i) {
  double g = (double)c->in[0][i], a = g / 2, b = g * g / 2;
  return -g * fmin(a * a / (b + 1e-16), 1e-3) / (sqrt(b) + 1e-16);
}

sm_status bench_optimizer_new(bench_case *c, bench_rule which, sm_error *error) {
  static const struct {
    const char *name;
    int states;
    bench_run *run;
    bench_reference *reference;
  } rules[BENCH_RULES] = {{"SGD with momentum", 1, run_sgd, reference_sgd},
                          {"RMSprop", 1, run_rmsprop, reference_rmsprop},
                          {"Adam", 2, run_adam, reference_adam},
                          {"SMORMS3", 3, run_smorms3, reference_smorms3}};
  snprintf(c->name, sizeof c->name, "%s, %.2f M weights", rules[which].name, 1e-6 * BENCH_PARAMETERS);
  c->count = BENCH_PARAMETERS;
  c->in[0] = bench_numbers(c, c->count, (real)0.1, 1);
  if (!c->in[0]) return bench_no_memory(c, error);
  for (int i = 0; i <= rules[which].states; i++) {
    c->out[i] = bench_zeros(c, c->count);
    if (!c->out[i]) return bench_no_memory(c, error);
  }
  if (which == BENCH_SMORMS3) sm_fill(c->out[1], SM_REAL, 1, c->count);
  c->run = rules[which].run;
  c->reference = rules[which].reference;
  c->traffic = (bench_traffic){.updates = rules[which].states + 1, .reads = 1, .n = c->count};
  return SM_OK;
}
