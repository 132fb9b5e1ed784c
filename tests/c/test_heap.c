/* core/heap: blocks do not overlap, keep their content, and come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/heap.h"

enum { BLOCKS = 2000, ROUNDS = 50 };

typedef struct block {
  unsigned char *at;
  size_t bytes;
  unsigned char mark;
} block;

static unsigned next_random(unsigned *state) { return *state = *state * 1664525u + 1013904223u, *state >> 8; }

static void is_whole(const block *b) {
  for (size_t i = 0; i < b->bytes; i++) assert_int_equal(b->at[i], b->mark);
}

static void keeps_blocks_apart(void **state) {
  (void)state;
  static block blocks[BLOCKS];
  sm_heap heap;
  unsigned random = 1;
  sm_heap_open(&heap);
  if (!heap.blocks) skip(); /* built for the sanitizers */
  memset(blocks, 0, sizeof blocks);
  for (int i = 0; i < ROUNDS * BLOCKS; i++) {
    block *b = &blocks[next_random(&random) % BLOCKS];
    if (b->at) {
      is_whole(b);
      sm_heap_give(&heap, b->at, b->bytes);
      b->at = NULL;
    } else {
      b->bytes = 1 + next_random(&random) % SM_HEAP_MOST;
      b->mark = (unsigned char)i;
      b->at = sm_heap_take(&heap, b->bytes);
      assert_non_null(b->at);
      assert_true(sm_heap_has(&heap, b->at) && sm_heap_has(&heap, b->at + b->bytes - 1));
      assert_int_equal((uintptr_t)b->at % SM_HEAP_STEP, 0);
      memset(b->at, b->mark, b->bytes);
    }
  }
  for (int i = 0; i < BLOCKS; i++) {
    if (!blocks[i].at) continue;
    is_whole(&blocks[i]);
    sm_heap_give(&heap, blocks[i].at, blocks[i].bytes);
  }
  assert_int_equal(heap.live, 0);
  sm_heap_close(&heap);
}

static void ends(void **state) {
  (void)state;
  sm_heap heap;
  sm_heap_open(&heap);
  if (!heap.blocks) skip();
  size_t count = 0;
  void *last = NULL;
  for (void *made; (made = sm_heap_take(&heap, SM_HEAP_MOST)); count++) last = made;
  assert_int_equal(count, SM_HEAP_ALL / SM_HEAP_MOST);
  sm_heap_give(&heap, last, SM_HEAP_MOST);
  assert_ptr_equal(sm_heap_take(&heap, SM_HEAP_MOST - 1), last);
  assert_null(sm_heap_take(&heap, SM_HEAP_MOST));
  assert_null(sm_heap_take(&heap, 1));
  sm_heap_close(&heap);
}

static void refuses_what_is_none(void **state) {
  (void)state;
  sm_heap heap, empty = {0};
  int elsewhere;
  sm_heap_open(&heap);
  assert_null(sm_heap_take(&heap, 0));
  assert_null(sm_heap_take(&heap, SM_HEAP_MOST + 1));
  assert_false(sm_heap_has(&heap, &elsewhere));
  assert_null(sm_heap_take(&empty, 1));
  assert_false(sm_heap_has(&empty, NULL));
  sm_heap_close(&heap);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_blocks_apart), cmocka_unit_test(ends),
                                     cmocka_unit_test(refuses_what_is_none)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
