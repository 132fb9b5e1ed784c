#include "io/base64.h"

#include <stdint.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t sm_base64_length(size_t bytes) { return (bytes / 3 + (bytes % 3 != 0)) * 4; }

void sm_base64_encode(char *text, const void *data, size_t bytes) {
  const uint8_t *in = data;
  for (; bytes >= 3; bytes -= 3, in += 3, text += 4) {
    uint32_t three = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
    text[0] = digits[three >> 18];
    text[1] = digits[three >> 12 & 63];
    text[2] = digits[three >> 6 & 63];
    text[3] = digits[three & 63];
  }
  if (bytes == 0) return;
  uint32_t rest = (uint32_t)in[0] << 16 | (bytes == 2 ? (uint32_t)in[1] << 8 : 0);
  text[0] = digits[rest >> 18];
  text[1] = digits[rest >> 12 & 63];
  text[2] = bytes == 2 ? digits[rest >> 6 & 63] : '=';
  text[3] = '=';
}
