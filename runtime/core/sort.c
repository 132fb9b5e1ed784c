#include "core/sort.h"

#include <string.h>

#include "core/parallel.h"

/* Numbers are compared as unsigned keys of the same order. */
#ifdef SM_DOUBLE
typedef uint64_t sort_key;
#else
typedef uint32_t sort_key;
#endif

/* Pairs are all different, so that whatever sorts them keeps equal elements in order. */
typedef struct pair {
  sort_key key;
  uint32_t position;
} pair;

enum {
  INSERTED = 16,  /* so many are sorted by insertion */
  MERGED = 256,   /* fewer are merged, more are dealt out by their digits */
  DIGIT = 8,      /* bits */
  DIGITS = (int)sizeof(sort_key) * 8 / DIGIT
};

static inline bool before(const pair *a, const pair *b) {
  return (a->key < b->key) | ((a->key == b->key) & (a->position < b->position));
}

static sort_key real_key(real number) {
  const sort_key sign = (sort_key)1 << (sizeof(sort_key) * 8 - 1);
  sort_key bits;
  if (number != number) return (sort_key)-1;
  number += 0; /* -0 becomes 0 */
  memcpy(&bits, &number, sizeof bits);
  return bits & sign ? ~bits : bits | sign;
}

/* pairs (n) = the keys of a line of x, whose elements lie `step` apart. */
static void read_line(pair *pairs, const void *x, sm_dtype dtype, size_t n, size_t step, bool descending) {
  const sort_key turn = descending ? (sort_key)-1 : 0;
  for (size_t i = 0; i < n; i++) {
    sort_key key = 0;
    switch (dtype) {
      case SM_REAL: key = real_key(((const real *)x)[i * step]); break;
      case SM_UINT8: key = ((const uint8_t *)x)[i * step]; break;
      case SM_INT32: key = (sort_key)((int64_t)((const int32_t *)x)[i * step] - INT32_MIN); break;
    }
    pairs[i] = (pair){key ^ turn, (uint32_t)i};
  }
}

static void insertion_sort(pair *pairs, size_t n) {
  for (size_t i = 1; i < n; i++) {
    pair next = pairs[i];
    size_t j = i;
    for (; j > 0 && before(&next, &pairs[j - 1]); j--) pairs[j] = pairs[j - 1];
    pairs[j] = next;
  }
}

static void merge(pair *to, const pair *a, size_t count_a, const pair *b, size_t count_b) {
  const pair *end_a = a + count_a, *end_b = b + count_b;
  while (a < end_a && b < end_b) {
    bool second = before(b, a);
    *to++ = second ? *b : *a;
    b += second;
    a += !second;
  }
  memcpy(to, a, (size_t)(end_a - a) * sizeof *to);
  memcpy(to + (end_a - a), b, (size_t)(end_b - b) * sizeof *to);
}

/* Sorts n pairs and returns where they are: in `pairs` or in `other`. */
static pair *merge_sort(pair *pairs, pair *other, size_t n) {
  for (size_t first = 0; first < n; first += INSERTED)
    insertion_sort(pairs + first, n - first < INSERTED ? n - first : INSERTED);
  for (size_t width = INSERTED; width < n; width *= 2) {
    for (size_t first = 0; first < n; first += 2 * width) {
      size_t left = n - first, a = left < width ? left : width, b = left - a < width ? left - a : width;
      merge(other + first, pairs + first, a, pairs + first + a, b);
    }
    pair *sorted = other;
    other = pairs;
    pairs = sorted;
  }
  return pairs;
}

/* The same, digit by digit from the last; pairs come in the order of their positions. */
static pair *radix_sort(pair *pairs, pair *other, size_t n) {
  uint32_t counts[DIGITS][1 << DIGIT];
  memset(counts, 0, sizeof counts);
  for (size_t i = 0; i < n; i++) {
    for (int digit = 0; digit < DIGITS; digit++)
      counts[digit][pairs[i].key >> (digit * DIGIT) & ((1 << DIGIT) - 1)]++;
  }
  for (int digit = 0; digit < DIGITS; digit++) {
    const int shift = digit * DIGIT;
    uint32_t *next = counts[digit], sum = 0;
    if (next[pairs[0].key >> shift & ((1 << DIGIT) - 1)] == n) continue; /* all alike */
    for (int value = 0; value < 1 << DIGIT; value++) {
      uint32_t count = next[value];
      next[value] = sum;
      sum += count;
    }
    for (size_t i = 0; i < n; i++) other[next[pairs[i].key >> shift & ((1 << DIGIT) - 1)]++] = pairs[i];
    pair *sorted = other;
    other = pairs;
    pairs = sorted;
  }
  return pairs;
}

/* Lets pair number i of a heap of n, whose first is the last in order, sink to its place. */
static void sink(pair *heap, size_t i, size_t n) {
  pair moved = heap[i];
  for (size_t child = 2 * i + 1; child < n; child = 2 * i + 1) {
    if (child + 1 < n && before(&heap[child], &heap[child + 1])) child++;
    if (!before(&moved, &heap[child])) break;
    heap[i] = heap[child];
    i = child;
  }
  heap[i] = moved;
}

/* Brings the `count` first of n pairs to the front, in any order. */
static void select_first(pair *pairs, size_t n, size_t count) {
  for (size_t i = count / 2; i-- > 0;) sink(pairs, i, count);
  for (size_t i = count; i < n; i++) {
    if (!before(&pairs[i], &pairs[0])) continue;
    pairs[0] = pairs[i];
    sink(pairs, 0, count);
  }
}

typedef struct sorting {
  void *values;
  int32_t *positions;
  const void *x;
  sm_dtype dtype;
  sm_axis along;
  size_t count, lines; /* wanted of a line; lines in one item of work */
  bool descending;
  pair *scratch;
} sorting;

static void sort_line(const sorting *of, size_t line, pair *pairs) {
  const size_t n = of->along.axis, inner = of->along.inner, count = of->count, bytes = sm_dtype_bytes(of->dtype);
  const size_t outer = line / inner, column = line % inner;
  const char *x = (const char *)of->x + (outer * n * inner + column) * bytes;
  size_t first = outer * count * inner + column, among = n;
  read_line(pairs, x, of->dtype, n, inner, of->descending);
  pair *sorted;
  if (count <= n / 8) {
    select_first(pairs, n, count);
    among = count;
    sorted = merge_sort(pairs, pairs + n, among);
  } else {
    sorted = among < MERGED ? merge_sort(pairs, pairs + n, among) : radix_sort(pairs, pairs + n, among);
  }
  for (size_t i = 0; i < count; i++) {
    size_t to = first + i * inner;
    if (of->positions) of->positions[to] = (int32_t)(sorted[i].position + 1);
    if (of->values) memcpy((char *)of->values + to * bytes, x + sorted[i].position * inner * bytes, bytes);
  }
}

static void sort_item(const void *work, size_t item) {
  const sorting *of = work;
  size_t lines = of->along.outer * of->along.inner, first = item * of->lines;
  pair *pairs = of->scratch + (size_t)sm_thread_index() * 2 * of->along.axis;
  for (size_t line = first; line < first + of->lines && line < lines; line++) sort_line(of, line, pairs);
}

/* Elements in one item of work: sorting them takes some ten times as long as adding them. */
enum { ITEM = SM_BLOCK / 8 };

static size_t lines_per_item(const sm_axis *along) { return along->axis < ITEM ? ITEM / (along->axis + 1) + 1 : 1; }

static size_t items(const sm_axis *along) {
  size_t lines = along->outer * along->inner, each = lines_per_item(along);
  return (lines + each - 1) / each;
}

sm_status sm_sort_scratch(size_t *bytes, const sm_axis *along, sm_error *error) {
  if (along->axis > INT32_MAX)
    return sm_fail(error, SM_BAD_SHAPE, "expected an axis of at most %d elements, got %zu", INT32_MAX, along->axis);
  if (!sm_multiply(bytes, sm_workers(items(along)) * 2 * sizeof(pair), along->axis))
    return sm_fail(error, SM_NO_MEMORY, "no memory for sorting lines of %zu elements", along->axis);
  return SM_OK;
}

void sm_topk(void *values, int32_t *positions, const void *x, sm_dtype dtype, const sm_axis *along, size_t count,
             bool descending, void *scratch) {
  size_t elements = along->outer * along->axis * along->inner;
  if (elements == 0 || count == 0) return;
  const sorting work = {.values = values, .positions = positions, .x = x, .dtype = dtype, .along = *along,
                        .count = count, .lines = lines_per_item(along), .descending = descending, .scratch = scratch};
  sm_parallel(items(along), elements * 8, sort_item, &work);
}

void sm_sort(void *values, int32_t *positions, const void *x, sm_dtype dtype, const sm_axis *along, bool descending,
             void *scratch) {
  sm_topk(values, positions, x, dtype, along, along->axis, descending, scratch);
}
