#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>

sm_status sm_fail(sm_error *error, sm_status status, const char *format, ...) {
  if (error) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    error->status = status;
  }
  return status;
}
