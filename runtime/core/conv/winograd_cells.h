/* What the passes by Winograd's method (core/conv/winograd.c) share: images as tiles see them, and where a block of
   tiles keeps its cells. */
#ifndef SM_CONV_WINOGRAD_CELLS_H
#define SM_CONV_WINOGRAD_CELLS_H

#include "core/conv/reading.h"
#include "core/conv/winograd_transform.h"

enum {
  SM_WINOGRAD_SIDE = 4,                                         /* results of a tile, down and across */
  SM_WINOGRAD_MOST_CELLS = SM_WINOGRAD_MOST * SM_WINOGRAD_MOST, /* pairs of points: what a tile becomes */
  SM_TILES_AHEAD = 2 /* rows of tiles between the one that is worked on and the one that is fetched */
};

/* Points on an axis: 6 for filters of 3x3, 8 for those of 5x5. */
static inline size_t sm_winograd_points(size_t kernel) { return SM_WINOGRAD_SIDE + kernel - 1; }

/* ---- tiles ---- */

/* Images as tiles see them: tile (i, j) begins at the pixel (4i - top, 4j - left). */
typedef struct sm_images {
  size_t height, width, channels;
  ptrdiff_t top, left;
} sm_images;

/* How images of results are cut into tiles of 4 x 4 pixels, counted through the whole batch. */
typedef struct sm_grid {
  size_t down, across, tiles;
} sm_grid;

/* The grid of a convolution's output or input, images of height x width. */
static inline sm_grid sm_grid_of(const sm_conv2d *conv, size_t height, size_t width) {
  size_t down = sm_quotient_up(height, SM_WINOGRAD_SIDE), across = sm_quotient_up(width, SM_WINOGRAD_SIDE);
  return (sm_grid){down, across, conv->window.batch * down * across};
}

/* Where a tile of `size` pixels a side lies on its image: the part of it that is there. */
typedef struct sm_place {
  size_t first; /* element of the tile's first pixel that is on the image */
  sm_range rows, columns;
} sm_place;

static inline sm_place sm_place_of(size_t tile, size_t size, const sm_images *at, const sm_grid *cut) {
  size_t per_image = cut->down * cut->across, image = tile / per_image, rest = tile % per_image;
  ptrdiff_t y = (ptrdiff_t)(rest / cut->across * SM_WINOGRAD_SIDE) - at->top;
  ptrdiff_t x = (ptrdiff_t)(rest % cut->across * SM_WINOGRAD_SIDE) - at->left;
  sm_place on = {.rows = sm_on_axis(y, size, at->height), .columns = sm_on_axis(x, size, at->width)};
  if (on.rows.first == on.rows.last || on.columns.first == on.columns.last) return (sm_place){0, {0, 0}, {0, 0}};
  size_t row = (size_t)(y + (ptrdiff_t)on.rows.first), column = (size_t)(x + (ptrdiff_t)on.columns.first);
  on.first = ((image * at->height + row) * at->width + column) * at->channels;
  return on;
}

static inline bool sm_is_whole(const sm_place *on, size_t size) {
  return on->rows.last - on->rows.first == size && on->columns.last - on->columns.first == size;
}

/* A tile's pixels where all of them are: on the image, or copied, with zeros beyond it. */
typedef struct sm_pixels {
  const real *first;
  size_t row; /* elements from one row to the next */
} sm_pixels;

/* copy (size, size, channels): memory for a tile that reaches beyond its image. */
static inline sm_pixels sm_tile_pixels(real *copy, const real *pixels, size_t size, const sm_place *on,
                                       const sm_images *at) {
  size_t channels = at->channels, line = size * channels;
  const real *from = pixels + on->first;
  if (sm_is_whole(on, size)) return (sm_pixels){from, at->width * channels};
  size_t before = on->columns.first * channels, count = (on->columns.last - on->columns.first) * channels;
  for (size_t i = 0; i < size; i++) {
    real *row = copy + i * line;
    bool there = i >= on->rows.first && i < on->rows.last;
    size_t zeros = there ? before : line;
    memset(row, 0, zeros * sizeof *row);
    if (!there) continue;
    memcpy(row + before, from, count * sizeof *row);
    memset(row + before + count, 0, (line - before - count) * sizeof *row);
    from += at->width * channels;
  }
  return (sm_pixels){copy, line};
}

static inline size_t sm_copy_bytes(size_t size, size_t channels) {
  return sm_aligned(size * size * channels * sizeof(real));
}

/* Asks for the pixels of a later tile, its own without those that it shares, if there is one. */
static inline void sm_fetch_tile(const real *pixels, size_t tile, const sm_images *at, const sm_grid *cut) {
  if (tile >= cut->tiles) return;
  sm_place on = sm_place_of(tile, SM_WINOGRAD_SIDE, at, cut);
  const real *row = pixels + on.first;
  size_t run = (on.columns.last - on.columns.first) * at->channels;
  for (size_t i = on.rows.first; i < on.rows.last; i++, row += at->width * at->channels) {
    for (size_t j = 0; j < run; j += SM_LINE) __builtin_prefetch(row + j, 0, 2);
  }
}

/* ---- cells ---- */

/* Where cells lie, in elements from one to the next: those of a row of points of one tile side by side, then the same
   row of the other tiles, then the next row. The cell of the points i down and j across is cell j of row i. */
typedef struct sm_cells {
  size_t points, column, tile, row;
} sm_cells;

/* Of a block of so many tiles, which lie a line further apart than they take: off one another's cache sets. */
static inline sm_cells sm_cells_of(size_t points, size_t tiles, size_t channels) {
  size_t tile = points * channels + SM_LINE;
  return (sm_cells){points, channels, tile, tiles * tile};
}

static inline size_t sm_cells_bytes(const sm_cells *lie) { return sm_aligned(lie->points * lie->row * sizeof(real)); }

/* The first number of a cell, counted row by row. */
static inline size_t sm_cell(const sm_cells *lie, size_t cell) {
  return cell / lie->points * lie->row + cell % lie->points * lie->column;
}

/* Elements between the cells of filters (from, to): a line more than they take, so that the cells of a vector do not
   share a set of the cache. */
static inline size_t sm_winograd_filter_step(size_t from, size_t to) { return from * to + SM_LINE; }

SM_INLINE void sm_store_column(real *cells, size_t row, const sm_vector *column, const int points) {
  SM_UNROLL
  for (size_t i = 0; i < (size_t)points; i++) *(sm_vector *)(cells + i * row) = column[i];
}

/* half (points, n) = cells (points, points) V(n). */
SM_INLINE void sm_collect_rows(sm_vector *half, const real *cells, size_t column, size_t row, const int n,
                               const int points) {
  for (size_t i = 0; i < (size_t)points; i++) {
    sm_vector line[SM_WINOGRAD_MOST];
    SM_UNROLL
    for (size_t j = 0; j < (size_t)points; j++) line[j] = *(const sm_vector *)(cells + i * row + j * column);
    sm_winograd_collect(half + i * (size_t)n, line, 1, n, points);
  }
}

/* A vector of channels of a tile of points x points pixels, which lie under filters. */
SM_INLINE void sm_spread_tile(real *cells, const sm_cells *lie, const real *pixel, size_t row, const int points) {
  sm_vector half[SM_WINOGRAD_MOST_CELLS], line[SM_WINOGRAD_MOST];
  for (size_t i = 0; i < (size_t)points; i++) {
    SM_UNROLL
    for (size_t j = 0; j < (size_t)points; j++) line[j] = *(const sm_vector *)(pixel + i * row + j * lie->column);
    sm_winograd_spread(half + i * (size_t)points, line, 1, points);
  }
  for (size_t j = 0; j < (size_t)points; j++) {
    sm_winograd_spread(line, half + j, points, points);
    sm_store_column(cells + j * lie->column, lie->row, line, points);
  }
}

/* The cells of the tiles of pixels that the tiles of results depend on. copy: sm_copy_bytes(points, channels). */
static inline void sm_spread_tiles(real *cells, const sm_cells *lie, real *copy, const real *pixels, sm_range tiles,
                                   const sm_images *at, const sm_grid *cut) {
  const sm_images own = {at->height, at->width, at->channels, 0, 0};
  for (size_t t = tiles.first; t < tiles.last; t++, cells += lie->tile) {
    sm_place on = sm_place_of(t, lie->points, at, cut);
    sm_pixels from = sm_tile_pixels(copy, pixels, lie->points, &on, at);
    sm_fetch_tile(pixels, t + SM_TILES_AHEAD * cut->across, &own, cut);
    for (size_t c = 0; c < at->channels; c += SM_VECTOR) {
      if (lie->points == 6)
        sm_spread_tile(cells + c, lie, from.first + c, from.row, 6);
      else
        sm_spread_tile(cells + c, lie, from.first + c, from.row, 8);
    }
  }
}

/* ---- products ---- */

enum {
  SM_WINOGRAD_PART = 48,              /* terms that are added up by themselves */
  SM_WINOGRAD_ROWS = 3 * SM_TILE_ROWS /* of a part's sums at a time */
};

/* out (rows, width) = the sums of one block and run, or += them where the tile starts from out. Eight points round the
   most, so theirs are sums of parts' sums, which round less than a long one. */
static inline void sm_multiply_cells(const sm_tile *tile, size_t points, size_t rows, size_t width,
                                     bool adjacent_rows) {
  real sums[SM_WINOGRAD_ROWS * SM_PANEL];
  if (points != 8) sm_tile_multiply(tile, rows, width, adjacent_rows);
  for (size_t first = 0; first < rows && points == 8; first += SM_WINOGRAD_ROWS) {
    size_t count = sm_smaller(rows - first, SM_WINOGRAD_ROWS);
    real *out = tile->out + first * tile->out_step;
    sm_tile part = *tile;
    part.a += first * (adjacent_rows ? 1 : tile->a_step);
    for (size_t left = tile->terms; left > 0; left -= part.terms) {
      bool adds = tile->start || left < tile->terms;
      part.terms = sm_smaller(left, SM_WINOGRAD_PART);
      part.start = NULL;
      part.out = adds ? sums : out;
      part.out_step = adds ? width : tile->out_step;
      sm_tile_multiply(&part, count, width, adjacent_rows);
      for (size_t i = 0; i < count && adds; i++)
        for (size_t k = 0; k < width; k += SM_VECTOR)
          *(sm_vector *)(out + i * tile->out_step + k) += *(const sm_vector *)(sums + i * width + k);
      part.a += part.terms * (adjacent_rows ? tile->a_step : 1);
      part.b += part.terms * tile->b_step;
    }
  }
}

#endif
