#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST = 8192 /* a path has up to 4096 bytes */ };

/* A message that is too long keeps its beginning and its end, where the reason stands. */
static void shorten(char *message, size_t bytes, const char *whole) {
  static const char gap[] = " … ";
  size_t length = strlen(whole), head = bytes / 2, tail = bytes - head - sizeof gap;
  memcpy(message, whole, head);
  memcpy(message + head, gap, sizeof gap - 1);
  memcpy(message + head + sizeof gap - 1, whole + length - tail, tail + 1);
}

sm_status sm_fail(sm_error *error, sm_status status, const char *format, ...) {
  if (error) {
    char whole[LONGEST];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(whole, sizeof whole, format, arguments);
    va_end(arguments);
    if (strlen(whole) < sizeof error->message) strcpy(error->message, whole);
    else shorten(error->message, sizeof error->message, whole);
    error->status = status;
  }
  return status;
}
