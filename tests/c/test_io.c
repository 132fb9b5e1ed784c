/* io: durable writing, IDX, NPY and the frame of safetensors, on good files and on every kind of bad one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "io/durable.h"
#include "io/idx.h"
#include "io/npy.h"
#include "io/safetensors.h"

static char directory[] = "/tmp/sm-test-io-XXXXXX";
static char path[256];
static sm_memory *memory;
static sm_error error;

static int set_up(void **state) {
  (void)state;
  if (!mkdtemp(directory)) return -1;
  snprintf(path, sizeof path, "%s/file", directory);
  memory = sm_memory_new();
  return memory ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  unlink(path);
  sm_memory_free(memory);
  return rmdir(directory); /* fails when a temporary was left behind */
}

static void put(const void *data, size_t bytes) {
  unlink(path);
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(data, 1, bytes, file), bytes);
  assert_int_equal(fclose(file), 0);
}

static void put_compressed(const void *data, size_t bytes) {
  gzFile file = gzopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(gzwrite(file, data, (unsigned)bytes), bytes);
  assert_int_equal(gzclose(file), Z_OK);
}

static size_t file_bytes(void) {
  struct stat status;
  assert_int_equal(stat(path, &status), 0);
  return (size_t)status.st_size;
}

static int entries(void) {
  int count = 0;
  DIR *listing = opendir(directory);
  assert_non_null(listing);
  for (const struct dirent *entry; (entry = readdir(listing));)
    count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
  closedir(listing);
  return count;
}

static void assert_message(sm_status status, sm_status expected, const char *part) {
  assert_int_equal(status, expected);
  if (!strstr(error.message, part)) fail_msg("\"%s\" does not contain \"%s\"", error.message, part);
  if (!strstr(error.message, "/")) fail_msg("\"%s\" does not name the file", error.message);
}

/* Durable writing */

static void writes_and_replaces(void **state) {
  (void)state;
  assert_int_equal(sm_write_durably(path, "first", 5, &error), SM_OK);
  assert_int_equal(sm_write_durably(path, "second!", 7, &error), SM_OK);
  assert_int_equal(file_bytes(), 7);
  assert_int_equal(entries(), 1);
}

static void is_unseen_before_the_commit(void **state) {
  (void)state;
  put("old", 3);
  sm_writer one, two;
  assert_int_equal(sm_writer_open(&one, path, &error), SM_OK);
  assert_int_equal(sm_writer_open(&two, path, &error), SM_OK);
  assert_int_equal(sm_writer_write(&one, "newer", 5, &error), SM_OK);
  assert_int_equal(file_bytes(), 3);
  assert_non_null(strstr(one.temporary, ".file.tmp-"));
  assert_string_not_equal(one.temporary, two.temporary);
  assert_int_equal(entries(), 3);
  sm_writer_abandon(&two);
  sm_writer_abandon(&two);
  assert_int_equal(sm_writer_commit(&one, &error), SM_OK);
  sm_writer_abandon(&one);
  assert_int_equal(file_bytes(), 5);
  assert_int_equal(entries(), 1);
}

static void names_path_and_reason(void **state) {
  (void)state;
  assert_message(sm_write_durably("/nowhere/at/all", "x", 1, &error), SM_SYSTEM,
                 "/nowhere/at/all: cannot create");
  assert_message(sm_write_durably("/nowhere/at/all", "x", 1, &error), SM_SYSTEM, "No such file or directory");
  char far[4200]; /* the reason stands at the end of a message, however long the path */
  memset(far, 'x', sizeof far);
  far[0] = '/';
  for (size_t length = 980; length < sizeof far; length++) {
    far[length] = '\0';
    sm_tensor x;
    assert_message(sm_npy_read(&x, memory, far, &error), SM_SYSTEM, ": cannot open: File name too long");
    assert_true(strncmp(error.message, far, 400) == 0 && strlen(error.message) < sizeof error.message);
    far[length] = 'x';
    if (length > 1040) length += 97;
  }
  assert_message(sm_write_durably("/tmp/", "x", 1, &error), SM_BAD_VALUE, "a directory");
  unlink(path);
  assert_int_equal(mkdir(path, 0777), 0);
  assert_message(sm_write_durably(path, "x", 1, &error), SM_BAD_VALUE, "got a directory");
  assert_int_equal(rmdir(path), 0);
  assert_int_equal(entries(), 0);
  sm_writer writer;
  assert_int_equal(sm_writer_open(&writer, path, &error), SM_OK);
  int full = open("/dev/full", O_WRONLY);
  assert_true(full >= 0);
  assert_true(dup2(full, writer.descriptor) >= 0);
  close(full);
  assert_message(sm_writer_write(&writer, "x", 1, &error), SM_SYSTEM,
                 "cannot write: No space left on device");
  sm_writer_abandon(&writer);
  assert_int_equal(entries(), 0);
}

/* A name in the directory, and a link of that name to `target`. */
static const char *linked(const char *name, const char *target) {
  static char link[300];
  snprintf(link, sizeof link, "%s/%s", directory, name);
  unlink(link);
  assert_int_equal(symlink(target, link), 0);
  return link;
}

static void follows_links(void **state) {
  (void)state;
  struct stat status;
  put("old", 3);
  const char *link = linked("link", "file");
  assert_int_equal(sm_write_durably(link, "newer", 5, &error), SM_OK);
  assert_int_equal(file_bytes(), 5);
  assert_int_equal(lstat(link, &status), 0);
  assert_true(S_ISLNK(status.st_mode));
  assert_int_equal(unlink(path), 0); /* a link that points to nothing makes its file */
  assert_int_equal(sm_write_durably(link, "x", 1, &error), SM_OK);
  assert_int_equal(file_bytes(), 1);
  assert_int_equal(entries(), 2);
  assert_message(sm_write_durably(linked("link", "link"), "x", 1, &error), SM_SYSTEM,
                 "Too many levels of symbolic links");
  assert_message(sm_write_durably(linked("link", "/tmp"), "x", 1, &error), SM_BAD_VALUE, "got a directory");
  assert_message(sm_write_durably(linked("link", "/nowhere/x"), "x", 1, &error), SM_SYSTEM, "No such file");
  unlink(link);
}

static void keeps_the_mode(void **state) {
  (void)state;
  struct stat status;
  put("old", 3);
  assert_int_equal(chmod(path, 0640), 0);
  assert_int_equal(sm_write_durably(path, "new", 3, &error), SM_OK);
  assert_int_equal(stat(path, &status), 0);
  assert_int_equal(status.st_mode & 07777, 0640);
}

static void takes_the_longest_names(void **state) {
  (void)state;
  char longest[300];
  size_t length = (size_t)snprintf(longest, sizeof longest, "%s/", directory), end = length + 255;
  while (length + 2 <= end) length += (size_t)snprintf(longest + length, sizeof longest - length, "\u00e9");
  while (length < end) longest[length++] = 'x';
  longest[end] = '\0';
  assert_int_equal(sm_write_durably(longest, "x", 1, &error), SM_OK);
  assert_int_equal(sm_write_durably(longest, "y", 1, &error), SM_OK);
  assert_int_equal(unlink(longest), 0);
  strcpy(longest + end, "y");
  assert_message(sm_write_durably(longest, "x", 1, &error), SM_SYSTEM, "File name too long");
}

static void removes_what_a_killed_writer_left(void **state) {
  (void)state;
  static const char *const names[] = {".file.tmp-1", ".file.tmp-99999-2", ".file.tmp-1x", ".files.tmp-1"};
  char name[4][300];
  unlink(path);
  for (size_t i = 0; i < 4; i++) {
    snprintf(name[i], sizeof name[i], "%s/%s", directory, names[i]);
    int descriptor = open(name[i], O_WRONLY | O_CREAT, 0666);
    assert_true(descriptor >= 0);
    close(descriptor);
  }
  sm_writer writer; /* whose temporary is in use, and stays */
  assert_int_equal(sm_writer_open(&writer, path, &error), SM_OK);
  assert_int_equal(sm_write_durably(path, "x", 1, &error), SM_OK);
  assert_int_equal(sm_writer_commit(&writer, &error), SM_OK);
  assert_int_equal(file_bytes(), 0);
  assert_int_equal(entries(), 3);
  assert_int_equal(unlink(name[2]), 0);
  assert_int_equal(unlink(name[3]), 0);
}

static void writes_into_what_is_no_file(void **state) {
  (void)state;
  struct stat status;
  char text[8] = "";
  unlink(path);
  assert_int_equal(mkfifo(path, 0666), 0);
  int reader = open(path, O_RDONLY | O_NONBLOCK);
  assert_true(reader >= 0);
  assert_int_equal(sm_write_durably(path, "text", 4, &error), SM_OK);
  assert_int_equal(read(reader, text, sizeof text), 4);
  assert_memory_equal(text, "text", 4);
  assert_int_equal(lstat(path, &status), 0);
  assert_true(S_ISFIFO(status.st_mode));
  close(reader);
  unlink(path);
  assert_int_equal(sm_write_durably("/dev/null", "x", 1, &error), SM_OK);
  assert_message(sm_write_durably("/dev/full", "x", 1, &error), SM_SYSTEM, "cannot write: No space left");
  assert_int_equal(stat("/dev/full", &status), 0);
  assert_true(S_ISCHR(status.st_mode));
  assert_int_equal(entries(), 0);
}

static void writes_at_the_place_of_an_open_descriptor(void **state) {
  (void)state;
  char name[64], text[8] = "";
  put("one ", 4);
  int descriptor = open(path, O_RDWR);
  assert_int_equal(lseek(descriptor, 0, SEEK_END), 4);
  snprintf(name, sizeof name, "/dev/fd/%d", descriptor);
  assert_int_equal(sm_write_durably(name, "two ", 4, &error), SM_OK);
  snprintf(name, sizeof name, "/proc/self/fd/%d", descriptor);
  const char *link = linked("link", name);
  assert_int_equal(sm_write_durably(link, "", 0, &error), SM_OK);
  assert_int_equal(pread(descriptor, text, sizeof text, 0), 8);
  assert_memory_equal(text, "one two ", 8);
  close(descriptor);
  assert_message(sm_write_durably(link, "x", 1, &error), SM_SYSTEM, "cannot open: Bad file descriptor");
  unlink(link);
}

/* IDX */

static const unsigned char idx[] = {0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255};

static void assert_idx(void) {
  sm_tensor x;
  assert_int_equal(sm_idx_read(&x, memory, path, &error), SM_OK);
  assert_int_equal(x.dtype, SM_UINT8);
  assert_int_equal(x.shape.rank, 2);
  assert_int_equal(x.shape.size[0], 2);
  assert_int_equal(x.shape.size[1], 3);
  assert_memory_equal(x.data, idx + 12, 6);
  sm_tensor_release(&x);
}

static void assert_bad_idx(const char *part) {
  sm_tensor x;
  sm_status status = sm_idx_read(&x, memory, path, &error);
  assert_null(x.storage);
  assert_message(status, SM_BAD_FILE, part);
}

static void reads_idx(void **state) {
  (void)state;
  put(idx, sizeof idx);
  assert_idx();
  put_compressed(idx, sizeof idx);
  assert_idx();
  const unsigned char empty[] = {0, 0, 8, 2, 0, 0, 0, 0, 0, 0, 0, 3};
  put(empty, sizeof empty);
  sm_tensor x;
  assert_int_equal(sm_idx_read(&x, memory, path, &error), SM_OK);
  assert_int_equal(sm_shape_count(&x.shape), 0);
  sm_tensor_release(&x);
}

static void refuses_bad_idx(void **state) {
  (void)state;
  unsigned char bad[sizeof idx + 1];
  for (size_t n = 0; n < sizeof idx; n++) { /* every truncation, plain and compressed */
    put(idx, n);
    assert_bad_idx("truncated: expected");
    put_compressed(idx, n);
    assert_bad_idx("truncated: expected");
  }
  put(idx, sizeof idx - 2);
  assert_bad_idx("byte 12: truncated: expected 6 bytes of data, found 4");
  memcpy(bad, idx, sizeof idx);
  bad[sizeof idx] = 7;
  put(bad, sizeof bad);
  assert_bad_idx("byte 18: more bytes follow the last element");
  put_compressed(bad, sizeof bad);
  assert_bad_idx("byte 18: more bytes follow the last element");
  bad[1] = 1;
  put(bad, sizeof idx);
  assert_bad_idx("byte 0: expected two zero bytes (IDX), found 0x00 0x01");
  bad[1] = 0;
  bad[2] = 0x0a;
  put(bad, sizeof idx);
  assert_bad_idx("byte 2: expected a type of 0x08, 0x09 or 0x0b to 0x0e, found 0x0a");
  bad[2] = 8;
  bad[3] = 9;
  put(bad, sizeof idx);
  assert_bad_idx("byte 3: expected a rank from 1 to 8, found 9");
  bad[3] = 0;
  put(bad, sizeof idx);
  assert_bad_idx("byte 3: expected a rank from 1 to 8, found 0");
}

/* A file of three elements of a type, which are to become this tensor; compressed, too. */
static void assert_idx_of(unsigned char type, const void *data, size_t bytes, sm_dtype dtype,
                          const double expected[3]) {
  unsigned char file[64] = {0, 0, type, 1, 0, 0, 0, 3};
  memcpy(file + 8, data, bytes);
  for (int compressed = 0; compressed < 2; compressed++) {
    (compressed ? put_compressed : put)(file, 8 + bytes);
    sm_tensor x;
    assert_int_equal(sm_idx_read(&x, memory, path, &error), SM_OK);
    assert_int_equal(x.dtype, dtype);
    for (size_t i = 0; i < 3; i++) {
      double value = dtype == SM_REAL ? (double)((real *)x.data)[i] : ((int32_t *)x.data)[i];
      assert_true(value == expected[i]);
    }
    sm_tensor_release(&x);
    (compressed ? put_compressed : put)(file, 8 + bytes - 1);
    assert_bad_idx("truncated: expected");
    (compressed ? put_compressed : put)(file, 8 + bytes + 1);
    assert_bad_idx("more bytes follow the last element");
  }
}

static void reads_every_type_of_idx(void **state) {
  (void)state;
  assert_idx_of(0x09, "\x80\xff\x7f", 3, SM_INT32, (double[]){-128, -1, 127});
  assert_idx_of(0x0b, "\x80\x00\xff\xfe\x01\x02", 6, SM_INT32, (double[]){-32768, -2, 258});
  assert_idx_of(0x0c, "\x80\0\0\0\xff\xff\xff\xff\x01\x02\x03\x04", 12, SM_INT32,
                (double[]){INT32_MIN, -1, 0x01020304});
  assert_idx_of(0x0d, "\x3f\x80\0\0\xc0\x20\0\0\x7f\x80\0\0", 12, SM_REAL,
                (double[]){1, -2.5, (double)INFINITY});
  assert_idx_of(0x0e, "\x3f\xf0\0\0\0\0\0\0\x3f\xb9\x99\x99\x99\x99\x99\x9a\xff\xf0\0\0\0\0\0\0", 24, SM_REAL,
                (double[]){1, (double)(real)0.1, -(double)INFINITY});
  if (sizeof(real) == sizeof(float)) {
    put("\0\0\x0e\1\0\0\0\1\x7e\x37\xe4\x3c\x88\x00\x75\x9c", 16);
    sm_tensor x;
    assert_message(sm_idx_read(&x, memory, path, &error), SM_BAD_VALUE,
                   "element 1 is 1e+300, which float32 cannot hold");
    assert_null(x.storage);
  }
}

static void inflates_no_more_than_the_sizes_ask_for(void **state) {
  (void)state;
  enum { BOMB = 64 << 20 };
  unsigned char *zeros = calloc(BOMB, 1);
  assert_non_null(zeros);
  memcpy(zeros, idx, sizeof idx);
  put_compressed(zeros, BOMB);
  free(zeros);
  sm_memory_use before = sm_memory_used(memory);
  assert_bad_idx("byte 18: more bytes follow the last element");
  assert_true(sm_memory_used(memory).live == before.live);
}

static void refuses_absurd_sizes_before_allocating(void **state) {
  (void)state;
  const unsigned char large[] = {0, 0, 8, 2, 255, 255, 255, 255, 0, 0, 1, 0, 1};
  put(large, sizeof large);
  assert_bad_idx("truncated: expected 1099511627520 bytes of data, found 1");
  put_compressed(large, sizeof large);
  assert_bad_idx("the sizes {4294967295, 256} ask for 1099511627520 bytes, more than");
  unsigned char overflow[4 + 32];
  memset(overflow, 255, sizeof overflow);
  memcpy(overflow, (unsigned char[]){0, 0, 8, 8}, 4);
  put(overflow, sizeof overflow);
  assert_bad_idx("are too large");
  assert_int_equal(sm_memory_used(memory).live, 0);
}

static void refuses_damaged_compression(void **state) {
  (void)state;
  unsigned char data[12 + 4096] = {0, 0, 8, 2, 0, 0, 0, 16, 0, 0, 1, 0}, file[sizeof data + 64];
  for (unsigned i = 12; i < sizeof data; i++) data[i] = (unsigned char)(i * i * 2654435761u >> 13);
  put_compressed(data, sizeof data);
  FILE *stream = fopen(path, "rb");
  assert_non_null(stream);
  size_t bytes = fread(file, 1, sizeof file, stream);
  fclose(stream);
  file[bytes - 6] ^= 1; /* the checksum */
  put(file, bytes);
  assert_bad_idx("the compressed data after it are damaged");
  file[bytes - 6] ^= 1;
  put(file, bytes - 8); /* no checksum */
  assert_bad_idx("the compressed data have no checksum");
  put(file, bytes / 2);
  assert_bad_idx("truncated: expected 4096 bytes of data");
  file[bytes / 2] ^= 0x55;
  put(file, bytes);
  sm_tensor x;
  assert_int_equal(sm_idx_read(&x, memory, path, &error), SM_BAD_FILE);
}

/* The compressed file and what is appended to it. */
static void put_followed(const void *data, size_t bytes, const void *more, size_t more_bytes) {
  put_compressed(data, bytes);
  FILE *file = fopen(path, "ab");
  assert_non_null(file);
  assert_int_equal(fwrite(more, 1, more_bytes, file), more_bytes);
  assert_int_equal(fclose(file), 0);
}

static void reads_members(void **state) {
  (void)state;
  unsigned char file[256];
  put_compressed(idx + 7, sizeof idx - 7);
  FILE *stream = fopen(path, "rb");
  assert_non_null(stream);
  size_t bytes = fread(file, 1, sizeof file, stream);
  fclose(stream);
  put_followed(idx, 7, file, bytes);
  sm_tensor x;
  assert_int_equal(sm_idx_read(&x, memory, path, &error), SM_OK);
  assert_memory_equal(x.data, idx + 12, sizeof idx - 12);
  sm_tensor_release(&x);
  put_followed(idx, 7, file, bytes - 4);
  assert_bad_idx("truncated: the compressed data have no checksum");
  file[bytes - 4] ^= 1; /* the length */
  put_followed(idx, 7, file, bytes);
  assert_bad_idx("the compressed data after it are damaged: incorrect length check");
  put_compressed(idx, sizeof idx);
  char place[80];
  snprintf(place, sizeof place, "byte %zu of the file: what follows the compressed data is none of them", file_bytes());
  put_followed(idx, sizeof idx, "\0", 1);
  assert_bad_idx(place);
  put_followed(idx, sizeof idx, "rubbish", 7);
  assert_bad_idx(place);
  put_followed(idx, sizeof idx, "\x1f", 1);
  assert_bad_idx(place);
}

static void refuses_what_grows_too_much(void **state) {
  (void)state;
  enum { HEADER = 8, CLAIMED = 300 << 20, MORE = CLAIMED / 98 };
  const unsigned char large[HEADER] = {
      0, 0, 8, 1, CLAIMED >> 24, CLAIMED >> 16 & 255, CLAIMED >> 8 & 255, CLAIMED & 255};
  unsigned char *more = calloc(MORE, 1);
  assert_non_null(more);
  put_followed(large, sizeof large, more, CLAIMED / 102 - 64);
  assert_bad_idx("the sizes {314572800} ask for 314572800 bytes of");
  assert_int_equal(sm_memory_used(memory).live, 0);
  put_followed(large, sizeof large, more, MORE);
  assert_bad_idx("what follows the compressed data is none of them");
  free(more);
}

static void refuses_what_is_no_file(void **state) {
  (void)state;
  sm_tensor x;
  assert_message(sm_idx_read(&x, memory, "/nowhere/x", &error), SM_SYSTEM,
                 "/nowhere/x: cannot open: No such file");
  assert_message(sm_idx_read(&x, memory, "/tmp", &error), SM_BAD_FILE,
                 "expected a regular file, found a directory");
  unlink(path);
  assert_int_equal(mkfifo(path, 0666), 0);
  assert_message(sm_idx_read(&x, memory, path, &error), SM_BAD_FILE, "found a pipe or device");
  unlink(path);
}

/* NPY */

static void put_npy(int version, const char *header, const void *data, size_t bytes) {
  unsigned char file[512] = "\x93NUMPY";
  size_t length = strlen(header), start = version == 1 ? 10 : 12;
  file[6] = (unsigned char)version;
  file[8] = (unsigned char)length;
  memcpy(file + start, header, length);
  memcpy(file + start + length, data, bytes);
  put(file, start + length + bytes);
}

static void assert_bad_npy(const char *part) {
  sm_tensor x;
  sm_status status = sm_npy_read(&x, memory, path, &error);
  assert_null(x.storage);
  assert_message(status, SM_BAD_FILE, part);
}

static void assert_unfit_npy(const char *part) {
  sm_tensor x;
  sm_status status = sm_npy_read(&x, memory, path, &error);
  assert_null(x.storage);
  assert_message(status, SM_BAD_VALUE, part);
}

static void npy_comes_back(void **state) {
  (void)state;
  static const sm_shape shapes[] = {
      {0}, {1, {5}}, {2, {2, 3}}, {3, {4, 0, 2}}, {8, {1, 2, 1, 2, 1, 2, 1, 2}}};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    for (sm_dtype dtype = SM_REAL; dtype <= SM_INT32; dtype++) {
      sm_tensor x, y;
      assert_int_equal(sm_tensor_new(&x, memory, dtype, &shapes[s], &error), SM_OK);
      size_t bytes = sm_shape_count(&shapes[s]) * sm_dtype_bytes(dtype);
      for (size_t i = 0; i < bytes; i++) ((unsigned char *)x.data)[i] = (unsigned char)(i * 37 + 1);
      assert_int_equal(sm_npy_write(path, &x, &error), SM_OK);
      assert_int_equal((file_bytes() - bytes) % 64, 0);
      assert_int_equal(sm_npy_read(&y, memory, path, &error), SM_OK);
      assert_int_equal(y.dtype, dtype);
      assert_true(sm_shape_equal(&x.shape, &y.shape));
      if (bytes) assert_memory_equal(x.data, y.data, bytes);
      sm_tensor_release(&x);
      sm_tensor_release(&y);
    }
  }
}

static void npy_converts(void **state) {
  (void)state;
  sm_tensor x;
  put_npy(2, "{\"shape\": (3,), 'fortran_order': True, 'descr': '<f8'}\n",
          (double[]){0.5, -2, (double)INFINITY}, 24);
  assert_int_equal(sm_npy_read(&x, memory, path, &error), SM_OK);
  assert_true(((real *)x.data)[0] == (real)0.5 && ((real *)x.data)[1] == -2 && isinf(((real *)x.data)[2]));
  sm_tensor_release(&x);
  put_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }", (float[]){0.5f, -2, 3}, 12);
  assert_int_equal(sm_npy_read(&x, memory, path, &error), SM_OK);
  assert_true(((real *)x.data)[0] == (real)0.5 && ((real *)x.data)[1] == -2 && ((real *)x.data)[2] == 3);
  sm_tensor_release(&x);
  put_npy(1, "{'descr': '<i8', 'fortran_order': False, 'shape': (2,)}", (int64_t[]){INT32_MIN, INT32_MAX},
          16);
  assert_int_equal(sm_npy_read(&x, memory, path, &error), SM_OK);
  assert_true(((int32_t *)x.data)[0] == INT32_MIN && ((int32_t *)x.data)[1] == INT32_MAX);
  sm_tensor_release(&x);
  put_npy(1, "{'descr': '<i8', 'fortran_order': False, 'shape': (2,)}",
          (int64_t[]){0, INT32_MAX + (int64_t)1}, 16);
  assert_unfit_npy("element 2 is 2147483648, which int32 cannot hold");
  if (sizeof(real) == sizeof(float)) {
    put_npy(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", (double[]){0, 1e300}, 16);
    assert_unfit_npy("element 2 is 1e+300, which float32 cannot hold");
  }
}

/* An array of this type and two elements becomes this tensor. */
static void assert_npy_of(const char *descr, const void *data, size_t bytes, sm_dtype dtype, const double expected[2]) {
  char header[128];
  snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (2L,), }\n", descr);
  put_npy(1, header, data, bytes);
  sm_tensor x;
  sm_status status = sm_npy_read(&x, memory, path, &error);
  if (status != SM_OK) fail_msg("%s: %s", descr, error.message);
  assert_int_equal(x.dtype, dtype);
  for (size_t i = 0; i < 2; i++) {
    double value = dtype == SM_REAL    ? (double)((real *)x.data)[i]
                   : dtype == SM_UINT8 ? ((uint8_t *)x.data)[i]
                                       : ((int32_t *)x.data)[i];
    if (!(value == expected[i])) fail_msg("%s: element %zu is %.17g, not %.17g", descr, i, value, expected[i]);
  }
  sm_tensor_release(&x);
}

static void npy_reads_every_type(void **state) {
  (void)state;
  assert_npy_of("|b1", "\0\1", 2, SM_INT32, (double[]){0, 1});
  assert_npy_of("|i1", "\x80\x7f", 2, SM_INT32, (double[]){-128, 127});
  assert_npy_of("<u1", "\x80\xff", 2, SM_UINT8, (double[]){128, 255});
  assert_npy_of("<i2", "\x00\x80\x02\x01", 4, SM_INT32, (double[]){-32768, 258});
  assert_npy_of(">i2", "\x80\x00\x01\x02", 4, SM_INT32, (double[]){-32768, 258});
  assert_npy_of("<u2", "\x00\x80\xff\xff", 4, SM_INT32, (double[]){32768, 65535});
  assert_npy_of(">u2", "\x80\x00\x01\x02", 4, SM_INT32, (double[]){32768, 258});
  assert_npy_of(">i4", "\x80\0\0\0\1\2\3\4", 8, SM_INT32, (double[]){INT32_MIN, 0x01020304});
  assert_npy_of("=i4", "\0\0\0\x80\4\3\2\1", 8, SM_INT32, (double[]){INT32_MIN, 0x01020304});
  assert_npy_of("<u4", "\xff\xff\xff\x7f\1\0\0\0", 8, SM_INT32, (double[]){INT32_MAX, 1});
  assert_npy_of(">i8", "\xff\xff\xff\xff\xff\xff\xff\xfe\0\0\0\0\0\0\0\3", 16, SM_INT32, (double[]){-2, 3});
  assert_npy_of("<u8", "\7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16, SM_INT32, (double[]){7, 0});
  assert_npy_of("<f2", "\x00\x3c\x01\x80", 4, SM_REAL, (double[]){1, -0x1p-24});
  assert_npy_of(">f2", "\x7c\x00\x03\xff", 4, SM_REAL, (double[]){(double)INFINITY, 1023 * 0x1p-24});
  assert_npy_of("<f2", "\xff\x7b\x00\x04", 4, SM_REAL, (double[]){65504, 0x1p-14});
  assert_npy_of(">f4", "\x3f\x80\0\0\0\0\0\1", 8, SM_REAL, (double[]){1, 0x1p-149});
  assert_npy_of(">f8", "\x3f\xf0\0\0\0\0\0\0\xc0\x08\0\0\0\0\0\0", 16, SM_REAL, (double[]){1, -3});
  put_npy(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}", "\1\2", 2);
  assert_unfit_npy("element 2 is 2, which a boolean cannot hold");
  put_npy(1, "{'descr': '>u4', 'fortran_order': False, 'shape': (2,)}", "\0\0\0\1\x80\0\0\0", 8);
  assert_unfit_npy("element 2 is 2147483648, which int32 cannot hold");
  put_npy(1, "{'descr': '<u8', 'fortran_order': False, 'shape': (1,)}", (uint64_t[]){UINT64_MAX}, 8);
  assert_unfit_npy("element 1 is 18446744073709551615, which int32 cannot hold");
  put_npy(1, "{'descr': '<i8', 'fortran_order': False, 'shape': (1,)}", (int64_t[]){INT64_MIN}, 8);
  assert_unfit_npy("element 1 is -9223372036854775808, which int32 cannot hold");
}

/* Every bit pattern of half precision against its definition. */
static void npy_reads_every_half(void **state) {
  (void)state;
  static uint16_t halves[65536];
  static char file[256 + sizeof halves];
  for (unsigned i = 0; i < 65536; i++) halves[i] = (uint16_t)i;
  int end = snprintf(file + 10, 200, "{'descr': '<f2', 'fortran_order': False, 'shape': (65536,)}");
  memcpy(file, "\x93NUMPY\1\0", 8);
  file[8] = (char)end;
  memcpy(file + 10 + end, halves, sizeof halves);
  put(file, 10 + (size_t)end + sizeof halves);
  sm_tensor x;
  assert_int_equal(sm_npy_read(&x, memory, path, &error), SM_OK);
  for (int i = 0; i < 65536; i++) {
    int exponent = i >> 10 & 31, fraction = i & 1023;
    double size = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    double value = (double)((real *)x.data)[i];
    if (exponent == 31) assert_true(fraction ? isnan(value) : isinf(value));
    else assert_true(fabs(value) == size);
    if (!isnan(value)) assert_int_equal(signbit(value) != 0, i >> 15);
  }
  sm_tensor_release(&x);
}

static void npy_reads_fortran_order(void **state) {
  (void)state;
  sm_tensor x;
  /* numpy.asfortranarray(numpy.arange(24).reshape(2, 3, 4)) */
  static const unsigned char data[24] = {0, 12, 4, 16, 8,  20, 1, 13, 5, 17, 9,  21,
                                         2, 14, 6, 18, 10, 22, 3, 15, 7, 19, 11, 23};
  put_npy(1, "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 4)}", data, sizeof data);
  assert_int_equal(sm_npy_read(&x, memory, path, &error), SM_OK);
  assert_true(sm_shape_equal(&x.shape, &(sm_shape){.rank = 3, .size = {2, 3, 4}}));
  for (int i = 0; i < 24; i++) assert_int_equal(((uint8_t *)x.data)[i], i);
  sm_tensor_release(&x);
  put_npy(1, "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 2)}", "\0\1\0\3\0\2\0\4", 8);
  assert_int_equal(sm_npy_read(&x, memory, path, &error), SM_OK);
  for (int i = 0; i < 4; i++) assert_int_equal(((int32_t *)x.data)[i], i + 1);
  sm_tensor_release(&x);
  put_npy(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (3, 0, 2)}", "", 0);
  assert_int_equal(sm_npy_read(&x, memory, path, &error), SM_OK);
  assert_true(sm_shape_equal(&x.shape, &(sm_shape){.rank = 3, .size = {3, 0, 2}}));
  sm_tensor_release(&x);
}

static void refuses_bad_npy(void **state) {
  (void)state;
  static const struct {
    const char *header, *part;
  } unfit[] = {
      {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", "the element type is '<c8'"},
      {"{'descr': '|i4', 'fortran_order': False, 'shape': (1,)}", "the element type is '|i4'"},
      {"{'descr': 'f4', 'fortran_order': False, 'shape': (1,)}", "the element type is 'f4'"},
      {"{'descr': '', 'fortran_order': False, 'shape': (1,)}", "the element type is ''"},
      {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "structured arrays"},
  }, bad[] = {
      {"{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2)}", "does not fit the 4 bytes"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
       "shape {2} of '<f4' does not fit the 4 bytes"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': ()}xx", "its end"},
      {"{'descr': '<f4', 'fortran_order': False}", "the header has no shape"},
      {"{'descr': '<f4', 'shape': (1,)}", "the header has no fortran_order"},
      {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", "each once"},
      {"{'other': 1}", "descr, fortran_order or shape"},
      {"{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", "True or False"},
      {"{'descr': '<f4", "a short quoted string"},
      {"{'descr' '<f4'}", "a colon"},
      {"{'shape': (1", "a comma or a closing parenthesis"},
      {"{'shape': 1}", "a tuple of sizes"},
      {"{'shape': (-1,)}", "a size"},
      {"{'shape': (1,1,1,1,1,1,1,1,1)}", "at most 8 sizes"},
      {"{'shape': (99999999999999999999,)}", "a size below 2^63"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 9223372036854775808)}", "a size below 2^63"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4)}", "does not fit"},
      {"", "an opening brace"},
      {"[1]", "an opening brace"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    put_npy(1, bad[i].header, "data", 4);
    assert_bad_npy(bad[i].part);
  }
  for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++) {
    put_npy(1, unfit[i].header, "data", 4);
    assert_unfit_npy(unfit[i].part);
  }
  put("\x93NUMPX\1\0\0\0", 10);
  assert_bad_npy("no NPY file");
  put("", 0);
  assert_bad_npy("no NPY file");
  put("\x93NUMPY\4\0\0\0\0\0", 12);
  assert_bad_npy("byte 6: NPY version 4");
  put("\x93NUMPY\1\0\377\377", 10);
  assert_bad_npy("a header of 65535 bytes, where the file has 10");
  put("\x93NUMPY\2\0\377\377\377\377", 12);
  assert_bad_npy("a header of 4294967295 bytes");
  put("\x93NUMPY\1\0\3\0{\0}", 13);
  assert_bad_npy("byte 11: the header holds a zero byte");
}

/* The frame of safetensors */

static void put_safetensors(uint64_t length, const char *header, size_t data_bytes) {
  char file[256] = {0};
  size_t header_bytes = strlen(header);
  memcpy(file, &length, 8);
  memcpy(file + 8, header, header_bytes);
  for (size_t i = 0; i < data_bytes; i++) file[8 + header_bytes + i] = (char)i;
  put(file, 8 + header_bytes + data_bytes);
}

static void safetensors_frame_comes_back(void **state) {
  (void)state;
  static const char json[] = "{\"x\":\"y\"}";
  sm_writer writer;
  assert_int_equal(sm_writer_open(&writer, path, &error), SM_OK);
  assert_int_equal(sm_safetensors_write_header(&writer, json, sizeof json - 1, &error), SM_OK);
  assert_int_equal(sm_writer_write(&writer, (int64_t[]){5, -6}, 16, &error), SM_OK);
  assert_int_equal(sm_writer_commit(&writer, &error), SM_OK);
  sm_safetensors tensors;
  char header[16];
  assert_int_equal(sm_safetensors_open(&tensors, path, &error), SM_OK);
  assert_int_equal(tensors.header_bytes, 16);
  assert_int_equal(tensors.data_bytes, 16);
  assert_int_equal(sm_safetensors_header(header, &tensors, &error), SM_OK);
  assert_memory_equal(header, "{\"x\":\"y\"}       ", 16);
  sm_tensor x;
  sm_shape two = {.rank = 1, .size = {2}};
  assert_int_equal(sm_safetensors_read(&x, memory, &tensors, "x", "I64", &two, 0, 16, &error), SM_OK);
  assert_true(((int32_t *)x.data)[0] == 5 && ((int32_t *)x.data)[1] == -6);
  sm_tensor_release(&x);
  sm_safetensors_close(&tensors);
  sm_safetensors_close(&tensors);
}

static void refuses_bad_frames(void **state) {
  (void)state;
  sm_safetensors tensors;
  put("1234567", 7);
  assert_message(sm_safetensors_open(&tensors, path, &error), SM_BAD_FILE,
                 "expected 8 bytes of header length, found 7");
  put_safetensors(UINT64_MAX, "{}", 0);
  assert_message(sm_safetensors_open(&tensors, path, &error), SM_BAD_FILE,
                 "a header of 18446744073709551615 bytes");
  put_safetensors(3, "{}", 0);
  assert_message(sm_safetensors_open(&tensors, path, &error), SM_BAD_FILE,
                 "a header of 3 bytes, where the file has 10");
  put_safetensors(2, "{}", 8);
  assert_int_equal(sm_safetensors_open(&tensors, path, &error), SM_OK);
  sm_tensor x;
  sm_shape two = {.rank = 1, .size = {2}}, huge = {.rank = 2, .size = {SIZE_MAX, 2}};
  assert_message(sm_safetensors_read(&x, memory, &tensors, "w", "F33", &two, 0, 4, &error), SM_BAD_FILE,
                 "tensor 'w' has an unknown type, 'F33'");
  assert_message(sm_safetensors_read(&x, memory, &tensors, "w", "F8_E4M3", &two, 0, 4, &error), SM_BAD_FILE,
                 "tensor 'w' of type F8_E4M3 and shape {2} does not fit its 4 bytes");
  assert_message(sm_safetensors_read(&x, memory, &tensors, "w", "F8_E4M3", &two, 0, 2, &error), SM_BAD_VALUE,
                 "tensor 'w' is F8_E4M3, which cannot be read");
  assert_message(sm_safetensors_read(&x, memory, &tensors, "w", "F4", &two, 0, 1, &error), SM_BAD_VALUE,
                 "tensor 'w' is F4, which cannot be read");
  assert_message(sm_safetensors_read(&x, memory, &tensors, "w", "F32", &two, 4, 12, &error), SM_BAD_FILE,
                 "tensor 'w' lies at 4 to 12 of 8 bytes of data");
  assert_message(sm_safetensors_read(&x, memory, &tensors, "w", "F32", &two, 8, 0, &error), SM_BAD_FILE,
                 "lies at 8 to 0");
  assert_message(sm_safetensors_read(&x, memory, &tensors, "w", "F32", &two, 0, 4, &error), SM_BAD_FILE,
                 "tensor 'w' of type F32 and shape {2} does not fit its 4 bytes");
  assert_message(sm_safetensors_read(&x, memory, &tensors, "w", "F64", &huge, 0, 8, &error), SM_BAD_FILE,
                 "does not fit its 8 bytes");
  assert_null(x.storage);
  sm_safetensors_close(&tensors);
}

/* What two elements of these bytes become. */
static void assert_safetensors_of(const char *dtype, uint64_t bits, sm_dtype expected_dtype, double one, double other) {
  char file[8 + 2 + 8] = "\2\0\0\0\0\0\0\0{}";
  memcpy(file + 10, &bits, sizeof bits);
  put(file, sizeof file);
  size_t bytes = strstr(dtype, "8") || strcmp(dtype, "BOOL") == 0 ? 1 : strstr(dtype, "16") ? 2 : 4;
  sm_safetensors tensors;
  assert_int_equal(sm_safetensors_open(&tensors, path, &error), SM_OK);
  sm_tensor x;
  sm_shape two = {.rank = 1, .size = {2}};
  sm_status status = sm_safetensors_read(&x, memory, &tensors, "w", dtype, &two, 0, 2 * bytes, &error);
  sm_safetensors_close(&tensors);
  if (status != SM_OK) fail_msg("%s", error.message);
  assert_int_equal(x.dtype, expected_dtype);
  const double expected[] = {one, other};
  for (size_t i = 0; i < 2; i++) {
    double value = expected_dtype == SM_REAL    ? (double)((real *)x.data)[i]
                   : expected_dtype == SM_UINT8 ? ((uint8_t *)x.data)[i]
                                                : ((int32_t *)x.data)[i];
    assert_true(value == expected[i] || (isnan(value) && isnan(expected[i])));
  }
  sm_tensor_release(&x);
}

static void safetensors_of_every_type(void **state) {
  (void)state;
  assert_safetensors_of("F16", 0x80013c00, SM_REAL, 1, -0x1p-24);
  assert_safetensors_of("F16", 0xfc007e00, SM_REAL, (double)NAN, -(double)INFINITY);
  assert_safetensors_of("BF16", 0x0001c020, SM_REAL, -2.5, 0x1p-133);
  assert_safetensors_of("BF16", 0x7f80ffc0, SM_REAL, (double)NAN, (double)INFINITY);
  assert_safetensors_of("F32", 0xc02000003f800000, SM_REAL, 1, -2.5);
  assert_safetensors_of("BOOL", 0x0001, SM_INT32, 1, 0);
  assert_safetensors_of("U8", 0x80ff, SM_UINT8, 255, 128);
  assert_safetensors_of("I8", 0x80ff, SM_INT32, -1, -128);
  assert_safetensors_of("U16", 0x8000ffff, SM_INT32, 65535, 32768);
  assert_safetensors_of("I16", 0x8000ffff, SM_INT32, -1, -32768);
  assert_safetensors_of("U32", 0x7fffffff00000001, SM_INT32, 1, INT32_MAX);
  assert_safetensors_of("I32", 0x8000000000000001, SM_INT32, 1, INT32_MIN);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(writes_and_replaces),
      cmocka_unit_test(is_unseen_before_the_commit),
      cmocka_unit_test(names_path_and_reason),
      cmocka_unit_test(follows_links),
      cmocka_unit_test(keeps_the_mode),
      cmocka_unit_test(takes_the_longest_names),
      cmocka_unit_test(removes_what_a_killed_writer_left),
      cmocka_unit_test(writes_into_what_is_no_file),
      cmocka_unit_test(writes_at_the_place_of_an_open_descriptor),
      cmocka_unit_test(reads_idx),
      cmocka_unit_test(refuses_bad_idx),
      cmocka_unit_test(reads_every_type_of_idx),
      cmocka_unit_test(inflates_no_more_than_the_sizes_ask_for),
      cmocka_unit_test(refuses_absurd_sizes_before_allocating),
      cmocka_unit_test(refuses_damaged_compression),
      cmocka_unit_test(reads_members),
      cmocka_unit_test(refuses_what_grows_too_much),
      cmocka_unit_test(refuses_what_is_no_file),
      cmocka_unit_test(npy_comes_back),
      cmocka_unit_test(npy_converts),
      cmocka_unit_test(npy_reads_every_type),
      cmocka_unit_test(npy_reads_every_half),
      cmocka_unit_test(npy_reads_fortran_order),
      cmocka_unit_test(refuses_bad_npy),
      cmocka_unit_test(safetensors_frame_comes_back),
      cmocka_unit_test(refuses_bad_frames),
      cmocka_unit_test(safetensors_of_every_type),
  };
  return cmocka_run_group_tests_name("io", tests, set_up, tear_down);
}
