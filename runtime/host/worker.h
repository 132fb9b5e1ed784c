/* The supervisor's end of a worker: another process of this program, which runs what is not trusted. */
#ifndef SM_HOST_WORKER_H
#define SM_HOST_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "host/frame.h"
#include "host/watch.h"

enum { SM_WORKER_NOISE = 1 << 16 }; /* bytes of noise that are read at once */

typedef struct sm_worker {
  pid_t process;                  /* 0 once it is reaped */
  int socket, pipe;               /* our ends; -1 once all was read */
  size_t socket_left, pipe_left;  /* how many bytes will still be read: no limit before it is reaped */
  sm_frames incoming;             /* what came through the socket and was not taken */
  uint8_t noise[SM_WORKER_NOISE]; /* what came through the pipe and was not taken */
  size_t noise_length;
  bool noise_next;  /* whose turn it is where both wait */
  bool told;        /* that a signal came */
  bool broken;      /* what it sent is no frame */
  bool ended;       /* its end was given out */
  double closed_at; /* when the socket was found closed; negative before */
  int status;       /* as waitpid gives it, once it is reaped */
  double cpu_seconds;
  sm_watch watch;
} sm_worker;

/* Makes one that was never started and can be released. */
void sm_worker_clear(sm_worker *worker);

/* Starts words[0], a path, with the null-terminated `words`, as a worker. Descriptor 3 is one end of a UNIX stream
   socket, 0 is empty, 1 and 2 are one pipe, 4 is what `shared` is here (-1: closed), others are closed. No signal is
   blocked, ignored or caught. It has a session of its own and is killed when this process dies, however it dies.
   Signals are passed on to it (interrupt.h). To be called in the main thread. 0, or the number of an error. One worker
   at a time. */
int sm_worker_start(sm_worker *worker, char *const *words, int shared);

typedef enum sm_worker_event {
  SM_WORKER_NOTHING,   /* came in time; or a signal that asks to stop has come, which is told once */
  SM_WORKER_FRAME,     /* `frame` has it */
  SM_WORKER_NOISED,    /* `noise` has what came through the pipe */
  SM_WORKER_ENDED,     /* it is reaped, and all it has sent was given out */
  SM_WORKER_NO_MEMORY, /* for what came */
} sm_worker_event;

/* What comes next, within so many seconds. It reads no more than it must: who sends more has to wait. A frame that is
   none makes an end to the worker, and so does a closed socket, after a second. */
sm_worker_event sm_worker_next(sm_worker *worker, double seconds, sm_frame *frame);

/* What the last call gave was taken; otherwise the next one gives it again. */
void sm_worker_taken(sm_worker *worker, sm_worker_event event, const sm_frame *frame);

/* Sends a message, and meanwhile keeps what comes, up to 64 MiB. 0, or the number of an error; EPIPE where the worker
   is gone. length <= SM_FRAME_MOST. */
int sm_worker_send(sm_worker *worker, const char *bytes, size_t length);

/* Kills the worker if it lives, waits for its end, and returns everything. Can be called again. */
void sm_worker_release(sm_worker *worker);

#endif
