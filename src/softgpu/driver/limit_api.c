/* cuCtxGetLimit and cuCtxSetLimit, and what limits cost. A context's price covers the limits it begins with;
 * what a program asks for beyond them is device memory, taken at once: the device heap and the FIFO of printf
 * by the byte, the stack for every thread that the device can hold at a time. Each is rounded up to granules
 * by itself. */
#include "softgpu/driver/context.h"
#include "softgpu/driver/device.h"
#include "softgpu/driver/pool.h"

enum { STACK_MAX_BYTES = 512 * 1024, L2_FETCH_MAX_BYTES = 128 };

static bool limit_is_known(CUlimit limit)
{
    return (unsigned)limit <= CU_LIMIT_PERSISTING_L2_CACHE_SIZE;
}

static CUresult limit_enter(CUlimit limit, struct context **ret_context)
{
    CUresult result = context_enter(ret_context);

    if (result || limit_is_known(limit))
        return result;
    return (unsigned)limit < CU_LIMIT_MAX ? CUDA_ERROR_UNSUPPORTED_LIMIT : CUDA_ERROR_INVALID_VALUE;
}

/* Device memory for one limit. False when that is no number. */
static bool limit_cost(const struct device *device, CUlimit limit, size_t value, uint64_t *ret_bytes)
{
    const struct sgdev_properties *properties = device->properties;
    uint64_t included, times = 1, bytes;

    switch (limit) {
    case CU_LIMIT_STACK_SIZE:
        included = CONTEXT_STACK_BYTES;
        times = (uint64_t)properties->sm_count * DEVICE_THREADS_PER_SM;
        break;
    case CU_LIMIT_PRINTF_FIFO_SIZE:
        included = CONTEXT_PRINT_BYTES;
        break;
    case CU_LIMIT_MALLOC_HEAP_SIZE:
        included = CONTEXT_HEAP_BYTES;
        break;
    default:
        included = SIZE_MAX;
    }
    *ret_bytes = 0;
    if (value <= included)
        return true;
    if (__builtin_mul_overflow(value - included, times, &bytes) ||
        __builtin_add_overflow(bytes, properties->granule_bytes - 1, &bytes))
        return false;
    *ret_bytes = bytes / properties->granule_bytes * properties->granule_bytes;
    return true;
}

/* Takes or gives back what limits cost when `limit` becomes value. */
static CUresult pay_locked(struct context *context, CUlimit limit, size_t value)
{
    uint64_t total = 0, before = 0;

    for (int each = 0; each < CU_LIMIT_MAX; each++) {
        size_t now = context->limits[each];
        uint64_t bytes, old_bytes = 0;

        limit_cost(context->device, (CUlimit)each, now, &old_bytes);
        if (!limit_cost(context->device, (CUlimit)each, each == (int)limit ? value : now, &bytes) ||
            __builtin_add_overflow(total, bytes, &total))
            return CUDA_ERROR_OUT_OF_MEMORY;
        before += old_bytes;
    }
    return total == before
               ? CUDA_SUCCESS
               : process_result(sgdev_context_resize(process_sgdev(), context->device_context, total));
}

static CUresult set_value(struct context *context, CUlimit limit, size_t value)
{
    pthread_mutex_lock(&context->lock);
    CUresult result = pay_locked(context, limit, value);
    if (!result)
        context->limits[limit] = value;
    pthread_mutex_unlock(&context->lock);
    return result;
}

CUresult cuCtxGetLimit(size_t *ret_value, CUlimit limit)
{
    struct context *context;
    CUresult result = limit_enter(limit, &context);

    if (result)
        return result;
    if (!ret_value)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&context->lock);
    *ret_value = context->limits[limit];
    pthread_mutex_unlock(&context->lock);
    return CUDA_SUCCESS;
}

CUresult cuCtxSetLimit(CUlimit limit, size_t value)
{
    struct context *context;
    CUresult result = limit_enter(limit, &context);

    if (result)
        return result;
    if ((limit == CU_LIMIT_MAX_L2_FETCH_GRANULARITY && value > L2_FETCH_MAX_BYTES) ||
        (limit == CU_LIMIT_STACK_SIZE && value > STACK_MAX_BYTES))
        return CUDA_ERROR_INVALID_VALUE;
    /* There is no L2 to set aside: the value stays 0, as on hardware without the feature. */
    if (limit == CU_LIMIT_PERSISTING_L2_CACHE_SIZE)
        return value ? CUDA_ERROR_UNSUPPORTED_LIMIT : CUDA_SUCCESS;
    /* As documented: the heap has its size from the first kernel that uses it. */
    if (limit == CU_LIMIT_MALLOC_HEAP_SIZE && kernel_heap_is_made(&context->kernel_heap))
        return CUDA_ERROR_INVALID_VALUE;
    result = set_value(context, limit, value);
    if (result == CUDA_ERROR_OUT_OF_MEMORY && pool_reclaim(context->device))
        result = set_value(context, limit, value);
    if (!result && limit == CU_LIMIT_PRINTF_FIFO_SIZE)
        print_set_limit(&context->print, value);
    return result;
}
