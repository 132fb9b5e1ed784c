#include "core/parts.h"
#include "core/reduce_tile.h"

/* Sums over the rows of some neighbouring columns: of every part, each by chunks. */
typedef struct summing {
  double (*partial)[SM_COLUMNS]; /* (parts, chunks) */
  const real *x;
  size_t rows, width, stride, parts, chunks;
} summing;

static void sum_item(const void *work, size_t item) {
  const summing *of = work;
  const sm_range part = sm_part(of->rows, of->parts, item / of->chunks);
  const sm_range chunk = sm_chunk(part.last - part.first, of->chunks, item % of->chunks);
  sm_sum_rows(of->partial[item], of->x + (part.first + chunk.first) * of->stride, chunk.last - chunk.first, of->width,
              of->stride);
}

/* The first chunk of each part becomes its sum. */
static void add_chunks(const summing *of) {
  for (size_t part = 0; part < of->parts; part++) {
    double(*sums)[SM_COLUMNS] = of->partial + part * of->chunks;
    for (size_t chunk = 1; chunk < of->chunks; chunk++) {
      for (size_t i = 0; i < of->width; i++) sums[0][i] += sums[chunk][i];
    }
  }
}

enum { MOST = SM_PARTS /* parts times chunks, which are fewer where they are several */ };

/* How many chunks a part is cut into, by the batch of all ranks. */
static size_t chunks_of(size_t rows, size_t width) {
  const sm_parts now = sm_parts_now();
  const size_t chunks = sm_partial_chunks(sm_all_rows(rows), width) / (now.parts * now.ranks);
  return chunks < 1 ? 1 : chunks;
}

typedef struct columns {
  real *out;
  const real *x;
  size_t rows, width, tiles;
} columns;

/* The sums of one tile of columns, by the threads or by this one. */
static void sum_columns(const columns *of, size_t tile, bool shared) {
  double partial[MOST][SM_COLUMNS];
  real sums[SM_PARTS * SM_COLUMNS];
  const sm_range range = sm_chunk(of->width, of->tiles, tile);
  const summing work = {partial, of->x + range.first, of->rows, range.last - range.first, of->width,
                        sm_parts_now().parts, chunks_of(of->rows, of->width)};
  const size_t items = work.parts * work.chunks;
  if (shared) sm_parallel(items, of->rows * work.width, sum_item, &work);
  for (size_t item = 0; item < items && !shared; item++) sum_item(&work, item);
  add_chunks(&work);
  for (size_t part = 0; part < work.parts; part++) {
    for (size_t i = 0; i < work.width; i++) sums[part * work.width + i] = (real)partial[part * work.chunks][i];
  }
  sm_add_parts(sums, work.parts, work.width);
  for (size_t i = 0; i < work.width; i++) of->out[range.first + i] = sums[i];
}

static void sum_tile(const void *work, size_t tile) { sum_columns(work, tile, false); }

void sm_sum_batch(real *out, const real *x, size_t rows, size_t width) {
  const columns work = {out, x, rows, width, (width + SM_COLUMNS - 1) / SM_COLUMNS};
  if (work.tiles < SM_BATCH_CHUNKS) {
    for (size_t tile = 0; tile < work.tiles; tile++) sum_columns(&work, tile, true);
  } else {
    sm_parallel(work.tiles, rows * width, sum_tile, &work);
  }
}

double sm_sum_all(const real *x, size_t n) {
  double partial[MOST][SM_COLUMNS], sums[SM_PARTS];
  const summing work = {partial, x, n, 1, 1, sm_parts_now().parts, chunks_of(n, 1)};
  sm_parallel(work.parts * work.chunks, n, sum_item, &work);
  add_chunks(&work);
  for (size_t part = 0; part < work.parts; part++) sums[part] = partial[part * work.chunks][0];
  sm_add_parts_double(sums, work.parts, 1);
  return sums[0];
}
