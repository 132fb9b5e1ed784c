#include "core/reduce.h"

#include <math.h>
#include <string.h>

#include "core/reduce_tile.h"

enum {
  LANES = 64,  /* independent running sums where the inner axes are narrower than that */
  SHORT = 128  /* elements of a row that is added at once, at most */
};

sm_axis sm_axis_of(const sm_shape *shape, int axis) {
  sm_axis along = {1, 1, 1};
  if (axis < 0) {
    along.axis = sm_shape_count(shape);
    return along;
  }
  for (int i = 0; i < shape->rank; i++) {
    if (i < axis)
      along.outer *= shape->size[i];
    else if (i == axis)
      along.axis = shape->size[i];
    else
      along.inner *= shape->size[i];
  }
  return along;
}

/* What is added up: numbers, their squares, or the squares of their differences from a centre. */
typedef enum summand { NUMBERS, SQUARES, DIFFERENCES } summand;

/* sums (width) += the summands of each row of x (rows, width); rows begin `stride` elements apart. centre (width). */
static inline __attribute__((always_inline)) void add_rows(double *sums, const real *x, size_t rows, size_t width,
                                                           size_t stride, summand kind, const double *centre) {
  for (size_t row = 0; row < rows; row++) {
    const real *from = x + row * stride;
#pragma omp simd
    for (size_t i = 0; i < width; i++) {
      double value = kind == DIFFERENCES ? (double)from[i] - centre[i] : (double)from[i];
      sums[i] += kind == NUMBERS ? value : value * value;
    }
  }
}

/* sums (width) = the sum over the rows of x. Where the columns are few and next to each other, a power of two
   of rows is taken as one wide row, which gives enough independent sums to keep the processor busy; halves of
   the wide row are added until one is left. */
static inline __attribute__((always_inline)) void sum_rows_of(double *sums, const real *x, size_t rows, size_t width,
                                                              size_t stride, summand kind, const double *centre) {
  size_t together = 1;
  if (width == stride) {
    while (2 * together * width <= LANES && 8 * together <= rows) together *= 2;
  }
  if (together == 1) {
    memset(sums, 0, width * sizeof *sums);
    add_rows(sums, x, rows, width, stride, kind, centre);
    return;
  }
  double lanes[LANES], centres[LANES];
  size_t wide = together * width, wide_rows = rows / together, rest = rows % together * width;
  memset(lanes, 0, wide * sizeof *lanes);
  for (size_t i = 0; i < wide && kind == DIFFERENCES; i++) centres[i] = centre[i % width];
  add_rows(lanes, x, wide_rows, wide, wide, kind, centres);
  add_rows(lanes, x + wide_rows * wide, 1, rest, rest, kind, centres);
  for (size_t half = wide / 2; half >= width; half /= 2) {
    for (size_t i = 0; i < half; i++) lanes[i] += lanes[half + i];
  }
  memcpy(sums, lanes, width * sizeof *sums);
}

static void sum_rows(double *sums, const real *x, size_t rows, size_t width, size_t stride, summand kind,
                     const double *centre) {
  if (kind == NUMBERS) sum_rows_of(sums, x, rows, width, stride, NUMBERS, centre);
  else if (kind == SQUARES) sum_rows_of(sums, x, rows, width, stride, SQUARES, centre);
  else sum_rows_of(sums, x, rows, width, stride, DIFFERENCES, centre);
}

void sm_sum_rows(double *sums, const real *x, size_t rows, size_t width, size_t stride) {
  sum_rows_of(sums, x, rows, width, stride, NUMBERS, NULL);
}

/* A sum over rows that threads share. */
typedef struct summing {
  double (*partial)[SM_COLUMNS]; /* (chunks) */
  const real *x;
  size_t rows, width, stride, chunks;
  summand kind;
  const double *centre;
} summing;

static void sum_chunk(const void *work, size_t chunk) {
  const summing *of = work;
  sm_range range = sm_chunk(of->rows, of->chunks, chunk);
  sum_rows(of->partial[chunk], of->x + range.first * of->stride, range.last - range.first, of->width, of->stride,
           of->kind, of->centre);
}

/* sums (width) = the sum over the rows of x. Partial sums are added in the order of their chunks. */
static void sum_shared(double *sums, const real *x, size_t rows, size_t width, size_t stride, summand kind,
                       const double *centre) {
  double partial[SM_BATCH_CHUNKS][SM_COLUMNS];
  size_t chunks = sm_partial_chunks(rows, width);
  sm_parallel(chunks, SM_LARGE, sum_chunk, &(summing){partial, x, rows, width, stride, chunks, kind, centre});
  memcpy(sums, partial[0], width * sizeof *sums);
  for (size_t chunk = 1; chunk < chunks; chunk++) {
    for (size_t i = 0; i < width; i++) sums[i] += partial[chunk][i];
  }
}

/* A result of which threads take whole tiles. */
typedef struct tiling {
  real *out, *means;
  const real *x;
  const sm_axis *along;
  double divisor;
  bool root; /* of the sum of squares */
  size_t chunks; /* of short rows */
} tiling;

typedef void summer(double *sums, const real *x, size_t rows, size_t width, size_t stride, summand kind,
                    const double *centre);

/* Tile number `task` of the result: out = sum / divisor, the root of the sum of squares, or the sum of the squared
   differences from the means. */
static void reduce_tile(const tiling *of, size_t task, summer *summed) {
  const sm_axis *along = of->along;
  sm_result_tile tile = sm_tile_of(along, task);
  const real *x = of->x + tile.from;
  real *out = of->out + tile.to;
  double sums[SM_COLUMNS], centre[SM_COLUMNS];
  summed(sums, x, along->axis, tile.width, along->inner, of->root ? SQUARES : NUMBERS, NULL);
  if (of->means) {
    for (size_t i = 0; i < tile.width; i++) {
      centre[i] = sums[i] / (double)along->axis;
      of->means[tile.to + i] = (real)centre[i];
    }
    summed(sums, x, along->axis, tile.width, along->inner, DIFFERENCES, centre);
  }
  for (size_t i = 0; i < tile.width; i++) out[i] = (real)(of->root ? sqrt(sums[i]) : sums[i] / of->divisor);
}

static void sum_tile(const void *work, size_t task) { reduce_tile(work, task, sum_rows); }

/* Short rows, whose numbers are added at once. */
static void sum_short(const void *work, size_t chunk) {
  const tiling *of = work;
  const size_t axis = of->along->axis;
  const sm_range rows = sm_chunk(of->along->outer, of->chunks, chunk);
  for (size_t row = rows.first; row < rows.last; row++) {
    const real *x = of->x + row * axis;
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < axis; i++) sum += (double)x[i];
    of->out[row] = (real)(sum / of->divisor);
  }
}

/* Threads take whole tiles where there are many, and share the axis of each where there are few. */
static void reduce(tiling *work) {
  const sm_axis *along = work->along;
  size_t tasks = sm_tile_count(along), elements = sm_elements_of(along);
  if (along->inner == 1 && along->axis <= SHORT && elements > 0 && !work->root && !work->means) {
    work->chunks = sm_blocks(elements) < along->outer ? sm_blocks(elements) : along->outer;
    sm_parallel(work->chunks, elements, sum_short, work);
    return;
  }
  if (tasks < SM_BATCH_CHUNKS) {
    for (size_t task = 0; task < tasks; task++) reduce_tile(work, task, sum_shared);
  } else {
    sm_parallel(tasks, sm_elements_of(work->along), sum_tile, work);
  }
}

void sm_sum(real *out, const real *x, const sm_axis *along) {
  reduce(&(tiling){.out = out, .x = x, .along = along, .divisor = 1});
}

void sm_mean(real *out, const real *x, const sm_axis *along) {
  reduce(&(tiling){.out = out, .x = x, .along = along, .divisor = (double)along->axis});
}

void sm_norm(real *out, const real *x, const sm_axis *along) {
  reduce(&(tiling){.out = out, .x = x, .along = along, .root = true});
}

void sm_squares(real *out, real *mean, const real *x, const sm_axis *along) {
  reduce(&(tiling){.out = out, .means = mean, .x = x, .along = along, .divisor = 1});
}

/* A gradient on its way back along an axis. */
typedef struct spreading {
  real *gx;
  const real *gy;
  const sm_axis *along;
  real factor;
} spreading;

static void spread_block(const void *work, size_t block) {
  const spreading *of = work;
  const sm_axis *along = of->along;
  const real factor = of->factor;
  size_t image = along->axis * along->inner;
  sm_range range = sm_block(sm_elements_of(along), block);
  if (range.first == range.last) return;
  size_t row = range.first / image, column = along->inner == 1 ? 0 : range.first % along->inner;
  for (size_t first = range.first; first < range.last; column = 0, row += first == (row + 1) * image) {
    size_t left = range.last - first;
    size_t run = along->inner == 1 ? (row + 1) * image - first : along->inner - column;
    if (run > left) run = left;
    const real *from = of->gy + row * along->inner + column;
    real *to = of->gx + first;
    if (along->inner == 1) {
      real value = factor * *from;
      for (size_t i = 0; i < run; i++) to[i] = value;
    } else {
#pragma omp simd
      for (size_t i = 0; i < run; i++) to[i] = factor * from[i];
    }
    first += run;
  }
}

void sm_spread(real *gx, const real *gy, double scale, const sm_axis *along) {
  const spreading work = {.gx = gx, .gy = gy, .along = along, .factor = (real)scale};
  sm_parallel_blocks(sm_elements_of(along), spread_block, &work);
}

/* The axes of `from`, with neighbours merged that `to` repeats alike. */
typedef struct repeats {
  int rank;
  size_t size[SM_MAX_RANK];
  bool repeated[SM_MAX_RANK];
} repeats;

static repeats repeats_of(const sm_shape *to, const sm_shape *from) {
  repeats axes = {0};
  for (int axis = 0; axis < from->rank; axis++) {
    int axis_to = axis - (from->rank - to->rank);
    if (from->size[axis] == 1) continue;
    bool repeated = axis_to < 0 || to->size[axis_to] == 1;
    if (axes.rank > 0 && axes.repeated[axes.rank - 1] == repeated) {
      axes.size[axes.rank - 1] *= from->size[axis];
    } else {
      axes.size[axes.rank] = from->size[axis];
      axes.repeated[axes.rank++] = repeated;
    }
  }
  return axes;
}

/* The outermost repeated axis as (outer, axis, inner), which it then loses, the first after all others; false when none
   is left. */
static bool next_repeat(sm_axis *along, repeats *axes) {
  *along = (sm_axis){1, 1, 1};
  int axis = 0;
  bool others = false;
  for (int i = 1; i < axes->rank; i++) others = others || axes->repeated[i];
  for (; axis < axes->rank && (!axes->repeated[axis] || (axis == 0 && others)); axis++)
    along->outer *= axes->size[axis];
  if (axis == axes->rank) return false;
  along->axis = axes->size[axis];
  axes->size[axis] = 1;
  axes->repeated[axis] = false;
  for (axis++; axis < axes->rank; axis++) along->inner *= axes->size[axis];
  return true;
}

sm_status sm_sum_to(real *out, const real *x, const sm_shape *to, const sm_shape *from, sm_memory *memory,
                    sm_error *error) {
  bool broadcasts = to->rank <= from->rank;
  for (int axis = 0; broadcasts && axis < to->rank; axis++) {
    size_t size = from->size[axis + from->rank - to->rank];
    broadcasts = to->size[axis] == 1 || to->size[axis] == size;
  }
  if (!broadcasts) {
    char text_to[SM_SHAPE_TEXT], text_from[SM_SHAPE_TEXT];
    return sm_fail(error, SM_BAD_SHAPE, "shape %s does not broadcast to %s", sm_shape_text(text_to, to),
                   sm_shape_text(text_from, from));
  }
  repeats axes = repeats_of(to, from);
  const bool by_batch = axes.rank > 0 && axes.repeated[0];
  sm_axis along;
  if (!next_repeat(&along, &axes)) {
    sm_convert(out, SM_REAL, x, SM_REAL, sm_shape_count(from));
    return SM_OK;
  }
  void *scratch[SM_MAX_RANK];
  size_t bytes[SM_MAX_RANK];
  int taken = 0;
  sm_status status = SM_OK;
  sm_axis next;
  for (bool more = true; more; along = next) {
    more = next_repeat(&next, &axes);
    real *result = out;
    if (more) {
      bytes[taken] = along.outer * along.inner * sizeof(real);
      scratch[taken] = result = sm_memory_take(memory, bytes[taken]);
      if (!result) {
        status =
            sm_fail(error, SM_NO_MEMORY, "no memory for a sum over repeated axes (%zu bytes)", bytes[taken]);
        break;
      }
      taken++;
    }
    if (along.outer == 1 && by_batch) sm_sum_batch(result, x, along.axis, along.inner);
    else sm_sum(result, x, &along);
    x = result;
  }
  while (taken-- > 0) sm_memory_give(memory, scratch[taken], bytes[taken]);
  return status;
}

double sm_sum_of_squares(const real *x, size_t n) {
  double sum;
  sum_shared(&sum, x, n, 1, 1, SQUARES, NULL);
  return sum;
}

size_t sm_first_not_finite(const real *x, size_t n) {
  for (size_t first = 0; first < n; first += LANES) {
    size_t last = n - first < LANES ? n : first + LANES;
    real poison = 0; /* 0 times a finite number is 0; times any other it is NaN, which stays */
#pragma omp simd reduction(+ : poison)
    for (size_t i = first; i < last; i++) poison += x[i] * 0;
    if (poison == 0) continue;
    for (size_t i = first; i < last; i++) {
      if (!isfinite(x[i])) return i;
    }
  }
  return n;
}
