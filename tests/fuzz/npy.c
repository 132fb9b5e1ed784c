/* NPY files: the reader against a slow one, and back through the writer. */
#include "io/npy.h"

#include <stdio.h>
#include <string.h>

#include "input.h"

enum { START_1 = 10, START_2 = 12 };

/* The element type that follows 'descr' in the header: its byte order, kind and width. */
static bool find_type(char type[4], const char *header) {
  const char *at = strstr(header, "descr");
  if (!at || !(at = strpbrk(at + strlen("descr") + 1, "'\"")) || strlen(at) < 5) return false;
  memcpy(type, at + 1, 3);
  type[3] = '\0';
  return true;
}

/* Where the element with these indices lies in a file of either order. */
static size_t place(const sm_shape *shape, const size_t *index, bool fortran) {
  size_t at = 0;
  for (int i = 0; i < shape->rank; i++) {
    int axis = fortran ? shape->rank - 1 - i : i;
    at = at * shape->size[axis] + index[axis];
  }
  return at;
}

/* data = the elements in C order. */
static void to_c_order(uint8_t *out, const uint8_t *data, const sm_shape *shape, size_t bytes) {
  size_t index[SM_MAX_RANK] = {0}, count = sm_shape_count(shape);
  for (size_t i = 0; i < count; i++) {
    memcpy(out + i * bytes, data + place(shape, index, true) * bytes, bytes);
    for (int axis = shape->rank - 1; axis >= 0 && ++index[axis] == shape->size[axis]; axis--) index[axis] = 0;
  }
}

static void expect_written_back(const sm_tensor *x, const char *path) {
  sm_tensor again;
  sm_error error = {0};
  char copy[160];
  snprintf(copy, sizeof copy, "%s.npy", path);
  if (sm_npy_write(copy, x, &error) != SM_OK || sm_npy_read(&again, input_memory(), copy, &error) != SM_OK)
    finding("not written and read back: %s", error.message);
  remove(copy);
  if (again.dtype != x->dtype || !sm_shape_equal(&again.shape, &x->shape) ||
      memcmp(again.data, x->data, sm_shape_count(&x->shape) * sm_dtype_bytes(x->dtype)) != 0)
    finding("another tensor is read back");
  sm_tensor_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static uint8_t ordered[1 << 20];
  static unsigned reads;
  if (size > sizeof ordered) return 0;
  const char *path = input_file(".npy", data, size);
  sm_tensor x;
  sm_error error = {0};
  sm_status status = sm_npy_read(&x, input_memory(), path, &error);
  if (status != SM_OK) {
    expect_refusal(status, &error, path);
    if (x.storage) finding("a refused file leaves a tensor");
    return 0;
  }
  size_t start = data[6] == 1 ? START_1 : START_2;
  size_t length = data[8] | (size_t)data[9] << 8;
  if (data[6] > 1) length |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
  char header[1 << 15], type[4];
  memcpy(header, data + start, length);
  header[length] = '\0';
  if (!find_type(type, header)) finding("a header without a type was read");
  size_t bytes = (size_t)(type[2] - '0'), count = sm_shape_count(&x.shape);
  if (start + length + count * bytes != size) finding("%zu elements of %zu bytes in %zu", count, bytes, size);
  char kind = type[1] == 'f' && bytes == 2 ? 'e' : type[1] == 'b' ? '?' : type[1];
  const uint8_t *elements = data + start + length;
  if (strstr(header, "True")) {
    to_c_order(ordered, elements, &x.shape, bytes);
    elements = ordered;
  }
  expect_elements(&x, elements, count, kind, bytes, type[0] == '>');
  if (reads++ % 64 == 0) expect_written_back(&x, path);
  sm_tensor_release(&x);
  return 0;
}
