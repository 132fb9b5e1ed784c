#include <string.h>

#include "core/math.h"
#include "core/normalise_pass.h"
#include "core/parallel.h"

enum { MOST_PARTS = 64 /* that sums are cut into, unless there are more `outer` */ };

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

/* Where channels do not fill vectors, so many rows are seen as one that they do, unless that becomes too wide or leaves
   few rows. Then every factor stands there for each of these rows. */
static size_t width_of(const sm_normalisation *of) {
  enum { WIDEST = 1024, FEWEST = 16 };
  size_t together = 1;
  while (together < SM_VECTOR && together * of->channels % SM_VECTOR != 0) together *= 2;
  const bool fits = of->rows / FEWEST >= together && of->channels <= WIDEST / together;
  return fits ? together * of->channels : of->channels;
}

bool sm_normalise_scratch(size_t *bytes, const sm_normalisation *of) {
  size_t channels, sums, factors;
  if (!sm_multiply(&channels, width_of(of), has_single_rows(of) ? 1 : of->outer)) return false;
  if (!sm_multiply(&sums, channels, parts_of(of))) return false;
  if (!sm_multiply(&sums, sums, SUMS * sizeof(double))) return false;
  if (!sm_multiply(&factors, channels, FACTORS * sizeof(real))) return false;
  *bytes = sums + factors;
  return *bytes >= sums && *bytes <= PTRDIFF_MAX;
}

static void prepare(pass *p, double relu, const sm_normalisation *of, void *scratch) {
  const size_t width = width_of(of), channels = width * (has_single_rows(of) ? 1 : of->outer);
  const size_t blocks = sm_blocks(of->outer * of->rows * of->channels);
  p->of = of;
  p->relu = relu > 0;
  p->limited = p->relu && relu < (double)INFINITY;
  p->limit = (real)relu;
  p->width = width;
  p->parts = parts_of(of);
  p->items = has_single_rows(of) ? p->parts : p->parts * of->outer;
  p->chunks = p->items < blocks ? p->items : blocks;
  p->sums = scratch;
  p->factors = (real *)(p->sums + channels * p->parts * SUMS);
}

/* ---- groups of many rows: sums of parts, factors, a last pass ---- */

/* The rows of item number `item`: part item % parts of outer item / parts. */
static sm_range rows_of(const pass *p, size_t item) {
  return sm_chunk(p->of->rows, p->parts, item % p->parts);
}

/* n <= SM_VECTOR sums, and zeros. */
SM_INLINE void load_sums(wide to[WIDES], const double *sum, size_t n) {
  if (n == SM_VECTOR) {
    for (int part = 0; part < WIDES; part++) to[part] = *(const wide *)(sum + part * WIDE);
  } else {
    memset(to, 0, WIDES * sizeof *to);
    memcpy(to, sum, n * sizeof *sum);
  }
}

SM_INLINE void store_sums(double *sum, const wide from[WIDES], size_t n) { memcpy(sum, from, n * sizeof *sum); }

/* At most SM_VECTOR numbers of each of some rows, which are few enough for the first-level cache. */
typedef struct panel {
  size_t at;         /* the element that is the first of them */
  size_t rows, step; /* step: from a row to the next */
  const real *factor; /* of the first, in (FACTORS, width) */
  double *sum;        /* of the first, in (SUMS, width) */
} panel;

typedef void panel_task(const pass *p, const panel *at, size_t n);

/* Factor number `which` of a panel. */
SM_INLINE sm_vector factor_of(const pass *p, const panel *at, int which, size_t n) {
  return sm_vector_load(at->factor + which * p->width, n);
}

/* Goes through `rows` rows of `width` numbers each from an element on, a panel after the other. */
SM_INLINE void each_panel(const pass *p, size_t item, size_t first, size_t rows, size_t width, panel_task *task) {
  enum { FEW = 4096 }; /* elements */
  const size_t most = width < FEW ? FEW / width : 1;
  panel at = {.step = width};
  for (; rows > 0; rows -= at.rows, first += at.rows * width) {
    at.rows = rows < most ? rows : most;
    for (size_t c = 0; c < width; c += SM_VECTOR) {
      at.at = first + c;
      at.factor = p->factors + item / p->parts * FACTORS * p->width + c;
      at.sum = p->sums + item * SUMS * p->width + c;
      if (width - c >= SM_VECTOR) task(p, &at, SM_VECTOR);
      else task(p, &at, width - c);
    }
  }
}

/* The same of all rows of an item. */
SM_INLINE void each_row(const pass *p, size_t item, panel_task *task) {
  const size_t channels = p->of->channels, together = p->width / channels;
  const sm_range range = rows_of(p, item);
  const size_t rows = range.last - range.first, single = rows % together;
  const size_t first = (item / p->parts * p->of->rows + range.first) * channels;
  each_panel(p, item, first, rows / together, p->width, task);
  each_panel(p, item, first + (rows - single) * channels, single, channels, task);
}

/* The sums of an item by the task, of each channel. */
SM_INLINE void add_up(const pass *p, size_t item, panel_task *task) {
  double *sums = p->sums + item * SUMS * p->width;
  memset(sums, 0, SUMS * p->width * sizeof *sums);
  each_row(p, item, task);
  for (int k = 0; k < SUMS; k++) {
    for (size_t from = p->of->channels; from < p->width; from += p->of->channels) {
      for (size_t i = 0; i < p->of->channels; i++) sums[k * p->width + i] += sums[k * p->width + from + i];
    }
  }
}

/* A factor of each channel, for all rows that are seen as one. */
static void repeat(const pass *p, real *factor) {
  for (size_t i = p->of->channels; i < p->width; i++) factor[i] = factor[i - p->of->channels];
}

/* sums += of x - s and its square, with s the first row of this `outer`: near the mean, so that little is lost. */
SM_INLINE void add_up_squares(const pass *p, const panel *at, size_t n) {
  const size_t rows = at->rows, step = at->step;
  const real *x = p->x + at->at;
  wide sum[WIDES], square[WIDES], s[WIDES];
  load_sums(sum, at->sum, n);
  load_sums(square, at->sum + p->width, n);
  for (int part = 0; part < WIDES; part++) s[part] = widened(factor_of(p, at, MEAN, n), part);
  for (size_t row = 0; row < rows; row++) {
    const sm_vector v = sm_vector_load(x + row * step, n);
    for (int part = 0; part < WIDES; part++) {
      const wide d = widened(v, part) - s[part];
      sum[part] += d;
      square[part] += d * d;
    }
  }
  store_sums(at->sum, sum, n);
  store_sums(at->sum + p->width, square, n);
}

/* What `apply` adds nothing to. */
SM_INLINE sm_vector normalised(sm_vector x, sm_vector mean, sm_vector slope, sm_vector bias) {
  return sm_vector_fma(x - mean, slope, bias);
}

/* sums += of g, and of g * (x - mean), where g is what relu lets pass of gy; kept in `passed` if something was added
   before relu. */
SM_INLINE void add_up_gradients(const pass *p, const panel *at, size_t n) {
  const size_t rows = at->rows, step = at->step;
  const real *x = p->x + at->at, *gy = p->gy + at->at, *y = p->y ? p->y + at->at : NULL;
  real *passed = p->passed ? p->passed + at->at : NULL;
  const bool relu = p->relu && !y, limited = p->limited;
  const real limit = p->limit;
  const sm_vector mean = factor_of(p, at, MEAN, n), slope = factor_of(p, at, SLOPE, n);
  const sm_vector bias = factor_of(p, at, BIAS, n);
  wide sum[WIDES], product[WIDES];
  load_sums(sum, at->sum, n);
  load_sums(product, at->sum + p->width, n);
  for (size_t row = 0; row < rows; row++) {
    const sm_vector v = sm_vector_load(x + row * step, n);
    sm_vector g = sm_vector_load(gy + row * step, n);
    if (relu) g = masked(passes(normalised(v, mean, slope, bias), limited, limit), g);
    if (y) g = masked(passes(sm_vector_load(y + row * step, n), limited, limit), g);
    if (passed) sm_vector_store(passed + row * step, g, n);
    for (int part = 0; part < WIDES; part++) {
      const wide h = widened(g, part);
      sum[part] += h;
      product[part] += h * widened(v - mean, part);
    }
  }
  store_sums(at->sum, sum, n);
  store_sums(at->sum + p->width, product, n);
}

/* The sums of the first part become those of all parts, added in their order. */
static double *total_of(const pass *p, size_t outer) {
  const size_t count = SUMS * p->width;
  double *sums = p->sums + outer * p->parts * count;
  for (size_t part = 1; part < p->parts; part++) {
    for (size_t i = 0; i < count; i++) sums[i] += sums[part * count + i];
  }
  return sums;
}

/* The first row of an `outer` in the mean's place. */
static void describe_first(const void *work, size_t outer) {
  const pass *p = work;
  real *factors = p->factors + outer * FACTORS * p->width;
  memcpy(factors, p->x + outer * p->of->rows * p->of->channels, p->of->channels * sizeof *factors);
  repeat(p, factors);
}

/* The factors of the forward pass. */
static void describe(const void *work, size_t outer) {
  const pass *p = work;
  const sm_normalisation *of = p->of;
  const size_t channels = of->channels, size = channels / of->groups;
  real *factors = p->factors + outer * FACTORS * p->width;
  real *mean = factors + MEAN * p->width, *slope = factors + SLOPE * p->width, *bias = factors + BIAS * p->width;
  for (size_t i = 0; i < channels; i++) {
    const size_t group = outer * of->groups + i / size;
    mean[i] = p->mean[group];
    slope[i] = (real)(inverse_of(p->variance[group], of) * (p->weight ? (double)p->weight[i] : 1));
    bias[i] = p->bias ? p->bias[i] : 0;
  }
  for (int which = MEAN; which <= BIAS; which++) repeat(p, factors + which * p->width);
}

/* Mean and variance of every group of an `outer`, and the factors. */
static void describe_sums(const void *work, size_t outer) {
  const pass *p = work;
  const sm_normalisation *of = p->of;
  const size_t channels = of->channels, size = channels / of->groups;
  const double *sum = total_of(p, outer), *square = sum + p->width, rows = (double)of->rows;
  const real *first = p->x + outer * of->rows * channels;
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
  }
  describe(p, outer);
}

/* The factors of gx = gy * slope - shift - (x - mean) * pull. The second sum of a channel becomes that of gy * z. */
static void describe_gradient(const void *work, size_t outer) {
  const pass *p = work;
  const sm_normalisation *of = p->of;
  const size_t channels = of->channels, size = channels / of->groups;
  double *sum = total_of(p, outer), *product = sum + p->width, count = (double)of->rows * (double)size;
  real *shift = p->factors + (outer * FACTORS + SHIFT) * p->width, *pull = shift + p->width;
  for (size_t group = 0; group < of->groups; group++) {
    const size_t from = group * size, to = from + size;
    const double inverse = inverse_of(p->variance[outer * of->groups + group], of);
    double all = 0, along = 0;
    for (size_t i = from; i < to; i++) {
      const double w = p->weight ? (double)p->weight[i] : 1;
      all += w * sum[i];
      product[i] *= inverse;
      along += w * product[i];
    }
    for (size_t i = from; i < to; i++) {
      shift[i] = (real)(all / count * inverse);
      pull[i] = (real)(along / count * inverse * inverse);
    }
  }
  repeat(p, shift);
  repeat(p, pull);
}

SM_INLINE void apply(const pass *p, const panel *at, size_t n) {
  const size_t rows = at->rows, step = at->step;
  const real *x = p->x + at->at, *beside = p->beside ? p->beside + at->at : NULL;
  real *out = p->out + at->at;
  const bool relu = p->relu, limited = p->limited;
  const real limit = p->limit;
  const sm_vector most = limit - (sm_vector){0};
  const sm_vector mean = factor_of(p, at, MEAN, n), slope = factor_of(p, at, SLOPE, n);
  const sm_vector bias = factor_of(p, at, BIAS, n);
  for (size_t row = 0; row < rows; row++) {
    sm_vector y = normalised(sm_vector_load(x + row * step, n), mean, slope, bias);
    if (beside) y = sm_vector_load(beside + row * step, n) + y;
    if (relu) y = masked(~(y <= 0), y);
    if (limited) y = masked(y >= limit, most) + masked(~(y >= limit), y);
    sm_vector_store(out + row * step, y, n);
  }
}

/* gx from g as add_up_gradients has it. */
SM_INLINE void apply_gradient(const pass *p, const panel *at, size_t n) {
  const size_t rows = at->rows, step = at->step;
  const real *x = p->x + at->at, *gy = (p->passed ? p->passed : p->gy) + at->at;
  real *out = p->out + at->at;
  const bool relu = p->relu && !p->passed, limited = p->limited;
  const real limit = p->limit;
  const sm_vector mean = factor_of(p, at, MEAN, n), slope = factor_of(p, at, SLOPE, n);
  const sm_vector bias = factor_of(p, at, BIAS, n), shift = factor_of(p, at, SHIFT, n);
  const sm_vector pull = factor_of(p, at, PULL, n);
  for (size_t row = 0; row < rows; row++) {
    const sm_vector v = sm_vector_load(x + row * step, n);
    sm_vector g = sm_vector_load(gy + row * step, n);
    if (relu) g = masked(passes(normalised(v, mean, slope, bias), limited, limit), g);
    sm_vector_store(out + row * step, sm_vector_fma(g, slope, -sm_vector_fma(v - mean, pull, shift)), n);
  }
}

static void squares_of_item(const pass *p, size_t item) { add_up(p, item, add_up_squares); }
static void gradients_of_item(const pass *p, size_t item) { add_up(p, item, add_up_gradients); }
static void apply_to_item(const pass *p, size_t item) { each_row(p, item, apply); }
static void apply_gradient_to_item(const pass *p, size_t item) { each_row(p, item, apply_gradient); }

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
  sm_compute(p->chunks, p->of->outer * p->of->rows * p->of->channels, chunk_of_items, &(step){p, f});
}

/* From the last on, which a pass before has read last. */
static void each_item_backwards(const pass *p, void (*f)(const pass *p, size_t item)) {
  sm_compute_backwards(p->chunks, p->of->outer * p->of->rows * p->of->channels, chunk_of_items, &(step){p, f});
}

static void each_outer(const pass *p, sm_task *task) {
  sm_compute(p->of->outer, p->of->outer * p->parts * p->of->channels, task, p);
}

/* gw and gb from the sums of all parts, or of every `outer`, added in their order. */
static void sum_parameters(real *gw, real *gb, const pass *p) {
  const size_t channels = p->of->channels, apart = SUMS * p->width * (has_single_rows(p->of) ? 1 : p->parts);
  const size_t count = has_single_rows(p->of) ? p->parts : p->of->outer;
  for (size_t k = 1; k < count; k++) {
    for (size_t i = 0; i < SUMS * p->width; i++) p->sums[i] += p->sums[k * apart + i];
  }
  for (size_t i = 0; i < channels; i++) {
    if (gb) gb[i] = (real)p->sums[i];
    if (gw) gw[i] = (real)p->sums[p->width + i];
  }
}

static bool is_empty(const sm_normalisation *of) { return of->outer == 0 || of->rows == 0 || of->channels == 0; }

void sm_normalise_forward(real *y, real *mean, real *variance, const real *x, const real *weight, const real *bias,
                          const real *beside, double relu, const sm_normalisation *of, void *scratch) {
  pass p = {.out = y, .new_mean = mean, .mean = mean, .new_variance = variance, .variance = variance, .x = x,
            .weight = weight, .bias = bias, .beside = beside};
  if (is_empty(of)) {
    for (size_t i = 0; i < of->outer * of->groups; i++) mean[i] = variance[i] = NAN;
    return;
  }
  prepare(&p, relu, of, scratch);
  if (has_single_rows(of)) {
    each_item(&p, sm_normalise_rows);
    return;
  }
  each_outer(&p, describe_first);
  each_item(&p, squares_of_item);
  each_outer(&p, describe_sums);
  each_item_backwards(&p, apply_to_item);
}

void sm_normalise_backward(real *gx, real *gw, real *gb, real *passed, const real *gy, const real *x, const real *y,
                           const real *mean, const real *variance, const real *weight, const real *bias, double relu,
                           const sm_normalisation *of, void *scratch) {
  const size_t channels = of->channels;
  pass p = {.out = gx, .passed = passed, .gy = gy, .x = x, .y = y, .mean = mean, .variance = variance,
            .weight = weight, .bias = bias, .has_sums = gw || gb};
  if (is_empty(of)) {
    if (gw) memset(gw, 0, channels * sizeof *gw);
    if (gb) memset(gb, 0, channels * sizeof *gb);
    return;
  }
  prepare(&p, relu, of, scratch);
  if (has_single_rows(of)) {
    each_item(&p, sm_normalise_rows_gradient);
  } else {
    each_outer(&p, describe);
    each_item(&p, gradients_of_item);
    each_outer(&p, describe_gradient);
    each_item_backwards(&p, apply_gradient_to_item);
  }
  if (p.has_sums) sum_parameters(gw, gb, &p);
}

void sm_normalise_follow(real *running, const real *batch, double keep, size_t n) {
  for (size_t i = 0; i < n; i++) running[i] = (real)(keep * (double)running[i] + (1 - keep) * (double)batch[i]);
}
