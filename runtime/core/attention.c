#include "core/attention.h"

#include <string.h>

#include "core/gemm.h"
#include "core/math.h"
#include "core/parallel.h"
#include "core/tile.h"

/* Queries in a block: as many as give so many scores, which stay in the second cache with their gradients, and enough
   for a product. Causal blocks are lower, for what lies above the diagonal in one is computed in vain. */
enum { SCORES = 32 * 1024, LEAST = 16, MOST = 128, MOST_CAUSAL = 64 };

typedef struct pass {
  const sm_attention *of;
  real *out, *log_sum; /* written forward, read backward */
  const real *q, *k, *v;
  real *gq, *gk, *gv;
  const real *gy;
  real *scratch;
  size_t rows, blocks; /* queries in a block, and blocks of a head */
  size_t step;         /* numbers from one row of scores to the next */
} pass;

static size_t rows_of(const sm_attention *of) {
  size_t most = of->causal ? MOST_CAUSAL : MOST, rows = of->keys ? SCORES / of->keys : most;
  if (rows < LEAST) rows = LEAST;
  if (rows > most) rows = most;
  return rows < of->queries ? rows : of->queries;
}

static size_t blocks_of(const sm_attention *of) {
  size_t rows = rows_of(of);
  return rows ? (of->queries + rows - 1) / rows : 0;
}

static size_t items_of(const sm_attention *of, bool backward) {
  return of->batch * of->heads * (backward ? 1 : blocks_of(of));
}

/* Of a thread: the scaled queries, the scores, and backward the gradients of these. */
static bool own_numbers(size_t *numbers, const sm_attention *of, bool backward) {
  size_t queries, scores;
  if (!sm_multiply(&queries, rows_of(of), sm_rounded(of->width))) return false;
  if (!sm_multiply(&scores, (backward ? 2 : 1) * rows_of(of), sm_rounded(of->keys))) return false;
  *numbers = queries + scores;
  return true;
}

bool sm_attention_scratch(size_t *bytes, const sm_attention *of, bool backward) {
  size_t numbers;
  return own_numbers(&numbers, of, backward) &&
         sm_multiply(bytes, sm_workers(items_of(of, backward)) * sizeof(real), numbers);
}

/* A block of queries of one head. */
typedef struct block {
  size_t batch, head, first, rows;
  size_t keys; /* that one of them may see */
  real *queries, *scores, *gradients;
} block;

static block block_at(const pass *p, size_t head, size_t index, bool backward) {
  const sm_attention *of = p->of;
  block b = {.batch = head / of->heads, .head = head % of->heads, .first = index * p->rows, .keys = of->keys};
  b.rows = of->queries - b.first < p->rows ? of->queries - b.first : p->rows;
  if (of->causal && b.first + b.rows < b.keys) b.keys = b.first + b.rows;
  size_t queries = p->rows * sm_rounded(of->width), scores = p->rows * p->step;
  b.queries = p->scratch + (size_t)sm_thread_index() * (queries + (backward ? 2 : 1) * scores);
  b.scores = b.queries + queries;
  b.gradients = b.scores + scores;
  return b;
}

static size_t offset_of(const sm_heads *at, const block *b, size_t row) {
  return b->batch * at->batch + b->head * at->head + row * at->row;
}

/* Of a block's row, keys that are not hidden by the diagonal. */
static size_t seen_by(const sm_attention *of, const block *b, size_t row) {
  size_t last = b->first + row + 1;
  return of->causal && last < b->keys ? last : b->keys;
}

static void add_mask(real *scores, const sm_mask *mask, const block *b, size_t row, size_t count) {
  size_t at = b->batch * mask->batch + b->head * mask->head + (b->first + row) * mask->query;
  const size_t step = mask->key;
  switch (mask->dtype) {
    case SM_REAL: {
      const real *added = (const real *)mask->data + at;
      for (size_t j = 0; j < count; j++) scores[j] += added[j * step];
      return;
    }
    case SM_UINT8: {
      const uint8_t *seen = (const uint8_t *)mask->data + at;
      for (size_t j = 0; j < count; j++) scores[j] = seen[j * step] ? scores[j] : -INFINITY;
      return;
    }
    case SM_INT32: return; /* is none: see core/attention.h */
  }
}

/* The scores of a block, masked; those that the diagonal hides are left as they come. */
static void score(const pass *p, const block *b) {
  const sm_attention *of = p->of;
  const size_t width = of->width, step = sm_rounded(width);
  for (size_t i = 0; i < b->rows; i++) {
    const real *q = p->q + offset_of(&of->q, b, b->first + i);
    for (size_t j = 0; j < width; j++) b->queries[i * step + j] = of->scale * q[j];
  }
  sm_gemm_serial(b->scores, b->queries, p->k + offset_of(&of->k, b, 0), false, true, false, b->rows, b->keys, width,
                 step ? step : 1, of->k.row, p->step);
  for (size_t i = 0; i < b->rows && of->mask.data; i++)
    add_mask(b->scores + i * p->step, &of->mask, b, i, seen_by(of, b, i));
}

static real largest_of(const real *x, size_t n) {
  real largest = -INFINITY;
#pragma omp simd reduction(max : largest)
  for (size_t i = 0; i < n; i++) largest = x[i] > largest ? x[i] : largest;
  if (largest > -INFINITY) return largest;
  for (size_t i = 0; i < n; i++)
    if (x[i] != x[i]) return x[i];
  return largest;
}

/* x = exp(x - largest), and its sum. */
static real exponentials(real *x, real largest, size_t n) {
  real sum = 0;
#pragma omp simd reduction(+ : sum)
  for (size_t i = 0; i < n; i++) {
    x[i] = sm_exp_negative(x[i] - largest);
    sum += x[i];
  }
  return sum;
}

static void forward_item(const void *work, size_t item) {
  const pass *p = work;
  const sm_attention *of = p->of;
  const size_t head = item / p->blocks;
  const block b = block_at(p, head, item % p->blocks, false);
  score(p, &b);
  real share[MOST];
  for (size_t i = 0; i < b.rows; i++) {
    real *x = b.scores + i * p->step;
    const size_t seen = seen_by(of, &b, i);
    real largest = largest_of(x, seen), sum = 0;
    if (largest == -INFINITY) memset(x, 0, seen * sizeof *x);
    else sum = exponentials(x, largest, seen);
    memset(x + seen, 0, (b.keys - seen) * sizeof *x);
    share[i] = sum == 0 ? 0 : 1 / sum;
    if (p->log_sum) p->log_sum[head * of->queries + b.first + i] = sum == 0 ? INFINITY : largest + sm_log(sum);
  }
  real *out = p->out + offset_of(&of->out, &b, b.first);
  sm_gemm_serial(out, b.scores, p->v + offset_of(&of->v, &b, 0), false, false, false, b.rows, of->value_width, b.keys,
                 p->step, of->v.row, of->out.row);
  for (size_t i = 0; i < b.rows; i++)
    for (size_t j = 0; j < of->value_width; j++) out[i * of->out.row + j] *= share[i];
}

static pass pass_of(const sm_attention *of, void *scratch) {
  return (pass){
      .of = of, .scratch = scratch, .rows = rows_of(of), .blocks = blocks_of(of), .step = sm_rounded(of->keys)};
}

void sm_attention_forward(real *out, real *log_sum, const real *q, const real *k, const real *v, void *scratch,
                          const sm_attention *of) {
  pass work = pass_of(of, scratch);
  work.out = out;
  work.log_sum = log_sum;
  work.q = q;
  work.k = k;
  work.v = v;
  sm_compute(items_of(of, false), SM_LARGE, forward_item, &work);
}

/* ---- backward ---- */

static void clear(real *x, const sm_heads *at, const block *b, size_t rows, size_t width) {
  for (size_t i = 0; i < rows; i++) memset(x + offset_of(at, b, i), 0, width * sizeof *x);
}

/* With p the scores of a row and gp the gradients of its weights, whose mean is `mean`: the weights in p, the gradients
   of the scores in gp. */
static void row_backward(real *restrict p, real *restrict gp, real log_sum, real mean, real scale, size_t n) {
  for (size_t j = 0; j < n; j++) {
    real logarithm = p[j] - log_sum;
    p[j] = sm_exp_negative(logarithm > 0 ? 0 : logarithm); /* above 0 by rounding alone */
    gp[j] = scale * p[j] * (gp[j] - mean);
  }
}

static void backward_block(const pass *p, const block *b) {
  const sm_attention *of = p->of;
  const real *k = p->k + offset_of(&of->k, b, 0), *v = p->v + offset_of(&of->v, b, 0);
  const real *q = p->q + offset_of(&of->q, b, b->first), *gy = p->gy + offset_of(&of->out, b, b->first);
  const real *out = p->out + offset_of(&of->out, b, b->first);
  const real *log_sum = p->log_sum + (b->batch * of->heads + b->head) * of->queries + b->first;
  score(p, b);
  sm_gemm_serial(b->gradients, gy, v, false, true, false, b->rows, b->keys, of->value_width, of->out.row, of->v.row,
                 p->step);
  for (size_t i = 0; i < b->rows; i++) {
    real *x = b->scores + i * p->step, *gx = b->gradients + i * p->step, mean = 0;
    const size_t seen = seen_by(of, b, i), row = i * of->out.row;
#pragma omp simd reduction(+ : mean)
    for (size_t j = 0; j < of->value_width; j++) mean += gy[row + j] * out[row + j];
    row_backward(x, gx, log_sum[i], mean, of->scale, seen);
    memset(x + seen, 0, (b->keys - seen) * sizeof *x);
    memset(gx + seen, 0, (b->keys - seen) * sizeof *x);
  }
  sm_gemm_serial(p->gv + offset_of(&of->v, b, 0), b->scores, gy, true, false, true, b->keys, of->value_width, b->rows,
                 p->step, of->out.row, of->v.row);
  sm_gemm_serial(p->gk + offset_of(&of->k, b, 0), b->gradients, q, true, false, true, b->keys, of->width, b->rows,
                 p->step, of->q.row, of->k.row);
  sm_gemm_serial(p->gq + offset_of(&of->q, b, b->first), b->gradients, k, false, false, false, b->rows, of->width,
                 b->keys, p->step, of->k.row, of->q.row);
}

/* A head, block after block: the gradients of its keys and values are sums over all of its queries. */
static void backward_item(const void *work, size_t head) {
  const pass *p = work;
  const sm_attention *of = p->of;
  const block whole = {.batch = head / of->heads, .head = head % of->heads};
  clear(p->gk, &of->k, &whole, of->keys, of->width);
  clear(p->gv, &of->v, &whole, of->keys, of->value_width);
  for (size_t index = 0; index < p->blocks; index++) {
    const block b = block_at(p, head, index, true);
    backward_block(p, &b);
  }
}

void sm_attention_backward(real *gq, real *gk, real *gv, const real *gy, const real *out, const real *log_sum,
                           const real *q, const real *k, const real *v, void *scratch, const sm_attention *of) {
  pass work = pass_of(of, scratch);
  work.out = (real *)out;
  work.log_sum = (real *)log_sum;
  work.q = q;
  work.k = k;
  work.v = v;
  work.gq = gq;
  work.gk = gk;
  work.gv = gv;
  work.gy = gy;
  sm_compute(items_of(of, true), SM_LARGE, backward_item, &work);
}
