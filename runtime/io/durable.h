/* Files that are either whole or as they were: content goes to a temporary name in the same directory, is
   synced, and takes its name in one step. A crash leaves at most a temporary, called .NAME.tmp-PROCESS. */
#ifndef SM_DURABLE_H
#define SM_DURABLE_H

#include <stddef.h>

#include "core/status.h"

typedef struct sm_writer {
  int descriptor;  /* -1: closed */
  char *path;      /* the file to be; a symbolic link is replaced, not followed */
  char *temporary; /* where the content goes until the commit */
} sm_writer;

/* A writer for `path`. After a failure it is closed and nothing is left behind. */
sm_status sm_writer_open(sm_writer *writer, const char *path, sm_error *error);

/* Appends. After a failure the caller abandons the writer. */
sm_status sm_writer_write(sm_writer *writer, const void *data, size_t bytes, sm_error *error);

/* Syncs, renames, syncs the directory; the writer is closed in any case. After a failure before the rename
   the old file is untouched and the temporary is gone. */
sm_status sm_writer_commit(sm_writer *writer, sm_error *error);

/* Removes the temporary and closes the writer. Idempotent, and does nothing after a commit. */
void sm_writer_abandon(sm_writer *writer);

/* Opens, writes `bytes` bytes and commits. */
sm_status sm_write_durably(const char *path, const void *data, size_t bytes, sm_error *error);

#endif
