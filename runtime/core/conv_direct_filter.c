/* The filter gradient of core/conv_direct.h. */
#include <string.h>

#include "core/conv_direct.h"
#include "core/conv_reading.h"
#include "core/tile.h"

enum {
  BAND_BYTES = 28 * 1024, /* source rows and gy of a band: they stay in the first-level cache */
  CHUNK_POSITIONS = 64,   /* positions that are worth a chunk's own sum */
  ITEMS = SM_BATCH_CHUNKS /* work for threads to share: at least so many items, if there are rows */
};

/* Work is cut into chunks of rows of positions, counted through the whole batch, times panels of filters.
   Each item sums its rows into its chunk's part of gw, (patch, panel width) for each panel, and of gbias. The
   parts are added in the chunks' order. */
typedef struct cut {
  size_t rows, chunks, panels;
  size_t gw_bytes, gbias_bytes; /* per chunk */
  size_t gy_bytes, band_bytes;  /* per worker: gy of a band, where vectors are partly idle; source rows */
} cut;

static sm_reading filter_reading(const sm_conv2d *conv) {
  sm_reading read = sm_reading_of(conv);
  size_t row = (read.line * read.stride + read.columns * SM_PANEL) * sizeof(real);
  read.band = sm_larger(sm_smaller(BAND_BYTES / sm_larger(row, 1), read.rows), 1);
  return read;
}

static cut cut_of(const sm_reading *read, size_t filters) {
  cut work = {.rows = read->batch * read->rows, .panels = sm_panels_of(filters)};
  size_t sharing = sm_quotient_up(ITEMS, sm_larger(work.panels, 1));
  size_t worthwhile = work.rows * read->columns / CHUNK_POSITIONS;
  work.chunks = sm_larger(sm_smaller(sm_smaller(sharing, worthwhile), work.rows), 1);
  work.gw_bytes = sm_aligned(sm_rounded(filters) * sm_reading_patch(read) * sizeof(real));
  work.gbias_bytes = sm_aligned(sm_rounded(filters) * sizeof(double));
  work.gy_bytes = filters % SM_VECTOR ? sm_aligned(read->band * read->columns * SM_PANEL * sizeof(real)) : 0;
  work.band_bytes = sm_reading_band_bytes(read);
  return work;
}

size_t sm_conv_direct_backward_filter_scratch(const sm_conv2d *conv) {
  sm_reading read = filter_reading(conv);
  cut work = cut_of(&read, conv->filters);
  return sm_reading_seen_bytes(&read) + work.chunks * (work.gw_bytes + work.gbias_bytes) +
         (size_t)sm_thread_count() * (work.gy_bytes + work.band_bytes);
}

/* sum (width) += gy (pixels, step)[…, width], in a fixed order. */
static void add_pixels(double *sum, const real *gy, size_t step, size_t pixels, size_t width) {
  enum { PARTS = 4 };
  for (size_t j = 0; j < width; j += SM_VECTOR) {
    sm_vector part[PARTS] = {{0}};
    size_t i = 0;
    for (; i + PARTS <= pixels; i += PARTS) {
      for (size_t k = 0; k < PARTS; k++) part[k] += *(const sm_vector *)(gy + (i + k) * step + j);
    }
    for (; i < pixels; i++) part[0] += *(const sm_vector *)(gy + i * step + j);
    sm_vector total = (part[0] + part[1]) + (part[2] + part[3]);
    for (size_t k = 0; k < SM_VECTOR; k++) sum[j + k] += (double)total[k];
  }
}

/* gw (kernel height, kernel width, channels, panel width) = or += the products of source pixels and
   gy (rows, columns, gy_step) over some rows of positions. */
static void add_products(real *gw, const sm_source *from, const real *gy, size_t gy_step, sm_range rows,
                         bool add, const sm_range *seen, const sm_panel *at, const sm_reading *read) {
  sm_tile tile = {.out_step = at->width,
                  .start_step = at->width,
                  .a_step = read->stride * read->channels,
                  .b_step = gy_step,
                  .a_run = read->stride * read->line,
                  .b_run = read->columns * gy_step,
                  .blocks = 1};
  for (size_t ky = 0; ky < read->kernel_height; ky++) {
    sm_range part = sm_overlap(sm_reading_rows_seen(read, ky), rows);
    tile.runs = part.last - part.first;
    for (size_t group = 0; group < read->groups; group++, gw += read->run * at->width) {
      tile.terms = seen[group].last - seen[group].first;
      bool any = tile.runs && tile.terms;
      if (!any) tile.terms = 0;
      size_t line = (size_t)((ptrdiff_t)(part.first * read->stride + ky) - read->top);
      const real *pixel = any ? sm_source_pixel(from, line, seen[group].first, group, read) : from->lines;
      tile.b = any ? gy + ((part.first - rows.first) * read->columns + seen[group].first) * gy_step : gy;
      size_t tiles = sm_quotient_up(read->run, SM_TILE_ROWS);
      for (size_t element = 0, count; tiles > 0; tiles--, element += count) {
        count = sm_quotient_up(read->run - element, tiles);
        tile.out = gw + element * at->width;
        tile.start = add ? tile.out : NULL;
        tile.a = pixel + element;
        sm_tile_multiply(&tile, count, at->width, true);
      }
    }
  }
}

/* Arrays of the whole filter gradient. */
typedef struct gradient {
  const real *gy, *x;
  const sm_range *seen;
  size_t filters;
} gradient;

/* gw and, unless NULL, gbias (panel width): the sums over one chunk of rows for one panel of filters. */
static void sum_chunk(real *gw, double *gbias, real *gy_band, real *band, const gradient *of, sm_range rows,
                      const sm_panel *at, const sm_reading *read) {
  for (size_t j = 0; j < at->width && gbias; j++) gbias[j] = 0;
  if (rows.first == rows.last) memset(gw, 0, sm_reading_patch(read) * at->width * sizeof *gw);
  for (size_t row = rows.first, count; row < rows.last; row += count) {
    size_t image = row / read->rows, y = row % read->rows;
    count = sm_smaller(sm_smaller(read->band, read->rows - y), rows.last - row);
    sm_source from = sm_source_of(band, of->x, image, y, count, read);
    const real *gy = of->gy + row * read->columns * of->filters + at->first;
    size_t step = of->filters, pixels = count * read->columns;
    if (at->count < at->width) {
      for (size_t i = 0; i < pixels; i++) sm_copy_padded(gy_band + i * at->width, gy + i * step, at);
      gy = gy_band;
      step = at->width;
    }
    add_products(gw, &from, gy, step, (sm_range){y, y + count}, row != rows.first, of->seen, at, read);
    if (gbias) add_pixels(gbias, gy, step, pixels, at->width);
  }
}

void sm_conv_direct_backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                                    const sm_conv2d *conv) {
  const sm_reading read = filter_reading(conv);
  const cut work = cut_of(&read, conv->filters);
  size_t filters = conv->filters, patch = sm_reading_patch(&read);
  sm_range *seen = scratch;
  char *gw_parts = (char *)scratch + sm_reading_seen_bytes(&read),
       *gbias_parts = gw_parts + work.chunks * work.gw_bytes;
  char *bands = gbias_parts + work.chunks * work.gbias_bytes;
  sm_reading_find_seen(seen, &read);
  const gradient of = {gy, x, seen, filters};
  long items = (long)(work.chunks * work.panels);
#pragma omp parallel for schedule(static)
  for (long item = 0; item < items; item++) {
    size_t chunk = (size_t)item / work.panels;
    sm_panel at = sm_panel_of(filters, (size_t)item % work.panels);
    char *own = bands + (size_t)sm_thread_index() * (work.gy_bytes + work.band_bytes);
    sum_chunk((real *)(gw_parts + chunk * work.gw_bytes) + at.first * patch,
              gbias ? (double *)(gbias_parts + chunk * work.gbias_bytes) + at.first : NULL, (real *)own,
              (real *)(own + work.gy_bytes), &of, sm_chunk(work.rows, (int)work.chunks, (int)chunk), &at,
              &read);
  }

  long lines = (long)patch;
#pragma omp parallel for schedule(static) if (patch * filters > SM_BLOCK)
  for (long line = 0; line < lines; line++) {
    for (size_t p = 0; p < work.panels; p++) {
      sm_panel at = sm_panel_of(filters, p);
      real *out = gw + (size_t)line * filters + at.first;
      size_t from = at.first * patch + (size_t)line * at.width;
      memcpy(out, (real *)gw_parts + from, at.count * sizeof *out);
      for (size_t chunk = 1; chunk < work.chunks; chunk++) {
        const real *part = (real *)(gw_parts + chunk * work.gw_bytes) + from;
        for (size_t j = 0; j < at.count; j++) out[j] += part[j];
      }
    }
  }
  for (size_t j = 0; j < filters && gbias; j++) {
    double sum = 0;
    for (size_t chunk = 0; chunk < work.chunks; chunk++) {
      sum += ((double *)(gbias_parts + chunk * work.gbias_bytes))[j];
    }
    gbias[j] = (real)sum;
  }
}
