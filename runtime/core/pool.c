#include "core/pool.h"

#include <limits.h>
#include <stdio.h>

/* Whether a window of an axis holds no pixel of an image of `size`: the first ends before it, the last starts beyond
   it, or the image lies between two elements of one. */
static bool misses(size_t positions, size_t before, size_t size, size_t kernel, size_t stride, size_t dilation) {
  if (positions == 0) return false;
  size_t reach = sm_window_reach(kernel, dilation);
  if (size == 0 || before >= reach || (positions - 1) * stride >= size + before) return true;
  for (size_t start = 0; size < dilation && start < before && start / stride < positions; start += stride) {
    if ((dilation - (before - start) % dilation) % dilation >= size) return true;
  }
  return false;
}

sm_status sm_avgpool_plan(sm_window *window, sm_shape *out, const sm_shape *x, size_t kernel_height,
                          size_t kernel_width, const sm_window_options axes[2], sm_error *error) {
  sm_window plan;
  sm_status status = sm_window_plan(&plan, x, kernel_height, kernel_width, axes, error);
  if (status) return status;
  if (misses(plan.out_height, plan.top, plan.height, kernel_height, plan.stride, plan.dilation) ||
      misses(plan.out_width, plan.left, plan.width, kernel_width, plan.stride_across,
             plan.dilation_across)) {
    char text[SM_SHAPE_TEXT], dilation[64] = "";
    if (plan.dilation > 1 || plan.dilation_across > 1)
      snprintf(dilation, sizeof dilation, " and dilation %zux%zu", plan.dilation, plan.dilation_across);
    return sm_fail(error, SM_BAD_VALUE,
                   "with padding %zux%zu%s some windows of %zux%zu hold no pixel of images %s", plan.top, plan.left,
                   dilation, kernel_height, kernel_width, sm_shape_text(text, x));
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
