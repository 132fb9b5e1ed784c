#include "io/npz.h"

#include <zlib.h>

#include "io/checksum.h"
#include "io/content.h"
#include "io/file.h"
#include "io/npy.h"

enum {
  BUFFER_BYTES = 1 << 16,
  PIECE_BYTES = 1 << 30 /* zlib counts in unsigned int */
};

typedef struct source {
  const sm_npz_member *member;
  const sm_file *file;
  uint64_t done; /* packed bytes that have been read */
  uint32_t checksum;
  z_stream stream;
  unsigned char buffer[BUFFER_BYTES];
} source;

static sm_status damaged(const source *s, const char *reason, sm_error *error) {
  return sm_fail(error, SM_BAD_FILE, "%s: its data, %llu bytes at byte %llu of the file, are damaged: %s",
                 s->member->label, (unsigned long long)s->member->packed, (unsigned long long)s->member->offset,
                 reason);
}

/* out = the next `bytes` packed bytes. */
static sm_status read_packed(void *out, source *s, size_t bytes, sm_error *error) {
  if (bytes > s->member->packed - s->done) return damaged(s, "they end too early", error);
  sm_status status = sm_file_read(out, s->file, s->member->offset + s->done, bytes, error);
  if (status == SM_OK) s->done += bytes;
  return status;
}

static sm_status inflate_next(void *out, source *s, size_t bytes, sm_error *error) {
  size_t got = 0;
  bool ended = false;
  while (got < bytes) {
    if (ended) return damaged(s, "they end too early", error);
    if (s->stream.avail_in == 0) {
      uint64_t rest = s->member->packed - s->done;
      size_t piece = rest < BUFFER_BYTES ? (size_t)rest : BUFFER_BYTES;
      if (piece == 0) return damaged(s, "they end too early", error);
      sm_status status = read_packed(s->buffer, s, piece, error);
      if (status != SM_OK) return status;
      s->stream.next_in = s->buffer;
      s->stream.avail_in = (unsigned)piece;
    }
    unsigned room = bytes - got < PIECE_BYTES ? (unsigned)(bytes - got) : PIECE_BYTES;
    s->stream.next_out = (unsigned char *)out + got;
    s->stream.avail_out = room;
    int code = inflate(&s->stream, Z_NO_FLUSH);
    got += room - s->stream.avail_out;
    ended = code == Z_STREAM_END;
    if (code == Z_MEM_ERROR) return sm_fail(error, SM_NO_MEMORY, "%s: out of memory", s->member->label);
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
      return damaged(s, s->stream.msg ? s->stream.msg : "no deflated data", error);
  }
  return SM_OK;
}

static sm_status next_of_member(void *out, void *from, size_t bytes, sm_error *error) {
  source *s = from;
  sm_status status = (s->member->deflated ? inflate_next : read_packed)(out, s, bytes, error);
  if (status == SM_OK) s->checksum = sm_checksum_on(s->checksum, out, bytes);
  return status;
}

static sm_status read_member(sm_tensor *out, sm_memory *memory, source *s, sm_error *error) {
  const sm_npz_member *member = s->member;
  if (member->offset > s->file->bytes || member->packed > s->file->bytes - member->offset)
    return damaged(s, "the file ends before", error);
  if (member->deflated ? member->bytes / SM_DEFLATE_RATIO > member->packed : member->bytes != member->packed)
    return damaged(s, "they cannot become as many as the archive says", error);
  if (member->bytes > SM_LARGE_CONTENT && member->bytes / SM_USUAL_RATIO > member->packed)
    return sm_fail(error, SM_BAD_FILE, "%s: %llu bytes are compressed to less than a hundredth", member->label,
                   (unsigned long long)member->bytes);
  sm_npy_source array = {.label = member->label, .bytes = member->bytes, .next = next_of_member, .from = s};
  sm_status status = sm_npy_read_from(out, memory, &array, error);
  if (status != SM_OK || s->checksum == member->checksum) return status;
  sm_tensor_release(out);
  return damaged(s, "their checksum is another than the archive says", error);
}

sm_status sm_npz_read(sm_tensor *out, sm_memory *memory, const char *path, const sm_npz_member *member,
                      sm_error *error) {
  *out = (sm_tensor){0};
  sm_file file;
  sm_status status = sm_file_open(&file, path, error);
  if (status != SM_OK) return status;
  source s = {.member = member, .file = &file};
  if (member->deflated && inflateInit2(&s.stream, -MAX_WBITS) != Z_OK) {
    status = sm_fail(error, SM_NO_MEMORY, "%s: out of memory", member->label);
  } else {
    status = read_member(out, memory, &s, error);
    if (member->deflated) inflateEnd(&s.stream);
  }
  sm_file_close(&file);
  return status;
}
