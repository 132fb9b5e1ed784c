/* Pictures: a small drawing vocabulary over cairo, saved as PNG. Lengths are pixels, x grows to the right and
   y downwards, and a coordinate names the edge between pixels: a rectangle at whole numbers has crisp sides.
   What is beyond the bounds below, or not finite, is SM_BAD_VALUE, and nothing is drawn. */
#ifndef SM_CANVAS_H
#define SM_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "core/tensor.h"

/* Within these, drawing takes seconds, not hours. */
enum {
  SM_CANVAS_LARGEST_SIDE = 16384,    /* of a canvas and of an image, in pixels */
  SM_CANVAS_FARTHEST = 1000000,      /* a coordinate, a side or a radius, either way */
  SM_CANVAS_THICKEST = 100,          /* a stroke */
  SM_CANVAS_MOST_POINTS = 100000,    /* of a line */
  SM_CANVAS_LARGEST_FONT = 500,      /* the size of a text */
  SM_CANVAS_LONGEST_TEXT = 10000,    /* bytes */
  SM_CANVAS_MOST_COLOURS = 1 << 16   /* of a map */
};

typedef struct sm_canvas sm_canvas;

/* sRGB; alpha 255 is opaque, 0 draws nothing. */
typedef struct sm_colour {
  uint8_t red, green, blue, alpha;
} sm_colour;

typedef enum sm_align { SM_ALIGN_LEFT, SM_ALIGN_CENTRE, SM_ALIGN_RIGHT } sm_align;

typedef struct sm_font {
  double size; /* of the em square, in pixels */
  bool bold;
} sm_font;

typedef struct sm_text_extents {
  double width;           /* how far the pen moves */
  double ascent, descent; /* of the font: the height of a line is their sum */
} sm_text_extents;

/* How a rectangle looks. Its stroke lies inside the rectangle, so that neighbours never overlap. */
typedef struct sm_box {
  sm_colour fill, stroke;
  double thickness; /* of the stroke */
  double radius;    /* of the corners */
} sm_box;

/* A canvas filled with the background; the caller frees it. SM_BAD_VALUE when a side is not in
   1..SM_CANVAS_LARGEST_SIDE. */
sm_status sm_canvas_new(sm_canvas **canvas, int width, int height, sm_colour background, sm_error *error);
void sm_canvas_free(sm_canvas *canvas);

int sm_canvas_width(const sm_canvas *canvas);
int sm_canvas_height(const sm_canvas *canvas);

sm_status sm_canvas_rect(sm_canvas *canvas, double x, double y, double width, double height,
                         const sm_box *box, sm_error *error);

/* One stroke through points (count, 2) of x and y; a line of more than a thousand is several, where a translucent one
   shows that it crosses itself. */
sm_status sm_canvas_line(sm_canvas *canvas, const double *points, sm_colour colour, double thickness,
                         size_t count, sm_error *error);

/* UTF-8 text; y is its base line, x its left end, middle or right end. */
sm_status sm_canvas_text(sm_canvas *canvas, double x, double y, const char *text, sm_font font,
                         sm_align align, sm_colour colour, sm_error *error);
sm_status sm_text_measure(sm_text_extents *extents, const char *text, sm_font font, sm_error *error);

/* pixels (rows, columns) stretched over the rectangle without smoothing. Cells are equally large and crisp
   when the rectangle lies at whole numbers and its sides are multiples of columns and rows. Alpha is ignored. */
sm_status sm_canvas_image(sm_canvas *canvas, double x, double y, double width, double height,
                          const sm_colour *pixels, size_t rows, size_t columns, sm_error *error);

/* pixels[i] = the entry of map (entries) that is nearest to where x[i] lies between low and high; values
   beyond take the first or last entry. SM_BAD_VALUE when an x[i] is not finite. */
sm_status sm_colour_map(sm_colour *pixels, const real *x, const sm_colour *map, double low, double high,
                        size_t entries, size_t count, sm_error *error);

/* pixels[i] has the red, green and blue of x (count, 3), where low is 0 and high is full; else as above. */
sm_status sm_colour_rgb(sm_colour *pixels, const real *x, double low, double high, size_t count,
                        sm_error *error);

/* Writes a PNG of 8-bit RGB: to a temporary name, synced, renamed over path. */
sm_status sm_canvas_save(sm_canvas *canvas, const char *path, sm_error *error);

#endif
