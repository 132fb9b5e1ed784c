/* What the two halves of the injector share: the functions in front of the C library, and those for Lua. */
#ifndef INJECT_H
#define INJECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { MEMORY = 1, CALLS = 2, SHORT = -1 }; /* kinds; the way in which a transfer has half its bytes */

typedef struct inject_state {
  _Atomic int kind; /* 0: disarmed */
  _Atomic long made, failed;
  long first, length;
  int error;         /* of calls; SHORT */
  const char *where; /* the name of the first call that failed */
} inject_state;

extern inject_state inject;

/* From now on the first-th of its kind fails, and length - 1 after it. */
void inject_arm(int kind, long first, long length, int error);

/* Blocks that were taken while `inject_watching`, and by whom; those of Lua's own code are the collector's. */
typedef struct inject_holding {
  void *block; /* NULL: free; a slot that was given up stays one of its chain, as &inject_gone */
  const void *caller;
} inject_holding;

enum { INJECT_SLOTS = 1 << 16 };

extern inject_holding inject_held[INJECT_SLOTS];
extern const char inject_gone;
extern _Atomic bool inject_watching;
extern uintptr_t inject_lua_first, inject_lua_last; /* where the code of Lua lies */

#endif
