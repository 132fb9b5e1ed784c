/* Files that are either whole or as they were: content goes to a temporary name in the same directory, is
   synced, and takes its name in one step. A crash leaves at most a temporary, called .NAME.tmp-PROCESS, which the
   next writer of that name removes.
   A symbolic link stays, and the file that it points to is written; a file that is replaced keeps its mode, and its
   owner where the system allows it. What is no plain file (a pipe, a device, an open descriptor as /dev/fd/3) cannot be
   replaced and is written as the content comes. */
#ifndef SM_DURABLE_H
#define SM_DURABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/status.h"

typedef struct sm_writer {
  int descriptor;  /* -1: closed */
  int directory;   /* of the file and its temporary; -1: the content goes straight to where it belongs */
  char *path;      /* as it was given, for messages */
  char *name;      /* of the file to be, in the directory */
  char *temporary; /* where the content goes until the commit, in the directory */
} sm_writer;

/* A writer for `path`. After a failure it is closed and nothing is left behind. */
sm_status sm_writer_open(sm_writer *writer, const char *path, sm_error *error);

/* The same beneath a directory that may be a stranger's (see io/beneath.h): SM_BAD_FILE where something else than a
   regular file is to be replaced, a link for example. */
sm_status sm_writer_open_beneath(sm_writer *writer, const char *path, size_t root, sm_error *error);

/* Appends. After a failure the caller abandons the writer. */
sm_status sm_writer_write(sm_writer *writer, const void *data, size_t bytes, sm_error *error);

/* Syncs, renames, syncs the directory; the writer is closed in any case. After a failure before the rename
   the old file is untouched and the temporary is gone. */
sm_status sm_writer_commit(sm_writer *writer, sm_error *error);

/* Removes the temporary and closes the writer. Idempotent, and does nothing after a commit. */
void sm_writer_abandon(sm_writer *writer);

/* Opens, writes `bytes` bytes and commits. */
sm_status sm_write_durably(const char *path, const void *data, size_t bytes, sm_error *error);
sm_status sm_write_durably_beneath(const char *path, size_t root, const void *data, size_t bytes, sm_error *error);

/* Makes a directory, whose entry is synced too. The directory that it is made in may be reached through links.
   *made = false where there is something of that name. */
sm_status sm_make_directory(bool *made, const char *path, sm_error *error);

/* Gives a directory another name on the same file system; both entries are synced. *moved = false where there is
   something of that name that is not an empty directory. */
sm_status sm_move_directory(bool *moved, const char *from, const char *to, sm_error *error);

#endif
