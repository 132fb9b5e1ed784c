/* Descriptors 0 to 2 are standard input, output and errors, also where a parent has closed them. */
#ifndef SM_DESCRIPTORS_H
#define SM_DESCRIPTORS_H

#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

/* Opens those that are closed on /dev/null, so that no file which is opened later gets their number and with it
   what is printed. To be called before any file is opened. False when that cannot be done. Inline: the program,
   which links no library of ours, calls it before it loads one. */
static inline bool sm_fill_descriptors(void) {
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++) {
    if (fcntl(descriptor, F_GETFD) >= 0) continue;
    /* The lowest number that is free: those below are filled. */
    if (open("/dev/null", descriptor == STDIN_FILENO ? O_RDONLY : O_WRONLY) != descriptor) return false;
  }
  return true;
}

#endif
