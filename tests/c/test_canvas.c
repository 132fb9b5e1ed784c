/* Pictures: pixels are read back out of the PNG that was saved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <cairo.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/canvas.h"

static const sm_colour white = {255, 255, 255, 255}, black = {0, 0, 0, 255}, red = {200, 30, 40, 255};
static const sm_font small_font = {12, false};

static char directory[64];
static char path[96];

static int make_directory(void **state) {
  (void)state;
  strcpy(directory, "/tmp/smrun-canvas-XXXXXX");
  if (!mkdtemp(directory)) return -1;
  snprintf(path, sizeof path, "%s/picture.png", directory);
  return 0;
}

static int remove_directory(void **state) {
  (void)state;
  unlink(path);
  return rmdir(directory); /* fails when a temporary was left behind */
}

static sm_canvas *new_canvas(int width, int height) {
  sm_canvas *canvas;
  assert_int_equal(sm_canvas_new(&canvas, width, height, white, NULL), SM_OK);
  return canvas;
}

/* Saves the canvas, frees it, and returns the picture that lies in the file. */
static cairo_surface_t *save_and_load(sm_canvas *canvas) {
  sm_error error = {0};
  if (sm_canvas_save(canvas, path, &error) != SM_OK) fail_msg("%s", error.message);
  sm_canvas_free(canvas);
  cairo_surface_t *surface = cairo_image_surface_create_from_png(path);
  assert_int_equal(cairo_surface_status(surface), CAIRO_STATUS_SUCCESS);
  return surface;
}

/* 0xrrggbb */
static uint32_t pixel(cairo_surface_t *surface, int x, int y) {
  unsigned char *row = cairo_image_surface_get_data(surface) + y * cairo_image_surface_get_stride(surface);
  uint32_t value;
  memcpy(&value, row + 4 * x, sizeof value);
  return value & 0xffffff;
}

static void test_rect_and_line(void **state) {
  (void)state;
  sm_canvas *canvas = new_canvas(40, 30);
  const sm_box box = {.fill = red, .stroke = black, .thickness = 2};
  assert_int_equal(sm_canvas_rect(canvas, 5, 5, 20, 10, &box, NULL), SM_OK);
  const double points[] = {0, 25, 40, 25};
  assert_int_equal(sm_canvas_line(canvas, points, black, 2, 2, NULL), SM_OK);
  cairo_surface_t *picture = save_and_load(canvas);
  assert_int_equal(cairo_image_surface_get_width(picture), 40);
  assert_int_equal(cairo_image_surface_get_height(picture), 30);
  assert_int_equal(pixel(picture, 4, 4), 0xffffff);
  assert_int_equal(pixel(picture, 5, 5), 0x000000); /* the stroke lies inside */
  assert_int_equal(pixel(picture, 6, 6), 0x000000);
  assert_int_equal(pixel(picture, 7, 7), 0xc81e28);
  assert_int_equal(pixel(picture, 24, 14), 0x000000);
  assert_int_equal(pixel(picture, 25, 15), 0xffffff);
  assert_int_equal(pixel(picture, 20, 24), 0x000000);
  assert_int_equal(pixel(picture, 20, 26), 0xffffff);
  cairo_surface_destroy(picture);
}

static void test_image_is_crisp(void **state) {
  (void)state;
  const sm_colour map[] = {{0, 0, 255, 255}, {230, 230, 230, 255}, {255, 0, 0, 255}};
  const real x[] = {-1, 0, 1, -7, 0.2f, 7};
  sm_colour pixels[6];
  assert_int_equal(sm_colour_map(pixels, x, map, -1, 1, 3, 6, NULL), SM_OK);
  sm_canvas *canvas = new_canvas(40, 30);
  assert_int_equal(sm_canvas_image(canvas, 4, 3, 30, 20, pixels, 2, 3, NULL), SM_OK);
  cairo_surface_t *picture = save_and_load(canvas);
  const uint32_t expected[] = {0x0000ff, 0xe6e6e6, 0xff0000, 0x0000ff, 0xe6e6e6, 0xff0000};
  for (int y = 0; y < 30; y++)
    for (int column = 0; column < 40; column++) {
      int inside = column >= 4 && column < 34 && y >= 3 && y < 23;
      uint32_t wanted = inside ? expected[(y - 3) / 10 * 3 + (column - 4) / 10] : 0xffffff;
      if (pixel(picture, column, y) != wanted)
        fail_msg("pixel (%d, %d) is %06x, expected %06x", column, y, pixel(picture, column, y), wanted);
    }
  cairo_surface_destroy(picture);
}

static void test_colours(void **state) {
  (void)state;
  const real x[] = {-1, 0, 1, 2, -2, 0.5f};
  sm_colour pixels[2];
  assert_int_equal(sm_colour_rgb(pixels, x, -1, 1, 2, NULL), SM_OK);
  const sm_colour expected[] = {{0, 128, 255, 255}, {255, 0, 191, 255}};
  assert_memory_equal(pixels, expected, sizeof expected);

  sm_error error;
  const real broken[] = {0, (real)NAN, 1};
  assert_int_equal(sm_colour_map(pixels, broken, &white, 0, 1, 1, 2, &error), SM_BAD_VALUE);
  assert_string_equal(error.message, "value 2 of the image is not finite: nan");
  assert_int_equal(sm_colour_rgb(pixels, x, 1, 1, 2, &error), SM_BAD_VALUE);
  assert_string_equal(error.message, "the scale must go from a lower to a higher value, got 1 to 1");
  assert_int_equal(sm_colour_map(pixels, x, &white, 0, 1, 0, 2, &error), SM_BAD_VALUE);
}

/* The columns that hold anything but white, as first and last. */
static void find_ink(cairo_surface_t *picture, int *first, int *last) {
  *first = *last = -1;
  for (int x = 0; x < cairo_image_surface_get_width(picture); x++)
    for (int y = 0; y < cairo_image_surface_get_height(picture); y++)
      if (pixel(picture, x, y) != 0xffffff) {
        if (*first < 0) *first = x;
        *last = x;
      }
}

static void test_text(void **state) {
  (void)state;
  sm_text_extents extents, twice;
  assert_int_equal(sm_text_measure(&extents, "5×5", small_font, NULL), SM_OK);
  assert_int_equal(sm_text_measure(&twice, "5×5", (sm_font){24, false}, NULL), SM_OK);
  assert_true(extents.width > 12 && extents.width < 36 && extents.ascent > extents.descent);
  assert_true(fabs(twice.width - 2 * extents.width) < 0.1);
  const double lowest[] = {48, 50 - extents.width / 2 - 2, 50 - extents.width - 2};
  for (sm_align align = SM_ALIGN_LEFT; align <= SM_ALIGN_RIGHT; align++) {
    sm_canvas *canvas = new_canvas(100, 30);
    assert_int_equal(sm_canvas_text(canvas, 50, 20, "5×5", small_font, align, black, NULL), SM_OK);
    cairo_surface_t *picture = save_and_load(canvas);
    int first, last;
    find_ink(picture, &first, &last);
    assert_true(first >= lowest[align] && last <= lowest[align] + extents.width + 4 && last > first);
    cairo_surface_destroy(picture);
  }
}

static void test_errors(void **state) {
  (void)state;
  sm_error error;
  sm_canvas *canvas;
  assert_int_equal(sm_canvas_new(&canvas, 0, 5, white, &error), SM_BAD_VALUE);
  assert_string_equal(error.message, "a canvas has 1 to 16384 pixels on a side, got 0 x 5");
  assert_null(canvas);
  canvas = new_canvas(10, 10);
  assert_int_equal(sm_canvas_save(canvas, "/nowhere/at/all.png", &error), SM_SYSTEM);
  assert_non_null(strstr(error.message, "/nowhere/at/all.png"));
  assert_int_equal(sm_canvas_text(canvas, 0, 5, "\xff", small_font, SM_ALIGN_LEFT, black, &error), SM_BAD_VALUE);
  sm_canvas_free(canvas);
  sm_canvas_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_rect_and_line, make_directory, remove_directory),
      cmocka_unit_test_setup_teardown(test_image_is_crisp, make_directory, remove_directory),
      cmocka_unit_test_setup_teardown(test_text, make_directory, remove_directory),
      cmocka_unit_test(test_colours),
      cmocka_unit_test(test_errors),
  };
  return cmocka_run_group_tests_name("canvas", tests, NULL, NULL);
}
