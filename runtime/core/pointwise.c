#include "core/pointwise.h"

#include "core/math.h"
#include "core/parallel.h"

/* The loops below may write where they read (y is x), element by element: `simd` says that this is no
   obstacle. */

void sm_unary_run(real *y, const real *x, sm_unary f, size_t n) {
  switch (f) {
    case SM_NEG:
#pragma omp simd
      for (size_t i = 0; i < n; i++) y[i] = -x[i];
      break;
    case SM_EXP:
#pragma omp simd
      for (size_t i = 0; i < n; i++) y[i] = sm_exp(x[i]);
      break;
    case SM_LOG:
#pragma omp simd
      for (size_t i = 0; i < n; i++) y[i] = sm_log(x[i]);
      break;
    case SM_SQRT:
#pragma omp simd
      for (size_t i = 0; i < n; i++) y[i] = sm_sqrt(x[i]);
      break;
    case SM_ABS:
#pragma omp simd
      for (size_t i = 0; i < n; i++) y[i] = sm_abs(x[i]);
      break;
    case SM_TANH:
      for (size_t i = 0; i < n; i++) y[i] = sm_tanh(x[i]);
      break;
    case SM_SIGMOID:
#pragma omp simd
      for (size_t i = 0; i < n; i++) y[i] = sm_sigmoid(x[i]);
      break;
    case SM_RELU:
#pragma omp simd
      for (size_t i = 0; i < n; i++) y[i] = sm_relu(x[i]);
      break;
    case SM_SOFTPLUS:
#pragma omp simd
      for (size_t i = 0; i < n; i++) y[i] = sm_softplus(x[i]);
      break;
  }
}

/* What the blocks of these loops share. */
typedef struct loop {
  real *out;
  const real *gy, *x, *y;
  sm_unary f;
  real low, high;
  size_t n;
} loop;

static void unary_block(const void *work, size_t block) {
  const loop *of = work;
  sm_range range = sm_block(of->n, block);
  sm_unary_run(of->out + range.first, of->x + range.first, of->f, range.last - range.first);
}

void sm_unary_forward(real *y, const real *x, sm_unary f, size_t n) {
  sm_parallel_blocks(n, unary_block, &(loop){.out = y, .x = x, .f = f, .n = n});
}

static void unary_gradient_run(real *gx, const real *gy, const real *x, const real *y, sm_unary f, size_t n) {
  switch (f) {
    case SM_NEG:
#pragma omp simd
      for (size_t i = 0; i < n; i++) gx[i] = -gy[i];
      break;
    case SM_EXP:
#pragma omp simd
      for (size_t i = 0; i < n; i++) gx[i] = gy[i] * y[i];
      break;
    case SM_LOG:
#pragma omp simd
      for (size_t i = 0; i < n; i++) gx[i] = gy[i] / x[i];
      break;
    case SM_SQRT:
#pragma omp simd
      for (size_t i = 0; i < n; i++) gx[i] = gy[i] / (2 * y[i]);
      break;
    case SM_ABS:
#pragma omp simd
      for (size_t i = 0; i < n; i++) gx[i] = x[i] > 0 ? gy[i] : x[i] < 0 ? -gy[i] : 0;
      break;
    case SM_TANH:
#pragma omp simd
      for (size_t i = 0; i < n; i++) gx[i] = gy[i] * ((1 - y[i]) * (1 + y[i]));
      break;
    case SM_SIGMOID:
#pragma omp simd
      for (size_t i = 0; i < n; i++) gx[i] = gy[i] * (y[i] * (1 - y[i]));
      break;
    case SM_RELU:
#pragma omp simd
      for (size_t i = 0; i < n; i++) gx[i] = x[i] > 0 ? gy[i] : 0;
      break;
    case SM_SOFTPLUS:
#pragma omp simd
      for (size_t i = 0; i < n; i++) gx[i] = gy[i] * sm_sigmoid(x[i]);
      break;
  }
}

static void unary_gradient_block(const void *work, size_t block) {
  const loop *of = work;
  sm_range range = sm_block(of->n, block);
  size_t first = range.first;
  unary_gradient_run(of->out + first, of->gy + first, of->x + first, of->y + first, of->f,
                     range.last - first);
}

void sm_unary_backward(real *gx, const real *gy, const real *x, const real *y, sm_unary f, size_t n) {
  sm_parallel_blocks(n, unary_gradient_block, &(loop){.out = gx, .gy = gy, .x = x, .y = y, .f = f, .n = n});
}

static void clamp_block(const void *work, size_t block) {
  const loop *of = work;
  const real *x = of->x, low = of->low, high = of->high;
  real *y = of->out;
  sm_range range = sm_block(of->n, block);
#pragma omp simd
  for (size_t i = range.first; i < range.last; i++) {
    real raised = x[i] < low ? low : x[i];
    y[i] = raised > high ? high : raised;
  }
}

void sm_clamp_forward(real *y, const real *x, real low, real high, size_t n) {
  sm_parallel_blocks(n, clamp_block, &(loop){.out = y, .x = x, .low = low, .high = high, .n = n});
}

static void clamp_gradient_block(const void *work, size_t block) {
  const loop *of = work;
  const real *gy = of->gy, *x = of->x, low = of->low, high = of->high;
  real *gx = of->out;
  sm_range range = sm_block(of->n, block);
#pragma omp simd
  for (size_t i = range.first; i < range.last; i++) gx[i] = x[i] >= low && x[i] <= high ? gy[i] : 0;
}

void sm_clamp_backward(real *gx, const real *gy, const real *x, real low, real high, size_t n) {
  sm_parallel_blocks(n, clamp_gradient_block,
                     &(loop){.out = gx, .gy = gy, .x = x, .low = low, .high = high, .n = n});
}

sm_status sm_broadcast_plan(sm_broadcast *plan, const sm_shape *a, const sm_shape *b, sm_error *error) {
  int rank = a->rank > b->rank ? a->rank : b->rank;
  *plan = (sm_broadcast){.shape.rank = rank};
  int merged = 0; /* axes so far, the innermost first */
  size_t stride_a = 1, stride_b = 1;
  for (int axis = rank - 1; axis >= 0; axis--) {
    int axis_a = axis - (rank - a->rank), axis_b = axis - (rank - b->rank);
    size_t size_a = axis_a < 0 ? 1 : a->size[axis_a], size_b = axis_b < 0 ? 1 : b->size[axis_b];
    if (size_a != size_b && size_a != 1 && size_b != 1) {
      char text_a[SM_SHAPE_TEXT], text_b[SM_SHAPE_TEXT];
      return sm_fail(error, SM_BAD_SHAPE,
                     "shapes %s and %s do not broadcast: axis %d of the result would have sizes %zu and %zu",
                     sm_shape_text(text_a, a), sm_shape_text(text_b, b), axis + 1, size_a, size_b);
    }
    size_t size = size_a == 1 ? size_b : size_a;
    plan->shape.size[axis] = size;
    if (size == 1) continue;
    size_t step_a = size_a == 1 ? 0 : stride_a, step_b = size_b == 1 ? 0 : stride_b;
    stride_a *= size_a;
    stride_b *= size_b;
    int last = merged - 1;
    if (merged > 0 && step_a == plan->step_a[last] * plan->size[last] &&
        step_b == plan->step_b[last] * plan->size[last]) {
      plan->size[last] *= size;
    } else {
      plan->size[merged] = size;
      plan->step_a[merged] = step_a;
      plan->step_b[merged] = step_b;
      merged++;
    }
  }
  if (merged == 0) {
    plan->size[0] = plan->step_a[0] = plan->step_b[0] = 1;
    merged = 1;
  }
  for (int i = 0, j = merged - 1; i < j; i++, j--) {
    size_t size = plan->size[i], step_a = plan->step_a[i], step_b = plan->step_b[i];
    plan->size[i] = plan->size[j], plan->step_a[i] = plan->step_a[j], plan->step_b[i] = plan->step_b[j];
    plan->size[j] = size, plan->step_a[j] = step_a, plan->step_b[j] = step_b;
  }
  plan->rank = merged;
  size_t bytes;
  return sm_shape_bytes(&bytes, &plan->shape, SM_REAL, error);
}

static inline real apply(sm_binary f, real a, real b) {
  switch (f) {
    case SM_ADD:
      return a + b;
    case SM_SUB:
      return a - b;
    case SM_MUL:
      return a * b;
    case SM_DIV:
      return a / b;
    case SM_POW:
    case SM_POW_SLOPE:
    case SM_POW_GROWTH:
      break;
  }
  return sm_pow(a, b);
}

/* n elements in a row, where an operand either advances or, with a step of 0, is one number. f is a constant
   at every call, so that each loop is compiled for its function. */
static inline __attribute__((always_inline)) void apply_run(real *y, const real *a, const real *b,
                                                            size_t step_a, size_t step_b, sm_binary f,
                                                            size_t n) {
  if (step_a && step_b) {
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] = apply(f, a[i], b[i]);
  } else if (step_a) {
    real number = *b;
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] = apply(f, a[i], number);
  } else {
    real number = *a;
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] = apply(f, number, b[i]);
  }
}

/* x^1, x^2 and x^3 are what polynomials and their gradients ask for; the first two products are correctly rounded, that
   of three is within 1 unit in the last place. */
static void power_run(real *y, const real *a, const real *b, size_t step_a, size_t step_b, size_t n) {
  if (step_b == 0 && *b == 2) {
    apply_run(y, a, a, 1, 1, SM_MUL, n);
  } else if (step_b == 0 && *b == 1) {
    apply_run(y, a, b, 1, 0, SM_MUL, n);
  } else if (step_b == 0 && *b == 3) {
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] = a[i] * a[i] * a[i];
  } else {
    for (size_t i = 0; i < n; i++) y[i] = sm_pow(a[i * step_a], b[i * step_b]);
  }
}

/* b a^(b-1); 0 where b is 0, whatever the power is. */
static void slope_run(real *y, const real *a, const real *b, size_t step_a, size_t step_b, size_t n) {
  if (step_b == 0 && *b != 0) {
    const real number = *b, less = number - 1;
    power_run(y, a, &less, step_a, 0, n);
    apply_run(y, y, &number, 1, 0, SM_MUL, n);
  } else {
    for (size_t i = 0; i < n; i++) {
      real power = b[i * step_b];
      y[i] = power == 0 ? 0 : power * sm_pow(a[i * step_a], power - 1);
    }
  }
}

static inline real growth(real a, real b) { return a == 0 && b >= 0 ? 0 : sm_pow(a, b) * sm_log(a); }

void sm_binary_run(real *y, const real *a, const real *b, size_t step_a, size_t step_b, sm_binary f, size_t n) {
  switch (f) {
    case SM_ADD:
      apply_run(y, a, b, step_a, step_b, SM_ADD, n);
      break;
    case SM_SUB:
      apply_run(y, a, b, step_a, step_b, SM_SUB, n);
      break;
    case SM_MUL:
      apply_run(y, a, b, step_a, step_b, SM_MUL, n);
      break;
    case SM_DIV:
      apply_run(y, a, b, step_a, step_b, SM_DIV, n);
      break;
    case SM_POW:
      power_run(y, a, b, step_a, step_b, n);
      break;
    case SM_POW_SLOPE:
      slope_run(y, a, b, step_a, step_b, n);
      break;
    case SM_POW_GROWTH:
      for (size_t i = 0; i < n; i++) y[i] = growth(a[i * step_a], b[i * step_b]);
      break;
  }
}

/* An operation on two numbers each. */
typedef struct pairing {
  real *y;
  const real *a, *b;
  sm_binary f;
  const sm_broadcast *plan; /* NULL where one of the two is a single number */
  bool one_a, one_b;        /* which */
  size_t n;
} pairing;

/* A block of the flat result: the place of its first element is found by division, the others by counting. */
static void binary_block(const void *work, size_t block) {
  const pairing *of = work;
  const sm_broadcast *plan = of->plan;
  const int inner = plan->rank - 1;
  sm_range range = sm_block(of->n, block);
  size_t index[SM_MAX_RANK], place_a = 0, place_b = 0, rest = range.first;
  for (int axis = inner; axis >= 0; axis--) {
    index[axis] = rest % plan->size[axis];
    rest /= plan->size[axis];
    place_a += index[axis] * plan->step_a[axis];
    place_b += index[axis] * plan->step_b[axis];
  }
  for (size_t first = range.first; first < range.last;) {
    size_t row = plan->size[inner] - index[inner], left = range.last - first;
    size_t n = row < left ? row : left;
    sm_binary_run(of->y + first, of->a + place_a, of->b + place_b, plan->step_a[inner], plan->step_b[inner],
                  of->f, n);
    first += n;
    index[inner] += n;
    place_a += n * plan->step_a[inner];
    place_b += n * plan->step_b[inner];
    for (int axis = inner; axis > 0 && index[axis] == plan->size[axis]; axis--) {
      place_a += plan->step_a[axis - 1] - plan->size[axis] * plan->step_a[axis];
      place_b += plan->step_b[axis - 1] - plan->size[axis] * plan->step_b[axis];
      index[axis] = 0;
      index[axis - 1]++;
    }
  }
}

void sm_binary_forward(real *y, const real *a, const real *b, sm_binary f, const sm_broadcast *plan) {
  size_t n = sm_shape_count(&plan->shape);
  sm_parallel_blocks(n, binary_block, &(pairing){.y = y, .a = a, .b = b, .f = f, .plan = plan, .n = n});
}

static void number_block(const void *work, size_t block) {
  const pairing *of = work;
  sm_range range = sm_block(of->n, block);
  const real *a = of->one_a ? of->a : of->a + range.first, *b = of->one_b ? of->b : of->b + range.first;
  sm_binary_run(of->y + range.first, a, b, !of->one_a, !of->one_b, of->f, range.last - range.first);
}

void sm_binary_number(real *y, const real *x, double value, bool swapped, sm_binary f, size_t n) {
  real number = (real)value;
  const pairing work = {.y = y,
                        .a = swapped ? &number : x,
                        .b = swapped ? x : &number,
                        .f = f,
                        .one_a = swapped,
                        .one_b = !swapped,
                        .n = n};
  sm_parallel_blocks(n, number_block, &work);
}
