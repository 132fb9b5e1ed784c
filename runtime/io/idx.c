#include "io/idx.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "io/elements.h"
#include "io/file.h"

enum {
  MAGIC_BYTES = 4,
  SIZE_BYTES = 4,
  DEFLATE_RATIO = 1032,  /* deflate shrinks at most this much (zlib's technical notes) */
  WINDOW_BYTES = 128 * 1024,
  PIECE_BYTES = 1 << 30 /* gzread takes an unsigned int */
};

typedef struct source {
  gzFile stream;
  const char *path;
  uint64_t file_bytes;
  size_t offset; /* in the uncompressed content */
} source;

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

/* Reads up to `bytes` bytes; *got is less where the content ends. SM_BAD_FILE for damaged compression. */
static sm_status read_some(void *out, size_t *got, source *from, size_t bytes, sm_error *error) {
  *got = 0;
  while (*got < bytes) {
    size_t piece = bytes - *got < PIECE_BYTES ? bytes - *got : PIECE_BYTES;
    int n = gzread(from->stream, (char *)out + *got, (unsigned)piece);
    if (n < 0) {
      int code;
      gzerror(from->stream, &code);
      if (code == Z_BUF_ERROR) break; /* the compressed data end early */
      if (code == Z_ERRNO)
        return sm_fail(error, SM_SYSTEM, "%s: cannot read: %s", from->path, strerror(errno));
      if (code == Z_MEM_ERROR) return sm_fail(error, SM_NO_MEMORY, "%s: out of memory", from->path);
      return sm_fail(error, SM_BAD_FILE, "%s: byte %zu: the compressed data after it are damaged", from->path,
                     from->offset);
    }
    if (n == 0) break;
    *got += (size_t)n;
    from->offset += (size_t)n;
  }
  return SM_OK;
}

static sm_status read_all(void *out, source *from, size_t bytes, const char *what, sm_error *error) {
  size_t got, start = from->offset;
  sm_status status = read_some(out, &got, from, bytes, error);
  if (status != SM_OK || got == bytes) return status;
  return sm_fail(error, SM_BAD_FILE, "%s: byte %zu: truncated: expected %zu bytes of %s, found %zu",
                 from->path, start, bytes, what, got);
}

/* The content must end here. Reading on is also what makes zlib verify the checksum of compressed data. */
static sm_status expect_end(source *from, sm_error *error) {
  size_t got, end = from->offset;
  char more;
  sm_status status = read_some(&more, &got, from, 1, error);
  if (status != SM_OK) return status;
  if (got > 0)
    return sm_fail(error, SM_BAD_FILE, "%s: byte %zu: more bytes follow the last element", from->path, end);
  int code;
  gzerror(from->stream, &code);
  if (code == Z_BUF_ERROR) {
    return sm_fail(error, SM_BAD_FILE, "%s: byte %zu: truncated: the compressed data have no checksum",
                   from->path, end);
  }
  return SM_OK;
}

static sm_status next_of_content(void *out, void *from, size_t bytes, sm_error *error) {
  return read_all(out, from, bytes, "data", error);
}

static sm_status read_header(sm_element *element, sm_shape *shape, source *from, sm_error *error) {
  unsigned char magic[MAGIC_BYTES], size[SM_MAX_RANK][SIZE_BYTES];
  sm_status status = read_all(magic, from, sizeof magic, "header", error);
  if (status != SM_OK) return status;
  if (magic[0] || magic[1]) {
    return sm_fail(error, SM_BAD_FILE, "%s: byte 0: expected two zero bytes (IDX), found 0x%02x 0x%02x",
                   from->path, magic[0], magic[1]);
  }
  *element = element_of(magic[2]);
  if (*element == SM_ELEMENTS) {
    return sm_fail(error, SM_BAD_FILE, "%s: byte 2: expected a type of 0x08, 0x09 or 0x0b to 0x0e, found 0x%02x",
                   from->path, magic[2]);
  }
  if (magic[3] < 1 || magic[3] > SM_MAX_RANK) {
    return sm_fail(error, SM_BAD_FILE, "%s: byte 3: expected a rank from 1 to %d, found %d", from->path,
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
static sm_status check_size(const source *from, sm_element element, const sm_shape *shape, sm_error *error) {
  char text[SM_SHAPE_TEXT];
  uint64_t present = from->file_bytes - from->offset;
  size_t bytes;
  if (!sm_shape_extent(&bytes, shape, sm_element_bytes(element))) {
    return sm_fail(error, SM_BAD_FILE, "%s: byte %d: the sizes %s are too large", from->path, MAGIC_BYTES,
                   sm_shape_text(text, shape));
  }
  if (!gzdirect(from->stream)) {
    if (bytes / DEFLATE_RATIO <= from->file_bytes) return SM_OK;
    return sm_fail(error, SM_BAD_FILE,
                   "%s: byte %d: the sizes %s ask for %zu bytes, more than %llu compressed ones hold",
                   from->path, MAGIC_BYTES, sm_shape_text(text, shape), bytes,
                   (unsigned long long)from->file_bytes);
  }
  if (bytes <= present) return SM_OK;
  return sm_fail(error, SM_BAD_FILE, "%s: byte %zu: truncated: expected %zu bytes of data, found %llu",
                 from->path, from->offset, bytes, (unsigned long long)present);
}

static sm_status read_tensor(sm_tensor *out, sm_memory *memory, source *from, sm_error *error) {
  sm_shape shape = {0};
  sm_elements elements = {.big_endian = true, .label = from->path, .next = next_of_content, .from = from};
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
  source from = {.stream = gzdopen(file.descriptor, "rb"), .path = path, .file_bytes = file.bytes};
  if (!from.stream) {
    sm_file_close(&file);
    return sm_fail(error, SM_NO_MEMORY, "%s: out of memory", path);
  }
  gzbuffer(from.stream, WINDOW_BYTES);
  status = read_tensor(out, memory, &from, error);
  gzclose_r(from.stream); /* closes the descriptor too */
  return status;
}
