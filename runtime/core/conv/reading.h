/* What direct convolution reads: the geometry of its windows over source images, and the source rows that a
   band of window positions sees. */
#ifndef SM_CONV_READING_H
#define SM_CONV_READING_H

#include "core/conv/conv.h"
#include "core/parallel.h"

/* A convolution that a pass reads: window positions over source images. Forward and the filter gradient read
   the convolution itself; the data gradient reads one over gy.
   Rows of padding are left out of the sums. So are columns where the images have channels enough that each
   column of the kernel is worth a sum of its own; else a row of the kernel is one run of memory, and source
   rows are copied with their padding where a window reaches beyond them. */
typedef struct sm_reading {
  size_t batch, height, width, channels; /* source images */
  size_t pixel;                          /* elements from one pixel to the next; 0: channels. More where the channels
                                            are a group of those that the images have */
  ptrdiff_t top, left;                   /* padding before the image; negative: pixels that no window sees */
  size_t kernel_height, kernel_width;
  size_t stride, stride_across;          /* between windows */
  size_t dilation, dilation_across;      /* between elements of a window */
  size_t rows, columns;   /* window positions */
  bool leave_padding_out; /* kernel columns are to be taken apart whatever it costs */
  bool apart;             /* kernel columns are taken one by one, those that see padding left out */
  size_t groups;          /* of kernel columns: each apart, or all in one */
  size_t run;             /* elements of a group */
  bool padded;            /* source rows are copied with their padding */
  size_t line;            /* elements of a source row as it is read */
  size_t band;            /* rows of positions that are worked on at a time */
} sm_reading;

/* Fills in what follows from the sizes: pixel if it is 0, apart, groups, run, padded, line and band. */
void sm_reading_complete(sm_reading *read);

/* Of one group's channels; which, is for whoever points into the images. */
sm_reading sm_reading_of(const sm_conv2d *conv);

/* Elements of a filter: kernel height * kernel width * channels. */
size_t sm_reading_patch(const sm_reading *read);

/* Bytes, a multiple of SM_ALIGNMENT: of the memory that a band needs for sm_source_of, and of `seen`. */
size_t sm_reading_band_bytes(const sm_reading *read);
size_t sm_reading_seen_bytes(const sm_reading *read);

/* The rows of the kernel that lie on the image at a row of positions, and the columns at a column. */
sm_range sm_reading_kernel_rows(const sm_reading *read, size_t row);
sm_range sm_reading_kernel_columns(const sm_reading *read, size_t column);

/* The rows of positions at which row `kernel_row` of the kernel lies on the image. */
sm_range sm_reading_rows_seen(const sm_reading *read, size_t kernel_row);

/* seen (groups): the columns of positions at which a group's pixels are in the source rows. */
void sm_reading_find_seen(sm_range *seen, const sm_reading *read);

/* Source rows, copied with their padding or in the image itself. */
typedef struct sm_source {
  const real *lines;
  size_t first; /* the image's row that comes first */
} sm_source;

/* The source rows that the windows of `rows` rows of positions from `row` on see. band: memory for them. */
sm_source sm_source_of(real *band, const real *images, size_t image, size_t row, size_t rows,
                       const sm_reading *read);

/* The pixel in the image's row `row` that a group sees at a column of positions that it is seen at. */
static inline const real *sm_source_pixel(const sm_source *from, size_t row, size_t column, size_t group,
                                          const sm_reading *read) {
  ptrdiff_t left = read->padded ? 0 : read->left;
  ptrdiff_t pixel = (ptrdiff_t)(column * read->stride_across + group * read->dilation_across) - left;
  return from->lines + (row - from->first) * read->line + (size_t)pixel * read->pixel;
}

/* The part of `count` pixels from `start` on that lies on an axis of `size` pixels, and of pixels `step` apart. */
sm_range sm_on_axis(ptrdiff_t start, size_t count, size_t size);
sm_range sm_steps_on_axis(ptrdiff_t start, size_t count, size_t step, size_t size);

static inline sm_range sm_apart_on_axis(ptrdiff_t start, size_t count, size_t step, size_t size) {
  return step == 1 ? sm_on_axis(start, count, size) : sm_steps_on_axis(start, count, step, size);
}

static inline sm_range sm_overlap(sm_range a, sm_range b) {
  size_t first = a.first > b.first ? a.first : b.first, last = a.last < b.last ? a.last : b.last;
  return (sm_range){first, last > first ? last : first};
}

static inline size_t sm_smaller(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t sm_larger(size_t a, size_t b) { return a > b ? a : b; }
static inline size_t sm_quotient_up(size_t a, size_t b) { return (a + b - 1) / b; }

static inline size_t sm_aligned(size_t bytes) { return sm_quotient_up(bytes, SM_ALIGNMENT) * SM_ALIGNMENT; }

#endif
