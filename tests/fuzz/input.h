/* What the harnesses share: the bytes of an input as a file, and how a finding is told. */
#ifndef SM_FUZZ_INPUT_H
#define SM_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "core/tensor.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The path of a file in memory that ends in `ending` and now holds these bytes; the same file for every input. */
const char *input_file(const char *ending, const void *data, size_t size);

/* The memory of the tensors that the readers make. */
sm_memory *input_memory(void);

/* Says what was wrong and ends the process, so that libFuzzer keeps the input. */
_Noreturn __attribute__((format(printf, 1, 2))) void finding(const char *format, ...);

/* A reader has refused an input: a status that blames the file, and a message of one line that begins with the path. */
void expect_refusal(sm_status status, const sm_error *error, const char *path);

/* Element `i` of a file, `bytes` wide, as a number; `kind` is 'u', 'i', 'f', 'e' (a half), 'b' (the upper half of a
   float) or '?' (a boolean). Slow and plain: what the readers are compared with. */
double element_of_file(const uint8_t *data, size_t i, char kind, size_t bytes, int big_endian);

/* Compares a tensor with `count` elements of a file. */
void expect_elements(const sm_tensor *x, const uint8_t *data, size_t count, char kind, size_t bytes, int big_endian);

#endif
