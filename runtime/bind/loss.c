/* Cross-entropy and accuracy: runtime.loss. */
#include "bind/bind.h"
#include "core/loss.h"

typedef struct scores {
  const sm_tensor *logits, *target; /* the target: probabilities, or labels, int32, maybe a copy that was pushed */
  const sm_tensor *weight;
  size_t rows, classes;
  sm_target rule; /* but for its numbers */
} scores;

static void to_int32(lua_State *L, const sm_tensor *out, const sm_tensor *x) {
  sm_convert(sm_lua_data(L, out), SM_INT32, sm_lua_data(L, x), x->dtype, sm_shape_count(&x->shape));
}

/* Logits {…, classes} and labels {…} of uint8 or int32 for the operation `name`, and the argument `ignored`, a label or
   nil; may push a converted copy of the labels. */
static scores check_scores(lua_State *L, const char *name, int logits_index, int labels_index, int ignored) {
  const sm_tensor *x = sm_lua_real(L, logits_index), *labels = sm_lua_tensor(L, labels_index);
  if (sm_is_real(labels->dtype)) sm_lua_bad_argument(L, labels_index, "labels of type uint8 or int32");
  sm_shape expected = x->shape;
  expected.rank--;
  char first[SM_SHAPE_TEXT], second[SM_SHAPE_TEXT];
  if (x->shape.rank == 0 || !sm_shape_equal(&labels->shape, &expected))
    sm_lua_fail(L, "%s: logits %s need labels of the same shape without the last axis, got %s", name,
                sm_shape_text(first, &x->shape), sm_shape_text(second, &labels->shape));
  scores s = {.logits = x, .target = labels, .rows = sm_shape_count(&labels->shape),
              .classes = x->shape.size[x->shape.rank - 1]};
  if (!lua_isnoneornil(L, ignored)) {
    s.rule.ignores = true;
    s.rule.ignored = (int32_t)sm_lua_integer(L, ignored, INT32_MIN, INT32_MAX);
  }
  if (labels->dtype != SM_INT32) {
    s.target = sm_lua_new(L, SM_INT32, &labels->shape);
    to_int32(L, s.target, labels);
  }
  return s;
}

/* The same where the target may also be probabilities of the logits' shape; after it come the weight of each class or
   nil, smoothing, and an ignored label or nil. */
static scores check_target(lua_State *L, int logits_index) {
  const sm_tensor *x = sm_lua_real(L, logits_index), *target = sm_lua_tensor(L, logits_index + 1);
  const sm_tensor *weight = sm_lua_real_or_nil(L, logits_index + 2);
  double smoothing = sm_lua_number(L, logits_index + 3);
  char first[SM_SHAPE_TEXT], second[SM_SHAPE_TEXT];
  scores s;
  if (target->dtype == SM_REAL) {
    if (x->shape.rank == 0 || !sm_shape_equal(&target->shape, &x->shape))
      sm_lua_fail(L, "cross_entropy: logits %s need labels of type uint8 or int32, or probabilities of their shape, "
                  "got " SM_REAL_NAME " %s", sm_shape_text(first, &x->shape), sm_shape_text(second, &target->shape));
    size_t classes = x->shape.size[x->shape.rank - 1];
    s = (scores){.logits = x, .target = target, .classes = classes};
    s.rows = classes ? sm_shape_count(&x->shape) / classes : 0;
  } else {
    s = check_scores(L, "cross_entropy", logits_index, logits_index + 1, logits_index + 4);
  }
  if (!(smoothing >= 0 && smoothing <= 1)) sm_lua_bad_argument(L, logits_index + 3, "a number from 0 to 1");
  if (weight && (weight->shape.rank != 1 || weight->shape.size[0] != s.classes))
    sm_lua_fail(L, "cross_entropy: the weight must have shape {%I}, a number for each class, got %s",
                (LUAI_UACINT)s.classes, sm_shape_text(second, &weight->shape));
  s.weight = weight;
  s.rule.smoothing = smoothing;
  return s;
}

/* The target with its numbers, of which labels name a class each. */
static sm_target target_data(lua_State *L, const char *name, const scores *s) {
  sm_target target = s->rule;
  target.weight = sm_lua_data(L, s->weight);
  const void *data = sm_lua_data(L, s->target);
  if (s->target->dtype == SM_REAL) {
    target.probability = data;
    return target;
  }
  target.label = data;
  size_t wrong = sm_labels_check(&target, s->rows, s->classes);
  if (wrong < s->rows) sm_lua_bad_index(L, name, s->target, wrong, target.label[wrong], 0, s->classes);
  return target;
}

/* cross_entropy(logits, target, weight, smoothing, ignored) → loss, log_sum, divisor, and the
   sum that it divides */
static int cross_entropy(lua_State *L) {
  const scores s = check_target(L, 1);
  const sm_tensor *loss = sm_lua_new(L, SM_REAL, &(sm_shape){0});
  const sm_tensor *log_sum = sm_lua_new(L, SM_REAL, &(sm_shape){.rank = 1, .size = {s.rows}});
  const sm_target target = target_data(L, "cross_entropy", &s);
  double total, divisor;
  sm_cross_entropy_forward(sm_lua_data(L, loss), sm_lua_data(L, log_sum), &total, &divisor, sm_lua_data(L, s.logits),
                           &target, s.rows, s.classes);
  lua_pushnumber(L, divisor);
  lua_pushnumber(L, total);
  return 4;
}

/* cross_entropy_backward(gy, log_sum, divisor, logits, target, weight, smoothing, ignored) → gradient of the logits */
static int cross_entropy_backward(lua_State *L) {
  const sm_tensor *gy = sm_lua_real(L, 1), *log_sum = sm_lua_real(L, 2);
  double divisor = sm_lua_number(L, 3);
  const scores s = check_target(L, 4);
  if (sm_shape_count(&gy->shape) != 1) sm_lua_bad_argument(L, 1, "a gradient of one element");
  if (sm_shape_count(&log_sum->shape) != s.rows) sm_lua_bad_argument(L, 2, "a number for each row");
  const sm_tensor *gx = sm_lua_new(L, SM_REAL, &s.logits->shape);
  const sm_target target = target_data(L, "cross_entropy", &s);
  const real *scale = sm_lua_data(L, gy);
  sm_cross_entropy_backward(sm_lua_data(L, gx), *scale, sm_lua_data(L, log_sum), divisor, sm_lua_data(L, s.logits),
                            &target, s.rows, s.classes);
  return 1;
}

/* correct(logits, labels, ignored) → how many rows have their largest logit at the label; how many rows count */
static int correct(lua_State *L) {
  const scores s = check_scores(L, "accuracy", 1, 2, 3);
  const sm_target target = target_data(L, "accuracy", &s);
  size_t rows = s.rows;
  lua_pushinteger(L, (lua_Integer)sm_correct(&rows, sm_lua_data(L, s.logits), &target, s.classes));
  lua_pushinteger(L, (lua_Integer)rows);
  return 2;
}

void sm_lua_open_loss(lua_State *L) {
  static const luaL_Reg functions[] = {{"cross_entropy", cross_entropy},
                                       {"cross_entropy_backward", cross_entropy_backward},
                                       {"correct", correct},
                                       {NULL, NULL}};
  sm_lua_functions(L, functions);
}
