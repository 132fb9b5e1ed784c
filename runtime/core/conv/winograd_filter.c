/* The filter gradient of core/conv/winograd.c. */
#include <string.h>

#include "core/conv/winograd.h"
#include "core/conv/winograd_cells.h"

enum {
  SIDE = SM_WINOGRAD_SIDE,
  MOST = SM_WINOGRAD_MOST,
  MOST_CELLS = SM_WINOGRAD_MOST_CELLS,
  TILES = 3 * SM_TILE_ROWS,     /* of a block of a set */
  SHARE = SM_TILE_ROWS,         /* tiles of a block of a round */
  PARTS = 4,                    /* of the channels, for threads to share in a round */
  SETS = SM_BATCH_CHUNKS,       /* of sums, at most */
  WIDE_BYTES = 4 << 20,         /* of a set */
  ROUND_BYTES = 16 << 20        /* of the cells of a round */
};

/* Few channels and filters: tiles are cut into chunks, which have sums of their own, all cells per channel and filter;
   these are added in the chunks' order. An item of work goes through its chunk by blocks, whose cells stay in a core's
   second-level cache beside the sums.
   Many, whose sums would not stay there: there is one set of sums. Tiles come in rounds, in which threads share first
   the blocks of tiles and then the cells' sums. */
typedef struct cutting {
  sm_grid grid;
  size_t points, count;                   /* of an axis; cells */
  size_t sets;                            /* of sums */
  size_t round;                           /* blocks in a round; 0: each set is one thread's */
  sm_cells in, out;                       /* of a block or a round: of x and of gy */
  size_t in_bytes, out_bytes, copy_bytes; /* of them, and of a tile per thread */
  size_t gw_step;                         /* elements between the cells of a set, (channels, filters) each */
  size_t gw_bytes, gbias_bytes;           /* per set: (cells, gw_step); per share: (filters) in double */
} cutting;

static cutting cutting_of(const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  size_t channels = window->channels, filters = conv->filters;
  cutting cut = {.grid = sm_grid_of(conv, window->out_height, window->out_width)};
  cut.points = sm_winograd_points(window->kernel_height);
  cut.count = cut.points * cut.points;
  size_t tiles = sm_larger(cut.grid.tiles, 1), together;
  cut.gw_step = sm_winograd_filter_step(channels, filters);
  cut.gw_bytes = sm_aligned(cut.count * cut.gw_step * sizeof(real));
  if (cut.gw_bytes >= WIDE_BYTES) {
    cut.sets = 1;
    size_t share_bytes = SHARE * cut.count * (channels + filters) * sizeof(real);
    cut.round = sm_smaller(sm_larger(ROUND_BYTES / share_bytes, 1), sm_quotient_up(tiles, SHARE));
    together = cut.round * SHARE;
  } else {
    cut.sets = sm_smaller(sm_quotient_up(tiles, TILES), SETS);
    together = TILES;
  }
  cut.in = sm_cells_of(cut.points, together, channels);
  cut.out = sm_cells_of(cut.points, together, filters);
  cut.in_bytes = sm_cells_bytes(&cut.in);
  cut.out_bytes = sm_cells_bytes(&cut.out);
  cut.copy_bytes = sm_copy_bytes(cut.points, sm_larger(channels, filters));
  cut.gbias_bytes = sm_aligned(filters * sizeof(double));
  return cut;
}

static size_t gbias_shares(const cutting *cut) { return sm_larger(cut->sets, cut->round); }

/* What a thread has of its own. */
static size_t own_bytes(const cutting *cut) {
  return cut->copy_bytes + (cut->round ? 0 : cut->in_bytes + cut->out_bytes);
}

size_t sm_conv_winograd_backward_filter_scratch(const sm_conv2d *conv) {
  cutting cut = cutting_of(conv);
  size_t shared = cut.round ? cut.in_bytes + cut.out_bytes : 0;
  return cut.sets * cut.gw_bytes + gbias_shares(&cut) * cut.gbias_bytes + shared +
         (size_t)sm_thread_count() * own_bytes(&cut);
}

/* A vector of channels of a tile of 4 x 4 pixels, which come from filters. Returns the pixels' sum. */
SM_INLINE sm_vector evaluate_tile(real *cells, const sm_cells *lie, const real *pixel, size_t row,
                                  const int points) {
  sm_vector half[SIDE * MOST], line[MOST], sum = {0};
  SM_UNROLL
  for (size_t i = 0; i < SIDE; i++) {
    SM_UNROLL
    for (size_t j = 0; j < SIDE; j++) {
      line[j] = *(const sm_vector *)(pixel + i * row + j * lie->column);
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

/* The cells of the gradient's tiles; gbias (filters) += their pixels. */
static void evaluate_tiles(real *cells, const sm_cells *lie, real *copy, double *gbias, const real *gy, sm_range tiles,
                           const sm_images *at, const sm_grid *cut) {
  for (size_t t = tiles.first; t < tiles.last; t++, cells += lie->tile) {
    sm_place on = sm_place_of(t, SIDE, at, cut);
    sm_pixels from = sm_tile_pixels(copy, gy, SIDE, &on, at);
    sm_fetch_tile(gy, t + SM_TILES_AHEAD * cut->across, at, cut);
    for (size_t c = 0; c < at->channels; c += SM_VECTOR) {
      sm_vector sum = lie->points == 6 ? evaluate_tile(cells + c, lie, from.first + c, from.row, 6)
                                       : evaluate_tile(cells + c, lie, from.first + c, from.row, 8);
      for (size_t k = 0; k < SM_VECTOR && gbias; k++) gbias[c + k] += (double)sum[k];
    }
  }
}

/* Some channels of gw (channels, filters) = or += the products of a cell of x and one of gy, over all tiles. */
static void add_products(real *gw, const real *x, const real *gy, sm_range channels, bool add, size_t tiles,
                         const sm_cells *x_lie, const sm_cells *gy_lie) {
  size_t filters = gy_lie->column;
  gw += channels.first * filters;
  for (size_t p = 0; p < sm_panels_of(filters); p++) {
    sm_panel at = sm_panel_of(filters, p);
    sm_tile tile = {.out = gw + at.first,
                    .start = add ? gw + at.first : NULL,
                    .out_step = filters,
                    .start_step = filters,
                    .a = x + channels.first,
                    .b = gy + at.first,
                    .a_step = x_lie->tile,
                    .b_step = gy_lie->tile,
                    .blocks = 1,
                    .runs = 1,
                    .terms = tiles};
    sm_multiply_cells(&tile, x_lie->points, channels.last - channels.first, at.width, true);
  }
}

/* A vector of filters of gw (kernel, kernel, weights) from the sums of cells, of all sets. */
SM_INLINE void collect_filter(real *gw, real *cells, size_t weights, const cutting *cut, const int n,
                              const int points) {
  size_t step = cut->gw_step;
  real scale[MOST];
  SM_UNROLL
  for (size_t i = 0; i < (size_t)points; i++) scale[i] = sm_winograd_scale(points, i);
  for (size_t cell = 0; cell < cut->count; cell++) {
    sm_vector *first = (sm_vector *)(cells + cell * step), sum = *first;
    for (size_t set = 1; set < cut->sets; set++) {
      sum += *(const sm_vector *)(cells + set * (cut->gw_bytes / sizeof *cells) + cell * step);
    }
    *first = sum * (scale[cell / (size_t)points] * scale[cell % (size_t)points]);
  }
  sm_vector half[MOST_CELLS], line[MOST];
  sm_collect_rows(half, cells, step, (size_t)points * step, n, points);
  for (size_t j = 0; j < (size_t)n; j++) {
    sm_winograd_collect(line, half + j, n, n, points);
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
  char *sets, *gbias_shares, *shared, *own;
  bool gbias;     /* whether it is wanted */
  sm_range tiles; /* of the round */
  bool first;     /* of all rounds */
} gradient;

static char *own_of(const gradient *of) { return of->own + (size_t)sm_thread_index() * own_bytes(&of->cut); }

static double *gbias_share(const gradient *of, size_t share) {
  return of->gbias ? (double *)(of->gbias_shares + share * of->cut.gbias_bytes) : NULL;
}

static void spread_both(real *in, real *out, real *copy, double *gbias, sm_range tiles, const gradient *of) {
  sm_spread_tiles(in, &of->cut.in, copy, of->x, tiles, &of->from, &of->cut.grid);
  evaluate_tiles(out, &of->cut.out, copy, gbias, of->gy, tiles, &of->to, &of->cut.grid);
}

static void add_cell(real *set, const real *in, const real *out, size_t cell, sm_range channels, size_t tiles,
                     bool add, const cutting *cut) {
  add_products(set + cell * cut->gw_step, in + sm_cell(&cut->in, cell), out + sm_cell(&cut->out, cell), channels, add,
               tiles, &cut->in, &cut->out);
}

/* ---- a chunk of tiles for a set of sums ---- */

static void sum_chunk(const void *work, size_t chunk) {
  const gradient *of = work;
  const cutting *cut = &of->cut;
  char *own = own_of(of);
  real *copy = (real *)own, *in = (real *)(own + cut->copy_bytes), *out = (real *)((char *)in + cut->in_bytes);
  sm_range all = sm_chunk(cut->grid.tiles, cut->sets, chunk);
  for (size_t first = all.first; first < all.last; first += TILES) {
    sm_range tiles = {first, sm_smaller(first + TILES, all.last)};
    spread_both(in, out, copy, gbias_share(of, chunk), tiles, of);
    for (size_t cell = 0; cell < cut->count; cell++)
      add_cell((real *)(of->sets + chunk * cut->gw_bytes), in, out, cell, (sm_range){0, of->from.channels},
               tiles.last - tiles.first, first > all.first, cut);
  }
}

/* ---- a round ---- */

static void spread_block(const void *work, size_t block) {
  const gradient *of = work;
  const cutting *cut = &of->cut;
  size_t first = of->tiles.first + block * SHARE;
  real *in = (real *)of->shared + block * SHARE * cut->in.tile;
  real *out = (real *)(of->shared + cut->in_bytes) + block * SHARE * cut->out.tile;
  spread_both(in, out, (real *)own_of(of), gbias_share(of, block),
              (sm_range){first, sm_smaller(first + SHARE, of->tiles.last)}, of);
}

/* Of some channels. */
static void sum_cell(const void *work, size_t item) {
  const gradient *of = work;
  sm_range channels = sm_chunk(of->from.channels, PARTS, item % PARTS);
  add_cell((real *)of->sets, (const real *)of->shared, (const real *)(of->shared + of->cut.in_bytes), item / PARTS,
           channels, of->tiles.last - of->tiles.first, !of->first, &of->cut);
}

static void sum_rounds(gradient *of) {
  const cutting *cut = &of->cut;
  size_t tiles = cut->round * SHARE;
  for (size_t first = 0; first < cut->grid.tiles; first += tiles) {
    of->first = first == 0;
    of->tiles = (sm_range){first, sm_smaller(first + tiles, cut->grid.tiles)};
    sm_compute(sm_quotient_up(of->tiles.last - first, SHARE), SM_LARGE, spread_block, of);
    sm_compute(cut->count * PARTS, SM_LARGE, sum_cell, of);
  }
}

/* ---- the gradient ---- */

static void collect_vector(const void *work, size_t vector) {
  const gradient *of = work;
  size_t at = vector * SM_VECTOR, weights = of->from.channels * of->to.channels;
  real *cells = (real *)of->sets + at;
  if (of->kernel == 3)
    collect_filter(of->gw + at, cells, weights, &of->cut, 3, 6);
  else
    collect_filter(of->gw + at, cells, weights, &of->cut, 5, 8);
}

void sm_conv_winograd_backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                                      const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  const cutting cut = cutting_of(conv);
  size_t filters = conv->filters, shares = gbias_shares(&cut);
  gradient of = {.gw = gw,
                 .gy = gy,
                 .x = x,
                 .from = {window->height, window->width, window->channels, (ptrdiff_t)window->top,
                          (ptrdiff_t)window->left},
                 .to = {window->out_height, window->out_width, filters, 0, 0},
                 .cut = cut,
                 .kernel = window->kernel_height,
                 .sets = scratch,
                 .gbias = gbias != NULL};
  of.gbias_shares = of.sets + cut.sets * cut.gw_bytes;
  of.shared = of.gbias_shares + shares * cut.gbias_bytes;
  of.own = of.shared + (cut.round ? cut.in_bytes + cut.out_bytes : 0);
  memset(of.gbias_shares, 0, shares * cut.gbias_bytes);
  if (cut.round) sum_rounds(&of);
  else sm_compute(cut.sets, SM_LARGE, sum_chunk, &of);
  sm_compute(window->channels * filters / SM_VECTOR, SM_LARGE, collect_vector, &of);
  for (size_t j = 0; j < filters && gbias; j++) {
    double sum = 0;
    for (size_t share = 0; share < shares; share++) sum += gbias_share(&of, share)[j];
    gbias[j] = (real)sum;
  }
}
