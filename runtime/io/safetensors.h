/* The frame of a safetensors file (github.com/huggingface/safetensors, "Format"): 8 bytes of header length,
   little-endian; a JSON header; the data. What the JSON says is the caller's business; here nothing outside
   the file is ever touched, whatever it says. */
#ifndef SM_SAFETENSORS_H
#define SM_SAFETENSORS_H

#include "core/tensor.h"
#include "io/durable.h"
#include "io/file.h"

typedef struct sm_safetensors {
  sm_file file;
  size_t header_bytes;
  uint64_t data_bytes;
} sm_safetensors;

/* Opens the file and checks its frame. After a failure it is closed. The caller keeps `path` meanwhile. */
sm_status sm_safetensors_open(sm_safetensors *tensors, const char *path, sm_error *error);

/* The same beneath a directory that may be a stranger's: see io/beneath.h. */
sm_status sm_safetensors_open_beneath(sm_safetensors *tensors, const char *path, size_t root, sm_error *error);

/* out = the JSON text, header_bytes long. */
sm_status sm_safetensors_header(char *out, const sm_safetensors *tensors, sm_error *error);

/* out = the tensor that lies at first … last (offsets into the data, last exclusive). F16, BF16, F32 and F64
   become real (rounded to the nearest), U8 uint8, BOOL (0 or 1), I8, I16, U16, I32, U32, I64 and U64 int32.
   SM_BAD_FILE names the tensor and what is wrong with it; SM_BAD_VALUE a tensor that is as it should be and
   cannot be read here: for its type, or for an element that its type cannot hold. */
sm_status sm_safetensors_read(sm_tensor *out, sm_memory *memory, const sm_safetensors *tensors,
                              const char *name, const char *dtype, const sm_shape *shape, uint64_t first,
                              uint64_t last, sm_error *error);

/* out = the CRC-32 of the bytes of data at first … last. SM_BAD_FILE where the file has none there. */
sm_status sm_safetensors_checksum(uint32_t *out, const sm_safetensors *tensors, uint64_t first, uint64_t last,
                                  sm_error *error);

/* Idempotent. */
void sm_safetensors_close(sm_safetensors *tensors);

/* "F32" ("F64" in the double build), "U8", "I32": how the header names a tensor's type. */
const char *sm_safetensors_dtype(sm_dtype dtype);

/* Writes the length and the JSON header, padded with spaces so that the data begin at a multiple of 8. */
sm_status sm_safetensors_write_header(sm_writer *writer, const char *json, size_t bytes, sm_error *error);

#endif
