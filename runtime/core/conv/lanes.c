#include "core/conv/lanes.h"

sm_sight sm_sight_of(const sm_grouping *in, size_t vector) {
  size_t channel = vector * SM_VECTOR, base = channel / in->own * in->terms, last = 0;
  sm_sight sight = {.channel = channel,
                    .count = sm_smaller(in->results - channel, SM_VECTOR),
                    .base = base,
                    .sources = sm_smaller(in->sources - base, SM_VECTOR)};
  if (in->own == 1 && in->terms == 1) { /* nothing to divide */
    sight.in_place = sight.count == SM_VECTOR;
    sight.near = true;
    for (size_t lane = 0; lane < SM_VECTOR; lane++) sight.first[lane] = (int)lane;
    return sight;
  }
  for (size_t lane = 0; lane < sight.count; lane++) {
    last = (channel + lane) / in->own * in->terms - base;
    sight.first[lane] = (int)last;
  }
  sight.near = last + in->terms <= SM_VECTOR;
  return sight;
}

/* Source rows that the windows of some rows of positions span. */
static size_t span(size_t rows, const sm_reading *read) {
  return (rows - 1) * read->stride + sm_window_reach(read->kernel_height, read->dilation);
}

size_t sm_seen_bytes(const sm_grouping *in, const sm_reading *read) {
  if (in->own == 1 && in->terms == 1 && in->results % SM_VECTOR == 0) return 0;
  if (!read->kernel_height) return 0;
  size_t pixels = sm_smaller(span(read->band, read), read->height) * read->width;
  return sm_aligned(pixels * in->terms * SM_VECTOR * sizeof(real));
}

/* out (terms, vector) of one source pixel. */
SM_INLINE void spread_pixel(real *out, const real *pixel, const sm_sight *sight, size_t terms) {
  if (sight->near) {
    sm_vector channels = sm_vector_load(pixel + sight->base, sight->sources);
    for (size_t j = 0; j < terms; j++)
      *(sm_vector *)(out + j * SM_VECTOR) = sm_vector_permute(channels, sight->first + (int)j);
    return;
  }
  for (size_t j = 0; j < terms; j++) {
    for (size_t lane = 0; lane < SM_VECTOR; lane++)
      out[j * SM_VECTOR + lane] = pixel[sight->base + (size_t)sight->first[lane] + j];
  }
}

sm_seen sm_see(real *memory, const real *images, size_t image, size_t row, size_t rows, const sm_sight *sight,
               const sm_grouping *in, const sm_reading *read) {
  sm_seen seen = {.lines = memory, .line = read->width * in->terms * SM_VECTOR, .pixel = in->terms * SM_VECTOR};
  if (!read->kernel_height) return seen;
  ptrdiff_t top = (ptrdiff_t)(row * read->stride) - read->top;
  sm_range on = sm_on_axis(top, span(rows, read), read->height);
  if (on.first == on.last) return seen;
  seen.first = (size_t)(top + (ptrdiff_t)on.first);
  const real *pixel = images + (image * read->height + seen.first) * read->line;
  if (sight->in_place) return (sm_seen){pixel + sight->base, seen.first, read->line, read->pixel};
  size_t pixels = (on.last - on.first) * read->width;
  for (size_t i = 0; i < pixels; i++, pixel += read->pixel, memory += seen.pixel)
    spread_pixel(memory, pixel, sight, in->terms);
  return seen;
}
