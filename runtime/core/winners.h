/* The k largest of each line, of equals the first: k winners take all. */
#ifndef SM_WINNERS_H
#define SM_WINNERS_H

#include "core/reduce.h"

enum { SM_MOST_WINNERS = 32 /* of a line: it is searched once for each */ };

/* out = `value` where x is one of the k largest of its line along the axis, else 0; all (outer, axis, inner), k from 1
   to the axis, which an int32 counts. NaN is the largest. out may be `value`. */
void sm_winners(real *out, const real *value, const real *x, size_t k, const sm_axis *along);

#endif
