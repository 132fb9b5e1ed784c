#include "cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/dropout.h"
#include "core/gemm.h"
#include "core/parallel.h"
#include "core/pointwise.h"
#include "core/pool.h"
#include "core/reduce.h"

#ifdef SM_DOUBLE
#error "The benchmark compares float with float: build it without REAL=double."
#endif

/* The network that everything is measured on. */
enum { BATCH = 50, KERNEL = 5, HIDDEN_IN = 3136, HIDDEN = 1024 };

/* ---- memory and operands ---- */

void *bench_own(bench_case *c, size_t bytes) {
  if (c->blocks == BENCH_OWNED) return NULL;
  void *block = aligned_alloc(SM_ALIGNMENT, (bytes + SM_ALIGNMENT) / SM_ALIGNMENT * SM_ALIGNMENT);
  if (block) c->owned[c->blocks++] = memset(block, 0, bytes);
  return block;
}

real *bench_zeros(bench_case *c, size_t n) { return bench_own(c, n * sizeof(real)); }

real *bench_numbers(bench_case *c, size_t n, real scale, uint32_t stream) {
  real *x = bench_zeros(c, n);
  if (!x) return NULL;
  sm_rng_uniform(x, &(sm_rng){.seed = 1, .stream = stream}, n);
  for (size_t i = 0; i < n; i++) x[i] = scale * (2 * x[i] - 1);
  return x;
}

sm_status bench_no_memory(const bench_case *c, sm_error *error) {
  return sm_fail(error, SM_NO_MEMORY, "%s: no memory for its operands", c->name);
}

/* ---- convolution ---- */

typedef struct layer {
  const char *name;
  size_t size, in, out;
} layer;

static const layer convs[] = {{"conv1", 28, 1, 32}, {"conv2", 14, 32, 64}};

static void run_conv_forward(bench_case *c) {
  sm_conv2d_forward(c->out[0], c->in[0], c->in[1], c->in[2], c->scratch, &c->conv);
}

static void run_conv_data(bench_case *c) {
  sm_conv2d_backward_data(c->out[0], c->in[0], c->in[1], c->scratch, &c->conv);
}

static void run_conv_filter(bench_case *c) {
  sm_conv2d_backward_filter(c->out[0], c->out[1], c->in[0], c->in[1], c->scratch, &c->conv);
}

/* A pixel of a batch of images. */
typedef struct spot {
  size_t image;
  long row, column;
} spot;

static spot spot_of(size_t pixel, size_t height, size_t width) {
  return (spot){pixel / (width * height), (long)(pixel / width % height), (long)(pixel % width)};
}

/* images (batch, height, width, channels) at a spot that is `down` and `right` of another; 0 outside. */
static double value_at(const real *images, const sm_window *w, size_t channels, spot s, long down, long right,
                       size_t channel) {
  long y = s.row + down, x = s.column + right;
  if (y < 0 || x < 0 || y >= (long)w->height || x >= (long)w->width) return 0;
  return (double)images[((s.image * w->height + (size_t)y) * w->width + (size_t)x) * channels + channel];
}

/* How far a filter's tap reaches from the pixel under its middle. */
static long tap_down(size_t tap) { return (long)(tap / KERNEL) - KERNEL / 2; }
static long tap_right(size_t tap) { return (long)(tap % KERNEL) - KERNEL / 2; }

static double reference_conv_forward(const bench_case *c, size_t index) {
  const sm_window *w = &c->conv.window;
  size_t filters = c->conv.filters, f = index % filters;
  spot s = spot_of(index / filters, w->out_height, w->out_width);
  double sum = (double)c->in[2][f];
  for (size_t tap = 0; tap < KERNEL * KERNEL; tap++) {
    for (size_t i = 0; i < w->channels; i++) {
      double x = value_at(c->in[0], w, w->channels, s, tap_down(tap), tap_right(tap), i);
      sum += x * (double)c->in[1][(tap * w->channels + i) * filters + f];
    }
  }
  return sum;
}

static double reference_conv_data(const bench_case *c, size_t index) {
  const sm_window *w = &c->conv.window;
  size_t filters = c->conv.filters, i = index % w->channels;
  spot s = spot_of(index / w->channels, w->height, w->width);
  double sum = 0;
  for (size_t tap = 0; tap < KERNEL * KERNEL; tap++) {
    for (size_t f = 0; f < filters; f++) {
      double gy = value_at(c->in[0], w, filters, s, -tap_down(tap), -tap_right(tap), f);
      sum += gy * (double)c->in[1][(tap * w->channels + i) * filters + f];
    }
  }
  return sum;
}

static double reference_conv_filter(const bench_case *c, size_t index) {
  const sm_window *w = &c->conv.window;
  size_t filters = c->conv.filters, f = index % filters;
  size_t i = index / filters % w->channels, tap = index / filters / w->channels;
  double sum = 0;
  for (size_t pixel = 0; pixel < w->batch * w->height * w->width; pixel++) {
    spot s = spot_of(pixel, w->height, w->width);
    sum += (double)c->in[0][pixel * filters + f] *
           value_at(c->in[1], w, w->channels, s, tap_down(tap), tap_right(tap), i);
  }
  return sum;
}

static sm_status make_conv(bench_case *c, const layer *l, peer_pass pass, bool peers, sm_error *error) {
  static const char *const passes[] = {"forward", "data gradient", "filter gradient"};
  snprintf(c->name, sizeof c->name, "%s %s", l->name, passes[pass]);
  sm_shape out, x = {4, {BATCH, l->size, l->size, l->in}}, w = {4, {KERNEL, KERNEL, l->in, l->out}};
  sm_window_options options = {.stride = 1, .kind = SM_PADDING_SAME};
  sm_status status = sm_conv2d_plan(&c->conv, &out, &x, &w, &options, error);
  if (status) return status;

  size_t x_count = sm_shape_count(&x), w_count = sm_shape_count(&w), y_count = sm_shape_count(&out);
  real *images = bench_numbers(c, x_count, 1, 1), *filters = bench_numbers(c, w_count, (real)0.1, 2);
  real *gradient = bench_numbers(c, y_count, 1, 3), *bias = bench_numbers(c, l->out, 1, 4);
  static size_t (*const scratch[])(const sm_conv2d *) = {
      sm_conv2d_forward_scratch, sm_conv2d_backward_data_scratch, sm_conv2d_backward_filter_scratch};
  size_t counts[] = {y_count, x_count, w_count};
  c->count = counts[pass];
  c->out[0] = bench_zeros(c, c->count);
  c->out[1] = bench_zeros(c, l->out);
  c->scratch = bench_own(c, scratch[pass](&c->conv));
  if (!images || !filters || !gradient || !bias || !c->out[0] || !c->out[1] || !c->scratch)
    return bench_no_memory(c, error);

  c->in[0] = pass == PEER_FORWARD ? images : gradient;
  c->in[1] = pass == PEER_FILTER ? images : filters;
  c->in[2] = bias;
  static bench_run *const runs[] = {run_conv_forward, run_conv_data, run_conv_filter};
  static bench_reference *const references[] = {reference_conv_forward, reference_conv_data,
                                                reference_conv_filter};
  c->run = runs[pass];
  c->reference = references[pass];
  c->flop = 2.0 * (double)w_count * (double)(BATCH * l->size * l->size);
  if (peers) {
    peer_conv shape = {BATCH, l->size, l->in, l->out, KERNEL};
    c->peer = peer_conv_new(pass, &shape, c->in[0], c->in[1], bias);
  }
  return SM_OK;
}

/* ---- fully connected ---- */

static void run_linear_forward(bench_case *c) {
  sm_matmul(c->out[0], c->in[0], c->in[1], c->in[2], false, false, false, c->m, c->n, c->k);
}

static void run_linear_data(bench_case *c) {
  sm_matmul(c->out[0], c->in[0], c->in[1], NULL, false, false, true, c->m, c->n, c->k);
}

static void run_linear_filter(bench_case *c) {
  sm_matmul(c->out[0], c->in[1], c->in[0], NULL, false, true, false, c->m, c->n, c->k);
}

static double dot(const real *a, size_t step_a, const real *b, size_t step_b, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += (double)a[i * step_a] * (double)b[i * step_b];
  return sum;
}

static double reference_linear_forward(const bench_case *c, size_t index) {
  size_t row = index / c->n, column = index % c->n;
  return (double)c->in[2][column] + dot(c->in[0] + row * c->k, 1, c->in[1] + column, c->n, c->k);
}

static double reference_linear_data(const bench_case *c, size_t index) {
  return dot(c->in[0] + index / c->n * c->k, 1, c->in[1] + index % c->n * c->k, 1, c->k);
}

static double reference_linear_filter(const bench_case *c, size_t index) {
  return dot(c->in[1] + index / c->n, c->m, c->in[0] + index % c->n, c->n, c->k);
}

static sm_status make_linear(bench_case *c, peer_pass pass, bool peers, sm_error *error) {
  static const char *const passes[] = {"forward", "data gradient", "weight gradient"};
  snprintf(c->name, sizeof c->name, "linear 3136→1024 %s", passes[pass]);
  real *x = bench_numbers(c, (size_t)BATCH * HIDDEN_IN, 1, 1),
       *w = bench_numbers(c, (size_t)HIDDEN_IN * HIDDEN, (real)0.1, 2);
  real *gy = bench_numbers(c, (size_t)BATCH * HIDDEN, 1, 3), *bias = bench_numbers(c, HIDDEN, 1, 4);
  static const size_t m[] = {BATCH, BATCH, HIDDEN_IN}, n[] = {HIDDEN, HIDDEN_IN, HIDDEN},
                      k[] = {HIDDEN_IN, HIDDEN, BATCH};
  c->m = m[pass], c->n = n[pass], c->k = k[pass];
  c->count = c->m * c->n;
  c->out[0] = bench_zeros(c, c->count);
  if (!x || !w || !gy || !bias || !c->out[0]) return bench_no_memory(c, error);
  c->in[0] = pass == PEER_FORWARD ? x : gy;
  c->in[1] = pass == PEER_FILTER ? x : w;
  c->in[2] = bias;
  static bench_run *const runs[] = {run_linear_forward, run_linear_data, run_linear_filter};
  static bench_reference *const references[] = {reference_linear_forward, reference_linear_data,
                                                reference_linear_filter};
  c->run = runs[pass];
  c->reference = references[pass];
  c->flop = 2.0 * BATCH * HIDDEN_IN * HIDDEN;
  if (peers) c->peer = peer_linear_new(pass, BATCH, HIDDEN_IN, HIDDEN, c->in[0], c->in[1], bias);
  return SM_OK;
}

/* ---- softmax of the first layer's output, and relu of the same size ---- */

enum { ROWS = BATCH * 28 * 28, CHANNELS = 32 };

static void run_softmax_forward(bench_case *c) { sm_softmax_forward(c->out[0], c->in[0], &c->groups, c->m); }

static void run_softmax_backward(bench_case *c) {
  sm_softmax_backward(c->out[0], c->in[0], c->in[1], &c->groups, c->m);
}

static double reference_softmax_forward(const bench_case *c, size_t index) {
  size_t size = (size_t)c->groups.size[0];
  const real *x = c->in[0] + index / size * size;
  double sum = 0;
  for (size_t i = 0; i < size; i++) sum += exp((double)x[i] - (double)c->in[0][index]);
  return 1 / sum;
}

static double reference_softmax_backward(const bench_case *c, size_t index) {
  size_t size = (size_t)c->groups.size[0], first = index / size * size;
  double sum = 0;
  for (size_t i = first; i < first + size; i++) sum += (double)c->in[0][i] * (double)c->in[1][i];
  return (double)c->in[1][index] * ((double)c->in[0][index] - sum);
}

static sm_status make_softmax(bench_case *c, size_t groups, peer_pass pass, bool peers, sm_error *error) {
  bool forward = pass == PEER_FORWARD;
  snprintf(c->name, sizeof c->name, "softmax 50×28×28×32, %zu group%s, %s", groups, groups > 1 ? "s" : "",
           forward ? "forward" : "backward");
  size_t size = CHANNELS / groups;
  for (size_t i = 0; i < groups; i++) c->sizes[i] = (int32_t)size;
  c->groups = (sm_groups){.channels = CHANNELS, .count = groups, .size = c->sizes, .temperature = 1};
  c->m = ROWS, c->n = CHANNELS;
  c->count = (size_t)ROWS * CHANNELS;
  real *x = bench_numbers(c, c->count, 4, 1), *gy = bench_numbers(c, c->count, 1, 3),
       *y = bench_zeros(c, c->count);
  c->out[0] = bench_zeros(c, c->count);
  if (!x || !gy || !y || !c->out[0]) return bench_no_memory(c, error);
  sm_softmax_forward(y, x, &c->groups, c->m);
  c->in[0] = forward ? x : gy;
  c->in[1] = y;
  c->run = forward ? run_softmax_forward : run_softmax_backward;
  c->reference = forward ? reference_softmax_forward : reference_softmax_backward;
  c->traffic = (bench_traffic){.reads = forward ? 1 : 2, .writes = 1, .n = c->count};
  if (peers) c->peer = peer_softmax_new(pass, ROWS * groups, size, c->in[0], y);
  return SM_OK;
}

static const size_t both_advance[] = {1, 1};

static void run_relu_forward(bench_case *c) {
  sm_pointwise_flat(c->out[0], (const real *const[]){c->in[0]}, both_advance, SM_RELU, c->count);
}

static void run_relu_backward(bench_case *c) {
  sm_pointwise_flat(c->out[0], (const real *const[]){c->in[0], c->in[1]}, both_advance, SM_RELU_BACKWARD, c->count);
}

static double reference_relu_forward(const bench_case *c, size_t index) {
  return fmax((double)c->in[0][index], 0);
}

static double reference_relu_backward(const bench_case *c, size_t index) {
  return c->in[1][index] > 0 ? (double)c->in[0][index] : 0;
}

static sm_status make_relu(bench_case *c, peer_pass pass, bool peers, sm_error *error) {
  bool forward = pass == PEER_FORWARD;
  snprintf(c->name, sizeof c->name, "relu 50×28×28×32 %s", forward ? "forward" : "backward");
  c->count = (size_t)ROWS * CHANNELS;
  real *x = bench_numbers(c, c->count, 1, 1), *gy = bench_numbers(c, c->count, 1, 3);
  c->out[0] = bench_zeros(c, c->count);
  if (!x || !gy || !c->out[0]) return bench_no_memory(c, error);
  c->in[0] = forward ? x : gy;
  c->in[1] = x;
  c->run = forward ? run_relu_forward : run_relu_backward;
  c->reference = forward ? reference_relu_forward : reference_relu_backward;
  c->traffic = (bench_traffic){.reads = forward ? 1 : 2, .writes = 1, .n = c->count};
  if (peers) c->peer = peer_relu_new(pass, c->count, c->in[0], x);
  return SM_OK;
}

/* ---- pooling ---- */

static void run_pool_forward(bench_case *c) {
  sm_maxpool_forward(c->out[0], c->which, c->in[0], false, &c->conv.window);
}

static void run_pool_backward(bench_case *c) {
  sm_maxpool_backward(c->out[0], c->in[0], c->which, NULL, &c->conv.window);
}

/* Where the maximum of a 2×2 window lies in x. */
static size_t largest(const bench_case *c, const real *x, size_t index) {
  const sm_window *w = &c->conv.window;
  spot s = spot_of(index / w->channels, w->out_height, w->out_width);
  size_t corner = (s.image * w->height + 2 * (size_t)s.row) * w->width + 2 * (size_t)s.column, best = 0;
  for (size_t i = 0; i < 4; i++) {
    size_t at = (corner + i / 2 * w->width + i % 2) * w->channels + index % w->channels;
    if (i == 0 || x[at] > x[best]) best = at;
  }
  return best;
}

static double reference_pool_forward(const bench_case *c, size_t index) {
  return (double)c->in[0][largest(c, c->in[0], index)];
}

static double reference_pool_backward(const bench_case *c, size_t index) {
  const sm_window *w = &c->conv.window;
  spot s = spot_of(index / w->channels, w->height, w->width);
  size_t window = (s.image * w->out_height + (size_t)s.row / 2) * w->out_width + (size_t)s.column / 2;
  window = window * w->channels + index % w->channels;
  return largest(c, c->in[1], window) == index ? (double)c->in[0][window] : 0;
}

static sm_status make_pool(bench_case *c, const layer *l, peer_pass pass, bool peers, sm_error *error) {
  bool forward = pass == PEER_FORWARD;
  snprintf(c->name, sizeof c->name, "max-pool 50×%zu×%zu×%zu %s", l->size, l->size, l->out,
           forward ? "forward" : "backward");
  sm_shape out, x_shape = {4, {BATCH, l->size, l->size, l->out}};
  sm_window_options options = {.stride = 2, .kind = SM_PADDING_VALID};
  sm_status status = sm_maxpool_plan(&c->conv.window, &out, &x_shape, 2, 2, &options, error);
  if (status) return status;
  size_t x_count = sm_shape_count(&x_shape), y_count = sm_shape_count(&out);
  real *x = bench_numbers(c, x_count, 1, 1), *gy = bench_numbers(c, y_count, 1, 3),
       *y = bench_zeros(c, y_count);
  c->which = bench_own(c, y_count);
  c->count = forward ? y_count : x_count;
  c->out[0] = bench_zeros(c, c->count);
  if (!x || !gy || !y || !c->which || !c->out[0]) return bench_no_memory(c, error);
  sm_maxpool_forward(y, c->which, x, false, &c->conv.window);
  c->in[0] = forward ? x : gy;
  c->in[1] = x;
  c->run = forward ? run_pool_forward : run_pool_backward;
  c->reference = forward ? reference_pool_forward : reference_pool_backward;
  /* The larger tensor, the smaller one, and a byte for each of its elements, as a copy of as many bytes. */
  size_t bytes = sizeof(real) * (x_count + y_count) + y_count;
  c->traffic = (bench_traffic){.reads = 1, .writes = 1, .n = bytes / (2 * sizeof(real))};
  if (peers) c->peer = peer_maxpool_new(pass, BATCH, l->size, l->out, c->in[0], x);
  return SM_OK;
}

/* ---- dropout and sums ---- */

static const double dropped = 0.5;

static void run_dropout(bench_case *c) { sm_dropout(c->out[0], c->in[0], &c->rng, dropped, c->count); }

/* An element is dropped or scaled, and the shares are right within five standard deviations, else NaN. */
static double reference_dropout(const bench_case *c, size_t index) {
  size_t kept = 0;
  for (size_t i = 0; i < c->count; i++) kept += c->out[0][i] != 0;
  double surprise = fabs((double)kept - (1 - dropped) * (double)c->count);
  if (surprise > 5 * sqrt(dropped * (1 - dropped) * (double)c->count)) return NAN;
  return c->out[0][index] != 0 ? (double)c->in[0][index] / (1 - dropped) : 0;
}

static sm_status make_dropout(bench_case *c, sm_error *error) {
  snprintf(c->name, sizeof c->name, "dropout 50×1024");
  c->count = (size_t)BATCH * HIDDEN;
  c->rng = (sm_rng){.seed = 1};
  c->in[0] = bench_numbers(c, c->count, 1, 1);
  c->out[0] = bench_zeros(c, c->count);
  if (!c->in[0] || !c->out[0]) return bench_no_memory(c, error);
  c->run = run_dropout;
  c->reference = reference_dropout;
  c->traffic = (bench_traffic){.reads = 1, .writes = 1, .n = c->count};
  return SM_OK;
}

static void run_sum(bench_case *c) {
  sm_sum(c->out[0], c->in[0], &(sm_axis){.outer = 1, .axis = c->m, .inner = c->n});
}

static double reference_sum(const bench_case *c, size_t index) {
  double sum = 0;
  for (size_t row = 0; row < c->m; row++) sum += (double)c->in[0][row * c->n + index];
  return sum;
}

static sm_status make_sum(bench_case *c, size_t rows, size_t columns, sm_error *error) {
  if (columns > 1)
    snprintf(c->name, sizeof c->name, "sums of %zu columns, %zu rows", columns, rows);
  else
    snprintf(c->name, sizeof c->name, "sum of %.2f M numbers", 1e-6 * (double)rows);
  c->m = rows, c->n = columns, c->count = columns;
  c->in[0] = bench_numbers(c, rows * columns, 1, 1);
  c->out[0] = bench_zeros(c, columns);
  if (!c->in[0] || !c->out[0]) return bench_no_memory(c, error);
  c->run = run_sum;
  c->reference = reference_sum;
  c->traffic = (bench_traffic){.reads = 1, .n = rows * columns};
  return SM_OK;
}

/* ---- the list ---- */

enum { CONVS = 6, LINEARS = 3, SOFTMAXES = 4, RELUS = 2, POOLS = 4, SUMS = 2 };

int bench_case_count(void) { return CONVS + LINEARS + SOFTMAXES + RELUS + POOLS + 1 + SUMS + BENCH_RULES; }

sm_status bench_case_new(bench_case *c, int index, bool peers, sm_error *error) {
  *c = (bench_case){.run = NULL};
  int i = index;
  if (i < CONVS) return make_conv(c, &convs[i / 3], (peer_pass)(i % 3), peers, error);
  i -= CONVS;
  if (i < LINEARS) return make_linear(c, (peer_pass)i, peers, error);
  i -= LINEARS;
  if (i < SOFTMAXES) return make_softmax(c, i < 2 ? 1 : 4, i % 2 ? PEER_DATA : PEER_FORWARD, peers, error);
  i -= SOFTMAXES;
  if (i < RELUS) return make_relu(c, i ? PEER_DATA : PEER_FORWARD, peers, error);
  i -= RELUS;
  if (i < POOLS) return make_pool(c, &convs[i / 2], i % 2 ? PEER_DATA : PEER_FORWARD, peers, error);
  i -= POOLS;
  if (i < 1) return make_dropout(c, error);
  i -= 1;
  if (i < SUMS) return i ? make_sum(c, ROWS, CHANNELS, error) : make_sum(c, BENCH_PARAMETERS, 1, error);
  i -= SUMS;
  return bench_optimizer_new(c, (bench_rule)i, error);
}

void bench_case_free(bench_case *c) {
  if (c->peer) peer_free(c->peer);
  while (c->blocks > 0) free(c->owned[--c->blocks]);
}
