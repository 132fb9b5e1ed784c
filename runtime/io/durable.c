#include "io/durable.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "io/again.h"
#include "io/beneath.h"
#include "io/destination.h"

enum {
  OPEN_WRITERS = 64, /* writers of one process for the same path; their temporaries differ by a number */
  NUMBERS = 48       /* room for the rest of ".NAME.tmp-PROCESS-NUMBER" */
};

static const char mark[] = ".tmp-";

static void forget(sm_writer *writer) {
  if (writer->directory >= 0) close(writer->directory);
  free(writer->path);
  free(writer->name);
  free(writer->temporary);
  *writer = (sm_writer){.descriptor = -1, .directory = -1};
}

static sm_status refused(const sm_writer *writer, const char *what, sm_error *error) {
  if (errno == ENOMEM) return sm_fail(error, SM_NO_MEMORY, "%s: out of memory", writer->path);
  return sm_fail(error, SM_SYSTEM, "%s: cannot %s: %s", writer->path, what, strerror(errno));
}

/* What a failed sync leaves in doubt. */
static sm_status unsynced(const sm_writer *writer, const char *what, const char *so, sm_error *error) {
  return sm_fail(error, SM_SYSTEM, "%s: cannot sync%s: %s; what was written %s", writer->path, what, strerror(errno),
                 so);
}

/* Length of as much of a name as fits, with the rest of a temporary's name, into what a directory takes, whole
   characters of UTF-8. */
static int kept_length(const char *name) {
  size_t length = strlen(name), most = NAME_MAX - NUMBERS;
  if (length <= most) return (int)length;
  for (length = most; length > 0 && ((unsigned char)name[length] & 0xC0) == 0x80;) length--;
  return (int)length;
}

/* Whether the name is that of the open file. A writer renames and creates only what it has locked, so that the answer
   stays true while the caller has the lock. */
static bool is_named(const sm_writer *writer, const char *name, int descriptor) {
  struct stat by_name, by_descriptor;
  return fstatat(writer->directory, name, &by_name, AT_SYMLINK_NOFOLLOW) == 0 &&
         fstat(descriptor, &by_descriptor) == 0 && by_name.st_ino == by_descriptor.st_ino &&
         by_name.st_dev == by_descriptor.st_dev;
}

/* Removes the temporaries of a name whose writers are gone: each holds a lock on its own until it has been renamed. */
static void remove_remains(const sm_writer *writer) {
  int directory = sm_open_again(writer->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *listing = directory >= 0 ? fdopendir(directory) : NULL;
  if (!listing) {
    if (directory >= 0) close(directory);
    return;
  }
  char prefix[NAME_MAX + 1];
  size_t length = (size_t)snprintf(prefix, sizeof prefix, ".%.*s%s", kept_length(writer->name), writer->name, mark);
  for (const struct dirent *entry; (entry = readdir(listing));) {
    if (strncmp(entry->d_name, prefix, length) != 0) continue;
    const char *numbers = entry->d_name + length;
    if (!*numbers || numbers[strspn(numbers, "0123456789-")]) continue;
    int descriptor = sm_open_again(writer->directory, entry->d_name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (descriptor < 0) continue;
    if (flock(descriptor, LOCK_EX | LOCK_NB) == 0 && is_named(writer, entry->d_name, descriptor))
      unlinkat(writer->directory, entry->d_name, 0);
    close(descriptor);
  }
  closedir(listing);
}

/* Whether the new file is locked and still has its name: another process may have taken it for remains. A file
   system without locks keeps its remains, too. */
static bool is_held(int descriptor) {
  struct stat status;
  int locked;
  do locked = flock(descriptor, LOCK_EX);
  while (locked != 0 && errno == EINTR);
  return locked != 0 || (fstat(descriptor, &status) == 0 && status.st_nlink > 0);
}

/* Opens .NAME.tmp-PROCESS, or with a number behind it where that name is in use; -1 with errno. */
static int open_temporary(sm_writer *writer) {
  for (int number = 1; number <= OPEN_WRITERS; number++) {
    int length = snprintf(writer->temporary, NAME_MAX + 1, ".%.*s%s%ld", kept_length(writer->name), writer->name,
                          mark, (long)getpid());
    if (number > 1) snprintf(writer->temporary + length, (size_t)(NAME_MAX + 1 - length), "-%d", number);
    int descriptor =
        sm_open_again(writer->directory, writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC);
    if (descriptor < 0 && errno != EEXIST) return -1;
    if (descriptor >= 0 && is_held(descriptor)) return descriptor;
    if (descriptor >= 0) close(descriptor);
  }
  errno = EEXIST;
  return -1;
}

/* The temporary beside the file that is to be replaced, with its mode and owner.
   path: of the directory, from an open one on, or from AT_FDCWD. old: the file's status, NULL where there is none. */
static sm_status open_beside(sm_writer *writer, int from, const char *path, const char *name, const struct stat *old,
                             sm_error *error) {
  writer->name = strdup(name);
  writer->temporary = malloc(NAME_MAX + 1);
  if (path && writer->name && writer->temporary)
    writer->directory = sm_open_again(from, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  else errno = ENOMEM;
  if (writer->directory < 0) return refused(writer, "create a file there", error);
  if (strlen(writer->name) > NAME_MAX) {
    errno = ENAMETOOLONG;
    return refused(writer, "create", error);
  }
  if (old && faccessat(writer->directory, writer->name, W_OK, AT_EACCESS) != 0)
    return refused(writer, "replace", error);
  remove_remains(writer);
  writer->descriptor = open_temporary(writer);
  if (writer->descriptor < 0) return refused(writer, "create a temporary file beside it", error);
  if (old) {
    bool owned = fchown(writer->descriptor, old->st_uid, old->st_gid) == 0;
    fchmod(writer->descriptor, old->st_mode & (owned ? 07777u : 0777u));
  }
  return SM_OK;
}

static sm_status open_beside_found(sm_writer *writer, const sm_destination *destination, sm_error *error) {
  size_t length = (size_t)(destination->name - destination->path);
  char *directory = length ? strndup(destination->path, length) : strdup(".");
  sm_status status = open_beside(writer, AT_FDCWD, directory, destination->name,
                                 destination->exists ? &destination->status : NULL, error);
  free(directory);
  return status;
}

/* Opens what is no plain file, or makes a copy of an open descriptor. */
static sm_status open_straight(sm_writer *writer, const sm_destination *destination, sm_error *error) {
  writer->descriptor = destination->descriptor >= 0
                           ? fcntl(destination->descriptor, F_DUPFD_CLOEXEC, 0)
                           : sm_open_again(AT_FDCWD, destination->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
  return writer->descriptor >= 0 ? SM_OK : refused(writer, "open", error);
}

sm_status sm_writer_open(sm_writer *writer, const char *path, sm_error *error) {
  *writer = (sm_writer){.descriptor = -1, .directory = -1};
  sm_destination destination;
  sm_status status = sm_destination_find(&destination, path, error);
  if (status != SM_OK) return status;
  writer->path = strdup(path);
  bool plain = destination.descriptor < 0 && (!destination.exists || S_ISREG(destination.status.st_mode));
  if (!writer->path) status = sm_fail(error, SM_NO_MEMORY, "%s: out of memory", path);
  else if (plain) status = open_beside_found(writer, &destination, error);
  else status = open_straight(writer, &destination, error);
  sm_destination_forget(&destination);
  if (status != SM_OK) forget(writer);
  return status;
}

sm_status sm_writer_open_beneath(sm_writer *writer, const char *path, size_t root, sm_error *error) {
  *writer = (sm_writer){.descriptor = -1, .directory = -1};
  int parent;
  const char *name;
  sm_status status = sm_beneath_parent(&parent, &name, path, root, error);
  if (status != SM_OK) return status;
  if (parent < 0) return sm_fail(error, SM_SYSTEM, "%s: cannot create a file there: %s", path, strerror(ENOENT));
  struct stat old;
  bool exists = fstatat(parent, name, &old, AT_SYMLINK_NOFOLLOW) == 0, unknown = !exists && errno != ENOENT;
  int reason = errno;
  writer->path = strdup(path);
  if (unknown) status = sm_fail(error, SM_SYSTEM, "%s: cannot look at: %s", path, strerror(reason));
  else if (!writer->path) status = sm_fail(error, SM_NO_MEMORY, "%s: out of memory", path);
  else if (exists && !S_ISREG(old.st_mode))
    status = sm_fail(error, SM_BAD_FILE, "%s: expected a file to replace, found a %s", path,
                     sm_kind_of_file(old.st_mode));
  else status = open_beside(writer, parent, ".", name, exists ? &old : NULL, error);
  close(parent);
  if (status != SM_OK) forget(writer);
  return status;
}

sm_status sm_writer_write(sm_writer *writer, const void *data, size_t bytes, sm_error *error) {
  const char *next = data;
  while (bytes > 0) {
    ssize_t put = write(writer->descriptor, next, bytes);
    if (put < 0 && errno == EINTR) continue;
    if (put == 0) errno = EIO; /* a file that takes nothing, and does not say why */
    if (put <= 0) return refused(writer, "write", error);
    next += put;
    bytes -= (size_t)put;
  }
  return SM_OK;
}

/* Closes the descriptor: after EINTR it is closed, too. */
static bool closed(sm_writer *writer) {
  int result = close(writer->descriptor);
  writer->descriptor = -1;
  return result == 0 || errno == EINTR;
}

sm_status sm_writer_commit(sm_writer *writer, sm_error *error) {
  sm_status status = SM_OK;
  if (writer->directory < 0) {
    if (!closed(writer)) status = refused(writer, "close", error);
    forget(writer);
    return status;
  }
  if (!sm_sync_again(writer->descriptor)) status = unsynced(writer, "", "is not on the disk, and was given up", error);
  if (status == SM_OK && renameat(writer->directory, writer->temporary, writer->directory, writer->name) != 0)
    status = refused(writer, "replace", error);
  if (status != SM_OK) unlinkat(writer->directory, writer->temporary, 0);
  if (!closed(writer) && status == SM_OK) status = refused(writer, "close", error);
  if (status == SM_OK && !sm_sync_entries(writer->directory))
    status = unsynced(writer, " its directory", "may not be on the disk", error);
  forget(writer);
  return status;
}

void sm_writer_abandon(sm_writer *writer) {
  if (writer->descriptor < 0) return;
  if (writer->directory >= 0) unlinkat(writer->directory, writer->temporary, 0);
  close(writer->descriptor);
  forget(writer);
}

static sm_status write_all(sm_writer *writer, const void *data, size_t bytes, sm_error *error) {
  sm_status status = sm_writer_write(writer, data, bytes, error);
  if (status == SM_OK) return sm_writer_commit(writer, error);
  sm_writer_abandon(writer);
  return status;
}

sm_status sm_write_durably(const char *path, const void *data, size_t bytes, sm_error *error) {
  sm_writer writer;
  sm_status status = sm_writer_open(&writer, path, error);
  return status == SM_OK ? write_all(&writer, data, bytes, error) : status;
}

sm_status sm_write_durably_beneath(const char *path, size_t root, const void *data, size_t bytes, sm_error *error) {
  sm_writer writer;
  sm_status status = sm_writer_open_beneath(&writer, path, root, error);
  return status == SM_OK ? write_all(&writer, data, bytes, error) : status;
}

/* Syncs the directory that has an entry. */
static sm_status sync_entry(const char *path, sm_error *error) {
  size_t length = strlen(path);
  while (length > 1 && path[length - 1] == '/') length--;
  while (length > 0 && path[length - 1] != '/') length--;
  char *parent = length ? strndup(path, length) : strdup(".");
  int descriptor = parent ? sm_open_again(AT_FDCWD, parent, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
  bool synced = descriptor >= 0 && sm_sync_directory(descriptor);
  int reason = errno;
  if (descriptor >= 0) close(descriptor);
  free(parent);
  if (synced) return SM_OK;
  return sm_fail(error, SM_SYSTEM, "the directory %s may not be on the disk: %s", path, strerror(reason));
}

sm_status sm_make_directory(bool *made, const char *path, sm_error *error) {
  *made = mkdir(path, 0777) == 0;
  if (!*made && errno == EEXIST) return SM_OK;
  if (!*made) return sm_fail(error, SM_SYSTEM, "cannot make the directory %s: %s", path, strerror(errno));
  return sync_entry(path, error);
}

sm_status sm_move_directory(bool *moved, const char *from, const char *to, sm_error *error) {
  *moved = rename(from, to) == 0;
  if (!*moved && (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR)) return SM_OK;
  if (!*moved) return sm_fail(error, SM_SYSTEM, "cannot move the directory %s to %s: %s", from, to, strerror(errno));
  sm_status status = sync_entry(to, error); /* first, so that it is never nowhere */
  return status == SM_OK ? sync_entry(from, error) : status;
}
