/* Matrix products by OpenBLAS, which is loaded late, after its kernels for this processor were chosen, or by
   gemm_direct.h or gemm_thin.h where that is faster. sm_matmul cuts its work into fixed tiles, computes each serially,
   and gives tiles to threads. */
#ifndef SM_GEMM_H
#define SM_GEMM_H

#include "core/tensor.h"

/* Loads OpenBLAS once per process; after a failure the next call tries again. OPENBLAS_CORETYPE in the environment is
   respected, and SM_BAD_VALUE where OpenBLAS took other kernels; where it is not set, the processor's best are chosen.
   OpenBLAS then stays on the thread that calls it, in the whole process. Its pthread and OpenMP builds serve
   threads side by side; its serial build takes one product at a time. SM_SYSTEM with the loader's message.
   SMRUN_GEMM in the environment, direct or blas, sets what computes sm_matmul; SM_BAD_VALUE where it is
   neither. */
sm_status sm_blas_load(sm_error *error);

const char *sm_blas_config(void); /* "OpenBLAS 0.3.21 … SkylakeX …"; "" before loading */
const char *sm_blas_kernel(void); /* the kernels that run: "SkylakeX"; "" before loading */
const char *sm_blas_path(void);   /* the library file that was loaded; "" before loading */
const char *sm_matmul_rule(void); /* what computes sm_matmul, and when; "" before loading */

/* Starts the threads that products may use, and computes one on each: from now on neither they nor OpenBLAS take from
   the system what a limit may refuse. */
void sm_gemm_warm_up(void);

/* What follows needs a successful sm_blas_load. BLAS counts in int: m, n, k and leading dimensions are at
   most this, which is for the caller to check. */
enum { SM_GEMM_LIMIT = 0x7fffffff };

/* Serial, for use inside a parallel loop: c (m, n) = [c +] op(a) (m, k) * op(b) (k, n), row-major, with
   leading dimensions (elements from one row to the next as stored). op is the transpose where the flag says
   so. k = 0 gives zeros (or leaves c when adding). */
void sm_gemm_serial(real *c, const real *a, const real *b, bool transpose_a, bool transpose_b, bool add,
                    size_t m, size_t n, size_t k, size_t ld_a, size_t ld_b, size_t ld_c);

/* Which of m, n and k counts examples of a batch, or rows of them: none, m, n, or k. A sum over examples goes by parts
   (core/parts.h), and the kernel is chosen for the batch of all ranks. An example's row or column has the same bits
   whatever part of the batch is beside it. */
typedef enum sm_gemm_batch { SM_GEMM_WHOLE, SM_GEMM_ROWS, SM_GEMM_COLUMNS, SM_GEMM_TERMS } sm_gemm_batch;

/* c (m, n) = op(a) (m, k) * op(b) (k, n) + bias (n) repeated over rows, or relu of it; bias may be NULL. The matrices
   are contiguous. With SM_GEMM_TERMS there is neither bias nor relu. */
void sm_matmul(real *c, const real *a, const real *b, const real *bias, bool relu, bool transpose_a,
               bool transpose_b, size_t m, size_t n, size_t k, sm_gemm_batch batch);

typedef enum sm_gemm_kernel { SM_GEMM_BY_RULE, SM_GEMM_DIRECT, SM_GEMM_BLAS, SM_GEMM_THIN } sm_gemm_kernel;

/* The kernel that a product takes by the rule, and by what SMRUN_GEMM says, where it says something. */
sm_gemm_kernel sm_matmul_choice(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k);
sm_gemm_kernel sm_matmul_kernel(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k);

/* sm_matmul by the kernel that is given instead of the process's; SM_GEMM_THIN takes what sm_gemm_is_thin, and sums no
   parts: then it is SM_GEMM_DIRECT. They agree to rounding. */
void sm_matmul_by(real *c, const real *a, const real *b, const real *bias, bool relu, bool transpose_a,
                  bool transpose_b, size_t m, size_t n, size_t k, sm_gemm_batch batch, sm_gemm_kernel kernel);

#endif
