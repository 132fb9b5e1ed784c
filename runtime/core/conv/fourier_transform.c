#include "core/conv/fourier_transform.h"

enum { POINTS = SM_FOURIER_POINTS, HALF = POINTS / 2 };

/* The transform of four numbers, `step` apart, in place. */
SM_INLINE void four(sm_vector *re, sm_vector *im, const int step) {
  sm_vector re_even = re[0] + re[2 * step], re_across = re[0] - re[2 * step];
  sm_vector im_even = im[0] + im[2 * step], im_across = im[0] - im[2 * step];
  sm_vector re_odd = re[step] + re[3 * step], re_turned = re[step] - re[3 * step];
  sm_vector im_odd = im[step] + im[3 * step], im_turned = im[step] - im[3 * step];
  re[0] = re_even + re_odd;
  im[0] = im_even + im_odd;
  re[step] = re_across + im_turned;
  im[step] = im_across - re_turned;
  re[2 * step] = re_even - re_odd;
  im[2 * step] = im_even - im_odd;
  re[3 * step] = re_across - im_turned;
  im[3 * step] = im_across + re_turned;
}

/* *re, *im *= exp(-2 pi i k / 16); k is constant where this is called. */
SM_INLINE void turn(sm_vector *re, sm_vector *im, const int k) {
  static const real cosine[] = {1, (real)0.92387953251128675613, (real)0.70710678118654752440,
                                (real)0.38268343236508977173, 0};
  const sm_vector x = *re, y = *im;
  if (k == 0) return;
  if (k == 4) {
    *re = y;
    *im = -x;
  } else if (k == 2) {
    *re = (x + y) * cosine[2];
    *im = (y - x) * cosine[2];
  } else if (k == 6) {
    *re = (y - x) * cosine[2];
    *im = (x + y) * -cosine[2];
  } else {
    const real c = k == 9 ? -cosine[1] : cosine[k], s = k == 9 ? -cosine[3] : cosine[4 - k];
    *re = x * c + y * s;
    *im = y * c - x * s;
  }
}

/* The transform of POINTS numbers, `step` apart, in place, in two steps of fours (Cooley and Tukey 1965, "An Algorithm
   for the Machine Calculation of Complex Fourier Series"). */
SM_INLINE void line(sm_vector *re, sm_vector *im, const size_t step) {
  sm_vector a[POINTS], b[POINTS];
  /* Over every fourth number, from the i-th on. */
  SM_UNROLL
  for (int i = 0; i < 4; i++) {
    SM_UNROLL
    for (int j = 0; j < 4; j++) {
      a[4 * j + i] = re[(size_t)(4 * j + i) * step];
      b[4 * j + i] = im[(size_t)(4 * j + i) * step];
    }
    four(a + i, b + i, 4);
    SM_UNROLL
    for (int j = 0; j < 4; j++) turn(a + 4 * j + i, b + 4 * j + i, i * j);
  }
  /* Over what these have in the j-th place. */
  SM_UNROLL
  for (int j = 0; j < 4; j++) {
    four(a + 4 * j, b + 4 * j, 1);
    SM_UNROLL
    for (int i = 0; i < 4; i++) {
      re[(size_t)(4 * i + j) * step] = a[4 * j + i];
      im[(size_t)(4 * i + j) * step] = b[4 * j + i];
    }
  }
}

void sm_fourier_line(sm_vector *re, sm_vector *im) { line(re, im, 1); }

static void transform_columns(sm_vector *re, sm_vector *im) {
  for (size_t column = 0; column < POINTS; column++) line(re + column, im + column, POINTS);
}

SM_INLINE void put(real *cell, size_t part, sm_vector first, sm_vector second, const bool thrice) {
  *(sm_vector *)cell = first;
  *(sm_vector *)(cell + part) = second;
  if (thrice) *(sm_vector *)(cell + 2 * part) = -first;
}

/* A cell from what the pair has at a frequency and at the opposite one. */
SM_INLINE void put_complex(real *cell, size_t part, const sm_fourier_pair *pair, size_t here, size_t opposite,
                           const bool two, const bool thrice) {
  const sm_vector re = pair->re[here], im = pair->im[here];
  const sm_vector re_opposite = pair->re[opposite], im_opposite = pair->im[opposite];
  put(cell, part, re + re_opposite, im - im_opposite, thrice);
  if (two) put(cell + SM_VECTOR, part, im + im_opposite, re_opposite - re, thrice);
}

/* A cell from what the pair has at two frequencies that are their own opposites. */
SM_INLINE void put_real(real *cell, size_t part, const sm_fourier_pair *pair, size_t first, size_t second,
                        const bool two, const bool thrice) {
  put(cell, part, pair->re[first] * 2, pair->re[second] * 2, thrice);
  if (two) put(cell + SM_VECTOR, part, pair->im[first] * 2, pair->im[second] * 2, thrice);
}

/* The other way round. */
SM_INLINE void get_complex(sm_fourier_pair *pair, size_t here, size_t opposite, const real *cell, size_t part,
                           const bool two) {
  const sm_vector zero = {0}, re = *(const sm_vector *)cell, im = *(const sm_vector *)(cell + part);
  const sm_vector re_second = two ? *(const sm_vector *)(cell + SM_VECTOR) : zero;
  const sm_vector im_second = two ? *(const sm_vector *)(cell + part + SM_VECTOR) : zero;
  pair->re[here] = re - im_second;
  pair->im[here] = im + re_second;
  pair->re[opposite] = re + im_second;
  pair->im[opposite] = re_second - im;
}

SM_INLINE void get_real(sm_fourier_pair *pair, size_t first, size_t second, const real *cell, size_t part,
                        const bool two) {
  const sm_vector zero = {0};
  pair->re[first] = *(const sm_vector *)cell;
  pair->re[second] = *(const sm_vector *)(cell + part);
  pair->im[first] = two ? *(const sm_vector *)(cell + SM_VECTOR) : zero;
  pair->im[second] = two ? *(const sm_vector *)(cell + part + SM_VECTOR) : zero;
}

/* The two frequencies, as indices into a pair, that a cell comes from: opposite ones, or real ones. Cell (i, j), of
   POINTS x HALF, is for the frequency i down and j across, but for those of j = 0, of which half say all: the second
   half is for j = HALF. */
typedef struct frequencies {
  size_t here, opposite;
} frequencies;

SM_INLINE frequencies frequencies_of(size_t i, size_t j) {
  if (j > 0) return (frequencies){i * POINTS + j, (POINTS - i) % POINTS * POINTS + POINTS - j};
  size_t column = i / HALF * HALF, row = i % HALF, opposite = row > 0 ? POINTS - row : HALF;
  return (frequencies){row * POINTS + column, opposite * POINTS + column};
}

SM_INLINE void spread(const sm_fourier_place *at, const sm_fourier_pair *pair, const bool two,
                      const bool thrice) {
  real *cell = at->cells;
  for (size_t i = 0; i < POINTS; i++) {
    SM_UNROLL
    for (size_t j = 0; j < HALF; j++, cell += at->step) {
      frequencies of = frequencies_of(i, j);
      if (sm_fourier_is_real(i * HALF + j))
        put_real(cell, at->part, pair, of.here, of.opposite, two, thrice);
      else
        put_complex(cell, at->part, pair, of.here, of.opposite, two, thrice);
    }
  }
}

void sm_fourier_spread(const sm_fourier_place *at, sm_fourier_pair *pair) {
  transform_columns(pair->re, pair->im);
  if (!at->two)
    spread(at, pair, false, at->thrice);
  else if (at->thrice)
    spread(at, pair, true, true);
  else
    spread(at, pair, true, false);
}

SM_INLINE void collect(sm_fourier_pair *pair, const sm_fourier_place *at, const bool two) {
  const real *cell = at->cells;
  for (size_t i = 0; i < POINTS; i++) {
    SM_UNROLL
    for (size_t j = 0; j < HALF; j++, cell += at->step) {
      frequencies of = frequencies_of(i, j);
      if (sm_fourier_is_real(i * HALF + j))
        get_real(pair, of.here, of.opposite, cell, at->part, two);
      else
        get_complex(pair, of.here, of.opposite, cell, at->part, two);
    }
  }
}

void sm_fourier_collect(sm_fourier_pair *pair, const sm_fourier_place *at) {
  if (at->two)
    collect(pair, at, true);
  else
    collect(pair, at, false);
  transform_columns(pair->im, pair->re);
}
