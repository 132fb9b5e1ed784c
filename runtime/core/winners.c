#include "core/winners.h"

#include <string.h>

#include "core/lines.h"

/* Numbers are compared as integers of the same order, in which NaN comes last. */
#ifdef SM_DOUBLE
typedef int64_t order;
#define LARGEST INT64_MAX
#else
typedef int32_t order;
#define LARGEST INT32_MAX
#endif
#define LEAST (-LARGEST - 1) /* no number's */

static inline order order_of(real x) {
  order bits;
  x += 0; /* -0 becomes 0 */
  memcpy(&bits, &x, sizeof bits);
  bits ^= bits >> (sizeof bits * 8 - 1) & LARGEST;
  return x != x ? LARGEST : bits;
}

/* Whether an element comes behind another: it is smaller, or equal and further on. */
static inline bool is_behind(order a, order place, order b, order other) {
  return (a < b) | ((a == b) & (place > other));
}

/* Each round finds the first element behind the last winner. */
static void winners_many(real *out, const real *value, const real *x, size_t n, size_t stride, size_t lines,
                         const void *rule) {
  const size_t k = *(const size_t *)rule;
  order last[SM_LINES], place[SM_LINES], best[SM_LINES], at[SM_LINES];
  for (size_t line = 0; line < SM_LINES; line++) last[line] = LARGEST, place[line] = -1;
  for (size_t round = 0; round < k; round++) {
    for (size_t line = 0; line < SM_LINES; line++) best[line] = LEAST, at[line] = 0;
    for (size_t i = 0; i < n; i++) {
#pragma omp simd
      for (size_t line = 0; line < lines; line++) {
        const order own = order_of(x[i * stride + line]);
        const bool wins = is_behind(own, (order)i, last[line], place[line]) & (own > best[line]);
        best[line] = wins ? own : best[line];
        at[line] = wins ? (order)i : at[line];
      }
    }
    memcpy(last, best, sizeof last);
    memcpy(place, at, sizeof place);
  }
  for (size_t i = 0; i < n; i++) {
#pragma omp simd
    for (size_t line = 0; line < lines; line++) {
      const order own = order_of(x[i * stride + line]);
      const real given = value[i * stride + line];
      out[i * stride + line] = is_behind(own, (order)i, last[line], place[line]) ? 0 : given;
    }
  }
}

static void winners_one(real *out, const real *value, const real *x, size_t n, const void *rule) {
  const size_t k = *(const size_t *)rule;
  order last = LARGEST, place = -1;
  for (size_t round = 0; round < k; round++) {
    order best = LEAST, at = 0;
#pragma omp simd reduction(max : best)
    for (size_t i = 0; i < n; i++) {
      const order own = order_of(x[i]), candidate = is_behind(own, (order)i, last, place) ? own : LEAST;
      best = candidate > best ? candidate : best;
    }
    while (order_of(x[at]) != best || !is_behind(best, at, last, place)) at++;
    last = best;
    place = at;
  }
#pragma omp simd
  for (size_t i = 0; i < n; i++) {
    const real given = value[i];
    out[i] = is_behind(order_of(x[i]), (order)i, last, place) ? 0 : given;
  }
}

static const sm_line_kernel WINNERS = {winners_many, winners_one};

void sm_winners(real *out, const real *value, const real *x, size_t k, const sm_axis *along) {
  sm_each_line(out, value, x, along, &WINNERS, &k);
}
