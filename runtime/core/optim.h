/* Optimizer rules: one fused pass over a parameter w, its gradient g and its state, n elements each. `scale` multiplies
   the gradient first (clipping by norm); a `clip` above 0 then limits each element to ±clip.
   Every function returns false, with w and the state undefined, if an element of the gradient is not finite. */
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
bool sm_sgd_step(real *w, real *velocity, const sm_gradient *gradient, double lr, double momentum, bool nesterov, size_t n);

/* square = decay*square + (1-decay)*g²; w -= lr*g/(sqrt(square) + epsilon).  Tieleman and Hinton 2012. */
bool sm_rmsprop_step(real *w, real *square, const sm_gradient *gradient, double lr, double decay, double epsilon, size_t n);

typedef struct sm_adam {
  double lr, beta1, beta2, epsilon;
  bool decoupled; /* AdamW (Loshchilov and Hinton 2019): w *= 1 - lr*weight_decay instead of L2 */
  uint64_t step;  /* 1 for the first */
} sm_adam;

/* Kingma and Ba 2015 in TensorFlow's form: m = β1 m + (1-β1) g; v = β2 v + (1-β2) g²;
   w -= lr * sqrt(1-β2^step)/(1-β1^step) * m/(sqrt(v) + epsilon). */
bool sm_adam_step(real *w, real *m, real *v, const sm_gradient *gradient, const sm_adam *rule, size_t n);

/* Funk 2015, "RMSprop loses to SMORMS3 - Beware the Epsilon!":
   r = 1/(mem+1); a = (1-r) a + r g; b = (1-r) b + r g²; x = a²/(b+ε);
   w -= g * min(x, cap)/(sqrt(b) + ε); mem = 1 + mem (1-x).  Start with mem = 1, a = b = 0. */
bool sm_smorms3_step(real *w, real *mem, real *a, real *b, const sm_gradient *gradient, double cap, double epsilon, size_t n);

#endif
