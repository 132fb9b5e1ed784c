#include "mpi/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int sm_ring_new(void) {
  int file = memfd_create("smrun-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (file < 0) return -1;
  if (ftruncate(file, sizeof(sm_ring)) == 0 && fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
    return file;
  int error = errno;
  close(file);
  errno = error;
  return -1;
}

sm_ring *sm_ring_map(int file) {
  struct stat found;
  if (fstat(file, &found) != 0) return NULL;
  if (!S_ISREG(found.st_mode) || found.st_size != sizeof(sm_ring)) {
    errno = EINVAL;
    return NULL;
  }
  void *memory = mmap(NULL, sizeof(sm_ring), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

void sm_ring_wait(_Atomic uint32_t *counter, uint32_t seen, int milliseconds) {
  struct timespec most = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000L};
  syscall(SYS_futex, counter, FUTEX_WAIT, seen, &most, NULL, 0);
}

void sm_ring_wake(_Atomic uint32_t *counter) { syscall(SYS_futex, counter, FUTEX_WAKE, INT_MAX, NULL, NULL, 0); }

static uint8_t *slot(sm_ring_client *client, uint32_t number) { return client->ring->slots[number % SM_RING_SLOTS]; }

static void post(sm_ring_client *client, sm_ring_kind kind, size_t bytes) {
  client->ring->items[client->posted % SM_RING_SLOTS] = (sm_ring_item){kind, (uint32_t)bytes};
  client->posted++;
  atomic_store_explicit(&client->ring->posted, client->posted, memory_order_release);
  sm_ring_wake(&client->ring->posted);
}

size_t sm_ring_put(sm_ring_client *client, const real *x, size_t count) {
  size_t put = 0;
  while (put < count && client->posted - client->taken < SM_RING_SLOTS) {
    size_t room = SM_RING_REALS - client->filled, some = count - put < room ? count - put : room;
    memcpy((real *)slot(client, client->posted) + client->filled, x + put, some * sizeof(real));
    put += some;
    client->filled += some;
    if (client->filled == SM_RING_REALS) sm_ring_flush(client);
  }
  return put;
}

void sm_ring_flush(sm_ring_client *client) {
  if (client->filled == 0) return;
  post(client, SM_RING_SUM, client->filled * sizeof(real));
  client->filled = 0;
}

void sm_ring_post(sm_ring_client *client, sm_ring_kind kind, const void *data, size_t bytes) {
  memcpy(slot(client, client->posted), data, bytes);
  post(client, kind, bytes);
}

static bool is_done(const sm_ring_client *client) {
  uint32_t done = atomic_load_explicit(&client->ring->done, memory_order_acquire);
  return client->taken != client->posted && (int32_t)(done - client->taken) > 0;
}

size_t sm_ring_take(sm_ring_client *client, real *x, size_t count) {
  size_t taken = 0;
  while (taken < count && is_done(client)) {
    size_t held = client->ring->items[client->taken % SM_RING_SLOTS].bytes / sizeof(real), left = held - client->read;
    size_t some = count - taken < left ? count - taken : left;
    if (x) memcpy(x + taken, (const real *)slot(client, client->taken) + client->read, some * sizeof(real));
    taken += some;
    client->read += some;
    if (client->read == held) {
      client->taken++;
      client->read = 0;
    }
  }
  return taken;
}

bool sm_ring_await(sm_ring_client *client) {
  enum { GLANCES = 50, GLANCE = 100 }; /* looks that give way to others before it sleeps; milliseconds */
  for (int i = 0; i < GLANCES; i++) {
    if (is_done(client)) return true;
    sched_yield();
  }
  while (!is_done(client)) {
    if (atomic_load_explicit(&client->ring->failed, memory_order_acquire)) return false;
    uint32_t done = atomic_load_explicit(&client->ring->done, memory_order_acquire);
    if (done == client->taken) sm_ring_wait(&client->ring->done, done, GLANCE);
  }
  return true;
}

const void *sm_ring_done(sm_ring_client *client) { return slot(client, client->taken++); }
