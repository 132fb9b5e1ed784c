#include "core/optim.h"

#include <math.h>

#include "core/math.h"
#include "core/parallel.h"

/* The numbers of an sm_gradient in `real`, converted once. */
typedef struct preparation {
  const real *g;
  real scale, limit, decay;
} preparation;

static preparation prepared(const sm_gradient *gradient) {
  return (preparation){
      .g = gradient->g,
      .scale = (real)gradient->scale,
      .limit = gradient->clip > 0 ? (real)gradient->clip : INFINITY,
      .decay = (real)gradient->weight_decay,
  };
}

/* The gradient that a rule sees: scaled, limited, and with the weight's decay. */
static inline real effective(real g, real w, const preparation *by) {
  real scaled = g * by->scale;
  scaled = scaled > by->limit ? by->limit : scaled;
  scaled = scaled < -by->limit ? -by->limit : scaled;
  return sm_fma(by->decay, w, scaled);
}

/* Every rule adds 0 times each gradient to `poison`, which makes it NaN for good if one is not finite, in any
   order. */

bool sm_sgd_step(real *w, real *velocity, const sm_gradient *gradient, double lr, double momentum,
                 bool nesterov, size_t n) {
  const preparation by = prepared(gradient);
  const real rate = (real)lr, keep = (real)momentum;
  const real ahead = nesterov ? keep : 1, now = nesterov ? 1 : 0; /* the step is ahead*v + now*g */
  long blocks = sm_blocks(n);
  real poison = 0;
#pragma omp parallel for schedule(static) reduction(+ : poison) if (blocks > 1)
  for (long block = 0; block < blocks; block++) {
    sm_range range = sm_block(n, block);
    if (!velocity) {
#pragma omp simd reduction(+ : poison)
      for (size_t i = range.first; i < range.last; i++) {
        real g = effective(by.g[i], w[i], &by);
        poison += by.g[i] * 0;
        w[i] = sm_fma(-rate, g, w[i]);
      }
    } else {
#pragma omp simd reduction(+ : poison)
      for (size_t i = range.first; i < range.last; i++) {
        real g = effective(by.g[i], w[i], &by);
        poison += by.g[i] * 0;
        real v = sm_fma(keep, velocity[i], g);
        velocity[i] = v;
        w[i] = sm_fma(-rate, sm_fma(ahead, v, now * g), w[i]);
      }
    }
  }
  return poison == 0;
}

bool sm_rmsprop_step(real *w, real *square, const sm_gradient *gradient, double lr, double decay,
                     double epsilon, size_t n) {
  const preparation by = prepared(gradient);
  const real rate = (real)lr, keep = (real)decay, take = (real)(1 - decay), tiny = (real)epsilon;
  long blocks = sm_blocks(n);
  real poison = 0;
#pragma omp parallel for schedule(static) reduction(+ : poison) if (blocks > 1)
  for (long block = 0; block < blocks; block++) {
    sm_range range = sm_block(n, block);
#pragma omp simd reduction(+ : poison)
    for (size_t i = range.first; i < range.last; i++) {
      real g = effective(by.g[i], w[i], &by);
      poison += by.g[i] * 0;
      real s = sm_fma(keep, square[i], take * g * g);
      square[i] = s;
      w[i] -= rate * g / (sm_sqrt(s) + tiny);
    }
  }
  return poison == 0;
}

bool sm_adam_step(real *w, real *m, real *v, const sm_gradient *gradient, const sm_adam *rule, size_t n) {
  preparation by = prepared(gradient);
  real shrink = 1;
  if (rule->decoupled) {
    shrink = (real)(1 - rule->lr * gradient->weight_decay);
    by.decay = 0;
  }
  const double t = (double)rule->step;
  const real rate = (real)(rule->lr * sqrt(1 - pow(rule->beta2, t)) / (1 - pow(rule->beta1, t)));
  const real keep_m = (real)rule->beta1, take_m = (real)(1 - rule->beta1);
  const real keep_v = (real)rule->beta2, take_v = (real)(1 - rule->beta2), tiny = (real)rule->epsilon;
  long blocks = sm_blocks(n);
  real poison = 0;
#pragma omp parallel for schedule(static) reduction(+ : poison) if (blocks > 1)
  for (long block = 0; block < blocks; block++) {
    sm_range range = sm_block(n, block);
#pragma omp simd reduction(+ : poison)
    for (size_t i = range.first; i < range.last; i++) {
      real g = effective(by.g[i], w[i], &by);
      poison += by.g[i] * 0;
      real mean = sm_fma(keep_m, m[i], take_m * g), square = sm_fma(keep_v, v[i], take_v * g * g);
      m[i] = mean;
      v[i] = square;
      w[i] = w[i] * shrink - rate * mean / (sm_sqrt(square) + tiny);
    }
  }
  return poison == 0;
}

bool sm_smorms3_step(real *w, real *mem, real *a, real *b, const sm_gradient *gradient, double cap,
                     double epsilon, size_t n) {
  const preparation by = prepared(gradient);
  const real highest = (real)cap, tiny = (real)epsilon;
  long blocks = sm_blocks(n);
  real poison = 0;
#pragma omp parallel for schedule(static) reduction(+ : poison) if (blocks > 1)
  for (long block = 0; block < blocks; block++) {
    sm_range range = sm_block(n, block);
#pragma omp simd reduction(+ : poison)
    for (size_t i = range.first; i < range.last; i++) {
      real g = effective(by.g[i], w[i], &by);
      poison += by.g[i] * 0;
      real take = 1 / (mem[i] + 1), keep = 1 - take;
      real mean = sm_fma(keep, a[i], take * g), square = sm_fma(keep, b[i], take * g * g);
      real x = mean * mean / (square + tiny);
      a[i] = mean;
      b[i] = square;
      mem[i] = sm_fma(mem[i], 1 - x, 1);
      w[i] -= g * (x < highest ? x : highest) / (sm_sqrt(square) + tiny);
    }
  }
  return poison == 0;
}
