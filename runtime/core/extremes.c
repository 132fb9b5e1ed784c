#include "core/extremes.h"

#include <string.h>

#include "core/reduce_tile.h"

enum { LANES = 64 /* elements of a long row that compete side by side, or so many short rows */ };

/* Is x better than best? NaN is better than any number, the first NaN than any other. */
static inline __attribute__((always_inline)) bool is_better(real x, real best, bool least) {
  return (least ? x < best : x > best) | ((x != x) & (best == best));
}

/* value and position (width) = the best of each column of x (rows, width), at least one row. Columns begin `step`
   elements apart. */
static inline __attribute__((always_inline)) void best_of_rows(real *value, int32_t *position, const real *x,
                                                               size_t rows, size_t width, size_t stride, size_t step,
                                                               bool least) {
#pragma omp simd
  for (size_t i = 0; i < width; i++) {
    value[i] = x[i * step];
    position[i] = 0;
  }
  for (size_t row = 1; row < rows; row++) {
    const real *from = x + row * stride;
#pragma omp simd
    for (size_t i = 0; i < width; i++) {
      const real candidate = from[i * step];
      bool better = is_better(candidate, value[i], least);
      value[i] = better ? candidate : value[i];
      position[i] = better ? (int32_t)row : position[i];
    }
  }
}

/* The best of n numbers in a row, n > 0. A long row is taken as rows of LANES, whose columns compete at the end: the
   smallest position wins among equals. */
static inline __attribute__((always_inline)) void best_of_row(real *value, int32_t *position, const real *x, size_t n,
                                                              bool least) {
  real top = x[0];
  size_t at = 0, done = 1;
  if (n >= 2 * LANES) {
    real best[LANES];
    int32_t row[LANES];
    best_of_rows(best, row, x, n / LANES, LANES, LANES, 1, least);
    top = best[0];
    at = (size_t)row[0] * LANES;
    for (size_t i = 1; i < LANES; i++) {
      size_t candidate = (size_t)row[i] * LANES + i;
      bool is_earlier_equal = !is_better(top, best[i], least) && candidate < at;
      if (is_better(best[i], top, least) || is_earlier_equal) top = best[i], at = candidate;
    }
    done = n / LANES * LANES;
  }
  for (size_t i = done; i < n; i++) {
    if (is_better(x[i], top, least)) top = x[i], at = i;
  }
  *value = top;
  *position = (int32_t)at;
}

/* The best of some columns, and where they are. */
typedef struct bests {
  real value[SM_COLUMNS];
  int32_t position[SM_COLUMNS];
} bests;

static void find(bests *best, const real *x, size_t rows, size_t width, size_t inner, bool least) {
  if (inner == 1 && least) best_of_row(best->value, best->position, x, rows, true);
  else if (inner == 1) best_of_row(best->value, best->position, x, rows, false);
  else if (least) best_of_rows(best->value, best->position, x, rows, width, inner, 1, true);
  else best_of_rows(best->value, best->position, x, rows, width, inner, 1, false);
}

typedef struct search {
  real *out;
  int32_t *position;
  const real *x;
  const sm_axis *along;
  bool least;
  size_t task, chunks; /* of one tile, where threads share it */
  bests *part;
} search;

static void give(const search *of, const sm_result_tile *tile, const bests *best) {
  if (of->out) memcpy(of->out + tile->to, best->value, tile->width * sizeof *best->value);
  if (of->position) memcpy(of->position + tile->to, best->position, tile->width * sizeof *best->position);
}

static void search_tile(const void *work, size_t task) {
  const search *of = work;
  sm_result_tile tile = sm_tile_of(of->along, task);
  bests best;
  find(&best, of->x + tile.from, of->along->axis, tile.width, of->along->inner, of->least);
  give(of, &tile, &best);
}

static void search_chunk(const void *work, size_t chunk) {
  const search *of = work;
  size_t inner = of->along->inner;
  sm_result_tile tile = sm_tile_of(of->along, of->task);
  sm_range range = sm_chunk(of->along->axis, of->chunks, chunk);
  bests *best = of->part + chunk;
  find(best, of->x + tile.from + range.first * inner, range.last - range.first, tile.width, inner, of->least);
  for (size_t i = 0; i < tile.width; i++) best->position[i] += (int32_t)range.first;
}

/* Short rows, LANES side by side. */
static void search_short(const void *work, size_t item) {
  const search *of = work;
  const size_t axis = of->along->axis;
  const sm_range rows = sm_chunk(of->along->outer, of->chunks, item);
  bests best;
  for (size_t first = rows.first; first < rows.last; first += LANES) {
    const sm_result_tile tile = {.to = first, .width = rows.last - first < LANES ? rows.last - first : LANES};
    const real *x = of->x + first * axis;
    if (of->least) best_of_rows(best.value, best.position, x, axis, tile.width, 1, axis, true);
    else best_of_rows(best.value, best.position, x, axis, tile.width, 1, axis, false);
    give(of, &tile, &best);
  }
}

/* Threads take whole tiles where there are many, and share the axis of each where there are few. */
static void search_all(search *work) {
  const sm_axis *along = work->along;
  size_t tasks = sm_tile_count(along);
  if (along->inner == 1 && along->axis < 2 * LANES && along->outer > 0) {
    const size_t blocks = sm_blocks(sm_elements_of(along));
    work->chunks = blocks < along->outer ? blocks : along->outer;
    sm_parallel(work->chunks, sm_elements_of(along), search_short, work);
    return;
  }
  if (tasks >= SM_BATCH_CHUNKS) {
    sm_parallel(tasks, sm_elements_of(along), search_tile, work);
    return;
  }
  bests part[SM_BATCH_CHUNKS];
  work->part = part;
  for (size_t task = 0; task < tasks; task++) {
    sm_result_tile tile = sm_tile_of(along, task);
    work->task = task;
    work->chunks = sm_partial_chunks(along->axis, tile.width);
    sm_parallel(work->chunks, SM_LARGE, search_chunk, work);
    for (size_t chunk = 1; chunk < work->chunks; chunk++) {
      for (size_t i = 0; i < tile.width; i++) {
        if (!is_better(part[chunk].value[i], part->value[i], work->least)) continue;
        part->value[i] = part[chunk].value[i];
        part->position[i] = part[chunk].position[i];
      }
    }
    give(work, &tile, part);
  }
  work->part = NULL;
}

sm_status sm_extremes_check(const sm_axis *along, sm_error *error) {
  if (along->axis == 0) return sm_fail(error, SM_BAD_SHAPE, "there is no largest of 0 elements");
  if (along->axis <= INT32_MAX) return SM_OK;
  return sm_fail(error, SM_BAD_SHAPE, "the largest of %zu elements: positions, which are int32, count to %d",
                 along->axis, INT32_MAX);
}

void sm_max(real *out, int32_t *position, const real *x, const sm_axis *along) {
  search_all(&(search){.out = out, .position = position, .x = x, .along = along});
}

void sm_min(real *out, int32_t *position, const real *x, const sm_axis *along) {
  search_all(&(search){.out = out, .position = position, .x = x, .along = along, .least = true});
}

typedef struct placing {
  real *gx;
  const real *gy;
  const int32_t *position;
  const sm_axis *along;
  size_t chunks; /* of outer */
} placing;

static void place_rows(const void *work, size_t chunk) {
  const placing *of = work;
  const size_t inner = of->along->inner, image = of->along->axis * inner;
  const sm_range rows = sm_chunk(of->along->outer, of->chunks, chunk);
  memset(of->gx + rows.first * image, 0, (rows.last - rows.first) * image * sizeof *of->gx);
  for (size_t row = rows.first; row < rows.last; row++) {
    real *to = of->gx + row * image;
    for (size_t i = 0; i < inner; i++) {
      size_t from = row * inner + i;
      to[(size_t)of->position[from] * inner + i] = of->gy[from];
    }
  }
}

void sm_extremes_backward(real *gx, const real *gy, const int32_t *position, const sm_axis *along) {
  const size_t elements = sm_elements_of(along), blocks = sm_blocks(elements);
  const placing work = {gx, gy, position, along, blocks < along->outer ? blocks : along->outer};
  if (elements > 0) sm_parallel(work.chunks, elements, place_rows, &work);
}
