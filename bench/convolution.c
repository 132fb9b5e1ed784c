/* How exact each method of convolution is: random convolutions, each pass by every method that takes it, against direct
   sums in double. Prints a page of docs/results: `make bench-convolution`.
     convolution [PROBLEMS=1200] [THREADS=2] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/conv/conv.h"
#include "core/gemm.h"
#include "core/parallel.h"
#include "core/rng.h"

/* ---- numbers ---- */

static sm_rng stream = {.seed = 24};

static void must(bool ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "convolution: %s\n", what);
  exit(1);
}

static void *block_of(size_t bytes) {
  void *block = NULL;
  must(posix_memalign(&block, SM_ALIGNMENT, bytes ? bytes : 1) == 0, "out of memory");
  memset(block, 0, bytes);
  return block;
}

static real *normal(size_t n) {
  real *x = block_of(n * sizeof *x);
  sm_rng_normal(x, &stream, n);
  stream.offset += n;
  return x;
}

/* From low to high, all equally likely. */
static int draw(int low, int high) {
  int32_t value;
  sm_rng_integers(&value, low, (uint64_t)(high - low) + 1, &stream, 1);
  stream.offset++;
  return value;
}

/* From 1 to most, small ones as likely as large ones. */
static size_t draw_size(double most) {
  real at;
  sm_rng_uniform(&at, &stream, 1);
  stream.offset++;
  return (size_t)exp((double)at * log(most + 0.999));
}

typedef enum kind { NORMAL, HALVED, WIDE, KINDS } kind;

static const char *const kinds[] = {"normal", "half zeros", "wide"};

static void halve(real *x, size_t n) {
  for (size_t i = 0; i < n; i++) x[i] = x[i] > 0 ? x[i] : 0;
}

/* Times e^2z, z normal: as many above 7.4 times the middle as below a 7.4th of it. */
static void widen(real *x, size_t n) {
  real *z = normal(n);
  for (size_t i = 0; i < n; i++) x[i] = (real)((double)x[i] * exp(2 * (double)z[i]));
  free(z);
}

/* ---- problems ---- */

typedef struct problem {
  sm_conv2d conv;
  size_t count[3]; /* of y, x and w: what each pass gives */
  kind numbers;
  real *x, *w, *gy;
  double *exact[SM_CONV_PASSES];
} problem;

static sm_window_options draw_axis(bool plain, size_t kernel) {
  sm_window_options axis = {.stride = 1, .dilation = 1, .kind = (sm_padding_kind)draw(0, 2)};
  if (!plain) {
    axis.stride = draw(1, 3);
    axis.dilation = draw(1, 3);
  }
  axis.before = draw(0, (int)kernel - 1);
  axis.after = draw(0, (int)kernel - 1);
  return axis;
}

/* False: the window is larger than its images. */
static bool plan(problem *p, const sm_shape *x, const sm_shape *w, const sm_window_options axes[2], size_t groups) {
  sm_shape y;
  sm_error error;
  if (sm_conv2d_plan(&p->conv, &y, x, w, axes, groups, &error) != SM_OK) return false;
  p->count[0] = y.size[0] * y.size[1] * y.size[2] * y.size[3];
  p->count[1] = x->size[0] * x->size[1] * x->size[2] * x->size[3];
  p->count[2] = w->size[0] * w->size[1] * w->size[2] * w->size[3];
  return true;
}

/* Shapes of one of three families: any; what Winograd's method takes; and small images that Fourier's takes. */
static bool draw_shape(problem *p, int family) {
  const double most_work = 4e7;
  bool plain = family > 0;
  size_t most = family == 2 ? 14 : 40, kernel[2], groups = 1;
  kernel[0] = kernel[1] = family == 1 ? (size_t)(draw(0, 1) ? 5 : 3) : (size_t)draw(1, 7);
  if (family == 0) kernel[1] = (size_t)draw(1, 7);
  sm_shape x = {4, {draw_size(16), draw_size((double)most), draw_size((double)most), draw_size(256)}};
  size_t filters = draw_size(256);
  if (plain) {
    x.size[3] = 16 * draw_size(16);
    filters = 16 * draw_size(16);
  } else if (draw(0, 1)) {
    groups = draw_size((double)x.size[3]);
    x.size[3] = x.size[3] / groups * groups;
    filters = (filters + groups - 1) / groups * groups;
  }
  sm_shape w = {4, {kernel[0], kernel[1], x.size[3] / groups, filters}};
  const sm_window_options axes[2] = {draw_axis(plain, kernel[0]), draw_axis(plain, kernel[1])};
  return plan(p, &x, &w, axes, groups) && (double)p->count[0] * (double)p->count[2] / (double)filters <= most_work;
}

/* The pixel of x that window element (ky, kx) sees at (oy, ox) of an image, or none: then false. */
static bool pixel_of(size_t *pixel, const sm_window *at, size_t image, const size_t position[2], const size_t tap[2]) {
  size_t row = position[0] * at->stride + tap[0] * at->dilation;
  size_t column = position[1] * at->stride_across + tap[1] * at->dilation_across;
  if (row < at->top || row >= at->top + at->height || column < at->left || column >= at->left + at->width) return false;
  *pixel = ((image * at->height + row - at->top) * at->width + column - at->left) * at->channels;
  return true;
}

/* All three passes of a position of one image, for one tap; `of` says which are wanted. */
static void add_products(const problem *p, size_t image, const size_t position[2], const size_t tap[2], bool filter) {
  const sm_window *at = &p->conv.window;
  size_t filters = p->conv.filters, own = sm_conv2d_group_channels(&p->conv), each = sm_conv2d_group_filters(&p->conv);
  size_t pixel, y = ((image * at->out_height + position[0]) * at->out_width + position[1]) * filters;
  if (!pixel_of(&pixel, at, image, position, tap)) return;
  for (size_t c = 0; c < at->channels; c++) {
    size_t first = c / own * each, w = ((tap[0] * at->kernel_width + tap[1]) * own + c % own) * filters + first;
    const real *weight = p->w + w, *gy = p->gy + y + first;
    double x = (double)p->x[pixel + c], sum = 0;
    double *to_y = p->exact[SM_CONV_FORWARD] + y + first, *to_w = p->exact[SM_CONV_BACKWARD_FILTER] + w;
    if (filter) {
      for (size_t f = 0; f < each; f++) to_w[f] += x * (double)gy[f];
      continue;
    }
    for (size_t f = 0; f < each; f++) to_y[f] += x * (double)weight[f];
    for (size_t f = 0; f < each; f++) sum += (double)weight[f] * (double)gy[f];
    p->exact[SM_CONV_BACKWARD_DATA][pixel + c] += sum;
  }
}

static void add_image(const void *work, size_t image) {
  const problem *p = work;
  const sm_window *at = &p->conv.window;
  for (size_t i = 0; i < at->out_height * at->out_width; i++)
    for (size_t tap = 0; tap < at->kernel_height * at->kernel_width; tap++)
      add_products(p, image, (size_t[]){i / at->out_width, i % at->out_width},
                   (size_t[]){tap / at->kernel_width, tap % at->kernel_width}, false);
}

static void add_tap(const void *work, size_t tap) {
  const problem *p = work;
  const sm_window *at = &p->conv.window;
  for (size_t image = 0; image < at->batch; image++)
    for (size_t i = 0; i < at->out_height * at->out_width; i++)
      add_products(p, image, (size_t[]){i / at->out_width, i % at->out_width},
                   (size_t[]){tap / at->kernel_width, tap % at->kernel_width}, true);
}

static void fill(problem *p) {
  p->x = normal(p->count[1]);
  p->w = normal(p->count[2]);
  p->gy = normal(p->count[0]);
  if (p->numbers != NORMAL) halve(p->x, p->count[1]);
  if (p->numbers == HALVED) halve(p->gy, p->count[0]);
  if (p->numbers == WIDE) widen(p->gy, p->count[0]);
  for (int pass = 0; pass < SM_CONV_PASSES; pass++) p->exact[pass] = block_of(p->count[pass] * sizeof(double));
  sm_parallel(p->conv.window.batch, SM_LARGE, add_image, p);
  sm_parallel(p->conv.window.kernel_height * p->conv.window.kernel_width, SM_LARGE, add_tap, p);
}

static void empty(problem *p) {
  free(p->x), free(p->w), free(p->gy);
  for (int pass = 0; pass < SM_CONV_PASSES; pass++) free(p->exact[pass]);
}

/* ---- errors ---- */

enum { METHODS = 5, FILES = METHODS * SM_CONV_PASSES };

static const char *const methods[METHODS][2] = {
    {"direct", "direct"},          {"channelwise", "channelwise"}, {"winograd", "winograd, 3x3"},
    {"winograd", "winograd, 5x5"}, {"fourier", "fourier"},
};
static const char *const passes[] = {"forward", "data gradient", "filter gradient"};

typedef struct error { double square, most, of_direct; kind numbers; } error;
typedef struct errors { error *of; size_t count, handed_over; } errors; /* of a method and a pass */

static real *compute(const problem *p, sm_conv_pass pass) {
  static size_t (*const bytes[])(const sm_conv2d *) = {sm_conv2d_forward_scratch, sm_conv2d_backward_data_scratch,
                                                       sm_conv2d_backward_filter_scratch};
  real *result = block_of(p->count[pass] * sizeof *result);
  void *scratch = block_of(bytes[pass](&p->conv));
  if (pass == SM_CONV_FORWARD) sm_conv2d_forward(result, p->x, p->w, NULL, scratch, &p->conv);
  if (pass == SM_CONV_BACKWARD_DATA) sm_conv2d_backward_data(result, p->gy, p->w, scratch, &p->conv);
  if (pass == SM_CONV_BACKWARD_FILTER) sm_conv2d_backward_filter(result, NULL, p->gy, p->x, scratch, &p->conv);
  free(scratch);
  return result;
}

static error error_of(const real *got, const double *exact, size_t n) {
  double wrong = 0, all = 0, most_wrong = 0, most = 0;
  for (size_t i = 0; i < n; i++) {
    double difference = fabs((double)got[i] - exact[i]);
    must(difference < INFINITY, "a result is not finite");
    wrong += difference * difference;
    all += exact[i] * exact[i];
    most_wrong = fmax(most_wrong, difference);
    most = fmax(most, fabs(exact[i]));
  }
  return (error){.square = all > 0 ? sqrt(wrong / all) : 0, .most = most > 0 ? most_wrong / most : 0};
}

/* Which of the methods' lines a method's errors go to: Winograd's has one for each size of filters. */
static bool is_line_of(const problem *p, size_t line) {
  return strcmp(methods[line][0], "winograd") != 0 || p->conv.window.kernel_height == (line == 2 ? 3 : 5);
}

static void measure(errors found[FILES], problem *p) {
  for (int pass = 0; pass < SM_CONV_PASSES; pass++) {
    sm_conv2d_use(&p->conv, "direct");
    real *direct = compute(p, (sm_conv_pass)pass);
    double of_direct = error_of(direct, p->exact[pass], p->count[pass]).square;
    for (size_t line = 0; line < METHODS; line++) {
      if (!sm_conv2d_use(&p->conv, methods[line][0])) continue; /* there is no such method */
      const char *name = sm_conv2d_method(&p->conv, (sm_conv_pass)pass);
      if (strcmp(name, methods[line][0]) != 0 || !is_line_of(p, line)) continue;
      errors *to = found + line * SM_CONV_PASSES + (size_t)pass;
      real *got = compute(p, (sm_conv_pass)pass);
      if (line >= 3 && memcmp(got, direct, p->count[pass] * sizeof *got) == 0) {
        to->handed_over++;
      } else {
        error e = error_of(got, p->exact[pass], p->count[pass]);
        e.of_direct = of_direct > 0 ? e.square / of_direct : 1;
        e.numbers = p->numbers;
        to->of[to->count++] = e;
      }
      free(got);
    }
    free(direct);
  }
}

/* ---- the page ---- */

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

typedef enum figure { SQUARE, MOST, OF_DIRECT } figure;

/* A share of the problems, of a kind of numbers or (KINDS) all, has at most this error. */
static double quantile(const errors *list, double share, figure which, kind numbers) {
  double *sorted = block_of(list->count * sizeof *sorted);
  size_t count = 0;
  for (size_t i = 0; i < list->count; i++) {
    const error *e = list->of + i;
    if (numbers != KINDS && e->numbers != numbers) continue;
    sorted[count++] = which == SQUARE ? e->square : which == MOST ? e->most : e->of_direct;
  }
  qsort(sorted, count, sizeof *sorted, by_size);
  double value = count ? sorted[(size_t)(share * (double)(count - 1) + 0.5)] : NAN;
  free(sorted);
  return value;
}

static void print_errors(const errors found[FILES], figure which) {
  printf("| method | pass | problems | median | 90 %% | 99 %% | largest |\n|---|---|--:|--:|--:|--:|--:|\n");
  for (size_t i = 0; i < FILES; i++) {
    const errors *list = found + i;
    if (list->count == 0) continue;
    printf("| %s | %s | %zu |", methods[i / SM_CONV_PASSES][1], passes[i % SM_CONV_PASSES], list->count);
    for (size_t k = 0; k < 4; k++) printf(" %.1e |", quantile(list, (double[]){0.5, 0.9, 0.99, 1}[k], which, KINDS));
    printf("\n");
  }
}

static void print_ratios(const errors found[FILES]) {
  printf("| method | pass |");
  for (int k = 0; k < KINDS; k++) printf(" %s |", kinds[k]);
  printf(" 99 %% of all | largest | handed over |\n|---|---|--:|--:|--:|--:|--:|--:|\n");
  for (size_t i = SM_CONV_PASSES; i < FILES; i++) {
    const errors *list = found + i;
    if (list->count == 0) continue;
    printf("| %s | %s |", methods[i / SM_CONV_PASSES][1], passes[i % SM_CONV_PASSES]);
    for (int k = 0; k < KINDS; k++) printf(" %.2f |", quantile(list, 0.5, OF_DIRECT, (kind)k));
    printf(" %.2f | %.2f | %zu |\n", quantile(list, 0.99, OF_DIRECT, KINDS), quantile(list, 1, OF_DIRECT, KINDS),
           list->handed_over);
  }
}

static void print_page(const errors found[FILES], size_t count) {
  printf("# How exact convolutions are\n\n"
         "Each method of `runtime/core/conv`, forced wherever it takes a pass, against direct sums in double: %zu\n"
         "random ones of 1 to 256 channels and filters, with odd sizes, strides, dilations, groups and paddings.\n"
         "A third of them are such as Winograd's method takes, and a third small images, for the Fourier transform.\n"
         "```sh\n"
         "make bench-convolution\n"
         "```\n"
         "Numbers are normal; or half of the images' and gradients' are zeros, as after relu; or gradients have a\n"
         "wide range, normal numbers times e to the power of twice another, and images half zeros. Made in %s with\n"
         "the instruction set %s; half a unit in the last place of 1 is %.1e.\n\n",
         count, sizeof(real) == 4 ? "float" : "double", sm_instruction_set(), sizeof(real) == 4 ? 0x1p-24 : 0x1p-53);
  printf("## Root mean square of the error ÷ that of the result\n\n");
  print_errors(found, SQUARE);
  printf("\n## Largest error ÷ largest result\n\n");
  print_errors(found, MOST);
  printf("\n## Root mean square ÷ that of the direct method\n\n"
         "Of the same convolution: the median for each kind of numbers, then what all come to. What a transform\n"
         "does not bear (`core/conv/range.h`) is handed over to the direct method: such results are in no table.\n\n");
  print_ratios(found);
}

/* Layers of networks: {images, pixels a side, channels, kernel, filters}. */
static const size_t layers[][5] = {
    {8, 32, 16, 3, 16}, {8, 32, 64, 3, 64}, {8, 16, 128, 3, 128}, {16, 8, 256, 3, 256},
    {16, 14, 32, 5, 64}, {8, 16, 96, 5, 192},
};

static void print_layers(void) {
  printf("\n## Layers by Winograd's method\n\n"
         "Of convolutions as networks have them, \"same\" padding: the root mean square of the direct method's error,\n"
         "and how many times as large Winograd's is.\n\n| images, filters | pass |");
  for (int k = 0; k < KINDS; k++) printf(" %s | ratio |", kinds[k]);
  printf("\n|---|---|--:|--:|--:|--:|--:|--:|\n");
  for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
    const size_t *at = layers[i];
    error of[SM_CONV_PASSES][KINDS][2];
    for (int k = 0; k < KINDS; k++) {
      problem p = {.numbers = (kind)k};
      const sm_shape x = {4, {at[0], at[1], at[1], at[2]}}, w = {4, {at[3], at[3], at[2], at[4]}};
      const sm_window_options same = {.stride = 1, .dilation = 1, .kind = SM_PADDING_SAME};
      must(plan(&p, &x, &w, (sm_window_options[]){same, same}, 1), "a layer cannot be planned");
      fill(&p);
      for (int pass = 0; pass < SM_CONV_PASSES; pass++) {
        for (int way = 0; way < 2; way++) {
          must(sm_conv2d_use(&p.conv, way ? "winograd" : "direct"), "a method is missing");
          real *got = compute(&p, (sm_conv_pass)pass);
          of[pass][k][way] = error_of(got, p.exact[pass], p.count[pass]);
          free(got);
        }
      }
      empty(&p);
    }
    for (int pass = 0; pass < SM_CONV_PASSES; pass++) {
      printf("| {%zu, %zu, %zu, %zu}, {%zu, %zu, %zu, %zu} | %s |", at[0], at[1], at[1], at[2], at[3], at[3], at[2],
             at[4], passes[pass]);
      for (int k = 0; k < KINDS; k++)
        printf(" %.1e | %.2f |", of[pass][k][0].square, of[pass][k][1].square / of[pass][k][0].square);
      printf("\n");
    }
  }
}

int main(int count, char **words) {
  int problems = count > 1 ? atoi(words[1]) : 1200, threads = count > 2 ? atoi(words[2]) : 2;
  sm_error failed;
  must(problems > 0 && threads > 0, "usage: convolution [PROBLEMS] [THREADS]");
  must(sm_blas_load(&failed) == SM_OK, "OpenBLAS cannot be loaded");
  sm_set_thread_count(threads);
  errors found[FILES];
  for (size_t i = 0; i < FILES; i++) found[i] = (errors){.of = block_of((size_t)problems * sizeof(error))};
  for (int i = 0; i < problems; i++) {
    problem p = {.numbers = (kind)(i / 3 % KINDS)};
    while (!draw_shape(&p, i % 3)) continue;
    fill(&p);
    measure(found, &p);
    empty(&p);
  }
  print_page(found, (size_t)problems);
  print_layers();
  for (size_t i = 0; i < FILES; i++) free(found[i].of);
  return 0;
}
