/* Reading of regular files whose size is known before anything is allocated for their content. */
#ifndef SM_FILE_H
#define SM_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

typedef struct sm_file {
  const char *path; /* owned by the caller, for messages */
  int descriptor;   /* -1: closed */
  uint64_t bytes;   /* size when it was opened */
} sm_file;

/* SM_SYSTEM with the reason when the file cannot be opened, SM_BAD_FILE when it is a directory, a pipe or a
   device. After a failure the file is closed. */
sm_status sm_file_open(sm_file *file, const char *path, sm_error *error);

/* The same beneath a directory that may be a stranger's: see io/beneath.h. */
sm_status sm_file_open_beneath(sm_file *file, const char *path, size_t root, sm_error *error);

/* out = `bytes` bytes from `offset` on. SM_BAD_FILE when the file ends before, SM_SYSTEM for a failed read. */
sm_status sm_file_read(void *out, const sm_file *file, uint64_t offset, size_t bytes, sm_error *error);

/* A place in a file, for what is read one piece after the other. */
typedef struct sm_file_source {
  const sm_file *file;
  uint64_t offset; /* of the next piece */
} sm_file_source;

/* out = the next `bytes` bytes of an sm_file_source, `from`; errors as for sm_file_read. */
sm_status sm_file_next(void *out, void *from, size_t bytes, sm_error *error);

/* Idempotent. */
void sm_file_close(sm_file *file);

#endif
