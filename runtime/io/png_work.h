/* What reading and writing of PNG share: libpng's calls back. */
#ifndef SM_PNG_WORK_H
#define SM_PNG_WORK_H

#include <png.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/status.h"

enum {
  SM_PNG_FULL = 255,           /* the greatest number of 8 bits; an opaque alpha */
  SM_PNG_MOST_PIXELS = 1 << 30 /* on a side */
};

/* What libpng is at work on, for its calls back. An error of libpng's ends in `failed` and a jump to where the work
   began, in the same file: no function of others lies between. */
typedef struct sm_png_work {
  const char *path;
  sm_error *error;
  sm_status status; /* of a call back that failed, or of libpng's error */
  bool no_memory;
} sm_png_work;

static inline png_voidp sm_png_take(png_structp png, png_alloc_size_t bytes) {
  void *block = malloc(bytes);
  if (!block) ((sm_png_work *)png_get_mem_ptr(png))->no_memory = true;
  return block;
}

static inline void sm_png_give(png_structp png, png_voidp block) {
  (void)png;
  free(block);
}

static inline void sm_png_warned(png_structp png, png_const_charp reason) {
  (void)png;
  (void)reason;
}

#endif
