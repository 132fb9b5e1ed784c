/* Strided copies and additions against a loop over all positions. */
#include "numbers.h"

#include "core/parallel.h"
#include "core/stride.h"

static uint32_t state_of_chance = 12345;

static size_t chance(size_t below) {
  state_of_chance = state_of_chance * 1664525u + 1013904223u;
  return (state_of_chance >> 8) % below;
}

/* Element of each operand at a position, by division. */
static void places(ptrdiff_t at[2], const sm_strided *axes, size_t position) {
  at[0] = at[1] = 0;
  for (int axis = axes->rank - 1; axis >= 0; axis--) {
    ptrdiff_t index = (ptrdiff_t)(position % axes->size[axis]);
    position /= axes->size[axis];
    at[0] += index * axes->step[0][axis];
    at[1] += index * axes->step[1][axis];
  }
}

/* How many elements an operand's block needs, and where its first position is in it. */
static size_t extent(const sm_strided *axes, int operand, size_t *first) {
  size_t below = 0, above = 0;
  for (int axis = 0; axis < axes->rank; axis++) {
    ptrdiff_t step = axes->step[operand][axis];
    if (axes->size[axis] == 0) continue;
    if (step < 0) below += (size_t)-step * (axes->size[axis] - 1);
    else above += (size_t)step * (axes->size[axis] - 1);
  }
  *first = below;
  return below + above + 1;
}

static void check(const sm_strided *axes) {
  size_t to_first, from_first, count = sm_strided_count(axes);
  size_t to_count = extent(axes, 0, &to_first), from_count = extent(axes, 1, &from_first);
  assert_true(sm_strided_fits(axes, 0, to_first, to_count) && sm_strided_fits(axes, 1, from_first, from_count));
  if (count > 0) {
    assert_false(sm_strided_fits(axes, 1, from_first, from_count - 1));
    assert_false(sm_strided_fits(axes, 1, from_first + 1, from_count));
    if (from_first > 0) assert_false(sm_strided_fits(axes, 1, from_first - 1, from_count));
  }
  for (size_t bytes = 1; bytes <= 8; bytes = bytes == 1 ? 4 : bytes * 2) {
    unsigned char *from = block_of(from_count * bytes), *to = block_of(to_count * bytes);
    unsigned char *want = block_of(to_count * bytes);
    for (size_t i = 0; i < from_count * bytes; i++) from[i] = (unsigned char)chance(256);
    memset(want, 0xAB, to_count * bytes);
    for (size_t i = 0; i < count; i++) {
      ptrdiff_t at[2];
      places(at, axes, i);
      memcpy(want + ((ptrdiff_t)to_first + at[0]) * (ptrdiff_t)bytes,
             from + ((ptrdiff_t)from_first + at[1]) * (ptrdiff_t)bytes, bytes);
    }
    for (int threads = 1; threads <= 3; threads++) {
      sm_set_thread_count(threads);
      memset(to, 0xAB, to_count * bytes);
      sm_strided_copy(to + to_first * bytes, from + from_first * bytes, bytes, axes);
      assert_memory_equal(to, want, to_count * bytes);
    }
    free(from);
    free(to);
    free(want);
  }
  real *from = numbers(from_count, 3), *want = numbers(to_count, 4);
  for (size_t i = 0; i < count; i++) {
    ptrdiff_t at[2];
    places(at, axes, i);
    want[(ptrdiff_t)to_first + at[0]] += from[(ptrdiff_t)from_first + at[1]];
  }
  for (int threads = 1; threads <= 3; threads++) {
    real *to = numbers(to_count, 4);
    sm_set_thread_count(threads);
    sm_strided_add(to + to_first, from + from_first, axes);
    assert_same_bits(to, want, to_count);
    free(to);
  }
  free(from);
  free(want);
}

/* Axes whose `to` is row-major in an order of its own, and whose `from` is so in another, with gaps, turned about, or
   repeated. */
static sm_strided any_axes(int rank, const size_t *sizes) {
  sm_strided axes = {.rank = rank, .operands = 2};
  memcpy(axes.size, sizes, (size_t)rank * sizeof *sizes);
  for (int operand = 0; operand < 2; operand++) {
    int axis_of[SM_STRIDED_RANK];
    for (int i = 0; i < rank; i++) axis_of[i] = i;
    for (int i = rank - 1; i > 0 && (operand == 1 || chance(3) == 0); i--) {
      int other = (int)chance((size_t)i + 1), kept = axis_of[i];
      axis_of[i] = axis_of[other];
      axis_of[other] = kept;
    }
    ptrdiff_t step = chance(6) == 0 ? 2 : 1;
    for (int i = rank - 1; i >= 0; i--) {
      int axis = axis_of[i];
      bool repeats = operand == 1 && chance(8) == 0;
      axes.step[operand][axis] = repeats ? 0 : chance(5) == 0 ? -step : step;
      if (!repeats && sizes[axis] > 0) step = step * (ptrdiff_t)sizes[axis] + (chance(6) == 0 ? 3 : 0);
    }
  }
  return axes;
}

static void any_axes_are_copied_and_added(void **state) {
  (void)state;
  static const size_t some[] = {0, 1, 1, 2, 3, 4, 5, 7};
  for (int round = 0; round < 3000; round += stride_of_cases()) {
    size_t sizes[SM_STRIDED_RANK], count = 1;
    int rank = (int)chance(9);
    for (int axis = 0; axis < rank; axis++) {
      sizes[axis] = some[chance(COUNT_OF(some))];
      if (sizes[axis] == 0 && chance(3) > 0) sizes[axis] = 2;
      if (count * sizes[axis] > 2000) sizes[axis] = 1;
      count *= sizes[axis];
    }
    sm_strided axes = any_axes(rank, sizes);
    check(&axes);
  }
}

static void large_ones_are_cut_into_tiles(void **state) {
  (void)state;
  static const struct {
    int rank;
    size_t sizes[4];
  } shapes[] = {{1, {50000}},        {2, {300, 301}},     {2, {3, 20000}},     {2, {20000, 3}}, {3, {7, 65, 130}},
                {3, {40, 33, 35}},   {4, {5, 17, 19, 33}}, {4, {2, 100, 3, 64}}, {2, {16, 4097}}, {2, {31, 1500}}};
  for (size_t k = 0; k < COUNT_OF(shapes); k++) {
    for (int round = 0; round < 12; round += stride_of_cases()) {
      sm_strided axes = any_axes(shapes[k].rank, shapes[k].sizes);
      check(&axes);
    }
  }
}

static void sixteen_axes(void **state) {
  (void)state;
  size_t sizes[SM_STRIDED_RANK];
  for (int axis = 0; axis < SM_STRIDED_RANK; axis++) sizes[axis] = axis % 3 == 0 ? 2 : axis % 5 == 0 ? 3 : 1;
  for (int round = 0; round < 20; round++) {
    sm_strided axes = any_axes(SM_STRIDED_RANK, sizes);
    check(&axes);
  }
}

static void what_lies_outside_a_block_is_found(void **state) {
  (void)state;
  sm_strided axes = {.rank = 2, .operands = 1, .size = {3, 4}, .step = {{PTRDIFF_MAX, 1}}};
  assert_false(sm_strided_fits(&axes, 0, 0, 100));
  axes.step[0][0] = PTRDIFF_MIN;
  assert_false(sm_strided_fits(&axes, 0, 50, 100));
  axes.step[0][0] = 4;
  assert_true(sm_strided_fits(&axes, 0, 0, 12));
  assert_false(sm_strided_fits(&axes, 0, 0, 11));
  assert_false(sm_strided_fits(&axes, 0, SIZE_MAX, 12));
  axes.size[1] = 0;
  assert_true(sm_strided_fits(&axes, 0, 5, 0));
}

static void shapes_broadcast_together(void **state) {
  (void)state;
  const sm_shape a = {3, {4, 1, 5}}, b = {2, {3, 1}}, c = {0, {0}}, wrong = {1, {2}}, empty = {3, {0, 1, 1}};
  const sm_shape *three[] = {&a, &b, &c}, *two[] = {&a, &wrong}, *none[] = {&b, &empty};
  sm_strided axes;
  sm_shape result;
  sm_error error;
  assert_int_equal(sm_strided_broadcast(&axes, &result, three, 3, &error), SM_OK);
  const sm_shape want = {3, {4, 3, 5}};
  assert_true(sm_shape_equal(&result, &want));
  size_t position = 0;
  sm_strided_place place = sm_strided_start(&axes, 0);
  while (position < 60) {
    assert_true(place.at[0] == (ptrdiff_t)position && place.at[3] == 0);
    assert_true(place.at[1] == (ptrdiff_t)(position / 15 * 5 + position % 5));
    assert_true(place.at[2] == (ptrdiff_t)(position / 5 % 3));
    sm_strided_place begun = sm_strided_start(&axes, position);
    assert_memory_equal(begun.at, place.at, 4 * sizeof *place.at);
    assert_true(sm_strided_run(&place, &axes) >= 1);
    sm_strided_advance(&place, &axes, 1);
    position++;
  }
  assert_int_equal(sm_strided_broadcast(&axes, &result, two, 2, &error), SM_BAD_SHAPE);
  assert_string_equal(error.message,
                      "shapes {4, 1, 5} and {2} do not broadcast: axis 3 of the result would have sizes 5 and 2");
  assert_int_equal(sm_strided_broadcast(&axes, &result, none, 2, &error), SM_OK);
  assert_int_equal(sm_strided_count(&axes), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(any_axes_are_copied_and_added), cmocka_unit_test(large_ones_are_cut_into_tiles),
      cmocka_unit_test(sixteen_axes), cmocka_unit_test(what_lies_outside_a_block_is_found),
      cmocka_unit_test(shapes_broadcast_together)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
