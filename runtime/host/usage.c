#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/watch.h"
#include "io/again.h"

enum { BLOCK = 512, DEEPEST = 100 }; /* bytes of what st_blocks counts; descriptors that a walk may hold */

bool sm_usage_exceeds(const sm_usage *usage, const sm_usage *most) {
  return usage->bytes > most->bytes || usage->files > most->files;
}

static bool is_dots(const char *name) { return strcmp(name, ".") == 0 || strcmp(name, "..") == 0; }

/* A directory, whose descriptor is closed here. What vanishes meanwhile is not counted. */
static void walk(int directory, int depth, sm_usage *usage, const sm_usage *most, const bool *quit) {
  DIR *list = fdopendir(directory);
  if (!list) {
    close(directory);
    return;
  }
  for (struct dirent *entry; !__atomic_load_n(quit, __ATOMIC_RELAXED) && (entry = readdir(list));) {
    struct stat found;
    if (is_dots(entry->d_name) || fstatat(directory, entry->d_name, &found, AT_SYMLINK_NOFOLLOW) != 0)
      continue;
    usage->bytes += (long long)found.st_blocks * BLOCK;
    usage->files++;
    if (sm_usage_exceeds(usage, most)) break;
    if (!S_ISDIR(found.st_mode)) continue;
    int inner = -1;
    if (depth < DEEPEST)
      inner = sm_open_again(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inner >= 0)
      walk(inner, depth + 1, usage, most, quit);
    else if (depth == DEEPEST || (errno == EACCES && found.st_uid == geteuid())) /* hidden from this count */
      usage->files = LLONG_MAX;
    if (sm_usage_exceeds(usage, most)) break;
  }
  closedir(list);
}

void sm_usage_beneath(int directory, sm_usage *usage, const sm_usage *most, const bool *quit) {
  int own = sm_open_again(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* has a position of its own */
  if (own >= 0) walk(own, 1, usage, most, quit);
}

void sm_usage_unnamed(pid_t process, sm_usage *usage) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/fd", (int)process);
  DIR *list = opendir(path);
  if (!list) return;
  for (struct dirent *entry; (entry = readdir(list));) {
    struct stat found;
    if (is_dots(entry->d_name) || fstatat(dirfd(list), entry->d_name, &found, 0) != 0) continue;
    if (!S_ISREG(found.st_mode) || found.st_nlink > 0) continue;
    usage->bytes += (long long)found.st_blocks * BLOCK;
    usage->files++;
  }
  closedir(list);
}
