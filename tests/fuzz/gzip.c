/* Gzipped IDX files. The first byte of an input says how the rest becomes a file: as it is; compressed in one to three
   members, and then read as the uncompressed file is; or compressed and then damaged in one byte. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "input.h"
#include "io/idx.h"

enum {
  MOST_BYTES = 1 << 16,
  MAGIC = 2,
  LEVELS = 10,
  WINDOW_BITS = 9 /* little memory, which is made anew each time */
};

static uint8_t packed[4 * MOST_BYTES];

/* Appends a member of gzip; returns the bytes that there are then. */
static size_t pack(size_t used, const uint8_t *data, size_t size, int level) {
  z_stream stream = {0};
  if (deflateInit2(&stream, level, Z_DEFLATED, 16 + WINDOW_BITS, 1, Z_DEFAULT_STRATEGY) != Z_OK)
    finding("deflateInit2");
  stream.next_in = (uint8_t *)(uintptr_t)data;
  stream.avail_in = (unsigned)size;
  stream.next_out = packed + used;
  stream.avail_out = (unsigned)(sizeof packed - used);
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) finding("deflate");
  size_t end = sizeof packed - stream.avail_out;
  deflateEnd(&stream);
  return end;
}

static sm_status read_file(sm_tensor *x, const void *data, size_t size) {
  const char *path = input_file(".gz", data, size);
  sm_error error = {0};
  sm_status status = sm_idx_read(x, input_memory(), path, &error);
  if (status != SM_OK) {
    expect_refusal(status, &error, path);
    if (x->storage) finding("a refused file leaves a tensor");
  }
  return status;
}

static bool equal(const sm_tensor *x, const sm_tensor *y) {
  return x->dtype == y->dtype && sm_shape_equal(&x->shape, &y->shape) &&
         memcmp(x->data, y->data, sm_shape_count(&x->shape) * sm_dtype_bytes(x->dtype)) == 0;
}

/* A file that is read uncompressed is read the same compressed, and one that is not is refused both ways. */
static void compare(const uint8_t *data, size_t size, size_t packed_bytes) {
  sm_tensor x, y;
  bool nested = size >= MAGIC && data[0] == 0x1f && data[1] == 0x8b;
  sm_status plain = read_file(&x, data, size), compressed = read_file(&y, packed, packed_bytes);
  if (!nested && (plain == SM_OK) != (compressed == SM_OK)) finding("plain %d, compressed %d", plain, compressed);
  if (nested && compressed == SM_OK) finding("a file compressed twice was read");
  if (!nested && plain == SM_OK && !equal(&x, &y)) finding("the compressed file reads differently");
  sm_tensor_release(&x);
  sm_tensor_release(&y);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 4 || size > MOST_BYTES) return 0;
  int way = data[0] % 4, level = data[1] % LEVELS;
  size_t cut = data[2];
  const uint8_t *rest = data + 3;
  size -= 3;
  if (cut > size) cut = size;
  sm_tensor x;
  if (way == 0) {
    if (read_file(&x, rest, size) == SM_OK) sm_tensor_release(&x);
    return 0;
  }
  size_t used = way == 1 ? pack(0, rest, size, level) : pack(pack(0, rest, cut, level), rest + cut, size - cut, level);
  if (way == 3) { /* the members end in checksums, which one damaged byte cannot satisfy; headers are not summed */
    packed[(cut * 257 + size) % used] ^= (uint8_t)(1 + data[1] % 255);
    if (read_file(&x, packed, used) == SM_OK) sm_tensor_release(&x);
    return 0;
  }
  compare(rest, size, used);
  return 0;
}
