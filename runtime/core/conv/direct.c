/* Convolution without patches, by tiles of sums in registers (core/tile.h). It takes every shape; vectors lie along the
   output channels, or where these are few along the terms (core/conv/dots.h). Arguments, scratch and results are those
   of the functions in core/conv/conv.h. Each element of an image is one sum in one order, however the work is cut; the
   filter gradient is cut into chunks by its sizes alone. */
#include "core/conv/direct.h"

#include <string.h>

#include "core/conv/dots.h"
#include "core/conv/phase.h"
#include "core/conv/reading.h"
#include "core/tile.h"

/* ---- images from images ---- */

/* Where the sums of `channels` channels go. */
typedef struct writing {
  real *out;
  const real *bias; /* (channels rounded up to whole vectors), or NULL */
  size_t channels;
  size_t image, row, pixel; /* elements from one to the next */
  bool dots;                /* core/conv/dots.h has the sums */
} writing;

/* out = the sums at some columns of one row of positions, at most a tile of them, for one panel of channels.
   *tile holds what all tiles of the row share. A group is added at the columns that see it; groups that the
   same columns see go together. `line` is the first source row that the kernel sees. */
static void write_columns(real *out, sm_tile *tile, const real *bias, const real *filters, sm_range columns,
                          const sm_source *from, size_t line, const sm_range *seen, size_t width,
                          const sm_reading *read) {
  size_t pixels = columns.last - columns.first;
  bool adjacent = tile->a_step == 1; /* pixels are one number apart, as terms are */
  tile->start = bias;
  tile->start_step = 0;
  for (size_t group = 0, next; group < read->groups; group = next) {
    sm_range part = sm_overlap(seen[group], columns);
    for (next = group + 1; next < read->groups; next++) {
      sm_range other = sm_overlap(seen[next], columns);
      if (other.first != part.first || other.last != part.last) break;
    }
    size_t count = part.last - part.first;
    real *sums = out + (part.first - columns.first) * tile->out_step;
    if (group == 0 && count < pixels) {
      tile->out = out;
      tile->blocks = 0;
      sm_tile_multiply(tile, pixels, width, adjacent);
    }
    if (group > 0 || count < pixels) {
      tile->start = sums;
      tile->start_step = tile->out_step;
    }
    if (count == 0) continue;
    tile->out = sums;
    tile->a = sm_source_pixel(from, line, part.first, group, read);
    tile->b = filters + group * tile->b_block;
    tile->blocks = next - group;
    sm_tile_multiply(tile, count, width, adjacent);
  }
}

/* The sums of one row of positions for one panel of channels. Where it ends within a vector, the rest of the vector is
   the next pixel's. */
static void write_row(real *out, const sm_source *from, const real *filters, const sm_range *seen, size_t row,
                      const sm_panel *at, const sm_reading *read, const writing *write) {
  ptrdiff_t top = (ptrdiff_t)(row * read->stride) - read->top;
  sm_range lines = sm_reading_kernel_rows(read, row);
  size_t runs = lines.last - lines.first, line = from->first;
  if (runs) line = (size_t)(top + (ptrdiff_t)(lines.first * read->dilation));
  size_t kernel_line = read->kernel_width * read->channels * at->width;
  const real *bias = write->bias ? write->bias + at->first : NULL;
  sm_tile tile = {.out_step = write->pixel,
                  .a_step = read->stride_across * read->pixel,
                  .b_step = at->width,
                  .a_run = read->dilation * read->line,
                  .b_run = kernel_line,
                  .a_block = read->dilation_across * read->pixel,
                  .b_block = read->run * at->width,
                  .runs = runs,
                  .terms = read->run,
                  .lanes = SM_VECTOR - (at->width - at->count)};
  size_t most = read->groups == 1 ? read->columns : sm_tile_rows(at->width);
  size_t pieces = sm_quotient_up(read->columns, sm_larger(most, 1));
  for (size_t i = 0; i < pieces; i++) {
    sm_range columns = sm_chunk(read->columns, pieces, i);
    real *to = out + columns.first * write->pixel;
    write_columns(to, &tile, bias, filters + lines.first * kernel_line, columns, from, line,
                  seen, at->width, read);
  }
}

/* Asks for where the sums of a row of positions go, so that storing them does not wait. */
static void fetch_row(const real *out, const sm_panel *at, const sm_reading *read, const writing *write) {
  bool in_one = write->pixel < SM_LINE;
  size_t pixels = in_one ? 1 : read->columns, count = in_one ? read->columns * write->pixel : at->count;
  for (size_t i = 0; i < pixels; i++, out += write->pixel) {
    for (size_t j = 0; j < count; j += SM_LINE) __builtin_prefetch(out + j, 1, 3);
  }
}

/* What the bands of positions share. Each is one item of the work: some rows of one image. */
typedef struct correlation {
  const writing *write;
  const sm_reading *read;
  const real *images, *filters;
  const sm_range *seen;
  size_t per_image; /* bands */
  char *source;     /* rows of a band, band_bytes for each thread */
  size_t band_bytes;
} correlation;

static void correlate_band(const void *work, size_t band) {
  const correlation *of = work;
  const writing *write = of->write;
  const sm_reading *read = of->read;
  size_t image = band / of->per_image, patch = sm_reading_patch(read), panels = sm_panels_of(write->channels);
  sm_range rows = sm_chunk(read->rows, of->per_image, band % of->per_image);
  real *own = (real *)(of->source + (size_t)sm_thread_index() * of->band_bytes);
  sm_source from = sm_source_of(own, of->images, image, rows.first, rows.last - rows.first, read);
  for (size_t row = rows.first; row < rows.last && write->dots; row++) {
    sm_dots_row(write->out + image * write->image + row * write->row, write->pixel, of->filters, write->bias,
                write->channels, &from, row, of->seen, read);
  }
  for (size_t p = 0; p < panels && !write->dots; p++) {
    sm_panel at = sm_panel_of(write->channels, p);
    for (size_t row = rows.first; row < rows.last; row++) {
      real *out = write->out + image * write->image + row * write->row + at.first;
      if (row + 1 < rows.last) fetch_row(out + write->row, &at, read, write);
      write_row(out, &from, of->filters + at.first * patch, of->seen, row, &at, read, write);
    }
  }
}

static correlation correlation_of(const writing *write, const real *images, const real *filters,
                                  char *scratch, const sm_reading *read) {
  sm_range *seen = (sm_range *)scratch;
  sm_reading_find_seen(seen, read);
  return (correlation){.write = write,
                       .read = read,
                       .images = images,
                       .filters = filters,
                       .seen = seen,
                       .per_image = sm_quotient_up(read->rows, read->band),
                       .source = scratch + sm_reading_seen_bytes(read),
                       .band_bytes = sm_reading_band_bytes(read)};
}

/* filters: for each panel (kernel height, kernel width, source channels, panel width), or as core/conv/dots.h has it.
   scratch: what correlate_bytes says. */
static void correlate(const writing *write, const real *images, const real *filters, char *scratch,
                      const sm_reading *read) {
  const correlation of = correlation_of(write, images, filters, scratch, read);
  sm_compute(read->batch * of.per_image, SM_LARGE, correlate_band, &of);
}

static size_t correlate_bytes(const sm_reading *read) {
  return sm_reading_seen_bytes(read) +
         sm_workers(read->batch * sm_quotient_up(read->rows, read->band)) * sm_reading_band_bytes(read);
}

/* packed: for each panel of a group's filters (patch, panel width), or for core/conv/dots.h (filters, patch), from w
   (patch, all filters). */
typedef struct packing {
  real *packed;
  const real *w;
  size_t patch, filters, step;
  bool dots;
} packing;

static void pack_line(const void *work, size_t line) {
  const packing *of = work;
  sm_panel at = sm_panel_of(of->filters, line / of->patch);
  size_t element = line % of->patch;
  for (size_t f = 0; f < of->filters && of->dots; f++)
    of->packed[f * of->patch + element] = of->w[element * of->step + f];
  if (of->dots) return;
  sm_copy_padded(of->packed + at.first * of->patch + element * at.width,
                 of->w + element * of->step + at.first, &at);
}

/* Filters, and behind them biases. */
static size_t packed_filters_bytes(const sm_conv2d *conv, const sm_reading *read) {
  return sm_aligned(sm_rounded(sm_conv2d_group_filters(conv)) * (sm_reading_patch(read) + 1) * sizeof(real));
}

/* Packs both, of one group, and says how results are laid out. */
static writing pack_filters(real *packed, const real *w, const real *bias, const sm_conv2d *conv,
                            const sm_reading *read) {
  size_t filters = sm_conv2d_group_filters(conv), patch = sm_reading_patch(read), panels = sm_panels_of(filters);
  real *packed_bias = packed + sm_rounded(filters) * patch;
  for (size_t p = 0; p < panels && bias; p++) {
    sm_panel at = sm_panel_of(filters, p);
    sm_copy_padded(packed_bias + at.first, bias + at.first, &at);
  }
  size_t lines = panels * patch;
  bool dots = sm_dots_pay(filters, read);
  sm_compute(lines, lines * SM_PANEL, pack_line, &(packing){packed, w, patch, filters, conv->filters, dots});
  return (writing){.bias = bias ? packed_bias : NULL,
                   .channels = filters,
                   .dots = dots,
                   .pixel = conv->filters,
                   .row = read->columns * conv->filters,
                   .image = read->rows * read->columns * conv->filters};
}

static size_t forward_scratch(const sm_conv2d *conv) {
  sm_reading read = sm_reading_of(conv);
  return packed_filters_bytes(conv, &read) + correlate_bytes(&read);
}

static void forward(real *y, const real *x, const real *w, const real *bias, void *scratch,
                            const sm_conv2d *conv) {
  const sm_reading read = sm_reading_of(conv);
  char *rest = (char *)scratch + packed_filters_bytes(conv, &read);
  for (size_t group = 0; group < conv->groups; group++) {
    size_t first = group * sm_conv2d_group_filters(conv);
    writing write = pack_filters(scratch, w + first, bias ? bias + first : NULL, conv, &read);
    write.out = y + first;
    correlate(&write, x + group * read.channels, scratch, rest, &read);
  }
}

/* ---- image by image ---- */

typedef struct images {
  correlation of; /* its band_bytes are those of a band and of a result behind it */
  sm_conv2d_task *task;
  const void *work;
} images;

static size_t result_bytes(const sm_conv2d *conv, const sm_reading *read) {
  return sm_aligned(read->rows * read->columns * conv->filters * sizeof(real));
}

static void correlate_image(const void *work, size_t image) {
  const images *all = work;
  correlation of = all->of;
  writing write = *of.write;
  char *own = of.source + (size_t)sm_thread_index() * of.band_bytes;
  write.out = (real *)(own + sm_reading_band_bytes(of.read));
  write.image = 0;
  of.write = &write;
  for (size_t band = 0; band < of.per_image; band++) correlate_band(&of, image * of.per_image + band);
  all->task(all->work, image, write.out);
}

static size_t forward_each_scratch(const sm_conv2d *conv) {
  sm_reading read = sm_reading_of(conv);
  return packed_filters_bytes(conv, &read) + sm_reading_seen_bytes(&read) +
         sm_workers(read.batch) * (sm_reading_band_bytes(&read) + result_bytes(conv, &read));
}

static void forward_each(sm_conv2d_task *task, const void *work, const real *x, const real *w,
                                 const real *bias, void *scratch, const sm_conv2d *conv) {
  const sm_reading read = sm_reading_of(conv);
  const writing write = pack_filters(scratch, w, bias, conv, &read);
  char *rest = (char *)scratch + packed_filters_bytes(conv, &read);
  images all = {correlation_of(&write, x, scratch, rest, &read), task, work};
  all.of.band_bytes += result_bytes(conv, &read);
  sm_compute(read.batch, SM_LARGE, correlate_image, &all);
}

/* ---- the data gradient ---- */

enum { TOGETHER = 16 }; /* phases that are computed of an image before the next: it stays in the cache for all */

/* Some phases, counted through all columns' phases of each of the rows'. */
typedef struct phases_pass {
  correlation of[TOGETHER];
  writing write[TOGETHER];
  sm_reading read[TOGETHER];
  size_t count, per_image; /* phases; bands of all */
} phases_pass;

/* Bytes of scratch for phases: their filters and `seen`, and a thread's band. */
typedef struct phases_bytes {
  size_t all, band;
} phases_bytes;

static size_t phase_count(const sm_conv2d *conv) {
  return sm_phases_down(&conv->window).count * sm_phases_across(&conv->window).count;
}

/* Adds a phase to a pass; packs filters unless w is NULL. */
static void add_phase(phases_pass *pass, phases_bytes *bytes, real *gx, const real *gy, const real *w, char *scratch,
                      size_t phase, const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  const sm_phases rows = sm_phases_down(window), columns = sm_phases_across(window);
  const sm_phase down = sm_phase_of(&rows, phase / columns.count);
  const sm_phase across = sm_phase_of(&columns, phase % columns.count);
  size_t channels = window->channels, line = window->width * channels, own = sm_conv2d_group_channels(conv);
  size_t k = pass->count++, first = bytes->all;
  sm_reading *read = &pass->read[k];
  *read = sm_phase_reading(conv, &down, &across);
  bytes->all += sm_aligned(sm_rounded(own) * sm_reading_patch(read) * sizeof(real));
  size_t seen = bytes->all;
  bytes->all += sm_reading_seen_bytes(read);
  bytes->band = sm_larger(bytes->band, sm_reading_band_bytes(read));
  pass->per_image += sm_quotient_up(read->rows, read->band);
  if (!w) return;
  bool dots = sm_dots_pay(own, read);
  sm_phase_pack((real *)(scratch + first), w, &down, &across, dots, conv);
  pass->write[k] = (writing){.out = gx + down.first * line + across.first * channels,
                             .channels = own,
                             .dots = dots,
                             .pixel = window->stride_across * channels,
                             .row = window->stride * line,
                             .image = window->height * line};
  pass->of[k] = correlation_of(&pass->write[k], gy, (real *)(scratch + first), scratch + seen, read);
}

static size_t backward_data_scratch(const sm_conv2d *conv) {
  size_t most = 0;
  for (size_t first = 0, phases = phase_count(conv); first < phases; first += TOGETHER) {
    phases_pass pass = {.count = 0};
    phases_bytes bytes = {0};
    for (size_t i = first; i < sm_smaller(first + TOGETHER, phases); i++)
      add_phase(&pass, &bytes, NULL, NULL, NULL, NULL, i, conv);
    most = sm_larger(most, bytes.all + sm_workers(conv->window.batch * pass.per_image) * bytes.band);
  }
  return most;
}

static void correlate_phases(const void *work, size_t item) {
  const phases_pass *pass = work;
  size_t image = item / pass->per_image, band = item % pass->per_image, k = 0;
  while (band >= pass->of[k].per_image) band -= pass->of[k++].per_image;
  correlate_band(&pass->of[k], image * pass->of[k].per_image + band);
}

static void backward_data(real *gx, const real *gy, const real *w, void *scratch, const sm_conv2d *conv) {
  size_t phases = phase_count(conv), filters = sm_conv2d_group_filters(conv), own = sm_conv2d_group_channels(conv);
  for (size_t group = 0; group < conv->groups; group++) {
    for (size_t first = 0; first < phases; first += TOGETHER) {
      phases_pass pass = {.count = 0};
      phases_bytes bytes = {0};
      for (size_t i = first; i < sm_smaller(first + TOGETHER, phases); i++)
        add_phase(&pass, &bytes, gx + group * own, gy + group * filters, w + group * filters, scratch, i, conv);
      for (size_t k = 0; k < pass.count; k++) {
        pass.of[k].source = (char *)scratch + bytes.all;
        pass.of[k].band_bytes = bytes.band;
      }
      sm_compute(conv->window.batch * pass.per_image, SM_LARGE, correlate_phases, &pass);
    }
  }
}

/* ---- the method ---- */

static bool takes(const sm_conv2d *conv, sm_conv_pass pass) {
  (void)conv, (void)pass;
  return true;
}

double sm_conv_direct_cost(const sm_conv2d *conv, sm_conv_pass pass) {
  const sm_window *at = &conv->window;
  (void)pass;
  return (double)at->kernel_height * (double)at->kernel_width * (double)at->batch * (double)at->out_height *
         (double)at->out_width;
}

const sm_conv_method sm_conv_direct = {
    .name = "direct",
    .takes = takes,
    .cost = sm_conv_direct_cost,
    .scratch = {forward_scratch, backward_data_scratch, sm_conv_direct_backward_filter_scratch},
    .forward = forward,
    .backward_data = backward_data,
    .chunks = sm_conv_direct_chunks,
    .backward_filter = sm_conv_direct_backward_filter,
    .forward_each_scratch = forward_each_scratch,
    .forward_each = forward_each,
};
