/* CRC-32 (ISO 3309, zlib's): tells whether bytes are those that were written. Finds every error of up to 32 bits in a
   row, and all others but one of four billion; it is no protection from somebody who means to deceive. */
#ifndef SM_CHECKSUM_H
#define SM_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#include "io/file.h"

uint32_t sm_checksum(const void *data, size_t bytes);

/* That of some bytes and these behind them, from that of the former. */
uint32_t sm_checksum_on(uint32_t sum, const void *data, size_t bytes);

/* out = that of `bytes` bytes of the file from `offset` on. Fails as sm_file_read does. */
sm_status sm_file_checksum(uint32_t *out, const sm_file *file, uint64_t offset, uint64_t bytes, sm_error *error);

#endif
