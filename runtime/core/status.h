/* How the core and io rooms report failure: a status and one message, never an exit, a print or a longjmp. */
#ifndef SM_STATUS_H
#define SM_STATUS_H

typedef enum sm_status {
  SM_OK,
  SM_NO_MEMORY, /* an allocation failed; nothing was changed */
  SM_BAD_SHAPE, /* sizes that do not fit together; the message holds both */
  SM_BAD_VALUE, /* an argument out of its range */
  SM_LINK,      /* a symbolic link, where none may be */
  SM_BAD_FILE,  /* a file whose content is not what it should be; the message holds path and offset */
  SM_SYSTEM     /* the operating system refused; the message holds path and reason */
} sm_status;

/* Filled by whoever fails, read by whoever reports. The message is one line without a full stop. */
typedef struct sm_error {
  sm_status status;
  char message[1024];
} sm_error;

/* Writes the formatted message and the status into *error (which may be NULL) and returns the status,
   so that a check reads `return sm_fail(error, SM_BAD_SHAPE, "...", ...)`. */
__attribute__((format(printf, 3, 4)))
sm_status sm_fail(sm_error *error, sm_status status, const char *format, ...);

#endif
