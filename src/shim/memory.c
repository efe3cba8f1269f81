/* cuMemAlloc and its family, each version by itself. A call costs, above the driver's: a lookup of the
 * current context's device, one reservation in the ledger (three 16-byte compare-and-swaps, no system call)
 * and one insertion into a hash table; with no limit set, one load. A call without a place for its answer is
 * the driver's to refuse: nothing is reserved for it and nothing of it is read. */
#include <stddef.h>

#include "shim/charge.h"
#include "shim/overhead.h"
#include "shim/pool_api.h"
#include "shim/shim.h"

/* Pitches of current devices are multiples of this: reserved first, so that the driver's answer rarely
 * differs. */
enum { PITCH_GUESS_BYTES = 512 };

CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t bytes)
{
    struct ledger_client *client;
    struct charge charge;
    CUresult result = shim_limit(&client);

    if (result || !client || !address)
        return result ? result : real(cuMemAlloc_v2)(address, bytes);
    result = charge_begin(&charge, __func__, bytes, TABLE_DIRECT);
    if (result)
        return result;
    result = real(cuMemAlloc_v2)(address, bytes);
    return charge_end(&charge, result, result ? 0 : *address, bytes);
}

CUresult cuMemAlloc(CUdeviceptr_v1 *address, unsigned int bytes)
{
    struct ledger_client *client;
    struct charge charge;
    CUresult result = shim_limit(&client);

    if (result || !client || !address)
        return result ? result : real(cuMemAlloc)(address, bytes);
    result = charge_begin(&charge, __func__, bytes, TABLE_DIRECT);
    if (result)
        return result;
    result = real(cuMemAlloc)(address, bytes);
    return charge_end(&charge, result, result ? 0 : *address, bytes);
}

CUresult cuMemAllocManaged(CUdeviceptr *address, size_t bytes, unsigned int flags)
{
    struct ledger_client *client;
    struct charge charge;
    CUresult result = shim_limit(&client);

    if (result || !client || !address)
        return result ? result : real(cuMemAllocManaged)(address, bytes, flags);
    result = charge_begin(&charge, __func__, bytes, TABLE_MANAGED);
    if (result)
        return result;
    result = real(cuMemAllocManaged)(address, bytes, flags);
    return charge_end(&charge, result, result ? 0 : *address, bytes);
}

static uint64_t area_bytes(uint64_t row_bytes, uint64_t rows)
{
    uint64_t bytes;

    return __builtin_mul_overflow(row_bytes, rows, &bytes) ? UINT64_MAX : bytes;
}

/* Reserves for rows of the pitch to be expected; when that does not fit, for the rows alone: the real pitch
 * decides afterwards. */
static CUresult pitch_begin(struct charge *charge, const char *call, uint64_t width_bytes, uint64_t height)
{
    uint64_t guess = width_bytes > UINT64_MAX - PITCH_GUESS_BYTES
                         ? UINT64_MAX
                         : (width_bytes + PITCH_GUESS_BYTES - 1) / PITCH_GUESS_BYTES * PITCH_GUESS_BYTES;
    CUresult result = charge_begin(charge, call, area_bytes(guess, height), TABLE_DIRECT);

    if (result == CUDA_ERROR_OUT_OF_MEMORY && guess != width_bytes)
        result = charge_begin(charge, call, area_bytes(width_bytes, height), TABLE_DIRECT);
    return result;
}

CUresult cuMemAllocPitch_v2(CUdeviceptr *address, size_t *pitch_bytes, size_t width_bytes, size_t height,
                            unsigned int element_bytes)
{
    struct ledger_client *client;
    struct charge charge;
    CUresult result = shim_limit(&client);

    if (result || !client || !address || !pitch_bytes)
        return result ? result
                      : real(cuMemAllocPitch_v2)(address, pitch_bytes, width_bytes, height, element_bytes);
    result = pitch_begin(&charge, __func__, width_bytes, height);
    if (result)
        return result;
    result = real(cuMemAllocPitch_v2)(address, pitch_bytes, width_bytes, height, element_bytes);
    return charge_end(&charge, result, result ? 0 : *address, result ? 0 : area_bytes(*pitch_bytes, height));
}

CUresult cuMemAllocPitch(CUdeviceptr_v1 *address, unsigned int *pitch_bytes, unsigned int width_bytes,
                         unsigned int height, unsigned int element_bytes)
{
    struct ledger_client *client;
    struct charge charge;
    CUresult result = shim_limit(&client);

    if (result || !client || !address || !pitch_bytes)
        return result ? result
                      : real(cuMemAllocPitch)(address, pitch_bytes, width_bytes, height, element_bytes);
    result = pitch_begin(&charge, __func__, width_bytes, height);
    if (result)
        return result;
    result = real(cuMemAllocPitch)(address, pitch_bytes, width_bytes, height, element_bytes);
    return charge_end(&charge, result, result ? 0 : *address, result ? 0 : area_bytes(*pitch_bytes, height));
}

/* The entry is taken out before the driver frees: the moment it has, another thread may be given the address.
 */
static CUresult free_direct(struct ledger_client *client, const struct table_entry *entry,
                            CUresult (*driver_free)(uint64_t address))
{
    uint64_t most_bytes = charge_most_bytes(entry);
    CUresult result;

    overhead_uncertain_add(entry->device, most_bytes);
    result = driver_free(entry->address);
    if (result == CUDA_SUCCESS)
        charge_release(client, entry);
    else
        table_insert(entry); /* into the room it just left */
    overhead_uncertain_sub(entry->device, most_bytes);
    return result;
}

static CUresult free_any(struct ledger_client *client, uint64_t address,
                         CUresult (*driver_free)(uint64_t address))
{
    struct table_entry entry;

    if (!table_take(address, &entry))
        return driver_free(address);
    if (entry.door == TABLE_POOL)
        return pool_api_free(client, &entry, driver_free);
    return free_direct(client, &entry, driver_free);
}

static CUresult driver_free_v2(uint64_t address)
{
    return real(cuMemFree_v2)(address);
}

static CUresult driver_free_v1(uint64_t address)
{
    return real(cuMemFree)((CUdeviceptr_v1)address);
}

CUresult cuMemFree_v2(CUdeviceptr address)
{
    struct ledger_client *client;
    CUresult result = shim_limit(&client);

    if (result || !client)
        return result ? result : real(cuMemFree_v2)(address);
    return free_any(client, address, driver_free_v2);
}

CUresult cuMemFree(CUdeviceptr_v1 address)
{
    struct ledger_client *client;
    CUresult result = shim_limit(&client);

    if (result || !client)
        return result ? result : real(cuMemFree)(address);
    return free_any(client, address, driver_free_v1);
}
