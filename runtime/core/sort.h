/* Sorting along an axis. A tensor is seen as (outer, axis, inner), as in reduce.h. Equal elements keep their order, -0
   and 0 are equal, and NaN is larger than any number. */
#ifndef SM_SORT_H
#define SM_SORT_H

#include "core/reduce.h"

/* What a sort needs besides its tensors, in bytes. SM_BAD_SHAPE when an axis has more elements than an int32 counts. */
sm_status sm_sort_scratch(size_t *bytes, const sm_axis *along, sm_error *error);

/* The elements of x in ascending or descending order, and where each was, counted from 1. Either output may be NULL. */
void sm_sort(void *values, int32_t *positions, const void *x, sm_dtype dtype, const sm_axis *along, bool descending,
             void *scratch);

/* The `count` first of these (outer, count, inner): count <= along->axis. */
void sm_topk(void *values, int32_t *positions, const void *x, sm_dtype dtype, const sm_axis *along, size_t count,
             bool descending, void *scratch);

#endif
