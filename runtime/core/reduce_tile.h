/* How reductions along an axis are cut: for reduce.c, reduce_batch.c, logsumexp.c, extremes.c and scan.c alone. */
#ifndef SM_REDUCE_TILE_H
#define SM_REDUCE_TILE_H

#include "core/parallel.h"
#include "core/reduce.h"

enum { SM_COLUMNS = 256 /* at most so many columns are computed at a time */ };

/* Into how many parts a long loop over `count` items of `size` elements is cut when its partial results must
   be kept. */
static inline size_t sm_partial_chunks(size_t count, size_t size) {
  size_t blocks = sm_blocks(count * size);
  size_t chunks = blocks < count ? blocks : count;
  return chunks < 1 ? 1 : chunks < SM_BATCH_CHUNKS ? chunks : SM_BATCH_CHUNKS;
}

/* sums (width) = the sum over the rows of x, which begin `stride` elements apart; width is at most SM_COLUMNS. On the
   calling thread. */
void sm_sum_rows(double *sums, const real *x, size_t rows, size_t width, size_t stride);

/* A part of the result that is computed at once: up to SM_COLUMNS neighbours of one (inner) row of it. */
typedef struct sm_result_tile {
  size_t to, width; /* elements to … to+width-1 of the result */
  size_t from;      /* the element of x where the first column begins */
} sm_result_tile;

static inline size_t sm_tiles_per_row(const sm_axis *along) { return (along->inner + SM_COLUMNS - 1) / SM_COLUMNS; }

static inline size_t sm_tile_count(const sm_axis *along) { return along->outer * sm_tiles_per_row(along); }

static inline sm_result_tile sm_tile_of(const sm_axis *along, size_t task) {
  size_t tiles = sm_tiles_per_row(along), row = task / tiles;
  sm_range columns = sm_chunk(along->inner, tiles, task % tiles);
  return (sm_result_tile){.to = row * along->inner + columns.first,
                       .width = columns.last - columns.first,
                       .from = row * along->axis * along->inner + columns.first};
}

static inline size_t sm_elements_of(const sm_axis *along) { return along->outer * along->axis * along->inner; }

#endif
