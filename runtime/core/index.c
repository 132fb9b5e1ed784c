#include "core/index.h"

#include <string.h>

#include "core/parallel.h"

int32_t sm_index_at(const sm_indices *index, size_t i) {
  switch (index->dtype) {
    case SM_UINT8: return ((const uint8_t *)index->data)[i];
    case SM_INT32: return ((const int32_t *)index->data)[i];
    case SM_REAL: break; /* is none: see core/index.h */
  }
  return 0;
}

/* Where an index points, from 0. */
static inline size_t place_of(const sm_indices *index, size_t i) {
  return (size_t)((int64_t)sm_index_at(index, i) - index->first);
}

enum { CHECKED = 1024 }; /* at once, before the wrong one is looked for */

size_t sm_indices_check(const sm_indices *index, size_t size) {
  const int64_t low = index->first, high = size > INT32_MAX ? INT32_MAX : low + (int64_t)size - 1;
  for (size_t from = 0; from < index->count; from += CHECKED) {
    size_t to = index->count - from < CHECKED ? index->count : from + CHECKED;
    int32_t least = INT32_MAX, most = INT32_MIN;
    switch (index->dtype) {
      case SM_UINT8: {
        const uint8_t *data = index->data;
        for (size_t i = from; i < to; i++) {
          least = data[i] < least ? data[i] : least;
          most = data[i] > most ? data[i] : most;
        }
        break;
      }
      case SM_INT32: {
        const int32_t *data = index->data;
        for (size_t i = from; i < to; i++) {
          least = data[i] < least ? data[i] : least;
          most = data[i] > most ? data[i] : most;
        }
        break;
      }
      case SM_REAL: break;
    }
    if (least >= low && most <= high) continue;
    for (size_t i = from; i < to; i++)
      if (sm_index_at(index, i) < low || sm_index_at(index, i) > high) return i;
  }
  return index->count;
}

typedef struct indexing {
  void *out;
  const void *x;
  const sm_indices *index;
  size_t bytes; /* of an element */
  sm_axis along;
  size_t picks;
  bool shared; /* index (picks), the same for all of outer and inner */
  size_t width, strips; /* inner is cut into strips of so many elements */
  size_t rows;          /* of outer in one item of work */
} indexing;

/* ---- reading ---- */

/* out[i] = x[its index], n elements of the last axis; indices from `first` on. */
static void gather_last(char *out, const char *x, const indexing *of, size_t first, size_t n) {
  if (of->bytes == 4 && of->index->dtype == SM_INT32) {
    const int32_t *place = (const int32_t *)of->index->data + first;
    for (size_t i = 0; i < n; i++) memcpy(out + i * 4, x + ((int64_t)place[i] - of->index->first) * 4, 4);
    return;
  }
  for (size_t i = 0; i < n; i++)
    memcpy(out + i * of->bytes, x + place_of(of->index, first + i) * of->bytes, of->bytes);
}

/* A run of neighbours, n elements with an index each, along inner; x is at the row's first. */
static void gather_run(char *out, const char *x, const indexing *of, size_t first, size_t inner, size_t n) {
  const size_t row = of->along.inner;
  switch (of->bytes) {
    case 1:
      for (size_t i = 0; i < n; i++) out[i] = x[place_of(of->index, first + i) * row + inner + i];
      break;
    case 4:
      for (size_t i = 0; i < n; i++)
        memcpy(out + i * 4, x + (place_of(of->index, first + i) * row + inner + i) * 4, 4);
      break;
    default:
      for (size_t i = 0; i < n; i++)
        memcpy(out + i * 8, x + (place_of(of->index, first + i) * row + inner + i) * 8, 8);
      break;
  }
}

/* A block of the flat result. */
static void read_block(const void *work, size_t block) {
  const indexing *of = work;
  const size_t inner = of->along.inner, outer_size = of->along.axis * inner * of->bytes;
  sm_range range = sm_block(of->along.outer * of->picks * inner, block);
  size_t row = range.first / inner, column = range.first % inner;
  size_t outer = row / of->picks, pick = row % of->picks;
  for (size_t first = range.first; first < range.last;) {
    const char *x = (const char *)of->x + outer * outer_size;
    char *out = (char *)of->out + first * of->bytes;
    size_t n = inner - column, left = range.last - first;
    if (inner == 1 && !of->shared) { /* what is left of the picks */
      n = of->picks - pick < left ? of->picks - pick : left;
      gather_last(out, x, of, first, n);
      first += n;
      pick = 0;
      outer++;
      continue;
    }
    if (n > left) n = left;
    if (of->shared)
      memcpy(out, x + (place_of(of->index, pick) * inner + column) * of->bytes, n * of->bytes);
    else
      gather_run(out, x, of, first, column, n);
    first += n;
    column = 0;
    if (++pick == of->picks) pick = 0, outer++;
  }
}

static void read_all(indexing *work) {
  size_t count = work->along.outer * work->picks * work->along.inner;
  if (count > 0) sm_parallel_blocks(count, read_block, work);
}

void sm_gather(void *out, const void *x, const sm_indices *index, size_t bytes, const sm_axis *along, size_t picks) {
  read_all(&(indexing){.out = out, .x = x, .index = index, .bytes = bytes, .along = *along, .picks = picks});
}

void sm_index_select(void *out, const void *x, const sm_indices *index, size_t bytes, const sm_axis *along) {
  read_all(&(indexing){.out = out, .x = x, .index = index, .bytes = bytes, .along = *along, .picks = index->count,
                       .shared = true});
}

/* ---- adding ---- */

/* out[its index] += src[i], n elements of the last axis; indices from `first` on. */
static void add_last(real *out, const real *src, const indexing *of, size_t first, size_t n) {
  if (of->index->dtype == SM_INT32) {
    const int32_t *place = (const int32_t *)of->index->data + first;
    for (size_t i = 0; i < n; i++) out[(int64_t)place[i] - of->index->first] += src[i];
    return;
  }
  for (size_t i = 0; i < n; i++) out[place_of(of->index, first + i)] += src[i];
}

/* Some rows of outer and a strip of inner: all that is added to these elements, in the order of the picks. */
static void add_item(const void *work, size_t item) {
  const indexing *of = work;
  const size_t inner = of->along.inner, picks = of->picks;
  size_t column = item % of->strips * of->width, first = item / of->strips * of->rows;
  size_t n = inner - column < of->width ? inner - column : of->width;
  for (size_t outer = first; outer < first + of->rows && outer < of->along.outer; outer++) {
    real *out = (real *)of->out + outer * of->along.axis * inner + column;
    if (inner == 1 && !of->shared) {
      add_last(out, (const real *)of->x + outer * picks, of, outer * picks, picks);
      continue;
    }
    for (size_t pick = 0; pick < picks; pick++) {
      size_t from = (outer * picks + pick) * inner + column;
      const real *src = (const real *)of->x + from;
      if (of->shared) {
        real *to = out + place_of(of->index, pick) * inner;
#pragma omp simd
        for (size_t i = 0; i < n; i++) to[i] += src[i];
      } else {
        for (size_t i = 0; i < n; i++) out[place_of(of->index, from + i) * inner + i] += src[i];
      }
    }
  }
}

/* Strips of inner that one thread adds to. They may depend on the number of threads, for no element's sum does. */
static size_t strip_of(const sm_axis *along) {
  size_t workers = sm_workers(along->inner), width = (along->inner + workers - 1) / workers;
  if (along->outer > workers) width = along->inner; /* rows of outer are shared out instead */
  return (width + SM_LINE - 1) / SM_LINE * SM_LINE;
}

static void add_all(indexing *work) {
  size_t inner = work->along.inner, count = work->along.outer * work->picks * inner;
  if (count == 0) return;
  work->width = strip_of(&work->along);
  work->strips = (inner + work->width - 1) / work->width;
  size_t a_row = work->picks * (inner < work->width ? inner : work->width);
  work->rows = a_row < SM_BLOCK ? SM_BLOCK / a_row : 1;
  sm_parallel((work->along.outer + work->rows - 1) / work->rows * work->strips, count, add_item, work);
}

void sm_scatter_add(real *out, const real *src, const sm_indices *index, const sm_axis *along, size_t picks) {
  add_all(&(indexing){.out = out, .x = src, .index = index, .along = *along, .picks = picks});
}

void sm_index_add(real *out, const real *src, const sm_indices *index, const sm_axis *along) {
  add_all(&(indexing){.out = out, .x = src, .index = index, .along = *along, .picks = index->count, .shared = true});
}

/* ---- one-hot ---- */

static void one_hot_item(const void *work, size_t item) {
  const indexing *of = work;
  size_t size = of->along.axis, first = item * of->rows, last = first + of->rows;
  if (last > of->index->count) last = of->index->count;
  real *out = (real *)of->out + first * size;
  memset(out, 0, (last - first) * size * sizeof *out);
  for (size_t i = first; i < last; i++) out[(i - first) * size + place_of(of->index, i)] = 1;
}

void sm_one_hot(real *out, const sm_indices *index, size_t size) {
  if (index->count == 0 || size == 0) return;
  indexing work = {.out = out, .index = index, .along = {1, size, 1}, .rows = size < SM_BLOCK ? SM_BLOCK / size : 1};
  sm_parallel((index->count + work.rows - 1) / work.rows, index->count * size, one_hot_item, &work);
}
