/* Base64 with padding (RFC 4648, section 4): bytes as text that a page can carry. */
#ifndef SM_BASE64_H
#define SM_BASE64_H

#include <stddef.h>

/* Characters that `bytes` bytes become: four for every three begun. `bytes` is at most SIZE_MAX / 2. */
size_t sm_base64_length(size_t bytes);

/* text = the encoding of `bytes` bytes of `data`; sm_base64_length(bytes) characters, without a final zero. */
void sm_base64_encode(char *text, const void *data, size_t bytes);

#endif
