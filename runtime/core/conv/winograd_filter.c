/* The filter gradient of core/conv/winograd.c. */
#include <string.h>

#include "core/conv/winograd.h"
#include "core/conv/winograd_cells.h"

enum {
  SIDE = SM_WINOGRAD_SIDE,
  MOST = SM_WINOGRAD_MOST,
  MOST_CELLS = SM_WINOGRAD_MOST_CELLS,
  TILES = 3 * SM_TILE_ROWS, /* whose cells are worked on at a time, at most; that are worth a chunk's own sums */
  SUM_BYTES = 2400 * 1024   /* of an item's sums, where that leaves it a panel */
};

/* Work is cut into the chunks of all parts times blocks of filters. An item sums the cells of all channels of its tiles
   and filters, and brings the sums back to its chunk's gw. Cells and sums are a thread's own: they come from its own
   cache, where with few channels they stay. */
typedef struct cutting {
  sm_grid grid;
  size_t channels, filters, weights; /* weights: of gw */
  size_t points, count;              /* of an axis; cells */
  size_t blocks, width;              /* of filters; most filters of a block */
  sm_cells in, out;                  /* of x and of gy */
  size_t step;                       /* elements between the cells of sums */
  size_t copy_bytes, in_bytes, out_bytes, sum_bytes, gbias_bytes; /* a thread's: of a tile, of cells, of their sums */
} cutting;

static size_t tiles_of_image(const sm_grid *grid) { return grid->down * grid->across; }

static cutting cutting_of(const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  size_t kernel = window->kernel_height, channels = window->channels, filters = conv->filters;
  cutting cut = {.grid = sm_grid_of(conv, window->out_height, window->out_width),
                 .channels = channels,
                 .filters = filters,
                 .points = sm_winograd_points(kernel),
                 .weights = kernel * kernel * channels * filters};
  cut.count = cut.points * cut.points;
  size_t panels = sm_panels_of(filters), panel_bytes = cut.count * channels * SM_PANEL * sizeof(real);
  cut.blocks = sm_quotient_up(panels, sm_larger(SUM_BYTES / panel_bytes, 1));
  cut.width = sm_smaller(sm_quotient_up(panels, cut.blocks) * SM_PANEL, filters);
  cut.in = sm_cells_of(cut.points, TILES, channels);
  cut.out = sm_cells_of(cut.points, TILES, cut.width);
  cut.in_bytes = sm_cells_bytes(&cut.in);
  cut.out_bytes = sm_cells_bytes(&cut.out);
  cut.copy_bytes = sm_copy_bytes(cut.points, sm_larger(channels, filters));
  cut.step = sm_winograd_filter_step(channels, cut.width);
  cut.sum_bytes = sm_aligned(cut.count * cut.step * sizeof(real));
  cut.gbias_bytes = sm_aligned(filters * sizeof(double));
  return cut;
}

static size_t own_bytes(const cutting *cut) {
  return cut->copy_bytes + cut->in_bytes + cut->out_bytes + cut->sum_bytes + cut->gbias_bytes;
}

size_t sm_conv_winograd_chunks(const sm_conv2d *conv) {
  cutting cut = cutting_of(conv);
  return sm_conv_chunks(sm_quotient_up(SM_CONV_CHUNKS, cut.blocks),
                        sm_conv_part_images(conv) * tiles_of_image(&cut.grid) / TILES);
}

size_t sm_conv_winograd_backward_filter_scratch(const sm_conv2d *conv) {
  cutting cut = cutting_of(conv);
  return sm_workers(conv->parts * conv->chunks * cut.blocks) * own_bytes(&cut);
}

/* A vector of channels of a tile of 4 x 4 pixels, which come from filters. Returns the pixels' sum. */
SM_INLINE sm_vector evaluate_tile(real *cells, const sm_cells *lie, const real *pixel, size_t row,
                                  size_t channels, const int points) {
  sm_vector half[SIDE * MOST], line[MOST], sum = {0};
  SM_UNROLL
  for (size_t i = 0; i < SIDE; i++) {
    SM_UNROLL
    for (size_t j = 0; j < SIDE; j++) {
      line[j] = *(const sm_vector *)(pixel + i * row + j * channels);
      sum += line[j];
    }
    sm_winograd_evaluate(half + i * (size_t)points, line, 1, SIDE, points);
  }
  for (size_t j = 0; j < (size_t)points; j++) {
    sm_winograd_evaluate(line, half + j, points, SIDE, points);
    sm_store_column(cells + j * lie->column, lie->row, line, points);
  }
  return sum;
}

/* The cells of some filters of the gradient's tiles; gbias += their pixels. */
static void evaluate_tiles(real *cells, const sm_cells *lie, real *copy, double *gbias, const real *gy, sm_range tiles,
                           sm_range filters, const sm_images *at, const sm_grid *cut) {
  for (size_t t = tiles.first; t < tiles.last; t++, cells += lie->tile) {
    sm_place on = sm_place_of(t, SIDE, at, cut);
    sm_pixels from = sm_tile_pixels(copy, gy, SIDE, &on, at);
    sm_fetch_tile(gy, t + SM_TILES_AHEAD * cut->across, at, cut);
    for (size_t f = filters.first; f < filters.last; f += SM_VECTOR) {
      real *cell = cells + (f - filters.first);
      sm_vector sum = lie->points == 6 ? evaluate_tile(cell, lie, from.first + f, from.row, at->channels, 6)
                                       : evaluate_tile(cell, lie, from.first + f, from.row, at->channels, 8);
      for (size_t k = 0; k < SM_VECTOR && gbias; k++) gbias[f + k] += (double)sum[k];
    }
  }
}

/* A cell's sums (channels, width) = or += the products of a cell of x and one of gy, over all tiles. */
static void add_cell(real *sums, const real *in, const real *out, size_t cell, size_t width, size_t tiles, bool add,
                     const cutting *cut) {
  real *to = sums + cell * cut->step;
  for (size_t p = 0; p < sm_panels_of(width); p++) {
    sm_panel at = sm_panel_of(width, p);
    sm_tile tile = {.out = to + at.first,
                    .start = add ? to + at.first : NULL,
                    .out_step = width,
                    .start_step = width,
                    .a = in + sm_cell(&cut->in, cell),
                    .b = out + sm_cell(&cut->out, cell) + at.first,
                    .a_step = cut->in.tile,
                    .b_step = cut->out.tile,
                    .blocks = 1,
                    .runs = 1,
                    .terms = tiles};
    sm_multiply_cells(&tile, cut->points, cut->channels, at.width, true);
  }
}

/* A vector of filters of gw (kernel, kernel, channels, filters) from the sums of cells, `step` apart. */
SM_INLINE void collect_filter(real *gw, const real *sums, size_t step, size_t weights, const int n, const int points) {
  sm_vector cells[MOST_CELLS], half[MOST_CELLS], line[MOST];
  real scale[MOST];
  SM_UNROLL
  for (size_t i = 0; i < (size_t)points; i++) scale[i] = sm_winograd_scale(points, i);
  for (size_t i = 0; i < (size_t)points; i++) {
    SM_UNROLL
    for (size_t j = 0; j < (size_t)points; j++, sums += step)
      cells[i * (size_t)points + j] = *(const sm_vector *)sums * (scale[i] * scale[j]);
    sm_winograd_collect(half + i * (size_t)n, cells + i * (size_t)points, 1, n, points);
  }
  for (size_t j = 0; j < (size_t)n; j++) {
    sm_winograd_collect(line, half + j, n, n, points);
    for (size_t i = 0; i < (size_t)n; i++) *(sm_vector *)(gw + (i * (size_t)n + j) * weights) = line[i];
  }
}

/* What the items share. */
typedef struct gradient {
  const sm_conv2d *conv;
  const real *gy, *x;
  sm_images from, to;
  cutting cut;
  real *gw, *gbias;
  char *own;
} gradient;

/* Some filters of a share of gw. */
static void collect(real *gw, const real *sums, sm_range filters, const gradient *of) {
  const cutting *cut = &of->cut;
  size_t width = filters.last - filters.first, weights = cut->channels * cut->filters;
  gw += filters.first;
  for (size_t c = 0; c < cut->channels; c++, gw += cut->filters, sums += width) {
    for (size_t f = 0; f < width; f += SM_VECTOR) {
      if (cut->points == 6)
        collect_filter(gw + f, sums + f, cut->step, weights, 3, 6);
      else
        collect_filter(gw + f, sums + f, cut->step, weights, 5, 8);
    }
  }
}

static void sum_item(const void *work, size_t item) {
  const gradient *of = work;
  const cutting *cut = &of->cut;
  size_t share = item / cut->blocks, first = item % cut->blocks * cut->width;
  sm_range filters = {first, sm_smaller(first + cut->width, cut->filters)};
  sm_range all = sm_conv_share(of->conv, tiles_of_image(&cut->grid), share);
  char *own = of->own + (size_t)sm_thread_index() * own_bytes(cut);
  real *copy = (real *)own, *in = (real *)(own + cut->copy_bytes), *out = (real *)((char *)in + cut->in_bytes);
  real *sums = (real *)((char *)out + cut->out_bytes);
  double *gbias = of->gbias ? (double *)((char *)sums + cut->sum_bytes) : NULL;
  if (all.first == all.last) memset(sums, 0, cut->sum_bytes);
  if (gbias) memset(gbias, 0, cut->gbias_bytes);
  size_t count = all.last - all.first, times = sm_quotient_up(count, TILES);
  for (size_t time = 0; time < times; time++) {
    sm_range tiles = sm_chunk(count, times, time);
    tiles = (sm_range){all.first + tiles.first, all.first + tiles.last};
    sm_spread_tiles(in, &cut->in, copy, of->x, tiles, &of->from, &cut->grid);
    evaluate_tiles(out, &cut->out, copy, gbias, of->gy, tiles, filters, &of->to, &cut->grid);
    for (size_t cell = 0; cell < cut->count; cell++)
      add_cell(sums, in, out, cell, filters.last - filters.first, tiles.last - tiles.first, time > 0, cut);
  }
  collect(of->gw + share * cut->weights, sums, filters, of);
  for (size_t f = filters.first; f < filters.last && gbias; f++) of->gbias[share * cut->filters + f] = (real)gbias[f];
}

void sm_conv_winograd_backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                                      const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  const cutting cut = cutting_of(conv);
  const gradient of = {.conv = conv,
                       .gy = gy,
                       .x = x,
                       .from = {window->height, window->width, cut.channels, (ptrdiff_t)window->top,
                                (ptrdiff_t)window->left},
                       .to = {window->out_height, window->out_width, cut.filters, 0, 0},
                       .cut = cut,
                       .gw = gw,
                       .gbias = gbias,
                       .own = scratch};
  sm_compute(conv->parts * conv->chunks * cut.blocks, SM_LARGE, sum_item, &of);
}
