#include "core/conv/range.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "core/conv/method.h"
#include "core/conv/reading.h"

/* The bits of a number without its sign, as an integer: in the order of the numbers' sizes, infinity and NaN last. */
#ifdef SM_DOUBLE
typedef int64_t magnitude;
static const magnitude without_sign = INT64_MAX;
enum { MANTISSA_BITS = DBL_MANT_DIG - 1 };
static const double smallest = DBL_MIN, greatest = DBL_MAX;
#else
typedef int32_t magnitude;
static const magnitude without_sign = INT32_MAX;
enum { MANTISSA_BITS = FLT_MANT_DIG - 1 };
static const double smallest = (double)FLT_MIN, greatest = (double)FLT_MAX;
#endif

static const magnitude spread = (magnitude)SM_CONV_SPREAD_BITS << MANTISSA_BITS;
static const magnitude channel_spread = (magnitude)SM_CONV_CHANNEL_BITS << MANTISSA_BITS;

/* How much larger numbers get on the way from pixels to results, per term: 225 (Winograd's pixels to cells, twice an
   axis) * 3969 (gradients to cells) * 1225 (cells to filters) is less than GROWTH_BITS; the other ways are shorter.
   What falls below the smallest normal number on the way counts as 0 from there on (core/subnormal.h), and may be
   larger by 2^10 in a result: beside numbers that are BITS_BELOW above the smallest it is less than their rounding. */
enum { GROWTH_BITS = 31, ALONE_BITS = 16, BITS_BELOW = 40 };

static inline magnitude magnitude_of(real x) {
  magnitude bits;
  memcpy(&bits, &x, sizeof bits);
  return bits & without_sign;
}

static inline real number_of(magnitude bits) {
  real x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static inline magnitude larger(magnitude a, magnitude b) { return a > b ? a : b; }

static bool is_finite(magnitude bits) { return bits < magnitude_of((real)INFINITY); }

/* Kernels take subnormal numbers for 0 (core/subnormal.h). */
static bool is_zero(magnitude bits) { return bits < magnitude_of((real)smallest); }

/* Whether a number other than zero is lost beside the largest. */
static bool is_lost(magnitude bits, magnitude largest) { return !is_zero(bits) && bits < largest - spread; }

/* Whether sums of `terms` products of numbers up to these, and what a transform makes of them, stay in range. */
static bool is_in_range(magnitude a, magnitude b, size_t terms) {
  if (!is_finite(a) || !is_finite(b)) return false;
  if (is_zero(a) || is_zero(b)) return true;
  double x = (double)number_of(a), y = (double)number_of(b), alone = (double)(1 << ALONE_BITS);
  double growth = (double)(1LL << GROWTH_BITS) * (double)sm_larger(terms, 1),
         floor = smallest * (double)(1LL << BITS_BELOW);
  return x <= greatest / alone && y <= greatest / alone && x * y <= greatest / growth && x >= floor &&
         y >= floor && x * y >= floor;
}

/* Numbers as integers, in loops that compilers make vectors of. */
typedef magnitude bits_of_numbers __attribute__((may_alias));

/* largest (n) = the larger of it and of x (n). */
static inline void take_larger(bits_of_numbers *restrict largest, const real *restrict x, size_t n) {
  const bits_of_numbers *bits = (const bits_of_numbers *)x;
  for (size_t k = 0; k < n; k++) largest[k] = larger(largest[k], bits[k] & without_sign);
}

static inline magnitude largest_of(const real *x, size_t n) {
  const bits_of_numbers *bits = (const bits_of_numbers *)x;
  magnitude most = 0;
  for (size_t k = 0; k < n; k++) most = larger(most, bits[k] & without_sign);
  return most;
}

bool sm_conv_is_finite(const real *x, size_t n) { return is_finite(largest_of(x, n)); }

/* ---- filters ---- */

/* The filters of a pass that reads `from` channels and gives `to`: w (taps, from, to) or, turned, (taps, to, from). */
typedef struct filter_range {
  size_t taps, from, to;
  bool turned;
  const real *w;
  magnitude *of_tap;    /* (taps, to): the largest over `from` */
  real *peaks;          /* (from, to) or, turned, (to, from): the largest over taps */
  magnitude *of_filter; /* (to): the largest over both */
  magnitude largest;
  bool even; /* every filter weighs every channel: no image's channels can be lost */
} filter_range;

static size_t filter_range_bytes(size_t taps, size_t from, size_t to) {
  return sm_aligned(taps * to * sizeof(magnitude)) + sm_aligned(from * to * sizeof(magnitude)) +
         sm_aligned(to * sizeof(magnitude));
}

static void find_tap(const void *work, size_t tap) {
  const filter_range *of = work;
  const real *w = of->w + tap * of->from * of->to;
  magnitude *out = of->of_tap + tap * of->to;
  memset(out, 0, of->to * sizeof *out);
  for (size_t j = 0; j < of->to && of->turned; j++) out[j] = largest_of(w + j * of->from, of->from);
  for (size_t i = 0; i < of->from && !of->turned; i++) take_larger(out, w + i * of->to, of->to);
}

/* A row of w's matrices, over all taps. */
static void find_peaks(const void *work, size_t row) {
  const filter_range *of = work;
  size_t columns = of->turned ? of->from : of->to, size = of->from * of->to;
  bits_of_numbers *peaks = (bits_of_numbers *)(of->peaks + row * columns);
  memset(peaks, 0, columns * sizeof *peaks);
  for (size_t tap = 0; tap < of->taps; tap++) take_larger(peaks, of->w + tap * size + row * columns, columns);
}

/* False where the filters are not borne. */
static bool find_filter_range(filter_range *of, char *scratch) {
  size_t weights = of->taps * of->from * of->to;
  of->of_tap = (magnitude *)scratch;
  scratch += sm_aligned(of->taps * of->to * sizeof(magnitude));
  of->peaks = (real *)scratch;
  scratch += sm_aligned(of->from * of->to * sizeof(magnitude));
  of->of_filter = (magnitude *)scratch;
  sm_parallel(of->taps, weights, find_tap, of);
  sm_parallel(of->turned ? of->to : of->from, weights, find_peaks, of);
  of->largest = 0;
  for (size_t j = 0; j < of->to; j++) {
    magnitude most = 0;
    for (size_t tap = 0; tap < of->taps; tap++) most = larger(most, of->of_tap[tap * of->to + j]);
    of->of_filter[j] = most;
    of->largest = larger(of->largest, most);
  }
  of->even = true;
  for (size_t i = 0; i < of->from * of->to; i++) {
    magnitude most = of->of_filter[of->turned ? i / of->from : i % of->to];
    of->even = of->even && magnitude_of(of->peaks[i]) >= most - spread;
  }
  bool borne = is_finite(of->largest);
  for (size_t i = 0; i < of->taps * of->to; i++) borne = borne && !is_lost(of->of_tap[i], of->largest);
  return borne;
}

/* ---- images ---- */

/* What a window of results sees: at position (i, j) the pixels from (i - top, j - left) on. */
typedef struct sight {
  size_t batch, height, width, channels;
  size_t rows, columns; /* positions */
  size_t kernel_height, kernel_width;
  ptrdiff_t top, left;
} sight;

static sight sight_of(const sm_conv2d *conv, bool turned) {
  const sm_window *at = &conv->window;
  size_t n = at->batch, tall = at->kernel_height, wide = at->kernel_width;
  ptrdiff_t top = (ptrdiff_t)at->top, left = (ptrdiff_t)at->left;
  const sight x = {n, at->height, at->width, at->channels, at->out_height, at->out_width, tall, wide, top, left};
  const sight gy = {n, at->out_height, at->out_width, conv->filters, at->height, at->width, tall, wide,
                    (ptrdiff_t)tall - 1 - top, (ptrdiff_t)wide - 1 - left};
  return turned ? gy : x;
}

/* What the images share. */
typedef struct sm_conv_watch image_range;
struct sm_conv_watch {
  sight sight;
  const real *images;
  filter_range filters;
  uint8_t *unborne; /* (batch) */
  char *own;        /* each thread's memory */
  size_t own_bytes;
};

/* Of a thread: pixels, the largest of windows along a row, of channels, and products of filters. */
typedef struct own {
  magnitude *pixels, *windows, *channels;
  real *shares, *products;
} own;

static size_t own_bytes(const sight *of, size_t to) {
  return sm_aligned(of->height * of->width * sizeof(magnitude)) +
         sm_aligned(of->height * of->columns * sizeof(magnitude)) +
         sm_aligned(of->channels * sizeof(magnitude)) + sm_aligned(of->channels * sizeof(real)) +
         sm_aligned(to * sizeof(real));
}

static own own_of(const image_range *of) {
  const sight *at = &of->sight;
  char *memory = of->own + (size_t)sm_thread_index() * of->own_bytes;
  own mine = {.pixels = (magnitude *)memory};
  memory += sm_aligned(at->height * at->width * sizeof(magnitude));
  mine.windows = (magnitude *)memory;
  memory += sm_aligned(at->height * at->columns * sizeof(magnitude));
  mine.channels = (magnitude *)memory;
  mine.shares = (real *)(memory + sm_aligned(at->channels * sizeof(magnitude)));
  mine.products = (real *)((char *)mine.shares + sm_aligned(at->channels * sizeof(real)));
  return mine;
}

/* The largest number of each pixel. Returns that of all; *least: that of the pixel where it is least, but for pixels of
   zeros. */
static magnitude find_pixels(magnitude *restrict pixels, const real *x, const sight *at, magnitude *least) {
  magnitude largest = 0;
  *least = magnitude_of((real)NAN);
  for (size_t p = 0; p < at->height * at->width; p++, x += at->channels) {
    magnitude most = largest_of(x, at->channels);
    pixels[p] = most;
    largest = larger(largest, most);
    if (!is_zero(most) && most < *least) *least = most;
  }
  return largest;
}

/* Whether no window's numbers are lost beside the image's largest, nor a window of zeros. */
static bool windows_are_alike(const own *mine, magnitude largest, const sight *at) {
  bool zeros_are_lost = largest > magnitude_of(SM_CONV_SPREAD);
  for (size_t i = 0; i < at->height; i++) {
    for (size_t j = 0; j < at->columns; j++) {
      sm_range seen = sm_on_axis((ptrdiff_t)j - at->left, at->kernel_width, at->width);
      magnitude most = 0;
      for (size_t k = seen.first; k < seen.last; k++) {
        most = larger(most, mine->pixels[i * at->width + (size_t)((ptrdiff_t)(j + k) - at->left)]);
      }
      mine->windows[i * at->columns + j] = most;
    }
  }
  for (size_t i = 0; i < at->rows; i++) {
    sm_range seen = sm_on_axis((ptrdiff_t)i - at->top, at->kernel_height, at->height);
    for (size_t j = 0; j < at->columns; j++) {
      magnitude most = 0;
      for (size_t k = seen.first; k < seen.last; k++) {
        most = larger(most, mine->windows[(size_t)((ptrdiff_t)(i + k) - at->top) * at->columns + j]);
      }
      if (is_zero(most) ? zeros_are_lost : is_lost(most, largest)) return false;
    }
  }
  return true;
}

/* The largest product of each filter with what the channels have of the image's largest number. */
static void multiply_peaks(const own *mine, magnitude largest, const filter_range *filters) {
  size_t from = filters->from, to = filters->to;
  real *restrict shares = mine->shares, *restrict products = mine->products;
  for (size_t i = 0; i < from; i++) shares[i] = number_of(mine->channels[i]) / number_of(largest);
  for (size_t j = 0; j < to; j++) {
    magnitude most = 0;
    const real *peaks = filters->peaks + j * from;
    for (size_t i = 0; i < from && filters->turned; i++)
      most = larger(most, magnitude_of(shares[i] * peaks[i]));
    products[j] = number_of(most);
  }
  for (size_t i = 0; i < from && !filters->turned; i++) {
    const real *peaks = filters->peaks + i * to;
    for (size_t j = 0; j < to; j++) {
      real product = shares[i] * peaks[j];
      products[j] = product > products[j] ? product : products[j];
    }
  }
}

/* Whether no filter weighs channels of x that are lost beside others. */
static bool channels_are_alike(const own *mine, const real *x, magnitude largest, const sight *at,
                               const filter_range *filters) {
  memset(mine->channels, 0, at->channels * sizeof *mine->channels);
  for (size_t p = 0; p < at->height * at->width; p++)
    take_larger(mine->channels, x + p * at->channels, at->channels);
  multiply_peaks(mine, largest, filters);
  for (size_t j = 0; j < filters->to; j++) {
    magnitude most = filters->of_filter[j];
    if (most > 0 && magnitude_of(mine->products[j]) < most - spread) return false;
  }
  return true;
}

void sm_conv_look(const sm_conv_watch *of, size_t image) {
  const sight *at = &of->sight;
  const filter_range *filters = &of->filters;
  const own mine = own_of(of);
  const real *x = of->images + image * at->height * at->width * at->channels;
  magnitude least, largest = find_pixels(mine.pixels, x, at, &least);
  bool borne = is_in_range(largest, filters->largest, at->channels);
  if (borne && !is_zero(largest)) {
    bool all_alike = !is_lost(least, largest) && largest <= magnitude_of(SM_CONV_SPREAD);
    borne = (all_alike || windows_are_alike(&mine, largest, at)) &&
            (filters->even || channels_are_alike(&mine, x, largest, at, filters));
  }
  of->unborne[image] = !borne;
}

/* ---- the images of a part as one ---- */

typedef struct part_ranges {
  const sm_conv2d *conv;
  const real *images[2]; /* x and gy */
  magnitude *largest;    /* (parts, 2): infinity where they are not borne */
  char *own;
  size_t own_bytes;
} part_ranges;

static void look_at_part(const void *work, size_t item) {
  const part_ranges *of = work;
  const sight at = sight_of(of->conv, item % 2);
  const image_range memory = {.sight = at, .own = of->own, .own_bytes = of->own_bytes};
  const own mine = own_of(&memory);
  magnitude *numbers = (magnitude *)((char *)mine.pixels + own_bytes(&at, 0)), largest = 0;
  sm_range images = sm_conv_part(of->conv, item / 2);
  size_t line = at.width * at.channels, image = at.height * line;
  memset(mine.channels, 0, at.channels * sizeof *mine.channels);
  for (size_t row = 0; row < at.height; row++) {
    memset(numbers, 0, line * sizeof *numbers);
    for (size_t i = images.first; i < images.last; i++)
      take_larger(numbers, of->images[item % 2] + i * image + row * line, line);
    for (size_t j = 0; j < at.width; j++) {
      const real *pixel = (const real *)(const bits_of_numbers *)numbers + j * at.channels;
      mine.pixels[row * at.width + j] = largest_of(pixel, at.channels);
      largest = larger(largest, mine.pixels[row * at.width + j]);
      take_larger(mine.channels, pixel, at.channels);
    }
  }
  bool borne = is_finite(largest) && windows_are_alike(&mine, largest, &at);
  for (size_t c = 0; c < at.channels; c++)
    borne = borne && (is_zero(mine.channels[c]) || mine.channels[c] >= largest - channel_spread);
  of->largest[item] = borne ? largest : magnitude_of((real)INFINITY);
}

/* A thread's. */
static size_t part_bytes(const sight *at) {
  return own_bytes(at, 0) + sm_aligned(at->width * at->channels * sizeof(magnitude));
}

/* ---- passes ---- */

static size_t taps_of(const sm_conv2d *conv) { return conv->window.kernel_height * conv->window.kernel_width; }

size_t sm_conv_range_scratch(const sm_conv2d *conv) {
  size_t channels = conv->window.channels, filters = conv->filters, taps = taps_of(conv);
  size_t threads = (size_t)sm_thread_count();
  sight x = sight_of(conv, false), gy = sight_of(conv, true);
  size_t weighed = sm_larger(filter_range_bytes(taps, channels, filters), filter_range_bytes(taps, filters, channels));
  size_t of_thread = sm_larger(own_bytes(&x, filters), own_bytes(&gy, channels));
  size_t of_images = sm_aligned(sizeof(sm_conv_watch)) + weighed + threads * of_thread;
  return sm_larger(of_images, sm_workers(2 * conv->parts) * sm_larger(part_bytes(&x), part_bytes(&gy)));
}

static sm_conv_watch *watch_of(uint8_t *unborne, const real *images, const real *w, bool turned, char *scratch,
                               const sm_conv2d *conv) {
  sm_conv_watch *watch = (sm_conv_watch *)scratch;
  scratch += sm_aligned(sizeof *watch);
  sight at = sight_of(conv, turned);
  *watch = (sm_conv_watch){.sight = at,
                           .images = images,
                           .filters = {.taps = taps_of(conv),
                                       .from = at.channels,
                                       .to = sight_of(conv, !turned).channels,
                                       .turned = turned,
                                       .w = w},
                           .unborne = unborne};
  filter_range *filters = &watch->filters;
  if (!find_filter_range(filters, scratch)) {
    memset(unborne, 1, at.batch);
    return NULL;
  }
  watch->own = scratch + filter_range_bytes(filters->taps, filters->from, filters->to);
  watch->own_bytes = own_bytes(&at, filters->to);
  return watch;
}

sm_conv_watch *sm_conv_forward_watch(uint8_t *unborne, const real *x, const real *w, void *scratch,
                                     const sm_conv2d *conv) {
  return watch_of(unborne, x, w, false, scratch, conv);
}

sm_conv_watch *sm_conv_backward_data_watch(uint8_t *unborne, const real *gy, const real *w, void *scratch,
                                           const sm_conv2d *conv) {
  return watch_of(unborne, gy, w, true, scratch, conv);
}

void sm_conv_backward_filter_look(uint8_t *unborne, const real *gy, const real *x, void *scratch,
                                  const sm_conv2d *conv) {
  sight of_x = sight_of(conv, false), of_gy = sight_of(conv, true);
  magnitude largest[2 * SM_PARTS];
  const part_ranges of = {conv, {x, gy}, largest, scratch, sm_larger(part_bytes(&of_x), part_bytes(&of_gy))};
  sm_parallel(2 * conv->parts, SM_LARGE, look_at_part, &of);
  for (size_t part = 0; part < conv->parts; part++) {
    sm_range images = sm_conv_part(conv, part);
    size_t terms = (images.last - images.first) * conv->window.out_height * conv->window.out_width;
    unborne[part] = !is_in_range(largest[2 * part], largest[2 * part + 1], terms);
  }
}
