#include <string.h>

#include "core/math.h"
#include "core/normalise_pass.h"

void sm_normalise_rows(const pass *p, size_t item) {
  const sm_normalisation *of = p->of;
  const size_t channels = of->channels, size = channels / of->groups;
  const sm_range range = piece_of(p, of->outer, item);
  for (size_t group = range.first * of->groups; group < range.last * of->groups; group++) {
    const size_t at = group * size, from = at % channels;
    const real *x = p->x + at;
    double sum = 0, square = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < size; i++) sum += (double)x[i];
    const double middle = sum / (double)size;
#pragma omp simd reduction(+ : square)
    for (size_t i = 0; i < size; i++) square += ((double)x[i] - middle) * ((double)x[i] - middle);
    const real mean = (real)middle, variance = (real)(square / (double)size), *w = p->weight, *b = p->bias;
    const real inverse = (real)inverse_of(variance, of);
    p->new_mean[group] = mean;
    p->new_variance[group] = variance;
    real *y = p->out + at;
    if (w && b) {
#pragma omp simd
      for (size_t i = 0; i < size; i++) y[i] = sm_fma((x[i] - mean) * inverse, w[from + i], b[from + i]);
    } else {
#pragma omp simd
      for (size_t i = 0; i < size; i++)
        y[i] = (x[i] - mean) * inverse * (w ? w[from + i] : 1) + (b ? b[from + i] : 0);
    }
  }
}

void sm_normalise_rows_gradient(const pass *p, size_t item) {
  const sm_normalisation *of = p->of;
  const size_t channels = of->channels, size = channels / of->groups;
  const sm_range range = piece_of(p, of->outer, item);
  double *sums = p->sums + item * SUMS * channels;
  memset(sums, 0, SUMS * channels * sizeof *sums);
  for (size_t group = range.first * of->groups; group < range.last * of->groups; group++) {
    const size_t at = group * size, from = at % channels;
    const real *x = p->x + at, *gy = p->gy + at, *w = p->weight, mean = p->mean[group];
    const double inverse = inverse_of(p->variance[group], of), middle = (double)mean;
    double all = 0, along = 0, *sum = sums + from, *product = sum + channels;
    if (p->has_sums) {
#pragma omp simd
      for (size_t i = 0; i < size; i++) {
        sum[i] += (double)gy[i];
        product[i] += (double)gy[i] * ((double)x[i] - middle) * inverse;
      }
    }
#pragma omp simd reduction(+ : all, along)
    for (size_t i = 0; i < size; i++) {
      const double g = (double)gy[i] * (w ? (double)w[from + i] : 1);
      all += g;
      along += g * ((double)x[i] - middle);
    }
    const real slope = (real)inverse, shift = (real)(all / (double)size * inverse);
    const real pull = (real)(along / (double)size * inverse * inverse * inverse);
    real *gx = p->out + at;
#pragma omp simd
    for (size_t i = 0; i < size; i++) {
      const real rest = sm_fma(x[i] - mean, pull, shift);
      gx[i] = sm_fma(gy[i] * (w ? w[from + i] : 1), slope, -rest);
    }
  }
}
