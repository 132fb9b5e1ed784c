#include "core/conv_winograd.h"

#include <string.h>

#include "core/conv_reading.h"
#include "core/winograd.h"

enum {
  POINTS = SM_WINOGRAD_POINTS,
  CELLS = POINTS * POINTS,                  /* pairs of points: what a tile becomes */
  TILES = SM_TILE_ROWS == 14 ? 28 : 24,     /* at a time, whose cells stay in the second-level cache */
  APART = SM_ALIGNMENT / (int)sizeof(real), /* keeps cells off one another's cache sets */
  AHEAD = 2, /* rows of tiles between the one that is worked on and the one that is fetched */
  MOST_TILES = 256,
  FILTER_CHUNKS = 8 /* sums of the filter gradient, each of 64 cells per channel and filter */
};

static size_t side_of(const sm_conv2d *conv) { return POINTS + 1 - conv->window.kernel_height; }

bool sm_conv_winograd_takes(const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  size_t kernel = window->kernel_height;
  return window->kernel_width == kernel && (kernel == 3 || kernel == 5) && window->stride == 1 &&
         window->channels && window->channels % SM_WINOGRAD_CHANNELS == 0 && conv->filters &&
         conv->filters % SM_WINOGRAD_CHANNELS == 0;
}

/* ---- tiles ---- */

/* Images as tiles see them: tile (i, j) begins at the pixel (i*side - top, j*side - left). */
typedef struct images {
  size_t height, width, channels;
  ptrdiff_t top, left;
} images;

/* How images of results are cut into tiles of side x side pixels, counted through the whole batch. */
typedef struct grid {
  size_t side, down, across, tiles;
} grid;

static grid grid_of(size_t side, size_t batch, size_t height, size_t width) {
  grid cut = {.side = side, .down = sm_quotient_up(height, side), .across = sm_quotient_up(width, side)};
  cut.tiles = batch * cut.down * cut.across;
  return cut;
}

static grid output_grid(const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  return grid_of(side_of(conv), window->batch, window->out_height, window->out_width);
}

static grid input_grid(const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  return grid_of(side_of(conv), window->batch, window->height, window->width);
}

size_t sm_conv_winograd_tiles(const sm_conv2d *conv) { return output_grid(conv).tiles; }
size_t sm_conv_winograd_input_tiles(const sm_conv2d *conv) { return input_grid(conv).tiles; }

/* Where a tile of `size` pixels a side lies on its image: the part of it that is there. */
typedef struct place {
  size_t first; /* element of the tile's first pixel that is on the image */
  sm_range rows, columns;
} place;

static place place_of(size_t tile, size_t size, const images *at, const grid *cut) {
  size_t per_image = cut->down * cut->across, image = tile / per_image, rest = tile % per_image;
  ptrdiff_t y = (ptrdiff_t)(rest / cut->across * cut->side) - at->top;
  ptrdiff_t x = (ptrdiff_t)(rest % cut->across * cut->side) - at->left;
  place on = {.rows = sm_on_axis(y, size, at->height), .columns = sm_on_axis(x, size, at->width)};
  if (on.rows.first == on.rows.last || on.columns.first == on.columns.last) {
    return (place){0, {0, 0}, {0, 0}};
  }
  size_t row = (size_t)(y + (ptrdiff_t)on.rows.first), column = (size_t)(x + (ptrdiff_t)on.columns.first);
  on.first = ((image * at->height + row) * at->width + column) * at->channels;
  return on;
}

/* row (size) = a vector of channels of the pixels in row i of a tile, of which *pixel is the next that is on the
   image; zeros beyond the image. */
SM_INLINE void load_row(sm_vector *row, const int size, size_t i, const real **pixel, const place *on,
                        const images *at) {
  const sm_vector zero = {0};
  bool there = i >= on->rows.first && i < on->rows.last;
  SM_UNROLL
  for (size_t j = 0; j < (size_t)size; j++) {
    bool seen = there && j >= on->columns.first && j < on->columns.last;
    row[j] = seen ? *(const sm_vector *)(*pixel + (j - on->columns.first) * at->channels) : zero;
  }
  if (there) *pixel += at->width * at->channels;
}

/* Asks for the pixels of a later tile, its own without those that it shares, if there is one. */
static void fetch_tile(const real *pixels, size_t tile, const images *at, const grid *cut) {
  if (tile >= cut->tiles) return;
  place on = place_of(tile, cut->side, at, cut);
  const real *row = pixels + on.first;
  size_t run = (on.columns.last - on.columns.first) * at->channels;
  for (size_t i = on.rows.first; i < on.rows.last; i++, row += at->width * at->channels) {
    for (size_t j = 0; j < run; j += APART) __builtin_prefetch(row + j, 0, 2);
  }
}

/* Where cells lie, in elements from one to the next: the eight of a row of one tile side by side, then the same row of
   the other tiles, then the next row. The cell of the points i down and j across is cell j of row i. */
typedef struct layout {
  size_t column, tile, row;
} layout;

static layout layout_of(size_t tiles, size_t channels) {
  size_t tile = POINTS * channels + APART;
  return (layout){channels, tile, tiles * tile};
}

/* ---- there and back ---- */

SM_INLINE void store_column(real *cells, size_t row, const sm_vector column[POINTS]) {
  SM_UNROLL
  for (size_t i = 0; i < POINTS; i++) *(sm_vector *)(cells + i * row) = column[i];
}

/* A vector of channels of a tile of 8 x 8 pixels, which lie under filters. */
SM_INLINE void spread_tile(real *cells, const layout *lie, const real *pixel, const place *on,
                           const images *at) {
  sm_vector half[CELLS], line[POINTS];
  for (size_t i = 0; i < POINTS; i++) {
    load_row(line, POINTS, i, &pixel, on, at);
    sm_winograd_spread(half + i * POINTS, line, 1);
  }
  for (size_t j = 0; j < POINTS; j++) {
    sm_winograd_spread(line, half + j, POINTS);
    store_column(cells + j * lie->column, lie->row, line);
  }
}

/* A vector of channels of a tile of n x n pixels, which come from filters. Returns the pixels' sum. */
SM_INLINE sm_vector evaluate_tile(real *cells, const layout *lie, const real *pixel, const place *on,
                                  const images *at, const int n) {
  sm_vector half[CELLS], line[POINTS], sum = {0};
  for (size_t i = 0; i < (size_t)n; i++) {
    load_row(line, n, i, &pixel, on, at);
    for (int j = 0; j < n; j++) sum += line[j];
    sm_winograd_evaluate(half + i * POINTS, line, 1, n);
  }
  for (size_t j = 0; j < POINTS; j++) {
    sm_winograd_evaluate(line, half + j, POINTS, n);
    store_column(cells + j * lie->column, lie->row, line);
  }
  return sum;
}

/* half (8, n) = cells (8, 8) V(n). */
SM_INLINE void collect_rows(sm_vector *half, const real *cells, size_t column, size_t row, const int n) {
  for (size_t i = 0; i < POINTS; i++) {
    sm_vector line[POINTS];
    SM_UNROLL
    for (size_t j = 0; j < POINTS; j++) line[j] = *(const sm_vector *)(cells + i * row + j * column);
    sm_winograd_collect(half + i * (size_t)n, line, 1, n);
  }
}

/* The cells of the tiles of 8 x 8 pixels that the tiles of results depend on. */
static void spread_tiles(real *cells, const layout *lie, const real *pixels, sm_range tiles, const images *at,
                         const grid *cut) {
  const images own = {at->height, at->width, at->channels, 0, 0};
  for (size_t t = tiles.first; t < tiles.last; t++, cells += lie->tile) {
    place on = place_of(t, POINTS, at, cut);
    fetch_tile(pixels, t + AHEAD * cut->across, &own, cut);
    for (size_t c = 0; c < at->channels; c += SM_VECTOR) {
      spread_tile(cells + c, lie, pixels + on.first + c, &on, at);
    }
  }
}

/* ---- images from images ---- */

/* A vector of channels of a tile of n x n results. */
SM_INLINE void store_tile(real *pixel, const real *cells, const layout *lie, sm_vector bias, const place *on,
                          const images *at, const int n) {
  sm_vector half[CELLS], line[POINTS];
  collect_rows(half, cells, lie->column, lie->row, n);
  for (size_t j = on->columns.first; j < on->columns.last; j++, pixel += at->channels) {
    sm_winograd_collect(line, half + j, n, n);
    for (size_t i = on->rows.first; i < on->rows.last; i++) {
      *(sm_vector *)(pixel + (i - on->rows.first) * at->width * at->channels) = line[i] + bias;
    }
  }
}

/* The pixels of the results from their cells. */
static void store_tiles(real *pixels, const real *cells, const layout *lie, const real *bias, sm_range tiles,
                        const images *at, const grid *cut) {
  for (size_t t = tiles.first; t < tiles.last; t++, cells += lie->tile) {
    place on = place_of(t, cut->side, at, cut);
    for (size_t c = 0; c < at->channels; c += SM_VECTOR) {
      sm_vector start = {0};
      if (bias) start = *(const sm_vector *)(bias + c);
      if (cut->side == 6)
        store_tile(pixels + on.first + c, cells + c, lie, start, &on, at, 6);
      else
        store_tile(pixels + on.first + c, cells + c, lie, start, &on, at, 4);
    }
  }
}

/* The cell of `to` channels of each tile = that of `from` channels * filters, (from, panel width) for each panel. */
static void multiply_cell(real *out, const real *in, const real *filters, size_t tiles, const layout *to,
                          const layout *from) {
  size_t parts = sm_quotient_up(tiles, SM_TILE_ROWS);
  for (size_t p = 0; p < sm_panels_of(to->column); p++) {
    sm_panel at = sm_panel_of(to->column, p);
    sm_tile tile = {.out_step = to->tile,
                    .a_step = from->tile,
                    .b = filters + at.first * from->column,
                    .b_step = at.width,
                    .blocks = 1,
                    .runs = 1,
                    .terms = from->column};
    for (size_t part = 0; part < parts; part++) {
      sm_range rows = sm_chunk(tiles, (int)parts, (int)part);
      tile.out = out + rows.first * to->tile + at.first;
      tile.a = in + rows.first * from->tile;
      sm_tile_multiply(&tile, rows.last - rows.first, at.width, false);
    }
  }
}

static size_t filter_bytes(size_t from, size_t to) { return sm_aligned(CELLS * from * to * sizeof(real)); }

/* Bytes of the cells of a block of tiles. */
static size_t cell_bytes(const layout *lie) { return sm_aligned(POINTS * lie->row * sizeof(real)); }

static size_t worker_bytes(size_t tiles, size_t from, size_t to) {
  layout in = layout_of(tiles, from), out = layout_of(tiles, to);
  return cell_bytes(&in) + cell_bytes(&out);
}

/* Threads that share so many items, each with cells of its own. */
static int workers_of(size_t items) {
  return (int)sm_smaller((size_t)sm_thread_count(), sm_larger(items, 1));
}

static size_t correlate_bytes(size_t from, size_t to, const grid *cut) {
  size_t workers = (size_t)workers_of(sm_quotient_up(cut->tiles, TILES));
  return filter_bytes(from, to) + workers * worker_bytes(TILES, from, to);
}

/* y = x * filters, as cells (CELLS, panels of y's channels, x's channels, panel width), + bias. */
static void correlate(real *y, const real *x, const real *filters, const real *bias, char *scratch,
                      const images *to, const images *from, const grid *cut) {
  const layout in_lie = layout_of(TILES, from->channels), out_lie = layout_of(TILES, to->channels);
  size_t bytes = cell_bytes(&in_lie) + cell_bytes(&out_lie), weights = from->channels * to->channels;
  long blocks = (long)sm_quotient_up(cut->tiles, TILES);
#pragma omp parallel for schedule(static) num_threads(workers_of((size_t)blocks))
  for (long block = 0; block < blocks; block++) {
    char *own = scratch + (size_t)sm_thread_index() * bytes;
    real *in = (real *)own, *out = (real *)(own + cell_bytes(&in_lie));
    sm_range tiles = sm_chunk(cut->tiles, (int)blocks, (int)block);
    spread_tiles(in, &in_lie, x, tiles, from, cut);
    for (size_t cell = 0; cell < CELLS; cell++) {
      size_t i = cell / POINTS, j = cell % POINTS;
      multiply_cell(out + i * out_lie.row + j * out_lie.column, in + i * in_lie.row + j * in_lie.column,
                    filters + cell * weights, tiles.last - tiles.first, &out_lie, &in_lie);
    }
    store_tiles(y, out, &out_lie, bias, tiles, to, cut);
  }
}

/* The cells, `step` apart, of filters x (n, n), multiplied by the points' denominators. */
SM_INLINE void evaluate_filter(real *cells, size_t step, const sm_vector *x, const int n) {
  sm_vector half[CELLS], line[POINTS];
  for (size_t i = 0; i < (size_t)n; i++) sm_winograd_evaluate(half + i * POINTS, x + i * (size_t)n, 1, n);
  for (size_t j = 0; j < POINTS; j++) {
    sm_winograd_evaluate(line, half + j, POINTS, n);
    for (size_t i = 0; i < POINTS; i++) line[i] *= sm_winograd_scale[i] * sm_winograd_scale[j];
    store_column(cells + j * step, POINTS * step, line);
  }
}

/* cells (CELLS, panels of `to`, from, panel width): of w (kernel, kernel, from, to), or of w (kernel, kernel,
   to, from) turned around. */
static void transform_filters(real *cells, const real *w, size_t kernel, size_t from, size_t to,
                              bool turned) {
  size_t vectors = to / SM_VECTOR, taps = kernel * kernel;
  long items = (long)(from * vectors);
#pragma omp parallel for schedule(static)
  for (long item = 0; item < items; item++) {
    size_t c = (size_t)item / vectors, first = (size_t)item % vectors * SM_VECTOR;
    sm_panel at = sm_panel_of(to, first / SM_PANEL);
    sm_vector x[CELLS];
    for (size_t tap = 0; tap < taps; tap++) {
      if (turned) {
        const real *column = w + ((taps - 1 - tap) * to + first) * from + c;
        for (size_t k = 0; k < SM_VECTOR; k++) x[tap][k] = column[k * from];
      } else {
        x[tap] = *(const sm_vector *)(w + (tap * from + c) * to + first);
      }
    }
    real *out = cells + at.first * from + c * at.width + (first - at.first);
    if (kernel == 3)
      evaluate_filter(out, from * to, x, 3);
    else
      evaluate_filter(out, from * to, x, 5);
  }
}

size_t sm_conv_winograd_forward_scratch(const sm_conv2d *conv) {
  grid cut = output_grid(conv);
  return correlate_bytes(conv->window.channels, conv->filters, &cut);
}

void sm_conv_winograd_forward(real *y, const real *x, const real *w, const real *bias, void *scratch,
                              const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  const grid cut = output_grid(conv);
  const images from = {window->height, window->width, window->channels, (ptrdiff_t)window->top,
                       (ptrdiff_t)window->left};
  const images to = {window->out_height, window->out_width, conv->filters, 0, 0};
  transform_filters(scratch, w, window->kernel_height, from.channels, to.channels, false);
  correlate(y, x, scratch, bias, (char *)scratch + filter_bytes(from.channels, to.channels), &to, &from,
            &cut);
}

/* The data gradient is a convolution of gy with the filters turned around, of the other padding. */
size_t sm_conv_winograd_backward_data_scratch(const sm_conv2d *conv) {
  grid cut = input_grid(conv);
  return correlate_bytes(conv->filters, conv->window.channels, &cut);
}

void sm_conv_winograd_backward_data(real *gx, const real *gy, const real *w, void *scratch,
                                    const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  ptrdiff_t last = (ptrdiff_t)window->kernel_height - 1;
  const grid cut = input_grid(conv);
  const images from = {window->out_height, window->out_width, conv->filters, last - (ptrdiff_t)window->top,
                       last - (ptrdiff_t)window->left};
  const images to = {window->height, window->width, window->channels, 0, 0};
  transform_filters(scratch, w, window->kernel_height, from.channels, to.channels, true);
  correlate(gx, gy, scratch, NULL, (char *)scratch + filter_bytes(from.channels, to.channels), &to, &from,
            &cut);
}

/* ---- the filter gradient ---- */

/* Chunks of tiles have sums of their own, added in the chunks' order. A block of tiles costs a pass over the
   sums of channels * filters, so that there should be as many tiles as make the passes over their own cells,
   of channels + filters, the larger part. */
typedef struct sums {
  int chunks;
  size_t tiles;     /* in a block */
  size_t gw, gbias; /* elements per chunk: (CELLS, channels, filters); (filters) in double */
} sums;

static sums sums_of(const sm_conv2d *conv, const grid *cut) {
  size_t channels = conv->window.channels, filters = conv->filters, weights = channels * filters;
  size_t tiles = sm_larger(TILES, sm_smaller(2 * weights / sm_larger(channels + filters, 1), MOST_TILES));
  size_t blocks = sm_larger(sm_quotient_up(cut->tiles, tiles), 1);
  return (sums){(int)sm_smaller(blocks, FILTER_CHUNKS), tiles, CELLS * weights, filters};
}

size_t sm_conv_winograd_backward_filter_scratch(const sm_conv2d *conv) {
  grid cut = output_grid(conv);
  sums part = sums_of(conv, &cut);
  return (size_t)part.chunks *
             (sm_aligned(part.gw * sizeof(real)) + sm_aligned(part.gbias * sizeof(double))) +
         (size_t)workers_of((size_t)part.chunks) *
             worker_bytes(part.tiles, conv->window.channels, conv->filters);
}

/* The cells of the gradient's tiles; gbias (filters) += their pixels. */
static void evaluate_tiles(real *cells, const layout *lie, double *gbias, const real *gy, sm_range tiles,
                           const images *at, const grid *cut) {
  for (size_t t = tiles.first; t < tiles.last; t++, cells += lie->tile) {
    place on = place_of(t, cut->side, at, cut);
    fetch_tile(gy, t + AHEAD * cut->across, at, cut);
    for (size_t c = 0; c < at->channels; c += SM_VECTOR) {
      const real *pixel = gy + on.first + c;
      sm_vector sum = cut->side == 6 ? evaluate_tile(cells + c, lie, pixel, &on, at, 6)
                                     : evaluate_tile(cells + c, lie, pixel, &on, at, 4);
      for (size_t k = 0; k < SM_VECTOR && gbias; k++) gbias[c + k] += (double)sum[k];
    }
  }
}

/* gw (channels, filters) = or += the products of a cell of x and one of gy, over all tiles. */
static void add_products(real *gw, const real *x, const real *gy, bool add, size_t tiles, const layout *x_lie,
                         const layout *gy_lie) {
  size_t channels = x_lie->column, filters = gy_lie->column, parts = sm_quotient_up(channels, SM_TILE_ROWS);
  for (size_t p = 0; p < sm_panels_of(filters); p++) {
    sm_panel at = sm_panel_of(filters, p);
    sm_tile tile = {.out_step = filters,
                    .start_step = filters,
                    .a_step = x_lie->tile,
                    .b = gy + at.first,
                    .b_step = gy_lie->tile,
                    .blocks = 1,
                    .runs = 1,
                    .terms = tiles};
    for (size_t part = 0; part < parts; part++) {
      sm_range rows = sm_chunk(channels, (int)parts, (int)part);
      tile.out = gw + rows.first * filters + at.first;
      tile.start = add ? tile.out : NULL;
      tile.a = x + rows.first;
      sm_tile_multiply(&tile, rows.last - rows.first, at.width, true);
    }
  }
}

/* A vector of filters of gw (kernel, kernel, channels, filters) from the chunks' sums of cells. */
SM_INLINE void collect_filter(real *gw, real *cells, size_t weights, size_t chunks, size_t chunk_step,
                              const int n) {
  for (size_t cell = 0; cell < CELLS; cell++) {
    sm_vector *sum = (sm_vector *)(cells + cell * weights);
    for (size_t chunk = 1; chunk < chunks; chunk++) {
      *sum += *(const sm_vector *)(cells + chunk * chunk_step + cell * weights);
    }
    *sum *= sm_winograd_scale[cell / POINTS] * sm_winograd_scale[cell % POINTS];
  }
  sm_vector half[CELLS], line[POINTS];
  collect_rows(half, cells, weights, POINTS * weights, n);
  for (size_t j = 0; j < (size_t)n; j++) {
    sm_winograd_collect(line, half + j, n, n);
    for (size_t i = 0; i < (size_t)n; i++) *(sm_vector *)(gw + (i * (size_t)n + j) * weights) = line[i];
  }
}

void sm_conv_winograd_backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                                      const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  const grid cut = output_grid(conv);
  const sums part = sums_of(conv, &cut);
  const images from = {window->height, window->width, window->channels, (ptrdiff_t)window->top,
                       (ptrdiff_t)window->left};
  const images to = {window->out_height, window->out_width, conv->filters, 0, 0};
  size_t channels = from.channels, filters = to.channels, weights = channels * filters;
  const layout in_lie = layout_of(part.tiles, channels), out_lie = layout_of(part.tiles, filters);
  size_t bytes = cell_bytes(&in_lie) + cell_bytes(&out_lie);
  size_t gw_bytes = sm_aligned(part.gw * sizeof(real)), gbias_bytes = sm_aligned(part.gbias * sizeof(double));
  char *gw_parts = scratch, *gbias_parts = gw_parts + (size_t)part.chunks * gw_bytes;
  char *workers = gbias_parts + (size_t)part.chunks * gbias_bytes;
#pragma omp parallel for schedule(static) num_threads(workers_of((size_t)part.chunks))
  for (int chunk = 0; chunk < part.chunks; chunk++) {
    char *own = workers + (size_t)sm_thread_index() * bytes;
    real *in = (real *)own, *out = (real *)(own + cell_bytes(&in_lie));
    real *sum = (real *)(gw_parts + (size_t)chunk * gw_bytes);
    double *gbias_sum = (double *)(gbias_parts + (size_t)chunk * gbias_bytes);
    for (size_t j = 0; j < filters; j++) gbias_sum[j] = 0;
    sm_range all = sm_chunk(cut.tiles, part.chunks, chunk);
    if (all.first == all.last) memset(sum, 0, part.gw * sizeof *sum);
    size_t count = all.last - all.first;
    int blocks = (int)sm_quotient_up(count, part.tiles);
    for (int block = 0; block < blocks; block++) {
      sm_range tiles = sm_chunk(count, blocks, block);
      tiles = (sm_range){all.first + tiles.first, all.first + tiles.last};
      spread_tiles(in, &in_lie, x, tiles, &from, &cut);
      evaluate_tiles(out, &out_lie, gbias_sum, gy, tiles, &to, &cut);
      for (size_t cell = 0; cell < CELLS; cell++) {
        size_t i = cell / POINTS, j = cell % POINTS;
        add_products(sum + cell * weights, in + i * in_lie.row + j * channels,
                     out + i * out_lie.row + j * filters, block > 0, tiles.last - tiles.first, &in_lie,
                     &out_lie);
      }
    }
  }

  long vectors = (long)(weights / SM_VECTOR);
#pragma omp parallel for schedule(static)
  for (long vector = 0; vector < vectors; vector++) {
    size_t at = (size_t)vector * SM_VECTOR;
    real *cells = (real *)gw_parts + at;
    size_t chunk_step = gw_bytes / sizeof(real);
    if (window->kernel_height == 3)
      collect_filter(gw + at, cells, weights, (size_t)part.chunks, chunk_step, 3);
    else
      collect_filter(gw + at, cells, weights, (size_t)part.chunks, chunk_step, 5);
  }
  for (size_t j = 0; j < filters && gbias; j++) {
    double sum = 0;
    for (int chunk = 0; chunk < part.chunks; chunk++) {
      sum += ((double *)(gbias_parts + (size_t)chunk * gbias_bytes))[j];
    }
    gbias[j] = (real)sum;
  }
}
