/* The filter gradient of core/conv/direct.c. */
#include <string.h>

#include "core/conv/direct.h"
#include "core/conv/reading.h"
#include "core/tile.h"

enum {
  BAND_BYTES = 28 * 1024, /* source rows and gy of a band: they stay in the first-level cache */
  SUM_BYTES = 16 * 1024,  /* of gw: so much may be summed side by side */
  CHUNK_POSITIONS = 64,   /* positions that are worth a chunk's own sum */
  ITEMS = SM_BATCH_CHUNKS /* work for threads to share: at least so many items, if there are rows */
};

/* Work is cut into chunks of rows of positions, counted through the whole batch, times parts of the panels of filters:
   all of them, which reads gy and the source in one go, or single ones where their sums would not stay in the cache.
   Each item sums its rows into its chunk's share of gw, (patch, panel width) for each panel, and of gbias. The shares
   are added in the chunks' order. */
typedef struct cutting {
  size_t rows, chunks, parts;
  size_t gw_bytes, gbias_bytes; /* per chunk */
  size_t gy_bytes, band_bytes;  /* per thread: gy of a band, where vectors are partly idle; source rows */
} cutting;

static bool sums_fit(const sm_reading *read, size_t filters) {
  return sm_rounded(filters) * sm_reading_patch(read) * sizeof(real) <= SUM_BYTES;
}

static sm_reading filter_reading(const sm_conv2d *conv) {
  sm_reading read = sm_reading_of(conv);
  size_t own = sm_conv2d_group_filters(conv), filters = sums_fit(&read, own) ? sm_rounded(own) : SM_PANEL;
  size_t row = (read.line * read.stride + read.columns * filters) * sizeof(real);
  read.band = sm_larger(sm_smaller(BAND_BYTES / sm_larger(row, 1), read.rows), 1);
  return read;
}

static cutting cutting_of(const sm_reading *read, size_t filters) {
  size_t panels = sm_panels_of(filters);
  cutting cut = {.rows = read->batch * read->rows,
                 .parts = sums_fit(read, filters) ? sm_smaller(panels, 1) : panels};
  size_t sharing = sm_quotient_up(ITEMS, sm_larger(cut.parts, 1));
  size_t worthwhile = cut.rows * read->columns / CHUNK_POSITIONS;
  cut.chunks = sm_larger(sm_smaller(sm_smaller(sharing, worthwhile), cut.rows), 1);
  cut.gw_bytes = sm_aligned(sm_rounded(filters) * sm_reading_patch(read) * sizeof(real));
  cut.gbias_bytes = sm_aligned(sm_rounded(filters) * sizeof(double));
  cut.gy_bytes = filters % SM_VECTOR ? sm_aligned(read->band * read->columns * SM_PANEL * sizeof(real)) : 0;
  cut.band_bytes = sm_reading_band_bytes(read);
  return cut;
}

size_t sm_conv_direct_backward_filter_scratch(const sm_conv2d *conv) {
  sm_reading read = filter_reading(conv);
  cutting cut = cutting_of(&read, sm_conv2d_group_filters(conv));
  return sm_reading_seen_bytes(&read) + cut.chunks * (cut.gw_bytes + cut.gbias_bytes) +
         sm_workers(cut.chunks * cut.parts) * (cut.gy_bytes + cut.band_bytes);
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
                  .a_step = read->stride_across * read->pixel,
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
      size_t line = (size_t)((ptrdiff_t)(part.first * read->stride + ky * read->dilation) - read->top);
      const real *pixel = any ? sm_source_pixel(from, line, seen[group].first, group, read) : from->lines;
      tile.b = any ? gy + ((part.first - rows.first) * read->columns + seen[group].first) * gy_step : gy;
      tile.out = gw;
      tile.start = add ? gw : NULL;
      tile.a = pixel;
      sm_tile_multiply(&tile, read->run, at->width, true);
    }
  }
}

/* What the items share. */
typedef struct gradient {
  real *gw;
  const real *gy, *x;
  const sm_range *seen;
  size_t filters, step; /* of a group, and from a pixel of gy, or an element of gw, to the next */
  const sm_reading *read;
  const cutting *cut;
  char *gw_shares, *gbias_shares; /* the chunks'; gbias_shares NULL: no gbias */
  char *bands;                    /* the threads' */
} gradient;

/* gw and, unless NULL, gbias (panel width) = or += the sums over some rows of an image for one panel of filters. */
static void sum_panel(real *gw, double *gbias, real *gy_band, const sm_source *from, const gradient *of,
                      size_t row, size_t count, bool add, const sm_panel *at) {
  const sm_reading *read = of->read;
  const real *gy = of->gy + row * read->columns * of->step + at->first;
  size_t step = of->step, pixels = count * read->columns, y = row % read->rows;
  if (at->count < at->width) {
    for (size_t i = 0; i < pixels; i++) sm_copy_padded(gy_band + i * at->width, gy + i * step, at);
    gy = gy_band;
    step = at->width;
  }
  add_products(gw, from, gy, step, (sm_range){y, y + count}, add, of->seen, at, read);
  if (gbias) add_pixels(gbias, gy, step, pixels, at->width);
}

/* One part of the panels of one chunk. */
static void sum_item(const void *work, size_t item) {
  const gradient *of = work;
  const cutting *cut = of->cut;
  const sm_reading *read = of->read;
  size_t chunk = item / cut->parts, patch = sm_reading_patch(read), filters = sm_rounded(of->filters);
  sm_range panels = sm_chunk(sm_panels_of(of->filters), cut->parts, item % cut->parts);
  char *own = of->bands + (size_t)sm_thread_index() * (cut->gy_bytes + cut->band_bytes);
  real *gy_band = (real *)own, *band = (real *)(own + cut->gy_bytes);
  real *gw = (real *)(of->gw_shares + chunk * cut->gw_bytes);
  double *gbias = of->gbias_shares ? (double *)(of->gbias_shares + chunk * cut->gbias_bytes) : NULL;
  sm_range rows = sm_chunk(cut->rows, cut->chunks, chunk);
  size_t first = panels.first * SM_PANEL, last = sm_smaller(panels.last * SM_PANEL, filters);
  for (size_t j = first; j < last && gbias; j++) gbias[j] = 0;
  if (rows.first == rows.last) memset(gw + first * patch, 0, (last - first) * patch * sizeof *gw);
  for (size_t row = rows.first, count; row < rows.last; row += count) {
    count = sm_smaller(sm_smaller(read->band, read->rows - row % read->rows), rows.last - row);
    sm_source from = sm_source_of(band, of->x, row / read->rows, row % read->rows, count, read);
    for (size_t p = panels.first; p < panels.last; p++) {
      sm_panel at = sm_panel_of(of->filters, p);
      sum_panel(gw + at.first * patch, gbias ? gbias + at.first : NULL, gy_band, &from, of, row, count,
                row != rows.first, &at);
    }
  }
}

/* One filter element of gw, for all filters, from the chunks' shares. */
static void add_shares(const void *work, size_t line) {
  const gradient *of = work;
  const cutting *cut = of->cut;
  size_t patch = sm_reading_patch(of->read);
  for (size_t p = 0; p < sm_panels_of(of->filters); p++) {
    sm_panel at = sm_panel_of(of->filters, p);
    real *out = of->gw + line * of->step + at.first;
    size_t from = at.first * patch + line * at.width;
    memcpy(out, (real *)of->gw_shares + from, at.count * sizeof *out);
    for (size_t chunk = 1; chunk < cut->chunks; chunk++) {
      const real *share = (real *)(of->gw_shares + chunk * cut->gw_bytes) + from;
      for (size_t j = 0; j < at.count; j++) out[j] += share[j];
    }
  }
}

void sm_conv_direct_backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                                    const sm_conv2d *conv) {
  const sm_reading read = filter_reading(conv);
  size_t filters = sm_conv2d_group_filters(conv), patch = sm_reading_patch(&read);
  const cutting cut = cutting_of(&read, filters);
  sm_range *seen = scratch;
  char *gw_shares = (char *)scratch + sm_reading_seen_bytes(&read),
       *gbias_shares = gw_shares + cut.chunks * cut.gw_bytes;
  sm_reading_find_seen(seen, &read);
  for (size_t group = 0; group < conv->groups; group++) {
    size_t first = group * filters;
    const gradient of = {.gw = gw + first,
                         .gy = gy + first,
                         .x = x + group * read.channels,
                         .seen = seen,
                         .filters = filters,
                         .step = conv->filters,
                         .read = &read,
                         .cut = &cut,
                         .gw_shares = gw_shares,
                         .gbias_shares = gbias ? gbias_shares : NULL,
                         .bands = gbias_shares + cut.chunks * cut.gbias_bytes};
    sm_parallel(cut.chunks * cut.parts, SM_LARGE, sum_item, &of);
    sm_parallel(patch, patch * filters, add_shares, &of);
    for (size_t j = 0; j < filters && gbias; j++) {
      double sum = 0;
      for (size_t chunk = 0; chunk < cut.chunks; chunk++) {
        sum += ((double *)(gbias_shares + chunk * cut.gbias_bytes))[j];
      }
      gbias[first + j] = (real)sum;
    }
  }
}
