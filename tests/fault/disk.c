/* Preloaded into a program, this stands between it and the disk. It fails the n-th call of the system that concerns
   files beneath a directory, or makes it do half; and it writes down what happens to them, so that what a power cut
   would leave can be told. Environment:
     SM_DISK_FILE     what both sides see: a file of which `disk_shared` is the front. Without it nothing is done.
     SM_DISK_BENEATH  the directory, an absolute path without links; "" for every file
     SM_DISK_PROCESS  which process of smrun is meant: "worker", the one whose first word is --worker, or "supervisor",
                      any other (the default)
     SM_DISK_FAIL     "N LENGTH WAY": the N-th call, and LENGTH - 1 after it. WAY: EIO, of all calls; ENOSPC or EDQUOT,
                      of those that take room; EINTR, of those that a signal may interrupt; short, of those that
                      transfer bytes. N = 0 counts alone
     SM_DISK_RECORD   1: writes down what happens
   Nothing here opens a file after the program has begun, so that it works within confinement. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ROOM = 1 << 28, SHORT = -1 };

/* What a call may do: a way fails those that have its bit. SYNCS: it is never made. */
enum { ANY = 1, TAKES_ROOM = 2, WAITS = 4, TRANSFERS = 8, SYNCS = 16 };

typedef struct disk_shared {
  _Atomic uint64_t used; /* bytes of records behind this */
  _Atomic uint64_t made, failed;
  uint64_t open;  /* descriptors beneath the directory that were open when the process had ended */
  char where[96]; /* the first call that failed */
  char records[];
} disk_shared;

static disk_shared *shared; /* NULL: off */
static char beneath[PATH_MAX];
static size_t beneath_length;
static long first, length;
static int error, kind;
static bool meant, recording, printing; /* printing: what is printed is written down, too */

/* ---- which file ---- */

/* The path that a descriptor is open on. */
static bool path_of(char *path, int file) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  long got = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
  if (got < 0) return false;
  path[got] = '\0';
  return true;
}

static bool is_beneath(const char *path) {
  if (beneath_length == 0) return path[0] == '/';
  return strncmp(path, beneath, beneath_length) == 0 && (path[beneath_length] == '/' || !path[beneath_length]);
}

/* The whole path of a name in a directory. */
static bool whole(char *path, int directory, const char *name) {
  size_t used = 0;
  path[0] = '\0';
  if (name[0] != '/') {
    if (directory == AT_FDCWD ? syscall(SYS_getcwd, path, PATH_MAX - 1) < 0 : !path_of(path, directory)) return false;
    used = strlen(path);
    path[used++] = '/';
  }
  if (strcmp(name, ".") == 0 && used > 1) used--, name = "";
  if (used + strlen(name) >= PATH_MAX) return false;
  strcpy(path + used, name);
  return true;
}

/* ---- failing ---- */

static bool fails(int what, const char *name, const char *path) {
  if (!meant || !(what & kind) || !is_beneath(path)) return false;
  int before = errno;
  long number = (long)atomic_fetch_add(&shared->made, 1) + 1;
  errno = before;
  if (first == 0 || number < first || number - first >= length) return false;
  if (atomic_fetch_add(&shared->failed, 1) == 0) {
    const char *end = strrchr(path, '/');
    snprintf(shared->where, sizeof shared->where, "%s %s", name, end ? end + 1 : path);
  }
  errno = error;
  return true;
}

static bool fails_at(int what, const char *name, int directory, const char *given) {
  char path[PATH_MAX];
  int before = errno;
  bool known = meant && whole(path, directory, given);
  errno = before;
  return known && fails(what, name, path);
}

static bool fails_on(int what, const char *name, int file) {
  char path[PATH_MAX];
  int before = errno;
  bool known = meant && path_of(path, file);
  errno = before;
  return known && fails(what, name, path);
}

/* ---- writing down ---- */

/* A letter, then texts with their lengths in front. */
static void note(char letter, const char *a, size_t a_bytes, const char *b, size_t b_bytes, uint64_t at) {
  uint32_t sizes[2] = {(uint32_t)a_bytes, (uint32_t)b_bytes};
  uint64_t bytes = 1 + sizeof at + sizeof sizes + a_bytes + b_bytes, place = atomic_fetch_add(&shared->used, bytes);
  if (place + bytes > ROOM - sizeof *shared) return;
  char *to = shared->records + place;
  *to++ = letter;
  memcpy(to, &at, sizeof at);
  memcpy(to + sizeof at, sizes, sizeof sizes);
  to += sizeof at + sizeof sizes;
  memcpy(to, a, a_bytes);
  if (b_bytes) memcpy(to + a_bytes, b, b_bytes);
}

static void note_path(char letter, const char *path, const char *other, uint64_t at) {
  if (recording && is_beneath(path)) note(letter, path, strlen(path), other, other ? strlen(other) : 0, at);
}

static void note_at(char letter, int directory, const char *name) {
  char path[PATH_MAX];
  int before = errno;
  if (recording && whole(path, directory, name)) note_path(letter, path, NULL, 0);
  errno = before;
}

static void note_on(char letter, int file, uint64_t at) {
  char path[PATH_MAX];
  int before = errno;
  if (recording && path_of(path, file)) note_path(letter, path, NULL, at);
  errno = before;
}

static void note_write(int file, const void *data, size_t bytes, off_t at) {
  char path[PATH_MAX];
  int before = errno;
  if (printing && file == STDOUT_FILENO) note('P', "", 0, data, bytes, 0);
  else if (recording && path_of(path, file) && is_beneath(path)) {
    if (at < 0) at = lseek(file, 0, SEEK_CUR) - (off_t)bytes;
    note('W', path, strlen(path), data, bytes, (uint64_t)at);
  }
  errno = before;
}

/* ---- the calls ---- */

#define NEXT(type, name, parameters) \
  static type(*next) parameters;     \
  if (!next) *(void **)&next = dlsym(RTLD_NEXT, #name)

static bool is_there(int directory, const char *name) {
  int before = errno;
  bool there = syscall(SYS_faccessat, directory, name, F_OK) == 0;
  errno = before;
  return there;
}

#define OPENER(name, before, fixed, values, directory)                               \
  int name fixed {                                                                   \
    mode_t mode = 0;                                                                 \
    if (flags & (O_CREAT | __O_TMPFILE)) {                                           \
      va_list rest;                                                                  \
      va_start(rest, flags);                                                         \
      mode = va_arg(rest, mode_t);                                                   \
      va_end(rest);                                                                  \
    }                                                                                \
    NEXT(int, name, before);                                                         \
    bool making = flags & O_CREAT, there = !making || is_there(directory, path);     \
    if (fails_at(ANY | WAITS | (making ? TAKES_ROOM : 0), #name, directory, path)) return -1; \
    int file = next values;                                                          \
    if (file >= 0 && (!there || flags & O_TRUNC)) note_on('C', file, 0);             \
    return file;                                                                     \
  }

OPENER(open, (const char *, int, ...), (const char *path, int flags, ...), (path, flags, mode), AT_FDCWD)
OPENER(open64, (const char *, int, ...), (const char *path, int flags, ...), (path, flags, mode), AT_FDCWD)
OPENER(openat, (int, const char *, int, ...), (int directory, const char *path, int flags, ...),
       (directory, path, flags, mode), directory)
OPENER(openat64, (int, const char *, int, ...), (int directory, const char *path, int flags, ...),
       (directory, path, flags, mode), directory)

/* Of SHORT, half the bytes; of one byte, all. */
#define TRANSFER(name, data_type, room, before, fixed, values, halved, written)                          \
  ssize_t name fixed {                                                                                   \
    NEXT(ssize_t, name, before);                                                                         \
    bool failing = fails_on(ANY | WAITS | TRANSFERS | (room), #name, file);                              \
    if (failing && error != SHORT) return -1;                                                            \
    ssize_t done = failing && bytes > 1 ? next halved : next values;                                     \
    if (done > 0 && (room)) note_write(file, data, (size_t)done, written);                               \
    return done;                                                                                         \
  }

TRANSFER(read, void *, 0, (int, void *, size_t), (int file, void *data, size_t bytes), (file, data, bytes),
         (file, data, bytes / 2), -1)
TRANSFER(write, const void *, TAKES_ROOM, (int, const void *, size_t), (int file, const void *data, size_t bytes),
         (file, data, bytes), (file, data, bytes / 2), -1)
TRANSFER(pread, void *, 0, (int, void *, size_t, off_t), (int file, void *data, size_t bytes, off_t at),
         (file, data, bytes, at), (file, data, bytes / 2, at), at)
TRANSFER(pread64, void *, 0, (int, void *, size_t, off_t), (int file, void *data, size_t bytes, off_t at),
         (file, data, bytes, at), (file, data, bytes / 2, at), at)
TRANSFER(pwrite, const void *, TAKES_ROOM, (int, const void *, size_t, off_t),
         (int file, const void *data, size_t bytes, off_t at), (file, data, bytes, at), (file, data, bytes / 2, at), at)

/* A call on a descriptor, or on a name in a directory; `after`, when it succeeded. */
#define ON(name, what, before, fixed, values, after)              \
  int name fixed {                                                \
    NEXT(int, name, before);                                      \
    if (fails_on(ANY | (what), #name, file)) return -1;           \
    int result = shared && (what) & SYNCS ? 0 : next values;      \
    if (result == 0) after;                                       \
    return result;                                                \
  }
#define AT(name, what, before, fixed, values, directory, after)   \
  int name fixed {                                                \
    NEXT(int, name, before);                                      \
    if (fails_at(ANY | (what), #name, directory, path)) return -1; \
    int result = next values;                                     \
    if (result == 0) after;                                       \
    return result;                                                \
  }

/* What the disk has is ours to say: no sync is made, which saves its time. */
ON(fsync, SYNCS | WAITS | TAKES_ROOM, (int), (int file), (file), note_on('S', file, 0))
ON(fdatasync, SYNCS | WAITS | TAKES_ROOM, (int), (int file), (file), note_on('S', file, 0))
ON(ftruncate, WAITS, (int, off_t), (int file, off_t to), (file, to), note_on('T', file, (uint64_t)to))
ON(flock, WAITS, (int, int), (int file, int how), (file, how), (void)0)
ON(fstat, 0, (int, struct stat *), (int file, struct stat *status), (file, status), (void)0)
ON(fchmod, 0, (int, mode_t), (int file, mode_t mode), (file, mode), (void)0)
AT(mkdir, TAKES_ROOM, (const char *, mode_t), (const char *path, mode_t mode), (path, mode), AT_FDCWD,
   note_at('M', AT_FDCWD, path))
AT(mkdirat, TAKES_ROOM, (int, const char *, mode_t), (int from, const char *path, mode_t mode), (from, path, mode),
   from, note_at('M', from, path))
AT(unlink, 0, (const char *), (const char *path), (path), AT_FDCWD, note_at('U', AT_FDCWD, path))
AT(rmdir, 0, (const char *), (const char *path), (path), AT_FDCWD, note_at('U', AT_FDCWD, path))
AT(remove, 0, (const char *), (const char *path), (path), AT_FDCWD, note_at('U', AT_FDCWD, path))
AT(unlinkat, 0, (int, const char *, int), (int from, const char *path, int flags), (from, path, flags), from,
   note_at('U', from, path))
AT(stat, 0, (const char *, struct stat *), (const char *path, struct stat *status), (path, status), AT_FDCWD, (void)0)
AT(lstat, 0, (const char *, struct stat *), (const char *path, struct stat *status), (path, status), AT_FDCWD, (void)0)
AT(fstatat, 0, (int, const char *, struct stat *, int), (int from, const char *path, struct stat *status, int flags),
   (from, path, status, flags), from, (void)0)
AT(faccessat, 0, (int, const char *, int, int), (int from, const char *path, int mode, int flags),
   (from, path, mode, flags), from, (void)0)

int renameat(int a, const char *from, int b, const char *to) {
  char before[PATH_MAX], after[PATH_MAX];
  NEXT(int, renameat, (int, const char *, int, const char *));
  if (fails_at(ANY | TAKES_ROOM, "renameat", b, to)) return -1;
  bool known = recording && whole(before, a, from) && whole(after, b, to);
  int result = next(a, from, b, to);
  if (result == 0 && known) note_path('R', before, after, 0);
  return result;
}

int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

/* A failed close has closed, as Linux does it. */
int close(int file) {
  NEXT(int, close, (int));
  bool failed = fails_on(ANY | WAITS, "close", file);
  if (failed && next(file) == 0) errno = error;
  return failed ? -1 : next(file);
}

/* ---- streams, whose own calls of the system do not come by here ---- */

#define MAKER(name)                                                                            \
  FILE *name(const char *path, const char *mode) {                                             \
    NEXT(FILE *, name, (const char *, const char *));                                          \
    bool there = *mode == 'r' || is_there(AT_FDCWD, path);                                     \
    if (fails_at(ANY | (*mode == 'r' ? 0 : TAKES_ROOM), #name, AT_FDCWD, path)) return NULL;   \
    FILE *file = next(path, mode);                                                             \
    if (file && (!there || *mode == 'w')) note_at('C', AT_FDCWD, path);                        \
    return file;                                                                               \
  }

MAKER(fopen)
MAKER(fopen64)

DIR *opendir(const char *path) {
  NEXT(DIR *, opendir, (const char *));
  return fails_at(ANY, "opendir", AT_FDCWD, path) ? NULL : next(path);
}

DIR *fdopendir(int file) {
  NEXT(DIR *, fdopendir, (int));
  return fails_on(ANY, "fdopendir", file) ? NULL : next(file);
}

struct dirent *readdir(DIR *listing) {
  NEXT(struct dirent *, readdir, (DIR *));
  return fails_on(ANY, "readdir", dirfd(listing)) ? NULL : next(listing);
}

size_t fwrite(const void *data, size_t size, size_t count, FILE *file) {
  NEXT(size_t, fwrite, (const void *, size_t, size_t, FILE *));
  if (file != stdout && fails_on(ANY | TAKES_ROOM, "fwrite", fileno(file))) return 0;
  if (printing && file == stdout) note('P', "", 0, data, size * count, 0);
  return next(data, size, count, file);
}

int fflush(FILE *file) {
  NEXT(int, fflush, (FILE *));
  return file && file != stdout && fails_on(ANY | TAKES_ROOM, "fflush", fileno(file)) ? EOF : next(file);
}

int fclose(FILE *file) {
  NEXT(int, fclose, (FILE *));
  bool failed = fails_on(ANY, "fclose", fileno(file));
  if (failed && next(file) == 0) errno = error;
  return failed ? EOF : next(file);
}

/* ---- the beginning and the end ---- */

static int way_of(const char *way) {
  static const struct {
    const char *name;
    int error, kind;
  } ways[] = {{"EIO", EIO, ANY},           {"ENOSPC", ENOSPC, TAKES_ROOM}, {"EDQUOT", EDQUOT, TAKES_ROOM},
              {"EINTR", EINTR, WAITS}, {"short", SHORT, TRANSFERS}};
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    if (strcmp(way, ways[i].name) != 0) continue;
    kind = ways[i].kind;
    return ways[i].error;
  }
  return 0;
}

__attribute__((constructor)) static void begin(int argc, char **argv) {
  const char *path = getenv("SM_DISK_FILE"), *wanted = getenv("SM_DISK_FAIL"), *which = getenv("SM_DISK_PROCESS");
  const char *under = getenv("SM_DISK_BENEATH"), *record = getenv("SM_DISK_RECORD");
  if (!path || strcmp(program_invocation_short_name, "smrun") != 0) return;
  bool worker = argc > 1 && strcmp(argv[1], "--worker") == 0, wants_worker = which && strcmp(which, "worker") == 0;
  int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || syscall(SYS_ftruncate, file, (off_t)ROOM) != 0) _exit(99);
  void *memory = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  syscall(SYS_close, file);
  if (memory == MAP_FAILED) _exit(99);
  shared = memory;
  snprintf(beneath, sizeof beneath, "%s", under ? under : "");
  beneath_length = strlen(beneath);
  char way[16];
  if (wanted && worker == wants_worker && sscanf(wanted, "%ld %ld %15s", &first, &length, way) == 3) {
    error = way_of(way);
    meant = error != 0;
  }
  recording = record && *record == '1';
  printing = recording && !worker; /* what a worker prints a person sees when the supervisor prints it */
}

__attribute__((destructor)) static void end(void) {
  char path[PATH_MAX];
  if (!meant) return;
  for (int file = 0; file < 1024; file++)
    if (path_of(path, file) && is_beneath(path)) shared->open++;
}
