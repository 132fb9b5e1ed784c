/* NPY, NumPy's file of one array: github.com/numpy/numpy, doc/source/reference/generated/numpy.lib.format. */
#ifndef SM_NPY_H
#define SM_NPY_H

#include "core/tensor.h"

/* out = the array in a file of version 1, 2 or 3, of either byte order and in C or Fortran order: f2, f4 and f8
   become real (rounded to the nearest), u1 uint8, b1 (0 or 1), i1, i2, u2, i4, u4, i8 and u8 int32. SM_BAD_FILE
   names path, byte and reason, SM_BAD_VALUE an element that its type cannot hold. */
sm_status sm_npy_read(sm_tensor *out, sm_memory *memory, const char *path, sm_error *error);

/* Writes version 1.0, little-endian, in C order, durably. */
sm_status sm_npy_write(const char *path, const sm_tensor *x, sm_error *error);

#endif
