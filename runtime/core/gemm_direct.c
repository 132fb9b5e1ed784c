#include "core/gemm_direct.h"

#include <string.h>

#include "core/tile.h"
#include "core/parallel.h"

/* A product is a sum over blocks of terms. Within one, blocks of b's columns and of a's rows are packed so
   that both stay in the second cache, and a tile's rows of a in the first. */
enum {
  TERMS = 256,                             /* of a block, at most */
  PACKED = 128 * 1024 / (int)sizeof(real), /* numbers in a packed block, at most */
  LINE = SM_ALIGNMENT / (int)sizeof(real), /* between rows of a, lest they share a set of the cache */
  USED_OFTEN = 4                           /* tiles of rows for which packing b pays */
};

/* Rows of a: (row, terms + LINE), or transposed (term, rows). Panels of b: (panel, term, its width). */
typedef struct packing {
  real a[PACKED], b[PACKED];
} packing;

/* Part of a matrix as it is stored: rows that are ld numbers apart. */
typedef struct source {
  const real *first;
  size_t rows, columns, ld;
} source;

static int parts_of(size_t count, size_t limit) {
  return count > limit ? (int)((count + limit - 1) / limit) : 1;
}

/* ---- packing ---- */

/* packed (row, step) = x */
static void pack_rows(real *packed, const source *x, size_t step) {
  for (size_t i = 0; i < x->rows; i++) {
    memcpy(packed + i * step, x->first + i * x->ld, x->columns * sizeof *packed);
  }
}

/* The panels of b (terms, columns), row by row, so that the source is read in long runs. */
static void pack_panels(real *packed, const source *b) {
  for (size_t term = 0; term < b->rows; term++) {
    for (size_t p = 0; p < sm_panels_of(b->columns); p++) {
      sm_panel at = sm_panel_of(b->columns, p);
      real *out = packed + at.first * b->rows + term * at.width;
      const real *x = b->first + term * b->ld + at.first;
      if (at.count == SM_PANEL)
        memcpy(out, x, SM_PANEL * sizeof *out);
      else
        sm_copy_padded(out, x, &at);
    }
  }
}

/* The numbers of two vectors in turn: of their lower halves, of their upper halves. */
#ifdef SM_DOUBLE
#define LANES (SM_VECTOR_BYTES / 8)
#else
#define LANES (SM_VECTOR_BYTES / 4)
#endif
#if LANES == 16
#define LOWER 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define UPPER 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif LANES == 8
#define LOWER 0, 8, 1, 9, 2, 10, 3, 11
#define UPPER 4, 12, 5, 13, 6, 14, 7, 15
#elif LANES == 4
#define LOWER 0, 4, 1, 5
#define UPPER 2, 6, 3, 7
#else
#define LOWER 0, 2
#define UPPER 1, 3
#endif

/* out (SM_VECTOR, SM_VECTOR) = the transpose of x, with rows out_step and ld numbers apart. Row and column are halves
   of a number's position; each time every vector is shuffled with the one half of the rows further on, the digits of
   that position turn by one, and after as many turns as a column has digits, row and column have changed places. */
static inline void transpose_square(real *out, const real *x, size_t out_step, size_t ld) {
  enum { HALF = SM_VECTOR / 2 };
  sm_vector row[SM_VECTOR], turned[SM_VECTOR];
  SM_UNROLL
  for (int i = 0; i < SM_VECTOR; i++) row[i] = *(const sm_vector *)(x + (size_t)i * ld);
  SM_UNROLL
  for (int digits = SM_VECTOR; digits > 1; digits /= 2) {
    SM_UNROLL
    for (int i = 0; i < HALF; i++) {
      turned[2 * i] = __builtin_shufflevector(row[i], row[i + HALF], LOWER);
      turned[2 * i + 1] = __builtin_shufflevector(row[i], row[i + HALF], UPPER);
    }
    SM_UNROLL
    for (int i = 0; i < SM_VECTOR; i++) row[i] = turned[i];
  }
  SM_UNROLL
  for (int i = 0; i < SM_VECTOR; i++) *(sm_vector *)(out + (size_t)i * out_step) = row[i];
}

/* packed (term, width) = the transpose of x (panel, terms), square by square and, at the edges, singly. */
static void transpose_panel(real *packed, const real *x, size_t terms, size_t ld, const sm_panel *at) {
  size_t square = at->count / SM_VECTOR * SM_VECTOR, length = terms / SM_VECTOR * SM_VECTOR;
  for (size_t j = 0; j < square; j += SM_VECTOR) {
    for (size_t term = 0; term < length; term += SM_VECTOR) {
      transpose_square(packed + term * at->width + j, x + j * ld + term, at->width, ld);
    }
  }
  for (size_t j = 0; j < at->width; j++) {
    for (size_t term = j < square ? length : 0; term < terms; term++) {
      packed[term * at->width + j] = j < at->count ? x[j * ld + term] : 0;
    }
  }
}

/* The same panels where b is stored as its transpose (columns, terms). */
static void pack_panels_transposed(real *packed, const source *b) {
  for (size_t p = 0; p < sm_panels_of(b->rows); p++) {
    sm_panel at = sm_panel_of(b->rows, p);
    transpose_panel(packed + at.first * b->columns, b->first + at.first * b->ld, b->columns, b->ld, &at);
  }
}

/* Asks for rows of x, as far as there are any from `first` on, before they are packed. */
static void fetch_rows(const source *x, size_t first, size_t count) {
  for (size_t i = first; i < first + count && i < x->rows; i++) {
    const real *row = x->first + i * x->ld;
    for (size_t j = 0; j < x->columns; j += LINE) __builtin_prefetch(row + j, 0, 2);
  }
}

/* ---- products ---- */

/* The part of c that a block of rows and one of columns make. */
typedef struct part {
  real *c;
  const real *bias; /* (columns), or NULL */
  const real *b;    /* where it is stored (terms, columns), or NULL for packed panels */
  size_t rows, columns, terms, ld_b, ld_c;
  bool adjacent; /* rows of packed a are adjacent, for a is transposed */
  bool add;      /* to c, which has the sums of earlier terms; otherwise to bias */
} part;

/* One tile: `rows` rows of c from `c` on, of one panel. A panel that ends within a vector is computed aside,
   for there is no room for the rest of the vector in c. */
static void multiply_panel(real *c, const real *a, const real *b, size_t rows, const sm_panel *at,
                           const part *of) {
  real edge[SM_TILE_ROWS * SM_PANEL], edge_bias[SM_PANEL];
  bool whole = at->count == at->width;
  sm_tile tile = {.out = whole ? c : edge,
                  .out_step = whole ? of->ld_c : SM_PANEL,
                  .a = a,
                  .b = b,
                  .a_step = of->adjacent ? of->rows : of->terms + LINE,
                  .b_step = of->b ? of->ld_b : at->width,
                  .blocks = 1,
                  .runs = 1,
                  .terms = of->terms};
  if (of->add) {
    for (size_t i = 0; i < rows && !whole; i++) sm_copy_padded(edge + i * SM_PANEL, c + i * of->ld_c, at);
    tile.start = tile.out;
    tile.start_step = tile.out_step;
  } else if (of->bias) {
    if (!whole) sm_copy_padded(edge_bias, of->bias + at->first, at);
    tile.start = whole ? of->bias + at->first : edge_bias;
  }
  sm_tile_multiply(&tile, rows, at->width, of->adjacent);
  for (size_t i = 0; i < rows && !whole; i++) {
    memcpy(c + i * of->ld_c, edge + i * SM_PANEL, at->count * sizeof *c);
  }
}

/* Tile by tile of rows, so that these rows of a stay in the first cache and c is written in long runs.
   Meanwhile the source of the block that is packed next comes nearer. */
static void multiply(const part *of, const packing *packed, const source *next) {
  size_t panels = sm_panels_of(of->columns);
  int tiles = parts_of(of->rows, SM_TILE_ROWS);
  size_t share = next->rows / ((size_t)tiles * panels) + 1;
  for (int i = 0; i < tiles; i++) {
    sm_range rows = sm_chunk(of->rows, tiles, i);
    const real *a = packed->a + rows.first * (of->adjacent ? 1 : of->terms + LINE);
    for (size_t p = 0; p < panels; p++) {
      sm_panel at = sm_panel_of(of->columns, p);
      fetch_rows(next, ((size_t)i * panels + p) * share, share);
      const real *b = of->b ? of->b + at.first : packed->b + at.first * of->terms;
      multiply_panel(of->c + rows.first * of->ld_c + at.first, a, b, rows.last - rows.first, &at, of);
    }
  }
}

/* Blocks of op(b) (k, n), as they are packed in turn: all columns of some terms, then of the next. */
typedef struct course {
  const real *b;
  size_t n, k, ld;
  bool transposed;
  int term_parts, column_parts;
} course;

typedef struct step {
  sm_range terms, columns;
  source b;
} step;

/* The step after the last has no rows of b. */
static step step_of(const course *of, int number) {
  if (number == of->term_parts * of->column_parts) return (step){.b = {of->b, 0, 0, 0}};
  sm_range terms = sm_chunk(of->k, of->term_parts, number / of->column_parts);
  sm_range panels = sm_chunk(sm_panels_of(of->n), of->column_parts, number % of->column_parts);
  size_t first = panels.first * SM_PANEL, last = panels.last * SM_PANEL;
  sm_range columns = {first, last < of->n ? last : of->n};
  size_t height = terms.last - terms.first, width = columns.last - columns.first;
  return (step){terms, columns,
                of->transposed ? (source){of->b + first * of->ld + terms.first, width, height, of->ld}
                               : (source){of->b + terms.first * of->ld + first, height, width, of->ld}};
}

void sm_gemm_direct(real *c, const real *a, const real *b, const real *bias, bool transpose_a,
                    bool transpose_b, size_t m, size_t n, size_t k, size_t ld_a, size_t ld_b, size_t ld_c) {
  if (m == 0 || n == 0) return;
  packing packed;
  course blocks = {.b = b, .n = n, .k = k, .ld = ld_b, .transposed = transpose_b};
  blocks.term_parts = parts_of(k, TERMS);
  size_t terms = sm_chunk(k, blocks.term_parts, 0).last;
  blocks.column_parts = parts_of(sm_panels_of(n), PACKED / ((terms ? terms : 1) * SM_PANEL));
  int row_parts = parts_of(m, PACKED / (terms + LINE)), steps = blocks.term_parts * blocks.column_parts;
  bool in_place = !transpose_b && n % SM_VECTOR == 0 && m <= USED_OFTEN * SM_TILE_ROWS;
  const source none = {.first = b};
  step next = step_of(&blocks, 0);
  for (int number = 0; number < steps; number++) {
    const step now = next;
    next = step_of(&blocks, number + 1);
    if (transpose_b)
      pack_panels_transposed(packed.b, &now.b);
    else if (!in_place)
      pack_panels(packed.b, &now.b);
    part of = {.b = in_place ? now.b.first : NULL,
               .ld_b = ld_b,
               .bias = bias ? bias + now.columns.first : NULL,
               .columns = now.columns.last - now.columns.first,
               .terms = now.terms.last - now.terms.first,
               .ld_c = ld_c,
               .adjacent = transpose_a,
               .add = now.terms.first > 0};
    for (int i = 0; i < row_parts; i++) {
      sm_range rows = sm_chunk(m, row_parts, i);
      of.rows = rows.last - rows.first;
      of.c = c + rows.first * ld_c + now.columns.first;
      if (transpose_a) {
        const source block = {a + now.terms.first * ld_a + rows.first, of.terms, of.rows, ld_a};
        pack_rows(packed.a, &block, of.rows);
      } else {
        const source block = {a + rows.first * ld_a + now.terms.first, of.rows, of.terms, ld_a};
        pack_rows(packed.a, &block, of.terms + LINE);
      }
      multiply(&of, &packed, i + 1 < row_parts ? &none : &next.b);
    }
  }
}
