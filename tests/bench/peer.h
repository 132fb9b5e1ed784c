/* oneDNN as the kernels' peer: one primitive each, in the memory formats that it chooses itself. Building it
   and bringing operands into its formats happen outside of peer_run. Built only where oneDNN 2 is installed.
   */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum peer_pass { PEER_FORWARD, PEER_DATA, PEER_FILTER } peer_pass;

/* A square kernel over NHWC images, padded so that the size stays; filters {kernel, kernel, in, out}. */
typedef struct peer_conv {
  size_t batch, size, in, out, kernel;
} peer_conv;

typedef struct peer peer;

/* The version, for the report. */
const char *peer_name(void);

/* A primitive of the pass. a and b are the operands in our layout and order: (x, w) with bias, (gy, w), or
   (gy, x), where the bias is ignored and its gradient computed too. NULL, with the reason on stderr, when
   oneDNN refuses. */
peer *peer_conv_new(peer_pass pass, const peer_conv *conv, const float *a, const float *b, const float *bias);

/* y (batch, out) = x (batch, in) * w (in, out) + bias, and its gradients, without that of the bias. */
peer *peer_linear_new(peer_pass pass, size_t batch, size_t in, size_t out, const float *a, const float *b,
                      const float *bias);

/* Softmax of each row (rows, columns): from x; or from gy and y. */
peer *peer_softmax_new(peer_pass pass, size_t rows, size_t columns, const float *a, const float *b);

/* Maximum of 2×2 windows of images (batch, size, size, channels), in blocks of channels: from x; or from gy
   and x. */
peer *peer_maxpool_new(peer_pass pass, size_t batch, size_t size, size_t channels, const float *a,
                       const float *b);

/* relu of n numbers: from x; or from gy and x. */
peer *peer_relu_new(peer_pass pass, size_t n, const float *a, const float *b);

void peer_run(peer *peer);

/* The output in our layout. */
void peer_result(float *out, peer *peer);

void peer_free(peer *peer);

#ifdef __cplusplus
}
#endif
#endif
