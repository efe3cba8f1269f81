/* The life of shared device memory, and what names it between processes; see physical.h. */
#include "shim/physical.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/charge.h"
#include "shim/overhead.h"

enum { ATTEMPTS = 1000 };

static pthread_mutex_t holds_lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t holds[LEDGER_SHARED_MAX]; /* of this process, by index in the ledger */

/* ---- objects ---- */

struct physical *physical_new(int device, uint64_t bytes, uint32_t shared)
{
    struct physical *physical = calloc(1, sizeof(*physical));

    if (physical)
        *physical = (struct physical){
            .bytes = bytes, .sure_bytes = bytes, .references = 1, .shared = shared, .device = device};
    return physical;
}

struct physical *physical_ref(struct physical *physical)
{
    __atomic_add_fetch(&physical->references, 1, __ATOMIC_RELAXED);
    return physical;
}

void physical_unref(struct ledger_client *client, struct physical *physical)
{
    uint32_t shared;

    if (!physical || __atomic_sub_fetch(&physical->references, 1, __ATOMIC_ACQ_REL))
        return;
    shared = __atomic_load_n(&physical->shared, __ATOMIC_ACQUIRE);
    if (shared != PHYSICAL_NOT_SHARED)
        physical_drop(client, shared, physical->device, physical->bytes);
    else if (physical->device >= 0)
        ledger_release(client, (unsigned)physical->device, physical->bytes);
    free(physical);
}

uint64_t physical_leaving(const struct physical *physical)
{
    uint64_t bytes = __atomic_load_n(&physical->bytes, __ATOMIC_RELAXED);

    overhead_uncertain_add(physical->device, bytes);
    return bytes;
}

void physical_left(int device, uint64_t bytes)
{
    overhead_uncertain_sub(device, bytes);
}

int physical_grow(struct ledger_client *client, struct physical *physical, uint64_t bytes, const char *call)
{
    int r = charge_reserve(client, physical->device, bytes, call);

    if (r < 0)
        return r;
    __atomic_add_fetch(&physical->bytes, bytes, __ATOMIC_RELAXED);
    overhead_uncertain_sub(physical->device, bytes);
    return 0;
}

void physical_shrink(struct ledger_client *client, struct physical *physical, uint64_t bytes)
{
    uint64_t less = physical->bytes > bytes ? physical->bytes - bytes : 0;

    if (!less || __atomic_load_n(&physical->shared, __ATOMIC_ACQUIRE) != PHYSICAL_NOT_SHARED)
        return;
    overhead_uncertain_add(physical->device, less);
    __atomic_sub_fetch(&physical->bytes, less, __ATOMIC_RELAXED);
    ledger_release(client, (unsigned)physical->device, less);
    overhead_uncertain_sub(physical->device, less);
}

/* ---- keys ---- */

bool physical_key_of_file(int fd, uint8_t ret_key[PHYSICAL_KEY_BYTES], uint64_t *ret_bytes)
{
    struct stat file;
    uint64_t device, inode;

    /* Not fstat, whose symbol is younger than the glibc that tenants may have; the kernel's struct is the
     * same. */
    if (syscall(SYS_fstat, fd, &file) < 0 || !S_ISREG(file.st_mode))
        return false;
    device = file.st_dev;
    inode = file.st_ino;
    memcpy(ret_key, &device, sizeof(device));
    memcpy(ret_key + sizeof(device), &inode, sizeof(inode));
    *ret_bytes = file.st_size > 0 ? (uint64_t)file.st_size : 0;
    return true;
}

/* FNV-1a over the bytes, twice with different beginnings. Handles are not chosen by an enemy of the process
 * that exports them, and whoever writes a wrong key spoils only its own instance's account. */
static uint64_t hash(uint64_t h, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
    return h;
}

void physical_key_of_bytes(const void *bytes, size_t n, uint32_t part, uint8_t ret_key[PHYSICAL_KEY_BYTES])
{
    uint64_t low = hash(UINT64_C(0xcbf29ce484222325), bytes, n),
             high = hash(UINT64_C(0x84222325cbf29ce4) ^ part, bytes, n);

    memcpy(ret_key, &low, sizeof(low));
    memcpy(ret_key + sizeof(low), &high, sizeof(high));
}

/* ---- sharing ---- */

/* Counts one more hold here; the first one is what the overhead must know of. */
static void hold(uint32_t shared, int device, uint64_t bytes)
{
    if (holds[shared]++ == 0)
        overhead_held_add(device, bytes);
}

/* The ledger says -EAGAIN while another process is in the middle of making or ending an object of that name:
 * a few instructions, unless it died there, which the reaper mends. */
#define PATIENTLY(r, call)                                                                                   \
    for (unsigned attempt = 0; ((r) = (call)) == -EAGAIN && attempt < ATTEMPTS; attempt++)                   \
    sched_yield()

uint32_t physical_publish(struct ledger_client *client, int device, const uint8_t key[PHYSICAL_KEY_BYTES],
                          uint64_t bytes)
{
    uint32_t shared = PHYSICAL_NOT_SHARED;
    int r;

    if (device < 0)
        return PHYSICAL_NOT_SHARED;
    pthread_mutex_lock(&holds_lock);
    PATIENTLY(r, ledger_shared_publish(client, (unsigned)device, key, bytes, &shared));
    if (r == 0)
        hold(shared, device, bytes);
    else
        shared = PHYSICAL_NOT_SHARED;
    pthread_mutex_unlock(&holds_lock);
    return shared;
}

void physical_alias(struct ledger_client *client, uint32_t shared, const uint8_t key[PHYSICAL_KEY_BYTES])
{
    int r;

    PATIENTLY(r,
              ledger_shared_alias(client, shared, key)); /* without it, whoever imports by that name pays */
}

bool physical_join(struct ledger_client *client, const uint8_t key[PHYSICAL_KEY_BYTES], uint32_t *ret_shared,
                   int *ret_device, uint64_t *ret_bytes)
{
    unsigned device;
    bool found;
    int r;

    pthread_mutex_lock(&holds_lock);
    PATIENTLY(r, ledger_shared_join(client, key, ret_shared, &device, ret_bytes));
    found = r == 0;
    if (found)
        hold(*ret_shared, (int)device, *ret_bytes);
    pthread_mutex_unlock(&holds_lock);
    if (found)
        *ret_device = (int)device;
    return found;
}

void physical_drop(struct ledger_client *client, uint32_t shared, int device, uint64_t bytes)
{
    pthread_mutex_lock(&holds_lock);
    if (holds[shared] && --holds[shared] == 0) {
        ledger_shared_leave(client, shared);
        overhead_held_sub(device, bytes);
    }
    pthread_mutex_unlock(&holds_lock);
}

void physical_reset_in_child(void)
{
    holds_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    memset(holds, 0, sizeof(holds));
}
