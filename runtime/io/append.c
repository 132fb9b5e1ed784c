#include "io/append.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/again.h"
#include "io/beneath.h"

sm_status sm_appender_open_beneath(sm_appender *appender, const char *path, size_t root, sm_error *error) {
  *appender = (sm_appender){.descriptor = -1};
  appender->path = strdup(path);
  if (!appender->path) return sm_fail(error, SM_NO_MEMORY, "%s: out of memory", path);
  sm_status status =
      sm_beneath_open(&appender->descriptor, path, root, O_WRONLY | O_APPEND | O_CREAT, error);
  if (status != SM_OK) sm_appender_close(appender, NULL);
  return status;
}

/* Takes the last bytes of a file away again. */
static bool cut(int descriptor, size_t bytes) {
  struct stat status;
  if (fstat(descriptor, &status) != 0) return false;
  int result;
  do result = ftruncate(descriptor, status.st_size - (off_t)bytes);
  while (result != 0 && errno == EINTR);
  return result == 0;
}

sm_status sm_appender_write(sm_appender *appender, const void *data, size_t bytes, sm_error *error) {
  size_t written = 0;
  while (written < bytes) {
    ssize_t put = write(appender->descriptor, (const char *)data + written, bytes - written);
    if (put > 0) {
      written += (size_t)put;
    } else if (put == 0 || errno != EINTR) {
      int reason = put == 0 ? EIO : errno;
      bool whole = written == 0 || cut(appender->descriptor, written);
      return sm_fail(error, SM_SYSTEM, "%s: cannot write: %s%s", appender->path, strerror(reason),
                     whole ? "" : "; its last line is incomplete");
    }
  }
  return SM_OK;
}

sm_status sm_appender_sync(sm_appender *appender, sm_error *error) {
  if (appender->doubtful)
    return sm_fail(error, SM_SYSTEM, "%s: an earlier sync has failed; its last lines may not be on the disk",
                   appender->path);
  if (sm_sync_again(appender->descriptor)) return SM_OK;
  appender->doubtful = true;
  return sm_fail(error, SM_SYSTEM, "%s: cannot sync: %s; its last lines may not be on the disk", appender->path,
                 strerror(errno));
}

sm_status sm_appender_close(sm_appender *appender, sm_error *error) {
  sm_status status = SM_OK;
  if (appender->descriptor >= 0 && close(appender->descriptor) != 0 && errno != EINTR)
    status = sm_fail(error, SM_SYSTEM, "%s: cannot close: %s; its last lines may not be on the disk", appender->path,
                     strerror(errno));
  free(appender->path);
  *appender = (sm_appender){.descriptor = -1};
  return status;
}
