/* Random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3",
   SC 2011), a function of a key and a counter. Element i of a fill depends on (seed, stream, offset + i) alone,
   so any number of threads fills a tensor with the same numbers. */
#ifndef SM_RNG_H
#define SM_RNG_H

#include "core/tensor.h"

/* Where a stream of numbers stands. The key is the seed (low word first). The counter's words are the number of the
   block, (offset + i)/4, in two words (low first), the stream, and the attempt: 0, or for an element whose draw was
   refused (a truncated normal number, a bounded integer) how often it was drawn again. */
typedef struct sm_rng {
  uint64_t seed;
  uint32_t stream;
  uint64_t offset; /* elements drawn so far; the caller adds what a fill says it used */
} sm_rng;

/* One block: out = Philox4x32-10(counter, key). */
void sm_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

/* Every fill draws n elements, starting at rng->offset, and leaves the rng as it was: the caller advances it by n. */
void sm_rng_uniform(real *out, const sm_rng *rng, size_t n);  /* [0, 1), 24 bits */
void sm_rng_normal(real *out, const sm_rng *rng, size_t n);   /* mean 0, standard deviation 1 (Box and Muller) */
void sm_rng_truncated(real *out, const sm_rng *rng, size_t n); /* the same, redrawn beyond 2 standard deviations */
void sm_rng_permutation(int32_t *out, const sm_rng *rng, size_t n); /* 0 … n-1 shuffled (Fisher and Yates), unbiased */

/* Integers from low to low + bound - 1, which an int32 holds, all equally likely; 1 <= bound <= 2^32. */
void sm_rng_integers(int32_t *out, int32_t low, uint64_t bound, const sm_rng *rng, size_t n);
void sm_rng_exponential(real *out, const sm_rng *rng, size_t n); /* of mean 1: -log u */
void sm_rng_gumbel(real *out, const sm_rng *rng, size_t n);      /* -log(-log u) */
void sm_rng_bernoulli(real *out, const real *p, const sm_rng *rng, size_t n); /* 1 with probability p[i], else 0 */

/* The position of the first weight that is not from 0 to `most`, or of the first row without one above 0; how many
   there are where there is none. */
size_t sm_weights_outside(const real *weight, double most, size_t n);
size_t sm_weights_nothing(const real *weight, size_t rows, size_t classes);

/* out (rows, n) = positions in a row's weights (rows, classes), counted from `first`, each as likely as its weight,
   independent of one another. The weights are finite, at least 0, and one of each row is above. scratch: so many
   numbers. */
size_t sm_multinomial_scratch(size_t rows, size_t classes);
void sm_rng_multinomial(int32_t *out, const real *weight, double *scratch, const sm_rng *rng, int32_t first,
                        size_t rows, size_t classes, size_t n);

#endif
