/* Page-locked host memory: cuMemHostAlloc, cuMemHostRegister and what belongs to them. The software GPU's
 * kernels run in this process, so such memory is ordinary memory that the address space knows; its device
 * address is its host address. */
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include "softgpu/driver/capture.h"
#include "softgpu/driver/context.h"
#include "softgpu/driver/segment.h"
#include "softgpu/driver/space.h"

enum { HOST_ALLOC_FLAGS = 0x7, HOST_REGISTER_FLAGS = 0xf };

static void wait_for_context(struct context *each, void *unused)
{
    engine_wait_all(&each->queue);
}

static CUresult host_alloc(void **ret_host, size_t bytes, unsigned flags)
{
    struct context *context;
    CUresult result = context_enter(&context);
    void *host;

    if (!result)
        result = capture_forbid();
    if (result)
        return result;
    if (!ret_host || !bytes || (flags & ~(unsigned)HOST_ALLOC_FLAGS))
        return CUDA_ERROR_INVALID_VALUE;
    host = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (host == MAP_FAILED)
        return CUDA_ERROR_OUT_OF_MEMORY;

    struct space_allocation allocation = {
        .base = (uint64_t)(uintptr_t)host,
        .bytes = bytes,
        .reach_bytes = bytes,
        .kind = SPACE_HOST,
        /* With unified addressing every such allocation is mapped, asked for or not. */
        .flags = flags | CU_MEMHOSTALLOC_DEVICEMAP,
        .ordinal = context->device->ordinal,
        .owner = context,
        .host = host,
    };
    int error = space_add(&allocation);

    if (error) {
        munmap(host, bytes);
        return process_result(error);
    }
    *ret_host = host;
    return CUDA_SUCCESS;
}

CUresult cuMemHostAlloc(void **ret_host, size_t bytes, unsigned int flags)
{
    return host_alloc(ret_host, bytes, flags);
}

CUresult cuMemAllocHost_v2(void **ret_host, size_t bytes)
{
    return host_alloc(ret_host, bytes, 0);
}

static bool find_host(const void *host, enum space_kind kind, bool from_base,
                      struct space_allocation *ret_allocation)
{
    uint64_t address = (uint64_t)(uintptr_t)host;

    return space_find(address, ret_allocation) && ret_allocation->kind == kind &&
           (!from_base || ret_allocation->base == address);
}

CUresult cuMemFreeHost(void *host)
{
    struct space_allocation allocation;
    struct context *context;
    CUresult result = context_enter(&context);

    if (!result)
        result = capture_forbid();
    if (result)
        return result;
    if (!find_host(host, SPACE_HOST, true, &allocation))
        return CUDA_ERROR_INVALID_VALUE;
    context_for_each(wait_for_context, NULL);
    if (space_remove(allocation.base, &allocation))
        return CUDA_ERROR_INVALID_VALUE;
    munmap(allocation.host, allocation.bytes);
    return CUDA_SUCCESS;
}

CUresult cuMemHostRegister_v2(void *host, size_t bytes, unsigned int flags)
{
    uint64_t address = (uint64_t)(uintptr_t)host;
    struct context *context;
    CUresult result = context_enter(&context);

    if (!result)
        result = capture_forbid();
    if (result)
        return result;
    if (!host || !bytes || bytes > UINT64_MAX - address || (flags & ~(unsigned)HOST_REGISTER_FLAGS))
        return CUDA_ERROR_INVALID_VALUE;
    if (flags & CU_MEMHOSTREGISTER_IOMEMORY)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (segment_window_touches(address, bytes))
        return CUDA_ERROR_INVALID_VALUE;

    struct space_allocation allocation = {
        .base = address,
        .bytes = bytes,
        .reach_bytes = bytes,
        .kind = SPACE_HOST_REGISTERED,
        .flags = flags | CU_MEMHOSTREGISTER_DEVICEMAP,
        .ordinal = context->device->ordinal,
        .owner = context,
        .host = host,
    };
    int error = space_add(&allocation);

    return error == -EEXIST ? CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED : process_result(error);
}

CUresult cuMemHostUnregister(void *host)
{
    struct space_allocation allocation;
    struct context *context;
    CUresult result = context_enter(&context);

    if (!result)
        result = capture_forbid();
    if (result)
        return result;
    if (!host)
        return CUDA_ERROR_INVALID_VALUE;
    if (!find_host(host, SPACE_HOST_REGISTERED, true, &allocation))
        return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    context_for_each(wait_for_context, NULL);
    return space_remove(allocation.base, &allocation) ? CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED : CUDA_SUCCESS;
}

static bool find_any_host(const void *host, struct space_allocation *ret_allocation)
{
    return find_host(host, SPACE_HOST, false, ret_allocation) ||
           find_host(host, SPACE_HOST_REGISTERED, false, ret_allocation);
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *ret_address, void *host, unsigned int flags)
{
    struct space_allocation allocation;
    struct context *context;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    if (!ret_address || flags || !find_any_host(host, &allocation))
        return CUDA_ERROR_INVALID_VALUE;
    *ret_address = (uint64_t)(uintptr_t)host;
    return CUDA_SUCCESS;
}

CUresult cuMemHostGetFlags(unsigned int *ret_flags, void *host)
{
    struct space_allocation allocation;
    struct context *context;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    if (!ret_flags || !find_any_host(host, &allocation))
        return CUDA_ERROR_INVALID_VALUE;
    *ret_flags = allocation.flags;
    return CUDA_SUCCESS;
}
