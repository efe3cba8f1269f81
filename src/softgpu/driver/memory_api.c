/* The cuMem* calls that allocate and free device memory at once, and say how much there is. */
#include <stddef.h>

#include "softgpu/driver/external.h"
#include "softgpu/driver/capture.h"
#include "softgpu/driver/graph_memory.h"
#include "softgpu/driver/memory.h"
#include "softgpu/driver/pool.h"

/* Waits for the work of every context that may touch memory of `owner`: freeing must not pull it from under a
 * kernel. */
static void wait_for_users(struct context *each, void *owner)
{
    if (!owner || context_may_use(each, owner))
        engine_wait_all(&each->queue);
}

/* A device that is full may be full of what its pools keep without need. */
static CUresult alloc_with_reclaim(struct context *context, uint64_t bytes, enum space_kind kind,
                                   unsigned flags, struct space_allocation *ret_allocation)
{
    CUresult result = memory_alloc(context, bytes, kind, flags, ret_allocation);

    if (result != CUDA_ERROR_OUT_OF_MEMORY || !pool_reclaim(context->device))
        return result;
    return memory_alloc(context, bytes, kind, flags, ret_allocation);
}

CUresult cuMemAlloc_v2(CUdeviceptr *ret_address, size_t bytes)
{
    struct space_allocation allocation;
    struct context *context;
    CUresult result = context_enter(&context);

    if (!result)
        result = capture_forbid();
    if (result)
        return result;
    if (!ret_address || !bytes)
        return CUDA_ERROR_INVALID_VALUE;
    result = alloc_with_reclaim(context, bytes, SPACE_DEVICE, 0, &allocation);
    if (!result)
        *ret_address = allocation.base;
    return result;
}

CUresult cuMemAllocPitch_v2(CUdeviceptr *ret_address, size_t *ret_pitch, size_t width_bytes, size_t height,
                            unsigned int element_bytes)
{
    struct space_allocation allocation;
    struct context *context;
    CUresult result = context_enter(&context);
    size_t pitch, bytes, align;

    if (!result)
        result = capture_forbid();
    if (result)
        return result;
    if (!ret_address || !ret_pitch || !width_bytes || !height ||
        (element_bytes != 4 && element_bytes != 8 && element_bytes != 16))
        return CUDA_ERROR_INVALID_VALUE;
    align = context->device->properties->pitch_align_bytes;
    if (width_bytes > SIZE_MAX - align)
        return CUDA_ERROR_INVALID_VALUE;
    pitch = (width_bytes + align - 1) / align * align;
    if (__builtin_mul_overflow(pitch, height, &bytes))
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = alloc_with_reclaim(context, bytes, SPACE_DEVICE, 0, &allocation);
    if (result)
        return result;
    *ret_address = allocation.base;
    *ret_pitch = pitch;
    return CUDA_SUCCESS;
}

CUresult cuMemAllocManaged(CUdeviceptr *ret_address, size_t bytes, unsigned int flags)
{
    struct space_allocation allocation;
    struct context *context;
    CUresult result = context_enter(&context);

    if (!result)
        result = capture_forbid();
    if (result)
        return result;
    if (!ret_address || !bytes || (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST))
        return CUDA_ERROR_INVALID_VALUE;
    result = alloc_with_reclaim(context, bytes, SPACE_MANAGED, flags, &allocation);
    if (!result)
        *ret_address = allocation.base;
    return result;
}

CUresult cuMemFree_v2(CUdeviceptr address)
{
    struct space_allocation allocation;
    struct context *context;
    CUresult result = context_enter(&context);

    if (!result)
        result = capture_forbid();
    if (result || !address)
        return result;
    if (!space_find(address, &allocation) || allocation.base != address)
        return CUDA_ERROR_INVALID_VALUE;
    switch (allocation.kind) {
    case SPACE_DEVICE:
    case SPACE_MANAGED:
        context_for_each(wait_for_users, allocation.kind == SPACE_MANAGED ? NULL : allocation.owner);
        return memory_free(address) ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
    case SPACE_EXTERNAL:
        context_wait_all();
        if (space_remove(address, &allocation))
            return CUDA_ERROR_INVALID_VALUE;
        external_buffer_end(&allocation);
        return CUDA_SUCCESS;
    case SPACE_POOL:
        context_wait_all();
        return pool_free_now(&allocation) ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
    case SPACE_GRAPH:
        context_wait_all();
        return graph_memory_free_now(address) ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult cuMemGetInfo_v2(size_t *ret_free, size_t *ret_total)
{
    uint64_t free_bytes, total_bytes;
    struct context *context;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    if (!ret_free || !ret_total)
        return CUDA_ERROR_INVALID_VALUE;
    result =
        process_result(sgdev_memory(process_sgdev(), context->device->ordinal, &free_bytes, &total_bytes));
    if (result)
        return result;
    *ret_free = free_bytes;
    *ret_total = total_bytes;
    return CUDA_SUCCESS;
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr *ret_base, size_t *ret_bytes, CUdeviceptr address)
{
    struct space_allocation allocation;
    struct context *context;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    if (!space_find(address, &allocation))
        return CUDA_ERROR_NOT_FOUND;
    if (ret_base)
        *ret_base = allocation.base;
    if (ret_bytes)
        *ret_bytes = allocation.bytes;
    return CUDA_SUCCESS;
}
