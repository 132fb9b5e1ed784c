/* The filter gradient of core/conv/channelwise.h. */
#include <string.h>

#include "core/conv/channelwise.h"
#include "core/conv/lanes.h"

enum { CHUNK_POSITIONS = 64 }; /* positions that are worth a chunk's own sum */

/* The chunks of all parts are items. Each sums its rows in memory of its thread's own: gw for each vector of filters
   (kernel height, kernel width, terms, vector), and gbias. */
typedef struct gradient {
  real *gw, *gbias;
  const real *gy, *x;
  const sm_conv2d *conv;
  size_t filters;
  sm_grouping in;
  sm_reading read;
  const sm_range *columns; /* at which each column of the kernel lies on the image */
  size_t share;            /* elements of a vector's sums */
  size_t seen_bytes, gw_bytes, gbias_bytes; /* a thread's */
  char *own;
} gradient;

static gradient gradient_of(const sm_conv2d *conv) {
  gradient of = {.conv = conv,
                 .filters = conv->filters,
                 .in = {conv->filters, sm_conv2d_group_filters(conv), conv->window.channels,
                        sm_conv2d_group_channels(conv)},
                 .read = sm_reading_of(conv)};
  of.read.leave_padding_out = true;
  sm_reading_complete(&of.read);
  of.share = of.read.kernel_height * of.read.kernel_width * of.in.terms * SM_VECTOR;
  of.seen_bytes = sm_seen_bytes(&of.in, &of.read);
  of.gw_bytes = sm_aligned(sm_vectors_of(&of.in) * of.share * sizeof(real));
  of.gbias_bytes = sm_aligned(sm_vectors_of(&of.in) * SM_VECTOR * sizeof(double));
  return of;
}

static size_t own_bytes(const gradient *of) { return of->seen_bytes + of->gw_bytes + of->gbias_bytes; }

size_t sm_conv_channelwise_chunks(const sm_conv2d *conv) {
  size_t rows = sm_conv_part_images(conv) * conv->window.out_height;
  return sm_conv_chunks(SM_CONV_CHUNKS, sm_smaller(rows * conv->window.out_width / CHUNK_POSITIONS, rows));
}

size_t sm_conv_channelwise_backward_filter_scratch(const sm_conv2d *conv) {
  const gradient of = gradient_of(conv);
  return sm_reading_seen_bytes(&of.read) + sm_workers(conv->parts * conv->chunks) * own_bytes(&of);
}

enum { SUMS = 5 }; /* side by side */

/* Positions of a row, and the source pixels that one element of the kernel sees at them. */
typedef struct run {
  const real *gy, *pixel;
  size_t gy_step, step; /* elements from a position's to the next's */
  size_t count, lanes;
} run;

/* gw (n, vector) += the products of gy and of vectors of source pixels, which are `apart` elements apart. */
SM_INLINE void add_sums(real *gw, const run *of, size_t apart, const int n) {
  sm_vector sums[SUMS];
  const real *gy = of->gy, *pixel = of->pixel;
  SM_UNROLL
  for (int k = 0; k < n; k++) sums[k] = *(sm_vector *)(gw + k * SM_VECTOR);
  for (size_t left = of->count; left > 0; left--, gy += of->gy_step, pixel += of->step) {
    sm_vector given = sm_vector_load(gy, of->lanes);
    SM_UNROLL
    for (int k = 0; k < n; k++)
      sums[k] = sm_vector_fma(given, *(const sm_vector *)(pixel + (size_t)k * apart), sums[k]);
  }
  SM_UNROLL
  for (int k = 0; k < n; k++) *(sm_vector *)(gw + k * SM_VECTOR) = sums[k];
}

static void add_products(real *gw, const run *of, size_t apart, size_t n) {
  if (of->count == 0) return;
  switch (n) {
    case 1: add_sums(gw, of, apart, 1); break;
    case 2: add_sums(gw, of, apart, 2); break;
    case 3: add_sums(gw, of, apart, 3); break;
    case 4: add_sums(gw, of, apart, 4); break;
    default: add_sums(gw, of, apart, SUMS); break;
  }
}

/* One row of positions under one row of the kernel, for one vector. */
typedef struct line {
  const gradient *of;
  const real *gy; /* of the row's first position */
  const sm_seen *seen;
  size_t row;     /* of the source */
  size_t lanes;
} line;

/* At some columns of positions, from column `kx` of the kernel on. */
static run run_of(const line *at, size_t kx, sm_range columns) {
  const sm_reading *read = &at->of->read;
  if (columns.first >= columns.last) return (run){.count = 0};
  ptrdiff_t pixel = (ptrdiff_t)(columns.first * read->stride_across + kx * read->dilation_across) - read->left;
  const real *source = at->seen->lines + (at->row - at->seen->first) * at->seen->line;
  return (run){.gy = at->gy + columns.first * at->of->filters,
               .pixel = source + (size_t)pixel * at->seen->pixel,
               .gy_step = at->of->filters,
               .step = read->stride_across * at->seen->pixel,
               .count = columns.last - columns.first,
               .lanes = at->lanes};
}

/* Where `n` columns of the kernel from `kx` on see the image. */
static sm_range common_columns(const gradient *of, size_t kx, size_t n) {
  sm_range common = of->columns[kx];
  for (size_t k = 1; k < n; k++) common = sm_overlap(common, of->columns[kx + k]);
  return common;
}

/* gw (n, vector): what the columns from `kx` on see beside what they have in common. */
static void add_edges(real *gw, const line *at, size_t kx, size_t n, sm_range common) {
  for (size_t k = 0; k < n; k++) {
    sm_range own = at->of->columns[kx + k];
    sm_range before = {own.first, common.first < common.last ? common.first : own.last};
    sm_range after = {common.first < common.last ? common.last : own.last, own.last};
    run first = run_of(at, kx + k, before), last = run_of(at, kx + k, after);
    add_products(gw + k * SM_VECTOR, &first, 0, 1);
    add_products(gw + k * SM_VECTOR, &last, 0, 1);
  }
}

/* gw (kernel width, vector): neighbouring columns of the kernel at once where they see the image. */
static void add_columns(real *gw, const line *at) {
  const sm_reading *read = &at->of->read;
  for (size_t kx = 0, n; kx < read->kernel_width; kx += n, gw += n * SM_VECTOR) {
    n = sm_smaller(read->kernel_width - kx, SUMS);
    sm_range common = common_columns(at->of, kx, n);
    run all = run_of(at, kx, common);
    add_products(gw, &all, read->dilation_across * at->seen->pixel, n);
    add_edges(gw, at, kx, n, common);
  }
}

/* gw (kernel width, terms, vector): neighbouring terms at once. */
static void add_terms(real *gw, const line *at) {
  size_t terms = at->of->in.terms;
  for (size_t kx = 0; kx < at->of->read.kernel_width; kx++) {
    run some = run_of(at, kx, at->of->columns[kx]);
    for (size_t j = 0, n; j < terms; j += n, gw += n * SM_VECTOR) {
      n = sm_smaller(terms - j, SUMS);
      add_products(gw, &some, SM_VECTOR, n);
      if (some.count) some.pixel += n * SM_VECTOR;
    }
  }
}

/* gbias (vector) += a row of gy. */
static void add_row(double *gbias, const line *at) {
  sm_vector sum = {0};
  const real *gy = at->gy;
  for (size_t i = 0; i < at->of->read.columns; i++, gy += at->of->filters) sum += sm_vector_load(gy, at->lanes);
  for (size_t lane = 0; lane < SM_VECTOR; lane++) gbias[lane] += (double)sum[lane];
}

/* Some rows of one image, for one vector. */
static void add_band(real *gw, double *gbias, const gradient *of, const sm_seen *seen, size_t first, size_t count,
                     const sm_sight *sight) {
  const sm_reading *read = &of->read;
  size_t kernel_line = read->kernel_width * of->in.terms * SM_VECTOR;
  for (size_t i = 0; i < count; i++) {
    size_t row = (first + i) % read->rows;
    sm_range seen_rows = sm_reading_kernel_rows(read, row);
    line at = {of, of->gy + (first + i) * read->columns * of->filters + sight->channel, seen, 0, sight->count};
    for (size_t ky = seen_rows.first; ky < seen_rows.last; ky++) {
      at.row = (size_t)((ptrdiff_t)(row * read->stride + ky * read->dilation) - read->top);
      if (of->in.terms == 1) add_columns(gw + ky * kernel_line, &at);
      else add_terms(gw + ky * kernel_line, &at);
    }
    if (gbias) add_row(gbias, &at);
  }
}

/* ---- channels by themselves, under small kernels ---- */

enum { SMALL = 3, POSITIONS = 4 }; /* rows and columns of the kernel; positions at once */

static bool is_small(const gradient *of) {
  return of->in.own == 1 && of->in.terms == 1 && of->read.kernel_height <= SMALL && of->read.kernel_width <= SMALL;
}

/* Neighbouring positions that see the same elements of the kernel. */
typedef struct patch {
  real *gw;
  const real *gy, *pixel;
  size_t gw_channel, gw_row, gy_step, line, apart, step; /* gw_channel: from one channel's share to the next's */
} patch;

/* Of n channels, at `positions` positions that see `rows` kernel rows of `width` elements. */
SM_INLINE void add_vector(const patch *of, size_t channel, const int positions, const int rows, const int width,
                          size_t n) {
  const real *gy = of->gy + channel, *pixel = of->pixel + channel;
  real *gw = of->gw + channel * of->gw_channel;
  sm_vector given[POSITIONS];
  SM_UNROLL
  for (int p = 0; p < positions; p++) given[p] = sm_vector_load(gy + (size_t)p * of->gy_step, n);
  SM_UNROLL
  for (int i = 0; i < rows; i++) {
    SM_UNROLL
    for (int k = 0; k < width; k++) {
      sm_vector *to = (sm_vector *)(gw + (size_t)i * of->gw_row + k * SM_VECTOR), sum = *to;
      const real *from = pixel + (size_t)i * of->line + (size_t)k * of->apart;
      SM_UNROLL
      for (int p = 0; p < positions; p++)
        sum = sm_vector_fma(given[p], sm_vector_load(from + (size_t)p * of->step, n), sum);
      *to = sum;
    }
  }
}

/* Of all channels, which are neighbours in memory. */
SM_INLINE void add_positions(const patch *of, size_t channels, const int positions, const int rows, const int width) {
  const size_t rest = channels % SM_VECTOR, whole = channels - rest;
  for (size_t channel = 0; channel < whole; channel += SM_VECTOR)
    add_vector(of, channel, positions, rows, width, SM_VECTOR);
  if (rest) add_vector(of, whole, positions, rows, width, rest);
}

SM_INLINE void add_some(const patch *of, size_t channels, const int positions, size_t rows, size_t width) {
  switch (rows * (SMALL + 1) + width) {
    case 1 * (SMALL + 1) + 1: add_positions(of, channels, positions, 1, 1); break;
    case 1 * (SMALL + 1) + 2: add_positions(of, channels, positions, 1, 2); break;
    case 1 * (SMALL + 1) + 3: add_positions(of, channels, positions, 1, 3); break;
    case 2 * (SMALL + 1) + 1: add_positions(of, channels, positions, 2, 1); break;
    case 2 * (SMALL + 1) + 2: add_positions(of, channels, positions, 2, 2); break;
    case 2 * (SMALL + 1) + 3: add_positions(of, channels, positions, 2, 3); break;
    case 3 * (SMALL + 1) + 1: add_positions(of, channels, positions, 3, 1); break;
    case 3 * (SMALL + 1) + 2: add_positions(of, channels, positions, 3, 2); break;
    case 3 * (SMALL + 1) + 3: add_positions(of, channels, positions, 3, 3); break;
    default: break;
  }
}

/* One row of positions, counted through the whole batch. */
static void add_small(real *gw, double *gbias, const gradient *of, size_t index) {
  const sm_reading *read = &of->read;
  const size_t image = index / read->rows, row = index % read->rows, filters = of->filters;
  const real *gy = of->gy + index * read->columns * filters;
  const sm_range rows = sm_reading_kernel_rows(read, row);
  sm_range inner = {0, 0};
  if (read->kernel_width) inner = common_columns(of, 0, read->kernel_width);
  for (size_t v = 0; gbias && v < sm_vectors_of(&of->in); v++) {
    const size_t channel = v * SM_VECTOR;
    const line at = {.of = of, .gy = gy + channel, .lanes = sm_smaller(filters - channel, SM_VECTOR)};
    add_row(gbias + channel, &at);
  }
  for (size_t column = 0, count; column < read->columns && rows.first < rows.last; column += count) {
    const sm_range columns = sm_reading_kernel_columns(read, column);
    count = column >= inner.first && column + POSITIONS <= inner.last ? POSITIONS : 1;
    if (columns.first == columns.last) continue;
    const ptrdiff_t y = (ptrdiff_t)(row * read->stride + rows.first * read->dilation) - read->top;
    const ptrdiff_t x = (ptrdiff_t)(column * read->stride_across + columns.first * read->dilation_across) - read->left;
    const patch at = {.gw = gw + (rows.first * read->kernel_width + columns.first) * SM_VECTOR,
                      .gy = gy + column * filters,
                      .pixel = of->x + (image * read->height + (size_t)y) * read->line + (size_t)x * read->pixel,
                      .gw_channel = read->kernel_height * read->kernel_width,
                      .gw_row = read->kernel_width * SM_VECTOR,
                      .gy_step = filters,
                      .line = read->dilation * read->line,
                      .apart = read->dilation_across * read->pixel,
                      .step = read->stride_across * read->pixel};
    if (count == 1) add_some(&at, filters, 1, rows.last - rows.first, columns.last - columns.first);
    else add_some(&at, filters, POSITIONS, rows.last - rows.first, columns.last - columns.first);
  }
}

/* ---- chunks ---- */

static void sum_chunk(const void *work, size_t share) {
  const gradient *of = work;
  const sm_reading *read = &of->read;
  char *own = of->own + (size_t)sm_thread_index() * own_bytes(of);
  real *gw = (real *)(own + of->seen_bytes);
  double *gbias = of->gbias ? (double *)((char *)gw + of->gw_bytes) : NULL;
  sm_range rows = sm_conv_share(of->conv, read->rows, share);
  memset(gw, 0, of->gw_bytes);
  if (gbias) memset(gbias, 0, of->gbias_bytes);
  for (size_t row = rows.first; row < rows.last && is_small(of); row++) add_small(gw, gbias, of, row);
  for (size_t row = rows.first, count; row < rows.last && !is_small(of); row += count) {
    size_t image = row / read->rows, y = row % read->rows;
    count = sm_smaller(sm_smaller(read->band, read->rows - y), rows.last - row);
    for (size_t v = 0; v < sm_vectors_of(&of->in); v++) {
      const sm_sight sight = sm_sight_of(&of->in, v);
      const sm_seen seen = sm_see((real *)own, of->x, image, y, count, &sight, &of->in, read);
      add_band(gw + v * of->share, gbias ? gbias + v * SM_VECTOR : NULL, of, &seen, row, count, &sight);
    }
  }
  real *out = of->gw + share * (of->share / SM_VECTOR) * of->filters;
  for (size_t first = 0; first < of->filters; first += SM_VECTOR, gw += of->share) {
    for (size_t i = 0; i < of->share; i += SM_VECTOR)
      sm_vector_store(out + i / SM_VECTOR * of->filters + first, *(const sm_vector *)(gw + i),
                      sm_smaller(of->filters - first, SM_VECTOR));
  }
  for (size_t j = 0; j < of->filters && gbias; j++) of->gbias[share * of->filters + j] = (real)gbias[j];
}

void sm_conv_channelwise_backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                                         const sm_conv2d *conv) {
  gradient of = gradient_of(conv);
  sm_range *columns = scratch;
  sm_reading_find_seen(columns, &of.read);
  of.gw = gw;
  of.gbias = gbias;
  of.gy = gy;
  of.x = x;
  of.columns = columns;
  of.own = (char *)scratch + sm_reading_seen_bytes(&of.read);
  sm_compute(conv->parts * conv->chunks, SM_LARGE, sum_chunk, &of);
}
