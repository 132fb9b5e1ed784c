#include "io/safetensors.h"

#include <stdio.h>
#include <string.h>

#include "io/checksum.h"
#include "io/elements.h"

enum {
  LENGTH_BYTES = 8,
  ALIGNMENT = 8,
  MAX_HEADER_BYTES = 16 * 1000 * 1000 /* as much JSON as lua/sm/json.lua reads: 200,000 tensors' */
};

static const char *const type_name[SM_ELEMENTS] = {
    [SM_F16] = "F16", [SM_BF16] = "BF16", [SM_F32] = "F32", [SM_F64] = "F64", [SM_BOOL] = "BOOL",
    [SM_U8] = "U8",   [SM_I8] = "I8",     [SM_U16] = "U16", [SM_I16] = "I16", [SM_U32] = "U32",
    [SM_I32] = "I32", [SM_U64] = "U64",   [SM_I64] = "I64"};

/* The format's other types and the bits of their elements. */
static const struct {
  const char *name;
  unsigned bits;
} other_types[] = {{"F4", 4},           {"F6_E2M3", 6},     {"F6_E3M2", 6},     {"F8_E5M2", 8}, {"F8_E4M3", 8},
                   {"F8_E5M2FNUZ", 8},  {"F8_E4M3FNUZ", 8}, {"F8_E8M0", 8},     {"C64", 64}};

/* Bits of an element of the type; 0 for one that the format does not have. */
static unsigned bits_of(const char *dtype) {
  sm_element element = sm_element_named(dtype, type_name);
  if (element < SM_ELEMENTS) return 8 * (unsigned)sm_element_bytes(element);
  for (size_t i = 0; i < sizeof other_types / sizeof *other_types; i++)
    if (strcmp(dtype, other_types[i].name) == 0) return other_types[i].bits;
  return 0;
}

const char *sm_safetensors_dtype(sm_dtype dtype) { return type_name[sm_element_of(dtype)]; }

static sm_status check_frame(sm_safetensors *tensors, sm_error *error) {
  const sm_file *file = &tensors->file;
  uint64_t length;
  if (file->bytes < LENGTH_BYTES) {
    return sm_fail(error, SM_BAD_FILE, "%s: byte 0: expected %d bytes of header length, found %llu",
                   file->path, LENGTH_BYTES, (unsigned long long)file->bytes);
  }
  sm_status status = sm_file_read(&length, file, 0, LENGTH_BYTES, error);
  if (status != SM_OK) return status;
  if (length > MAX_HEADER_BYTES || length > file->bytes - LENGTH_BYTES) {
    return sm_fail(error, SM_BAD_FILE,
                   "%s: byte 0: a header of %llu bytes, where the file has %llu and %d are allowed",
                   file->path, (unsigned long long)length, (unsigned long long)file->bytes, MAX_HEADER_BYTES);
  }
  tensors->header_bytes = (size_t)length;
  tensors->data_bytes = file->bytes - LENGTH_BYTES - length;
  return SM_OK;
}

sm_status sm_safetensors_open(sm_safetensors *tensors, const char *path, sm_error *error) {
  *tensors = (sm_safetensors){0};
  sm_status status = sm_file_open(&tensors->file, path, error);
  if (status == SM_OK) status = check_frame(tensors, error);
  if (status != SM_OK) sm_safetensors_close(tensors);
  return status;
}

sm_status sm_safetensors_open_beneath(sm_safetensors *tensors, const char *path, size_t root, sm_error *error) {
  *tensors = (sm_safetensors){0};
  sm_status status = sm_file_open_beneath(&tensors->file, path, root, error);
  if (status == SM_OK) status = check_frame(tensors, error);
  if (status != SM_OK) sm_safetensors_close(tensors);
  return status;
}

sm_status sm_safetensors_header(char *out, const sm_safetensors *tensors, sm_error *error) {
  return sm_file_read(out, &tensors->file, LENGTH_BYTES, tensors->header_bytes, error);
}

sm_status sm_safetensors_read(sm_tensor *out, sm_memory *memory, const sm_safetensors *tensors,
                              const char *name, const char *dtype, const sm_shape *shape, uint64_t first,
                              uint64_t last, sm_error *error) {
  *out = (sm_tensor){0};
  const char *path = tensors->file.path;
  unsigned bits = bits_of(dtype);
  if (bits == 0) return sm_fail(error, SM_BAD_FILE, "%s: tensor '%s' has an unknown type, '%s'", path, name, dtype);
  if (first > last || last > tensors->data_bytes) {
    return sm_fail(error, SM_BAD_FILE, "%s: tensor '%s' lies at %llu to %llu of %llu bytes of data", path,
                   name, (unsigned long long)first, (unsigned long long)last,
                   (unsigned long long)tensors->data_bytes);
  }
  unsigned unit = bits % 8 == 0 ? bits / 8 : bits, units = bits % 8 == 0 ? 1 : 8; /* bytes, or bits */
  size_t all;
  if (!sm_shape_extent(&all, shape, unit) || all % units != 0 || all / units != last - first) {
    char text[SM_SHAPE_TEXT];
    return sm_fail(error, SM_BAD_FILE, "%s: tensor '%s' of type %s and shape %s does not fit its %llu bytes",
                   path, name, dtype, sm_shape_text(text, shape), (unsigned long long)(last - first));
  }
  sm_elements elements = {.element = sm_element_named(dtype, type_name)};
  if (elements.element == SM_ELEMENTS)
    return sm_fail(error, SM_BAD_VALUE, "%s: tensor '%s' is %s, which cannot be read", path, name, dtype);
  char label[sizeof error->message];
  snprintf(label, sizeof label, "%s: tensor '%s'", path, name);
  elements.label = label;
  return sm_elements_read_file(out, memory, &tensors->file, LENGTH_BYTES + tensors->header_bytes + first,
                               &elements, shape, error);
}

sm_status sm_safetensors_checksum(uint32_t *out, const sm_safetensors *tensors, uint64_t first, uint64_t last,
                                  sm_error *error) {
  if (first > last || last > tensors->data_bytes) {
    return sm_fail(error, SM_BAD_FILE, "%s: there is nothing at %llu to %llu of %llu bytes of data", tensors->file.path,
                   (unsigned long long)first, (unsigned long long)last, (unsigned long long)tensors->data_bytes);
  }
  return sm_file_checksum(out, &tensors->file, LENGTH_BYTES + tensors->header_bytes + first, last - first, error);
}

void sm_safetensors_close(sm_safetensors *tensors) { sm_file_close(&tensors->file); }

sm_status sm_safetensors_write_header(sm_writer *writer, const char *json, size_t bytes, sm_error *error) {
  static const char spaces[ALIGNMENT] = "        ";
  size_t padding = (ALIGNMENT - bytes % ALIGNMENT) % ALIGNMENT;
  uint64_t length = bytes + padding;
  if (length > MAX_HEADER_BYTES) {
    return sm_fail(error, SM_BAD_VALUE, "%s: names and metadata take %llu bytes; %d are allowed",
                   writer->path, (unsigned long long)length, MAX_HEADER_BYTES);
  }
  sm_status status = sm_writer_write(writer, &length, LENGTH_BYTES, error);
  if (status == SM_OK) status = sm_writer_write(writer, json, bytes, error);
  if (status == SM_OK) status = sm_writer_write(writer, spaces, padding, error);
  return status;
}
