/* PNG files: what is read has the size that the file says, is read again beside others, and goes back through the
   writer. The checksums of the chunks are put right first, so that inputs come past them. */
#include "io/png.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "input.h"

enum { SIGNATURE = 8, FRONT = 8, CRC = 4, WIDTH_AT = 16, HEIGHT_AT = 20, MOST = 1 << 16 };

static uint32_t number_at(const uint8_t *data) {
  return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

static void mend_checksums(uint8_t *data, size_t size) {
  for (size_t at = SIGNATURE; size - at >= FRONT + CRC;) {
    size_t length = number_at(data + at);
    if (length > size - at - FRONT - CRC) return;
    uint32_t sum = (uint32_t)crc32(0, data + at + 4, (unsigned)length + 4);
    for (int i = 0; i < CRC; i++) data[at + FRONT + length + (size_t)i] = (uint8_t)(sum >> 8 * (3 - i));
    at += FRONT + length + CRC;
  }
}

static void expect_equal(const sm_tensor *x, const void *data, const char *what) {
  if (memcmp(x->data, data, sm_shape_count(&x->shape) * sm_dtype_bytes(x->dtype)) != 0) finding("other pixels %s", what);
}

/* Two files at once, the same one twice. */
static void expect_among_many(const sm_tensor *x, const char *path, int channels) {
  char paths[320];
  int length = snprintf(paths, sizeof paths, "%s", path);
  snprintf(paths + length + 1, sizeof paths - (size_t)length - 1, "%s", path);
  sm_tensor both;
  sm_error error = {0};
  if (sm_png_read_all(&both, input_memory(), paths, 2, channels, &error) != SM_OK) finding("not read: %s", error.message);
  size_t bytes = sm_shape_count(&x->shape) * sm_dtype_bytes(x->dtype);
  if (both.shape.size[0] != 2 || both.dtype != x->dtype) finding("two pictures are %zu", both.shape.size[0]);
  expect_equal(x, both.data, "among many");
  expect_equal(x, (const char *)both.data + bytes, "among many, as the second");
  sm_tensor_release(&both);
}

static void expect_written_back(const sm_tensor *x, const char *path) {
  char copy[160];
  sm_tensor again;
  sm_error error = {0};
  snprintf(copy, sizeof copy, "%s.png", path);
  if (sm_png_write(copy, x, &error) != SM_OK || sm_png_read(&again, input_memory(), copy, 0, &error) != SM_OK)
    finding("not written and read back: %s", error.message);
  remove(copy);
  if (!sm_shape_equal(&again.shape, &x->shape)) finding("another shape is read back");
  if (x->dtype == SM_UINT8) expect_equal(x, again.data, "are read back");
  sm_tensor_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const int conversions[] = {0, 1, 3, 4};
  static uint8_t mended[MOST];
  static unsigned reads;
  if (size < SIGNATURE || size > sizeof mended) return 0;
  memcpy(mended, data, size);
  mend_checksums(mended, size);
  const char *path = input_file(".png", mended, size);
  for (size_t i = 0; i < sizeof conversions / sizeof *conversions; i++) {
    sm_tensor x;
    sm_error error = {0};
    sm_status status = sm_png_read(&x, input_memory(), path, conversions[i], &error);
    if (status != SM_OK) {
      expect_refusal(status, &error, path);
      if (x.storage) finding("a refused file leaves a tensor");
      return 0;
    }
    if (x.shape.rank != 3 || x.shape.size[0] != number_at(mended + HEIGHT_AT) ||
        x.shape.size[1] != number_at(mended + WIDTH_AT) || (i > 0 && x.shape.size[2] != (size_t)conversions[i]))
      finding("another size than the file says");
    if (reads++ % 16 == 0) expect_among_many(&x, path, conversions[i]);
    if (reads % 16 == 1) expect_written_back(&x, path);
    sm_tensor_release(&x);
  }
  return 0;
}
