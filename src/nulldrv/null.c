/* What the null driver does at all: every other entry point is generated and empty, so that what stands
 * before a driver can be measured without one. It has one device, whose context is always current, and memory
 * without end whose addresses never come back; a program that has memory here can write nothing into it. */
#include "nulldrv/null.h"

#include <stdbool.h>
#include <stddef.h>

#include "api/cuda_api.h"
#include "api/entries.h"
#include "api/lookup.h"

CUresult cuGetProcAddress_v2(const char *symbol, void **function, int version, cuuint64_t flags,
                             CUdriverProcAddressQueryResult *status)
{
    return api_cuda_proc_address(api_cuda_entries, symbol, function, version, flags, status);
}

CUresult cuGetProcAddress(const char *symbol, void **function, int version, cuuint64_t flags)
{
    return api_cuda_proc_address(api_cuda_entries, symbol, function, version, flags, NULL);
}

CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device)
{
    if (!uuid || device)
        return CUDA_ERROR_INVALID_VALUE;
    *uuid = (CUuuid){.bytes = NULL_UUID_BYTES};
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device)
{
    return cuDeviceGetUuid_v2(uuid, device);
}

CUresult cuCtxGetDevice(CUdevice *device)
{
    if (device)
        *device = 0;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext *context)
{
    static char the_context;

    if (context)
        *context = (CUcontext)(void *)&the_context;
    return CUDA_SUCCESS;
}

/* Events have handles, and between two of them lies what a short kernel takes: so what measures work by events
 * measures as often, and costs as much, as it would on a device. */
CUresult cuEventCreate(CUevent *event, unsigned int flags)
{
    static char the_event;

    if (event)
        *event = (CUevent)(void *)&the_event;
    return CUDA_SUCCESS;
}

CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end)
{
    if (milliseconds)
        *milliseconds = 0.005F;
    return CUDA_SUCCESS;
}

CUresult cuEventElapsedTime_v2(float *milliseconds, CUevent start, CUevent end)
{
    return cuEventElapsedTime(milliseconds, start, end);
}

CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes)
{
    if (free_bytes)
        *free_bytes = NULL_MEMORY_BYTES;
    if (total_bytes)
        *total_bytes = NULL_MEMORY_BYTES;
    return CUDA_SUCCESS;
}

/* Small allocations lie side by side and large ones on pages of their own, as a driver lays them out. */
CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t bytes)
{
    static struct {
        CUdeviceptr next;
        size_t step;
    } areas[] = {{UINT64_C(1) << 44, 512}, {UINT64_C(1) << 45, 2 << 20}};
    const bool is_large = bytes > 1 << 20;
    const size_t step = areas[is_large].step;

    if (address)
        *address =
            __atomic_fetch_add(&areas[is_large].next, (bytes + step - 1) & ~(step - 1), __ATOMIC_RELAXED);
    return CUDA_SUCCESS;
}
