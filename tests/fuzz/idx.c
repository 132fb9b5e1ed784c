/* IDX files, and what a gzip file holds: the reader against a slow one. */
#include "io/idx.h"

#include <string.h>

#include "input.h"

enum { START = 4, SIZE_BYTES = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *path = input_file(".idx", data, size);
  sm_tensor x;
  sm_error error = {0};
  sm_status status = sm_idx_read(&x, input_memory(), path, &error);
  if (status != SM_OK) {
    expect_refusal(status, &error, path);
    if (x.storage) finding("a refused file leaves a tensor");
    return 0;
  }
  if (size > 1 && data[0] == 0x1f) {
    sm_tensor_release(&x);
    return 0;
  }
  static const struct {
    uint8_t code;
    char kind;
    uint8_t bytes;
  } types[] = {{8, 'u', 1}, {9, 'i', 1}, {0xb, 'i', 2}, {0xc, 'i', 4}, {0xd, 'f', 4}, {0xe, 'f', 8}};
  size_t type = 0, count = 1, start = START + SIZE_BYTES * (size_t)data[3];
  while (type < sizeof types / sizeof *types && types[type].code != data[2]) type++;
  if (type == sizeof types / sizeof *types || data[0] || data[1] || x.shape.rank != data[3])
    finding("a header that should have been refused");
  for (int axis = 0; axis < x.shape.rank; axis++) {
    size_t extent = (size_t)element_of_file(data + START, (size_t)axis, 'u', SIZE_BYTES, 1);
    if (x.shape.size[axis] != extent) finding("axis %d has %zu, expected %zu", axis, x.shape.size[axis], extent);
    count *= extent;
  }
  if (start + count * types[type].bytes != size) finding("%zu elements in a file of %zu bytes", count, size);
  expect_elements(&x, data + start, count, types[type].kind, types[type].bytes, 1);
  sm_tensor_release(&x);
  return 0;
}
