#include <string.h>

#include "core/math.h"
#include "core/pool.h"
#include "core/pool_view.h"
#include "core/tile.h"

/* Positions in a window, one to a channel. */
typedef uint8_t positions __attribute__((vector_size(SM_VECTOR)));

typedef int32_t wide_positions __attribute__((vector_size(4 * SM_VECTOR)));

/* Lanes that hold positions, narrow and wide. In two steps: of a single one gcc 12 makes one step for each lane. */
typedef int16_t short_positions __attribute__((vector_size(2 * SM_VECTOR)));

SM_INLINE positions narrowed(sm_lanes chosen) {
  return __builtin_convertvector(__builtin_convertvector(chosen, short_positions), positions);
}

SM_INLINE sm_lanes widened(positions which) {
  return __builtin_convertvector(__builtin_convertvector(which, short_positions), sm_lanes);
}

/* n <= SM_VECTOR positions, and any others after them. */
SM_INLINE positions load_narrow(const char *which, size_t n) {
#if SM_VECTOR_BYTES == 64 && defined(__AVX512BW__) && defined(__AVX512VL__) && !defined(SM_DOUBLE)
  return (positions)_mm_maskz_loadu_epi8(SM_FIRST_LANES(n), which);
#else
  positions some = {0};
  memcpy(&some, which, n);
  return some;
#endif
}

SM_INLINE void store_narrow(char *which, positions some, size_t n) {
#if SM_VECTOR_BYTES == 64 && defined(__AVX512BW__) && defined(__AVX512VL__) && !defined(SM_DOUBLE)
  _mm_mask_storeu_epi8(which, SM_FIRST_LANES(n), (__m128i)some);
#else
  memcpy(which, &some, n);
#endif
}

/* Keeps the positions of n <= SM_VECTOR outputs, from number `at` on. */
SM_INLINE void store_positions(const pass *of, size_t at, sm_lanes chosen, size_t n) {
  if (of->wide) {
    wide_positions which = __builtin_convertvector(chosen, wide_positions);
    memcpy(of->which + at * sizeof(int32_t), &which, n * sizeof(int32_t));
  } else {
    store_narrow(of->which + at, narrowed(chosen), n);
  }
}

SM_INLINE sm_lanes load_positions(const pass *of, size_t at, size_t n) {
  if (of->wide) {
    wide_positions which = {0};
    memcpy(&which, of->which + at * sizeof(int32_t), n * sizeof(int32_t));
    return __builtin_convertvector(which, sm_lanes);
  }
  return widened(load_narrow(of->which + at, n));
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
  sm_vector best = sm_vector_load(x, n);
  sm_lanes chosen = __builtin_convertvector((wide_positions){0} + (int32_t)seen->skipped, sm_lanes);
  for (size_t i = 0; i < seen->rows; i++) {
    for (size_t j = i == 0; j < seen->columns; j++) {
      sm_vector pixel = sm_vector_load(x + i * step_down(window) + j * step_across(window), n);
      sm_lanes better = ~(pixel <= best) & (best == best);
      best = (sm_vector)((sm_lanes)masked(better, pixel) | (sm_lanes)masked(~better, best));
      chosen = (better & (int)(seen->skipped + i * window->kernel_width + j)) | (chosen & ~better);
    }
  }
  if (of->relu) best = masked(~(best <= 0), best);
  sm_vector_store(of->out + at, best, n);
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
        size_t down = top + position / window->kernel_width * window->dilation - window->top;
        size_t across = left + position % window->kernel_width * window->dilation_across - window->left;
        source[at] = (int32_t)((down * window->width + across) * channels + c);
      }
    }
  }
}

/* gx of n <= SM_VECTOR channels of a window's pixels = or += gy (n) at the chosen position, if relu let it pass, and
   zero elsewhere. `at` is the first of these channels among the outputs. */
SM_INLINE void give_to_chosen(real *gx, const pass *of, size_t at, const view *seen, bool add, size_t n) {
  const sm_window *window = &of->window;
  sm_vector given = sm_vector_load(of->in + at, n);
  sm_lanes chosen = load_positions(of, at, n);
  if (of->y) given = masked(~(sm_vector_load(of->y + at, n) <= 0), given);
  for (size_t i = 0; i < seen->rows; i++) {
    for (size_t j = 0; j < seen->columns; j++) {
      real *pixel = gx + i * step_down(window) + j * step_across(window);
      sm_vector sum = masked(chosen == (int)(seen->skipped + i * window->kernel_width + j), given);
      if (add) sum += sm_vector_load(pixel, n);
      sm_vector_store(pixel, sum, n);
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
