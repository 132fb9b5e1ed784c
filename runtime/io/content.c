#include "io/content.h"

#include <stdlib.h>

enum {
  MOST_BUFFERED = 128 * 1024,
  MAGIC_BYTES = 2,
  PIECE_BYTES = 1 << 30,          /* zlib counts in unsigned int */
  GZIP_ALONE = 16 + MAX_WBITS     /* inflateInit2: a header and a trailer of gzip, and no other */
};

static const unsigned char magic[MAGIC_BYTES] = {0x1f, 0x8b};

static sm_status no_memory(const sm_content *content, sm_error *error) {
  return sm_fail(error, SM_NO_MEMORY, "%s: out of memory", content->file->path);
}

sm_status sm_content_open(sm_content *content, const sm_file *file, sm_error *error) {
  *content = (sm_content){.file = file};
  unsigned char front[MAGIC_BYTES] = {0};
  if (file->bytes < MAGIC_BYTES) return SM_OK;
  sm_status status = sm_file_read(front, file, 0, MAGIC_BYTES, error);
  if (status != SM_OK || front[0] != magic[0] || front[1] != magic[1]) return status;
  content->buffer_bytes = file->bytes < MOST_BUFFERED ? (size_t)file->bytes : MOST_BUFFERED;
  content->buffer = malloc(content->buffer_bytes);
  if (!content->buffer) return no_memory(content, error);
  if (inflateInit2(&content->stream, GZIP_ALONE) != Z_OK) {
    free(content->buffer);
    content->buffer = NULL;
    return no_memory(content, error);
  }
  content->compressed = true;
  return SM_OK;
}

static sm_status read_plain(void *out, size_t *got, sm_content *content, size_t bytes, sm_error *error) {
  uint64_t rest = content->file->bytes - content->next;
  size_t piece = bytes < rest ? bytes : (size_t)rest;
  sm_status status = sm_file_read(out, content->file, content->next, piece, error);
  if (status != SM_OK) return status;
  content->next += piece;
  content->offset += piece;
  *got = piece;
  return SM_OK;
}

/* Fills the empty buffer; leaves it empty where the file ends. */
static sm_status fill(sm_content *content, sm_error *error) {
  uint64_t rest = content->file->bytes - content->next;
  size_t piece = rest < content->buffer_bytes ? (size_t)rest : content->buffer_bytes;
  sm_status status = sm_file_read(content->buffer, content->file, content->next, piece, error);
  if (status != SM_OK) return status;
  content->next += piece;
  content->stream.next_in = content->buffer;
  content->stream.avail_in = (unsigned)piece;
  return SM_OK;
}

/* A member has ended, and more bytes follow: they must be another. */
static sm_status begin_member(sm_content *content, sm_error *error) {
  uint64_t at = content->next - content->stream.avail_in;
  unsigned char front[MAGIC_BYTES] = {0};
  if (content->file->bytes - at >= MAGIC_BYTES) {
    sm_status status = sm_file_read(front, content->file, at, MAGIC_BYTES, error);
    if (status != SM_OK) return status;
  }
  if (front[0] != magic[0] || front[1] != magic[1]) {
    return sm_fail(error, SM_BAD_FILE, "%s: byte %llu of the file: what follows the compressed data is none of them",
                   content->file->path, (unsigned long long)at);
  }
  inflateReset(&content->stream);
  content->between = false;
  return SM_OK;
}

/* What a step of zlib's says; *got grows by what it gave. */
static sm_status inflate_some(void *out, size_t *got, sm_content *content, size_t bytes, sm_error *error) {
  z_stream *stream = &content->stream;
  unsigned piece = bytes - *got < PIECE_BYTES ? (unsigned)(bytes - *got) : PIECE_BYTES;
  stream->next_out = (unsigned char *)out + *got;
  stream->avail_out = piece;
  int code = inflate(stream, Z_NO_FLUSH);
  size_t given = piece - stream->avail_out;
  *got += given;
  content->offset += given;
  if (code == Z_STREAM_END) content->between = true;
  if (code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR) return SM_OK;
  if (code == Z_MEM_ERROR) return no_memory(content, error);
  return sm_fail(error, SM_BAD_FILE, "%s: byte %llu: the compressed data after it are damaged: %s",
                 content->file->path, (unsigned long long)content->offset, stream->msg ? stream->msg : "no gzip");
}

static sm_status read_compressed(void *out, size_t *got, sm_content *content, size_t bytes, sm_error *error) {
  while (*got < bytes) {
    sm_status status = content->stream.avail_in > 0 ? SM_OK : fill(content, error);
    if (status == SM_OK && content->stream.avail_in == 0) {
      content->is_cut = !content->between;
      return SM_OK;
    }
    if (status == SM_OK && content->between) status = begin_member(content, error);
    if (status == SM_OK) status = inflate_some(out, got, content, bytes, error);
    if (status != SM_OK) return status;
  }
  return SM_OK;
}

sm_status sm_content_read(void *out, size_t *got, sm_content *content, size_t bytes, sm_error *error) {
  *got = 0;
  return (content->compressed ? read_compressed : read_plain)(out, got, content, bytes, error);
}

void sm_content_close(sm_content *content) {
  if (content->compressed) inflateEnd(&content->stream);
  free(content->buffer);
  *content = (sm_content){0};
}
