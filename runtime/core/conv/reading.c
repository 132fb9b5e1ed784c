#include "core/conv/reading.h"

#include <string.h>

enum {
  APART_CHANNELS = 8,     /* from so many channels on, kernel columns are taken one by one */
  PADDED_TIMES = 16,      /* and where a row with its padding is so many times as long as without */
  BAND_BYTES = 64 * 1024, /* source rows of a band: they stay in the cache next to the first */
  ITEMS = SM_BATCH_CHUNKS /* bands for threads to share: at least so many, if there are rows */
};

/* Source pixels of an axis that `positions` windows span. */
static size_t span(size_t positions, size_t stride, size_t kernel, size_t dilation) {
  return positions ? (positions - 1) * stride + (kernel ? sm_window_reach(kernel, dilation) : 0) : 0;
}

void sm_reading_complete(sm_reading *read) {
  size_t columns = span(read->columns, read->stride_across, read->kernel_width, read->dilation_across);
  if (!read->pixel) read->pixel = read->channels;
  bool in_one_run = read->pixel == read->channels && (read->dilation_across == 1 || read->kernel_width == 1);
  read->apart = read->channels >= APART_CHANNELS || read->leave_padding_out || !in_one_run ||
                columns > PADDED_TIMES * (read->width + read->kernel_width);
  read->groups = read->apart ? read->kernel_width : 1;
  read->run = (read->apart ? 1 : read->kernel_width) * read->channels;
  read->padded = !read->apart && read->channels && (read->left != 0 || columns > read->width);
  read->line = (read->padded ? columns : read->width) * read->pixel;
  size_t fitting = BAND_BYTES / (sm_larger(read->line * read->stride, 1) * sizeof(real));
  size_t sharing = sm_quotient_up(read->rows, sm_quotient_up(ITEMS, sm_larger(read->batch, 1)));
  read->band = sm_larger(sm_smaller(fitting, sharing), 1);
}

sm_reading sm_reading_of(const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  sm_reading read = {.batch = window->batch,
                     .height = window->height,
                     .width = window->width,
                     .channels = window->channels / conv->groups,
                     .pixel = window->channels,
                     .top = (ptrdiff_t)window->top,
                     .left = (ptrdiff_t)window->left,
                     .kernel_height = window->kernel_height,
                     .kernel_width = window->kernel_width,
                     .stride = window->stride,
                     .stride_across = window->stride_across,
                     .dilation = window->dilation,
                     .dilation_across = window->dilation_across,
                     .rows = window->out_height,
                     .columns = window->out_width,
                     .leave_padding_out = conv->leave_padding_out};
  sm_reading_complete(&read);
  return read;
}

size_t sm_reading_patch(const sm_reading *read) {
  return read->kernel_height * read->kernel_width * read->channels;
}

size_t sm_reading_band_bytes(const sm_reading *read) {
  size_t rows = span(read->band, read->stride, read->kernel_height, read->dilation);
  return read->padded ? sm_aligned(rows * read->line * sizeof(real)) : 0;
}

sm_range sm_on_axis(ptrdiff_t start, size_t count, size_t size) {
  ptrdiff_t n = (ptrdiff_t)count, first = start < 0 ? -start : 0, last = (ptrdiff_t)size - start;
  if (first > n) first = n;
  if (last > n) last = n;
  return (sm_range){(size_t)first, last > first ? (size_t)last : (size_t)first};
}

/* How many elements, `step` apart from the first on, come before `distance`. */
static size_t elements_before(ptrdiff_t distance, size_t step) {
  return distance > 0 ? sm_quotient_up((size_t)distance, step) : 0;
}

sm_range sm_steps_on_axis(ptrdiff_t start, size_t count, size_t step, size_t size) {
  size_t first = sm_smaller(elements_before(-start, step), count);
  size_t last = sm_smaller(elements_before((ptrdiff_t)size - start, step), count);
  return (sm_range){first, sm_larger(first, last)};
}

/* The positions, of `count`, at which kernel element `element` is on an axis of `size` pixels: windows lie as far apart
   as elements of a window of its own. */
static sm_range positions_on_axis(size_t element, size_t dilation, ptrdiff_t padding, size_t stride, size_t count,
                                  size_t size) {
  return sm_apart_on_axis((ptrdiff_t)(element * dilation) - padding, count, stride, size);
}

sm_range sm_reading_kernel_rows(const sm_reading *read, size_t row) {
  ptrdiff_t first = (ptrdiff_t)(row * read->stride) - read->top;
  return sm_apart_on_axis(first, read->kernel_height, read->dilation, read->height);
}

sm_range sm_reading_kernel_columns(const sm_reading *read, size_t column) {
  ptrdiff_t first = (ptrdiff_t)(column * read->stride_across) - read->left;
  return sm_apart_on_axis(first, read->kernel_width, read->dilation_across, read->width);
}

sm_range sm_reading_rows_seen(const sm_reading *read, size_t kernel_row) {
  return positions_on_axis(kernel_row, read->dilation, read->top, read->stride, read->rows, read->height);
}

size_t sm_reading_seen_bytes(const sm_reading *read) { return sm_aligned(read->groups * sizeof(sm_range)); }

void sm_reading_find_seen(sm_range *seen, const sm_reading *read) {
  for (size_t group = 0; group < read->groups; group++) {
    seen[group] = read->apart ? positions_on_axis(group, read->dilation_across, read->left, read->stride_across,
                                                read->columns, read->width)
                              : (sm_range){0, read->columns};
  }
}

sm_source sm_source_of(real *band, const real *images, size_t image, size_t row, size_t rows,
                       const sm_reading *read) {
  size_t channels = read->channels, image_line = read->width * read->pixel;
  ptrdiff_t top = (ptrdiff_t)(row * read->stride) - read->top;
  sm_range lines = sm_on_axis(top, span(rows, read->stride, read->kernel_height, read->dilation), read->height);
  if (lines.first == lines.last) return (sm_source){images, 0};
  sm_source from = {.first = (size_t)(top + (ptrdiff_t)lines.first)};
  from.lines = images + (image * read->height + from.first) * image_line;
  if (!read->padded) return from;
  sm_range columns = sm_on_axis(-read->left, read->line / channels, read->width);
  size_t before = columns.first * channels, upto = columns.last * channels;
  for (size_t i = 0; i < lines.last - lines.first; i++) {
    real *out = band + i * read->line;
    memset(out, 0, before * sizeof *out);
    memset(out + upto, 0, (read->line - upto) * sizeof *out);
    if (before == upto) continue;
    memcpy(out + before,
           from.lines + i * image_line + ((ptrdiff_t)columns.first - read->left) * (ptrdiff_t)channels,
           (upto - before) * sizeof *out);
  }
  from.lines = band;
  return from;
}
