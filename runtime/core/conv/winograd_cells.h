/* What the passes by Winograd's method (core/conv/winograd.h) share: images as tiles see them, and where a
   block of tiles keeps its cells. */
#ifndef SM_CONV_WINOGRAD_CELLS_H
#define SM_CONV_WINOGRAD_CELLS_H

#include "core/conv/reading.h"
#include "core/conv/winograd_transform.h"

enum {
  SM_WINOGRAD_CELLS = SM_WINOGRAD_POINTS * SM_WINOGRAD_POINTS, /* pairs of points: what a tile becomes */
  SM_WINOGRAD_TILES = SM_TILE_ROWS == 14 ? 14 : 24,  /* a block: its cells stay in the second-level cache */
  SM_TILES_AHEAD = 2 /* rows of tiles between the one that is worked on and the one that is fetched */
};

/* ---- tiles ---- */

/* Images as tiles see them: tile (i, j) begins at the pixel (i*side - top, j*side - left). */
typedef struct sm_images {
  size_t height, width, channels;
  ptrdiff_t top, left;
} sm_images;

/* How images of results are cut into tiles of side x side pixels, counted through the whole batch. */
typedef struct sm_grid {
  size_t side, down, across, tiles;
} sm_grid;

/* The grid of a convolution's output or input, images of height x width. */
static inline sm_grid sm_grid_of(const sm_conv2d *conv, size_t height, size_t width) {
  size_t side = SM_WINOGRAD_POINTS + 1 - conv->window.kernel_height;
  size_t down = sm_quotient_up(height, side), across = sm_quotient_up(width, side);
  return (sm_grid){side, down, across, conv->window.batch * down * across};
}

/* Where a tile of `size` pixels a side lies on its image: the part of it that is there. */
typedef struct sm_place {
  size_t first; /* element of the tile's first pixel that is on the image */
  sm_range rows, columns;
} sm_place;

static inline sm_place sm_place_of(size_t tile, size_t size, const sm_images *at, const sm_grid *cut) {
  size_t per_image = cut->down * cut->across, image = tile / per_image, rest = tile % per_image;
  ptrdiff_t y = (ptrdiff_t)(rest / cut->across * cut->side) - at->top;
  ptrdiff_t x = (ptrdiff_t)(rest % cut->across * cut->side) - at->left;
  sm_place on = {.rows = sm_on_axis(y, size, at->height), .columns = sm_on_axis(x, size, at->width)};
  if (on.rows.first == on.rows.last || on.columns.first == on.columns.last) {
    return (sm_place){0, {0, 0}, {0, 0}};
  }
  size_t row = (size_t)(y + (ptrdiff_t)on.rows.first), column = (size_t)(x + (ptrdiff_t)on.columns.first);
  on.first = ((image * at->height + row) * at->width + column) * at->channels;
  return on;
}

/* row (size) = a vector of channels of the pixels in row i of a tile, of which *pixel is the next that is on
   the image; zeros beyond the image. */
SM_INLINE void sm_load_row(sm_vector *row, const int size, size_t i, const real **pixel, const sm_place *on,
                           const sm_images *at) {
  const sm_vector zero = {0};
  bool there = i >= on->rows.first && i < on->rows.last;
  SM_UNROLL
  for (size_t j = 0; j < (size_t)size; j++) {
    bool seen = there && j >= on->columns.first && j < on->columns.last;
    row[j] = seen ? *(const sm_vector *)(*pixel + (j - on->columns.first) * at->channels) : zero;
  }
  if (there) *pixel += at->width * at->channels;
}

/* Asks for the pixels of a later tile, its own without those that it shares, if there is one. */
static inline void sm_fetch_tile(const real *pixels, size_t tile, const sm_images *at, const sm_grid *cut) {
  if (tile >= cut->tiles) return;
  sm_place on = sm_place_of(tile, cut->side, at, cut);
  const real *row = pixels + on.first;
  size_t run = (on.columns.last - on.columns.first) * at->channels;
  for (size_t i = on.rows.first; i < on.rows.last; i++, row += at->width * at->channels) {
    for (size_t j = 0; j < run; j += SM_LINE) __builtin_prefetch(row + j, 0, 2);
  }
}

/* ---- cells ---- */

/* Where cells lie, in elements from one to the next: the eight of a row of one tile side by side, then the
   same row of the other tiles, then the next row. The cell of the points i down and j across is cell j of
   row i. */
typedef struct sm_cells {
  size_t column, tile, row;
} sm_cells;

/* Of a block of so many tiles, which lie a line further apart than they take: off one another's cache sets. */
static inline sm_cells sm_cells_of(size_t tiles, size_t channels) {
  size_t tile = SM_WINOGRAD_POINTS * channels + SM_LINE;
  return (sm_cells){channels, tile, tiles * tile};
}

static inline size_t sm_cells_bytes(const sm_cells *lie) {
  return sm_aligned(SM_WINOGRAD_POINTS * lie->row * sizeof(real));
}

/* Elements between the cells of filters (from, to): a line more than they take, so that the cells of a vector do not
   share a set of the cache. */
static inline size_t sm_winograd_filter_step(size_t from, size_t to) { return from * to + SM_LINE; }

SM_INLINE void sm_store_column(real *cells, size_t row, const sm_vector column[SM_WINOGRAD_POINTS]) {
  SM_UNROLL
  for (size_t i = 0; i < SM_WINOGRAD_POINTS; i++) *(sm_vector *)(cells + i * row) = column[i];
}

/* half (8, n) = cells (8, 8) V(n). */
SM_INLINE void sm_collect_rows(sm_vector *half, const real *cells, size_t column, size_t row, const int n) {
  for (size_t i = 0; i < SM_WINOGRAD_POINTS; i++) {
    sm_vector line[SM_WINOGRAD_POINTS];
    SM_UNROLL
    for (size_t j = 0; j < SM_WINOGRAD_POINTS; j++) {
      line[j] = *(const sm_vector *)(cells + i * row + j * column);
    }
    sm_winograd_collect(half + i * (size_t)n, line, 1, n);
  }
}

/* A vector of channels of a tile of 8 x 8 pixels, which lie under filters. */
SM_INLINE void sm_spread_tile(real *cells, const sm_cells *lie, const real *pixel, const sm_place *on,
                              const sm_images *at) {
  sm_vector half[SM_WINOGRAD_CELLS], line[SM_WINOGRAD_POINTS];
  for (size_t i = 0; i < SM_WINOGRAD_POINTS; i++) {
    sm_load_row(line, SM_WINOGRAD_POINTS, i, &pixel, on, at);
    sm_winograd_spread(half + i * SM_WINOGRAD_POINTS, line, 1);
  }
  for (size_t j = 0; j < SM_WINOGRAD_POINTS; j++) {
    sm_winograd_spread(line, half + j, SM_WINOGRAD_POINTS);
    sm_store_column(cells + j * lie->column, lie->row, line);
  }
}

/* The cells of the tiles of 8 x 8 pixels that the tiles of results depend on. */
static inline void sm_spread_tiles(real *cells, const sm_cells *lie, const real *pixels, sm_range tiles,
                                   const sm_images *at, const sm_grid *cut) {
  const sm_images own = {at->height, at->width, at->channels, 0, 0};
  for (size_t t = tiles.first; t < tiles.last; t++, cells += lie->tile) {
    sm_place on = sm_place_of(t, SM_WINOGRAD_POINTS, at, cut);
    sm_fetch_tile(pixels, t + SM_TILES_AHEAD * cut->across, &own, cut);
    for (size_t c = 0; c < at->channels; c += SM_VECTOR) {
      sm_spread_tile(cells + c, lie, pixels + on.first + c, &on, at);
    }
  }
}

#endif
