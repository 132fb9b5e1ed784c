#include "core/gemm_direct.h"

#include <string.h>

#include "core/tile.h"
#include "core/parallel.h"

/* A product is a sum over blocks of terms. Within one, blocks of b's columns and of a's rows stay in the second cache,
   and some rows of a in the first; they are packed where they would not where they lie. In a thick product a block of
   b's columns is used so often that it may lie in the third cache, and all rows of a block of a meet one panel of b
   after the other (Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication"). */
enum {
  TERMS = 256,                             /* of a block, at most, but for parts, which all are in one */
  PACKED = 128 * 1024 / (int)sizeof(real), /* numbers in a packed block, at most */
  HIGH_TILES = SM_VECTOR_REGISTERS == 32,
  IN_PLACE_TILES = HIGH_TILES ? 1 : 0, /* tiles of rows for which packing b does not pay: low ones read it more often */
  TOGETHER = 4 * SM_TILE_ROWS,     /* rows of a that a panel is multiplied by in one go, at most, */
  TOGETHER_BYTES = 6 * 1024,       /* where more than a tile's take no more than this */
  SETS = 4096 / SM_ALIGNMENT,      /* of the first cache, */
  WAYS = 6,                        /* and lines of a that find room in one: of 8 or more, two are b's */
  THICK_ROWS = 192 / SM_TILE_ROWS * SM_TILE_ROWS, /* of a block in a thick product, at most */
  THICK_PACKED = 512 * 1024 / (int)sizeof(real)   /* numbers in a block of b there */
};

/* Rows of a: (row, terms + SM_LINE), lest they share a set of the cache, or, but for thick products, transposed (term,
   rows). Panels of b: (panel, term, its width). */
typedef struct packing {
  real a[THICK_ROWS * (TERMS + SM_LINE)], b[THICK_PACKED];
} packing;

/* Part of a matrix as it is stored: rows that are ld numbers apart. */
typedef struct source {
  const real *first;
  size_t rows, columns, ld;
} source;

static int parts_of(size_t count, size_t limit) {
  return count > limit ? (int)((count + limit - 1) / limit) : 1;
}

/* Rows of a that a panel is multiplied by in one go. */
static size_t rows_together(size_t terms) {
  size_t fitting = TOGETHER_BYTES / ((terms ? terms : 1) * sizeof(real)) / SM_TILE_ROWS * SM_TILE_ROWS;
  return fitting < SM_TILE_ROWS ? SM_TILE_ROWS : fitting < TOGETHER ? fitting : TOGETHER;
}

/* Whether the first cache has no room for so many rows of x together, because too many of their lines share a set. */
static bool is_crowded(const source *x, size_t rows, size_t columns) {
  uint8_t lines[SETS] = {0};
  for (size_t i = 0; i < rows; i++) {
    size_t first = i * x->ld / SM_LINE;
    for (size_t j = 0; j <= columns / SM_LINE; j++) {
      if (++lines[(first + j) % SETS] > WAYS) return true;
    }
  }
  return false;
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

/* Shuffles of two vectors, the second's numbers counted from LANES. EACH_FOUR does the same within every four numbers,
   which costs processors the least; EVEN and ODD take fours whole. */
#ifdef SM_DOUBLE
#define LANES (SM_VECTOR_BYTES / 8)
#else
#define LANES (SM_VECTOR_BYTES / 4)
#endif
#define FOUR(a) (a), (a) + 1, (a) + 2, (a) + 3
#if LANES == 16
#define EACH_FOUR(a, b, c, d)                                                                           \
  (a), (b), (c), (d), (a) + 4, (b) + 4, (c) + 4, (d) + 4, (a) + 8, (b) + 8, (c) + 8, (d) + 8, (a) + 12, \
      (b) + 12, (c) + 12, (d) + 12
#define EVEN FOUR(0), FOUR(8), FOUR(16), FOUR(24)
#define ODD FOUR(4), FOUR(12), FOUR(20), FOUR(28)
#elif LANES == 8
#define EACH_FOUR(a, b, c, d) (a), (b), (c), (d), (a) + 4, (b) + 4, (c) + 4, (d) + 4
#define EVEN FOUR(0), FOUR(8)
#define ODD FOUR(4), FOUR(12)
#elif LANES == 4
#define EACH_FOUR(a, b, c, d) (a), (b), (c), (d)
#define EVEN FOUR(0)
#define ODD FOUR(4)
#endif

/* out (SM_VECTOR, SM_VECTOR) = the transpose of x, with rows out_step and ld numbers apart: first every four rows by
   fours, so that vector t of them has the columns t, t + 4, …, then the fours of what stands for the same columns. */
static inline void transpose_square(real *out, const real *x, size_t out_step, size_t ld) {
#if LANES < 4
  for (size_t i = 0; i < SM_VECTOR; i++) {
    for (size_t j = 0; j < SM_VECTOR; j++) out[j * out_step + i] = x[i * ld + j];
  }
#else
  enum { FOURS = SM_VECTOR / 4 };
  sm_vector of[4][FOURS];
  SM_UNROLL
  for (int g = 0; g < FOURS; g++) {
    sm_vector row[4];
    SM_UNROLL
    for (int i = 0; i < 4; i++) row[i] = *(const sm_vector *)(x + (size_t)(4 * g + i) * ld);
    sm_vector first = __builtin_shufflevector(row[0], row[1], EACH_FOUR(0, LANES, 1, LANES + 1));
    sm_vector second = __builtin_shufflevector(row[2], row[3], EACH_FOUR(0, LANES, 1, LANES + 1));
    of[0][g] = __builtin_shufflevector(first, second, EACH_FOUR(0, 1, LANES, LANES + 1));
    of[1][g] = __builtin_shufflevector(first, second, EACH_FOUR(2, 3, LANES + 2, LANES + 3));
    first = __builtin_shufflevector(row[0], row[1], EACH_FOUR(2, LANES + 2, 3, LANES + 3));
    second = __builtin_shufflevector(row[2], row[3], EACH_FOUR(2, LANES + 2, 3, LANES + 3));
    of[2][g] = __builtin_shufflevector(first, second, EACH_FOUR(0, 1, LANES, LANES + 1));
    of[3][g] = __builtin_shufflevector(first, second, EACH_FOUR(2, 3, LANES + 2, LANES + 3));
  }
  SM_UNROLL
  for (int t = 0; t < 4; t++) {
    sm_vector turned[FOURS];
    SM_UNROLL
    for (int left = FOURS; left > 1; left /= 2) {
      SM_UNROLL
      for (int i = 0; i < FOURS / 2; i++) {
        turned[i] = __builtin_shufflevector(of[t][2 * i], of[t][2 * i + 1], EVEN);
        turned[i + FOURS / 2] = __builtin_shufflevector(of[t][2 * i], of[t][2 * i + 1], ODD);
      }
      SM_UNROLL
      for (int i = 0; i < FOURS; i++) of[t][i] = turned[i];
    }
    SM_UNROLL
    for (int g = 0; g < FOURS; g++) *(sm_vector *)(out + (size_t)(4 * g + t) * out_step) = of[t][g];
  }
#endif
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
    for (size_t j = 0; j < x->columns; j += SM_LINE) __builtin_prefetch(row + j, 0, 2);
  }
}

/* ---- products ---- */

/* The part of c that a block of rows and one of columns make. */
typedef struct part {
  real *c;
  const real *a;    /* (rows, terms), or transposed */
  const real *bias; /* (columns), or NULL */
  const real *b;    /* where it is stored (terms, columns), or NULL for packed panels */
  size_t rows, columns, terms, ld_a, ld_b, ld_c;
  bool adjacent;   /* rows of a are, for it is transposed */
  bool add;        /* to c, which has the sums of earlier terms; otherwise to bias */
  size_t together; /* rows of a that a panel is multiplied by in one go */
  size_t parts;    /* of the terms, where they are a batch */
} part;

/* `rows` rows of c from `c` on, of one panel. A panel that ends within a vector is computed aside,
   for there is no room for the rest of the vector in c. */
static void multiply_panel(real *c, const real *a, const real *b, size_t rows, const sm_panel *at,
                           const part *of) {
  real edge[THICK_ROWS * SM_PANEL], edge_bias[SM_PANEL];
  bool whole = at->count == at->width;
  sm_tile tile = {.out = whole ? c : edge,
                  .out_step = whole ? of->ld_c : SM_PANEL,
                  .a = a,
                  .b = b,
                  .a_step = of->ld_a,
                  .b_step = of->b ? of->ld_b : at->width,
                  .blocks = 1,
                  .runs = 1,
                  .terms = of->terms,
                  .parts = of->parts};
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

/* Some rows together, so that these rows of a stay in the first cache and c is written in long runs. Meanwhile the
   source of the block that is packed next comes nearer. */
static void multiply(const part *of, const packing *packed, const source *next) {
  size_t panels = sm_panels_of(of->columns);
  int groups = parts_of(of->rows, of->together);
  size_t share = next->rows / ((size_t)groups * panels) + 1;
  for (int i = 0; i < groups; i++) {
    sm_range rows = sm_chunk(of->rows, groups, i);
    const real *a = of->a + rows.first * (of->adjacent ? 1 : of->ld_a);
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

static step step_of(const course *of, int number) {
  sm_range terms = sm_chunk(of->k, of->term_parts, number / of->column_parts);
  sm_range panels = sm_chunk(sm_panels_of(of->n), of->column_parts, number % of->column_parts);
  size_t first = panels.first * SM_PANEL, last = panels.last * SM_PANEL;
  sm_range columns = {first, last < of->n ? last : of->n};
  size_t height = terms.last - terms.first, width = columns.last - columns.first;
  return (step){terms, columns,
                of->transposed ? (source){of->b + first * of->ld + terms.first, width, height, of->ld}
                               : (source){of->b + terms.first * of->ld + first, height, width, of->ld}};
}

/* Where the rows of a are read: where they lie or, packed, from there. */
static void take_rows(part *of, real *packed, const source *block, bool thick, bool transposed) {
  size_t rows = of->rows < of->together ? of->rows : of->together;
  of->a = block->first;
  of->ld_a = block->ld;
  if (thick && transposed) {
    of->a = packed;
    of->ld_a = of->terms + SM_LINE;
    transpose_panel(packed, block->first, of->rows, block->ld, &(sm_panel){0, of->terms, of->ld_a});
  } else if (thick ||
             is_crowded(block, transposed ? of->terms : rows, transposed ? of->together : of->terms)) {
    of->a = packed;
    of->ld_a = block->columns + (transposed ? 0 : SM_LINE);
    pack_rows(packed, block, of->ld_a);
  }
}

void sm_gemm_direct(real *c, const real *a, const real *b, const real *bias, bool transpose_a,
                    bool transpose_b, size_t m, size_t n, size_t k, size_t parts, size_t ld_a, size_t ld_b,
                    size_t ld_c, size_t right) {
  if (m == 0 || n == 0) return;
  packing packed;
  course blocks = {.b = b, .n = n, .k = k, .ld = ld_b, .transposed = transpose_b};
  blocks.term_parts = parts > 1 ? 1 : parts_of(k, TERMS);
  size_t terms = sm_chunk(k, blocks.term_parts, 0).last;
  bool thick = m > SM_GEMM_DIRECT_THICK;
  size_t fitting = sizeof packed.a / sizeof *packed.a / (terms + SM_LINE) / SM_TILE_ROWS * SM_TILE_ROWS;
  size_t thick_rows = fitting < THICK_ROWS ? fitting : THICK_ROWS;
  size_t together = thick ? thick_rows : rows_together(terms);
  size_t most_packed = thick ? THICK_PACKED : PACKED;
  size_t most_rows = thick ? thick_rows : PACKED / (terms + SM_LINE);
  blocks.column_parts = parts_of(sm_panels_of(n), most_packed / ((terms ? terms : 1) * SM_PANEL));
  int row_parts = parts_of(m, most_rows), steps = blocks.term_parts * blocks.column_parts;
  bool in_place = !transpose_b && n % SM_VECTOR == 0 && m <= IN_PLACE_TILES * SM_TILE_ROWS;
  const source none = {.first = b};
  course after = blocks; /* most likely what this thread computes next */
  after.b += right == 0 ? 0 : transpose_b ? n * ld_b : n;
  after.n = right < n ? right : n;
  step next = step_of(&blocks, 0);
  for (int number = 0; number < steps; number++) {
    const step now = next;
    next = number + 1 < steps ? step_of(&blocks, number + 1)
           : right > 0        ? step_of(&after, 0)
                              : (step){.b = none};
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
               .adjacent = transpose_a && !thick,
               .add = now.terms.first > 0,
               .together = together,
               .parts = parts};
    for (int i = 0; i < row_parts; i++) {
      sm_range rows = sm_chunk(m, row_parts, i);
      of.rows = rows.last - rows.first;
      of.c = c + rows.first * ld_c + now.columns.first;
      source block = transpose_a ? (source){a + now.terms.first * ld_a + rows.first, of.terms, of.rows, ld_a}
                                 : (source){a + rows.first * ld_a + now.terms.first, of.rows, of.terms, ld_a};
      take_rows(&of, packed.a, &block, thick, transpose_a);
      multiply(&of, &packed, i + 1 < row_parts ? &none : &next.b);
    }
  }
}
