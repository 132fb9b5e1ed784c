/* Functions of one number, written without branches so that plain loops over them become vector code, and
   with every fused multiply-add spelled out, so that a vector's tail computes exactly what its body computes.
   In the float build they are within 2 units in the last place over the whole range, denormal results
   included but for sm_exp_negative. The double build, whose purpose is exact checks, takes them from the system's
   mathematics library. */
#ifndef SM_MATH_H
#define SM_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/tensor.h"

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define SM_HAS_FMA 1
#else
#define SM_HAS_FMA 0
#endif

/* a*b + c, in one rounding where the processor has the instruction. */
static inline real sm_fma(real a, real b, real c) {
#if !SM_HAS_FMA
  return a * b + c;
#elif defined(SM_DOUBLE)
  return __builtin_fma(a, b, c);
#else
  return __builtin_fmaf(a, b, c);
#endif
}

/* NaN stays. */
static inline real sm_relu(real x) { return x <= 0 ? 0 : x; }

#ifdef SM_DOUBLE

static inline real sm_abs(real x) { return fabs(x); }
static inline real sm_sqrt(real x) { return sqrt(x); }
static inline real sm_pow(real x, real power) { return pow(x, power); }
static inline real sm_exp(real x) { return exp(x); }
static inline real sm_exp_negative(real x) { return exp(x); }
static inline real sm_log(real x) { return log(x); }
static inline real sm_log1p(real x) { return log1p(x); }
static inline real sm_tanh(real x) { return tanh(x); }

#else

static inline real sm_abs(real x) { return fabsf(x); }
static inline real sm_sqrt(real x) { return sqrtf(x); }
static inline real sm_pow(real x, real power) { return powf(x, power); }

static inline uint32_t sm_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static inline float sm_from_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* log 2 in two parts: the first has 15 bits, so that its product with an exponent is exact. */
#define SM_LN2_HIGH 0x1.62e4p-1f
#define SM_LN2_LOW 0x1.7f7d1cp-20f

/* 2^n for -126 <= n <= 127. */
static inline float sm_power_of_two(int32_t n) { return sm_from_bits((uint32_t)(n + 127) << 23); }

/* exp x = 2^n exp r with n the integer nearest to x/log 2 and |r| <= log 2 / 2; exp r = 1 + r + r² P(r), P
   minimax to 2^-28. This is exp r; the low bits of *power are those of n. */
static inline float sm_exp_reduced(float x, uint32_t *power) {
  const float log2e = 0x1.715476p+0f;
  const float rounder = 0x1.8p+23f; /* adding it leaves the nearest integer in the low bits */
  float shifted = sm_fma(x, log2e, rounder);
  float count = shifted - rounder;
  float r = sm_fma(count, -SM_LN2_HIGH, x);
  r = sm_fma(count, -SM_LN2_LOW, r);
  float p = sm_fma(0x1.6a234ap-10f, r, 0x1.123a6cp-7f);
  p = sm_fma(p, r, 0x1.5558f4p-5f);
  p = sm_fma(p, r, 0x1.55549p-3f);
  p = sm_fma(p, r, 0x1.fffffcp-2f);
  *power = sm_bits(shifted);
  return sm_fma(p, r * r, r) + 1;
}

/* 2^n is applied in two halves, since n runs beyond a float's exponents: the last product rounds a denormal
   result, overflows to infinity, or underflows to 0. */
static inline real sm_exp(real x) {
  const float lowest = -104, highest = 89; /* exp is 0 below and infinite above */
  x = x < lowest ? lowest : x;             /* either comparison is false for NaN, which stays */
  x = x > highest ? highest : x;
  uint32_t power;
  float p = sm_exp_reduced(x, &power);
  int32_t n = (int32_t)(power << 16) >> 16, half = n >> 1;
  return p * sm_power_of_two(half) * sm_power_of_two(n - half);
}

/* The same for x <= 0, in fewer instructions; where the result would be denormal (x < -87.3), and slow to work
   with on many a processor, it is 0. */
static inline real sm_exp_negative(real x) {
  const float lowest = -0x1.5d589ep+6f; /* 126 log 2, rounded towards 0 */
  uint32_t power;
  float p = sm_exp_reduced(x, &power);
  float y = p * sm_from_bits((power << 23) + (127u << 23));
  return x < lowest ? 0 : y;
}

/* log x = k log 2 + log(1 + f) with 1 + f in [sqrt(1/2), sqrt 2), and with s = f/(2 + f)
   log(1 + f) = f - f²/2 + s (f²/2 + s² P(s²)), P minimax to 2^-30. */
static inline real sm_log(real x) {
  const uint32_t root_half = 0x3f3504f3u; /* the bits of sqrt(1/2) */
  const float smallest_normal = 0x1p-126f, lift = 0x1p+23f;
  int is_denormal = x < smallest_normal;
  float normal = is_denormal ? x * lift : x;
  int32_t k = (int32_t)(sm_bits(normal) - root_half) >> 23;
  float f = sm_from_bits(sm_bits(normal) - ((uint32_t)k << 23)) - 1;
  float exponent = (float)(is_denormal ? k - 23 : k);
  float s = f / (2 + f), s2 = s * s, half_square = 0.5f * f * f;
  float p = sm_fma(0x1.31e7ecp-2f, s2, 0x1.995e92p-2f);
  p = sm_fma(p, s2, 0x1.55557ap-1f);
  float small = sm_fma(s, sm_fma(p, s2, half_square), exponent * SM_LN2_LOW);
  float y = sm_fma(exponent, SM_LN2_HIGH, (small - half_square) + f);
  y = x < INFINITY ? y : x; /* infinity and NaN */
  y = x == 0 ? -INFINITY : y;
  return x < 0 ? NAN : y;
}

/* log(1 + x) for 0 <= x <= 1: of what 1 + x rounds to, and what that lost over it. */
static inline real sm_log1p(real x) {
  float sum = 1 + x, lost = x - (sum - 1);
  return sm_log(sum) + lost / sum;
}

/* Of |x|, with the sign put back. Near 0: x + x³ P(x²), P minimax to 2^-27; elsewhere 1 - 2/(exp 2x + 1),
   which does not lose digits there. */
static inline real sm_tanh(real x) {
  const float near = 0.625f;
  float size = fabsf(x), square = x * x;
  float p = sm_fma(-0x1.75e1a4p-8f, square, 0x1.522692p-6f);
  p = sm_fma(p, square, -0x1.b83c58p-5f);
  p = sm_fma(p, square, 0x1.110726p-3f);
  p = sm_fma(p, square, -0x1.555532p-2f);
  float inside = sm_fma(p * square, size, size);
  float outside = 1 - 2 / (sm_exp(2 * size) + 1);
  return copysignf(size < near ? inside : outside, x);
}

#endif

/* 1/(1 + exp -x), computed from e = exp -|x|, which cannot overflow: for negative x it is e/(1 + e). What the
   sum 1 + e lost to rounding is put back. */
static inline real sm_sigmoid(real x) {
  real e = sm_exp(-sm_abs(x)), sum = 1 + e, lost = e - (sum - 1);
  real y = (x < 0 ? e : 1) / sum;
  return sm_fma(-y, lost, y);
}

/* log(1 + exp x) = max(x, 0) + log(1 + exp -|x|) */
static inline real sm_softplus(real x) { return sm_relu(x) + sm_log1p(sm_exp(-sm_abs(x))); }

#endif
