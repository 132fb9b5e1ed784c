/* A confined process and files: it reads what it was granted, writes what it was granted, and no other. */
#include "confined.h"

#include <sys/time.h>
#include <sys/xattr.h>
#include <utime.h>

static const char *reads(const char *path) {
  char text[path_size];
  int file = open(path, O_RDONLY);
  ssize_t length = file >= 0 ? read(file, text, sizeof text - 1) : -1;
  if (file >= 0) close(file);
  return length > 0 ? NULL : "a granted file cannot be read";
}

static long version; /* the version of Landlock, which a confined process cannot ask for */

static const char *what_is_granted_works(const grounds *place) {
  char path[path_size], other[path_size], name[64];
  EXPECT(!reads(beneath(path, place->readable, "file")));
  snprintf(name, sizeof name, "own-%ld", (long)syscall(SYS_gettid));
  EXPECT(mkdir(beneath(path, place->writable, name), 0777) == 0);
  for (int i = 0; i < 2; i++) { /* the second time, it is emptied first */
    int file = openat(AT_FDCWD, strcat(path, "/new"), O_RDWR | O_CREAT | O_TRUNC, 0666);
    EXPECT(file >= 0 && write(file, "text", 4) == 4 && ftruncate(file, 2) == 0 && fsync(file) == 0);
    struct flock lock = {.l_type = F_WRLCK};
    EXPECT(fcntl(file, F_SETLK, &lock) == 0 && close(file) == 0);
    path[strlen(path) - strlen("/new")] = 0;
  }
  EXPECT(!reads(strcat(path, "/new")));
  snprintf(name, sizeof name, "moved-%ld", (long)syscall(SYS_gettid));
  int moved = rename(path, beneath(other, place->writable, name)); /* to another directory */
  EXPECT(moved == 0 || (errno == EXDEV && version < 2));
  EXPECT(unlink(moved == 0 ? other : path) == 0);
  path[strlen(path) - strlen("/new")] = 0;
  EXPECT(rmdir(path) == 0);
  return NULL;
}

static const char *nothing_else_is_read(const grounds *place) {
  char path[path_size];
  FORBIDDEN(open(beneath(path, place->outside, "file"), O_RDONLY));
  FORBIDDEN(open(place->outside, O_RDONLY | O_DIRECTORY));
  FORBIDDEN(open(beneath(path, place->readable, "../outside/file"), O_RDONLY));
  FORBIDDEN(open(beneath(path, place->writable, "link"), O_RDONLY));
  FORBIDDEN(open(beneath(path, place->writable, "link_to_directory/file"), O_RDONLY));
  snprintf(path, sizeof path, "/proc/self/root%s/file", place->outside);
  FORBIDDEN(open(path, O_RDONLY));
  FORBIDDEN(openat(place->inherited, "file", O_RDONLY));
  FORBIDDEN(openat(place->inherited, ".", O_RDONLY | O_DIRECTORY));
  snprintf(path, sizeof path, "/proc/self/fd/%d/file", place->inherited);
  FORBIDDEN(open(path, O_RDONLY));
  EXPECT(fchdir(place->inherited) == 0);
  FORBIDDEN(open("file", O_RDONLY));
  FORBIDDEN(open("/", O_RDONLY | O_DIRECTORY));
  FORBIDDEN(open("/etc/passwd", O_RDONLY));
  FORBIDDEN(open("/proc/self/environ", O_RDONLY));
  FORBIDDEN(open("/proc/self/mem", O_RDWR));
  FORBIDDEN(open("/dev/tty", O_RDWR));
  FORBIDDEN(open("/dev/zero", O_RDWR));
  return NULL;
}

static const char *nothing_else_is_written(const grounds *place) {
  char path[path_size], readable[path_size];
  beneath(readable, place->readable, "file");
  FORBIDDEN(open(readable, O_WRONLY));
  FORBIDDEN(open(readable, O_RDWR));
  FORBIDDEN(open(readable, O_RDONLY | O_TRUNC));
  FORBIDDEN(open(readable, O_ACCMODE | O_TRUNC));
  FORBIDDEN(syscall(SYS_openat, AT_FDCWD, readable, O_RDONLY | O_TRUNC, 0));
  FORBIDDEN(open(beneath(path, place->readable, "new"), O_WRONLY | O_CREAT, 0666));
  FORBIDDEN(open(place->readable, O_WRONLY | O_TMPFILE, 0666));
  FORBIDDEN(open(beneath(path, place->outside, "file"), O_WRONLY));
  FORBIDDEN(open(beneath(path, place->outside, "file"), O_WRONLY | O_TRUNC));
  FORBIDDEN(open(beneath(path, place->outside, "new"), O_WRONLY | O_CREAT, 0666));
  FORBIDDEN(open(beneath(path, place->writable, "../outside/new"), O_WRONLY | O_CREAT, 0666));
  FORBIDDEN(open(beneath(path, place->writable, "link"), O_WRONLY | O_APPEND));
  FORBIDDEN(open(beneath(path, place->writable, "link_to_directory/new"), O_WRONLY | O_CREAT, 0666));
  FORBIDDEN(openat(place->inherited, "new", O_WRONLY | O_CREAT, 0666));
  FORBIDDEN(mkdir(beneath(path, place->outside, "new"), 0777));
  FORBIDDEN(mkdir(beneath(path, place->readable, "new"), 0777));
  FORBIDDEN(mkdirat(place->inherited, "new", 0777));
  FORBIDDEN(truncate(readable, 0));
  FORBIDDEN(truncate(beneath(path, place->outside, "file"), 0));
  FORBIDDEN(creat(beneath(path, place->outside, "new"), 0666));
  return NULL;
}

static const char *nothing_moves_in_or_out(const grounds *place) {
  char outside[path_size], readable[path_size], new_outside[path_size], own[path_size], new_own[path_size];
  beneath(outside, place->outside, "file");
  beneath(new_outside, place->outside, "new");
  beneath(readable, place->readable, "file");
  beneath(own, place->writable, "file");
  beneath(new_own, place->writable, "new");
  FORBIDDEN(rename(outside, new_own));
  FORBIDDEN(rename(readable, new_own));
  FORBIDDEN(rename(own, new_outside));
  FORBIDDEN(rename(own, readable));
  FORBIDDEN(renameat(place->inherited, "file", AT_FDCWD, new_own));
  FORBIDDEN(renameat2(AT_FDCWD, own, AT_FDCWD, outside, RENAME_EXCHANGE));
  FORBIDDEN(renameat2(AT_FDCWD, own, AT_FDCWD, new_own, RENAME_WHITEOUT));
  FORBIDDEN(link(outside, new_own));
  FORBIDDEN(link(readable, new_own));
  FORBIDDEN(link(own, new_outside));
  FORBIDDEN(linkat(place->inherited, "file", AT_FDCWD, new_own, 0));
  FORBIDDEN(unlink(outside));
  FORBIDDEN(unlink(readable));
  FORBIDDEN(unlinkat(place->inherited, "file", 0));
  FORBIDDEN(rmdir(place->outside));
  FORBIDDEN(rmdir(place->readable));
  return NULL;
}

static const char *no_file_is_more_than_a_file(const grounds *place) {
  char path[path_size];
  beneath(path, place->writable, "new");
  FORBIDDEN(symlink("/etc/passwd", path));
  FORBIDDEN(symlinkat("/etc/passwd", AT_FDCWD, path));
  FORBIDDEN(mkfifo(path, 0666));
  FORBIDDEN(mknod(path, S_IFREG | 0666, 0));
  FORBIDDEN(mknod(path, S_IFCHR | 0666, 0x0105));
  FORBIDDEN(mknod(path, S_IFSOCK | 0666, 0));
  FORBIDDEN(open(path, O_WRONLY | O_CREAT, 04755));
  FORBIDDEN(open(path, O_WRONLY | O_CREAT, 02755));
  FORBIDDEN(mkdir(path, 02777));
  return NULL;
}

static const char *what_is_known_of_files_stays(const grounds *place) {
  static const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
  const struct utimbuf old = {1, 1};
  const char *const directories[] = {place->writable, place->readable, place->outside};
  for (size_t i = 0; i < COUNT_OF(directories); i++) {
    char path[path_size];
    beneath(path, directories[i], "file");
    FORBIDDEN(chmod(path, 0));
    FORBIDDEN(fchmodat(AT_FDCWD, path, 0777, 0));
    FORBIDDEN(chown(path, 1, 1));
    FORBIDDEN(lchown(path, 1, 1));
    FORBIDDEN(utime(path, &old));
    FORBIDDEN(utimes(path, NULL));
    FORBIDDEN(utimensat(AT_FDCWD, path, times, 0));
    FORBIDDEN(setxattr(path, "user.name", "value", 5, 0));
    FORBIDDEN(removexattr(path, "user.name"));
  }
  FORBIDDEN(fchmod(place->inherited, 0));
  FORBIDDEN(futimens(place->inherited, times));
  FORBIDDEN(fsetxattr(place->inherited, "user.name", "value", 5, 0));
  return NULL;
}

/* After the deed, what lies outside is as it was, and so are the directories. */
static void try_files(void **state, action *deed) {
  const grounds *place = *state;
  const char *const names[] = {"readable", "writable", "outside"};
  const char *const directories[] = {place->readable, place->writable, place->outside};
  struct stat before[COUNT_OF(names)], after, directory[COUNT_OF(names)];
  char path[path_size], text[path_size] = "";
  assert_int_equal(symlink("../outside/file", beneath(path, place->writable, "link")), 0);
  assert_int_equal(symlink("../outside", beneath(path, place->writable, "link_to_directory")), 0);
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    assert_int_equal(stat(beneath(path, directories[i], "file"), &before[i]), 0);
    assert_int_equal(stat(directories[i], &directory[i]), 0);
  }
  version = landlock_version();
  try_confined(state, deed);
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    assert_int_equal(stat(beneath(path, directories[i], "file"), &after), 0);
    assert_memory_equal(&after.st_mtim, &before[i].st_mtim, sizeof after.st_mtim);
    assert_memory_equal(&after.st_ctim, &before[i].st_ctim, sizeof after.st_ctim);
    int file = open(path, O_RDONLY);
    assert_int_equal(read(file, text, sizeof text), strlen(names[i]));
    close(file);
    assert_memory_equal(text, names[i], strlen(names[i]));
    assert_int_equal(stat(directories[i], &after), 0);
    bool changed = memcmp(&after.st_ctim, &directory[i].st_ctim, sizeof after.st_ctim) != 0;
    if (deed != what_is_granted_works) assert_false(changed);
  }
}

static void a_file_is_granted_alone(void **state) {
  const grounds *place = *state;
  char file[path_size], link_path[path_size], own[path_size];
  need_confinement();
  beneath(file, place->readable, "file");
  beneath(own, place->writable, "file");
  assert_int_equal(symlink("file", beneath(link_path, place->writable, "link")), 0);
  pid_t process = fork();
  if (process == 0) {
    sm_host_reason reason;
    sm_host_reach reach = {(const char *[]){file, "/no/such/file", "/etc/passwd/beneath"}, 3, (const char *[]){own}, 1};
    if (!sm_host_confine(&reach, &reason)) _exit(1);
    if (reads(file) || open(place->readable, O_RDONLY) >= 0 || open(own, O_RDWR | O_TRUNC) < 0) _exit(2);
    if (unlink(own) == 0 || open(link_path, O_CREAT | O_EXCL | O_WRONLY, 0666) >= 0) _exit(3);
    _exit(0);
  }
  int status = -1;
  waitpid(process, &status, 0);
  assert_int_equal(status, 0);
  const char *const refused[] = {"/no/such/file", link_path, "/dev/null"};
  for (size_t i = 0; i < COUNT_OF(refused); i++) {
    sm_host_reason reason;
    assert_false(sm_host_confine(&(sm_host_reach){.write = &refused[i], .writes = 1}, &reason));
    assert_non_null(strstr(reason.text, refused[i])); /* and this process goes on as it was */
  }
  assert_null(reads("/proc/self/stat"));
}

#define FILES(deed) \
  static void test_##deed(void **state) { try_files(state, deed); }
FILES(what_is_granted_works)
FILES(nothing_else_is_read)
FILES(nothing_else_is_written)
FILES(nothing_moves_in_or_out)
FILES(no_file_is_more_than_a_file)
FILES(what_is_known_of_files_stays)
#define TEST(function) cmocka_unit_test_setup_teardown(function, make_place, remove_place)

int main(void) {
  const struct CMUnitTest tests[] = {
    TEST(test_what_is_granted_works),
    TEST(test_nothing_else_is_read),
    TEST(test_nothing_else_is_written),
    TEST(test_nothing_moves_in_or_out),
    TEST(test_no_file_is_more_than_a_file),
    TEST(test_what_is_known_of_files_stays),
    TEST(a_file_is_granted_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
