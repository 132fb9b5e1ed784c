/* Sums of few results per pixel, of which a vector along the channels would be mostly idle. Here vectors lie along the
   terms, and their lanes are added at the end. */
#ifndef SM_CONV_DOTS_H
#define SM_CONV_DOTS_H

#include "core/conv/reading.h"

/* Whether this takes less time than vectors along the results. */
bool sm_dots_pay(size_t results, const sm_reading *read);

/* The sums of one row of positions, out_step apart, `results` for each. filters: (results, kernel height, kernel width,
   channels). bias: (results), or NULL. seen: of sm_reading_find_seen. */
void sm_dots_row(real *out, size_t out_step, const real *filters, const real *bias, size_t results,
                 const sm_source *from, size_t row, const sm_range *seen, const sm_reading *read);

#endif
