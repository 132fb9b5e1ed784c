#include "core/optim.h"

#include <math.h>
#include <string.h>

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

/* sum += (after - before)², in independent running sums that keep the processor busy. */
static double squared_change(const real *before, const real *after, sm_range range) {
  enum { LANES = 16 };
  double lanes[LANES] = {0}, sum = 0;
  size_t i = range.first;
  for (; i + LANES <= range.last; i += LANES) {
#pragma omp simd
    for (size_t k = 0; k < LANES; k++) {
      double change = (double)after[i + k] - (double)before[i + k];
      lanes[k] += change * change;
    }
  }
  for (size_t k = 0; i < range.last; i++, k++) {
    double change = (double)after[i] - (double)before[i];
    lanes[k] += change * change;
  }
  for (size_t k = 0; k < LANES; k++) sum += lanes[k];
  return sum;
}

double sm_squared_change(const real *before, const real *after, size_t n) {
  double partial[SM_BATCH_CHUNKS], sum = 0;
#pragma omp parallel for schedule(static) if (n > SM_BLOCK)
  for (int chunk = 0; chunk < SM_BATCH_CHUNKS; chunk++) {
    partial[chunk] = squared_change(before, after, sm_chunk(n, SM_BATCH_CHUNKS, chunk));
  }
  for (int chunk = 0; chunk < SM_BATCH_CHUNKS; chunk++) sum += partial[chunk];
  return sum;
}

/* The upper half of a float is its exponent and 7 bits of its fraction: 128 equal steps to each doubling. */
enum { HALF_A_FLOAT = 16, FIRST_BIN = 0x3f00 }; /* 0x3f000000 is 1/2 */

static inline int32_t memory_bin(real mem) {
  float number = (float)mem;
  uint32_t bits;
  memcpy(&bits, &number, sizeof bits);
  int32_t bin = (int32_t)(bits >> HALF_A_FLOAT) - FIRST_BIN;
  bin = bin > 0 ? bin : 0;
  return bin < SM_MEMORY_BINS ? bin : SM_MEMORY_BINS - 1;
}

static double bin_middle(int32_t bin) {
  uint32_t bits = ((uint32_t)(bin + FIRST_BIN) << HALF_A_FLOAT) + (1u << (HALF_A_FLOAT - 1));
  float middle;
  memcpy(&middle, &bits, sizeof middle);
  return (double)middle;
}

/* Counts are whole numbers, so the order in which the threads add theirs leaves no trace. */
void sm_smorms3_observe(sm_smorms3_look *look, const real *mem, const real *a, const real *b, double cap,
                        double epsilon, size_t n) {
  const real highest = (real)cap, tiny = (real)epsilon;
  long blocks = sm_blocks(n);
#pragma omp parallel if (blocks > 1)
  {
    uint64_t held = 0, memory[SM_MEMORY_BINS] = {0};
#pragma omp for schedule(static)
    for (long block = 0; block < blocks; block++) {
      sm_range range = sm_block(n, block);
      uint32_t here = 0;
#pragma omp simd reduction(+ : here)
      for (size_t i = range.first; i < range.last; i++) here += a[i] * a[i] / (b[i] + tiny) >= highest;
      for (size_t i = range.first; i < range.last; i++) memory[memory_bin(mem[i])]++;
      held += here;
    }
#pragma omp critical(sm_smorms3_observe)
    {
      look->held += held;
      for (int bin = 0; bin < SM_MEMORY_BINS; bin++) look->memory[bin] += memory[bin];
    }
  }
  look->count += n;
}

double sm_smorms3_memory(const sm_smorms3_look *look, double fraction) {
  uint64_t below = 0;
  if (look->count == 0) return NAN;
  for (int32_t bin = 0; bin < SM_MEMORY_BINS; bin++) {
    below += look->memory[bin];
    if (below > 0 && (double)below >= fraction * (double)look->count) return bin_middle(bin);
  }
  return bin_middle(SM_MEMORY_BINS - 1);
}
