/* Optimizer rules: one fused pass over a parameter w, its gradient g and its state, n elements each. `scale` multiplies
   the gradient first (clipping by norm); a `clip` above 0 then limits each element to ±clip.
   Every function returns false if an element's gradient is not finite, or if what becomes of it, of the state or of w
   would not be: a square that does not fit real, for one. Such elements stay as they were, with their state; the others
   have moved. */
#ifndef SM_OPTIM_H
#define SM_OPTIM_H

#include "core/tensor.h"

typedef struct sm_gradient {
  const real *g;
  double scale;        /* 1: as it is */
  double clip;         /* 0: no limit */
  double weight_decay; /* L2: weight_decay * w is added to the gradient (for adamw it decays the weight instead) */
} sm_gradient;

/* v = momentum*v + g; w -= lr*v, or with nesterov w -= lr*(g + momentum*v). velocity is NULL when momentum is 0.
   Sutskever et al. 2013, in the form of PyTorch's SGD. */
bool sm_sgd_step(real *w, real *velocity, const sm_gradient *gradient, double lr, double momentum, bool nesterov,
                 size_t n);

/* square = decay*square + (1-decay)*g²; w -= lr*g/(sqrt(square) + epsilon).  Tieleman and Hinton 2012. */
bool sm_rmsprop_step(real *w, real *square, const sm_gradient *gradient, double lr, double decay, double epsilon,
                     size_t n);

typedef struct sm_adam {
  double lr, beta1, beta2, epsilon;
  bool decoupled; /* AdamW (Loshchilov and Hinton 2019): w *= 1 - lr*weight_decay instead of L2 */
  uint64_t step;  /* 1 for the first */
} sm_adam;

/* Kingma and Ba 2015 in TensorFlow's form: m = β1 m + (1-β1) g; v = β2 v + (1-β2) g²;
   w -= lr * sqrt(1-β2^step)/(1-β1^step) * m/(sqrt(v) + epsilon). */
bool sm_adam_step(real *w, real *m, real *v, const sm_gradient *gradient, const sm_adam *rule, size_t n);

/* Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", arxiv.org/abs/2302.06675:
   w = w*(1 - lr*weight_decay) - lr*sign(β1 m + (1-β1) g); m = β2 m + (1-β2) g. */
bool sm_lion_step(real *w, real *m, const sm_gradient *gradient, double lr, double beta1, double beta2, size_t n);

/* Funk 2015, "RMSprop loses to SMORMS3 - Beware the Epsilon!":
   r = 1/(mem+1); a = (1-r) a + r g; b = (1-r) b + r g²; x = a²/(b+ε);
   w -= g * min(x, cap)/(sqrt(b) + ε); mem = 1 + mem (1-x).  Start with mem = 1, a = b = 0. */
bool sm_smorms3_step(real *w, real *mem, real *a, real *b, const sm_gradient *gradient, double cap, double epsilon,
                     size_t n);

/* Telemetry: what a step did, read from what it left behind. Nothing here changes anything. */

/* Sum of (after - before)² in double. */
double sm_squared_change(const real *before, const real *after, size_t n);

enum {
  SM_MEMORY_OCTAVE = 128,                /* bins from a memory to twice as much */
  SM_MEMORY_BINS = 40 * SM_MEMORY_OCTAVE /* from 1/2 to 2^39; what lies beyond counts in the last bin at its end */
};

/* What SMORMS3 did to some weights; all 0 to begin with. */
typedef struct sm_smorms3_look {
  uint64_t count;                  /* weights looked at */
  uint64_t held;                   /* of these, weights whose step was held by the cap: x >= cap */
  uint64_t memory[SM_MEMORY_BINS]; /* how many have a memory of this size */
} sm_smorms3_look;

/* Adds n weights, given the state and the settings of their last sm_smorms3_step. */
void sm_smorms3_observe(sm_smorms3_look *look, const real *mem, const real *a, const real *b, double cap,
                        double epsilon, size_t n);

/* The memory that a fraction (0 … 1) of the weights looked at do not exceed, to within 1/256 of it: the middle of its
   bin. NaN when there are no weights. */
double sm_smorms3_memory(const sm_smorms3_look *look, double fraction);

#endif
