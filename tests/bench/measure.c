#include "measure.h"

#include <stdlib.h>
#include <time.h>

#include "core/gemm.h"

double bench_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double bench_median(double *values, size_t count) {
  qsort(values, count, sizeof *values, compare);
  size_t middle = count / 2;
  return count % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

enum { PEAK_SIZE = 768, PEAK_RUNS = 12 };

double bench_gemm_peak(int threads) {
  const size_t size = PEAK_SIZE, count = size * size;
  real *matrices = aligned_alloc(SM_ALIGNMENT, (size_t)threads * 3 * count * sizeof *matrices);
  if (!matrices) return 0;
  for (size_t i = 0; i < (size_t)threads * 3 * count; i++) matrices[i] = (real)(i % 7);

  double best = 0;
  for (int run = 0; run < PEAK_RUNS; run++) {
    double began = bench_now();
#pragma omp parallel for num_threads(threads)
    for (int thread = 0; thread < threads; thread++) {
      real *c = matrices + (size_t)thread * 3 * count;
      sm_gemm_serial(c, c + count, c + 2 * count, false, false, false, size, size, size, size, size, size);
    }
    double rate = 2.0 * threads * (double)(size * count) / (bench_now() - began);
    if (rate > best) best = rate;
  }
  free(matrices);
  return best;
}

enum { MOST_STREAMS = 8, STREAM_BLOCK = 4096 };

struct bench_streams {
  bench_traffic traffic;
  float *array[MOST_STREAMS]; /* those to update, then those to read, then those to write */
};

bench_streams *bench_streams_new(const bench_traffic *traffic) {
  int arrays = traffic->updates + traffic->reads + traffic->writes;
  if (arrays > MOST_STREAMS) return NULL;
  bench_streams *streams = calloc(1, sizeof *streams);
  if (!streams) return NULL;
  streams->traffic = *traffic;
  size_t bytes = (traffic->n * sizeof(float) + SM_ALIGNMENT - 1) / SM_ALIGNMENT * SM_ALIGNMENT;
  for (int i = 0; i < arrays; i++) {
    float *array = streams->array[i] = aligned_alloc(SM_ALIGNMENT, bytes);
    if (!array) {
      bench_streams_free(streams);
      return NULL;
    }
    for (size_t j = 0; j < traffic->n; j++) array[j] = 1;
  }
  return streams;
}

void bench_streams_free(bench_streams *streams) {
  if (!streams) return;
  for (int i = 0; i < MOST_STREAMS; i++) free(streams->array[i]);
  free(streams);
}

/* One block of every stream, while the sums stay in the first-level cache. */
static void move_block(const bench_streams *streams, size_t first, size_t n) {
  const bench_traffic *traffic = &streams->traffic;
  float sum[STREAM_BLOCK];
  for (size_t i = 0; i < n; i++) sum[i] = 0;
  for (int k = traffic->updates; k < traffic->updates + traffic->reads; k++) {
    const float *restrict x = streams->array[k] + first;
    for (size_t i = 0; i < n; i++) sum[i] += x[i];
  }
  for (int k = 0; k < traffic->updates; k++) {
    float *restrict x = streams->array[k] + first;
    for (size_t i = 0; i < n; i++) x[i] = 0.5f * (x[i] + sum[i]);
  }
  for (int k = 0; k < traffic->writes; k++) {
    float *restrict x = streams->array[traffic->updates + traffic->reads + k] + first;
    for (size_t i = 0; i < n; i++) x[i] = sum[i];
  }
}

void bench_streams_run(bench_streams *streams) {
  const size_t n = streams->traffic.n;
  const long blocks = (long)((n + STREAM_BLOCK - 1) / STREAM_BLOCK);
#pragma omp parallel for
  for (long block = 0; block < blocks; block++) {
    size_t first = (size_t)block * STREAM_BLOCK, rest = n - first;
    move_block(streams, first, rest < STREAM_BLOCK ? rest : STREAM_BLOCK);
  }
}
