/* Grouped softmax, cross-entropy and accuracy: runtime.softmax. */
#include "bind/bind.h"
#include "core/loss.h"
#include "core/softmax.h"

/* The groups of x's last axis from `index`: a number of equal groups or a table of sizes, then temperature, scale, off.
   Pushes the buffer that holds the sizes. */
static sm_groups check_groups(lua_State *L, int index, const sm_tensor *x) {
  char text[SM_SHAPE_TEXT];
  if (x->shape.rank == 0) sm_lua_fail(L, "softmax: expected a last axis of channels, got shape {}");
  sm_groups groups = {.channels = x->shape.size[x->shape.rank - 1], .temperature = sm_lua_constant(L, index + 1),
                      .scale = lua_toboolean(L, index + 2), .off = lua_toboolean(L, index + 3)};
  size_t channels = groups.channels, count;
  bool equal = lua_type(L, index) != LUA_TTABLE;
  if (equal) {
    count = (size_t)sm_lua_integer(L, index, 1, INT32_MAX);
    if (channels % count != 0)
      sm_lua_fail(L, "softmax: %I channels cannot be divided into %I equal groups (input %s)", (LUAI_UACINT)channels,
                  (LUAI_UACINT)count, sm_shape_text(text, &x->shape));
    if (channels / count < 1 || channels / count > INT32_MAX)
      sm_lua_fail(L, "softmax: expected groups of 1 to %d channels, got shape %s", INT32_MAX,
                  sm_shape_text(text, &x->shape));
  } else {
    sm_lua_plain_list(L, index);
    count = (size_t)lua_rawlen(L, index);
  }
  int32_t *size = lua_newuserdatauv(L, (count ? count : 1) * sizeof *size, 0);
  for (size_t i = 0; i < count; i++) {
    if (!equal) lua_rawgeti(L, index, (lua_Integer)i + 1);
    size[i] = equal ? (int32_t)(channels / count) : (int32_t)sm_lua_integer(L, -1, INT32_MIN, INT32_MAX);
    if (!equal) lua_pop(L, 1);
  }
  groups.count = count;
  groups.size = size;
  sm_error error;
  if (sm_groups_check(&groups, &error) != SM_OK) sm_lua_raise(L, &error);
  return groups;
}

static size_t rows_of(const sm_tensor *x) {
  size_t channels = x->shape.size[x->shape.rank - 1];
  return channels ? sm_shape_count(&x->shape) / channels : 0;
}

/* softmax(x, groups or sizes, temperature, scale, off) → y */
static int softmax(lua_State *L) {
  const sm_tensor *x = sm_lua_real(L, 1);
  sm_groups groups = check_groups(L, 2, x);
  const sm_tensor *y = sm_lua_new(L, SM_REAL, &x->shape);
  sm_softmax_forward(sm_lua_data(L, y), sm_lua_data(L, x), &groups, rows_of(x));
  return 1;
}

/* softmax_backward(gy, y, groups or sizes, temperature, scale, off, reuse) → gx, in gy's place if it may be reused */
static int softmax_backward(lua_State *L) {
  const sm_tensor *gy = sm_lua_real(L, 1), *y = sm_lua_real(L, 2);
  bool reuse = lua_toboolean(L, 7);
  if (!sm_shape_equal(&gy->shape, &y->shape)) sm_lua_bad_argument(L, 1, "a gradient of the output's shape");
  sm_groups groups = check_groups(L, 3, y);
  const sm_tensor *gx = sm_lua_like(L, 1, reuse);
  sm_softmax_backward(sm_lua_data(L, gx), sm_lua_data(L, gy), sm_lua_data(L, y), &groups, rows_of(y));
  return 1;
}

typedef struct scores {
  const sm_tensor *logits, *labels; /* the labels, int32, may be a copy that was pushed */
  size_t rows, classes;
} scores;

static void to_int32(lua_State *L, const sm_tensor *out, const sm_tensor *x) {
  sm_convert(sm_lua_data(L, out), SM_INT32, sm_lua_data(L, x), x->dtype, sm_shape_count(&x->shape));
}

/* Logits {…, classes} and labels {…} of uint8 or int32 for the operation `name`; may push a converted copy of the
   labels. */
static scores check_scores(lua_State *L, const char *name, int logits_index, int labels_index) {
  const sm_tensor *x = sm_lua_real(L, logits_index), *labels = sm_lua_tensor(L, labels_index);
  if (labels->dtype == SM_REAL) sm_lua_bad_argument(L, labels_index, "labels of type uint8 or int32");
  sm_shape expected = x->shape;
  expected.rank--;
  char first[SM_SHAPE_TEXT], second[SM_SHAPE_TEXT];
  if (x->shape.rank == 0 || !sm_shape_equal(&labels->shape, &expected))
    sm_lua_fail(L, "%s: logits %s need labels of the same shape without the last axis, got %s", name,
                sm_shape_text(first, &x->shape), sm_shape_text(second, &labels->shape));
  scores s = {.logits = x, .labels = labels, .rows = sm_shape_count(&labels->shape),
              .classes = x->shape.size[x->shape.rank - 1]};
  if (labels->dtype != SM_INT32) {
    s.labels = sm_lua_new(L, SM_INT32, &labels->shape);
    to_int32(L, s.labels, labels);
  }
  return s;
}

/* The labels' numbers, each of which names a class. */
static const int32_t *check_labels(lua_State *L, const char *name, const scores *s) {
  const int32_t *label = sm_lua_data(L, s->labels);
  sm_error error;
  if (sm_labels_check(label, s->rows, s->classes, &error) != SM_OK)
    sm_lua_fail(L, "%s: %s; labels count from 0", name, error.message);
  return label;
}

/* cross_entropy(logits, labels) → loss, log_sum */
static int cross_entropy(lua_State *L) {
  const scores s = check_scores(L, "cross_entropy", 1, 2);
  const sm_tensor *loss = sm_lua_new(L, SM_REAL, &(sm_shape){0});
  const sm_tensor *log_sum = sm_lua_new(L, SM_REAL, &(sm_shape){.rank = 1, .size = {s.rows}});
  const int32_t *label = check_labels(L, "cross_entropy", &s);
  sm_cross_entropy_forward(sm_lua_data(L, loss), sm_lua_data(L, log_sum), sm_lua_data(L, s.logits), label, s.rows,
                           s.classes);
  return 2;
}

/* cross_entropy_backward(gy, log_sum, logits, labels) → gradient of the logits */
static int cross_entropy_backward(lua_State *L) {
  const sm_tensor *gy = sm_lua_real(L, 1), *log_sum = sm_lua_real(L, 2);
  const scores s = check_scores(L, "cross_entropy", 3, 4);
  if (sm_shape_count(&gy->shape) != 1) sm_lua_bad_argument(L, 1, "a gradient of one element");
  if (sm_shape_count(&log_sum->shape) != s.rows) sm_lua_bad_argument(L, 2, "a number for each row");
  const sm_tensor *gx = sm_lua_new(L, SM_REAL, &s.logits->shape);
  const int32_t *label = check_labels(L, "cross_entropy", &s);
  const real *scale = sm_lua_data(L, gy);
  sm_cross_entropy_backward(sm_lua_data(L, gx), *scale, sm_lua_data(L, log_sum), sm_lua_data(L, s.logits), label,
                            s.rows, s.classes);
  return 1;
}

/* correct(logits, labels) → number of rows whose largest logit is the label's, number of rows */
static int correct(lua_State *L) {
  const scores s = check_scores(L, "accuracy", 1, 2);
  const int32_t *label = check_labels(L, "accuracy", &s);
  lua_pushinteger(L, (lua_Integer)sm_correct(sm_lua_data(L, s.logits), label, s.rows, s.classes));
  lua_pushinteger(L, (lua_Integer)s.rows);
  return 2;
}

void sm_lua_open_softmax(lua_State *L) {
  static const luaL_Reg functions[] = {{"softmax", softmax},
                                       {"softmax_backward", softmax_backward},
                                       {"cross_entropy", cross_entropy},
                                       {"cross_entropy_backward", cross_entropy_backward},
                                       {"correct", correct},
                                       {NULL, NULL}};
  sm_lua_functions(L, functions);
}
