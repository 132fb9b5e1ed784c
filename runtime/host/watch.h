/* Threads that keep a worker within its limits, whatever the supervisor's Lua code is doing. */
#ifndef SM_HOST_WATCH_H
#define SM_HOST_WATCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct sm_watch {
  pthread_mutex_t lock;
  pthread_cond_t wake;
  pthread_t clock, disk;  /* two threads: a disk that answers late delays no other limit */
  bool quit, disk_quit;   /* the threads are to end */
  bool has_disk;          /* the second one runs */
  pid_t process;          /* 0 once it is reaped */
  const char *why;        /* what made an end to the worker: "time", "disk", "files", "signal"; or NULL */
  double seconds;         /* that it may last, from when that was said; INFINITY: any number */
  double used;            /* of these */
  double patience;        /* seconds that it may go on after a signal was passed on to it */
  long long bytes, files; /* that may lie beneath the directories */
  int *directories;       /* open */
  size_t count;
} sm_watch;

/* What lies on a disk: bytes that its blocks take, and entries of any kind. */
typedef struct sm_usage {
  long long bytes, files;
} sm_usage;

/* Starts to watch a process. 0, or the number of an error. */
int sm_watch_start(sm_watch *watch, pid_t process);

/* It may last so many seconds from now. Then it is asked to end, and killed 0.8 seconds later. The time in which
   this process is stopped does not count. */
void sm_watch_time(sm_watch *watch, double seconds);

/* It is killed when more than so many bytes or files lie beneath the directories, what it holds open without a name
   included. Takes over `directories`, open descriptors in memory of malloc, in any case. 0, or the number of an
   error. */
int sm_watch_disk(sm_watch *watch, long long bytes, long long files, int *directories, size_t count);

void sm_watch_patience(sm_watch *watch, double seconds);

/* Sends a signal, unless the process is reaped; `why`, where there is one, is told as the reason of the end. */
void sm_watch_signal(sm_watch *watch, int signal_number, const char *why);

/* The process is about to be reaped: nothing is sent to it from here on. */
void sm_watch_forget(sm_watch *watch);

/* Ends the threads. To be called once, after sm_watch_forget. */
void sm_watch_end(sm_watch *watch);

bool sm_usage_exceeds(const sm_usage *usage, const sm_usage *most);

/* Adds what lies beneath an open directory to *usage. Gives up where it is more than `most`, and where *quit is set.
   Directories in more than 100 others count as LLONG_MAX files. */
void sm_usage_beneath(int directory, sm_usage *usage, const sm_usage *most, const bool *quit);

/* Adds the files that a process holds open and that have no name any more. */
void sm_usage_unnamed(pid_t process, sm_usage *usage);

#endif
