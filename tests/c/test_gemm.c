/* OpenBLAS: how it is found and told its kernels; matrix products against a reference in double. */
#include "numbers.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/gemm.h"
#include "core/gemm_direct.h"
#include "core/gemm_thin.h"
#include "core/parallel.h"
#include "core/settings.h"

/* ---- loading: each in a process of its own, for a process loads once ---- */

enum { TEXT = 4096 };

/* Runs `probe` in a child process; what it writes is returned in text. */
static void in_child(char text[TEXT], void (*probe)(FILE *out)) {
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  fflush(NULL);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    FILE *out = fdopen(ends[1], "w");
    probe(out);
    fclose(out);
    _exit(0);
  }
  close(ends[1]);
  size_t size = 0;
  for (ssize_t got; size < TEXT - 1 && (got = read(ends[0], text + size, TEXT - 1 - size)) > 0;)
    size += (size_t)got;
  text[size] = 0;
  close(ends[0]);
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
}

static void probe_unloaded(FILE *out) {
  fprintf(out, "[%s][%s][%s]", sm_blas_config(), sm_blas_kernel(), sm_blas_path());
}

static void names_are_empty_before_loading(void **state) {
  (void)state;
  char text[TEXT];
  in_child(text, probe_unloaded);
  assert_string_equal(text, "[][][]");
}

static void probe_refusal(FILE *out) {
  struct rlimit none;
  getrlimit(RLIMIT_NOFILE, &none);
  rlim_t some = none.rlim_cur;
  none.rlim_cur = 0;
  setrlimit(RLIMIT_NOFILE, &none);
  sm_error first, second;
  int statuses[2] = {sm_blas_load(&first), sm_blas_load(&second)};
  none.rlim_cur = some;
  setrlimit(RLIMIT_NOFILE, &none);
  fprintf(out, "%d %d %s|%s|%d", statuses[0], statuses[1], first.message, second.message, sm_blas_load(NULL));
}

static void a_failed_load_says_why_each_time_until_it_succeeds(void **state) {
  (void)state;
  char text[TEXT], expected[TEXT];
  in_child(text, probe_refusal);
  const char *message =
      "cannot load OpenBLAS (Debian package libopenblas0-pthread): libopenblas.so.0: cannot open "
      "shared object file";
  snprintf(expected, sizeof expected, "%d %d %s", SM_SYSTEM, SM_SYSTEM, message);
  assert_memory_equal(text, expected, strlen(expected));
  assert_non_null(strstr(strchr(text, '|'), message));
  assert_string_equal(strrchr(text, '|'), "|0");
}

#ifdef __x86_64__
static void probe_given_kernels(FILE *out) {
  setenv("OPENBLAS_CORETYPE", "Nehalem", 1);
  sm_settings_read();
  int status = sm_blas_load(NULL);
  fprintf(out, "%d %s %s", status, sm_blas_kernel(), getenv("OPENBLAS_CORETYPE"));
}

static void the_users_kernels_are_respected(void **state) {
  (void)state;
  char text[TEXT];
  in_child(text, probe_given_kernels);
  assert_string_equal(text, "0 Nehalem Nehalem");
}

static void probe_unknown_kernels(FILE *out) {
  setenv("OPENBLAS_CORETYPE", "Haswel", 1);
  sm_settings_read();
  sm_error error = {0};
  int status = sm_blas_load(&error);
  fprintf(out, "%d %s", status, error.message);
}

static void kernels_that_openblas_does_not_take_are_refused(void **state) {
  (void)state;
  char text[TEXT], expected[TEXT];
  in_child(text, probe_unknown_kernels);
  snprintf(expected, sizeof expected,
           "%d OPENBLAS_CORETYPE: this OpenBLAS has no kernels \"Haswel\" for this processor, and took ",
           SM_BAD_VALUE);
  assert_memory_equal(text, expected, strlen(expected));
}

static const char *wanted_kernels; /* of the next child */

static void probe_kernels_products(FILE *out) {
  enum { M = 50, N = 77, K = 130 };
  setenv("OPENBLAS_CORETYPE", wanted_kernels, 1);
  sm_settings_read();
  if (sm_blas_load(NULL)) return;
  double worst = 0;
  for (int variant = 0; variant < 4; variant++) {
    bool ta = variant & 1, tb = variant & 2;
    real *a = numbers(M * K, 1), *b = numbers(K * N, 2), *c = unwritten(M * N);
    sm_matmul_by(c, a, b, NULL, false, ta, tb, M, N, K, SM_GEMM_WHOLE, SM_GEMM_BLAS);
    for (size_t i = 0; i < M; i++) {
      for (size_t j = 0; j < N; j++) {
        double sum = 0;
        for (size_t l = 0; l < K; l++)
          sum += (double)a[ta ? l * M + i : i * K + l] * (double)b[tb ? j * K + l : l * N + j];
        worst = fmax(worst, fabs((double)c[i * N + j] - sum));
      }
    }
    free(a), free(b), free(c);
  }
  fprintf(out, "%s %s", sm_blas_kernel(), worst < 1e-5 ? "right" : "wrong");
}

static void products_are_right_with_every_set_of_kernels(void **state) {
  (void)state;
  __builtin_cpu_init();
  struct {
    const char *name;
    bool runs;
  } const sets[] = {
      {"Nehalem", __builtin_cpu_supports("sse4.2")},
      {"Sandybridge", __builtin_cpu_supports("avx")},
      {"Haswell", __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")},
      {"Zen", __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")},
      {"SkylakeX", __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")},
  };
  for (size_t i = 0; i < COUNT_OF(sets); i++) {
    if (!sets[i].runs) continue;
    char text[TEXT], expected[TEXT];
    wanted_kernels = sets[i].name;
    in_child(text, probe_kernels_products);
    snprintf(expected, sizeof expected, "%s right", sets[i].name);
    assert_string_equal(text, expected);
  }
}

static void probe_chosen_kernels(FILE *out) {
  unsetenv("OPENBLAS_CORETYPE");
  unsetenv("OPENBLAS_NUM_THREADS");
  sm_settings_read();
  int status = sm_blas_load(NULL);
  fprintf(out, "%d %s %d %d", status, sm_blas_kernel(), getenv("OPENBLAS_CORETYPE") == NULL,
          getenv("OPENBLAS_NUM_THREADS") == NULL);
}

static void the_best_kernels_are_chosen_and_the_environment_is_left_alone(void **state) {
  (void)state;
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) skip();
  bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
              __builtin_cpu_supports("avx512cd");
  char text[TEXT];
  in_child(text, probe_chosen_kernels);
  assert_string_equal(text, wide ? "0 SkylakeX 1 1" : "0 Haswell 1 1");
}
#endif

static void loading_twice_is_loading_once(void **state) {
  (void)state;
  sm_error error;
  assert_int_equal(sm_blas_load(&error), SM_OK);
  char *path = strdup(sm_blas_path());
  assert_int_equal(sm_blas_load(&error), SM_OK);
  assert_int_equal(sm_blas_load(NULL), SM_OK);
  assert_string_equal(sm_blas_path(), path);
  assert_int_equal(path[0], '/');
  assert_non_null(strstr(sm_blas_config(), "OpenBLAS"));
  assert_true(strlen(sm_blas_kernel()) > 0);
  free(path);
}

static void probe_products(FILE *out) {
  static const char *const choices[] = {"blas", "direct", "fast"};
  fprintf(out, "[%s]", sm_matmul_rule());
  for (int i = 0; i < 3; i++) {
    fflush(out);
    pid_t child = fork(); /* once a process has loaded, it has chosen */
    if (child == 0) {
      setenv("SMRUN_GEMM", choices[i], 1);
      sm_settings_read();
      sm_error error = {0};
      int status = sm_blas_load(&error);
      fprintf(out, " %d [%s] [%s]", status, sm_matmul_rule(), error.message);
      fclose(out);
      _exit(0);
    }
    waitpid(child, NULL, 0);
  }
}

static void the_kernel_of_products_can_be_set(void **state) {
  (void)state;
  char text[TEXT], expected[TEXT];
  in_child(text, probe_products);
  snprintf(expected, sizeof expected,
           "[] %d [BLAS (SMRUN_GEMM)] [] %d [direct (SMRUN_GEMM)] [] %d [] "
           "[SMRUN_GEMM: expected direct or blas, got \"fast\"]",
           SM_OK, SM_OK, SM_BAD_VALUE);
  assert_string_equal(text, expected);
}

/* ---- products ---- */

/* c (m, n) = op(a) (m, k) * op(b) (k, n) + bias (n). */
static double *reference(const real *a, const real *b, const real *bias, bool ta, bool tb, size_t m, size_t n,
                         size_t k) {
  double *c = block_of(m * n * sizeof *c);
  for (size_t i = 0; i < m; i++) {
    for (size_t j = 0; j < n; j++) {
      double sum = bias ? (double)bias[j] : 0;
      for (size_t l = 0; l < k; l++)
        sum += (double)a[ta ? l * m + i : i * k + l] * (double)b[tb ? j * k + l : l * n + j];
      c[i * n + j] = sum;
    }
  }
  return c;
}

static const size_t products[][3] = {
    {1, 1, 1},       {1, 10, 7},      {3, 5, 0},      {0, 5, 3},       {5, 0, 3},       {50, 10, 1024},
    {17, 33, 65},    {16, 16, 16},    {31, 1, 129},   {1, 1000, 40},   {50, 320, 99},   {640, 257, 50},
    {200, 200, 200}, {1000, 10, 300}, {2, 4099, 200}, {1, 17, 255},    {2, 33, 256},    {13, 16, 257},
    {14, 31, 700},   {15, 100, 5},    {50, 32, 257},  {57, 100, 700},  {14, 130, 0},    {300, 17, 256},
    {530, 7, 5},     {7, 530, 5},     {57, 33, 255},  {17, 600, 1800}, {600, 1800, 17}, {600, 17, 1800},
    {385, 520, 260},
};

static const sm_gemm_kernel kernels[] = {SM_GEMM_BLAS, SM_GEMM_DIRECT, SM_GEMM_BY_RULE};

static void products_match_the_reference_with_any_kernel_and_number_of_threads(void **state) {
  (void)state;
  static const int thread_counts[] = {2, 3, 5};
  int threads = sm_thread_count();
  for (size_t p = 0; p < COUNT_OF(products); p++) {
    size_t m = products[p][0], n = products[p][1], k = products[p][2];
    if (is_left_out((double)m * (double)n * (double)k)) continue;
    for (int variant = 0; variant < 8; variant++) {
      bool ta = variant & 1, tb = variant & 2;
      real *a = numbers(m * k, 1), *b = numbers(k * n, 2), *bias = variant & 4 ? numbers(n, 3) : NULL;
      bool relu = (p + (size_t)variant) % 3 == 0;
      double *want = reference(a, b, bias, ta, tb, m, n, k);
      for (size_t i = 0; i < m * n && relu; i++) want[i] = fmax(want[i], 0);
      for (size_t i = 0; i < COUNT_OF(kernels); i++) {
        real *first = unwritten(m * n);
        sm_set_thread_count(1);
        sm_matmul_by(first, a, b, bias, relu, ta, tb, m, n, k, SM_GEMM_WHOLE, kernels[i]);
        assert_close(first, want, m * n, sqrt((double)k));
        for (size_t t = 0; t < COUNT_OF(thread_counts); t++) {
          real *c = unwritten(m * n);
          sm_set_thread_count(thread_counts[t]);
          sm_matmul_by(c, a, b, bias, relu, ta, tb, m, n, k, SM_GEMM_WHOLE, kernels[i]);
          assert_int_equal(sm_thread_count(), thread_counts[t]);
          assert_same_bits(c, first, m * n);
          free(c);
        }
        free(first);
      }
      free(a), free(b), free(bias), free(want);
    }
  }
  sm_set_thread_count(threads);
}

/* Which kernel a product takes is asked of the core; and by the rule it has that kernel's bits. */
static void the_rule_takes_the_kernel_that_it_names(void **state) {
  (void)state;
  enum { PLAIN, WIDE, MANY }; /* registers: 16; 16 and fused multiply-adds; 32 */
  static const char letters[] = {[SM_GEMM_BLAS] = 'B', [SM_GEMM_DIRECT] = 'D', [SM_GEMM_THIN] = 'T'};
  static const struct {
    bool transpose_a;
    size_t m, n, k;
    const char *by; /* the rule of each */
  } taken[] = {
      {false, 1, 64, 64, "TTT"},       {true, 1, 64, 64, "BBB"},       {false, 8, 1024, 1024, "TTT"},
      {false, 8, 1024, 512, "BBB"},    {true, 8, 1024, 1024, "BBB"},   {true, 16, 1024, 1024, "DDD"},
      {false, 64, 1024, 1024, "DDD"},  {false, 65, 1024, 1024, "BDD"}, {false, 256, 1024, 1024, "BDD"},
      {false, 257, 1024, 1024, "BDB"}, {false, 40, 200, 600, "BDB"},   {false, 385, 520, 260, "BDB"},
      {false, 1000, 10, 300, "BBB"},   {false, 1024, 1024, 10, "DDD"},
  };
  const char *text = sm_matmul_rule();
  int rule = strstr(text, "64 columns") ? WIDE : strstr(text, "batches to 256") ? MANY : PLAIN;
  for (size_t p = 0; p < COUNT_OF(taken); p++) {
    bool ta = taken[p].transpose_a;
    size_t m = taken[p].m, n = taken[p].n, k = taken[p].k;
    sm_gemm_kernel kernel = sm_matmul_choice(ta, false, m, n, k);
    if (letters[kernel] != taken[p].by[rule]) {
      fail_msg("%zu x %zu x %zu: expected %c, got %c", m, n, k, taken[p].by[rule], letters[kernel]);
    }
    if (is_left_out((double)m * (double)n * (double)k)) continue;
    real *a = numbers(m * k, 1), *b = numbers(k * n, 2);
    real *by_rule = unwritten(m * n), *expected = unwritten(m * n);
    sm_matmul_by(by_rule, a, b, NULL, false, ta, false, m, n, k, SM_GEMM_WHOLE, SM_GEMM_BY_RULE);
    sm_matmul_by(expected, a, b, NULL, false, ta, false, m, n, k, SM_GEMM_WHOLE, kernel);
    assert_same_bits(by_rule, expected, m * n);
    free(a), free(b), free(by_rule), free(expected);
  }
}

/* Every element of a product of equal rows and equal columns has the same bits, wherever it lies; and an
   element of a small product has those that it has in a large one. */
static void a_direct_sum_does_not_depend_on_its_position(void **state) {
  (void)state;
  static const size_t sizes[][3] = {{57, 100, 700}, {130, 77, 257}, {29, 300, 31}};
  for (size_t s = 0; s < COUNT_OF(sizes); s++) {
    size_t m = sizes[s][0], n = sizes[s][1], k = sizes[s][2];
    real *row = numbers(k, 1), *column = numbers(k, 2), bias = (real)0.3;
    for (int variant = 0; variant < 4; variant++) {
      bool ta = variant & 1, tb = variant & 2;
      real *a = unwritten(m * k), *b = unwritten(k * n), *c = unwritten(m * n), *biases = unwritten(n);
      real one = NAN;
      for (size_t i = 0; i < m; i++) {
        for (size_t l = 0; l < k; l++) a[ta ? l * m + i : i * k + l] = row[l];
      }
      for (size_t j = 0; j < n; j++) {
        biases[j] = bias;
        for (size_t l = 0; l < k; l++) b[tb ? j * k + l : l * n + j] = column[l];
      }
      sm_matmul_by(&one, row, column, &bias, false, ta, tb, 1, 1, k, SM_GEMM_WHOLE, SM_GEMM_DIRECT);
      sm_matmul_by(c, a, b, biases, false, ta, tb, m, n, k, SM_GEMM_WHOLE, SM_GEMM_DIRECT);
      for (size_t i = 0; i < m * n; i++) assert_same_bits(c + i, &one, 1);
      free(a), free(b), free(c), free(biases);
    }
    free(row), free(column);
  }
}

/* m, n, k: every number of rows; parts of b that are whole and not; more columns than are summed at a time. */
static const size_t thin_products[][3] = {
    {1, 64, 1},  {1, 2112, 100}, {2, 1040, 700}, {3, 16, 1025}, {4, 1024, 129}, {5, 64, 0},   {5, 80, 8},
    {6, 33, 64}, {6, 528, 65},   {7, 1, 128},    {7, 1040, 33}, {8, 1027, 80},  {8, 544, 96}, {1, 130, 1024}};

static void thin_products_match_the_reference_with_any_number_of_threads(void **state) {
  (void)state;
  static const int thread_counts[] = {2, 3, 5};
  int threads = sm_thread_count(), thin = 0;
  for (size_t p = 0; p < COUNT_OF(thin_products); p++) {
    size_t m = thin_products[p][0], n = thin_products[p][1], k = thin_products[p][2];
    for (int variant = 0; variant < 8; variant++) {
      bool tb = variant & 1, relu = variant & 4;
      if (!sm_gemm_is_thin(false, tb, m, n, k)) continue;
      thin++;
      real *a = numbers(m * k, 1), *b = numbers(k * n, 2), *bias = variant & 2 ? numbers(n, 3) : NULL;
      double *want = reference(a, b, bias, false, tb, m, n, k);
      for (size_t i = 0; i < m * n && relu; i++) want[i] = fmax(want[i], 0);
      real *first = unwritten(m * n);
      sm_set_thread_count(1);
      sm_gemm_thin(first, a, b, bias, relu, tb, m, n, k);
      assert_close(first, want, m * n, sqrt((double)k));
      for (size_t t = 0; t < COUNT_OF(thread_counts); t++) {
        real *c = unwritten(m * n);
        sm_set_thread_count(thread_counts[t]);
        sm_gemm_thin(c, a, b, bias, relu, tb, m, n, k);
        assert_same_bits(c, first, m * n);
        free(c);
      }
      free(a), free(b), free(bias), free(want), free(first);
    }
  }
  sm_set_thread_count(threads);
  assert_true(thin >= 4 * (int)COUNT_OF(thin_products));
}

static void products_that_are_not_thin_are_told(void **state) {
  (void)state;
  enum { WHOLE = 64, BROKEN = 65, MANY = 9 };
  assert_true(sm_gemm_is_thin(false, false, 8, WHOLE, BROKEN));
  assert_false(sm_gemm_is_thin(false, false, 8, BROKEN, WHOLE));
  assert_true(sm_gemm_is_thin(false, true, 8, BROKEN, WHOLE));
  assert_false(sm_gemm_is_thin(false, true, 8, WHOLE, BROKEN));
  assert_false(sm_gemm_is_thin(false, false, MANY, WHOLE, WHOLE));
  assert_false(sm_gemm_is_thin(true, false, 8, WHOLE, WHOLE)); /* rows of a would have to be gathered */
}

static void a_direct_product_steps_by_its_leading_dimensions(void **state) {
  (void)state;
  enum { M = 37, N = 45, K = 300, LD_C = 50 };
  for (int variant = 0; variant < 4; variant++) {
    bool ta = variant & 1, tb = variant & 2;
    size_t ld_a = (ta ? M : K) + 3, ld_b = (tb ? K : N) + 2;
    real *a = numbers((ta ? K : M) * ld_a, 1), *b = numbers((tb ? N : K) * ld_b, 2);
    real *c = numbers(M * LD_C, 3), *before = numbers(M * LD_C, 3);
    sm_gemm_direct(c, a, b, NULL, ta, tb, M, N, K, 1, ld_a, ld_b, LD_C, tb ? 0 : ld_b - N);
    for (size_t i = 0; i < M; i++) {
      double want[N];
      for (size_t j = 0; j < N; j++) {
        want[j] = 0;
        for (size_t l = 0; l < K; l++) {
          want[j] +=
              (double)a[ta ? l * ld_a + i : i * ld_a + l] * (double)b[tb ? j * ld_b + l : l * ld_b + j];
        }
      }
      assert_close(c + i * LD_C, want, N, sqrt(K));
      assert_same_bits(c + i * LD_C + N, before + i * LD_C + N, LD_C - N);
    }
    free(a), free(b), free(c), free(before);
  }
}

static void a_serial_product_steps_by_its_leading_dimensions(void **state) {
  (void)state;
  enum { M = 7, N = 9, K = 5, LD_C = 13 };
  for (int variant = 0; variant < 8; variant++) {
    bool ta = variant & 1, tb = variant & 2, add = variant & 4;
    size_t ld_a = (ta ? M : K) + 3, ld_b = (tb ? K : N) + 2;
    real *a = numbers((ta ? K : M) * ld_a, 1), *b = numbers((tb ? N : K) * ld_b, 2);
    real *c = numbers(M * LD_C, 3), *before = numbers(M * LD_C, 3);
    sm_gemm_serial(c, a, b, ta, tb, add, M, N, K, ld_a, ld_b, LD_C);
    for (size_t i = 0; i < M; i++) {
      double want[N];
      for (size_t j = 0; j < N; j++) {
        want[j] = add ? (double)before[i * LD_C + j] : 0;
        for (size_t l = 0; l < K; l++) {
          want[j] +=
              (double)a[ta ? l * ld_a + i : i * ld_a + l] * (double)b[tb ? j * ld_b + l : l * ld_b + j];
        }
      }
      assert_close(c + i * LD_C, want, N, K);
      assert_same_bits(c + i * LD_C + N, before + i * LD_C + N, LD_C - N);
    }
    free(a), free(b), free(c), free(before);
  }
}

static void an_empty_sum_is_zero_or_adds_nothing(void **state) {
  (void)state;
  real c[6] = {NAN, NAN, 7, NAN, NAN, 7}, kept[6] = {1, 2, 3, 4, 5, 6}, same[6] = {1, 2, 3, 4, 5, 6};
  const real zeroed[6] = {0, 0, 7, 0, 0, 7};
  sm_gemm_serial(c, NULL, NULL, false, false, false, 2, 2, 0, 0, 2, 3);
  assert_same_bits(c, zeroed, 6);
  sm_gemm_serial(kept, NULL, NULL, false, false, true, 2, 3, 0, 0, 3, 3);
  assert_same_bits(kept, same, 6);
}

int main(void) {
  /* Forks come before the first thread. */
  const struct CMUnitTest loading[] = {
      cmocka_unit_test(names_are_empty_before_loading),
      cmocka_unit_test(a_failed_load_says_why_each_time_until_it_succeeds),
#ifdef __x86_64__
      cmocka_unit_test(the_users_kernels_are_respected),
      cmocka_unit_test(the_best_kernels_are_chosen_and_the_environment_is_left_alone),
      cmocka_unit_test(kernels_that_openblas_does_not_take_are_refused),
      cmocka_unit_test(products_are_right_with_every_set_of_kernels),
#endif
      cmocka_unit_test(the_kernel_of_products_can_be_set),
      cmocka_unit_test(loading_twice_is_loading_once),
  };
  const struct CMUnitTest multiplying[] = {
      cmocka_unit_test(products_match_the_reference_with_any_kernel_and_number_of_threads),
      cmocka_unit_test(the_rule_takes_the_kernel_that_it_names),
      cmocka_unit_test(a_direct_sum_does_not_depend_on_its_position),
      cmocka_unit_test(thin_products_match_the_reference_with_any_number_of_threads),
      cmocka_unit_test(products_that_are_not_thin_are_told),
      cmocka_unit_test(a_direct_product_steps_by_its_leading_dimensions),
      cmocka_unit_test(a_serial_product_steps_by_its_leading_dimensions),
      cmocka_unit_test(an_empty_sum_is_zero_or_adds_nothing),
  };
  return cmocka_run_group_tests(loading, NULL, NULL) + cmocka_run_group_tests(multiplying, NULL, NULL);
}
