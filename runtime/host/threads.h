/* How many threads to compute with. The numeric libraries, loaded later, read it from the environment. */
#ifndef SM_HOST_THREADS_H
#define SM_HOST_THREADS_H

/* Sets OMP_NUM_THREADS to the cores that this process may use: those of its affinity mask, at most those that
   the quota of its control group (version 2) pays for. A value that the user has set stays. */
void sm_host_default_threads(void);

/* Sets OMP_NUM_THREADS to `count`. Has no effect once the core has worked. */
void sm_host_set_threads(int count);

#endif
