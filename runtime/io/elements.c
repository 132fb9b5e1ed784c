#include "io/elements.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are read and written as they lie in memory");

enum { PIECE = 4096 }; /* elements that are converted at a time */

/* Elements as they lie in a file. */
typedef union raw_piece {
  uint8_t u8[PIECE];
  int8_t i8[PIECE];
  uint16_t u16[PIECE];
  int16_t i16[PIECE];
  uint32_t u32[PIECE];
  int32_t i32[PIECE];
  uint64_t u64[PIECE];
  int64_t i64[PIECE];
  float f32[PIECE];
  double f64[PIECE];
} raw_piece;

size_t sm_element_bytes(sm_element element) {
  static const size_t bytes[SM_ELEMENTS] = {
      [SM_F16] = 2, [SM_BF16] = 2, [SM_F32] = 4, [SM_F64] = 8, [SM_BOOL] = 1, [SM_U8] = 1, [SM_I8] = 1,
      [SM_U16] = 2, [SM_I16] = 2,  [SM_U32] = 4, [SM_I32] = 4, [SM_U64] = 8,  [SM_I64] = 8};
  return bytes[element];
}

sm_element sm_element_of(sm_dtype dtype) {
  switch (dtype) {
    case SM_REAL: break;
    case SM_UINT8: return SM_U8;
    case SM_INT32: return SM_I32;
  }
  return sizeof(real) == sizeof(float) ? SM_F32 : SM_F64;
}

static sm_dtype dtype_of(sm_element element) {
  switch (element) {
    case SM_F16:
    case SM_BF16:
    case SM_F32:
    case SM_F64: return SM_REAL;
    case SM_U8: return SM_UINT8;
    case SM_BOOL:
    case SM_I8:
    case SM_U16:
    case SM_I16:
    case SM_U32:
    case SM_I32:
    case SM_U64:
    case SM_I64:
    case SM_ELEMENTS: break;
  }
  return SM_INT32;
}

sm_element sm_element_named(const char *name, const char *const names[SM_ELEMENTS]) {
  int element = 0;
  while (element < SM_ELEMENTS && !(names[element] && strcmp(name, names[element]) == 0)) element++;
  return (sm_element)element;
}

static void swap_bytes(raw_piece *piece, size_t element_bytes, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (element_bytes == sizeof(uint16_t)) piece->u16[i] = __builtin_bswap16(piece->u16[i]);
    if (element_bytes == sizeof(uint32_t)) piece->u32[i] = __builtin_bswap32(piece->u32[i]);
    if (element_bytes == sizeof(uint64_t)) piece->u64[i] = __builtin_bswap64(piece->u64[i]);
  }
}

static double float_of_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return (double)x;
}

/* IEEE 754: a sign, 5 bits of exponent, of which the largest is for infinity and NaN, 10 bits of fraction. */
static double half_of_bits(uint32_t bits) {
  uint32_t sign = bits >> 15 & 1, exponent = bits >> 10 & 31, fraction = bits & 1023;
  if (exponent == 0) return (sign ? -0x1p-24 : 0x1p-24) * fraction; /* zero, subnormal numbers */
  uint32_t wide_exponent = exponent == 31 ? 255 : exponent + 127 - 15;
  return float_of_bits(sign << 31 | wide_exponent << 23 | fraction << 13);
}

/* out[i] = the floats of a piece; returns how many fit, counted up to the first that does not. */
static size_t convert_floats(real *out, const raw_piece *piece, sm_element element, size_t n) {
  for (size_t i = 0; i < n; i++) {
    double x = element == SM_F16    ? half_of_bits(piece->u16[i])
               : element == SM_BF16 ? float_of_bits((uint32_t)piece->u16[i] << 16)
               : element == SM_F32  ? (double)piece->f32[i]
                                    : piece->f64[i];
    out[i] = (real)x;
    if (isinf(out[i]) && !isinf(x)) return i;
  }
  return n;
}

/* An integer of a piece; those beyond int64 become its largest. */
static int64_t integer_at(const raw_piece *piece, sm_element element, size_t i) {
  switch (element) {
    case SM_I8: return piece->i8[i];
    case SM_U16: return piece->u16[i];
    case SM_I16: return piece->i16[i];
    case SM_U32: return piece->u32[i];
    case SM_I32: return piece->i32[i];
    case SM_U64: return piece->u64[i] > INT64_MAX ? INT64_MAX : (int64_t)piece->u64[i];
    case SM_I64: return piece->i64[i];
    case SM_U8:
    case SM_BOOL: return piece->u8[i];
    case SM_F16: /* these are read as floats */
    case SM_BF16:
    case SM_F32:
    case SM_F64:
    case SM_ELEMENTS: break;
  }
  return 0;
}

/* The same for integers. */
static size_t convert_integers(int32_t *out, const raw_piece *piece, sm_element element, size_t n) {
  const int64_t low = element == SM_BOOL ? 0 : INT32_MIN, high = element == SM_BOOL ? 1 : INT32_MAX;
  for (size_t i = 0; i < n; i++) {
    int64_t x = integer_at(piece, element, i);
    if (x < low || x > high) return i;
    out[i] = (int32_t)x;
  }
  return n;
}

static sm_status does_not_fit(const sm_elements *elements, const raw_piece *piece, size_t i, size_t position,
                              sm_error *error) {
  char value[32];
  sm_element element = elements->element;
  if (element == SM_F64) snprintf(value, sizeof value, "%g", piece->f64[i]);
  else if (element == SM_U64) snprintf(value, sizeof value, "%llu", (unsigned long long)piece->u64[i]);
  else snprintf(value, sizeof value, "%lld", (long long)integer_at(piece, element, i));
  return sm_fail(error, SM_BAD_VALUE, "%s: element %zu is %s, which %s cannot hold", elements->label,
                 position + 1, value,
                 element == SM_BOOL ? "a boolean" : element <= SM_F64 ? SM_REAL_NAME : "int32");
}

/* Elements `done` on, n of them; how many of these fit before the first that does not. */
static size_t convert(sm_tensor *out, size_t done, const raw_piece *piece, sm_element element, size_t n) {
  switch (out->dtype) {
    case SM_REAL: return convert_floats((real *)out->data + done, piece, element, n);
    case SM_INT32: return convert_integers((int32_t *)out->data + done, piece, element, n);
    case SM_UINT8: break; /* bytes are read as they are */
  }
  return 0;
}

static sm_status read_converted(sm_tensor *out, const sm_elements *elements, size_t count, sm_error *error) {
  raw_piece piece;
  sm_element element = elements->element;
  size_t element_bytes = sm_element_bytes(element);
  for (size_t done = 0; done < count;) {
    size_t n = count - done < PIECE ? count - done : PIECE;
    sm_status status = elements->next(&piece, elements->from, n * element_bytes, error);
    if (status != SM_OK) return status;
    if (elements->big_endian) swap_bytes(&piece, element_bytes, n);
    size_t fit = convert(out, done, &piece, element, n);
    if (fit < n) return does_not_fit(elements, &piece, fit, done + fit, error);
    done += n;
  }
  return SM_OK;
}

sm_status sm_elements_tensor(sm_tensor *out, sm_memory *memory, const char *label, sm_dtype dtype,
                             const sm_shape *shape, sm_error *error) {
  sm_error reason = {0};
  sm_status status = sm_tensor_new(out, memory, dtype, shape, &reason);
  if (status == SM_OK) return SM_OK;
  return sm_fail(error, status == SM_BAD_SHAPE ? SM_BAD_FILE : status, "%s: %s", label, reason.message);
}

sm_status sm_elements_read(sm_tensor *out, sm_memory *memory, const sm_elements *elements,
                           const sm_shape *shape, sm_error *error) {
  sm_element element = elements->element;
  sm_dtype dtype = dtype_of(element);
  sm_status status = sm_elements_tensor(out, memory, elements->label, dtype, shape, error);
  if (status != SM_OK) return status;
  size_t count = sm_shape_count(shape);
  bool as_it_is = element == sm_element_of(dtype) && !(elements->big_endian && sm_element_bytes(element) > 1);
  status = as_it_is ? elements->next(out->data, elements->from, count * sm_dtype_bytes(dtype), error)
                    : read_converted(out, elements, count, error);
  if (status != SM_OK) sm_tensor_release(out);
  return status;
}

sm_status sm_elements_read_file(sm_tensor *out, sm_memory *memory, const sm_file *file, uint64_t offset,
                                const sm_elements *elements, const sm_shape *shape, sm_error *error) {
  sm_file_source source = {.file = file, .offset = offset};
  sm_elements of_file = *elements;
  of_file.next = sm_file_next;
  of_file.from = &source;
  return sm_elements_read(out, memory, &of_file, shape, error);
}
