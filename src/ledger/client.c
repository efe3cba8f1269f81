/* A tenant process's hold on the account: maps the areas, checks what they are, and takes and gives bytes in
 * the name of its slot. Called by the hooks of the shim and by workers. Never allocates, blocks or makes a
 * system call but in new and free; the lock a device has here keeps this process's threads apart for the few
 * instructions of one operation, no driver call among them. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "ledger/client.h"
#include "ledger/operation.h"
#include "ledger/word.h"

/* What both areas begin with in every version: magic, version, number of devices, bytes. */
enum { HEAD_BYTES = 24 };
_Static_assert(HEAD_BYTES == offsetof(struct ledger, area_bytes) + sizeof(uint64_t), "head of the ledger");
_Static_assert(HEAD_BYTES == offsetof(struct ledger_limits, area_bytes) + sizeof(uint64_t),
               "head of the limits");

/* Maps bytes of fd; refuses a file that is shorter or that could become shorter (a later SIGBUS in somebody
 * else's program). */
static int area_map(int fd, uint64_t bytes, int prot, void **ret_map)
{
    off_t end =
        lseek(fd, 0, SEEK_END); /* not fstat, whose symbol is younger than the glibc that tenants may have */
    int seals;
    void *map;

    if (bytes < HEAD_BYTES || end < 0 || (uint64_t)end < bytes)
        return -EBADMSG;
    seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || !(seals & F_SEAL_SHRINK))
        return -EBADMSG;
    map = mmap(NULL, bytes, prot, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return error_errno();
    *ret_map = map;
    return 0;
}

static int client_check(const struct ledger_client *client)
{
    const struct ledger_limits *limits = client->limits;
    const struct ledger *ledger = client->ledger;

    if (limits->magic != LEDGER_LIMITS_MAGIC || ledger->magic != LEDGER_MAGIC)
        return -EBADMSG;
    if (limits->major != LEDGER_MAJOR || ledger->major != LEDGER_MAJOR) /* of another size, mostly */
        return -EPROTO;
    if (client->limits_bytes < sizeof(*limits) || client->ledger_bytes < sizeof(*ledger) ||
        limits->area_bytes != client->limits_bytes || ledger->area_bytes != client->ledger_bytes ||
        ledger->n_slots != LEDGER_SLOTS_MAX || !limits->n_devices || limits->n_devices > LEDGER_DEVICES_MAX ||
        (client->slot >= LEDGER_SLOTS_MAX && client->slot != LEDGER_OBSERVER) ||
        memcmp(limits->instance, ledger->instance, sizeof(limits->instance)) != 0)
        return -EBADMSG;
    return 0;
}

int ledger_client_new(int limits_fd, int ledger_fd, uint64_t limits_bytes, uint64_t ledger_bytes,
                      uint32_t slot, struct ledger_client **ret_client)
{
    struct ledger_client *client = aligned_alloc(LEDGER_LINE_BYTES, sizeof(*client));
    void *map;
    int r;

    if (!client)
        return -ENOMEM;
    memset(client, 0, sizeof(*client));
    client->slot = slot;
    r = area_map(limits_fd, limits_bytes, PROT_READ, &map);
    if (r < 0)
        goto fail;
    client->limits = map;
    client->limits_bytes = limits_bytes;
    /* An observer's descriptor is for reading only. */
    r = area_map(ledger_fd, ledger_bytes, slot == LEDGER_OBSERVER ? PROT_READ : PROT_READ | PROT_WRITE, &map);
    if (r < 0)
        goto fail;
    client->ledger = map;
    client->ledger_bytes = ledger_bytes;
    r = client_check(client);
    if (r < 0)
        goto fail;
    client->n_devices = client->limits->n_devices;
    for (unsigned i = 0; i < LEDGER_DEVICES_MAX; i++)
        pthread_mutex_init(&client->locks[i].mutex, NULL);
    pthread_mutex_init(&client->shared_lock, NULL);
    *ret_client = client;
    return 0;
fail:
    ledger_client_free(client);
    return r;
}

void ledger_client_free(struct ledger_client *client)
{
    if (!client)
        return;
    if (client->limits)
        munmap((void *)client->limits, client->limits_bytes);
    if (client->ledger)
        munmap(client->ledger, client->ledger_bytes);
    if (client->signals)
        munmap(client->signals, sizeof(*client->signals));
    free(client);
}

/* Whether `fresh` may take the place of the limits in use: the same instance and devices. */
static bool limits_match(const struct ledger_limits *limits, const struct ledger_limits *fresh)
{
    if (fresh->magic != LEDGER_LIMITS_MAGIC || fresh->major != LEDGER_MAJOR ||
        fresh->area_bytes != limits->area_bytes || fresh->n_devices != limits->n_devices ||
        memcmp(fresh->instance, limits->instance, sizeof(fresh->instance)) != 0)
        return false;
    for (unsigned i = 0; i < limits->n_devices; i++)
        if (memcmp(fresh->devices[i].uuid, limits->devices[i].uuid, sizeof(fresh->devices[i].uuid)) != 0)
            return false;
    return true;
}

int ledger_client_limits_replace(struct ledger_client *client, int fd, uint64_t bytes)
{
    void *fresh, *at = (void *)client->limits;
    int r;

    if (bytes != client->limits_bytes)
        return -EBADMSG;
    r = area_map(fd, bytes, PROT_READ, &fresh);
    if (r < 0)
        return r;
    if (!limits_match(client->limits, fresh))
        r = -EBADMSG;
    else if (mmap(at, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
        r = error_errno();
    munmap(fresh, bytes);
    return r;
}

int ledger_client_signals_map(struct ledger_client *client, int fd, uint64_t bytes)
{
    int flags = fcntl(fd, F_GETFL), r;
    bool writable = flags >= 0 && (flags & O_ACCMODE) == O_RDWR;
    int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    struct ledger_signals *fresh;
    void *map;

    if (bytes < sizeof(*fresh))
        return -EBADMSG;
    r = area_map(fd, sizeof(*fresh), prot, &map);
    if (r < 0)
        return r;
    fresh = map;
    if (fresh->magic != LEDGER_SIGNALS_MAGIC || fresh->major != LEDGER_MAJOR) {
        munmap(map, sizeof(*fresh));
        return -EBADMSG;
    }
    if (!client->signals || (client->may_signal && !writable)) {
        /* The others, if any, stay mapped: a thread may be writing there. */
        client->may_signal = writable;
        __atomic_store_n(&client->signals, fresh, __ATOMIC_RELEASE);
        return 0;
    }
    /* Where the others were, so that no thread holds a pointer into nothing. */
    if (mmap(client->signals, sizeof(*fresh), prot, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
        r = error_errno();
    client->may_signal = writable;
    munmap(map, sizeof(*fresh));
    return r;
}

uint32_t ledger_own_generation(const struct ledger_client *client)
{
    return client->slot == LEDGER_OBSERVER
               ? 0
               : __atomic_load_n(&client->ledger->slots[client->slot].generation, __ATOMIC_RELAXED);
}

const char *ledger_instance(const struct ledger_client *client)
{
    return client->limits->instance;
}

int ledger_device_index(const struct ledger_client *client, const uint8_t uuid[16])
{
    for (unsigned i = 0; i < client->n_devices; i++)
        if (memcmp(client->limits->devices[i].uuid, uuid, 16) == 0)
            return (int)i;
    return -ENODEV;
}

static const struct operation_terms unlimited = {.limit_bytes = LEDGER_NO_LIMIT};

static int client_apply(struct ledger_client *client, unsigned device, int64_t delta_bytes,
                        const struct operation_terms *terms, uint64_t *ret_total_bytes)
{
    pthread_mutex_t *mutex = &client->locks[device].mutex;
    int r;

    pthread_mutex_lock(mutex);
    r = operation_apply(client->ledger, device, client->slot, delta_bytes, terms, ret_total_bytes);
    pthread_mutex_unlock(mutex);
    return r;
}

static int try_reserve(struct ledger_client *client, unsigned device, uint64_t bytes, bool is_ahead)
{
    struct operation_terms terms = {.is_peakless = is_ahead};

    if (!client_can_take(client, device))
        return -ENODEV;
    if (ledger_is_revoked(client))
        return -ESTALE;
    if (!bytes)
        return 0;
    terms.limit_bytes = ledger_limit_bytes(client, device);
    if (terms.limit_bytes > INT64_MAX)
        terms.limit_bytes = INT64_MAX;
    if (bytes <= terms.limit_bytes && client_apply(client, device, (int64_t)bytes, &terms, NULL) == 0)
        return 0;
    return -ENOMEM;
}

int ledger_try_reserve(struct ledger_client *client, unsigned device, uint64_t bytes)
{
    return try_reserve(client, device, bytes, false);
}

int ledger_try_reserve_ahead(struct ledger_client *client, unsigned device, uint64_t bytes)
{
    return try_reserve(client, device, bytes, true);
}

void ledger_peak_look(struct ledger_client *client, unsigned device)
{
    if (client_can_take(client, device))
        operation_peak_raise(&client->ledger->accounts[device], ledger_used_bytes(client, device));
}

static void note_denied(struct ledger_client *client, unsigned device, enum ledger_why why, const char *call,
                        uint64_t bytes)
{
    ledger_note_set(&client->ledger->accounts[device].denied, clock_monotonic_ns(), why, client->slot, call,
                    bytes, ledger_used_bytes(client, device), ledger_limit_bytes(client, device));
}

void ledger_deny(struct ledger_client *client, unsigned device, const char *call, uint64_t bytes)
{
    if (!client_can_take(client, device))
        return;
    LEDGER_STEP("refused");
    __atomic_add_fetch(&client->ledger->accounts[device].denied_total, 1, __ATOMIC_RELAXED);
    note_denied(client, device, LEDGER_WHY_LIMIT, call, bytes);
}

void ledger_deny_by_driver(struct ledger_client *client, unsigned device, const char *call, uint64_t bytes)
{
    if (client_can_take(client, device))
        note_denied(client, device, LEDGER_WHY_DRIVER, call, bytes);
}

int ledger_reserve(struct ledger_client *client, unsigned device, uint64_t bytes)
{
    int r = ledger_try_reserve(client, device, bytes);

    if (r == -ENOMEM)
        ledger_deny(client, device, "", bytes);
    return r;
}

void ledger_release(struct ledger_client *client, unsigned device, uint64_t bytes)
{
    if (!client_can_take(client, device) || !bytes)
        return;
    client_apply(client, device, bytes > INT64_MAX ? -INT64_MAX : -(int64_t)bytes, &unlimited, NULL);
}

bool ledger_charge(struct ledger_client *client, unsigned device, uint64_t bytes)
{
    uint64_t total_bytes;

    if (!client_can_take(client, device))
        return false;
    if (!bytes)
        return ledger_used_bytes(client, device) <= ledger_limit_bytes(client, device);
    client_apply(client, device, bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes, &unlimited, &total_bytes);
    return total_bytes <= ledger_limit_bytes(client, device);
}

bool ledger_is_revoked(const struct ledger_client *client)
{
    return __atomic_load_n(&client->limits->revoked, __ATOMIC_RELAXED) != 0;
}

uint64_t ledger_limit_bytes(const struct ledger_client *client, unsigned device)
{
    return device < client->n_devices ? ledger_load(&client->limits->devices[device].memory_limit_bytes) : 0;
}

uint64_t ledger_used_bytes(const struct ledger_client *client, unsigned device)
{
    return device < client->n_devices ? ledger_load(&client->ledger->accounts[device].used.value) : 0;
}

uint64_t ledger_own_bytes(const struct ledger_client *client, unsigned device)
{
    return client_can_take(client, device)
               ? ledger_load(&client->ledger->slots[client->slot].devices[device].row.applied.value)
               : 0;
}

uint64_t ledger_context_bytes(const struct ledger_client *client, unsigned device)
{
    uint64_t bytes, most;

    if (device >= client->n_devices)
        return 0;
    bytes = __atomic_load_n(&client->ledger->accounts[device].context_bytes, __ATOMIC_RELAXED);
    most = ledger_load(&client->limits->devices[device].memory_capacity_bytes);
    return bytes < most ? bytes : most;
}

void ledger_context_bytes_set(struct ledger_client *client, unsigned device, uint64_t bytes)
{
    if (client_can_take(client, device))
        __atomic_store_n(&client->ledger->accounts[device].context_bytes, bytes, __ATOMIC_RELAXED);
}

int ledger_own_pid(const struct ledger_client *client)
{
    return client->slot == LEDGER_OBSERVER
               ? 0
               : __atomic_load_n(&client->ledger->slots[client->slot].pid, __ATOMIC_RELAXED);
}

bool ledger_has_pid(const struct ledger_client *client, int pid)
{
    for (uint32_t i = 0; i < LEDGER_SLOTS_MAX; i++) {
        const struct ledger_slot *slot = &client->ledger->slots[i];

        if (__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) == LEDGER_SLOT_LIVE &&
            __atomic_load_n(&slot->pid, __ATOMIC_RELAXED) == pid)
            return true;
    }
    return false;
}
