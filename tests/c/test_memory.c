/* The cache of memory blocks. */
#include "numbers.h"

#include "core/memory.h"

static void blocks_are_aligned_and_hold_their_bytes(void **state) {
  (void)state;
  static const size_t sizes[] = {0,   1,   63,  64,  65,   255,  256,    257,    320,
                                 321, 511, 512, 513, 4095, 4097, 100000, 3 << 20};
  sm_memory *memory = sm_memory_new();
  assert_non_null(memory);
  void *block[COUNT_OF(sizes)];
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    block[i] = sm_memory_take(memory, sizes[i]);
    assert_non_null(block[i]);
    assert_int_equal((uintptr_t)block[i] % SM_ALIGNMENT, 0);
    memset(block[i], (int)i + 1, sizes[i]);
  }
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    const unsigned char *bytes = block[i];
    for (size_t j = 0; j < sizes[i]; j++) assert_int_equal(bytes[j], i + 1);
    sm_memory_give(memory, block[i], sizes[i]);
  }
  sm_memory_free(memory);
}

#ifndef SM_EXACT_BLOCKS
static void a_block_serves_its_size_class_again(void **state) {
  (void)state;
  sm_memory *memory = sm_memory_new();
  for (size_t bytes = 0; bytes < 70000; bytes += bytes / 7 + 1) {
    void *first = sm_memory_take(memory, bytes);
    sm_memory_use taken = sm_memory_used(memory);
    assert_true(taken.live >= bytes);
    assert_true(taken.live <= bytes + bytes / 4 + SM_ALIGNMENT);
    sm_memory_give(memory, first, bytes);
    assert_int_equal(sm_memory_used(memory).live, 0);
    void *again = sm_memory_take(memory, bytes);
    assert_ptr_equal(again, first);
    sm_memory_give(memory, again, bytes);
  }
  sm_memory_free(memory);
}

static void use_counts_live_and_cached_bytes(void **state) {
  (void)state;
  sm_memory *memory = sm_memory_new();
  void *a = sm_memory_take(memory, 1000), *b = sm_memory_take(memory, 1000);
  size_t both = sm_memory_used(memory).live;
  assert_int_equal(sm_memory_used(memory).cached, 0);
  sm_memory_give(memory, a, 1000);
  assert_int_equal(sm_memory_used(memory).live, both / 2);
  assert_int_equal(sm_memory_used(memory).cached, both / 2);
  sm_memory_give(memory, b, 1000);
  assert_int_equal(sm_memory_used(memory).live, 0);
  assert_int_equal(sm_memory_used(memory).cached, both);
  sm_memory_trim(memory);
  assert_int_equal(sm_memory_used(memory).cached, 0);
  sm_memory_free(memory);
}

#else
static void blocks_are_exact_and_never_cached(void **state) {
  (void)state;
  sm_memory *memory = sm_memory_new();
  void *a = sm_memory_take(memory, 1000), *b = sm_memory_take(memory, 0);
  assert_int_equal(sm_memory_used(memory).live, 1000);
  sm_memory_give(memory, b, 0);
  sm_memory_give(memory, a, 1000);
  assert_int_equal(sm_memory_used(memory).live, 0);
  assert_int_equal(sm_memory_used(memory).cached, 0);
  sm_memory_free(memory);
}
#endif

static void impossible_sizes_are_refused(void **state) {
  (void)state;
  sm_memory *memory = sm_memory_new();
  assert_null(sm_memory_take(memory, SIZE_MAX));
  assert_null(sm_memory_take(memory, (size_t)PTRDIFF_MAX));
  assert_int_equal(sm_memory_used(memory).live, 0);
  sm_memory_give(memory, NULL, 10);
  sm_memory_free(memory);
  sm_memory_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(blocks_are_aligned_and_hold_their_bytes),
#ifndef SM_EXACT_BLOCKS
      cmocka_unit_test(a_block_serves_its_size_class_again),
      cmocka_unit_test(use_counts_live_and_cached_bytes),
#else
      cmocka_unit_test(blocks_are_exact_and_never_cached),
#endif
      cmocka_unit_test(impossible_sizes_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
