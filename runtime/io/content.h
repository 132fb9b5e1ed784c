/* What a file holds, compressed by gzip (RFC 1952, any number of members) or not: its first two bytes tell. */
#ifndef SM_CONTENT_H
#define SM_CONTENT_H

#include <stdbool.h>
#include <zlib.h>

#include "io/file.h"

/* How far what is compressed can be believed to grow. */
enum {
  SM_DEFLATE_RATIO = 1032,     /* deflate shrinks at most this much (zlib's technical notes) */
  SM_USUAL_RATIO = 100,        /* data worth training on far less: what shrinks more is a trap, once it is large */
  SM_LARGE_CONTENT = 256 << 20 /* bytes */
};

typedef struct sm_content {
  const sm_file *file;
  uint64_t next;    /* the byte of the file that is read next */
  uint64_t offset;  /* in the content, uncompressed */
  bool compressed;
  bool is_cut;      /* the file ended within a member */
  bool between;     /* a member has ended, and no other begun */
  z_stream stream;
  unsigned char *buffer; /* of compressed bytes, so many */
  size_t buffer_bytes;
} sm_content;

/* The caller keeps the file open meanwhile. After a failure the content is closed. */
sm_status sm_content_open(sm_content *content, const sm_file *file, sm_error *error);

/* Reads up to `bytes` bytes; *got is less where the content ends. SM_BAD_FILE for compressed data that are damaged, of
   another length or checksum than their member says, or followed by what is no member. */
sm_status sm_content_read(void *out, size_t *got, sm_content *content, size_t bytes, sm_error *error);

/* Idempotent. */
void sm_content_close(sm_content *content);

#endif
