#include "core/normalise.h"

#include <math.h>
#include <string.h>

#include "core/math.h"
#include "core/parallel.h"

enum {
  MOST_PARTS = 64, /* that sums are cut into, unless there are more `outer` */
  SUMS = 2,        /* of each channel, in double */
  FACTORS = 4      /* of each channel, of the last pass */
};

/* A pass, its sums of each part, and the factors of each channel that follow from them. */
typedef struct pass {
  const sm_normalisation *of;
  real *out, *new_mean, *new_variance; /* the last two in the forward pass */
  const real *x, *gy, *mean, *variance, *weight, *bias;
  double *sums;  /* (outer, parts, SUMS, channels), or with single rows (parts, SUMS, channels) */
  real *factors; /* (outer, FACTORS, channels) */
  size_t parts, items, chunks;
  bool has_sums; /* whether single rows add theirs up */
} pass;

static bool has_single_rows(const sm_normalisation *of) { return of->rows == 1; }

/* How many parts the rows of each `outer` are cut into; or, where these are single rows, all of them together. */
static size_t parts_of(const sm_normalisation *of) {
  const bool single = has_single_rows(of);
  size_t rows = single ? of->outer : of->rows;
  size_t most = single || of->outer < 1 ? MOST_PARTS : (MOST_PARTS + of->outer - 1) / of->outer;
  size_t parts = sm_blocks(rows * of->channels);
  if (parts > most) parts = most;
  if (parts > rows) parts = rows;
  return parts < 1 ? 1 : parts;
}

bool sm_normalise_scratch(size_t *bytes, const sm_normalisation *of) {
  size_t channels, sums, factors;
  if (!sm_multiply(&channels, of->channels, has_single_rows(of) ? 1 : of->outer)) return false;
  if (!sm_multiply(&sums, channels, parts_of(of))) return false;
  if (!sm_multiply(&sums, sums, SUMS * sizeof(double))) return false;
  if (!sm_multiply(&factors, channels, FACTORS * sizeof(real))) return false;
  *bytes = sums + factors;
  return *bytes >= sums && *bytes <= PTRDIFF_MAX;
}

static void prepare(pass *p, const sm_normalisation *of, void *scratch) {
  const size_t channels = of->channels * (has_single_rows(of) ? 1 : of->outer);
  const size_t blocks = sm_blocks(of->outer * of->rows * of->channels);
  p->of = of;
  p->parts = parts_of(of);
  p->items = has_single_rows(of) ? p->parts : p->parts * of->outer;
  p->chunks = p->items < blocks ? p->items : blocks;
  p->sums = scratch;
  p->factors = (real *)(p->sums + channels * p->parts * SUMS);
}

static double inverse_of(real variance, const sm_normalisation *of) { return 1 / sqrt((double)variance + of->epsilon); }

/* ---- groups of many rows: sums of parts, factors, a last pass ---- */

/* The rows of item number `item`: part item % parts of outer item / parts. */
static sm_range rows_of(const pass *p, size_t item) {
  return sm_chunk(p->of->rows, p->parts, item % p->parts);
}

/* sums = of x - s and its square, with s the first row of this `outer`: near the mean, so that little is lost. */
static void add_up_squares(const pass *p, size_t item) {
  const size_t channels = p->of->channels;
  const sm_range rows = rows_of(p, item);
  const real *first = p->x + item / p->parts * p->of->rows * channels;
  double *sum = p->sums + item * SUMS * channels, *square = sum + channels;
  memset(sum, 0, SUMS * channels * sizeof *sum);
  size_t row = rows.first;
  for (; row + 4 <= rows.last; row += 4) {
    const real *a = first + row * channels, *b = a + channels, *c = b + channels, *d = c + channels;
#pragma omp simd
    for (size_t i = 0; i < channels; i++) {
      const double s = (double)first[i];
      const double e = (double)a[i] - s, f = (double)b[i] - s, g = (double)c[i] - s, h = (double)d[i] - s;
      sum[i] += (e + f) + (g + h);
      square[i] += (e * e + f * f) + (g * g + h * h);
    }
  }
  for (; row < rows.last; row++) {
    const real *a = first + row * channels;
#pragma omp simd
    for (size_t i = 0; i < channels; i++) {
      const double e = (double)a[i] - (double)first[i];
      sum[i] += e;
      square[i] += e * e;
    }
  }
}

/* sums = of gy, and of gy * (x - mean). */
static void add_up_gradients(const pass *p, size_t item) {
  const size_t channels = p->of->channels, outer = item / p->parts;
  const sm_range rows = rows_of(p, item);
  const real *mean = p->factors + outer * FACTORS * channels;
  double *sum = p->sums + item * SUMS * channels, *product = sum + channels;
  memset(sum, 0, SUMS * channels * sizeof *sum);
  size_t at = (outer * p->of->rows + rows.first) * channels, row = rows.first;
  for (; row + 2 <= rows.last; row += 2, at += 2 * channels) {
    const real *x = p->x + at, *gy = p->gy + at;
#pragma omp simd
    for (size_t i = 0; i < channels; i++) {
      const double g = (double)gy[i], h = (double)gy[channels + i], m = (double)mean[i];
      sum[i] += g + h;
      product[i] += g * ((double)x[i] - m) + h * ((double)x[channels + i] - m);
    }
  }
  if (row < rows.last) {
    const real *x = p->x + at, *gy = p->gy + at;
#pragma omp simd
    for (size_t i = 0; i < channels; i++) {
      sum[i] += (double)gy[i];
      product[i] += (double)gy[i] * ((double)x[i] - (double)mean[i]);
    }
  }
}

/* The sums of the first part become those of all parts, added in their order. */
static double *total_of(const pass *p, size_t outer) {
  const size_t count = SUMS * p->of->channels;
  double *sums = p->sums + outer * p->parts * count;
  for (size_t part = 1; part < p->parts; part++) {
    for (size_t i = 0; i < count; i++) sums[i] += sums[part * count + i];
  }
  return sums;
}

/* Mean and variance of every group of an `outer`, and the factors: mean, weight/sqrt(…), bias. */
static void describe(const void *work, size_t outer) {
  const pass *p = work;
  const sm_normalisation *of = p->of;
  const size_t channels = of->channels, size = channels / of->groups;
  const double *sum = total_of(p, outer), *square = sum + channels, rows = (double)of->rows;
  const real *first = p->x + outer * of->rows * channels;
  real *mean = p->factors + outer * FACTORS * channels, *slope = mean + channels, *shift = slope + channels;
  for (size_t group = 0; group < of->groups; group++) {
    const size_t from = group * size, to = from + size, at = outer * of->groups + group;
    double middle = 0, spread = 0;
    for (size_t i = from; i < to; i++) middle += ((double)first[i] + sum[i] / rows) / (double)size;
    for (size_t i = from; i < to; i++) {
      const double apart = (double)first[i] + sum[i] / rows - middle;
      const double within = square[i] / rows - sum[i] / rows * (sum[i] / rows); /* rounding may leave it below 0 */
      spread += (within < 0 ? 0 : within) + apart * apart;
    }
    p->new_mean[at] = (real)middle;
    p->new_variance[at] = (real)(spread / (double)size);
    for (size_t i = from; i < to; i++) {
      mean[i] = p->mean[at];
      slope[i] = (real)(inverse_of(p->variance[at], of) * (p->weight ? (double)p->weight[i] : 1));
      shift[i] = p->bias ? p->bias[i] : 0;
    }
  }
}

/* The means as factors of every channel. */
static void spread_means(const void *work, size_t outer) {
  const pass *p = work;
  const size_t channels = p->of->channels, size = channels / p->of->groups;
  real *mean = p->factors + outer * FACTORS * channels;
  for (size_t i = 0; i < channels; i++) mean[i] = p->mean[outer * p->of->groups + i / size];
}

/* The factors of gx = gy * slope - shift - (x - mean) * pull. The second sum of a channel becomes that of gy * z. */
static void describe_gradient(const void *work, size_t outer) {
  const pass *p = work;
  const sm_normalisation *of = p->of;
  const size_t channels = of->channels, size = channels / of->groups;
  double *sum = total_of(p, outer), *product = sum + channels, count = (double)of->rows * (double)size;
  real *slope = p->factors + (outer * FACTORS + 1) * channels, *shift = slope + channels, *pull = shift + channels;
  for (size_t group = 0; group < of->groups; group++) {
    const size_t from = group * size, to = from + size;
    const double inverse = inverse_of(p->variance[outer * of->groups + group], of);
    double all = 0, along = 0;
    for (size_t i = from; i < to; i++) {
      const double w = p->weight ? (double)p->weight[i] : 1;
      all += w * sum[i];
      product[i] *= inverse;
      along += w * product[i];
      slope[i] = (real)(w * inverse);
    }
    for (size_t i = from; i < to; i++) {
      shift[i] = (real)(all / count * inverse);
      pull[i] = (real)(along / count * inverse * inverse);
    }
  }
}

static void apply(const pass *p, size_t item) {
  const size_t channels = p->of->channels, outer = item / p->parts;
  const sm_range rows = rows_of(p, item);
  const real *mean = p->factors + outer * FACTORS * channels, *slope = mean + channels, *shift = slope + channels;
  for (size_t row = rows.first; row < rows.last; row++) {
    const size_t at = (outer * p->of->rows + row) * channels;
#pragma omp simd
    for (size_t i = 0; i < channels; i++) p->out[at + i] = sm_fma(p->x[at + i] - mean[i], slope[i], shift[i]);
  }
}

static void apply_gradient(const pass *p, size_t item) {
  const size_t channels = p->of->channels, outer = item / p->parts;
  const sm_range rows = rows_of(p, item);
  const real *mean = p->factors + outer * FACTORS * channels, *slope = mean + channels, *shift = slope + channels;
  const real *pull = shift + channels;
  for (size_t row = rows.first; row < rows.last; row++) {
    const size_t at = (outer * p->of->rows + row) * channels;
#pragma omp simd
    for (size_t i = 0; i < channels; i++) {
      const real rest = sm_fma(p->x[at + i] - mean[i], pull[i], shift[i]);
      p->out[at + i] = sm_fma(p->gy[at + i], slope[i], -rest);
    }
  }
}

/* ---- single rows: all of a group at once, while it is in the cache ---- */

static void normalise_rows(const pass *p, size_t item) {
  const sm_normalisation *of = p->of;
  const size_t channels = of->channels, size = channels / of->groups;
  const sm_range range = sm_chunk(of->outer, p->parts, item);
  for (size_t group = range.first * of->groups; group < range.last * of->groups; group++) {
    const size_t at = group * size, from = at % channels;
    const real *x = p->x + at;
    double sum = 0, square = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < size; i++) sum += (double)x[i];
    const double middle = sum / (double)size;
#pragma omp simd reduction(+ : square)
    for (size_t i = 0; i < size; i++) square += ((double)x[i] - middle) * ((double)x[i] - middle);
    const real mean = (real)middle, variance = (real)(square / (double)size), *w = p->weight, *b = p->bias;
    const real inverse = (real)inverse_of(variance, of);
    p->new_mean[group] = mean;
    p->new_variance[group] = variance;
    real *y = p->out + at;
    if (w && b) {
#pragma omp simd
      for (size_t i = 0; i < size; i++) y[i] = sm_fma((x[i] - mean) * inverse, w[from + i], b[from + i]);
    } else {
#pragma omp simd
      for (size_t i = 0; i < size; i++)
        y[i] = (x[i] - mean) * inverse * (w ? w[from + i] : 1) + (b ? b[from + i] : 0);
    }
  }
}

static void normalise_rows_gradient(const pass *p, size_t item) {
  const sm_normalisation *of = p->of;
  const size_t channels = of->channels, size = channels / of->groups;
  const sm_range range = sm_chunk(of->outer, p->parts, item);
  double *sums = p->sums + item * SUMS * channels;
  memset(sums, 0, SUMS * channels * sizeof *sums);
  for (size_t group = range.first * of->groups; group < range.last * of->groups; group++) {
    const size_t at = group * size, from = at % channels;
    const real *x = p->x + at, *gy = p->gy + at, *w = p->weight, mean = p->mean[group];
    const double inverse = inverse_of(p->variance[group], of), middle = (double)mean;
    double all = 0, along = 0, *sum = sums + from, *product = sum + channels;
    if (p->has_sums) {
#pragma omp simd
      for (size_t i = 0; i < size; i++) {
        sum[i] += (double)gy[i];
        product[i] += (double)gy[i] * ((double)x[i] - middle) * inverse;
      }
    }
#pragma omp simd reduction(+ : all, along)
    for (size_t i = 0; i < size; i++) {
      const double g = (double)gy[i] * (w ? (double)w[from + i] : 1);
      all += g;
      along += g * ((double)x[i] - middle);
    }
    const real slope = (real)inverse, shift = (real)(all / (double)size * inverse);
    const real pull = (real)(along / (double)size * inverse * inverse * inverse);
    real *gx = p->out + at;
#pragma omp simd
    for (size_t i = 0; i < size; i++) {
      const real rest = sm_fma(x[i] - mean, pull, shift);
      gx[i] = sm_fma(gy[i] * (w ? w[from + i] : 1), slope, -rest);
    }
  }
}

/* ---- passes ---- */

typedef struct step {
  const pass *p;
  void (*f)(const pass *p, size_t item);
} step;

static void chunk_of_items(const void *work, size_t chunk) {
  const step *s = work;
  const sm_range range = sm_chunk(s->p->items, s->p->chunks, chunk);
  for (size_t item = range.first; item < range.last; item++) s->f(s->p, item);
}

static void each_item(const pass *p, void (*f)(const pass *p, size_t item)) {
  sm_parallel(p->chunks, p->of->outer * p->of->rows * p->of->channels, chunk_of_items, &(step){p, f});
}

static void each_outer(const pass *p, sm_task *task) {
  sm_parallel(p->of->outer, p->of->outer * p->parts * p->of->channels, task, p);
}

/* gw and gb from the sums of all parts, or of every `outer`, added in their order. */
static void sum_parameters(real *gw, real *gb, const pass *p) {
  const size_t channels = p->of->channels, apart = SUMS * channels * (has_single_rows(p->of) ? 1 : p->parts);
  const size_t count = has_single_rows(p->of) ? p->parts : p->of->outer;
  for (size_t k = 1; k < count; k++) {
    for (size_t i = 0; i < SUMS * channels; i++) p->sums[i] += p->sums[k * apart + i];
  }
  for (size_t i = 0; i < channels; i++) {
    if (gb) gb[i] = (real)p->sums[i];
    if (gw) gw[i] = (real)p->sums[channels + i];
  }
}

static bool is_empty(const sm_normalisation *of) { return of->outer == 0 || of->rows == 0 || of->channels == 0; }

void sm_normalise_forward(real *y, real *mean, real *variance, const real *x, const real *weight, const real *bias,
                          const sm_normalisation *of, void *scratch) {
  pass p = {.out = y, .new_mean = mean, .mean = mean, .new_variance = variance, .variance = variance, .x = x,
            .weight = weight, .bias = bias};
  if (is_empty(of)) {
    for (size_t i = 0; i < of->outer * of->groups; i++) mean[i] = variance[i] = NAN;
    return;
  }
  prepare(&p, of, scratch);
  if (has_single_rows(of)) {
    each_item(&p, normalise_rows);
    return;
  }
  each_item(&p, add_up_squares);
  each_outer(&p, describe);
  each_item(&p, apply);
}

void sm_normalise_backward(real *gx, real *gw, real *gb, const real *gy, const real *x, const real *mean,
                           const real *variance, const real *weight, const sm_normalisation *of, void *scratch) {
  const size_t channels = of->channels;
  pass p = {.out = gx, .gy = gy, .x = x, .mean = mean, .variance = variance, .weight = weight, .has_sums = gw || gb};
  if (is_empty(of)) {
    if (gw) memset(gw, 0, channels * sizeof *gw);
    if (gb) memset(gb, 0, channels * sizeof *gb);
    return;
  }
  prepare(&p, of, scratch);
  if (has_single_rows(of)) {
    each_item(&p, normalise_rows_gradient);
  } else {
    each_outer(&p, spread_means);
    each_item(&p, add_up_gradients);
    each_outer(&p, describe_gradient);
    each_item(&p, apply_gradient);
  }
  if (p.has_sums) sum_parameters(gw, gb, &p);
}
