/* A member of an NPZ file, NumPy's archive of arrays: a ZIP whose members are NPY files, stored or deflated (PKWARE's
   APPNOTE, 4.4; RFC 1951). Where the members lie is read in lua/sm/npz.lua. */
#ifndef SM_NPZ_H
#define SM_NPZ_H

#include <stdbool.h>
#include <stdint.h>

#include "core/tensor.h"

typedef struct sm_npz_member {
  const char *label;      /* of file and member, before every message */
  uint64_t offset;        /* of the data in the file */
  uint64_t packed, bytes; /* how many these are, and how many they become */
  bool deflated;
  uint32_t checksum; /* CRC-32 of what they become */
} sm_npz_member;

/* out = the array, as sm_npy_read gives it. Nothing that the member says is believed: SM_BAD_FILE where it does not fit
   the file, is damaged, of another checksum, or more than 256 MiB that are compressed to less than a hundredth;
   SM_BAD_VALUE for an array that cannot be read here. */
sm_status sm_npz_read(sm_tensor *out, sm_memory *memory, const char *path, const sm_npz_member *member,
                      sm_error *error);

#endif
