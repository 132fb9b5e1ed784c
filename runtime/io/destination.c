#include "io/destination.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_LINKS = 40 }; /* as many as the kernel follows */

/* The descriptor that a path names, whatever it is open on; -1 for any other path. Opening such a path would open
   the file behind it anew, at its beginning, and fails for a socket. The other names of descriptors are links to
   these. */
static int named_descriptor(const char *path) {
  static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/", "/proc/thread-self/fd/"};
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
    size_t length = strlen(folders[i]);
    const char *digits = path + length;
    if (strncmp(path, folders[i], length) != 0 || !*digits || digits[strspn(digits, "0123456789")]) continue;
    long number = strtol(digits, NULL, 10);
    return number <= INT_MAX ? (int)number : -1;
  }
  return -1;
}

static const char *name_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* Replaces the path of a link by what it points to, from the link's directory on; -1 with errno. */
static int follow(sm_destination *destination) {
  char target[PATH_MAX];
  ssize_t length = readlink(destination->path, target, sizeof target - 1);
  if (length < 0) return -1;
  target[length] = '\0';
  size_t directory = target[0] == '/' ? 0 : (size_t)(name_of(destination->path) - destination->path);
  char *path = malloc(directory + (size_t)length + 1);
  if (!path) return -1;
  memcpy(path, destination->path, directory);
  memcpy(path + directory, target, (size_t)length + 1);
  free(destination->path);
  destination->path = path;
  return 0;
}

static sm_status refused(sm_destination *destination, const char *path, sm_error *error) {
  int reason = errno;
  sm_destination_forget(destination);
  if (reason == ENOMEM) return sm_fail(error, SM_NO_MEMORY, "%s: out of memory", path);
  return sm_fail(error, SM_SYSTEM, "%s: cannot open: %s", path, strerror(reason));
}

sm_status sm_destination_find(sm_destination *destination, const char *path, sm_error *error) {
  *destination = (sm_destination){.path = strdup(path), .descriptor = -1};
  for (int links = 0; destination->path; links++) {
    destination->descriptor = named_descriptor(destination->path);
    if (destination->descriptor >= 0) break;
    destination->exists = lstat(destination->path, &destination->status) == 0;
    if (!destination->exists && errno != ENOENT) return refused(destination, path, error);
    if (!destination->exists || !S_ISLNK(destination->status.st_mode)) break;
    if (links == MAX_LINKS) errno = ELOOP;
    if (links == MAX_LINKS || follow(destination) != 0) return refused(destination, path, error);
  }
  if (!destination->path) return refused(destination, path, error);
  destination->name = name_of(destination->path);
  if (!*destination->name || (destination->exists && S_ISDIR(destination->status.st_mode))) {
    sm_destination_forget(destination);
    return sm_fail(error, SM_BAD_VALUE, "%s: expected the name of a file to write, got %s", path,
                   path[0] ? "a directory" : "an empty name");
  }
  return SM_OK;
}

void sm_destination_forget(sm_destination *destination) {
  free(destination->path);
  destination->path = NULL;
}
