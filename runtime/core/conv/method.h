/* The methods of convolution (core/conv/conv.h). A file of its own has each, and says here what it takes, what that
   costs and how it is done; core/conv/plan.c has the table of all and chooses. */
#ifndef SM_CONV_METHOD_H
#define SM_CONV_METHOD_H

#include "core/conv/conv.h"

typedef struct sm_conv_method {
  const char *name;
  bool transforms;         /* it mixes pixels that no window holds together: core/conv/range.h says what it bears */
  bool leaves_padding_out; /* of every sum, so that filters may be infinite */

  bool (*takes)(const sm_conv2d *conv, sm_conv_pass pass);

  /* What a pass costs, in multiplications of the direct method per channel and filter; INFINITY where it is not known
     to pay. The choice is a function of the sizes alone: the same on every machine and for any number of threads. */
  double (*cost)(const sm_conv2d *conv, sm_conv_pass pass);

  /* Arguments, scratch and results of these are those of the functions in core/conv/conv.h. */
  size_t (*scratch[SM_CONV_PASSES])(const sm_conv2d *conv);
  void (*forward)(real *y, const real *x, const real *w, const real *bias, void *scratch, const sm_conv2d *conv);
  void (*backward_data)(real *gx, const real *gy, const real *w, void *scratch, const sm_conv2d *conv);
  void (*backward_filter)(real *gw, real *gbias, const real *gy, const real *x, void *scratch, const sm_conv2d *conv);

  /* NULL: whoever wants the results image by image gets them after all are computed. */
  size_t (*forward_each_scratch)(const sm_conv2d *conv);
  void (*forward_each)(sm_conv2d_task *task, const void *work, const real *x, const real *w, const real *bias,
                       void *scratch, const sm_conv2d *conv);
} sm_conv_method;

extern const sm_conv_method sm_conv_direct, sm_conv_channelwise, sm_conv_winograd, sm_conv_fourier;

/* Multiplications of the direct method per channel and filter, those with padding too. */
double sm_conv_direct_cost(const sm_conv2d *conv, sm_conv_pass pass);

#endif
