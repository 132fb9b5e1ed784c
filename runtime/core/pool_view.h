/* What the pools share: the pixels that a window holds, and the way through the images of a batch. */
#ifndef SM_POOL_VIEW_H
#define SM_POOL_VIEW_H

#include "core/conv/reading.h"
#include "core/window.h"

/* The pixels that one window holds. */
typedef struct view {
  size_t first;         /* position in the batch of its first pixel */
  size_t rows, columns; /* of pixels, 1 or more each */
  size_t skipped;       /* position in the window of its first pixel: padding comes before */
} view;

/* How many elements, `dilation` apart from the first on, come before `distance`. */
static inline size_t elements_before(size_t distance, size_t dilation) {
  return dilation == 1 ? distance : sm_quotient_up(distance, dilation);
}

/* The elements of a window's axis that lie on the image, from its position without padding on, and the pixel that the
   first of them is. */
static inline sm_range clip(size_t *pixel, size_t position, size_t before, size_t kernel, size_t dilation,
                            size_t size) {
  size_t skipped = position < before ? elements_before(before - position, dilation) : 0;
  *pixel = position + skipped * dilation - before;
  size_t left = elements_before(size - *pixel, dilation);
  return (sm_range){skipped, sm_smaller(kernel, skipped + left)};
}

static inline view view_of(size_t image, size_t oy, size_t ox, const sm_window *window) {
  size_t y, x;
  sm_range rows = clip(&y, oy * window->stride, window->top, window->kernel_height, window->dilation, window->height);
  sm_range columns =
      clip(&x, ox * window->stride_across, window->left, window->kernel_width, window->dilation_across, window->width);
  return (view){
      .first = (image * window->height + y) * window->width + x,
      .rows = rows.last - rows.first,
      .columns = columns.last - columns.first,
      .skipped = rows.first * window->kernel_width + columns.first,
  };
}

/* Elements of the images from a pixel of a window to the one below, and to the next. */
static inline size_t step_down(const sm_window *window) { return window->dilation * window->width * window->channels; }
static inline size_t step_across(const sm_window *window) { return window->dilation_across * window->channels; }

/* Whether every pixel lies in at most one window, and whether every pixel lies in one. */
static inline bool windows_are_apart(const sm_window *window) {
  return window->stride >= sm_window_reach(window->kernel_height, window->dilation) &&
         window->stride_across >= sm_window_reach(window->kernel_width, window->dilation_across);
}

static inline bool windows_cover(const sm_window *window) {
  return window->dilation == 1 && window->dilation_across == 1 && window->stride <= window->kernel_height &&
         window->stride_across <= window->kernel_width &&
         window->out_height * window->stride >= window->height + window->top &&
         window->out_width * window->stride_across >= window->width + window->left;
}

/* A pass over the images of a batch, which tasks copy: vectors that are stored might lie in any other memory. */
typedef struct pass {
  real *out;
  const real *in;
  char *which;    /* (outputs) of the maximum: the position in its window; NULL: not wanted */
  bool wide;      /* whether positions are of SM_INT32 */
  const real *y;  /* (outputs) of the maximum with relu, in the backward pass */
  bool relu;
  bool count_padding; /* of the mean */
  sm_window window;
} pass;

static inline size_t image_size(const sm_window *window) {
  return window->height * window->width * window->channels;
}

/* An image without numbers has no windows either, or they hold no channel: then there may be more images, or windows,
   than could ever be counted through. */
static inline void run(sm_task *image, const pass *of) {
  const sm_window *window = &of->window;
  size_t outputs = window->batch * window->out_height * window->out_width * window->channels;
  if (image_size(window) > 0) sm_parallel(window->batch, outputs, image, of);
}

static inline void zero(real *out, size_t n) {
  for (size_t i = 0; i < n; i++) out[i] = 0;
}

/* Asks for the pixels of x, which are read or written, that the window one row of windows below holds. */
static inline void fetch_below(const real *x, const view *seen, const sm_window *window) {
  size_t row = window->width * window->channels;
  const real *pixel = x + seen->first * window->channels + window->stride * row;
  for (size_t i = 0; i < seen->rows; i++, pixel += window->dilation * row) {
    for (size_t j = 0; j < seen->columns * step_across(window); j += SM_LINE)
      __builtin_prefetch(pixel + j, 0, 3);
  }
}

#endif
