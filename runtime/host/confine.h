/* What this process can reach, given up for good: files, other processes, the network, privileges. The operating system
   holds it, whatever the process does later. Plain C without Lua. */
#ifndef SM_HOST_CONFINE_H
#define SM_HOST_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct sm_host_reach {
  const char *const *read; /* files, and directories with all beneath, that may be read; one that is not there: none */
  size_t reads;
  const char *const *write; /* the same, that may be read, written, made and removed; each must be there and no link */
  size_t writes;
} sm_host_reach;

typedef struct sm_host_reason {
  char text[512]; /* one line without a full stop */
} sm_host_reason;

/* Confines this process, which must have one thread; the threads that it then makes are confined as well. No code is
   mapped from then on: libraries must have been loaded. Descriptors that are open stay as they are. false with the
   reason where the kernel cannot, or does not do what it was told: the process may then be confined in part, and has to
   end. */
bool sm_host_confine(const sm_host_reach *reach, sm_host_reason *reason);

/* The part of it that limits the calls of the system (confine_calls.c): false, and nothing is changed. */
bool sm_host_confine_calls(sm_host_reason *reason);

/* Fills the reason, adds what errno says unless that is 0, and is false. */
__attribute__((format(printf, 2, 3)))
bool sm_host_cannot(sm_host_reason *reason, const char *format, ...);

#endif
