/* The methods of convolution (core/conv/conv.h). A file of its own has each, and says here what it takes, what that
   costs and how it is done; core/conv/plan.c has the table of all and chooses. */
#ifndef SM_CONV_METHOD_H
#define SM_CONV_METHOD_H

#include "core/conv/conv.h"
#include "core/parts.h"

typedef struct sm_conv_method {
  const char *name;
  bool transforms;         /* it mixes pixels that no window holds together: core/conv/range.h says what it bears */
  bool leaves_padding_out; /* of every sum, so that filters may be infinite */

  bool (*takes)(const sm_conv2d *conv, sm_conv_pass pass);

  /* What a pass costs, in multiplications of the direct method per channel and filter; INFINITY where it is not known
     to pay. The choice is a function of the sizes alone: the same on every machine and for any number of threads. */
  double (*cost)(const sm_conv2d *conv, sm_conv_pass pass);

  /* Into how many chunks the filter gradient cuts a part of the batch, a power of two. NULL: one */
  size_t (*chunks)(const sm_conv2d *conv);

  /* Arguments, scratch and results of these are those of the functions in core/conv/conv.h, but that the filter
     gradient is the sums of all chunks: gw (parts, chunks, kh, kw, channels / groups, filters), gbias (parts, chunks,
     filters). */
  size_t (*scratch[SM_CONV_PASSES])(const sm_conv2d *conv);
  void (*forward)(real *y, const real *x, const real *w, const real *bias, void *scratch, const sm_conv2d *conv);
  void (*backward_data)(real *gx, const real *gy, const real *w, void *scratch, const sm_conv2d *conv);
  void (*backward_filter)(real *gw, real *gbias, const real *gy, const real *x, void *scratch, const sm_conv2d *conv);

  /* NULL: whoever wants the results image by image gets them after all are computed. */
  size_t (*forward_each_scratch)(const sm_conv2d *conv);
  void (*forward_each)(sm_conv2d_task *task, const void *work, const real *x, const real *w, const real *bias,
                       void *scratch, const sm_conv2d *conv);
} sm_conv_method;

enum { SM_CONV_CHUNKS = 4 }; /* of a part, at most */

/* The images of a part, and how many each has at least. This may decide how they are summed: it is the same on every
   rank. */
static inline sm_range sm_conv_part(const sm_conv2d *conv, size_t part) {
  return sm_part(conv->window.batch, conv->parts, part);
}

static inline size_t sm_conv_part_images(const sm_conv2d *conv) {
  return conv->window.batch < conv->parts ? 1 : conv->window.batch / conv->parts;
}

/* As many chunks as are wanted and `worth` it, a power of two. */
static inline size_t sm_conv_chunks(size_t wanted, size_t worth) {
  size_t chunks = 1;
  while (chunks < wanted && 2 * chunks <= worth) chunks *= 2;
  return chunks;
}

/* The rows or tiles, `per_image` each and counted through the whole batch, of chunk `share` of all parts' chunks. */
static inline sm_range sm_conv_share(const sm_conv2d *conv, size_t per_image, size_t share) {
  sm_range images = sm_conv_part(conv, share / conv->chunks);
  sm_range own = sm_chunk((images.last - images.first) * per_image, conv->chunks, share % conv->chunks);
  return (sm_range){images.first * per_image + own.first, images.first * per_image + own.last};
}

extern const sm_conv_method sm_conv_direct, sm_conv_channelwise, sm_conv_winograd, sm_conv_fourier;

/* Multiplications of the direct method per channel and filter, those with padding too. */
double sm_conv_direct_cost(const sm_conv2d *conv, sm_conv_pass pass);

#endif
