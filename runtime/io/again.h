/* Calls of the system that a signal may interrupt, made again. */
#ifndef SM_AGAIN_H
#define SM_AGAIN_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

/* openat(2). */
static inline int sm_open_again(int directory, const char *path, int flags) {
  int descriptor;
  do descriptor = openat(directory, path, flags, 0666);
  while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

/* fsync(2). False with errno when it fails. Then nobody asks for the same file again: the system has forgotten what it
   could not write, and the next answer would be that all is well. */
static inline bool sm_sync_again(int descriptor) {
  int result;
  do result = fsync(descriptor);
  while (result != 0 && errno == EINTR);
  return result == 0;
}

/* The entries of a directory, which is open for reading. EINVAL: one that needs no sync. */
static inline bool sm_sync_entries(int directory) { return sm_sync_again(directory) || errno == EINVAL; }

/* The same of a directory that is open in whatever way; one that may not be read cannot be synced. */
static inline bool sm_sync_directory(int directory) {
  int descriptor = sm_open_again(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return errno == EACCES;
  bool synced = sm_sync_entries(descriptor);
  int reason = errno;
  close(descriptor);
  errno = reason;
  return synced;
}

#endif
