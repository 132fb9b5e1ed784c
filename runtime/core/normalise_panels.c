#include <string.h>

#include "core/normalise_pass.h"

/* ---- panels: some channels of some rows ---- */

/* The rows of item number `item`: piece item % pieces of outer item / pieces. */
static sm_range rows_of(const pass *p, size_t item) { return piece_of(p, p->of->rows, item % p->pieces); }

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
      at.factor = p->factors + item / p->sharing * FACTORS * p->width + c;
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
  const size_t first = (item / p->pieces * p->of->rows + range.first) * channels;
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

/* ---- what is done with them ---- */

/* sums += of x - s and its square, with s the first row of this `outer` or part: near the mean, so that little is lost.
   */
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

void sm_normalise_squares(const pass *p, size_t item) { add_up(p, item, add_up_squares); }
void sm_normalise_gradients(const pass *p, size_t item) { add_up(p, item, add_up_gradients); }
void sm_normalise_apply(const pass *p, size_t item) { each_row(p, item, apply); }
void sm_normalise_apply_gradient(const pass *p, size_t item) { each_row(p, item, apply_gradient); }
