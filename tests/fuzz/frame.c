/* Frames from a worker. The first byte of an input says in what pieces the rest arrives; the frames must be those of a
   reader that has all at once, and what is broken must be broken at the same frame. */
#include "host/frame.h"

#include <string.h>

#include "input.h"

static const char kinds[] = "moe";

/* The frame at `at`, read slowly and plainly: its length with the head, 0 where it is not whole, -1 where it is
   broken. */
static long expected_at(const uint8_t *data, size_t size, size_t at) {
  size_t left = size - at;
  if (left == 0) return 0;
  if (data[at] != 'm' && data[at] != 'o' && data[at] != 'e') return -1;
  if (left < 5) return 0;
  unsigned long length = 0;
  for (size_t i = 4; i >= 1; i--) length = 256 * length + data[at + i];
  if (length > 16ul * 1024 * 1024) return -1;
  return left >= 5 + length ? (long)(5 + length) : 0;
}

static void expect_frame(const sm_frame *frame, const uint8_t *data, size_t at, long length) {
  uint8_t head[SM_FRAME_HEAD];
  if (length <= 0) finding("a frame at %zu where none is", at);
  if (frame->length != (size_t)length - 5 || frame->kind != (char)data[at]) finding("another frame at %zu", at);
  if (memcmp(frame->bytes, data + at + 5, frame->length) != 0) finding("other bytes at %zu", at);
  sm_frame_head(head, frame->kind, frame->length);
  if (memcmp(head, data + at, sizeof head) != 0) finding("another head at %zu", at);
}

/* Takes every frame that is whole; the state of what is left. */
static sm_frame_state take_frames(sm_frames *frames, const uint8_t *data, size_t size, size_t *at) {
  sm_frame frame;
  sm_frame_state state;
  while ((state = sm_frames_first(frames, kinds, &frame)) == SM_FRAME_WHOLE) {
    expect_frame(&frame, data, *at, expected_at(data, size, *at));
    *at += SM_FRAME_HEAD + frame.length;
    sm_frames_take(frames, &frame);
  }
  return state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  const size_t piece = 1 + data[0] % 64, patience = 1 + data[0] / 64; /* pieces that come between two looks */
  sm_frames frames = {0};
  size_t at = 0, arrived = 0, pieces = 0;
  sm_frame_state state = SM_FRAME_PARTIAL;
  data++;
  size--;
  while (arrived < size && state == SM_FRAME_PARTIAL) {
    size_t next = size - arrived < piece ? size - arrived : piece;
    uint8_t *room = sm_frames_room(&frames, next);
    if (!room) finding("no memory for %zu bytes", next);
    memcpy(room, data + arrived, next);
    sm_frames_add(&frames, next);
    arrived += next;
    if (++pieces % patience == 0 || arrived == size) state = take_frames(&frames, data, size, &at);
    if (sm_frames_size(&frames) != arrived - at) finding("%zu bytes wait", sm_frames_size(&frames));
  }
  long rest = expected_at(data, size, at);
  if (state == SM_FRAME_BROKEN && rest != -1) finding("broken at %zu, where nothing is wrong", at);
  if (state == SM_FRAME_PARTIAL && rest != 0) finding("partial at %zu, where a frame is whole or broken", at);
  if (frames.capacity > 8192 + 2 * size) finding("%zu bytes of memory for %zu", frames.capacity, size);
  sm_frames_release(&frames);
  return 0;
}
