/* Source pixels as vectors of results' channels across groups see them: what core/conv/channelwise.h multiplies. */
#ifndef SM_CONV_LANES_H
#define SM_CONV_LANES_H

#include "core/conv/reading.h"
#include "core/tile.h"

/* Channels of results and of the source, in groups of `own` and of `terms`. */
typedef struct sm_grouping {
  size_t results, own, sources, terms;
} sm_grouping;

static inline size_t sm_vectors_of(const sm_grouping *in) { return sm_quotient_up(in->results, SM_VECTOR); }

/* One vector of results. Lane i sees the channels base + first[i] to base + first[i] + terms - 1 of a source pixel. */
typedef struct sm_sight {
  size_t channel, count; /* of results */
  size_t base, sources;  /* channels from `base` on, at most a vector of them */
  sm_lanes first;
  bool in_place;         /* one term, the lanes' own channels, a whole vector of them */
  bool near;             /* all within a vector from `base` */
} sm_sight;

sm_sight sm_sight_of(const sm_grouping *in, size_t vector);

/* Source rows as a vector sees them. */
typedef struct sm_seen {
  const real *lines;
  size_t first; /* the image's row that comes first */
  size_t line;  /* elements of a row, */
  size_t pixel; /* and of a pixel, whose terms are a vector each */
} sm_seen;

/* What the windows of `rows` rows of positions from `row` on see. memory: sm_seen_bytes. */
sm_seen sm_see(real *memory, const real *images, size_t image, size_t row, size_t rows, const sm_sight *sight,
               const sm_grouping *in, const sm_reading *read);

/* Of a band's rows, a multiple of SM_ALIGNMENT; 0 where all vectors see them in place. */
size_t sm_seen_bytes(const sm_grouping *in, const sm_reading *read);

#endif
