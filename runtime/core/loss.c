#include "core/loss.h"

#include <math.h>

#include "core/math.h"
#include "core/parallel.h"

enum { BLOCK = 256 /* classes whose exponentials are taken at once */ };

sm_status sm_labels_check(const int32_t *label, size_t rows, size_t classes, sm_error *error) {
  for (size_t row = 0; row < rows; row++) {
    if (label[row] >= 0 && (size_t)label[row] < classes) continue;
    if (classes == 0)
      return sm_fail(error, SM_BAD_VALUE, "label %d at position %zu, but there are no classes",
                     (int)label[row], row + 1);
    return sm_fail(error, SM_BAD_VALUE, "label %d at position %zu, expected 0 to %zu", (int)label[row],
                   row + 1, classes - 1);
  }
  return SM_OK;
}

static double label_at(const void *label, sm_dtype dtype, size_t i) {
  if (dtype == SM_UINT8) return ((const uint8_t *)label)[i];
  return dtype == SM_INT32 ? ((const int32_t *)label)[i] : (double)((const real *)label)[i];
}

size_t sm_labels_outside(double *largest, const void *label, sm_dtype dtype, double low, double high, size_t count) {
  *largest = low - 1;
  for (size_t i = 0; i < count; i++) {
    double value = label_at(label, dtype, i);
    if (!(value >= low && value <= high) || value != floor(value)) return i;
    if (value > *largest) *largest = value;
  }
  return count;
}

static real row_max(const real *x, size_t classes) {
  real top = x[0];
  for (size_t i = 1; i < classes; i++) top = x[i] > top ? x[i] : top;
  return top;
}

/* A logit less the largest of its row; equals are compared, so that infinities of one sign are equally
   likely. */
static inline real below(real x, real top) { return x == top ? 0 : x - top; }

/* The sum of exp(x - top) over a row. */
static double row_sum(const real *x, real top, size_t classes) {
  double sum = 0;
  for (size_t first = 0; first < classes; first += BLOCK) {
    size_t n = classes - first < BLOCK ? classes - first : BLOCK;
    real e[BLOCK];
#pragma omp simd
    for (size_t i = 0; i < n; i++) e[i] = sm_exp(below(x[first + i], top));
    for (size_t i = 0; i < n; i++) sum += (double)e[i];
  }
  return sum;
}

/* What the chunks of rows share. */
typedef struct scores {
  const real *x;
  const int32_t *label;
  size_t rows, classes, chunks;
  real *log_sum, *gx, scale;
  double *loss;    /* (chunks) sums of it */
  size_t *correct; /* (chunks) */
} scores;

static void run(sm_task *chunk, const scores *of) {
  sm_parallel(of->chunks, of->rows * of->classes, chunk, of);
}

static void forward_chunk(const void *work, size_t chunk) {
  const scores *of = work;
  sm_range range = sm_chunk(of->rows, of->chunks, chunk);
  double loss = 0;
  for (size_t row = range.first; row < range.last; row++) {
    const real *from = of->x + row * of->classes;
    real top = row_max(from, of->classes), at_label = from[of->label[row]];
    double sum = log(row_sum(from, top, of->classes));
    of->log_sum[row] = (real)sum;
    loss += at_label == -INFINITY ? sum + INFINITY : at_label == top ? sum : sum - ((double)at_label - (double)top);
  }
  of->loss[chunk] = loss;
}

void sm_cross_entropy_forward(real *loss, real *log_sum, const real *x, const int32_t *label, size_t rows,
                              size_t classes) {
  double partial[SM_BATCH_CHUNKS], total = 0;
  size_t chunks = sm_batch_chunks(rows);
  run(forward_chunk, &(scores){.x = x,
                               .label = label,
                               .rows = rows,
                               .classes = classes,
                               .chunks = chunks,
                               .log_sum = log_sum,
                               .loss = partial});
  for (size_t chunk = 0; chunk < chunks; chunk++) total += partial[chunk];
  *loss = (real)(total / (double)rows);
}

static void backward_chunk(const void *work, size_t chunk) {
  const scores *of = work;
  const real scale = of->scale;
  size_t classes = of->classes;
  sm_range range = sm_chunk(of->rows, of->chunks, chunk);
  for (size_t row = range.first; row < range.last; row++) {
    const real *from = of->x + row * classes;
    real *to = of->gx + row * classes, top = row_max(from, classes), sum = of->log_sum[row];
    size_t hit = (size_t)of->label[row];
    real at_label = sm_exp(below(from[hit], top) - sum) - 1;
#pragma omp simd
    for (size_t i = 0; i < classes; i++) to[i] = scale * sm_exp(below(from[i], top) - sum);
    to[hit] = scale * at_label;
  }
}

void sm_cross_entropy_backward(real *gx, real gy, const real *log_sum, const real *x, const int32_t *label,
                               size_t rows, size_t classes) {
  run(backward_chunk, &(scores){.x = x,
                                .label = label,
                                .rows = rows,
                                .classes = classes,
                                .chunks = sm_batch_chunks(rows),
                                .log_sum = (real *)log_sum,
                                .gx = gx,
                                .scale = (real)((double)gy / (double)rows)});
}

/* NaN is larger than nothing and nothing is larger than it, so a row that holds one is not correct. */
static bool is_correct(const real *x, size_t label, size_t classes) {
  bool correct = true;
  for (size_t i = 0; i < label; i++) correct &= x[i] < x[label];
  for (size_t i = label; i < classes; i++) correct &= x[i] <= x[label];
  return correct;
}

static void correct_chunk(const void *work, size_t chunk) {
  const scores *of = work;
  sm_range range = sm_chunk(of->rows, of->chunks, chunk);
  size_t correct = 0;
  for (size_t row = range.first; row < range.last; row++)
    correct += is_correct(of->x + row * of->classes, (size_t)of->label[row], of->classes);
  of->correct[chunk] = correct;
}

size_t sm_correct(const real *x, const int32_t *label, size_t rows, size_t classes) {
  size_t partial[SM_BATCH_CHUNKS], correct = 0, chunks = sm_batch_chunks(rows);
  run(correct_chunk,
      &(scores){
          .x = x, .label = label, .rows = rows, .classes = classes, .chunks = chunks, .correct = partial});
  for (size_t chunk = 0; chunk < chunks; chunk++) correct += partial[chunk];
  return correct;
}
