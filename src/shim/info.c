/* What the application sees of memory: its slice. Total is the instance's limit, free is what is left of it,
 * and neither is more than the device's own figure. A device that the instance has no part of shows 0. */
#include <limits.h>

#include "shim/rejoin.h"
#include "shim/shim.h"

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t limit_bytes(const struct ledger_client *client, int device)
{
    return device < 0 ? 0 : ledger_limit_bytes(client, (unsigned)device);
}

CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes)
{
    struct ledger_client *client;
    uint64_t limit, used;
    int device;
    CUresult result = shim_limit(&client);

    if (result || !client)
        return result ? result : real(cuMemGetInfo_v2)(free_bytes, total_bytes);
    result = real(cuMemGetInfo_v2)(free_bytes, total_bytes);
    if (result)
        return result;
    result = shim_current_index(&device);
    if (result)
        return result;
    rejoin_now_and_then(client);
    limit = limit_bytes(client, device);
    used = device < 0 ? 0 : ledger_used_bytes(client, (unsigned)device);
    if (total_bytes)
        *total_bytes = least(*total_bytes, limit);
    if (free_bytes)
        *free_bytes = least(*free_bytes, limit > used ? limit - used : 0);
    return CUDA_SUCCESS;
}

/* The first ABI has 32-bit figures; what does not fit is shown as the most that does. */
CUresult cuMemGetInfo(unsigned int *free_bytes, unsigned int *total_bytes)
{
    struct ledger_client *client;
    size_t free_slice, total_slice;
    CUresult result = shim_limit(&client);

    if (result || !client)
        return result ? result : real(cuMemGetInfo)(free_bytes, total_bytes);
    result = real(cuMemGetInfo)(free_bytes, total_bytes); /* says what it thinks of the arguments */
    if (!result)
        result = cuMemGetInfo_v2(&free_slice, &total_slice);
    if (result)
        return result;
    if (free_bytes)
        *free_bytes = (unsigned int)least(free_slice, UINT_MAX);
    if (total_bytes)
        *total_bytes = (unsigned int)least(total_slice, UINT_MAX);
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device)
{
    struct ledger_client *client;
    CUresult result = shim_limit(&client);

    if (result || !client)
        return result ? result : real(cuDeviceTotalMem_v2)(bytes, device);
    result = real(cuDeviceTotalMem_v2)(bytes, device);
    rejoin_if_stale(client);
    if (result == CUDA_SUCCESS && bytes)
        *bytes = least(*bytes, limit_bytes(client, shim_device_index(device)));
    return result;
}

CUresult cuDeviceTotalMem(unsigned int *bytes, CUdevice device)
{
    struct ledger_client *client;
    CUresult result = shim_limit(&client);

    if (result || !client)
        return result ? result : real(cuDeviceTotalMem)(bytes, device);
    result = real(cuDeviceTotalMem)(bytes, device);
    rejoin_if_stale(client);
    if (result == CUDA_SUCCESS && bytes)
        *bytes = (unsigned int)least(*bytes, limit_bytes(client, shim_device_index(device)));
    return result;
}
