/* What windows see of NHWC images, as rows of a matrix: im2col, and its adjoint. */
#ifndef SM_UNFOLD_H
#define SM_UNFOLD_H

#include <string.h>

#include "core/window.h"

/* patches (batch, out_height, out_width, kernel_height, kernel_width, channels) = what each window sees; 0 in
   padding. */
void sm_unfold(real *patches, const real *x, const sm_window *window);

/* The adjoint: x = the sum of what patches have of each pixel. */
void sm_fold(real *x, const real *patches, const sm_window *window);

/* The same of one row of positions, counted through the whole batch; sm_fold_row adds to x. */
void sm_unfold_row(real *patches, const real *x, size_t output_row, const sm_window *window);
void sm_fold_row(real *x, const real *patches, size_t output_row, const sm_window *window);

/* Runs are often a few elements long: sizes that the compiler knows spare a call of memcpy for each. */
static inline void sm_copy_run(real *restrict out, const real *restrict x, size_t n) {
  for (; n >= 16; n -= 16, out += 16, x += 16) memcpy(out, x, 16 * sizeof *out);
  if (n & 8) memcpy(out, x, 8 * sizeof *out), out += 8, x += 8;
  if (n & 4) memcpy(out, x, 4 * sizeof *out), out += 4, x += 4;
  if (n & 2) memcpy(out, x, 2 * sizeof *out), out += 2, x += 2;
  if (n & 1) *out = *x;
}

static inline void sm_zero_run(real *out, size_t n) {
  for (size_t i = 0; i < n; i++) out[i] = 0;
}

static inline void sm_add_run(real *restrict out, const real *restrict x, size_t n) {
  for (size_t i = 0; i < n; i++) out[i] += x[i];
}

#endif
