#include "io/checksum.h"

#include <zlib.h>

enum { CHUNK = 1 << 16 }; /* bytes that are read at once */

uint32_t sm_checksum_on(uint32_t sum, const void *data, size_t bytes) {
  return bytes > 0 ? (uint32_t)crc32_z(sum, data, bytes) : sum;
}

uint32_t sm_checksum(const void *data, size_t bytes) {
  return sm_checksum_on(0, data, bytes);
}

sm_status sm_file_checksum(uint32_t *out, const sm_file *file, uint64_t offset, uint64_t bytes, sm_error *error) {
  unsigned char chunk[CHUNK];
  uLong sum = 0;
  while (bytes > 0) {
    size_t count = bytes < CHUNK ? (size_t)bytes : CHUNK;
    sm_status status = sm_file_read(chunk, file, offset, count, error);
    if (status != SM_OK) return status;
    sum = crc32_z(sum, chunk, count);
    offset += count;
    bytes -= count;
  }
  *out = (uint32_t)sum;
  return SM_OK;
}
