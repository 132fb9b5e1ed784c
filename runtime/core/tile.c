#include "core/tile.h"

#include "core/parts.h"

enum {
  WIDE = 4,   /* vectors of a tile that is wider than high */
  LONGEST = 5 /* terms of a run that slides */
};

static const real zeros[SM_PANEL];

/* The sums += the numbers of a at one term times b's row. rows, vectors and adjacent_rows are constants where this is
   called, here and below, so that the loops over them vanish and the sums are registers. A high tile keeps b's row in
   registers, a wide one the numbers, each as a vector lest the compiler put sums in their place. */
SM_INLINE void add_term(sm_vector (*sum)[SM_TILE_VECTORS], const real *a, const real *b, size_t a_step,
                        const int rows, const int vectors, const bool adjacent_rows) {
  if (vectors == WIDE) {
    sm_vector number[SM_TILE_ROWS];
    SM_UNROLL
    for (int i = 0; i < rows; i++)
      number[i] = (adjacent_rows ? a[i] : a[(size_t)i * a_step]) - (sm_vector){0};
    SM_UNROLL
    for (int j = 0; j < vectors; j++) {
      sm_vector b_part = *(const sm_vector *)(b + j * SM_VECTOR);
      SM_UNROLL
      for (int i = 0; i < rows; i++) sum[i][j] = sm_vector_fma(b_part, number[i], sum[i][j]);
    }
  } else {
    sm_vector b_row[SM_TILE_VECTORS];
    SM_UNROLL
    for (int j = 0; j < vectors; j++) b_row[j] = *(const sm_vector *)(b + j * SM_VECTOR);
    SM_UNROLL
    for (int i = 0; i < rows; i++) {
      sm_vector number = (adjacent_rows ? a[i] : a[(size_t)i * a_step]) - (sm_vector){0};
      SM_UNROLL
      for (int j = 0; j < vectors; j++) sum[i][j] = sm_vector_fma(b_row[j], number, sum[i][j]);
    }
  }
}

/* Vector j of `vectors`, the last of which has so many lanes. */
SM_INLINE void load_sum(sm_vector *sum, const real *start, size_t lanes, int j, const int vectors) {
  sum[j] = j + 1 < vectors ? *(const sm_vector *)(start + j * SM_VECTOR)
                           : sm_vector_load(start + j * SM_VECTOR, lanes);
}

SM_INLINE void store_sum(real *out, const sm_vector *sum, size_t lanes, int j, const int vectors) {
  sm_vector_store(out + j * SM_VECTOR, sum[j], j + 1 < vectors ? SM_VECTOR : lanes);
}

/* `count` tiles of `rows` rows each, one below the other, from row `first` on. */
SM_INLINE void tiles_of(const sm_tile *tile, size_t first, size_t count, const int rows, const int vectors,
                        const bool adjacent_rows) {
  const size_t a_step = tile->a_step, b_step = tile->b_step, terms = tile->terms;
  const size_t together = vectors == WIDE ? 2 : 1; /* terms from one branch to the next */
  const size_t a_next = adjacent_rows ? a_step : 1;
  const size_t start_step = tile->start ? tile->start_step : 0, lanes = tile->lanes ? tile->lanes : SM_VECTOR;
  const real *start = tile->start ? tile->start + first * start_step : zeros;
  const real *a_first = tile->a + first * (adjacent_rows ? 1 : a_step);
  real *out = tile->out + first * tile->out_step;
  for (; count > 0; count--) {
    sm_vector sum[SM_TILE_ROWS][SM_TILE_VECTORS];
    SM_UNROLL
    for (int i = 0; i < rows; i++, start += start_step) {
      SM_UNROLL
      for (int j = 0; j < vectors; j++) load_sum(sum[i], start, lanes, j, vectors);
    }
    for (size_t block = 0; block < tile->blocks; block++) {
      for (size_t run = 0; run < tile->runs; run++) {
        const real *a = a_first + block * tile->a_block + run * tile->a_run;
        const real *b = tile->b + block * tile->b_block + run * tile->b_run;
        for (size_t rest = terms % together; rest > 0; rest--, a += a_next, b += b_step) {
          add_term(sum, a, b, a_step, rows, vectors, adjacent_rows);
        }
        for (size_t left = terms / together; left > 0; left--) {
          SM_UNROLL
          for (size_t term = 0; term < together; term++, a += a_next, b += b_step) {
            add_term(sum, a, b, a_step, rows, vectors, adjacent_rows);
          }
        }
      }
    }
    SM_UNROLL
    for (int i = 0; i < rows; i++, out += tile->out_step) {
      SM_UNROLL
      for (int j = 0; j < vectors; j++) store_sum(out, sum[i], lanes, j, vectors);
    }
    a_first += (size_t)rows * (adjacent_rows ? 1 : a_step);
  }
}

/* As tiles_of, by parts of the terms: the sums of one stay in registers, those that wait for others in the first-level
   cache. */
SM_INLINE void parted_tiles_of(const sm_tile *tile, size_t first, size_t count, const int rows, const int vectors,
                               const bool adjacent_rows) {
  const size_t a_step = tile->a_step, b_step = tile->b_step, a_next = adjacent_rows ? a_step : 1;
  const real *a_first = tile->a + first * (adjacent_rows ? 1 : a_step);
  real *out = tile->out + first * tile->out_step;
  sm_vector waiting[SM_PART_LEVELS][SM_TILE_ROWS][SM_TILE_VECTORS];
  for (; count > 0; count--, out += (size_t)rows * tile->out_step) {
    const real *a = a_first, *b = tile->b;
    for (size_t part = 0; part < tile->parts; part++) {
      const sm_range range = sm_part(tile->terms, tile->parts, part);
      sm_vector sum[SM_TILE_ROWS][SM_TILE_VECTORS];
      SM_UNROLL
      for (int i = 0; i < rows; i++) {
        SM_UNROLL
        for (int j = 0; j < vectors; j++) sum[i][j] = (sm_vector){0};
      }
      for (size_t left = range.last - range.first; left > 0; left--, a += a_next, b += b_step)
        add_term(sum, a, b, a_step, rows, vectors, adjacent_rows);
      size_t place = sm_part_place(part);
      for (size_t merges = sm_part_merges(part); merges-- > 0;) {
        place--;
        SM_UNROLL
        for (int i = 0; i < rows; i++) {
          SM_UNROLL
          for (int j = 0; j < vectors; j++) sum[i][j] = waiting[place][i][j] + sum[i][j];
        }
      }
      const bool last = part + 1 == tile->parts;
      SM_UNROLL
      for (int i = 0; i < rows; i++) {
        SM_UNROLL
        for (int j = 0; j < vectors; j++) {
          if (last) *(sm_vector *)(out + (size_t)i * tile->out_step + j * SM_VECTOR) = sum[i][j];
          else waiting[place][i][j] = sum[i][j];
        }
      }
    }
    a_first += (size_t)rows * (adjacent_rows ? 1 : a_step);
  }
}

/* rows is known only here; vectors and adjacent_rows are constants. */
SM_INLINE void tiles_of_rows(const sm_tile *tile, size_t first, size_t count, size_t rows, const int vectors,
                             const bool adjacent_rows, const bool parted) {
#define TILES_OF(n)                                                                          \
  if ((n) <= sm_tile_rows((size_t)vectors * SM_VECTOR) && rows == (n)) {                     \
    if (parted) parted_tiles_of(tile, first, count, (n), vectors, adjacent_rows);            \
    else tiles_of(tile, first, count, (n), vectors, adjacent_rows);                          \
  }
#if SM_VECTOR_REGISTERS == 32
  TILES_OF(14)
  TILES_OF(13)
  TILES_OF(12)
  TILES_OF(11)
  TILES_OF(10)
  TILES_OF(9)
  TILES_OF(8)
  TILES_OF(7)
#endif
  TILES_OF(6)
  TILES_OF(5)
  TILES_OF(4)
  TILES_OF(3)
  TILES_OF(2)
  TILES_OF(1)
#undef TILES_OF
}

SM_INLINE void multiply_by(const sm_tile *tile, size_t first, size_t count, size_t rows, size_t vectors,
                           bool adjacent_rows, const bool parted) {
#define TILES_AS_WIDE(n)                                                                           \
  if (vectors == (n) && adjacent_rows) tiles_of_rows(tile, first, count, rows, (n), true, parted); \
  if (vectors == (n) && !adjacent_rows) tiles_of_rows(tile, first, count, rows, (n), false, parted);
#if SM_WIDE_TILES
  TILES_AS_WIDE(WIDE)
  TILES_AS_WIDE(3)
#endif
  TILES_AS_WIDE(2)
  TILES_AS_WIDE(1)
#undef TILES_AS_WIDE
}

static void multiply(const sm_tile *tile, size_t first, size_t count, size_t rows, size_t vectors,
                     bool adjacent_rows) {
  multiply_by(tile, first, count, rows, vectors, adjacent_rows, false);
}

static void multiply_parts(const sm_tile *tile, size_t first, size_t count, size_t rows, size_t vectors,
                           bool adjacent_rows) {
  multiply_by(tile, first, count, rows, vectors, adjacent_rows, true);
}

/* ---- runs that slide ---- */

/* All terms of a run of which rows and terms both are adjacent: its numbers slide through the registers, each loaded
   once instead of once for every row. So the first convolution of grey images takes 0.9 to 1 of the time. */
SM_INLINE void add_run(sm_vector (*sum)[WIDE], const real *a, const real *b, size_t b_step, const int rows,
                       const int terms) {
  sm_vector number[LONGEST + SM_TILE_ROWS];
  SM_UNROLL
  for (int i = 0; i < rows - 1; i++) number[i] = a[i] - (sm_vector){0};
  SM_UNROLL
  for (int term = 0; term < terms; term++, b += b_step) {
    number[term + rows - 1] = a[term + rows - 1] - (sm_vector){0};
    SM_UNROLL
    for (int j = 0; j < WIDE; j++) {
      sm_vector b_part = *(const sm_vector *)(b + j * SM_VECTOR);
      SM_UNROLL
      for (int i = 0; i < rows; i++) sum[i][j] = sm_vector_fma(b_part, number[term + i], sum[i][j]);
    }
  }
}

/* As tiles_of. Apart from it, for with more in one function the compiler runs out of registers in its loops. */
SM_INLINE void sliding_tiles_of(const sm_tile *tile, size_t first, size_t count, const int rows,
                                const int terms) {
  const size_t b_step = tile->b_step, start_step = tile->start ? tile->start_step : 0;
  const size_t lanes = tile->lanes ? tile->lanes : SM_VECTOR;
  const real *start = tile->start ? tile->start + first * start_step : zeros;
  const real *a_first = tile->a + first;
  real *out = tile->out + first * tile->out_step;
  for (; count > 0; count--, a_first += rows) {
    sm_vector sum[SM_TILE_ROWS][WIDE];
    SM_UNROLL
    for (int i = 0; i < rows; i++, start += start_step) {
      SM_UNROLL
      for (int j = 0; j < WIDE; j++) load_sum(sum[i], start, lanes, j, WIDE);
    }
    for (size_t block = 0; block < tile->blocks; block++) {
      for (size_t run = 0; run < tile->runs; run++) {
        const real *a = a_first + block * tile->a_block + run * tile->a_run;
        const real *b = tile->b + block * tile->b_block + run * tile->b_run;
        add_run(sum, a, b, b_step, rows, terms);
      }
    }
    SM_UNROLL
    for (int i = 0; i < rows; i++, out += tile->out_step) {
      SM_UNROLL
      for (int j = 0; j < WIDE; j++) store_sum(out, sum[i], lanes, j, WIDE);
    }
  }
}

static bool slides(const sm_tile *tile, size_t vectors, bool adjacent_rows) {
  return SM_WIDE_TILES && vectors == WIDE && adjacent_rows && tile->a_step == 1 &&
         (tile->terms == 3 || tile->terms == LONGEST);
}

static void multiply_sliding(const sm_tile *tile, size_t first, size_t count, size_t rows) {
#define SLIDING(n, m) \
  if (rows == (n) && tile->terms == (m)) sliding_tiles_of(tile, first, count, (n), (m));
  SLIDING(3, LONGEST)
  SLIDING(2, LONGEST)
  SLIDING(1, LONGEST)
  SLIDING(3, 3)
  SLIDING(2, 3)
  SLIDING(1, 3)
#undef SLIDING
}

void sm_tile_multiply(const sm_tile *tile, size_t rows, size_t width, bool adjacent_rows) {
  size_t vectors = width / SM_VECTOR, most = sm_tile_rows(width);
  size_t tiles = rows > most ? (rows + most - 1) / most : 1, least = rows / tiles, larger = rows % tiles;
  if (tile->parts > 1) {
    if (larger > 0) multiply_parts(tile, 0, larger, least + 1, vectors, adjacent_rows);
    multiply_parts(tile, larger * (least + 1), tiles - larger, least, vectors, adjacent_rows);
    return;
  }
  if (slides(tile, vectors, adjacent_rows)) {
    if (larger > 0) multiply_sliding(tile, 0, larger, least + 1);
    multiply_sliding(tile, larger * (least + 1), tiles - larger, least);
    return;
  }
  if (larger > 0) multiply(tile, 0, larger, least + 1, vectors, adjacent_rows);
  multiply(tile, larger * (least + 1), tiles - larger, least, vectors, adjacent_rows);
}
