#include "core/resample.h"

/* Keeps the least `most` of the numbers that it is given, the greatest of these first: a heap. */
static inline void keep_least(double *heap, size_t *size, size_t most, double number) {
  size_t at;
  if (*size < most) {
    for (at = (*size)++; at > 0 && heap[(at - 1) / 2] < number; at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
    heap[at] = number;
    return;
  }
  if (number >= heap[0]) return;
  at = 0;
  for (size_t below = 1; below < most; below = 2 * at + 1) {
    if (below + 1 < most && heap[below + 1] > heap[below]) below++;
    if (heap[below] <= number) break;
    heap[at] = heap[below];
    at = below;
  }
  heap[at] = number;
}

void sm_resample(double *low, double *high, const double *values, const real *draws, size_t beyond, double *scratch,
                 size_t count, size_t resamples) {
  double *least = scratch, *greatest = scratch + beyond; /* the greatest with the other sign */
  size_t lows = 0, highs = 0;
  for (size_t resample = 0; resample < resamples; resample++, draws += count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
      size_t position = (size_t)((double)draws[i] * (double)count);
      sum += values[position < count ? position : count - 1];
    }
    keep_least(least, &lows, beyond, sum);
    keep_least(greatest, &highs, beyond, -sum);
  }
  *low = least[0] / (double)count; /* sums are in the order of their means */
  *high = -greatest[0] / (double)count;
}
