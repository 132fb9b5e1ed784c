/* Where a path that is to be written leads. */
#ifndef SM_DESTINATION_H
#define SM_DESTINATION_H

#include <stdbool.h>
#include <sys/stat.h>

#include "core/status.h"

typedef struct sm_destination {
  char *path;         /* after the last symbolic link */
  const char *name;   /* its last part, inside path */
  int descriptor;     /* the open one that the path stands for, as /dev/fd/3 does; -1: none */
  bool exists;
  struct stat status; /* if it exists */
} sm_destination;

/* Follows symbolic links, one that points to nothing yet among them. The path has a name: it does not end in a
   slash. SM_SYSTEM for a circle of links, SM_BAD_VALUE for a directory. */
sm_status sm_destination_find(sm_destination *destination, const char *path, sm_error *error);

void sm_destination_forget(sm_destination *destination);

#endif
