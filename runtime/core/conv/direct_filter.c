/* The filter gradient of core/conv/direct.c. */
#include <string.h>

#include "core/conv/direct.h"
#include "core/conv/reading.h"
#include "core/tile.h"

enum {
  BAND_BYTES = 48 * 1024, /* source rows and gy of a band: they stay in the cache next to the first */
  SUM_BYTES = 256 * 1024, /* of gw: so much may be summed side by side */
  CHUNK_POSITIONS = 64,   /* positions that are worth a chunk's own sum for one panel, */
  ALL_POSITIONS = 256     /* or for all */
};

/* Work is cut into the chunks of all parts times groups of panels: all of them, which reads gy and the source in one
   go, or single ones where their sums would not stay in the cache or rows are few. Each item sums its rows in memory of
   its thread's own.
   Panels are of filters, and their sums are (patch, panel width) each. Where filters would not fill their vectors, but
   channels do, panels are of channels, and their sums are (taps, filters, panel width). */
typedef struct cutting {
  bool turned;
  size_t width, groups; /* of all panels: filters or channels; of panels */
  size_t height;        /* of a panel's sums */
  size_t gy_bytes, band_bytes, gw_bytes, gbias_bytes; /* a thread's: gy of a band, where vectors are partly idle; source
                                                         rows; the sums of a group */
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

static size_t part_positions(const sm_reading *read, const sm_conv2d *conv) {
  return sm_conv_part_images(conv) * read->rows * read->columns;
}

static cutting cutting_of(const sm_reading *read, const sm_conv2d *conv) {
  size_t patch = sm_reading_patch(read), filters = sm_conv2d_group_filters(conv);
  cutting cut = {.turned = is_turned(read, filters)};
  cut.width = cut.turned ? read->channels : filters;
  cut.height = cut.turned ? patch / read->channels * filters : patch;
  size_t panels = sm_panels_of(cut.width), all_bytes = sm_aligned(cut.height * sm_rounded(cut.width) * sizeof(real));
  bool many = part_positions(read, conv) / ALL_POSITIONS >= SM_CONV_CHUNKS;
  bool at_once = panels <= 1 || (all_bytes <= SUM_BYTES && many);
  cut.groups = at_once ? sm_smaller(panels, 1) : panels;
  cut.gw_bytes = at_once ? all_bytes : sm_aligned(cut.height * SM_PANEL * sizeof(real));
  cut.gbias_bytes = sm_aligned(sm_rounded(filters) * sizeof(double));
  bool idle = filters % SM_VECTOR && !cut.turned;
  cut.gy_bytes = idle ? sm_aligned(read->band * read->columns * SM_PANEL * sizeof(real)) : 0;
  cut.band_bytes = sm_reading_band_bytes(read);
  return cut;
}

size_t sm_conv_direct_chunks(const sm_conv2d *conv) {
  sm_reading read = filter_reading(conv);
  cutting cut = cutting_of(&read, conv);
  size_t positions = part_positions(&read, conv), rows = sm_conv_part_images(conv) * read.rows;
  return sm_conv_chunks(sm_quotient_up(SM_CONV_CHUNKS, sm_larger(cut.groups, 1)),
                        sm_smaller(positions / CHUNK_POSITIONS, rows));
}

static size_t own_bytes(const cutting *cut) {
  return cut->gy_bytes + cut->band_bytes + cut->gw_bytes + cut->gbias_bytes;
}

size_t sm_conv_direct_backward_filter_scratch(const sm_conv2d *conv) {
  sm_reading read = filter_reading(conv);
  cutting cut = cutting_of(&read, conv);
  return sm_reading_seen_bytes(&read) + sm_workers(conv->parts * conv->chunks * cut.groups) * own_bytes(&cut);
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
  real *gw, *gbias; /* of the first chunk; gbias may be NULL */
  const real *gy, *x;
  const sm_range *seen;
  size_t filters, step; /* of a group, and from a pixel of gy, or an element of gw, to the next */
  const sm_conv2d *conv;
  const sm_reading *read;
  const cutting *cut;
  char *own; /* the threads' */
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

/* A panel of a chunk's gw, `step` from an element to the next, from its sums. */
static void write_panel(real *gw, const real *sums, const gradient *of, const sm_panel *at) {
  size_t high = of->cut->turned ? of->filters : 1, channels = of->read->channels;
  for (size_t row = 0; row < of->cut->height; row++, sums += at->width) {
    if (!of->cut->turned) memcpy(gw + row * of->step + at->first, sums, at->count * sizeof *gw);
    real *out = gw + (row / high * channels + at->first) * of->step + row % high;
    for (size_t k = 0; k < at->count && of->cut->turned; k++) out[k * of->step] = sums[k];
  }
}

/* One group of the panels of one chunk. */
static void sum_item(const void *work, size_t item) {
  const gradient *of = work;
  const cutting *cut = of->cut;
  const sm_reading *read = of->read;
  size_t share = item / cut->groups, row, count;
  sm_range panels = sm_chunk(sm_panels_of(cut->width), cut->groups, item % cut->groups);
  sm_range rows = sm_conv_share(of->conv, read->rows, share);
  char *own = of->own + (size_t)sm_thread_index() * own_bytes(cut);
  real *lines = (real *)(own + cut->gy_bytes), *gw = (real *)((char *)lines + cut->band_bytes);
  double *gbias = of->gbias && (!cut->turned || panels.first == 0) ? (double *)((char *)gw + cut->gw_bytes) : NULL;
  size_t before = panels.first * SM_PANEL;
  if (gbias) memset(gbias, 0, cut->gbias_bytes);
  row = rows.first;
  do { /* once at least, for the sums of no rows are zeros */
    count = sm_smaller(sm_smaller(read->band, read->rows - row % read->rows), rows.last - row);
    size_t y = row % read->rows;
    const band over = {row, count, sm_source_of(lines, of->x, row / read->rows, y, count, read), (real *)own,
                       row == rows.first};
    for (size_t p = panels.first; p < panels.last; p++) {
      sm_panel at = sm_panel_of(cut->width, p);
      sum_panel(gw + (at.first - before) * cut->height, gbias, &over, of, &at);
    }
    row += count;
  } while (row < rows.last);
  real *share_gw = of->gw + share * sm_reading_patch(read) * of->step;
  for (size_t p = panels.first; p < panels.last; p++) {
    sm_panel at = sm_panel_of(cut->width, p);
    write_panel(share_gw, gw + (at.first - before) * cut->height, of, &at);
  }
  size_t last = cut->turned ? of->filters : sm_smaller(panels.last * SM_PANEL, of->filters);
  for (size_t j = cut->turned ? 0 : before; j < last && gbias; j++) of->gbias[share * of->step + j] = (real)gbias[j];
}

void sm_conv_direct_backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                                    const sm_conv2d *conv) {
  const sm_reading read = filter_reading(conv);
  const cutting cut = cutting_of(&read, conv);
  size_t filters = sm_conv2d_group_filters(conv);
  sm_range *seen = scratch;
  sm_reading_find_seen(seen, &read);
  for (size_t group = 0; group < conv->groups; group++) {
    size_t first = group * filters;
    const gradient of = {.gw = gw + first,
                         .gbias = gbias ? gbias + first : NULL,
                         .gy = gy + first,
                         .x = x + group * read.channels,
                         .seen = seen,
                         .filters = filters,
                         .step = conv->filters,
                         .conv = conv,
                         .read = &read,
                         .cut = &cut,
                         .own = (char *)scratch + sm_reading_seen_bytes(&read)};
    sm_compute(conv->parts * conv->chunks * cut.groups, SM_LARGE, sum_item, &of);
  }
}
