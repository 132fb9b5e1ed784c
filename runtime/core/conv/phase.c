#include "core/conv/phase.h"

#include <string.h>

#include "core/tile.h"

static size_t greatest_divisor(size_t a, size_t b) {
  while (b) {
    size_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

static sm_phases phases_of(size_t size, size_t padding, size_t kernel, size_t stride, size_t dilation) {
  return (sm_phases){.count = sm_smaller(stride, size),
                     .size = size,
                     .padding = padding,
                     .kernel = kernel,
                     .stride = stride,
                     .dilation = dilation,
                     .divisor = greatest_divisor(stride, dilation)};
}

sm_phases sm_phases_down(const sm_window *window) {
  return phases_of(window->height, window->top, window->kernel_height, window->stride, window->dilation);
}

sm_phases sm_phases_across(const sm_window *window) {
  return phases_of(window->width, window->left, window->kernel_width, window->stride_across, window->dilation_across);
}

size_t sm_phases_most_taps(sm_phases of) { return sm_quotient_up(of.kernel, of.stride / of.divisor); }

sm_phase sm_phase_of(const sm_phases *of, size_t pixel) {
  size_t t = pixel + of->padding, step = of->stride / of->divisor, element = 0;
  while (element < sm_smaller(step, of->kernel) && element * of->dilation % of->stride != t % of->stride) element++;
  size_t taps = element < sm_smaller(step, of->kernel) ? sm_quotient_up(of->kernel - element, step) : 0;
  size_t dilation = of->dilation / of->divisor;
  ptrdiff_t window = taps ? ((ptrdiff_t)t - (ptrdiff_t)(element * of->dilation)) / (ptrdiff_t)of->stride : 0;
  return (sm_phase){.first = pixel,
                    .count = sm_quotient_up(of->size - pixel, of->stride),
                    .element = element,
                    .step = step,
                    .taps = taps,
                    .dilation = dilation,
                    .before = ((ptrdiff_t)taps - 1) * (ptrdiff_t)dilation - window};
}

sm_reading sm_phase_reading(const sm_conv2d *conv, const sm_phase *down, const sm_phase *across) {
  const sm_window *window = &conv->window;
  bool any = down->taps && across->taps;
  sm_reading read = {.batch = window->batch,
                     .height = window->out_height,
                     .width = window->out_width,
                     .channels = sm_conv2d_group_filters(conv),
                     .pixel = conv->filters,
                     .top = down->before,
                     .left = across->before,
                     .kernel_height = any ? down->taps : 0,
                     .kernel_width = any ? across->taps : 1,
                     .stride = 1,
                     .stride_across = 1,
                     .dilation = down->dilation,
                     .dilation_across = across->dilation,
                     .rows = down->count,
                     .columns = across->count,
                     .leave_padding_out = conv->leave_padding_out};
  sm_reading_complete(&read);
  return read;
}

typedef struct phase_packing {
  real *packed;
  const real *w;
  const sm_phase *down, *across;
  const sm_conv2d *conv;
  bool dots;
} phase_packing;

/* One tap of one panel. */
static void pack_tap(const void *work, size_t block) {
  const phase_packing *of = work;
  const sm_phase *down = of->down, *across = of->across;
  const sm_window *window = &of->conv->window;
  size_t filters = sm_conv2d_group_filters(of->conv), channels = sm_conv2d_group_channels(of->conv);
  size_t taps = down->taps * across->taps, tap = block % taps, step = of->conv->filters;
  sm_panel at = sm_panel_of(channels, block / taps);
  size_t row = sm_phase_element(down, tap / across->taps), column = sm_phase_element(across, tap % across->taps);
  const real *from = of->w + ((row * window->kernel_width + column) * channels + at.first) * step;
  real *to = of->packed + (at.first * taps + tap * at.width) * filters;
  for (size_t j = 0; j < at.count && of->dots; j++)
    memcpy(of->packed + (j * taps + tap) * filters, from + j * step, filters * sizeof *to);
  if (of->dots) return;
  for (size_t j = 0; j < at.width; j++) {
    for (size_t f = 0; f < filters; f++) {
      to[f * at.width + j] = j < at.count ? from[j * step + f] : 0;
    }
  }
}

void sm_phase_pack(real *packed, const real *w, const sm_phase *down, const sm_phase *across, bool dots,
                   const sm_conv2d *conv) {
  size_t blocks = sm_panels_of(sm_conv2d_group_channels(conv)) * down->taps * across->taps;
  sm_compute(blocks, blocks * SM_PANEL * sm_conv2d_group_filters(conv), pack_tap,
              &(phase_packing){packed, w, down, across, conv, dots});
}
