/* What the benchmarks share: a clock, medians, and the two yardsticks that a kernel can be held against. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stddef.h>

/* Seconds of a clock that never goes back. */
double bench_now(void);

/* The median of values (count, at least 1), which are sorted on the way. */
double bench_median(double *values, size_t count);

/* Floating-point operations per second of OpenBLAS on square matrices that suit it best, one product per
   thread: the best of several runs. Needs sm_blas_load. */
double bench_gemm_peak(int threads);

/* Memory traffic: so many arrays of n floats are updated in place, read, or written. */
typedef struct bench_traffic {
  int updates, reads, writes;
  size_t n;
} bench_traffic;

/* Arrays that carry the traffic. NULL when memory runs out, or for traffic that no case has. */
typedef struct bench_streams bench_streams;
bench_streams *bench_streams_new(const bench_traffic *traffic);
void bench_streams_free(bench_streams *streams);

/* Moves the bytes and computes next to nothing: what is written is a sum of what is read. */
void bench_streams_run(bench_streams *streams);

#endif
