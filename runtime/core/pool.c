#include "core/pool.h"

#include <limits.h>
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
                          size_t kernel_width, const sm_window_options axes[2], sm_error *error) {
  sm_window plan;
  sm_status status = sm_window_plan_axes(&plan, x, kernel_height, kernel_width, axes, error);
  if (status) return status;
  if (misses(plan.out_height, plan.top, plan.height, kernel_height, plan.stride) ||
      misses(plan.out_width, plan.left, plan.width, kernel_width, plan.stride_across)) {
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
                          size_t kernel_width, const sm_window_options axes[2], sm_error *error) {
  if (kernel_height <= INT_MAX && kernel_width <= INT_MAX && kernel_height * kernel_width > INT_MAX) {
    return sm_fail(error, SM_BAD_VALUE, "expected a window of at most %d pixels, got %zux%zu", INT_MAX,
                   kernel_height, kernel_width);
  }
  return sm_avgpool_plan(window, out, x, kernel_height, kernel_width, axes, error);
}

sm_dtype sm_maxpool_position_type(const sm_window *window) {
  return window->kernel_height * window->kernel_width <= UINT8_MAX + 1 ? SM_UINT8 : SM_INT32;
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
  sm_range columns = clip(&aside, ox * window->stride_across, window->left, window->kernel_width, window->width);
  return (view){
      .first = (image * window->height + rows.first) * window->width + columns.first,
      .rows = rows.last - rows.first,
      .columns = columns.last - columns.first,
      .skipped = above * window->kernel_width + aside,
  };
}

/* A pass over the images of a batch, which tasks copy: vectors that are stored might lie in any other memory. */
typedef struct pass {
  real *out;
  const real *in;
  char *which;    /* (outputs) of the maximum: the position in its window; NULL: not wanted */
  bool wide;      /* whether positions are of SM_INT32 */
  const real *y;  /* (outputs) of the maximum with relu, in the backward pass */
  bool relu;
  sm_window window;
} pass;

static size_t image_size(const sm_window *window) {
  return window->height * window->width * window->channels;
}

/* An image without numbers has no windows either, or they hold no channel: then there may be more images, or windows,
   than could ever be counted through. */
static void run(sm_task *image, const pass *of) {
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
  for (size_t i = 0; i < seen->rows; i++, pixel += row) {
    for (size_t j = 0; j < seen->columns * window->channels; j += SM_LINE)
      __builtin_prefetch(pixel + j, 0, 3);
  }
}

/* ---- maximum ---- */

/* Positions in a window, one to a channel. */
typedef uint8_t positions __attribute__((vector_size(SM_VECTOR)));

typedef int32_t wide_positions __attribute__((vector_size(4 * SM_VECTOR)));

/* Of lanes that hold positions. In two steps: gcc 12 takes the lanes apart one by one for a single one. */
SM_INLINE positions narrowed(sm_lanes chosen) {
  typedef int16_t shorts __attribute__((vector_size(2 * SM_VECTOR)));
  return __builtin_convertvector(__builtin_convertvector(chosen, shorts), positions);
}

/* Keeps the positions of n <= SM_VECTOR outputs, from number `at` on. */
SM_INLINE void store_positions(const pass *of, size_t at, sm_lanes chosen, size_t n) {
  if (of->wide) {
    wide_positions which = __builtin_convertvector(chosen, wide_positions);
    memcpy(of->which + at * sizeof(int32_t), &which, n * sizeof(int32_t));
  } else {
    positions which = narrowed(chosen);
    memcpy(of->which + at, &which, n);
  }
}

SM_INLINE sm_lanes load_positions(const pass *of, size_t at, size_t n) {
  if (of->wide) {
    wide_positions which = {0};
    memcpy(&which, of->which + at * sizeof(int32_t), n * sizeof(int32_t));
    return __builtin_convertvector(which, sm_lanes);
  }
  positions which = {0};
  memcpy(&which, of->which + at, n);
  return __builtin_convertvector(which, sm_lanes);
}

/* n <= SM_VECTOR numbers. */
SM_INLINE sm_vector load(const real *x, size_t n) {
  if (n == SM_VECTOR) return *(const sm_vector *)x;
  sm_vector numbers = {0};
  memcpy(&numbers, x, n * sizeof *x);
  return numbers;
}

SM_INLINE void store(real *out, sm_vector numbers, size_t n) {
  if (n == SM_VECTOR) {
    *(sm_vector *)out = numbers;
  } else {
    memcpy(out, &numbers, n * sizeof *out);
  }
}

/* Numbers where the lanes of `where` are set, zero elsewhere. */
SM_INLINE sm_vector masked(sm_lanes where, sm_vector x) { return (sm_vector)((sm_lanes)x & where); }

/* The window of nearly every network. */
static inline bool is_square_of_four(const view *seen) { return seen->rows == 2 && seen->columns == 2; }

/* y and, if it is wanted, which of n <= SM_VECTOR channels of a window; NaN is larger than any number. x points at the
   first of them in the window's first pixel, `at` is its place among the outputs. */
SM_INLINE void give_largest(const pass *of, size_t at, const real *x, const view *seen, size_t n,
                            const bool where) {
  const sm_window *window = &of->window;
  sm_vector best = load(x, n);
  sm_lanes chosen = __builtin_convertvector((wide_positions){0} + (int32_t)seen->skipped, sm_lanes);
  for (size_t i = 0; i < seen->rows; i++) {
    for (size_t j = i == 0; j < seen->columns; j++) {
      sm_vector pixel = load(x + (i * window->width + j) * window->channels, n);
      sm_lanes better = ~(pixel <= best) & (best == best);
      best = (sm_vector)((sm_lanes)masked(better, pixel) | (sm_lanes)masked(~better, best));
      chosen = (better & (int)(seen->skipped + i * window->kernel_width + j)) | (chosen & ~better);
    }
  }
  if (of->relu) best = masked(~(best <= 0), best);
  store(of->out + at, best, n);
  if (where) store_positions(of, at, chosen, n);
}

/* All channels of a window. */
SM_INLINE void max_window(const pass *of, size_t at, const view *seen, const bool where) {
  size_t channels = of->window.channels, c = 0;
  const real *pixel = of->in + seen->first * channels;
  for (; c + SM_VECTOR <= channels; c += SM_VECTOR)
    give_largest(of, at + c, pixel + c, seen, SM_VECTOR, where);
  if (c < channels) give_largest(of, at + c, pixel + c, seen, channels - c, where);
}

SM_INLINE void max_windows(const pass *of, size_t image, const bool where) {
  const sm_window *window = &of->window;
  size_t channels = window->channels, at = image * window->out_height * window->out_width * channels;
  bool is_near = window->batch == 1; /* the image of a convolution that has just written it, most likely */
  for (size_t oy = 0; oy < window->out_height; oy++) {
    for (size_t ox = 0; ox < window->out_width; ox++, at += channels) {
      view seen = view_of(image, oy, ox, window);
      if (!is_near) fetch_below(of->in, &seen, window);
      if (is_square_of_four(&seen))
        max_window(of, at, &(view){seen.first, 2, 2, seen.skipped},
                   where); /* loops that the compiler can unroll */
      else
        max_window(of, at, &seen, where);
    }
  }
}

static void max_image(const void *work, size_t image) {
  const pass of = *(const pass *)work;
  if (of.which)
    max_windows(&of, image, true);
  else
    max_windows(&of, image, false);
}

void sm_maxpool_forward(real *y, void *which, const real *x, bool relu, const sm_window *window) {
  bool wide = sm_maxpool_position_type(window) == SM_INT32;
  run(max_image, &(pass){.out = y, .in = x, .which = which, .wide = wide, .relu = relu, .window = *window});
}

bool sm_maxpool_positions_fit(const void *which, const sm_window *window) {
  size_t n = window->batch * window->out_height * window->out_width * window->channels;
  uint32_t pixels = (uint32_t)(window->kernel_height * window->kernel_width), largest = 0;
  if (sm_maxpool_position_type(window) == SM_INT32) {
    const uint32_t *position = which; /* where negative ones are larger than any */
#pragma omp simd reduction(max : largest)
    for (size_t i = 0; i < n; i++) largest = position[i] > largest ? position[i] : largest;
  } else {
    const uint8_t *position = which;
    uint8_t most = 0;
#pragma omp simd reduction(max : most)
    for (size_t i = 0; i < n; i++) most = position[i] > most ? position[i] : most;
    largest = most;
  }
  return largest < pixels;
}

void sm_maxpool_sources(int32_t *source, const void *which, const sm_window *window) {
  bool wide = sm_maxpool_position_type(window) == SM_INT32;
  size_t channels = window->channels, at = 0;
  for (size_t row = 0; row < window->batch * window->out_height; row++) {
    size_t top = row % window->out_height * window->stride;
    for (size_t left = 0, x = 0; x < window->out_width; x++, left += window->stride_across) {
      for (size_t c = 0; c < channels; c++, at++) {
        size_t position = wide ? (size_t)((const int32_t *)which)[at] : ((const uint8_t *)which)[at];
        size_t down = top + position / window->kernel_width - window->top;
        size_t across = left + position % window->kernel_width - window->left;
        source[at] = (int32_t)((down * window->width + across) * channels + c);
      }
    }
  }
}

/* Whether every pixel lies in at most one window, and whether every pixel lies in one. */
static bool windows_are_apart(const sm_window *window) {
  return window->stride >= window->kernel_height && window->stride_across >= window->kernel_width;
}

static bool windows_cover(const sm_window *window) {
  return window->stride <= window->kernel_height && window->stride_across <= window->kernel_width &&
         window->out_height * window->stride >= window->height + window->top &&
         window->out_width * window->stride_across >= window->width + window->left;
}

/* gx of n <= SM_VECTOR channels of a window's pixels = or += gy (n) at the chosen position, if relu let it pass, and
   zero elsewhere. `at` is the first of these channels among the outputs. */
SM_INLINE void give_to_chosen(real *gx, const pass *of, size_t at, const view *seen, bool add, size_t n) {
  const sm_window *window = &of->window;
  sm_vector given = load(of->in + at, n);
  sm_lanes chosen = load_positions(of, at, n);
  if (of->y) given = masked(load(of->y + at, n) > 0, given);
  for (size_t i = 0; i < seen->rows; i++) {
    for (size_t j = 0; j < seen->columns; j++) {
      real *pixel = gx + (i * window->width + j) * window->channels;
      sm_vector sum = masked(chosen == (int)(seen->skipped + i * window->kernel_width + j), given);
      if (add) sum += load(pixel, n);
      store(pixel, sum, n);
    }
  }
}

/* All channels of a window. */
SM_INLINE void max_window_backward(const pass *of, size_t at, const view *seen, bool apart) {
  size_t channels = of->window.channels, c = 0;
  real *pixel = of->out + seen->first * channels;
  for (; c + SM_VECTOR <= channels; c += SM_VECTOR)
    give_to_chosen(pixel + c, of, at + c, seen, !apart, SM_VECTOR);
  if (c < channels) give_to_chosen(pixel + c, of, at + c, seen, !apart, channels - c);
}

static void max_image_backward(const void *work, size_t image) {
  const pass of = *(const pass *)work;
  const sm_window *window = &of.window;
  size_t channels = window->channels, at = image * window->out_height * window->out_width * channels;
  bool apart = windows_are_apart(window);
  if (!apart || !windows_cover(window)) zero(of.out + image * image_size(window), image_size(window));
  for (size_t oy = 0; oy < window->out_height; oy++) {
    for (size_t ox = 0; ox < window->out_width; ox++, at += channels) {
      view seen = view_of(image, oy, ox, window);
      fetch_below(of.out, &seen, window);
      if (apart && is_square_of_four(&seen))
        max_window_backward(&of, at, &(view){seen.first, 2, 2, seen.skipped}, true);
      else
        max_window_backward(&of, at, &seen, apart);
    }
  }
}

void sm_maxpool_backward(real *gx, const real *gy, const void *which, const real *y, const sm_window *window) {
  bool wide = sm_maxpool_position_type(window) == SM_INT32;
  run(max_image_backward,
      &(pass){.out = gx, .in = gy, .which = (char *)which, .wide = wide, .y = y, .window = *window});
}

/* ---- average ---- */

/* out (n) += scale * x (n). */
static inline void add_scaled(real *restrict out, const real *restrict x, real scale, size_t n) {
  for (size_t c = 0; c < n; c++) out[c] += scale * x[c];
}

static real share_of(const view *seen) { return 1 / (real)(seen->rows * seen->columns); }

/* Above so many pixels, the rows of a window are summed on their own first: one running sum of n equal shares is
   wrong by up to n roundings. */
enum { RUNNING_PIXELS = 256, SUM_CHANNELS = 64 };

/* y (channels) += the mean of a window. */
static void add_mean(real *y, const real *x, const view *seen, const sm_window *window) {
  size_t channels = window->channels, line = window->width * channels;
  real share = share_of(seen);
  bool running = seen->rows * seen->columns <= RUNNING_PIXELS;
  for (size_t i = 0; i < seen->rows && running; i++, x += line) {
    for (size_t j = 0; j < seen->columns; j++) add_scaled(y, x + j * channels, share, channels);
  }
  for (size_t i = 0; i < seen->rows && !running; i++, x += line) {
    for (size_t c = 0; c < channels; c += SUM_CHANNELS) {
      real sum[SUM_CHANNELS] = {0};
      size_t n = channels - c < SUM_CHANNELS ? channels - c : SUM_CHANNELS;
      for (size_t j = 0; j < seen->columns; j++) add_scaled(sum, x + j * channels + c, share, n);
      add_scaled(y + c, sum, 1, n);
    }
  }
}

static void avg_image(const void *work, size_t image) {
  const pass of = *(const pass *)work;
  const sm_window *window = &of.window;
  size_t channels = window->channels, at = image * window->out_height * window->out_width * channels;
  zero(of.out + at, window->out_height * window->out_width * channels);
  for (size_t oy = 0; oy < window->out_height; oy++) {
    for (size_t ox = 0; ox < window->out_width; ox++, at += channels) {
      view seen = view_of(image, oy, ox, window);
      add_mean(of.out + at, of.in + seen.first * channels, &seen, window);
    }
  }
}

void sm_avgpool_forward(real *y, const real *x, const sm_window *window) {
  run(avg_image, &(pass){.out = y, .in = x, .window = *window});
}

static void avg_image_backward(const void *work, size_t image) {
  const pass of = *(const pass *)work;
  const sm_window *window = &of.window;
  const real *gy = of.in;
  real *gx = of.out;
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
  run(avg_image_backward, &(pass){.out = gx, .in = gy, .window = *window});
}
