#include <setjmp.h>
#include <stdlib.h>

#include "io/durable.h"
#include "io/png.h"
#include "io/png_work.h"

typedef struct drawer {
  sm_png_work work;
  sm_writer writer;
  png_structp png;
  png_infop info;
  unsigned char *row; /* of numbers that are no bytes yet */
} drawer;

static void write_failed(png_structp png, png_const_charp reason) {
  drawer *d = png_get_error_ptr(png);
  if (d->work.status == SM_OK && d->work.no_memory)
    d->work.status = sm_fail(d->work.error, SM_NO_MEMORY, "%s: out of memory", d->work.path);
  if (d->work.status == SM_OK)
    d->work.status = sm_fail(d->work.error, SM_SYSTEM, "%s: this PNG cannot be written: %s", d->work.path, reason);
  png_longjmp(png, 1);
}

static void write_some(png_structp png, png_bytep data, size_t bytes) {
  drawer *d = png_get_io_ptr(png);
  d->work.status = sm_writer_write(&d->writer, data, bytes, d->work.error);
  if (d->work.status != SM_OK) png_error(png, "");
}

static void flush(png_structp png) { (void)png; }

/* Jumps on an error. */
static void write_rows(drawer *d, const sm_tensor *x, size_t channels) {
  static const int colours[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                                PNG_COLOR_TYPE_RGB_ALPHA};
  size_t height = x->shape.size[0], width = x->shape.size[1], numbers = width * channels;
  png_set_user_limits(d->png, SM_PNG_MOST_PIXELS, SM_PNG_MOST_PIXELS);
  png_set_write_fn(d->png, d, write_some, flush);
  png_set_IHDR(d->png, d->info, (png_uint_32)width, (png_uint_32)height, 8, colours[channels - 1], PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(d->png, d->info);
  for (size_t y = 0; y < height; y++) {
    const unsigned char *row = (const unsigned char *)x->data + y * numbers;
    if (x->dtype == SM_REAL) {
      const real *given = (const real *)x->data + y * numbers;
      for (size_t i = 0; i < numbers; i++) d->row[i] = (unsigned char)((double)given[i] * SM_PNG_FULL + 0.5);
      row = d->row;
    }
    png_write_row(d->png, row);
  }
  png_write_end(d->png, d->info);
}

static sm_status check_picture(const char *path, const sm_tensor *x, sm_error *error) {
  char text[SM_SHAPE_TEXT];
  const sm_shape *shape = &x->shape;
  bool fits = shape->rank == 2 || (shape->rank == 3 && shape->size[2] >= 1 && shape->size[2] <= 4);
  for (int axis = 0; fits && axis < 2; axis++) fits = shape->size[axis] >= 1 && shape->size[axis] <= SM_PNG_MOST_PIXELS;
  if (!fits) {
    return sm_fail(error, SM_BAD_SHAPE, "%s: a picture is {height, width} or {height, width, 1 to 4}, got %s", path,
                   sm_shape_text(text, shape));
  }
  if (x->dtype == SM_INT32) {
    return sm_fail(error, SM_BAD_VALUE,
                   "%s: a picture is uint8, or %s from 0 to 1, got int32; x:to(\"uint8\") makes it bytes", path,
                   SM_REAL_NAME);
  }
  const real *numbers = x->data;
  for (size_t i = 0, count = sm_shape_count(shape); x->dtype == SM_REAL && i < count; i++) {
    if (numbers[i] >= 0 && numbers[i] <= 1) continue;
    size_t channels = shape->rank == 3 ? shape->size[2] : 1, pixel = i / channels;
    return sm_fail(error, SM_BAD_VALUE,
                   "%s: the numbers of a picture are from 0 to 1, but that in row %zu, column %zu, channel %zu is %g",
                   path, pixel / shape->size[1] + 1, pixel % shape->size[1] + 1, i % channels + 1, (double)numbers[i]);
  }
  return SM_OK;
}

sm_status sm_png_write(const char *path, const sm_tensor *x, sm_error *error) {
  sm_status status = check_picture(path, x, error);
  if (status != SM_OK) return status;
  size_t channels = x->shape.rank == 3 ? x->shape.size[2] : 1;
  drawer d = {.work = {.path = path, .error = error}};
  status = sm_writer_open(&d.writer, path, error);
  if (status != SM_OK) return status;
  d.row = malloc(x->shape.size[1] * channels);
  d.png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &d, write_failed, sm_png_warned, &d.work, sm_png_take,
                                    sm_png_give);
  d.info = d.png ? png_create_info_struct(d.png) : NULL;
  if (d.row && d.info && !setjmp(png_jmpbuf(d.png))) write_rows(&d, x, channels);
  else if (d.work.status == SM_OK) d.work.status = sm_fail(error, SM_NO_MEMORY, "%s: out of memory", path);
  png_destroy_write_struct(&d.png, &d.info);
  free(d.row);
  if (d.work.status == SM_OK) return sm_writer_commit(&d.writer, error);
  sm_writer_abandon(&d.writer);
  return d.work.status;
}
