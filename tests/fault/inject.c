/* Fails chosen allocations and calls of the system: preloaded into a process it stands in front of the C library.
   SM_INJECT="memory N LENGTH" in the environment arms a program before its main; a script arms it through the Lua
   module of the same object, inject_lua.c. */
#include "inject.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

inject_state inject;

/* Libraries that do not survive a failed allocation. Fortran's, which OpenBLAS needs, calls itself without end where it
   gets no memory while it is loaded, and OpenBLAS itself asks for ever. What draws a picture jumps back to functions
   that have returned, and leaves out glyphs: io/canvas.c looks for room before it calls them, and that may
   fail here. */
static bool is_spared(const void *caller) {
  static const char *const names[] = {"libgfortran", "libopenblas", "libcairo",      "libpixman",
                                      "libfreetype", "libfontconfig", "libpng"};
  Dl_info info = {0};
  if (!dladdr(caller, &info) || !info.dli_fname) return false;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strstr(info.dli_fname, names[i])) return true;
  return false;
}

/* Whether this one, the next of its kind, is to fail. */
static bool fails_for(int kind, const char *name, const void *caller) {
  if (atomic_load(&inject.kind) != kind) return false;
  long number = atomic_fetch_add(&inject.made, 1) + 1;
  if (inject.first == 0 || number < inject.first || number - inject.first >= inject.length) return false;
  if (kind == MEMORY && is_spared(caller)) return false;
  if (atomic_fetch_add(&inject.failed, 1) == 0) inject.where = name;
  errno = kind == MEMORY ? ENOMEM : inject.error;
  return true;
}

#define CALLER __builtin_return_address(0)
#define fails(kind, name) fails_for(kind, name, CALLER)

/* The function behind ours. What is allocated before these are found, by dlsym or by libraries that are set up before
   this one, a sanitizer's say, comes from `early`. */
static void *behind(const char *name) { return dlsym(RTLD_NEXT, name); }

#define NEXT(type, name, parameters) \
  static type(*next) parameters;     \
  if (!next) *(void **)&next = behind(#name)

static _Alignas(64) char early[1 << 20];
static size_t early_used;
static void *(*real_malloc)(size_t), *(*real_calloc)(size_t, size_t), *(*real_realloc)(void *, size_t);
static void (*real_free)(void *);
static int (*real_memalign)(void **, size_t, size_t);

static void *from_early(size_t bytes) {
  size_t start = (early_used + 63) / 64 * 64;
  if (bytes > sizeof early - start) return NULL;
  early_used = start + bytes;
  return early + start;
}

static bool is_early(const void *block) {
  return (const char *)block >= early && (const char *)block < early + sizeof early;
}

static bool found(void) { return real_free != NULL; }

static void find(void) {
  *(void **)&real_malloc = behind("malloc");
  *(void **)&real_calloc = behind("calloc");
  *(void **)&real_realloc = behind("realloc");
  *(void **)&real_memalign = behind("posix_memalign");
  *(void **)&real_free = behind("free");
}

/* ---- blocks that are held ---- */

inject_holding inject_held[INJECT_SLOTS];
const char inject_gone;
_Atomic bool inject_watching;
uintptr_t inject_lua_first, inject_lua_last;
static atomic_flag held_lock = ATOMIC_FLAG_INIT;

/* The slot of a block, or where its chain ends; of `&inject_gone`, the first that is free from where `from` begins. */
static size_t find_slot(const void *from, const void *block) {
  size_t slot = ((uintptr_t)from >> 4) * 0x9E3779B97F4A7C15u >> 48;
  for (int i = 0; i < INJECT_SLOTS && inject_held[slot].block && inject_held[slot].block != block; i++)
    slot = (slot + 1) % INJECT_SLOTS;
  return slot;
}

static void *hold(void *block, const void *caller) {
  uintptr_t at = (uintptr_t)caller;
  if (!block || !atomic_load(&inject_watching) || (at >= inject_lua_first && at < inject_lua_last)) return block;
  while (atomic_flag_test_and_set(&held_lock)) continue;
  inject_held[find_slot(block, &inject_gone)] = (inject_holding){block, caller};
  atomic_flag_clear(&held_lock);
  return block;
}

static void let_go(const void *block) {
  if (!block || !atomic_load(&inject_watching)) return;
  while (atomic_flag_test_and_set(&held_lock)) continue;
  size_t slot = find_slot(block, block);
  if (inject_held[slot].block == block) inject_held[slot].block = (void *)&inject_gone;
  atomic_flag_clear(&held_lock);
}

/* ---- memory ---- */

void *malloc(size_t bytes) {
  if (!found()) return from_early(bytes);
  return fails(MEMORY, "malloc") ? NULL : hold(real_malloc(bytes), CALLER);
}

void *calloc(size_t count, size_t bytes) {
  if (!found()) return from_early(count * bytes);
  return fails(MEMORY, "calloc") ? NULL : hold(real_calloc(count, bytes), CALLER);
}

void free(void *block) {
  if (is_early(block) || !found()) return;
  let_go(block);
  real_free(block);
}

/* The C library never refuses to make a block smaller. */
void *realloc(void *block, size_t bytes) {
  if (is_early(block)) {
    void *moved = malloc(bytes);
    size_t rest = (size_t)(early + sizeof early - (char *)block);
    return moved ? memcpy(moved, block, bytes < rest ? bytes : rest) : NULL;
  }
  if (!found()) return from_early(bytes);
  if (!(block && bytes <= malloc_usable_size(block)) && fails(MEMORY, "realloc")) return NULL;
  let_go(block);
  void *moved = real_realloc(block, bytes);
  hold(moved ? moved : bytes ? block : NULL, CALLER);
  return moved;
}

int posix_memalign(void **block, size_t alignment, size_t bytes) {
  if (!found()) return (*block = from_early(bytes)) ? 0 : ENOMEM;
  if (fails(MEMORY, "posix_memalign")) return ENOMEM;
  int code = real_memalign(block, alignment, bytes);
  if (code == 0) hold(*block, CALLER);
  return code;
}

void *aligned_alloc(size_t alignment, size_t bytes) {
  void *block;
  if (!found()) return from_early(bytes);
  if (fails(MEMORY, "aligned_alloc")) return NULL;
  if (real_memalign(&block, alignment < sizeof block ? sizeof block : alignment, bytes)) return NULL;
  return hold(block, CALLER);
}

void *memalign(size_t alignment, size_t bytes) { return aligned_alloc(alignment, bytes); }

void *mmap(void *address, size_t bytes, int protection, int flags, int descriptor, off_t offset) {
  NEXT(void *, mmap, (void *, size_t, int, int, int, off_t));
  if (fails(flags & MAP_ANONYMOUS ? MEMORY : CALLS, "mmap")) return MAP_FAILED;
  return next(address, bytes, protection, flags, descriptor, offset);
}

/* ---- threads ---- */

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
  NEXT(int, pthread_create, (pthread_t *, const pthread_attr_t *, void *(*)(void *), void *));
  if (fails(MEMORY, "pthread_create") || fails(CALLS, "pthread_create")) return EAGAIN;
  return next(thread, attributes, run, argument);
}

/* ---- files ---- */

/* A call that gets no error but its half counts as one that succeeded. */
static bool refused(const char *name) { return inject.error != SHORT && fails(CALLS, name); }

#define OPENER(name, before, fixed, values)                                \
  int name fixed {                                                         \
    mode_t mode = 0;                                                       \
    if (flags & (O_CREAT | __O_TMPFILE)) {                                 \
      va_list rest;                                                        \
      va_start(rest, flags);                                               \
      mode = va_arg(rest, mode_t);                                         \
      va_end(rest);                                                        \
    }                                                                      \
    NEXT(int, name, before);                                               \
    return refused(#name) ? -1 : next values;                              \
  }

OPENER(open, (const char *, int, ...), (const char *path, int flags, ...), (path, flags, mode))
OPENER(open64, (const char *, int, ...), (const char *path, int flags, ...), (path, flags, mode))
OPENER(openat, (int, const char *, int, ...), (int directory, const char *path, int flags, ...),
       (directory, path, flags, mode))
OPENER(openat64, (int, const char *, int, ...), (int directory, const char *path, int flags, ...),
       (directory, path, flags, mode))

#define TRANSFER(name, before, fixed, values, halved)                 \
  ssize_t name fixed {                                                \
    NEXT(ssize_t, name, before);                                      \
    if (!fails(CALLS, #name)) return next values;                     \
    return inject.error == SHORT && bytes > 1 ? next halved : inject.error == SHORT ? next values : -1; \
  }

TRANSFER(read, (int, void *, size_t), (int file, void *data, size_t bytes), (file, data, bytes),
         (file, data, bytes / 2))
TRANSFER(write, (int, const void *, size_t), (int file, const void *data, size_t bytes), (file, data, bytes),
         (file, data, bytes / 2))
TRANSFER(pread, (int, void *, size_t, off_t), (int file, void *data, size_t bytes, off_t at), (file, data, bytes, at),
         (file, data, bytes / 2, at))
TRANSFER(pread64, (int, void *, size_t, off_t), (int file, void *data, size_t bytes, off_t at), (file, data, bytes, at),
         (file, data, bytes / 2, at))

#define SIMPLE(type, failure, name, before, fixed, values) \
  type name fixed {                                        \
    NEXT(type, name, before);                              \
    return refused(#name) ? failure : next values;         \
  }

SIMPLE(int, -1, fsync, (int), (int file), (file))
SIMPLE(int, -1, fstat, (int, struct stat *), (int file, struct stat *status), (file, status))
SIMPLE(int, -1, fstatat, (int, const char *, struct stat *, int),
       (int directory, const char *path, struct stat *status, int flags), (directory, path, status, flags))
SIMPLE(int, -1, lstat, (const char *, struct stat *), (const char *path, struct stat *status), (path, status))
SIMPLE(int, -1, stat, (const char *, struct stat *), (const char *path, struct stat *status), (path, status))
SIMPLE(int, -1, rename, (const char *, const char *), (const char *from, const char *to), (from, to))
SIMPLE(int, -1, renameat, (int, const char *, int, const char *), (int a, const char *from, int b, const char *to),
       (a, from, b, to))
SIMPLE(int, -1, mkdir, (const char *, mode_t), (const char *path, mode_t mode), (path, mode))
SIMPLE(DIR *, NULL, opendir, (const char *), (const char *path), (path))
SIMPLE(DIR *, NULL, fdopendir, (int), (int file), (file))
SIMPLE(FILE *, NULL, fopen, (const char *, const char *), (const char *path, const char *mode), (path, mode))
SIMPLE(FILE *, NULL, fopen64, (const char *, const char *), (const char *path, const char *mode), (path, mode))
SIMPLE(int, EOF, fflush, (FILE *), (FILE *file), (file))

/* A failed close has closed, as Linux does it. */
int close(int file) {
  NEXT(int, close, (int));
  bool failed = refused("close");
  int error = errno, code = next(file);
  if (!failed) return code;
  errno = error;
  return -1;
}

int fclose(FILE *file) {
  NEXT(int, fclose, (FILE *));
  bool failed = refused("fclose");
  int error = errno, code = next(file);
  if (!failed) return code;
  errno = error;
  return EOF;
}

size_t fwrite(const void *data, size_t size, size_t count, FILE *file) {
  NEXT(size_t, fwrite, (const void *, size_t, size_t, FILE *));
  return refused("fwrite") ? 0 : next(data, size, count, file);
}

void inject_arm(int kind, long first, long length, int error) {
  atomic_store(&inject.kind, 0);
  atomic_store(&inject.made, 0);
  atomic_store(&inject.failed, 0);
  inject.where = "";
  inject.first = first;
  inject.length = length;
  inject.error = error;
  atomic_store(&inject.kind, kind);
}

__attribute__((constructor)) static void arm_from_environment(void) {
  find();
  const char *wanted = getenv("SM_INJECT");
  char kind[16];
  long first, length;
  if (!wanted || sscanf(wanted, "%15s %ld %ld", kind, &first, &length) != 3) return;
  unsetenv("SM_INJECT"); /* the programs that this one starts are not meant */
  inject_arm(strcmp(kind, "memory") == 0 ? MEMORY : CALLS, first, length, EIO);
}
