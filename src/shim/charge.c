/* The frame of allocation: see charge.h. Between charge_begin and charge_end the bytes are reserved and the
 * driver decides; whoever dies there has a slot that holds them, and the reaper gives them back. */
#include "shim/charge.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "base/clock.h"
#include "shim/attach.h"
#include "shim/graph_charge.h"
#include "shim/overhead.h"
#include "shim/physical.h"
#include "shim/pool.h"
#include "shim/rejoin.h"

/* How a device takes memory: in granules, of which small requests share some, in blocks. So does the software
 * GPU; of NVIDIA's driver it is assumed. */
#define GRANULE_BYTES   (UINT64_C(2) << 20)
#define SMALL_MAX_BYTES (UINT64_C(1) << 20)
#define BLOCK_BYTES     UINT64_C(512)

/* How long a refusal may be put off while something in the instance moves. */
#define WAIT_NS NS_PER_S
enum { YIELDS = 64, PAUSE_NS = 50000 };

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
    return bytes > UINT64_MAX - unit ? UINT64_MAX : (bytes + unit - 1) / unit * unit;
}

uint64_t charge_granules(uint64_t bytes)
{
    return round_up(bytes, GRANULE_BYTES);
}

bool charge_fits(const struct ledger_client *client, int device, uint64_t bytes)
{
    uint64_t limit = ledger_limit_bytes(client, (unsigned)device),
             used = ledger_used_bytes(client, (unsigned)device);

    return used <= limit && bytes <= limit - used;
}

static int try_by(int (*reserve)(struct ledger_client *, unsigned, uint64_t), struct ledger_client *client,
                  int device, uint64_t bytes)
{
    int r;

    overhead_uncertain_add(device, bytes);
    r = reserve(client, (unsigned)device, bytes);
    if (r < 0)
        overhead_uncertain_sub(device, bytes);
    return r;
}

int charge_try(struct ledger_client *client, int device, uint64_t bytes)
{
    return try_by(ledger_try_reserve, client, device, bytes);
}

int charge_try_ahead(struct ledger_client *client, int device, uint64_t bytes)
{
    return try_by(ledger_try_reserve_ahead, client, device, bytes);
}

/* While others of the instance are between a reservation and the driver's answer, or in the middle of a free,
 * the account may be above what the device holds: then a refusal would be wrong. Waits until they are
 * through, or it is certain that there is no room; not longer than wait_ns. */
static int reserve_patiently(struct ledger_client *client, int device, uint64_t bytes, uint64_t wait_ns)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    uint64_t until_ns = clock_monotonic_ns() + wait_ns;
    int r;

    for (unsigned round = 0; (r = charge_try(client, device, bytes)) == -ENOMEM; round++) {
        if (ledger_is_surely_over(client, (unsigned)device, bytes) || clock_monotonic_ns() > until_ns)
            break;
        if (round < YIELDS)
            sched_yield();
        else
            nanosleep(&pause, NULL);
    }
    return r;
}

/* Before a refusal: this process's pools give back what they keep without need, as a full device would make
 * them; then vgpud is asked to take back what dead processes of the instance hold. */
static int reserve_slow(struct ledger_client *client, int device, uint64_t bytes, const char *call)
{
    const int errno_before = errno;
    int r;

    pool_settle_all(client);
    graph_settle_all(client);
    r = reserve_patiently(client, device, bytes, WAIT_NS);
    if (r == -ENOMEM && pool_trim_all(client, device))
        r = reserve_patiently(client, device, bytes, WAIT_NS);
    if (r == -ENOMEM && attach_reap() == 0)
        r = reserve_patiently(client, device, bytes, WAIT_NS);
    if (r == -ENOMEM)
        ledger_deny(client, (unsigned)device, call, bytes);
    errno = errno_before;
    return r;
}

int charge_reserve(struct ledger_client *client, int device, uint64_t bytes, const char *call)
{
    static int said;
    int r;

    if (device < 0) {
        if (!__atomic_exchange_n(&said, 1, __ATOMIC_RELAXED))
            shim_say("this instance has no part of a device that the program allocates on: its limit there "
                     "is 0 bytes");
        return -ENOMEM;
    }
    rejoin_if_stale(client);
    r = charge_try(client, device, bytes);
    return r == -ENOMEM ? reserve_slow(client, device, bytes, call) : r;
}

/* A small request need not bring a granule when one that is there has room. */
static bool fits_into_granule(const struct charge *charge, uint64_t bytes)
{
    return bytes <= SMALL_MAX_BYTES &&
           table_granule_has_room(charge->context, charge->door, GRANULE_BYTES, round_up(bytes, BLOCK_BYTES));
}

CUresult charge_begin(struct charge *charge, const char *call, uint64_t bytes, enum table_door door)
{
    CUresult result = shim_limit(&charge->client);

    if (result || !charge->client)
        return result;
    result = shim_current_index(&charge->device);
    if (!result)
        result = real(cuCtxGetCurrent)(&charge->context);
    if (result)
        return result;
    charge->call = call;
    charge->door = door;
    charge->reserved_bytes = round_up(bytes, GRANULE_BYTES);
    if (charge->device >= 0 && !charge_fits(charge->client, charge->device, charge->reserved_bytes) &&
        fits_into_granule(charge, bytes))
        charge->reserved_bytes = 0;
    return shim_result(charge_reserve(charge->client, charge->device, charge->reserved_bytes, charge->call));
}

/* ---- small allocations: which granules they lie in ---- */

/* Names a granule in the table: by where it is, and by whom it serves in which way, because the driver may
 * give an address out for another purpose before we have written down that it took it back. Odd, so that it
 * is no address of an allocation. */
static uint64_t granule_key(uint64_t index, const struct table_entry *block)
{
    uint64_t owner = (uint64_t)(uintptr_t)block->owner * UINT64_C(0x9e3779b97f4a7c15) >> 45;

    return index * GRANULE_BYTES | owner << 2 | (block->door == TABLE_MANAGED ? 2 : 0) | 1;
}

/* Adds delta_bytes to each granule that the block touches. Returns how many granules came (or went) that this
 * process pays, or -ENOMEM, then nothing changed. A granule that was exported and goes is dropped. */
static int granules_adjust(struct ledger_client *client, const struct table_entry *block, int64_t delta_bytes)
{
    uint64_t first = block->address / GRANULE_BYTES,
             last = (block->address + block->bytes - 1) / GRANULE_BYTES;
    struct table_entry granule = {
        .owner = block->owner, .device = block->device, .door = block->door, .is_granule = true};
    int changed = 0;

    for (uint64_t i = first; i <= last; i++) {
        int r;

        granule.address = granule_key(i, block);
        granule.shared = 0;
        r = table_granule_adjust(&granule, delta_bytes);
        if (r > 0 && granule.shared) {
            physical_drop(client, granule.shared - 1, granule.device, GRANULE_BYTES);
            continue;
        }
        if (r < 0) {
            for (; i > first; i--) {
                granule.address = granule_key(i - 1, block);
                granule.shared = 0;
                table_granule_adjust(&granule, -delta_bytes);
            }
            return r;
        }
        changed += r;
    }
    return changed;
}

/* ---- after the driver ---- */

/* Writes the allocation down. *ret_bytes is what it brought to the device. */
static int entry_add(struct ledger_client *client, const struct table_entry *entry, uint64_t *ret_bytes)
{
    int granules = 0, r;

    if (entry->shares)
        granules = granules_adjust(client, entry, (int64_t)entry->bytes);
    if (granules < 0)
        return granules;
    r = table_insert(entry);
    if (r < 0 && entry->shares)
        granules_adjust(client, entry, -(int64_t)entry->bytes);
    *ret_bytes = entry->shares ? (uint64_t)granules * GRANULE_BYTES : entry->bytes;
    return r;
}

/* Brings the reservation to bytes. -ENOMEM: the limit has no room for what the allocation took beyond it. */
static int reservation_settle(struct charge *charge, uint64_t bytes)
{
    uint64_t reserved = charge->reserved_bytes;

    if (bytes > reserved &&
        charge_reserve(charge->client, charge->device, bytes - reserved, charge->call) < 0)
        return -ENOMEM;
    if (bytes < reserved)
        ledger_release(charge->client, (unsigned)charge->device, reserved - bytes);
    if (charge->door == TABLE_MANAGED)
        overhead_unplaced_add(charge->device, bytes);
    overhead_uncertain_sub(charge->device, bytes > reserved ? bytes : reserved);
    return 0;
}

static void reservation_cancel(struct charge *charge)
{
    ledger_release(charge->client, (unsigned)charge->device, charge->reserved_bytes);
    overhead_uncertain_sub(charge->device, charge->reserved_bytes);
}

/* Takes the block back out of its granules, which were to be paid with brought_bytes. One that another thread
 * uses by now stays and is paid. */
static void granules_keep(struct charge *charge, const struct table_entry *block, uint64_t brought_bytes)
{
    uint64_t gone_bytes =
        (uint64_t)granules_adjust(charge->client, block, -(int64_t)block->bytes) * GRANULE_BYTES;

    if (brought_bytes <= gone_bytes)
        return;
    ledger_charge(charge->client, (unsigned)charge->device, brought_bytes - gone_bytes);
    if (charge->door == TABLE_MANAGED)
        overhead_unplaced_add(charge->device, brought_bytes - gone_bytes);
}

CUresult charge_end(struct charge *charge, CUresult result, uint64_t address, uint64_t bytes)
{
    struct table_entry entry = {.address = address,
                                .owner = charge->context,
                                .device = (uint16_t)charge->device,
                                .door = charge->door};
    uint64_t brought_bytes;

    if (!charge->client)
        return result;
    if (result != CUDA_SUCCESS) {
        reservation_cancel(charge);
        if (result == CUDA_ERROR_OUT_OF_MEMORY)
            ledger_deny_by_driver(charge->client, (unsigned)charge->device, charge->call, bytes);
        return result;
    }
    entry.shares = bytes <= SMALL_MAX_BYTES;
    entry.bytes = round_up(bytes, entry.shares ? BLOCK_BYTES : GRANULE_BYTES);
    if (entry_add(charge->client, &entry, &brought_bytes) == 0) {
        if (reservation_settle(charge, brought_bytes) == 0)
            return CUDA_SUCCESS;
        table_take(address, &entry);
        if (entry.shares)
            granules_keep(charge, &entry, brought_bytes);
    }
    real(cuMemFree_v2)(address);
    reservation_cancel(charge);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

/* ---- exporting ---- */

static void share_one(struct ledger_client *client, uint64_t entry_address, uint64_t bytes,
                      const uint8_t key[PHYSICAL_KEY_BYTES])
{
    struct table_entry entry;
    uint32_t shared;

    if (!table_find(entry_address, &entry))
        return;
    if (entry.shared) {
        physical_alias(client, entry.shared - 1, key);
        return;
    }
    shared = physical_publish(client, entry.device, key, bytes);
    if (shared != PHYSICAL_NOT_SHARED)
        table_set_shared(entry_address, shared + 1);
}

void charge_share(struct ledger_client *client, uint64_t address, const void *handle, size_t handle_bytes)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* two threads may export one allocation */
    uint8_t key[PHYSICAL_KEY_BYTES];
    struct table_entry entry;

    if (!table_find(address, &entry) || entry.door != TABLE_DIRECT)
        return;
    pthread_mutex_lock(&lock);
    if (entry.shares) {
        uint64_t first = entry.address / GRANULE_BYTES,
                 last = (entry.address + entry.bytes - 1) / GRANULE_BYTES;

        for (uint64_t i = first; i <= last; i++) {
            physical_key_of_bytes(handle, handle_bytes, (uint32_t)(i - first), key);
            share_one(client, granule_key(i, &entry), GRANULE_BYTES, key);
        }
    } else {
        physical_key_of_bytes(handle, handle_bytes, 0, key);
        share_one(client, entry.address, entry.bytes, key);
    }
    pthread_mutex_unlock(&lock);
}

/* ---- giving back ---- */

/* What is not in granules that it shares with others. */
static void whole_release(struct ledger_client *client, const struct table_entry *entry, uint64_t bytes)
{
    if (entry->door == TABLE_EXTERNAL)
        physical_unref(client, (struct physical *)(uintptr_t)entry->chunk);
    else if (entry->shared)
        physical_drop(client, entry->shared - 1, entry->device, bytes);
    else
        ledger_release(client, entry->device, bytes);
    if (entry->door == TABLE_MANAGED)
        overhead_unplaced_sub(entry->device, bytes);
}

uint64_t charge_most_bytes(const struct table_entry *entry)
{
    return entry->shares ? 2 * GRANULE_BYTES : entry->bytes;
}

void charge_release(struct ledger_client *client, const struct table_entry *entry)
{
    struct table_entry granules = {.device = entry->device, .door = entry->door};

    if (!entry->shares) {
        whole_release(client, entry, entry->bytes);
        return;
    }
    whole_release(client, &granules,
                  (uint64_t)granules_adjust(client, entry, -(int64_t)entry->bytes) * GRANULE_BYTES);
}

/* The granules of a context are visited like its allocations; blocks in them hold nothing by themselves. */
static void owned_release(const struct table_entry *entry, void *client)
{
    if (!entry->shares)
        whole_release(client, entry, entry->is_granule ? GRANULE_BYTES : entry->bytes);
}

void charge_forget_context(struct ledger_client *client, CUcontext context)
{
    table_take_owned(context, owned_release, client);
}
