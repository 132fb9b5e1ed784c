#include "core/window.h"

#include <limits.h>
#include <stdio.h>

static sm_status check_options(const sm_window_options *options, sm_error *error) {
  if (options->stride < 1)
    return sm_fail(error, SM_BAD_VALUE, "expected a stride of at least 1, got %d", options->stride);
  if (options->dilation < 1)
    return sm_fail(error, SM_BAD_VALUE, "expected a dilation of at least 1, got %d", options->dilation);
  if (options->kind == SM_PADDING_EXPLICIT && (options->before < 0 || options->after < 0)) {
    return sm_fail(error, SM_BAD_VALUE, "expected a padding of at least 0, got %d",
                   options->before < 0 ? options->before : options->after);
  }
  return SM_OK;
}

/* Each size is at most INT_MAX, so sums and products of two of them do not overflow. */
static sm_status check_sizes(const sm_shape *x, const size_t kernel[2], const sm_window_options axes[2],
                             sm_error *error) {
  char text[SM_SHAPE_TEXT];
  if (kernel[0] < 1 || kernel[1] < 1 || kernel[0] > INT_MAX || kernel[1] > INT_MAX) {
    return sm_fail(error, SM_BAD_VALUE, "expected a window of 1x1 to %dx%d, got %zux%zu", INT_MAX, INT_MAX, kernel[0],
                   kernel[1]);
  }
  for (int axis = 0; axis < 2; axis++) {
    if (sm_window_reach(kernel[axis], (size_t)axes[axis].dilation) > INT_MAX)
      return sm_fail(error, SM_BAD_VALUE, "%zu elements of a window with dilation %d reach over more than %d pixels",
                     kernel[axis], axes[axis].dilation, INT_MAX);
  }
  if (x->size[1] > INT_MAX || x->size[2] > INT_MAX) {
    return sm_fail(error, SM_BAD_SHAPE, "expected images of at most %dx%d, got %s", INT_MAX, INT_MAX,
                   sm_shape_text(text, x));
  }
  return SM_OK;
}

static sm_status check(const sm_shape *x, const size_t kernel[2], const sm_window_options axes[2], sm_error *error) {
  char text[SM_SHAPE_TEXT];
  if (x->rank != 4) {
    return sm_fail(error, SM_BAD_SHAPE, "expected images {batch, height, width, channels}, got %s",
                   sm_shape_text(text, x));
  }
  sm_status status = check_options(&axes[0], error);
  if (status == SM_OK) status = check_options(&axes[1], error);
  return status == SM_OK ? check_sizes(x, kernel, axes, error) : status;
}

/* One axis: how many positions a window has, and the padding. */
typedef struct axis {
  size_t positions, before, after;
} axis;

static size_t padding_before(const sm_window_options *options) {
  return options->kind == SM_PADDING_EXPLICIT ? (size_t)options->before : 0;
}

static size_t padding_after(const sm_window_options *options) {
  return options->kind == SM_PADDING_EXPLICIT ? (size_t)options->after : 0;
}

/* False where the window is larger than the padded image. */
static bool slide(axis *along, size_t size, size_t kernel, const sm_window_options *options) {
  size_t stride = (size_t)options->stride, reach = sm_window_reach(kernel, (size_t)options->dilation);
  if (options->kind == SM_PADDING_SAME) {
    size_t positions = (size + stride - 1) / stride, spanned = positions ? (positions - 1) * stride + reach : 0;
    size_t padding = spanned > size ? spanned - size : 0;
    *along = (axis){positions, padding / 2, padding - padding / 2};
    return true;
  }
  size_t before = padding_before(options), after = padding_after(options), padded = size + before + after;
  if (padded < reach && !(options->partial && size > 0)) return false;
  size_t left = padded > reach ? padded - reach : 0;
  if (options->partial) left += stride - 1;
  *along = (axis){left / stride + 1, before, after};
  if (options->partial && (along->positions - 1) * stride >= size + before) along->positions--;
  return true;
}

/* "1", "1x2", or what lies above, left, below and right where the sides differ. */
static void padding_text(char text[64], const sm_window_options axes[2]) {
  size_t top = padding_before(&axes[0]), bottom = padding_after(&axes[0]);
  size_t left = padding_before(&axes[1]), right = padding_after(&axes[1]);
  if (top != bottom || left != right) snprintf(text, 64, "{%zu, %zu, %zu, %zu}", top, left, bottom, right);
  else if (top != left) snprintf(text, 64, "%zux%zu", top, left);
  else snprintf(text, 64, "%zu", top);
}

static sm_status too_large(const sm_shape *x, const size_t kernel[2], const sm_window_options axes[2],
                           sm_error *error) {
  char text[SM_SHAPE_TEXT], padding[64], dilation[64] = "";
  sm_shape_text(text, x);
  padding_text(padding, axes);
  if (axes[0].dilation > 1 || axes[1].dilation > 1)
    snprintf(dilation, sizeof dilation, " with dilation %dx%d", axes[0].dilation, axes[1].dilation);
  return sm_fail(error, SM_BAD_SHAPE, "a window of %zux%zu%s is larger than images %s with padding %s", kernel[0],
                 kernel[1], dilation, text, padding);
}

sm_status sm_window_plan(sm_window *window, const sm_shape *x, size_t kernel_height, size_t kernel_width,
                         const sm_window_options axes[2], sm_error *error) {
  const size_t kernel[2] = {kernel_height, kernel_width};
  sm_status status = check(x, kernel, axes, error);
  if (status) return status;
  axis down, across;
  if (!slide(&down, x->size[1], kernel_height, &axes[0]) || !slide(&across, x->size[2], kernel_width, &axes[1]))
    return too_large(x, kernel, axes, error);
  *window = (sm_window){
      .batch = x->size[0],
      .height = x->size[1],
      .width = x->size[2],
      .channels = x->size[3],
      .kernel_height = kernel_height,
      .kernel_width = kernel_width,
      .stride = (size_t)axes[0].stride,
      .stride_across = (size_t)axes[1].stride,
      .dilation = (size_t)axes[0].dilation,
      .dilation_across = (size_t)axes[1].dilation,
      .top = down.before,
      .left = across.before,
      .bottom = down.after,
      .right = across.after,
      .out_height = down.positions,
      .out_width = across.positions,
  };
  return SM_OK;
}

/* The sizes, lowest to highest, of an axis on which a window has a given number of positions; none where the
   lowest is above the highest. `usual` is the one to take when none is asked for. */
typedef struct sizes {
  long long lowest, highest, usual;
} sizes;

static sizes sizes_for(size_t positions, size_t kernel, const sm_window_options *options) {
  bool same = options->kind == SM_PADDING_SAME;
  if (positions == 0) return same ? (sizes){0, 0, 0} : (sizes){0, -1, 0};
  long long steps = (long long)positions - 1, stride = options->stride;
  long long padding = (long long)(padding_before(options) + padding_after(options));
  long long reach = (long long)sm_window_reach(kernel, (size_t)options->dilation);
  long long lowest = steps * stride + (same ? 1 : reach - padding);
  long long highest = lowest + stride - 1;
  return (sizes){
      .lowest = lowest > 0 ? lowest : 0,
      .highest = highest < INT_MAX ? highest : INT_MAX,
      .usual = same ? highest : lowest,
  };
}

static bool includes(const sizes *range, long long size) {
  return size >= range->lowest && size <= range->highest;
}

sm_status sm_window_transpose_plan(sm_window *window, const sm_shape *y, size_t channels,
                                   size_t kernel_height, size_t kernel_width,
                                   const sm_window_options axes[2], const size_t size[2], sm_error *error) {
  const size_t kernel[2] = {kernel_height, kernel_width};
  sm_status status = check(y, kernel, axes, error);
  if (status) return status;
  char text[SM_SHAPE_TEXT];
  sm_shape_text(text, y);
  sizes rows = sizes_for(y->size[1], kernel_height, &axes[0]);
  sizes columns = sizes_for(y->size[2], kernel_width, &axes[1]);
  if (rows.lowest > rows.highest || columns.lowest > columns.highest) {
    return sm_fail(error, SM_BAD_SHAPE, "no size leads to images %s through a window of %zux%zu", text,
                   kernel_height, kernel_width);
  }
  long long height = size ? (long long)size[0] : rows.usual;
  long long width = size ? (long long)size[1] : columns.usual;
  if (!includes(&rows, height) || !includes(&columns, width)) {
    return sm_fail(error, SM_BAD_SHAPE,
                   "the size %lldx%lld does not lead to images %s: expected a height of %lld to %lld and a "
                   "width of %lld to %lld",
                   height, width, text, rows.lowest, rows.highest, columns.lowest, columns.highest);
  }
  sm_shape x = {4, {y->size[0], (size_t)height, (size_t)width, channels}};
  return sm_window_plan(window, &x, kernel_height, kernel_width, axes, error);
}
