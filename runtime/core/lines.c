#include "core/lines.h"

#include "core/parallel.h"

typedef struct lines {
  real *out;
  const real *a, *b;
  const sm_axis *along;
  const sm_line_kernel *kernel;
  const void *rule;
  size_t items, chunks, blocks; /* blocks of neighbours in `inner` */
} lines;

/* Where element 0 of a line lies. */
static size_t start_of(const sm_axis *along, size_t line) {
  return line / along->inner * along->axis * along->inner + line % along->inner;
}

/* column (axis, SM_LINES) = `count` lines of x from `first` on; the others are 0. */
static void gather(real *column, const real *x, const sm_axis *along, size_t first, size_t count) {
  for (size_t k = 0; k < SM_LINES; k++) {
    if (k >= count) {
      for (size_t i = 0; i < along->axis; i++) column[i * SM_LINES + k] = 0;
      continue;
    }
    const real *from = x + start_of(along, first + k);
    for (size_t i = 0; i < along->axis; i++) column[i * SM_LINES + k] = from[i * along->inner];
  }
}

static void scatter(real *x, const real *column, const sm_axis *along, size_t first, size_t count) {
  for (size_t k = 0; k < count; k++) {
    real *to = x + start_of(along, first + k);
    for (size_t i = 0; i < along->axis; i++) to[i * along->inner] = column[i * SM_LINES + k];
  }
}

static void copied(const lines *of, size_t item) {
  real a[SM_SHORT_LINE * SM_LINES] __attribute__((aligned(SM_ALIGNMENT)));
  real b[SM_SHORT_LINE * SM_LINES] __attribute__((aligned(SM_ALIGNMENT)));
  const sm_axis *along = of->along;
  const size_t all = along->outer * along->inner, first = item * SM_LINES;
  const size_t count = all - first < SM_LINES ? all - first : SM_LINES;
  gather(a, of->a, along, first, count);
  if (of->b) gather(b, of->b, along, first, count);
  of->kernel->many(a, a, of->b ? b : NULL, along->axis, SM_LINES, SM_LINES, of->rule);
  scatter(of->out, a, along, first, count);
}

static void neighbours(const lines *of, size_t item) {
  const sm_axis *along = of->along;
  const size_t outer = item / of->blocks, first = item % of->blocks * SM_LINES, left = along->inner - first;
  const size_t at = outer * along->axis * along->inner + first;
  of->kernel->many(of->out + at, of->a + at, of->b ? of->b + at : NULL, along->axis, along->inner,
                   left < SM_LINES ? left : SM_LINES, of->rule);
}

static void single(const lines *of, size_t item) {
  const size_t at = item * of->along->axis;
  of->kernel->one(of->out + at, of->a + at, of->b ? of->b + at : NULL, of->along->axis, of->rule);
}

static bool is_copied(const sm_axis *along) { return along->axis <= SM_SHORT_LINE && along->inner < SM_LINES; }

static void chunk_of_lines(const void *work, size_t chunk) {
  const lines *of = work;
  const sm_range range = sm_chunk(of->items, of->chunks, chunk);
  for (size_t item = range.first; item < range.last; item++) {
    if (is_copied(of->along))
      copied(of, item);
    else if (of->along->inner == 1)
      single(of, item);
    else
      neighbours(of, item);
  }
}

void sm_each_line(real *out, const real *a, const real *b, const sm_axis *along, const sm_line_kernel *kernel,
                  const void *rule) {
  const size_t all = along->outer * along->inner, elements = all * along->axis, wanted = sm_blocks(elements);
  lines of = {out, a, b, along, kernel, rule, .blocks = (along->inner + SM_LINES - 1) / SM_LINES};
  if (elements == 0) return;
  of.items = is_copied(along) ? (all + SM_LINES - 1) / SM_LINES : along->outer * of.blocks;
  of.chunks = wanted < of.items ? wanted : of.items;
  sm_parallel(of.chunks, elements, chunk_of_lines, &of);
}
