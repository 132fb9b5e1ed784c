/* A machine for expressions of numbers: f(x, y, …) of every element in one pass over memory. It goes through the
   elements by blocks that stay in the first-level cache, one instruction after the other over each block, with the
   kernels of the single operations and their bits. Operands broadcast as in NumPy. */
#ifndef SM_EXPRESSION_H
#define SM_EXPRESSION_H

#include "core/pointwise.h"

enum {
  SM_EXPRESSION_INPUTS = 32,
  SM_EXPRESSION_OUTPUTS = 32,
  SM_EXPRESSION_VALUES = 1024, /* inputs, constants and results of instructions together */
  SM_EXPRESSION_BLOCK = 1024   /* elements */
};

/* Values are numbered: the inputs, the constants, the results of the instructions in their order. An operand is such a
   number. */
typedef struct sm_instruction {
  sm_rule f;
  int operand[SM_RULE_OPERANDS];
  int to; /* for sm_expression_make: where the result goes */
} sm_instruction;

/* Before sm_expression_make the caller sets all but `registers` and `reads`. After it operands are places: the inputs,
   the constants, the outputs, the registers. */
typedef struct sm_expression {
  int inputs, constants, instructions, outputs;
  int output[SM_EXPRESSION_OUTPUTS]; /* values */
  const real *constant;
  sm_instruction *instruction;
  int registers;                       /* blocks that results are kept in until their last use */
  bool reads[SM_EXPRESSION_INPUTS];    /* whether an input is used */
} sm_expression;

/* Checks every number in an expression, and gives each result a register until its last use. SM_BAD_VALUE names what
   is wrong. */
sm_status sm_expression_make(sm_expression *expression, sm_error *error);

typedef enum sm_reading { SM_IGNORED, SM_IN_ORDER, SM_ONE, SM_PERIODIC, SM_WALKED } sm_reading;

/* How the inputs of one call broadcast. */
typedef struct sm_expression_plan {
  sm_shape shape;        /* of the outputs */
  size_t n;              /* elements of it */
  int blocks;            /* of scratch that a thread has: the registers, and inputs that are brought into order */
  int outputs;
  size_t period[SM_EXPRESSION_OUTPUTS]; /* 0, or how many sums an output is; 0 after sm_expression_plan_of */
  size_t unit;           /* elements, of which parts of a batch have whole numbers, so that sums do; 0 without sums */
  bool is_loss;          /* whether the parts of sums are added in double; those of others are rounded to real before */
  double divisor;        /* of the sums of a loss */
  double total[SM_EXPRESSION_OUTPUTS]; /* of a loss with a period of 1: its sum, after sm_expression_run */
  struct {
    sm_reading reading;
    sm_dtype dtype;
    sm_strided axes; /* SM_WALKED: operand 2 is the input; SM_PERIODIC: the last of the two axes */
  } input[SM_EXPRESSION_INPUTS];
} sm_expression_plan;

/* The outputs have the shape to which all inputs broadcast, also those that nothing reads; types are real or uint8,
   whose numbers become real. A number has rank 0. SM_BAD_SHAPE as from sm_strided_broadcast. */
sm_status sm_expression_plan_of(sm_expression_plan *plan, const sm_expression *expression,
                                const sm_shape *const shapes[], const sm_dtype *dtypes, sm_error *error);

/* Makes output k sums instead of elements: element i is added to sum number i % period, in double, by parts of the
   batch that the first axis is (core/parts.h). At most SM_EXPRESSION_BLOCK sums, of which there are as many elements
   for each: else SM_BAD_VALUE. */
sm_status sm_expression_sum(sm_expression_plan *plan, int output, size_t period, sm_error *error);

/* Bytes of scratch that sm_expression_run needs; with other threads it may be more. */
size_t sm_expression_scratch(const sm_expression_plan *plan);

/* out[k], new memory of plan->shape each, or of as many sums, from the inputs' numbers. */
void sm_expression_run(real *const *out, const void *const *inputs, const sm_expression *expression,
                       sm_expression_plan *plan, void *scratch);

#endif
