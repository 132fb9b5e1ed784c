/* Functions that run in a process of their own, which has confined itself. */
#ifndef CONFINED_H
#define CONFINED_H

#include "numbers.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/confine.h"
#include "host/restrict.h"

/* What a confined process finds: three directories with a file each. */
typedef struct grounds {
  char top[64], readable[96], writable[96], outside[96];
  int inherited; /* a descriptor of `outside` */
  pid_t parent;
} grounds;

/* Does something in a confined process; NULL, or what went wrong. Several threads may do it at once. */
typedef const char *action(const grounds *place);

/* The call fails, and since it is forbidden: not for its arguments. */
#define FORBIDDEN(call)                                                                      \
  do {                                                                                       \
    errno = 0;                                                                               \
    long result_of_call = (long)(call);                                                      \
    int number = errno;                                                                      \
    bool forbids = number == EPERM || number == EACCES || number == EXDEV || number == ENOSYS; \
    if (result_of_call != -1 || !forbids) return #call;                                      \
  } while (0)

#define EXPECT(condition)              \
  do {                                 \
    if (!(condition)) return #condition; \
  } while (0)

enum { path_size = 256 };

static inline const char *beneath(char *path, const char *directory, const char *name) {
  snprintf(path, path_size, "%s/%s", directory, name);
  return path;
}

static inline void make_file(const char *directory, const char *name, const char *text) {
  char path[path_size];
  int file = open(beneath(path, directory, name), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  assert_true(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text));
  fchmod(file, 0666);
  close(file);
}

static inline int make_place(void **state) {
  grounds *made = calloc(1, sizeof *made);
  snprintf(made->top, sizeof made->top, "/tmp/smrun-confined-XXXXXX");
  assert_non_null(mkdtemp(made->top));
  char *const paths[] = {made->readable, made->writable, made->outside};
  static const char *const names[] = {"readable", "writable", "outside"};
  chmod(made->top, 0755);
  for (size_t i = 0; i < COUNT_OF(paths); i++) {
    beneath(paths[i], made->top, names[i]);
    assert_int_equal(mkdir(paths[i], 0777), 0);
    chmod(paths[i], 0777);
    make_file(paths[i], "file", names[i]);
  }
  made->inherited = open(made->outside, O_RDONLY | O_DIRECTORY);
  made->parent = getpid();
  *state = made;
  return 0;
}

static inline int remove_place(void **state) {
  grounds *made = *state;
  char command[path_size];
  snprintf(command, sizeof command, "rm -rf '%s'", made->top);
  close(made->inherited);
  free(made);
  return system(command);
}

/* The version of the kernel's Landlock; below 1 where there is none. */
static inline long landlock_version(void) { return syscall(444 /* landlock_create_ruleset */, NULL, 0, 1); }

/* Where the kernel cannot confine, the test is skipped by name; the reason is printed. */
static inline void need_confinement(void) {
  if (landlock_version() >= 1) return;
  print_message("not tried here: this kernel (or emulator) has no Landlock\n");
  skip();
}

typedef struct errand {
  action *deed;
  const grounds *place;
} errand;

static inline void *do_task(void *given) {
  const errand *task = given;
  return (void *)task->deed(task->place);
}

/* In the first thread, in one that is made now, and in four at once. */
static inline const char *do_in_threads(action *deed, const grounds *place) {
  enum { at_once = 4 };
  errand task = {deed, place};
  const char *wrong = deed(place);
  for (int count = 1; !wrong && count <= at_once; count += at_once - 1) {
    pthread_t threads[at_once];
    for (int i = 0; i < count; i++)
      if (pthread_create(&threads[i], NULL, do_task, &task) != 0) return "a thread could not be made";
    for (int i = 0; i < count; i++) {
      void *answer = NULL;
      pthread_join(threads[i], &answer);
      if (answer) wrong = answer;
    }
  }
  return wrong;
}

static inline const char *confine(const grounds *place) {
  static sm_host_reason reason;
  sm_host_reach reach = {(const char *[]){place->readable}, 1, (const char *[]){place->writable}, 1};
  return sm_host_confine(&reach, &reason) ? NULL : reason.text;
}

/* How the deed goes in a process of its own; `nobody`: as a user without privileges. */
static inline void run_confined(const grounds *place, action *deed, bool nobody) {
  enum { user = 65534 };
  int ends[2];
  char text[512] = "";
  need_confinement();
  assert_int_equal(pipe(ends), 0);
  pid_t process = fork();
  if (process == 0) {
    if (nobody && (setgroups(0, NULL) != 0 || setgid(user) != 0 || setuid(user) != 0)) _exit(2);
    const char *wrong = confine(place);
    if (!wrong) wrong = do_in_threads(deed, place);
    if (wrong && write(ends[1], wrong, strlen(wrong)) < 0) _exit(2);
    _exit(wrong ? 1 : 0);
  }
  close(ends[1]);
  int status = -1;
  size_t length = 0;
  for (ssize_t got; (got = read(ends[0], text + length, sizeof text - 1 - length)) > 0;) length += (size_t)got;
  close(ends[0]);
  assert_int_equal(waitpid(process, &status, 0), process);
  if (status) print_error("%s (status %d)\n", text, status);
  assert_int_equal(status, 0);
}

/* As the user that runs the tests, and where that is root, also as nobody. */
static inline void try_confined(void **state, action *deed) {
  run_confined(*state, deed, false);
  if (geteuid() == 0) run_confined(*state, deed, true);
}

#endif
