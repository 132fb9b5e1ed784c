/* Parts of a batch: their borders, and sums as a tree, whole or by ranks. */
#include "numbers.h"

#include "core/parts.h"

static void borders_of_ranks_are_borders_of_the_whole(void **state) {
  (void)state;
  for (size_t count = 0; count < 200; count++) {
    for (size_t parts = 1; parts <= SM_PARTS; parts *= 2) {
      for (size_t part = 0; part < parts; part++) {
        sm_range range = sm_part(count, parts, part);
        assert_int_equal(range.first, part * count / parts);
        assert_int_equal(range.last, (part + 1) * count / parts);
      }
      for (size_t ranks = 1; ranks <= parts && count % ranks == 0; ranks *= 2) {
        for (size_t part = 0; part < parts; part++) {
          size_t own = parts / ranks, rank = part / own;
          sm_range range = sm_part(count / ranks, own, part % own);
          assert_int_equal(range.first + rank * (count / ranks), sm_part(count, parts, part).first);
        }
      }
    }
  }
}

/* The sum of one column by halves. */
static real halved(const real *x, size_t parts, size_t stride) {
  if (parts == 1) return x[0];
  return halved(x, parts / 2, stride) + halved(x + parts / 2 * stride, parts / 2, stride);
}

static void parts_are_added_by_halves(void **state) {
  (void)state;
  enum { COUNT = 40000 };
  static real x[16 * COUNT], sums[16 * COUNT], shared[COUNT];
  static double wide[16 * 33];
  for (size_t i = 0; i < 16 * COUNT; i++) x[i] = (real)sin((double)i * 0.7) * (i % 7 ? 1 : 1000);
  for (size_t parts = 1; parts <= 16; parts *= 2) {
    const size_t count = parts < 16 ? COUNT : 33;
    memcpy(sums, x, parts * count * sizeof *x);
    sm_add_parts(sums, parts, count);
    for (int threads = 1; threads <= 3; threads++) {
      sm_set_thread_count(threads);
      sm_add_parts_shared(shared, x, parts, count, count);
      for (size_t i = 0; i < count; i++) {
        real expected = halved(x + i, parts, count);
        assert_memory_equal(&sums[i], &expected, sizeof(real));
        assert_memory_equal(&shared[i], &expected, sizeof(real));
      }
    }
  }
  for (size_t i = 0; i < 16 * 33; i++) wide[i] = i % 33 == 0 ? (double)(i / 33) : 1;
  sm_add_parts_double(wide, 16, 33);
  assert_true(wide[0] == 120 && wide[32] == 16);
}

static void a_stack_has_the_sum_in_place_0(void **state) {
  (void)state;
  for (size_t parts = 1; parts <= SM_PARTS; parts *= 2) {
    size_t stack[SM_PART_LEVELS] = {0}, expected = 0;
    for (size_t part = 0; part < parts; part++) {
      size_t place = sm_part_place(part);
      assert_true(place < SM_PART_LEVELS);
      stack[place] = part + 1;
      expected += part + 1;
      for (size_t merges = sm_part_merges(part); merges-- > 0; place--) stack[place - 1] += stack[place];
    }
    assert_int_equal(stack[0], expected);
  }
}

static void other_numbers_are_refused(void **state) {
  (void)state;
  sm_error error;
  assert_int_equal(sm_parts_now().parts, SM_PARTS_FIRST);
  assert_int_equal(sm_parts_now().ranks, 1);
  const sm_parts bad[] = {{0, 1}, {1, 0}, {3, 1}, {2, 6}, {64, 2}, {128, 1}, {(size_t)1 << 63, 2}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_int_equal(sm_set_parts(bad[i], &error), SM_BAD_VALUE);
    assert_int_equal(sm_parts_now().parts, SM_PARTS_FIRST);
  }
  assert_int_equal(sm_set_parts((sm_parts){2, 32}, &error), SM_OK);
  assert_int_equal(sm_all_rows(5), 160);
  assert_int_equal(sm_set_parts((sm_parts){SM_PARTS_FIRST, 1}, &error), SM_OK);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(other_numbers_are_refused),
      cmocka_unit_test(borders_of_ranks_are_borders_of_the_whole),
      cmocka_unit_test(parts_are_added_by_halves),
      cmocka_unit_test(a_stack_has_the_sum_in_place_0),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
