#include "core/gemm.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/gemm_buffers.h"
#include "core/gemm_thin.h"
#include "core/parallel.h"
#include "core/settings.h"
#include "core/tile.h"

/* ---- the library ---- */

/* The values that the CBLAS standard fixes; its header is not needed to run. */
enum { ROW_MAJOR = 101, AS_IS = 111, TRANSPOSED = 112 };

/* What openblas_get_parallel() answers. */
enum { SERIAL_BUILD = 0, PTHREAD_BUILD = 1, OPENMP_BUILD = 2 };

#ifdef SM_DOUBLE
static const char gemm_name[] = "cblas_dgemm";
#else
static const char gemm_name[] = "cblas_sgemm";
#endif

typedef void gemm_function(int order, int op_a, int op_b, int m, int n, int k, real alpha, const real *a,
                           int ld_a, const real *b, int ld_b, real beta, real *c, int ld_c);
typedef int get_number_function(void);
typedef char *get_text_function(void);
typedef void set_number_function(int number);

/* The one state of the core that belongs to the process: a shared library is loaded once, and so is this.
   Written by load alone, under a lock; only the other lock changes afterwards. */
static struct {
  pthread_mutex_t loading;
  gemm_function *gemm; /* NULL before it is loaded */
  bool serial;                      /* the build without threads */
  get_number_function *omp_threads; /* where it is the OpenMP build, or NULL */
  set_number_function *set_omp_threads;
  pthread_mutex_t turn; /* for the serial build */
  const char *config, *kernel;
  sm_gemm_kernel products; /* what sm_matmul uses: SMRUN_GEMM */
  char path[PATH_MAX];
} blas = {.loading = PTHREAD_MUTEX_INITIALIZER, .turn = PTHREAD_MUTEX_INITIALIZER, .config = "", .kernel = ""};

#if defined(__x86_64__)
#define DEBIAN_LIBRARIES "/usr/lib/x86_64-linux-gnu/"
#elif defined(__aarch64__)
#define DEBIAN_LIBRARIES "/usr/lib/aarch64-linux-gnu/"
#else
#define DEBIAN_LIBRARIES "/usr/lib/"
#endif

/* The system's choice first, then each build where Debian keeps it: the choice may be missing or broken. */
static const char *const candidates[] = {
    "libopenblas.so.0",
    DEBIAN_LIBRARIES "openblas-pthread/libopenblas.so.0",
    DEBIAN_LIBRARIES "openblas-openmp/libopenblas.so.0",
    DEBIAN_LIBRARIES "openblas-serial/libopenblas.so.0",
};

enum { CANDIDATES = sizeof candidates / sizeof candidates[0] };

/* OpenBLAS knows processors by model number and takes one that is newer than itself for an old one; what
   counts is which instructions there are. NULL: its own choice is as good. */
static const char *best_kernels(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512cd")) {
    return "SKYLAKEX";
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "HASWELL";
#endif
  return NULL;
}

static const char kernels_variable[] = "OPENBLAS_CORETYPE";

/* Sets a variable that the user has not set; true if it did, and it has to be unset again. */
static bool lend_variable(const char *name, const char *value, bool is_set) {
  return value && !is_set && setenv(name, value, 1) == 0;
}

/* OpenBLAS reads its variables while it is being loaded. OPENBLAS_NUM_THREADS spares it the threads that it
   would start, for they would never get work. */
static void *open_library(sm_error *error) {
  static const char threads[] = "OPENBLAS_NUM_THREADS";
  bool kernels_lent = lend_variable(kernels_variable, best_kernels(), *sm_settings_now()->blas_kernels);
  bool threads_lent = lend_variable(threads, "1", sm_settings_now()->blas_threads);
  void *library = NULL;
  for (int i = 0; i < CANDIDATES && !library; i++) {
    library = dlopen(candidates[i], RTLD_NOW | RTLD_LOCAL);
    if (!library && i == 0) {
      sm_fail(error, SM_SYSTEM, "cannot load OpenBLAS (Debian package libopenblas0-pthread): %s", dlerror());
    }
  }
  if (kernels_lent) unsetenv(kernels_variable);
  if (threads_lent) unsetenv(threads);
  return library;
}

/* Copies the address of a function into *function (of `bytes`), for ISO C has no cast from void * to one. */
static sm_status find(void *function, size_t bytes, void *library, const char *name, sm_error *error) {
  void *address = dlsym(library, name);
  if (!address) return sm_fail(error, SM_SYSTEM, "OpenBLAS (%s) has no function %s", blas.path, name);
  memcpy(function, &address, bytes);
  return SM_OK;
}

static sm_status choose_products(sm_error *error) {
  const char *name = sm_settings_now()->products;
  if (!*name) return SM_OK;
  if (strcmp(name, "direct") == 0)
    blas.products = SM_GEMM_DIRECT;
  else if (strcmp(name, "blas") == 0)
    blas.products = SM_GEMM_BLAS;
  else
    return sm_fail(error, SM_BAD_VALUE, "SMRUN_GEMM: expected direct or blas, got \"%s\"", name);
  return SM_OK;
}

static sm_status load(sm_error *error) {
  sm_status status = choose_products(error);
  if (!status) status = sm_gemm_buffers_check(error);
  if (status) return status;
  void *library = open_library(error);
  if (!library) return SM_SYSTEM;
  struct link_map *map;
  if (dlinfo(library, RTLD_DI_LINKMAP, &map) != 0) {
    return sm_fail(error, SM_SYSTEM, "OpenBLAS was loaded from an unknown place: %s", dlerror());
  }
  if (!realpath(map->l_name, blas.path)) {
    return sm_fail(error, SM_SYSTEM, "OpenBLAS was loaded from %s, which cannot be found again", map->l_name);
  }

  gemm_function *gemm = NULL;
  get_number_function *get_parallel = NULL;
  set_number_function *set_threads = NULL;
  get_text_function *get_config = NULL, *get_kernel = NULL;
  if (find(&gemm, sizeof gemm, library, gemm_name, error) ||
      find(&get_parallel, sizeof get_parallel, library, "openblas_get_parallel", error) ||
      find(&set_threads, sizeof set_threads, library, "openblas_set_num_threads", error) ||
      find(&get_config, sizeof get_config, library, "openblas_get_config", error) ||
      find(&get_kernel, sizeof get_kernel, library, "openblas_get_corename", error)) {
    return SM_SYSTEM;
  }

  /* The pthread build is told once to stay on the calling thread. For the OpenMP build this function would
     set the whole program's number of threads, so call_gemm tells it around every call. */
  int parallel = get_parallel();
  if (parallel == PTHREAD_BUILD) set_threads(1);
  if (parallel == OPENMP_BUILD &&
      (find(&blas.set_omp_threads, sizeof blas.set_omp_threads, library, "omp_set_num_threads", error) ||
       find(&blas.omp_threads, sizeof blas.omp_threads, library, "omp_get_max_threads", error))) {
    return SM_SYSTEM;
  }
  blas.serial = parallel == SERIAL_BUILD;
  blas.config = get_config();
  blas.kernel = get_kernel();
  const char *wanted = sm_settings_now()->blas_kernels;
  if (*wanted && strcasecmp(wanted, blas.kernel) != 0) {
    return sm_fail(error, SM_BAD_VALUE,
                   "%s: this OpenBLAS has no kernels \"%s\" for this processor, and took %s",
                   kernels_variable, wanted, blas.kernel);
  }
  status = sm_gemm_buffers_open(library, error);
  if (status == SM_OK) blas.gemm = gemm;
  return status;
}

sm_status sm_blas_load(sm_error *error) {
  pthread_mutex_lock(&blas.loading);
  sm_status status = blas.gemm ? SM_OK : load(error);
  pthread_mutex_unlock(&blas.loading);
  return status;
}

const char *sm_blas_config(void) { return blas.config; }
const char *sm_blas_kernel(void) { return blas.kernel; }
const char *sm_blas_path(void) { return blas.path; }

/* ---- products ---- */

/* Runs BLAS on the calling thread alone. The OpenMP build would take as many threads as this thread's next
   parallel region may have. The serial build shares its buffers between threads without asking (Debian's
   0.3.21 gives wrong products), so threads take turns. */
static void call_gemm(int op_a, int op_b, int m, int n, int k, const real *a, int ld_a, const real *b,
                      int ld_b, real beta, real *c, int ld_c) {
  int threads = blas.omp_threads ? blas.omp_threads() : 1;
  if (threads > 1) blas.set_omp_threads(1);
  if (blas.serial) pthread_mutex_lock(&blas.turn);
  sm_gemm_buffers_enter();
  blas.gemm(ROW_MAJOR, op_a, op_b, m, n, k, 1, a, ld_a, b, ld_b, beta, c, ld_c);
  sm_gemm_buffers_leave();
  if (blas.serial) pthread_mutex_unlock(&blas.turn);
  if (threads > 1) blas.set_omp_threads(threads);
}

void sm_gemm_serial(real *c, const real *a, const real *b, bool transpose_a, bool transpose_b, bool add,
                    size_t m, size_t n, size_t k, size_t ld_a, size_t ld_b, size_t ld_c) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    for (size_t i = 0; i < m && !add; i++) memset(c + i * ld_c, 0, n * sizeof *c);
    return;
  }
  call_gemm(transpose_a ? TRANSPOSED : AS_IS, transpose_b ? TRANSPOSED : AS_IS, (int)m, (int)n, (int)k, a,
            (int)ld_a, b, (int)ld_b, add ? 1 : 0, c, (int)ld_c);
}

/* Waits until each thread has one, for a moment at most: the system may have refused some. */
static void warm_up(const void *work, size_t item) {
  (void)item;
  enum { EDGE = 32, AREA = EDGE * EDGE, GLANCES = 100000 };
  atomic_int *begun = *(atomic_int *const *)work;
  real *c = calloc(3 * AREA, sizeof *c);
  if (c) sm_gemm_serial(c, c + AREA, c + 2 * AREA, false, false, false, EDGE, EDGE, EDGE, EDGE, EDGE, EDGE);
  free(c);
  atomic_fetch_add(begun, 1);
  for (int i = 0; i < GLANCES && atomic_load(begun) < sm_thread_count(); i++) sched_yield();
}

void sm_gemm_warm_up(void) {
  atomic_int begun = 0, *work = &begun;
  sm_compute((size_t)sm_thread_count(), SM_LARGE, warm_up, &work);
}

/* Against BLAS with the same vectors, over batches of 1 to 1000 and weights of 64x64 to 8192x2048, direct
   measured 1.05 to 2 times as fast within these bounds with AVX-512, and 1 to 1.6 times with AVX2. Smaller
   weights stay in the caches, where packing them again costs BLAS little; for a tile of less than a million
   multiplications it does without packing, but direct writes a large result in longer runs; in a thick product
   arithmetic is all. Thin measured 1.5 to 8 times as fast with one row and 1.1 to 5 times with 2 to 8 (AVX2). */
enum {
  DIRECT_MOST = SM_VECTOR_REGISTERS == 32 ? 256 : 64, /* the shortest of m, n and k is at most this */
  DIRECT_EDGE = 512,                                  /* the other two, at least */
  LARGE_AREA = 1 << 20,                               /* their product, at least */
  DIRECT_WORK = 1 << 24 /* the product of all three, at least, if k is not the shortest */
};

/* Wide tiles, and the high ones of AVX-512, do arithmetic itself faster: 0.96 to 2 times as fast as BLAS in 50 products
   within these bounds, of up to 4096 columns, with 1 and 2 threads. Narrower results leave vectors idle (0.6 to 1 with
   10 columns). */
enum {
  FAST_TILES = SM_WIDE_TILES || SM_VECTOR_BYTES == 64,
  WIDE_ROWS = 32,
  WIDE_COLUMNS = 64,
  WIDE_WORK = 1 << 22
};

#define THIN_RULE "thin for a batch of 1, and from a million weights on for 2 to 8; "
#define DIRECT_RULE "direct from a million weights and 16 million multiplications on for batches to "
#define WIDE_RULE ", from 64 columns and 4 million multiplications on for larger ones"

const char *sm_matmul_rule(void) {
  if (!blas.gemm) return "";
  return blas.products == SM_GEMM_DIRECT ? "direct (SMRUN_GEMM)"
         : blas.products == SM_GEMM_BLAS ? "BLAS (SMRUN_GEMM)"
         : FAST_TILES                    ? THIN_RULE DIRECT_RULE "31" WIDE_RULE ", else BLAS"
         : SM_VECTOR_REGISTERS == 32     ? THIN_RULE DIRECT_RULE "256, else BLAS"
                                         : THIN_RULE DIRECT_RULE "64, else BLAS";
}

static bool is_thin(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k) {
  return sm_gemm_is_thin(transpose_a, transpose_b, m, n, k) &&
         (m == 1 || (double)n * (double)k >= LARGE_AREA);
}

static bool is_direct(size_t m, size_t n, size_t k) {
  double work = (double)m * (double)n * (double)k;
  if (FAST_TILES && m >= WIDE_ROWS && n >= WIDE_COLUMNS && work >= WIDE_WORK) return true;
  size_t least = m < n ? m : n, most = m < n ? n : m;
  if (k < least) least = k;
  if (k > most) most = k;
  if (least < 1 || least > DIRECT_MOST) return false;
  double area = work / (double)least;
  return (work >= DIRECT_WORK || k == least) && area >= LARGE_AREA && area >= DIRECT_EDGE * (double)most;
}

sm_gemm_kernel sm_matmul_choice(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k) {
  return is_thin(transpose_a, transpose_b, m, n, k) ? SM_GEMM_THIN
         : is_direct(m, n, k)                       ? SM_GEMM_DIRECT
                                                    : SM_GEMM_BLAS;
}

void sm_matmul(real *c, const real *a, const real *b, const real *bias, bool relu, bool transpose_a,
               bool transpose_b, size_t m, size_t n, size_t k, sm_gemm_batch batch) {
  sm_matmul_by(c, a, b, bias, relu, transpose_a, transpose_b, m, n, k, batch, blas.products);
}

sm_gemm_kernel sm_matmul_kernel(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k) {
  return blas.products == SM_GEMM_BY_RULE ? sm_matmul_choice(transpose_a, transpose_b, m, n, k) : blas.products;
}
