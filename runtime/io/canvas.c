#include "io/canvas.h"

#include <cairo.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "io/durable.h"

static const char font_family[] = "DejaVu Sans";

struct sm_canvas {
  cairo_surface_t *surface;
  cairo_t *cairo;
};

/* ---- helpers ---- */

/* cairo and the libraries under it may crash, or leave out what they should draw, where an allocation fails: a polygon
   jumps back into a function that has returned, a text loses its glyphs. So nothing is begun without more room than it
   takes; large images are allocated apart from that, and checked. */
enum { ROOM = 32 << 20 };

static sm_status find_room(size_t bytes, sm_error *error) {
  void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) return sm_fail(error, SM_NO_MEMORY, "out of memory: nothing can be drawn");
  munmap(room, bytes);
  return SM_OK;
}

static sm_status check_cairo(cairo_status_t status, sm_error *error) {
  if (status == CAIRO_STATUS_SUCCESS) return SM_OK;
  sm_status kind = status == CAIRO_STATUS_NO_MEMORY ? SM_NO_MEMORY : SM_BAD_VALUE;
  return sm_fail(error, kind, "cannot draw: %s", cairo_status_to_string(status));
}

static sm_status check_within(double value, double least, double most, const char *what, sm_error *error) {
  if (value >= least && value <= most) return SM_OK;
  return sm_fail(error, SM_BAD_VALUE, "%s must be from %.0f to %.0f, got %g", what, least, most, value);
}

static sm_status check_far(double value, const char *what, sm_error *error) {
  return check_within(value, -SM_CANVAS_FARTHEST, SM_CANVAS_FARTHEST, what, error);
}

static sm_status check_rectangle(double x, double y, double width, double height, sm_error *error) {
  sm_status status = check_far(x, "x", error);
  if (status == SM_OK) status = check_far(y, "y", error);
  if (status == SM_OK) status = check_far(width, "a width", error);
  if (status == SM_OK) status = check_far(height, "a height", error);
  return status;
}

static sm_status check_thickness(double thickness, sm_error *error) {
  return check_within(thickness, 0, SM_CANVAS_THICKEST, "the thickness of a stroke", error);
}

static void set_colour(cairo_t *cairo, sm_colour colour) {
  const double full = 255;
  cairo_set_source_rgba(cairo, colour.red / full, colour.green / full, colour.blue / full,
                        colour.alpha / full);
}

/* The path of a rectangle whose corners are quarter circles. */
static void trace_box(cairo_t *cairo, double x, double y, double width, double height, double radius) {
  double largest = fmin(width, height) / 2;
  double r = fmax(0, fmin(radius, largest));
  const double quarter = acos(0);
  cairo_new_sub_path(cairo);
  cairo_arc(cairo, x + width - r, y + r, r, -quarter, 0);
  cairo_arc(cairo, x + width - r, y + height - r, r, 0, quarter);
  cairo_arc(cairo, x + r, y + height - r, r, quarter, 2 * quarter);
  cairo_arc(cairo, x + r, y + r, r, 2 * quarter, 3 * quarter);
  cairo_close_path(cairo);
}

/* A font without hinting, so that text has the same shape at every size and place. */
static cairo_scaled_font_t *new_font(sm_font font) {
  cairo_font_weight_t weight = font.bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL;
  cairo_font_face_t *face = cairo_toy_font_face_create(font_family, CAIRO_FONT_SLANT_NORMAL, weight);
  cairo_font_options_t *options = cairo_font_options_create();
  cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
  cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
  cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
  cairo_matrix_t size, identity;
  cairo_matrix_init_scale(&size, font.size, font.size);
  cairo_matrix_init_identity(&identity);
  cairo_scaled_font_t *scaled = cairo_scaled_font_create(face, &size, &identity, options);
  cairo_font_options_destroy(options);
  cairo_font_face_destroy(face);
  return scaled;
}

/* ---- the canvas ---- */

sm_status sm_canvas_new(sm_canvas **canvas, int width, int height, sm_colour background, sm_error *error) {
  *canvas = NULL;
  if (width < 1 || height < 1 || width > SM_CANVAS_LARGEST_SIDE || height > SM_CANVAS_LARGEST_SIDE)
    return sm_fail(error, SM_BAD_VALUE, "a canvas has 1 to %d pixels on a side, got %d x %d",
                   SM_CANVAS_LARGEST_SIDE, width, height);
  sm_status status = find_room(ROOM, error);
  if (status != SM_OK) return status;
  sm_canvas *made = calloc(1, sizeof *made);
  if (!made) return sm_fail(error, SM_NO_MEMORY, "out of memory for a canvas of %d x %d", width, height);
  made->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
  made->cairo = cairo_create(made->surface);
  set_colour(made->cairo, background);
  cairo_paint(made->cairo);
  status = check_cairo(cairo_status(made->cairo), error);
  if (status == SM_OK) *canvas = made;
  else sm_canvas_free(made);
  return status;
}

void sm_canvas_free(sm_canvas *canvas) {
  if (!canvas) return;
  cairo_destroy(canvas->cairo);
  cairo_surface_destroy(canvas->surface);
  free(canvas);
}

int sm_canvas_width(const sm_canvas *canvas) { return cairo_image_surface_get_width(canvas->surface); }

int sm_canvas_height(const sm_canvas *canvas) { return cairo_image_surface_get_height(canvas->surface); }

/* ---- shapes ---- */

sm_status sm_canvas_rect(sm_canvas *canvas, double x, double y, double width, double height,
                         const sm_box *box, sm_error *error) {
  cairo_t *cairo = canvas->cairo;
  sm_status status = check_rectangle(x, y, width, height, error);
  if (status == SM_OK) status = check_thickness(box->thickness, error);
  if (status == SM_OK) status = check_far(box->radius, "the radius of a rectangle", error);
  if (status == SM_OK) status = find_room(ROOM, error);
  if (status != SM_OK) return status;
  if (box->fill.alpha) {
    trace_box(cairo, x, y, width, height, box->radius);
    set_colour(cairo, box->fill);
    cairo_fill(cairo);
  }
  if (box->stroke.alpha && box->thickness > 0) {
    double inset = box->thickness / 2; /* a stroke is centred on its path */
    trace_box(cairo, x + inset, y + inset, width - 2 * inset, height - 2 * inset, box->radius - inset);
    set_colour(cairo, box->stroke);
    cairo_set_line_width(cairo, box->thickness);
    cairo_stroke(cairo);
  }
  return check_cairo(cairo_status(cairo), error);
}

/* The points of one stroke: what it takes grows with their square. The pieces of a longer line share a segment, so that
   the corner between them is round, too. */
enum { PIECE = 1000, ROOM_OF_CROSSING = 128 };

sm_status sm_canvas_line(sm_canvas *canvas, const double *points, sm_colour colour, double thickness,
                         size_t count, sm_error *error) {
  cairo_t *cairo = canvas->cairo;
  sm_status status = check_thickness(thickness, error);
  if (count > SM_CANVAS_MOST_POINTS)
    return sm_fail(error, SM_BAD_VALUE, "a line has at most %d points, got %zu", SM_CANVAS_MOST_POINTS, count);
  for (size_t i = 0; i < 2 * count && status == SM_OK; i++)
    status = check_far(points[i], i % 2 ? "the y of a point" : "the x of a point", error);
  size_t most = count < PIECE ? count : PIECE;
  if (status == SM_OK) status = find_room(ROOM + most * most * ROOM_OF_CROSSING, error);
  if (status != SM_OK) return status;
  set_colour(cairo, colour);
  cairo_set_line_width(cairo, thickness);
  cairo_set_line_join(cairo, CAIRO_LINE_JOIN_ROUND);
  for (size_t first = 0; first == 0 || first + 2 < count; first += PIECE - 2) {
    cairo_new_path(cairo);
    for (size_t i = first; i < count && i < first + PIECE; i++) cairo_line_to(cairo, points[2 * i], points[2 * i + 1]);
    cairo_stroke(cairo);
  }
  return check_cairo(cairo_status(cairo), error);
}

/* ---- text ---- */

sm_status sm_text_measure(sm_text_extents *extents, const char *text, sm_font font, sm_error *error) {
  if (!(font.size > 0 && font.size <= SM_CANVAS_LARGEST_FONT))
    return sm_fail(error, SM_BAD_VALUE, "the size of a text must be above 0 and at most %d, got %g",
                   SM_CANVAS_LARGEST_FONT, font.size);
  if (strlen(text) > SM_CANVAS_LONGEST_TEXT)
    return sm_fail(error, SM_BAD_VALUE, "a text has at most %d bytes, got %zu", SM_CANVAS_LONGEST_TEXT, strlen(text));
  sm_status status = find_room(ROOM, error);
  if (status != SM_OK) return status;
  cairo_scaled_font_t *scaled = new_font(font);
  cairo_text_extents_t of_text;
  cairo_font_extents_t of_font;
  cairo_scaled_font_text_extents(scaled, text, &of_text);
  cairo_scaled_font_extents(scaled, &of_font);
  *extents = (sm_text_extents){of_text.x_advance, of_font.ascent, of_font.descent};
  status = check_cairo(cairo_scaled_font_status(scaled), error);
  cairo_scaled_font_destroy(scaled);
  return status;
}

sm_status sm_canvas_text(sm_canvas *canvas, double x, double y, const char *text, sm_font font,
                         sm_align align, sm_colour colour, sm_error *error) {
  sm_text_extents extents;
  sm_status status = check_far(x, "x", error);
  if (status == SM_OK) status = check_far(y, "y", error);
  if (status == SM_OK) status = sm_text_measure(&extents, text, font, error);
  if (status != SM_OK) return status;
  const double before[] = {[SM_ALIGN_LEFT] = 0, [SM_ALIGN_CENTRE] = 0.5, [SM_ALIGN_RIGHT] = 1};
  cairo_t *cairo = canvas->cairo;
  cairo_scaled_font_t *scaled = new_font(font);
  cairo_set_scaled_font(cairo, scaled);
  set_colour(cairo, colour);
  cairo_move_to(cairo, x - before[align] * extents.width, y);
  cairo_show_text(cairo, text);
  cairo_new_path(cairo);
  cairo_scaled_font_destroy(scaled);
  return check_cairo(cairo_status(cairo), error);
}

/* ---- images ---- */

sm_status sm_canvas_image(sm_canvas *canvas, double x, double y, double width, double height,
                          const sm_colour *pixels, size_t rows, size_t columns, sm_error *error) {
  if (rows > SM_CANVAS_LARGEST_SIDE || columns > SM_CANVAS_LARGEST_SIDE)
    return sm_fail(error, SM_BAD_VALUE, "an image has at most %d pixels on a side, got %zu rows, %zu columns",
                   SM_CANVAS_LARGEST_SIDE, rows, columns);
  sm_status status = check_rectangle(x, y, width, height, error);
  if (status != SM_OK) return status;
  if (!rows || !columns || width <= 0 || height <= 0) return SM_OK;
  cairo_surface_t *image = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)columns, (int)rows);
  status = check_cairo(cairo_surface_status(image), error);
  if (status == SM_OK) status = find_room(ROOM, error);
  if (status == SM_OK) {
    unsigned char *bytes = cairo_image_surface_get_data(image);
    size_t stride = (size_t)cairo_image_surface_get_stride(image);
    for (size_t row = 0; row < rows; row++) {
      uint32_t *line = (uint32_t *)(void *)(bytes + row * stride); /* cairo aligns every row to 4 bytes */
      for (size_t column = 0; column < columns; column++) {
        sm_colour c = pixels[row * columns + column];
        line[column] = (uint32_t)c.red << 16 | (uint32_t)c.green << 8 | c.blue;
      }
    }
    cairo_surface_mark_dirty(image);
    cairo_t *cairo = canvas->cairo;
    cairo_save(cairo);
    cairo_translate(cairo, x, y);
    cairo_scale(cairo, width / (double)columns, height / (double)rows);
    cairo_set_source_surface(cairo, image, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(cairo), CAIRO_FILTER_NEAREST);
    cairo_pattern_set_extend(cairo_get_source(cairo), CAIRO_EXTEND_PAD);
    cairo_rectangle(cairo, 0, 0, (double)columns, (double)rows);
    cairo_fill(cairo);
    cairo_restore(cairo);
    status = check_cairo(cairo_status(cairo), error);
  }
  cairo_surface_destroy(image);
  return status;
}

/* The step out of 0..steps that is nearest to where x lies between low and high. */
static long nearest_step(double x, double low, double high, double steps) {
  return lround(steps * fmin(1, fmax(0, (x - low) / (high - low))));
}

static sm_status check_values(const real *x, double low, double high, size_t count, sm_error *error) {
  if (!(low < high) || !isfinite(high - low))
    return sm_fail(error, SM_BAD_VALUE, "the scale must go from a lower to a higher value, got %g to %g", low,
                   high);
  for (size_t i = 0; i < count; i++)
    if (!isfinite(x[i]))
      return sm_fail(error, SM_BAD_VALUE, "value %zu of the image is not finite: %g", i + 1, (double)x[i]);
  return SM_OK;
}

sm_status sm_colour_map(sm_colour *pixels, const real *x, const sm_colour *map, double low, double high,
                        size_t entries, size_t count, sm_error *error) {
  if (!entries) return sm_fail(error, SM_BAD_VALUE, "the colour map is empty");
  sm_status status = check_values(x, low, high, count, error);
  if (status != SM_OK) return status;
  double steps = (double)(entries - 1);
  for (size_t i = 0; i < count; i++) pixels[i] = map[nearest_step((double)x[i], low, high, steps)];
  return SM_OK;
}

sm_status sm_colour_rgb(sm_colour *pixels, const real *x, double low, double high, size_t count,
                        sm_error *error) {
  sm_status status = check_values(x, low, high, 3 * count, error);
  if (status != SM_OK) return status;
  for (size_t i = 0; i < count; i++) {
    uint8_t channel[3];
    for (size_t c = 0; c < 3; c++) channel[c] = (uint8_t)nearest_step((double)x[3 * i + c], low, high, 255);
    pixels[i] = (sm_colour){channel[0], channel[1], channel[2], 255};
  }
  return SM_OK;
}

/* ---- the file ---- */

typedef struct png_sink {
  sm_writer writer;
  sm_status status;
  sm_error *error;
} png_sink;

static cairo_status_t write_some(void *closure, const unsigned char *data, unsigned int bytes) {
  png_sink *sink = closure;
  sink->status = sm_writer_write(&sink->writer, data, bytes, sink->error);
  return sink->status == SM_OK ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

sm_status sm_canvas_save(sm_canvas *canvas, const char *path, sm_error *error) {
  png_sink sink = {.error = error};
  sm_status status = find_room(ROOM, error);
  if (status == SM_OK) status = sm_writer_open(&sink.writer, path, error);
  if (status != SM_OK) return status;
  cairo_surface_flush(canvas->surface);
  cairo_status_t drawn = cairo_surface_write_to_png_stream(canvas->surface, write_some, &sink);
  if (sink.status != SM_OK) status = sink.status; /* says more than cairo's "write error" */
  else status = check_cairo(drawn, error);
  if (status == SM_OK) return sm_writer_commit(&sink.writer, error);
  sm_writer_abandon(&sink.writer);
  return status;
}
