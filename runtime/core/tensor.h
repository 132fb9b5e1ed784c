/* Tensors: a row-major, contiguous block of numbers with a shape. Operations of the other rooms take plain
   pointers and sizes; this room owns memory, shapes and their text. */
#ifndef SM_TENSOR_H
#define SM_TENSOR_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/memory.h"
#include "core/status.h"

/* The type that computes: float, or double in the build whose gradients are checked exactly. */
#ifdef SM_DOUBLE
typedef double real;
#define SM_REAL_NAME "float64"
#else
typedef float real;
#define SM_REAL_NAME "float32"
#endif

enum {
  SM_LINE = SM_ALIGNMENT / (int)sizeof(real), /* numbers in a cache line */
  SM_MAX_RANK = 8
};

/* Element types. What does something of its own for each has a switch without a default, so that a new type is a
   constant here and what the compiler then names, the first of it the table of sm_type_of. */
typedef enum sm_dtype { SM_REAL, SM_UINT8, SM_INT32 } sm_dtype;

typedef struct sm_type {
  const char *name; /* "float32" ("float64" in the double build), "uint8", "int32" */
  size_t bytes;
  bool is_real;            /* else its numbers are integers */
  int64_t least, greatest; /* of integers */
} sm_type;

enum { SM_DTYPES = SM_INT32 + 1 };

const sm_type *sm_type_of(sm_dtype dtype);

/* Whether a number is still one, and not another, as a real: what is finite stays finite, what is not 0 does not become
   0. Infinities and NaN survive. */
static inline bool sm_survives(double number) {
  real kept = (real)number;
  return !isfinite(kept) == !isfinite(number) && (kept == 0) == (number == 0);
}

/* The same, but what is nearly 0 may become it. */
static inline bool sm_stays_finite(double number) { return fabs(number) < 1 || sm_survives(number); }

static inline size_t sm_dtype_bytes(sm_dtype dtype) { return sm_type_of(dtype)->bytes; }
static inline const char *sm_dtype_name(sm_dtype dtype) { return sm_type_of(dtype)->name; }
static inline bool sm_is_real(sm_dtype dtype) { return sm_type_of(dtype)->is_real; }

/* Rank 0 is a scalar with one element; any size may be 0. */
typedef struct sm_shape {
  int rank;
  size_t size[SM_MAX_RANK];
} sm_shape;

/* Sizes are multiplied by these three alone, but for those of one tensor, which sm_shape_bytes has let pass: the
   product of any of its sizes, and of these with the bytes of an element, fits. */

/* *product = a * b; false, with *product undefined, where that is more than a pointer can reach (PTRDIFF_MAX). */
bool sm_multiply(size_t *product, size_t a, size_t b);

/* *extent = all sizes times `unit`; false, with *extent undefined, where that is more than a pointer can reach. A size
   of 0 does not excuse the others: their product must fit as well, so that every part of an empty shape can be computed
   with. */
bool sm_shape_extent(size_t *extent, const sm_shape *shape, size_t unit);

/* The bytes of a tensor of this shape. SM_BAD_SHAPE where sm_shape_extent is false. */
sm_status sm_shape_bytes(size_t *bytes, const sm_shape *shape, sm_dtype dtype, sm_error *error);

size_t sm_shape_count(const sm_shape *shape); /* number of elements */
bool sm_shape_equal(const sm_shape *a, const sm_shape *b);

enum { SM_SHAPE_TEXT = SM_MAX_RANK * 22 + 3 };

/* Writes "{50, 28, 28, 1}" ("{}" for a scalar) into text and returns it. */
const char *sm_shape_text(char text[SM_SHAPE_TEXT], const sm_shape *shape);

/* Memory that several tensors may share. */
typedef struct sm_storage {
  size_t references;
  size_t bytes;
  uint64_t version;  /* how often it was changed in place since it was made: who does so adds one */
  bool overwritten; /* with numbers whose gradient should have passed, and cannot */
  bool varies;      /* copied into from a tensor that does */
  sm_memory *memory;
  void *data;
} sm_storage;

typedef struct sm_tensor {
  sm_dtype dtype;
  sm_shape shape;
  bool is_detached;    /* no gradient passes, whatever its memory was overwritten with */
  bool varies;         /* differs between processes that train one model together, each on examples of its own */
  sm_storage *storage; /* NULL: released */
  void *data;          /* first element, inside storage */
} sm_tensor;

/* A tensor with undefined content. SM_NO_MEMORY or SM_BAD_SHAPE (too large); *tensor is then released. */
sm_status sm_tensor_new(sm_tensor *tensor, sm_memory *memory, sm_dtype dtype, const sm_shape *shape, sm_error *error);

/* A tensor that shares base's storage, starting `offset` elements after base does. SM_BAD_SHAPE when its shape is
   none, or does not lie within the storage; *tensor is then released. */
sm_status sm_tensor_share(sm_tensor *tensor, const sm_tensor *base, const sm_shape *shape, size_t offset,
                          sm_error *error);

/* Lets go of the storage, which is freed with its last tensor. Idempotent. */
void sm_tensor_release(sm_tensor *tensor);

/* out[i] = x[i] converted from one element type to another, n elements. Real to integer truncates towards zero
   and saturates at the limits of the type; NaN becomes 0. */
void sm_convert(void *out, sm_dtype out_dtype, const void *x, sm_dtype x_dtype, size_t n);

/* x[i] of any type, exactly. */
double sm_element_at(const void *x, sm_dtype dtype, size_t i);

/* out[i] = value for n elements, converted as by sm_convert. */
void sm_fill(void *out, sm_dtype dtype, double value, size_t n);

/* out (count, row) = scale * x (rows, row)[index[i]], bytes to numbers: how a batch of images is gathered.
   Indices are 0-based and checked by the caller. */
void sm_gather_bytes(real *out, const uint8_t *x, const int32_t *index, real scale, size_t count, size_t row);

#endif
