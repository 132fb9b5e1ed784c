/* The filter gradient of core/conv/winograd.h. */
#include <string.h>

#include "core/conv/winograd.h"
#include "core/conv/winograd_cells.h"

enum {
  POINTS = SM_WINOGRAD_POINTS,
  CELLS = SM_WINOGRAD_CELLS,
  MOST_TILES = 256,
  ITEMS = 8,                                 /* for threads, at most */
  PARTS = SM_VECTOR_REGISTERS == 32 ? 2 : 1, /* of the filters, at most */
};

/* An item of work is a chunk of tiles for a part of the filters. Chunks have sums of their own, 64 cells per channel
   and filter, added in the chunks' order; parts share them, which is less to write and to add than twice as many
   chunks, but each takes the tiles of x to cells again: it pays where a core's second-level cache then holds a part's
   sums and cells, as it does in processors with long vectors (1 MiB) and not in others (512 KiB: 6 to 14 % slower).
   A block of tiles costs a pass over the part's sums of channels * filters, so that there should be as many tiles as
   make the passes over their own cells, of channels + filters, the larger part. */
typedef struct cutting {
  sm_grid grid;
  size_t chunks, parts;
  size_t tiles;                 /* in a block */
  sm_cells in, out;             /* of a block: of x, and of a part of gy */
  size_t in_bytes, out_bytes;   /* per thread */
  size_t gw_step;               /* elements between the cells of a chunk's sums, (channels, filters) each */
  size_t gw_bytes, gbias_bytes; /* per chunk: (CELLS, gw_step); (filters) in double */
} cutting;

static cutting cutting_of(const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  size_t channels = window->channels, filters = conv->filters, panels = sm_panels_of(filters);
  cutting cut = {.grid = sm_grid_of(conv, window->out_height, window->out_width)};
  cut.parts = sm_smaller(panels, PARTS);
  size_t widest = sm_smaller(sm_chunk(panels, cut.parts, 0).last * SM_PANEL, filters);
  cut.tiles =
      sm_larger(SM_WINOGRAD_TILES, sm_smaller(2 * channels * widest / (channels + widest), MOST_TILES));
  cut.chunks = sm_smaller(sm_larger(sm_quotient_up(cut.grid.tiles, cut.tiles), 1), ITEMS / cut.parts);
  cut.in = sm_cells_of(cut.tiles, channels);
  cut.out = sm_cells_of(cut.tiles, widest);
  cut.in_bytes = sm_cells_bytes(&cut.in);
  cut.out_bytes = sm_cells_bytes(&cut.out);
  cut.gw_step = sm_winograd_filter_step(channels, filters);
  cut.gw_bytes = sm_aligned(CELLS * cut.gw_step * sizeof(real));
  cut.gbias_bytes = sm_aligned(filters * sizeof(double));
  return cut;
}

size_t sm_conv_winograd_backward_filter_scratch(const sm_conv2d *conv) {
  cutting cut = cutting_of(conv);
  return cut.chunks * (cut.gw_bytes + cut.gbias_bytes) +
         sm_workers(cut.chunks * cut.parts) * (cut.in_bytes + cut.out_bytes);
}

/* A vector of channels of a tile of n x n pixels, which come from filters. Returns the pixels' sum. */
SM_INLINE sm_vector evaluate_tile(real *cells, const sm_cells *lie, const real *pixel, const sm_place *on,
                                  const sm_images *at, const int n) {
  sm_vector half[CELLS], line[POINTS], sum = {0};
  for (size_t i = 0; i < (size_t)n; i++) {
    sm_load_row(line, n, i, &pixel, on, at);
    for (int j = 0; j < n; j++) sum += line[j];
    sm_winograd_evaluate(half + i * POINTS, line, 1, n);
  }
  for (size_t j = 0; j < POINTS; j++) {
    sm_winograd_evaluate(line, half + j, POINTS, n);
    sm_store_column(cells + j * lie->column, lie->row, line);
  }
  return sum;
}

/* The cells of the gradient's tiles, of some filters; gbias (all filters) += their pixels. */
static void evaluate_tiles(real *cells, const sm_cells *lie, double *gbias, const real *gy, sm_range tiles,
                           sm_range filters, const sm_images *at, const sm_grid *cut) {
  for (size_t t = tiles.first; t < tiles.last; t++, cells += lie->tile) {
    sm_place on = sm_place_of(t, cut->side, at, cut);
    sm_fetch_tile(gy, t + SM_TILES_AHEAD * cut->across, at, cut);
    for (size_t c = filters.first; c < filters.last; c += SM_VECTOR) {
      const real *pixel = gy + on.first + c;
      real *own = cells + (c - filters.first);
      sm_vector sum = cut->side == 6 ? evaluate_tile(own, lie, pixel, &on, at, 6)
                                     : evaluate_tile(own, lie, pixel, &on, at, 4);
      for (size_t k = 0; k < SM_VECTOR && gbias; k++) gbias[c + k] += (double)sum[k];
    }
  }
}

/* `filters` columns of gw (channels, step) = or += the products of a cell of x and one of gy, over all tiles. */
static void add_products(real *gw, size_t step, const real *x, const real *gy, size_t filters, bool add,
                         size_t tiles, const sm_cells *x_lie, const sm_cells *gy_lie) {
  for (size_t p = 0; p < sm_panels_of(filters); p++) {
    sm_panel at = sm_panel_of(filters, p);
    sm_tile tile = {.out = gw + at.first,
                    .start = add ? gw + at.first : NULL,
                    .out_step = step,
                    .start_step = step,
                    .a = x,
                    .b = gy + at.first,
                    .a_step = x_lie->tile,
                    .b_step = gy_lie->tile,
                    .blocks = 1,
                    .runs = 1,
                    .terms = tiles};
    sm_tile_multiply(&tile, x_lie->column, at.width, true);
  }
}

/* A vector of filters of gw (kernel, kernel, weights) from the chunks' sums of cells. */
SM_INLINE void collect_filter(real *gw, real *cells, size_t weights, const cutting *cut, const int n) {
  size_t step = cut->gw_step;
  for (size_t cell = 0; cell < CELLS; cell++) {
    sm_vector *first = (sm_vector *)(cells + cell * step), sum = *first;
    for (size_t chunk = 1; chunk < cut->chunks; chunk++) {
      sum += *(const sm_vector *)(cells + chunk * (cut->gw_bytes / sizeof *cells) + cell * step);
    }
    *first = sum * (sm_winograd_scale[cell / POINTS] * sm_winograd_scale[cell % POINTS]);
  }
  sm_vector half[CELLS], line[POINTS];
  sm_collect_rows(half, cells, step, POINTS * step, n);
  for (size_t j = 0; j < (size_t)n; j++) {
    sm_winograd_collect(line, half + j, n, n);
    for (size_t i = 0; i < (size_t)n; i++) *(sm_vector *)(gw + (i * (size_t)n + j) * weights) = line[i];
  }
}

/* What the items share, and then the vectors of gw. */
typedef struct gradient {
  real *gw;
  const real *gy, *x;
  sm_images from, to;
  cutting cut;
  size_t kernel;
  char *gw_parts, *gbias_parts; /* the chunks' */
  bool gbias;                   /* whether it is wanted */
  char *cells;                  /* the threads' */
} gradient;

static void sum_item(const void *work, size_t item) {
  const gradient *of = work;
  const cutting *cut = &of->cut;
  size_t chunk = item / cut->parts, all_filters = of->to.channels;
  sm_range panels = sm_chunk(sm_panels_of(all_filters), cut->parts, item % cut->parts);
  sm_range filters = {panels.first * SM_PANEL, sm_smaller(panels.last * SM_PANEL, all_filters)};
  char *own = of->cells + (size_t)sm_thread_index() * (cut->in_bytes + cut->out_bytes);
  real *in = (real *)own, *out = (real *)(own + cut->in_bytes);
  real *sum = (real *)(of->gw_parts + chunk * cut->gw_bytes) + filters.first;
  double *gbias_sum = of->gbias ? (double *)(of->gbias_parts + chunk * cut->gbias_bytes) : NULL;
  for (size_t j = filters.first; j < filters.last && gbias_sum; j++) gbias_sum[j] = 0;
  sm_range all = sm_chunk(cut->grid.tiles, cut->chunks, chunk);
  size_t count = all.last - all.first, blocks = sm_larger(sm_quotient_up(count, cut->tiles), 1);
  for (size_t block = 0; block < blocks; block++) {
    sm_range tiles = sm_chunk(count, blocks, block);
    tiles = (sm_range){all.first + tiles.first, all.first + tiles.last};
    sm_spread_tiles(in, &cut->in, of->x, tiles, &of->from, &cut->grid);
    evaluate_tiles(out, &cut->out, gbias_sum, of->gy, tiles, filters, &of->to, &cut->grid);
    for (size_t cell = 0; cell < CELLS; cell++) {
      size_t i = cell / POINTS, j = cell % POINTS;
      add_products(sum + cell * cut->gw_step, all_filters, in + i * cut->in.row + j * cut->in.column,
                   out + i * cut->out.row + j * cut->out.column, filters.last - filters.first, block > 0,
                   tiles.last - tiles.first, &cut->in, &cut->out);
    }
  }
}

static void collect_vector(const void *work, size_t vector) {
  const gradient *of = work;
  size_t at = vector * SM_VECTOR, weights = of->from.channels * of->to.channels;
  real *cells = (real *)of->gw_parts + at;
  if (of->kernel == 3)
    collect_filter(of->gw + at, cells, weights, &of->cut, 3);
  else
    collect_filter(of->gw + at, cells, weights, &of->cut, 5);
}

void sm_conv_winograd_backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                                      const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  const cutting cut = cutting_of(conv);
  size_t filters = conv->filters;
  char *gbias_parts = (char *)scratch + cut.chunks * cut.gw_bytes;
  const gradient of = {.gw = gw,
                       .gy = gy,
                       .x = x,
                       .from = {window->height, window->width, window->channels, (ptrdiff_t)window->top,
                                (ptrdiff_t)window->left},
                       .to = {window->out_height, window->out_width, filters, 0, 0},
                       .cut = cut,
                       .kernel = window->kernel_height,
                       .gw_parts = scratch,
                       .gbias_parts = gbias_parts,
                       .gbias = gbias != NULL,
                       .cells = gbias_parts + cut.chunks * cut.gbias_bytes};
  sm_parallel(cut.chunks * cut.parts, SM_LARGE, sum_item, &of);
  sm_parallel(window->channels * filters / SM_VECTOR, SM_LARGE, collect_vector, &of);
  for (size_t j = 0; j < filters && gbias; j++) {
    double sum = 0;
    for (size_t chunk = 0; chunk < cut.chunks; chunk++) {
      sum += ((double *)(gbias_parts + chunk * cut.gbias_bytes))[j];
    }
    gbias[j] = (real)sum;
  }
}
