#include "core/conv_direct.h"

#include <string.h>

#include "core/conv_tile.h"
#include "core/parallel.h"

/* ---- common to the passes ---- */

/* A convolution that a pass reads: window positions over padded source images. Forward and the filter
   gradient read the convolution itself; the data gradient reads one over gy. */
typedef struct reading {
  size_t batch, height, width, channels; /* source images */
  ptrdiff_t top, left;                   /* padding before the image; negative: pixels that no window sees */
  size_t kernel_height, kernel_width, stride;
  size_t rows, columns; /* window positions */
  bool inside;          /* no window reaches beyond the image, which is then read where it lies */
  size_t line;          /* elements of a source row as it is read, padding included */
  size_t band;          /* rows of positions whose source is held at a time */
} reading;

/* Elements of padded source rows that a band holds: they stay in the first- and second-level cache. */
enum { BAND_ELEMENTS = 16 * 1024 };

/* Items that a pass should have at least, for threads to share. */
enum { ITEMS = SM_BATCH_CHUNKS };

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
static size_t larger(size_t a, size_t b) { return a > b ? a : b; }
static size_t quotient_up(size_t a, size_t b) { return (a + b - 1) / b; }
static size_t aligned(size_t bytes) { return quotient_up(bytes, SM_ALIGNMENT) * SM_ALIGNMENT; }

/* Source pixels of an axis that `positions` windows span. */
static size_t span(size_t positions, size_t stride, size_t kernel) {
  return positions ? (positions - 1) * stride + kernel : 0;
}

/* Fills inside, line and band. */
static void complete(reading *read) {
  size_t rows = span(read->rows, read->stride, read->kernel_height);
  size_t columns = span(read->columns, read->stride, read->kernel_width);
  read->inside = read->top == 0 && read->left == 0 && rows <= read->height && columns <= read->width;
  read->line = (read->inside ? read->width : columns) * read->channels;
  size_t fitting = BAND_ELEMENTS / larger(read->line * read->stride, 1);
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
  if (read->inside) return 0;
  return aligned(span(read->band, read->stride, read->kernel_height) * read->line * sizeof(real));
}

/* The part of `count` pixels from `start` on that lies on an axis of `size` pixels. */
static sm_range on_axis(ptrdiff_t start, size_t count, size_t size) {
  ptrdiff_t n = (ptrdiff_t)count, first = start < 0 ? -start : 0, last = (ptrdiff_t)size - start;
  if (first > n) first = n;
  if (last > n) last = n;
  return (sm_range){(size_t)first, last > first ? (size_t)last : (size_t)first};
}

/* The source rows that the windows of `rows` rows of positions from `row` on see, each `line` elements, the
   first pixel being the first that the first window sees: in `band` with padding, or in the image itself. */
static const real *source_of(real *band, const real *images, size_t image, size_t row, size_t rows,
                             const reading *read) {
  size_t channels = read->channels, image_line = read->width * channels;
  const real *pixels = images + image * read->height * image_line;
  if (read->inside) return pixels + row * read->stride * image_line;
  ptrdiff_t top = (ptrdiff_t)(row * read->stride) - read->top;
  size_t lines = span(rows, read->stride, read->kernel_height);
  sm_range seen = on_axis(top, lines, read->height);
  sm_range columns = on_axis(-read->left, read->line / larger(channels, 1), read->width);
  size_t before = columns.first * channels, upto = columns.last * channels;
  for (size_t i = 0; i < lines; i++) {
    real *out = band + i * read->line;
    if (i < seen.first || i >= seen.last || before == upto) {
      memset(out, 0, read->line * sizeof *out);
      continue;
    }
    const real *line = pixels + (size_t)(top + (ptrdiff_t)i) * image_line;
    memset(out, 0, before * sizeof *out);
    memcpy(out + before, line + ((ptrdiff_t)columns.first - read->left) * (ptrdiff_t)channels,
           (upto - before) * sizeof *out);
    memset(out + upto, 0, (read->line - upto) * sizeof *out);
  }
  return band;
}

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

/* One row of positions, one panel of channels. */
static void write_row(real *out, const real *source, const real *filters, const panel *at,
                      const reading *read, const writing *write) {
  real edge[SM_TILE_ROWS * SM_PANEL];
  bool whole = at->count == at->width;
  size_t run = read->kernel_width * read->channels;
  sm_tile tile = {.out_step = whole ? write->pixel : SM_PANEL, .start = write->bias ? write->bias + at->first : NULL,
                  .b = filters, .a_step = read->stride * read->channels, .b_step = at->width,
                  .a_run = read->line, .b_run = run * at->width, .runs = read->kernel_height, .terms = run};
  int tiles = (int)quotient_up(read->columns, SM_TILE_ROWS);
  for (int i = 0; i < tiles; i++) {
    sm_range columns = sm_chunk(read->columns, tiles, i);
    size_t pixels = columns.last - columns.first;
    real *to = out + columns.first * write->pixel;
    tile.out = whole ? to : edge;
    tile.a = source + columns.first * tile.a_step;
    multiply_pixels(&tile, pixels, at->width);
    for (size_t j = 0; j < pixels && !whole; j++) {
      memcpy(to + j * write->pixel, edge + j * SM_PANEL, at->count * sizeof *to);
    }
  }
}

/* filters: for each panel (kernel height, kernel width, source channels, panel width). bands: a band for each
   worker. */
static void correlate(const writing *write, const real *images, const real *filters, char *bands,
                      const reading *read) {
  size_t panels = panels_of(write->channels), per_image = quotient_up(read->rows, read->band);
  size_t bytes = band_bytes(read), patch = patch_of(read);
  long items = (long)(read->batch * per_image);
#pragma omp parallel for schedule(static)
  for (long item = 0; item < items; item++) {
    real *band = bytes ? (real *)(bands + (size_t)sm_thread_index() * bytes) : NULL;
    size_t image = (size_t)item / per_image;
    sm_range rows = sm_chunk(read->rows, (int)per_image, (int)((size_t)item % per_image));
    const real *source = source_of(band, images, image, rows.first, rows.last - rows.first, read);
    for (size_t p = 0; p < panels; p++) {
      panel at = panel_of(write->channels, p);
      for (size_t row = rows.first; row < rows.last; row++) {
        write_row(write->out + image * write->image + row * write->row + at.first,
                  source + (row - rows.first) * read->stride * read->line, filters + at.first * patch, &at, read,
                  write);
      }
    }
  }
}

static size_t workers(void) { return (size_t)sm_thread_count(); }

size_t sm_conv_direct_forward_scratch(const sm_conv2d *conv) {
  reading read = reading_of(conv);
  return aligned(rounded(conv->filters) * (patch_of(&read) + 1) * sizeof(real)) + workers() * band_bytes(&read);
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
  char *bands = (char *)scratch + aligned(rounded(filters) * (patch + 1) * sizeof(real));
  correlate(&write, x, packed, bands, &read);
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
  reading read = {.batch = window->batch, .height = window->out_height, .width = window->out_width,
                  .channels = conv->filters, .top = down->before, .left = across->before,
                  .kernel_height = down->taps, .kernel_width = across->taps, .stride = 1,
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
  size_t band = 0, stride = conv->window.stride;
  for (size_t i = 0; i < stride * stride; i++) {
    phase down = phase_down(conv, i / stride), across = phase_across(conv, i % stride);
    reading read = gradient_reading(conv, &down, &across);
    band = larger(band, band_bytes(&read));
  }
  return packed_bytes(conv) + workers() * band;
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
  size_t gw_bytes, gbias_bytes, gy_bytes, band_bytes; /* the first two per chunk, the others per worker */
} cut;

static cut cut_of(const reading *read, size_t filters) {
  cut work = {.rows = read->batch * read->rows, .panels = panels_of(filters)};
  work.chunks = larger(smaller(quotient_up(ITEMS, larger(work.panels, 1)), work.rows), 1);
  work.gw_bytes = aligned(rounded(filters) * patch_of(read) * sizeof(real));
  work.gbias_bytes = aligned(filters * sizeof(double));
  work.gy_bytes = filters % SM_VECTOR ? aligned(read->band * read->columns * SM_PANEL * sizeof(real)) : 0;
  work.band_bytes = band_bytes(read);
  return work;
}

size_t sm_conv_direct_backward_filter_scratch(const sm_conv2d *conv) {
  reading read = reading_of(conv);
  cut work = cut_of(&read, conv->filters);
  return work.chunks * (work.gw_bytes + work.gbias_bytes) + workers() * (work.gy_bytes + work.band_bytes);
}

/* sum (count) += x (rows, columns, step)[…, …, count], one row after the other. */
static void add_rows(double *sum, const real *x, size_t rows, size_t columns, size_t step, size_t count) {
  for (size_t row = 0; row < rows; row++) {
    real row_sum[SM_PANEL] = {0};
    for (size_t column = 0; column < columns; column++, x += step) {
      for (size_t j = 0; j < count; j++) row_sum[j] += x[j];
    }
    for (size_t j = 0; j < count; j++) sum[j] += (double)row_sum[j];
  }
}

/* gw (patch, panel width) = or += the products of `rows` rows of source and gy (rows, columns, gy_step). */
static void add_products(real *gw, const real *source, const real *gy, size_t gy_step, size_t rows, bool add,
                         const panel *at, const reading *read) {
  size_t run = read->kernel_width * read->channels;
  sm_tile tile = {.out_step = at->width, .start_step = at->width, .b = gy, .a_step = read->stride * read->channels,
                  .b_step = gy_step, .a_run = read->stride * read->line, .b_run = read->columns * gy_step,
                  .runs = rows, .terms = read->columns};
  int tiles = (int)quotient_up(run, SM_TILE_ROWS);
  for (size_t ky = 0; ky < read->kernel_height; ky++) {
    for (int i = 0; i < tiles; i++) {
      sm_range elements = sm_chunk(run, tiles, i);
      tile.out = gw + (ky * run + elements.first) * at->width;
      tile.start = add ? tile.out : NULL;
      tile.a = source + ky * read->line + elements.first;
      multiply_filters(&tile, elements.last - elements.first, at->width);
    }
  }
}

/* One chunk of rows, one panel of filters. gbias may be NULL. */
static void sum_chunk(real *gw, double *gbias, const real *gy, const real *x, real *gy_band, real *band,
                      sm_range rows, const panel *at, size_t filters, const reading *read) {
  for (size_t j = 0; j < at->count && gbias; j++) gbias[j] = 0;
  if (rows.first == rows.last) memset(gw, 0, patch_of(read) * at->width * sizeof *gw);
  for (size_t row = rows.first, count; row < rows.last; row += count) {
    size_t image = row / read->rows, y = row % read->rows;
    count = smaller(smaller(read->band, read->rows - y), rows.last - row);
    const real *source = source_of(band, x, image, y, count, read);
    const real *gradient = gy + row * read->columns * filters + at->first;
    size_t step = filters;
    if (gbias) add_rows(gbias, gradient, count, read->columns, step, at->count);
    if (at->count < at->width) {
      for (size_t i = 0; i < count * read->columns; i++) copy_padded(gy_band + i * at->width, gradient + i * step, at);
      gradient = gy_band;
      step = at->width;
    }
    add_products(gw, source, gradient, step, count, row != rows.first, at, read);
  }
}

void sm_conv_direct_backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                                    const sm_conv2d *conv) {
  const reading read = reading_of(conv);
  const cut work = cut_of(&read, conv->filters);
  size_t filters = conv->filters, patch = patch_of(&read);
  char *gw_parts = scratch, *gbias_parts = gw_parts + work.chunks * work.gw_bytes;
  char *bands = gbias_parts + work.chunks * work.gbias_bytes;
  long items = (long)(work.chunks * work.panels);
#pragma omp parallel for schedule(static)
  for (long item = 0; item < items; item++) {
    size_t chunk = (size_t)item / work.panels;
    panel at = panel_of(filters, (size_t)item % work.panels);
    char *own = bands + (size_t)sm_thread_index() * (work.gy_bytes + work.band_bytes);
    sum_chunk((real *)(gw_parts + chunk * work.gw_bytes) + at.first * patch,
              gbias ? (double *)(gbias_parts + chunk * work.gbias_bytes) + at.first : NULL, gy, x, (real *)own,
              (real *)(own + work.gy_bytes), sm_chunk(work.rows, (int)work.chunks, (int)chunk), &at, filters, &read);
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
