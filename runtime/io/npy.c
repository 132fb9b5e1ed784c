#include "io/npy.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "io/durable.h"
#include "io/elements.h"
#include "io/file.h"

enum {
  MAGIC_BYTES = 6,
  VERSION_1_START = 10,       /* magic, version, 2 bytes of header length */
  VERSION_2_START = 12,       /* 4 bytes of header length */
  MAX_HEADER_BYTES = 1 << 14, /* the headers of plain arrays have about a hundred */
  MAX_WORD = 32,
  ALIGNMENT = 64 /* the data begin at a multiple of this */
};

static const char magic[MAGIC_BYTES] = {'\x93', 'N', 'U', 'M', 'P', 'Y'};

/* NumPy's name of an element type, without its byte order. */
static const char *const type_name[SM_ELEMENTS] = {
    [SM_F16] = "f2", [SM_F32] = "f4", [SM_F64] = "f8", [SM_BOOL] = "b1", [SM_U8] = "u1",  [SM_I8] = "i1",
    [SM_U16] = "u2", [SM_I16] = "i2", [SM_U32] = "u4", [SM_I32] = "i4",  [SM_U64] = "u8", [SM_I64] = "i8"};

/* The header is a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } */
typedef struct parser {
  const char *path;
  const char *text;   /* ends in a zero byte */
  size_t next, start; /* position in text; where text begins in the file */
  sm_error *error;
} parser;

typedef struct header {
  char descr[MAX_WORD];
  bool fortran, has_descr, has_order, has_shape;
  sm_shape shape;
} header;

static sm_status expected(const parser *p, const char *what) {
  return sm_fail(p->error, SM_BAD_FILE, "%s: byte %zu: the header should have %s here", p->path,
                 p->start + p->next, what);
}

static void skip_spaces(parser *p) { p->next += strspn(p->text + p->next, " \t\n"); }

/* Takes the character if it comes next, after spaces. */
static bool took(parser *p, char wanted) {
  skip_spaces(p);
  if (p->text[p->next] != wanted) return false;
  p->next++;
  return true;
}

static sm_status parse_string(char word[MAX_WORD], parser *p) {
  skip_spaces(p);
  char quote = p->text[p->next];
  if (quote != '\'' && quote != '"') return expected(p, "a quoted string");
  const char *first = p->text + p->next + 1, *last = strchr(first, quote);
  if (!last || last - first >= MAX_WORD) return expected(p, "a short quoted string");
  memcpy(word, first, (size_t)(last - first));
  word[last - first] = '\0';
  p->next += (size_t)(last - first) + 2;
  return SM_OK;
}

static sm_status parse_boolean(bool *value, parser *p) {
  skip_spaces(p);
  *value = strncmp(p->text + p->next, "True", 4) == 0;
  if (!*value && strncmp(p->text + p->next, "False", 5) != 0) return expected(p, "True or False");
  p->next += *value ? 4 : 5;
  return SM_OK;
}

static sm_status parse_size(size_t *size, parser *p) {
  static const char digits[] = "0123456789";
  skip_spaces(p);
  size_t length = strspn(p->text + p->next, digits);
  if (length == 0) return expected(p, "a size");
  *size = 0;
  for (size_t i = 0; i < length; i++) {
    size_t digit = (size_t)(p->text[p->next + i] - '0');
    if (__builtin_mul_overflow(*size, (size_t)10, size) || __builtin_add_overflow(*size, digit, size)) {
      return expected(p, "a size below 2^63");
    }
  }
  if (*size > INT64_MAX) return expected(p, "a size below 2^63");
  p->next += length;
  if (p->text[p->next] == 'L') p->next++; /* Python 2 wrote (2L, 3L) */
  return SM_OK;
}

static sm_status parse_shape(sm_shape *shape, parser *p) {
  *shape = (sm_shape){0};
  if (!took(p, '(')) return expected(p, "a tuple of sizes");
  while (!took(p, ')')) {
    if (shape->rank == SM_MAX_RANK) return expected(p, "at most 8 sizes");
    sm_status status = parse_size(&shape->size[shape->rank], p);
    if (status != SM_OK) return status;
    shape->rank++;
    if (!took(p, ',') && p->text[p->next] != ')') return expected(p, "a comma or a closing parenthesis");
  }
  return SM_OK;
}

static sm_status parse_entry(header *h, parser *p) {
  char key[MAX_WORD];
  size_t at = p->next;
  sm_status status = parse_string(key, p);
  if (status != SM_OK) return status;
  if (!took(p, ':')) return expected(p, "a colon");
  bool *seen = strcmp(key, "descr") == 0           ? &h->has_descr
               : strcmp(key, "fortran_order") == 0 ? &h->has_order
               : strcmp(key, "shape") == 0         ? &h->has_shape
                                                   : NULL;
  if (!seen || *seen) {
    p->next = at;
    return expected(p, "descr, fortran_order or shape, each once,");
  }
  *seen = true;
  skip_spaces(p);
  if (seen == &h->has_order) return parse_boolean(&h->fortran, p);
  if (seen == &h->has_shape) return parse_shape(&h->shape, p);
  if (p->text[p->next] == '[') {
    return sm_fail(p->error, SM_BAD_VALUE, "%s: byte %zu: structured arrays cannot be read", p->path,
                   p->start + p->next);
  }
  return parse_string(h->descr, p);
}

static sm_status parse_header(header *h, parser *p) {
  *h = (header){0};
  if (!took(p, '{')) return expected(p, "an opening brace");
  while (!took(p, '}')) {
    sm_status status = parse_entry(h, p);
    if (status != SM_OK) return status;
    if (!took(p, ',') && p->text[p->next] != '}') return expected(p, "a comma or a closing brace");
  }
  skip_spaces(p);
  if (p->text[p->next]) return expected(p, "its end");
  if (!h->has_descr || !h->has_order || !h->has_shape) {
    const char *missing = !h->has_descr ? "descr" : !h->has_order ? "fortran_order" : "shape";
    return sm_fail(p->error, SM_BAD_FILE, "%s: the header has no %s", p->path, missing);
  }
  return SM_OK;
}

/* What the header's descr names: '<' and '=' are little-endian, '>' big-endian, '|' of single bytes. */
static sm_status find_element(sm_elements *elements, const header *h, const char *path, sm_error *error) {
  char order = h->descr[0];
  elements->element = order && strchr("<>=|", order) ? sm_element_named(h->descr + 1, type_name) : SM_ELEMENTS;
  elements->big_endian = order == '>';
  if (elements->element < SM_ELEMENTS && (order != '|' || sm_element_bytes(elements->element) == 1)) return SM_OK;
  return sm_fail(error, SM_BAD_VALUE,
                 "%s: the element type is '%s'; f2, f4, f8, b1, i1, u1, i2, u2, i4, u4, i8 and u8 can be read",
                 path, h->descr);
}

/* out = x, whose elements come in Fortran order and whose axes are therefore the reverse of shape's, in C order.
   x is released in any case. */
static sm_status from_fortran(sm_tensor *out, sm_tensor *x, sm_memory *memory, const char *path,
                              const sm_shape *shape, sm_error *error) {
  sm_status status = sm_elements_tensor(out, memory, path, x->dtype, shape, error);
  if (status == SM_OK) {
    size_t bytes = sm_dtype_bytes(x->dtype), count = sm_shape_count(shape), from = 0;
    size_t stride[SM_MAX_RANK], index[SM_MAX_RANK] = {0};
    for (int axis = 0; axis < shape->rank; axis++)
      stride[axis] = axis == 0 ? 1 : stride[axis - 1] * shape->size[axis - 1];
    for (size_t i = 0; i < count; i++) {
      memcpy((char *)out->data + i * bytes, (const char *)x->data + from * bytes, bytes);
      int axis = shape->rank - 1;
      for (; axis >= 0 && ++index[axis] == shape->size[axis]; axis--) {
        from -= (index[axis] - 1) * stride[axis];
        index[axis] = 0;
      }
      if (axis >= 0) from += stride[axis];
    }
  }
  sm_tensor_release(x);
  return status;
}

/* Reads the header into text (MAX_HEADER_BYTES + 1) and says where it begins and the data begin. */
static sm_status read_header(char *text, size_t *start, size_t *data, const sm_npy_source *file, sm_error *error) {
  unsigned char front[VERSION_2_START] = {0};
  size_t present = file->bytes < VERSION_1_START ? (size_t)file->bytes : VERSION_1_START;
  sm_status status = file->next(front, file->from, present, error);
  if (status != SM_OK) return status;
  if (present < VERSION_1_START || memcmp(front, magic, sizeof magic) != 0) {
    return sm_fail(error, SM_BAD_FILE,
                   "%s: byte 0: no NPY file: it should begin with \\x93NUMPY and a version", file->label);
  }
  int version = front[MAGIC_BYTES];
  if (version < 1 || version > 3) {
    return sm_fail(error, SM_BAD_FILE, "%s: byte %d: NPY version %d; 1, 2 and 3 can be read", file->label,
                   MAGIC_BYTES, version);
  }
  if (version > 1) {
    if (file->bytes < VERSION_2_START)
      return sm_fail(error, SM_BAD_FILE, "%s: the file ends at byte %llu, within the front", file->label,
                     (unsigned long long)file->bytes);
    status = file->next(front + VERSION_1_START, file->from, VERSION_2_START - VERSION_1_START, error);
    if (status != SM_OK) return status;
  }
  size_t length = front[8] | (size_t)front[9] << 8;
  if (version > 1) length |= (size_t)front[10] << 16 | (size_t)front[11] << 24;
  *start = version == 1 ? VERSION_1_START : VERSION_2_START;
  if (length > MAX_HEADER_BYTES || *start + length > file->bytes) {
    return sm_fail(error, SM_BAD_FILE,
                   "%s: byte 8: a header of %zu bytes, where the file has %llu and %d are allowed",
                   file->label, length, (unsigned long long)file->bytes, MAX_HEADER_BYTES);
  }
  *data = *start + length;
  text[length] = '\0';
  status = file->next(text, file->from, length, error);
  if (status == SM_OK && memchr(text, 0, length)) {
    return sm_fail(error, SM_BAD_FILE, "%s: byte %zu: the header holds a zero byte", file->label,
                   *start + strlen(text));
  }
  return status;
}

sm_status sm_npy_read_from(sm_tensor *out, sm_memory *memory, const sm_npy_source *file, sm_error *error) {
  *out = (sm_tensor){0};
  char text[MAX_HEADER_BYTES + 1];
  size_t start = 0, data = 0;
  header h;
  sm_elements elements = {.label = file->label, .next = file->next, .from = file->from};
  sm_status status = read_header(text, &start, &data, file, error);
  if (status != SM_OK) return status;
  parser p = {.path = file->label, .text = text, .start = start, .error = error};
  status = parse_header(&h, &p);
  if (status == SM_OK) status = find_element(&elements, &h, file->label, error);
  if (status != SM_OK) return status;
  uint64_t present = file->bytes - data;
  size_t bytes;
  if (!sm_shape_extent(&bytes, &h.shape, sm_element_bytes(elements.element)) || bytes != present) {
    char shape[SM_SHAPE_TEXT];
    return sm_fail(error, SM_BAD_FILE, "%s: byte %zu: shape %s of '%s' does not fit the %llu bytes of data",
                   file->label, data, sm_shape_text(shape, &h.shape), h.descr, (unsigned long long)present);
  }
  if (!h.fortran || h.shape.rank < 2)
    return sm_elements_read(out, memory, &elements, &h.shape, error);
  sm_tensor reversed;
  sm_shape axes = {.rank = h.shape.rank};
  for (int i = 0; i < axes.rank; i++) axes.size[i] = h.shape.size[axes.rank - 1 - i];
  status = sm_elements_read(&reversed, memory, &elements, &axes, error);
  return status == SM_OK ? from_fortran(out, &reversed, memory, file->label, &h.shape, error) : status;
}

sm_status sm_npy_read(sm_tensor *out, sm_memory *memory, const char *path, sm_error *error) {
  *out = (sm_tensor){0};
  sm_file file;
  sm_status status = sm_file_open(&file, path, error);
  if (status != SM_OK) return status;
  sm_file_source source = {.file = &file};
  status = sm_npy_read_from(
      out, memory, &(sm_npy_source){.label = path, .bytes = file.bytes, .next = sm_file_next, .from = &source}, error);
  sm_file_close(&file);
  return status;
}

size_t sm_npy_front(char text[SM_NPY_FRONT], const sm_tensor *x) {
  char shape[SM_SHAPE_TEXT] = "";
  size_t used = 0;
  for (int i = 0; i < x->shape.rank; i++) {
    used += (size_t)snprintf(shape + used, sizeof shape - used, i == 0 ? "%zu," : " %zu,", x->shape.size[i]);
  }
  if (x->shape.rank > 1) shape[used - 1] = '\0'; /* only a tuple of one needs its comma */
  memcpy(text, magic, sizeof magic);
  text[MAGIC_BYTES] = 1;
  text[MAGIC_BYTES + 1] = 0;
  size_t end = VERSION_1_START + (size_t)snprintf(text + VERSION_1_START, SM_NPY_FRONT - VERSION_1_START,
                                                  "{'descr': '%c%s', 'fortran_order': False, 'shape': (%s), }",
                                                  sm_dtype_bytes(x->dtype) == 1 ? '|' : '<', /* bytes have no order */
                                                  type_name[sm_element_of(x->dtype)], shape);
  size_t data = (end + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  memset(text + end, ' ', data - end);
  text[data - 1] = '\n';
  text[8] = (char)((data - VERSION_1_START) & 0xff);
  text[9] = (char)((data - VERSION_1_START) >> 8);
  return data;
}

sm_status sm_npy_write(const char *path, const sm_tensor *x, sm_error *error) {
  char text[SM_NPY_FRONT];
  size_t data = sm_npy_front(text, x);
  sm_writer writer;
  sm_status status = sm_writer_open(&writer, path, error);
  if (status != SM_OK) return status;
  status = sm_writer_write(&writer, text, data, error);
  if (status == SM_OK) {
    status = sm_writer_write(&writer, x->data, sm_shape_count(&x->shape) * sm_dtype_bytes(x->dtype), error);
  }
  if (status == SM_OK) return sm_writer_commit(&writer, error);
  sm_writer_abandon(&writer);
  return status;
}
