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

/* part/(1 + e) for 0 <= e <= 1. What the sum lost to rounding is put back. */
static inline real sm_share_divided(real part, real e) {
  real sum = 1 + e, lost = e - (sum - 1), y = part / sum;
  return sm_fma(-y, lost, y);
}

/* NaN stays. */
static inline real sm_relu(real x) { return x <= 0 ? 0 : x; }

#ifdef SM_DOUBLE

static inline real sm_abs(real x) { return fabs(x); }
static inline real sm_sqrt(real x) { return sqrt(x); }
static inline real sm_pow(real x, real power) { return pow(x, power); }
static inline real sm_exp(real x) { return exp(x); }
static inline real sm_exp_negative(real x) { return exp(x); }
static inline real sm_exp_gradual(real x) { return exp(x); }
static inline real sm_log(real x) { return log(x); }
static inline real sm_log1p_unit(real x) { return log1p(x); }
static inline real sm_share(real part, real e) { return sm_share_divided(part, e); }
static inline real sm_log1p(real x) { return log1p(x); }
static inline real sm_expm1(real x) { return expm1(x); }
static inline real sm_tanh(real x) { return tanh(x); }
static inline real sm_erf(real x) { return erf(x); }
static inline real sm_sin(real x) { return sin(x); }
static inline real sm_cos(real x) { return cos(x); }

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
   minimax to 2^-28. This is exp r - 1; the low bits of *power are those of n. */
static inline float sm_expm1_reduced(float x, uint32_t *power) {
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
  return sm_fma(p, r * r, r);
}

/* 2^n is applied in two halves, since n runs beyond a float's exponents: the last product rounds a denormal
   result, overflows to infinity, or underflows to 0. */
static inline real sm_exp(real x) {
  const float lowest = -104, highest = 89; /* exp is 0 below and infinite above */
  x = x < lowest ? lowest : x;             /* either comparison is false for NaN, which stays */
  x = x > highest ? highest : x;
  uint32_t power;
  float p = sm_expm1_reduced(x, &power) + 1;
  int32_t n = (int32_t)(power << 16) >> 16, half = n >> 1;
  return p * sm_power_of_two(half) * sm_power_of_two(n - half);
}

/* The same for x <= 0, in fewer instructions; where the result would be denormal (x < -87.3), and slow to work
   with on many a processor, it is 0. */
static inline real sm_exp_negative(real x) {
  const float lowest = -0x1.5d589ep+6f; /* 126 log 2, rounded towards 0 */
  uint32_t power;
  float p = sm_expm1_reduced(x, &power) + 1;
  float y = p * sm_from_bits((power << 23) + (127u << 23));
  return x < lowest ? 0 : y;
}

/* The same with denormal results: 2^24 times as large they are not. */
static inline real sm_exp_gradual(real x) {
  const float lowest = -104;
  x = x < lowest ? lowest : x;
  uint32_t power;
  float p = sm_expm1_reduced(x, &power) + 1;
  return p * sm_from_bits((power << 23) + (151u << 23)) * 0x1p-24f;
}

/* exp x - 1 = 2^n (exp r - 1) + (2^n - 1), of half of it, for 2^n may be beyond the range where that is not. */
static inline real sm_expm1(real x) {
  const float lowest = -18, highest = 89;
  float bounded = x < lowest ? lowest : x;
  bounded = bounded > highest ? highest : bounded;
  uint32_t power;
  float p = sm_expm1_reduced(bounded, &power);
  float half = sm_power_of_two(((int32_t)(power << 16) >> 16) - 1);
  return copysignf(2 * sm_fma(p, half, half - 0.5f), x); /* the sign also of 0 */
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
static inline real sm_log1p_unit(real x) {
  float sum = 1 + x, lost = x - (sum - 1);
  return sm_log(sum) + lost / sum;
}

/* The same for every x. */
static inline real sm_log1p(real x) {
  float sum = 1 + x, lost = x > 1 ? 1 - (sum - x) : x - (sum - 1);
  float y = sm_log(sum), correction = lost / sum;
  correction = ((sum > 0) & (sum < INFINITY)) ? correction : 0;
  return copysignf(y + correction, x); /* the sign also of 0 */
}

/* part/(1 + e) for 0 <= e <= 1. A division takes as long as all of exp; with one rounding for a*b + c it is a cubic
   with an error d of at most 1/577, the minimax one, times 1/(1 - d) = 1 + d + d². */
static inline real sm_share(real part, real e) {
#if SM_HAS_FMA
  float r = sm_fma(-0x1.c65286p-3f, e, 0x1.54bde4p-1f);
  r = sm_fma(r, e, -0x1.e2b7aep-1f);
  r = sm_fma(r, e, 0x1.ff1cd6p-1f);
  float d = sm_fma(-r, e, 1 - r);
  return part * sm_fma(r, sm_fma(d, d, d), r);
#else
  return sm_share_divided(part, e);
#endif
}

/* Of |x|, with the sign put back. Near 0: x + x³ P(x²), P minimax to 2^-27; elsewhere 1 - 2e/(1 + e), e = exp -2x,
   which does not lose digits there. */
static inline real sm_tanh(real x) {
  const float near = 0.625f;
  float size = fabsf(x), square = x * x;
  float p = sm_fma(-0x1.75e1a4p-8f, square, 0x1.522692p-6f);
  p = sm_fma(p, square, -0x1.b83c58p-5f);
  p = sm_fma(p, square, 0x1.110726p-3f);
  p = sm_fma(p, square, -0x1.555532p-2f);
  float inside = sm_fma(p * square, size, size);
  float e = sm_exp_negative(-2 * size), outside = 1 - sm_share(2 * e, e);
  return copysignf(size < near ? inside : outside, x);
}

/* Of |x|, with the sign put back. Up to 1: x + x P(x²), P minimax to 2^-29; beyond, 1 - exp Q(x), Q to 2^-29 of the
   result, up to 4, where it is 1. */
static inline real sm_erf(real x) {
  float size = fabsf(x), square = x * x, far = size > 4 ? 4 : size;
  float p = sm_fma(0x1.4ae4c6p-14f, square, -0x1.a485e8p-11f);
  p = sm_fma(p, square, 0x1.5419f4p-8f);
  p = sm_fma(p, square, -0x1.b7fbb4p-6f);
  p = sm_fma(p, square, 0x1.ce2d2p-4f);
  p = sm_fma(p, square, -0x1.81273ep-2f);
  p = sm_fma(p, square, 0x1.06eba8p-3f);
  float q = sm_fma(0x1.852da8p-13f, far, -0x1.814d12p-9f);
  q = sm_fma(q, far, 0x1.65423ep-6f);
  q = sm_fma(q, far, -0x1.a60a9p-4f);
  q = sm_fma(q, far, -0x1.46c582p-1f);
  q = sm_fma(q, far, -0x1.2085b2p+0f);
  q = sm_fma(q, far, -0x1.72e4bep-12f);
  float inside = sm_fma(p, size, size), outside = 1 - sm_exp_negative(q);
  return copysignf(size < 1 ? inside : outside, x);
}

/* What is left of x when the multiple of pi/2 nearest to it is taken away; *quarters is the number of that. |x| is at
   most SM_CIRCLE_NEAR, so that the multiple of the first part of pi/2, which has 33 bits, is exact in double. */
#define SM_CIRCLE_NEAR 0x1p+20f

static inline float sm_circle_near(float x, uint32_t *quarters) {
  const double rounder = 0x1.8p+52; /* adding it leaves the nearest integer in the low bits */
  double shifted = (double)x * 0x1.45f306dc9c883p-1 + rounder, count = shifted - rounder;
  uint64_t bits;
  memcpy(&bits, &shifted, sizeof bits);
  *quarters = (uint32_t)bits;
  return (float)(((double)x - count * 0x1.921fb544p+0) - count * 0x1.0b4611a626331p-34);
}

/* sin(r + quarters pi/2) for |r| <= pi/4: r + r³ P(r²) or 1 - r²/2 + r⁴ Q(r²), P minimax to 2^-28, Q to 2^-33. */
static inline float sm_circle_at(float r, uint32_t quarters) {
  float square = r * r;
  float p = sm_fma(-0x1.994e5ap-13f, square, 0x1.11076p-7f);
  p = sm_fma(p, square, -0x1.555546p-3f);
  float q = sm_fma(0x1.9a0208p-16f, square, -0x1.6c0c8ap-10f);
  q = sm_fma(q, square, 0x1.55554ap-5f);
  q = sm_fma(q, square, -0.5f);
  float sine = sm_fma(p * square, r, r), cosine = sm_fma(q, square, 1);
  float y = quarters & 1 ? cosine : sine;
  return sm_from_bits(sm_bits(y) ^ (quarters & 2) << 30);
}

/* For |x| up to SM_CIRCLE_NEAR: see sm_circle_far. */
static inline real sm_sin(real x) {
  uint32_t quarters;
  float r = sm_circle_near(x, &quarters), y = sm_circle_at(r, quarters);
  return x == 0 ? x : y; /* -0 stays */
}

static inline real sm_cos(real x) {
  uint32_t quarters;
  float r = sm_circle_near(x, &quarters);
  return sm_circle_at(r, quarters + 1);
}

/* sin(x + quarters pi/2) for every x, with the bits of the above where they are for it. Beyond, x = m 2^e with an
   integer m below 2^24 and e >= -3, of which 2/pi's bits from number e - 1 on give the quarters but for multiples of 4
   (Payne and Hanek 1983): 96 of them leave 64 - 24 and more bits behind the point. */
static inline real sm_circle_far(real x, uint32_t quarters) {
  static const uint32_t two_over_pi[] = {0,           0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u,
                                         0xdb629599u, 0x3c439041u, 0xfe5163abu, 0xdebbc561u};
  if (!(fabsf(x) > SM_CIRCLE_NEAR)) return quarters == 0 ? sm_sin(x) : sm_cos(x);
  if (!(fabsf(x) < INFINITY)) return NAN;
  const uint32_t bits = sm_bits(x);
  const int exponent = (int)(bits >> 23 & 255) - 150; /* of m */
  const uint64_t m = (bits & 0x7fffffu) | 0x800000u;
  const int from = exponent + 32 - 2, word = from >> 5, shift = from & 31; /* the first bit that is kept */
  uint32_t part[3];
  for (int i = 0; i < 3; i++) {
    const int at = word + i;
    const uint64_t high = at < 9 ? two_over_pi[at] : 0, low = at + 1 < 9 ? two_over_pi[at + 1] : 0;
    part[i] = (uint32_t)((high << 32 | low) >> (32 - shift));
  }
  /* m times 96 bits, whose top two are quarters 2 and 1: modulo 2^96, the upper 64 bits */
  uint64_t turns = (m * part[2] >> 32) + m * part[1] + (m * part[0] << 32);
  uint64_t nearest = (turns + ((uint64_t)1 << 61)) >> 62; /* turns / 2^62, rounded */
  double r = (double)(int64_t)(turns - (nearest << 62)) * (0x1.921fb54442d18p+0 * 0x1p-62);
  uint32_t all = (uint32_t)nearest;
  if (x < 0) {
    r = -r;
    all = 0 - all;
  }
  return sm_circle_at((float)r, all + quarters);
}

#endif

/* 1/(1 + exp -x), computed from e = exp -|x|, which cannot overflow: for negative x it is e/(1 + e). */
static inline real sm_sigmoid(real x) {
  real e = sm_exp_gradual(-sm_abs(x));
  return sm_share(x < 0 ? e : 1, e);
}

/* The derivative of erf, 2/sqrt(pi) exp -x². */
static inline real sm_erf_slope(real x) { return (real)0x1.20dd750429b6dp+0 * sm_exp_negative(-x * x); }

/* (1 + erf(x/sqrt 2)) / 2, and its derivative exp(-x²/2) / sqrt(2 pi). */
static inline real sm_normal(real x) { return (real)0.5 * (1 + sm_erf(x * (real)0x1.6a09e667f3bcdp-1)); }
static inline real sm_normal_slope(real x) {
  return (real)0x1.9884533d43651p-2 * sm_exp_negative((real)-0.5 * x * x);
}

/* log(1 + exp x) = max(x, 0) + log(1 + exp -|x|) */
static inline real sm_softplus(real x) { return sm_relu(x) + sm_log1p_unit(sm_exp(-sm_abs(x))); }

#endif
