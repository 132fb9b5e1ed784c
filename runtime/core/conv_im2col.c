#include "core/conv_im2col.h"

#include <string.h>

#include "core/conv_reading.h"
#include "core/gemm.h"

/* ---- how the work is cut ---- */

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
  work cut = {.patch = window->kernel_height * window->kernel_width * window->channels,
              .row = window->out_width};
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

size_t sm_conv_im2col_forward_scratch(const sm_conv2d *conv) { return patches_scratch(conv); }

void sm_conv_im2col_forward(real *y, const real *x, const real *w, const real *bias, void *scratch,
                            const sm_conv2d *conv) {
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

size_t sm_conv_im2col_backward_data_scratch(const sm_conv2d *conv) { return patches_scratch(conv); }

void sm_conv_im2col_backward_data(real *gx, const real *gy, const real *w, void *scratch,
                                  const sm_conv2d *conv) {
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

size_t sm_conv_im2col_backward_filter_scratch(const sm_conv2d *conv) {
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

void sm_conv_im2col_backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                                    const sm_conv2d *conv) {
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
