/* Elements copied or added from one block of memory to another, stepping through either along any axes: permute, slice,
   concatenate, pad, flip, expand and their gradients. Also the walk over several blocks at once that operations with
   broadcasting take. */
#ifndef SM_STRIDE_H
#define SM_STRIDE_H

#include "core/tensor.h"

enum {
  SM_STRIDED_RANK = 2 * SM_MAX_RANK, /* tiles have an axis of repeats before each of their own */
  SM_OPERANDS = 4                    /* at most: a result and three that it is computed from */
};

/* Axes, the outermost first, and for each operand how many elements lie from one position of an axis to the next. A
   step may be negative, and 0 where all positions are one element. Operand 0 is the result: its elements are
   distinct. */
typedef struct sm_strided {
  int rank, operands;
  size_t size[SM_STRIDED_RANK];
  ptrdiff_t step[SM_OPERANDS][SM_STRIDED_RANK];
} sm_strided;

size_t sm_strided_count(const sm_strided *axes); /* positions that there are */

/* Whether every position of an operand lies within a block of `count` elements when the first is element `offset`.
   The product of the sizes fits: see sm_shape_extent. */
bool sm_strided_fits(const sm_strided *axes, int operand, size_t offset, size_t count);

/* The steps of a tensor of this shape, row-major. */
void sm_strided_row_major(ptrdiff_t step[SM_MAX_RANK], const sm_shape *shape);

/* Operand 0 has the shape to which NumPy's broadcasting brings those of the others, which come in order; the axes are
   merged. SM_BAD_SHAPE, naming two shapes, when they do not go together or the result is too large. */
sm_status sm_strided_broadcast(sm_strided *axes, sm_shape *result, const sm_shape *const shapes[], int count,
                               sm_error *error);

/* A place on the way through all positions in order. */
typedef struct sm_strided_place {
  size_t index[SM_STRIDED_RANK];
  ptrdiff_t at[SM_OPERANDS]; /* elements from the first */
} sm_strided_place;

/* The place of position number `position`; the axes are merged and have positions. */
sm_strided_place sm_strided_start(const sm_strided *axes, size_t position);

/* How many positions follow in the innermost axis, this one included. */
static inline size_t sm_strided_run(const sm_strided_place *place, const sm_strided *axes) {
  return axes->size[axes->rank - 1] - place->index[axes->rank - 1];
}

/* Goes n positions on, no more than the run. */
void sm_strided_advance(sm_strided_place *place, const sm_strided *axes, size_t n);

/* to = from, elements of 1, 4 or 8 bytes; two operands, whose pointers are at the first position. The blocks do not
   overlap, unless they are alike. */
void sm_strided_copy(void *to, const void *from, size_t bytes, const sm_strided *axes);

/* to += from. */
void sm_strided_add(real *to, const real *from, const sm_strided *axes);

#endif
