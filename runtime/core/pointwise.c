#include "core/pointwise.h"

#include "core/math.h"
#include "core/parallel.h"

#ifdef SM_DOUBLE
static inline real sm_floor(real x) { return floor(x); }
static inline real sm_round(real x) { return rint(x); }
#else
static inline real sm_floor(real x) { return floorf(x); }
static inline real sm_round(real x) { return rintf(x); }
#endif

static const struct {
  const char *name;
  int operands;
} rules[] = {
#define OF_ONE(rule, name, value) {name, 1},
#define OF_TWO(rule, name, value) {name, 2},
#define OF_THREE(rule, name, value) {name, 3},
    SM_POINTWISE_RULES(OF_ONE, OF_TWO, OF_THREE)
#undef OF_ONE
#undef OF_TWO
#undef OF_THREE
};

const char *sm_rule_name(sm_rule f) { return rules[f].name; }
int sm_rule_operands(sm_rule f) { return rules[f].operands; }

/* x^1, x^2 and x^3 are what polynomials and their gradients ask for; the first two products are correctly rounded, that
   of three is within 1 unit in the last place. Whether it was one of them. */
static bool is_small_power(real *y, const real *a, real power, size_t n) {
  if (power == 2) {
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] = a[i] * a[i];
  } else if (power == 1) {
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] = a[i] * 1;
  } else if (power == 3) {
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] = a[i] * a[i] * a[i];
  } else {
    return false;
  }
  return true;
}

/* The slope of a power that is one number, of which a power with one less is small. */
static bool is_small_slope(real *y, const real *a, real power, size_t n) {
  if (power == 0 || !is_small_power(y, a, power - 1, n)) return false;
#pragma omp simd
  for (size_t i = 0; i < n; i++) y[i] *= power;
  return true;
}

/* sin and cos of numbers some of which are too large for the loops below. Whether there were any. */
static bool is_far_around(real *y, const real *x, sm_rule f, size_t n) {
#ifdef SM_DOUBLE
  (void)y, (void)x, (void)f, (void)n;
  return false;
#else
  int far = 0;
#pragma omp simd reduction(| : far)
  for (size_t i = 0; i < n; i++) far |= sm_abs(x[i]) > SM_CIRCLE_NEAR;
  for (size_t i = 0; far && i < n; i++) y[i] = sm_circle_far(x[i], f == SM_COS);
  return far;
#endif
}

enum { STRIP = 256 }; /* elements that functions of three take at once, with numbers repeated as often */

/* The loops may write where they read (y is x), element by element: `simd` says that this is no obstacle. */
void sm_pointwise_run(real *y, const real *const x[], const size_t step[], sm_rule f, size_t n) {
  if (n == 0) return;
  if (f == SM_POW && step[0] && !step[1] && is_small_power(y, x[0], *x[1], n)) return;
  if (f == SM_POW_SLOPE && step[0] && !step[1] && is_small_slope(y, x[0], *x[1], n)) return;
  if ((f == SM_SIN || f == SM_COS) && is_far_around(y, x[0], f, n)) return;
  real repeated[SM_RULE_OPERANDS][STRIP];
  for (int k = 0; rules[f].operands == 3 && k < 3; k++)
    for (size_t i = 0; !step[k] && i < (n < STRIP ? n : STRIP); i++) repeated[k][i] = *x[k];
  switch (f) {
#define OF_ONE(rule, name, value)                                             \
  case rule: {                                                                \
    const real *all_a = x[0];                                                 \
    _Pragma("omp simd") for (size_t i = 0; i < n; i++) {                      \
      const real a = all_a[i];                                                \
      y[i] = (real)(value);                                                   \
    }                                                                         \
    break;                                                                    \
  }
#define OF_TWO(rule, name, value)                                             \
  case rule: {                                                                \
    const real *all_a = x[0], *all_b = x[1];                                  \
    if (step[0] && step[1]) {                                                 \
      _Pragma("omp simd") for (size_t i = 0; i < n; i++) {                    \
        const real a = all_a[i], b = all_b[i];                                \
        y[i] = (real)(value);                                                 \
      }                                                                       \
    } else if (step[0]) {                                                     \
      const real b = *all_b;                                                  \
      _Pragma("omp simd") for (size_t i = 0; i < n; i++) {                    \
        const real a = all_a[i];                                              \
        y[i] = (real)(value);                                                 \
      }                                                                       \
    } else {                                                                  \
      const real a = *all_a;                                                  \
      _Pragma("omp simd") for (size_t i = 0; i < n; i++) {                    \
        const real b = all_b[i];                                              \
        y[i] = (real)(value);                                                 \
      }                                                                       \
    }                                                                         \
    break;                                                                    \
  }
#define OF_THREE(rule, name, value)                                           \
  case rule:                                                                  \
    for (size_t first = 0; first < n; first += STRIP) {                       \
      const size_t count = n - first < STRIP ? n - first : STRIP;             \
      const real *all_a = step[0] ? x[0] + first : repeated[0];               \
      const real *all_b = step[1] ? x[1] + first : repeated[1];               \
      const real *all_c = step[2] ? x[2] + first : repeated[2];               \
      _Pragma("omp simd") for (size_t i = 0; i < count; i++) {                \
        const real a = all_a[i], b = all_b[i], c = all_c[i];                  \
        y[first + i] = (real)(value);                                         \
      }                                                                       \
    }                                                                         \
    break;
    SM_POINTWISE_RULES(OF_ONE, OF_TWO, OF_THREE)
    case SM_RULES: break;
  }
}

/* What the blocks of a loop share. */
typedef struct loop {
  real *y;
  const real *x[SM_RULE_OPERANDS];
  size_t step[SM_RULE_OPERANDS];
  sm_rule f;
  const sm_strided *axes; /* operand 1 + k is x[k]; NULL: flat */
  size_t n;
} loop;

static void flat_block(const void *work, size_t block) {
  const loop *of = work;
  sm_range range = sm_block(of->n, block);
  const real *x[SM_RULE_OPERANDS];
  for (int k = 0; k < rules[of->f].operands; k++) x[k] = of->x[k] + range.first * of->step[k];
  sm_pointwise_run(of->y + range.first, x, of->step, of->f, range.last - range.first);
}

void sm_pointwise_flat(real *y, const real *const x[], const size_t step[], sm_rule f, size_t n) {
  loop work = {.y = y, .f = f, .n = n};
  for (int k = 0; k < rules[f].operands; k++) work.x[k] = x[k], work.step[k] = step[k];
  sm_parallel_blocks(n, flat_block, &work);
}

static void strided_block(const void *work, size_t block) {
  const loop *of = work;
  sm_range range = sm_block(of->n, block);
  sm_strided_place place = sm_strided_start(of->axes, range.first);
  const real *x[SM_RULE_OPERANDS];
  for (size_t first = range.first; first < range.last;) {
    size_t n = sm_strided_run(&place, of->axes), left = range.last - first;
    if (n > left) n = left;
    for (int k = 0; k < rules[of->f].operands; k++) x[k] = of->x[k] + place.at[1 + k];
    sm_pointwise_run(of->y + first, x, of->step, of->f, n);
    sm_strided_advance(&place, of->axes, n);
    first += n;
  }
}

/* Whether all operands are either as the result is, element after element, or a short row again and again. */
static bool repeats_rows(const sm_strided *axes) {
  if (axes->rank != 2 || axes->size[1] > STRIP / 4 || axes->size[1] == 0) return false;
  for (int k = 1; k < axes->operands; k++) {
    const bool follows = axes->step[k][0] == (ptrdiff_t)axes->size[1];
    if (axes->step[k][1] != 1 || !(follows || axes->step[k][0] == 0)) return false;
  }
  return true;
}

/* Of these: rows are laid out as often as they fill a strip. */
static void rows_block(const void *work, size_t block) {
  const loop *of = work;
  const sm_range range = sm_block(of->n, block);
  const size_t size = of->axes->size[1], strip = STRIP / size * size;
  real repeated[SM_RULE_OPERANDS][STRIP];
  const real *x[SM_RULE_OPERANDS];
  for (int k = 0; k < rules[of->f].operands; k++) {
    x[k] = of->axes->step[1 + k][0] ? of->x[k] + range.first : repeated[k];
    for (size_t i = 0; x[k] == repeated[k] && i < strip; i++) repeated[k][i] = of->x[k][(range.first + i) % size];
  }
  for (size_t first = range.first; first < range.last; first += strip) {
    const size_t n = range.last - first < strip ? range.last - first : strip;
    sm_pointwise_run(of->y + first, x, of->step, of->f, n);
    for (int k = 0; k < rules[of->f].operands; k++)
      if (x[k] != repeated[k]) x[k] += n;
  }
}

void sm_pointwise(real *y, const real *const x[], sm_rule f, const sm_strided *axes) {
  loop work = {.y = y, .f = f, .axes = axes, .n = sm_strided_count(axes)};
  for (int k = 0; k < rules[f].operands; k++)
    work.x[k] = x[k], work.step[k] = axes->step[1 + k][axes->rank - 1] != 0;
  sm_parallel_blocks(work.n, repeats_rows(axes) ? rows_block : strided_block, &work);
}
