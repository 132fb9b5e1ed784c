/* runtime.random.augment. */
#include <stdint.h>

#include "bind/random.h"
#include "core/augment.h"

static double option(lua_State *L, int index, const char *key, double absent) {
  double value = sm_lua_field_number(L, index, key, absent);
  if (!isfinite(value)) sm_lua_fail(L, "augment: option '%s' must be finite, got %f", key, value);
  return value;
}

/* From a table: down, right, flip_vertical, flip_horizontal, least_angle, most_angle, least_scale, most_scale, alpha,
   sigma, cutout, fill. What is not there changes nothing. */
static sm_augment read_rule(lua_State *L, int index, const sm_shape *shape) {
  const double cutout = option(L, index, "cutout", 0);
  const sm_augment of = {
      .down = option(L, index, "down", 0), .right = option(L, index, "right", 0),
      .flip_vertical = sm_lua_field_boolean(L, index, "flip_vertical"),
      .flip_horizontal = sm_lua_field_boolean(L, index, "flip_horizontal"),
      .least_angle = option(L, index, "least_angle", 0), .most_angle = option(L, index, "most_angle", 0),
      .least_scale = option(L, index, "least_scale", 1), .most_scale = option(L, index, "most_scale", 1),
      .alpha = option(L, index, "alpha", 0), .sigma = option(L, index, "sigma", 1),
      .cutout = cutout >= 1 && cutout <= INT32_MAX ? (size_t)cutout : 0, .fill = option(L, index, "fill", 0),
      .count = shape->size[0], .height = shape->size[1], .width = shape->size[2], .channels = shape->size[3]};
  if (cutout != (double)of.cutout) sm_lua_fail(L, "augment: a square of %f pixels", cutout);
  if (!(of.least_scale > 0 && of.most_scale > 0)) sm_lua_fail(L, "augment: scales must be above 0");
  if (!(of.sigma > 0 && of.sigma <= SM_AUGMENT_SIGMA))
    sm_lua_fail(L, "augment: sigma must be above 0 and at most %d, got %f", SM_AUGMENT_SIGMA, of.sigma);
  if (!sm_survives(of.fill)) sm_lua_fail(L, "augment: the fill must fit " SM_REAL_NAME ", got %f", of.fill);
  return of;
}

static void *take(lua_State *L, const sm_augment *of) {
  size_t bytes, again;
  if (!sm_augment_scratch(&bytes, of)) sm_lua_fail(L, "augment: the images are too large");
  void *scratch = sm_lua_take(L, bytes);
  if (!sm_augment_scratch(&again, of) || again > bytes)
    sm_lua_fail(L, "augment: the number of threads was changed during the call");
  return scratch;
}

/* augment(x, numbers, seed, stream, offset, rule) → images {N, height, width, channels} changed by numbers {N, 12},
   which are the uniform ones of that place of the stream */
static int augment(lua_State *L) {
  const sm_tensor *x = sm_lua_real(L, 1), *numbers = sm_lua_real(L, 2);
  if (x->shape.rank != 4) sm_lua_bad_argument(L, 1, "images {N, height, width, channels}");
  const sm_shape wanted = {2, {x->shape.size[0], SM_AUGMENT_NUMBERS}};
  if (!sm_shape_equal(&numbers->shape, &wanted)) sm_lua_bad_argument(L, 2, "12 numbers for each image");
  const sm_rng rng = sm_lua_rng(L, 3, sm_shape_count(&wanted));
  const sm_augment of = read_rule(L, 6, &x->shape);
  const sm_tensor *out = sm_lua_new(L, SM_REAL, &x->shape);
  void *scratch = take(L, &of);
  sm_augment_images(sm_lua_data(L, out), sm_lua_data(L, x), sm_lua_data(L, numbers), &rng, scratch, &of);
  sm_lua_give(L);
  return 1;
}

void sm_lua_add_augment(lua_State *L) {
  static const luaL_Reg functions[] = {{"augment", augment}, {NULL, NULL}};
  sm_lua_add_functions(L, functions);
}
