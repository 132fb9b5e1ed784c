#include "core/tensor.h"

#include <stdio.h>
#include <string.h>

#include "core/parallel.h"

const sm_type *sm_type_of(sm_dtype dtype) {
  static const sm_type real_type = {SM_REAL_NAME, sizeof(real), true, 0, 0};
  static const sm_type uint8 = {"uint8", sizeof(uint8_t), false, 0, UINT8_MAX};
  static const sm_type int32 = {"int32", sizeof(int32_t), false, INT32_MIN, INT32_MAX};
  switch (dtype) {
    case SM_REAL: return &real_type;
    case SM_UINT8: return &uint8;
    case SM_INT32: return &int32;
  }
  return NULL;
}

bool sm_multiply(size_t *product, size_t a, size_t b) {
  return !__builtin_mul_overflow(a, b, product) && *product <= (size_t)PTRDIFF_MAX;
}

bool sm_shape_extent(size_t *extent, const sm_shape *shape, size_t unit) {
  bool empty = false;
  *extent = unit;
  for (int axis = 0; axis < shape->rank; axis++) {
    if (shape->size[axis] == 0) {
      empty = true;
    } else if (!sm_multiply(extent, *extent, shape->size[axis])) {
      return false;
    }
  }
  if (empty) *extent = 0;
  return true;
}

sm_status sm_shape_bytes(size_t *bytes, const sm_shape *shape, sm_dtype dtype, sm_error *error) {
  if (sm_shape_extent(bytes, shape, sm_dtype_bytes(dtype))) return SM_OK;
  char text[SM_SHAPE_TEXT];
  return sm_fail(error, SM_BAD_SHAPE, "a %s tensor of shape %s is larger than memory can be", sm_dtype_name(dtype),
                 sm_shape_text(text, shape));
}

size_t sm_shape_count(const sm_shape *shape) {
  size_t count = 1;
  for (int axis = 0; axis < shape->rank; axis++) count *= shape->size[axis];
  return count;
}

bool sm_shape_equal(const sm_shape *a, const sm_shape *b) {
  if (a->rank != b->rank) return false;
  for (int axis = 0; axis < a->rank; axis++) {
    if (a->size[axis] != b->size[axis]) return false;
  }
  return true;
}

const char *sm_shape_text(char text[SM_SHAPE_TEXT], const sm_shape *shape) {
  size_t length = 0;
  text[length++] = '{';
  for (int axis = 0; axis < shape->rank; axis++) {
    length +=
        (size_t)snprintf(text + length, SM_SHAPE_TEXT - length, "%s%zu", axis ? ", " : "", shape->size[axis]);
  }
  text[length++] = '}';
  text[length] = '\0';
  return text;
}

sm_status sm_tensor_new(sm_tensor *tensor, sm_memory *memory, sm_dtype dtype, const sm_shape *shape,
                        sm_error *error) {
  *tensor = (sm_tensor){.dtype = dtype};
  char text[SM_SHAPE_TEXT];
  size_t bytes;
  sm_status status = sm_shape_bytes(&bytes, shape, dtype, error);
  if (status) return status;
  sm_storage *storage = sm_memory_take(memory, sizeof *storage);
  void *data = storage ? sm_memory_take(memory, bytes) : NULL;
  if (!data) {
    sm_memory_give(memory, storage, sizeof *storage);
    return sm_fail(error, SM_NO_MEMORY, "out of memory: a %s tensor of shape %s takes %zu bytes",
                   sm_dtype_name(dtype), sm_shape_text(text, shape), bytes);
  }
  *storage = (sm_storage){.references = 1, .bytes = bytes, .memory = memory, .data = data};
  tensor->shape = *shape;
  tensor->storage = storage;
  tensor->data = data;
  return SM_OK;
}

sm_status sm_tensor_share(sm_tensor *tensor, const sm_tensor *base, const sm_shape *shape, size_t offset,
                          sm_error *error) {
  *tensor = (sm_tensor){.dtype = base->dtype};
  size_t bytes, before, start = (size_t)((char *)base->data - (char *)base->storage->data);
  sm_status status = sm_shape_bytes(&bytes, shape, base->dtype, error);
  if (status) return status;
  size_t room = base->storage->bytes - start;
  if (!sm_multiply(&before, offset, sm_dtype_bytes(base->dtype)) || before > room || bytes > room - before) {
    char from[SM_SHAPE_TEXT], to[SM_SHAPE_TEXT];
    return sm_fail(error, SM_BAD_SHAPE, "shape %s from element %zu on does not lie within a tensor of shape %s",
                   sm_shape_text(to, shape), offset + 1, sm_shape_text(from, &base->shape));
  }
  sm_tensor shared = {.dtype = base->dtype, .shape = *shape, .storage = base->storage};
  shared.is_detached = base->is_detached;
  shared.varies = base->varies;
  shared.data = (char *)base->data + offset * sm_dtype_bytes(base->dtype);
  shared.storage->references++;
  *tensor = shared;
  return SM_OK;
}

void sm_tensor_release(sm_tensor *tensor) {
  sm_storage *storage = tensor->storage;
  tensor->storage = NULL;
  tensor->data = NULL;
  if (!storage || --storage->references > 0) return;
  sm_memory *memory = storage->memory;
  sm_memory_give(memory, storage->data, storage->bytes);
  sm_memory_give(memory, storage, sizeof *storage);
}

/* Towards zero, saturating; NaN gives 0. The comparisons are made in double, which holds every int32. */
static uint8_t byte_of(double x) { return x >= UINT8_MAX ? UINT8_MAX : x > 0 ? (uint8_t)x : 0; }

static int32_t int_of(double x) {
  return x >= INT32_MAX ? INT32_MAX : x <= INT32_MIN ? INT32_MIN : x == x ? (int32_t)x : 0;
}

/* Each converts from another type than its own. */
static void bytes_from(uint8_t *out, const void *x, sm_dtype x_dtype, sm_range range) {
  const int32_t *ints = x;
  const real *reals = x;
  switch (x_dtype) {
    case SM_UINT8: break;
    case SM_INT32:
      for (size_t i = range.first; i < range.last; i++)
        out[i] = (uint8_t)(ints[i] < 0 ? 0 : ints[i] > UINT8_MAX ? UINT8_MAX : ints[i]);
      break;
    case SM_REAL:
      for (size_t i = range.first; i < range.last; i++) out[i] = byte_of(reals[i]);
      break;
  }
}

static void ints_from(int32_t *out, const void *x, sm_dtype x_dtype, sm_range range) {
  const uint8_t *bytes = x;
  const real *reals = x;
  switch (x_dtype) {
    case SM_INT32: break;
    case SM_UINT8:
      for (size_t i = range.first; i < range.last; i++) out[i] = bytes[i];
      break;
    case SM_REAL:
      for (size_t i = range.first; i < range.last; i++) out[i] = int_of(reals[i]);
      break;
  }
}

static void reals_from(real *out, const void *x, sm_dtype x_dtype, sm_range range) {
  const uint8_t *bytes = x;
  const int32_t *ints = x;
  switch (x_dtype) {
    case SM_REAL: break;
    case SM_UINT8:
      for (size_t i = range.first; i < range.last; i++) out[i] = (real)bytes[i];
      break;
    case SM_INT32:
      for (size_t i = range.first; i < range.last; i++) out[i] = (real)ints[i];
      break;
  }
}

double sm_element_at(const void *x, sm_dtype dtype, size_t i) {
  switch (dtype) {
    case SM_REAL: return (double)((const real *)x)[i];
    case SM_UINT8: return ((const uint8_t *)x)[i];
    case SM_INT32: return ((const int32_t *)x)[i];
  }
  return NAN;
}

typedef struct copying {
  void *out;
  const void *x; /* NULL: the value */
  sm_dtype out_dtype, x_dtype;
  double value;
  size_t n;
} copying;

static void convert_block(const void *work, size_t block) {
  const copying *of = work;
  sm_range range = sm_block(of->n, block);
  if (of->out_dtype == of->x_dtype) {
    size_t bytes = sm_dtype_bytes(of->x_dtype);
    memcpy((char *)of->out + range.first * bytes, (const char *)of->x + range.first * bytes,
           (range.last - range.first) * bytes);
    return;
  }
  switch (of->out_dtype) {
    case SM_REAL: reals_from(of->out, of->x, of->x_dtype, range); break;
    case SM_UINT8: bytes_from(of->out, of->x, of->x_dtype, range); break;
    case SM_INT32: ints_from(of->out, of->x, of->x_dtype, range); break;
  }
}

void sm_convert(void *out, sm_dtype out_dtype, const void *x, sm_dtype x_dtype, size_t n) {
  sm_parallel_blocks(n, convert_block, &(copying){out, x, out_dtype, x_dtype, 0, n});
}

static void fill_block(const void *work, size_t block) {
  const copying *of = work;
  sm_range range = sm_block(of->n, block);
  switch (of->out_dtype) {
    case SM_REAL: {
      real *reals = of->out, value = (real)of->value;
      for (size_t i = range.first; i < range.last; i++) reals[i] = value;
      break;
    }
    case SM_UINT8: memset((uint8_t *)of->out + range.first, byte_of(of->value), range.last - range.first); break;
    case SM_INT32: {
      int32_t *ints = of->out, value = int_of(of->value);
      for (size_t i = range.first; i < range.last; i++) ints[i] = value;
      break;
    }
  }
}

void sm_fill(void *out, sm_dtype dtype, double value, size_t n) {
  sm_parallel_blocks(n, fill_block, &(copying){.out = out, .out_dtype = dtype, .value = value, .n = n});
}

typedef struct gathering {
  real *out;
  const uint8_t *x;
  const int32_t *index;
  real scale;
  size_t count, row, chunks;
} gathering;

static void gather_chunk(const void *work, size_t chunk) {
  const gathering *of = work;
  sm_range range = sm_chunk(of->count, of->chunks, chunk);
  const real scale = of->scale;
  for (size_t i = range.first; i < range.last; i++) {
    const uint8_t *from = of->x + (size_t)of->index[i] * of->row;
    real *to = of->out + i * of->row;
#pragma omp simd
    for (size_t j = 0; j < of->row; j++) to[j] = scale * (real)from[j];
  }
}

void sm_gather_bytes(real *out, const uint8_t *x, const int32_t *index, real scale, size_t count,
                     size_t row) {
  size_t chunks = sm_batch_chunks(count);
  sm_parallel(chunks, count * row, gather_chunk, &(gathering){out, x, index, scale, count, row, chunks});
}
