/* The thread pool: every item once, whatever the counts, from any thread, after a fork, in the mode of kernels. */
#include "numbers.h"

#include <fenv.h>
#include <float.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/optim.h"
#include "core/parallel.h"
#include "core/pointwise.h"
#include "core/subnormal.h"

enum { MOST = 3000 };

typedef struct tally {
  _Atomic int times[MOST]; /* that each item was done */
  _Atomic int inside[16];  /* threads that have this index now */
  _Atomic int collisions;
  size_t count, inner; /* items; those that every item gives in turn */
} tally;

static void inner_item(const void *work, size_t item) {
  _Atomic int *sum = *(_Atomic int *const *)work;
  (void)item;
  atomic_fetch_add(sum, 1);
}

static void nested_item(const void *work, size_t number) {
  if (sm_thread_index() == 0) inner_item(work, number);
}

static void item(const void *work, size_t number) {
  tally *of = *(tally *const *)work;
  int index = sm_thread_index();
  if (index < 0 || (size_t)index >= sm_workers(of->count) || atomic_fetch_add(&of->inside[index], 1) != 0) {
    atomic_fetch_add(&of->collisions, 1);
  }
  if (of->inner > 0) {
    _Atomic int sum = 0, *pointer = &sum;
    sm_parallel(of->inner, SM_LARGE, nested_item, &pointer);
    if ((size_t)sum != of->inner || sm_thread_index() != index) atomic_fetch_add(&of->collisions, 1);
  }
  atomic_fetch_add(&of->times[number], 1);
  atomic_fetch_sub(&of->inside[index], 1);
}

static void check_with(void (*parallel)(size_t, size_t, sm_task *, const void *), size_t count,
                       size_t inner) {
  tally *of = calloc(1, sizeof *of);
  assert_non_null(of);
  of->count = count;
  of->inner = inner;
  parallel(count, SM_LARGE, item, &of);
  for (size_t i = 0; i < MOST; i++) assert_int_equal(of->times[i], i < count);
  assert_int_equal(of->collisions, 0);
  free(of);
}

static void check(size_t count, size_t inner) { check_with(sm_parallel, count, inner); }

static void every_item_is_done_once(void **state) {
  (void)state;
  static const int threads[] = {1, 2, 3, 5, 16, 2};
  static const size_t counts[] = {0, 1, 2, 3, 4, 5, 16, 17, 100, MOST};
  for (size_t t = 0; t < COUNT_OF(threads); t++) {
    sm_set_thread_count(threads[t]);
    assert_int_equal(sm_thread_count(), threads[t]);
    for (size_t c = 0; c < COUNT_OF(counts); c++) {
      check(counts[c], 0);
      check_with(sm_compute_backwards, counts[c], 0);
    }
  }
}

static void expect_next(const void *work, size_t number) {
  size_t *next = *(size_t *const *)work;
  assert_int_equal(number, *next);
  *next -= 1;
}

static void backwards_is_from_the_last_item_to_the_first(void **state) {
  (void)state;
  size_t next = 99, *pointer = &next;
  sm_set_thread_count(1);
  sm_compute_backwards(100, SM_LARGE, expect_next, &pointer);
  assert_int_equal(next, SIZE_MAX);
}

enum { PATIENCE = 30000 }; /* milliseconds that a thread waits for another, on however busy a machine */

typedef struct walk {
  pthread_t caller;
  size_t first; /* item of the caller */
  _Atomic int begun;
} walk;

/* Nobody is done with an item before the caller has begun its own. */
static void note_callers_items(const void *work, size_t number) {
  walk *of = *(walk *const *)work;
  if (pthread_equal(pthread_self(), of->caller) && !of->begun) {
    of->first = number;
    of->begun = 1;
  }
  for (int waited = 0; !of->begun && waited < PATIENCE; waited++) usleep(1000);
}

static void a_thread_goes_through_its_own_run(void **state) {
  (void)state;
  walk forwards = {.caller = pthread_self()}, backwards = forwards, *pointer = &forwards;
  sm_set_thread_count(2);
  sm_parallel(4, SM_LARGE, note_callers_items, &pointer);
  pointer = &backwards;
  sm_compute_backwards(4, SM_LARGE, note_callers_items, &pointer);
  assert_int_equal(forwards.first, 0);
  assert_int_equal(backwards.first, 1);
}

static void short_work_in_quick_succession_is_not_mixed_up(void **state) {
  (void)state;
  sm_set_thread_count(3);
  for (int round = 0; round < 20000; round++) {
    _Atomic int sum = 0, *pointer = &sum;
    size_t count = 2 + (size_t)round % 7;
    sm_parallel(count, SM_LARGE, inner_item, &pointer);
    assert_int_equal(sum, count);
  }
}

static void helpers_that_fell_asleep_wake_up(void **state) {
  (void)state;
  sm_set_thread_count(4);
  for (int round = 0; round < 20; round++) {
    usleep(2000);
    check(100, 0);
  }
}

static void a_task_may_give_work(void **state) {
  (void)state;
  sm_set_thread_count(3);
  check(50, 20);
}

static void *second_thread(void *argument) {
  (void)argument;
  for (int round = 0; round < 200; round++) {
    _Atomic int sum = 0, *pointer = &sum;
    sm_parallel(64, SM_LARGE, inner_item, &pointer);
    if (sum != 64) return "items were lost";
  }
  return NULL;
}

static void two_threads_may_give_work(void **state) {
  (void)state;
  sm_set_thread_count(3);
  pthread_t other;
  void *complaint;
  assert_int_equal(pthread_create(&other, NULL, second_thread, NULL), 0);
  assert_null(second_thread(NULL));
  assert_int_equal(pthread_join(other, &complaint), 0);
  assert_null(complaint);
}

static void a_child_process_has_helpers_of_its_own(void **state) {
  (void)state;
  if (getenv("EMULATED")) skip(); /* qemu 7.2 fails where a process with threads forks */
  sm_set_thread_count(3);
  check(100, 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    _Atomic int sum = 0, *pointer = &sum;
    sm_parallel(100, SM_LARGE, inner_item, &pointer);
    _exit(sum == 100 ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  check(100, 0);
}

static void note_thread(const void *work, size_t number) {
  _Atomic int *others = *(_Atomic int *const *)work;
  (void)number;
  if (sm_thread_index() != 0) atomic_fetch_add(others, 1);
}

static void wait_for_another(const void *work, size_t number) {
  _Atomic int *others = *(_Atomic int *const *)work;
  note_thread(work, number);
  for (int waited = 0; *others == 0 && waited < PATIENCE; waited++) usleep(1000);
}

static void small_work_stays_and_large_work_is_shared(void **state) {
  (void)state;
  _Atomic int others = 0, *pointer = &others;
  sm_set_thread_count(2);
  sm_parallel(8, SM_BLOCK, note_thread, &pointer);
  assert_int_equal(others, 0);
  sm_parallel(8, SM_BLOCK + 1, wait_for_another, &pointer);
  assert_true(others > 0);
}

/* ---- subnormal numbers ---- */

#ifdef SM_DOUBLE
#define SMALLEST DBL_MIN
#else
#define SMALLEST FLT_MIN
#endif

static const real subnormal = (real)SMALLEST / 4;

static bool flushes(void) {
  volatile real small = subnormal, smallest = (real)SMALLEST;
  return small + 0 == 0 && smallest / 4 == 0;
}

typedef struct expectation {
  _Atomic int *wrong;
  bool flushes;
} expectation;

static void note_mode(const void *work, size_t number) {
  const expectation *of = work;
  (void)number;
  if (flushes() != of->flushes) atomic_fetch_add(of->wrong, 1);
  usleep(1); /* so that helpers have items, too */
}

static void computing_flushes_and_the_caller_keeps_its_mode(void **state) {
  (void)state;
  if (SM_FLUSH == 0) return;
  const sm_mode at_first = sm_mode_now();
  for (int threads = 1; threads <= 3; threads++) {
    sm_set_thread_count(threads);
    for (int own = 0; own < 3; own++) { /* the usual mode, another way of rounding, and flushing itself */
      if (own == 1) fesetround(FE_UPWARD);
      if (own == 2) sm_flush_subnormal();
      _Atomic int wrong = 0;
      const expectation kernels = {&wrong, true}, others = {&wrong, own == 2};
      for (size_t count = 0; count < 100; count = 3 * count + 1) {
        sm_compute(count, SM_LARGE, note_mode, &kernels);
        sm_parallel(count, SM_LARGE, note_mode, &others);
        sm_compute_backwards(count, 1, note_mode, &kernels);
        assert_true(flushes() == (own == 2));
        assert_int_equal(fegetround(), own == 1 ? FE_UPWARD : FE_TONEAREST);
      }
      assert_int_equal(wrong, 0);
      fesetround(FE_TONEAREST);
      sm_set_mode(at_first);
    }
  }
}

/* Every second number is subnormal. */
static real *half_subnormal(size_t n, uint32_t seed) {
  real *x = numbers(n, seed);
  for (size_t i = 0; i < n; i += 2) x[i] *= subnormal;
  return x;
}

static void subnormal_numbers_give_the_same_bits_on_any_number_of_threads(void **state) {
  (void)state;
  enum { n = 3 * SM_BLOCK + 17 };
  real *kept[4] = {NULL};
  for (int threads = 1; threads <= 3; threads++) {
    sm_set_thread_count(threads);
    real *of[4] = {half_subnormal(n, 1), half_subnormal(n, 2), half_subnormal(n, 3), unwritten(n)};
    real *g = half_subnormal(n, 4);
    for (size_t i = 0; i < n; i++) of[2][i] = (real)fabs((double)of[2][i]);
    const sm_adam rule = {.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .step = 3};
    assert_true(sm_adam_step(of[0], of[1], of[2], &(sm_gradient){.g = g, .scale = 1}, &rule, n));
    sm_pointwise_flat(of[3], (const real *const[]){of[0], g}, (const size_t[]){1, 1}, SM_MUL, n);
    for (int k = 0; k < 4; k++) {
      for (size_t i = 0; i < n && SM_FLUSH && k < 3; i++) {
        assert_false(of[k][i] != 0 && fabs((double)of[k][i]) < SMALLEST);
      }
      if (threads > 1) assert_same_bits(of[k], kept[k], n);
      free(kept[k]);
      kept[k] = of[k];
    }
    free(g);
  }
  for (int k = 0; k < 4; k++) free(kept[k]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_item_is_done_once),
      cmocka_unit_test(backwards_is_from_the_last_item_to_the_first),
      cmocka_unit_test(a_thread_goes_through_its_own_run),
      cmocka_unit_test(short_work_in_quick_succession_is_not_mixed_up),
      cmocka_unit_test(helpers_that_fell_asleep_wake_up),
      cmocka_unit_test(a_task_may_give_work),
      cmocka_unit_test(two_threads_may_give_work),
      cmocka_unit_test(a_child_process_has_helpers_of_its_own),
      cmocka_unit_test(small_work_stays_and_large_work_is_shared),
      cmocka_unit_test(computing_flushes_and_the_caller_keeps_its_mode),
      cmocka_unit_test(subnormal_numbers_give_the_same_bits_on_any_number_of_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
