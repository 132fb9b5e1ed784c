/* How many threads to compute with. The numeric libraries, loaded later, read it from the environment. */
#ifndef SM_HOST_THREADS_H
#define SM_HOST_THREADS_H

#include <stdbool.h>

/* Sets OMP_NUM_THREADS to the cores that this process may use: those of its affinity mask, at most those that
   the quota of its control group (version 2) pays for, and in a job of Slurm at most those that it was given. A value
   that the user has set stays. */
void sm_host_default_threads(void);

/* Whether that found none: what runs elsewhere is not to inherit the number. */
bool sm_host_threads_by_default(void);

/* Sets OMP_NUM_THREADS to `count`. Has no effect once the core has worked. */
void sm_host_set_threads(int count);

#endif
