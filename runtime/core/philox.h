/* Words of Philox4x32-10 for fills: see rng.h. */
#ifndef SM_PHILOX_H
#define SM_PHILOX_H

#include "core/rng.h"

/* The counter of a draw: words 0 and 1 hold the number of its block (four elements share one), word 2 the
   stream, word 3 the attempt: 0, or how often the element's draw was refused and made again. */
enum {
  SM_RNG_WORDS = 4, /* in a Philox block */
  SM_RNG_ROUNDS = 10,
  SM_RNG_TILE_BLOCKS = 64, /* blocks that are generated at once */
  SM_RNG_TILE = SM_RNG_WORDS * SM_RNG_TILE_BLOCKS
};

static inline void sm_philox_words(uint32_t out[SM_RNG_WORDS], uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3,
                                   uint32_t k0, uint32_t k1) {
  /* The multipliers and the steps of the key (the golden ratio, and the square root of 3 less 1), from the paper. */
  const uint32_t multiplier_0 = 0xD2511F53u, multiplier_1 = 0xCD9E8D57u;
  const uint32_t key_step_0 = 0x9E3779B9u, key_step_1 = 0xBB67AE85u;
  for (int round = 0; round < SM_RNG_ROUNDS; round++) {
    uint64_t product_0 = (uint64_t)multiplier_0 * c0, product_1 = (uint64_t)multiplier_1 * c2;
    c0 = (uint32_t)(product_1 >> 32) ^ c1 ^ k0;
    c1 = (uint32_t)product_1;
    c2 = (uint32_t)(product_0 >> 32) ^ c3 ^ k1;
    c3 = (uint32_t)product_0;
    k0 += key_step_0;
    k1 += key_step_1;
  }
  out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

static inline void sm_draw_block(uint32_t word[SM_RNG_WORDS], const sm_rng *rng, uint64_t block, uint32_t attempt) {
  sm_philox_words(word, (uint32_t)block, (uint32_t)(block >> 32), rng->stream, attempt,
                  (uint32_t)rng->seed, (uint32_t)(rng->seed >> 32));
}

/* The words of a stretch of a fill: element first + i has word[skip + i]. Whole tiles are drawn, whose fixed
   number of blocks suits vectors, even where the fill ends before. */
typedef struct sm_stretch {
  uint32_t word[SM_RNG_TILE];
  size_t skip, last; /* words before the first element's; the element after the stretch */
} sm_stretch;

/* Draws elements from `first` on, up to `last` at most. */
static inline void sm_draw(sm_stretch *part, const sm_rng *rng, size_t first, size_t last) {
  const uint64_t start = rng->offset + first, first_block = start / SM_RNG_WORDS;
  part->skip = (size_t)(start % SM_RNG_WORDS);
  part->last = last - first < SM_RNG_TILE - part->skip ? last : first + SM_RNG_TILE - part->skip;
#pragma omp simd
  for (size_t i = 0; i < SM_RNG_TILE_BLOCKS; i++) sm_draw_block(part->word + SM_RNG_WORDS * i, rng, first_block + i, 0);
}

/* [0, 1) of a word: its upper 24 bits, which every real holds exactly. */
static inline uint32_t sm_fraction_of(uint32_t word) { return word >> 8; }
static const double sm_fraction_unit = 0x1p-24;

#endif
