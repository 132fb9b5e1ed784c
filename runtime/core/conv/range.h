/* Which numbers the transforms of core/conv/winograd.c and core/conv/fourier.c bear.

   A transform adds up pixels that no window holds together, and takes them apart again in the end. What that leaves
   behind in a result is the method's rounding times the largest number that went in, wherever in the image that was.
   So an image is borne if
   - all its numbers are finite, and no sum or product on the way leaves the range of `real` or loses bits below it,
   - the largest number of every window is at least 1/SM_CONV_SPREAD of the largest of the image, and where a window
     holds zeros alone, so that its result is the bias, the image's largest is at most SM_CONV_SPREAD,
   - the channels that a filter weighs most are not lost beside others: the largest product of a pixel and a weight
     of its channel is at least 1/SM_CONV_SPREAD of the largest pixel times the filter's largest weight.
   Filters are borne if they are finite and each tap of each, over all its channels, is zero or at least
   1/SM_CONV_SPREAD of the largest weight.
   For the filter gradient, a sum over a part's images, what counts is the largest number that any has at a pixel;
   and each channel's largest must be zero or at least 2^-SM_CONV_CHANNEL_BITS of all. This bound is wider, for the
   channels of a softmax may be that far apart, and what it costs is a share of the smallest channel's gradient.

   Then the error of a result is at most about SM_CONV_SPREAD times the method's rounding (3e-7 by Fourier's and 1e-6 by
   Winograd's in single precision), relative to the largest product in its sum: 0.1 % and 0.4 %. Ordinary images, whose
   windows are alike, have that rounding itself.

   What the functions say of an image depends on this image, the filters and the sizes alone. */
#ifndef SM_CONV_RANGE_H
#define SM_CONV_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/conv/conv.h"

enum { SM_CONV_SPREAD_BITS = 12, SM_CONV_SPREAD = 1 << SM_CONV_SPREAD_BITS, SM_CONV_CHANNEL_BITS = 16 };

/* Bytes of scratch, aligned to SM_ALIGNMENT, for each of the functions below with the present number of threads. */
size_t sm_conv_range_scratch(const sm_conv2d *conv);

/* What looks at the images of a pass, of which it says whether they are borne: a method does so with each image just
   before it is transformed, when it comes into the cache. It lies in the scratch. */
typedef struct sm_conv_watch sm_conv_watch;

/* For the images of x of forward, or of gy of the data gradient, with these filters. Where the filters are not borne,
   NULL, and unborne (batch) is 1 for all. */
sm_conv_watch *sm_conv_forward_watch(uint8_t *unborne, const real *x, const real *w, void *scratch,
                                     const sm_conv2d *conv);
sm_conv_watch *sm_conv_backward_data_watch(uint8_t *unborne, const real *gy, const real *w, void *scratch,
                                           const sm_conv2d *conv);

/* Sets unborne to 1 if the image is not borne, else to 0. Called by a task of sm_parallel, once for each image. */
void sm_conv_look(const sm_conv_watch *watch, size_t image);

/* The same of the filter gradient's sums: unborne (parts). */
void sm_conv_backward_filter_look(uint8_t *unborne, const real *gy, const real *x, void *scratch,
                                  const sm_conv2d *conv);

/* Whether all n numbers are finite. */
bool sm_conv_is_finite(const real *x, size_t n);

#endif
