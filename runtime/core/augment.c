#include "core/augment.h"

#include <math.h>
#include <string.h>

#include "core/math.h"
#include "core/parallel.h"
#include "core/philox.h"

enum {
  TILE = 32,     /* columns that are worked on at once */
  BORDER = 3,    /* pixels of fill around an image on an axis: one before it and two behind */
  SIGMAS = 3     /* where the Gaussian ends */
};

static size_t rounded_up(size_t count, size_t unit) { return (count + unit - 1) / unit * unit; }

/* What a thread works with, in bytes from its own scratch; before the first thread's lie the Gaussian's weights. */
typedef struct places {
  size_t image;     /* real (height + BORDER, width + BORDER, channels): the image in a frame of fill */
  size_t words;     /* uint32_t (2, height, width): the field as it is drawn */
  size_t line;      /* real: a row of it between as many zeros as the Gaussian has weights on a side */
  size_t rows;      /* real (height, stride): smoothed along the rows */
  size_t field;     /* real (2, height, stride) */
  size_t own;       /* all of it */
  size_t weights;
} places;

static bool has_field(const sm_augment *of) { return of->alpha > 0; }

static bool is_moved(const sm_augment *of) {
  return has_field(of) || of->down != 0 || of->right != 0 || of->flip_vertical || of->flip_horizontal ||
         of->least_angle != 0 || of->most_angle != 0 || of->least_scale != 1 || of->most_scale != 1;
}

static size_t stride_of(const sm_augment *of) { return rounded_up(of->width, TILE); }

/* The weights of the Gaussian beside its middle that any two pixels of an image are apart. */
static size_t reach_of(const sm_augment *of) {
  size_t reach = (size_t)ceil(SIGMAS * of->sigma), larger = of->height > of->width ? of->height : of->width;
  return reach < larger ? reach : larger;
}

static places places_of(const sm_augment *of) {
  places p = {0};
  if (!is_moved(of)) return p;
  p.own = rounded_up((of->height + BORDER) * (of->width + BORDER) * of->channels * sizeof(real), SM_ALIGNMENT);
  if (!has_field(of)) return p;
  const size_t plane = of->height * stride_of(of) * sizeof(real), reach = reach_of(of);
  p.words = p.own;
  p.line = p.words + rounded_up(2 * of->height * of->width * sizeof(uint32_t) + SM_RNG_TILE * sizeof(uint32_t),
                                SM_ALIGNMENT);
  p.rows = p.line + rounded_up((2 * reach + stride_of(of)) * sizeof(real), SM_ALIGNMENT);
  p.field = p.rows + plane;
  p.own = p.field + 2 * plane;
  p.weights = rounded_up((reach + 1) * sizeof(real), SM_ALIGNMENT);
  return p;
}

bool sm_augment_scratch(size_t *bytes, const sm_augment *of) {
  size_t pixels, elements;
  if (!sm_multiply(&pixels, of->height + BORDER, of->width + BORDER) ||
      !sm_multiply(&elements, pixels, of->channels) || pixels > INT32_MAX || elements > INT32_MAX)
    return false;
  places p = places_of(of);
  return sm_multiply(bytes, sm_workers(sm_batch_chunks(of->count)), p.own) && (*bytes += p.weights) >= p.weights;
}

typedef struct augmenting {
  real *out;
  const real *x, *numbers;
  const sm_rng *rng;
  const real *weights;
  char *scratch;
  const sm_augment *of;
  places at;
} augmenting;

/* ---- the field ---- */

/* weights[k] = that of the Gaussian k pixels from its middle. */
static void fill_weights(real *weights, const sm_augment *of) {
  const size_t reach = reach_of(of), whole = (size_t)ceil(SIGMAS * of->sigma);
  double sum = 1;
  for (size_t k = 1; k <= whole; k++) sum += 2 * exp(-0.5 * (double)(k * k) / (of->sigma * of->sigma));
  for (size_t k = 0; k <= reach; k++)
    weights[k] = (real)(exp(-0.5 * (double)(k * k) / (of->sigma * of->sigma)) / sum);
}

static void draw_field(uint32_t *word, const sm_rng *rng, size_t first, size_t count) {
  const uint64_t block = (rng->offset + first) / SM_RNG_WORDS;
  for (size_t done = 0; done < count; done += SM_RNG_TILE) {
    const uint32_t attempt = (uint32_t)(done / SM_RNG_WORDS) + 1;
#pragma omp simd
    for (uint32_t i = 0; i < SM_RNG_TILE_BLOCKS; i++)
      sm_draw_block(word + done + SM_RNG_WORDS * i, rng, block, attempt + i);
  }
}

/* out[j] = the sum of weights[|k|] in[j + k step] over k = from … to, for TILE columns. */
static inline void smooth_tile(real *out, const real *in, const real *weights, ptrdiff_t step, ptrdiff_t from,
                               ptrdiff_t to) {
  real sum[TILE] = {0};
  for (ptrdiff_t k = from; k <= to; k++) {
    const real weight = weights[k < 0 ? -k : k], *row = in + k * step;
#pragma omp simd
    for (size_t j = 0; j < TILE; j++) sum[j] = sm_fma(weight, row[j], sum[j]);
  }
  memcpy(out, sum, sizeof sum);
}

/* field (height, stride) = one axis of alpha d, from its words (height, width). */
static void smooth(real *field, const uint32_t *word, const augmenting *work, char *own) {
  const sm_augment *of = work->of;
  const size_t stride = stride_of(of);
  const ptrdiff_t reach = (ptrdiff_t)reach_of(of), height = (ptrdiff_t)of->height;
  const real unit = (real)(of->alpha * 0x1p-31);
  real *rows = (real *)(own + work->at.rows), *line = (real *)(own + work->at.line), *middle = line + reach;
  memset(line, 0, ((size_t)(2 * reach) + stride) * sizeof *line);
  for (ptrdiff_t y = 0; y < height; y++) {
    const uint32_t *drawn = word + (size_t)y * of->width;
#pragma omp simd
    for (size_t j = 0; j < of->width; j++) middle[j] = unit * (real)(int32_t)drawn[j];
    for (size_t first = 0; first < stride; first += TILE)
      smooth_tile(rows + (size_t)y * stride + first, middle + first, work->weights, 1, -reach, reach);
  }
  for (ptrdiff_t y = 0; y < height; y++) {
    const ptrdiff_t from = y < reach ? -y : -reach, below = height - 1 - y, to = below < reach ? below : reach;
    for (size_t first = 0; first < stride; first += TILE) {
      const size_t at = (size_t)y * stride + first;
      smooth_tile(field + at, rows + at, work->weights, (ptrdiff_t)stride, from, to);
    }
  }
}

/* ---- the sampling ---- */

/* Where a pixel comes from, in the framed image: origin + turn (row, column). */
typedef struct placing {
  real turn[2][2], origin[2];
} placing;

static placing placing_of(const real *number, const sm_augment *of) {
  const double angle = of->least_angle + (double)number[SM_AUGMENT_ROTATION] * (of->most_angle - of->least_angle);
  const double scale = of->least_scale + (double)number[SM_AUGMENT_SCALE] * (of->most_scale - of->least_scale);
  const bool flip = number[SM_AUGMENT_FLIP] < (real)0.5;
  const double over = (flip && of->flip_vertical ? -1 : 1) / scale;
  const double across = (flip && of->flip_horizontal ? -1 : 1) / scale;
  const double centre[2] = {0.5 * (double)(of->height - 1), 0.5 * (double)(of->width - 1)};
  const double from[2] = {centre[0] + of->down * (2 * (double)number[SM_AUGMENT_DOWN] - 1),
                          centre[1] + of->right * (2 * (double)number[SM_AUGMENT_RIGHT] - 1)};
  const double turn[2][2] = {{over * cos(angle), over * sin(angle)}, {across * -sin(angle), across * cos(angle)}};
  placing p;
  for (int axis = 0; axis < 2; axis++) {
    for (int other = 0; other < 2; other++) p.turn[axis][other] = (real)turn[axis][other];
    p.origin[axis] = (real)(centre[axis] + 1 - turn[axis][0] * from[0] - turn[axis][1] * from[1]);
  }
  return p;
}

/* framed (height + BORDER, width + BORDER, channels) = x (height, width, channels) in a frame of fill */
static void frame(real *framed, const real *x, const sm_augment *of) {
  const size_t row = of->width * of->channels, before = of->channels, behind = 2 * of->channels;
  const real fill = (real)of->fill;
  real *to = framed;
  for (size_t y = 0; y < of->height + BORDER; y++) {
    const bool is_inside = y > 0 && y <= of->height;
    for (size_t i = 0; i < (is_inside ? before : before + row + behind); i++) *to++ = fill;
    if (!is_inside) continue;
    memcpy(to, x + (y - 1) * row, row * sizeof *to);
    to += row;
    for (size_t i = 0; i < behind; i++) *to++ = fill;
  }
}

/* What is no number, as 0; for what is behind it, the last place that has a neighbour. */
static inline real within(real place, real last) {
  place = place > 0 ? place : 0;
  return place < last ? place : last;
}

static inline real between(real a, real b, real share) { return sm_fma(share, b - a, a); }

/* A row's columns first … first + count - 1, of at most TILE; displaced (2, TILE). */
static inline void sample_tile(real *out, const real *framed, const placing *p, const real *down, const real *right,
                               size_t row, size_t first, size_t count, size_t channels, const sm_augment *of) {
  const size_t width = of->width + BORDER, step = width * channels;
  const real last_row = (real)(of->height + 1), last_column = (real)(of->width + 1);
  int32_t index[TILE];
  real below[TILE], beside[TILE];
#pragma omp simd
  for (int32_t j = 0; j < TILE; j++) {
    const real y = (real)row + down[j], x = (real)((int32_t)first + j) + right[j];
    const real at_y = within(sm_fma(p->turn[0][0], y, sm_fma(p->turn[0][1], x, p->origin[0])), last_row);
    const real at_x = within(sm_fma(p->turn[1][0], y, sm_fma(p->turn[1][1], x, p->origin[1])), last_column);
    const int32_t whole_y = (int32_t)at_y, whole_x = (int32_t)at_x;
    below[j] = at_y - (real)whole_y;
    beside[j] = at_x - (real)whole_x;
    index[j] = (whole_y * (int32_t)width + whole_x) * (int32_t)channels;
  }
  for (size_t c = 0; c < channels; c++) {
#pragma omp simd
    for (size_t j = 0; j < count; j++) {
      const real *from = framed + index[j] + c;
      const real above = between(from[0], from[channels], beside[j]);
      const real under = between(from[step], from[step + channels], beside[j]);
      out[j * channels + c] = between(above, under, below[j]);
    }
  }
}

static void sample(real *out, const real *framed, const real *field, const real *number, const sm_augment *of) {
  static const real still[TILE];
  const placing p = placing_of(number, of);
  const size_t stride = stride_of(of), channels = of->channels;
  for (size_t y = 0; y < of->height; y++) {
    for (size_t first = 0; first < of->width; first += TILE) {
      const size_t left = of->width - first, count = left < TILE ? left : TILE;
      const real *down = field ? field + y * stride + first : still;
      const real *right = field ? down + of->height * stride : still;
      real *to = out + (y * of->width + first) * channels;
      if (channels == 1) sample_tile(to, framed, &p, down, right, y, first, count, 1, of);
      else sample_tile(to, framed, &p, down, right, y, first, count, channels, of);
    }
  }
}

/* ---- the square ---- */

/* The part of `side` pixels around a place that lies on an axis of `size`. */
static sm_range covered(real number, size_t side, size_t size) {
  const size_t middle = number > 0 && number < 1 ? (size_t)((double)number * (double)size) : 0;
  const size_t before = side / 2, end = middle + side - before;
  return (sm_range){middle < before ? 0 : middle - before, end < size ? end : size};
}

static void cut_out(real *out, const real *number, const sm_augment *of) {
  const sm_range rows = covered(number[SM_AUGMENT_ROW], of->cutout, of->height);
  const sm_range columns = covered(number[SM_AUGMENT_COLUMN], of->cutout, of->width);
  for (size_t y = rows.first; y < rows.last; y++) {
    real *row = out + y * of->width * of->channels;
    for (size_t i = columns.first * of->channels; i < columns.last * of->channels; i++) row[i] = (real)of->fill;
  }
}

static void augment_chunk(const void *given, size_t chunk) {
  const augmenting *work = given;
  const sm_augment *of = work->of;
  const size_t elements = of->height * of->width * of->channels;
  const sm_range range = sm_chunk(of->count, sm_batch_chunks(of->count), chunk);
  char *own = work->scratch + (size_t)sm_thread_index() * work->at.own;
  real *framed = (real *)(own + work->at.image), *field = has_field(of) ? (real *)(own + work->at.field) : NULL;
  uint32_t *words = (uint32_t *)(own + work->at.words);
  for (size_t i = range.first; i < range.last; i++) {
    const real *x = work->x + i * elements, *number = work->numbers + i * SM_AUGMENT_NUMBERS;
    real *out = work->out + i * elements;
    if (field) {
      const size_t pixels = of->height * of->width;
      draw_field(words, work->rng, i * SM_AUGMENT_NUMBERS, 2 * pixels);
      smooth(field, words, work, own);
      smooth(field + of->height * stride_of(of), words + pixels, work, own);
    }
    if (is_moved(of)) {
      frame(framed, x, of);
      sample(out, framed, field, number, of);
    } else {
      memcpy(out, x, elements * sizeof *out);
    }
    if (of->cutout > 0) cut_out(out, number, of);
  }
}

void sm_augment_images(real *out, const real *x, const real *numbers, const sm_rng *rng, void *scratch,
                       const sm_augment *of) {
  const size_t elements = of->count * of->height * of->width * of->channels;
  if (elements == 0) return;
  const places at = places_of(of);
  if (has_field(of)) fill_weights(scratch, of);
  const augmenting work = {.out = out, .x = x, .numbers = numbers, .rng = rng, .weights = scratch,
                           .scratch = (char *)scratch + at.weights, .of = of, .at = at};
  sm_parallel(sm_batch_chunks(of->count), SM_LARGE, augment_chunk, &work);
}
