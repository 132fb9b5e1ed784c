#include "mpi/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "mpi/link.h"

/* What ranks say to one another beside the data. */
typedef enum note_kind {
  ALIVE,  /* to the next rank, every second */
  DONE,   /* to all: this rank has ended well */
  FAILED, /* to all: it has not */
  HEARD,  /* from rank 0 to one that has failed: it is told to the person */
  NOTES
} note_kind;

typedef struct note {
  int kind;
  char words[SM_RING_WORDS];
} note;

enum { NOTE = 3, GLANCE = 20 }; /* a tag; milliseconds between two looks of an idle thread */

/* Seconds: between two signs of life; without one until a rank counts as gone, which is long, for a machine may be
   busy, and mpirun knows of most ends itself; from a failure to the end of a process
   that does not end by itself; for rank 0 to hear of a failure; for a rank 0 that has heard to end all; for what was
   written to arrive before all is ended. */
static const double beat = 1, silence_most = 30, grace = 3, to_hear = 2, to_end = 4, to_arrive = 0.2;
static const double least = 0.001, most = 1; /* between two looks; that one counts, for longer ones were a stop */

static sm_link ranks;
static sm_ring *ring;
static bool with_mpi, is_started;
static pid_t visible_neighbour; /* the rank before this one, where it is a process of this machine; else 0 */
static pthread_t thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char problem[SM_RING_WORDS]; /* written once, with the lock, before has_problem */
static atomic_bool has_problem, is_own, said, heard, ending, all_done, quit;
static atomic_int abort_code; /* not 0: the thread is to end everything */

/* The thread's alone. */
static double last_look, next_beat, silence, since_problem;
static bool told[NOTES];
static int done_ranks;
static note out[NOTES];
static MPI_Request *sends; /* NOTES times as many as there are ranks */

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void sleep_for(double seconds) {
  struct timespec time = {.tv_sec = (time_t)seconds, .tv_nsec = (long)(1e9 * fmod(seconds, 1))};
  while (nanosleep(&time, &time) != 0 && errno == EINTR) {
  }
}

/* The first problem stays. */
static void set_problem(const char *words, bool own) {
  pthread_mutex_lock(&lock);
  if (!has_problem) {
    snprintf(problem, sizeof problem, "%s", words);
    snprintf(ring->words, sizeof ring->words, "%s", words);
    is_own = own;
    has_problem = true;
    atomic_store_explicit(&ring->failed, 1, memory_order_release);
    sm_ring_wake(&ring->done);
    sm_ring_wake(&ring->posted);
  }
  pthread_mutex_unlock(&lock);
}

/* A rank gets each kind of note from another at most once at a time. */
static void send_note(note_kind kind, int to) {
  MPI_Request *request = &sends[kind * ranks.ranks + to];
  int over = 1;
  if (*request != MPI_REQUEST_NULL) MPI_Test(request, &over, MPI_STATUS_IGNORE);
  if (over) MPI_Isend(&out[kind], sizeof out[kind], MPI_BYTE, to, NOTE, ranks.control, request);
}

static void tell_all(note_kind kind) {
  if (told[kind]) return;
  told[kind] = true;
  for (int to = 0; to < ranks.ranks; to++)
    if (to != ranks.rank) send_note(kind, to);
}

static int neighbour(int step) { return (ranks.rank + step + ranks.ranks) % ranks.ranks; }

static void hear(const note *in, int from) {
  if (from == neighbour(-1)) silence = 0;
  if (in->kind == DONE) done_ranks++;
  if (in->kind == HEARD) heard = true;
  if (in->kind != FAILED) return;
  set_problem(in->words, false);
  if (ranks.rank == 0) send_note(HEARD, from);
}

static void hear_all(void) {
  for (int waiting = 1; waiting;) {
    MPI_Status status;
    note in;
    if (MPI_Iprobe(MPI_ANY_SOURCE, NOTE, ranks.control, &waiting, &status) != MPI_SUCCESS || !waiting) return;
    if (MPI_Recv(&in, sizeof in, MPI_BYTE, status.MPI_SOURCE, NOTE, ranks.control, &status) != MPI_SUCCESS) return;
    in.words[sizeof in.words - 1] = '\0';
    hear(&in, status.MPI_SOURCE);
  }
}

_Noreturn static void end_all(int code) {
  if (with_mpi) MPI_Abort(MPI_COMM_WORLD, code);
  _exit(code);
}

static void watch_neighbour(double now, double passed) {
  if (now >= next_beat) {
    next_beat = now + beat;
    send_note(ALIVE, neighbour(1));
  }
  silence += passed;
  bool gone = visible_neighbour && done_ranks == 0 && kill(visible_neighbour, 0) != 0 && errno == ESRCH;
  if (!gone && silence < silence_most) return;
  char words[SM_RING_WORDS];
  snprintf(words, sizeof words, "rank %d of %d does not answer any more: its process or its machine is gone",
           neighbour(-1), ranks.ranks);
  set_problem(words, true);
}

/* Looks after the other ranks, and after what the main thread wants. */
static bool look(void) {
  double now = seconds_now(), passed = fmin(now - last_look, most);
  if (passed < least) return !has_problem;
  last_look = now;
  if (ranks.ranks > 1) {
    hear_all();
    watch_neighbour(now, passed);
    if (has_problem && is_own) {
      memcpy(out[FAILED].words, problem, sizeof problem);
      tell_all(FAILED);
    }
    if (ending) tell_all(DONE);
  }
  all_done = ending && done_ranks == ranks.ranks - 1;
  if (abort_code) end_all(abort_code);
  if (has_problem) since_problem += passed;
  if (since_problem >= grace + to_hear + to_end) { /* what runs in the main thread does not come to an end */
    if (ranks.rank == 0 || (is_own && !heard)) fprintf(stderr, "smrun: %s\n", problem);
    end_all(EXIT_FAILURE);
  }
  return !has_problem;
}

/* Whether what was posted can be done at all. */
static bool is_sound(sm_ring_item item) {
  if (item.kind >= SM_RING_KINDS || item.bytes > SM_RING_BYTES) return false;
  if (item.kind == SM_RING_SUM) return item.bytes % sizeof(real) == 0;
  return item.kind != SM_RING_DOUBLES || item.bytes % sizeof(double) == 0;
}

static void serve(uint32_t number) {
  volatile sm_ring_item *posted = &ring->items[number % SM_RING_SLOTS]; /* read once: the client may change it */
  sm_ring_item item = {posted->kind, posted->bytes};
  ranks.words[0] = '\0';
  if (!is_sound(item)) {
    snprintf(ranks.words, sizeof ranks.words, "rank %d of %d: the experiment's process asked for what there is not",
             ranks.rank, ranks.ranks);
    set_problem(ranks.words, true);
  } else if (!sm_link_do(&ranks, number, item.kind, ring->slots[number % SM_RING_SLOTS], item.bytes)) {
    if (ranks.words[0]) set_problem(ranks.words, true);
  } else {
    atomic_store_explicit(&ring->done, number + 1, memory_order_release);
    sm_ring_wake(&ring->done);
  }
}

static void *run(void *nothing) {
  uint32_t done = 0;
  last_look = seconds_now();
  prctl(PR_SET_TIMERSLACK, 1000); /* nanoseconds that a pause may be longer */
  while (!quit) {
    uint32_t posted = atomic_load_explicit(&ring->posted, memory_order_acquire);
    if (posted == done)
      sm_ring_wait(&ring->posted, done, GLANCE);
    else if (!has_problem)
      serve(done++);
    else
      sleep_for(1e-3 * GLANCE);
    look();
  }
  return nothing;
}

/* A thread that no signal is handled in. */
static int start_thread(void) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&thread, NULL, run, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
}

/* Whether something that knows MPI has started this process. */
static bool is_launched(void) {
  static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_SIZE"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (getenv(names[i])) return true;
  return false;
}

/* The process of the rank before this one, where it can be seen from here. */
static void find_neighbour(MPI_Comm machine) {
  int before = neighbour(-1), there = MPI_UNDEFINED, count;
  MPI_Group world, here;
  MPI_Comm_group(MPI_COMM_WORLD, &world);
  MPI_Comm_group(machine, &here);
  MPI_Group_translate_ranks(world, 1, &before, here, &there);
  MPI_Group_free(&world);
  MPI_Group_free(&here);
  MPI_Comm_size(machine, &count);
  pid_t own = getpid(), *processes = calloc((size_t)count, sizeof *processes);
  if (processes) MPI_Allgather(&own, sizeof own, MPI_BYTE, processes, sizeof own, MPI_BYTE, machine);
  if (processes && there != MPI_UNDEFINED && processes[there] != own && kill(processes[there], 0) == 0)
    visible_neighbour = processes[there];
  free(processes);
}

/* How many ranks there are on this machine, and how many may run on cores of this one's. */
static void count_neighbours(sm_wire_place *place) {
  MPI_Comm machine;
  int count, sharing = 0;
  cpu_set_t own, both;
  CPU_ZERO(&own);
  sched_getaffinity(0, sizeof own, &own);
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine);
  MPI_Comm_size(machine, &count);
  cpu_set_t *sets = calloc((size_t)count, sizeof *sets);
  if (sets) MPI_Allgather(&own, sizeof own, MPI_BYTE, sets, sizeof own, MPI_BYTE, machine);
  for (int i = 0; sets && i < count; i++) {
    CPU_AND(&both, &own, &sets[i]);
    sharing += CPU_COUNT(&both) > 0;
  }
  free(sets);
  find_neighbour(machine);
  MPI_Comm_free(&machine);
  place->here = count;
  place->sharing = sharing > 0 ? sharing : 1;
}

static bool begin_mpi(sm_wire_place *place, char words[SM_RING_WORDS]) {
  int provided = MPI_THREAD_SINGLE;
  if (MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided) != MPI_SUCCESS ||
      provided < MPI_THREAD_SERIALIZED) {
    snprintf(words, SM_RING_WORDS, "this MPI takes no calls from a second thread (MPI_THREAD_SERIALIZED)");
    return false;
  }
  MPI_Comm_dup(MPI_COMM_WORLD, &ranks.data);
  MPI_Comm_dup(MPI_COMM_WORLD, &ranks.control);
  MPI_Comm_set_errhandler(ranks.data, MPI_ERRORS_RETURN);
  MPI_Comm_set_errhandler(ranks.control, MPI_ERRORS_RETURN);
  MPI_Comm_rank(MPI_COMM_WORLD, &ranks.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks.ranks);
  count_neighbours(place);
  return true;
}

bool sm_wire_start(sm_wire_place *place, char words[SM_RING_WORDS]) {
  const char *tasks = getenv("SLURM_STEP_NUM_TASKS");
  with_mpi = is_launched();
  if (!with_mpi && tasks && atoi(tasks) > 1) {
    snprintf(words, SM_RING_WORDS,
             "srun has started %s tasks that do not know of each other: srun --mpi=pmix, or mpirun", tasks);
    return false;
  }
  *place = (sm_wire_place){.ranks = 1, .here = 1, .sharing = 1};
  ranks = (sm_link){.ranks = 1, .look = look};
  if (with_mpi && !begin_mpi(place, words)) return false;
  place->rank = ranks.rank;
  place->ranks = ranks.ranks;
  place->memory = sm_ring_new();
  ring = place->memory >= 0 ? sm_ring_map(place->memory) : NULL;
  ranks.spare = malloc(SM_RING_BYTES);
  sends = malloc(NOTES * (size_t)ranks.ranks * sizeof *sends);
  bool made = ring && ranks.spare && sends;
  for (int i = 0; made && i < NOTES * ranks.ranks; i++) sends[i] = MPI_REQUEST_NULL;
  for (int kind = 0; kind < NOTES; kind++) out[kind].kind = kind;
  if (made) {
    ring->rank = (uint32_t)ranks.rank;
    ring->ranks = (uint32_t)ranks.ranks;
    errno = start_thread();
    made = errno == 0;
  }
  if (!made) snprintf(words, SM_RING_WORDS, "the ring of this rank cannot be made: %s", strerror(errno));
  is_started = made;
  return made;
}

const char *sm_wire_problem(void) { return has_problem ? problem : NULL; }

bool sm_wire_fail(const char *words) {
  if (!is_started || ranks.ranks == 1) return false;
  char text[SM_RING_WORDS];
  snprintf(text, sizeof text, "rank %d of %d: %s", ranks.rank, ranks.ranks, words);
  said = true;
  set_problem(text, true);
  if (ranks.rank == 0) return false;
  for (double last = seconds_now() + to_hear; is_own && !heard && seconds_now() < last;) sleep_for(0.005);
  return heard || !is_own;
}

/* Ends all ranks with a code that is not 0. */
_Noreturn static void break_off(int code) {
  fflush(NULL);
  if (!has_problem) {
    char words[SM_RING_WORDS];
    snprintf(words, sizeof words, "rank %d of %d: ended with exit code %d", ranks.rank, ranks.ranks, code);
    set_problem(words, true);
  }
  sleep_for(ranks.rank == 0 || (is_own && !heard) ? to_arrive : to_end);
  abort_code = code;
  for (;;) sleep_for(1);
}

int sm_wire_finish(int code) {
  enum { INTERRUPTED = 130 };
  if (!is_started || (!with_mpi && code != 0)) return code;
  bool well = code == EXIT_SUCCESS || code == INTERRUPTED;
  ending = well;
  while (well && !has_problem && !all_done) sleep_for(0.002);
  if (!well || has_problem) {
    if (well && !said && (ranks.rank == 0 || (is_own && !heard))) fprintf(stderr, "smrun: %s\n", problem);
    break_off(code == EXIT_SUCCESS ? EXIT_FAILURE : code);
  }
  quit = true;
  sm_ring_wake(&ring->posted);
  pthread_join(thread, NULL);
  if (with_mpi) MPI_Finalize();
  return code;
}
