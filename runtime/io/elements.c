#include "io/elements.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are read and written as they lie in memory");

enum { BUFFER_BYTES = 1 << 16 };

size_t sm_element_bytes(sm_element element) {
  static const size_t bytes[SM_ELEMENTS] = {
      [SM_F32] = 4, [SM_F64] = 8, [SM_U8] = 1, [SM_I32] = 4, [SM_I64] = 8};
  return bytes[element];
}

sm_element sm_element_of(sm_dtype dtype) {
  if (dtype == SM_UINT8) return SM_U8;
  if (dtype == SM_INT32) return SM_I32;
  return sizeof(real) == sizeof(float) ? SM_F32 : SM_F64;
}

static sm_dtype dtype_of(sm_element element) {
  if (element == SM_U8) return SM_UINT8;
  return element == SM_F32 || element == SM_F64 ? SM_REAL : SM_INT32;
}

sm_element sm_element_named(const char *name, const char *const names[SM_ELEMENTS]) {
  int element = 0;
  while (element < SM_ELEMENTS && strcmp(name, names[element]) != 0) element++;
  return (sm_element)element;
}

bool sm_elements_bytes(uint64_t *bytes, sm_element element, const sm_shape *shape) {
  *bytes = sm_element_bytes(element);
  bool fits = true, empty = false;
  for (int i = 0; i < shape->rank; i++) {
    empty = empty || shape->size[i] == 0;
    if (__builtin_mul_overflow(*bytes, (uint64_t)shape->size[i], bytes)) fits = false;
  }
  if (empty) *bytes = 0;
  return fits || empty;
}

/* out[i] = the 64-bit number x[i] in the narrower type; returns how many of the n fit, counted up to the
   first that does not. */
static size_t narrow_floats(float *out, const double *x, size_t n) {
  for (size_t i = 0; i < n; i++) {
    out[i] = (float)x[i];
    if (isinf(out[i]) && !isinf(x[i])) return i;
  }
  return n;
}

static size_t narrow_integers(int32_t *out, const int64_t *x, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (x[i] < INT32_MIN || x[i] > INT32_MAX) return i;
    out[i] = (int32_t)x[i];
  }
  return n;
}

static sm_status too_large(const sm_file *file, size_t position, const char *value, const char *type,
                           sm_error *error) {
  return sm_fail(error, SM_BAD_FILE, "%s: element %zu is %s, which %s cannot hold", file->path, position + 1,
                 value, type);
}

/* Reads count 64-bit numbers piece by piece into the 32-bit elements at out. */
static sm_status read_narrowed(void *out, const sm_file *file, uint64_t offset, sm_element element,
                               size_t count, sm_error *error) {
  union {
    double floats[BUFFER_BYTES / sizeof(double)];
    int64_t integers[BUFFER_BYTES / sizeof(int64_t)];
  } buffer;
  const size_t capacity = BUFFER_BYTES / sizeof(double);
  for (size_t done = 0; done < count;) {
    size_t n = count - done < capacity ? count - done : capacity;
    sm_status status = sm_file_read(&buffer, file, offset + done * sizeof(double), n * sizeof(double), error);
    if (status != SM_OK) return status;
    char value[32];
    if (element == SM_F64) {
      size_t fit = narrow_floats((float *)out + done, buffer.floats, n);
      if (fit < n) {
        snprintf(value, sizeof value, "%g", buffer.floats[fit]);
        return too_large(file, done + fit, value, "float32", error);
      }
    } else {
      size_t fit = narrow_integers((int32_t *)out + done, buffer.integers, n);
      if (fit < n) {
        snprintf(value, sizeof value, "%lld", (long long)buffer.integers[fit]);
        return too_large(file, done + fit, value, "int32", error);
      }
    }
    done += n;
  }
  return SM_OK;
}

/* Reads count floats into doubles: they fill the upper half of the memory first and are widened upwards. */
static sm_status read_widened(double *out, const sm_file *file, uint64_t offset, size_t count,
                              sm_error *error) {
  const size_t first = count * sizeof(float);
  sm_status status = sm_file_read((char *)out + first, file, offset, first, error);
  if (status != SM_OK) return status;
  for (size_t i = 0; i < count; i++) {
    float x;
    memcpy(&x, (char *)out + first + i * sizeof x, sizeof x);
    out[i] = x;
  }
  return SM_OK;
}

sm_status sm_elements_read(sm_tensor *out, sm_memory *memory, const sm_file *file, uint64_t offset,
                           sm_element element, const sm_shape *shape, sm_error *error) {
  sm_dtype dtype = dtype_of(element);
  sm_status status = sm_tensor_new(out, memory, dtype, shape, error);
  if (status != SM_OK) return status;
  size_t count = sm_shape_count(shape), bytes = sm_dtype_bytes(dtype);
  if (sm_element_bytes(element) == bytes) {
    status = sm_file_read(out->data, file, offset, count * bytes, error);
  } else if (sm_element_bytes(element) > bytes) {
    status = read_narrowed(out->data, file, offset, element, count, error);
  } else {
    status = read_widened(out->data, file, offset, count, error);
  }
  if (status != SM_OK) sm_tensor_release(out);
  return status;
}
