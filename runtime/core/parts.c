#include "core/parts.h"

#include <string.h>

#include "core/subnormal.h"

static sm_parts now = {SM_PARTS_FIRST, 1};

sm_parts sm_parts_now(void) { return now; }

static bool is_power(size_t n) { return n > 0 && (n & (n - 1)) == 0; }

sm_status sm_set_parts(sm_parts parts, sm_error *error) {
  if (!is_power(parts.parts) || !is_power(parts.ranks) || parts.parts > SM_PARTS || parts.ranks > SM_PARTS ||
      parts.parts * parts.ranks > SM_PARTS) {
    return sm_fail(error, SM_BAD_VALUE,
                   "parts of a batch: expected powers of two whose product is at most %d, got %zu parts and %zu ranks",
                   SM_PARTS, parts.parts, parts.ranks);
  }
  now = parts;
  return SM_OK;
}

void sm_add_parts(real *sums, size_t parts, size_t count) {
  const sm_mode before = sm_flush_subnormal();
  for (size_t step = 1; step < parts; step *= 2) {
    for (size_t part = 0; part + step < parts; part += 2 * step) {
      real *to = sums + part * count;
      const real *from = to + step * count;
#pragma omp simd
      for (size_t i = 0; i < count; i++) to[i] += from[i];
    }
  }
  sm_set_mode(before);
}

void sm_add_parts_double(double *sums, size_t parts, size_t count) {
  for (size_t step = 1; step < parts; step *= 2) {
    for (size_t part = 0; part + step < parts; part += 2 * step) {
      double *to = sums + part * count;
      const double *from = to + step * count;
#pragma omp simd
      for (size_t i = 0; i < count; i++) to[i] += from[i];
    }
  }
}

typedef struct adding {
  real *out;
  const real *sums;
  size_t parts, count, stride;
} adding;

enum { STRIP = 1024 }; /* elements whose sums are under way at a time: they stay in the first-level cache */

static void add_strip(const adding *of, size_t first, size_t count) {
  real stack[SM_PART_LEVELS][STRIP];
  for (size_t part = 0; part < of->parts; part++) {
    size_t place = sm_part_place(part);
    memcpy(stack[place], of->sums + part * of->stride + first, count * sizeof(real));
    for (size_t merges = sm_part_merges(part); merges-- > 0; place--) {
      real *to = stack[place - 1];
      const real *from = stack[place];
#pragma omp simd
      for (size_t i = 0; i < count; i++) to[i] += from[i];
    }
  }
  memcpy(of->out + first, stack[0], count * sizeof(real));
}

static void add_block(const void *work, size_t block) {
  const adding *of = work;
  sm_range range = sm_block(of->count, block);
  for (size_t first = range.first; first < range.last; first += STRIP) {
    size_t left = range.last - first;
    add_strip(of, first, left < STRIP ? left : STRIP);
  }
}

void sm_add_parts_shared(real *out, const real *sums, size_t parts, size_t count, size_t stride) {
  if (parts == 1 && out == sums) return;
  const adding work = {.out = out, .sums = sums, .parts = parts, .count = count, .stride = stride};
  sm_compute(sm_blocks(count), count * parts, add_block, &work);
}
