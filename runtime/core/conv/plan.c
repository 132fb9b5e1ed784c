#include "core/conv/conv.h"

#include <math.h>
#include <string.h>

#include "core/conv/method.h"
#include "core/conv/reading.h"
#include "core/parts.h"
#include "core/settings.h"

/* ---- which method ---- */

/* In the order of preference where two cost the same. Direct takes everything. */
static const sm_conv_method *const methods[] = {&sm_conv_channelwise, &sm_conv_fourier, &sm_conv_winograd,
                                                &sm_conv_direct};

enum { METHODS = sizeof methods / sizeof *methods };

static const sm_conv_method *method_called(const char *name) {
  for (int i = 0; i < METHODS; i++) {
    if (strcmp(name, methods[i]->name) == 0) return methods[i];
  }
  return NULL;
}

/* For the batch of all ranks. */
static const sm_conv_method *cheapest(const sm_conv2d *own, sm_conv_pass pass) {
  sm_conv2d all = *own;
  const sm_conv2d *conv = &all;
  all.window.batch = sm_all_rows(own->window.batch);
  const sm_conv_method *best = &sm_conv_direct;
  double least = INFINITY;
  for (int i = 0; i < METHODS; i++) {
    double cost = methods[i]->takes(conv, pass) ? methods[i]->cost(conv, pass) : INFINITY;
    if (cost < least) {
      least = cost;
      best = methods[i];
    }
  }
  return best;
}

bool sm_conv2d_use(sm_conv2d *conv, const char *name) {
  const sm_conv_method *asked = name ? method_called(name) : NULL;
  for (int pass = 0; pass < SM_CONV_PASSES; pass++) {
    bool takes = asked && asked->takes(conv, (sm_conv_pass)pass);
    conv->method[pass] = takes ? asked : cheapest(conv, (sm_conv_pass)pass);
  }
  return asked || !name;
}

const char *sm_conv2d_method(const sm_conv2d *conv, sm_conv_pass pass) { return conv->method[pass]->name; }

static sm_status choose(sm_conv2d *conv, sm_error *error) {
  const char *name = sm_settings_now()->convolution;
  if (sm_conv2d_use(conv, *name ? name : NULL)) return SM_OK;
  return sm_fail(error, SM_BAD_VALUE,
                 "SMRUN_CONV: expected channelwise, fourier, winograd or direct, got \"%s\"", name);
}

const char *sm_conv2d_rule(void) {
  const char *name = sm_settings_now()->convolution;
  const sm_conv_method *asked = method_called(name);
  if (asked) return "SMRUN_CONV wherever it can, else the method that costs least";
  return *name ? "none: SMRUN_CONV names no method" : "of each layer and pass the method that costs least";
}

/* ---- plans ---- */

/* Of a result, with whatever a method keeps beside it: more than it ever takes. */
enum { RESULT_BYTES = 1024, LIMIT = INT32_MAX };

/* Images x have `channels` channels, which filters w are for. */
static sm_status check_channels(const sm_shape *x, const sm_shape *w, size_t channels, sm_error *error) {
  char x_text[SM_SHAPE_TEXT], w_text[SM_SHAPE_TEXT];
  if (channels == x->size[3]) return SM_OK;
  return sm_fail(error, SM_BAD_SHAPE, "images %s and filters %s: expected %zu channels, got %zu; channels come last",
                 sm_shape_text(x_text, x), sm_shape_text(w_text, w), channels, x->size[3]);
}

static sm_status check_filters(const sm_shape *x, const sm_shape *w, size_t groups, sm_error *error) {
  char x_text[SM_SHAPE_TEXT], w_text[SM_SHAPE_TEXT];
  if (x->rank == 4 && w->rank == 4 && groups >= 1 && w->size[3] % groups == 0) return SM_OK;
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
  return sm_fail(error, SM_BAD_SHAPE, "images %s and filters %s: %zu filters cannot be divided into %zu groups",
                 x_text, w_text, w->size[3], groups);
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

/* A row of patches and the filters must be within a limit that scratch stays far from overflowing with, and results
   within what memory could ever hold, for not all of them are asked of it at once. */
static sm_status check_limit(const sm_conv2d *conv, sm_error *error) {
  const sm_window *at = &conv->window;
  const size_t row[] = {at->kernel_height, at->kernel_width, sm_larger(at->channels, 1), sm_larger(at->out_width, 1)};
  if (!is_within(LIMIT, row, 4) || conv->filters > LIMIT) {
    return sm_fail(error, SM_BAD_SHAPE,
                   "%zu filters of %zux%zux%zu at %zu positions in a row: more than %d numbers", conv->filters,
                   at->kernel_height, at->kernel_width, at->channels, at->out_width, LIMIT);
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
  sm_conv2d plan = {.filters = w->size[3], .groups = groups, .parts = sm_parts_now().parts};
  sm_error reason;
  status = sm_window_plan(&plan.window, x, w->size[0], w->size[1], axes, &reason);
  if (status == SM_OK) status = check_limit(&plan, &reason);
  if (status) return no_plan(x, w, &reason, error);
  status = choose(&plan, error);
  if (status) return status;
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
  sm_conv2d plan = {.filters = w->size[3], .groups = groups, .parts = sm_parts_now().parts};
  size_t channels;
  sm_error reason;
  if (!sm_multiply(&channels, w->size[2], groups))
    status = sm_fail(&reason, SM_BAD_SHAPE, "too many channels");
  else
    status = sm_window_transpose_plan(&plan.window, y, channels, w->size[0], w->size[1], axes, size, &reason);
  if (status == SM_OK) status = check_limit(&plan, &reason);
  if (status) return no_plan(y, w, &reason, error);
  status = choose(&plan, error);
  if (status) return status;
  *conv = plan;
  *x = (sm_shape){4, {plan.window.batch, plan.window.height, plan.window.width, plan.window.channels}};
  return SM_OK;
}
