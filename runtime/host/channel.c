#include "host/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host/frame.h"

static bool is_open;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of who writes: a library may print in any thread */
static sm_frames incoming;

/* Writes two parts, whatever signals come. False with errno. */
static bool write_both(struct iovec parts[2]) {
  for (int part = 0; part < 2;) {
    ssize_t written = writev(SM_CHANNEL, parts + part, 2 - part);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    for (size_t rest = (size_t)written; part < 2; part++) {
      size_t done = rest < parts[part].iov_len ? rest : parts[part].iov_len;
      parts[part].iov_base = (char *)parts[part].iov_base + done;
      parts[part].iov_len -= done;
      rest -= done;
      if (parts[part].iov_len > 0) break;
    }
  }
  return true;
}

/* A frame goes out whole. False with errno. */
static bool write_frame(char kind, const char *bytes, size_t length) {
  uint8_t head[SM_FRAME_HEAD];
  sm_frame_head(head, kind, length);
  pthread_mutex_lock(&lock);
  bool written = write_both((struct iovec[]){{head, sizeof head}, {(void *)bytes, length}});
  pthread_mutex_unlock(&lock);
  return written;
}

/* What a stream writes, in frames of a size that nobody minds to keep. */
static ssize_t write_text(void *kind, const char *bytes, size_t length) {
  enum { piece = 1 << 16 };
  for (size_t at = 0; at < length;) {
    size_t next = length - at < piece ? length - at : piece;
    if (!write_frame(*(const char *)kind, bytes + at, next))
      return 0; /* as fopencookie wants an error to be told */
    at += next;
  }
  return (ssize_t)length;
}

static bool replace(FILE **stream, const char *kind, int mode) {
  FILE *cookie = fopencookie((void *)kind, "w", (cookie_io_functions_t){.write = write_text});
  if (!cookie || setvbuf(cookie, NULL, mode, BUFSIZ) != 0) return false;
  *stream = cookie;
  return true;
}

bool sm_channel_open(void) {
  int domain, type;
  socklen_t size = sizeof domain;
  if (getsockopt(SM_CHANNEL, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain != AF_UNIX) return false;
  size = sizeof type;
  if (getsockopt(SM_CHANNEL, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM) return false;
  if (fcntl(SM_CHANNEL, F_SETFD, FD_CLOEXEC) != 0) return false;
  is_open = replace(&stdout, "o", _IOLBF) && replace(&stderr, "e", _IONBF);
  return is_open;
}

static int send_message(lua_State *L) {
  size_t length;
  const char *bytes = luaL_checklstring(L, 1, &length);
  luaL_argcheck(L, length <= SM_FRAME_MOST, 1, "a message has at most 16 MiB");
  if (fflush(stdout) != 0 || fflush(stderr) != 0 || !write_frame('m', bytes, length))
    return luaL_error(L, "the supervisor cannot be told: %s", strerror(errno));
  return 0;
}

static int receive_message(lua_State *L) {
  enum { piece = 1 << 16 };
  sm_frame frame;
  sm_frame_state state;
  while ((state = sm_frames_first(&incoming, "m", &frame)) == SM_FRAME_PARTIAL) {
    uint8_t *room = sm_frames_room(&incoming, piece);
    if (!room) return luaL_error(L, "not enough memory");
    ssize_t got = read(SM_CHANNEL, room, piece);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno != ECONNRESET)
      return luaL_error(L, "cannot hear the supervisor: %s", strerror(errno));
    if (got <= 0) return 0;
    sm_frames_add(&incoming, (size_t)got);
  }
  if (state == SM_FRAME_BROKEN) return luaL_error(L, "what the supervisor says is no message");
  lua_pushlstring(L, (const char *)frame.bytes, frame.length);
  sm_frames_take(&incoming, &frame);
  return 1;
}

/* ask(bytes) → bytes: both in one call, between which no interruption comes */
static int ask(lua_State *L) {
  send_message(L);
  lua_settop(L, 0);
  return receive_message(L);
}

void sm_channel_push(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"send", send_message}, {"receive", receive_message}, {"ask", ask}, {NULL, NULL}};
  if (is_open)
    luaL_newlib(L, functions);
  else
    lua_pushnil(L);
}
