/* Kernels along one axis of a tensor that is seen as (outer, axis, inner), as in reduce.h. A line is the `axis`
   elements at one place of the others. Lines are worked on many at a time, side by side: neighbours where the axis is
   not the last, and copies of short ones. Long lines along the last axis are worked on one by one. */
#ifndef SM_LINES_H
#define SM_LINES_H

#include "core/reduce.h"

enum {
  SM_LINES = 32,      /* side by side at most */
  SM_SHORT_LINE = 64, /* elements of a line that is worth a copy, at most */
  SM_LINE_SUM = 4096  /* terms that are added as real numbers; sums of more are added up in double */
};

/* out = some function of a and b, which are read before out is written at the same position: it may be either. b may be
   NULL. Lines must not depend on one another, nor on their number. */
typedef struct sm_line_kernel {
  /* `lines` lines of n elements, side by side: element i of line k at [i * stride + k] */
  void (*many)(real *out, const real *a, const real *b, size_t n, size_t stride, size_t lines, const void *rule);
  /* one line of n elements without gaps */
  void (*one)(real *out, const real *a, const real *b, size_t n, const void *rule);
} sm_line_kernel;

/* For all lines of out, a and b, each (outer, axis, inner). `rule` is handed on. */
void sm_each_line(real *out, const real *a, const real *b, const sm_axis *along, const sm_line_kernel *kernel,
                  const void *rule);

#endif
