/* Convolution by the Fourier transform, of images that fit, with their padding on one side, into 16 x 16 pixels: there
   it multiplies spectra, 128 complex numbers of an image, so that a pixel of 14x14 costs 2.6 multiplications per
   channel and filter whatever the filter's size. Mathieu, Henaff and LeCun 2013, arxiv.org/abs/1312.5851; against
   Winograd's method on processors Zlateski, Jia, Li and Durand 2018, arxiv.org/abs/1809.07851.

   Rounding is relative to the largest number of an image, and an infinity or NaN spreads over it: images that the
   method does not bear do not come here (core/conv/range.h).

   Arguments, scratch and results are those of the functions in core/conv/conv.h. */
#include "core/conv/fourier.h"

#include <math.h>
#include <string.h>

#include "core/conv/fourier_cells.h"
#include "core/conv/range.h"

/* One thread takes a block of images through three steps, pixels to cells, products cell by cell, cells to pixels, for
   what another core has written takes longer to read. A block has as many images as keep the rows of tiles busy while
   their cells stay in the caches. */
enum {
  POINTS = SM_FOURIER_POINTS,
  CELLS = SM_FOURIER_CELLS,
  PAIR = SM_FOURIER_PAIR,
  CHANNELS = 16,                       /* channels and filters come in multiples of this */
  PRODUCTS = 508,                      /* multiplications of an image per channel and filter */
  IMAGES = SM_TILE_ROWS == 14 ? 14 : 9 /* of a block, at most */
};

/* Along an axis: nothing meets beyond the end of a circle of POINTS pixels what is at its beginning. */
static bool fits(size_t size, size_t positions, size_t kernel, size_t before) {
  return kernel <= POINTS && positions <= POINTS && size + before <= POINTS &&
         positions + kernel <= POINTS + 1 + before;
}

static bool takes(const sm_conv2d *conv, sm_conv_pass pass) {
  (void)pass;
  const sm_window *window = &conv->window;
  return sm_conv2d_is_plain(conv) && fits(window->height, window->out_height, window->kernel_height, window->top) &&
         fits(window->width, window->out_width, window->kernel_width, window->left) &&
         window->channels && window->channels % CHANNELS == 0 &&
         conv->filters && conv->filters % CHANNELS == 0;
}

/* What a multiplication costs next to one of the direct method, transforms included, and how many images pay for the
   transform of the filters. Against Winograd's method, filters of 5x5 over images of 14x14, 32 channels, 64 filters and
   50 images: 1.2 times as fast (forward and data gradient) and 1.5 times (filter gradient); not so over smaller images
   or with filters of 3x3. With twice as many channels times filters as WEIGHTS the cells of filters take 50 MB. */
enum { ENOUGH = 16, ENOUGH_FOR_GRADIENT = 4, WEIGHTS_OF_IMAGE = 1024, WEIGHTS = 16 * 1024 };

static double cost(const sm_conv2d *conv, sm_conv_pass pass) {
  size_t weights = conv->window.channels * conv->filters;
  size_t enough = (pass == SM_CONV_BACKWARD_FILTER ? ENOUGH_FOR_GRADIENT : ENOUGH) + weights / WEIGHTS_OF_IMAGE;
  if (weights > WEIGHTS || conv->window.batch < enough) return INFINITY;
  return 3.4 * (double)PRODUCTS * (double)conv->window.batch;
}

/* An image from its cells. */
static void collect_image(real *pixels, real *cells, const sm_fourier_images *of) {
  for (size_t c = 0; c < of->channels; c += PAIR) {
    const sm_fourier_place at = sm_fourier_place_of(cells, c, of);
    real *pixel = pixels + c;
    sm_fourier_pair pair;
    sm_fourier_collect(&pair, &at);
    for (size_t i = 0; i < of->height; i++) {
      sm_vector *re = pair.re + i * POINTS, *im = pair.im + i * POINTS;
      sm_fourier_line(im, re);
      for (size_t j = 0; j < of->width; j++, pixel += of->channels) {
        *(sm_vector *)pixel = re[j];
        if (at.two) *(sm_vector *)(pixel + SM_VECTOR) = im[j];
      }
    }
  }
}

/* A vector of `to` of w (taps, from, to) or, where the filters are turned, of w (taps, to, from). */
static sm_vector load_tap(const real *w, size_t tap, size_t from, size_t to, const sm_fourier_filters *of) {
  if (!of->turned) return *(const sm_vector *)(w + (tap * of->from + from) * of->to + to);
  sm_vector x;
  for (size_t k = 0; k < SM_VECTOR; k++) x[k] = w[(tap * of->to + to + k) * of->from + from];
  return x;
}

static void spread_filter(const void *work, size_t item) {
  const sm_fourier_pass *all = work;
  const sm_fourier_filters *of = &all->filters;
  const sm_fourier_filter_pair at = sm_fourier_filter_pair_of(item, all->filter_cells, of);
  sm_fourier_pair pair;
  memset(&pair, 0, sizeof pair);
  for (size_t i = 0; i < of->height; i++) {
    size_t row = sm_fourier_place_of_tap(i, of->top, of->turned) * POINTS;
    for (size_t j = 0; j < of->width; j++) {
      size_t tap = i * of->width + j, pixel = row + sm_fourier_place_of_tap(j, of->left, of->turned);
      pair.re[pixel] = load_tap(all->w, tap, at.from, at.to, of) * sm_fourier_scale;
      if (at.place.two) pair.im[pixel] = load_tap(all->w, tap, at.from, at.to + SM_VECTOR, of) * sm_fourier_scale;
    }
    sm_fourier_line(pair.re + row, pair.im + row);
  }
  sm_fourier_spread(&at.place, &pair);
}

/* ---- forward and the data gradient ---- */

/* A cell of all results: x = a + ib, which is kept as a, b, -a, times the conjugate of a filter's c + id has the real
   part a c + b d and the imaginary part b c + (-a) d. The bias of every pixel is the number at frequency 0. */
static void multiply_cell(const sm_fourier_pass *of, size_t cell) {
  size_t from = of->from.channels, to = of->to.channels, images = of->block.last - of->block.first;
  bool is_real = sm_fourier_is_real(cell);
  for (size_t p = 0; p < sm_panels_of(to); p++) {
    sm_panel panel = sm_panel_of(to, p);
    sm_tile tile = {.out = of->to_cells + cell * of->to.cell + panel.first,
                    .start = cell == 0 && of->bias ? of->bias + panel.first : NULL,
                    .out_step = of->to.image,
                    .a = of->from_cells + cell * of->from.cell,
                    .b = of->filter_cells + cell * of->filters.cell + sm_fourier_before_panel(&of->filters, &panel),
                    .a_step = of->from.image,
                    .b_step = panel.width,
                    .blocks = 1,
                    .runs = 1,
                    .terms = is_real ? from : 2 * from};
    sm_tile_multiply(&tile, images, panel.width, false);
    tile.out += to;
    tile.start = NULL;
    tile.a += from;
    tile.b += is_real ? from * panel.width : 0;
    sm_tile_multiply(&tile, images, panel.width, false);
  }
}

static void collect_to(const sm_fourier_pass *of, size_t item, real *result) {
  size_t image = of->block.first + item;
  real *y = of->task ? result : of->y + image * sm_fourier_pixels_of(&of->to);
  collect_image(y, of->to_cells + item * of->to.image, &of->to);
  if (of->task) of->task(of->work, image, y);
}

/* As many for every thread, and threads get as many images; no number depends on the block it is computed in. */
static size_t blocks_of(size_t batch) {
  size_t threads = (size_t)sm_thread_count();
  return sm_smaller(batch, sm_quotient_up(sm_quotient_up(batch, IMAGES), threads) * threads);
}

static void correlate_block(const void *work, size_t block) {
  sm_fourier_pass of = *(const sm_fourier_pass *)work;
  char *own = (char *)of.from_cells + (size_t)sm_thread_index() * sm_fourier_block_bytes(&of);
  sm_fourier_place_block(&of, own);
  of.block = (sm_range){of.batch * block / of.blocks, of.batch * (block + 1) / of.blocks};
  size_t images = of.block.last - of.block.first;
  for (size_t i = 0; i < images; i++) {
    sm_conv_look(of.watch, of.block.first + i);
    sm_fourier_spread_from(&of, i);
  }
  for (size_t i = 0; i < CELLS; i++) multiply_cell(&of, i);
  real *result = (real *)(own + sm_fourier_cells_bytes(of.from.cell) + sm_fourier_cells_bytes(of.to.cell));
  for (size_t i = 0; i < images; i++) collect_to(&of, i, result);
}

static void correlate(sm_fourier_pass *of, void *scratch) {
  of->blocks = blocks_of(of->batch);
  of->filter_cells = scratch;
  sm_fourier_place_block(of, (char *)scratch + sm_fourier_cells_bytes(of->filters.cell));
  sm_compute(sm_fourier_filter_pairs(&of->filters), SM_LARGE, spread_filter, of);
  sm_compute(of->blocks, SM_LARGE, correlate_block, of);
}

static size_t correlate_bytes(const sm_fourier_pass *of) {
  return sm_fourier_cells_bytes(of->filters.cell) + sm_workers(blocks_of(of->batch)) * sm_fourier_block_bytes(of);
}

static size_t forward_scratch(const sm_conv2d *conv) {
  const sm_fourier_pass of = sm_fourier_pass_of(conv, false, IMAGES);
  return correlate_bytes(&of);
}

static size_t backward_data_scratch(const sm_conv2d *conv) {
  const sm_fourier_pass of = sm_fourier_pass_of(conv, true, IMAGES);
  return correlate_bytes(&of);
}

static void forward(real *y, const real *x, const real *w, const real *bias, void *scratch,
                             const sm_conv2d *conv) {
  sm_fourier_pass of = sm_fourier_pass_of(conv, false, IMAGES);
  of.y = y;
  of.x = x;
  of.w = w;
  of.bias = bias;
  correlate(&of, scratch);
}

static void forward_each(sm_conv2d_task *task, const void *work, const real *x, const real *w,
                                  const real *bias, void *scratch, const sm_conv2d *conv) {
  sm_fourier_pass of = sm_fourier_pass_of(conv, false, IMAGES);
  of.x = x;
  of.w = w;
  of.bias = bias;
  of.task = task;
  of.work = work;
  correlate(&of, scratch);
}

static void backward_data(real *gx, const real *gy, const real *w, void *scratch,
                                   const sm_conv2d *conv) {
  sm_fourier_pass of = sm_fourier_pass_of(conv, true, IMAGES);
  of.y = gx;
  of.x = gy;
  of.w = w;
  correlate(&of, scratch);
}


const sm_conv_method sm_conv_fourier = {
    .name = "fourier",
    .transforms = true,
    .takes = takes,
    .cost = cost,
    .scratch = {forward_scratch, backward_data_scratch, sm_conv_fourier_backward_filter_scratch},
    .forward = forward,
    .backward_data = backward_data,
    .backward_filter = sm_conv_fourier_backward_filter,
    .forward_each_scratch = forward_scratch,
    .forward_each = forward_each,
};
