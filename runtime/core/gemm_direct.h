/* Matrix products on the register tile of tile.h: faster than BLAS where a matrix is read or written
   about once, as in fully connected layers, for an operand is packed once or read where it lies. */
#ifndef SM_GEMM_DIRECT_H
#define SM_GEMM_DIRECT_H

#include "core/tensor.h"

/* Rows above which a product is thick: blocked for arithmetic rather than for reading b once. */
enum { SM_GEMM_DIRECT_THICK = 128, SM_GEMM_DIRECT_PARTED = 1024 };

/* Serial, for use inside a parallel loop: c (m, n) = op(a) (m, k) * op(b) (k, n) + bias (n) repeated over
   rows, row-major, with leading dimensions as in sm_gemm_serial; bias may be NULL. Each element is one sum in
   the order of k, so its bits depend on its row of op(a), its column of op(b) and its bias alone.
   parts: above 1, where k is at most SM_GEMM_DIRECT_PARTED, the sum goes by so many parts of k (core/parts.h), without
   bias. right: columns that op(b) has beyond n, whose product comes next: the first of them are fetched meanwhile.
   Takes up to 1 MiB of the stack. */
void sm_gemm_direct(real *c, const real *a, const real *b, const real *bias, bool transpose_a,
                    bool transpose_b, size_t m, size_t n, size_t k, size_t parts, size_t ld_a, size_t ld_b,
                    size_t ld_c, size_t right);

#endif
