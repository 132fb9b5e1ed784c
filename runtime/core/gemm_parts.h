/* Products whose terms are the examples of a batch: the sum of a tile as a tree over parts (core/parts.h). For gemm.c
   and contract.c alone. */
#ifndef SM_GEMM_PARTS_H
#define SM_GEMM_PARTS_H

#include "core/parts.h"

/* c (rows, columns), with rows ld_c numbers apart, = the sum of part number `part` for these of the tile's. */
typedef void sm_gemm_part(real *c, size_t ld_c, const void *work, sm_range rows, sm_range columns, size_t part);

/* c (height, width), with rows ld_c numbers apart, = the sum of all parts, a block of c after the other, which stays in
   the second-level cache meanwhile. Blocks depend on the sizes alone. Takes up to 1.5 MiB of the stack. */
void sm_gemm_add_parts(real *c, size_t ld_c, size_t height, size_t width, size_t parts, sm_gemm_part *sum,
                       const void *work);

#endif
