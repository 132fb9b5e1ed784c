#include "core/expression.h"

#include <string.h>

#include "core/parts.h"

/* ---- making ---- */

static sm_status check(const sm_expression *e, sm_error *error) {
  if (e->inputs < 0 || e->inputs > SM_EXPRESSION_INPUTS)
    return sm_fail(error, SM_BAD_VALUE, "an expression has at most %d inputs, got %d", SM_EXPRESSION_INPUTS, e->inputs);
  if (e->outputs < 1 || e->outputs > SM_EXPRESSION_OUTPUTS)
    return sm_fail(error, SM_BAD_VALUE, "an expression has 1 to %d outputs, got %d", SM_EXPRESSION_OUTPUTS, e->outputs);
  if (e->constants < 0 || e->instructions < 0 || e->constants > SM_EXPRESSION_VALUES ||
      e->instructions > SM_EXPRESSION_VALUES ||
      e->constants + e->instructions > SM_EXPRESSION_VALUES - SM_EXPRESSION_OUTPUTS - SM_EXPRESSION_INPUTS)
    return sm_fail(error, SM_BAD_VALUE, "the function is too large: it takes more than %d numbers and steps",
                   SM_EXPRESSION_VALUES - SM_EXPRESSION_OUTPUTS - SM_EXPRESSION_INPUTS);
  int known = e->inputs + e->constants;
  for (int i = 0; i < e->instructions; i++, known++) {
    const sm_instruction *at = &e->instruction[i];
    if ((int)at->f < 0 || at->f >= SM_RULES)
      return sm_fail(error, SM_BAD_VALUE, "instruction %d of an expression is none", i + 1);
    for (int k = 0; k < sm_rule_operands(at->f); k++)
      if (at->operand[k] < 0 || at->operand[k] >= known)
        return sm_fail(error, SM_BAD_VALUE, "operand %d of instruction %d of an expression is value %d of %d", k + 1,
                       i + 1, at->operand[k], known);
  }
  for (int k = 0; k < e->outputs; k++)
    if (e->output[k] < 0 || e->output[k] >= known)
      return sm_fail(error, SM_BAD_VALUE, "output %d of an expression is value %d of %d", k + 1, e->output[k], known);
  return SM_OK;
}

/* A register that is free; one more where none is. */
static int take_register(sm_expression *e, bool *taken) {
  int number = 0;
  while (taken[number]) number++;
  taken[number] = true;
  if (number >= e->registers) e->registers = number + 1;
  return number;
}

sm_status sm_expression_make(sm_expression *e, sm_error *error) {
  sm_status status = check(e, error);
  if (status) return status;
  const int given = e->inputs + e->constants, first_register = given + e->outputs;
  int place[SM_EXPRESSION_VALUES], last[SM_EXPRESSION_VALUES]; /* where a value lies, and which instruction is last */
  bool taken[SM_EXPRESSION_VALUES] = {0};
  for (int value = 0; value < given + e->instructions; value++) {
    place[value] = value < given ? value : -1;
    last[value] = -1;
  }
  memset(e->reads, 0, sizeof e->reads);
  for (int i = 0; i < e->instructions; i++) {
    const sm_instruction *at = &e->instruction[i];
    for (int k = 0; k < sm_rule_operands(at->f); k++) last[at->operand[k]] = i;
  }
  for (int k = e->outputs - 1; k >= 0; k--)
    if (e->output[k] >= given) place[e->output[k]] = given + k;
  for (int value = 0; value < e->inputs; value++) e->reads[value] = last[value] >= 0;
  e->registers = 0;
  for (int i = 0; i < e->instructions; i++) {
    sm_instruction *at = &e->instruction[i];
    const int result = given + i;
    for (int k = 0; k < sm_rule_operands(at->f); k++) {
      const int value = at->operand[k];
      at->operand[k] = place[value];
      if (last[value] == i && place[value] >= first_register) taken[place[value] - first_register] = false;
    }
    if (place[result] < 0) {
      int number = take_register(e, taken);
      place[result] = first_register + number;
      taken[number] = last[result] >= 0;
    }
    at->to = place[result];
  }
  for (int k = 0; k < e->outputs; k++) {
    if (e->output[k] < e->inputs) e->reads[e->output[k]] = true;
    e->output[k] = place[e->output[k]];
  }
  return SM_OK;
}

/* ---- planning ---- */

static sm_reading reading_of(const sm_strided *axes, const sm_shape *shape, size_t n) {
  size_t count = sm_shape_count(shape);
  if (count == 1) return SM_ONE;
  if (count == n) return SM_IN_ORDER;
  return axes->rank == 2 && axes->step[2][0] == 0 && axes->size[1] <= SM_EXPRESSION_BLOCK ? SM_PERIODIC : SM_WALKED;
}

sm_status sm_expression_plan_of(sm_expression_plan *plan, const sm_expression *e, const sm_shape *const shapes[],
                                const sm_dtype *dtypes, sm_error *error) {
  sm_strided axes;
  plan->shape = (sm_shape){0};
  for (int i = 0; i < e->inputs; i++) {
    const sm_shape *two[] = {&plan->shape, shapes[i]};
    sm_shape both;
    sm_status status = sm_strided_broadcast(&axes, &both, two, 2, error);
    if (status) return status;
    plan->shape = both;
  }
  plan->n = sm_shape_count(&plan->shape);
  plan->blocks = e->registers;
  plan->outputs = e->outputs;
  plan->unit = 0;
  plan->is_loss = false;
  plan->divisor = 1;
  memset(plan->period, 0, sizeof plan->period);
  memset(plan->total, 0, sizeof plan->total);
  for (int i = 0; i < e->inputs; i++) {
    const sm_shape *two[] = {&plan->shape, shapes[i]};
    sm_shape both;
    sm_status status = sm_strided_broadcast(&plan->input[i].axes, &both, two, 2, error);
    if (status) return status;
    plan->input[i].dtype = dtypes[i];
    plan->input[i].reading = e->reads[i] ? reading_of(&plan->input[i].axes, shapes[i], plan->n) : SM_IGNORED;
    plan->blocks += plan->input[i].reading != SM_IGNORED;
  }
  return SM_OK;
}

/* The smallest number that both divide; 0 divides none. */
static size_t common_multiple(size_t a, size_t b) {
  size_t one = a, other = b;
  while (other != 0) {
    const size_t rest = one % other;
    one = other;
    other = rest;
  }
  return a == 0 || b == 0 ? a + b : a / one * b;
}

sm_status sm_expression_sum(sm_expression_plan *plan, int output, size_t period, sm_error *error) {
  if (period < 1 || period > SM_EXPRESSION_BLOCK || plan->n % period != 0)
    return sm_fail(error, SM_BAD_VALUE, "%zu elements are not added up to %zu sums", plan->n, period);
  plan->blocks += plan->period[output] == 0;
  plan->period[output] = period;
  plan->unit = common_multiple(plan->unit, period); /* no more than n, if that is not 0 */
  return SM_OK;
}

/* Partial sums of an output in one block of threads: as many as fill vectors, a multiple of the period. */
static size_t lanes_of(size_t period) { return period == 0 ? 0 : (SM_LINE + period - 1) / period * period; }

static size_t all_lanes(const sm_expression_plan *plan) {
  size_t lanes = 0;
  for (int k = 0; k < plan->outputs; k++) lanes += lanes_of(plan->period[k]);
  return lanes;
}

/* The elements of each part of the batch, where there are sums; else all are one part. Their blocks come one after the
   other. */
typedef struct division {
  size_t parts, blocks;
  sm_range elements[SM_PARTS];
  size_t before[SM_PARTS]; /* blocks of the parts before */
} division;

static division divide(const sm_expression_plan *plan) {
  division by = {.parts = plan->unit ? sm_parts_now().parts : 1};
  const size_t unit = plan->unit ? plan->unit : 1;
  for (size_t part = 0; part < by.parts; part++) {
    const sm_range rows = sm_part(plan->n / unit, by.parts, part);
    by.elements[part] = (sm_range){rows.first * unit, rows.last * unit};
    by.before[part] = by.blocks;
    by.blocks += sm_blocks((rows.last - rows.first) * unit);
  }
  return by;
}

size_t sm_expression_scratch(const sm_expression_plan *plan) {
  const size_t blocks = divide(plan).blocks;
  return sm_workers(blocks) * (size_t)plan->blocks * SM_EXPRESSION_BLOCK * sizeof(real) +
         blocks * all_lanes(plan) * sizeof(double);
}

/* ---- running ---- */

/* Where a value lies for the block at hand: n numbers, or with a step of 0 one for all of them. */
typedef struct located {
  const real *data;
  size_t step;
} located;

typedef struct running {
  real *const *out;
  const void *const *inputs;
  const sm_expression *expression;
  const sm_expression_plan *plan;
  division by;
  double *sums; /* of every block, the lanes of every output */
  real *scratch;
} running;

static void load(real *to, const void *from, sm_dtype dtype, size_t first, size_t n) {
  const uint8_t *bytes = from;
  const int32_t *ints = from;
  switch (dtype) {
    case SM_REAL: memcpy(to, (const real *)from + first, n * sizeof *to); break;
    case SM_UINT8: for (size_t i = 0; i < n; i++) to[i] = bytes[first + i]; break;
    case SM_INT32: for (size_t i = 0; i < n; i++) to[i] = (real)ints[first + i]; break;
  }
}

/* A block of an input whose numbers repeat, from element `first` of the result on. */
static void load_periodic(real *to, const void *from, sm_dtype dtype, size_t period, size_t first, size_t n) {
  size_t phase = first % period, filled = period < n ? period : n;
  size_t head = period - phase < filled ? period - phase : filled;
  load(to, from, dtype, phase, head);
  load(to + head, from, dtype, 0, filled - head);
  while (filled < n) { /* a multiple of the period */
    size_t more = filled < n - filled ? filled : n - filled;
    memcpy(to + filled, to, more * sizeof *to);
    filled += more;
  }
}

static void load_walked(real *to, const void *from, sm_dtype dtype, const sm_strided *axes, size_t first, size_t n) {
  sm_strided_place place = sm_strided_start(axes, first);
  const bool advances = axes->step[2][axes->rank - 1] != 0;
  for (size_t done = 0; done < n;) {
    size_t run = sm_strided_run(&place, axes), left = n - done;
    if (run > left) run = left;
    if (advances) {
      load(to + done, from, dtype, (size_t)place.at[2], run);
    } else {
      load(to + done, from, dtype, (size_t)place.at[2], 1);
      for (size_t i = 1; i < run; i++) to[done + i] = to[done];
    }
    sm_strided_advance(&place, axes, run);
    done += run;
  }
}

/* The inputs' numbers for n elements of the result from `first` on. */
static void locate_inputs(located *places, const running *of, real *spare, size_t first, size_t n) {
  const sm_expression_plan *plan = of->plan;
  for (int i = 0; i < of->expression->inputs; i++) {
    const sm_dtype dtype = plan->input[i].dtype;
    const sm_strided *axes = &plan->input[i].axes;
    const void *from = of->inputs[i];
    places[i] = (located){spare, 1};
    switch (plan->input[i].reading) {
      case SM_IGNORED: continue;
      case SM_IN_ORDER:
        if (dtype == SM_REAL) places[i].data = (const real *)from + first;
        else load(spare, from, dtype, first, n);
        break;
      case SM_ONE:
        load(spare, from, dtype, 0, 1);
        places[i].step = 0;
        break;
      case SM_PERIODIC: load_periodic(spare, from, dtype, axes->size[1], first, n); break;
      case SM_WALKED: load_walked(spare, from, dtype, axes, first, n); break;
    }
    spare += SM_EXPRESSION_BLOCK;
  }
}

/* One instruction over n elements, or once where all operands are one number. Such a number is copied first: y may lie
   where it does. */
static size_t execute(real *y, const sm_instruction *at, const located *places, size_t n) {
  real number[SM_RULE_OPERANDS];
  const real *x[SM_RULE_OPERANDS];
  size_t step[SM_RULE_OPERANDS], any = 0;
  for (int k = 0; k < sm_rule_operands(at->f); k++) {
    const located *from = &places[at->operand[k]];
    if (!from->step) number[k] = *from->data;
    x[k] = from->step ? from->data : &number[k];
    any |= step[k] = from->step;
  }
  sm_pointwise_run(y, x, step, at->f, any ? n : 1);
  return any;
}

/* Puts what an output is where it belongs, unless it was computed there. */
static void finish(real *y, const located *from, size_t n) {
  if (from->step) {
    if (from->data != y) memcpy(y, from->data, n * sizeof *y);
  } else {
    const real number = *from->data;
    for (size_t i = 0; i < n; i++) y[i] = number;
  }
}

/* Adds n elements of an output, the first of which is number `first`, to its lanes. */
static void add_up(double *sums, size_t lanes, const real *x, size_t first, size_t n) {
  for (size_t lane = first % lanes; n > 0; lane = 0) {
    size_t run = lanes - lane < n ? lanes - lane : n;
#pragma omp simd
    for (size_t i = 0; i < run; i++) sums[lane + i] += (double)x[i];
    x += run;
    n -= run;
  }
}

static void run_block(const void *work, size_t block) {
  const running *of = work;
  const sm_expression *e = of->expression;
  const int given = e->inputs + e->constants, first_register = given + e->outputs;
  size_t part = of->by.parts - 1;
  while (of->by.before[part] > block) part--;
  const sm_range elements = of->by.elements[part];
  const sm_range within = sm_block(elements.last - elements.first, block - of->by.before[part]);
  const sm_range range = {elements.first + within.first, elements.first + within.last};
  real *own = of->scratch + (size_t)sm_thread_index() * (size_t)of->plan->blocks * SM_EXPRESSION_BLOCK;
  real *spare = own + (size_t)e->registers * SM_EXPRESSION_BLOCK;
  located places[SM_EXPRESSION_VALUES];
  const size_t lanes = all_lanes(of->plan);
  double *sums = of->sums + block * lanes;
  for (size_t i = 0; i < lanes; i++) sums[i] = 0;
  for (int i = 0; i < e->constants; i++) places[e->inputs + i] = (located){&e->constant[i], 0};
  for (size_t first = range.first, n; first < range.last; first += n) {
    n = range.last - first < SM_EXPRESSION_BLOCK ? range.last - first : SM_EXPRESSION_BLOCK;
    real *out[SM_EXPRESSION_OUTPUTS], *next = spare;
    for (int k = 0; k < e->outputs; k++) {
      out[k] = of->plan->period[k] ? next : of->out[k] + first;
      next += of->plan->period[k] ? SM_EXPRESSION_BLOCK : 0;
    }
    locate_inputs(places, of, next, first, n);
    for (int i = 0; i < e->instructions; i++) {
      const sm_instruction *at = &e->instruction[i];
      real *y = at->to < first_register ? out[at->to - given]
                                        : own + (size_t)(at->to - first_register) * SM_EXPRESSION_BLOCK;
      size_t step = execute(y, at, places, n);
      places[at->to] = (located){y, step};
    }
    /* From the last: an output that is another's value finds it before that one is filled. */
    for (int k = e->outputs - 1; k >= 0; k--) finish(out[k], &places[e->output[k]], n);
    double *own_sums = sums;
    for (int k = 0; k < e->outputs; k++) {
      const size_t own_lanes = lanes_of(of->plan->period[k]);
      if (own_lanes) add_up(own_sums, own_lanes, out[k], first - elements.first, n);
      own_sums += own_lanes;
    }
  }
}

/* The sums of an output, whose lanes begin at `sums`: of their parts, in double for a loss. */
static void sum_parts(const running *of, int k, const double *sums, double *loss) {
  const size_t period = of->plan->period[k], own_lanes = lanes_of(period), lanes = all_lanes(of->plan);
  double part_sums[SM_PARTS];
  real rounded[SM_PARTS * SM_EXPRESSION_BLOCK];
  for (size_t i = 0; i < period; i++) {
    for (size_t part = 0; part < of->by.parts; part++) {
      const size_t last = part + 1 < of->by.parts ? of->by.before[part + 1] : of->by.blocks;
      double sum = 0;
      for (size_t block = of->by.before[part]; block < last; block++)
        for (size_t lane = i; lane < own_lanes; lane += period) sum += sums[block * lanes + lane];
      part_sums[part] = sum;
      rounded[part * period + i] = (real)sum;
    }
    if (!of->plan->is_loss) continue;
    sm_add_parts_double(part_sums, of->by.parts, 1);
    *loss = part_sums[0];
    of->out[k][i] = (real)(*loss / of->plan->divisor);
  }
  if (of->plan->is_loss) return;
  sm_add_parts(rounded, of->by.parts, period);
  memcpy(of->out[k], rounded, period * sizeof *rounded);
}

void sm_expression_run(real *const *out, const void *const *inputs, const sm_expression *expression,
                       sm_expression_plan *plan, void *scratch) {
  const division by = divide(plan);
  double *sums = scratch; /* first, so that they are aligned */
  running work = {out, inputs, expression, plan, by, sums, (real *)(sums + by.blocks * all_lanes(plan))};
  sm_parallel(by.blocks, plan->n, run_block, &work);
  for (int k = 0; k < plan->outputs; k++) {
    if (plan->period[k]) sum_parts(&work, k, sums, &plan->total[k]);
    sums += lanes_of(plan->period[k]);
  }
}
