/* Convolution of groups that would not fill a vector; depthwise ones have a channel each. Vectors lie along the
   results' channels, across the groups, so that no lane is idle: each lane is multiplied with the source channels of
   its own group, one term after the other. Where a group is one channel on either side these are where the lanes are;
   else source rows are first laid out so. Padding is left out of the sums.

   Arguments, scratch and results are those of the functions in core/conv/conv.h. */
#include "core/conv/channelwise.h"

#include "core/conv/lanes.h"
#include "core/conv/phase.h"

/* With more results of a group the direct method's vectors are at least half full, and it loads less. The
   same everywhere, so that the method does not depend on the processor. */
enum { SMALL_GROUP = 8 };

static bool takes(const sm_conv2d *conv, sm_conv_pass pass) {
  size_t own = pass == SM_CONV_BACKWARD_DATA ? sm_conv2d_group_channels(conv) : sm_conv2d_group_filters(conv);
  return conv->groups > 1 && own > 0 && own <= SMALL_GROUP;
}

static sm_reading taken_apart(sm_reading read) {
  read.leave_padding_out = true;
  sm_reading_complete(&read);
  return read;
}

/* ---- images from images ---- */

/* A pass, whose items are bands of rows of positions. */
typedef struct pass {
  real *out;
  size_t image, row, pixel; /* elements of out from one to the next */
  const real *images;
  const real *bias;         /* (results), or NULL */
  const real *packed;       /* for each vector of results: (kernel height, kernel width, terms, vector) */
  sm_grouping in;
  sm_reading read;
  sm_range inner;           /* columns of positions at which all of the kernel's lie on the image */
  size_t per_image;         /* bands */
  char *own;                /* of each thread: what a band sees */
  size_t own_bytes;
} pass;

static size_t taps_of(const sm_reading *read) { return read->kernel_height * read->kernel_width; }

static size_t packed_elements(const sm_grouping *in, const sm_reading *read) {
  return sm_vectors_of(in) * taps_of(read) * in->terms * SM_VECTOR;
}

/* The taps that a sum is over: `runs` kernel rows, of `parts` parts with `terms` terms each; elements between them in
   the source and in the weights. Where that is so, all terms of a kernel row are one part. */
typedef struct extent {
  const real *pixel, *weights;
  size_t runs, parts, terms;
  size_t pixel_run, pixel_part, pixel_term, weights_run;
} extent;

/* At a column of one row of positions, from kernel rows and columns that lie on the image there. */
static extent extent_of(const pass *of, const real *packed, const sm_seen *seen, size_t row, size_t column,
                        sm_range rows, sm_range columns) {
  const sm_reading *read = &of->read;
  size_t terms = of->in.terms, count = columns.last - columns.first, apart = read->dilation_across * seen->pixel;
  bool in_one = terms == 1 || read->dilation_across == 1;
  extent over = {.runs = count ? rows.last - rows.first : 0,
                 .parts = in_one ? 1 : count,
                 .terms = in_one ? count * terms : terms,
                 .pixel_run = read->dilation * seen->line,
                 .pixel_part = apart,
                 .pixel_term = terms == 1 ? apart : SM_VECTOR,
                 .weights_run = read->kernel_width * terms * SM_VECTOR};
  if (over.runs == 0) return over;
  ptrdiff_t y = (ptrdiff_t)(row * read->stride + rows.first * read->dilation) - read->top - (ptrdiff_t)seen->first;
  ptrdiff_t x = (ptrdiff_t)(column * read->stride_across + columns.first * read->dilation_across) - read->left;
  over.pixel = seen->lines + (size_t)y * seen->line + (size_t)x * seen->pixel;
  over.weights = packed + (rows.first * read->kernel_width + columns.first) * terms * SM_VECTOR;
  return over;
}

enum { SUMS = 8 }; /* side by side */

/* n sums at neighbouring columns of positions, `step` elements of the source apart: each over its taps in order,
   whatever n is. */
SM_INLINE void sum_taps(real *out, size_t out_step, const extent *over, size_t step, sm_vector start, size_t lanes,
                        const int n) {
  sm_vector sums[SUMS];
  SM_UNROLL
  for (int k = 0; k < n; k++) sums[k] = start;
  for (size_t run = 0; run < over->runs; run++) {
    const real *weights = over->weights + run * over->weights_run;
    for (size_t part = 0; part < over->parts; part++) {
      const real *pixel = over->pixel + run * over->pixel_run + part * over->pixel_part;
      for (size_t left = over->terms; left > 0; left--, pixel += over->pixel_term, weights += SM_VECTOR) {
        sm_vector weight = *(const sm_vector *)weights;
        SM_UNROLL
        for (int k = 0; k < n; k++)
          sums[k] = sm_vector_fma(*(const sm_vector *)(pixel + (size_t)k * step), weight, sums[k]);
      }
    }
  }
  SM_UNROLL
  for (int k = 0; k < n; k++) sm_vector_store(out + (size_t)k * out_step, sums[k], lanes);
}

static void sum_columns(real *out, size_t out_step, const extent *over, size_t step, sm_vector start, size_t lanes,
                        size_t n) {
  switch (n) {
    case 1: sum_taps(out, out_step, over, step, start, lanes, 1); break;
    case 2: sum_taps(out, out_step, over, step, start, lanes, 2); break;
    case 3: sum_taps(out, out_step, over, step, start, lanes, 3); break;
    case 4: sum_taps(out, out_step, over, step, start, lanes, 4); break;
    case 5: sum_taps(out, out_step, over, step, start, lanes, 5); break;
    case 6: sum_taps(out, out_step, over, step, start, lanes, 6); break;
    case 7: sum_taps(out, out_step, over, step, start, lanes, 7); break;
    default: sum_taps(out, out_step, over, step, start, lanes, SUMS); break;
  }
}

/* ---- channels by themselves, under small kernels ---- */

enum { SMALL = 3 }; /* rows and columns of the kernel */

static bool is_small(const pass *of) {
  return of->in.own == 1 && of->in.terms == 1 && of->read.kernel_height <= SMALL && of->read.kernel_width <= SMALL;
}

/* n results of one position, from `rows` kernel rows of `width` elements that lie on the image there. */
SM_INLINE void sum_vector(real *out, const pass *of, const extent *over, size_t channel, const int rows,
                          const int width, size_t n) {
  const real *pixel = over->pixel + channel, *weights = over->weights + channel * taps_of(&of->read);
  sm_vector sum = {0};
  if (of->bias) sum = sm_vector_load(of->bias + channel, n);
  SM_UNROLL
  for (int i = 0; i < rows; i++) {
    SM_UNROLL
    for (int k = 0; k < width; k++) {
      sm_vector weight = *(const sm_vector *)(weights + (size_t)i * over->weights_run + k * SM_VECTOR);
      sum = sm_vector_fma(sm_vector_load(pixel + (size_t)i * over->pixel_run + (size_t)k * over->pixel_term, n), weight,
                          sum);
    }
  }
  sm_vector_store(out + channel, sum, n);
}

/* All results of `count` positions that see as much: neighbours in memory come one after the other. */
SM_INLINE void sum_positions(real *out, const pass *of, extent over, size_t count, const int rows, const int width) {
  const size_t results = of->in.results, rest = results % SM_VECTOR, whole = results - rest;
  const size_t step = of->read.stride_across * of->read.pixel;
  for (; count > 0; count--, out += of->pixel, over.pixel += step) {
    for (size_t channel = 0; channel < whole; channel += SM_VECTOR)
      sum_vector(out, of, &over, channel, rows, width, SM_VECTOR);
    if (rest) sum_vector(out, of, &over, whole, rows, width, rest);
  }
}

static void sum_small(const pass *of, size_t image, size_t row) {
  const sm_reading *read = &of->read;
  const sm_seen seen = {of->images + image * read->height * read->line, 0, read->line, read->pixel};
  const sm_range rows = sm_reading_kernel_rows(read, row);
  real *out = of->out + image * of->image + row * of->row;
  for (size_t column = 0, count; column < read->columns; column += count, out += count * of->pixel) {
    count = column == of->inner.first && column < of->inner.last ? of->inner.last - column : 1;
    const sm_range columns = sm_reading_kernel_columns(read, column);
    extent over = extent_of(of, of->packed, &seen, row, column, rows, columns);
    over.pixel_term = read->dilation_across * seen.pixel;
    switch (over.runs * (SMALL + 1) + (columns.last - columns.first)) {
      case 1 * (SMALL + 1) + 1: sum_positions(out, of, over, count, 1, 1); break;
      case 1 * (SMALL + 1) + 2: sum_positions(out, of, over, count, 1, 2); break;
      case 1 * (SMALL + 1) + 3: sum_positions(out, of, over, count, 1, 3); break;
      case 2 * (SMALL + 1) + 1: sum_positions(out, of, over, count, 2, 1); break;
      case 2 * (SMALL + 1) + 2: sum_positions(out, of, over, count, 2, 2); break;
      case 2 * (SMALL + 1) + 3: sum_positions(out, of, over, count, 2, 3); break;
      case 3 * (SMALL + 1) + 1: sum_positions(out, of, over, count, 3, 1); break;
      case 3 * (SMALL + 1) + 2: sum_positions(out, of, over, count, 3, 2); break;
      case 3 * (SMALL + 1) + 3: sum_positions(out, of, over, count, 3, 3); break;
      default: sum_positions(out, of, over, count, 0, 0); break;
    }
  }
}

/* ---- all others ---- */

/* One row of positions of one vector. */
static void sum_row(real *out, const pass *of, const real *packed, const sm_seen *seen, size_t row,
                    const sm_sight *sight) {
  const sm_reading *read = &of->read;
  sm_vector start = {0};
  if (of->bias) start = sm_vector_load(of->bias + sight->channel, sight->count);
  sm_range rows = sm_reading_kernel_rows(read, row), inner = of->inner;
  size_t step = read->stride_across * seen->pixel, pieces = sm_quotient_up(inner.last - inner.first, SUMS);
  for (size_t column = 0; column < read->columns; column++) {
    if (column == inner.first) column = inner.last;
    if (column >= read->columns) break;
    extent over = extent_of(of, packed, seen, row, column, rows, sm_reading_kernel_columns(read, column));
    sum_columns(out + column * of->pixel, of->pixel, &over, step, start, sight->count, 1);
  }
  for (size_t i = 0; i < pieces; i++) {
    sm_range piece = sm_chunk(inner.last - inner.first, pieces, i);
    size_t column = inner.first + piece.first;
    extent over = extent_of(of, packed, seen, row, column, rows, (sm_range){0, read->kernel_width});
    sum_columns(out + column * of->pixel, of->pixel, &over, step, start, sight->count, piece.last - piece.first);
  }
}

static void sum_band(const void *work, size_t band) {
  const pass *of = work;
  const sm_reading *read = &of->read;
  size_t image = band / of->per_image;
  sm_range rows = sm_chunk(read->rows, of->per_image, band % of->per_image);
  if (is_small(of)) {
    for (size_t row = rows.first; row < rows.last; row++) sum_small(of, image, row);
    return;
  }
  real *own = (real *)(of->own + (size_t)sm_thread_index() * of->own_bytes);
  for (size_t v = 0; v < sm_vectors_of(&of->in); v++) {
    const sm_sight sight = sm_sight_of(&of->in, v);
    const real *packed = of->packed + v * taps_of(read) * of->in.terms * SM_VECTOR;
    const sm_seen seen = sm_see(own, of->images, image, rows.first, rows.last - rows.first, &sight, &of->in, read);
    for (size_t row = rows.first; row < rows.last; row++)
      sum_row(of->out + image * of->image + row * of->row + sight.channel, of, packed, &seen, row, &sight);
  }
}

static size_t bands_of(const sm_reading *read) { return sm_quotient_up(read->rows, read->band); }

/* Weights, and what each thread sees. */
static size_t pass_scratch(const sm_grouping *in, const sm_reading *read) {
  return sm_aligned(packed_elements(in, read) * sizeof(real)) +
         sm_workers(read->batch * bands_of(read)) * sm_seen_bytes(in, read);
}

static void run(pass of, void *scratch) {
  const sm_reading *read = &of.read;
  of.packed = scratch;
  of.own = (char *)scratch + sm_aligned(packed_elements(&of.in, read) * sizeof(real));
  of.own_bytes = sm_seen_bytes(&of.in, read);
  of.per_image = bands_of(read);
  of.inner = (sm_range){0, read->columns};
  for (size_t column = 0; column < read->columns && of.inner.first == column; column++) {
    sm_range on = sm_reading_kernel_columns(read, column);
    if (on.last - on.first < read->kernel_width) of.inner.first++;
  }
  while (of.inner.last > of.inner.first) {
    sm_range on = sm_reading_kernel_columns(read, of.inner.last - 1);
    if (on.last - on.first == read->kernel_width) break;
    of.inner.last--;
  }
  sm_compute(read->batch * of.per_image, SM_LARGE, sum_band, &of);
}

/* ---- forward ---- */

static sm_grouping filters_from_channels(const sm_conv2d *conv) {
  return (sm_grouping){conv->filters, sm_conv2d_group_filters(conv), conv->window.channels,
                       sm_conv2d_group_channels(conv)};
}

static void pack_forward(real *packed, const real *w, const sm_grouping *in, size_t taps, size_t filters) {
  for (size_t v = 0; v < sm_vectors_of(in); v++) {
    size_t first = v * SM_VECTOR, count = sm_smaller(filters - first, SM_VECTOR);
    for (size_t i = 0; i < taps * in->terms; i++, packed += SM_VECTOR)
      *(sm_vector *)packed = sm_vector_load(w + i * filters + first, count);
  }
}

static size_t forward_scratch(const sm_conv2d *conv) {
  const sm_grouping in = filters_from_channels(conv);
  const sm_reading read = taken_apart(sm_reading_of(conv));
  return pass_scratch(&in, &read);
}

static void forward(real *y, const real *x, const real *w, const real *bias, void *scratch,
                                 const sm_conv2d *conv) {
  pass of = {.out = y, .images = x, .bias = bias, .in = filters_from_channels(conv),
             .read = taken_apart(sm_reading_of(conv))};
  of.pixel = conv->filters;
  of.row = of.read.columns * of.pixel;
  of.image = of.read.rows * of.row;
  pack_forward(scratch, w, &of.in, taps_of(&of.read), conv->filters);
  run(of, scratch);
}

/* ---- the data gradient ---- */

static sm_grouping channels_from_filters(const sm_conv2d *conv) {
  return (sm_grouping){conv->window.channels, sm_conv2d_group_channels(conv), conv->filters,
                       sm_conv2d_group_filters(conv)};
}

static sm_reading phase_reading(const sm_conv2d *conv, const sm_phase *down, const sm_phase *across) {
  return taken_apart(sm_phase_reading(conv, down, across));
}

/* Of the channels of each vector: its filters' weights, turned around. */
static void pack_phase(real *packed, const real *w, const sm_phase *down, const sm_phase *across,
                       const sm_grouping *in, const sm_conv2d *conv) {
  size_t taps = down->taps * across->taps, filters = conv->filters;
  for (size_t v = 0; v < sm_vectors_of(in); v++) {
    size_t first = v * SM_VECTOR, count = sm_smaller(in->results - first, SM_VECTOR);
    for (size_t tap = 0; tap < taps; tap++) {
      size_t row = sm_phase_element(down, tap / across->taps), column = sm_phase_element(across, tap % across->taps);
      const real *from = w + (row * conv->window.kernel_width + column) * in->own * filters;
      if (in->own == 1 && in->terms == 1) {
        *(sm_vector *)packed = sm_vector_load(from + first, count);
        packed += SM_VECTOR;
        continue;
      }
      for (size_t j = 0; j < in->terms; j++, packed += SM_VECTOR) {
        for (size_t lane = 0; lane < SM_VECTOR; lane++) {
          size_t channel = first + lane;
          packed[lane] = lane < count ? from[channel % in->own * filters + channel / in->own * in->terms + j] : 0;
        }
      }
    }
  }
}

static size_t backward_data_scratch(const sm_conv2d *conv) {
  const sm_phases rows = sm_phases_down(&conv->window), columns = sm_phases_across(&conv->window);
  const sm_grouping in = channels_from_filters(conv);
  size_t most = 0;
  for (size_t i = 0; i < rows.count; i++) {
    for (size_t j = 0; j < columns.count; j++) {
      sm_phase down = sm_phase_of(&rows, i), across = sm_phase_of(&columns, j);
      const sm_reading read = phase_reading(conv, &down, &across);
      most = sm_larger(most, pass_scratch(&in, &read));
    }
  }
  return most;
}

static void backward_data(real *gx, const real *gy, const real *w, void *scratch, const sm_conv2d *conv) {
  const sm_window *window = &conv->window;
  const sm_phases rows = sm_phases_down(window), columns = sm_phases_across(window);
  size_t channels = window->channels, line = window->width * channels;
  for (size_t i = 0; i < rows.count; i++) {
    for (size_t j = 0; j < columns.count; j++) {
      sm_phase down = sm_phase_of(&rows, i), across = sm_phase_of(&columns, j);
      pass of = {.out = gx + down.first * line + across.first * channels,
                 .image = window->height * line,
                 .row = window->stride * line,
                 .pixel = window->stride_across * channels,
                 .images = gy,
                 .in = channels_from_filters(conv),
                 .read = phase_reading(conv, &down, &across)};
      if (of.read.kernel_height) pack_phase(scratch, w, &down, &across, &of.in, conv);
      run(of, scratch);
    }
  }
}

/* ---- the method ---- */

/* Whatever it takes is least work here. */
static double cost(const sm_conv2d *conv, sm_conv_pass of) {
  (void)conv, (void)of;
  return 0;
}

const sm_conv_method sm_conv_channelwise = {
    .name = "channelwise",
    .leaves_padding_out = true,
    .takes = takes,
    .cost = cost,
    .scratch = {forward_scratch, backward_data_scratch, sm_conv_channelwise_backward_filter_scratch},
    .forward = forward,
    .backward_data = backward_data,
    .chunks = sm_conv_channelwise_chunks,
    .backward_filter = sm_conv_channelwise_backward_filter,
};
