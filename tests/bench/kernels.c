/* Each kernel of the core: first checked against a plain reference in double and against oneDNN's result,
   then timed against oneDNN and a yardstick (the peak of OpenBLAS's matrix products, or a plain loop that
   moves the same bytes), in turns; medians. Prints one Markdown table. A kernel that is wrong makes the exit
   status 1. kernels THREADS ROUNDS */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cases.h"
#include "core/gemm.h"
#include "core/parallel.h"

enum { SAMPLES = 512, MOST_ROUNDS = 1000, MOST_REPEATS = 1000 };
static const double sample_seconds = 2e-3; /* a timed sample lasts at least about as long */
static const double settle_seconds = 20e-3;

/* Sums of floats in another order differ by this share of the largest value at most; single elements by less.
   */
static const double tolerance = 1e-4;

/* The largest deviation of the first run's result from the reference, as a share of the largest value;
   infinity for a NaN. All elements of a small result, a sample of a large one. */
static double deviation(const bench_case *c) {
  size_t samples = c->count < SAMPLES ? c->count : SAMPLES;
  double worst = 0, largest = 0;
  for (size_t i = 0; i < samples; i++) {
    size_t index = (size_t)((double)i / (double)samples * (double)c->count);
    double expected = c->reference(c, index), error = fabs((double)c->out[0][index] - expected);
    if (!(error <= worst)) worst = isnan(error) ? INFINITY : error;
    if (fabs(expected) > largest) largest = fabs(expected);
  }
  return largest > 0 ? worst / largest : worst;
}

/* The same for the whole result against the peer's. */
static double difference(const bench_case *c) {
  float *theirs = malloc(c->count * sizeof *theirs);
  if (!theirs) return INFINITY;
  peer_run(c->peer);
  peer_result(theirs, c->peer);
  double worst = 0, largest = 0;
  for (size_t i = 0; i < c->count; i++) {
    double error = fabs((double)c->out[0][i] - (double)theirs[i]), size = fabs((double)theirs[i]);
    if (!(error <= worst)) worst = isnan(error) ? INFINITY : error;
    if (size > largest) largest = size;
  }
  free(theirs);
  return largest > 0 ? worst / largest : worst;
}

typedef enum contestant { OURS, PEER, YARDSTICK, CONTESTANTS } contestant;

static void run_one(contestant who, bench_case *c, bench_streams *streams) {
  if (who == OURS) c->run(c);
  if (who == PEER && c->peer) peer_run(c->peer);
  if (who == YARDSTICK && streams) bench_streams_run(streams);
}

/* A while of runs that are not timed comes first: threads of whoever ran before look for work for some milliseconds
   before they sleep, and its own, which slept meanwhile, have to come apart: a virtual machine may wake them all on one
   core. */
static double seconds(contestant who, bench_case *c, bench_streams *streams, int repeats) {
  for (double until = bench_now() + settle_seconds; bench_now() < until;) run_one(who, c, streams);
  double began = bench_now();
  for (int i = 0; i < repeats; i++) run_one(who, c, streams);
  return (bench_now() - began) / repeats;
}

static int repeats_for(contestant who, bench_case *c, bench_streams *streams) {
  run_one(who, c, streams);
  double wanted = sample_seconds / seconds(who, c, streams, 1);
  return wanted < 1 ? 1 : wanted > MOST_REPEATS ? MOST_REPEATS : (int)wanted;
}

/* Median seconds of each contestant, in turns. */
static void race(double median[CONTESTANTS], bench_case *c, bench_streams *streams, int rounds) {
  double times[CONTESTANTS][MOST_ROUNDS];
  int repeats[CONTESTANTS];
  for (contestant who = OURS; who < CONTESTANTS; who++) repeats[who] = repeats_for(who, c, streams);
  for (int round = 0; round < rounds; round++) {
    for (contestant who = OURS; who < CONTESTANTS; who++)
      times[who][round] = seconds(who, c, streams, repeats[who]);
  }
  for (contestant who = OURS; who < CONTESTANTS; who++)
    median[who] = bench_median(times[who], (size_t)rounds);
}

/* Checks one kernel, times it and prints its row. False when it is wrong. */
static bool measure(bench_case *c, double peak, int rounds) {
  c->run(c);
  double error = deviation(c);
  if (c->peer) error = fmax(error, difference(c));
  if (!(error <= tolerance)) {
    printf("| %s | **wrong** | | | | | %.1e |\n", c->name, error);
    fprintf(stderr, "%s: the result is off by %.1e of its largest value, expected at most %.1e\n", c->name,
            error, tolerance);
    return false;
  }
  bench_streams *streams = NULL;
  if (c->flop == 0 && !(streams = bench_streams_new(&c->traffic))) {
    fprintf(stderr, "%s: no memory for the yardstick\n", c->name);
    return false;
  }
  double median[CONTESTANTS];
  race(median, c, streams, rounds);
  bench_streams_free(streams);
  if (c->flop > 0) median[YARDSTICK] = c->flop / peak;

  printf("| %s | %.3f | ", c->name, median[OURS] * 1e3);
  if (c->peer)
    printf("%.3f | %.2f | ", median[PEER] * 1e3, median[PEER] / median[OURS]);
  else
    printf("– | – | ");
  printf("%.3f | %.2f | %.0e |\n", median[YARDSTICK] * 1e3, median[YARDSTICK] / median[OURS], error);
  fflush(stdout);
  return true;
}

static int fail(const char *message) {
  fprintf(stderr, "kernels: %s\n", message);
  return EXIT_FAILURE;
}

int main(int argc, char **argv) {
  int threads = argc == 3 ? atoi(argv[1]) : 0, rounds = argc == 3 ? atoi(argv[2]) : 0;
  if (threads < 1 || rounds < 1 || rounds > MOST_ROUNDS)
    return fail("usage: kernels THREADS ROUNDS (up to 1000)");
  sm_error error;
  if (sm_blas_load(&error)) return fail(error.message);
  sm_set_thread_count(threads);
  double peak = bench_gemm_peak(threads);
  if (peak == 0) return fail("no memory for the peak of matrix products");

  printf("Core built for %s; OpenBLAS kernels %s, peak %.0f GFLOP/s with %d thread%s; %s.\n\n",
         sm_instruction_set(), sm_blas_kernel(), peak * 1e-9, threads, threads > 1 ? "s" : "",
         peer_name() ? peer_name()
                     : "oneDNN **skipped** (dnnl.hpp of version 2, Debian package libdnnl-dev, was not "
                       "there when this was built)");
  printf("| kernel | smrun ms | oneDNN ms | oneDNN ÷ smrun | yardstick ms | yardstick ÷ smrun | error |\n");
  printf("|---|--:|--:|--:|--:|--:|--:|\n");
  bool good = true;
  for (int i = 0; i < bench_case_count(); i++) {
    bench_case c;
    if (bench_case_new(&c, i, peer_name() != NULL, &error)) {
      fprintf(stderr, "%s\n", error.message);
      good = false;
    } else {
      good = measure(&c, peak, rounds) && good;
    }
    bench_case_free(&c);
  }
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
