#include "io/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  OPEN_WRITERS = 64, /* writers of one process for the same path; their temporaries differ by a number */
  NUMBERS = 48       /* room for ".tmp-PROCESS-NUMBER" and the rest of the pattern */
};

static void forget(sm_writer *writer) {
  free(writer->path);
  free(writer->temporary);
  *writer = (sm_writer){.descriptor = -1};
}

static sm_status refused(const sm_writer *writer, const char *what, sm_error *error) {
  return sm_fail(error, SM_SYSTEM, "%s: cannot %s: %s", writer->path, what, strerror(errno));
}

/* Length of the directory part of a path, its last slash included; 0 for a name alone. */
static size_t directory_length(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? (size_t)(slash - path) + 1 : 0;
}

/* Opens .NAME.tmp-PROCESS, or with a number behind it where that name is in use. */
static int open_temporary(sm_writer *writer, size_t capacity) {
  size_t directory = directory_length(writer->path);
  for (int number = 1; number <= OPEN_WRITERS; number++) {
    int length = snprintf(writer->temporary, capacity, "%.*s.%s.tmp-%ld", (int)directory, writer->path,
                          writer->path + directory, (long)getpid());
    if (number > 1) snprintf(writer->temporary + length, capacity - (size_t)length, "-%d", number);
    int descriptor = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor >= 0 || errno != EEXIST) return descriptor;
  }
  return -1;
}

sm_status sm_writer_open(sm_writer *writer, const char *path, sm_error *error) {
  size_t capacity = strlen(path) + NUMBERS;
  *writer = (sm_writer){.descriptor = -1, .path = strdup(path), .temporary = malloc(capacity)};
  if (!writer->path || !writer->temporary) {
    forget(writer);
    return sm_fail(error, SM_NO_MEMORY, "%s: out of memory", path);
  }
  if (!path[directory_length(path)]) {
    forget(writer);
    return sm_fail(error, SM_BAD_VALUE, "%s: expected the name of a file to write, got %s", path,
                   path[0] ? "a directory" : "an empty name");
  }
  writer->descriptor = open_temporary(writer, capacity);
  if (writer->descriptor >= 0) return SM_OK;
  sm_status status = refused(writer, "create a temporary file beside it", error);
  forget(writer);
  return status;
}

sm_status sm_writer_write(sm_writer *writer, const void *data, size_t bytes, sm_error *error) {
  const char *next = data;
  while (bytes > 0) {
    ssize_t put = write(writer->descriptor, next, bytes);
    if (put < 0) {
      if (errno == EINTR) continue;
      return refused(writer, "write", error);
    }
    next += put;
    bytes -= (size_t)put;
  }
  return SM_OK;
}

/* fsync, asked again when a signal came between; false with errno when it fails. */
static bool synced(int descriptor) {
  int result;
  do result = fsync(descriptor);
  while (result != 0 && errno == EINTR);
  return result == 0;
}

/* Makes the rename last: the directory's own content is synced. */
static sm_status sync_directory(const sm_writer *writer, sm_error *error) {
  size_t length = directory_length(writer->path);
  writer->temporary[length] = '\0'; /* it lies in the same directory, and its name is no longer needed */
  int directory = open(length ? writer->temporary : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return refused(writer, "open its directory", error);
  sm_status status = SM_OK;
  /* EINVAL: a file system whose directories need no sync. */
  if (!synced(directory) && errno != EINVAL) status = refused(writer, "sync its directory", error);
  close(directory);
  return status;
}

sm_status sm_writer_commit(sm_writer *writer, sm_error *error) {
  sm_status status = SM_OK;
  if (!synced(writer->descriptor)) status = refused(writer, "sync", error);
  if (close(writer->descriptor) != 0 && status == SM_OK) status = refused(writer, "close", error);
  writer->descriptor = -1;
  if (status == SM_OK && rename(writer->temporary, writer->path) != 0)
    status = refused(writer, "replace", error);
  if (status == SM_OK) {
    status = sync_directory(writer, error);
  } else {
    unlink(writer->temporary);
  }
  forget(writer);
  return status;
}

void sm_writer_abandon(sm_writer *writer) {
  if (writer->descriptor < 0) return;
  close(writer->descriptor);
  unlink(writer->temporary);
  forget(writer);
}

sm_status sm_write_durably(const char *path, const void *data, size_t bytes, sm_error *error) {
  sm_writer writer;
  sm_status status = sm_writer_open(&writer, path, error);
  if (status != SM_OK) return status;
  status = sm_writer_write(&writer, data, bytes, error);
  if (status == SM_OK) return sm_writer_commit(&writer, error);
  sm_writer_abandon(&writer);
  return status;
}
