#include "core/conv_direct.h"

#include <string.h>

#include "core/conv_tile.h"
#include "core/parallel.h"

/* ---- reading ---- */

/* A convolution that a pass reads: window positions over source images. Forward and the filter gradient read
   the convolution itself; the data gradient reads one over gy.
   Rows of padding are left out of the sums. So are columns where the images have channels enough that each
   column of the kernel is worth a sum of its own; else a row of the kernel is one run of memory, and source
   rows are copied with their padding where a window reaches beyond them. */
typedef struct reading {
  size_t batch, height, width, channels; /* source images */
  ptrdiff_t top, left;                   /* padding before the image; negative: pixels that no window sees */
  size_t kernel_height, kernel_width, stride;
  size_t rows, columns; /* window positions */
  bool apart;           /* kernel columns are taken one by one, those that see padding left out */
  size_t groups;        /* of kernel columns: each apart, or all in one */
  size_t run;           /* elements of a group */
  bool padded;          /* source rows are copied with their padding */
  size_t line;          /* elements of a source row as it is read */
  size_t band;          /* rows of positions that are worked on at a time */
} reading;

enum {
  APART_CHANNELS = 8,                  /* from so many channels on, kernel columns are taken one by one */
  BAND_BYTES = 64 * 1024,              /* source rows of a band */
  GRADIENT_BAND_BYTES = 28 * 1024,     /* source rows and gy of a band in the filter gradient */
  ITEMS = SM_BATCH_CHUNKS              /* work for threads to share: at least so many items, if there are rows */
};

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
static size_t larger(size_t a, size_t b) { return a > b ? a : b; }
static size_t quotient_up(size_t a, size_t b) { return (a + b - 1) / b; }
static size_t aligned(size_t bytes) { return quotient_up(bytes, SM_ALIGNMENT) * SM_ALIGNMENT; }

/* Source pixels of an axis that `positions` windows span. */
static size_t span(size_t positions, size_t stride, size_t kernel) {
  return positions ? (positions - 1) * stride + kernel : 0;
}

/* Fills in what follows from the sizes: groups, run, padded, line and band. */
static void complete(reading *read) {
  size_t columns = span(read->columns, read->stride, read->kernel_width);
  read->apart = read->channels >= APART_CHANNELS;
  read->groups = read->apart ? read->kernel_width : 1;
  read->run = (read->apart ? 1 : read->kernel_width) * read->channels;
  read->padded = !read->apart && (read->left != 0 || columns > read->width);
  read->line = (read->padded ? columns : read->width) * read->channels;
  size_t fitting = BAND_BYTES / (larger(read->line * read->stride, 1) * sizeof(real));
  size_t sharing = quotient_up(read->rows, quotient_up(ITEMS, larger(read->batch, 1)));
  read->band = larger(smaller(fitting, sharing), 1);
}

static reading reading_of(const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  reading read = {.batch = window->batch, .height = window->height, .width = window->width,
                  .channels = window->channels, .top = (ptrdiff_t)window->top, .left = (ptrdiff_t)window->left,
                  .kernel_height = window->kernel_height, .kernel_width = window->kernel_width,
                  .stride = window->stride, .rows = window->out_height, .columns = window->out_width};
  complete(&read);
  return read;
}

static size_t patch_of(const reading *read) {
  return read->kernel_height * read->kernel_width * read->channels;
}

static size_t band_bytes(const reading *read) {
  return read->padded ? aligned(span(read->band, read->stride, read->kernel_height) * read->line * sizeof(real)) : 0;
}

/* The part of `count` pixels from `start` on that lies on an axis of `size` pixels. */
static sm_range on_axis(ptrdiff_t start, size_t count, size_t size) {
  ptrdiff_t n = (ptrdiff_t)count, first = start < 0 ? -start : 0, last = (ptrdiff_t)size - start;
  if (first > n) first = n;
  if (last > n) last = n;
  return (sm_range){(size_t)first, last > first ? (size_t)last : (size_t)first};
}

/* The positions, of `count`, at which kernel element `element` is on an axis of `size` pixels. */
static sm_range positions_on_axis(size_t element, ptrdiff_t padding, size_t stride, size_t count, size_t size) {
  ptrdiff_t start = (ptrdiff_t)element - padding, left = (ptrdiff_t)size - start;
  size_t first = start < 0 ? smaller(quotient_up((size_t)-start, stride), count) : 0;
  size_t last = left > 0 ? smaller(quotient_up((size_t)left, stride), count) : 0;
  return (sm_range){first, larger(first, last)};
}

static size_t seen_bytes(const reading *read) { return aligned(read->groups * sizeof(sm_range)); }

/* seen (groups): the columns of positions at which a group's pixels are in the source rows. */
static void find_seen(sm_range *seen, const reading *read) {
  for (size_t group = 0; group < read->groups; group++) {
    seen[group] = read->apart ? positions_on_axis(group, read->left, read->stride, read->columns, read->width)
                              : (sm_range){0, read->columns};
  }
}

/* Source rows, padding copied or in the image itself. */
typedef struct source {
  const real *lines;
  size_t first; /* the image's row that comes first */
} source;

/* The source rows that the windows of `rows` rows of positions from `row` on see. */
static source source_of(real *band, const real *images, size_t image, size_t row, size_t rows,
                        const reading *read) {
  size_t channels = read->channels, image_line = read->width * channels;
  ptrdiff_t top = (ptrdiff_t)(row * read->stride) - read->top;
  sm_range lines = on_axis(top, span(rows, read->stride, read->kernel_height), read->height);
  if (lines.first == lines.last) return (source){images, 0};
  source from = {.first = (size_t)(top + (ptrdiff_t)lines.first)};
  from.lines = images + (image * read->height + from.first) * image_line;
  if (!read->padded) return from;
  sm_range columns = on_axis(-read->left, read->line / channels, read->width);
  size_t before = columns.first * channels, upto = columns.last * channels;
  for (size_t i = 0; i < lines.last - lines.first; i++) {
    real *out = band + i * read->line;
    memset(out, 0, before * sizeof *out);
    memset(out + upto, 0, (read->line - upto) * sizeof *out);
    if (before == upto) continue;
    memcpy(out + before, from.lines + i * image_line + ((ptrdiff_t)columns.first - read->left) * (ptrdiff_t)channels,
           (upto - before) * sizeof *out);
  }
  from.lines = band;
  return from;
}

/* The pixel (in source row `row`) that a group sees at a column of positions that it is seen at. */
static const real *pixel_of(const source *from, size_t row, size_t column, size_t group, const reading *read) {
  ptrdiff_t left = read->padded ? 0 : read->left;
  ptrdiff_t pixel = (ptrdiff_t)(column * read->stride + group) - left;
  return from->lines + (row - from->first) * read->line + (size_t)pixel * read->channels;
}

/* ---- panels of channels ---- */

/* Channels are computed a panel at a time; the last may be narrower, and its last vector partly idle. */
typedef struct panel {
  size_t first, count; /* channels */
  size_t width;        /* count rounded up to whole vectors */
} panel;

static size_t rounded(size_t channels) { return quotient_up(channels, SM_VECTOR) * SM_VECTOR; }
static size_t panels_of(size_t channels) { return quotient_up(channels, SM_PANEL); }

static panel panel_of(size_t channels, size_t index) {
  size_t first = index * SM_PANEL, count = smaller(SM_PANEL, channels - first);
  return (panel){first, count, rounded(count)};
}

/* out (width) = x (count), then zeros. */
static void copy_padded(real *out, const real *x, const panel *at) {
  memcpy(out, x, at->count * sizeof *out);
  for (size_t j = at->count; j < at->width; j++) out[j] = 0;
}

static void multiply_pixels(const sm_tile *tile, size_t rows, size_t width) {
  if (width == SM_PANEL) sm_tile_of_rows(tile, (int)rows, SM_TILE_VECTORS, false);
  else sm_tile_of_rows(tile, (int)rows, 1, false);
}

static void multiply_filters(const sm_tile *tile, size_t rows, size_t width) {
  if (width == SM_PANEL) sm_tile_of_rows(tile, (int)rows, SM_TILE_VECTORS, true);
  else sm_tile_of_rows(tile, (int)rows, 1, true);
}

/* ---- images from images: forward and the data gradient ---- */

/* Where the sums of `channels` channels go. */
typedef struct writing {
  real *out;
  const real *bias; /* (channels rounded up to whole vectors), or NULL */
  size_t channels;
  size_t image, row, pixel; /* elements from one to the next */
} writing;

static sm_range overlap(sm_range a, sm_range b) {
  size_t first = larger(a.first, b.first);
  return (sm_range){first, larger(first, smaller(a.last, b.last))};
}

/* out = the sums of columns of one row of positions, one panel of channels. *tile holds what all tiles of the
   row share. A group adds to the columns that see it; groups that the same columns see go together. */
static void write_columns(real *out, sm_tile *tile, const real *bias, const real *filters, sm_range columns,
                          const source *from, size_t line, const sm_range *seen, size_t width,
                          const reading *read) {
  size_t pixels = columns.last - columns.first;
  tile->start = bias;
  tile->start_step = 0;
  for (size_t i = 0; i < pixels; i++) {
    for (size_t j = 0; j < width; j += SM_VECTOR) __builtin_prefetch(out + i * tile->out_step + j, 1);
  }
  for (size_t group = 0, next; group < read->groups; group = next) {
    sm_range part = overlap(seen[group], columns);
    for (next = group + 1; next < read->groups; next++) {
      sm_range other = overlap(seen[next], columns);
      if (other.first != part.first || other.last != part.last) break;
    }
    size_t count = part.last - part.first;
    real *sums = out + (part.first - columns.first) * tile->out_step;
    if (group == 0 && count < pixels) {
      tile->out = out;
      tile->blocks = 0;
      multiply_pixels(tile, pixels, width);
    }
    if (group > 0 || count < pixels) {
      tile->start = sums;
      tile->start_step = tile->out_step;
    }
    if (count == 0) continue;
    tile->out = sums;
    tile->a = pixel_of(from, line, part.first, group, read);
    tile->b = filters + group * tile->b_block;
    tile->blocks = next - group;
    multiply_pixels(tile, count, width);
  }
}

/* One row of positions, one panel of channels. */
static void write_row(real *out, const source *from, const real *filters, const sm_range *seen, size_t row,
                      const panel *at, const reading *read, const writing *write) {
  real edge[SM_TILE_ROWS * SM_PANEL];
  bool whole = at->count == at->width;
  ptrdiff_t top = (ptrdiff_t)(row * read->stride) - read->top;
  sm_range lines = on_axis(top, read->kernel_height, read->height);
  size_t runs = lines.last - lines.first, line = runs ? (size_t)(top + (ptrdiff_t)lines.first) : from->first;
  size_t kernel_line = read->kernel_width * read->channels * at->width;
  const real *bias = write->bias ? write->bias + at->first : NULL;
  sm_tile tile = {.out_step = whole ? write->pixel : SM_PANEL,
                  .a_step = read->stride * read->channels, .b_step = at->width,
                  .a_run = read->line, .b_run = kernel_line,
                  .a_block = read->channels, .b_block = read->run * at->width,
                  .runs = runs, .terms = read->run};
  size_t tiles = quotient_up(read->columns, SM_TILE_ROWS), rest = tiles ? read->columns % tiles : 0;
  size_t pixels = tiles ? read->columns / tiles : 0;
  sm_range columns = {0, 0};
  for (size_t i = 0; i < tiles; i++, columns.first = columns.last) {
    columns.last = columns.first + pixels + (i < rest);
    real *to = out + columns.first * write->pixel;
    write_columns(whole ? to : edge, &tile, bias, filters + lines.first * kernel_line, columns, from, line, seen,
                  at->width, read);
    for (size_t j = 0; j < columns.last - columns.first && !whole; j++) {
      memcpy(to + j * write->pixel, edge + j * SM_PANEL, at->count * sizeof *to);
    }
  }
}

/* filters: for each panel (kernel height, kernel width, source channels, panel width). scratch: what
   correlate_bytes says. */
static void correlate(const writing *write, const real *images, const real *filters, char *scratch,
                      const reading *read) {
  size_t panels = panels_of(write->channels), per_image = quotient_up(read->rows, read->band);
  size_t bytes = band_bytes(read), patch = patch_of(read);
  sm_range *seen = (sm_range *)scratch;
  find_seen(seen, read);
  char *bands = scratch + seen_bytes(read);
  long items = (long)(read->batch * per_image);
#pragma omp parallel for schedule(static)
  for (long item = 0; item < items; item++) {
    real *band = (real *)(bands + (size_t)sm_thread_index() * bytes);
    size_t image = (size_t)item / per_image;
    sm_range rows = sm_chunk(read->rows, (int)per_image, (int)((size_t)item % per_image));
    source from = source_of(band, images, image, rows.first, rows.last - rows.first, read);
    for (size_t p = 0; p < panels; p++) {
      panel at = panel_of(write->channels, p);
      for (size_t row = rows.first; row < rows.last; row++) {
        write_row(write->out + image * write->image + row * write->row + at.first, &from,
                  filters + at.first * patch, seen, row, &at, read, write);
      }
    }
  }
}

static size_t correlate_bytes(const reading *read) {
  return seen_bytes(read) + (size_t)sm_thread_count() * band_bytes(read);
}

size_t sm_conv_direct_forward_scratch(const sm_conv2d *conv) {
  reading read = reading_of(conv);
  return aligned(rounded(conv->filters) * (patch_of(&read) + 1) * sizeof(real)) + correlate_bytes(&read);
}

void sm_conv_direct_forward(real *y, const real *x, const real *w, const real *bias, void *scratch,
                            const sm_conv2d *conv) {
  const reading read = reading_of(conv);
  size_t filters = conv->filters, patch = patch_of(&read), panels = panels_of(filters);
  real *packed = scratch, *packed_bias = packed + rounded(filters) * patch;
  for (size_t p = 0; p < panels && bias; p++) {
    panel at = panel_of(filters, p);
    copy_padded(packed_bias + at.first, bias + at.first, &at);
  }
  long lines = (long)(panels * patch);
#pragma omp parallel for schedule(static) if (lines * SM_PANEL > SM_BLOCK)
  for (long line = 0; line < lines; line++) {
    panel at = panel_of(filters, (size_t)line / patch);
    size_t element = (size_t)line % patch;
    copy_padded(packed + at.first * patch + element * at.width, w + element * filters + at.first, &at);
  }
  writing write = {.out = y, .bias = bias ? packed_bias : NULL, .channels = filters, .pixel = filters,
                   .row = read.columns * filters, .image = read.rows * read.columns * filters};
  char *rest = (char *)scratch + aligned(rounded(filters) * (patch + 1) * sizeof(real));
  correlate(&write, x, packed, rest, &read);
}

/* ---- the data gradient ---- */

/* With t = pixel + padding and a window that starts at multiples of the stride s, output o sees pixel t with
   the kernel element k = t - o*s. So pixels of one phase r = t mod s see the elements r, r+s, r+2s, … alone,
   `taps` many, and with t = q*s + r
     gx[t] = sum over m of gy[q - m] * w[r + m*s],
   a convolution of stride 1 over gy, whose filters are turned around. */
typedef struct phase {
  size_t taps;  /* kernel elements; 0: these pixels get no gradient */
  size_t pixel; /* the first pixel of the phase; the others are s apart */
  size_t count; /* pixels */
  ptrdiff_t before; /* padding that the first pixel's window needs before gy */
} phase;

static phase phase_of(size_t r, size_t size, size_t padding, size_t kernel, size_t stride) {
  size_t first = padding > r ? quotient_up(padding - r, stride) : 0; /* the smallest q of a pixel */
  size_t pixel = first * stride + r - padding;
  phase at = {.taps = kernel > r ? quotient_up(kernel - r, stride) : 0, .pixel = pixel,
              .count = size > pixel ? quotient_up(size - pixel, stride) : 0};
  at.before = (ptrdiff_t)at.taps - 1 - (ptrdiff_t)first;
  return at;
}

static reading gradient_reading(const sm_conv2d *conv, const phase *down, const phase *across) {
  const sm_window *window = &conv->window;
  bool any = down->taps && across->taps;
  reading read = {.batch = window->batch, .height = window->out_height, .width = window->out_width,
                  .channels = conv->filters, .top = down->before, .left = across->before,
                  .kernel_height = any ? down->taps : 0, .kernel_width = any ? across->taps : 1, .stride = 1,
                  .rows = down->count, .columns = across->count};
  complete(&read);
  return read;
}

static phase phase_down(const sm_conv2d *conv, size_t r) {
  const sm_window *window = &conv->window;
  return phase_of(r, window->height, window->top, window->kernel_height, window->stride);
}

static phase phase_across(const sm_conv2d *conv, size_t r) {
  const sm_window *window = &conv->window;
  return phase_of(r, window->width, window->left, window->kernel_width, window->stride);
}

/* Phase 0 has the most taps. */
static size_t packed_bytes(const sm_conv2d *conv) {
  phase down = phase_down(conv, 0), across = phase_across(conv, 0);
  return aligned(rounded(conv->window.channels) * down.taps * across.taps * conv->filters * sizeof(real));
}

size_t sm_conv_direct_backward_data_scratch(const sm_conv2d *conv) {
  size_t most = 0, stride = conv->window.stride;
  for (size_t i = 0; i < stride * stride; i++) {
    phase down = phase_down(conv, i / stride), across = phase_across(conv, i % stride);
    reading read = gradient_reading(conv, &down, &across);
    most = larger(most, correlate_bytes(&read));
  }
  return packed_bytes(conv) + most;
}

/* packed: for each panel of channels (taps down, taps across, filters, panel width), from w (kernel height,
   kernel width, channels, filters), turned around. */
static void pack_phase(real *packed, const real *w, size_t r_down, size_t r_across, const phase *down,
                       const phase *across, const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  size_t filters = conv->filters, channels = window->channels, taps = down->taps * across->taps;
  long blocks = (long)(panels_of(channels) * taps);
#pragma omp parallel for schedule(static) if (blocks * SM_PANEL * (long)filters > SM_BLOCK)
  for (long block = 0; block < blocks; block++) {
    panel at = panel_of(channels, (size_t)block / taps);
    size_t tap = (size_t)block % taps;
    size_t row = r_down + window->stride * (down->taps - 1 - tap / across->taps);
    size_t column = r_across + window->stride * (across->taps - 1 - tap % across->taps);
    const real *from = w + ((row * window->kernel_width + column) * channels + at.first) * filters;
    real *to = packed + (at.first * taps + tap * at.width) * filters;
    for (size_t j = 0; j < at.width; j++) {
      for (size_t f = 0; f < filters; f++) {
        to[f * at.width + j] = j < at.count ? from[j * filters + f] : 0;
      }
    }
  }
}

void sm_conv_direct_backward_data(real *gx, const real *gy, const real *w, void *scratch,
                                  const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  size_t channels = window->channels, stride = window->stride, line = window->width * channels;
  for (size_t i = 0; i < stride * stride; i++) {
    phase down = phase_down(conv, i / stride), across = phase_across(conv, i % stride);
    reading read = gradient_reading(conv, &down, &across);
    pack_phase(scratch, w, i / stride, i % stride, &down, &across, conv);
    writing write = {.out = gx + down.pixel * line + across.pixel * channels, .channels = channels,
                     .pixel = stride * channels, .row = stride * line, .image = window->height * line};
    correlate(&write, gy, scratch, (char *)scratch + packed_bytes(conv), &read);
  }
}

/* ---- the filter gradient ---- */

/* Work is cut into chunks of rows of positions, counted through the whole batch, and panels of filters. Each
   item sums its rows into its chunk's part of gw, (panel) (patch, panel width), and of gbias, (filters). */
typedef struct cut {
  size_t rows, chunks, panels;
  size_t gw_bytes, gbias_bytes; /* per chunk */
  size_t gy_bytes, band_bytes;  /* per worker: gy of a band, where vectors are partly idle; source rows */
} cut;

static reading filter_reading(const sm_conv2d *conv) {
  reading read = reading_of(conv);
  size_t row = (read.line * read.stride + read.columns * SM_PANEL) * sizeof(real);
  read.band = larger(smaller(GRADIENT_BAND_BYTES / larger(row, 1), read.rows), 1);
  return read;
}

static cut cut_of(const reading *read, size_t filters) {
  cut work = {.rows = read->batch * read->rows, .panels = panels_of(filters)};
  work.chunks = larger(smaller(quotient_up(ITEMS, larger(work.panels, 1)), work.rows), 1);
  work.gw_bytes = aligned(rounded(filters) * patch_of(read) * sizeof(real));
  work.gbias_bytes = aligned(rounded(filters) * sizeof(double));
  work.gy_bytes = filters % SM_VECTOR ? aligned(read->band * read->columns * SM_PANEL * sizeof(real)) : 0;
  work.band_bytes = band_bytes(read);
  return work;
}

size_t sm_conv_direct_backward_filter_scratch(const sm_conv2d *conv) {
  reading read = filter_reading(conv);
  cut work = cut_of(&read, conv->filters);
  return seen_bytes(&read) + work.chunks * (work.gw_bytes + work.gbias_bytes) +
         (size_t)sm_thread_count() * (work.gy_bytes + work.band_bytes);
}

/* sum (width) += gy (pixels, step)[…, width], in a fixed order. */
static void add_pixels(double *sum, const real *gy, size_t step, size_t pixels, size_t width) {
  enum { PARTS = 4 };
  for (size_t j = 0; j < width; j += SM_VECTOR) {
    sm_vector part[PARTS] = {{0}};
    size_t i = 0;
    for (; i + PARTS <= pixels; i += PARTS) {
      SM_UNROLL
      for (size_t k = 0; k < PARTS; k++) __builtin_prefetch(gy + (i + k + 16) * step + j);
      for (size_t k = 0; k < PARTS; k++) part[k] += *(const sm_vector *)(gy + (i + k) * step + j);
    }
    for (; i < pixels; i++) part[0] += *(const sm_vector *)(gy + i * step + j);
    sm_vector total = (part[0] + part[1]) + (part[2] + part[3]);
    for (size_t k = 0; k < SM_VECTOR; k++) sum[j + k] += (double)total[k];
  }
}

/* gw (kernel height, kernel width, channels, panel width) = or += the products of the source and gy (rows, columns,
   gy_step), for `rows` of positions. */
static void add_products(real *gw, const source *from, const real *gy, size_t gy_step, sm_range rows, bool add,
                         const sm_range *seen, const panel *at, const reading *read) {
  sm_tile tile = {.out_step = at->width, .start_step = at->width, .a_step = read->stride * read->channels,
                  .b_step = gy_step, .a_run = read->stride * read->line, .b_run = read->columns * gy_step,
                  .blocks = 1};
  for (size_t ky = 0; ky < read->kernel_height; ky++) {
    sm_range part = overlap(positions_on_axis(ky, read->top, read->stride, read->rows, read->height), rows);
    tile.runs = part.last - part.first;
    for (size_t group = 0; group < read->groups; group++, gw += read->run * at->width) {
      tile.terms = seen[group].last - seen[group].first;
      bool any = tile.runs && tile.terms;
      if (!any) tile.terms = 0;
      size_t line = (size_t)((ptrdiff_t)(part.first * read->stride + ky) - read->top);
      const real *pixel = any ? pixel_of(from, line, seen[group].first, group, read) : from->lines;
      tile.b = any ? gy + ((part.first - rows.first) * read->columns + seen[group].first) * gy_step : gy;
      size_t tiles = quotient_up(read->run, SM_TILE_ROWS);
      for (size_t element = 0, count; tiles > 0; tiles--, element += count) {
        count = quotient_up(read->run - element, tiles);
        tile.out = gw + element * at->width;
        tile.start = add ? tile.out : NULL;
        tile.a = pixel + element;
        multiply_filters(&tile, count, at->width);
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
                      const panel *at, const reading *read) {
  for (size_t j = 0; j < at->width && gbias; j++) gbias[j] = 0;
  if (rows.first == rows.last) memset(gw, 0, patch_of(read) * at->width * sizeof *gw);
  for (size_t row = rows.first, count; row < rows.last; row += count) {
    size_t image = row / read->rows, y = row % read->rows;
    count = smaller(smaller(read->band, read->rows - y), rows.last - row);
    source from = source_of(band, of->x, image, y, count, read);
    const real *gy = of->gy + row * read->columns * of->filters + at->first;
    size_t step = of->filters, pixels = count * read->columns;
    if (at->count < at->width) {
      for (size_t i = 0; i < pixels; i++) copy_padded(gy_band + i * at->width, gy + i * step, at);
      gy = gy_band;
      step = at->width;
    }
    if (gbias) add_pixels(gbias, gy, step, pixels, at->width);
    add_products(gw, &from, gy, step, (sm_range){y, y + count}, row != rows.first, of->seen, at, read);
  }
}

void sm_conv_direct_backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                                    const sm_conv2d *conv) {
  const reading read = filter_reading(conv);
  const cut work = cut_of(&read, conv->filters);
  size_t filters = conv->filters, patch = patch_of(&read);
  sm_range *seen = scratch;
  char *gw_parts = (char *)scratch + seen_bytes(&read), *gbias_parts = gw_parts + work.chunks * work.gw_bytes;
  char *bands = gbias_parts + work.chunks * work.gbias_bytes;
  find_seen(seen, &read);
  const gradient of = {gy, x, seen, filters};
  long items = (long)(work.chunks * work.panels);
#pragma omp parallel for schedule(static)
  for (long item = 0; item < items; item++) {
    size_t chunk = (size_t)item / work.panels;
    panel at = panel_of(filters, (size_t)item % work.panels);
    char *own = bands + (size_t)sm_thread_index() * (work.gy_bytes + work.band_bytes);
    sum_chunk((real *)(gw_parts + chunk * work.gw_bytes) + at.first * patch,
              gbias ? (double *)(gbias_parts + chunk * work.gbias_bytes) + at.first : NULL, (real *)own,
              (real *)(own + work.gy_bytes), &of, sm_chunk(work.rows, (int)work.chunks, (int)chunk), &at, &read);
  }

  long lines = (long)patch;
#pragma omp parallel for schedule(static) if (patch * filters > SM_BLOCK)
  for (long line = 0; line < lines; line++) {
    for (size_t p = 0; p < work.panels; p++) {
      panel at = panel_of(filters, p);
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
