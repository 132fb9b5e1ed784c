#include "core/pool.h"

#include <string.h>

#include "core/math.h"
#include "core/parallel.h"
#include "core/tile.h"

/* ---- plans ---- */

/* Whether the first window of an axis ends before the image, or the last one starts beyond it. */
static bool misses(size_t positions, size_t before, size_t size, size_t kernel, size_t stride) {
  return positions > 0 && (size == 0 || before >= kernel || (positions - 1) * stride >= size + before);
}

sm_status sm_avgpool_plan(sm_window *window, sm_shape *out, const sm_shape *x, size_t kernel_height,
                          size_t kernel_width, const sm_window_options *options, sm_error *error) {
  sm_window plan;
  sm_status status = sm_window_plan(&plan, x, kernel_height, kernel_width, options, error);
  if (status) return status;
  if (misses(plan.out_height, plan.top, plan.height, kernel_height, plan.stride) ||
      misses(plan.out_width, plan.left, plan.width, kernel_width, plan.stride)) {
    char text[SM_SHAPE_TEXT];
    return sm_fail(error, SM_BAD_VALUE,
                   "with padding %zux%zu some windows of %zux%zu hold no pixel of images %s", plan.top,
                   plan.left, kernel_height, kernel_width, sm_shape_text(text, x));
  }
  *window = plan;
  *out = (sm_shape){4, {plan.batch, plan.out_height, plan.out_width, plan.channels}};
  return SM_OK;
}

sm_status sm_maxpool_plan(sm_window *window, sm_shape *out, const sm_shape *x, size_t kernel_height,
                          size_t kernel_width, const sm_window_options *options, sm_error *error) {
  if (kernel_height > SM_MAXPOOL_POSITIONS || kernel_width > SM_MAXPOOL_POSITIONS ||
      kernel_height * kernel_width > SM_MAXPOOL_POSITIONS) {
    return sm_fail(error, SM_BAD_VALUE, "expected a window of at most %d pixels, got %zux%zu",
                   SM_MAXPOOL_POSITIONS, kernel_height, kernel_width);
  }
  return sm_avgpool_plan(window, out, x, kernel_height, kernel_width, options, error);
}

/* ---- walking over windows ---- */

/* The pixels that one window holds. */
typedef struct view {
  size_t first;         /* position in the batch of its first pixel */
  size_t rows, columns; /* of pixels, 1 or more each */
  size_t skipped;       /* position in the window of its first pixel: padding comes before */
} view;

/* The part of `kernel` pixels from `position` on that lies on an axis of `size` pixels, relative to the
 * image. */
static sm_range clip(size_t *skipped, size_t position, size_t before, size_t kernel, size_t size) {
  *skipped = position < before ? before - position : 0;
  size_t first = position + *skipped - before, last = position + kernel - before;
  return (sm_range){first, last < size ? last : size};
}

static view view_of(size_t image, size_t oy, size_t ox, const sm_window *window) {
  size_t above, aside;
  sm_range rows = clip(&above, oy * window->stride, window->top, window->kernel_height, window->height);
  sm_range columns = clip(&aside, ox * window->stride, window->left, window->kernel_width, window->width);
  return (view){
      .first = (image * window->height + rows.first) * window->width + columns.first,
      .rows = rows.last - rows.first,
      .columns = columns.last - columns.first,
      .skipped = above * window->kernel_width + aside,
  };
}

/* A pass over the images of a batch. */
typedef struct pass {
  real *out;
  const real *in;
  uint8_t *which; /* (outputs) of the maximum: the position in its window */
  const real *y;  /* (outputs) of the maximum with relu, in the backward pass */
  bool relu;
  const sm_window *window;
} pass;

static void run(sm_task *image, const pass *of) {
  const sm_window *window = of->window;
  size_t outputs = window->batch * window->out_height * window->out_width * window->channels;
  sm_parallel(window->batch, outputs, image, of);
}

static size_t image_size(const sm_window *window) {
  return window->height * window->width * window->channels;
}

static inline void zero(real *out, size_t n) {
  for (size_t i = 0; i < n; i++) out[i] = 0;
}

/* ---- maximum ---- */

enum { LANES = 32 }; /* channels that are compared together, in registers */

/* y (n), which (n) of n channels, n <= LANES; x points at the first of them in the window's first pixel. */
static inline void max_of_lanes(real *restrict y, uint8_t *restrict which, const real *restrict x,
                                const view *seen, const pass *of, size_t n) {
  const sm_window *window = of->window;
  real best[LANES];
  int32_t position[LANES];
  for (size_t c = 0; c < n; c++) best[c] = x[c], position[c] = (int32_t)seen->skipped;
  for (size_t i = 0; i < seen->rows; i++) {
    for (size_t j = i == 0; j < seen->columns; j++) {
      const real *pixel = x + (i * window->width + j) * window->channels;
      int32_t here = (int32_t)(seen->skipped + i * window->kernel_width + j);
      for (size_t c = 0; c < n; c++) {
        bool better = (pixel[c] > best[c]) | ((pixel[c] != pixel[c]) & (best[c] == best[c]));
        best[c] = better ? pixel[c] : best[c];
        position[c] = better ? here : position[c];
      }
    }
  }
  for (size_t c = 0; c < n; c++)
    y[c] = of->relu ? sm_relu(best[c]) : best[c], which[c] = (uint8_t)position[c];
}

static void max_image(const void *work, size_t image) {
  const pass *of = work;
  const sm_window *window = of->window;
  real *y = of->out;
  uint8_t *which = of->which;
  size_t channels = window->channels, at = image * window->out_height * window->out_width * channels;
  for (size_t oy = 0; oy < window->out_height; oy++) {
    for (size_t ox = 0; ox < window->out_width; ox++, at += channels) {
      view seen = view_of(image, oy, ox, window);
      const real *pixel = of->in + seen.first * channels;
      size_t c = 0;
      for (; c + LANES <= channels; c += LANES)
        max_of_lanes(y + at + c, which + at + c, pixel + c, &seen, of, LANES);
      if (c < channels) max_of_lanes(y + at + c, which + at + c, pixel + c, &seen, of, channels - c);
    }
  }
}

void sm_maxpool_forward(real *y, uint8_t *which, const real *x, bool relu, const sm_window *window) {
  run(max_image, &(pass){.out = y, .in = x, .which = which, .relu = relu, .window = window});
}

/* Whether every pixel lies in at most one window, and whether every pixel lies in one. */
static bool windows_are_apart(const sm_window *window) {
  return window->stride >= window->kernel_height && window->stride >= window->kernel_width;
}

static bool windows_cover(const sm_window *window) {
  return window->stride <= window->kernel_height && window->stride <= window->kernel_width &&
         window->out_height * window->stride >= window->height + window->top &&
         window->out_width * window->stride >= window->width + window->left;
}

/* Positions, as wide as numbers, so that a comparison of them selects numbers. */
typedef uint8_t few_positions __attribute__((vector_size(SM_VECTOR)));

/* gx of n <= SM_VECTOR channels of a window's pixels = or += gy (n) at the chosen position, if relu let it pass, and
   zero elsewhere. `at` is the first of these channels among the outputs. */
SM_INLINE void give_to_chosen(real *gx, const pass *of, size_t at, const view *seen, bool add, size_t n) {
  const sm_window *window = of->window;
  sm_vector given = {0}, sum;
  few_positions few = {0};
  memcpy(&given, of->in + at, n * sizeof *gx);
  memcpy(&few, of->which + at, n);
  sm_lanes chosen = __builtin_convertvector(few, sm_lanes);
  if (of->y) {
    sm_vector y = {0};
    memcpy(&y, of->y + at, n * sizeof *gx);
    given = (sm_vector)((sm_lanes)given & (y > 0));
  }
  for (size_t i = 0; i < seen->rows; i++) {
    for (size_t j = 0; j < seen->columns; j++) {
      real *pixel = gx + (i * window->width + j) * window->channels;
      sum = (sm_vector)((sm_lanes)given & (chosen == (int)(seen->skipped + i * window->kernel_width + j)));
      if (add) {
        sm_vector before = {0};
        memcpy(&before, pixel, n * sizeof *pixel);
        sum += before;
      }
      memcpy(pixel, &sum, n * sizeof *pixel);
    }
  }
}

static void max_image_backward(const void *work, size_t image) {
  const pass *of = work;
  const sm_window *window = of->window;
  size_t channels = window->channels, at = image * window->out_height * window->out_width * channels;
  bool apart = windows_are_apart(window);
  if (!apart || !windows_cover(window)) zero(of->out + image * image_size(window), image_size(window));
  for (size_t oy = 0; oy < window->out_height; oy++) {
    for (size_t ox = 0; ox < window->out_width; ox++, at += channels) {
      view seen = view_of(image, oy, ox, window);
      real *pixel = of->out + seen.first * channels;
      size_t c = 0;
      for (; c + SM_VECTOR <= channels && apart; c += SM_VECTOR)
        give_to_chosen(pixel + c, of, at + c, &seen, false, SM_VECTOR);
      for (; c + SM_VECTOR <= channels; c += SM_VECTOR)
        give_to_chosen(pixel + c, of, at + c, &seen, true, SM_VECTOR);
      if (c < channels) give_to_chosen(pixel + c, of, at + c, &seen, !apart, channels - c);
    }
  }
}

void sm_maxpool_backward(real *gx, const real *gy, const uint8_t *which, const real *y,
                         const sm_window *window) {
  run(max_image_backward, &(pass){.out = gx, .in = gy, .which = (uint8_t *)which, .y = y, .window = window});
}

/* ---- average ---- */

/* out (n) += scale * x (n). */
static inline void add_scaled(real *restrict out, const real *restrict x, real scale, size_t n) {
  for (size_t c = 0; c < n; c++) out[c] += scale * x[c];
}

static real share_of(const view *seen) { return 1 / (real)(seen->rows * seen->columns); }

static void avg_image(const void *work, size_t image) {
  const pass *of = work;
  const sm_window *window = of->window;
  real *y = of->out;
  size_t channels = window->channels, at = image * window->out_height * window->out_width * channels;
  zero(y + at, window->out_height * window->out_width * channels);
  for (size_t oy = 0; oy < window->out_height; oy++) {
    for (size_t ox = 0; ox < window->out_width; ox++, at += channels) {
      view seen = view_of(image, oy, ox, window);
      real share = share_of(&seen);
      for (size_t i = 0; i < seen.rows; i++) {
        const real *line = of->in + (seen.first + i * window->width) * channels;
        for (size_t j = 0; j < seen.columns; j++) add_scaled(y + at, line + j * channels, share, channels);
      }
    }
  }
}

void sm_avgpool_forward(real *y, const real *x, const sm_window *window) {
  run(avg_image, &(pass){.out = y, .in = x, .window = window});
}

static void avg_image_backward(const void *work, size_t image) {
  const pass *of = work;
  const sm_window *window = of->window;
  const real *gy = of->in;
  real *gx = of->out;
  size_t channels = window->channels, at = image * window->out_height * window->out_width * channels;
  zero(gx + image * image_size(window), image_size(window));
  for (size_t oy = 0; oy < window->out_height; oy++) {
    for (size_t ox = 0; ox < window->out_width; ox++, at += channels) {
      view seen = view_of(image, oy, ox, window);
      real share = share_of(&seen);
      for (size_t i = 0; i < seen.rows; i++) {
        real *line = gx + (seen.first + i * window->width) * channels;
        for (size_t j = 0; j < seen.columns; j++) add_scaled(line + j * channels, gy + at, share, channels);
      }
    }
  }
}

void sm_avgpool_backward(real *gx, const real *gy, const sm_window *window) {
  run(avg_image_backward, &(pass){.out = gx, .in = gy, .window = window});
}
