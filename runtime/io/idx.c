#include "io/idx.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "io/file.h"

enum {
  MAGIC_BYTES = 4,
  SIZE_BYTES = 4,
  MAX_RANK = 4,
  UNSIGNED_BYTES = 0x08, /* the one element type that is read */
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

static const char *element_name(int type) {
  switch (type) {
    case UNSIGNED_BYTES: return "unsigned bytes";
    case 0x09: return "signed bytes";
    case 0x0b: return "16-bit integers";
    case 0x0c: return "32-bit integers";
    case 0x0d: return "32-bit floats";
    case 0x0e: return "64-bit floats";
    default: return NULL;
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

static sm_status read_shape(sm_shape *shape, source *from, sm_error *error) {
  unsigned char magic[MAGIC_BYTES], size[MAX_RANK][SIZE_BYTES];
  sm_status status = read_all(magic, from, sizeof magic, "header", error);
  if (status != SM_OK) return status;
  if (magic[0] || magic[1]) {
    return sm_fail(error, SM_BAD_FILE, "%s: byte 0: expected two zero bytes (IDX), found 0x%02x 0x%02x",
                   from->path, magic[0], magic[1]);
  }
  if (magic[2] != UNSIGNED_BYTES) {
    const char *name = element_name(magic[2]);
    return sm_fail(error, SM_BAD_FILE,
                   "%s: byte 2: expected unsigned bytes (type 0x08), found %s (type 0x%02x)", from->path,
                   name ? name : "an unknown type", magic[2]);
  }
  if (magic[3] < 1 || magic[3] > MAX_RANK) {
    return sm_fail(error, SM_BAD_FILE, "%s: byte 3: expected a rank from 1 to %d, found %d", from->path,
                   MAX_RANK, magic[3]);
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

/* *bytes = the number of elements, after making sure that a file of this length can hold them. */
static sm_status check_size(size_t *bytes, const source *from, const sm_shape *shape, sm_error *error) {
  char text[SM_SHAPE_TEXT];
  bool compressed = !gzdirect(from->stream), empty = false, overflow = false;
  *bytes = 1;
  for (int i = 0; i < shape->rank; i++) {
    empty = empty || shape->size[i] == 0;
    overflow = __builtin_mul_overflow(*bytes, shape->size[i], bytes) || overflow;
  }
  if (empty) {
    *bytes = 0;
  } else if (overflow) {
    return sm_fail(error, SM_BAD_FILE, "%s: byte %d: the sizes %s are too large", from->path, MAGIC_BYTES,
                   sm_shape_text(text, shape));
  }
  uint64_t present = from->file_bytes - from->offset;
  if (compressed) {
    if (*bytes / DEFLATE_RATIO > from->file_bytes) {
      return sm_fail(error, SM_BAD_FILE,
                     "%s: byte %d: the sizes %s ask for %zu bytes, more than %llu compressed ones hold",
                     from->path, MAGIC_BYTES, sm_shape_text(text, shape), *bytes,
                     (unsigned long long)from->file_bytes);
    }
  } else if (*bytes > present) {
    return sm_fail(error, SM_BAD_FILE, "%s: byte %zu: truncated: expected %zu bytes of data, found %llu",
                   from->path, from->offset, *bytes, (unsigned long long)present);
  }
  return SM_OK;
}

static sm_status read_tensor(sm_tensor *out, sm_memory *memory, source *from, sm_error *error) {
  sm_shape shape = {0};
  size_t bytes;
  sm_status status = read_shape(&shape, from, error);
  if (status == SM_OK) status = check_size(&bytes, from, &shape, error);
  if (status == SM_OK) status = sm_tensor_new(out, memory, SM_UINT8, &shape, error);
  if (status != SM_OK) return status;
  status = read_all(out->data, from, bytes, "data", error);
  if (status == SM_OK) status = expect_end(from, error);
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
