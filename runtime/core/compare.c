#include "core/compare.h"

#include <string.h>

#include "core/parallel.h"

/* Work on the blocks of a flat result. */
typedef struct choosing {
  void *y;
  const void *x[SM_OPERANDS]; /* operand i of `axes` is x[i], i > 0 */
  const sm_operand *a, *b;
  sm_rule f;
  size_t bytes, n;
  const sm_strided *axes;
} choosing;

/* A run of neighbours of the result: place.at says where, n how many, `first` which is the first. */
typedef void choice(const choosing *of, const sm_strided_place *place, size_t first, size_t n);

/* Calls f for every run of a block; f is a constant at every call. */
static inline __attribute__((always_inline)) void each_run(const choosing *of, size_t block, choice *f) {
  sm_range range = sm_block(of->n, block);
  sm_strided_place place = sm_strided_start(of->axes, range.first);
  for (size_t first = range.first; first < range.last;) {
    size_t n = sm_strided_run(&place, of->axes), left = range.last - first;
    if (n > left) n = left;
    f(of, &place, first, n);
    sm_strided_advance(&place, of->axes, n);
    first += n;
  }
}

static bool advances(const choosing *of, int operand) { return of->axes->step[operand][of->axes->rank - 1] != 0; }

/* ---- comparisons ---- */

/* Double has every number of every type; of two reals the compiler compares these. */
static inline bool holds(double a, double b, sm_rule f) {
  switch (f) {
    case SM_LT: return a < b;
    case SM_LE: return a <= b;
    case SM_GT: return a > b;
    case SM_GE: return a >= b;
    case SM_EQ: return a == b;
    default: return a != b;
  }
}

/* f is a constant at every call, so that each loop is compiled for its comparison. */
static inline __attribute__((always_inline)) void compare_run(uint8_t *y, const real *a, const real *b, bool step_a,
                                                              bool step_b, const sm_rule f, size_t n) {
  const real number_a = *a, number_b = *b;
  if (step_a && step_b) {
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] = holds((double)a[i], (double)b[i], f);
  } else if (step_a) {
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] = holds((double)a[i], (double)number_b, f);
  } else if (step_b) {
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] = holds((double)number_a, (double)b[i], f);
  } else {
    memset(y, holds((double)number_a, (double)number_b, f), n);
  }
}

static void real_run(const choosing *of, const sm_strided_place *place, size_t first, size_t n) {
  uint8_t *y = (uint8_t *)of->y + first;
  const real *a = (const real *)of->a->data + place->at[1], *b = (const real *)of->b->data + place->at[2];
  const bool step_a = advances(of, 1), step_b = advances(of, 2);
  switch (of->f) {
    case SM_LT: compare_run(y, a, b, step_a, step_b, SM_LT, n); break;
    case SM_LE: compare_run(y, a, b, step_a, step_b, SM_LE, n); break;
    case SM_GT: compare_run(y, a, b, step_a, step_b, SM_GT, n); break;
    case SM_GE: compare_run(y, a, b, step_a, step_b, SM_GE, n); break;
    case SM_EQ: compare_run(y, a, b, step_a, step_b, SM_EQ, n); break;
    default: compare_run(y, a, b, step_a, step_b, SM_NE, n); break;
  }
}

static void real_block(const void *work, size_t block) { each_run(work, block, real_run); }

enum { EXACT = 256 }; /* elements at once as double, which holds every element of every type */

static void load(double *to, const sm_operand *x, ptrdiff_t at, bool steps, size_t n) {
  const ptrdiff_t step = steps;
  if (x->is_number) {
    for (size_t i = 0; i < n; i++) to[i] = *(const double *)x->data;
    return;
  }
  switch (x->dtype) {
    case SM_REAL:
      for (size_t i = 0; i < n; i++) to[i] = (double)((const real *)x->data)[at + (ptrdiff_t)i * step];
      break;
    case SM_UINT8:
      for (size_t i = 0; i < n; i++) to[i] = ((const uint8_t *)x->data)[at + (ptrdiff_t)i * step];
      break;
    case SM_INT32:
      for (size_t i = 0; i < n; i++) to[i] = ((const int32_t *)x->data)[at + (ptrdiff_t)i * step];
      break;
  }
}

static void exact_run(const choosing *of, const sm_strided_place *place, size_t first, size_t n) {
  double a[EXACT], b[EXACT];
  const bool step_a = advances(of, 1), step_b = advances(of, 2);
  for (size_t done = 0; done < n; done += EXACT) {
    size_t count = n - done < EXACT ? n - done : EXACT;
    uint8_t *y = (uint8_t *)of->y + first + done;
    load(a, of->a, place->at[1] + (step_a ? (ptrdiff_t)done : 0), step_a, count);
    load(b, of->b, place->at[2] + (step_b ? (ptrdiff_t)done : 0), step_b, count);
    for (size_t i = 0; i < count; i++) y[i] = holds(a[i], b[i], of->f);
  }
}

static void exact_block(const void *work, size_t block) { each_run(work, block, exact_run); }

void sm_compare(uint8_t *y, const sm_operand *a, const sm_operand *b, sm_rule f, const sm_strided *axes) {
  choosing work = {.y = y, .a = a, .b = b, .f = f, .n = sm_strided_count(axes), .axes = axes};
  bool is_real = a->dtype == SM_REAL && b->dtype == SM_REAL && !a->is_number && !b->is_number;
  sm_parallel_blocks(work.n, is_real ? real_block : exact_block, &work);
}

/* ---- choices ---- */

/* `bytes` is a constant at every call. */
static inline __attribute__((always_inline)) void where_bytes(const choosing *of, const sm_strided_place *place,
                                                              size_t first, size_t n, const size_t bytes) {
  const uint8_t *condition = (const uint8_t *)of->x[1] + place->at[1];
  const size_t step_c = advances(of, 1), step_a = advances(of, 2), step_b = advances(of, 3);
  const char *a = (const char *)of->x[2] + place->at[2] * (ptrdiff_t)bytes;
  const char *b = (const char *)of->x[3] + place->at[3] * (ptrdiff_t)bytes;
  char *y = (char *)of->y + first * bytes;
  for (size_t i = 0; i < n; i++)
    memcpy(y + i * bytes, condition[i * step_c] ? a + i * step_a * bytes : b + i * step_b * bytes, bytes);
}

/* Both sides are read and one of them taken, which the compiler turns into vectors. */
static inline __attribute__((always_inline)) void where_words(uint32_t *y, const uint8_t *condition, const uint32_t *a,
                                                              const uint32_t *b, const size_t step_a,
                                                              const size_t step_b, size_t n) {
#pragma omp simd
  for (size_t i = 0; i < n; i++) {
    uint32_t first = a[i * step_a], second = b[i * step_b];
    y[i] = condition[i] ? first : second;
  }
}

static void where_run(const choosing *of, const sm_strided_place *place, size_t first, size_t n) {
  const bool step_a = advances(of, 2), step_b = advances(of, 3);
  if (of->bytes == 4 && advances(of, 1)) {
    const uint8_t *condition = (const uint8_t *)of->x[1] + place->at[1];
    const uint32_t *a = (const uint32_t *)of->x[2] + place->at[2], *b = (const uint32_t *)of->x[3] + place->at[3];
    uint32_t *y = (uint32_t *)of->y + first;
    if (step_a && step_b) where_words(y, condition, a, b, 1, 1, n);
    else if (step_a) where_words(y, condition, a, b, 1, 0, n);
    else if (step_b) where_words(y, condition, a, b, 0, 1, n);
    else where_words(y, condition, a, b, 0, 0, n);
    return;
  }
  switch (of->bytes) {
    case 1: where_bytes(of, place, first, n, 1); break;
    case 4: where_bytes(of, place, first, n, 4); break;
    default: where_bytes(of, place, first, n, 8); break;
  }
}

static void where_block(const void *work, size_t block) { each_run(work, block, where_run); }

void sm_where(void *y, const uint8_t *condition, const void *a, const void *b, size_t bytes, const sm_strided *axes) {
  choosing work = {.y = y, .x = {NULL, condition, a, b}, .bytes = bytes, .n = sm_strided_count(axes), .axes = axes};
  sm_parallel_blocks(work.n, where_block, &work);
}

/* ---- finite ---- */

static void finite_block(const void *work, size_t block) {
  const choosing *of = work;
  sm_range range = sm_block(of->n, block);
  const real *x = of->x[1];
  uint8_t *y = of->y;
#pragma omp simd
  for (size_t i = range.first; i < range.last; i++) y[i] = x[i] * 0 == 0;
}

void sm_is_finite(uint8_t *y, const real *x, size_t n) {
  sm_parallel_blocks(n, finite_block, &(choosing){.y = y, .x = {NULL, x}, .n = n});
}

/* ---- any, all ---- */

typedef struct asking {
  uint8_t *out;
  const void *x;
  sm_dtype dtype;
  sm_axis along;
  size_t strips; /* of the columns of inner */
  bool all;
} asking;

enum { STRIP = 256 };

/* found (n) |= whether elements are 0 (all) or not (any), from element `first` on. */
static void look(uint8_t *found, const asking *of, size_t first, size_t n) {
  const bool all = of->all;
  switch (of->dtype) {
    case SM_REAL: {
      const real *x = (const real *)of->x + first;
      for (size_t i = 0; i < n; i++) found[i] |= (x[i] == 0) == all;
      break;
    }
    case SM_UINT8: {
      const uint8_t *x = (const uint8_t *)of->x + first;
      for (size_t i = 0; i < n; i++) found[i] |= (x[i] == 0) == all;
      break;
    }
    case SM_INT32: {
      const int32_t *x = (const int32_t *)of->x + first;
      for (size_t i = 0; i < n; i++) found[i] |= (x[i] == 0) == all;
      break;
    }
  }
}

/* A strip of one row of the result. Where elements along the axis are neighbours, STRIP of them are looked at together,
   and the first of these that have one end the search. */
static void ask_strip(const void *work, size_t item) {
  const asking *of = work;
  const size_t inner = of->along.inner, axis = of->along.axis, outer = item / of->strips;
  size_t column = item % of->strips * STRIP, width = inner - column < STRIP ? inner - column : STRIP;
  uint8_t found[STRIP] = {0};
  if (inner == 1) {
    for (size_t i = 0; i < axis && !memchr(found, 1, STRIP); i += STRIP)
      look(found, of, outer * axis + i, axis - i < STRIP ? axis - i : STRIP);
    of->out[outer] = (memchr(found, 1, STRIP) != NULL) != of->all;
  } else {
    for (size_t i = 0; i < axis; i++) look(found, of, (outer * axis + i) * inner + column, width);
    for (size_t i = 0; i < width; i++) of->out[outer * inner + column + i] = found[i] != of->all;
  }
}

static void ask(uint8_t *out, const void *x, sm_dtype dtype, const sm_axis *along, bool all) {
  asking work = {.out = out, .x = x, .dtype = dtype, .along = *along, .strips = (along->inner + STRIP - 1) / STRIP,
                 .all = all};
  sm_parallel(along->outer * work.strips, along->outer * along->axis * along->inner, ask_strip, &work);
}

void sm_any(uint8_t *out, const void *x, sm_dtype dtype, const sm_axis *along) { ask(out, x, dtype, along, false); }

void sm_all(uint8_t *out, const void *x, sm_dtype dtype, const sm_axis *along) { ask(out, x, dtype, along, true); }
