#include "core/pool.h"
#include "core/pool_view.h"
#include "core/tile.h"

/* Elements of a window at `position` before the end of the padding, and beyond in a partial one. */
static size_t counted(size_t position, size_t padded, size_t kernel, size_t dilation) {
  return sm_smaller(kernel, elements_before(padded - position, dilation));
}

/* One by what a window's sum is divided by: the pixels that it holds, and the padding where that counts. */
static real share_of(const view *seen, size_t oy, size_t ox, const pass *of) {
  const sm_window *at = &of->window;
  if (!of->count_padding) return 1 / (real)(seen->rows * seen->columns);
  size_t rows = counted(oy * at->stride, at->top + at->height + at->bottom, at->kernel_height, at->dilation);
  size_t columns =
      counted(ox * at->stride_across, at->left + at->width + at->right, at->kernel_width, at->dilation_across);
  return 1 / ((real)rows * (real)columns);
}

/* Above so many pixels, the rows of a window are summed on their own first: one running sum of n equal shares is
   wrong by up to n roundings. */
enum { RUNNING_PIXELS = 256 };

/* y of n <= SM_VECTOR channels = share times the sum of a window. */
SM_INLINE void give_mean(real *y, const real *x, const view *seen, real share, const sm_window *window, size_t n) {
  const size_t line = step_down(window), across = step_across(window);
  const bool running = seen->rows * seen->columns <= RUNNING_PIXELS;
  const sm_vector part = (sm_vector){0} + share;
  sm_vector sum = {0};
  for (size_t i = 0; i < seen->rows; i++, x += line) {
    sm_vector own = running ? sum : (sm_vector){0};
    for (size_t j = 0; j < seen->columns; j++) own = sm_vector_fma(part, sm_vector_load(x + j * across, n), own);
    if (!running) own += sum;
    sum = own;
  }
  sm_vector_store(y, sum, n);
}

/* gx of n <= SM_VECTOR channels of a window's pixels = or += share times gy. */
SM_INLINE void give_share(real *gx, const real *gy, const view *seen, real share, bool add, const sm_window *window,
                          size_t n) {
  const sm_vector part = (sm_vector){0} + share, given = sm_vector_load(gy, n);
  for (size_t i = 0; i < seen->rows; i++) {
    for (size_t j = 0; j < seen->columns; j++) {
      real *pixel = gx + i * step_down(window) + j * step_across(window);
      const sm_vector before = add ? sm_vector_load(pixel, n) : (sm_vector){0};
      sm_vector_store(pixel, sm_vector_fma(part, given, before), n);
    }
  }
}

static void avg_image(const void *work, size_t image) {
  const pass of = *(const pass *)work;
  const sm_window *window = &of.window;
  size_t channels = window->channels, at = image * window->out_height * window->out_width * channels;
  for (size_t oy = 0; oy < window->out_height; oy++) {
    for (size_t ox = 0; ox < window->out_width; ox++, at += channels) {
      view seen = view_of(image, oy, ox, window);
      const real share = share_of(&seen, oy, ox, &of), *x = of.in + seen.first * channels;
      size_t c = 0;
      for (; c + SM_VECTOR <= channels; c += SM_VECTOR)
        give_mean(of.out + at + c, x + c, &seen, share, window, SM_VECTOR);
      if (c < channels) give_mean(of.out + at + c, x + c, &seen, share, window, channels - c);
    }
  }
}

void sm_avgpool_forward(real *y, const real *x, bool count_padding, const sm_window *window) {
  run(avg_image, &(pass){.out = y, .in = x, .count_padding = count_padding, .window = *window});
}

static void avg_image_backward(const void *work, size_t image) {
  const pass of = *(const pass *)work;
  const sm_window *window = &of.window;
  const real *gy = of.in;
  real *gx = of.out;
  size_t channels = window->channels, at = image * window->out_height * window->out_width * channels;
  const bool apart = windows_are_apart(window);
  if (!apart || !windows_cover(window)) zero(gx + image * image_size(window), image_size(window));
  for (size_t oy = 0; oy < window->out_height; oy++) {
    for (size_t ox = 0; ox < window->out_width; ox++, at += channels) {
      view seen = view_of(image, oy, ox, window);
      real share = share_of(&seen, oy, ox, &of);
      real *pixel = gx + seen.first * channels;
      size_t c = 0;
      for (; c + SM_VECTOR <= channels; c += SM_VECTOR)
        give_share(pixel + c, gy + at + c, &seen, share, !apart, window, SM_VECTOR);
      if (c < channels) give_share(pixel + c, gy + at + c, &seen, share, !apart, window, channels - c);
    }
  }
}

void sm_avgpool_backward(real *gx, const real *gy, bool count_padding, const sm_window *window) {
  run(avg_image_backward, &(pass){.out = gx, .in = gy, .count_padding = count_padding, .window = *window});
}
