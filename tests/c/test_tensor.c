/* Tensors: shapes, storage, conversions. */
#include "numbers.h"

#include "core/parallel.h"

static sm_memory *memory;

static int set_up(void **state) {
  (void)state;
  memory = sm_memory_new();
  return memory ? 0 : 1;
}

static int tear_down(void **state) {
  (void)state;
  int lost = sm_memory_used(memory).live != 0;
  sm_memory_free(memory);
  return lost;
}

static void element_types_have_names_and_sizes(void **state) {
  (void)state;
  assert_string_equal(sm_dtype_name(SM_REAL), SM_REAL_NAME);
  assert_string_equal(sm_dtype_name(SM_UINT8), "uint8");
  assert_string_equal(sm_dtype_name(SM_INT32), "int32");
  assert_int_equal(sm_dtype_bytes(SM_REAL), sizeof(real));
  assert_int_equal(sm_dtype_bytes(SM_UINT8), 1);
  assert_int_equal(sm_dtype_bytes(SM_INT32), 4);
}

static void shapes_are_counted_compared_and_written(void **state) {
  (void)state;
  char text[SM_SHAPE_TEXT];
  sm_shape scalar = {0}, image = {4, {50, 28, 28, 1}}, empty = {2, {3, 0}};
  assert_int_equal(sm_shape_count(&scalar), 1);
  assert_int_equal(sm_shape_count(&image), 39200);
  assert_int_equal(sm_shape_count(&empty), 0);
  assert_string_equal(sm_shape_text(text, &scalar), "{}");
  assert_string_equal(sm_shape_text(text, &image), "{50, 28, 28, 1}");
  assert_true(sm_shape_equal(&image, &image));
  assert_false(sm_shape_equal(&image, &empty));
  assert_false(sm_shape_equal(&empty, &(sm_shape){2, {3, 1}}));
  sm_shape largest = {.rank = SM_MAX_RANK};
  for (int axis = 0; axis < SM_MAX_RANK; axis++) largest.size[axis] = SIZE_MAX;
  assert_int_equal(strlen(sm_shape_text(text, &largest)), SM_MAX_RANK * 22);
}

static void storage_lives_as_long_as_its_last_tensor(void **state) {
  (void)state;
  sm_error error;
  sm_tensor whole, row;
  sm_shape shape = {2, {3, 4}}, row_shape = {1, {4}};
  assert_int_equal(sm_tensor_new(&whole, memory, SM_INT32, &shape, &error), SM_OK);
  assert_int_equal((uintptr_t)whole.data % SM_ALIGNMENT, 0);
  int32_t *numbers_of_whole = whole.data;
  for (int i = 0; i < 12; i++) numbers_of_whole[i] = i;
  assert_int_equal(sm_tensor_share(&row, &whole, &row_shape, 8, &error), SM_OK);
  assert_int_equal(whole.storage->references, 2);
  sm_tensor_release(&whole);
  sm_tensor_release(&whole);
  assert_null(whole.storage);
  assert_int_equal(((int32_t *)row.data)[3], 11);
  sm_tensor_release(&row);
  assert_int_equal(sm_memory_used(memory).live, 0);
}

static void empty_and_scalar_tensors_are_tensors(void **state) {
  (void)state;
  sm_error error;
  sm_tensor empty, scalar;
  assert_int_equal(sm_tensor_new(&empty, memory, SM_REAL, &(sm_shape){2, {0, 5}}, &error), SM_OK);
  assert_int_equal(sm_tensor_new(&scalar, memory, SM_REAL, &(sm_shape){0}, &error), SM_OK);
  assert_non_null(empty.data);
  *(real *)scalar.data = 7;
  sm_tensor_release(&empty);
  sm_tensor_release(&scalar);
}

static void sizes_are_multiplied_without_wrapping(void **state) {
  (void)state;
  size_t product = 0, bytes = 1;
  sm_error error;
  assert_true(sm_multiply(&product, 3, 5) && product == 15);
  assert_true(sm_multiply(&product, 0, SIZE_MAX) && product == 0);
  assert_true(sm_multiply(&product, 1, (size_t)PTRDIFF_MAX) && product == (size_t)PTRDIFF_MAX);
  assert_false(sm_multiply(&product, 1, (size_t)PTRDIFF_MAX + 1));
  assert_false(sm_multiply(&product, (size_t)1 << 32, (size_t)1 << 32));
  assert_false(sm_multiply(&product, 274177, 67280421310721)); /* 2^64 + 1 */
  assert_int_equal(sm_shape_bytes(&bytes, &(sm_shape){2, {3, 5}}, SM_INT32, &error), SM_OK);
  assert_int_equal(bytes, 60);
  assert_int_equal(sm_shape_bytes(&bytes, &(sm_shape){3, {0, (size_t)1 << 30, 7}}, SM_INT32, &error), SM_OK);
  assert_int_equal(bytes, 0);
  assert_int_equal(sm_shape_bytes(&bytes, &(sm_shape){2, {274177, 67280421310721}}, SM_UINT8, &error), SM_BAD_SHAPE);
  assert_int_equal(sm_shape_bytes(&bytes, &(sm_shape){2, {0, (size_t)1 << 62}}, SM_INT32, NULL), SM_BAD_SHAPE);
}

static void a_view_lies_within_its_storage(void **state) {
  (void)state;
  sm_error error;
  sm_tensor whole, view;
  assert_int_equal(sm_tensor_new(&whole, memory, SM_INT32, &(sm_shape){2, {3, 4}}, &error), SM_OK);
  const struct {
    sm_shape shape;
    size_t offset;
  } wrong[] = {{{1, {13}}, 0},      {{1, {4}}, 9},          {{1, {0}}, 13},
               {{0}, SIZE_MAX / 4}, {{2, {0, SIZE_MAX}}, 0}, {{2, {274177, 67280421310721}}, 0}};
  for (size_t i = 0; i < COUNT_OF(wrong); i++) {
    assert_int_equal(sm_tensor_share(&view, &whole, &wrong[i].shape, wrong[i].offset, &error), SM_BAD_SHAPE);
    assert_null(view.storage);
  }
  assert_int_equal(sm_tensor_share(&view, &whole, &(sm_shape){1, {4}}, 8, &error), SM_OK);
  sm_tensor part;
  assert_int_equal(sm_tensor_share(&part, &view, &(sm_shape){1, {1}}, 4, &error), SM_BAD_SHAPE);
  assert_int_equal(sm_tensor_share(&part, &view, &(sm_shape){1, {0}}, 4, &error), SM_OK);
  sm_tensor_release(&part);
  sm_tensor_release(&view);
  sm_tensor_release(&whole);
}

static void numbers_survive_or_do_not(void **state) {
  (void)state;
  static const double fine[] = {0, -0.0, 1, -3.4e38, 1e-45, 0.1, INFINITY, -INFINITY, NAN};
  static const double lost[] = {1e39, -3.5e38, 1e60, 1e-46, -1e-60};
  for (size_t i = 0; i < COUNT_OF(fine); i++) assert_true(sm_survives(fine[i]));
  for (size_t i = 0; i < COUNT_OF(lost); i++) assert_true(sm_survives(lost[i]) == (sizeof(real) == sizeof(double)));
}

static void a_tensor_beyond_memory_is_refused(void **state) {
  (void)state;
  sm_error error;
  sm_tensor tensor;
  sm_shape overflow = {2, {(size_t)1 << 40, (size_t)1 << 40}},
           hidden = {3, {0, (size_t)1 << 40, (size_t)1 << 40}};
  assert_int_equal(sm_tensor_new(&tensor, memory, SM_UINT8, &overflow, &error), SM_BAD_SHAPE);
  assert_string_equal(error.message,
                      "a uint8 tensor of shape {1099511627776, 1099511627776} is larger than memory can be");
  assert_null(tensor.storage);
  assert_int_equal(sm_tensor_new(&tensor, memory, SM_UINT8, &hidden, &error), SM_BAD_SHAPE);
  sm_shape huge = {1, {(size_t)PTRDIFF_MAX}};
  assert_int_equal(sm_tensor_new(&tensor, memory, SM_UINT8, &huge, &error), SM_NO_MEMORY);
  assert_string_equal(
      error.message,
      "out of memory: a uint8 tensor of shape {9223372036854775807} takes 9223372036854775807 bytes");
  assert_null(tensor.storage);
  assert_int_equal(sm_memory_used(memory).live, 0);
}

static void conversions_truncate_and_saturate(void **state) {
  (void)state;
  real x[] = {0,  (real)1.9, (real)-1.9, 255,      256,       (real)300.5,
              -1, (real)3e9, (real)-3e9, INFINITY, -INFINITY, NAN};
  enum { n = sizeof x / sizeof x[0] };
  uint8_t bytes[n], want_bytes[n] = {0, 1, 0, 255, 255, 255, 0, 255, 0, 255, 0, 0};
  int32_t ints[n],
      want_ints[n] = {0, 1, -1, 255, 256, 300, -1, INT32_MAX, INT32_MIN, INT32_MAX, INT32_MIN, 0};
  sm_convert(bytes, SM_UINT8, x, SM_REAL, n);
  assert_memory_equal(bytes, want_bytes, sizeof bytes);
  sm_convert(ints, SM_INT32, x, SM_REAL, n);
  assert_memory_equal(ints, want_ints, sizeof ints);
  sm_convert(bytes, SM_UINT8, ints, SM_INT32, n);
  assert_memory_equal(bytes, want_bytes, sizeof bytes);
  real back[n];
  sm_convert(back, SM_REAL, bytes, SM_UINT8, n);
  for (int i = 0; i < n; i++) assert_true(back[i] == (real)want_bytes[i]);
  sm_convert(back, SM_REAL, ints, SM_INT32, n);
  for (int i = 0; i < n; i++) assert_true(back[i] == (real)want_ints[i]);
  sm_convert(ints, SM_INT32, bytes, SM_UINT8, n);
  for (int i = 0; i < n; i++) assert_int_equal(ints[i], want_bytes[i]);
  sm_convert(back, SM_REAL, x, SM_REAL, n);
  assert_memory_equal(back, x, sizeof x);
}

static void fills_write_every_element(void **state) {
  (void)state;
  enum { n = 40000 };
  real *x = unwritten(n);
  int32_t *ints = block_of(n * sizeof *ints);
  uint8_t *bytes = block_of(n);
  sm_fill(x, SM_REAL, -2.5, n);
  sm_fill(ints, SM_INT32, -2.5, n);
  sm_fill(bytes, SM_UINT8, 1e9, n);
  for (int i = 0; i < n; i++) {
    assert_true(x[i] == (real)-2.5);
    assert_int_equal(ints[i], -2);
    assert_int_equal(bytes[i], 255);
  }
  sm_fill(x, SM_REAL, 1, 0);
  assert_true(x[0] == (real)-2.5);
  free(x);
  free(ints);
  free(bytes);
}

static void gathering_takes_rows_by_index(void **state) {
  (void)state;
  enum { rows = 30, row = 784, count = 50 };
  uint8_t *x = block_of(rows * row);
  int32_t index[count];
  for (size_t i = 0; i < rows * row; i++) x[i] = (uint8_t)(i * 31 % 251);
  for (int i = 0; i < count; i++) index[i] = i * 7 % rows;
  const real scale = (real)1 / 255;
  for (int threads = 1; threads <= 3; threads++) {
    real *out = unwritten(count * row);
    sm_set_thread_count(threads);
    sm_gather_bytes(out, x, index, scale, count, row);
    for (size_t i = 0; i < count; i++) {
      for (size_t j = 0; j < row; j++) {
        assert_true(out[i * row + j] == scale * (real)x[(size_t)index[i] * row + j]);
      }
    }
    free(out);
  }
  free(x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(element_types_have_names_and_sizes),
      cmocka_unit_test(shapes_are_counted_compared_and_written),
      cmocka_unit_test(storage_lives_as_long_as_its_last_tensor),
      cmocka_unit_test(empty_and_scalar_tensors_are_tensors),
      cmocka_unit_test(sizes_are_multiplied_without_wrapping),
      cmocka_unit_test(a_view_lies_within_its_storage),
      cmocka_unit_test(numbers_survive_or_do_not),
      cmocka_unit_test(a_tensor_beyond_memory_is_refused),
      cmocka_unit_test(conversions_truncate_and_saturate),
      cmocka_unit_test(fills_write_every_element),
      cmocka_unit_test(gathering_takes_rows_by_index),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
