/* Convolution by patches: images are unfolded (im2col) a few rows at a time, so that the patches stay in the
   cache, and multiplied with the filters in serial BLAS, a chunk of the batch per thread. It takes every shape but
   groups, and is the reference of the others. Arguments, scratch and results are those of the functions in
   core/conv/conv.h. */
#include <math.h>
#include <string.h>

#include "core/conv/method.h"
#include "core/conv/reading.h"
#include "core/gemm.h"
#include "core/unfold.h"

static bool takes(const sm_conv2d *conv, sm_conv_pass pass) {
  (void)pass;
  return conv->groups == 1;
}

/* Against im2col with the same vectors, over kernels of 1x1 to 5x5, images of 4x4 to 32x32 and batches of 1,
   10 and 50, direct measured 1.03 to 3.5 times as fast with AVX-512, and 1 to 2 times with AVX2
   but for windows of one pixel and strided data gradients (0.8). Below, vectors are partly idle. */
enum { DIRECT_CHANNELS = 16 };

static double cost(const sm_conv2d *conv, sm_conv_pass pass) {
  size_t results = pass == SM_CONV_BACKWARD_DATA ? conv->window.channels : conv->filters;
  return results < DIRECT_CHANNELS ? sm_conv_direct_cost(conv, pass) / 2 : INFINITY;
}

/* ---- how the work is cut ---- */

/* Elements of patches that are unfolded at a time: they stay in the cache until they are used. */
enum { PATCH_BLOCK = 128 * 1024 };

/* A batch is cut into chunks of images, a chunk into blocks of output rows, which may cross images. A block
   is one matrix product over its patches (positions, patch): what the window sees at each position. */
typedef struct cutting {
  size_t patch; /* kernel height * kernel width * channels */
  size_t row;   /* positions in an output row */
  size_t block; /* output rows in a block */
  bool unfold;  /* false: the images are their own patches, for the window is one pixel that skips none */
  size_t chunks;
  size_t patch_bytes; /* per thread */
} cutting;

static cutting cutting_of(const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  cutting cut = {.patch = window->kernel_height * window->kernel_width * window->channels,
                 .row = window->out_width};
  cut.chunks = sm_batch_chunks(window->batch);
  sm_range largest = sm_chunk(window->batch, cut.chunks, 0);
  size_t row_elements = cut.row * cut.patch;
  size_t fitting = row_elements ? PATCH_BLOCK / row_elements : 1;
  cut.block = sm_smaller(fitting ? fitting : 1, (largest.last - largest.first) * window->out_height);
  bool pixel = window->kernel_height == 1 && window->kernel_width == 1 && window->stride == 1 &&
               window->stride_across == 1;
  cut.unfold = !pixel || window->out_height != window->height || window->out_width != window->width;
  cut.patch_bytes = cut.unfold ? sm_aligned(cut.block * row_elements * sizeof(real)) : 0;
  return cut;
}

/* Output rows of a chunk, counted through the whole batch. */
static sm_range rows_of_chunk(const sm_conv2d *conv, const cutting *cut, size_t chunk) {
  sm_range images = sm_chunk(conv->window.batch, cut->chunks, chunk);
  return (sm_range){images.first * conv->window.out_height, images.last * conv->window.out_height};
}

/* Scratch begins with each thread's patches. */
static size_t patches_bytes(const cutting *cut) { return sm_workers(cut->chunks) * cut->patch_bytes; }

static real *own_patches(void *scratch, const cutting *cut) {
  if (!cut->patch_bytes) return NULL;
  return (real *)((char *)scratch + (size_t)sm_thread_index() * cut->patch_bytes);
}

/* ---- patches ---- */

/* The patches of `rows` output rows: unfolded into `patches`, or the pixels themselves. */
static const real *patches_of(real *patches, const real *x, size_t first, size_t rows, const cutting *cut,
                              const sm_window *window) {
  if (!cut->unfold) return x + first * cut->row * cut->patch;
  size_t step = cut->row * cut->patch;
  for (size_t i = 0; i < rows; i++) sm_unfold_row(patches + i * step, x, first + i, window);
  return patches;
}

/* ---- forward ---- */

/* What the chunks of a pass share: what it computes, and what from; NULL what it does not take. */
typedef struct pass {
  const sm_conv2d *conv;
  cutting cut;
  void *scratch;
  real *out;
  const real *gy, *x, *w, *bias;
} pass;

static size_t patches_scratch(const sm_conv2d *conv) {
  cutting cut = cutting_of(conv);
  return patches_bytes(&cut);
}

static size_t forward_scratch(const sm_conv2d *conv) { return patches_scratch(conv); }

static void forward_chunk(const void *work, size_t chunk) {
  const pass *of = work;
  const cutting *cut = &of->cut;
  size_t filters = of->conv->filters;
  real *unfolded = own_patches(of->scratch, cut);
  sm_range rows = rows_of_chunk(of->conv, cut, chunk);
  for (size_t first = rows.first; first < rows.last; first += cut->block) {
    size_t count = sm_smaller(cut->block, rows.last - first), positions = count * cut->row;
    const real *patches = patches_of(unfolded, of->x, first, count, cut, &of->conv->window);
    real *out = of->out + first * cut->row * filters;
    for (size_t i = 0; i < positions && of->bias; i++) sm_copy_run(out + i * filters, of->bias, filters);
    sm_gemm_serial(out, patches, of->w, false, false, of->bias != NULL, positions, filters, cut->patch,
                   cut->patch, filters, filters);
  }
}

static void forward(real *y, const real *x, const real *w, const real *bias, void *scratch,
                            const sm_conv2d *conv) {
  const pass of = {conv, cutting_of(conv), scratch, .out = y, .x = x, .w = w, .bias = bias};
  sm_parallel(of.cut.chunks, SM_LARGE, forward_chunk, &of);
}

/* ---- backward ---- */

static size_t backward_data_scratch(const sm_conv2d *conv) { return patches_scratch(conv); }

static void data_gradient_chunk(const void *work, size_t chunk) {
  const pass *of = work;
  const cutting *cut = &of->cut;
  const sm_window *window = &of->conv->window;
  size_t filters = of->conv->filters, image = window->height * window->width * window->channels;
  size_t step = cut->row * cut->patch;
  real *unfolded = own_patches(of->scratch, cut), *gx = of->out;
  sm_range images = sm_chunk(window->batch, cut->chunks, chunk);
  sm_range rows = rows_of_chunk(of->conv, cut, chunk);
  if (cut->unfold) sm_zero_run(gx + images.first * image, (images.last - images.first) * image);
  for (size_t first = rows.first; first < rows.last; first += cut->block) {
    size_t count = sm_smaller(cut->block, rows.last - first);
    real *patches = cut->unfold ? unfolded : gx + first * step;
    sm_gemm_serial(patches, of->gy + first * cut->row * filters, of->w, false, true, false, count * cut->row,
                   cut->patch, filters, filters, filters, cut->patch);
    for (size_t i = 0; i < count && cut->unfold; i++) {
      sm_fold_row(gx, patches + i * step, first + i, window);
    }
  }
}

static void backward_data(real *gx, const real *gy, const real *w, void *scratch,
                                  const sm_conv2d *conv) {
  const pass of = {conv, cutting_of(conv), scratch, .out = gx, .gy = gy, .w = w};
  sm_parallel(of.cut.chunks, SM_LARGE, data_gradient_chunk, &of);
}

/* Scratch of the filter gradient: the threads' patches, then the chunks' gw, then their gbias in double. */
typedef struct partials {
  size_t gw_bytes, gbias_bytes; /* per chunk */
} partials;

static partials partials_of(const sm_conv2d *conv, const cutting *cut) {
  return (partials){sm_aligned(cut->patch * conv->filters * sizeof(real)),
                    sm_aligned(conv->filters * sizeof(double))};
}

static size_t backward_filter_scratch(const sm_conv2d *conv) {
  cutting cut = cutting_of(conv);
  partials part = partials_of(conv, &cut);
  return patches_bytes(&cut) + cut.chunks * (part.gw_bytes + part.gbias_bytes);
}

/* sum (columns) = x (rows, columns) summed over rows. */
static void sum_rows(double *sum, const real *x, size_t rows, size_t columns) {
  for (size_t j = 0; j < columns; j++) sum[j] = 0;
  for (size_t i = 0; i < rows; i++, x += columns) {
    for (size_t j = 0; j < columns; j++) sum[j] += (double)x[j];
  }
}

/* What the chunks share, and then the blocks in which their parts are added. */
typedef struct filter_gradient {
  pass pass;
  partials part;
  char *gw_parts, *gbias_parts; /* gbias_parts NULL: no gbias */
} filter_gradient;

static void filter_gradient_chunk(const void *work, size_t chunk) {
  const filter_gradient *gradient = work;
  const pass *of = &gradient->pass;
  const cutting *cut = &of->cut;
  size_t filters = of->conv->filters;
  real *unfolded = own_patches(of->scratch, cut);
  real *gw_part = (real *)(gradient->gw_parts + chunk * gradient->part.gw_bytes);
  sm_range rows = rows_of_chunk(of->conv, cut, chunk);
  if (rows.first == rows.last) sm_zero_run(gw_part, cut->patch * filters);
  for (size_t first = rows.first; first < rows.last; first += cut->block) {
    size_t count = sm_smaller(cut->block, rows.last - first);
    const real *patches = patches_of(unfolded, of->x, first, count, cut, &of->conv->window);
    sm_gemm_serial(gw_part, patches, of->gy + first * cut->row * filters, true, false, first != rows.first,
                   cut->patch, filters, count * cut->row, cut->patch, filters, filters);
  }
  if (gradient->gbias_parts) {
    sum_rows((double *)(gradient->gbias_parts + chunk * gradient->part.gbias_bytes),
             of->gy + rows.first * cut->row * filters, (rows.last - rows.first) * cut->row, filters);
  }
}

static void add_parts(const void *work, size_t block) {
  const filter_gradient *of = work;
  const cutting *cut = &of->pass.cut;
  real *gw = of->pass.out;
  sm_range range = sm_block(cut->patch * of->pass.conv->filters, block);
  size_t count = range.last - range.first;
  memcpy(gw + range.first, (real *)of->gw_parts + range.first, count * sizeof *gw);
  for (size_t chunk = 1; chunk < cut->chunks; chunk++) {
    sm_add_run(gw + range.first, (real *)(of->gw_parts + chunk * of->part.gw_bytes) + range.first, count);
  }
}

static void backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                                    const sm_conv2d *conv) {
  const cutting cut = cutting_of(conv);
  const partials part = partials_of(conv, &cut);
  size_t filters = conv->filters;
  char *gw_parts = (char *)scratch + patches_bytes(&cut),
       *gbias_parts = gw_parts + cut.chunks * part.gw_bytes;
  const filter_gradient of = {
      {conv, cut, scratch, .out = gw, .gy = gy, .x = x}, part, gw_parts, gbias ? gbias_parts : NULL};
  sm_parallel(cut.chunks, SM_LARGE, filter_gradient_chunk, &of);
  sm_parallel_blocks(cut.patch * filters, add_parts, &of);
  for (size_t j = 0; j < filters && gbias; j++) {
    double sum = 0;
    for (size_t chunk = 0; chunk < cut.chunks; chunk++) {
      sum += ((double *)(gbias_parts + chunk * part.gbias_bytes))[j];
    }
    gbias[j] = (real)sum;
  }
}

const sm_conv_method sm_conv_im2col = {
    .name = "im2col",
    .takes = takes,
    .cost = cost,
    .scratch = {forward_scratch, backward_data_scratch, backward_filter_scratch},
    .forward = forward,
    .backward_data = backward_data,
    .backward_filter = backward_filter,
};
