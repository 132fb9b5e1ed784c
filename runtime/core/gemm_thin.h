/* Matrix products of a few rows with a large matrix, as in fully connected layers of small batches: the large one is
   read once, row by row where it lies, which is all that takes time. */
#ifndef SM_GEMM_THIN_H
#define SM_GEMM_THIN_H

#include "core/tensor.h"

/* Whether sm_gemm_thin takes a product: a (m, k) has few rows, and those of b as it is stored are whole vectors. */
bool sm_gemm_is_thin(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k);

/* c (m, n) = a (m, k) * op(b) (k, n) + bias (n) repeated over rows, or relu of it, for what sm_gemm_is_thin; bias may
   be NULL. The matrices are contiguous. Takes 256 KiB of the stack. */
void sm_gemm_thin(real *c, const real *a, const real *b, const real *bias, bool relu, bool transpose_b,
                  size_t m, size_t n, size_t k);

#endif
