/* The discrete Fourier transform of images of 16 x 16 pixels, for vectors of channels.

   Two real images, a and b, are transformed as one complex image a + ib, by fast transforms of 16 points along both
   axes. The spectrum of a real image has conjugate numbers at opposite frequencies, so that half of it says all, and
   sums and differences of opposite frequencies take the two images apart: what is kept is twice their spectrum.
   That half is 128 cells of two numbers: a real and an imaginary part or, in two cells, what two frequencies have that
   are their own opposites and therefore real. */
#ifndef SM_CONV_FOURIER_TRANSFORM_H
#define SM_CONV_FOURIER_TRANSFORM_H

#include "core/tile.h"

enum {
  SM_FOURIER_POINTS = 16,
  SM_FOURIER_PIXELS = SM_FOURIER_POINTS * SM_FOURIER_POINTS,
  SM_FOURIER_CELLS = SM_FOURIER_PIXELS / 2
};

/* Whether a cell holds two real numbers. The first of cell 0 is the sum of all pixels, twice. */
static inline bool sm_fourier_is_real(size_t cell) { return cell == 0 || cell == SM_FOURIER_CELLS / 2; }

/* A vector of channels of two images or of their spectrum, line by line. */
typedef struct sm_fourier_pair {
  sm_vector re[SM_FOURIER_PIXELS], im[SM_FOURIER_PIXELS];
} sm_fourier_pair;

/* Where the cells of a pair lie, in elements: the second image's vectors follow the first's. */
typedef struct sm_fourier_place {
  real *cells;
  size_t step; /* from a cell to the next */
  size_t part; /* from a cell's first number to its second */
  bool two;    /* whether there is a second image */
  bool thrice; /* after the second number comes the first once more, with the other sign */
} sm_fourier_place;

/* The transform of a line of 16 numbers, in place; with re and im exchanged its inverse, times 16. */
void sm_fourier_line(sm_vector *re, sm_vector *im);

/* The cells of a pair of which each line is transformed; pair is overwritten. */
void sm_fourier_spread(const sm_fourier_place *at, sm_fourier_pair *pair);

/* The pair whose lines, transformed back, are the images of the cells, times 256. */
void sm_fourier_collect(sm_fourier_pair *pair, const sm_fourier_place *at);

#endif
