/* Files that grow by whole pieces, such as rows: a piece is there or it is not, as long as the process lives. What is
   to outlive the machine is synced. */
#ifndef SM_APPEND_H
#define SM_APPEND_H

#include <stdbool.h>
#include <stddef.h>

#include "core/status.h"

typedef struct sm_appender {
  int descriptor; /* -1: closed */
  bool doubtful;  /* a sync has failed: none is tried again */
  char *path;     /* as it was given, for messages */
} sm_appender;

/* Opens a file, or makes one, beneath a directory that may be a stranger's: see io/beneath.h. */
sm_status sm_appender_open_beneath(sm_appender *appender, const char *path, size_t root, sm_error *error);

/* After a failure the file ends where it ended before, unless the message says otherwise. */
sm_status sm_appender_write(sm_appender *appender, const void *data, size_t bytes, sm_error *error);

/* All that was written is on the disk. */
sm_status sm_appender_sync(sm_appender *appender, sm_error *error);

/* Idempotent. */
sm_status sm_appender_close(sm_appender *appender, sm_error *error);

#endif
