/* What the passes by the Fourier transform (core/conv/fourier.c) share: how images and filters lie and become cells. */
#ifndef SM_CONV_FOURIER_CELLS_H
#define SM_CONV_FOURIER_CELLS_H

#include "core/conv/fourier_transform.h"
#include "core/conv/reading.h"

enum { SM_FOURIER_PAIR = 2 * SM_VECTOR }; /* channels that are transformed together */

/* Images, and the cells of a block: the numbers of a cell, each for all channels, then those of the next image. Cells
   are a line further apart than they take, off one another's cache sets. */
typedef struct sm_fourier_images {
  size_t height, width, channels;
  size_t numbers;     /* of a cell: 2, or 3 with the first once more, negative */
  size_t image, cell; /* elements from an image's cell to the next image's, and to its next cell */
} sm_fourier_images;

/* Filters, and their cells: for each panel of `to` the numbers of a cell, (from, panel width) each. Around a circle of
   SM_FOURIER_POINTS pixels tap (i, j) stands at (i - top, j - left) or, turned, at (top - i, left - j). */
typedef struct sm_fourier_filters {
  size_t height, width, top, left, from, to;
  bool turned;
  size_t cell; /* elements from a cell to the next */
} sm_fourier_filters;

/* `from` are the images under the filters and `to` the results, or those whose gradients they are. */
typedef struct sm_fourier_pass {
  real *y, *gw;
  const real *x, *w, *bias, *gy;
  sm_fourier_images from, to;
  sm_fourier_filters filters;
  real *from_cells, *to_cells, *filter_cells;
  size_t batch, blocks; /* blocks: of the filter gradient, those of a part that are done */
  sm_range block;       /* images */
  const struct sm_conv_watch *watch;
  sm_conv2d_task *task; /* instead of y: what takes each result, which is in memory of the thread's own */
  const void *work;
} sm_fourier_pass;

static inline sm_fourier_images sm_fourier_images_of(size_t height, size_t width, size_t channels, size_t numbers,
                                                     size_t images) {
  size_t image = numbers * channels;
  return (sm_fourier_images){height, width, channels, numbers, image, images * image + SM_LINE};
}

/* The pass from x to y of a convolution or, turned, from gy to gx, by blocks of so many images. */
static inline sm_fourier_pass sm_fourier_pass_of(const sm_conv2d *conv, bool turned, size_t images) {
  const sm_window *at = &conv->window;
  size_t from = turned ? conv->filters : at->channels, to = turned ? at->channels : conv->filters;
  size_t height = turned ? at->out_height : at->height, width = turned ? at->out_width : at->width;
  size_t to_height = turned ? at->height : at->out_height, to_width = turned ? at->width : at->out_width;
  return (sm_fourier_pass){.batch = at->batch,
                           .watch = conv->watch,
                           .from = sm_fourier_images_of(height, width, from, 3, images),
                           .to = sm_fourier_images_of(to_height, to_width, to, 2, images),
                           .filters = {at->kernel_height, at->kernel_width, at->top, at->left, from, to, turned,
                                       2 * from * to + SM_LINE}};
}

static inline size_t sm_fourier_pixels_of(const sm_fourier_images *of) { return of->height * of->width * of->channels; }

static inline size_t sm_fourier_cells_bytes(size_t cell) { return sm_aligned(SM_FOURIER_CELLS * cell * sizeof(real)); }

/* The cells of a block, and a result. */
static inline size_t sm_fourier_block_bytes(const sm_fourier_pass *of) {
  return sm_fourier_cells_bytes(of->from.cell) + sm_fourier_cells_bytes(of->to.cell) +
         sm_aligned(sm_fourier_pixels_of(&of->to) * sizeof(real));
}

static inline void sm_fourier_place_block(sm_fourier_pass *of, void *scratch) {
  of->from_cells = scratch;
  of->to_cells = (real *)((char *)scratch + sm_fourier_cells_bytes(of->from.cell));
}

/* ---- images ---- */

/* The place of a pair of vectors of channels. */
static inline sm_fourier_place sm_fourier_place_of(real *cells, size_t first, const sm_fourier_images *of) {
  bool two = first + SM_VECTOR < of->channels;
  return (sm_fourier_place){cells + first, of->cell, of->channels, .two = two, .thrice = of->numbers == 3};
}

/* The cells of an image. */
static inline void sm_fourier_spread_image(real *cells, const real *pixels, const sm_fourier_images *of) {
  static const real zeros[SM_FOURIER_PAIR];
  for (size_t c = 0; c < of->channels; c += SM_FOURIER_PAIR) {
    const sm_fourier_place at = sm_fourier_place_of(cells, c, of);
    const real *pixel = pixels + c, *next = pixel + SM_FOURIER_PAIR;
    if (c + SM_FOURIER_PAIR >= of->channels) next = pixels + sm_fourier_pixels_of(of);
    size_t second = at.two ? SM_VECTOR : 0;
    sm_fourier_pair pair;
    for (size_t i = 0; i < SM_FOURIER_POINTS; i++) {
      sm_vector *re = pair.re + i * SM_FOURIER_POINTS, *im = pair.im + i * SM_FOURIER_POINTS;
      size_t there = i < of->height ? of->width : 0;
      SM_UNROLL
      for (size_t j = 0; j < SM_FOURIER_POINTS; j++) {
        const real *from = j < there ? pixel + j * of->channels : zeros;
        re[j] = *(const sm_vector *)from;
        im[j] = *(const sm_vector *)(from + second);
      }
      if (there) sm_fourier_line(re, im);
      pixel += there * of->channels;
    }
    for (size_t i = 0; i < of->height * of->width; i++) __builtin_prefetch(next + i * of->channels, 0, 2);
    sm_fourier_spread(&at, &pair);
  }
}

/* ---- filters ---- */

/* An item of work: a pair of vectors of `to` for one of `from`. */
typedef struct sm_fourier_filter_pair {
  size_t from, to; /* the first of the pair */
  sm_fourier_place place;
} sm_fourier_filter_pair;

static inline size_t sm_fourier_filter_pairs(const sm_fourier_filters *of) {
  return of->from * sm_quotient_up(of->to, SM_FOURIER_PAIR);
}

/* Elements of a cell before a panel. */
static inline size_t sm_fourier_before_panel(const sm_fourier_filters *of, const sm_panel *panel) {
  return 2 * of->from * panel->first;
}

static inline sm_fourier_filter_pair sm_fourier_filter_pair_of(size_t item, real *cells, const sm_fourier_filters *of) {
  size_t pairs = sm_quotient_up(of->to, SM_FOURIER_PAIR), from = item / pairs, to = item % pairs * SM_FOURIER_PAIR;
  sm_panel panel = sm_panel_of(of->to, to / SM_PANEL);
  real *first = cells + sm_fourier_before_panel(of, &panel) + from * panel.width + (to - panel.first);
  return (sm_fourier_filter_pair){from, to, {first, of->cell, of->from * panel.width, .two = to + SM_VECTOR < of->to}};
}

/* Where a tap stands on an axis. */
static inline size_t sm_fourier_place_of_tap(size_t tap, size_t before, bool turned) {
  return (turned ? SM_FOURIER_POINTS + before - tap : SM_FOURIER_POINTS + tap - before) % SM_FOURIER_POINTS;
}

/* What undoes the doubling of two spectra and the sums of the way back. */
static const real sm_fourier_scale = (real)1 / (4 * SM_FOURIER_PIXELS);

static inline void sm_fourier_spread_from(const sm_fourier_pass *of, size_t item) {
  size_t image = of->block.first + item;
  const real *x = of->x + image * sm_fourier_pixels_of(&of->from);
  sm_fourier_spread_image(of->from_cells + item * of->from.image, x, &of->from);
}

#endif
