/* Parts of a batch. A sum over the examples of a batch, such as the gradient of a weight, is a binary tree over equal
   parts of it: ((part 0 + part 1) + (part 2 + part 3)). How a part is summed depends on the part's sizes alone. So
   processes that have neighbouring examples each, and parts of the whole in the same number, get the same bits as one
   process that has them all, when they add up what they have as the upper levels of the same tree.
   A kernel that may sum over a batch takes the number of parts as an argument: 1 where its sum is another. */
#ifndef SM_PARTS_H
#define SM_PARTS_H

#include "core/parallel.h"
#include "core/tensor.h"

enum {
  SM_PARTS = 64,      /* at most, in all ranks together */
  SM_PART_LEVELS = 7, /* sums that are under way at a time: the levels of the tree of SM_PARTS parts, and its top */
  SM_PARTS_FIRST = 4  /* until somebody sets another number */
};

typedef struct sm_parts {
  size_t parts; /* of the batch that this process has: a power of two */
  size_t ranks; /* processes that have such a batch each: a power of two */
} sm_parts;

/* What the process goes by; {SM_PARTS_FIRST, 1} before it is set. The binding gives kernels `parts`; what depends on
   how large a batch is, such as which of two methods is faster, goes by the batch of all ranks. Both are set while
   nothing computes. */
sm_parts sm_parts_now(void);

/* SM_BAD_VALUE where they are no powers of two, or more than SM_PARTS together. */
sm_status sm_set_parts(sm_parts parts, sm_error *error);

/* Rows of all ranks, of which this process has `rows`. */
static inline size_t sm_all_rows(size_t rows) { return rows * sm_parts_now().ranks; }

/* Part number `part` of `parts` of `count` examples or rows: from floor(part * count / parts). A part can be empty, and
   its sum is 0 then. */
static inline sm_range sm_part(size_t count, size_t parts, size_t part) {
  size_t quotient = count / parts, rest = count % parts;
  return (sm_range){part * quotient + part * rest / parts, (part + 1) * quotient + (part + 1) * rest / parts};
}

/* Sums that are made one part after the other lie in a stack of SM_PART_LEVELS places. Part number `part` is summed
   into place sm_part_place(part). Then, sm_part_merges(part) times, the last place in use is added to the one before
   it. After the last part the sum is in place 0. */
static inline size_t sm_part_place(size_t part) { return (size_t)__builtin_popcountll(part); }
static inline size_t sm_part_merges(size_t part) { return (size_t)__builtin_ctzll(~(unsigned long long)part); }

/* sums (parts, count): adds the parts as the tree has it, into sums[0]; the others are spoilt. On the calling thread.
   Whoever adds parts that are real, here or elsewhere, does it in the mode that flushes (core/subnormal.h). */
void sm_add_parts(real *sums, size_t parts, size_t count);
void sm_add_parts_double(double *sums, size_t parts, size_t count);

/* out (count) = the sum of the parts, each of `count` elements, `stride` elements apart, shared by the threads. out may
   be the first of them. */
void sm_add_parts_shared(real *out, const real *sums, size_t parts, size_t count, size_t stride);

#endif
