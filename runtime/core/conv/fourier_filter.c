/* The filter gradient of core/conv/fourier.c. It adds cells of all images of a part of the batch, so that threads share
   each of its steps. */
#include "core/conv/fourier.h"

#include "core/conv/fourier_cells.h"

enum {
  POINTS = SM_FOURIER_POINTS,
  CELLS = SM_FOURIER_CELLS,
  GRADIENT_IMAGES = SM_TILE_ROWS == 14 ? 28 : 18 /* of a block, at most */
};

static void collect_filter(const void *work, size_t item) {
  const sm_fourier_pass *all = work;
  const sm_fourier_filters *of = &all->filters;
  const sm_fourier_filter_pair at = sm_fourier_filter_pair_of(item, all->filter_cells, of);
  sm_fourier_pair pair;
  sm_fourier_collect(&pair, &at.place);
  for (size_t i = 0; i < of->height; i++) {
    size_t row = sm_fourier_place_of_tap(i, of->top, of->turned) * POINTS;
    sm_fourier_line(pair.im + row, pair.re + row);
    for (size_t j = 0; j < of->width; j++) {
      size_t pixel = row + sm_fourier_place_of_tap(j, of->left, of->turned);
      real *gw = all->gw + ((i * of->width + j) * of->from + at.from) * of->to + at.to;
      *(sm_vector *)gw = pair.re[pixel] * sm_fourier_scale;
      if (at.place.two) *(sm_vector *)(gw + SM_VECTOR) = pair.im[pixel] * sm_fourier_scale;
    }
  }
}

static void spread_both(const void *work, size_t item) {
  const sm_fourier_pass *of = work;
  size_t image = of->block.first + item;
  sm_fourier_spread_from(of, item);
  sm_fourier_spread_image(of->to_cells + item * of->to.image, of->gy + image * sm_fourier_pixels_of(&of->to), &of->to);
}

/* Adds a cell of x times the conjugate of gy = c + id over the images: products as in multiply_cell. */
static void add_cell(const void *work, size_t cell) {
  const sm_fourier_pass *of = work;
  size_t from = of->from.channels, to = of->to.channels;
  bool is_real = sm_fourier_is_real(cell), first = of->blocks == 0;
  for (size_t p = 0; p < sm_panels_of(to); p++) {
    sm_panel panel = sm_panel_of(to, p);
    real *sum = of->filter_cells + cell * of->filters.cell + sm_fourier_before_panel(&of->filters, &panel);
    sm_tile tile = {.out = sum,
                    .start = first ? NULL : sum,
                    .out_step = panel.width,
                    .start_step = panel.width,
                    .a = of->from_cells + cell * of->from.cell,
                    .b = of->to_cells + cell * of->to.cell + panel.first,
                    .a_step = of->from.image,
                    .b_step = of->to.image,
                    .a_run = from,
                    .b_run = to,
                    .blocks = 1,
                    .runs = is_real ? 1 : 2,
                    .terms = of->block.last - of->block.first};
    sm_tile_multiply(&tile, from, panel.width, true);
    tile.out += from * panel.width;
    tile.start = first ? NULL : tile.out;
    tile.a += from;
    tile.b += is_real ? to : 0;
    sm_tile_multiply(&tile, from, panel.width, true);
  }
}

size_t sm_conv_fourier_backward_filter_scratch(const sm_conv2d *conv) {
  const sm_fourier_pass of = sm_fourier_pass_of(conv, false, GRADIENT_IMAGES);
  return sm_fourier_cells_bytes(of.filters.cell) + sm_fourier_block_bytes(&of) + conv->filters * sizeof(double);
}

/* The sums over the images of a part; bias_sums (filters): what gy has at frequency 0, twice. */
static void sum_part(sm_fourier_pass *of, double *bias_sums, sm_range images) {
  size_t filters = of->to.channels, count = images.last - images.first;
  size_t blocks = sm_larger(sm_quotient_up(count, GRADIENT_IMAGES), 1);
  for (size_t j = 0; j < filters; j++) bias_sums[j] = 0;
  for (of->blocks = 0; of->blocks < blocks; of->blocks++) {
    sm_range own = sm_chunk(count, blocks, of->blocks);
    of->block = (sm_range){images.first + own.first, images.first + own.last};
    sm_compute(own.last - own.first, SM_LARGE, spread_both, of);
    sm_compute(CELLS, SM_LARGE, add_cell, of);
    for (size_t i = 0; i < own.last - own.first; i++)
      for (size_t j = 0; j < filters; j++) bias_sums[j] += (double)of->to_cells[i * of->to.image + j];
  }
  sm_compute(sm_fourier_filter_pairs(&of->filters), SM_LARGE, collect_filter, of);
}

void sm_conv_fourier_backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                                     const sm_conv2d *conv) {
  size_t filters = conv->filters;
  sm_fourier_pass of = sm_fourier_pass_of(conv, false, GRADIENT_IMAGES);
  of.gy = gy;
  of.x = x;
  of.filter_cells = scratch;
  char *own = (char *)scratch + sm_fourier_cells_bytes(of.filters.cell);
  sm_fourier_place_block(&of, own);
  double *bias_sums = (double *)(own + sm_fourier_block_bytes(&of));
  for (size_t part = 0; part < conv->parts; part++) {
    of.gw = gw + part * of.filters.height * of.filters.width * of.from.channels * filters;
    sum_part(&of, bias_sums, sm_conv_part(conv, part));
    for (size_t j = 0; j < filters && gbias; j++) gbias[part * filters + j] = (real)(bias_sums[j] / 2);
  }
}
