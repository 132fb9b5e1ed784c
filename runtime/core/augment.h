/* Random changes of the images of a training batch: each is moved, mirrored, turned, scaled and deformed in one
   bilinear sampling, and a square of it is covered. */
#ifndef SM_AUGMENT_H
#define SM_AUGMENT_H

#include "core/rng.h"

/* Numbers of [0, 1) that decide what happens to an example. */
enum { SM_AUGMENT_NUMBERS = 12 };
typedef enum sm_augment_number {
  SM_AUGMENT_DOWN,     /* how far it moves down … */
  SM_AUGMENT_RIGHT,    /* … and to the right */
  SM_AUGMENT_FLIP,     /* whether it is mirrored: below 1/2 */
  SM_AUGMENT_ROTATION, /* by which angle it turns */
  SM_AUGMENT_SCALE,    /* how large it becomes */
  SM_AUGMENT_ROW,      /* the pixel around which the square lies */
  SM_AUGMENT_COLUMN
} sm_augment_number;

#define SM_AUGMENT_SIGMA 1000 /* at most */

/* An image is mirrored, scaled and turned around its centre, ((height - 1)/2, (width - 1)/2), then moved; this image m
   is read where the field says: out(p) = m(p + alpha d(p)). The field d is uniform in [-1, 1) at each pixel and on both
   axes, 0 outside of the image, and smoothed by a Gaussian of sigma pixels that is cut off at 3 sigma and has the sum 1
   (Simard, Steinkraus, Platt: "Best practices for convolutional neural networks applied to visual document analysis",
   ICDAR 2003). What comes from outside of the image is `fill`. The square, of which a part may lie outside, is filled
   with it as well (DeVries, Taylor: "Improved regularization of convolutional neural networks with Cutout",
   arXiv:1708.04552). */
typedef struct sm_augment {
  double down, right;               /* pixels, either way at most; finite like all these */
  bool flip_vertical, flip_horizontal;
  double least_angle, most_angle;   /* radians, counter-clockwise */
  double least_scale, most_scale;   /* above 0 */
  double alpha, sigma;              /* of the field; there is none unless alpha > 0. sigma > 0, up to the above */
  size_t cutout;                    /* the side of the square in pixels; 0: none */
  double fill;
  size_t count, height, width, channels;
} sm_augment;

/* False where the images are too large to be counted. The bytes depend on the number of threads. */
bool sm_augment_scratch(size_t *bytes, const sm_augment *of);

/* out = x changed, both (count, height, width, channels). numbers (count, SM_AUGMENT_NUMBERS) are elements
   rng->offset … of the stream, drawn by sm_rng_uniform. Word i of an example's field is word i % 4 of attempt 1 + i/4
   in the block of its first number: first the displacements down of all pixels, then those to the right. */
void sm_augment_images(real *out, const real *x, const real *numbers, const sm_rng *rng, void *scratch,
                       const sm_augment *of);

#endif
