#include "core/conv_winograd.h"

#include "core/conv_winograd_cells.h"

enum { POINTS = SM_WINOGRAD_POINTS, CELLS = SM_WINOGRAD_CELLS, TILES = SM_WINOGRAD_TILES };

bool sm_conv_winograd_takes(const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  size_t kernel = window->kernel_height;
  return window->kernel_width == kernel && (kernel == 3 || kernel == 5) && window->stride == 1 &&
         window->channels && window->channels % SM_WINOGRAD_CHANNELS == 0 && conv->filters &&
         conv->filters % SM_WINOGRAD_CHANNELS == 0;
}

static sm_grid output_grid(const sm_conv2d *conv) {
  return sm_grid_of(conv, conv->window.out_height, conv->window.out_width);
}

static sm_grid input_grid(const sm_conv2d *conv) {
  return sm_grid_of(conv, conv->window.height, conv->window.width);
}

size_t sm_conv_winograd_tiles(const sm_conv2d *conv) { return output_grid(conv).tiles; }
size_t sm_conv_winograd_input_tiles(const sm_conv2d *conv) { return input_grid(conv).tiles; }

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
      sm_range rows = sm_chunk(tiles, parts, part);
      tile.out = out + rows.first * to->tile + at.first;
      tile.a = in + rows.first * from->tile;
      sm_tile_multiply(&tile, rows.last - rows.first, at.width, false);
    }
  }
}

static size_t filter_bytes(size_t from, size_t to) {
  return sm_aligned(CELLS * sm_winograd_filter_step(from, to) * sizeof(real));
}

static size_t correlate_bytes(size_t from, size_t to) {
  sm_cells in = sm_cells_of(TILES, from), out = sm_cells_of(TILES, to);
  return filter_bytes(from, to) + (size_t)sm_thread_count() * (sm_cells_bytes(&in) + sm_cells_bytes(&out));
}

/* What the blocks of tiles share. */
typedef struct correlation {
  real *y;
  const real *x, *filters, *bias;
  char *scratch; /* each thread's cells */
  const sm_images *to, *from;
  const sm_grid *cut;
  size_t blocks;
} correlation;

static void correlate_block(const void *work, size_t block) {
  const correlation *of = work;
  const sm_images *to = of->to, *from = of->from;
  const sm_cells in_lie = sm_cells_of(TILES, from->channels), out_lie = sm_cells_of(TILES, to->channels);
  size_t in_bytes = sm_cells_bytes(&in_lie),
         filters_step = sm_winograd_filter_step(from->channels, to->channels);
  char *own = of->scratch + (size_t)sm_thread_index() * (in_bytes + sm_cells_bytes(&out_lie));
  real *in = (real *)own, *out = (real *)(own + in_bytes);
  sm_range tiles = sm_chunk(of->cut->tiles, of->blocks, block);
  sm_spread_tiles(in, &in_lie, of->x, tiles, from, of->cut);
  for (size_t cell = 0; cell < CELLS; cell++) {
    size_t i = cell / POINTS, j = cell % POINTS;
    multiply_cell(out + i * out_lie.row + j * out_lie.column, in + i * in_lie.row + j * in_lie.column,
                  of->filters + cell * filters_step, tiles.last - tiles.first, &out_lie, &in_lie);
  }
  store_tiles(of->y, out, &out_lie, of->bias, tiles, to, of->cut);
}

/* y = x * filters, as cells (CELLS, panels of y's channels, x's channels, panel width) sm_winograd_filter_step
   apart, + bias. */
static void correlate(real *y, const real *x, const real *filters, const real *bias, char *scratch,
                      const sm_images *to, const sm_images *from, const sm_grid *cut) {
  size_t blocks = sm_quotient_up(cut->tiles, TILES);
  sm_parallel(blocks, SM_LARGE, correlate_block,
              &(correlation){y, x, filters, bias, scratch, to, from, cut, blocks});
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

/* cells (CELLS, panels of `to`, from, panel width), sm_winograd_filter_step apart: of w (kernel, kernel, from, to), or
   of w (kernel, kernel, to, from) turned around. */
typedef struct filter_transform {
  real *cells;
  const real *w;
  size_t kernel, from, to;
  bool turned;
} filter_transform;

/* A vector of `to` for one of `from`. */
static void transform_vector(const void *work, size_t vector) {
  const filter_transform *of = work;
  const real *w = of->w;
  size_t from = of->from, to = of->to, vectors = to / SM_VECTOR, taps = of->kernel * of->kernel;
  size_t c = vector / vectors, first = vector % vectors * SM_VECTOR;
  sm_panel at = sm_panel_of(to, first / SM_PANEL);
  size_t step = sm_winograd_filter_step(from, to);
  real *out = of->cells + at.first * from + c * at.width + (first - at.first);
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

static void transform_filters(real *cells, const real *w, size_t kernel, size_t from, size_t to,
                              bool turned) {
  sm_parallel(from * (to / SM_VECTOR), SM_LARGE, transform_vector,
              &(filter_transform){cells, w, kernel, from, to, turned});
}

size_t sm_conv_winograd_forward_scratch(const sm_conv2d *conv) {
  return correlate_bytes(conv->window.channels, conv->filters);
}

void sm_conv_winograd_forward(real *y, const real *x, const real *w, const real *bias, void *scratch,
                              const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  const sm_grid cut = output_grid(conv);
  const sm_images from = {window->height, window->width, window->channels, (ptrdiff_t)window->top,
                          (ptrdiff_t)window->left};
  const sm_images to = {window->out_height, window->out_width, conv->filters, 0, 0};
  transform_filters(scratch, w, window->kernel_height, from.channels, to.channels, false);
  correlate(y, x, scratch, bias, (char *)scratch + filter_bytes(from.channels, to.channels), &to, &from,
            &cut);
}

/* The data gradient is a convolution of gy with the filters turned around, of the other padding. */
size_t sm_conv_winograd_backward_data_scratch(const sm_conv2d *conv) {
  return correlate_bytes(conv->filters, conv->window.channels);
}

void sm_conv_winograd_backward_data(real *gx, const real *gy, const real *w, void *scratch,
                                    const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  ptrdiff_t last = (ptrdiff_t)window->kernel_height - 1;
  const sm_grid cut = input_grid(conv);
  const sm_images from = {window->out_height, window->out_width, conv->filters, last - (ptrdiff_t)window->top,
                          last - (ptrdiff_t)window->left};
  const sm_images to = {window->height, window->width, window->channels, 0, 0};
  transform_filters(scratch, w, window->kernel_height, from.channels, to.channels, true);
  correlate(gx, gy, scratch, NULL, (char *)scratch + filter_bytes(from.channels, to.channels), &to, &from,
            &cut);
}
