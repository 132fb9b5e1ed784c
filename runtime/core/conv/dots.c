#include "core/conv/dots.h"

#include <string.h>

#include "core/group_lanes.h"
#include "core/tile.h"

enum {
  MOST = SM_VECTOR_REGISTERS == 32 ? 6 : 3,    /* results side by side */
  WIDEST = SM_VECTOR_REGISTERS == 32 ? 12 : 8, /* positions side by side */
  SUMS = 128,                                  /* before their lanes are added */
  ADDING = 4                                   /* vectors of terms, which take as long as adding the lanes of a sum */
};

bool sm_dots_pay(size_t results, const sm_reading *read) {
  size_t terms = read->kernel_width * read->channels, height = read->kernel_height;
  if (results > SM_VECTOR) return false;
  return 3 * results * (height * sm_quotient_up(terms, SM_VECTOR) + ADDING) < 2 * height * terms;
}

/* Positions side by side with n results, whose sums, a vector of each result's weights and one of pixels are in
   registers; and in the lower tiles that follow. */
#define POSITIONS(n) \
  (SM_VECTOR_REGISTERS == 32 ? ((n) == 1 ? 12 : (n) <= 3 ? 8 : (n) == 4 ? 6 : 4) : (n) == 1 ? 8 : (n) == 2 ? 4 : 3)
#define LOW(n) (POSITIONS(n) == 12 ? 4 : POSITIONS(n) / 2 + POSITIONS(n) % 2)

/* The terms at a column of one row of positions: `rows` rows of the kernel, of `parts` parts of adjacent terms. */
typedef struct extent {
  const real *pixel, *weights;
  size_t rows, parts, terms;
  size_t pixel_row, weights_row, pixel_part, weights_part; /* elements from one to the next */
  size_t step, patch; /* of pixels, from a position to the next; of weights, from a result's to the next's */
} extent;

/* Adds a vector of terms. */
SM_INLINE void add_vector(sm_vector (*sum)[WIDEST], const real *pixel, const real *weights, const extent *over,
                          size_t lanes, const int n, const int p) {
  sm_vector weight[MOST];
  SM_UNROLL
  for (int i = 0; i < n; i++) weight[i] = sm_vector_load(weights + (size_t)i * over->patch, lanes);
  SM_UNROLL
  for (int j = 0; j < p; j++) {
    sm_vector pixels = sm_vector_load(pixel + (size_t)j * over->step, lanes);
    SM_UNROLL
    for (int i = 0; i < n; i++) sum[i][j] = sm_vector_fma(pixels, weight[i], sum[i][j]);
  }
}

/* sums (p, results, vector), of n results. */
SM_INLINE void sum_tile(sm_vector *sums, size_t results, const extent *over, const real *bias, const int n,
                        const int p) {
  sm_vector sum[MOST][WIDEST];
  const size_t whole = over->terms / SM_VECTOR * SM_VECTOR, rest = over->terms - whole;
  SM_UNROLL
  for (int i = 0; i < n; i++) {
    sm_vector start = {0};
    if (bias) start[0] = bias[i];
    SM_UNROLL
    for (int j = 0; j < p; j++) sum[i][j] = start;
  }
  for (size_t row = 0; row < over->rows; row++) {
    for (size_t part = 0; part < over->parts; part++) {
      const real *pixel = over->pixel + row * over->pixel_row + part * over->pixel_part;
      const real *weights = over->weights + row * over->weights_row + part * over->weights_part;
      for (size_t at = 0; at < whole; at += SM_VECTOR)
        add_vector(sum, pixel + at, weights + at, over, SM_VECTOR, n, p);
      if (rest) add_vector(sum, pixel + whole, weights + whole, over, rest, n, p);
    }
  }
  SM_UNROLL
  for (int j = 0; j < p; j++) {
    SM_UNROLL
    for (int i = 0; i < n; i++) sums[(size_t)j * results + (size_t)i] = sum[i][j];
  }
}

/* `count` neighbouring positions with the same extent: high tiles, then lower ones of which the last begins so early
   that it ends with the positions. */
SM_INLINE void sum_tiles(sm_vector *sums, size_t results, const extent *first, const real *bias, size_t count,
                         const int n) {
  const size_t most = POSITIONS(n), fewer = LOW(n), least = count < fewer ? 1 : fewer;
  for (size_t i = 0, p; i < count; i += p) {
    extent over = *first;
    p = count - i >= most ? most : least;
    size_t position = sm_smaller(i, count - p);
    sm_vector *to = sums + position * results;
    over.pixel += position * over.step;
    if (p == most) sum_tile(to, results, &over, bias, n, POSITIONS(n));
    else if (p == 1) sum_tile(to, results, &over, bias, n, 1);
    else sum_tile(to, results, &over, bias, n, LOW(n));
  }
}

static void sum_results(sm_vector *sums, size_t results, const extent *over, const real *bias, size_t count,
                        size_t n) {
#define RESULTS(m) \
  if ((m) <= MOST && n == (m)) sum_tiles(sums, results, over, bias, count, (m) <= MOST ? (m) : 1);
  RESULTS(1)
  RESULTS(2)
  RESULTS(3)
  RESULTS(4)
  RESULTS(5)
  RESULTS(6)
#undef RESULTS
}

/* Lane i = the sum of the lanes of v[i]. */
SM_INLINE sm_vector add_lanes(sm_vector *v) {
#define STEP(d)                                                                       \
  SM_UNROLL                                                                           \
  for (int i = 0; i < SM_VECTOR && (d) < SM_VECTOR; i += 2 * (d)) {                   \
    sm_lanes low;                                                                     \
    SM_UNROLL                                                                         \
    for (int lane = 0; lane < SM_VECTOR; lane++) low[lane] = lane & (d) ? 0 : -1;     \
    sm_vector a = v[i] + traded(v[i], (d)), b = v[i + (d)] + traded(v[i + (d)], (d)); \
    v[i] = (sm_vector)(((sm_lanes)a & low) | ((sm_lanes)b & ~low));                   \
  }
  STEP(1)
  STEP(2)
  STEP(4)
  STEP(8)
#undef STEP
  return v[0];
}

static void write_sums(real *out, size_t out_step, const sm_vector *sums, size_t count, size_t results) {
  real added[SUMS + SM_VECTOR];
  for (size_t i = 0; i < count * results; i += SM_VECTOR) {
    sm_vector v[SM_VECTOR];
    SM_UNROLL
    for (size_t k = 0; k < SM_VECTOR; k++) v[k] = i + k < count * results ? sums[i + k] : (sm_vector){0};
    *(sm_vector *)(added + i) = add_lanes(v);
  }
  if (out_step == results) memcpy(out, added, count * results * sizeof *out);
  for (size_t j = 0; j < count && out_step != results; j++) {
    for (size_t i = 0; i < results; i++) out[j * out_step + i] = added[j * results + i];
  }
}

/* At a column of positions, from kernel rows and columns that lie on the source rows there. */
static extent extent_of(const sm_source *from, const real *filters, size_t row, size_t column, sm_range rows,
                        sm_range columns, const sm_reading *read) {
  size_t count = columns.last - columns.first, channels = read->channels;
  bool in_one = read->dilation_across == 1 && read->pixel == channels;
  extent over = {.rows = count ? rows.last - rows.first : 0,
                 .parts = in_one ? 1 : count,
                 .terms = in_one ? count * channels : channels,
                 .pixel_row = read->dilation * read->line,
                 .weights_row = read->kernel_width * channels,
                 .pixel_part = read->dilation_across * read->pixel,
                 .weights_part = channels,
                 .step = read->stride_across * read->pixel,
                 .patch = sm_reading_patch(read)};
  if (over.rows == 0) return over;
  size_t line = (size_t)((ptrdiff_t)(row * read->stride + rows.first * read->dilation) - read->top);
  ptrdiff_t x = (ptrdiff_t)(column * read->stride_across + columns.first * read->dilation_across);
  if (!read->padded) x -= read->left;
  over.pixel = from->lines + (line - from->first) * read->line + (size_t)x * read->pixel;
  over.weights = filters + (rows.first * read->kernel_width + columns.first) * channels;
  return over;
}

/* The columns of positions at which all of the kernel's lie on the source rows. */
static sm_range inner_columns(const sm_range *seen, const sm_reading *read) {
  sm_range inner = {0, read->columns};
  for (size_t group = 0; group < read->groups; group++) inner = sm_overlap(inner, seen[group]);
  return inner;
}

void sm_dots_row(real *out, size_t out_step, const real *filters, const real *bias, size_t results,
                 const sm_source *from, size_t row, const sm_range *seen, const sm_reading *read) {
  sm_vector sums[SUMS];
  const sm_range rows = sm_reading_kernel_rows(read, row), inner = inner_columns(seen, read);
  size_t most = SUMS / results, pieces = sm_quotient_up(results, MOST);
  for (size_t first = 0, last; first < read->columns; first = last) {
    last = sm_smaller(first + most, read->columns);
    for (size_t column = first, next; column < last; column = next) {
      bool all = column >= inner.first && column < inner.last;
      sm_range columns = all ? (sm_range){0, read->kernel_width} : sm_reading_kernel_columns(read, column);
      next = all ? sm_smaller(inner.last, last) : column + 1;
      for (size_t i = 0; i < pieces; i++) {
        sm_range piece = sm_chunk(results, pieces, i);
        extent over = extent_of(from, filters + piece.first * sm_reading_patch(read), row, column, rows, columns, read);
        sum_results(sums + (column - first) * results + piece.first, results, &over, bias ? bias + piece.first : NULL,
                    next - column, piece.last - piece.first);
      }
    }
    write_sums(out + first * out_step, out_step, sums, last - first, results);
  }
}
