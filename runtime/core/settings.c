#include "core/settings.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static sm_settings settings;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void read_text(char text[SM_SETTING], const char *variable) {
  const char *value = getenv(variable);
  snprintf(text, SM_SETTING, "%s", value ? value : "");
}

static void read_all(void) {
  const char *threads = getenv("OMP_NUM_THREADS");
  settings = (sm_settings){.threads = threads ? atoi(threads) : 0};
  if (settings.threads < 1) settings.threads = 0;
  read_text(settings.convolution, "SMRUN_CONV");
  read_text(settings.products, "SMRUN_GEMM");
  read_text(settings.blas_kernels, "OPENBLAS_CORETYPE");
  settings.blas_threads = getenv("OPENBLAS_NUM_THREADS") != NULL;
}

const sm_settings *sm_settings_now(void) {
  pthread_once(&once, read_all);
  return &settings;
}

void sm_settings_read(void) {
  sm_settings_now();
  read_all();
}
