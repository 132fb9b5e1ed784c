/* What the environment says of how the core computes: read once, at start-up, and the same for the whole process. */
#ifndef SM_SETTINGS_H
#define SM_SETTINGS_H

#include <stdbool.h>

enum { SM_SETTING = 64 }; /* bytes of a text; longer ones, which name nothing, lose their end */

typedef struct sm_settings {
  int threads;                   /* OMP_NUM_THREADS; 0: as many as there are cores */
  char convolution[SM_SETTING];  /* SMRUN_CONV: see core/conv/conv.h; "": by the rule, as below */
  char products[SM_SETTING];     /* SMRUN_GEMM: see core/gemm.h */
  char blas_kernels[SM_SETTING]; /* OPENBLAS_CORETYPE: those that OpenBLAS is to take; "": the processor's best */
  bool blas_threads;             /* whether OPENBLAS_NUM_THREADS is set */
} sm_settings;

/* The settings; the first call reads them. */
const sm_settings *sm_settings_now(void);

/* Reads them anew, for tests. While nothing computes; what was decided by them, the kernels of OpenBLAS and the number
   of threads, stays. */
void sm_settings_read(void);

#endif
