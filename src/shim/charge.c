/* The frame of allocation: see charge.h. Between charge_begin and charge_end the bytes are reserved and the
 * driver decides; whoever dies there has a slot that holds them, and the reaper gives them back. */
#include "shim/charge.h"

#include <errno.h>

#include "shim/overhead.h"
#include "shim/pool.h"

/* How a device takes memory: in granules, of which small requests share some, in blocks. So does the software
 * GPU; of NVIDIA's driver it is assumed. */
#define GRANULE_BYTES   (UINT64_C(2) << 20)
#define SMALL_MAX_BYTES (UINT64_C(1) << 20)
#define BLOCK_BYTES     UINT64_C(512)

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
    return bytes > UINT64_MAX - unit ? UINT64_MAX : (bytes + unit - 1) / unit * unit;
}

bool charge_fits(const struct ledger_client *client, int device, uint64_t bytes)
{
    uint64_t limit = ledger_limit_bytes(client, (unsigned)device),
             used = ledger_used_bytes(client, (unsigned)device);

    return used <= limit && bytes <= limit - used;
}

int charge_reserve(struct ledger_client *client, int device, uint64_t bytes)
{
    static int said;

    if (device < 0) {
        if (!__atomic_exchange_n(&said, 1, __ATOMIC_RELAXED))
            shim_say("this instance has no part of a device that the program allocates on: its limit there "
                     "is 0 bytes");
        return -ENOMEM;
    }
    if (!charge_fits(client, device, bytes))
        pool_settle_all(client);
    return ledger_reserve(client, (unsigned)device, bytes);
}

/* A small request need not bring a granule when one that is there has room. */
static bool fits_into_granule(const struct charge *charge, uint64_t bytes)
{
    return bytes <= SMALL_MAX_BYTES &&
           table_granule_has_room(charge->context, charge->door, GRANULE_BYTES, round_up(bytes, BLOCK_BYTES));
}

CUresult charge_begin(struct charge *charge, uint64_t bytes, enum table_door door)
{
    CUresult result = shim_limit(&charge->client);
    int r;

    if (result || !charge->client)
        return result;
    result = shim_current_index(&charge->device);
    if (!result)
        result = real(cuCtxGetCurrent)(&charge->context);
    if (result)
        return result;
    charge->door = door;
    charge->reserved_bytes = round_up(bytes, GRANULE_BYTES);
    if (charge->device >= 0 && !charge_fits(charge->client, charge->device, charge->reserved_bytes) &&
        fits_into_granule(charge, bytes))
        charge->reserved_bytes = 0;
    overhead_uncertain_add(charge->device, charge->reserved_bytes);
    r = charge_reserve(charge->client, charge->device, charge->reserved_bytes);
    if (r < 0)
        overhead_uncertain_sub(charge->device, charge->reserved_bytes);
    return shim_result(r);
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

/* Adds delta_bytes to each granule that the block touches. Returns how many granules came (or went), or
 * -ENOMEM, then nothing changed. */
static int granules_adjust(const struct table_entry *block, int64_t delta_bytes)
{
    uint64_t first = block->address / GRANULE_BYTES,
             last = (block->address + block->bytes - 1) / GRANULE_BYTES;
    struct table_entry granule = {
        .owner = block->owner, .device = block->device, .door = block->door, .is_granule = true};
    int changed = 0;

    for (uint64_t i = first; i <= last; i++) {
        int r;

        granule.address = granule_key(i, block);
        r = table_granule_adjust(&granule, delta_bytes);
        if (r < 0) {
            for (; i > first; i--) {
                granule.address = granule_key(i - 1, block);
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
static int entry_add(const struct table_entry *entry, uint64_t *ret_bytes)
{
    int granules = 0, r;

    if (entry->shares)
        granules = granules_adjust(entry, (int64_t)entry->bytes);
    if (granules < 0)
        return granules;
    r = table_insert(entry);
    if (r < 0 && entry->shares)
        granules_adjust(entry, -(int64_t)entry->bytes);
    *ret_bytes = entry->shares ? (uint64_t)granules * GRANULE_BYTES : entry->bytes;
    return r;
}

/* Brings the reservation to bytes. -ENOMEM: the limit has no room for what the allocation took beyond it. */
static int reservation_settle(struct charge *charge, uint64_t bytes)
{
    uint64_t reserved = charge->reserved_bytes;

    if (bytes <= reserved)
        ledger_release(charge->client, (unsigned)charge->device, reserved - bytes);
    else if (charge_reserve(charge->client, charge->device, bytes - reserved) < 0)
        return -ENOMEM;
    /* Managed memory stays uncertain: it is charged in full but lies where it is used. */
    overhead_uncertain_add(charge->device, charge->door == TABLE_MANAGED ? bytes : 0);
    overhead_uncertain_sub(charge->device, reserved);
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
    uint64_t gone_bytes = (uint64_t)granules_adjust(block, -(int64_t)block->bytes) * GRANULE_BYTES;

    if (brought_bytes <= gone_bytes)
        return;
    ledger_charge(charge->client, (unsigned)charge->device, brought_bytes - gone_bytes);
    if (charge->door == TABLE_MANAGED)
        overhead_uncertain_add(charge->device, brought_bytes - gone_bytes);
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
        return result;
    }
    entry.shares = bytes <= SMALL_MAX_BYTES;
    entry.bytes = round_up(bytes, entry.shares ? BLOCK_BYTES : GRANULE_BYTES);
    if (entry_add(&entry, &brought_bytes) == 0) {
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

/* ---- giving back ---- */

static void bytes_release(struct ledger_client *client, const struct table_entry *entry, uint64_t bytes)
{
    ledger_release(client, entry->device, bytes);
    if (entry->door == TABLE_MANAGED)
        overhead_uncertain_sub(entry->device, bytes);
}

uint64_t charge_most_bytes(const struct table_entry *entry)
{
    return entry->shares ? 2 * GRANULE_BYTES : entry->bytes;
}

void charge_release(struct ledger_client *client, const struct table_entry *entry)
{
    uint64_t bytes = entry->bytes;

    if (entry->shares)
        bytes = (uint64_t)granules_adjust(entry, -(int64_t)entry->bytes) * GRANULE_BYTES;
    bytes_release(client, entry, bytes);
}

/* The granules of a context are visited like its allocations; blocks in them hold nothing by themselves. */
static void owned_release(const struct table_entry *entry, void *client)
{
    if (!entry->shares)
        bytes_release(client, entry, entry->is_granule ? GRANULE_BYTES : entry->bytes);
}

void charge_forget_context(struct ledger_client *client, CUcontext context)
{
    table_take_owned(context, owned_release, client);
}
