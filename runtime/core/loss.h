/* Softmax cross-entropy from logits, and accuracy. Sums over rows accumulate in double, in a fixed order. */
#ifndef SM_LOSS_H
#define SM_LOSS_H

#include "core/tensor.h"

/* Labels are 0 … classes-1. SM_BAD_VALUE names the first position (1-based) that is not, and its value. */
sm_status sm_labels_check(const int32_t *label, size_t rows, size_t classes, sm_error *error);

/* The position of the first of `count` labels of any type that is no integer from low to high; count where all are.
   *largest = the largest of those before it, low - 1 where there are none. */
size_t sm_labels_outside(double *largest, const void *label, sm_dtype dtype, double low, double high, size_t count);

/* *loss = mean over rows of log(sum_j exp x[j]) - x[label]. log_sum (rows) is kept for the backward pass: each row's
   log(sum_j exp(x[j] - m)) with m its largest logit, which stays exact where the logits are large.
   NaN when there are no rows. A row's -inf logits have probability 0; the label's own -inf gives +inf.
   Logits of +inf share the probability among them: with one, the loss is 0 at its label and +inf at others. */
void sm_cross_entropy_forward(real *loss, real *log_sum, const real *x, const int32_t *label, size_t rows,
                              size_t classes);

/* gx = gy/rows * (exp(x - m - log_sum) - [j = label]). */
void sm_cross_entropy_backward(real *gx, real gy, const real *log_sum, const real *x, const int32_t *label,
                               size_t rows, size_t classes);

/* How many rows have their largest logit (ties: the first) at the label. */
size_t sm_correct(const real *x, const int32_t *label, size_t rows, size_t classes);

#endif
