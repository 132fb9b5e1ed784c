#include <string.h>

#include "core/index.h"
#include "core/parts.h"

enum { STRIP = 1024 /* columns that are summed at a time */ };

typedef struct adding {
  real *out;
  const real *src;
  const size_t *begin, *pick; /* pick[begin[row]] … pick[begin[row + 1] - 1]: those of a row, in their order */
  size_t rows, width, picks, parts;
  size_t strips, together; /* rows in one item of work */
} adding;

bool sm_index_add_batch_scratch(size_t *bytes, size_t rows, size_t picks) {
  return rows < SIZE_MAX - picks - 2 && sm_multiply(bytes, rows + picks + 2, sizeof(size_t));
}

/* sum (width) = the rows of src of some picks, from `first` on. */
static void sum_picks(real *sum, const adding *of, size_t first, size_t last, size_t column, size_t width) {
  memset(sum, 0, width * sizeof *sum);
  for (size_t i = first; i < last; i++) {
    const real *src = of->src + of->pick[i] * of->width + column;
#pragma omp simd
    for (size_t j = 0; j < width; j++) sum[j] += src[j];
  }
}

/* A sum that begins with 0 is never -0, so that adding an empty part changes nothing. */
static void sum_row(real *out, const adding *of, size_t row, size_t column, size_t width) {
  const size_t begin = of->begin[row], end = of->begin[row + 1];
  real stack[SM_PART_LEVELS][STRIP];
  size_t first = begin, last = begin;
  for (size_t part = 0; part < of->parts; part++, first = last) {
    const size_t limit = sm_part(of->picks, of->parts, part).last;
    while (last < end && of->pick[last] < limit) last++;
    if (last - first == end - begin) { /* in one part */
      sum_picks(out, of, begin, end, column, width);
      return;
    }
    size_t place = sm_part_place(part);
    sum_picks(stack[place], of, first, last, column, width);
    for (size_t merges = sm_part_merges(part); merges-- > 0; place--) {
#pragma omp simd
      for (size_t j = 0; j < width; j++) stack[place - 1][j] += stack[place][j];
    }
  }
  memcpy(out, stack[0], width * sizeof *out);
}

static void add_item(const void *work, size_t item) {
  const adding *of = work;
  const sm_range columns = sm_chunk(of->width, of->strips, item % of->strips);
  const size_t first = item / of->strips * of->together;
  for (size_t row = first; row < first + of->together && row < of->rows; row++)
    sum_row(of->out + row * of->width + columns.first, of, row, columns.first, columns.last - columns.first);
}

void sm_index_add_batch(real *out, const real *src, const sm_indices *index, size_t rows, size_t width, void *scratch) {
  if (rows == 0 || width == 0) return;
  size_t *begin = scratch, *pick = begin + rows + 2;
  memset(begin, 0, (rows + 2) * sizeof *begin);
  for (size_t i = 0; i < index->count; i++) begin[sm_index_at(index, i) - index->first + 2]++;
  for (size_t row = 2; row < rows + 2; row++) begin[row] += begin[row - 1];
  for (size_t i = 0; i < index->count; i++) pick[begin[sm_index_at(index, i) - index->first + 1]++] = i;
  adding work = {.out = out, .src = src, .begin = begin, .pick = pick, .rows = rows, .width = width,
                 .picks = index->count, .parts = sm_parts_now().parts, .strips = (width + STRIP - 1) / STRIP};
  const size_t narrow = width < STRIP ? width : STRIP;
  work.together = SM_BLOCK / narrow < rows / SM_BATCH_CHUNKS + 1 ? SM_BLOCK / narrow : rows / SM_BATCH_CHUNKS + 1;
  sm_compute((rows + work.together - 1) / work.together * work.strips, rows * width + index->count * width, add_item,
             &work);
}
