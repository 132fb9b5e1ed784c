/* The element types that files hold, and how they become tensors. Memory is little-endian. */
#ifndef SM_ELEMENTS_H
#define SM_ELEMENTS_H

#include "core/tensor.h"
#include "io/file.h"

typedef enum sm_element {
  SM_F16,  /* IEEE 754's half precision */
  SM_BF16, /* the upper half of an F32 */
  SM_F32,
  SM_F64,
  SM_BOOL, /* a byte, 0 or 1 */
  SM_U8,
  SM_I8,
  SM_U16,
  SM_I16,
  SM_U32,
  SM_I32,
  SM_U64,
  SM_I64,
  SM_ELEMENTS
} sm_element;

size_t sm_element_bytes(sm_element element);

/* The element type that holds the numbers of a tensor without loss. */
sm_element sm_element_of(sm_dtype dtype);

/* The position of `name` among the names of a format, of which some may be NULL; SM_ELEMENTS when it is not
   there. */
sm_element sm_element_named(const char *name, const char *const names[SM_ELEMENTS]);

/* Where elements come from, one after the other. */
typedef struct sm_elements {
  sm_element element;
  bool big_endian;
  const char *label; /* of the file or the tensor, before every message */
  /* out = the next `bytes` bytes of `from` */
  sm_status (*next)(void *out, void *from, size_t bytes, sm_error *error);
  void *from;
} sm_elements;

/* A tensor with undefined content for what a file or a tensor in it holds, which the message names. */
sm_status sm_elements_tensor(sm_tensor *out, sm_memory *memory, const char *label, sm_dtype dtype,
                             const sm_shape *shape, sm_error *error);

/* out = a new tensor of this shape: floats become real (rounded to the nearest), U8 uint8, every other type
   int32, a boolean 0 or 1. SM_BAD_VALUE names the position (1-based, as they come) and the value of the first
   one that the type cannot hold. The caller has checked that there are enough bytes. */
sm_status sm_elements_read(sm_tensor *out, sm_memory *memory, const sm_elements *elements,
                           const sm_shape *shape, sm_error *error);

/* The same for the elements of a file from `offset` on; elements' next and from are not looked at. */
sm_status sm_elements_read_file(sm_tensor *out, sm_memory *memory, const sm_file *file, uint64_t offset,
                                const sm_elements *elements, const sm_shape *shape, sm_error *error);

#endif
