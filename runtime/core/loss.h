/* Softmax cross-entropy from logits, and accuracy. Sums over rows accumulate in double, by
   parts of the batch (core/parts.h). */
#ifndef SM_LOSS_H
#define SM_LOSS_H

#include "core/tensor.h"

/* What the logits of a row should say: one class, or a probability for each. */
typedef struct sm_target {
  const int32_t *label;    /* (rows), or NULL: then … */
  const real *probability; /* … (rows, classes) */
  const real *weight;      /* (classes): how much each class counts; NULL: 1 */
  double smoothing;        /* so much of the target is spread over all classes evenly */
  bool ignores;            /* whether rows with the label … */
  int32_t ignored;         /* … count nowhere */
} sm_target;

/* Labels are 0 … classes-1, or the ignored one. The position of the first that is not, 0-based; rows where all are. */
size_t sm_labels_check(const sm_target *target, size_t rows, size_t classes);

/* The position of the first of `count` labels of any type that is no integer from low to high; count where all are.
   *largest = the largest of those before it, low - 1 where there are none. */
size_t sm_labels_outside(double *largest, const void *label, sm_dtype dtype, double low, double high, size_t count);

/* *loss = *total, the sum over rows of - sum_j t[j] log p[j], divided by *divisor, with p the softmax of the row and t
   its target: weight[j] ((1 - smoothing) q[j] + smoothing/classes), q the probabilities or 1 at the label. *divisor is
   the sum of the labels' weights, for probabilities the number of rows. log_sum (rows) is kept for the backward
   pass: each row's log(sum_j exp(x[j] - m)) with m its largest logit, which stays exact where the logits are large.
   NaN when no row counts, or none of its labels weighs anything. A row's -inf logits have probability 0; where the
   target is not, the loss is +inf, and where it is 0, so is its term. Logits of +inf share the probability among
   them: with one, the loss is 0 at its label and +inf at others. */
void sm_cross_entropy_forward(real *loss, real *log_sum, double *total, double *divisor, const real *x,
                              const sm_target *target, size_t rows, size_t classes);

/* gx = gy/divisor * (exp(x - m - log_sum) sum_j t[j] - t); 0 in rows that do not count. */
void sm_cross_entropy_backward(real *gx, real gy, const real *log_sum, double divisor, const real *x,
                               const sm_target *target, size_t rows, size_t classes);

/* How many rows have their largest logit (ties: the first) at the label, and *rows, less those that do not count. */
size_t sm_correct(size_t *rows, const real *x, const sm_target *target, size_t classes);

#endif
