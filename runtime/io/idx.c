#include "io/idx.h"

#include <string.h>

#include "io/content.h"
#include "io/elements.h"

enum { MAGIC_BYTES = 4, SIZE_BYTES = 4 };

/* The element type of a file's third byte; SM_ELEMENTS for an unknown one. */
static sm_element element_of(int type) {
  switch (type) {
    case 0x08: return SM_U8;
    case 0x09: return SM_I8;
    case 0x0b: return SM_I16;
    case 0x0c: return SM_I32;
    case 0x0d: return SM_F32;
    case 0x0e: return SM_F64;
    default: return SM_ELEMENTS;
  }
}

static sm_status read_all(void *out, sm_content *from, size_t bytes, const char *what, sm_error *error) {
  size_t got;
  uint64_t start = from->offset;
  sm_status status = sm_content_read(out, &got, from, bytes, error);
  if (status != SM_OK || got == bytes) return status;
  return sm_fail(error, SM_BAD_FILE, "%s: byte %llu: truncated: expected %zu bytes of %s, found %zu",
                 from->file->path, (unsigned long long)start, bytes, what, got);
}

/* The content must end here. Reading on also compares the checksum of compressed data. */
static sm_status expect_end(sm_content *from, sm_error *error) {
  size_t got;
  unsigned long long end = from->offset;
  char more;
  sm_status status = sm_content_read(&more, &got, from, 1, error);
  if (status != SM_OK) return status;
  if (got > 0)
    return sm_fail(error, SM_BAD_FILE, "%s: byte %llu: more bytes follow the last element", from->file->path, end);
  if (from->is_cut) {
    return sm_fail(error, SM_BAD_FILE, "%s: byte %llu: truncated: the compressed data have no checksum",
                   from->file->path, end);
  }
  return SM_OK;
}

static sm_status next_of_content(void *out, void *from, size_t bytes, sm_error *error) {
  return read_all(out, from, bytes, "data", error);
}

static sm_status read_header(sm_element *element, sm_shape *shape, sm_content *from, sm_error *error) {
  unsigned char magic[MAGIC_BYTES], size[SM_MAX_RANK][SIZE_BYTES];
  sm_status status = read_all(magic, from, sizeof magic, "header", error);
  if (status != SM_OK) return status;
  if (magic[0] || magic[1]) {
    return sm_fail(error, SM_BAD_FILE, "%s: byte 0: expected two zero bytes (IDX), found 0x%02x 0x%02x",
                   from->file->path, magic[0], magic[1]);
  }
  *element = element_of(magic[2]);
  if (*element == SM_ELEMENTS) {
    return sm_fail(error, SM_BAD_FILE, "%s: byte 2: expected a type of 0x08, 0x09 or 0x0b to 0x0e, found 0x%02x",
                   from->file->path, magic[2]);
  }
  if (magic[3] < 1 || magic[3] > SM_MAX_RANK) {
    return sm_fail(error, SM_BAD_FILE, "%s: byte 3: expected a rank from 1 to %d, found %d", from->file->path,
                   SM_MAX_RANK, magic[3]);
  }
  shape->rank = magic[3];
  status = read_all(size, from, (size_t)shape->rank * SIZE_BYTES, "sizes", error);
  if (status != SM_OK) return status;
  for (int i = 0; i < shape->rank; i++) {
    shape->size[i] =
        (size_t)size[i][0] << 24 | (size_t)size[i][1] << 16 | (size_t)size[i][2] << 8 | size[i][3];
  }
  return SM_OK;
}

/* Makes sure that a file of this length can hold the elements, before anything is allocated for them. */
static sm_status check_size(const sm_content *from, sm_element element, const sm_shape *shape, sm_error *error) {
  char text[SM_SHAPE_TEXT];
  const char *path = from->file->path;
  unsigned long long stored = from->file->bytes;
  size_t bytes;
  if (!sm_shape_extent(&bytes, shape, sm_element_bytes(element))) {
    return sm_fail(error, SM_BAD_FILE, "%s: byte %d: the sizes %s are too large", path, MAGIC_BYTES,
                   sm_shape_text(text, shape));
  }
  if (!from->compressed) {
    if (bytes <= stored - from->offset) return SM_OK;
    return sm_fail(error, SM_BAD_FILE, "%s: byte %llu: truncated: expected %zu bytes of data, found %llu", path,
                   (unsigned long long)from->offset, bytes, stored - from->offset);
  }
  if (bytes / SM_DEFLATE_RATIO > stored) {
    return sm_fail(error, SM_BAD_FILE,
                   "%s: byte %d: the sizes %s ask for %zu bytes, more than %llu compressed ones hold", path,
                   MAGIC_BYTES, sm_shape_text(text, shape), bytes, stored);
  }
  if (bytes > SM_LARGE_CONTENT && bytes / SM_USUAL_RATIO > stored) {
    return sm_fail(error, SM_BAD_FILE,
                   "%s: byte %d: the sizes %s ask for %zu bytes of %llu compressed ones, more than %d times as many; "
                   "if that is right, gunzip the file first", path, MAGIC_BYTES, sm_shape_text(text, shape), bytes,
                   stored, SM_USUAL_RATIO);
  }
  return SM_OK;
}

static sm_status read_tensor(sm_tensor *out, sm_memory *memory, sm_content *from, sm_error *error) {
  sm_shape shape = {0};
  sm_elements elements = {.big_endian = true, .label = from->file->path, .next = next_of_content, .from = from};
  sm_status status = read_header(&elements.element, &shape, from, error);
  if (status == SM_OK) status = check_size(from, elements.element, &shape, error);
  if (status == SM_OK) status = sm_elements_read(out, memory, &elements, &shape, error);
  if (status != SM_OK) return status;
  status = expect_end(from, error);
  if (status != SM_OK) sm_tensor_release(out);
  return status;
}

sm_status sm_idx_read(sm_tensor *out, sm_memory *memory, const char *path, sm_error *error) {
  *out = (sm_tensor){0};
  sm_file file;
  sm_status status = sm_file_open(&file, path, error);
  if (status != SM_OK) return status;
  sm_content from;
  status = sm_content_open(&from, &file, error);
  if (status == SM_OK) {
    status = read_tensor(out, memory, &from, error);
    sm_content_close(&from);
  }
  sm_file_close(&file);
  return status;
}
