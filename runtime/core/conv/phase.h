/* The data gradient as convolutions of stride 1. With t = pixel + padding, windows that start at multiples of the
   stride s and elements of a window d pixels apart, window o sees pixel t with element k where t = o*s + k*d. With g
   the greatest common divisor of s and d, pixels of one phase, which are s apart, see the elements k0, k0 + s/g,
   k0 + 2*s/g, … alone, one after the other in windows d/g further back:
     gx[t + q*s] = sum over m of gy[(t - k0*d)/s + q - m*d/g] * w[k0 + m*s/g],
   which is a convolution of stride 1 and dilation d/g over gy with the filters turned around. */
#ifndef SM_CONV_PHASE_H
#define SM_CONV_PHASE_H

#include "core/conv/reading.h"

/* One phase on one axis. */
typedef struct sm_phase {
  size_t first;     /* pixel; the others follow a stride apart */
  size_t count;     /* pixels */
  size_t element;   /* k0 */
  size_t step;      /* s/g */
  size_t taps;      /* kernel elements; 0: these pixels get no gradient */
  size_t dilation;  /* d/g */
  ptrdiff_t before; /* padding of gy before the first pixel's window */
} sm_phase;

/* All phases of an axis. */
typedef struct sm_phases {
  size_t count;
  size_t size, padding, kernel, stride, dilation, divisor;
} sm_phases;

sm_phases sm_phases_down(const sm_window *window);
sm_phases sm_phases_across(const sm_window *window);

size_t sm_phases_most_taps(sm_phases of); /* of any phase */

sm_phase sm_phase_of(const sm_phases *of, size_t phase);

/* What pixels of a phase down and one across read of gy: one group's filters. */
sm_reading sm_phase_reading(const sm_conv2d *conv, const sm_phase *down, const sm_phase *across);

/* packed: for each panel of a group's channels (taps down, taps across, its filters, panel width), or for
   core/conv/dots.h (channels, taps down, taps across, filters), from w (kernel height, kernel width, the group's
   channels, all filters), turned around. */
void sm_phase_pack(real *packed, const real *w, const sm_phase *down, const sm_phase *across, bool dots,
                   const sm_conv2d *conv);

/* The kernel element of a tap, of which the first is the one furthest on in the kernel. */
static inline size_t sm_phase_element(const sm_phase *of, size_t tap) {
  return of->element + of->step * (of->taps - 1 - tap);
}

#endif
