#include "core/normalise_pass.h"

/* Not inlined: a merge within a process has the bits of one between ranks. */
__attribute__((noinline)) void sm_normalise_merge_two(double *statistics, const double *others, size_t apart,
                                                      size_t rows, size_t more, size_t channels) {
  const double n = (double)rows, m = (double)more;
  if (more == 0) return;
  for (size_t i = 0; i < channels; i++) {
    const double between = others[i] - statistics[i], within = statistics[apart + i] + others[apart + i];
    statistics[i] = rows == 0 ? others[i] : statistics[i] + between * (m / (n + m));
    statistics[apart + i] = rows == 0 ? others[apart + i] : within + between * between * (n * (m / (n + m)));
  }
}

void sm_normalise_merge(double *statistics, size_t ranks, size_t rows, size_t channels) {
  const size_t apart = SUMS * channels;
  for (size_t step = 1; step < ranks; step *= 2) {
    for (size_t rank = 0; rank + step < ranks; rank += 2 * step)
      sm_normalise_merge_two(statistics + rank * apart, statistics + (rank + step) * apart, channels, step * rows,
                             step * rows, channels);
  }
}
