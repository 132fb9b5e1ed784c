/* Products of tensors summed over axes that both have: many products of matrices, read and written where they lie. */
#ifndef SM_CONTRACT_H
#define SM_CONTRACT_H

#include "core/tensor.h"

enum { SM_CONTRACTED = 2 * SM_MAX_RANK }; /* axes, at most */

/* Matrices c (m, n) = op(a) (m, k) * op(b) (k, n), one for each position along the kept axes, summed over the positions
   along the others. As they are stored, rows of matrices are neighbours' places apart: row_a, row_b, row_c; elements of
   a row lie side by side. */
/* Where the axis of a batch is: in none, or the outermost of m, n or k, or the first of the kept or the summed axes. A
   sum over it goes by parts (core/parts.h), and what is chosen goes by the batch of all ranks. */
typedef enum sm_contract_batch {
  SM_CONTRACT_WHOLE,
  SM_CONTRACT_M,
  SM_CONTRACT_N,
  SM_CONTRACT_K,
  SM_CONTRACT_KEPT,
  SM_CONTRACT_SUMMED,
  SM_CONTRACT_BATCHES
} sm_contract_batch;

typedef struct sm_contraction {
  size_t m, n, k;
  bool transpose_a, transpose_b;
  size_t row_a, row_b, row_c;
  int kept, summed; /* axes: kept ones come first, in any order */
  sm_contract_batch batch;
  size_t size[SM_CONTRACTED], step_a[SM_CONTRACTED], step_b[SM_CONTRACTED], step_c[SM_CONTRACTED];
} sm_contraction;

/* SM_BAD_SHAPE where a matrix or a step reaches beyond tensors of so many elements, the matrices are not all of c, or a
   size is none that BLAS counts to. */
sm_status sm_contract_check(const sm_contraction *plan, size_t count_c, size_t count_a, size_t count_b,
                            sm_error *error);

/* The plan has been checked. Sums are in a fixed order; c is 0 where nothing is summed. */
void sm_contract(real *c, const real *a, const real *b, const sm_contraction *plan);

#endif
