/* io/base64 against the vectors of RFC 4648, section 10, and against a decoder written the slow way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "io/base64.h"

enum { MOST = 300, CANARY = 0x7e };

static const char *encoded(const void *data, size_t bytes) {
  static char text[2 * MOST];
  size_t length = sm_base64_length(bytes);
  memset(text, CANARY, sizeof text);
  sm_base64_encode(text, data, bytes);
  assert_int_equal(text[length], CANARY);
  text[length] = '\0';
  assert_int_equal(strlen(text), length);
  return text;
}

static void has_the_vectors_of_the_rfc(void **state) {
  (void)state;
  assert_string_equal(encoded("", 0), "");
  assert_string_equal(encoded("f", 1), "Zg==");
  assert_string_equal(encoded("fo", 2), "Zm8=");
  assert_string_equal(encoded("foo", 3), "Zm9v");
  assert_string_equal(encoded("foob", 4), "Zm9vYg==");
  assert_string_equal(encoded("fooba", 5), "Zm9vYmE=");
  assert_string_equal(encoded("foobar", 6), "Zm9vYmFy");
  assert_string_equal(encoded("\xfb\xff\xbf", 3), "+/+/");
}

static unsigned value_of(char digit) {
  static const char order[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const char *place = strchr(order, digit);
  assert_true(digit != '\0' && place != NULL);
  return (unsigned)(place - order);
}

static void comes_back_bit_by_bit(void **state) {
  (void)state;
  uint8_t data[MOST];
  for (size_t i = 0; i < MOST; i++) data[i] = (uint8_t)(i * 167 + i / 7);
  for (size_t bytes = 0; bytes <= MOST; bytes++) {
    const char *text = encoded(data, bytes);
    for (size_t bit = 0; bit < 8 * bytes; bit++) {
      unsigned expected = data[bit / 8] >> (7 - bit % 8) & 1;
      assert_int_equal(value_of(text[bit / 6]) >> (5 - bit % 6) & 1, expected);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(has_the_vectors_of_the_rfc),
      cmocka_unit_test(comes_back_bit_by_bit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
