/* IDX, the format of MNIST: two zero bytes, the element type, the rank, the sizes as big-endian 32-bit
   integers, the elements. */
#ifndef SM_IDX_H
#define SM_IDX_H

#include "core/tensor.h"

/* out = the uint8 tensor of rank 1 to 4 in the file, compressed by gzip or not (its content tells).
   SM_BAD_FILE names path, byte and reason; bytes count in the uncompressed content. Nothing is allocated for
   a size that a file of this length cannot hold. */
sm_status sm_idx_read(sm_tensor *out, sm_memory *memory, const char *path, sm_error *error);

#endif
