#include "host/frame.h"

#include <stdlib.h>
#include <string.h>

sm_frame_state sm_frame_read(const uint8_t *bytes, size_t size, const char *kinds, sm_frame *frame) {
  if (size == 0) return SM_FRAME_PARTIAL;
  if (bytes[0] == 0 || !strchr(kinds, bytes[0])) return SM_FRAME_BROKEN;
  if (size < SM_FRAME_HEAD) return SM_FRAME_PARTIAL;
  size_t length = bytes[1] | (size_t)bytes[2] << 8 | (size_t)bytes[3] << 16 | (size_t)bytes[4] << 24;
  if (length > SM_FRAME_MOST) return SM_FRAME_BROKEN;
  if (size - SM_FRAME_HEAD < length) return SM_FRAME_PARTIAL;
  *frame = (sm_frame){(char)bytes[0], bytes + SM_FRAME_HEAD, length};
  return SM_FRAME_WHOLE;
}

void sm_frame_head(uint8_t head[SM_FRAME_HEAD], char kind, size_t length) {
  head[0] = (uint8_t)kind;
  for (int i = 1; i < SM_FRAME_HEAD; i++) head[i] = (uint8_t)(length >> 8 * (i - 1));
}

/* A large frame leaves no large memory behind. */
enum { SMALLEST = 1 << 12, KEPT = 1 << 20 };

uint8_t *sm_frames_room(sm_frames *frames, size_t wanted) {
  size_t size = sm_frames_size(frames);
  if (frames->begin > 0) {
    memmove(frames->memory, frames->memory + frames->begin, size);
    frames->begin = 0;
    frames->end = size;
  }
  if (frames->capacity - size < wanted) {
    size_t capacity = frames->capacity ? frames->capacity : SMALLEST;
    while (capacity - size < wanted) capacity *= 2;
    uint8_t *memory = realloc(frames->memory, capacity);
    if (!memory) return NULL;
    frames->memory = memory;
    frames->capacity = capacity;
  }
  return frames->memory + size;
}

void sm_frames_add(sm_frames *frames, size_t length) { frames->end += length; }

size_t sm_frames_size(const sm_frames *frames) { return frames->end - frames->begin; }

sm_frame_state sm_frames_first(const sm_frames *frames, const char *kinds, sm_frame *frame) {
  size_t size = sm_frames_size(frames);
  if (size == 0) return SM_FRAME_PARTIAL;
  return sm_frame_read(frames->memory + frames->begin, size, kinds, frame);
}

void sm_frames_take(sm_frames *frames, const sm_frame *frame) {
  frames->begin += SM_FRAME_HEAD + frame->length;
  if (frames->begin == frames->end) {
    frames->begin = frames->end = 0;
    if (frames->capacity > KEPT) sm_frames_release(frames);
  }
}

void sm_frames_release(sm_frames *frames) {
  free(frames->memory);
  *frames = (sm_frames){0};
}
