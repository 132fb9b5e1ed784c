/* Files of a directory that may be a stranger's, a run's for example. The first `root` bytes of a path name the
   directory, which is reached through whatever links there are. Beneath it no link is followed, and nothing is opened
   but directories and regular files, so that no other file is read or changed, no pipe is waited for, and no device
   is touched. Every step goes by descriptors: what was looked at is what is opened. */
#ifndef SM_BENEATH_H
#define SM_BENEATH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "core/status.h"

/* "directory", "symbolic link", "named pipe", … */
const char *sm_kind_of_file(mode_t mode);

/* From now on, what lies beneath this directory, as paths are written, is reached through no link, also where it is a
   root: somebody else may write there. NULL lifts it. SM_BAD_VALUE for a path that is too long. */
sm_status sm_beneath_hold(const char *directory, sm_error *error);

/* *descriptor = a directory, which may be reached through links, for openat and the like; -1 where there is none. */
sm_status sm_beneath_root(int *descriptor, const char *path, sm_error *error);

/* *descriptor = the directory that the last part of a path lies in, for openat and the like; -1 where there is none.
   *name = that last part, inside path. SM_BAD_FILE where something on the way is no directory, SM_BAD_VALUE for a
   path with "." or "..", or nothing, between its slashes beneath the root. */
sm_status sm_beneath_parent(int *descriptor, const char **name, const char *path, size_t root, sm_error *error);

/* *descriptor = a regular file, opened with these flags of open(2); -1 where there is none and O_CREAT is not asked
   for. SM_BAD_FILE for anything else. */
sm_status sm_beneath_open(int *descriptor, const char *path, size_t root, int flags, sm_error *error);

/* *descriptor = a directory that can be listed; -1 where there is none. */
sm_status sm_beneath_open_directory(int *descriptor, const char *path, size_t root, sm_error *error);

/* *exists, and *status as lstat has it. What cannot be reached for a link on the way does not exist. */
sm_status sm_beneath_status(struct stat *status, bool *exists, const char *path, size_t root, sm_error *error);

/* Makes the directories of a path beneath the root that are not there, and syncs their entries. */
sm_status sm_beneath_make(const char *path, size_t root, sm_error *error);

/* Removes what a path names, a directory with all it has. A link goes, not what it leads to. What is not there is no
   error. */
sm_status sm_beneath_remove(const char *path, size_t root, sm_error *error);

#endif
