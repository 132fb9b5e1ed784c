/* What ranks make of a slot together. A sum is the tree ((0 + 1) + (2 + 3)): on its level l the ranks meet that differ
   in bit l of their number. Large slots are halved on each level, and each of the two adds its half; afterwards the
   halves go back the same way (recursive halving and doubling: Thakur, Rabenseifner and Gropp 2005). So every element
   is added as the tree has it, and each rank sends 2 (R - 1) / R of the bytes. */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/subnormal.h"
#include "mpi/link.h"

enum {
  SMALL = 4096,                 /* bytes of a sum that goes whole on each level, for there are half as many messages */
  HEADS = 1, NUMBERS = 2,       /* tags */
  SPINS = 200, PAUSE = 20000,   /* looks before it pauses between them; nanoseconds */
};

/* What a rank is about to do, which both must be. */
typedef struct head {
  uint32_t number, kind, bytes, level;
} head;

static const char *const doing[] = {"a sum of %zu numbers", "a sum of %zu figures", "what rank 0 says, %zu bytes"};

static void describe(char text[64], uint32_t kind, size_t bytes) {
  const char *format = kind < SM_RING_KINDS ? doing[kind] : "something else";
  size_t count = kind == SM_RING_SUM ? bytes / sizeof(real) : kind == SM_RING_DOUBLES ? bytes / sizeof(double) : bytes;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  snprintf(text, 64, format, count);
#pragma GCC diagnostic pop
}

static bool agrees(sm_link *link, int other, const head *own, const head *theirs) {
  if (memcmp(own, theirs, sizeof *own) == 0) return true;
  char mine[64], its[64];
  describe(mine, own->kind, own->bytes);
  describe(its, theirs->kind, theirs->bytes);
  snprintf(link->words, sizeof link->words,
           "the ranks do not compute the same: call %u is %s on rank %d, and call %u is %s on rank %d", own->number + 1,
           mine, link->rank, theirs->number + 1, its, other);
  return false;
}

static bool refuse(sm_link *link, int other, int error) {
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(error, text, &length);
  snprintf(link->words, sizeof link->words, "rank %d cannot be reached from rank %d: %.*s", other, link->rank, length,
           text);
  return false;
}

/* Waits for all requests; the first is that of the other's head. */
static bool wait_for(sm_link *link, int other, MPI_Request requests[4], const head *own, const head *theirs) {
  bool known = false;
  for (int turn = 0;; turn++) {
    int over = 0, error = MPI_SUCCESS;
    if (!known) {
      error = MPI_Test(&requests[0], &over, MPI_STATUS_IGNORE);
      if (error) return refuse(link, other, error);
      if (over && !agrees(link, other, own, theirs)) return false;
      known = over;
    } else {
      error = MPI_Testall(3, requests + 1, &over, MPI_STATUSES_IGNORE);
      if (error) return refuse(link, other, error);
      if (over) return true;
    }
    if (turn < SPINS) {
      sched_yield();
      continue;
    }
    static const struct timespec pause = {.tv_nsec = PAUSE};
    nanosleep(&pause, NULL);
    if (!link->look()) return false;
  }
}

/* Sends `sent` bytes to another rank, and gets `got` from it. */
static bool exchange(sm_link *link, int other, const head *own, const void *from, size_t sent, void *to, size_t got) {
  MPI_Request requests[4];
  head theirs;
  int error = MPI_Irecv(&theirs, sizeof theirs, MPI_BYTE, other, HEADS, link->data, &requests[0]);
  if (!error) error = MPI_Irecv(to, (int)got, MPI_BYTE, other, NUMBERS, link->data, &requests[1]);
  if (!error) error = MPI_Isend(own, sizeof *own, MPI_BYTE, other, HEADS, link->data, &requests[2]);
  if (!error) error = MPI_Isend(from, (int)sent, MPI_BYTE, other, NUMBERS, link->data, &requests[3]);
  return error ? refuse(link, other, error) : wait_for(link, other, requests, own, &theirs);
}

static void add_reals(real *out, const real *low, const real *high, size_t count) {
#pragma omp simd
  for (size_t i = 0; i < count; i++) out[i] = low[i] + high[i];
}

static void add_doubles(double *out, const double *low, const double *high, size_t count) {
#pragma omp simd
  for (size_t i = 0; i < count; i++) out[i] = low[i] + high[i];
}

/* own = own + other, the lower rank's first. */
static void add(void *own, const void *other, bool is_lower, sm_ring_kind kind, size_t count) {
  if (kind == SM_RING_DOUBLES)
    is_lower ? add_doubles(own, own, other, count) : add_doubles(own, other, own, count);
  else
    is_lower ? add_reals(own, own, other, count) : add_reals(own, other, own, count);
}

typedef struct part {
  size_t first, last; /* elements */
} part;

static bool sum_whole(sm_link *link, head *own, sm_ring_kind kind, uint8_t *slot, size_t size, size_t count) {
  for (int bit = 1; bit < link->ranks; bit *= 2, own->level++) {
    int other = link->rank ^ bit;
    if (!exchange(link, other, own, slot, count * size, link->spare, count * size)) return false;
    add(slot, link->spare, link->rank < other, kind, count);
  }
  return true;
}

static bool sum_in_halves(sm_link *link, head *own, sm_ring_kind kind, uint8_t *slot, size_t size, size_t count) {
  part parts[32] = {{0, count}};
  int level = 0;
  for (int bit = 1; bit < link->ranks; bit *= 2, level++, own->level++) {
    int other = link->rank ^ bit;
    bool is_lower = link->rank < other;
    size_t middle = parts[level].first + (parts[level].last - parts[level].first) / 2;
    part low = {parts[level].first, middle}, high = {middle, parts[level].last};
    part kept = is_lower ? low : high, given = is_lower ? high : low;
    if (!exchange(link, other, own, slot + given.first * size, (given.last - given.first) * size, link->spare,
                  (kept.last - kept.first) * size))
      return false;
    add(slot + kept.first * size, link->spare, is_lower, kind, kept.last - kept.first);
    parts[level + 1] = kept;
  }
  for (int bit = link->ranks / 2; bit >= 1; bit /= 2, level--, own->level++) {
    int other = link->rank ^ bit;
    part kept = parts[level], both = parts[level - 1];
    part got = kept.first == both.first ? (part){kept.last, both.last} : (part){both.first, kept.first};
    if (!exchange(link, other, own, slot + kept.first * size, (kept.last - kept.first) * size, slot + got.first * size,
                  (got.last - got.first) * size))
      return false;
  }
  return true;
}

static bool sum(sm_link *link, head *own, sm_ring_kind kind, uint8_t *slot, size_t bytes) {
  size_t size = kind == SM_RING_DOUBLES ? sizeof(double) : sizeof(real), count = bytes / size;
  sm_mode before = kind == SM_RING_SUM ? sm_flush_subnormal() : sm_mode_now();
  bool done = bytes <= SMALL ? sum_whole(link, own, kind, slot, size, count)
                             : sum_in_halves(link, own, kind, slot, size, count);
  sm_set_mode(before);
  return done;
}

/* On each level those that have it, the ranks below `bit`, give it to as many others. */
static bool give_first(sm_link *link, head *own, uint8_t *slot, size_t bytes) {
  for (int bit = 1; bit < link->ranks; bit *= 2, own->level++) {
    if (link->rank >= 2 * bit) continue;
    bool has = link->rank < bit;
    if (!exchange(link, link->rank ^ bit, own, slot, has ? bytes : 0, slot, has ? 0 : bytes)) return false;
  }
  return true;
}

bool sm_link_do(sm_link *link, uint32_t number, sm_ring_kind kind, uint8_t *slot, size_t bytes) {
  head own = {number, kind, (uint32_t)bytes, 0};
  switch (kind) {
    case SM_RING_SUM:
    case SM_RING_DOUBLES: return sum(link, &own, kind, slot, bytes);
    case SM_RING_FIRST: return give_first(link, &own, slot, bytes);
    case SM_RING_KINDS: break;
  }
  return false;
}
