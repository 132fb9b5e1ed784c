/* PNG pictures, through libpng: one as a tensor, many of one size at once, and back. */
#ifndef SM_PNG_H
#define SM_PNG_H

#include "core/tensor.h"

/* out = the picture in a file, {height, width, channels}: uint8, of 16 bits a channel real from 0 to 1. Greys of 1, 2
   and 4 bits are spread over 0 to 255, a palette becomes its colours, and a colour that is declared transparent becomes
   alpha. Gamma and colour profiles are left alone.
   channels: 0 for as many as the file has, 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha), or 1, 3 or 4 to
   convert: colours to grey by the weights of ITU-R BT.601, alpha is left out, or opaque where there is none.
   SM_BAD_FILE names path, byte and reason. Nothing is allocated for a size that a file of this length cannot hold, nor
   for 256 MiB and more of pixels that are compressed to less than a hundredth. */
sm_status sm_png_read(sm_tensor *out, sm_memory *memory, const char *path, int channels, sm_error *error);

/* out = the pictures in `count` files, {count, height, width, channels}, read on all threads. They are like the first:
   SM_BAD_SHAPE names the first that has another size, number of channels or depth.
   paths: one after the other, each ends in a zero byte. count >= 1. */
sm_status sm_png_read_all(sm_tensor *out, sm_memory *memory, const char *paths, size_t count, int channels,
                          sm_error *error);

/* Writes x {height, width} or {height, width, 1 to 4}, uint8 or real from 0 to 1, as a picture of 8 bits a channel,
   durably. SM_BAD_SHAPE for another shape, SM_BAD_VALUE names the first real that is not from 0 to 1, its position
   counted from 1. */
sm_status sm_png_write(const char *path, const sm_tensor *x, sm_error *error);

#endif
