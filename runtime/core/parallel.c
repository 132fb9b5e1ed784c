#include "core/parallel.h"

#include <omp.h>

int sm_thread_count(void) { return omp_get_max_threads(); }

void sm_set_thread_count(int threads) { omp_set_num_threads(threads < 1 ? 1 : threads); }

int sm_thread_index(void) { return omp_get_thread_num(); }

const char *sm_instruction_set(void) { return SM_INSTRUCTION_SET; }
