/* The cuMemPool* calls, and cuMemAllocAsync and cuMemFreeAsync. */
#include "softgpu/driver/pool.h"

#include "softgpu/driver/capture.h"
#include "softgpu/driver/graph_memory.h"

/* ---- allocation ---- */

/* In a stream that captures, memory is allocated by a node; what pool it would have come from does not
 * matter. */
static CUresult alloc_in(struct stream *stream, struct pool *pool, size_t bytes, CUdeviceptr *ret_address)
{
    CUmemPoolProps properties = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                 .location = {CU_MEM_LOCATION_TYPE_DEVICE, (int)pool->device->number}};
    uint64_t address;
    CUresult result;

    if (capture_alloc(stream, &properties, bytes, ret_address, &result))
        return result;
    result = pool_alloc(pool, bytes, stream, &address);
    if (!result)
        *ret_address = address;
    return result;
}

static CUresult free_in(struct stream *stream, CUdeviceptr address)
{
    CUgraphNodeParams node = {.type = CU_GRAPH_NODE_TYPE_MEM_FREE, .free = {address}};
    struct space_allocation found;
    CUresult result;

    if (capture_node(stream, &node, &result))
        return result;
    if (space_find(address, &found) && found.kind == SPACE_GRAPH)
        return graph_memory_free(address, stream);
    return pool_free(address, stream);
}

static CUresult cuMemAllocAsync_in(bool per_thread, CUdeviceptr *ret_address, size_t bytes, CUstream handle)
{
    struct stream *stream;
    struct pool *pool;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    if (!ret_address || !bytes)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = pool_current(stream->context->device, &pool);
    if (!result)
        result = alloc_in(stream, pool, bytes, ret_address);
    object_unref(stream);
    return result;
}

STREAM_VARIANTS(cuMemAllocAsync, _ptsz, (CUdeviceptr * ret_address, size_t bytes, CUstream stream),
                ret_address, bytes, stream)

static CUresult cuMemAllocFromPoolAsync_in(bool per_thread, CUdeviceptr *ret_address, size_t bytes,
                                           CUmemoryPool pool_handle, CUstream handle)
{
    struct stream *stream;
    struct pool *pool;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    pool = object_get(OBJECT_POOL, pool_handle);
    if (!ret_address || !bytes || !pool)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = alloc_in(stream, pool, bytes, ret_address);
    object_unref(pool);
    object_unref(stream);
    return result;
}

STREAM_VARIANTS(cuMemAllocFromPoolAsync, _ptsz,
                (CUdeviceptr * ret_address, size_t bytes, CUmemoryPool pool, CUstream stream), ret_address,
                bytes, pool, stream)

static CUresult cuMemFreeAsync_in(bool per_thread, CUdeviceptr address, CUstream handle)
{
    struct stream *stream;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    result = free_in(stream, address);
    object_unref(stream);
    return result;
}

STREAM_VARIANTS(cuMemFreeAsync, _ptsz, (CUdeviceptr address, CUstream stream), address, stream)

/* ---- pools ---- */

CUresult cuMemPoolCreate(CUmemoryPool *ret_pool, const CUmemPoolProps *properties)
{
    struct device *device;
    struct pool *pool;
    CUresult result = process_check();

    if (result)
        return result;
    if (!ret_pool || !properties || properties->allocType != CU_MEM_ALLOCATION_TYPE_PINNED)
        return CUDA_ERROR_INVALID_VALUE;
    /* Pools in host memory and pools that other processes can open are not there yet. */
    if (properties->handleTypes != CU_MEM_HANDLE_TYPE_NONE ||
        properties->location.type != CU_MEM_LOCATION_TYPE_DEVICE)
        return CUDA_ERROR_NOT_SUPPORTED;
    result = process_device(properties->location.id, &device);
    if (!result)
        result = pool_new(device, properties->maxSize, false, &pool);
    if (result)
        return result;
    *ret_pool = (CUmemoryPool)pool;
    return CUDA_SUCCESS;
}

CUresult cuMemPoolDestroy(CUmemoryPool handle)
{
    CUresult result = process_check();
    struct pool *pool, *replaced = NULL;

    if (result)
        return result;
    pool = object_get(OBJECT_POOL, handle);
    if (!pool || pool->is_default) {
        object_unref(pool);
        return CUDA_ERROR_INVALID_VALUE;
    }
    pool_settle(pool);
    pthread_mutex_lock(&pool->device->lock);
    if (pool->device->current_pool == pool) {
        replaced = pool;
        pool->device->current_pool = object_ref(pool->device->default_pool);
    }
    pthread_mutex_unlock(&pool->device->lock);
    object_unref(replaced);
    /* Allocations still out hold it; the last one takes it with it. */
    if (object_retire(pool))
        object_unref(pool);
    object_unref(pool);
    return CUDA_SUCCESS;
}

CUresult cuMemPoolTrimTo(CUmemoryPool handle, size_t keep_bytes)
{
    CUresult result = process_check();
    struct pool *pool;

    if (result)
        return result;
    pool = object_get(OBJECT_POOL, handle);
    if (!pool)
        return CUDA_ERROR_INVALID_VALUE;
    pool_trim(pool, keep_bytes);
    object_unref(pool);
    return CUDA_SUCCESS;
}

/* ---- attributes ---- */

static CUresult get_attribute_locked(struct pool *pool, CUmemPool_attribute attribute, void *value)
{
    switch (attribute) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
        *(int *)value = pool->follow_events;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
        *(int *)value = pool->opportunistic;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
        *(int *)value = pool->internal_dependencies;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
        *(cuuint64_t *)value = pool->release_threshold_bytes;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
        *(cuuint64_t *)value = pool->heap.chunk_bytes;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
        *(cuuint64_t *)value = pool->reserved_high_bytes;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
        *(cuuint64_t *)value = pool->heap.used_bytes;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
        *(cuuint64_t *)value = pool->used_high_bytes;
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

/* The high marks can only be set back, by writing 0. */
static CUresult reset_high_locked(uint64_t *high_bytes, uint64_t now_bytes, const void *value)
{
    if (*(const cuuint64_t *)value)
        return CUDA_ERROR_INVALID_VALUE;
    *high_bytes = now_bytes;
    return CUDA_SUCCESS;
}

static CUresult set_attribute_locked(struct pool *pool, CUmemPool_attribute attribute, const void *value)
{
    switch (attribute) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
        pool->follow_events = *(const int *)value != 0;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
        pool->opportunistic = *(const int *)value != 0;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
        pool->internal_dependencies = *(const int *)value != 0;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
        __atomic_store_n(&pool->release_threshold_bytes, *(const cuuint64_t *)value, __ATOMIC_RELAXED);
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
        return reset_high_locked(&pool->reserved_high_bytes, pool->heap.chunk_bytes, value);
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
        return reset_high_locked(&pool->used_high_bytes, pool->heap.used_bytes, value);
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult cuMemPoolGetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute, void *value)
{
    CUresult result = process_check();
    struct pool *pool;

    if (result)
        return result;
    pool = value ? object_get(OBJECT_POOL, handle) : NULL;
    if (!pool)
        return CUDA_ERROR_INVALID_VALUE;
    pool_settle(pool);
    pthread_mutex_lock(&pool->lock);
    result = get_attribute_locked(pool, attribute, value);
    pthread_mutex_unlock(&pool->lock);
    object_unref(pool);
    return result;
}

CUresult cuMemPoolSetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute, void *value)
{
    CUresult result = process_check();
    struct pool *pool;

    if (result)
        return result;
    pool = value ? object_get(OBJECT_POOL, handle) : NULL;
    if (!pool)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&pool->lock);
    result = set_attribute_locked(pool, attribute, value);
    pthread_mutex_unlock(&pool->lock);
    object_unref(pool);
    return result;
}

/* ---- access ---- */

static CUresult set_access_locked(struct pool *pool, const CUmemAccessDesc *access)
{
    unsigned ordinal;

    if (access->location.type != CU_MEM_LOCATION_TYPE_DEVICE || access->location.id < 0 ||
        (unsigned)access->location.id >= process_device_count())
        return CUDA_ERROR_INVALID_DEVICE;
    ordinal = process_device_at((unsigned)access->location.id)->ordinal;
    switch (access->flags) {
    case CU_MEM_ACCESS_FLAGS_PROT_NONE:
        /* A pool's own device keeps its access. */
        if (ordinal == pool->device->ordinal)
            return CUDA_ERROR_INVALID_VALUE;
        pool->device_mask &= ~(UINT32_C(1) << ordinal);
        return CUDA_SUCCESS;
    case CU_MEM_ACCESS_FLAGS_PROT_READWRITE:
        pool->device_mask |= UINT32_C(1) << ordinal;
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

CUresult cuMemPoolSetAccess(CUmemoryPool handle, const CUmemAccessDesc *access, size_t count)
{
    CUresult result = process_check();
    struct pool *pool;

    if (result)
        return result;
    pool = access || !count ? object_get(OBJECT_POOL, handle) : NULL;
    if (!pool)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < count && !result; i++)
        result = set_access_locked(pool, &access[i]);
    space_set_pool_devices(pool, pool->device_mask);
    pthread_mutex_unlock(&pool->lock);
    object_unref(pool);
    return result;
}

CUresult cuMemPoolGetAccess(CUmemAccess_flags *ret_flags, CUmemoryPool handle, CUmemLocation *location)
{
    CUresult result = process_check();
    struct pool *pool;

    if (result)
        return result;
    if (!ret_flags || !location || location->type != CU_MEM_LOCATION_TYPE_DEVICE || location->id < 0 ||
        (unsigned)location->id >= process_device_count())
        return CUDA_ERROR_INVALID_VALUE;
    pool = object_get(OBJECT_POOL, handle);
    if (!pool)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&pool->lock);
    *ret_flags = pool->device_mask & (UINT32_C(1) << process_device_at((unsigned)location->id)->ordinal)
                     ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE
                     : CU_MEM_ACCESS_FLAGS_PROT_NONE;
    pthread_mutex_unlock(&pool->lock);
    object_unref(pool);
    return CUDA_SUCCESS;
}

/* ---- the pools of a device ---- */

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *ret_pool, CUdevice ordinal)
{
    struct device *device;
    struct pool *pool;
    CUresult result = process_device(ordinal, &device);

    if (!result && !ret_pool)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = pool_default(device, &pool);
    if (!result)
        *ret_pool = (CUmemoryPool)pool;
    return result;
}

CUresult cuDeviceGetMemPool(CUmemoryPool *ret_pool, CUdevice ordinal)
{
    struct device *device;
    struct pool *pool;
    CUresult result = process_device(ordinal, &device);

    if (!result && !ret_pool)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = pool_current(device, &pool);
    if (!result)
        *ret_pool = (CUmemoryPool)pool;
    return result;
}

CUresult cuDeviceSetMemPool(CUdevice ordinal, CUmemoryPool handle)
{
    struct pool *pool, *current, *replaced;
    struct device *device;
    CUresult result = process_device(ordinal, &device);

    if (!result)
        result = pool_current(device, &current);
    if (result)
        return result;
    pool = object_get(OBJECT_POOL, handle);
    if (!pool || pool->device != device) {
        object_unref(pool);
        return CUDA_ERROR_INVALID_VALUE;
    }
    pthread_mutex_lock(&device->lock);
    replaced = device->current_pool;
    device->current_pool = pool;
    pthread_mutex_unlock(&device->lock);
    object_unref(replaced);
    return CUDA_SUCCESS;
}

/* A location other than a device's own memory has no pool here. */
static CUresult device_of_location(const CUmemLocation *location, CUmemAllocationType type,
                                   CUdevice *ret_ordinal)
{
    if (!location)
        return CUDA_ERROR_INVALID_VALUE;
    if (location->type != CU_MEM_LOCATION_TYPE_DEVICE || type != CU_MEM_ALLOCATION_TYPE_PINNED)
        return CUDA_ERROR_NOT_SUPPORTED;
    *ret_ordinal = location->id;
    return CUDA_SUCCESS;
}

CUresult cuMemGetDefaultMemPool(CUmemoryPool *ret_pool, CUmemLocation *location, CUmemAllocationType type)
{
    CUdevice ordinal;
    CUresult result = device_of_location(location, type, &ordinal);

    return result ? result : cuDeviceGetDefaultMemPool(ret_pool, ordinal);
}

CUresult cuMemGetMemPool(CUmemoryPool *ret_pool, CUmemLocation *location, CUmemAllocationType type)
{
    CUdevice ordinal;
    CUresult result = device_of_location(location, type, &ordinal);

    return result ? result : cuDeviceGetMemPool(ret_pool, ordinal);
}

CUresult cuMemSetMemPool(CUmemLocation *location, CUmemAllocationType type, CUmemoryPool pool)
{
    CUdevice ordinal;
    CUresult result = device_of_location(location, type, &ordinal);

    return result ? result : cuDeviceSetMemPool(ordinal, pool);
}
