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

enum { PEAK_SIZE = 1024, PEAK_RUNS = 12 };

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

enum { MOST_STREAMS = 8, STREAM_BLOCK = 16 * 1024, LANES = 128 };

struct bench_streams {
  bench_traffic traffic;
  float *array[MOST_STREAMS]; /* those to update, then those to read, then those to write */
  float sum;                  /* of what is read where nothing is written, so that it is read */
};

/* Which loop carries the traffic: its place in the switch of bench_streams_run; -1 when there is none. */
static int shape_of(const bench_traffic *t) {
  static const int shapes[][3] = {{0, 1, 0}, {0, 1, 1}, {0, 2, 1}, {2, 1, 0}, {3, 1, 0}, {4, 1, 0}};
  for (int i = 0; i < (int)(sizeof shapes / sizeof shapes[0]); i++) {
    if (shapes[i][0] == t->updates && shapes[i][1] == t->reads && shapes[i][2] == t->writes) return i;
  }
  return -1;
}

bench_streams *bench_streams_new(const bench_traffic *traffic) {
  int arrays = traffic->updates + traffic->reads + traffic->writes;
  if (shape_of(traffic) < 0) return NULL;
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

/* One block that is only read; the sum proves it. */
static float read_block(const float *x, size_t first, size_t last) {
  float lane[LANES] = {0};
  size_t i = first;
  for (; i + LANES <= last; i += LANES) {
    for (size_t j = 0; j < LANES; j++) lane[j] += x[i + j];
  }
  for (; i < last; i++) lane[0] += x[i];
  for (size_t j = 1; j < LANES; j++) lane[0] += lane[j];
  return lane[0];
}

/* One block. The counts are constants wherever this is called, so that one loop over plain arrays remains. */
static inline __attribute__((always_inline)) void move_block(float *const array[MOST_STREAMS], int updates,
                                                             int reads, int writes, size_t first,
                                                             size_t last) {
#pragma omp simd
  for (size_t i = first; i < last; i++) {
    float sum = 0;
    for (int k = 0; k < reads; k++) sum += array[updates + k][i];
    for (int k = 0; k < updates; k++) array[k][i] = 0.5f * (array[k][i] + sum);
    for (int k = 0; k < writes; k++) array[updates + reads + k][i] = sum;
  }
}

void bench_streams_run(bench_streams *streams) {
  const size_t n = streams->traffic.n;
  const long blocks = (long)((n + STREAM_BLOCK - 1) / STREAM_BLOCK);
  float *const *array = streams->array;
  int shape = shape_of(&streams->traffic);
  float total = 0;
#pragma omp parallel for reduction(+ : total)
  for (long block = 0; block < blocks; block++) {
    size_t first = (size_t)block * STREAM_BLOCK, last = first + STREAM_BLOCK < n ? first + STREAM_BLOCK : n;
    switch (shape) {
      case 0:
        total += read_block(array[0], first, last);
        break;
      case 1:
        move_block(array, 0, 1, 1, first, last);
        break;
      case 2:
        move_block(array, 0, 2, 1, first, last);
        break;
      case 3:
        move_block(array, 2, 1, 0, first, last);
        break;
      case 4:
        move_block(array, 3, 1, 0, first, last);
        break;
      default:
        move_block(array, 4, 1, 0, first, last);
        break;
    }
  }
  streams->sum = total;
}
