/* IDX, the format of MNIST: two zero bytes, the element type, the rank, the sizes as big-endian 32-bit
   integers, the elements. */
#ifndef SM_IDX_H
#define SM_IDX_H

#include "core/tensor.h"

/* out = the tensor of rank 1 to 8 in the file, compressed by gzip or not (its content tells): unsigned bytes
   become uint8, signed bytes and integers of 16 and 32 bits int32, floats of 32 and 64 bits real (rounded to
   the nearest). SM_BAD_FILE names path, byte and reason; bytes count in the uncompressed content. Nothing is
   allocated for a size that a file of this length cannot hold, nor for 256 MiB and more that are compressed to less
   than a hundredth; no more is inflated than the sizes ask for. */
sm_status sm_idx_read(sm_tensor *out, sm_memory *memory, const char *path, sm_error *error);

#endif
