#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/again.h"
#include "io/beneath.h"

sm_status sm_file_open(sm_file *file, const char *path, sm_error *error) {
  *file = (sm_file){.path = path, .descriptor = -1};
  /* O_NONBLOCK: a pipe without a writer is refused below instead of waited for; regular files ignore it. */
  int descriptor = sm_open_again(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return sm_fail(error, SM_SYSTEM, "%s: cannot open: %s", path, strerror(errno));
  struct stat status;
  if (fstat(descriptor, &status) != 0) {
    int reason = errno;
    close(descriptor);
    return sm_fail(error, SM_SYSTEM, "%s: cannot read its size: %s", path, strerror(reason));
  }
  if (!S_ISREG(status.st_mode)) {
    close(descriptor);
    return sm_fail(error, SM_BAD_FILE, "%s: expected a regular file, found a %s", path,
                   S_ISDIR(status.st_mode) ? "directory" : "pipe or device");
  }
  file->descriptor = descriptor;
  file->bytes = (uint64_t)status.st_size;
  return SM_OK;
}

sm_status sm_file_open_beneath(sm_file *file, const char *path, size_t root, sm_error *error) {
  *file = (sm_file){.path = path, .descriptor = -1};
  sm_status status = sm_beneath_open(&file->descriptor, path, root, O_RDONLY, error);
  if (status != SM_OK) return status;
  struct stat found;
  if (file->descriptor >= 0 && fstat(file->descriptor, &found) == 0) {
    file->bytes = (uint64_t)found.st_size;
    return SM_OK;
  }
  int reason = file->descriptor < 0 ? ENOENT : errno;
  sm_file_close(file);
  return sm_fail(error, SM_SYSTEM, "%s: cannot open: %s", path, strerror(reason));
}

sm_status sm_file_read(void *out, const sm_file *file, uint64_t offset, size_t bytes, sm_error *error) {
  char *next = out;
  for (size_t rest = bytes; rest > 0;) {
    ssize_t got = pread(file->descriptor, next, rest, (off_t)offset);
    if (got < 0) {
      if (errno == EINTR) continue;
      return sm_fail(error, SM_SYSTEM, "%s: cannot read at byte %llu: %s", file->path,
                     (unsigned long long)offset, strerror(errno));
    }
    if (got == 0) {
      return sm_fail(error, SM_BAD_FILE, "%s: the file ends at byte %llu, %zu bytes too early", file->path,
                     (unsigned long long)offset, rest);
    }
    next += got;
    offset += (uint64_t)got;
    rest -= (size_t)got;
  }
  return SM_OK;
}

sm_status sm_file_next(void *out, void *from, size_t bytes, sm_error *error) {
  sm_file_source *source = from;
  sm_status status = sm_file_read(out, source->file, source->offset, bytes, error);
  source->offset += bytes;
  return status;
}

void sm_file_close(sm_file *file) {
  if (file->descriptor >= 0) close(file->descriptor);
  file->descriptor = -1;
}
