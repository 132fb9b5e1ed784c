/* Convolution by the Fourier transform, of images that fit, with their padding on one side, into 16 x 16 pixels: there
   it multiplies spectra, 128 complex numbers of an image, so that a pixel of 14x14 costs 2.6 multiplications per
   channel and filter whatever the filter's size. Mathieu, Henaff and LeCun 2013, arxiv.org/abs/1312.5851; against
   Winograd's method on processors Zlateski, Jia, Li and Durand 2018, arxiv.org/abs/1809.07851.

   Rounding is relative to the largest number of an image, and an infinity or NaN spreads over it: images that the
   method does not bear do not come here (core/conv/range.h).

   Arguments, scratch and results are those of the functions in core/conv/conv.h. */
#include <math.h>
#include <string.h>

#include "core/conv/fourier_transform.h"
#include "core/conv/method.h"
#include "core/conv/reading.h"

/* One thread takes a block of images through three steps, pixels to cells, products cell by cell, cells to pixels, for
   what another core has written takes longer to read. A block has as many images as keep the rows of tiles busy while
   their cells stay in the caches. The filter gradient adds cells of all images, so that its threads share each step. */
enum {
  POINTS = SM_FOURIER_POINTS,
  CELLS = SM_FOURIER_CELLS,
  CHANNELS = 16,                                 /* channels and filters come in multiples of this */
  PRODUCTS = 508,                                /* multiplications of an image per channel and filter */
  PAIR = 2 * SM_VECTOR,                          /* channels that are transformed together */
  IMAGES = SM_TILE_ROWS == 14 ? 14 : 9,          /* of a block, at most */
  GRADIENT_IMAGES = SM_TILE_ROWS == 14 ? 28 : 18 /* of one for the filter gradient */
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

/* ---- what the passes share ---- */

/* Images, and the cells of a block: the numbers of a cell, each for all channels, then those of the next image. Cells
   are a line further apart than they take, off one another's cache sets. */
typedef struct image_set {
  size_t height, width, channels;
  size_t numbers;     /* of a cell: 2, or 3 with the first once more, negative */
  size_t image, cell; /* elements from an image's cell to the next image's, and to its next cell */
} image_set;

/* Filters, and their cells: for each panel of `to` the numbers of a cell, (from, panel width) each. Around a circle of
   POINTS pixels tap (i, j) stands at (i - top, j - left) or, turned, at (top - i, left - j). */
typedef struct filter_set {
  size_t height, width, top, left, from, to;
  bool turned;
  size_t cell; /* elements from a cell to the next */
} filter_set;

/* `from` are the images under the filters and `to` the results, or those whose gradients they are. */
typedef struct pass {
  real *y, *gw;
  const real *x, *w, *bias, *gy;
  image_set from, to;
  filter_set filters;
  real *from_cells, *to_cells, *filter_cells;
  size_t batch, blocks;
  sm_range block;       /* images */
  sm_conv2d_task *task; /* instead of y: what takes each result, which is in memory of the thread's own */
  const void *work;
} pass;

static image_set image_set_of(size_t height, size_t width, size_t channels, size_t numbers, size_t images) {
  size_t image = numbers * channels;
  return (image_set){height, width, channels, numbers, image, images * image + SM_LINE};
}

/* The pass from x to y of a convolution or, turned, from gy to gx, by blocks of so many images. */
static pass pass_of(const sm_conv2d *conv, bool turned, size_t images) {
  const sm_window *at = &conv->window;
  size_t from = turned ? conv->filters : at->channels, to = turned ? at->channels : conv->filters;
  size_t height = turned ? at->out_height : at->height, width = turned ? at->out_width : at->width;
  size_t to_height = turned ? at->height : at->out_height, to_width = turned ? at->width : at->out_width;
  return (pass){.batch = at->batch,
                .from = image_set_of(height, width, from, 3, images),
                .to = image_set_of(to_height, to_width, to, 2, images),
                .filters = {at->kernel_height, at->kernel_width, at->top, at->left, from, to, turned,
                            2 * from * to + SM_LINE}};
}

static size_t pixels_of(const image_set *of) { return of->height * of->width * of->channels; }

static size_t cells_bytes(size_t cell) { return sm_aligned(CELLS * cell * sizeof(real)); }

/* The cells of a block, and a result. */
static size_t block_bytes(const pass *of) {
  return cells_bytes(of->from.cell) + cells_bytes(of->to.cell) + sm_aligned(pixels_of(&of->to) * sizeof(real));
}

static void place_block(pass *of, void *scratch) {
  of->from_cells = scratch;
  of->to_cells = (real *)((char *)scratch + cells_bytes(of->from.cell));
}

/* ---- images ---- */

/* The place of a pair of vectors of channels. */
static sm_fourier_place place_of(real *cells, size_t first, const image_set *of) {
  bool two = first + SM_VECTOR < of->channels;
  return (sm_fourier_place){cells + first, of->cell, of->channels, .two = two, .thrice = of->numbers == 3};
}

/* The cells of an image. */
static void spread_image(real *cells, const real *pixels, const image_set *of) {
  static const real zeros[PAIR];
  for (size_t c = 0; c < of->channels; c += PAIR) {
    const sm_fourier_place at = place_of(cells, c, of);
    const real *pixel = pixels + c, *next = c + PAIR < of->channels ? pixel + PAIR : pixels + pixels_of(of);
    size_t second = at.two ? SM_VECTOR : 0;
    sm_fourier_pair pair;
    for (size_t i = 0; i < POINTS; i++) {
      sm_vector *re = pair.re + i * POINTS, *im = pair.im + i * POINTS;
      size_t there = i < of->height ? of->width : 0;
      SM_UNROLL
      for (size_t j = 0; j < POINTS; j++) {
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

/* An image from its cells. */
static void collect_image(real *pixels, real *cells, const image_set *of) {
  for (size_t c = 0; c < of->channels; c += PAIR) {
    const sm_fourier_place at = place_of(cells, c, of);
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

/* ---- filters ---- */

/* An item of work: a pair of vectors of `to` for one of `from`. */
typedef struct filter_pair {
  size_t from, to; /* the first of the pair */
  sm_fourier_place place;
} filter_pair;

static size_t filter_pairs(const filter_set *of) { return of->from * sm_quotient_up(of->to, PAIR); }

/* Elements of a cell before a panel. */
static size_t before_panel(const filter_set *of, const sm_panel *panel) {
  return 2 * of->from * panel->first;
}

static filter_pair filter_pair_of(size_t item, real *cells, const filter_set *of) {
  size_t pairs = sm_quotient_up(of->to, PAIR), from = item / pairs, to = item % pairs * PAIR;
  sm_panel panel = sm_panel_of(of->to, to / SM_PANEL);
  real *first = cells + before_panel(of, &panel) + from * panel.width + (to - panel.first);
  return (filter_pair){from, to, {first, of->cell, of->from * panel.width, .two = to + SM_VECTOR < of->to}};
}

/* Where a tap stands on an axis. */
static size_t place_of_tap(size_t tap, size_t before, bool turned) {
  return (turned ? POINTS + before - tap : POINTS + tap - before) % POINTS;
}

/* What undoes the doubling of two spectra and the sums of the way back. */
static const real scale = (real)1 / (4 * SM_FOURIER_PIXELS);

/* A vector of `to` of w (taps, from, to) or, where the filters are turned, of w (taps, to, from). */
static sm_vector load_tap(const real *w, size_t tap, size_t from, size_t to, const filter_set *of) {
  if (!of->turned) return *(const sm_vector *)(w + (tap * of->from + from) * of->to + to);
  sm_vector x;
  for (size_t k = 0; k < SM_VECTOR; k++) x[k] = w[(tap * of->to + to + k) * of->from + from];
  return x;
}

static void spread_filter(const void *work, size_t item) {
  const pass *all = work;
  const filter_set *of = &all->filters;
  const filter_pair at = filter_pair_of(item, all->filter_cells, of);
  sm_fourier_pair pair;
  memset(&pair, 0, sizeof pair);
  for (size_t i = 0; i < of->height; i++) {
    size_t row = place_of_tap(i, of->top, of->turned) * POINTS;
    for (size_t j = 0; j < of->width; j++) {
      size_t tap = i * of->width + j, pixel = row + place_of_tap(j, of->left, of->turned);
      pair.re[pixel] = load_tap(all->w, tap, at.from, at.to, of) * scale;
      if (at.place.two) pair.im[pixel] = load_tap(all->w, tap, at.from, at.to + SM_VECTOR, of) * scale;
    }
    sm_fourier_line(pair.re + row, pair.im + row);
  }
  sm_fourier_spread(&at.place, &pair);
}

static void collect_filter(const void *work, size_t item) {
  const pass *all = work;
  const filter_set *of = &all->filters;
  const filter_pair at = filter_pair_of(item, all->filter_cells, of);
  sm_fourier_pair pair;
  sm_fourier_collect(&pair, &at.place);
  for (size_t i = 0; i < of->height; i++) {
    size_t row = place_of_tap(i, of->top, of->turned) * POINTS;
    sm_fourier_line(pair.im + row, pair.re + row);
    for (size_t j = 0; j < of->width; j++) {
      size_t pixel = row + place_of_tap(j, of->left, of->turned);
      real *gw = all->gw + ((i * of->width + j) * of->from + at.from) * of->to + at.to;
      *(sm_vector *)gw = pair.re[pixel] * scale;
      if (at.place.two) *(sm_vector *)(gw + SM_VECTOR) = pair.im[pixel] * scale;
    }
  }
}

/* ---- forward and the data gradient ---- */

static void spread_from(const pass *of, size_t item) {
  size_t image = of->block.first + item;
  spread_image(of->from_cells + item * of->from.image, of->x + image * pixels_of(&of->from), &of->from);
}

/* A cell of all results: x = a + ib, which is kept as a, b, -a, times the conjugate of a filter's c + id has the real
   part a c + b d and the imaginary part b c + (-a) d. The bias of every pixel is the number at frequency 0. */
static void multiply_cell(const pass *of, size_t cell) {
  size_t from = of->from.channels, to = of->to.channels, images = of->block.last - of->block.first;
  bool is_real = sm_fourier_is_real(cell);
  for (size_t p = 0; p < sm_panels_of(to); p++) {
    sm_panel panel = sm_panel_of(to, p);
    sm_tile tile = {.out = of->to_cells + cell * of->to.cell + panel.first,
                    .start = cell == 0 && of->bias ? of->bias + panel.first : NULL,
                    .out_step = of->to.image,
                    .a = of->from_cells + cell * of->from.cell,
                    .b = of->filter_cells + cell * of->filters.cell + before_panel(&of->filters, &panel),
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

static void collect_to(const pass *of, size_t item, real *result) {
  size_t image = of->block.first + item;
  real *y = of->task ? result : of->y + image * pixels_of(&of->to);
  collect_image(y, of->to_cells + item * of->to.image, &of->to);
  if (of->task) of->task(of->work, image, y);
}

/* As many for every thread, and threads get as many images; no number depends on the block it is computed in. */
static size_t blocks_of(size_t batch) {
  size_t threads = (size_t)sm_thread_count();
  return sm_smaller(batch, sm_quotient_up(sm_quotient_up(batch, IMAGES), threads) * threads);
}

static void correlate_block(const void *work, size_t block) {
  pass of = *(const pass *)work;
  char *own = (char *)of.from_cells + (size_t)sm_thread_index() * block_bytes(&of);
  place_block(&of, own);
  of.block = (sm_range){of.batch * block / of.blocks, of.batch * (block + 1) / of.blocks};
  size_t images = of.block.last - of.block.first;
  for (size_t i = 0; i < images; i++) spread_from(&of, i);
  for (size_t i = 0; i < CELLS; i++) multiply_cell(&of, i);
  real *result = (real *)(own + cells_bytes(of.from.cell) + cells_bytes(of.to.cell));
  for (size_t i = 0; i < images; i++) collect_to(&of, i, result);
}

static void correlate(pass *of, void *scratch) {
  of->blocks = blocks_of(of->batch);
  of->filter_cells = scratch;
  place_block(of, (char *)scratch + cells_bytes(of->filters.cell));
  sm_parallel(filter_pairs(&of->filters), SM_LARGE, spread_filter, of);
  sm_parallel(of->blocks, SM_LARGE, correlate_block, of);
}

static size_t correlate_bytes(const pass *of) {
  return cells_bytes(of->filters.cell) + sm_workers(blocks_of(of->batch)) * block_bytes(of);
}

static size_t forward_scratch(const sm_conv2d *conv) {
  const pass of = pass_of(conv, false, IMAGES);
  return correlate_bytes(&of);
}

static size_t backward_data_scratch(const sm_conv2d *conv) {
  const pass of = pass_of(conv, true, IMAGES);
  return correlate_bytes(&of);
}

static void forward(real *y, const real *x, const real *w, const real *bias, void *scratch,
                             const sm_conv2d *conv) {
  pass of = pass_of(conv, false, IMAGES);
  of.y = y;
  of.x = x;
  of.w = w;
  of.bias = bias;
  correlate(&of, scratch);
}

static void forward_each(sm_conv2d_task *task, const void *work, const real *x, const real *w,
                                  const real *bias, void *scratch, const sm_conv2d *conv) {
  pass of = pass_of(conv, false, IMAGES);
  of.x = x;
  of.w = w;
  of.bias = bias;
  of.task = task;
  of.work = work;
  correlate(&of, scratch);
}

static void backward_data(real *gx, const real *gy, const real *w, void *scratch,
                                   const sm_conv2d *conv) {
  pass of = pass_of(conv, true, IMAGES);
  of.y = gx;
  of.x = gy;
  of.w = w;
  correlate(&of, scratch);
}

/* ---- the filter gradient ---- */

static void spread_both(const void *work, size_t item) {
  const pass *of = work;
  size_t image = of->block.first + item;
  spread_from(of, item);
  spread_image(of->to_cells + item * of->to.image, of->gy + image * pixels_of(&of->to), &of->to);
}

/* Adds a cell of x times the conjugate of gy = c + id over the images: products as in multiply_cell. */
static void add_cell(const void *work, size_t cell) {
  const pass *of = work;
  size_t from = of->from.channels, to = of->to.channels;
  bool is_real = sm_fourier_is_real(cell), first = of->block.first == 0;
  for (size_t p = 0; p < sm_panels_of(to); p++) {
    sm_panel panel = sm_panel_of(to, p);
    real *sum = of->filter_cells + cell * of->filters.cell + before_panel(&of->filters, &panel);
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

static size_t backward_filter_scratch(const sm_conv2d *conv) {
  const pass of = pass_of(conv, false, GRADIENT_IMAGES);
  return cells_bytes(of.filters.cell) + block_bytes(&of) + conv->filters * sizeof(double);
}

/* The bias's gradient is what gy has at frequency 0. */
static void backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                                     const sm_conv2d *conv) {
  size_t filters = conv->filters;
  pass of = pass_of(conv, false, GRADIENT_IMAGES);
  of.gw = gw;
  of.gy = gy;
  of.x = x;
  of.filter_cells = scratch;
  char *own = (char *)scratch + cells_bytes(of.filters.cell);
  place_block(&of, own);
  double *bias_sums = (double *)(own + block_bytes(&of));
  for (size_t j = 0; j < filters; j++) bias_sums[j] = 0;
  of.blocks = sm_larger(sm_quotient_up(of.batch, GRADIENT_IMAGES), 1);
  for (size_t block = 0; block < of.blocks; block++) {
    of.block = sm_chunk(of.batch, of.blocks, block);
    size_t images = of.block.last - of.block.first;
    sm_parallel(images, SM_LARGE, spread_both, &of);
    sm_parallel(CELLS, SM_LARGE, add_cell, &of);
    for (size_t i = 0; i < images; i++) {
      for (size_t j = 0; j < filters; j++) bias_sums[j] += (double)of.to_cells[i * of.to.image + j];
    }
  }
  sm_parallel(filter_pairs(&of.filters), SM_LARGE, collect_filter, &of);
  for (size_t j = 0; j < filters && gbias; j++) gbias[j] = (real)(bias_sums[j] / 2);
}

const sm_conv_method sm_conv_fourier = {
    .name = "fourier",
    .transforms = true,
    .takes = takes,
    .cost = cost,
    .scratch = {forward_scratch, backward_data_scratch, backward_filter_scratch},
    .forward = forward,
    .backward_data = backward_data,
    .backward_filter = backward_filter,
    .forward_each_scratch = forward_scratch,
    .forward_each = forward_each,
};
