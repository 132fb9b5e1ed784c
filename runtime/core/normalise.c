#include <string.h>

#include "core/math.h"
#include "core/normalise_pass.h"

enum { MOST_PIECES = 64 /* that sums are cut into, unless there are more `outer` */ };

/* Whether rows, or single rows, are a batch's, and go by parts. */
static bool by_parts(const sm_normalisation *of) { return of->batch || has_single_rows(of); }

/* How many pieces the rows of each `outer` are cut into; or, where these are single rows, all of them together. By the
   batch of all ranks. */
static size_t pieces_of(const sm_normalisation *of) {
  const bool single = has_single_rows(of);
  const sm_parts now = sm_parts_now();
  const size_t outer = sm_all_rows(of->outer);
  size_t rows = single ? outer : of->batch ? sm_all_rows(of->rows) : of->rows;
  size_t most = by_parts(of) || of->outer < 1 ? MOST_PIECES : (MOST_PIECES + outer - 1) / outer;
  size_t pieces = sm_blocks(rows * of->channels);
  if (pieces > most) pieces = most;
  if (pieces > rows) pieces = rows;
  if (by_parts(of)) pieces /= now.parts * now.ranks;
  return (pieces < 1 ? 1 : pieces) * (by_parts(of) ? now.parts : 1);
}

/* Where channels do not fill vectors, so many rows are seen as one that they do, unless that becomes too wide or leaves
   few rows. Then every factor stands there for each of these rows. */
static size_t width_of(const sm_normalisation *of) {
  enum { WIDEST = 1024, FEWEST = 16 };
  size_t together = 1;
  while (together < SM_VECTOR && together * of->channels % SM_VECTOR != 0) together *= 2;
  const size_t rows = of->batch ? sm_all_rows(of->rows) : of->rows;
  const bool fits = rows / FEWEST >= together && of->channels <= WIDEST / together;
  return fits ? together * of->channels : of->channels;
}

bool sm_normalise_scratch(size_t *bytes, const sm_normalisation *of) {
  size_t channels, sums, spare, factors;
  if (!sm_multiply(&channels, width_of(of), has_single_rows(of) ? 1 : of->outer)) return false;
  if (!sm_multiply(&sums, channels, pieces_of(of))) return false;
  if (!sm_multiply(&sums, sums, SUMS * sizeof(double))) return false;
  if (!sm_multiply(&spare, of->batch ? of->channels : 0, SUMS * sizeof(double))) return false;
  if (!sm_multiply(&factors, channels, (of->batch ? sm_parts_now().parts : 1) * FACTORS * sizeof(real))) return false;
  if (sums > PTRDIFF_MAX / 4 || spare > PTRDIFF_MAX / 4 || factors > PTRDIFF_MAX / 4) return false;
  *bytes = sums + spare + factors;
  return true;
}

static void prepare(pass *p, double relu, const sm_normalisation *of, void *scratch) {
  const size_t width = width_of(of), channels = width * (has_single_rows(of) ? 1 : of->outer);
  const size_t blocks = sm_blocks(of->outer * of->rows * of->channels);
  p->of = of;
  p->relu = relu > 0;
  p->limited = p->relu && relu < (double)INFINITY;
  p->limit = (real)relu;
  p->width = width;
  p->parts = by_parts(of) ? sm_parts_now().parts : 1;
  p->pieces = pieces_of(of);
  p->sharing = p->pieces;
  p->items = has_single_rows(of) ? p->pieces : p->pieces * of->outer;
  p->chunks = p->items < blocks ? p->items : blocks;
  p->sums = scratch;
  p->spare = p->sums + channels * p->pieces * SUMS;
  p->factors = (real *)(p->spare + (of->batch ? SUMS * of->channels : 0));
}

/* ---- groups of many rows: sums of parts, factors, a last pass ---- */

/* A factor of each channel, for all rows that are seen as one. */
static void repeat(const pass *p, real *factor) {
  for (size_t i = p->of->channels; i < p->width; i++) factor[i] = factor[i - p->of->channels];
}

/* The sums of the first of some pieces become those of all, added in their order. */
static double *total_of(const pass *p, size_t first, size_t pieces) {
  const size_t count = SUMS * p->width;
  double *sums = p->sums + first * count;
  for (size_t piece = 1; piece < pieces; piece++) {
    for (size_t i = 0; i < count; i++) sums[i] += sums[piece * count + i];
  }
  return sums;
}

/* The first row of an `outer`, or of a part, in the mean's place. */
static void describe_first(const void *work, size_t number) {
  const pass *p = work;
  const sm_range rows = p->of->batch ? sm_part(p->of->rows, p->parts, number) : (sm_range){number * p->of->rows, 0};
  real *factors = p->factors + number * FACTORS * p->width;
  if (p->of->batch && rows.first == rows.last) return; /* nothing reads it */
  memcpy(factors, p->x + rows.first * p->of->channels, p->of->channels * sizeof *factors);
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
  const double *sum = total_of(p, outer * p->pieces, p->pieces), *square = sum + p->width, rows = (double)of->rows;
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

/* Part number `part` of a batch: its sums become its means, and the sums of the squared distances from them. */
static void describe_part(const void *work, size_t part) {
  const pass *p = work;
  const size_t each = p->pieces / p->parts;
  const sm_range range = sm_part(p->of->rows, p->parts, part);
  const double rows = (double)(range.last - range.first);
  double *sum = total_of(p, part * each, each), *square = sum + p->width;
  const real *first = p->x + range.first * p->of->channels;
  for (size_t i = 0; i < p->of->channels && rows > 0; i++) {
    const double within = square[i] - sum[i] * (sum[i] / rows); /* rounding may leave it below 0 */
    sum[i] = (double)first[i] + sum[i] / rows;
    square[i] = within < 0 ? 0 : within;
  }
}

/* The factors of gx = gy * slope - shift - (x - mean) * pull, from the sums of `rows` rows of an `outer`, of which the
   second of a channel becomes that of gy * z. */
static void describe_gradient_of(const pass *p, size_t outer, double *sum, double *product, double rows) {
  const sm_normalisation *of = p->of;
  const size_t channels = of->channels, size = channels / of->groups;
  const double count = rows * (double)size;
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

static void describe_gradient(const void *work, size_t outer) {
  const pass *p = work;
  double *sum = total_of(p, outer * p->pieces, p->pieces);
  describe_gradient_of(p, outer, sum, sum + p->width, (double)p->of->rows);
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
  sm_compute(p->chunks, p->of->outer * p->of->rows * p->of->channels, chunk_of_items, &(step){p, f});
}

/* From the last on, which a pass before has read last. */
static void each_item_backwards(const pass *p, void (*f)(const pass *p, size_t item)) {
  sm_compute_backwards(p->chunks, p->of->outer * p->of->rows * p->of->channels, chunk_of_items, &(step){p, f});
}

static void each_outer(const pass *p, sm_task *task) {
  sm_compute(p->of->outer, p->of->outer * p->pieces * p->of->channels, task, p);
}

/* gw and gb from the sums of pieces, of which single rows have each, or of every `outer`: by parts. Those of a batch
   are the first piece's of each part. */
static void sum_parameters(real *gw, real *gb, const pass *p) {
  const size_t channels = p->of->channels, parts = sm_parts_now().parts, each = p->pieces / p->parts;
  const size_t apart = SUMS * p->width * (has_single_rows(p->of) ? 1 : p->of->batch ? each : p->pieces);
  const size_t count = has_single_rows(p->of) ? p->pieces : p->of->batch ? p->parts : p->of->outer;
  for (int k = 0; k < SUMS; k++) {
    real *out = k == 0 ? gb : gw;
    for (size_t first = 0, width; out && first < channels; first += width) {
      real sums[SM_PARTS * SM_LINE];
      width = channels - first < SM_LINE ? channels - first : SM_LINE;
      for (size_t part = 0; part < parts; part++) {
        const sm_range range = has_single_rows(p->of) ? (sm_range){part * each, (part + 1) * each}
                                                      : sm_part(count, parts, part);
        for (size_t i = 0; i < width; i++) {
          double sum = 0;
          for (size_t at = range.first; at < range.last; at++) sum += p->sums[at * apart + k * p->width + first + i];
          sums[part * width + i] = (real)sum;
        }
      }
      sm_add_parts(sums, parts, width);
      memcpy(out + first, sums, width * sizeof *sums);
    }
  }
}

static bool is_empty(const sm_normalisation *of) { return of->outer == 0 || of->rows == 0 || of->channels == 0; }

/* The sums of each part become its statistics, and these, as a tree, those of the first part: of x's rows. */
static const double *statistics_of(pass *p) {
  const size_t each = p->pieces / p->parts;
  p->sharing = each;
  sm_compute(p->parts, p->parts * p->of->channels, describe_first, p);
  each_item(p, sm_normalise_squares);
  sm_compute(p->parts, p->pieces * p->of->channels, describe_part, p);
  p->sharing = p->pieces;
  double *of_parts = p->sums;
  const size_t apart = each * SUMS * p->width;
  for (size_t distance = 1; distance < p->parts; distance *= 2) {
    for (size_t part = 0; part + distance < p->parts; part += 2 * distance) {
      const size_t first = sm_part(p->of->rows, p->parts, part).first;
      const size_t middle = sm_part(p->of->rows, p->parts, part + distance).first;
      const size_t last = sm_part(p->of->rows, p->parts, part + 2 * distance - 1).last;
      sm_normalise_merge_two(of_parts + part * apart, of_parts + (part + distance) * apart, p->width, middle - first,
                             last - middle, p->of->channels);
    }
  }
  return of_parts;
}

void sm_normalise_statistics(double *statistics, const real *x, const sm_normalisation *of, void *scratch) {
  pass p = {.x = x};
  prepare(&p, 0, of, scratch);
  const double *found = statistics_of(&p);
  for (int k = 0; k < SUMS; k++)
    memcpy(statistics + k * of->channels, found + k * p.width, of->channels * sizeof *found);
}

void sm_normalise_forward(real *y, real *mean, real *variance, const real *x, const real *weight, const real *bias,
                          const real *beside, double relu, const double *statistics, const sm_normalisation *of,
                          void *scratch) {
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
  if (of->batch) {
    const size_t ranks = statistics ? sm_parts_now().ranks : 1, apart = statistics ? of->channels : p.width;
    if (!statistics) statistics = statistics_of(&p);
    for (size_t i = 0; i < of->channels; i++) {
      mean[i] = (real)statistics[i];
      variance[i] = (real)(statistics[apart + i] / (double)(of->rows * ranks));
    }
    describe(&p, 0);
  } else {
    each_outer(&p, describe_first);
    each_item(&p, sm_normalise_squares);
    each_outer(&p, describe_sums);
  }
  each_item_backwards(&p, sm_normalise_apply);
}

/* The first half of a batch's backward pass. */
static void sum_batch(pass *p, real *gw, real *gb, double *sums) {
  const size_t channels = p->of->channels, each = p->pieces / p->parts;
  each_item(p, sm_normalise_gradients);
  for (size_t part = 0; part < p->parts; part++) total_of(p, part * each, each);
  for (size_t i = 0; i < SUMS * channels; i++) {
    double of_parts[SM_PARTS];
    for (size_t part = 0; part < p->parts; part++)
      of_parts[part] = p->sums[part * each * SUMS * p->width + i / channels * p->width + i % channels];
    sm_add_parts_double(of_parts, p->parts, 1);
    sums[i] = of_parts[0];
  }
  for (size_t part = 0; part < p->parts; part++) {
    double *product = p->sums + part * each * SUMS * p->width + p->width;
    for (size_t i = 0; i < channels; i++) product[i] *= inverse_of(p->variance[i], p->of);
  }
  if (gw || gb) sum_parameters(gw, gb, p);
}

void sm_normalise_backward(real *gx, real *gw, real *gb, real *passed, const real *gy, const real *x, const real *y,
                           const real *mean, const real *variance, const real *weight, const real *bias, double relu,
                           double *sums, const sm_normalisation *of, void *scratch) {
  const size_t channels = of->channels;
  pass p = {.out = gx, .passed = passed, .gy = gy, .x = x, .y = y, .mean = mean, .variance = variance,
            .weight = weight, .bias = bias, .has_sums = gw || gb};
  if (is_empty(of)) {
    if (gw) memset(gw, 0, channels * sizeof *gw);
    if (gb) memset(gb, 0, channels * sizeof *gb);
    for (size_t i = 0; sums && !gx && i < SUMS * channels; i++) sums[i] = 0;
    return;
  }
  prepare(&p, relu, of, scratch);
  if (has_single_rows(of)) {
    each_item(&p, sm_normalise_rows_gradient);
    if (p.has_sums) sum_parameters(gw, gb, &p);
    return;
  }
  each_outer(&p, describe);
  if (!of->batch) {
    each_item(&p, sm_normalise_gradients);
    each_outer(&p, describe_gradient);
    if (p.has_sums) sum_parameters(gw, gb, &p);
  } else {
    double *const own = p.spare;
    if (!sums || !gx) sum_batch(&p, gw, gb, sums ? sums : own);
    if (!gx) return;
    const size_t ranks = sums ? sm_parts_now().ranks : 1;
    if (sums) memcpy(own, sums, SUMS * channels * sizeof *own);
    describe_gradient_of(&p, 0, own, own + channels, (double)(of->rows * ranks));
  }
  each_item_backwards(&p, sm_normalise_apply_gradient);
}

void sm_normalise_follow(real *running, const real *batch, double keep, size_t n) {
  for (size_t i = 0; i < n; i++) running[i] = (real)(keep * (double)running[i] + (1 - keep) * (double)batch[i]);
}
