/* What ranks compute together, without Lua: run by mpirun, each process is a rank.
   mpi_sum           sums of many sizes against the tree computed here; texts; what ranks say that differ
   mpi_sum forge N   rank 1 posts what there is not, in one of three ways: all end, and the message names it
   mpi_sum differ    rank 1 asks for something else: all ranks end, and the message names it
   mpi_sum time      how long sums of 4 KB, 1 MB and 100 MB take */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/subnormal.h"
#include "mpi/ring.h"
#include "mpi/wire.h"

static sm_ring_client client;
static sm_wire_place place;
static int wrong;

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void check(bool holds, const char *what, size_t size) {
  if (holds) return;
  fprintf(stderr, "rank %d of %d: %s, %zu elements\n", place.rank, place.ranks, what, size);
  wrong++;
}

static void await(void) {
  if (sm_ring_await(&client)) return;
  fprintf(stderr, "mpi_sum: %s\n", client.ring->words);
  sm_wire_fail("it has heard");
  exit(sm_wire_finish(EXIT_FAILURE));
}

/* In place. */
static void sum(real *x, size_t count) {
  size_t put = 0, taken = 0;
  while (taken < count) {
    put += sm_ring_put(&client, x + put, count - put);
    if (put == count) sm_ring_flush(&client);
    await();
    taken += sm_ring_take(&client, x + taken, count - taken);
  }
}

/* What a rank has at a position: of all magnitudes and both signs, so that another order of additions shows. */
static real value(int rank, size_t i) {
  uint64_t bits = (i + 1) * 0x9E3779B97F4A7C15u + (uint64_t)rank * 0xD1B54A32D192ED03u;
  bits = (bits ^ bits >> 29) * 0xBF58476D1CE4E5B9u;
  bits ^= bits >> 32;
  double fraction = (double)(bits >> 40) / (1 << 24) - 0.5;
  return (real)ldexp(fraction, (int)(bits & 15) - 8);
}

/* ((0 + 1) + (2 + 3)) of the ranks from `first` on. */
static real tree(int first, int count, size_t i) {
  if (count == 1) return value(first, i);
  real low = tree(first, count / 2, i), high = tree(first + count / 2, count / 2, i);
  return low + high;
}

static void check_sums(void) {
  static const size_t sizes[] = {0, 1, 2, 3, 7, 31, 1000, 1023, 1024, 1025, 99999, SM_RING_REALS - 1, SM_RING_REALS,
                                 SM_RING_REALS + 1, 5 * SM_RING_REALS + 13, (SM_RING_SLOTS + 2) * SM_RING_REALS + 5};
  size_t count = sizeof sizes / sizeof *sizes - (place.ranks > 2); /* the last one takes all slots, and memory */
  for (size_t s = 0; s < count; s++) {
    real *x = malloc((sizes[s] + 1) * sizeof *x);
    if (!x) exit(sm_wire_finish(EXIT_FAILURE));
    for (size_t i = 0; i < sizes[s]; i++) x[i] = value(place.rank, i);
    x[sizes[s]] = 42;
    sum(x, sizes[s]);
    size_t differing = 0;
    sm_mode before = sm_flush_subnormal();
    for (size_t i = 0; i < sizes[s]; i++) {
      real expected = tree(0, place.ranks, i);
      differing += memcmp(&expected, &x[i], sizeof expected) != 0;
    }
    sm_set_mode(before);
    check(differing == 0, "a sum is not the tree's", sizes[s]);
    check(x[sizes[s]] == 42, "a sum has written behind its end", sizes[s]);
    free(x);
  }
}

/* Many small ones before the first is taken: they share slots. */
static void check_several(void) {
  enum { COUNT = 300, SIZE = 77 };
  static real x[COUNT][SIZE];
  size_t differing = 0;
  for (size_t k = 0; k < COUNT; k++) {
    for (size_t i = 0; i < SIZE; i++) x[k][i] = value(place.rank, k * SIZE + i);
    check(sm_ring_put(&client, x[k], SIZE) == SIZE, "small sums do not fit", SIZE);
  }
  sm_ring_flush(&client);
  for (size_t k = 0; k < COUNT; k++) {
    for (size_t taken = 0; taken < SIZE; taken += sm_ring_take(&client, x[k] + taken, SIZE - taken)) await();
    for (size_t i = 0; i < SIZE; i++) differing += x[k][i] != tree(0, place.ranks, k * SIZE + i);
  }
  check(differing == 0, "one of several sums is wrong", SIZE);
}

static void check_others(void) {
  enum { COUNT = 1000 };
  double figures[COUNT], sums[COUNT];
  for (int i = 0; i < COUNT; i++) figures[i] = ldexp(1.0 / (1 + i + place.rank), place.rank);
  sm_ring_post(&client, SM_RING_DOUBLES, figures, sizeof figures);
  await();
  memcpy(sums, sm_ring_done(&client), sizeof sums);
  int differing = 0;
  for (int i = 0; i < COUNT; i++) {
    double level[64];
    for (int rank = 0; rank < place.ranks; rank++) level[rank] = ldexp(1.0 / (1 + i + rank), rank);
    for (int step = 1; step < place.ranks; step *= 2)
      for (int rank = 0; rank < place.ranks; rank += 2 * step) level[rank] += level[rank + step];
    differing += level[0] != sums[i];
  }
  check(differing == 0, "a sum in double is not the tree's", COUNT);

  static uint8_t text[SM_RING_BYTES];
  for (size_t i = 0; place.rank == 0 && i < sizeof text; i++) text[i] = (uint8_t)(i * 7 % 251);
  sm_ring_post(&client, SM_RING_FIRST, text, sizeof text);
  await();
  const uint8_t *got = sm_ring_done(&client);
  for (size_t i = 0; i < sizeof text; i++) differing += got[i] != i * 7 % 251;
  check(differing == 0, "what rank 0 says is lost", sizeof text);
}

static void time_sums(void) {
  static const size_t megabytes[] = {0, 1, 100};
  for (size_t s = 0; s < sizeof megabytes / sizeof *megabytes; s++) {
    size_t bytes = megabytes[s] ? megabytes[s] * 1000 * 1000 : 4000, count = bytes / sizeof(real);
    real *x = calloc(count, sizeof *x);
    double best = INFINITY;
    for (int turn = 0; x && turn < (megabytes[s] > 1 ? 5 : 200); turn++) {
      double begin = seconds_now();
      sum(x, count);
      best = fmin(best, seconds_now() - begin);
    }
    if (place.rank == 0)
      printf("%d ranks, %9zu bytes: %8.3f ms, %5.2f GB/s\n",
             place.ranks, bytes, 1e3 * best, 1e-9 * (double)bytes / best);
    free(x);
  }
}

static void forge(int way) {
  static const sm_ring_item wrong_items[] = {
    {SM_RING_KINDS, 8}, {SM_RING_SUM, SM_RING_BYTES + 4096}, {SM_RING_DOUBLES, 12}};
  if (place.rank == 1) {
    client.ring->items[0] = wrong_items[way % 3];
    client.posted = 1;
    atomic_store(&client.ring->posted, 1);
    sm_ring_wake(&client.ring->posted);
    await();
  }
  real x[2] = {0};
  sum(x, 2);
}

int main(int argc, char **argv) {
  char words[SM_RING_WORDS];
  const char *wanted = argc > 1 ? argv[1] : "";
  if (!sm_wire_start(&place, words)) {
    fprintf(stderr, "mpi_sum: %s\n", words);
    return EXIT_FAILURE;
  }
  client.ring = sm_ring_map(place.memory);
  if (!client.ring) return EXIT_FAILURE;
  if (strcmp(wanted, "time") == 0) {
    time_sums();
  } else if (strcmp(wanted, "forge") == 0) {
    forge(argc > 2 ? atoi(argv[2]) : 0);
  } else if (strcmp(wanted, "differ") == 0) {
    real x[10] = {0};
    sum(x, place.rank == 1 ? 9 : 10);
  } else {
    check_sums();
    check_several();
    check_others();
    if (place.rank == 0 && wrong == 0) printf("%d ranks: all sums are the tree's\n", place.ranks);
  }
  return sm_wire_finish(wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}
