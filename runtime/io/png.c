#include "io/png.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "core/parallel.h"
#include "io/content.h"
#include "io/file.h"
#include "io/png_work.h"

enum {
  BUFFER = 1 << 15,     /* bytes of a file at a time: a small picture whole */
  FULL_16 = 65535, /* the greatest number of 16 bits */
  FILES_AT_ONCE = 64 /* files that one thread reads after each other */
};

typedef struct reader {
  sm_png_work work;
  sm_file file;
  uint64_t next;    /* byte of the file behind the buffer */
  size_t at, held;  /* of the buffer: what was taken, what there is */
  png_structp png;
  png_infop info;
  sm_shape shape;   /* of the picture as it is given: {height, width, channels} */
  sm_dtype dtype;
  int stored;       /* channels that libpng gives: 1 of a palette */
  bool wide;        /* 16 bits a channel */
  int colours;      /* of the palette */
  png_color *palette;
  int alphas;       /* entries of the palette that have an alpha */
  png_byte *alpha;
  unsigned char *rows; /* as libpng gives them: all of an interlaced picture, else one */
  size_t row_bytes;
  bool interlaced;
  unsigned char buffer[BUFFER];
} reader;

static unsigned long long offset(const reader *r) { return r->next - r->held + r->at; }

/* What a file is that does not begin as a PNG does; NULL where it does. It is named because its name often lies. */
static const char *other_kind(const reader *r) {
  static const struct {
    const char *begins, *is;
    size_t bytes;
  } kinds[] = {{"\xff\xd8\xff", "this is a JPEG", 3}, {"GIF8", "this is a GIF", 4},  {"BM", "this is a BMP", 2},
               {"RIFF", "this is a WebP", 4},       {"II*\0", "this is a TIFF", 4}, {"MM\0*", "this is a TIFF", 4}};
  bool first = r->next == r->held && r->held >= 8;
  if (!first || png_sig_cmp(r->buffer, 0, 8) == 0) return NULL;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (memcmp(r->buffer, kinds[i].begins, kinds[i].bytes) == 0) return kinds[i].is;
  return "it does not begin as a PNG does";
}

static void read_failed(png_structp png, png_const_charp reason) {
  reader *r = png_get_error_ptr(png);
  if (r->work.status == SM_OK && r->work.no_memory)
    r->work.status = sm_fail(r->work.error, SM_NO_MEMORY, "%s: out of memory", r->work.path);
  const char *other = other_kind(r);
  if (r->work.status == SM_OK && other) {
    r->work.status = sm_fail(r->work.error, SM_BAD_FILE, "%s: %s; only PNG pictures are read: convert it", r->work.path,
                             other);
  }
  if (r->work.status == SM_OK) {
    r->work.status = sm_fail(r->work.error, SM_BAD_FILE, "%s: byte %llu: this PNG cannot be read: %s", r->work.path,
                             offset(r), reason);
  }
  png_longjmp(png, 1);
}

static void read_some(png_structp png, png_bytep out, size_t bytes) {
  reader *r = png_get_io_ptr(png);
  while (bytes > 0) {
    if (r->at == r->held) {
      uint64_t rest = r->file.bytes - r->next;
      size_t piece = rest < BUFFER ? (size_t)rest : BUFFER;
      r->at = r->held = 0;
      if (piece == 0) png_error(png, "truncated: the file ends here");
      r->work.status = sm_file_read(r->buffer, &r->file, r->next, piece, r->work.error);
      if (r->work.status != SM_OK) png_error(png, "");
      r->next += piece;
      r->held = piece;
    }
    size_t piece = r->held - r->at < bytes ? r->held - r->at : bytes;
    memcpy(out, r->buffer + r->at, piece);
    r->at += piece;
    out += piece;
    bytes -= piece;
  }
}

static void close_reader(reader *r) {
  png_destroy_read_struct(&r->png, &r->info, NULL);
  free(r->rows);
  r->rows = NULL;
  sm_file_close(&r->file);
}

/* Makes sure that a file of this length can hold the pixels, before anything is allocated for them. */
static sm_status check_size(reader *r, size_t stored_bits) {
  const char *path = r->work.path;
  char text[SM_SHAPE_TEXT];
  unsigned long long bytes = r->file.bytes;
  size_t pixels, wanted, kept;
  bool fits = sm_multiply(&pixels, r->shape.size[0], r->shape.size[1]) && sm_multiply(&kept, pixels, stored_bits) &&
              sm_shape_extent(&wanted, &r->shape, sm_dtype_bytes(r->dtype));
  if (!fits || kept / 8 / SM_DEFLATE_RATIO > bytes) {
    return sm_fail(r->work.error, SM_BAD_FILE, "%s: byte 16: a picture of %s is more than %llu bytes hold", path,
                   sm_shape_text(text, &r->shape), bytes);
  }
  if (wanted > SM_LARGE_CONTENT && wanted / SM_USUAL_RATIO > bytes) {
    return sm_fail(r->work.error, SM_BAD_FILE,
                   "%s: byte 16: a picture of %s asks for %zu bytes of %llu compressed ones, more than %d times as "
                   "many", path, sm_shape_text(text, &r->shape), wanted, bytes, SM_USUAL_RATIO);
  }
  return SM_OK;
}

/* Reads what stands before the pixels, and says what libpng is to make of them. Jumps on an error. */
static void read_header(reader *r, int channels) {
  png_structp png = r->png;
  png_infop info = r->info;
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1); /* texts, profiles, times, … */
  png_read_info(png, info);
  int colour = png_get_color_type(png, info), depth = png_get_bit_depth(png, info);
  size_t bits = (size_t)depth * png_get_channels(png, info);
  bool transparent = png_get_valid(png, info, PNG_INFO_tRNS) != 0;
  int kept = png_get_channels(png, info);
  if (colour == PNG_COLOR_TYPE_PALETTE) {
    png_get_PLTE(png, info, &r->palette, &r->colours);
    if (transparent) png_get_tRNS(png, info, &r->alpha, &r->alphas, NULL);
    png_set_packing(png);
    kept = transparent ? 4 : 3;
  } else if (transparent) {
    png_set_expand(png); /* also greys of fewer bits */
    kept++;
  } else if (depth < 8) {
    png_set_expand_gray_1_2_4_to_8(png);
  }
  r->wide = depth == 16;
  r->dtype = r->wide ? SM_REAL : SM_UINT8;
  r->shape = (sm_shape){.rank = 3, .size = {png_get_image_height(png, info), png_get_image_width(png, info),
                                            (size_t)(channels ? channels : kept)}};
  r->work.status = check_size(r, bits);
  if (r->work.status != SM_OK) return;
  r->interlaced = png_set_interlace_handling(png) > 1;
  png_read_update_info(png, info); /* allocates rows */
  r->stored = png_get_channels(png, info);
  r->row_bytes = png_get_rowbytes(png, info);
}

/* Opens a file as far as its pixels; its shape and type are known then. After a failure it is closed. */
static sm_status open_reader(reader *r, const char *path, int channels, sm_error *error) {
  memset(r, 0, offsetof(reader, buffer));
  r->work = (sm_png_work){.path = path, .error = error};
  sm_status status = sm_file_open(&r->file, path, error);
  if (status != SM_OK) return status;
  r->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, r, read_failed, sm_png_warned, &r->work, sm_png_take,
                                    sm_png_give);
  r->info = r->png ? png_create_info_struct(r->png) : NULL;
  if (!r->info && r->work.status == SM_OK) {
    r->work.status = sm_fail(error, SM_NO_MEMORY, "%s: out of memory", path);
  } else if (r->info && !setjmp(png_jmpbuf(r->png))) {
    png_set_user_limits(r->png, SM_PNG_MOST_PIXELS, SM_PNG_MOST_PIXELS);
    png_set_read_fn(r->png, r, read_some);
    read_header(r, channels);
  }
  if (r->work.status != SM_OK) close_reader(r);
  return r->work.status;
}

/* The nearest grey, by the weights of ITU-R BT.601 in parts of 65536. */
static uint8_t grey_of(const uint8_t *rgb) {
  return (uint8_t)((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 32768u) >> 16);
}

/* out (width, channels) = a row of bytes (width, stored), or of positions in the palette. */
static sm_status convert_bytes(reader *r, uint8_t *out, const unsigned char *row, size_t y) {
  size_t channels = r->shape.size[2], stored = (size_t)r->stored;
  if (!r->palette && stored == channels) {
    memcpy(out, row, r->shape.size[1] * channels);
    return SM_OK;
  }
  for (size_t x = 0; x < r->shape.size[1]; x++) {
    const unsigned char *pixel = row + x * stored;
    uint8_t rgba[4];
    if (r->palette) {
      if (*pixel >= r->colours) {
        return sm_fail(r->work.error, SM_BAD_FILE,
                       "%s: the pixel in row %zu, column %zu is colour %d, counted from 0, of a palette of %d",
                       r->work.path, y + 1, x + 1, *pixel, r->colours);
      }
      const png_color *colour = r->palette + *pixel;
      rgba[0] = colour->red;
      rgba[1] = colour->green;
      rgba[2] = colour->blue;
      rgba[3] = *pixel < r->alphas ? r->alpha[*pixel] : SM_PNG_FULL;
    } else {
      bool coloured = stored > 2;
      rgba[0] = pixel[0];
      rgba[1] = coloured ? pixel[1] : pixel[0];
      rgba[2] = coloured ? pixel[2] : pixel[0];
      rgba[3] = stored % 2 == 0 ? pixel[stored - 1] : SM_PNG_FULL;
    }
    if (channels > 2) memcpy(out, rgba, channels);
    else out[0] = !r->palette && stored < 3 ? rgba[0] : grey_of(rgba);
    if (channels == 2) out[1] = rgba[3];
    out += channels;
  }
  return SM_OK;
}

/* The same of numbers of 16 bits, which become real from 0 to 1. */
static void convert_wide(const reader *r, real *out, const unsigned char *row) {
  size_t channels = r->shape.size[2], stored = (size_t)r->stored;
  for (size_t x = 0; x < r->shape.size[1]; x++) {
    double given[4] = {0}, rgba[4];
    for (size_t c = 0; c < stored; c++) {
      const unsigned char *number = row + 2 * (x * stored + c);
      given[c] = (number[0] << 8 | number[1]) / (double)FULL_16;
    }
    bool coloured = stored > 2;
    for (size_t c = 0; c < 3; c++) rgba[c] = given[coloured ? c : 0];
    rgba[3] = stored % 2 == 0 ? given[stored - 1] : 1;
    double grey = coloured ? 0.299 * rgba[0] + 0.587 * rgba[1] + 0.114 * rgba[2] : rgba[0];
    for (size_t c = 0; c < channels; c++) out[c] = (real)(channels > 2 ? rgba[c] : c == 0 ? grey : rgba[3]);
    out += channels;
  }
}

static sm_status convert_row(reader *r, void *out, const unsigned char *row, size_t y) {
  size_t first = y * r->shape.size[1] * r->shape.size[2];
  if (!r->wide) return convert_bytes(r, (uint8_t *)out + first, row, y);
  convert_wide(r, (real *)out + first, row);
  return SM_OK;
}

/* Jumps on an error. */
static void read_rows(reader *r, void *out) {
  size_t height = r->shape.size[0];
  if (!r->interlaced) {
    for (size_t y = 0; y < height && r->work.status == SM_OK; y++) {
      png_read_row(r->png, r->rows, NULL);
      r->work.status = convert_row(r, out, r->rows, y);
    }
  } else {
    for (int pass = 0; pass < PNG_INTERLACE_ADAM7_PASSES; pass++)
      for (size_t y = 0; y < height; y++) png_read_row(r->png, r->rows + y * r->row_bytes, NULL);
    for (size_t y = 0; y < height && r->work.status == SM_OK; y++)
      r->work.status = convert_row(r, out, r->rows + y * r->row_bytes, y);
  }
  if (r->work.status == SM_OK) png_read_end(r->png, NULL);
}

/* out = the pixels of an open file, which is closed then. */
static sm_status read_pixels(reader *r, void *out) {
  size_t bytes = 0;
  if (sm_multiply(&bytes, r->row_bytes, r->interlaced ? r->shape.size[0] : 1)) r->rows = calloc(bytes, 1);
  if (!r->rows) r->work.status = sm_fail(r->work.error, SM_NO_MEMORY, "%s: out of memory", r->work.path);
  else if (!setjmp(png_jmpbuf(r->png))) read_rows(r, out);
  sm_status status = r->work.status;
  close_reader(r);
  return status;
}

sm_status sm_png_read(sm_tensor *out, sm_memory *memory, const char *path, int channels, sm_error *error) {
  *out = (sm_tensor){0};
  reader r;
  sm_status status = open_reader(&r, path, channels, error);
  if (status != SM_OK) return status;
  status = sm_tensor_new(out, memory, r.dtype, &r.shape, error);
  if (status != SM_OK) {
    close_reader(&r);
    return status;
  }
  status = read_pixels(&r, out->data);
  if (status != SM_OK) sm_tensor_release(out);
  return status;
}

typedef struct many {
  const char **paths;
  const sm_tensor *out;
  bool *failed; /* for each item of the work */
  size_t count, each, bytes; /* files, files of an item, bytes of a picture */
  int channels;
} many;

/* Picture number i, which must be as `out` has them. */
static sm_status read_one(const many *all, size_t i, sm_error *error) {
  reader r;
  sm_status status = open_reader(&r, all->paths[i], all->channels, error);
  if (status != SM_OK) return status;
  sm_shape expected = {.rank = 3};
  memcpy(expected.size, all->out->shape.size + 1, 3 * sizeof *expected.size);
  if (sm_shape_equal(&r.shape, &expected) && r.dtype == all->out->dtype)
    return read_pixels(&r, (char *)all->out->data + i * all->bytes);
  char own[SM_SHAPE_TEXT], others[SM_SHAPE_TEXT];
  int bits = r.wide ? 16 : 8;
  close_reader(&r);
  return sm_fail(error, SM_BAD_SHAPE, "%s: a picture of %s with %d bits a channel, where %s is one of %s with %d",
                 all->paths[i], sm_shape_text(own, &r.shape), bits, all->paths[0], sm_shape_text(others, &expected),
                 all->out->dtype == SM_REAL ? 16 : 8);
}

static void read_item(const void *work, size_t item) {
  const many *all = work;
  size_t first = item * all->each, last = first + all->each < all->count ? first + all->each : all->count;
  for (size_t i = first; i < last && !all->failed[item]; i++) all->failed[item] = read_one(all, i, NULL) != SM_OK;
}

/* What failed is read again, alone and from the first on, for its message. */
static sm_status read_failures(const many *all, size_t items, sm_error *error) {
  for (size_t item = 0; item < items; item++) {
    for (size_t i = item * all->each; all->failed[item] && i < all->count && i < (item + 1) * all->each; i++) {
      sm_status status = read_one(all, i, error);
      if (status != SM_OK) return status;
    }
  }
  return SM_OK;
}

static sm_status read_many(many *all, sm_tensor *out, sm_memory *memory, sm_error *error) {
  reader r;
  sm_status status = open_reader(&r, all->paths[0], all->channels, error);
  if (status != SM_OK) return status;
  sm_shape shape = {.rank = 4, .size = {all->count, r.shape.size[0], r.shape.size[1], r.shape.size[2]}};
  sm_dtype dtype = r.dtype;
  all->bytes = sm_shape_count(&r.shape) * sm_dtype_bytes(dtype);
  close_reader(&r);
  status = sm_tensor_new(out, memory, dtype, &shape, error);
  if (status != SM_OK) return status;
  size_t items = (all->count + all->each - 1) / all->each;
  all->out = out;
  sm_parallel(items, SM_LARGE, read_item, all);
  status = read_failures(all, items, error);
  if (status != SM_OK) sm_tensor_release(out);
  return status;
}

sm_status sm_png_read_all(sm_tensor *out, sm_memory *memory, const char *paths, size_t count, int channels,
                          sm_error *error) {
  *out = (sm_tensor){0};
  many all = {.count = count, .each = FILES_AT_ONCE, .channels = channels};
  all.paths = calloc(count, sizeof *all.paths);
  all.failed = calloc(count, sizeof *all.failed);
  sm_status status = SM_NO_MEMORY;
  if (all.paths && all.failed) {
    for (size_t i = 0; i < count; paths += strlen(paths) + 1) all.paths[i++] = paths;
    status = read_many(&all, out, memory, error);
  } else {
    sm_fail(error, SM_NO_MEMORY, "%s: out of memory", paths);
  }
  free(all.paths);
  free(all.failed);
  return status;
}
