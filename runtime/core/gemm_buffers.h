/* The buffers of OpenBLAS, one for each thread that is within it. Where the system gives it none, it asks again for
   ever. So all are taken before they are needed, once it is known that they will be given. */
#ifndef SM_GEMM_BUFFERS_H
#define SM_GEMM_BUFFERS_H

#include "core/status.h"

/* Before OpenBLAS is loaded, which takes the first buffer. SM_NO_MEMORY where there is no room for it. */
sm_status sm_gemm_buffers_check(sm_error *error);

/* After it is loaded: dlopen's handle. A build that hides how it takes buffers cannot be asked for them beforehand.
   SM_NO_MEMORY where there is no room for another one. */
sm_status sm_gemm_buffers_open(void *library, sm_error *error);

/* Around a call, on any thread: waits where memory has room for fewer buffers than there are threads. */
void sm_gemm_buffers_enter(void);
void sm_gemm_buffers_leave(void);

#endif
