/* The passes of core/conv/conv.h: each goes to its method, but for numbers that this method cannot bear.
   Those of a transform (core/conv/range.h) go to the direct method, image by image, or all where the filters are not
   borne; the filter gradient goes there by parts of the batch. And where padding is multiplied as zeros, an infinite or
   NaN number on the other side would make NaN of what padding has no part in: then the direct method leaves it out. */
#include "core/conv/conv.h"

#include "core/conv/direct.h"
#include "core/conv/range.h"
#include "core/conv/reading.h"

/* The direct method, of so many images, with padding left out of the sums. */
static sm_conv2d direct_of(const sm_conv2d *conv, size_t batch) {
  sm_conv2d direct = *conv;
  direct.window.batch = batch;
  direct.parts = direct.chunks = 1;
  for (int pass = 0; pass < SM_CONV_PASSES; pass++) direct.method[pass] = &sm_conv_direct;
  direct.leave_padding_out = true;
  return direct;
}

static size_t image_of(const sm_conv2d *conv) {
  return conv->window.height * conv->window.width * conv->window.channels;
}

static size_t result_of(const sm_conv2d *conv) {
  return conv->window.out_height * conv->window.out_width * conv->filters;
}

static size_t weights_of(const sm_conv2d *conv) {
  return conv->window.kernel_height * conv->window.kernel_width * sm_conv2d_group_channels(conv) * conv->filters;
}

/* Whether there is no result for any image: no numbers, but maybe more images than could ever be counted through. */
static bool gives_nothing(const sm_conv2d *conv) { return conv->window.batch == 0 || result_of(conv) == 0; }

static bool takes_nothing(const sm_conv2d *conv) { return conv->window.batch == 0 || image_of(conv) == 0; }

/* ---- scratch ---- */

/* Of a transform's pass: a mark for each image, and what looks at them. What either method needs follows. */
static size_t marks_bytes(const sm_conv2d *conv) { return sm_aligned(conv->window.batch); }
static size_t watch_bytes(const sm_conv2d *conv) { return marks_bytes(conv) + sm_conv_range_scratch(conv); }

static size_t scratch_for(const sm_conv2d *conv, const sm_conv_method *chosen, size_t of_chosen,
                          size_t (*of_direct)(const sm_conv2d *)) {
  if (chosen->leaves_padding_out) return of_chosen;
  const sm_conv2d all = direct_of(conv, conv->window.batch), one = direct_of(conv, 1);
  size_t bytes = sm_larger(of_chosen, sm_larger(of_direct(&all), of_direct(&one)));
  return chosen->transforms ? watch_bytes(conv) + bytes : bytes;
}

static size_t scratch_of(const sm_conv2d *conv, sm_conv_pass pass) {
  const sm_conv_method *chosen = conv->method[pass];
  return scratch_for(conv, chosen, chosen->scratch[pass](conv), sm_conv_direct.scratch[pass]);
}

size_t sm_conv2d_forward_scratch(const sm_conv2d *conv) {
  return gives_nothing(conv) ? 0 : scratch_of(conv, SM_CONV_FORWARD);
}

size_t sm_conv2d_backward_data_scratch(const sm_conv2d *conv) {
  return takes_nothing(conv) ? 0 : scratch_of(conv, SM_CONV_BACKWARD_DATA);
}

/* Of the filter gradient, with the chunks of its method. */
static sm_conv2d summing_of(const sm_conv2d *conv) {
  const sm_conv_method *chosen = conv->method[SM_CONV_BACKWARD_FILTER];
  sm_conv2d summing = *conv;
  summing.chunks = chosen->chunks ? chosen->chunks(conv) : 1;
  return summing;
}

static size_t sums_bytes(const sm_conv2d *summing) {
  return sm_aligned(summing->parts * summing->chunks * (weights_of(summing) + summing->filters) * sizeof(real));
}

size_t sm_conv2d_backward_filter_scratch(const sm_conv2d *conv) {
  if (gives_nothing(conv)) return 0;
  const size_t images = sm_conv_part_images(conv); /* of a part, or one more */
  const sm_conv2d summing = summing_of(conv), few = direct_of(conv, images), more = direct_of(conv, images + 1);
  const sm_conv_method *chosen = conv->method[SM_CONV_BACKWARD_FILTER];
  size_t again = sm_larger(sm_conv_direct_backward_filter_scratch(&few), sm_conv_direct_backward_filter_scratch(&more));
  size_t bytes = sm_larger(chosen->scratch[SM_CONV_BACKWARD_FILTER](&summing), again);
  return sums_bytes(&summing) + sm_larger(bytes, chosen->transforms ? sm_conv_range_scratch(conv) : 0);
}

/* ---- which images ---- */

/* The next run of images, from `first` on, that are marked; empty at the end. */
static sm_range next_marked(const uint8_t *marks, size_t first, size_t batch) {
  while (first < batch && !marks[first]) first++;
  size_t last = first;
  while (last < batch && marks[last]) last++;
  return (sm_range){first, last};
}

/* ---- passes ---- */

void sm_conv2d_forward(real *y, const real *x, const real *w, const real *bias, void *scratch,
                       const sm_conv2d *conv) {
  if (gives_nothing(conv)) return;
  const sm_conv_method *chosen = conv->method[SM_CONV_FORWARD];
  size_t batch = conv->window.batch;
  if (!chosen->transforms) {
    const sm_conv2d direct = direct_of(conv, batch);
    if (chosen->leaves_padding_out || sm_conv_is_finite(w, weights_of(conv)))
      chosen->forward(y, x, w, bias, scratch, conv);
    else
      sm_conv_direct.forward(y, x, w, bias, scratch, &direct);
    return;
  }
  uint8_t *unborne = scratch;
  void *rest = (char *)scratch + watch_bytes(conv);
  sm_conv2d watched = *conv;
  watched.watch = sm_conv_forward_watch(unborne, x, w, (char *)scratch + marks_bytes(conv), conv);
  if (watched.watch) chosen->forward(y, x, w, bias, rest, &watched);
  sm_range images = next_marked(unborne, 0, batch);
  for (; images.first < batch; images = next_marked(unborne, images.last, batch)) {
    const sm_conv2d direct = direct_of(conv, images.last - images.first);
    sm_conv_direct.forward(y + images.first * result_of(conv), x + images.first * image_of(conv), w, bias,
                           rest, &direct);
  }
}

void sm_conv2d_backward_data(real *gx, const real *gy, const real *w, void *scratch, const sm_conv2d *conv) {
  if (takes_nothing(conv)) return;
  const sm_conv_method *chosen = conv->method[SM_CONV_BACKWARD_DATA];
  size_t batch = conv->window.batch;
  if (!chosen->transforms) {
    const sm_conv2d direct = direct_of(conv, batch);
    if (chosen->leaves_padding_out || sm_conv_is_finite(w, weights_of(conv)))
      chosen->backward_data(gx, gy, w, scratch, conv);
    else
      sm_conv_direct.backward_data(gx, gy, w, scratch, &direct);
    return;
  }
  uint8_t *unborne = scratch;
  void *rest = (char *)scratch + watch_bytes(conv);
  sm_conv2d watched = *conv;
  watched.watch = sm_conv_backward_data_watch(unborne, gy, w, (char *)scratch + marks_bytes(conv), conv);
  if (watched.watch) chosen->backward_data(gx, gy, w, rest, &watched);
  sm_range images = next_marked(unborne, 0, batch);
  for (; images.first < batch; images = next_marked(unborne, images.last, batch)) {
    const sm_conv2d direct = direct_of(conv, images.last - images.first);
    sm_conv_direct.backward_data(gx + images.first * image_of(conv), gy + images.first * result_of(conv), w,
                                 rest, &direct);
  }
}

/* A part's sum by the direct method. */
static void sum_again(real *gw, real *gbias, const real *gy, const real *x, void *scratch, size_t part,
                      const sm_conv2d *conv) {
  sm_range images = sm_conv_part(conv, part);
  const sm_conv2d direct = direct_of(conv, images.last - images.first);
  sm_conv_direct_backward_filter(gw, gbias, gy + images.first * result_of(conv), x + images.first * image_of(conv),
                                 scratch, &direct);
}

void sm_conv2d_backward_filter(real *gw, real *gbias, const real *gy, const real *x, void *scratch,
                               const sm_conv2d *conv) {
  const size_t weights = weights_of(conv), filters = conv->filters, parts = conv->parts;
  if (gives_nothing(conv)) {
    for (size_t i = 0; i < weights; i++) gw[i] = 0;
    for (size_t i = 0; i < filters && gbias; i++) gbias[i] = 0;
    return;
  }
  const sm_conv_method *chosen = conv->method[SM_CONV_BACKWARD_FILTER];
  const sm_conv2d summing = summing_of(conv);
  size_t chunks = summing.chunks, gw_step = chunks * weights, gbias_step = chunks * filters;
  real *gw_sums = scratch, *gbias_sums = gbias ? gw_sums + parts * gw_step : NULL; /* (parts, chunks, …) */
  void *rest = (char *)scratch + sums_bytes(&summing);
  uint8_t again[SM_PARTS] = {0};
  chosen->backward_filter(gw_sums, gbias_sums, gy, x, rest, &summing);
  for (size_t part = 0; part < parts && chunks > 1; part++) {
    real *of_gw = gw_sums + part * gw_step, *of_gbias = gbias ? gbias_sums + part * gbias_step : NULL;
    sm_add_parts_shared(of_gw, of_gw, chunks, weights, weights);
    if (gbias) sm_add_parts_shared(of_gbias, of_gbias, chunks, filters, filters);
  }
  if (chosen->transforms) sm_conv_backward_filter_look(again, gy, x, rest, conv);
  for (bool last = false;; last = true) {
    for (size_t part = 0; part < parts; part++) {
      real *of_gbias = gbias ? gbias_sums + part * gbias_step : NULL;
      if (again[part]) sum_again(gw_sums + part * gw_step, of_gbias, gy, x, rest, part, conv);
    }
    sm_add_parts_shared(gw, gw_sums, parts, weights, gw_step);
    if (gbias) sm_add_parts_shared(gbias, gbias_sums, parts, filters, gbias_step);
    /* Only here, where it costs nothing, for gy is large: zeros of the padding times infinity are in the result. */
    if (last || chosen->leaves_padding_out || sm_conv_is_finite(gw, weights)) return;
    for (size_t part = 0; part < parts; part++)
      again[part] = !sm_conv_is_finite(gw_sums + part * gw_step, weights);
  }
}

/* ---- image by image ---- */

enum { EACH_IMAGES = SM_BATCH_CHUNKS }; /* with fewer, threads that take whole images would be idle */

/* Results that were computed together. */
typedef struct results {
  sm_conv2d_task *task;
  const void *work;
  real *first;
  size_t size;
} results;

static void hand_on(const void *work, size_t image) {
  const results *of = work;
  of->task(of->work, image, of->first + image * of->size);
}

/* Of a run of images that begins with `first`: all, or those that are not marked. */
typedef struct part {
  sm_conv2d_task *task;
  const void *work;
  size_t first;
  const uint8_t *marks;
} part;

static void hand_on_part(const void *work, size_t image, real *result) {
  const part *of = work;
  if (!of->marks || !of->marks[image]) of->task(of->work, of->first + image, result);
}

/* Whether the method hands each result on by itself. */
static bool goes_by_image(const sm_conv2d *conv) {
  const sm_conv_method *chosen = conv->method[SM_CONV_FORWARD];
  return chosen->forward_each && conv->groups == 1 && (chosen->transforms || conv->window.batch >= EACH_IMAGES);
}

static size_t results_bytes(const sm_conv2d *conv) {
  return sm_aligned(conv->window.batch * result_of(conv) * sizeof(real));
}

size_t sm_conv2d_forward_each_scratch(const sm_conv2d *conv) {
  if (gives_nothing(conv)) return 0;
  if (!goes_by_image(conv)) return results_bytes(conv) + sm_conv2d_forward_scratch(conv);
  const sm_conv_method *chosen = conv->method[SM_CONV_FORWARD];
  return scratch_for(conv, chosen, chosen->forward_each_scratch(conv), sm_conv_direct.forward_each_scratch);
}

static void transform_each(sm_conv2d_task *task, const void *work, const real *x, const real *w,
                         const real *bias, void *scratch, const sm_conv2d *conv) {
  size_t batch = conv->window.batch;
  uint8_t *unborne = scratch;
  void *rest = (char *)scratch + watch_bytes(conv);
  sm_conv2d watched = *conv;
  watched.watch = sm_conv_forward_watch(unborne, x, w, (char *)scratch + marks_bytes(conv), conv);
  const part borne = {task, work, 0, unborne};
  if (watched.watch)
    conv->method[SM_CONV_FORWARD]->forward_each(hand_on_part, &borne, x, w, bias, rest, &watched);
  sm_range images = next_marked(unborne, 0, batch);
  for (; images.first < batch; images = next_marked(unborne, images.last, batch)) {
    const sm_conv2d direct = direct_of(conv, images.last - images.first);
    const part run = {task, work, images.first, NULL};
    sm_conv_direct.forward_each(hand_on_part, &run, x + images.first * image_of(conv), w, bias, rest,
                                &direct);
  }
}

void sm_conv2d_forward_each(sm_conv2d_task *task, const void *work, const real *x, const real *w,
                            const real *bias, void *scratch, const sm_conv2d *conv) {
  if (gives_nothing(conv)) return;
  if (goes_by_image(conv) && conv->method[SM_CONV_FORWARD]->transforms) {
    transform_each(task, work, x, w, bias, scratch, conv);
  } else if (goes_by_image(conv)) {
    const sm_conv2d left_out = direct_of(conv, conv->window.batch);
    sm_conv_direct.forward_each(task, work, x, w, bias, scratch,
                                sm_conv_is_finite(w, weights_of(conv)) ? conv : &left_out);
  } else {
    const results of = {task, work, scratch, result_of(conv)};
    sm_conv2d_forward(of.first, x, w, bias, (char *)scratch + results_bytes(conv), conv);
    sm_parallel(conv->window.batch, SM_LARGE, hand_on, &of);
  }
}
