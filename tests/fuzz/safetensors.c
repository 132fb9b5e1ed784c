/* The frame of .safetensors files. An input begins with what the JSON would say of a tensor: a type, its shape, and
   where it lies; the rest is the file. */
#include "io/safetensors.h"

#include <stdio.h>
#include <string.h>

#include "input.h"
#include "io/checksum.h"

enum { FRONT = 12, MOST_HEADER = 1 << 20, LENGTH_BYTES = 8 };

static const struct {
  const char *name;
  char kind;
  uint8_t bytes;
} types[] = {{"F16", 'e', 2}, {"BF16", 'b', 2}, {"F32", 'f', 4}, {"F64", 'f', 8}, {"BOOL", '?', 1}, {"U8", 'u', 1},
             {"I8", 'i', 1},  {"U16", 'u', 2},  {"I16", 'i', 2}, {"U32", 'u', 4}, {"I32", 'i', 4},  {"U64", 'u', 8},
             {"I64", 'i', 8}, {"F4", 0, 0},     {"C64", 0, 0},   {"none", 0, 0},  {"", 0, 0}};

/* A size that is small, or as odd as they come. */
static size_t size_of(uint8_t byte) {
  static const size_t odd[] = {
      SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 2 + 1, (size_t)1 << 32, ((size_t)1 << 32) - 1, (size_t)1 << 31};
  return byte < 240 ? byte % 16 : odd[byte % 6];
}

static void expect_header(const sm_safetensors *file, const uint8_t *data) {
  static char text[MOST_HEADER];
  sm_error error = {0};
  if (file->header_bytes > sizeof text) return;
  if (sm_safetensors_header(text, file, &error) != SM_OK) finding("the header was not read: %s", error.message);
  if (memcmp(text, data + LENGTH_BYTES, file->header_bytes) != 0) finding("another header was read");
}

static void expect_checksum(const sm_safetensors *file, const uint8_t *data, uint64_t first, uint64_t last) {
  uint32_t sum;
  sm_error error = {0};
  sm_status status = sm_safetensors_checksum(&sum, file, first, last, &error);
  bool inside = first <= last && last <= file->data_bytes;
  if ((status == SM_OK) != inside) finding("checksum of %llu to %llu: status %d", (unsigned long long)first,
                                           (unsigned long long)last, (int)status);
  if (inside && sum != sm_checksum(data + LENGTH_BYTES + file->header_bytes + first, last - first))
    finding("another checksum");
}

static void expect_tensor(const sm_safetensors *file, const uint8_t *front, const uint8_t *data, const char *path,
                          uint64_t first, uint64_t last) {
  size_t type = front[0] % (sizeof types / sizeof *types), count = 1;
  sm_shape shape = {.rank = front[1] % (SM_MAX_RANK + 1)};
  for (int axis = 0; axis < shape.rank; axis++) count *= shape.size[axis] = axis < 6 ? size_of(front[2 + axis]) : 1;
  sm_tensor x;
  sm_error error = {0};
  sm_status status =
      sm_safetensors_read(&x, input_memory(), file, "w", types[type].name, &shape, first, last, &error);
  if (status != SM_OK) {
    expect_refusal(status, &error, path);
    if (x.storage) finding("a refused tensor is there");
    return;
  }
  if (!types[type].bytes || first > last || last > file->data_bytes || last - first != count * types[type].bytes)
    finding("a tensor was read that is not there");
  expect_elements(&x, data + LENGTH_BYTES + file->header_bytes + first, count, types[type].kind, types[type].bytes, 0);
  sm_tensor_release(&x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < FRONT) return 0;
  const uint8_t *front = data;
  data += FRONT;
  size -= FRONT;
  const char *path = input_file(".safetensors", data, size);
  sm_safetensors file;
  sm_error error = {0};
  sm_status status = sm_safetensors_open(&file, path, &error);
  if (status != SM_OK) {
    expect_refusal(status, &error, path);
    if (file.file.descriptor >= 0) finding("a refused file stays open");
    return 0;
  }
  if (file.header_bytes + file.data_bytes + LENGTH_BYTES != size) finding("a frame of another size");
  uint64_t first = front[8] < 250 ? front[8] % 32 : UINT64_MAX - front[8] % 3;
  uint64_t last = front[9] < 250 ? first + front[9] : front[10] < 128 ? file.data_bytes : UINT64_MAX - front[11];
  expect_header(&file, data);
  expect_checksum(&file, data, first, last);
  expect_tensor(&file, front, data, path, first, last);
  sm_safetensors_close(&file);
  sm_safetensors_close(&file);
  return 0;
}
