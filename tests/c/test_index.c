/* Gather, scatter-add and one-hot against loops over all elements. */
#include "numbers.h"

#include "core/index.h"
#include "core/parallel.h"

static const struct {
  sm_axis along;
  size_t picks;
} cases[] = {{{1, 7, 1}, 5},      {{1, 1, 1}, 1},      {{3, 4, 5}, 6},        {{50, 10, 1}, 1},  {{3000, 11, 1}, 1},
             {{1, 100, 130}, 40}, {{1, 5, 1}, 40000},  {{2, 1000, 3}, 3000},  {{17, 9, 65}, 33}, {{1, 300, 64}, 900},
             {{0, 5, 3}, 2},      {{2, 5, 0}, 2},      {{2, 5, 3}, 0},        {{2, 0, 3}, 0},    {{40, 2, 1000}, 1}};

static void *indices(sm_dtype dtype, int32_t first, size_t count, size_t size) {
  uint32_t chance = 99;
  void *index = block_of(count * sm_dtype_bytes(dtype));
  size_t limit = dtype == SM_UINT8 && size > 250 ? 250 : size;
  for (size_t i = 0; i < count; i++) {
    chance = chance * 1664525u + 1013904223u;
    int32_t value = first + (int32_t)((chance >> 8) % (limit ? limit : 1));
    if (dtype == SM_UINT8) ((uint8_t *)index)[i] = (uint8_t)value;
    else ((int32_t *)index)[i] = value;
  }
  return index;
}

static void one_case(sm_axis a, size_t picks, sm_dtype dtype, int32_t first, bool shared) {
  size_t from = a.outer * a.axis * a.inner, to = a.outer * picks * a.inner;
  sm_indices index = {.dtype = dtype, .first = first, .count = shared ? picks : to};
  void *data = indices(dtype, first, index.count, a.axis);
  index.data = data;
  assert_int_equal(sm_indices_check(&index, a.axis), index.count);
  real *x = numbers(from, 1), *src = numbers(to, 2), *want = unwritten(to), *sums = numbers(from, 3);
  for (size_t i = 0; i < to; i++) {
    size_t outer = i / (picks * a.inner), pick = i / a.inner % picks, inner = i % a.inner;
    size_t at = (size_t)(sm_index_at(&index, shared ? pick : i) - first);
    want[i] = x[(outer * a.axis + at) * a.inner + inner];
    sums[(outer * a.axis + at) * a.inner + inner] += src[i];
  }
  for (int threads = 1; threads <= 3; threads++) {
    sm_set_thread_count(threads);
    real *out = unwritten(to), *added = numbers(from, 3);
    if (shared) sm_index_select(out, x, &index, sizeof(real), &a);
    else sm_gather(out, x, &index, sizeof(real), &a, picks);
    assert_same_bits(out, want, to);
    if (shared) sm_index_add(added, src, &index, &a);
    else sm_scatter_add(added, src, &index, &a, picks);
    assert_same_bits(added, sums, from);
    free(out);
    free(added);
  }
  free(data);
  free(x);
  free(src);
  free(want);
  free(sums);
}

static void elements_are_read_and_added(void **state) {
  (void)state;
  for (size_t k = 0; k < COUNT_OF(cases); k++) {
    for (int shared = 0; shared <= 1; shared++) {
      one_case(cases[k].along, cases[k].picks, SM_INT32, 1, shared);
      one_case(cases[k].along, cases[k].picks, SM_UINT8, 0, shared);
    }
  }
}

static void elements_of_all_widths_are_read(void **state) {
  (void)state;
  sm_axis a = {3, 5, 4};
  enum { PICKS = 6, TO = 3 * PICKS * 4, FROM = 3 * 5 * 4 };
  int32_t *data = indices(SM_INT32, 0, TO, a.axis);
  for (int shared = 0; shared <= 1; shared++) {
    sm_indices index = {data, SM_INT32, 0, shared ? PICKS : TO};
    for (size_t bytes = 1; bytes <= 8; bytes = bytes == 1 ? 4 : bytes * 2) {
      unsigned char *x = block_of(FROM * bytes), *out = block_of(TO * bytes);
      for (size_t i = 0; i < FROM * bytes; i++) x[i] = (unsigned char)(i * 7 + 3);
      if (shared) sm_index_select(out, x, &index, bytes, &a);
      else sm_gather(out, x, &index, bytes, &a, PICKS);
      for (size_t i = 0; i < TO; i++) {
        size_t outer = i / (PICKS * 4), at = (size_t)data[shared ? i / 4 % PICKS : i];
        assert_memory_equal(out + i * bytes, x + ((outer * 5 + at) * 4 + i % 4) * bytes, bytes);
      }
      free(x);
      free(out);
    }
  }
  free(data);
}

static void an_index_outside_is_found(void **state) {
  (void)state;
  int32_t data[5000];
  uint8_t labels[5000];
  for (size_t i = 0; i < 5000; i++) data[i] = 1 + (int32_t)(i % 9), labels[i] = (uint8_t)(i % 9);
  sm_indices index = {data, SM_INT32, 1, 5000}, label = {labels, SM_UINT8, 0, 5000};
  assert_int_equal(sm_indices_check(&index, 9), 5000);
  assert_int_equal(sm_indices_check(&index, 8), 8);
  assert_int_equal(sm_indices_check(&label, 9), 5000);
  assert_int_equal(sm_indices_check(&label, 8), 8);
  assert_int_equal(sm_indices_check(&label, 0), 0);
  static const int32_t wrong[] = {0, 10, -1, INT32_MIN, INT32_MAX};
  for (size_t k = 0; k < COUNT_OF(wrong); k++) {
    data[4321] = wrong[k];
    assert_int_equal(sm_indices_check(&index, 9), 4321);
  }
  data[4321] = INT32_MAX;
  assert_int_equal(sm_indices_check(&index, SIZE_MAX), 5000);
  index.count = 0;
  assert_int_equal(sm_indices_check(&index, 0), 0);
}

static void labels_become_rows(void **state) {
  (void)state;
  static const size_t sizes[] = {1, 10, 300, 40000};
  for (size_t k = 0; k < COUNT_OF(sizes); k++) {
    size_t size = sizes[k], count = size < 40000 ? 2000 : 3;
    int32_t *data = indices(SM_INT32, 0, count, size);
    sm_indices index = {data, SM_INT32, 0, count};
    for (int threads = 1; threads <= 3; threads++) {
      sm_set_thread_count(threads);
      real *out = unwritten(count * size);
      sm_one_hot(out, &index, size);
      for (size_t i = 0; i < count * size; i++) assert_true(out[i] == (i % size == (size_t)data[i / size] ? 1 : 0));
      free(out);
    }
    free(data);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(elements_are_read_and_added), cmocka_unit_test(elements_of_all_widths_are_read),
      cmocka_unit_test(an_index_outside_is_found), cmocka_unit_test(labels_become_rows)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
