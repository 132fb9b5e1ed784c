#include "core/loss.h"

#include <math.h>
#include <string.h>

#include "core/math.h"
#include "core/parts.h"
#include "core/tile.h"

enum {
  FEW = 64,    /* classes at most where … */
  STRIP = 16,  /* … so many rows are taken side by side */
  BLOCK = 256, /* classes whose exponentials are taken at once */
  MANY = 64,   /* numbers that are worth … */
  SUMS = 16,   /* … so many running sums */
  MOST_CHUNKS = SM_PARTS /* of rows: as many as parts, or up to SM_BATCH_CHUNKS where these are fewer */
};

/* Whether a row counts. */
static bool counts(const sm_target *target, size_t row) {
  return !target->ignores || target->label[row] != target->ignored;
}

size_t sm_labels_check(const sm_target *target, size_t rows, size_t classes) {
  size_t row = 0;
  while (row < rows) {
    bool named = target->label[row] >= 0 && (size_t)target->label[row] < classes;
    if (!named && counts(target, row)) break;
    row++;
  }
  return row;
}

size_t sm_labels_outside(double *largest, const void *label, sm_dtype dtype, double low, double high, size_t count) {
  *largest = low - 1;
  for (size_t i = 0; i < count; i++) {
    double value = sm_element_at(label, dtype, i);
    if (!(value >= low && value <= high) || value != floor(value)) return i;
    if (value > *largest) *largest = value;
  }
  return count;
}

static real row_max(const real *x, size_t classes) {
  real top = -INFINITY;
#pragma omp simd reduction(max : top)
  for (size_t i = 0; i < classes; i++) top = x[i] > top ? x[i] : top;
  return top;
}

/* A logit less the largest of its row; equals are compared, so that infinities of one sign are equally
   likely. */
static inline real below(real x, real top) { return x == top ? 0 : x - top; }

/* The sum of n numbers; many are added in SUMS chains side by side. */
static double sum_of(const real *e, size_t n) {
  double sum = 0, sums[SUMS] = {0};
  size_t i = 0;
  for (; n >= MANY && i + SUMS <= n; i += SUMS) {
    for (size_t k = 0; k < SUMS; k++) sums[k] += (double)e[i + k];
  }
  for (; i < n; i++) sum += (double)e[i];
  for (size_t k = 0; n >= MANY && k < SUMS; k++) sum += sums[k];
  return sum;
}

/* The sum of exp(x - top) over a row. */
static double row_sum(const real *x, real top, size_t classes) {
  double sum = 0;
  for (size_t first = 0; first < classes; first += BLOCK) {
    size_t n = classes - first < BLOCK ? classes - first : BLOCK;
    real e[BLOCK];
#pragma omp simd
    for (size_t i = 0; i < n; i++) e[i] = sm_exp(below(x[first + i], top));
    sum += sum_of(e, n);
  }
  return sum;
}

/* Rows side by side, each in a lane of its own, so that few classes fill vectors too: the bits are those of each row by
   itself. */
typedef struct strip {
  real x[FEW][STRIP], top[STRIP];
} strip;

/* The next rows of a range; lanes that are left over have zeros. */
static size_t take_strip(strip *to, const real *x, size_t row, sm_range range, size_t classes) {
  const size_t n = range.last - row < STRIP ? range.last - row : STRIP;
  for (size_t class = 0; class < classes; class++) {
    for (size_t k = 0; k < n; k++) to->x[class][k] = x[(row + k) * classes + class];
    for (size_t k = n; k < STRIP; k++) to->x[class][k] = 0;
  }
  for (size_t k = 0; k < STRIP; k++) to->top[k] = -INFINITY;
  for (size_t class = 0; class < classes; class++) {
#pragma omp simd
    for (size_t k = 0; k < STRIP; k++) to->top[k] = to->x[class][k] > to->top[k] ? to->x[class][k] : to->top[k];
  }
  return n;
}

/* row_sum of each. */
static void strip_sums(double sum[STRIP], const strip *of, size_t classes) {
  for (size_t k = 0; k < STRIP; k++) sum[k] = 0;
  for (size_t class = 0; class < classes; class++) {
    real e[STRIP];
#pragma omp simd
    for (size_t k = 0; k < STRIP; k++) e[k] = sm_exp(below(of->x[class][k], of->top[k]));
#pragma omp simd
    for (size_t k = 0; k < STRIP; k++) sum[k] += (double)e[k];
  }
}

/* What the chunks of rows share. */
typedef struct scores {
  const real *x;
  const sm_target *target;
  size_t rows, classes;
  size_t parts, chunks; /* chunks: of all parts, as many of each */
  real *log_sum, *gx, scale;
  double *loss, *divisor;   /* (chunks) sums of them */
  double spread;            /* what smoothing gives to each class, but for its weight, … */
  double spread_sum;        /* … and to all of them, with it */
  size_t *correct, *counted; /* (chunks) */
} scores;

static void run(sm_task *chunk, scores *of) {
  const sm_target *target = of->target;
  const size_t all = sm_parts_now().parts * sm_parts_now().ranks, chunks = sm_batch_chunks(sm_all_rows(of->rows)) / all;
  of->parts = sm_parts_now().parts;
  of->chunks = of->parts * (chunks < 1 ? 1 : chunks);
  of->spread = target->smoothing / (double)of->classes;
  of->spread_sum = target->smoothing;
  if (target->weight) of->spread_sum = 0;
  for (size_t i = 0; i < of->classes && target->weight && target->smoothing > 0; i++)
    of->spread_sum += of->spread * (double)target->weight[i];
  sm_compute(of->chunks, of->rows * of->classes, chunk, of);
}

static sm_range rows_of(const scores *of, size_t chunk) {
  const size_t each = of->chunks / of->parts;
  const sm_range part = sm_part(of->rows, of->parts, chunk / each);
  const sm_range own = sm_chunk(part.last - part.first, each, chunk % each);
  return (sm_range){part.first + own.first, part.first + own.last};
}

static double weight_of(const sm_target *target, size_t class) {
  return target->weight ? (double)target->weight[class] : 1;
}

/* t[class] of a row: of its probabilities, or without them what smoothing gives to each class. */
static inline double target_at(double kept, double spread, const real *probability, const real *weight, size_t class) {
  double share = probability ? kept * (double)probability[class] + spread : spread;
  return weight ? share * (double)weight[class] : share;
}

/* x less the largest of its row, in double. */
static inline double less(real x, real top) {
  return x == -INFINITY ? -(double)INFINITY : x == top ? 0 : (double)x - (double)top;
}

/* *sum = t[j] added up; t[j] (x[j] - top) added up, of what is not 0. */
SM_INLINE double dot_of(double *sum, const scores *of, const real *x, real top, const real *probability,
                        const real *weight) {
  const double kept = 1 - of->target->smoothing, spread = of->spread;
  double all = 0, dot = 0;
#pragma omp simd reduction(+ : all, dot)
  for (size_t i = 0; i < of->classes; i++) {
    const double share = target_at(kept, spread, probability, weight, i), part = share * less(x[i], top);
    all += share;
    dot += share == 0 ? 0 : part;
  }
  *sum = all;
  return dot;
}

/* Of a row whose logits x are not above `top`: *sum = the sum of its target, and t[j] (x[j] - top) added up. Nothing is
   added where t[j] is 0. */
static double target_dot(double *sum, const scores *of, size_t row, const real *x, real top) {
  const sm_target *target = of->target;
  const real *weight = target->weight;
  if (!target->label) {
    const real *probability = target->probability + row * of->classes;
    return weight ? dot_of(sum, of, x, top, probability, weight) : dot_of(sum, of, x, top, probability, NULL);
  }
  const size_t label = (size_t)target->label[row];
  const double share = (1 - target->smoothing) * weight_of(target, label);
  double dot = 0;
  if (target->smoothing > 0)
    dot = weight ? dot_of(sum, of, x, top, NULL, weight) : dot_of(sum, of, x, top, NULL, NULL);
  *sum = share + of->spread_sum;
  return share != 0 ? share * less(x[label], top) + dot : dot;
}

static void forward_chunk(const void *work, size_t chunk) {
  const scores *of = work;
  const sm_target *target = of->target;
  const size_t classes = of->classes;
  const bool few = classes < FEW;
  sm_range range = rows_of(of, chunk);
  double loss = 0, divisor = 0, sums[STRIP];
  strip rows;
  for (size_t row = range.first; row < range.last; row++) {
    const size_t k = (row - range.first) % STRIP;
    if (few && k == 0) {
      take_strip(&rows, of->x, row, range, classes);
      strip_sums(sums, &rows, classes);
    }
    of->log_sum[row] = 0;
    if (!counts(target, row)) continue;
    const real *from = of->x + row * classes;
    real top = few ? rows.top[k] : row_max(from, classes);
    double log_sum = log(few ? sums[k] : row_sum(from, top, classes)), share;
    double dot = target_dot(&share, of, row, from, top);
    of->log_sum[row] = (real)log_sum;
    loss += share * log_sum - dot;
    divisor += target->label ? weight_of(target, (size_t)target->label[row]) : 1;
  }
  of->loss[chunk] = loss;
  of->divisor[chunk] = divisor;
}

/* The sum of the chunks' numbers: of each part in their order, then of the parts. */
static double sum_chunks(const scores *of, const double *numbers) {
  const size_t each = of->chunks / of->parts;
  double sums[SM_PARTS];
  for (size_t part = 0; part < of->parts; part++) {
    sums[part] = 0;
    for (size_t chunk = part * each; chunk < (part + 1) * each; chunk++) sums[part] += numbers[chunk];
  }
  sm_add_parts_double(sums, of->parts, 1);
  return sums[0];
}

void sm_cross_entropy_forward(real *loss, real *log_sum, double *total, double *divisor, const real *x,
                              const sm_target *target, size_t rows, size_t classes) {
  double losses[MOST_CHUNKS], divisors[MOST_CHUNKS];
  scores work = {.x = x, .target = target, .rows = rows, .classes = classes, .log_sum = log_sum, .loss = losses,
                 .divisor = divisors};
  run(forward_chunk, &work);
  *total = sum_chunks(&work, losses);
  *divisor = sum_chunks(&work, divisors);
  *loss = *divisor == 0 ? NAN : (real)(*total / *divisor);
}

/* to = scale (share p - t) of a row with the logarithms of its probabilities p, x - top - sum. */
SM_INLINE void row_gradient(real *to, const real *x, real top, real sum, real scale, real share, double kept,
                            double spread, const real *probability, const real *weight, size_t classes) {
#pragma omp simd
  for (size_t i = 0; i < classes; i++)
    to[i] = scale * (share * sm_exp_negative(below(x[i], top) - sum) -
                     (real)target_at(kept, spread, probability, weight, i));
}

/* The same of rows with labels, side by side; share (STRIP). */
static void strip_gradient(real *to, strip *rows, size_t n, const real *log_sum, const real *share, const scores *of) {
  real sum[STRIP] = {0};
  memcpy(sum, log_sum, n * sizeof *sum);
  for (size_t class = 0; class < of->classes; class++) {
    const real t = (real)target_at(0, of->spread, NULL, of->target->weight, class), scale = of->scale;
#pragma omp simd
    for (size_t k = 0; k < STRIP; k++) {
      const real p = sm_exp_negative(below(rows->x[class][k], rows->top[k]) - sum[k]);
      rows->x[class][k] = scale * (share[k] * p - t);
    }
  }
  for (size_t k = 0; k < n; k++)
    for (size_t class = 0; class < of->classes; class++) to[k * of->classes + class] = rows->x[class][k];
}

static void few_backward_chunk(const void *work, size_t chunk) {
  const scores *of = work;
  const sm_target *target = of->target;
  const size_t classes = of->classes;
  sm_range range = rows_of(of, chunk);
  strip rows;
  for (size_t row = range.first, n; row < range.last; row += n) {
    const real *from = of->x + row * classes;
    real *to = of->gx + row * classes, at_label[STRIP], share[STRIP] = {0};
    n = take_strip(&rows, of->x, row, range, classes);
    for (size_t k = 0; k < n; k++) {
      if (!counts(target, row + k)) continue;
      at_label[k] = (real)((1 - target->smoothing) * weight_of(target, (size_t)target->label[row + k]));
      share[k] = (real)((double)at_label[k] + of->spread_sum);
    }
    strip_gradient(to, &rows, n, of->log_sum + row, share, of);
    for (size_t k = 0; k < n; k++, from += classes, to += classes) {
      if (!counts(target, row + k)) {
        memset(to, 0, classes * sizeof *to);
        continue;
      }
      const size_t hit = (size_t)target->label[row + k];
      const real p = sm_exp_negative(below(from[hit], rows.top[k]) - of->log_sum[row + k]);
      to[hit] = of->scale * (share[k] * p - at_label[k] - (real)target_at(0, of->spread, NULL, target->weight, hit));
    }
  }
}

static void backward_chunk(const void *work, size_t chunk) {
  const scores *of = work;
  const sm_target *target = of->target;
  const real scale = of->scale, *weight = target->weight;
  const size_t classes = of->classes;
  const double kept = 1 - target->smoothing, spread = of->spread;
  sm_range range = rows_of(of, chunk);
  for (size_t row = range.first; row < range.last; row++) {
    const real *from = of->x + row * classes;
    real *to = of->gx + row * classes;
    if (!counts(target, row)) {
      memset(to, 0, classes * sizeof *to);
      continue;
    }
    real top = row_max(from, classes), sum = of->log_sum[row];
    if (!target->label) {
      const real *probability = target->probability + row * classes;
      double all = 0;
#pragma omp simd reduction(+ : all)
      for (size_t i = 0; i < classes; i++) all += target_at(kept, spread, probability, weight, i);
      if (weight) row_gradient(to, from, top, sum, scale, (real)all, kept, spread, probability, weight, classes);
      else row_gradient(to, from, top, sum, scale, (real)all, kept, spread, probability, NULL, classes);
      continue;
    }
    size_t hit = (size_t)target->label[row];
    const real at_label = (real)(kept * weight_of(target, hit));
    const real share = (real)((double)at_label + of->spread_sum);
    const real at_hit = share * sm_exp_negative(below(from[hit], top) - sum) - at_label;
    if (weight) row_gradient(to, from, top, sum, scale, share, kept, spread, NULL, weight, classes);
    else row_gradient(to, from, top, sum, scale, share, kept, spread, NULL, NULL, classes);
    to[hit] = scale * (at_hit - (real)target_at(kept, spread, NULL, weight, hit));
  }
}

void sm_cross_entropy_backward(real *gx, real gy, const real *log_sum, double divisor, const real *x,
                               const sm_target *target, size_t rows, size_t classes) {
  run(target->label && classes < FEW ? few_backward_chunk : backward_chunk,
      &(scores){.x = x, .target = target, .rows = rows, .classes = classes, .log_sum = (real *)log_sum, .gx = gx,
                .scale = divisor == 0 ? NAN : (real)((double)gy / divisor)});
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
  sm_range range = rows_of(of, chunk);
  size_t correct = 0, counted = 0;
  for (size_t row = range.first; row < range.last; row++) {
    if (!counts(of->target, row)) continue;
    counted++;
    correct += is_correct(of->x + row * of->classes, (size_t)of->target->label[row], of->classes);
  }
  of->correct[chunk] = correct;
  of->counted[chunk] = counted;
}

size_t sm_correct(size_t *rows, const real *x, const sm_target *target, size_t classes) {
  size_t corrects[MOST_CHUNKS], counteds[MOST_CHUNKS], correct = 0;
  scores work = {.x = x, .target = target, .rows = *rows, .classes = classes, .correct = corrects,
                 .counted = counteds};
  run(correct_chunk, &work);
  *rows = 0;
  for (size_t chunk = 0; chunk < work.chunks; chunk++) {
    correct += corrects[chunk];
    *rows += counteds[chunk];
  }
  return correct;
}
