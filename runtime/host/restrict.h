/* How much of the machine this process may take. Plain C without Lua. */
#ifndef SM_HOST_RESTRICT_H
#define SM_HOST_RESTRICT_H

#include <stdint.h>

#include "host/confine.h"

typedef struct sm_host_limits { /* 0: as it was */
  uint64_t memory;      /* bytes beyond what the process has: then allocations fail */
  uint64_t cpu;         /* seconds of processor time of all threads: then SIGXCPU, a second later SIGKILL */
  uint64_t file;        /* bytes of one file: then writes fail with EFBIG */
  uint64_t descriptors; /* open at once */
} sm_host_limits;

/* Sets limits, which cannot be raised again without privileges, and none of which is above what was allowed before.
   Also switches core dumps off. false with the reason. */
bool sm_host_restrict(const sm_host_limits *limits, sm_host_reason *reason);

/* Opens what tells how much memory this process has, before a confined process no longer can. */
bool sm_host_remember_memory(sm_host_reason *reason);

/* No variable is left in the environment, nor its value in memory. What libraries have copied stays. */
void sm_host_wipe_environment(void);

#endif
