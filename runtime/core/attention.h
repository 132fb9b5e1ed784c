/* Scaled dot-product attention: every query is given a mean of the values, weighted by a softmax of how well their keys
   fit it. Vaswani et al. 2017, arxiv.org/abs/1706.03762. The weights of a head are never all in memory: they are
   computed for a block of queries at a time, and once more for the gradient. */
#ifndef SM_ATTENTION_H
#define SM_ATTENTION_H

#include "core/tensor.h"

/* How a tensor lies in memory: elements between batches, heads and rows; those of a row are adjacent. */
typedef struct sm_heads {
  size_t batch, head, row;
} sm_heads;

/* Of queries and keys, with SM_REAL what is added to a score, with SM_UINT8 whether the key takes part: where it is not
   0. Of no other type. Steps are in elements, 0 where an axis is repeated. */
typedef struct sm_mask {
  const void *data; /* NULL: none */
  sm_dtype dtype;
  size_t batch, head, query, key;
} sm_mask;

typedef struct sm_attention {
  size_t batch, heads, queries, keys;
  size_t width, value_width; /* of a head's queries and keys; of its values and what it gives */
  sm_heads q, k, v, out;
  real scale;  /* of the scores */
  bool causal; /* query i sees keys up to i */
  sm_mask mask;
} sm_attention;

/* Bytes of scratch with the present number of threads; false where they do not fit. */
bool sm_attention_scratch(size_t *bytes, const sm_attention *of, bool backward);

/* out = the sum over keys of p * v with p = exp(s - log_sum), s = scale * q k + mask, and log_sum (batch, heads,
   queries) = log of the sum of exp s; a query without a key to see gets 0, and log_sum is infinite. log_sum may be
   NULL. Sizes count to INT_MAX, as BLAS does. */
void sm_attention_forward(real *out, real *log_sum, const real *q, const real *k, const real *v, void *scratch,
                          const sm_attention *of);

/* gq, gk, gv lie as q, k, v do, gy as out. */
void sm_attention_backward(real *gq, real *gk, real *gv, const real *gy, const real *out, const real *log_sum,
                           const real *q, const real *k, const real *v, void *scratch, const sm_attention *of);

#endif
