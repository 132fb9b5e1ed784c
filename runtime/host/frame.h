/* Frames, of which what a supervisor and its worker say to each other is made: a byte for the kind, the length of the
   payload in four bytes, the least first, and the payload. No Lua and no input or output, so that it can be fuzzed. */
#ifndef SM_HOST_FRAME_H
#define SM_HOST_FRAME_H

#include <stddef.h>
#include <stdint.h>

enum { SM_FRAME_HEAD = 5, SM_FRAME_MOST = 16 << 20 }; /* bytes of the head; of a payload, at most */

typedef struct sm_frame {
  char kind;
  const uint8_t *bytes; /* the payload, where it was read */
  size_t length;
} sm_frame;

typedef enum sm_frame_state { SM_FRAME_WHOLE, SM_FRAME_PARTIAL, SM_FRAME_BROKEN } sm_frame_state;

/* Reads the frame at the beginning of `size` bytes. Its kind must be one of the characters of `kinds`: another one, or
   a length above SM_FRAME_MOST, is broken as soon as it can be seen. *frame is set where the frame is whole. */
sm_frame_state sm_frame_read(const uint8_t *bytes, size_t size, const char *kinds, sm_frame *frame);

/* The head of a frame. length <= SM_FRAME_MOST. */
void sm_frame_head(uint8_t head[SM_FRAME_HEAD], char kind, size_t length);

/* What has come and was not taken yet. All zero at first. */
typedef struct sm_frames {
  uint8_t *memory;
  size_t begin, end, capacity; /* the bytes are those from begin to end */
} sm_frames;

/* Where at least `wanted` bytes more can be written; NULL where there is no memory. What sm_frames_first gave is
   invalid after. */
uint8_t *sm_frames_room(sm_frames *frames, size_t wanted);

/* So many bytes were written there. */
void sm_frames_add(sm_frames *frames, size_t length);

/* How many bytes wait to be taken. */
size_t sm_frames_size(const sm_frames *frames);

/* The first frame, as sm_frame_read has it; valid until it is taken, or until there is more room. */
sm_frame_state sm_frames_first(const sm_frames *frames, const char *kinds, sm_frame *frame);

/* The first frame, which is whole, is done with. */
void sm_frames_take(sm_frames *frames, const sm_frame *frame);

void sm_frames_release(sm_frames *frames);

#endif
