#include "core/stride.h"

#include <string.h>

#include "core/parallel.h"

/* ---- axes ---- */

size_t sm_strided_count(const sm_strided *axes) {
  size_t count = 1;
  for (int axis = 0; axis < axes->rank; axis++) count *= axes->size[axis];
  return count;
}

bool sm_strided_fits(const sm_strided *axes, int operand, size_t offset, size_t count) {
  if (sm_strided_count(axes) == 0) return true;
  size_t before = offset, after = count - 1; /* elements left in front of the first one, and behind it */
  if (offset >= count) return false;
  after -= offset;
  for (int axis = 0; axis < axes->rank; axis++) {
    ptrdiff_t step = axes->step[operand][axis];
    size_t length = step < 0 ? 0 - (size_t)step : (size_t)step, reach;
    size_t *left = step < 0 ? &before : &after;
    if (!sm_multiply(&reach, length, axes->size[axis] - 1) || reach > *left) return false;
    *left -= reach;
  }
  return true;
}

void sm_strided_row_major(ptrdiff_t step[SM_MAX_RANK], const sm_shape *shape) {
  ptrdiff_t next = 1;
  for (int axis = shape->rank - 1; axis >= 0; axis--) {
    step[axis] = next;
    next *= (ptrdiff_t)shape->size[axis];
  }
}

/* Whether axis `outer` goes on where axis `inner` ends, for every operand. */
static bool goes_on(const sm_strided *axes, int outer, int inner) {
  for (int operand = 0; operand < axes->operands; operand++) {
    ptrdiff_t length = axes->step[operand][inner] * (ptrdiff_t)axes->size[inner];
    if (axes->step[operand][outer] != length) return false;
  }
  return true;
}

static void set_axis(sm_strided *axes, int to, int from) {
  axes->size[to] = axes->size[from];
  for (int operand = 0; operand < axes->operands; operand++)
    axes->step[operand][to] = axes->step[operand][from];
}

/* The same positions in the same order with fewer axes: without those of size 1, and with neighbours as one axis where
   every operand steps alike. */
static void merge(sm_strided *axes) {
  int merged = 0;
  for (int axis = 0; axis < axes->rank; axis++) {
    if (axes->size[axis] == 1) continue;
    if (merged > 0 && goes_on(axes, merged - 1, axis)) {
      size_t size = axes->size[merged - 1] * axes->size[axis];
      set_axis(axes, merged - 1, axis);
      axes->size[merged - 1] = size;
    } else {
      set_axis(axes, merged++, axis);
    }
  }
  if (merged == 0) {
    axes->size[merged] = 1;
    for (int operand = 0; operand < axes->operands; operand++) axes->step[operand][merged] = 1;
    merged++;
  }
  axes->rank = merged;
}

sm_status sm_strided_broadcast(sm_strided *axes, sm_shape *result, const sm_shape *const shapes[], int count,
                               sm_error *error) {
  ptrdiff_t steps[SM_OPERANDS][SM_MAX_RANK];
  *result = (sm_shape){0};
  for (int i = 0; i < count; i++) {
    const sm_shape *next = shapes[i];
    sm_shape both = result->rank > next->rank ? *result : *next;
    for (int axis = 1; axis <= result->rank && axis <= next->rank; axis++) { /* from the end */
      size_t a = result->size[result->rank - axis], b = next->size[next->rank - axis];
      if (a != b && a != 1 && b != 1) {
        char text_a[SM_SHAPE_TEXT], text_b[SM_SHAPE_TEXT];
        return sm_fail(error, SM_BAD_SHAPE,
                       "shapes %s and %s do not broadcast: axis %d of the result would have sizes %zu and %zu",
                       sm_shape_text(text_a, result), sm_shape_text(text_b, next), both.rank - axis + 1, a, b);
      }
      both.size[both.rank - axis] = a == 1 ? b : a;
    }
    *result = both;
    sm_strided_row_major(steps[i], next);
  }
  size_t bytes;
  sm_status status = sm_shape_bytes(&bytes, result, SM_REAL, error);
  if (status) return status;
  *axes = (sm_strided){.rank = result->rank, .operands = count + 1};
  sm_strided_row_major(axes->step[0], result);
  for (int axis = 0; axis < result->rank; axis++) {
    axes->size[axis] = result->size[axis];
    for (int i = 0; i < count; i++) {
      int own = axis - (result->rank - shapes[i]->rank);
      axes->step[i + 1][axis] = own < 0 || shapes[i]->size[own] == 1 ? 0 : steps[i][own];
    }
  }
  merge(axes);
  return SM_OK;
}

sm_strided_place sm_strided_start(const sm_strided *axes, size_t position) {
  sm_strided_place place = {0};
  for (int axis = axes->rank - 1; axis >= 0; axis--) {
    place.index[axis] = position % axes->size[axis];
    position /= axes->size[axis];
    for (int operand = 0; operand < axes->operands; operand++)
      place.at[operand] += (ptrdiff_t)place.index[axis] * axes->step[operand][axis];
  }
  return place;
}

void sm_strided_advance(sm_strided_place *place, const sm_strided *axes, size_t n) {
  const int inner = axes->rank - 1;
  place->index[inner] += n;
  for (int operand = 0; operand < axes->operands; operand++)
    place->at[operand] += (ptrdiff_t)n * axes->step[operand][inner];
  for (int axis = inner; axis > 0 && place->index[axis] == axes->size[axis]; axis--) {
    for (int operand = 0; operand < axes->operands; operand++) {
      place->at[operand] += axes->step[operand][axis - 1] -
                            (ptrdiff_t)axes->size[axis] * axes->step[operand][axis];
    }
    place->index[axis] = 0;
    place->index[axis - 1]++;
  }
}

/* ---- planes ---- */

/* Rows and columns of elements, and for both blocks the steps from one to the next. */
typedef struct plane {
  size_t rows, columns;
  ptrdiff_t to_row, from_row, to_column, from_column;
} plane;

static plane turned(const plane *p) {
  return (plane){p->columns, p->rows, p->to_column, p->from_column, p->to_row, p->from_row};
}

/* `bytes` is a constant at every call, so that each loop is compiled for its elements. */
static inline __attribute__((always_inline)) void move_elements(char *to, const char *from, const plane *p,
                                                                const ptrdiff_t bytes) {
  const ptrdiff_t to_step = p->to_column * bytes, from_step = p->from_column * bytes;
  for (size_t row = 0; row < p->rows; row++) {
    char *next = to + (ptrdiff_t)row * p->to_row * bytes;
    const char *source = from + (ptrdiff_t)row * p->from_row * bytes;
    if (from_step == 0 && to_step == bytes) { /* one element, repeated */
      char element[8];
      memcpy(element, source, (size_t)bytes);
      for (size_t column = 0; column < p->columns; column++)
        memcpy(next + (ptrdiff_t)column * bytes, element, (size_t)bytes);
      continue;
    }
    if (from_step == -bytes && to_step == bytes) { /* a row, turned about */
      for (ptrdiff_t column = 0; column < (ptrdiff_t)p->columns; column++)
        memcpy(next + column * bytes, source - column * bytes, (size_t)bytes);
      continue;
    }
    for (size_t column = 0; column < p->columns; column++) {
      memcpy(next, source, (size_t)bytes);
      next += to_step;
      source += from_step;
    }
  }
}

enum { SQUARE = 4 }; /* a square of elements is turned in registers */

typedef uint32_t quad __attribute__((vector_size(16)));

static inline quad load_quad(const char *from) {
  quad q;
  memcpy(&q, from, sizeof q);
  return q;
}

#ifdef __clang__
#define CHOOSE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define CHOOSE(a, b, i, j, k, l) __builtin_shuffle(a, b, (quad){i, j, k, l})
#endif

/* to (4, 4) = from (4, 4) turned, elements of 4 bytes; steps in bytes from one row of either to the next. */
static inline void turn_square(char *to, const char *from, ptrdiff_t to_row, ptrdiff_t from_row) {
  quad a = load_quad(from), b = load_quad(from + from_row);
  quad c = load_quad(from + 2 * from_row), d = load_quad(from + 3 * from_row);
  quad ab_low = CHOOSE(a, b, 0, 4, 1, 5), ab_high = CHOOSE(a, b, 2, 6, 3, 7);
  quad cd_low = CHOOSE(c, d, 0, 4, 1, 5), cd_high = CHOOSE(c, d, 2, 6, 3, 7);
  quad turned_rows[SQUARE] = {CHOOSE(ab_low, cd_low, 0, 1, 4, 5), CHOOSE(ab_low, cd_low, 2, 3, 6, 7),
                              CHOOSE(ab_high, cd_high, 0, 1, 4, 5), CHOOSE(ab_high, cd_high, 2, 3, 6, 7)};
  for (int row = 0; row < SQUARE; row++) memcpy(to + row * to_row, &turned_rows[row], sizeof *turned_rows);
}

/* A plane whose columns are neighbours in `to`, and whose rows are in `from`: elements of 4 bytes, by squares. */
static void turn_words(char *to, const char *from, const plane *p) {
  const ptrdiff_t bytes = 4;
  size_t rows = p->rows / SQUARE * SQUARE, columns = p->columns / SQUARE * SQUARE;
  for (size_t row = 0; row < rows; row += SQUARE) {
    for (size_t column = 0; column < columns; column += SQUARE) {
      turn_square(to + ((ptrdiff_t)row * p->to_row + (ptrdiff_t)column) * bytes,
                  from + ((ptrdiff_t)row + (ptrdiff_t)column * p->from_column) * bytes, p->to_row * bytes,
                  p->from_column * bytes);
    }
  }
  plane right = *p, below = *p;
  right.rows = rows;
  right.columns -= columns;
  below.rows -= rows;
  move_elements(to + (ptrdiff_t)columns * bytes, from + (ptrdiff_t)columns * p->from_column * bytes, &right, bytes);
  move_elements(to + (ptrdiff_t)rows * p->to_row * bytes, from + (ptrdiff_t)rows * bytes, &below, bytes);
}

static void copy_plane(char *to, const char *from, const plane *given, size_t bytes) {
  plane p = *given;
  const ptrdiff_t wide = (ptrdiff_t)bytes;
  if (p.to_column == 1 && p.from_column == 1 && p.columns * bytes >= 32) {
    for (size_t row = 0; row < p.rows; row++)
      memcpy(to + (ptrdiff_t)row * p.to_row * wide, from + (ptrdiff_t)row * p.from_row * wide, p.columns * bytes);
    return;
  }
  bool turns = p.to_column == 1 && p.from_row == 1;
  if (turns && bytes == 4 && p.rows >= SQUARE && p.columns >= SQUARE) {
    turn_words(to, from, &p);
    return;
  }
  /* The longer loop comes within the other, unless its rows are neighbours, which vectors move. */
  bool rows_fit = p.to_column == 1 && p.from_column <= 0 && p.from_column >= -1 && p.columns >= 8;
  if (p.columns < p.rows && !rows_fit) p = turned(&p);
  switch (bytes) {
    case 1: move_elements(to, from, &p, 1); break;
    case 4: move_elements(to, from, &p, 4); break;
    default: move_elements(to, from, &p, 8); break;
  }
}

static void add_plane(real *to, const real *from, const plane *given) {
  plane p = given->columns < given->rows && given->to_column != 1 ? turned(given) : *given;
  for (size_t row = 0; row < p.rows; row++) {
    real *sums = to + (ptrdiff_t)row * p.to_row;
    const real *next = from + (ptrdiff_t)row * p.from_row;
    if (p.to_column == 1 && p.from_column == 1) {
#pragma omp simd
      for (size_t i = 0; i < p.columns; i++) sums[i] += next[i];
    } else {
      for (size_t i = 0; i < p.columns; i++)
        sums[(ptrdiff_t)i * p.to_column] += next[(ptrdiff_t)i * p.from_column];
    }
  }
}

/* ---- tiles ---- */

/* The last two axes are a plane, which is cut into tiles; the others say where the planes are. */
typedef struct tiling {
  void *to;
  const void *from;
  size_t bytes; /* of an element; 0: numbers are added */
  sm_strided axes;
  size_t rows, columns;               /* of a tile */
  size_t tile_rows, tile_columns;     /* tiles along the axes of a plane */
  size_t tiles, tiles_per_item;
} tiling;

enum { TURNED = 32 }; /* elements along both sides of a tile that is turned: what it touches stays in the cache */

static void tile(const tiling *of, size_t number) {
  const sm_strided *axes = &of->axes;
  const int i = axes->rank - 1, j = axes->rank - 2;
  size_t column = number % of->tile_columns * of->columns, rest = number / of->tile_columns;
  size_t row = rest % of->tile_rows * of->rows;
  rest /= of->tile_rows;
  size_t columns = axes->size[i] - column, rows = axes->size[j] - row;
  const ptrdiff_t *to_step = axes->step[0], *from_step = axes->step[1];
  ptrdiff_t to = (ptrdiff_t)row * to_step[j] + (ptrdiff_t)column * to_step[i];
  ptrdiff_t from = (ptrdiff_t)row * from_step[j] + (ptrdiff_t)column * from_step[i];
  for (int axis = j - 1; axis >= 0; axis--) {
    ptrdiff_t index = (ptrdiff_t)(rest % axes->size[axis]);
    rest /= axes->size[axis];
    to += index * to_step[axis];
    from += index * from_step[axis];
  }
  plane p = {rows < of->rows ? rows : of->rows, columns < of->columns ? columns : of->columns,
             to_step[j], from_step[j], to_step[i], from_step[i]};
  const ptrdiff_t bytes = (ptrdiff_t)of->bytes;
  if (bytes == 0) add_plane((real *)of->to + to, (const real *)of->from + from, &p);
  else copy_plane((char *)of->to + to * bytes, (const char *)of->from + from * bytes, &p, of->bytes);
}

static void tile_item(const void *work, size_t item) {
  const tiling *of = work;
  size_t first = item * of->tiles_per_item, last = first + of->tiles_per_item;
  for (size_t number = first; number < last && number < of->tiles; number++) tile(of, number);
}

static size_t length_of(ptrdiff_t step) { return step < 0 ? 0 - (size_t)step : (size_t)step; }

/* Sorts axes by the steps of `to`, the largest first, so that it is written in order. */
static void order(sm_strided *axes) {
  for (int i = 1; i < axes->rank; i++) {
    for (int j = i; j > 0 && length_of(axes->step[0][j - 1]) < length_of(axes->step[0][j]); j--) {
      sm_strided before = *axes;
      axes->size[j] = before.size[j - 1], axes->size[j - 1] = before.size[j];
      for (int operand = 0; operand < 2; operand++) {
        axes->step[operand][j] = before.step[operand][j - 1];
        axes->step[operand][j - 1] = before.step[operand][j];
      }
    }
  }
}

/* Puts the axis along which `from` has the smallest steps next to the innermost, where the planes are to be turned. */
static bool find_rows(sm_strided *axes) {
  const int inner = axes->rank - 1;
  size_t least = length_of(axes->step[1][inner]);
  int best = -1;
  for (int axis = 0; axis < inner; axis++) {
    size_t step = length_of(axes->step[1][axis]);
    if (step > 0 && step < least) best = axis, least = step;
  }
  if (best < 0) return false;
  sm_strided before = *axes;
  for (int axis = best; axis < inner - 1; axis++) {
    axes->size[axis] = before.size[axis + 1];
    for (int operand = 0; operand < 2; operand++) axes->step[operand][axis] = before.step[operand][axis + 1];
  }
  axes->size[inner - 1] = before.size[best];
  for (int operand = 0; operand < 2; operand++) axes->step[operand][inner - 1] = before.step[operand][best];
  return true;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static void run(void *to, const void *from, size_t bytes, const sm_strided *given) {
  size_t count = sm_strided_count(given);
  if (count == 0) return;
  tiling work = {.to = to, .from = from, .bytes = bytes, .axes = *given};
  sm_strided *axes = &work.axes;
  order(axes);
  merge(axes);
  if (axes->rank == 1) { /* a plane of one row */
    set_axis(axes, 1, 0);
    axes->size[0] = 1;
    axes->step[0][0] = axes->step[1][0] = 0;
    axes->rank = 2;
  }
  bool turns = find_rows(axes);
  size_t columns = axes->size[axes->rank - 1], rows = axes->size[axes->rank - 2];
  size_t elements = turns ? TURNED * TURNED : SM_BLOCK;
  work.columns = turns && rows >= TURNED ? least(columns, TURNED) : least(columns, turns ? elements / rows : elements);
  work.rows = least(rows, elements / work.columns);
  work.tile_columns = (columns + work.columns - 1) / work.columns;
  work.tile_rows = (rows + work.rows - 1) / work.rows;
  work.tiles = count / (rows * columns) * work.tile_rows * work.tile_columns;
  size_t per_item = SM_BLOCK / (work.rows * work.columns);
  work.tiles_per_item = per_item < 1 ? 1 : per_item;
  sm_parallel((work.tiles + work.tiles_per_item - 1) / work.tiles_per_item, count, tile_item, &work);
}

void sm_strided_copy(void *to, const void *from, size_t bytes, const sm_strided *axes) { run(to, from, bytes, axes); }

void sm_strided_add(real *to, const real *from, const sm_strided *axes) { run(to, from, 0, axes); }
