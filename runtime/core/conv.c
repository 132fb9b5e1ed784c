#include "core/conv.h"

#include <stdlib.h>
#include <string.h>

#include "core/conv_direct.h"
#include "core/conv_reading.h"
#include "core/gemm.h"

/* ---- which kernel ---- */

/* Against im2col with the same vectors, over kernels of 1x1 to 5x5, images of 4x4 to 32x32 and batches of 1,
   10 and 50, direct measured 1.03 to 3.5 times as fast with AVX-512, and 1 to 2 times with AVX2
   but for windows of one pixel and strided data gradients (0.8). Below, vectors are partly idle. */
enum { DIRECT_CHANNELS = 16 };

static const char kernel_variable[] = "SMRUN_CONV";

static sm_status chosen_kernel(sm_conv_kernel *kernel, sm_error *error) {
  const char *name = getenv(kernel_variable);
  *kernel = SM_CONV_BY_RULE;
  if (!name || !*name) return SM_OK;
  if (strcmp(name, "direct") == 0)
    *kernel = SM_CONV_DIRECT;
  else if (strcmp(name, "im2col") == 0)
    *kernel = SM_CONV_IM2COL;
  else
    return sm_fail(error, SM_BAD_VALUE, "%s: expected direct or im2col, got \"%s\"", kernel_variable, name);
  return SM_OK;
}

const char *sm_conv2d_rule(void) {
  sm_conv_kernel kernel;
  if (chosen_kernel(&kernel, NULL)) return "none: SMRUN_CONV is neither direct nor im2col";
  return kernel == SM_CONV_DIRECT   ? "direct (SMRUN_CONV)"
         : kernel == SM_CONV_IM2COL ? "im2col (SMRUN_CONV)"
                                    : "direct from 16 output channels on, im2col below";
}

static bool is_direct(const sm_conv2d *conv, size_t out_channels) {
  return conv->kernel == SM_CONV_DIRECT ||
         (conv->kernel == SM_CONV_BY_RULE && out_channels >= DIRECT_CHANNELS);
}

/* ---- plans ---- */

/* Images x have the channels that axis `axis` of filters w is for. */
static sm_status check_filters(const sm_shape *x, const sm_shape *w, int axis, sm_error *error) {
  char x_text[SM_SHAPE_TEXT], w_text[SM_SHAPE_TEXT];
  sm_shape_text(x_text, x);
  sm_shape_text(w_text, w);
  if (x->rank != 4) {
    return sm_fail(error, SM_BAD_SHAPE,
                   "expected images {batch, height, width, channels}, got %s (with filters %s)", x_text,
                   w_text);
  }
  if (w->rank != 4) {
    return sm_fail(error, SM_BAD_SHAPE, "expected filters {kernel, kernel, in, out}, got %s (with images %s)",
                   w_text, x_text);
  }
  if (w->size[axis] != x->size[3]) {
    return sm_fail(error, SM_BAD_SHAPE, "images %s and filters %s: expected %zu channels, got %zu", x_text,
                   w_text, w->size[axis], x->size[3]);
  }
  return SM_OK;
}

static size_t patch_of(const sm_window *window) {
  return window->kernel_height * window->kernel_width * window->channels;
}

/* What BLAS sees at once, a row of patches and their filters, must be within what it counts. */
static sm_status check_limit(const sm_conv2d *conv, sm_error *error) {
  const sm_window *window = &conv->window;
  size_t elements;
  if (!__builtin_mul_overflow(window->kernel_height * window->kernel_width, window->channels, &elements) &&
      !__builtin_mul_overflow(elements, window->out_width, &elements) && elements <= SM_GEMM_LIMIT &&
      conv->filters <= SM_GEMM_LIMIT) {
    return SM_OK;
  }
  return sm_fail(error, SM_BAD_SHAPE,
                 "%zu filters of %zux%zux%zu at %zu positions in a row: BLAS counts to %d", conv->filters,
                 window->kernel_height, window->kernel_width, window->channels, window->out_width,
                 SM_GEMM_LIMIT);
}

/* Adds both shapes to the reason why they have no plan. */
static sm_status no_plan(const sm_shape *images, const sm_shape *w, const sm_error *reason, sm_error *error) {
  char images_text[SM_SHAPE_TEXT], w_text[SM_SHAPE_TEXT];
  return sm_fail(error, reason->status, "images %s and filters %s: %s", sm_shape_text(images_text, images),
                 sm_shape_text(w_text, w), reason->message);
}

sm_status sm_conv2d_plan(sm_conv2d *conv, sm_shape *out, const sm_shape *x, const sm_shape *w,
                         const sm_window_options *options, sm_error *error) {
  sm_status status = check_filters(x, w, 2, error);
  if (status) return status;
  sm_conv2d plan = {.filters = w->size[3]};
  sm_error reason;
  status = chosen_kernel(&plan.kernel, error);
  if (status) return status;
  status = sm_window_plan(&plan.window, x, w->size[0], w->size[1], options, &reason);
  if (status == SM_OK) status = check_limit(&plan, &reason);
  if (status) return no_plan(x, w, &reason, error);
  *conv = plan;
  *out = (sm_shape){4, {plan.window.batch, plan.window.out_height, plan.window.out_width, plan.filters}};
  return SM_OK;
}

sm_status sm_conv2d_transpose_plan(sm_conv2d *conv, sm_shape *x, const sm_shape *y, const sm_shape *w,
                                   const sm_window_options *options, const size_t size[2], sm_error *error) {
  sm_status status = check_filters(y, w, 3, error);
  if (status) return status;
  sm_conv2d plan = {.filters = w->size[3]};
  sm_error reason;
  status = chosen_kernel(&plan.kernel, error);
  if (status) return status;
  status =
      sm_window_transpose_plan(&plan.window, y, w->size[2], w->size[0], w->size[1], options, size, &reason);
  if (status == SM_OK) status = check_limit(&plan, &reason);
  if (status) return no_plan(y, w, &reason, error);
  *conv = plan;
  *x = (sm_shape){4, {plan.window.batch, plan.window.height, plan.window.width, plan.window.channels}};
  return SM_OK;
}

/* ---- im2col: how the work is cut ---- */

/* Elements of patches that are unfolded at a time: they stay in the cache until they are used. */
enum { PATCH_BLOCK = 128 * 1024 };

/* A batch is cut into chunks of images, a chunk into blocks of output rows, which may cross images. A block
   is one matrix product over its patches (positions, patch): what the window sees at each position. */
typedef struct work {
  size_t patch; /* kernel height * kernel width * channels */
  size_t row;   /* positions in an output row */
  size_t block; /* output rows in a block */
  bool unfold;  /* false: the images are their own patches, for the window is one pixel that skips none */
  int chunks, workers; /* workers: threads, each with its own patches */
  size_t patch_bytes;  /* per worker */
} work;

static work work_of(const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  work cut = {.patch = patch_of(window), .row = window->out_width};
  cut.chunks = sm_batch_chunks(window->batch);
  sm_range largest = sm_chunk(window->batch, cut.chunks, 0);
  size_t row_elements = cut.row * cut.patch;
  size_t fitting = row_elements ? PATCH_BLOCK / row_elements : 1;
  cut.block = sm_smaller(fitting ? fitting : 1, (largest.last - largest.first) * window->out_height);
  bool pixel = window->kernel_height == 1 && window->kernel_width == 1 && window->stride == 1;
  cut.unfold = !pixel || window->out_height != window->height || window->out_width != window->width;
  cut.patch_bytes = cut.unfold ? sm_aligned(cut.block * row_elements * sizeof(real)) : 0;
  int threads = sm_thread_count();
  cut.workers = threads < cut.chunks ? threads : cut.chunks;
  return cut;
}

/* Output rows of a chunk, counted through the whole batch. */
static sm_range rows_of_chunk(const sm_conv2d *conv, const work *cut, int chunk) {
  sm_range images = sm_chunk(conv->window.batch, cut->chunks, chunk);
  return (sm_range){images.first * conv->window.out_height, images.last * conv->window.out_height};
}

static real *worker_patches(void *scratch, const work *cut) {
  if (!cut->patch_bytes) return NULL;
  return (real *)((char *)scratch + (size_t)sm_thread_index() * cut->patch_bytes);
}

/* ---- patches ---- */

/* Runs are often a few elements long: sizes that the compiler knows spare a call of memcpy for each. */
static inline void copy_run(real *restrict out, const real *restrict x, size_t n) {
  for (; n >= 16; n -= 16, out += 16, x += 16) memcpy(out, x, 16 * sizeof *out);
  if (n & 8) memcpy(out, x, 8 * sizeof *out), out += 8, x += 8;
  if (n & 4) memcpy(out, x, 4 * sizeof *out), out += 4, x += 4;
  if (n & 2) memcpy(out, x, 2 * sizeof *out), out += 2, x += 2;
  if (n & 1) *out = *x;
}

static inline void zero_run(real *out, size_t n) {
  for (size_t i = 0; i < n; i++) out[i] = 0;
}

static inline void add_run(real *restrict out, const real *restrict x, size_t n) {
  for (size_t i = 0; i < n; i++) out[i] += x[i];
}

/* patches (row, patch) = what the window sees along one output row of x. */
static void unfold_row(real *patches, const real *x, size_t output_row, const work *cut,
                       const sm_window *window) {
  size_t image = output_row / window->out_height, oy = output_row % window->out_height;
  size_t channels = window->channels, line = window->width * channels, run = window->kernel_width * channels;
  ptrdiff_t top = (ptrdiff_t)(oy * window->stride) - (ptrdiff_t)window->top;
  sm_range rows = sm_on_axis(top, window->kernel_height, window->height);
  for (size_t ky = 0; ky < window->kernel_height; ky++, patches += run) {
    bool seen = ky >= rows.first && ky < rows.last;
    const real *pixels = seen ? x + (image * window->height + (size_t)(top + (ptrdiff_t)ky)) * line : NULL;
    real *patch = patches;
    for (size_t ox = 0; ox < window->out_width; ox++, patch += cut->patch) {
      if (!seen) {
        zero_run(patch, run);
        continue;
      }
      ptrdiff_t left = (ptrdiff_t)(ox * window->stride) - (ptrdiff_t)window->left;
      sm_range columns = sm_on_axis(left, window->kernel_width, window->width);
      size_t before = columns.first * channels, upto = columns.last * channels;
      zero_run(patch, before);
      if (upto > before) {
        const real *pixel = pixels + (left + (ptrdiff_t)columns.first) * (ptrdiff_t)channels;
        copy_run(patch + before, pixel, upto - before);
      }
      zero_run(patch + upto, run - upto);
    }
  }
}

/* The adjoint of unfold_row: adds patches (row, patch) to the pixels of gx that they were taken from. */
static void fold_row(real *gx, const real *patches, size_t output_row, const work *cut,
                     const sm_window *window) {
  size_t image = output_row / window->out_height, oy = output_row % window->out_height;
  size_t channels = window->channels, line = window->width * channels, run = window->kernel_width * channels;
  ptrdiff_t top = (ptrdiff_t)(oy * window->stride) - (ptrdiff_t)window->top;
  sm_range rows = sm_on_axis(top, window->kernel_height, window->height);
  for (size_t ky = rows.first; ky < rows.last; ky++) {
    real *pixels = gx + (image * window->height + (size_t)(top + (ptrdiff_t)ky)) * line;
    const real *patch = patches + ky * run;
    for (size_t ox = 0; ox < window->out_width; ox++, patch += cut->patch) {
      ptrdiff_t left = (ptrdiff_t)(ox * window->stride) - (ptrdiff_t)window->left;
      sm_range columns = sm_on_axis(left, window->kernel_width, window->width);
      if (columns.first == columns.last) continue;
      add_run(pixels + (left + (ptrdiff_t)columns.first) * (ptrdiff_t)channels,
              patch + columns.first * channels, (columns.last - columns.first) * channels);
    }
  }
}

/* The patches of `rows` output rows: unfolded into `patches`, or the pixels themselves. */
static const real *patches_of(real *patches, const real *x, size_t first, size_t rows, const work *cut,
                              const sm_window *window) {
  if (!cut->unfold) return x + first * cut->row * cut->patch;
  size_t step = cut->row * cut->patch;
  for (size_t i = 0; i < rows; i++) unfold_row(patches + i * step, x, first + i, cut, window);
  return patches;
}

/* ---- forward ---- */

static size_t patches_scratch(const sm_conv2d *conv) {
  work cut = work_of(conv);
  return (size_t)cut.workers * cut.patch_bytes;
}

size_t sm_conv2d_forward_scratch(const sm_conv2d *conv) {
  return is_direct(conv, conv->filters) ? sm_conv_direct_forward_scratch(conv) : patches_scratch(conv);
}

void sm_conv2d_forward(real *y, const real *x, const real *w, const real *bias, void *scratch,
                       const sm_conv2d *conv) {
  if (is_direct(conv, conv->filters)) {
    sm_conv_direct_forward(y, x, w, bias, scratch, conv);
    return;
  }
  const work cut = work_of(conv);
  size_t filters = conv->filters;
#pragma omp parallel for schedule(static) num_threads(cut.workers)
  for (int chunk = 0; chunk < cut.chunks; chunk++) {
    real *unfolded = worker_patches(scratch, &cut);
    sm_range rows = rows_of_chunk(conv, &cut, chunk);
    for (size_t first = rows.first; first < rows.last; first += cut.block) {
      size_t count = sm_smaller(cut.block, rows.last - first), positions = count * cut.row;
      const real *patches = patches_of(unfolded, x, first, count, &cut, &conv->window);
      real *out = y + first * cut.row * filters;
      for (size_t i = 0; i < positions && bias; i++) copy_run(out + i * filters, bias, filters);
      sm_gemm_serial(out, patches, w, false, false, bias != NULL, positions, filters, cut.patch, cut.patch,
                     filters, filters);
    }
  }
}

/* ---- backward ---- */

size_t sm_conv2d_backward_data_scratch(const sm_conv2d *conv) {
  bool direct = is_direct(conv, conv->window.channels);
  return direct ? sm_conv_direct_backward_data_scratch(conv) : patches_scratch(conv);
}

void sm_conv2d_backward_data(real *gx, const real *gy, const real *w, void *scratch, const sm_conv2d *conv) {
  if (is_direct(conv, conv->window.channels)) {
    sm_conv_direct_backward_data(gx, gy, w, scratch, conv);
    return;
  }
  const work cut = work_of(conv);
  size_t filters = conv->filters, image = conv->window.height * conv->window.width * conv->window.channels;
  size_t step = cut.row * cut.patch;
#pragma omp parallel for schedule(static) num_threads(cut.workers)
  for (int chunk = 0; chunk < cut.chunks; chunk++) {
    real *unfolded = worker_patches(scratch, &cut);
    sm_range images = sm_chunk(conv->window.batch, cut.chunks, chunk);
    sm_range rows = rows_of_chunk(conv, &cut, chunk);
    if (cut.unfold) zero_run(gx + images.first * image, (images.last - images.first) * image);
    for (size_t first = rows.first; first < rows.last; first += cut.block) {
      size_t count = sm_smaller(cut.block, rows.last - first);
      real *patches = cut.unfold ? unfolded : gx + first * step;
      sm_gemm_serial(patches, gy + first * cut.row * filters, w, false, true, false, count * cut.row,
                     cut.patch, filters, filters, filters, cut.patch);
      for (size_t i = 0; i < count && cut.unfold; i++) {
        fold_row(gx, patches + i * step, first + i, &cut, &conv->window);
      }
    }
  }
}

/* Scratch of the filter gradient: the workers' patches, then the chunks' gw, then their gbias in double. */
typedef struct partials {
  size_t gw_bytes, gbias_bytes; /* per chunk */
} partials;

static partials partials_of(const sm_conv2d *conv, const work *cut) {
  return (partials){sm_aligned(cut->patch * conv->filters * sizeof(real)),
                    sm_aligned(conv->filters * sizeof(double))};
}

size_t sm_conv2d_backward_filter_scratch(const sm_conv2d *conv) {
  if (is_direct(conv, conv->filters)) return sm_conv_direct_backward_filter_scratch(conv);
  work cut = work_of(conv);
  partials part = partials_of(conv, &cut);
  return (size_t)cut.workers * cut.patch_bytes + (size_t)cut.chunks * (part.gw_bytes + part.gbias_bytes);
}

/* sum (columns) = x (rows, columns) summed over rows. */
static void sum_rows(double *sum, const real *x, size_t rows, size_t columns) {
  for (size_t j = 0; j < columns; j++) sum[j] = 0;
  for (size_t i = 0; i < rows; i++, x += columns) {
    for (size_t j = 0; j < columns; j++) sum[j] += (double)x[j];
  }
}

void sm_conv2d_backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                               const sm_conv2d *conv) {
  if (is_direct(conv, conv->filters)) {
    sm_conv_direct_backward_filter(gw, gbias, gy, x, scratch, conv);
    return;
  }
  const work cut = work_of(conv);
  const partials part = partials_of(conv, &cut);
  size_t filters = conv->filters, weights = cut.patch * filters;
  char *gw_parts = (char *)scratch + (size_t)cut.workers * cut.patch_bytes;
  char *gbias_parts = gw_parts + (size_t)cut.chunks * part.gw_bytes;
#pragma omp parallel for schedule(static) num_threads(cut.workers)
  for (int chunk = 0; chunk < cut.chunks; chunk++) {
    real *unfolded = worker_patches(scratch, &cut);
    real *gw_part = (real *)(gw_parts + (size_t)chunk * part.gw_bytes);
    sm_range rows = rows_of_chunk(conv, &cut, chunk);
    if (rows.first == rows.last) zero_run(gw_part, weights);
    for (size_t first = rows.first; first < rows.last; first += cut.block) {
      size_t count = sm_smaller(cut.block, rows.last - first);
      const real *patches = patches_of(unfolded, x, first, count, &cut, &conv->window);
      sm_gemm_serial(gw_part, patches, gy + first * cut.row * filters, true, false, first != rows.first,
                     cut.patch, filters, count * cut.row, cut.patch, filters, filters);
    }
    if (gbias) {
      double *gbias_part = (double *)(gbias_parts + (size_t)chunk * part.gbias_bytes);
      sum_rows(gbias_part, gy + rows.first * cut.row * filters, (rows.last - rows.first) * cut.row, filters);
    }
  }

  long blocks = sm_blocks(weights);
#pragma omp parallel for schedule(static) if (blocks > 1)
  for (long block = 0; block < blocks; block++) {
    sm_range range = sm_block(weights, block);
    size_t count = range.last - range.first;
    memcpy(gw + range.first, (real *)gw_parts + range.first, count * sizeof *gw);
    for (int chunk = 1; chunk < cut.chunks; chunk++) {
      add_run(gw + range.first, (real *)(gw_parts + (size_t)chunk * part.gw_bytes) + range.first, count);
    }
  }
  for (size_t j = 0; j < filters && gbias; j++) {
    double sum = 0;
    for (int chunk = 0; chunk < cut.chunks; chunk++) {
      sum += ((double *)(gbias_parts + (size_t)chunk * part.gbias_bytes))[j];
    }
    gbias[j] = (real)sum;
  }
}
