/* The geometry of a window that slides over images, shared by convolution and pooling. */
#ifndef SM_WINDOW_H
#define SM_WINDOW_H

#include <stdbool.h>

#include "core/tensor.h"

typedef enum sm_padding_kind {
  SM_PADDING_VALID,   /* none: the window stays inside the image */
  SM_PADDING_SAME,    /* output size = ceil(input size / stride), the odd pixel after, as in TensorFlow */
  SM_PADDING_EXPLICIT /* `before` and `after` pixels */
} sm_padding_kind;

/* Of one axis. */
typedef struct sm_window_options {
  int stride;
  sm_padding_kind kind;
  int before, after; /* for SM_PADDING_EXPLICIT */
  int dilation;      /* from one element of the window to the next */
  bool partial;      /* pixels that are left over at the end get a window, which reaches beyond the padding. It must
                        begin in the image or before, as in PyTorch's ceil_mode */
} sm_window_options;

/* A batch of NHWC images, a window, and the image of window positions. Fields without a direction are those down. */
typedef struct sm_window {
  size_t batch, height, width, channels;
  size_t kernel_height, kernel_width;
  size_t stride, stride_across;     /* from a window to the one below, and to the next */
  size_t dilation, dilation_across; /* from one of its elements to the one below, and to the next */
  size_t top, left, bottom, right;  /* padding */
  size_t out_height, out_width;
} sm_window;

/* Checks and fills *window for images x (batch, height, width, channels), with options down and across. SM_BAD_SHAPE
   when x is not of rank 4 or the window is larger than the padded image, SM_BAD_VALUE for a stride, dilation, kernel or
   padding out of range; the messages hold the sizes. */
sm_status sm_window_plan(sm_window *window, const sm_shape *x, size_t kernel_height, size_t kernel_width,
                         const sm_window_options axes[2], sm_error *error);

/* The other way round: *window for images {batch, height', width', channels} whose window positions are the
   pixels of y {batch, height, width, …}. Without `size` {height', width'} (NULL), SM_PADDING_SAME gives the
   largest that fits, height * stride, and the others the smallest, (height-1) * stride + the window's reach less the
   padding. A size that does not fit is SM_BAD_SHAPE, and the message says which sizes would. */
sm_status sm_window_transpose_plan(sm_window *window, const sm_shape *y, size_t channels,
                                   size_t kernel_height, size_t kernel_width,
                                   const sm_window_options axes[2], const size_t size[2], sm_error *error);

/* Pixels that a window of `kernel` elements spans. */
static inline size_t sm_window_reach(size_t kernel, size_t dilation) { return (kernel - 1) * dilation + 1; }

#endif
