#include "host/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host/channel.h"
#include "host/interrupt.h"

enum {
  CANNOT_START = 127,      /* exit code of a process that never became the program, as a shell has it */
  OWN = 4,                 /* descriptors that every worker has, from 0 on */
  GLANCE = 100,            /* milliseconds between two looks for a signal or an end */
  SHORT_GLANCE = 1,        /* the same where the end is near, for nothing else wakes us */
  PIECE = 1 << 16,         /* bytes that are read at once */
  MOST_WAITING = 64 << 20, /* bytes that are kept while a message is sent */
};

static const double reprieve = 1; /* seconds that a worker may live on with a closed socket */

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* close_range is older than neither all kernels nor all C libraries that this runs with. */
static void close_from(int first, int limit) {
#ifdef SYS_close_range
  if (syscall(SYS_close_range, first, ~0u, 0) == 0) return;
#endif
  for (int descriptor = first; descriptor < limit; descriptor++) close(descriptor);
}

/* The new process on its way to the program: only what a signal handler may do as well, for other threads of the parent
   may have held any lock. */
static void become(char *const *words, const int own[OWN], int shared, int limit, pid_t parent) {
  struct sigaction usual = {.sa_handler = SIG_DFL};
  sigset_t none;
  setsid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(CANNOT_START);
  for (int descriptor = 0; descriptor < OWN; descriptor++)
    if (dup2(own[descriptor], descriptor) < 0) _exit(CANNOT_START);
  if (shared >= 0 && dup2(shared, OWN) < 0) _exit(CANNOT_START);
  close_from(shared >= 0 ? OWN + 1 : OWN, limit);
  for (int number = 1; number < NSIG; number++) sigaction(number, &usual, NULL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  execv(words[0], words);
  static const char message[] = "cannot be started\n";
  if (write(STDERR_FILENO, message, sizeof message - 1) < 0) _exit(CANNOT_START);
  _exit(CANNOT_START);
}

static int most_descriptors(void) {
  enum { plenty = 1 << 16 };
  struct rlimit limit;
  bool few = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < plenty;
  return few ? (int)limit.rlim_cur : plenty;
}

static pid_t start(char *const *words, const int own[OWN], int shared) {
  sigset_t all, before;
  int limit = most_descriptors();
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  signal(SIGCHLD, SIG_DFL); /* where a parent had it ignored, how a process ended would be lost */
  pid_t parent = getpid(), process = fork();
  if (process == 0) become(words, own, shared, limit, parent);
  int saved_errno = errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = saved_errno;
  return process;
}

/* The two ends of the socket and of the pipe, an empty input and what is shared, all but ours above the numbers that
   they get in the worker, so that none is in another's way. False with errno. */
static bool make_ends(int ours[2], int own[OWN], int shared, int *kept) {
  int pair[2] = {-1, -1}, ends[2] = {-1, -1}, nowhere = open("/dev/null", O_RDONLY | O_CLOEXEC);
  bool made = nowhere >= 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0 &&
              pipe2(ends, O_CLOEXEC) == 0 && fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0 &&
              fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
  int from[] = {nowhere, ends[1], ends[1], pair[1]};
  for (int i = 0; i < OWN; i++) {
    own[i] = made ? fcntl(from[i], F_DUPFD_CLOEXEC, OWN + 1) : -1;
    made = own[i] >= 0;
  }
  *kept = made && shared >= 0 ? fcntl(shared, F_DUPFD_CLOEXEC, OWN + 1) : -1;
  made = made && (shared < 0 || *kept >= 0);
  int saved_errno = errno;
  for (int i = 0; i < 4; i++)
    if (i != 2 && from[i] >= 0) close(from[i]);
  ours[0] = pair[0];
  ours[1] = ends[0];
  errno = saved_errno;
  return made;
}

static void close_end(int *end) {
  if (*end >= 0) close(*end);
  *end = -1;
}

void sm_worker_clear(sm_worker *worker) {
  *worker =
      (sm_worker){.socket = -1, .pipe = -1, .closed_at = -1, .socket_left = SIZE_MAX, .pipe_left = SIZE_MAX};
}

int sm_worker_start(sm_worker *worker, char *const *words, int shared) {
  int ours[2], own[OWN], kept, error = 0;
  sm_worker_clear(worker);
  pid_t process = make_ends(ours, own, shared, &kept) ? start(words, own, kept) : -1;
  if (process < 0) error = errno;
  for (int i = 0; i < OWN; i++) close_end(&own[i]);
  close_end(&kept);
  worker->socket = ours[0];
  worker->pipe = ours[1];
  if (!error) {
    sm_host_pass_on_to(process);
    error = sm_watch_start(&worker->watch, process);
  }
  if (!error) {
    worker->process = process;
    return 0;
  }
  if (process > 0) {
    sm_host_pass_on_to(0);
    kill(process, SIGKILL);
    waitpid(process, NULL, 0);
  }
  close_end(&worker->socket);
  close_end(&worker->pipe);
  return error;
}

/* So many bytes at most from an end; 0 where there is nothing now, and the end closed where nothing will come. */
static size_t read_end(int *end, size_t *left, uint8_t *bytes, size_t room) {
  if (*end < 0) return 0;
  if (room > *left) room = *left;
  ssize_t got = room > 0 ? read(*end, bytes, room) : 0;
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  if (got <= 0) {
    close_end(end);
    return 0;
  }
  if (*left != SIZE_MAX) *left -= (size_t)got;
  return (size_t)got;
}

static bool hear_noise(sm_worker *worker) {
  if (worker->noise_length == 0)
    worker->noise_length = read_end(&worker->pipe, &worker->pipe_left, worker->noise, sizeof worker->noise);
  return worker->noise_length > 0;
}

/* Reads from the socket. False where there is no memory. */
static bool hear(sm_worker *worker, size_t *got) {
  uint8_t *room = sm_frames_room(&worker->incoming, PIECE);
  *got = 0;
  if (!room) return false;
  *got = read_end(&worker->socket, &worker->socket_left, room, PIECE);
  sm_frames_add(&worker->incoming, *got);
  return true;
}

static void break_off(sm_worker *worker) {
  worker->broken = true;
  if (worker->process != 0)
    sm_watch_signal(&worker->watch, SIGKILL, "broken");
  else if (!worker->watch.why)
    worker->watch.why = "broken";
  close_end(&worker->socket);
  sm_frames_release(&worker->incoming);
}

/* What an end holds now. */
static size_t held(int end) {
  int bytes = 0;
  return end >= 0 && ioctl(end, FIONREAD, &bytes) == 0 && bytes > 0 ? (size_t)bytes : 0;
}

/* Reaps the worker, if it has ended, and what it may have started. What it has sent is still to be read, and no more:
   a process that got away may hold its ends. */
static void reap(sm_worker *worker, bool wait) {
  siginfo_t info = {0};
  int flags = WEXITED | WNOWAIT | (wait ? 0 : WNOHANG), failed;
  do {
    failed = waitid(P_PID, (id_t)worker->process, &info, flags);
  } while (failed && errno == EINTR);
  if (!failed && info.si_pid == 0) return;
  struct rusage usage = {0};
  worker->status = SIGKILL; /* for one that somebody else has reaped: no success */
  sm_host_pass_on_to(0);
  sm_watch_forget(&worker->watch);
  if (!failed) kill(-worker->process, SIGKILL);
  while (wait4(worker->process, &worker->status, 0, &usage) < 0 && errno == EINTR) {
  }
  worker->process = 0;
  sm_watch_end(&worker->watch);
  worker->cpu_seconds = (double)usage.ru_utime.tv_sec + 1e-6 * (double)usage.ru_utime.tv_usec +
                        (double)usage.ru_stime.tv_sec + 1e-6 * (double)usage.ru_stime.tv_usec;
  worker->socket_left = held(worker->socket);
  worker->pipe_left = held(worker->pipe);
}

/* Reaps where there is something to reap. Whoever has closed the socket has nothing to say any more and is to go. */
static void look_after(sm_worker *worker) {
  if (worker->process == 0) return;
  reap(worker, false);
  if (worker->process == 0 || worker->socket >= 0 || worker->broken) return;
  if (worker->closed_at < 0)
    worker->closed_at = seconds_now();
  else if (seconds_now() >= worker->closed_at + reprieve)
    break_off(worker);
}

/* Waits for something to read, for a moment. */
static void wait_a_moment(const sm_worker *worker, double seconds) {
  struct pollfd ends[] = {{.fd = worker->socket, .events = POLLIN}, {.fd = worker->pipe, .events = POLLIN}};
  double most = worker->socket < 0 ? SHORT_GLANCE : GLANCE;
  poll(ends, 2, (int)ceil(fmin(most, 1000 * fmax(seconds, 0))));
}

/* The end, after half a frame of one that went by itself is seen. */
static sm_worker_event end(sm_worker *worker) {
  if (sm_frames_size(&worker->incoming) > 0 && WIFEXITED(worker->status)) break_off(worker);
  return SM_WORKER_ENDED;
}

sm_worker_event sm_worker_next(sm_worker *worker, double seconds, sm_frame *frame) {
  double last = seconds_now() + seconds;
  for (;;) {
    if (worker->noise_next && hear_noise(worker)) return SM_WORKER_NOISED;
    sm_frame_state state = sm_frames_first(&worker->incoming, "moe", frame);
    if (state == SM_FRAME_WHOLE) return SM_WORKER_FRAME;
    if (state == SM_FRAME_BROKEN) break_off(worker);
    size_t got;
    if (!hear(worker, &got)) return SM_WORKER_NO_MEMORY;
    if (got > 0) continue;
    if (hear_noise(worker)) return SM_WORKER_NOISED;
    bool reaped = worker->process == 0;
    if (reaped && worker->socket < 0 && worker->pipe < 0) return end(worker);
    look_after(worker);
    if (worker->process == 0) continue;
    if (!worker->told && sm_host_signalled()) {
      worker->told = true;
      return SM_WORKER_NOTHING;
    }
    double now = seconds_now();
    if (now >= last) return SM_WORKER_NOTHING;
    wait_a_moment(worker, last - now);
  }
}

void sm_worker_taken(sm_worker *worker, sm_worker_event event, const sm_frame *frame) {
  if (event == SM_WORKER_FRAME) sm_frames_take(&worker->incoming, frame);
  if (event == SM_WORKER_NOISED) worker->noise_length = 0;
  worker->noise_next = event == SM_WORKER_FRAME;
}

/* 0, or the number of an error. */
static int send_all(sm_worker *worker, const uint8_t *bytes, size_t length) {
  for (size_t at = 0; at < length;) {
    if (worker->socket < 0) return EPIPE;
    ssize_t sent = send(worker->socket, bytes + at, length - at, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return EPIPE;
    if (sent > 0) {
      at += (size_t)sent;
      continue;
    }
    size_t got;
    bool room = sm_frames_size(&worker->incoming) < MOST_WAITING;
    struct pollfd ready = {.fd = worker->socket, .events = (short)(POLLOUT | (room ? POLLIN : 0))};
    if (poll(&ready, 1, GLANCE) > 0 && room && !hear(worker, &got)) return ENOMEM;
  }
  return 0;
}

int sm_worker_send(sm_worker *worker, const char *bytes, size_t length) {
  uint8_t head[SM_FRAME_HEAD];
  sm_frame_head(head, 'm', length);
  int error = send_all(worker, head, sizeof head);
  if (!error) error = send_all(worker, (const uint8_t *)bytes, length);
  if (error == ENOMEM) break_off(worker); /* half a message is out */
  return error;
}

void sm_worker_release(sm_worker *worker) {
  if (worker->process != 0) {
    sm_watch_signal(&worker->watch, SIGKILL, NULL);
    reap(worker, true);
  }
  close_end(&worker->socket);
  close_end(&worker->pipe);
  sm_frames_release(&worker->incoming);
}
