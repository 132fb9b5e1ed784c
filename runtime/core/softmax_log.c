#include "core/softmax_log.h"

#include <string.h>

#include "core/group_lanes.h"

/* Groups lie side by side in a vector, whose lanes all get their group's sum. The logarithms of many sums are taken at
   once: one a group, not one a lane. */
enum { STRIP = 64 /* vectors */ };

bool sm_groups_are_packed(size_t size) { return size <= SM_VECTOR && (size & (size - 1)) == 0; }

/* `vectors` of them, at most STRIP. */
SM_INLINE void forward_strip(real *y, const real *x, sm_group_rule rule, size_t vectors, int size) {
  const size_t groups = (size_t)(SM_VECTOR / size), sums = vectors * groups;
  real sum[STRIP * SM_VECTOR] ALIGNED;
  for (size_t i = 0; i < vectors; i++) {
    const sm_vector v = load(x + i * SM_VECTOR);
    sm_vector top = fold_max(v, size);
    if (rule.off) top = larger_each(top, all_lanes(0));
    const sm_vector z = shifted_each(v, top, rule.inverse);
    sm_vector all = fold_sum(exp_each(z), size);
    if (rule.off) all += off_each(top, rule.inverse);
    store(y + i * SM_VECTOR, z);
    for (size_t group = 0; group < groups; group++) sum[i * groups + group] = all[group * (size_t)size];
  }
#pragma omp simd
  for (size_t i = 0; i < sums; i++) sum[i] = sm_log(sum[i]);
  for (size_t i = 0; i < vectors; i++) {
    real less[SM_VECTOR] ALIGNED;
    for (int lane = 0; lane < SM_VECTOR; lane++) less[lane] = sum[i * groups + (size_t)(lane / size)];
    store(y + i * SM_VECTOR, load(y + i * SM_VECTOR) - load(less));
  }
}

/* n elements. What is left of the last vector goes through a copy; its idle lanes are groups of zeros. */
SM_INLINE void forward(real *y, const real *x, sm_group_rule rule, size_t n, int size) {
  const size_t vectors = n / SM_VECTOR, done = vectors * SM_VECTOR;
  for (size_t i = 0; i < vectors; i += STRIP)
    forward_strip(y + i * SM_VECTOR, x + i * SM_VECTOR, rule, vectors - i < STRIP ? vectors - i : STRIP, size);
  if (done == n) return;
  real rest[SM_VECTOR] ALIGNED = {0};
  memcpy(rest, x + done, (n - done) * sizeof *x);
  forward_strip(rest, rest, rule, 1, size);
  memcpy(y + done, rest, (n - done) * sizeof *y);
}

SM_INLINE sm_vector gradient(sm_vector gy, sm_vector y, sm_group_rule rule, int size) {
  return (gy - exp_each(y) * fold_sum(gy, size)) * rule.inverse;
}

SM_INLINE void backward(real *gx, const real *gy, const real *y, sm_group_rule rule, size_t n, int size) {
  size_t i = 0;
  for (; i + SM_VECTOR <= n; i += SM_VECTOR) store(gx + i, gradient(load(gy + i), load(y + i), rule, size));
  if (i == n) return;
  const size_t left = (n - i) % SM_VECTOR; /* n - i, of which gcc 14 does not see that it is below SM_VECTOR */
  real g[SM_VECTOR] ALIGNED = {0}, rest[SM_VECTOR] ALIGNED = {0};
  memcpy(g, gy + i, left * sizeof *gy);
  memcpy(rest, y + i, left * sizeof *y);
  store(g, gradient(load(g), load(rest), rule, size));
  memcpy(gx + i, g, left * sizeof *gx);
}

void sm_packed_log_forward(real *y, const real *x, sm_group_rule rule, size_t count, size_t size) {
  const size_t n = count * size;
  switch (size) {
    case 1: forward(y, x, rule, n, 1); return;
    case 2: forward(y, x, rule, n, 2); return;
    case 4: forward(y, x, rule, n, SM_VECTOR < 4 ? SM_VECTOR : 4); return;
    case 8: forward(y, x, rule, n, SM_VECTOR < 8 ? SM_VECTOR : 8); return;
    default: forward(y, x, rule, n, SM_VECTOR); return;
  }
}

void sm_packed_log_backward(real *gx, const real *gy, const real *y, sm_group_rule rule, size_t count, size_t size) {
  const size_t n = count * size;
  switch (size) {
    case 1: backward(gx, gy, y, rule, n, 1); return;
    case 2: backward(gx, gy, y, rule, n, 2); return;
    case 4: backward(gx, gy, y, rule, n, SM_VECTOR < 4 ? SM_VECTOR : 4); return;
    case 8: backward(gx, gy, y, rule, n, SM_VECTOR < 8 ? SM_VECTOR : 8); return;
    default: backward(gx, gy, y, rule, n, SM_VECTOR); return;
  }
}
