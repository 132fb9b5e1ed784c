#ifndef SM_BIND_RANDOM_H
#define SM_BIND_RANDOM_H

#include "bind/bind.h"
#include "core/rng.h"

/* Where a stream stands, three integers from argument `index` on, for a draw of `count` numbers. */
sm_rng sm_lua_rng(lua_State *L, int index, size_t count);

#endif
