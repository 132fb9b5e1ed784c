#include "core/conv.h"

#include <string.h>

#include "core/conv_channelwise.h"
#include "core/conv_fourier.h"
#include "core/conv_im2col.h"
#include "core/conv_reading.h"
#include "core/conv_rule.h"
#include "core/conv_winograd.h"
#include "core/gemm.h"
#include "core/settings.h"

/* ---- which kernel ---- */

/* Against im2col with the same vectors, over kernels of 1x1 to 5x5, images of 4x4 to 32x32 and batches of 1,
   10 and 50, direct measured 1.03 to 3.5 times as fast with AVX-512, and 1 to 2 times with AVX2
   but for windows of one pixel and strided data gradients (0.8). Below, vectors are partly idle. */
enum { DIRECT_CHANNELS = 16 };

/* What a multiplication costs next to one of the direct method, transforms included.
   Winograd's method against direct, with AVX-512: 1.5 to 3.5 times as fast (forward and data gradient) and 1.2
   to 2.9 times (filter gradient) where it saves two of three multiplications, padding included, and there
   are tiles enough to pay for the filters' transforms. Beyond so many channels times filters, unmeasured. */
enum { WINOGRAD_COST = 3, WINOGRAD_TILES = 16, WINOGRAD_GRADIENT_TILES = 128, WINOGRAD_WEIGHTS = 64 * 1024 };

/* The Fourier transform against Winograd's method, with AVX2, filters of 5x5 over images of 14x14, 16 to 128 channels
   and filters: 1.0 to 1.7 times as fast (forward and data gradient) and 1.2 to 2.1 times (filter gradient) from so many
   images on, and one more for so many channels times filters. With twice as many of these as FOURIER_WEIGHTS the cells
   of filters take 50 MB. */
enum {
  FOURIER_COST = 4,
  FOURIER_GRADIENT_COST = 3,
  FOURIER_IMAGES = 16,
  FOURIER_GRADIENT_IMAGES = 4,
  FOURIER_WEIGHTS_OF_IMAGE = 1024,
  FOURIER_WEIGHTS = 16 * 1024
};

static const struct {
  const char *name;
  sm_conv_kernel kernel;
  const char *rule;
} forced[] = {
    {"fourier", SM_CONV_FOURIER, "fourier wherever it can (SMRUN_CONV), else by rule"},
    {"winograd", SM_CONV_WINOGRAD, "winograd wherever it can (SMRUN_CONV), else by rule"},
    {"direct", SM_CONV_DIRECT, "direct (SMRUN_CONV)"},
    {"im2col", SM_CONV_IM2COL, "im2col wherever it can (SMRUN_CONV), else direct"},
};

enum { FORCED = sizeof forced / sizeof *forced };

/* The index in `forced` of what the environment asks for, -1 for nothing, FORCED for no known name. */
static int asked_kernel(void) {
  const char *name = sm_settings_now()->convolution;
  if (!*name) return -1;
  int i = 0;
  while (i < FORCED && strcmp(name, forced[i].name) != 0) i++;
  return i;
}

static sm_status chosen_kernel(sm_conv_kernel *kernel, sm_error *error) {
  int asked = asked_kernel();
  if (asked == FORCED) {
    return sm_fail(error, SM_BAD_VALUE, "SMRUN_CONV: expected fourier, winograd, direct or im2col, got \"%s\"",
                   sm_settings_now()->convolution);
  }
  *kernel = asked < 0 ? SM_CONV_BY_RULE : forced[asked].kernel;
  return SM_OK;
}

const char *sm_conv2d_rule(void) {
  int asked = asked_kernel();
  if (asked == FORCED) return "none: SMRUN_CONV is neither fourier, winograd, direct nor im2col";
  return asked < 0 ? "fourier or winograd where they save 2 of 3 multiplications and more, else direct from "
                     "16 output "
                     "channels on, im2col below; groups direct, small ones channelwise"
                   : forced[asked].rule;
}

/* In multiplications of the direct method; SIZE_MAX where a method cannot or is not known to pay. */
static size_t winograd_cost(const sm_conv2d *conv, sm_conv_pass of) {
  if (!sm_conv_winograd_takes(conv) || conv->window.channels * conv->filters > WINOGRAD_WEIGHTS)
    return SIZE_MAX;
  size_t tiles = of == SM_CONV_BACKWARD_DATA ? sm_conv_winograd_input_tiles(conv) : sm_conv_winograd_tiles(conv);
  size_t enough = of == SM_CONV_BACKWARD_FILTER ? WINOGRAD_GRADIENT_TILES : WINOGRAD_TILES;
  return tiles < enough ? SIZE_MAX : WINOGRAD_COST * SM_WINOGRAD_PRODUCTS * tiles;
}

static size_t fourier_cost(const sm_conv2d *conv, sm_conv_pass of) {
  size_t weights = conv->window.channels * conv->filters, images = conv->window.batch;
  if (!sm_conv_fourier_takes(conv) || weights > FOURIER_WEIGHTS) return SIZE_MAX;
  bool gradient = of == SM_CONV_BACKWARD_FILTER;
  size_t enough = (gradient ? FOURIER_GRADIENT_IMAGES : FOURIER_IMAGES) + weights / FOURIER_WEIGHTS_OF_IMAGE;
  if (images < enough) return SIZE_MAX;
  return (gradient ? FOURIER_GRADIENT_COST : FOURIER_COST) * SM_FOURIER_PRODUCTS * images;
}

sm_conv_kernel sm_conv_kernel_of(const sm_conv2d *conv, sm_conv_pass of) {
  if (conv->kernel == SM_CONV_DIRECT || (conv->kernel == SM_CONV_IM2COL && sm_conv_im2col_takes(conv)))
    return conv->kernel;
  if (conv->kernel == SM_CONV_FOURIER && sm_conv_fourier_takes(conv)) return SM_CONV_FOURIER;
  if (conv->kernel == SM_CONV_WINOGRAD && sm_conv_winograd_takes(conv)) return SM_CONV_WINOGRAD;
  if (sm_conv_channelwise_takes(conv, of)) return SM_CONV_CHANNELWISE;
  const sm_window *window = &conv->window;
  size_t direct =
      window->kernel_height * window->kernel_width * window->batch * window->out_height * window->out_width;
  size_t winograd = winograd_cost(conv, of), fourier = fourier_cost(conv, of);
  if (fourier <= direct && fourier <= winograd) return SM_CONV_FOURIER;
  if (winograd <= direct) return SM_CONV_WINOGRAD;
  size_t out_channels = of == SM_CONV_BACKWARD_DATA ? window->channels : conv->filters;
  return out_channels >= DIRECT_CHANNELS || !sm_conv_im2col_takes(conv) ? SM_CONV_DIRECT : SM_CONV_IM2COL;
}

/* ---- plans ---- */

/* Of a result, with whatever a method keeps beside it: more than it ever takes. */
enum { RESULT_BYTES = 1024 };

/* Images x have `channels` channels, which filters w are for. */
static sm_status check_channels(const sm_shape *x, const sm_shape *w, size_t channels, sm_error *error) {
  char x_text[SM_SHAPE_TEXT], w_text[SM_SHAPE_TEXT];
  if (channels == x->size[3]) return SM_OK;
  return sm_fail(error, SM_BAD_SHAPE, "images %s and filters %s: expected %zu channels, got %zu; channels come last",
                 sm_shape_text(x_text, x), sm_shape_text(w_text, w), channels, x->size[3]);
}

static sm_status check_filters(const sm_shape *x, const sm_shape *w, size_t groups, sm_error *error) {
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
  if (groups < 1 || w->size[3] % groups != 0) {
    return sm_fail(error, SM_BAD_SHAPE, "images %s and filters %s: %zu filters cannot be divided into %zu groups",
                   x_text, w_text, w->size[3], groups);
  }
  return SM_OK;
}

/* Whether the product of n sizes is at most a limit. */
static bool is_within(size_t limit, const size_t *sizes, size_t n) {
  size_t product = 1;
  for (size_t i = 0; i < n; i++) {
    if (sizes[i] == 0) return true;
  }
  for (size_t i = 0; i < n; i++) {
    if (!sm_multiply(&product, product, sizes[i]) || product > limit) return false;
  }
  return true;
}

/* What BLAS sees at once, a row of patches and their filters, must be within what it counts, and results within what
   memory could ever hold, for not all of them are asked of it at once. */
static sm_status check_limit(const sm_conv2d *conv, sm_error *error) {
  const sm_window *at = &conv->window;
  const size_t row[] = {at->kernel_height, at->kernel_width, sm_larger(at->channels, 1), sm_larger(at->out_width, 1)};
  if (!is_within(SM_GEMM_LIMIT, row, 4) || conv->filters > SM_GEMM_LIMIT) {
    return sm_fail(error, SM_BAD_SHAPE,
                   "%zu filters of %zux%zux%zu at %zu positions in a row: BLAS counts to %d", conv->filters,
                   at->kernel_height, at->kernel_width, at->channels, at->out_width, SM_GEMM_LIMIT);
  }
  const size_t results[] = {sm_larger(at->batch, 1), at->out_height, at->out_width, sm_larger(conv->filters, 1)};
  if (is_within(SIZE_MAX / RESULT_BYTES, results, 4)) return SM_OK;
  return sm_fail(error, SM_BAD_SHAPE, "%zu images of results of %zux%zux%zu: too many numbers", at->batch,
                 at->out_height, at->out_width, conv->filters);
}

/* Adds both shapes to the reason why they have no plan. */
static sm_status no_plan(const sm_shape *images, const sm_shape *w, const sm_error *reason, sm_error *error) {
  char images_text[SM_SHAPE_TEXT], w_text[SM_SHAPE_TEXT];
  return sm_fail(error, reason->status, "images %s and filters %s: %s", sm_shape_text(images_text, images),
                 sm_shape_text(w_text, w), reason->message);
}

sm_status sm_conv2d_plan(sm_conv2d *conv, sm_shape *out, const sm_shape *x, const sm_shape *w,
                         const sm_window_options axes[2], size_t groups, sm_error *error) {
  sm_status status = check_filters(x, w, groups, error);
  size_t channels;
  if (status) return status;
  if (!sm_multiply(&channels, w->size[2], groups)) channels = SIZE_MAX;
  status = check_channels(x, w, channels, error);
  if (status) return status;
  sm_conv2d plan = {.filters = w->size[3], .groups = groups};
  sm_error reason;
  status = chosen_kernel(&plan.kernel, error);
  if (status) return status;
  status = sm_window_plan(&plan.window, x, w->size[0], w->size[1], axes, &reason);
  if (status == SM_OK) status = check_limit(&plan, &reason);
  if (status) return no_plan(x, w, &reason, error);
  *conv = plan;
  *out = (sm_shape){4, {plan.window.batch, plan.window.out_height, plan.window.out_width, plan.filters}};
  return SM_OK;
}

sm_status sm_conv2d_transpose_plan(sm_conv2d *conv, sm_shape *x, const sm_shape *y, const sm_shape *w,
                                   const sm_window_options axes[2], size_t groups, const size_t size[2],
                                   sm_error *error) {
  sm_status status = check_filters(y, w, groups, error);
  if (status == SM_OK) status = check_channels(y, w, w->size[3], error);
  if (status) return status;
  sm_conv2d plan = {.filters = w->size[3], .groups = groups};
  size_t channels;
  sm_error reason;
  status = chosen_kernel(&plan.kernel, error);
  if (status) return status;
  if (!sm_multiply(&channels, w->size[2], groups))
    status = sm_fail(&reason, SM_BAD_SHAPE, "too many channels");
  else
    status = sm_window_transpose_plan(&plan.window, y, channels, w->size[0], w->size[1], axes, size, &reason);
  if (status == SM_OK) status = check_limit(&plan, &reason);
  if (status) return no_plan(y, w, &reason, error);
  *conv = plan;
  *x = (sm_shape){4, {plan.window.batch, plan.window.height, plan.window.width, plan.window.channels}};
  return SM_OK;
}
