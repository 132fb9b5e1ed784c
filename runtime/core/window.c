#include "core/window.h"

#include <limits.h>

static sm_status check_options(const sm_window_options *options, sm_error *error) {
  if (options->stride < 1)
    return sm_fail(error, SM_BAD_VALUE, "expected a stride of at least 1, got %d", options->stride);
  if (options->kind == SM_PADDING_EXPLICIT && options->padding < 0) {
    return sm_fail(error, SM_BAD_VALUE, "expected a padding of at least 0, got %d", options->padding);
  }
  return SM_OK;
}

/* Each size is at most INT_MAX, so sums and products of two of them do not overflow. */
static sm_status check_sizes(const sm_shape *x, size_t kernel_height, size_t kernel_width, sm_error *error) {
  char text[SM_SHAPE_TEXT];
  if (kernel_height < 1 || kernel_width < 1 || kernel_height > INT_MAX || kernel_width > INT_MAX) {
    return sm_fail(error, SM_BAD_VALUE, "expected a window of 1x1 to %dx%d, got %zux%zu", INT_MAX, INT_MAX,
                   kernel_height, kernel_width);
  }
  if (x->size[1] > INT_MAX || x->size[2] > INT_MAX) {
    return sm_fail(error, SM_BAD_SHAPE, "expected images of at most %dx%d, got %s", INT_MAX, INT_MAX,
                   sm_shape_text(text, x));
  }
  return SM_OK;
}

static sm_status check(const sm_shape *x, size_t kernel_height, size_t kernel_width, const sm_window_options axes[2],
                       sm_error *error) {
  char text[SM_SHAPE_TEXT];
  if (x->rank != 4) {
    return sm_fail(error, SM_BAD_SHAPE, "expected images {batch, height, width, channels}, got %s",
                   sm_shape_text(text, x));
  }
  sm_status status = check_options(&axes[0], error);
  if (status == SM_OK) status = check_options(&axes[1], error);
  return status == SM_OK ? check_sizes(x, kernel_height, kernel_width, error) : status;
}

/* One axis: how many positions a window of `kernel` has, and the padding before the first pixel.
   False where it is larger than the padded image. */
static bool slide(size_t *positions, size_t *before, size_t size, size_t kernel,
                  const sm_window_options *options) {
  size_t stride = (size_t)options->stride;
  if (options->kind == SM_PADDING_SAME) {
    *positions = (size + stride - 1) / stride;
    size_t reach = *positions ? (*positions - 1) * stride + kernel : 0;
    *before = reach > size ? (reach - size) / 2 : 0;
    return true;
  }
  size_t padding = options->kind == SM_PADDING_EXPLICIT ? (size_t)options->padding : 0;
  size_t padded = size + 2 * padding;
  if (padded < kernel) return false;
  *positions = (padded - kernel) / stride + 1;
  *before = padding;
  return true;
}

static int padding_of(const sm_window_options *options) {
  return options->kind == SM_PADDING_EXPLICIT ? options->padding : 0;
}

static sm_status too_large(const sm_shape *x, size_t kernel_height, size_t kernel_width,
                           const sm_window_options axes[2], sm_error *error) {
  char text[SM_SHAPE_TEXT];
  int down = padding_of(&axes[0]), across = padding_of(&axes[1]);
  sm_shape_text(text, x);
  if (down == across) {
    return sm_fail(error, SM_BAD_SHAPE, "a window of %zux%zu is larger than images %s with padding %d",
                   kernel_height, kernel_width, text, down);
  }
  return sm_fail(error, SM_BAD_SHAPE, "a window of %zux%zu is larger than images %s with padding %dx%d",
                 kernel_height, kernel_width, text, down, across);
}

sm_status sm_window_plan_axes(sm_window *window, const sm_shape *x, size_t kernel_height, size_t kernel_width,
                              const sm_window_options axes[2], sm_error *error) {
  sm_status status = check(x, kernel_height, kernel_width, axes, error);
  if (status) return status;
  sm_window plan = {
      .batch = x->size[0],
      .height = x->size[1],
      .width = x->size[2],
      .channels = x->size[3],
      .kernel_height = kernel_height,
      .kernel_width = kernel_width,
      .stride = (size_t)axes[0].stride,
      .stride_across = (size_t)axes[1].stride,
  };
  if (!slide(&plan.out_height, &plan.top, plan.height, kernel_height, &axes[0]) ||
      !slide(&plan.out_width, &plan.left, plan.width, kernel_width, &axes[1])) {
    return too_large(x, kernel_height, kernel_width, axes, error);
  }
  *window = plan;
  return SM_OK;
}

sm_status sm_window_plan(sm_window *window, const sm_shape *x, size_t kernel_height, size_t kernel_width,
                         const sm_window_options *options, sm_error *error) {
  const sm_window_options axes[2] = {*options, *options};
  return sm_window_plan_axes(window, x, kernel_height, kernel_width, axes, error);
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
  long long padding = options->kind == SM_PADDING_EXPLICIT ? options->padding : 0;
  long long lowest = steps * stride + (same ? 1 : (long long)kernel - 2 * padding);
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
                                   const sm_window_options *options, const size_t size[2], sm_error *error) {
  const sm_window_options axes[2] = {*options, *options};
  sm_status status = check(y, kernel_height, kernel_width, axes, error);
  if (status) return status;
  char text[SM_SHAPE_TEXT];
  sm_shape_text(text, y);
  sizes rows = sizes_for(y->size[1], kernel_height, options);
  sizes columns = sizes_for(y->size[2], kernel_width, options);
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
  return sm_window_plan(window, &x, kernel_height, kernel_width, options, error);
}
