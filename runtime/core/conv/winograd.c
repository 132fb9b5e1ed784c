/* Convolution by Winograd's method: tiles of the images and the filters are taken for polynomials, evaluated at
   six or eight points on each axis, multiplied point by point, and the products brought back. A tile is 4x4 results. A
   3x3 filter then costs 2.25 multiplications per pixel instead of 9, a 5x5 filter 4 instead of 25, besides the
   transforms, which the channels share. Winograd 1980, "Arithmetic Complexity of Computations"; for convolutional
   networks Lavin and Gray 2015, arxiv.org/abs/1509.09308.

   Sums run through products of larger numbers than in the direct method, so that rounding is 2 (3x3) and 6 times (5x5)
   as large relative to the largest number that a tile sees, and an infinity or NaN spreads over its tile: images that
   it does not bear do not come here (core/conv/range.h).

   Arguments, scratch and results are those of the functions in core/conv/conv.h. */
#include "core/conv/winograd.h"

#include "core/conv/range.h"
#include "core/conv/winograd_cells.h"

enum { SIDE = SM_WINOGRAD_SIDE, MOST = SM_WINOGRAD_MOST, MOST_CELLS = SM_WINOGRAD_MOST_CELLS, CHANNELS = 16 };

static bool takes(const sm_conv2d *conv, sm_conv_pass pass) {
  const sm_window *window = &conv->window;
  size_t kernel = window->kernel_height;
  (void)pass;
  return window->kernel_width == kernel && (kernel == 3 || kernel == 5) && sm_conv2d_is_plain(conv) &&
         window->channels && window->channels % CHANNELS == 0 && conv->filters && conv->filters % CHANNELS == 0;
}

static sm_grid output_grid(const sm_conv2d *conv) {
  return sm_grid_of(conv, conv->window.out_height, conv->window.out_width);
}

static sm_grid input_grid(const sm_conv2d *conv) {
  return sm_grid_of(conv, conv->window.height, conv->window.width);
}

/* A multiplication costs about as much as one of the direct method. Beside it stand the transforms of a tile's
   channels, which all filters share, and those of the filters, which all tiles share. Fitted to times of 16 to 256
   channels, images of 4x4 to 32x32 and batches of 1 to 64, with AVX-512. */
static double cost(const sm_conv2d *conv, sm_conv_pass pass) {
  double tiles = (double)(pass == SM_CONV_BACKWARD_DATA ? input_grid(conv) : output_grid(conv)).tiles;
  double points = (double)sm_winograd_points(conv->window.kernel_height);
  double shared = 1 / (double)conv->window.channels + 1 / (double)conv->filters;
  bool gradient = pass == SM_CONV_BACKWARD_FILTER;
  double of_tile = gradient ? 1.8 + 16 * shared : 1.4 + 12 * shared, of_filter = 6;
  return points * points * (tiles * of_tile + of_filter);
}

/* ---- results ---- */

/* A vector of channels of a tile of 4 x 4 results. */
SM_INLINE void store_tile(real *pixel, size_t row, const real *cells, const sm_cells *lie, sm_vector bias,
                          const int points) {
  sm_vector half[MOST * SIDE], line[SIDE];
  sm_collect_rows(half, cells, lie->column, lie->row, SIDE, points);
  for (size_t j = 0; j < SIDE; j++, pixel += lie->column) {
    sm_winograd_collect(line, half + j, SIDE, SIDE, points);
    SM_UNROLL
    for (size_t i = 0; i < SIDE; i++) *(sm_vector *)(pixel + i * row) = line[i] + bias;
  }
}

/* The pixels of the results from their cells. copy (4, 4, channels): for a tile that reaches beyond its image. */
static void store_tiles(real *pixels, real *copy, const real *cells, const sm_cells *lie, const real *bias,
                        sm_range tiles, const sm_images *at, const sm_grid *cut) {
  size_t line = at->width * at->channels, channels = at->channels;
  for (size_t t = tiles.first; t < tiles.last; t++, cells += lie->tile) {
    sm_place on = sm_place_of(t, SIDE, at, cut);
    bool whole = sm_is_whole(&on, SIDE);
    real *to = whole ? pixels + on.first : copy;
    size_t row = whole ? line : SIDE * channels;
    if (t + 1 < tiles.last) sm_fetch_tile(pixels, t + 1, at, cut);
    for (size_t c = 0; c < channels; c += SM_VECTOR) {
      sm_vector start = {0};
      if (bias) start = *(const sm_vector *)(bias + c);
      if (lie->points == 6)
        store_tile(to + c, row, cells + c, lie, start, 6);
      else
        store_tile(to + c, row, cells + c, lie, start, 8);
    }
    for (size_t i = 0; i < on.rows.last && !whole; i++)
      memcpy(pixels + on.first + i * line, copy + i * row, on.columns.last * channels * sizeof *copy);
  }
}

/* ---- filters ---- */

/* The cells, `step` apart, of filters x (n, n), multiplied by the points' denominators. */
SM_INLINE void evaluate_filter(real *cells, size_t step, const sm_vector *x, const int n, const int points) {
  sm_vector half[MOST_CELLS], line[MOST];
  real scale[MOST];
  SM_UNROLL
  for (size_t i = 0; i < (size_t)points; i++) scale[i] = sm_winograd_scale(points, i);
  for (size_t i = 0; i < (size_t)n; i++)
    sm_winograd_evaluate(half + i * (size_t)points, x + i * (size_t)n, 1, n, points);
  for (size_t j = 0; j < (size_t)points; j++) {
    sm_winograd_evaluate(line, half + j, points, n, points);
    for (size_t i = 0; i < (size_t)points; i++) line[i] *= scale[i] * scale[j];
    sm_store_column(cells + j * step, (size_t)points * step, line, points);
  }
}

/* w (kernel, kernel, from, to), or w (kernel, kernel, to, from) to be turned around. */
typedef struct filter_set {
  const real *w;
  size_t kernel, from, to;
  bool turned;
} filter_set;

static size_t filter_bytes(const filter_set *of) {
  size_t points = sm_winograd_points(of->kernel);
  return sm_aligned(points * points * sm_winograd_filter_step(of->from, of->to) * sizeof(real));
}

/* Filters are transformed a square of a vector of `from` and one of `to` at a time, in this order of items. */
static size_t filter_squares(const filter_set *of) { return of->from / SM_VECTOR * (of->to / SM_VECTOR); }

/* square (taps, from, to) of w. */
static void load_square(real *square, size_t from, size_t to, const filter_set *of) {
  size_t taps = of->kernel * of->kernel;
  for (size_t tap = 0; tap < taps; tap++, square += SM_VECTOR * SM_VECTOR) {
    const real *w = of->w + (of->turned ? ((taps - 1 - tap) * of->to + to) * of->from + from
                                        : (tap * of->from + from) * of->to + to);
    for (size_t i = 0; i < SM_VECTOR; i++) {
      if (!of->turned) *(sm_vector *)(square + i * SM_VECTOR) = *(const sm_vector *)(w + i * of->to);
      for (size_t k = 0; k < SM_VECTOR && of->turned; k++) square[k * SM_VECTOR + i] = w[i * of->from + k];
    }
  }
}

/* The cells (panels of `to`, from, panel width), sm_winograd_filter_step apart, of a square. */
static void transform_square(real *cells, size_t item, const filter_set *of) {
  enum { MOST_TAPS = 25 };
  size_t vectors = of->to / SM_VECTOR, first = item % vectors * SM_VECTOR, from = item / vectors * SM_VECTOR;
  size_t taps = of->kernel * of->kernel, step = sm_winograd_filter_step(of->from, of->to);
  sm_panel at = sm_panel_of(of->to, first / SM_PANEL);
  real square[MOST_TAPS * SM_VECTOR * SM_VECTOR];
  load_square(square, from, first, of);
  for (size_t c = 0; c < SM_VECTOR; c++) {
    real *out = cells + at.first * of->from + (from + c) * at.width + (first - at.first);
    sm_vector x[MOST_TAPS];
    for (size_t tap = 0; tap < taps; tap++)
      x[tap] = *(const sm_vector *)(square + (tap * SM_VECTOR + c) * SM_VECTOR);
    if (of->kernel == 3)
      evaluate_filter(out, step, x, 3, 6);
    else
      evaluate_filter(out, step, x, 5, 8);
  }
}

/* ---- forward and the data gradient ---- */

/* What the blocks of tiles share. */
typedef struct correlation {
  real *y;
  const real *x, *bias;
  filter_set filters;
  sm_images to, from;
  sm_grid cut;
  sm_cells in, out; /* of a block */
  size_t blocks;
  const sm_conv_watch *watch;
  char *scratch;    /* the cells of filters; each thread's of its block */
} correlation;

static size_t bytes_of_thread(const correlation *of) {
  return sm_cells_bytes(&of->in) + sm_cells_bytes(&of->out) +
         sm_copy_bytes(of->in.points, sm_larger(of->from.channels, of->to.channels));
}

static size_t bytes_of(const correlation *of) {
  return filter_bytes(&of->filters) + sm_workers(of->blocks) * bytes_of_thread(of);
}

/* A block's cells should stay in a core's second-level cache, with those of filters. Where that leaves room for few
   tiles, these are a larger block, for every block reads the cells of all filters, which then come from further away.
   No number depends on the block that it is computed in. */
enum { BLOCK_BYTES = 576 * 1024, LEAST_TILES = 20, LARGE_ROWS = 9, MOST_ROWS = 3 };

static size_t tiles_of_block(size_t points, size_t from, size_t to) {
  size_t fitting = BLOCK_BYTES / (points * points * (from + to) * sizeof(real));
  size_t rows = fitting < LEAST_TILES ? LARGE_ROWS : sm_smaller(fitting / SM_TILE_ROWS, MOST_ROWS);
  return rows * SM_TILE_ROWS;
}

static void correlate_block(const void *work, size_t block) {
  const correlation *of = work;
  const sm_cells *in_lie = &of->in, *out_lie = &of->out;
  size_t points = in_lie->points, step = sm_winograd_filter_step(of->from.channels, of->to.channels);
  size_t per_image = of->cut.down * of->cut.across;
  const real *filters = (const real *)of->scratch;
  char *own = of->scratch + filter_bytes(&of->filters) + (size_t)sm_thread_index() * bytes_of_thread(of);
  real *in = (real *)own, *out = (real *)(own + sm_cells_bytes(in_lie));
  real *copy = (real *)(own + sm_cells_bytes(in_lie) + sm_cells_bytes(out_lie));
  sm_range tiles = sm_chunk(of->cut.tiles, of->blocks, block);
  for (size_t image = sm_quotient_up(tiles.first, per_image); image * per_image < tiles.last; image++)
    sm_conv_look(of->watch, image); /* those that begin here */
  sm_spread_tiles(in, in_lie, copy, of->x, tiles, &of->from, &of->cut);
  for (size_t cell = 0; cell < points * points; cell++) {
    for (size_t p = 0; p < sm_panels_of(out_lie->column); p++) {
      sm_panel at = sm_panel_of(out_lie->column, p);
      sm_tile tile = {.out = out + sm_cell(out_lie, cell) + at.first,
                      .out_step = out_lie->tile,
                      .a = in + sm_cell(in_lie, cell),
                      .a_step = in_lie->tile,
                      .b = filters + cell * step + at.first * in_lie->column,
                      .b_step = at.width,
                      .blocks = 1,
                      .runs = 1,
                      .terms = in_lie->column};
      sm_multiply_cells(&tile, points, tiles.last - tiles.first, at.width, false);
    }
  }
  store_tiles(of->y, copy, out, out_lie, of->bias, tiles, &of->to, &of->cut);
}

static void transform_filters(const void *work, size_t square) {
  const correlation *of = work;
  transform_square((real *)of->scratch, square, &of->filters);
}

static void correlate(const correlation *of) {
  sm_compute(filter_squares(&of->filters), SM_LARGE, transform_filters, of);
  sm_compute(of->blocks, SM_LARGE, correlate_block, of);
}

/* The pass from x to y of a convolution or, turned, from gy to gx: the data gradient is a convolution of gy with the
   filters turned around, of the other padding. */
static correlation correlation_of(const sm_conv2d *conv, bool turned) {
  const sm_window *at = &conv->window;
  size_t kernel = at->kernel_height, points = sm_winograd_points(kernel);
  ptrdiff_t top = (ptrdiff_t)at->top, left = (ptrdiff_t)at->left, last = (ptrdiff_t)kernel - 1;
  sm_images in = {at->height, at->width, at->channels, 0, 0};
  sm_images out = {at->out_height, at->out_width, conv->filters, 0, 0};
  correlation of = {.from = turned ? out : in, .to = turned ? in : out,
                    .cut = turned ? input_grid(conv) : output_grid(conv), .watch = conv->watch};
  of.from.top = turned ? last - top : top;
  of.from.left = turned ? last - left : left;
  of.filters = (filter_set){.kernel = kernel, .from = of.from.channels, .to = of.to.channels, .turned = turned};
  size_t tiles = tiles_of_block(points, of.from.channels, of.to.channels), threads = (size_t)sm_thread_count();
  size_t blocks = sm_quotient_up(sm_quotient_up(of.cut.tiles, tiles), threads) * threads;
  of.blocks = sm_larger(sm_smaller(blocks, of.cut.tiles / SM_TILE_ROWS), 1);
  tiles = sm_quotient_up(of.cut.tiles, of.blocks);
  of.in = sm_cells_of(points, tiles, of.from.channels);
  of.out = sm_cells_of(points, tiles, of.to.channels);
  return of;
}

static size_t forward_scratch(const sm_conv2d *conv) {
  const correlation of = correlation_of(conv, false);
  return bytes_of(&of);
}

static void forward(real *y, const real *x, const real *w, const real *bias, void *scratch, const sm_conv2d *conv) {
  correlation of = correlation_of(conv, false);
  of.y = y;
  of.x = x;
  of.bias = bias;
  of.filters.w = w;
  of.scratch = scratch;
  correlate(&of);
}

static size_t backward_data_scratch(const sm_conv2d *conv) {
  const correlation of = correlation_of(conv, true);
  return bytes_of(&of);
}

static void backward_data(real *gx, const real *gy, const real *w, void *scratch, const sm_conv2d *conv) {
  correlation of = correlation_of(conv, true);
  of.y = gx;
  of.x = gy;
  of.filters.w = w;
  of.scratch = scratch;
  correlate(&of);
}

const sm_conv_method sm_conv_winograd = {
    .name = "winograd",
    .transforms = true,
    .takes = takes,
    .cost = cost,
    .scratch = {forward_scratch, backward_data_scratch, sm_conv_winograd_backward_filter_scratch},
    .forward = forward,
    .backward_data = backward_data,
    .chunks = sm_conv_winograd_chunks,
    .backward_filter = sm_conv_winograd_backward_filter,
};
