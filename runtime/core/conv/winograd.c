/* Convolution by Winograd's method: tiles of the images and the filters are taken for polynomials, evaluated at
   eight points on each axis, multiplied point by point, and the products brought back. A 5x5 filter then costs 4
   multiplications per pixel instead of 25, a 3x3 filter 1.8 instead of 9, besides the transforms, which the
   channels share. Winograd 1980, "Arithmetic Complexity of Computations"; for convolutional networks Lavin and
   Gray 2015, arxiv.org/abs/1509.09308.

   Sums run through products of larger numbers than in the direct method, so that rounding is about ten times
   larger relative to the largest number that a tile sees, and an infinity or NaN spreads over its tile: images that it
   does not bear do not come here (core/conv/range.h).

   Arguments, scratch and results are those of the functions in core/conv/conv.h. */
#include "core/conv/winograd.h"

#include <math.h>

#include "core/conv/winograd_cells.h"

enum { POINTS = SM_WINOGRAD_POINTS, CELLS = SM_WINOGRAD_CELLS, TILES = SM_WINOGRAD_TILES, CHANNELS = 16 };

static bool takes(const sm_conv2d *conv, sm_conv_pass pass) {
  (void)pass;
  const sm_window *window = &conv->window;
  size_t kernel = window->kernel_height;
  return window->kernel_width == kernel && (kernel == 3 || kernel == 5) && sm_conv2d_is_plain(conv) &&
         window->channels && window->channels % CHANNELS == 0 && conv->filters &&
         conv->filters % CHANNELS == 0;
}

static sm_grid output_grid(const sm_conv2d *conv) {
  return sm_grid_of(conv, conv->window.out_height, conv->window.out_width);
}

static sm_grid input_grid(const sm_conv2d *conv) {
  return sm_grid_of(conv, conv->window.height, conv->window.width);
}

/* What a multiplication costs next to one of the direct method, transforms included. Against direct, with AVX-512: 1.5
   to 3.5 times as fast (forward and data gradient) and 1.2 to 2.9 times (filter gradient) where it saves two of three
   multiplications, padding included, and there are tiles enough to pay for the filters' transforms. Beyond so many
   channels times filters, unmeasured. */
enum { COST = 3, ENOUGH = 16, ENOUGH_FOR_GRADIENT = 128, WEIGHTS = 64 * 1024 };

static double cost(const sm_conv2d *conv, sm_conv_pass pass) {
  size_t tiles = (pass == SM_CONV_BACKWARD_DATA ? input_grid(conv) : output_grid(conv)).tiles;
  size_t enough = pass == SM_CONV_BACKWARD_FILTER ? ENOUGH_FOR_GRADIENT : ENOUGH;
  if (tiles < enough || conv->window.channels * conv->filters > WEIGHTS) return INFINITY;
  return COST * (double)CELLS * (double)tiles;
}

/* A vector of channels of a tile of n x n results. */
SM_INLINE void store_tile(real *pixel, const real *cells, const sm_cells *lie, sm_vector bias,
                          const sm_place *on, const sm_images *at, const int n) {
  sm_vector half[CELLS], line[POINTS];
  sm_collect_rows(half, cells, lie->column, lie->row, n);
  for (size_t j = on->columns.first; j < on->columns.last; j++, pixel += at->channels) {
    sm_winograd_collect(line, half + j, n, n);
    for (size_t i = on->rows.first; i < on->rows.last; i++) {
      *(sm_vector *)(pixel + (i - on->rows.first) * at->width * at->channels) = line[i] + bias;
    }
  }
}

/* The pixels of the results from their cells. */
static void store_tiles(real *pixels, const real *cells, const sm_cells *lie, const real *bias,
                        sm_range tiles, const sm_images *at, const sm_grid *cut) {
  for (size_t t = tiles.first; t < tiles.last; t++, cells += lie->tile) {
    sm_place on = sm_place_of(t, cut->side, at, cut);
    if (t + 1 < tiles.last) sm_fetch_tile(pixels, t + 1, at, cut);
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

/* The cell of `to` channels of each tile = that of `from` channels * filters, (from, panel width) for each
   panel. */
static void multiply_cell(real *out, const real *in, const real *filters, size_t tiles, const sm_cells *to,
                          const sm_cells *from) {
  for (size_t p = 0; p < sm_panels_of(to->column); p++) {
    sm_panel at = sm_panel_of(to->column, p);
    sm_tile tile = {.out = out + at.first,
                    .out_step = to->tile,
                    .a = in,
                    .a_step = from->tile,
                    .b = filters + at.first * from->column,
                    .b_step = at.width,
                    .blocks = 1,
                    .runs = 1,
                    .terms = from->column};
    sm_tile_multiply(&tile, tiles, at.width, false);
  }
}

/* The cells, `step` apart, of filters x (n, n), multiplied by the points' denominators. */
SM_INLINE void evaluate_filter(real *cells, size_t step, const sm_vector *x, const int n) {
  sm_vector half[CELLS], line[POINTS];
  for (size_t i = 0; i < (size_t)n; i++) sm_winograd_evaluate(half + i * POINTS, x + i * (size_t)n, 1, n);
  for (size_t j = 0; j < POINTS; j++) {
    sm_winograd_evaluate(line, half + j, POINTS, n);
    for (size_t i = 0; i < POINTS; i++) line[i] *= sm_winograd_scale[i] * sm_winograd_scale[j];
    sm_store_column(cells + j * step, POINTS * step, line);
  }
}

/* w (kernel, kernel, from, to), or w (kernel, kernel, to, from) to be turned around. */
typedef struct filter_set {
  const real *w;
  size_t kernel, from, to;
  bool turned;
} filter_set;

static size_t filter_vectors(const filter_set *of) { return of->from * (of->to / SM_VECTOR); }

/* The cells (CELLS, panels of `to`, from, panel width), sm_winograd_filter_step apart, of a vector of `to` for one of
   `from`. */
static void transform_vector(real *cells, size_t vector, const filter_set *of) {
  const real *w = of->w;
  size_t from = of->from, to = of->to, vectors = to / SM_VECTOR, taps = of->kernel * of->kernel;
  size_t c = vector / vectors, first = vector % vectors * SM_VECTOR;
  sm_panel at = sm_panel_of(to, first / SM_PANEL);
  size_t step = sm_winograd_filter_step(from, to);
  real *out = cells + at.first * from + c * at.width + (first - at.first);
  for (size_t cell = 0; cell < CELLS; cell++) __builtin_prefetch(out + cell * step, 1, 3);
  sm_vector x[CELLS];
  for (size_t tap = 0; tap < taps; tap++) {
    if (of->turned) {
      const real *column = w + ((taps - 1 - tap) * to + first) * from + c;
      for (size_t k = 0; k < SM_VECTOR; k++) x[tap][k] = column[k * from];
    } else {
      x[tap] = *(const sm_vector *)(w + (tap * from + c) * to + first);
    }
  }
  if (of->kernel == 3)
    evaluate_filter(out, step, x, 3);
  else
    evaluate_filter(out, step, x, 5);
}

/* What the blocks of tiles share. The filters' cells are made together, before the blocks, where there are few blocks
   to a thread or the cells are many. Otherwise every thread makes all of them for itself, which costs it as much as a
   block: to get them from a core with which it shares no cache costs more (1.5 instead of 1.9 ms with two threads, 50
   images of 14x14x32 and 64 filters of 5x5). */
typedef struct correlation {
  real *y;
  const real *x, *bias;
  const filter_set *filters;
  const sm_images *to, *from;
  const sm_grid *cut;
  size_t blocks, filters_bytes, in_bytes, out_bytes;
  bool together, *made; /* by which threads */
  char *scratch;        /* the cells of filters; each thread's, of its own filters and of its block */
} correlation;

enum {
  OWN_BLOCKS = 16,    /* to a thread, for which filters of its own pay */
  OWN_BYTES = 1 << 20 /* of them that find room in a core's second-level cache */
};

static size_t bytes_of_thread(const correlation *of) {
  return of->in_bytes + of->out_bytes + (of->together ? 0 : of->filters_bytes);
}

static size_t bytes_of(const correlation *of) {
  return (of->together ? of->filters_bytes : 0) + (size_t)sm_thread_count() * bytes_of_thread(of);
}

static correlation correlation_of(size_t from, size_t to, const sm_grid *cut) {
  sm_cells in = sm_cells_of(TILES, from), out = sm_cells_of(TILES, to);
  size_t blocks = sm_quotient_up(cut->tiles, TILES);
  size_t filters_bytes = sm_aligned(CELLS * sm_winograd_filter_step(from, to) * sizeof(real));
  return (correlation){
      .cut = cut,
      .blocks = blocks,
      .filters_bytes = filters_bytes,
      .in_bytes = sm_cells_bytes(&in),
      .out_bytes = sm_cells_bytes(&out),
      .together = blocks < OWN_BLOCKS * (size_t)sm_thread_count() || filters_bytes > OWN_BYTES};
}

static void transform_together(const void *work, size_t vector) {
  const correlation *of = work;
  transform_vector((real *)of->scratch, vector, of->filters);
}

static const real *filters_of_thread(const correlation *of, char *own) {
  if (of->together) return (const real *)of->scratch;
  bool *made = &of->made[sm_thread_index()];
  if (!*made) {
    size_t vectors = filter_vectors(of->filters);
    for (size_t vector = 0; vector < vectors; vector++) transform_vector((real *)own, vector, of->filters);
    *made = true;
  }
  return (const real *)own;
}

static void correlate_block(const void *work, size_t block) {
  const correlation *of = work;
  const sm_images *to = of->to, *from = of->from;
  const sm_cells in_lie = sm_cells_of(TILES, from->channels), out_lie = sm_cells_of(TILES, to->channels);
  size_t filters_step = sm_winograd_filter_step(from->channels, to->channels);
  char *own =
      of->scratch + (of->together ? of->filters_bytes : 0) + (size_t)sm_thread_index() * bytes_of_thread(of);
  const real *cells = filters_of_thread(of, own);
  own += of->together ? 0 : of->filters_bytes;
  real *in = (real *)own, *out = (real *)(own + of->in_bytes);
  sm_range tiles = sm_chunk(of->cut->tiles, of->blocks, block);
  sm_spread_tiles(in, &in_lie, of->x, tiles, from, of->cut);
  for (size_t cell = 0; cell < CELLS; cell++) {
    size_t i = cell / POINTS, j = cell % POINTS;
    multiply_cell(out + i * out_lie.row + j * out_lie.column, in + i * in_lie.row + j * in_lie.column,
                  cells + cell * filters_step, tiles.last - tiles.first, &out_lie, &in_lie);
  }
  store_tiles(of->y, out, &out_lie, of->bias, tiles, to, of->cut);
}

/* y = x * filters + bias. */
static void correlate(real *y, const real *x, const filter_set *filters, const real *bias, void *scratch,
                      const sm_images *to, const sm_images *from, const sm_grid *cut) {
  bool made[SM_THREADS] = {false};
  correlation of = correlation_of(filters->from, filters->to, cut);
  of.y = y;
  of.x = x;
  of.bias = bias;
  of.filters = filters;
  of.to = to;
  of.from = from;
  of.made = made;
  of.scratch = scratch;
  if (of.together) sm_parallel(filter_vectors(filters), SM_LARGE, transform_together, &of);
  sm_parallel(of.blocks, SM_LARGE, correlate_block, &of);
}

static size_t forward_scratch(const sm_conv2d *conv) {
  const sm_grid cut = output_grid(conv);
  const correlation of = correlation_of(conv->window.channels, conv->filters, &cut);
  return bytes_of(&of);
}

static void forward(real *y, const real *x, const real *w, const real *bias, void *scratch,
                              const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  const sm_grid cut = output_grid(conv);
  const sm_images from = {window->height, window->width, window->channels, (ptrdiff_t)window->top,
                          (ptrdiff_t)window->left};
  const sm_images to = {window->out_height, window->out_width, conv->filters, 0, 0};
  const filter_set all = {w, window->kernel_height, from.channels, to.channels, false};
  correlate(y, x, &all, bias, scratch, &to, &from, &cut);
}

/* The data gradient is a convolution of gy with the filters turned around, of the other padding. */
static size_t backward_data_scratch(const sm_conv2d *conv) {
  const sm_grid cut = input_grid(conv);
  const correlation of = correlation_of(conv->filters, conv->window.channels, &cut);
  return bytes_of(&of);
}

static void backward_data(real *gx, const real *gy, const real *w, void *scratch,
                                    const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  ptrdiff_t last = (ptrdiff_t)window->kernel_height - 1;
  const sm_grid cut = input_grid(conv);
  const sm_images from = {window->out_height, window->out_width, conv->filters, last - (ptrdiff_t)window->top,
                          last - (ptrdiff_t)window->left};
  const sm_images to = {window->height, window->width, window->channels, 0, 0};
  const filter_set all = {w, window->kernel_height, from.channels, to.channels, true};
  correlate(gx, gy, &all, NULL, scratch, &to, &from, &cut);
}

const sm_conv_method sm_conv_winograd = {
    .name = "winograd",
    .transforms = true,
    .takes = takes,
    .cost = cost,
    .scratch = {forward_scratch, backward_data_scratch, sm_conv_winograd_backward_filter_scratch},
    .forward = forward,
    .backward_data = backward_data,
    .backward_filter = sm_conv_winograd_backward_filter,
};
