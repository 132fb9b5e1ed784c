/* The filter gradient of core/conv/channelwise.h. */
#include <string.h>

#include "core/conv/channelwise.h"
#include "core/conv/lanes.h"

enum { CHUNK_POSITIONS = 64 }; /* positions that are worth a chunk's own sum */

/* Rows of positions, counted through the whole batch, are cut into chunks. Each sums its rows into its share of gw, for
   each vector of filters (kernel height, kernel width, terms, vector), and of gbias; shares are added in the chunks'
   order. */
typedef struct gradient {
  real *gw;
  const real *gy, *x;
  size_t filters;
  sm_grouping in;
  sm_reading read;
  const sm_range *columns; /* at which each column of the kernel lies on the image */
  size_t chunks, share, gw_bytes, gbias_bytes;
  char *gw_shares, *gbias_shares; /* gbias_shares NULL: no gbias */
  char *own;
  size_t own_bytes;
} gradient;

static gradient gradient_of(const sm_conv2d *conv) {
  gradient of = {.filters = conv->filters,
                 .in = {conv->filters, sm_conv2d_group_filters(conv), conv->window.channels,
                        sm_conv2d_group_channels(conv)},
                 .read = sm_reading_of(conv)};
  of.read.leave_padding_out = true;
  sm_reading_complete(&of.read);
  size_t rows = of.read.batch * of.read.rows, worthwhile = rows * of.read.columns / CHUNK_POSITIONS;
  of.chunks = sm_larger(sm_smaller(sm_smaller(SM_BATCH_CHUNKS, worthwhile), rows), 1);
  of.share = of.read.kernel_height * of.read.kernel_width * of.in.terms * SM_VECTOR;
  of.gw_bytes = sm_aligned(sm_vectors_of(&of.in) * of.share * sizeof(real));
  of.gbias_bytes = sm_aligned(sm_vectors_of(&of.in) * SM_VECTOR * sizeof(double));
  of.own_bytes = sm_seen_bytes(&of.in, &of.read);
  return of;
}

size_t sm_conv_channelwise_backward_filter_scratch(const sm_conv2d *conv) {
  const gradient of = gradient_of(conv);
  return sm_reading_seen_bytes(&of.read) + of.chunks * (of.gw_bytes + of.gbias_bytes) +
         sm_workers(of.chunks) * of.own_bytes;
}

enum { SUMS = 5, ROWS = 3, COLUMNS = 3 }; /* sums side by side: of one kernel row, or of most nets' kernels */

/* Positions of a row, and the source pixels that one element of the kernel sees at them. */
typedef struct run {
  const real *gy, *pixel;
  size_t gy_step, step; /* elements from a position's to the next's */
  size_t count, lanes;
} run;

/* gw (rows, n, vector) += the products of gy and of vectors of source pixels: rows are `below` elements apart there and
   gw_row in gw, the n in each `apart` elements. */
SM_INLINE void add_sums(real *gw, size_t gw_row, const run *of, size_t below, size_t apart, const int rows,
                        const int n) {
  sm_vector sums[ROWS][SUMS];
  const real *gy = of->gy, *pixel = of->pixel;
  SM_UNROLL
  for (int i = 0; i < rows; i++) {
    SM_UNROLL
    for (int k = 0; k < n; k++) sums[i][k] = *(sm_vector *)(gw + (size_t)i * gw_row + k * SM_VECTOR);
  }
  for (size_t left = of->count; left > 0; left--, gy += of->gy_step, pixel += of->step) {
    sm_vector given = sm_vector_load(gy, of->lanes);
    SM_UNROLL
    for (int i = 0; i < rows; i++) {
      SM_UNROLL
      for (int k = 0; k < n; k++)
        sums[i][k] = sm_vector_fma(given, *(const sm_vector *)(pixel + (size_t)i * below + (size_t)k * apart),
                                   sums[i][k]);
    }
  }
  SM_UNROLL
  for (int i = 0; i < rows; i++) {
    SM_UNROLL
    for (int k = 0; k < n; k++) *(sm_vector *)(gw + (size_t)i * gw_row + k * SM_VECTOR) = sums[i][k];
  }
}

static void add_products(real *gw, const run *of, size_t apart, size_t n) {
  if (of->count == 0) return;
  switch (n) {
    case 1: add_sums(gw, 0, of, 0, apart, 1, 1); break;
    case 2: add_sums(gw, 0, of, 0, apart, 1, 2); break;
    case 3: add_sums(gw, 0, of, 0, apart, 1, 3); break;
    case 4: add_sums(gw, 0, of, 0, apart, 1, 4); break;
    default: add_sums(gw, 0, of, 0, apart, 1, SUMS); break;
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

/* The same for a kernel of 3x3 all of whose rows see the image, the first the row `at` tells. */
static void add_square(real *gw, line at) {
  const sm_reading *read = &at.of->read;
  size_t gw_row = COLUMNS * SM_VECTOR;
  sm_range common = common_columns(at.of, 0, COLUMNS);
  run all = run_of(&at, 0, common);
  if (all.count)
    add_sums(gw, gw_row, &all, read->dilation * at.seen->line, read->dilation_across * at.seen->pixel, ROWS, COLUMNS);
  for (size_t ky = 0; ky < ROWS; ky++, at.row += read->dilation) add_edges(gw + ky * gw_row, &at, 0, COLUMNS, common);
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
    bool is_square = of->in.terms == 1 && read->kernel_width == COLUMNS && seen_rows.last - seen_rows.first == ROWS &&
                     read->kernel_height == ROWS;
    if (is_square) {
      at.row = (size_t)((ptrdiff_t)(row * read->stride) - read->top);
      add_square(gw, at);
    }
    for (size_t ky = seen_rows.first; ky < seen_rows.last && !is_square; ky++) {
      at.row = (size_t)((ptrdiff_t)(row * read->stride + ky * read->dilation) - read->top);
      if (of->in.terms == 1) add_columns(gw + ky * kernel_line, &at);
      else add_terms(gw + ky * kernel_line, &at);
    }
    if (gbias) add_row(gbias, &at);
  }
}

static void sum_chunk(const void *work, size_t chunk) {
  const gradient *of = work;
  const sm_reading *read = &of->read;
  real *own = (real *)(of->own + (size_t)sm_thread_index() * of->own_bytes);
  real *gw = (real *)(of->gw_shares + chunk * of->gw_bytes);
  double *gbias = of->gbias_shares ? (double *)(of->gbias_shares + chunk * of->gbias_bytes) : NULL;
  sm_range rows = sm_chunk(read->batch * read->rows, of->chunks, chunk);
  memset(gw, 0, of->gw_bytes);
  if (gbias) memset(gbias, 0, of->gbias_bytes);
  for (size_t row = rows.first, count; row < rows.last; row += count) {
    size_t image = row / read->rows, y = row % read->rows;
    count = sm_smaller(sm_smaller(read->band, read->rows - y), rows.last - row);
    for (size_t v = 0; v < sm_vectors_of(&of->in); v++) {
      const sm_sight sight = sm_sight_of(&of->in, v);
      const sm_seen seen = sm_see(own, of->x, image, y, count, &sight, &of->in, read);
      add_band(gw + v * of->share, gbias ? gbias + v * SM_VECTOR : NULL, of, &seen, row, count, &sight);
    }
  }
}

/* One vector of filters. */
static void add_shares(const void *work, size_t v) {
  const gradient *of = work;
  size_t first = v * SM_VECTOR, count = sm_smaller(of->filters - first, SM_VECTOR);
  for (size_t i = 0; i < of->share; i += SM_VECTOR) {
    sm_vector sum = {0};
    for (size_t chunk = 0; chunk < of->chunks; chunk++)
      sum += *(const sm_vector *)((const real *)(of->gw_shares + chunk * of->gw_bytes) + v * of->share + i);
    sm_vector_store(of->gw + i / SM_VECTOR * of->filters + first, sum, count);
  }
}

void sm_conv_channelwise_backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                                         const sm_conv2d *conv) {
  gradient of = gradient_of(conv);
  sm_range *columns = scratch;
  sm_reading_find_seen(columns, &of.read);
  of.gw = gw;
  of.gy = gy;
  of.x = x;
  of.columns = columns;
  of.gw_shares = (char *)scratch + sm_reading_seen_bytes(&of.read);
  char *gbias_shares = of.gw_shares + of.chunks * of.gw_bytes;
  of.gbias_shares = gbias ? gbias_shares : NULL;
  of.own = gbias_shares + of.chunks * of.gbias_bytes;
  sm_parallel(of.chunks, SM_LARGE, sum_chunk, &of);
  sm_parallel(sm_vectors_of(&of.in), of.share * sm_vectors_of(&of.in), add_shares, &of);
  for (size_t j = 0; j < conv->filters && gbias; j++) {
    double sum = 0;
    for (size_t chunk = 0; chunk < of.chunks; chunk++)
      sum += ((double *)(gbias_shares + chunk * of.gbias_bytes))[j];
    gbias[j] = (real)sum;
  }
}
