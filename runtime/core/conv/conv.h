/* Two-dimensional convolution (cross-correlation, as the field uses the word) of NHWC images with filters
   {kernel height, kernel width, in, out}. Several methods compute it, which agree to rounding (core/conv/method.h). A
   plan has the sizes and the method of each pass.

   What a result does not see does not change it: an image's results are a function of that image, the filters and the
   sizes, bit for bit, and padding takes no part, not even beside an infinite weight. NaN and infinity reach the results
   that they are a term of and no others. Where a transform does not bear an image (core/conv/range.h), the direct
   method computes it, also where a transform is forced. */
#ifndef SM_CONV_H
#define SM_CONV_H

#include <stdbool.h>

#include "core/window.h"

typedef enum sm_conv_pass {
  SM_CONV_FORWARD,
  SM_CONV_BACKWARD_DATA,
  SM_CONV_BACKWARD_FILTER,
  SM_CONV_PASSES /* so many */
} sm_conv_pass;

typedef struct sm_conv2d {
  sm_window window; /* over x: channels = in */
  size_t filters;   /* out */
  size_t groups;    /* of channels and of filters, in their order: filters see the channels of their own group */
  size_t parts;     /* of the batch, each with a filter gradient of its own, whose sum is the whole's: core/parts.h */
  size_t chunks;    /* of a part, which threads share in the filter gradient */
  const struct sm_conv_method *method[SM_CONV_PASSES];
  const struct sm_conv_watch *watch; /* of a transform: what looks at each image before it; core/conv/range.h */
  bool leave_padding_out; /* the direct method multiplies no zeros of padding, where it would for speed */
} sm_conv2d;

/* How plans choose a method, in words. SMRUN_CONV=NAME in the environment asks for one. */
const char *sm_conv2d_rule(void);

/* Gives each pass of a plan the method of this name, where it takes the pass, and the one that costs least elsewhere;
   NULL: the latter everywhere. False where no method has this name. */
bool sm_conv2d_use(sm_conv2d *conv, const char *name);

/* The name of the method of a pass. */
const char *sm_conv2d_method(const sm_conv2d *conv, sm_conv_pass pass);

static inline size_t sm_conv2d_group_channels(const sm_conv2d *conv) { return conv->window.channels / conv->groups; }
static inline size_t sm_conv2d_group_filters(const sm_conv2d *conv) { return conv->filters / conv->groups; }

/* Whether neighbouring windows see neighbouring pixels and all channels, as transforms need it. */
static inline bool sm_conv2d_is_plain(const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  return conv->groups == 1 && window->stride == 1 && window->stride_across == 1 && window->dilation == 1 &&
         window->dilation_across == 1;
}

/* Checks x (batch, height, width, in) against w (kernel height, kernel width, in / groups, out) and fills *conv and
   *out = (batch, out height, out width, out); options down and across. SM_BAD_SHAPE and SM_BAD_VALUE name both shapes;
   SM_BAD_VALUE is also what SMRUN_CONV gives that names no method. */
sm_status sm_conv2d_plan(sm_conv2d *conv, sm_shape *out, const sm_shape *x, const sm_shape *w,
                         const sm_window_options axes[2], size_t groups, sm_error *error);

/* The transposed convolution: y (batch, height, width, out) is taken for the output of a convolution, and the
   result is its input, *x = (batch, height', width', in); w keeps the layout {kh, kw, in / groups, out} of that
   convolution. Fills *conv for sm_conv2d_backward_data. `size` {height', width'} or NULL is explained at
   sm_window_transpose_plan. */
sm_status sm_conv2d_transpose_plan(sm_conv2d *conv, sm_shape *x, const sm_shape *y, const sm_shape *w,
                                   const sm_window_options axes[2], size_t groups, const size_t size[2],
                                   sm_error *error);

/* Bytes of scratch, aligned to SM_ALIGNMENT, that each pass needs with the present number of threads, which
   must not change in between; the content is undefined. */
size_t sm_conv2d_forward_scratch(const sm_conv2d *conv);
size_t sm_conv2d_backward_data_scratch(const sm_conv2d *conv);
size_t sm_conv2d_backward_filter_scratch(const sm_conv2d *conv);

/* y (batch, out_height, out_width, filters) = x * w + bias (filters); bias may be NULL. */
void sm_conv2d_forward(real *y, const real *x, const real *w, const real *bias, void *scratch,
                       const sm_conv2d *conv);

/* The same image by image, for what can be done with the result of one while it is in the cache: task(work, image,
   result) for each image, on the threads, with its result (out_height, out_width, filters), whose memory is used again
   afterwards. Scratch as above. The bits are those of sm_conv2d_forward. */
typedef void sm_conv2d_task(const void *work, size_t image, real *result);
size_t sm_conv2d_forward_each_scratch(const sm_conv2d *conv);
void sm_conv2d_forward_each(sm_conv2d_task *task, const void *work, const real *x, const real *w,
                            const real *bias, void *scratch, const sm_conv2d *conv);

/* gx (batch, height, width, channels): the gradient of the input, or the transposed convolution of gy. */
void sm_conv2d_backward_data(real *gx, const real *gy, const real *w, void *scratch, const sm_conv2d *conv);

/* gw (kh, kw, channels / groups, filters) and, unless NULL, gbias (filters): sums over each part of the batch, added as
   core/parts.h has it. */
void sm_conv2d_backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                               const sm_conv2d *conv);

#endif
