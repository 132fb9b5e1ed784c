#include "input.h"

#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[64], path[128];
static int descriptor = -1;

static void remove_file(void) {
  unlink(path);
  rmdir(directory);
}

static void make_file(const char *ending) {
  strcpy(directory, "/dev/shm/fuzz-XXXXXX");
  if (!mkdtemp(directory)) {
    strcpy(directory, "/tmp/fuzz-XXXXXX");
    if (!mkdtemp(directory)) finding("no directory for the input");
  }
  snprintf(path, sizeof path, "%s/input%s", directory, ending);
  descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) finding("%s cannot be made", path);
  atexit(remove_file);
}

const char *input_file(const char *ending, const void *data, size_t size) {
  if (descriptor < 0) make_file(ending);
  if (pwrite(descriptor, data, size, 0) != (ssize_t)size || ftruncate(descriptor, (off_t)size) != 0)
    finding("%s cannot be written", path);
  return path;
}

sm_memory *input_memory(void) {
  static sm_memory *memory;
  if (!memory) memory = sm_memory_new();
  return memory;
}

void finding(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("FINDING: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  abort();
}

void expect_refusal(sm_status status, const sm_error *error, const char *where) {
  if (status != SM_BAD_FILE && status != SM_BAD_VALUE && status != SM_NO_MEMORY)
    finding("status %d: %s", (int)status, error->message);
  if (strncmp(error->message, where, strlen(where)) != 0 || strlen(error->message) < strlen(where) + 8)
    finding("a message that does not name the file: %s", error->message);
}

static double of_bits(uint64_t bits, int exponent_bits, int fraction_bits) {
  uint64_t exponent = bits >> fraction_bits & ((1u << exponent_bits) - 1);
  double fraction = (double)(bits & ((UINT64_C(1) << fraction_bits) - 1));
  int bias = (1 << (exponent_bits - 1)) - 1;
  double sign = bits >> (exponent_bits + fraction_bits) & 1 ? -1 : 1;
  if (exponent == (1u << exponent_bits) - 1u) return fraction != 0 ? (double)NAN : sign * (double)INFINITY;
  if (exponent == 0) return sign * ldexp(fraction, 1 - bias - fraction_bits);
  return sign * ldexp(fraction + ldexp(1, fraction_bits), (int)exponent - bias - fraction_bits);
}

double element_of_file(const uint8_t *data, size_t i, char kind, size_t bytes, int big_endian) {
  uint64_t bits = 0;
  for (size_t k = 0; k < bytes; k++)
    bits |= (uint64_t)data[i * bytes + k] << 8 * (big_endian ? bytes - 1 - k : k);
  switch (kind) {
    case 'f': return bytes == 4 ? of_bits(bits, 8, 23) : of_bits(bits, 11, 52);
    case 'e': return of_bits(bits, 5, 10);
    case 'b': return of_bits(bits, 8, 7);
    case 'i': {
      uint64_t sign = UINT64_C(1) << (8 * bytes - 1);
      return bits & sign ? -(double)(bytes == 8 ? ~bits + 1 : (sign << 1) - bits) : (double)bits;
    }
    default: return (double)bits;
  }
}

static double element_of(const sm_tensor *x, size_t i) {
  if (x->dtype == SM_UINT8) return ((const uint8_t *)x->data)[i];
  return x->dtype == SM_INT32 ? ((const int32_t *)x->data)[i] : (double)((const real *)x->data)[i];
}

void expect_elements(const sm_tensor *x, const uint8_t *data, size_t count, char kind, size_t bytes, int big_endian) {
  if (sm_shape_count(&x->shape) != count) finding("%zu elements, expected %zu", sm_shape_count(&x->shape), count);
  for (size_t i = 0; i < count; i++) {
    double given = element_of(x, i), expected = element_of_file(data, i, kind, bytes, big_endian);
    if (x->dtype == SM_REAL) expected = (double)(real)expected;
    if (kind == '?' && expected > 1) finding("element %zu is no boolean and was read", i);
    if (given != expected && !(isnan(given) && isnan(expected)))
      finding("element %zu is %.17g, expected %.17g", i, given, expected);
  }
}
