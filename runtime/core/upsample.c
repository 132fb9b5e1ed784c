#include "core/upsample.h"

#include "core/conv/reading.h"

/* What a position is made of: (1 - share) of pixel `first` and share of pixel `second`. */
typedef struct mix {
  size_t first, second;
  real share;
} mix;

/* Of one axis: each position's mix, and each pixel's positions, which are neighbours. */
typedef struct mixing {
  mix *of;
  sm_range *positions;
} mixing;

static size_t mixing_bytes(const sm_upsample_axis *axis) {
  return sm_aligned(axis->positions * sizeof(mix)) + sm_aligned(axis->size * sizeof(sm_range));
}

size_t sm_upsample_scratch(const sm_upsample *of) { return mixing_bytes(&of->down) + mixing_bytes(&of->across); }

static mix mix_of(size_t position, const sm_upsample_axis *axis, const sm_upsample *of) {
  double shift = of->linear && !of->corners ? 0.5 : 0;
  double at = ((double)position + shift) * axis->step / axis->per - shift;
  if (!(at > 0)) at = 0;
  size_t last = axis->size - 1, first = at < (double)last ? (size_t)at : last;
  if (!of->linear) return (mix){first, first, 0};
  return (mix){first, sm_smaller(first + 1, last), first < last ? (real)(at - (double)first) : 0};
}

static mixing mixing_of(void *scratch, const sm_upsample_axis *axis, const sm_upsample *of) {
  mixing made = {scratch, (sm_range *)((char *)scratch + sm_aligned(axis->positions * sizeof(mix)))};
  for (size_t i = 0; i < axis->positions; i++) made.of[i] = mix_of(i, axis, of);
  for (size_t pixel = 0, first = 0, last = 0; pixel < axis->size; pixel++) {
    while (first < axis->positions && made.of[first].second < pixel) first++;
    while (last < axis->positions && made.of[last].first <= pixel) last++;
    made.positions[pixel] = (sm_range){first, last};
  }
  return made;
}

/* How much of a position is a pixel's. */
static real share_of(const mix *of, size_t pixel) {
  return (of->first == pixel ? 1 - of->share : 0) + (of->second == pixel ? of->share : 0);
}

typedef struct pass {
  real *out;
  const real *in;
  mixing down, across;
  const sm_upsample *of;
} pass;

static void mix_row(const void *work, size_t row) {
  const pass *p = work;
  const sm_upsample *of = p->of;
  size_t channels = of->channels, line = of->across.size * channels, image = row / of->down.positions;
  const mix *down = &p->down.of[row % of->down.positions];
  const real *images = p->in + image * of->down.size * line;
  const real *above = images + down->first * line, *below = images + down->second * line;
  real *restrict out = p->out + row * of->across.positions * channels;
  for (size_t i = 0; i < of->across.positions; i++, out += channels) {
    const mix *across = &p->across.of[i];
    size_t left = across->first * channels, right = across->second * channels;
    if (!of->linear) {
      for (size_t c = 0; c < channels; c++) out[c] = above[left + c];
      continue;
    }
    real x = across->share, y = down->share;
    for (size_t c = 0; c < channels; c++) {
      real top = (1 - x) * above[left + c] + x * above[right + c];
      real bottom = (1 - x) * below[left + c] + x * below[right + c];
      out[c] = (1 - y) * top + y * bottom;
    }
  }
}

static void gather_row(const void *work, size_t row) {
  const pass *p = work;
  const sm_upsample *of = p->of;
  size_t channels = of->channels, pixel = row % of->down.size, image = row / of->down.size;
  size_t line = of->across.positions * channels;
  real *out = p->out + row * of->across.size * channels;
  sm_range rows = p->down.positions[pixel];
  for (size_t i = 0; i < of->across.size * channels; i++) out[i] = 0;
  for (size_t i = rows.first; i < rows.last; i++) {
    const real *gy = p->in + (image * of->down.positions + i) * line;
    real down = share_of(&p->down.of[i], pixel);
    for (size_t j = 0; j < of->across.positions; j++, gy += channels) {
      const mix *across = &p->across.of[j];
      real *left = out + across->first * channels, *right = out + across->second * channels;
      real near = (1 - across->share) * down, far = across->share * down;
      for (size_t c = 0; c < channels; c++) left[c] += near * gy[c];
      for (size_t c = 0; c < channels && of->linear; c++) right[c] += far * gy[c];
    }
  }
}

static void run(sm_task *task, size_t rows, size_t elements, pass p, void *scratch) {
  p.down = mixing_of(scratch, &p.of->down, p.of);
  p.across = mixing_of((char *)scratch + mixing_bytes(&p.of->down), &p.of->across, p.of);
  if (p.of->channels) sm_parallel(rows, elements, task, &p);
}

void sm_upsample_forward(real *y, const real *x, void *scratch, const sm_upsample *of) {
  size_t rows = of->batch * of->down.positions;
  run(mix_row, rows, rows * of->across.positions * of->channels, (pass){.out = y, .in = x, .of = of}, scratch);
}

void sm_upsample_backward(real *gx, const real *gy, void *scratch, const sm_upsample *of) {
  size_t rows = of->batch * of->down.size;
  run(gather_row, rows, rows * of->across.positions * of->channels, (pass){.out = gx, .in = gy, .of = of}, scratch);
}
