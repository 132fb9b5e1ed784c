/* Recurrent networks: the part of a step that needs the step before. The input's part of all steps is one matrix
   product, which is made before. A sequence is independent of the others of its batch, so threads share out sequences
   and each goes through all of its steps. A sum's bits do not depend on how sequences are shared out. */
#ifndef SM_RECURRENT_H
#define SM_RECURRENT_H

#include "core/tensor.h"

/* With a the input's part x W + b of a gate, and r the recurrent part h' V + d, where h' and c' are the state before:
   rnn   h = f(a + r), f tanh or relu
   gru   gates r, z, n: r = s(a + r), z = s(a + r), n = tanh(a + r * (h' V + d)), h = (1 - z) * n + z * h'
   lstm  gates i, f, g, o: i, f, o = s(a + r), g = tanh(a + r), c = f * c' + i * g, h = o * tanh c
   with s the logistic sigmoid. Cho et al. 2014, arxiv.org/abs/1406.1078; Hochreiter and Schmidhuber 1997. */
typedef enum sm_cell { SM_RNN_TANH, SM_RNN_RELU, SM_GRU, SM_LSTM } sm_cell;

typedef struct sm_recurrence {
  sm_cell cell;
  size_t batch, steps, size; /* of the state */
  bool reverse;              /* from the last step to the first */
} sm_recurrence;

size_t sm_cell_gates(sm_cell cell); /* G: 1, 3 or 4 */

/* What the gradient needs besides the gates and y: an rnn nothing, a gru h' V + d of n, an lstm c. */
bool sm_cell_keeps(sm_cell cell);

/* Bytes of scratch for each pass with the present number of threads; false where they do not fit. */
bool sm_recurrent_scratch(size_t *bytes, const sm_recurrence *of);

/* y (batch, steps, size) = h of every step. gates (batch, steps, G size): the input's part on the way in, the values of
   the gates on the way out; with an rnn y is gates. kept (batch, steps, size) where sm_cell_keeps, else NULL.
   v (size, G size), d (G size) or NULL, h and c (batch, size) of the state before the first step, NULL for zeros. */
void sm_recurrent_forward(real *y, real *gates, real *kept, const real *v, const real *d, const real *h, const real *c,
                          void *scratch, const sm_recurrence *of);

/* ga (batch, steps, G size): the gradient of the input's part. gr of the same shape: that of the recurrent part, which
   differs with a gru alone; elsewhere it is ga. gh, gc (batch, size) of the state before the first step, or NULL.
   gy (batch, steps, size); gc_last (batch, size) that of c after the last step, or NULL. The rest is as after the
   forward pass. */
void sm_recurrent_backward(real *ga, real *gr, real *gh, real *gc, const real *gy, const real *gc_last, const real *y,
                           const real *gates, const real *kept, const real *v, const real *h, const real *c,
                           void *scratch, const sm_recurrence *of);

/* before (batch, steps, size) = h of the step before each. */
void sm_recurrent_before(real *before, const real *y, const real *h, const sm_recurrence *of);

/* last (batch, size) = x (batch, steps, size) of the step that comes last; there is one. */
void sm_recurrent_last(real *last, const real *x, const sm_recurrence *of);

#endif
