/* The filter gradient of core/conv/direct.c. */
#include <string.h>

#include "core/conv/direct.h"
#include "core/conv/reading.h"
#include "core/tile.h"

enum {
  BAND_BYTES = 48 * 1024, /* source rows and gy of a band: they stay in the cache next to the first */
  SUM_BYTES = 256 * 1024, /* of gw: so much may be summed side by side */
  CHUNK_POSITIONS = 64,   /* positions that are worth a chunk's own sum for one panel, */
  ALL_POSITIONS = 256,    /* or for all */
  ITEMS = SM_BATCH_CHUNKS /* work for threads to share: at least so many items, if there are rows */
};

/* Work is cut into chunks of rows of positions, counted through the whole batch, times parts of the panels: all of
   them, which reads gy and the source in one go, or single ones where their sums would not stay in the cache or rows
   are few. Each item sums its rows into its chunk's share of gw and of gbias. The shares are added in the chunks'
   order.
   Panels are of filters, and a share is (patch, panel width) for each. Where filters would not fill their vectors, but
   channels do, panels are of channels, and a share is (taps, filters, panel width) for each. */
typedef struct cutting {
  bool turned;
  size_t width;                 /* of all panels: filters or channels */
  size_t rows, chunks, parts;
  size_t gw_bytes, gbias_bytes; /* per chunk */
  size_t gy_bytes, band_bytes;  /* per thread: gy of a band, where vectors are partly idle; source rows */
} cutting;

/* A tap's channels are whole vectors. */
static bool is_turned(const sm_reading *read, size_t filters) {
  return read->apart && filters % SM_VECTOR && read->channels && read->channels % SM_VECTOR == 0;
}

static sm_reading filter_reading(const sm_conv2d *conv) {
  sm_reading read = sm_reading_of(conv);
  size_t filters = sm_conv2d_group_filters(conv);
  size_t row = (read.line * read.stride + read.columns * sm_rounded(filters)) * sizeof(real);
  read.band = sm_larger(sm_smaller(BAND_BYTES / sm_larger(row, 1), read.rows), 1);
  return read;
}

static cutting cutting_of(const sm_reading *read, size_t filters) {
  size_t patch = sm_reading_patch(read);
  cutting cut = {.turned = is_turned(read, filters), .rows = read->batch * read->rows};
  cut.width = cut.turned ? read->channels : filters;
  size_t panels = sm_panels_of(cut.width), positions = cut.rows * read->columns;
  cut.gw_bytes = sm_aligned((cut.turned ? filters : sm_rounded(filters)) * patch * sizeof(real));
  bool at_once = panels <= 1 || (cut.gw_bytes <= SUM_BYTES && positions / ALL_POSITIONS >= ITEMS);
  cut.parts = at_once ? sm_smaller(panels, 1) : panels;
  size_t sharing = sm_quotient_up(ITEMS, sm_larger(cut.parts, 1));
  cut.chunks = sm_larger(sm_smaller(sm_smaller(sharing, positions / CHUNK_POSITIONS), cut.rows), 1);
  cut.gbias_bytes = sm_aligned(sm_rounded(filters) * sizeof(double));
  bool idle = filters % SM_VECTOR && !cut.turned;
  cut.gy_bytes = idle ? sm_aligned(read->band * read->columns * SM_PANEL * sizeof(real)) : 0;
  cut.band_bytes = sm_reading_band_bytes(read);
  return cut;
}

size_t sm_conv_direct_backward_filter_scratch(const sm_conv2d *conv) {
  sm_reading read = filter_reading(conv);
  cutting cut = cutting_of(&read, sm_conv2d_group_filters(conv));
  return sm_reading_seen_bytes(&read) + cut.chunks * (cut.gw_bytes + cut.gbias_bytes) +
         sm_workers(cut.chunks * cut.parts) * (cut.gy_bytes + cut.band_bytes);
}

/* sum += gy (pixels, step)[…, count], in a fixed order; sum has room for whole vectors. */
static void add_pixels(double *sum, const real *gy, size_t step, size_t pixels, size_t count) {
  enum { PARTS = 4 };
  for (size_t j = 0; j < count; j += SM_VECTOR) {
    size_t lanes = sm_smaller(count - j, SM_VECTOR);
    sm_vector part[PARTS] = {{0}};
    size_t i = 0;
    for (; i + PARTS <= pixels; i += PARTS) {
      for (size_t k = 0; k < PARTS; k++) part[k] += sm_vector_load(gy + (i + k) * step + j, lanes);
    }
    for (; i < pixels; i++) part[0] += sm_vector_load(gy + i * step + j, lanes);
    sm_vector total = (part[0] + part[1]) + (part[2] + part[3]);
    for (size_t k = 0; k < SM_VECTOR; k++) sum[j + k] += (double)total[k];
  }
}

/* gw (kernel height, kernel width, channels, panel width), or (…, filters, panel width) where turned, = or += the
   products of source pixels and gy (rows, columns, gy_step) over some rows of positions. */
static void add_products(real *gw, const sm_source *from, const real *gy, size_t gy_step, sm_range rows,
                         bool add, const sm_range *seen, const sm_panel *at, const sm_reading *read,
                         size_t turned_filters) {
  bool turned = turned_filters > 0;
  size_t high = turned ? turned_filters : read->run;
  size_t pixel_step = read->stride_across * read->pixel, pixel_run = read->stride * read->line;
  size_t gy_run = read->columns * gy_step;
  sm_tile tile = {.out_step = at->width,
                  .start_step = at->width,
                  .a_step = turned ? gy_step : pixel_step,
                  .b_step = turned ? pixel_step : gy_step,
                  .a_run = turned ? gy_run : pixel_run,
                  .b_run = turned ? pixel_run : gy_run,
                  .blocks = 1};
  for (size_t ky = 0; ky < read->kernel_height; ky++) {
    sm_range part = sm_overlap(sm_reading_rows_seen(read, ky), rows);
    tile.runs = part.last - part.first;
    for (size_t group = 0; group < read->groups; group++, gw += high * at->width) {
      tile.terms = seen[group].last - seen[group].first;
      bool any = tile.runs && tile.terms;
      if (!any) tile.terms = 0;
      size_t line = (size_t)((ptrdiff_t)(part.first * read->stride + ky * read->dilation) - read->top);
      const real *pixel = any ? sm_source_pixel(from, line, seen[group].first, group, read) : from->lines;
      const real *given = any ? gy + ((part.first - rows.first) * read->columns + seen[group].first) * gy_step : gy;
      tile.out = gw;
      tile.start = add ? gw : NULL;
      tile.a = turned ? given : pixel;
      tile.b = turned ? pixel + at->first : given;
      sm_tile_multiply(&tile, high, at->width, true);
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

/* A band of some rows of an image, and a thread's memory for it. */
typedef struct band {
  size_t row, count; /* of positions, through the whole batch */
  sm_source from;
  real *gy;
  bool first;        /* of its chunk */
} band;

/* gw and, unless NULL, gbias = or += the sums over a band for one panel. */
static void sum_panel(real *gw, double *gbias, const band *over, const gradient *of, const sm_panel *at) {
  const sm_reading *read = of->read;
  const cutting *cut = of->cut;
  size_t step = of->step, pixels = over->count * read->columns, y = over->row % read->rows;
  const real *gy = of->gy + over->row * read->columns * step + (cut->turned ? 0 : at->first);
  if (!cut->turned && at->count < at->width) {
    for (size_t i = 0; i < pixels; i++) sm_copy_padded(over->gy + i * at->width, gy + i * step, at);
    gy = over->gy;
    step = at->width;
  }
  add_products(gw, &over->from, gy, step, (sm_range){y, y + over->count}, !over->first, of->seen, at, read,
               cut->turned ? of->filters : 0);
  if (gbias && !cut->turned) add_pixels(gbias + at->first, gy, step, pixels, at->width);
  if (gbias && cut->turned && at->first == 0) add_pixels(gbias, gy, step, pixels, of->filters);
}

/* Numbers of a share before those of a panel. */
static size_t before_panel(const gradient *of, const sm_panel *at) {
  size_t patch = sm_reading_patch(of->read);
  return of->cut->turned ? at->first * (patch / of->read->channels * of->filters) : at->first * patch;
}

/* One part of the panels of one chunk. */
static void sum_item(const void *work, size_t item) {
  const gradient *of = work;
  const cutting *cut = of->cut;
  const sm_reading *read = of->read;
  size_t chunk = item / cut->parts;
  sm_range panels = sm_chunk(sm_panels_of(cut->width), cut->parts, item % cut->parts);
  char *own = of->bands + (size_t)sm_thread_index() * (cut->gy_bytes + cut->band_bytes);
  real *lines = (real *)(own + cut->gy_bytes);
  real *gw = (real *)(of->gw_shares + chunk * cut->gw_bytes);
  double *gbias = of->gbias_shares ? (double *)(of->gbias_shares + chunk * cut->gbias_bytes) : NULL;
  sm_range rows = sm_chunk(cut->rows, cut->chunks, chunk);
  size_t first = cut->turned ? 0 : panels.first * SM_PANEL, last = sm_rounded(of->filters);
  if (!cut->turned) last = sm_smaller(panels.last * SM_PANEL, last);
  for (size_t j = first; j < last && gbias && (!cut->turned || panels.first == 0); j++) gbias[j] = 0;
  for (size_t row = rows.first, count; row < rows.last; row += count) {
    count = sm_smaller(sm_smaller(read->band, read->rows - row % read->rows), rows.last - row);
    size_t y = row % read->rows;
    const band over = {row, count, sm_source_of(lines, of->x, row / read->rows, y, count, read), (real *)own,
                       row == rows.first};
    for (size_t p = panels.first; p < panels.last; p++) {
      sm_panel at = sm_panel_of(cut->width, p);
      sum_panel(gw + before_panel(of, &at), gbias, &over, of, &at);
    }
  }
}

/* One filter element of gw, for all filters, from the chunks' shares. */
static void add_shares(const void *work, size_t line) {
  const gradient *of = work;
  const cutting *cut = of->cut;
  real *out = of->gw + line * of->step;
  if (cut->turned) {
    size_t channel = line % of->read->channels, tap = line / of->read->channels;
    sm_panel at = sm_panel_of(cut->width, channel / SM_PANEL);
    size_t from = before_panel(of, &at) + tap * of->filters * at.width + channel - at.first;
    for (size_t f = 0; f < of->filters; f++, from += at.width) {
      out[f] = ((real *)of->gw_shares)[from];
      for (size_t chunk = 1; chunk < cut->chunks; chunk++)
        out[f] += ((real *)(of->gw_shares + chunk * cut->gw_bytes))[from];
    }
    return;
  }
  for (size_t p = 0; p < sm_panels_of(of->filters); p++, out += SM_PANEL) {
    sm_panel at = sm_panel_of(of->filters, p);
    size_t from = before_panel(of, &at) + line * at.width;
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
    sm_compute(cut.chunks * cut.parts, SM_LARGE, sum_item, &of);
    sm_compute(patch, patch * filters, add_shares, &of);
    for (size_t j = 0; j < filters && gbias; j++) {
      double sum = 0;
      for (size_t chunk = 0; chunk < cut.chunks; chunk++) {
        sum += ((double *)(gbias_shares + chunk * cut.gbias_bytes))[j];
      }
      gbias[first + j] = (real)sum;
    }
  }
}
