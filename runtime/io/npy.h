/* NPY, NumPy's file of one array: github.com/numpy/numpy, doc/source/reference/generated/numpy.lib.format. */
#ifndef SM_NPY_H
#define SM_NPY_H

#include <stddef.h>
#include <stdint.h>

#include "core/tensor.h"

/* out = the array in a file of version 1, 2 or 3, of either byte order and in C or Fortran order: f2, f4 and f8
   become real (rounded to the nearest), u1 uint8, b1 (0 or 1), i1, i2, u2, i4, u4, i8 and u8 int32. SM_BAD_FILE
   names path, byte and reason, SM_BAD_VALUE an element that its type cannot hold, or an
   array of a type that cannot be read here. */
sm_status sm_npy_read(sm_tensor *out, sm_memory *memory, const char *path, sm_error *error);

/* Where the bytes of a file come from, one after the other. */
typedef struct sm_npy_source {
  const char *label; /* before every message */
  uint64_t bytes;    /* of the whole file */
  sm_status (*next)(void *out, void *from, size_t bytes, sm_error *error); /* out = the next of `from` */
  void *from;
} sm_npy_source;

/* The same of a file that lies within another. Where it can be read, all its bytes are asked for, each once. */
sm_status sm_npy_read_from(sm_tensor *out, sm_memory *memory, const sm_npy_source *source, sm_error *error);

enum { SM_NPY_FRONT = 512 };

/* text = what comes before the data of a file of version 1.0, little-endian, in C order. Returns its length. */
size_t sm_npy_front(char text[SM_NPY_FRONT], const sm_tensor *x);

/* Writes version 1.0, little-endian, in C order, durably. */
sm_status sm_npy_write(const char *path, const sm_tensor *x, sm_error *error);

#endif
