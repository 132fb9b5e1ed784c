/* The geometry of a window that slides over images, shared by convolution and pooling. */
#ifndef SM_WINDOW_H
#define SM_WINDOW_H

#include "core/tensor.h"

typedef enum sm_padding_kind {
  SM_PADDING_VALID,   /* none: the window stays inside the image */
  SM_PADDING_SAME,    /* output size = ceil(input size / stride), the odd pixel after, as in TensorFlow */
  SM_PADDING_EXPLICIT /* `padding` pixels on each side */
} sm_padding_kind;

typedef struct sm_window_options {
  int stride;
  sm_padding_kind kind;
  int padding; /* for SM_PADDING_EXPLICIT */
} sm_window_options;

/* A batch of NHWC images, a window, and the image of window positions. */
typedef struct sm_window {
  size_t batch, height, width, channels;
  size_t kernel_height, kernel_width;
  size_t stride, stride_across; /* from a window to the one below, and to the next; a convolution's are equal */
  size_t top, left; /* padding before the image */
  size_t out_height, out_width;
} sm_window;

/* Checks and fills *window for images x (batch, height, width, channels). SM_BAD_SHAPE when x is not of rank
   4 or the window is larger than the padded image, SM_BAD_VALUE for a stride, kernel or padding out of range;
   the messages hold the sizes. */
sm_status sm_window_plan(sm_window *window, const sm_shape *x, size_t kernel_height, size_t kernel_width,
                         const sm_window_options *options, sm_error *error);

/* The same with options of each axis's own, down and across. */
sm_status sm_window_plan_axes(sm_window *window, const sm_shape *x, size_t kernel_height, size_t kernel_width,
                              const sm_window_options axes[2], sm_error *error);

/* The other way round: *window for images {batch, height', width', channels} whose window positions are the
   pixels of y {batch, height, width, …}. Without `size` {height', width'} (NULL), SM_PADDING_SAME gives the
   largest that fits, height * stride, and the others the smallest, (height-1) * stride + kernel less the
   padding. A size that does not fit is SM_BAD_SHAPE, and the message says which sizes would. */
sm_status sm_window_transpose_plan(sm_window *window, const sm_shape *y, size_t channels,
                                   size_t kernel_height, size_t kernel_width,
                                   const sm_window_options *options, const size_t size[2], sm_error *error);

#endif
