/* io: CRC-32, of bytes in memory and of a part of a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/checksum.h"

/* The check value of the catalogue of parametrised CRC algorithms, CRC-32/ISO-HDLC. */
static void it_is_crc_32(void **state) {
  (void)state;
  assert_int_equal(sm_checksum("123456789", 9), 0xCBF43926);
  assert_int_equal(sm_checksum(NULL, 0), 0);
}

static void a_file_has_that_of_its_bytes(void **state) {
  (void)state;
  enum { BYTES = 200001 }; /* more than are read at once */
  static unsigned char bytes[BYTES];
  uint32_t next = 1;
  for (int i = 0; i < BYTES; i++) {
    next = next * 1664525 + 1013904223;
    bytes[i] = (unsigned char)(next >> 24);
  }
  char path[] = "/tmp/sm-test-checksum-XXXXXX";
  int descriptor = mkstemp(path);
  assert_true(descriptor >= 0);
  assert_int_equal(write(descriptor, bytes, BYTES), BYTES);
  close(descriptor);
  sm_file file;
  sm_error error;
  assert_int_equal(sm_file_open(&file, path, &error), SM_OK);
  uint32_t sum;
  static const struct {
    uint64_t offset, bytes;
  } parts[] = {{0, BYTES}, {3, 65536}, {7, 131072}, {100, 1}, {BYTES, 0}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    assert_int_equal(sm_file_checksum(&sum, &file, parts[i].offset, parts[i].bytes, &error), SM_OK);
    assert_int_equal(sum, sm_checksum(bytes + parts[i].offset, (size_t)parts[i].bytes));
  }
  assert_int_equal(sm_file_checksum(&sum, &file, 5, BYTES, &error), SM_BAD_FILE);
  sm_file_close(&file);
  unlink(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_is_crc_32),
      cmocka_unit_test(a_file_has_that_of_its_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
