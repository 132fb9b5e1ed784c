/* Runs one command and says what became of it: how it ended, how long it took, the most memory that it or a process of
   its took, and which processes it left. What it leaves is killed. Nothing that it prints reaches this program's
   output: it goes to a file, of very much the beginning and the end.
   Usage: watch LIMIT SIGNAL_AFTER pipe|pty OUTPUT COMMAND…
     LIMIT         seconds after which all is killed; counted from the signal where there is one
     SIGNAL_AFTER  seconds after which the command gets SIGTERM, 0 for never
   It prints lines of `name value`. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  MOST_KEPT = 4 << 20,        /* bytes of output, from its beginning */
  END_KEPT = 1 << 16,         /* and from its end */
  MOST_PROCESSES = 4096,      /* that are looked through */
  MOST_MEMORY_MIB = 2500,     /* of one process: more endangers the machine */
  MOST_FILE_MIB = 2048,       /* likewise */
  GRACE_MS = 500,             /* in which what was left may end by itself */
};

typedef struct { pid_t pid, parent; long pages; char name[32]; } process;

static process processes[MOST_PROCESSES];
static int count;
static size_t kept, beyond;
static char end[END_KEPT]; /* the last of what is beyond MOST_KEPT: byte n of it at n % END_KEPT */

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static _Noreturn void stop(const char *what) {
  perror(what);
  exit(2);
}

static void nap(long ms) {
  struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
  nanosleep(&t, NULL);
}

/* The numbers of /proc/PID/stat after the name, which may hold anything, parentheses too. */
static int read_process(pid_t pid, process *p) {
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  FILE *file = fopen(path, "r");
  if (!file) return 0;
  size_t n = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[n] = 0;
  char *open = strchr(text, '('), *close = strrchr(text, ')'), state;
  int parent;
  if (!open || !close || sscanf(close + 1, " %c %d", &state, &parent) != 2 || state == 'Z') return 0;
  p->pid = pid;
  p->parent = parent;
  snprintf(p->name, sizeof p->name, "%.*s", (int)(close - open - 1), open + 1);
  char *field = close + 1;
  for (int i = 0; i < 22 && field; i++) field = strchr(field + 1, ' '); /* rss is the 24th field */
  p->pages = field ? atol(field) : 0;
  return 1;
}

/* All that comes from this process: itself first, then its children, theirs, and so on. */
static void look(void) {
  static process all[MOST_PROCESSES];
  int n = 0;
  DIR *directory = opendir("/proc");
  if (!directory) stop("/proc");
  for (struct dirent *entry; n < MOST_PROCESSES && (entry = readdir(directory));) {
    if (isdigit((unsigned char)entry->d_name[0]) && read_process(atoi(entry->d_name), &all[n])) n++;
  }
  closedir(directory);
  count = 1;
  processes[0].pid = getpid();
  for (int i = 0; i < count; i++) {
    for (int k = 0; k < n && count < MOST_PROCESSES; k++) {
      if (all[k].parent == processes[i].pid) processes[count++] = all[k];
    }
  }
}

static void kill_all(void) {
  for (int i = 1; i < count; i++) kill(processes[i].pid, SIGKILL);
}

static int too_large(void) {
  long page = sysconf(_SC_PAGESIZE);
  for (int i = 1; i < count; i++) {
    if (processes[i].pages / 1024 * page / 1024 > MOST_MEMORY_MIB) return 1;
  }
  return 0;
}

/* Reads what there is; false where nothing will come any more. */
static int drain(int from, int to) {
  char bytes[65536];
  ssize_t n = read(from, bytes, sizeof bytes);
  if (n <= 0) return 0;
  size_t keep = kept + (size_t)n > MOST_KEPT ? MOST_KEPT - kept : (size_t)n;
  if (keep > 0 && write(to, bytes, keep) < 0) stop("output");
  kept += keep;
  for (size_t i = keep; i < (size_t)n; i++) end[beyond++ % END_KEPT] = bytes[i];
  return 1;
}

static void write_end(int to) {
  size_t from = beyond % END_KEPT, whole = beyond >= END_KEPT ? END_KEPT - from : 0;
  if (write(to, end + from, whole) < 0 || write(to, end, from) < 0) stop("output");
}

static int open_terminal(int *terminal) {
  int master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || grantpt(master) || unlockpt(master)) stop("pty");
  if ((*terminal = open(ptsname(master), O_RDWR | O_NOCTTY)) < 0) stop("pty");
  struct winsize size = { .ws_row = 24, .ws_col = 80 };
  ioctl(*terminal, TIOCSWINSZ, &size);
  return master;
}

static pid_t start(char **command, int pty, int *from) {
  int ends[2];
  if (pty) {
    ends[0] = open_terminal(&ends[1]);
  } else if (pipe(ends)) {
    stop("pipe");
  }
  pid_t pid = fork();
  if (pid < 0) stop("fork");
  if (pid == 0) {
    setsid();
    if (pty) ioctl(ends[1], TIOCSCTTY, 0);
    struct rlimit most = { (rlim_t)MOST_FILE_MIB << 20, (rlim_t)MOST_FILE_MIB << 20 }, none = { 0, 0 };
    setrlimit(RLIMIT_FSIZE, &most);
    setrlimit(RLIMIT_CORE, &none);
    dup2(pty ? ends[1] : open("/dev/null", O_RDONLY), 0);
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    closefrom(3);
    execvp(command[0], command);
    stop(command[0]);
  }
  close(ends[1]);
  *from = ends[0];
  return pid;
}

int main(int argc, char **argv) {
  if (argc < 6) return 2;
  double limit = atof(argv[1]), signal_after = atof(argv[2]);
  int output = open(argv[4], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), from, status = 0, ended = 0;
  if (output < 0) stop(argv[4]);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  double begun = now(), signalled = signal_after > 0 ? 0 : begun, looked = begun, took = 0;
  pid_t pid = start(&argv[5], !strcmp(argv[3], "pty"), &from);
  struct rusage usage = { 0 };
  const char *killed = NULL;
  int open_still = 1;
  while (!ended) {
    struct pollfd wait = { open_still ? from : -1, POLLIN, 0 };
    if (poll(&wait, 1, 10) > 0) open_still = drain(from, output);
    ended = wait4(pid, &status, WNOHANG, &usage) == pid;
    took = now() - (signalled > 0 ? signalled : begun);
    if (ended) break;
    if (signalled == 0 && took >= signal_after) {
      kill(pid, SIGTERM);
      signalled = now();
    } else if (!killed && signalled > 0 && took > limit) {
      killed = "time";
    }
    if (now() - looked > 0.1) {
      look();
      looked = now();
      if (!killed && too_large()) killed = "memory";
    }
    if (killed) {
      look();
      kill_all();
    }
  }
  double until = now() + (killed ? 0 : GRACE_MS / 1000.0);
  for (look(); count > 1 && now() < until; look()) {
    while (waitpid(-1, NULL, WNOHANG) > 0) {}
    nap(10);
  }
  if (!killed) {
    for (int i = 1; i < count; i++) printf("left %s\n", processes[i].name);
  }
  for (; count > 1; look()) {
    kill_all();
    while (waitpid(-1, NULL, WNOHANG) > 0) {}
    nap(10);
  }
  struct pollfd rest = { from, POLLIN, 0 };
  while (open_still && poll(&rest, 1, 0) > 0) open_still = drain(from, output);
  write_end(output);
  printf("%s %d\n", WIFEXITED(status) ? "exit" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
  printf("seconds %.2f\npeak %ld\n", took, usage.ru_maxrss);
  if (killed) printf("killed %s\n", killed);
  return 0;
}
