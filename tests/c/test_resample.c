#include "core/resample.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { COUNT = 7, RESAMPLES = 501 };

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Every number from both ends is that of the means, sorted. */
static void test_ends(void **state) {
  (void)state;
  static real draws[RESAMPLES * COUNT];
  static double means[RESAMPLES], scratch[2 * RESAMPLES];
  double values[COUNT], low, high;
  uint32_t random = 1;
  for (size_t i = 0; i < COUNT; i++) values[i] = sin((double)i * 3) / 3;
  for (size_t i = 0; i < RESAMPLES * COUNT; i++) {
    random = random * 1664525 + 1013904223;
    draws[i] = (real)(random >> 8) / (real)(1 << 24);
  }
  draws[3] = 1; /* as a draw may be rounded: it takes the last value */
  for (size_t resample = 0; resample < RESAMPLES; resample++) {
    double sum = 0;
    for (size_t i = 0; i < COUNT; i++) {
      double place = floor((double)draws[resample * COUNT + i] * COUNT);
      sum += values[place >= COUNT ? COUNT - 1 : (size_t)place];
    }
    means[resample] = sum / COUNT;
  }
  qsort(means, RESAMPLES, sizeof *means, by_size);
  for (size_t beyond = 1; beyond <= RESAMPLES; beyond++) {
    sm_resample(&low, &high, values, draws, beyond, scratch, COUNT, RESAMPLES);
    assert_true(low == means[beyond - 1]);
    assert_true(high == means[RESAMPLES - beyond]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_ends)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
