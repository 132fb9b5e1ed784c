/* The element types that npy and safetensors files hold, and how they become tensors. Files and memory are
   little-endian. */
#ifndef SM_ELEMENTS_H
#define SM_ELEMENTS_H

#include "core/tensor.h"
#include "io/file.h"

typedef enum sm_element { SM_F32, SM_F64, SM_U8, SM_I32, SM_I64, SM_ELEMENTS } sm_element;

size_t sm_element_bytes(sm_element element);

/* The element type that holds the numbers of a tensor without loss. */
sm_element sm_element_of(sm_dtype dtype);

/* The position of `name` among the SM_ELEMENTS names of a format; SM_ELEMENTS when it is not there. */
sm_element sm_element_named(const char *name, const char *const names[SM_ELEMENTS]);

/* Bytes of a tensor of this shape in a file; false when the size overflows. */
bool sm_elements_bytes(uint64_t *bytes, sm_element element, const sm_shape *shape);

/* out = a new tensor read from the file at `offset`: F32 and F64 become real (rounded to the nearest), U8
   uint8, I32 and I64 int32. SM_BAD_FILE names the position (1-based) of the first number that the type cannot
   hold. The caller has checked that the file is long enough. */
sm_status sm_elements_read(sm_tensor *out, sm_memory *memory, const sm_file *file, uint64_t offset,
                           sm_element element, const sm_shape *shape, sm_error *error);

#endif
