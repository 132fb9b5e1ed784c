#include "core/softmax.h"

#include <float.h>
#include <math.h>

#include "core/parallel.h"
#include "core/softmax_groups.h"

#ifdef SM_DOUBLE
#define LARGEST DBL_MAX
#else
#define LARGEST FLT_MAX
#endif
/* Between these the temperature's inverse is no denormal number, and where the difference of two logits overflows, the
   smaller one's exponential is 0 all the same. */
#define HIGHEST_TEMPERATURE ((double)LARGEST / 128)
#define LOWEST_TEMPERATURE (1 / HIGHEST_TEMPERATURE)

sm_status sm_groups_check(const sm_groups *groups, sm_error *error) {
  size_t sum = 0;
  for (size_t i = 0; i < groups->count; i++) {
    int32_t size = groups->size[i];
    if (size < 1) {
      return sm_fail(error, SM_BAD_VALUE, "softmax group %zu has size %d, expected at least %d", i + 1,
                     (int)size, groups->off ? 1 : 2);
    }
    if (size == 1 && !groups->off) {
      return sm_fail(error, SM_BAD_VALUE,
                     "softmax group %zu has one channel: its probability would be constant (1); use at least "
                     "2 channels a group, or off=true, which makes it the logistic sigmoid",
                     i + 1);
    }
    sum += (size_t)size;
  }
  if (sum != groups->channels) {
    return sm_fail(error, SM_BAD_SHAPE,
                   "softmax group sizes add up to %zu, expected the %zu channels of the last axis", sum,
                   groups->channels);
  }
  if (!(groups->temperature > 0) || !isfinite(groups->temperature)) {
    return sm_fail(error, SM_BAD_VALUE, "softmax temperature is %g, expected a finite number above 0",
                   groups->temperature);
  }
  if (groups->temperature < LOWEST_TEMPERATURE || groups->temperature > HIGHEST_TEMPERATURE) {
    return sm_fail(error, SM_BAD_VALUE, "softmax temperature is %g, expected %.3g to %.3g with " SM_REAL_NAME,
                   groups->temperature, LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE);
  }
  return SM_OK;
}

static sm_group_rule rule_of(const sm_groups *groups) {
  return (sm_group_rule){(real)(1 / groups->temperature), groups->scale, groups->off};
}

/* The one size of all groups, 0 when they differ. */
static size_t equal_size(const sm_groups *groups) {
  if (groups->count == 0) return 0;
  for (size_t i = 1; i < groups->count; i++) {
    if (groups->size[i] != groups->size[0]) return 0;
  }
  return (size_t)groups->size[0];
}

/* A pass over all rows. */
typedef struct pass {
  real *out;
  const real *x, *gy, *y;
  const sm_groups *groups;
  sm_group_rule rule;
  size_t rows, chunks, size; /* size: equal_size */
} pass;

static void run(sm_task *task, pass *of) {
  size_t elements = of->rows * of->groups->channels, blocks = sm_blocks(elements);
  of->rule = rule_of(of->groups);
  of->size = equal_size(of->groups);
  of->chunks = blocks < of->rows ? blocks : of->rows; /* of whole rows */
  sm_compute(of->chunks, elements, task, of);
}

static void forward_chunk(const void *work, size_t chunk) {
  const pass *of = work;
  const sm_groups *groups = of->groups;
  const size_t channels = groups->channels;
  sm_range range = sm_chunk(of->rows, of->chunks, chunk);
  size_t n = range.last - range.first, at = range.first * channels;
  if (of->size > 0) {
    sm_equal_groups_forward(of->out + at, of->x + at, of->rule, n * groups->count, of->size, of->size);
    return;
  }
  for (size_t row = 0; row < n; row += SM_GROUPS_TOGETHER, at += SM_GROUPS_TOGETHER * channels) {
    size_t lanes = n - row < SM_GROUPS_TOGETHER ? n - row : SM_GROUPS_TOGETHER, column = at;
    for (size_t i = 0; i < groups->count; column += (size_t)groups->size[i++]) {
      sm_equal_groups_forward(of->out + column, of->x + column, of->rule, lanes, channels, (size_t)groups->size[i]);
    }
  }
}

void sm_softmax_forward(real *y, const real *x, const sm_groups *groups, size_t rows) {
  run(forward_chunk, &(pass){.out = y, .x = x, .groups = groups, .rows = rows});
}

static void backward_chunk(const void *work, size_t chunk) {
  const pass *of = work;
  const sm_groups *groups = of->groups;
  const size_t channels = groups->channels;
  sm_range range = sm_chunk(of->rows, of->chunks, chunk);
  size_t n = range.last - range.first, at = range.first * channels;
  if (of->size > 0) {
    sm_equal_groups_backward(of->out + at, of->gy + at, of->y + at, of->rule, n * groups->count, of->size, of->size);
    return;
  }
  for (size_t row = 0; row < n; row += SM_GROUPS_TOGETHER, at += SM_GROUPS_TOGETHER * channels) {
    size_t lanes = n - row < SM_GROUPS_TOGETHER ? n - row : SM_GROUPS_TOGETHER, column = at;
    for (size_t i = 0; i < groups->count; column += (size_t)groups->size[i++]) {
      sm_equal_groups_backward(of->out + column, of->gy + column, of->y + column, of->rule, lanes, channels,
                      (size_t)groups->size[i]);
    }
  }
}

void sm_softmax_backward(real *gx, const real *gy, const real *y, const sm_groups *groups, size_t rows) {
  run(backward_chunk, &(pass){.out = gx, .gy = gy, .y = y, .groups = groups, .rows = rows});
}
