/* Subnormal numbers: the ones between 0 and the smallest normal number. Many processors take a hundred times as long
   with them. In this mode of a thread they count as 0, in operands and in results. sm_compute runs kernels in it, so
   that numbers that fade away cost no more than others; whoever called has its own mode again afterwards. */
#ifndef SM_SUBNORMAL_H
#define SM_SUBNORMAL_H

#include <stdint.h>

typedef uint64_t sm_mode;

#if defined(__x86_64__)
enum { SM_FLUSH = 1 << 15 | 1 << 6 }; /* of MXCSR: results to zero, operands are zeros */
static inline sm_mode sm_mode_now(void) { return __builtin_ia32_stmxcsr(); }
static inline void sm_set_mode(sm_mode mode) { __builtin_ia32_ldmxcsr((uint32_t)mode); }
#elif defined(__aarch64__)
enum { SM_FLUSH = 1 << 24 }; /* of FPCR: both */
static inline sm_mode sm_mode_now(void) {
  sm_mode mode;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode)::"memory");
  return mode;
}
static inline void sm_set_mode(sm_mode mode) { __asm__ volatile("msr fpcr, %0" ::"r"(mode) : "memory"); }
#else
enum { SM_FLUSH = 0 };
static inline sm_mode sm_mode_now(void) { return 0; }
static inline void sm_set_mode(sm_mode mode) { (void)mode; }
#endif

/* Returns the mode of before, for sm_set_mode. */
static inline sm_mode sm_flush_subnormal(void) {
  sm_mode before = sm_mode_now();
  if ((before & SM_FLUSH) != SM_FLUSH) sm_set_mode(before | SM_FLUSH);
  return before;
}

#endif
