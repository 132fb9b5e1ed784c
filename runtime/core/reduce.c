#include "core/reduce.h"

#include <math.h>
#include <string.h>

#include "core/parallel.h"

enum {
  LANES = 64,   /* independent running sums where the inner axes are narrower than that */
  COLUMNS = 256 /* at most so many columns are summed at a time */
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

/* Into how many parts a long loop over `count` items of `size` elements is cut when its partial results must
   be kept. */
static size_t partial_chunks(size_t count, size_t size) {
  size_t blocks = sm_blocks(count * size);
  size_t chunks = blocks < count ? blocks : count;
  return chunks < 1 ? 1 : chunks < SM_BATCH_CHUNKS ? chunks : SM_BATCH_CHUNKS;
}

/* sums (width) += each row, or the squares of each row, of x (rows, width); rows begin `stride` elements
   apart. */
static inline __attribute__((always_inline)) void add_rows(double *sums, const real *x, size_t rows,
                                                           size_t width, size_t stride, bool squared) {
  for (size_t row = 0; row < rows; row++) {
    const real *from = x + row * stride;
#pragma omp simd
    for (size_t i = 0; i < width; i++)
      sums[i] += squared ? (double)from[i] * (double)from[i] : (double)from[i];
  }
}

/* sums (width) = the sum over the rows of x. Where the columns are few and next to each other, a power of two
   of rows is taken as one wide row, which gives enough independent sums to keep the processor busy; halves of
   the wide row are added until one is left. */
static inline __attribute__((always_inline)) void sum_rows(double *sums, const real *x, size_t rows,
                                                           size_t width, size_t stride, bool squared) {
  size_t together = 1;
  if (width == stride) {
    while (2 * together * width <= LANES && 8 * together <= rows) together *= 2;
  }
  if (together == 1) {
    memset(sums, 0, width * sizeof *sums);
    add_rows(sums, x, rows, width, stride, squared);
    return;
  }
  double lanes[LANES];
  size_t wide = together * width, wide_rows = rows / together, rest = rows % together * width;
  memset(lanes, 0, wide * sizeof *lanes);
  add_rows(lanes, x, wide_rows, wide, wide, squared);
  add_rows(lanes, x + wide_rows * wide, 1, rest, rest, squared);
  for (size_t half = wide / 2; half >= width; half /= 2) {
    for (size_t i = 0; i < half; i++) lanes[i] += lanes[half + i];
  }
  memcpy(sums, lanes, width * sizeof *sums);
}

/* A part of the result that is computed at once: up to COLUMNS neighbours of one (inner) row of it. */
typedef struct result_tile {
  size_t to, width; /* elements to … to+width-1 of the result */
  size_t from;      /* the element of x where the first column begins */
} result_tile;

static size_t tiles_per_row(const sm_axis *along) { return (along->inner + COLUMNS - 1) / COLUMNS; }

static size_t tile_count(const sm_axis *along) { return along->outer * tiles_per_row(along); }

static result_tile tile_of(const sm_axis *along, size_t task) {
  size_t tiles = tiles_per_row(along), row = task / tiles;
  sm_range columns = sm_chunk(along->inner, tiles, task % tiles);
  return (result_tile){.to = row * along->inner + columns.first,
                       .width = columns.last - columns.first,
                       .from = row * along->axis * along->inner + columns.first};
}

/* A sum over rows that threads share. */
typedef struct summing {
  double (*partial)[COLUMNS]; /* (chunks) */
  const real *x;
  size_t rows, width, stride, chunks;
  bool squared;
} summing;

static void sum_chunk(const void *work, size_t chunk) {
  const summing *of = work;
  sm_range range = sm_chunk(of->rows, of->chunks, chunk);
  sum_rows(of->partial[chunk], of->x + range.first * of->stride, range.last - range.first, of->width,
           of->stride, of->squared);
}

/* sums (width) = the sum over the rows of x or of its squares. Partial sums are added in the order of their
   chunks. */
static void sum_shared(double *sums, const real *x, size_t rows, size_t width, size_t stride, bool squared) {
  double partial[SM_BATCH_CHUNKS][COLUMNS];
  size_t chunks = partial_chunks(rows, width);
  sm_parallel(chunks, SM_LARGE, sum_chunk, &(summing){partial, x, rows, width, stride, chunks, squared});
  memcpy(sums, partial[0], width * sizeof *sums);
  for (size_t chunk = 1; chunk < chunks; chunk++) {
    for (size_t i = 0; i < width; i++) sums[i] += partial[chunk][i];
  }
}

/* A result of which threads take whole tiles. */
typedef struct tiling {
  real *out;
  int32_t *position;
  const real *x;
  const sm_axis *along;
  double divisor;
} tiling;

static size_t elements_of(const sm_axis *along) { return along->outer * along->axis * along->inner; }

/* Tile number `task` of the result: out = sum / divisor. */
static void divide_sum(const tiling *of, size_t task, bool shared) {
  const sm_axis *along = of->along;
  result_tile tile = tile_of(along, task);
  double sums[COLUMNS];
  if (shared)
    sum_shared(sums, of->x + tile.from, along->axis, tile.width, along->inner, false);
  else
    sum_rows(sums, of->x + tile.from, along->axis, tile.width, along->inner, false);
  for (size_t i = 0; i < tile.width; i++) of->out[tile.to + i] = (real)(sums[i] / of->divisor);
}

static void sum_tile(const void *work, size_t task) { divide_sum(work, task, false); }

/* Threads take whole tiles where there are many, and share the axis of each where there are few. */
static void divided_sum(real *out, const real *x, const sm_axis *along, double divisor) {
  size_t tasks = tile_count(along);
  const tiling work = {.out = out, .x = x, .along = along, .divisor = divisor};
  if (tasks < SM_BATCH_CHUNKS) {
    for (size_t task = 0; task < tasks; task++) divide_sum(&work, task, true);
  } else {
    sm_parallel(tasks, elements_of(along), sum_tile, &work);
  }
}

void sm_sum(real *out, const real *x, const sm_axis *along) { divided_sum(out, x, along, 1); }

void sm_mean(real *out, const real *x, const sm_axis *along) {
  divided_sum(out, x, along, (double)along->axis);
}

/* Is x a better maximum than best? NaN is better than any number, the first NaN than any other. */
static inline bool is_larger(real x, real best) { return (x > best) | ((x != x) & (best == best)); }

/* value and position (width) = the largest of each column of x (rows, width), at least one row. */
static void max_rows(real *value, int32_t *position, const real *x, size_t rows, size_t width,
                     size_t stride) {
  for (size_t i = 0; i < width; i++) {
    value[i] = x[i];
    position[i] = 0;
  }
  for (size_t row = 1; row < rows; row++) {
    const real *from = x + row * stride;
#pragma omp simd
    for (size_t i = 0; i < width; i++) {
      bool larger = is_larger(from[i], value[i]);
      value[i] = larger ? from[i] : value[i];
      position[i] = larger ? (int32_t)row : position[i];
    }
  }
}

/* The largest of n numbers in a row, n > 0. A long row is taken as rows of LANES, whose columns compete at
   the end: the smallest position wins among equals. */
static void max_row(real *value, int32_t *position, const real *x, size_t n) {
  real top = x[0];
  size_t at = 0, done = 1;
  if (n >= 2 * LANES) {
    real best[LANES];
    int32_t row[LANES];
    max_rows(best, row, x, n / LANES, LANES, LANES);
    top = best[0];
    at = (size_t)row[0] * LANES;
    for (size_t i = 1; i < LANES; i++) {
      size_t candidate = (size_t)row[i] * LANES + i;
      bool is_earlier_equal = !is_larger(top, best[i]) && candidate < at;
      if (is_larger(best[i], top) || is_earlier_equal) top = best[i], at = candidate;
    }
    done = n / LANES * LANES;
  }
  for (size_t i = done; i < n; i++) {
    if (is_larger(x[i], top)) top = x[i], at = i;
  }
  *value = top;
  *position = (int32_t)at;
}

static void max_tile(const void *work, size_t task) {
  const tiling *of = work;
  const sm_axis *along = of->along;
  result_tile tile = tile_of(along, task);
  real best[COLUMNS];
  int32_t best_position[COLUMNS];
  if (along->inner == 1) {
    max_row(best, best_position, of->x + tile.from, along->axis);
  } else {
    max_rows(best, best_position, of->x + tile.from, along->axis, tile.width, along->inner);
  }
  if (of->out) memcpy(of->out + tile.to, best, tile.width * sizeof *best);
  if (of->position) memcpy(of->position + tile.to, best_position, tile.width * sizeof *best_position);
}

sm_status sm_max_check(const sm_axis *along, sm_error *error) {
  if (along->axis == 0) return sm_fail(error, SM_BAD_SHAPE, "there is no largest of 0 elements");
  if (along->axis <= INT32_MAX) return SM_OK;
  return sm_fail(error, SM_BAD_SHAPE, "the largest of %zu elements: positions, which are int32, count to %d",
                 along->axis, INT32_MAX);
}

void sm_max(real *out, int32_t *position, const real *x, const sm_axis *along) {
  const tiling work = {.out = out, .position = position, .x = x, .along = along};
  sm_parallel(tile_count(along), elements_of(along), max_tile, &work);
}

/* A gradient on its way back along an axis. */
typedef struct spreading {
  real *gx;
  const real *gy;
  const int32_t *position;
  const sm_axis *along;
  real factor;
} spreading;

static void max_backward_row(const void *work, size_t row) {
  const spreading *of = work;
  size_t inner = of->along->inner, image = of->along->axis * inner;
  real *to = of->gx + row * image;
  memset(to, 0, image * sizeof *to);
  for (size_t i = 0; i < inner; i++) {
    size_t from = row * inner + i;
    to[(size_t)of->position[from] * inner + i] = of->gy[from];
  }
}

void sm_max_backward(real *gx, const real *gy, const int32_t *position, const sm_axis *along) {
  const spreading work = {.gx = gx, .gy = gy, .position = position, .along = along};
  if (elements_of(along) == 0) return;
  sm_parallel(along->outer, elements_of(along), max_backward_row, &work);
}

static void spread_block(const void *work, size_t block) {
  const spreading *of = work;
  const sm_axis *along = of->along;
  const real factor = of->factor;
  size_t image = along->axis * along->inner;
  sm_range range = sm_block(elements_of(along), block);
  for (size_t first = range.first; first < range.last;) {
    size_t row = first / image, left = range.last - first;
    size_t column = along->inner == 1 ? 0 : first % along->inner;
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
  sm_parallel_blocks(elements_of(along), spread_block, &work);
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

/* The outermost repeated axis as (outer, axis, inner), which it then loses; false when none is left. */
static bool next_repeat(sm_axis *along, repeats *axes) {
  *along = (sm_axis){1, 1, 1};
  int axis = 0;
  for (; axis < axes->rank && !axes->repeated[axis]; axis++) along->outer *= axes->size[axis];
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
    sm_sum(result, x, &along);
    x = result;
  }
  while (taken-- > 0) sm_memory_give(memory, scratch[taken], bytes[taken]);
  return status;
}

double sm_sum_of_squares(const real *x, size_t n) {
  double sum;
  sum_shared(&sum, x, n, 1, 1, true);
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
