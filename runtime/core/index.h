/* Elements found by indices along an axis: gather and scatter-add, whole rows, one-hot. A tensor is seen as (outer,
   axis, inner), as in reduce.h. Additions to one element are made in the order of the indices, with any number of
   threads. */
#ifndef SM_INDEX_H
#define SM_INDEX_H

#include "core/reduce.h"

/* Indices into an axis: int32 or uint8. `first` is what its first element is called: 1 where positions are counted, 0
   where labels are. */
typedef struct sm_indices {
  const void *data;
  sm_dtype dtype;
  int32_t first;
  size_t count;
} sm_indices;

/* The number of the first index outside of first … first + size - 1; count when there is none. */
size_t sm_indices_check(const sm_indices *index, size_t size);

int32_t sm_index_at(const sm_indices *index, size_t i); /* as it stands there */

/* Indices have been checked against along->axis. For elements of `bytes`, 1, 4 or 8, picks = index sizes:
   out (outer, picks, inner) = x (outer, axis, inner) at index (outer, picks, inner). */
void sm_gather(void *out, const void *x, const sm_indices *index, size_t bytes, const sm_axis *along, size_t picks);

/* out (outer, axis, inner) += src (outer, picks, inner) at index (outer, picks, inner). */
void sm_scatter_add(real *out, const real *src, const sm_indices *index, const sm_axis *along, size_t picks);

/* out (outer, picks, inner) = x (outer, axis, inner) at index (picks). */
void sm_index_select(void *out, const void *x, const sm_indices *index, size_t bytes, const sm_axis *along);

/* out (outer, axis, inner) += src (outer, picks, inner) at index (picks). */
void sm_index_add(real *out, const real *src, const sm_indices *index, const sm_axis *along);

/* Bytes of scratch for sm_index_add_batch; false where they do not fit. */
bool sm_index_add_batch_scratch(size_t *bytes, size_t rows, size_t picks);

/* out (rows, width) = src (picks, width) added at index (picks), where src is a batch's: the sum of a row goes by parts
   of the picks (core/parts.h), in each in the order of the indices. */
void sm_index_add_batch(real *out, const real *src, const sm_indices *index, size_t rows, size_t width, void *scratch);

/* out (count, size) = 1 at the index of each row, else 0. */
void sm_one_hot(real *out, const sm_indices *index, size_t size);

#endif
