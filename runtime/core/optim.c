#include "core/optim.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
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

/* What the blocks of a step share. Numbers of the rule are in the order in which it names them. */
typedef struct step {
  preparation by;
  real *w, *state[3];
  real number[8];
  atomic_bool *failed; /* a step is not finite */
  size_t n;
} step;

/* 0 if all three are finite, otherwise NaN. */
static inline real flaw(real a, real b, real c) { return a * 0 + b * 0 + c * 0; }

/* Every rule adds the flaw of each element to `poison`, which makes it NaN for good if there is one. From the end
   to the beginning: what the backward pass wrote last is still in the cache, and what the next forward pass reads first
   stays there. */
static bool run(sm_task *block, step of) {
  atomic_bool failed = false;
  of.failed = &failed;
  sm_compute_backwards(sm_blocks(of.n), of.n, block, &of);
  return !failed;
}

static void sgd_block(const void *work, size_t block) {
  const step *of = work;
  const preparation by = of->by;
  const real rate = of->number[0], keep = of->number[1], ahead = of->number[2], now = of->number[3];
  real *w = of->w, *velocity = of->state[0], poison = 0;
  sm_range range = sm_block(of->n, block);
  if (!velocity) {
#pragma omp simd reduction(+ : poison)
    for (size_t i = range.first; i < range.last; i++) {
      real g = effective(by.g[i], w[i], &by), next = sm_fma(-rate, g, w[i]);
      real wrong = flaw(by.g[i], next, 0);
      poison += wrong;
      w[i] = wrong == 0 ? next : w[i];
    }
  } else {
#pragma omp simd reduction(+ : poison)
    for (size_t i = range.first; i < range.last; i++) {
      real g = effective(by.g[i], w[i], &by), v = sm_fma(keep, velocity[i], g);
      real next = sm_fma(-rate, sm_fma(ahead, v, now * g), w[i]);
      real wrong = flaw(by.g[i], v, next);
      poison += wrong;
      velocity[i] = wrong == 0 ? v : velocity[i];
      w[i] = wrong == 0 ? next : w[i];
    }
  }
  if (poison != 0) *of->failed = true;
}

bool sm_sgd_step(real *w, real *velocity, const sm_gradient *gradient, double lr, double momentum,
                 bool nesterov, size_t n) {
  const real keep = (real)momentum;
  const real ahead = nesterov ? keep : 1, now = nesterov ? 1 : 0; /* the step is ahead*v + now*g */
  return run(sgd_block, (step){prepared(gradient), w, {velocity}, {(real)lr, keep, ahead, now}, NULL, n});
}

static void rmsprop_block(const void *work, size_t block) {
  const step *of = work;
  const preparation by = of->by;
  const real rate = of->number[0], keep = of->number[1], take = of->number[2], tiny = of->number[3];
  real *w = of->w, *square = of->state[0], poison = 0;
  sm_range range = sm_block(of->n, block);
#pragma omp simd reduction(+ : poison)
  for (size_t i = range.first; i < range.last; i++) {
    real g = effective(by.g[i], w[i], &by), s = sm_fma(keep, square[i], take * g * g);
    real next = w[i] - rate * g / (sm_sqrt(s) + tiny);
    real wrong = flaw(by.g[i], s, next);
    poison += wrong;
    square[i] = wrong == 0 ? s : square[i];
    w[i] = wrong == 0 ? next : w[i];
  }
  if (poison != 0) *of->failed = true;
}

bool sm_rmsprop_step(real *w, real *square, const sm_gradient *gradient, double lr, double decay,
                     double epsilon, size_t n) {
  return run(rmsprop_block, (step){prepared(gradient),
                                   w,
                                   {square},
                                   {(real)lr, (real)decay, (real)(1 - decay), (real)epsilon},
                                   NULL,
                                   n});
}

static void adam_block(const void *work, size_t block) {
  const step *of = work;
  const preparation by = of->by;
  const real rate = of->number[0], keep_m = of->number[1], take_m = of->number[2], keep_v = of->number[3],
             take_v = of->number[4], tiny = of->number[5], shrink = of->number[6];
  real *w = of->w, *m = of->state[0], *v = of->state[1], poison = 0;
  sm_range range = sm_block(of->n, block);
#pragma omp simd reduction(+ : poison)
  for (size_t i = range.first; i < range.last; i++) {
    real g = effective(by.g[i], w[i], &by);
    real mean = sm_fma(keep_m, m[i], take_m * g), square = sm_fma(keep_v, v[i], take_v * g * g);
    real next = w[i] * shrink - rate * mean / (sm_sqrt(square) + tiny);
    real wrong = flaw(by.g[i], square, next);
    poison += wrong;
    m[i] = wrong == 0 ? mean : m[i];
    v[i] = wrong == 0 ? square : v[i];
    w[i] = wrong == 0 ? next : w[i];
  }
  if (poison != 0) *of->failed = true;
}

bool sm_adam_step(real *w, real *m, real *v, const sm_gradient *gradient, const sm_adam *rule, size_t n) {
  preparation by = prepared(gradient);
  real shrink = 1;
  if (rule->decoupled) {
    shrink = (real)(1 - rule->lr * gradient->weight_decay);
    by.decay = 0;
  }
  const double t = (double)rule->step, b1 = rule->beta1, b2 = rule->beta2;
  const real rate = (real)(rule->lr * sqrt(1 - pow(b2, t)) / (1 - pow(b1, t)));
  return run(adam_block,
             (step){by,
                    w,
                    {m, v},
                    {rate, (real)b1, (real)(1 - b1), (real)b2, (real)(1 - b2), (real)rule->epsilon, shrink},
                    NULL,
                    n});
}

static void lion_block(const void *work, size_t block) {
  const step *of = work;
  const preparation by = of->by;
  const real rate = of->number[0], keep_1 = of->number[1], take_1 = of->number[2], keep_2 = of->number[3],
             take_2 = of->number[4], shrink = of->number[5];
  real *w = of->w, *m = of->state[0], poison = 0;
  sm_range range = sm_block(of->n, block);
#pragma omp simd reduction(+ : poison)
  for (size_t i = range.first; i < range.last; i++) {
    real g = effective(by.g[i], w[i], &by), toward = sm_fma(keep_1, m[i], take_1 * g);
    real mean = sm_fma(keep_2, m[i], take_2 * g);
    real next = w[i] * shrink - (toward > 0 ? rate : toward < 0 ? -rate : 0);
    real wrong = flaw(by.g[i], mean, next);
    poison += wrong;
    m[i] = wrong == 0 ? mean : m[i];
    w[i] = wrong == 0 ? next : w[i];
  }
  if (poison != 0) *of->failed = true;
}

bool sm_lion_step(real *w, real *m, const sm_gradient *gradient, double lr, double beta1, double beta2, size_t n) {
  preparation by = prepared(gradient);
  by.decay = 0;
  return run(lion_block, (step){by,
                                w,
                                {m},
                                {(real)lr, (real)beta1, (real)(1 - beta1), (real)beta2, (real)(1 - beta2),
                                 (real)(1 - lr * gradient->weight_decay)},
                                NULL,
                                n});
}

static void smorms3_block(const void *work, size_t block) {
  const step *of = work;
  const preparation by = of->by;
  const real highest = of->number[0], tiny = of->number[1];
  real *w = of->w, *mem = of->state[0], *a = of->state[1], *b = of->state[2], poison = 0;
  sm_range range = sm_block(of->n, block);
#pragma omp simd reduction(+ : poison)
  for (size_t i = range.first; i < range.last; i++) {
    real g = effective(by.g[i], w[i], &by);
    real take = 1 / (mem[i] + 1), keep = 1 - take;
    real mean = sm_fma(keep, a[i], take * g), square = sm_fma(keep, b[i], take * g * g);
    real x = mean * mean / (square + tiny);
    real next_mem = sm_fma(mem[i], 1 - x, 1);
    real next = w[i] - g * (x < highest ? x : highest) / (sm_sqrt(square) + tiny);
    real wrong = flaw(by.g[i], next_mem, next) + flaw(square, 0, 0);
    poison += wrong;
    a[i] = wrong == 0 ? mean : a[i];
    b[i] = wrong == 0 ? square : b[i];
    mem[i] = wrong == 0 ? next_mem : mem[i];
    w[i] = wrong == 0 ? next : w[i];
  }
  if (poison != 0) *of->failed = true;
}

bool sm_smorms3_step(real *w, real *mem, real *a, real *b, const sm_gradient *gradient, double cap,
                     double epsilon, size_t n) {
  return run(smorms3_block, (step){prepared(gradient), w, {mem, a, b}, {(real)cap, (real)epsilon}, NULL, n});
}

typedef struct difference {
  const real *before, *after;
  size_t n;
  double *partial; /* (SM_BATCH_CHUNKS) */
} difference;

/* A partial sum of (after - before)², in independent running sums that keep the processor busy. */
static void change_chunk(const void *work, size_t chunk) {
  enum { LANES = 16 };
  const difference *of = work;
  const real *before = of->before, *after = of->after;
  sm_range range = sm_chunk(of->n, SM_BATCH_CHUNKS, chunk);
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
  of->partial[chunk] = sum;
}

double sm_squared_change(const real *before, const real *after, size_t n) {
  double partial[SM_BATCH_CHUNKS], sum = 0;
  sm_compute(SM_BATCH_CHUNKS, n, change_chunk, &(difference){before, after, n, partial});
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

typedef struct observation {
  sm_smorms3_look *look;
  pthread_mutex_t *turn;
  const real *mem, *a, *b;
  real highest, tiny;
  size_t n, chunks;
} observation;

/* Counts are whole numbers, so the order in which chunks add theirs leaves no trace. */
static void observe_chunk(const void *work, size_t chunk) {
  const observation *of = work;
  const real *mem = of->mem, *a = of->a, *b = of->b;
  sm_range range = sm_chunk(of->n, of->chunks, chunk);
  uint64_t held = 0, memory[SM_MEMORY_BINS] = {0};
#pragma omp simd reduction(+ : held)
  for (size_t i = range.first; i < range.last; i++) held += a[i] * a[i] / (b[i] + of->tiny) >= of->highest;
  for (size_t i = range.first; i < range.last; i++) memory[memory_bin(mem[i])]++;
  pthread_mutex_lock(of->turn);
  of->look->held += held;
  for (int bin = 0; bin < SM_MEMORY_BINS; bin++) of->look->memory[bin] += memory[bin];
  pthread_mutex_unlock(of->turn);
}

void sm_smorms3_observe(sm_smorms3_look *look, const real *mem, const real *a, const real *b, double cap,
                        double epsilon, size_t n) {
  pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
  size_t chunks = sm_batch_chunks(sm_blocks(n));
  const observation work = {look, &turn, mem, a, b, (real)cap, (real)epsilon, n, chunks};
  sm_compute(chunks, n, observe_chunk, &work);
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
