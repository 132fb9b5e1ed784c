#include "core/unfold.h"

#include <string.h>

#include "core/conv/reading.h"

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

/* One row of positions, and the rows of the kernel that lie on the image there. */
typedef struct place {
  size_t image;
  ptrdiff_t top;
  sm_range rows;
} place;

static place place_of(size_t output_row, const sm_window *window) {
  size_t image = output_row / window->out_height, y = output_row % window->out_height;
  ptrdiff_t top = (ptrdiff_t)(y * window->stride) - (ptrdiff_t)window->top;
  return (place){image, top, sm_apart_on_axis(top, window->kernel_height, window->dilation, window->height)};
}

/* The first element of the pixel row that row `ky` of the kernel sees, which must be on the image. */
static size_t line_of(const place *at, size_t ky, const sm_window *window) {
  size_t row = (size_t)(at->top + (ptrdiff_t)(ky * window->dilation));
  return (at->image * window->height + row) * window->width * window->channels;
}

/* Elements of kernel columns one to the next pixel apart are one run; with dilation each column is its own. */
static bool is_one_run(const sm_window *window) { return window->dilation_across == 1; }

static ptrdiff_t left_of(size_t ox, const sm_window *window) {
  return (ptrdiff_t)(ox * window->stride_across) - (ptrdiff_t)window->left;
}

/* Of one row of positions, counted through the whole batch; fold_row adds to x. */
static void unfold_row(real *patches, const real *x, size_t output_row, const sm_window *window) {
  const place at = place_of(output_row, window);
  size_t channels = window->channels, run = window->kernel_width * channels, step = window->dilation_across * channels;
  size_t size = window->kernel_height * run;
  for (size_t ky = 0; ky < window->kernel_height; ky++, patches += run) {
    bool seen = ky >= at.rows.first && ky < at.rows.last;
    const real *pixels = seen ? x + line_of(&at, ky, window) : NULL;
    real *patch = patches;
    for (size_t ox = 0; ox < window->out_width; ox++, patch += size) {
      if (!seen) {
        zero_run(patch, run);
        continue;
      }
      ptrdiff_t left = left_of(ox, window);
      sm_range columns = sm_apart_on_axis(left, window->kernel_width, window->dilation_across, window->width);
      size_t before = columns.first * channels, upto = columns.last * channels;
      zero_run(patch, before);
      if (upto > before) {
        const real *pixel = pixels + (left * (ptrdiff_t)channels + (ptrdiff_t)(columns.first * step));
        if (is_one_run(window)) copy_run(patch + before, pixel, upto - before);
        else
          for (; before < upto; before += channels, pixel += step) copy_run(patch + before, pixel, channels);
      }
      zero_run(patch + upto, run - upto);
    }
  }
}

static void fold_row(real *x, const real *patches, size_t output_row, const sm_window *window) {
  const place at = place_of(output_row, window);
  size_t channels = window->channels, run = window->kernel_width * channels, step = window->dilation_across * channels;
  for (size_t ky = at.rows.first; ky < at.rows.last; ky++) {
    real *pixels = x + line_of(&at, ky, window);
    const real *patch = patches + ky * run;
    for (size_t ox = 0; ox < window->out_width; ox++, patch += window->kernel_height * run) {
      ptrdiff_t left = left_of(ox, window);
      sm_range columns = sm_apart_on_axis(left, window->kernel_width, window->dilation_across, window->width);
      size_t before = columns.first * channels, upto = columns.last * channels;
      if (before == upto) continue;
      real *pixel = pixels + (left * (ptrdiff_t)channels + (ptrdiff_t)(columns.first * step));
      if (is_one_run(window)) add_run(pixel, patch + before, upto - before);
      else
        for (; before < upto; before += channels, pixel += step) add_run(pixel, patch + before, channels);
    }
  }
}

/* ---- whole batches ---- */

typedef struct pass {
  real *patches, *image; /* one of them is written */
  const sm_window *window;
} pass;

static size_t row_of(const sm_window *window) {
  return window->out_width * window->kernel_height * window->kernel_width * window->channels;
}

static void unfold_one(const void *work, size_t row) {
  const pass *of = work;
  unfold_row(of->patches + row * row_of(of->window), of->image, row, of->window);
}

void sm_unfold(real *patches, const real *x, const sm_window *window) {
  if (row_of(window) == 0) return;
  size_t rows = window->batch * window->out_height;
  sm_parallel(rows, rows * row_of(window), unfold_one, &(pass){patches, (real *)x, window});
}

static void fold_image(const void *work, size_t image) {
  const pass *of = work;
  const sm_window *window = of->window;
  size_t pixels = window->height * window->width * window->channels;
  zero_run(of->image + image * pixels, pixels);
  for (size_t row = image * window->out_height; row < (image + 1) * window->out_height; row++)
    fold_row(of->image, of->patches + row * row_of(window), row, window);
}

void sm_fold(real *x, const real *patches, const sm_window *window) {
  if (window->height * window->width * window->channels == 0) return;
  sm_parallel(window->batch, window->batch * window->out_height * row_of(window), fold_image,
              &(pass){(real *)patches, x, window});
}
