#include "io/beneath.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "io/again.h"

enum { MAX_DEPTH = 64 }; /* of directories that are removed, each of which is open meanwhile */

const char *sm_kind_of_file(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: return "file";
    case S_IFDIR: return "directory";
    case S_IFLNK: return "symbolic link";
    case S_IFIFO: return "named pipe";
    case S_IFSOCK: return "socket";
    default: return "device";
  }
}

/* what: "cannot list: ", or "" where the reason says enough. */
static sm_status refused(const char *path, size_t length, const char *what, sm_error *error) {
  return sm_fail(error, SM_SYSTEM, "%.*s: %s%s", (int)length, path, what, strerror(errno));
}

static sm_status unexpected(const char *path, size_t length, const char *wanted, mode_t found, sm_error *error) {
  return sm_fail(error, S_ISLNK(found) ? SM_LINK : SM_BAD_FILE, "%.*s: expected a %s, found a %s", (int)length, path,
                 wanted, sm_kind_of_file(found));
}

/* The part of a path that begins at `*next`, with its end; moves `*next` behind the slash, to NULL after the last. */
static sm_status next_part(char *part, const char **next, const char *path, sm_error *error) {
  size_t length = strcspn(*next, "/");
  if (length <= NAME_MAX) memcpy(part, *next, length);
  part[length <= NAME_MAX ? length : 0] = '\0';
  if (!*part || strcmp(part, ".") == 0 || strcmp(part, "..") == 0)
    return sm_fail(error, SM_BAD_VALUE, "%s: expected names between the slashes, each of at most %d bytes", path,
                   NAME_MAX);
  *next = (*next)[length] ? *next + length + 1 : NULL;
  return SM_OK;
}

/* Goes from an open directory, which is closed, into one in it. *descriptor = -1 where there is none. */
static sm_status enter(int *descriptor, const char *part, const char *path, size_t length, sm_error *error) {
  int outer = *descriptor;
  *descriptor = sm_open_again(outer, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  sm_status status = SM_OK;
  struct stat found;
  if (*descriptor < 0 && errno != ENOENT) {
    if (errno == ENOTDIR && fstatat(outer, part, &found, AT_SYMLINK_NOFOLLOW) == 0)
      status = unexpected(path, length, "directory", found.st_mode, error);
    else status = refused(path, length, "", error);
  }
  close(outer);
  return status;
}

static char held[PATH_MAX]; /* see sm_beneath_hold; empty where there is none */

sm_status sm_beneath_hold(const char *directory, sm_error *error) {
  if (directory && strlen(directory) >= sizeof held)
    return sm_fail(error, SM_BAD_VALUE, "a directory's path of at most %d bytes", PATH_MAX - 1);
  strcpy(held, directory ? directory : "");
  return SM_OK;
}

/* What of a root lies beneath the directory that is held, in which the slash before it becomes the end; or NULL. */
static const char *split_held(char *directory) {
  size_t length = strlen(held);
  if (!length || strncmp(directory, held, length) != 0 || directory[length] != '/') return NULL;
  directory[length] = '\0';
  return directory + length + 1;
}

/* The directory that a path's root names. */
static sm_status given_up(int *descriptor, sm_status status) {
  if (*descriptor >= 0) close(*descriptor);
  *descriptor = -1;
  return status;
}

static sm_status open_root(int *descriptor, const char *path, size_t root, sm_error *error) {
  char directory[PATH_MAX], part[NAME_MAX + 1];
  *descriptor = -1;
  if (root >= sizeof directory) errno = ENAMETOOLONG;
  if (root >= sizeof directory) return refused(path, root, "", error);
  memcpy(directory, path, root);
  directory[root] = '\0';
  const char *next = split_held(directory);
  *descriptor = sm_open_again(AT_FDCWD, root ? directory : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (*descriptor < 0) return errno == ENOENT || errno == ENOTDIR ? SM_OK : refused(path, root, "", error);
  sm_status status = SM_OK;
  while (status == SM_OK && next && *descriptor >= 0) {
    status = next_part(part, &next, path, error);
    if (status == SM_OK) status = enter(descriptor, part, path, root, error);
  }
  return status;
}

sm_status sm_beneath_root(int *descriptor, const char *path, sm_error *error) {
  sm_status status = open_root(descriptor, path, strlen(path), error);
  return status == SM_OK ? SM_OK : given_up(descriptor, status);
}

/* What lies beneath the root of a path: the slash behind a root is not part of it. */
static const char *beneath(const char *path, size_t root) {
  return path + root + (root > 0 && path[root] == '/');
}

sm_status sm_beneath_parent(int *descriptor, const char **name, const char *path, size_t root, sm_error *error) {
  char part[NAME_MAX + 1];
  const char *next = beneath(path, root);
  sm_status status = open_root(descriptor, path, root, error);
  while (status == SM_OK) {
    *name = next;
    status = next_part(part, &next, path, error);
    if (status != SM_OK || !next) break;
    if (*descriptor >= 0) status = enter(descriptor, part, path, (size_t)(next - path - 1), error);
  }
  return status == SM_OK ? SM_OK : given_up(descriptor, status);
}

sm_status sm_beneath_open(int *descriptor, const char *path, size_t root, int flags, sm_error *error) {
  int directory;
  const char *name;
  *descriptor = -1;
  sm_status status = sm_beneath_parent(&directory, &name, path, root, error);
  if (status != SM_OK) return status;
  if (directory < 0) {
    errno = ENOENT;
    return flags & O_CREAT ? refused(path, strlen(path), "", error) : SM_OK;
  }
  struct stat found; /* also before it is opened: to open a device may do something */
  bool other = fstatat(directory, name, &found, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(found.st_mode);
  if (!other) {
    *descriptor = sm_open_again(directory, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    bool known = *descriptor >= 0 && fstat(*descriptor, &found) == 0;
    if (known) other = !S_ISREG(found.st_mode);
    else if (*descriptor >= 0 || errno != ENOENT || flags & O_CREAT) status = refused(path, strlen(path), "", error);
  }
  close(directory);
  if (other) status = unexpected(path, strlen(path), "file", found.st_mode, error);
  if (status != SM_OK && *descriptor >= 0) {
    close(*descriptor);
    *descriptor = -1;
  }
  return status;
}

sm_status sm_beneath_open_directory(int *descriptor, const char *path, size_t root, sm_error *error) {
  const char *name;
  sm_status status = sm_beneath_parent(descriptor, &name, path, root, error);
  if (status != SM_OK || *descriptor < 0) return status;
  status = enter(descriptor, name, path, strlen(path), error);
  if (status != SM_OK || *descriptor < 0) return status;
  int directory = *descriptor;
  *descriptor = sm_open_again(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (*descriptor < 0) status = refused(path, strlen(path), "cannot list: ", error);
  close(directory);
  return status;
}

sm_status sm_beneath_status(struct stat *found, bool *exists, const char *path, size_t root, sm_error *error) {
  int directory;
  const char *name;
  *exists = false;
  sm_status status = sm_beneath_parent(&directory, &name, path, root, error);
  if (status == SM_BAD_FILE || status == SM_LINK) return SM_OK;
  if (status != SM_OK || directory < 0) return status;
  *exists = fstatat(directory, name, found, AT_SYMLINK_NOFOLLOW) == 0;
  if (!*exists && errno != ENOENT) status = refused(path, strlen(path), "cannot look at: ", error);
  close(directory);
  return status;
}

sm_status sm_beneath_make(const char *path, size_t root, sm_error *error) {
  char part[NAME_MAX + 1];
  const char *next = beneath(path, root);
  int directory;
  sm_status status = open_root(&directory, path, root, error);
  while (status == SM_OK && directory >= 0 && next) {
    status = next_part(part, &next, path, error);
    size_t length = next ? (size_t)(next - path - 1) : strlen(path);
    bool made = status == SM_OK && mkdirat(directory, part, 0777) == 0;
    if (status == SM_OK && !made && errno != EEXIST)
      status = refused(path, length, "cannot make the directory: ", error);
    if (made && !sm_sync_directory(directory))
      status = refused(path, length, "the new directory may not be on the disk: ", error);
    if (status == SM_OK) status = enter(&directory, part, path, length, error);
  }
  if (status == SM_OK && directory < 0) {
    errno = ENOENT;
    status = refused(path, strlen(path), "cannot make the directory: ", error);
  }
  if (directory >= 0) close(directory);
  return status;
}

/* Removes an entry of an open directory; -1 with errno. */
static int remove_entry(int directory, const char *name, int depth) {
  if (unlinkat(directory, name, 0) == 0 || errno == ENOENT) return 0;
  if (errno != EISDIR && errno != EPERM) return -1; /* EPERM: what POSIX says of a directory */
  int reason = errno;
  int inner = sm_open_again(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (inner < 0 && errno == ENOTDIR) errno = reason;
  DIR *listing = inner >= 0 && depth < MAX_DEPTH ? fdopendir(inner) : NULL;
  if (!listing) {
    if (inner >= 0 && depth >= MAX_DEPTH) errno = ELOOP;
    reason = errno;
    if (inner >= 0) close(inner);
    errno = reason;
    return -1;
  }
  int result = 0;
  for (const struct dirent *entry; result == 0 && (entry = readdir(listing));)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      result = remove_entry(dirfd(listing), entry->d_name, depth + 1);
  reason = errno;
  closedir(listing);
  errno = reason;
  return result == 0 ? unlinkat(directory, name, AT_REMOVEDIR) : -1;
}

sm_status sm_beneath_remove(const char *path, size_t root, sm_error *error) {
  int directory;
  const char *name;
  sm_status status = sm_beneath_parent(&directory, &name, path, root, error);
  if (status != SM_OK || directory < 0) return status;
  if (remove_entry(directory, name, 0) != 0) status = refused(path, strlen(path), "cannot remove: ", error);
  close(directory);
  return status;
}
