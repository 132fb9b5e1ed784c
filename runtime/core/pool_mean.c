#include "core/pool.h"
#include "core/pool_view.h"

/* out (n) += scale * x (n). */
static inline void add_scaled(real *restrict out, const real *restrict x, real scale, size_t n) {
  for (size_t c = 0; c < n; c++) out[c] += scale * x[c];
}

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
enum { RUNNING_PIXELS = 256, SUM_CHANNELS = 64 };

/* y (channels) += share times the sum of a window. */
static void add_mean(real *y, const real *x, const view *seen, real share, const sm_window *window) {
  size_t channels = window->channels, line = step_down(window), across = step_across(window);
  bool running = seen->rows * seen->columns <= RUNNING_PIXELS;
  for (size_t i = 0; i < seen->rows && running; i++, x += line) {
    for (size_t j = 0; j < seen->columns; j++) add_scaled(y, x + j * across, share, channels);
  }
  for (size_t i = 0; i < seen->rows && !running; i++, x += line) {
    for (size_t c = 0; c < channels; c += SUM_CHANNELS) {
      real sum[SUM_CHANNELS] = {0};
      size_t n = channels - c < SUM_CHANNELS ? channels - c : SUM_CHANNELS;
      for (size_t j = 0; j < seen->columns; j++) add_scaled(sum, x + j * across + c, share, n);
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
      add_mean(of.out + at, of.in + seen.first * channels, &seen, share_of(&seen, oy, ox, &of), window);
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
  zero(gx + image * image_size(window), image_size(window));
  for (size_t oy = 0; oy < window->out_height; oy++) {
    for (size_t ox = 0; ox < window->out_width; ox++, at += channels) {
      view seen = view_of(image, oy, ox, window);
      real share = share_of(&seen, oy, ox, &of);
      for (size_t i = 0; i < seen.rows; i++) {
        real *line = gx + seen.first * channels + i * step_down(window);
        for (size_t j = 0; j < seen.columns; j++) add_scaled(line + j * step_across(window), gy + at, share, channels);
      }
    }
  }
}

void sm_avgpool_backward(real *gx, const real *gy, bool count_padding, const sm_window *window) {
  run(avg_image_backward, &(pass){.out = gx, .in = gy, .count_padding = count_padding, .window = *window});
}
