/* The hooks of stream-ordered memory: allocation and free in both flavours of default stream, and the pools
 * themselves. The account behind them is pool.c. */
#include "shim/pool_api.h"

#include "shim/charge.h"
#include "shim/graph_exec.h"
#include "shim/overhead.h"
#include "shim/pool.h"

/* ---- allocating ---- */

/* Which of the driver's two sets of functions: stream 0 is the legacy stream, or the thread's own. */
struct flavour {
    bool per_thread;
    CUresult (*alloc)(CUdeviceptr *address, size_t bytes, CUstream stream);
    CUresult (*alloc_from_pool)(CUdeviceptr *address, size_t bytes, CUmemoryPool pool, CUstream stream);
    CUresult (*free)(CUdeviceptr address, CUstream stream);
    CUresult (*is_capturing)(CUstream stream, CUstreamCaptureStatus *status);
    CUresult (*context)(CUstream stream, CUcontext *context);
    CUresult (*synchronize)(CUstream stream);
    CUresult (*record)(CUevent event, CUstream stream);
};

static struct flavour flavour_legacy(void)
{
    return (struct flavour){false,
                            real(cuMemAllocAsync),
                            real(cuMemAllocFromPoolAsync),
                            real(cuMemFreeAsync),
                            real(cuStreamIsCapturing),
                            real(cuStreamGetCtx),
                            real(cuStreamSynchronize),
                            real(cuEventRecord)};
}

static struct flavour flavour_ptsz(void)
{
    return (struct flavour){true,
                            real(cuMemAllocAsync_ptsz),
                            real(cuMemAllocFromPoolAsync_ptsz),
                            real(cuMemFreeAsync_ptsz),
                            real(cuStreamIsCapturing_ptsz),
                            real(cuStreamGetCtx_ptsz),
                            real(cuStreamSynchronize_ptsz),
                            real(cuEventRecord_ptsz)};
}

static bool is_default_stream(CUstream stream)
{
    return !stream || stream == CU_STREAM_LEGACY || stream == CU_STREAM_PER_THREAD;
}

/* The device whose pool an allocation in stream comes from: that of the stream's context, which need not be
 * the current one. */
static CUresult stream_device(const struct flavour *flavour, CUstream stream, CUdevice *ret_device)
{
    CUcontext context, current;
    CUresult result;

    if (is_default_stream(stream))
        return real(cuCtxGetDevice)(ret_device);
    result = flavour->context(stream, &context);
    if (result)
        return result;
    if (real(cuCtxGetCurrent)(&current) == CUDA_SUCCESS && current == context)
        return real(cuCtxGetDevice)(ret_device);
    result = real(cuCtxPushCurrent_v2)(context);
    if (result)
        return result;
    result = real(cuCtxGetDevice)(ret_device);
    real(cuCtxPopCurrent_v2)(&current);
    return result;
}

static CUresult stream_pool(const struct flavour *flavour, CUstream stream, CUmemoryPool *ret_pool)
{
    CUdevice device;
    CUresult result = stream_device(flavour, stream, &device);

    return result ? result : real(cuDeviceGetMemPool)(ret_pool, device);
}

/* How the pool's room names a stream. The per-thread default stream is another one in each thread, so it is
 * none. */
static uintptr_t room_stream(const struct flavour *flavour, CUstream stream)
{
    if (stream == CU_STREAM_PER_THREAD || (!stream && flavour->per_thread))
        return ROOM_NO_STREAM;
    return (uintptr_t)(stream ? stream : CU_STREAM_LEGACY);
}

static int entry_add(const struct pool_growth *growth, uint64_t address, uint64_t chunk)
{
    struct pool *pool = growth->pool;
    const struct table_entry entry = {.address = address,
                                      .bytes = growth->wanted_bytes,
                                      .chunk = chunk,
                                      .owner = pool,
                                      .device = (uint16_t)pool->device,
                                      .door = TABLE_POOL};
    int r = table_insert(&entry);

    if (r < 0)
        return r;
    pthread_mutex_lock(&pool->lock);
    pool->live++;
    pool->live_bytes += entry.bytes;
    pthread_mutex_unlock(&pool->lock);
    return 0;
}

/* Takes back an allocation that made the pool grow past the limit. Waits for the stream, because a pool gives
 * memory back only then; nothing but this refused allocation waits. */
static void alloc_undo(const struct flavour *flavour, struct ledger_client *client, struct pool *pool,
                       uint64_t address, CUstream stream)
{
    if (flavour->free(address, stream) == CUDA_SUCCESS && flavour->synchronize(stream) == CUDA_SUCCESS)
        real(cuMemPoolTrimTo)(pool->handle, 0);
    pool_settle(client, pool);
}

static CUresult pool_alloc(const struct flavour *flavour, struct ledger_client *client, CUdeviceptr *address,
                           size_t bytes, CUmemoryPool handle, bool from_pool, CUstream stream)
{
    struct pool *pool = pool_of(handle);
    struct pool_growth growth;
    uint64_t chunk;
    CUresult result;
    int r;

    if (!pool)
        return shim_refuse("an allocation from a pool of unknown place");
    if (pool->device == POOL_NOT_ON_DEVICE)
        return from_pool ? flavour->alloc_from_pool(address, bytes, handle, stream)
                         : flavour->alloc(address, bytes, stream);
    r = pool_growth_begin(&growth, client, pool, bytes, room_stream(flavour, stream),
                          from_pool ? "cuMemAllocFromPoolAsync" : "cuMemAllocAsync");
    if (r < 0)
        return shim_result(r);
    result = from_pool ? flavour->alloc_from_pool(address, bytes, handle, stream)
                       : flavour->alloc(address, bytes, stream);
    r = pool_growth_end(&growth, client, result ? 0 : *address, &chunk);
    if (result == CUDA_ERROR_OUT_OF_MEMORY)
        ledger_deny_by_driver(client, (unsigned)pool->device, growth.call, bytes);
    if (result == CUDA_SUCCESS && (r < 0 || entry_add(&growth, *address, chunk) < 0)) {
        alloc_undo(flavour, client, pool, *address, stream);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    return result;
}

/* While a stream captures, the allocation becomes a node of a graph, and takes memory when that is launched
 * (graph.c). */
static CUresult captures(const struct flavour *flavour, CUstream stream, bool *ret_captures)
{
    CUstreamCaptureStatus status;
    CUresult result = flavour->is_capturing(stream, &status);

    if (result)
        return result;
    *ret_captures = status != CU_STREAM_CAPTURE_STATUS_NONE;
    if (*ret_captures)
        graph_nodes_expect();
    return CUDA_SUCCESS;
}

static CUresult alloc_async(const struct flavour *flavour, struct ledger_client *client, CUdeviceptr *address,
                            size_t bytes, CUstream stream)
{
    CUmemoryPool pool;
    bool captured;
    CUresult result = captures(flavour, stream, &captured);

    if (!result && captured)
        return flavour->alloc(address, bytes, stream);
    if (!result)
        result = stream_pool(flavour, stream, &pool);
    return result ? result : pool_alloc(flavour, client, address, bytes, pool, false, stream);
}

static CUresult alloc_from_pool_async(const struct flavour *flavour, struct ledger_client *client,
                                      CUdeviceptr *address, size_t bytes, CUmemoryPool pool, CUstream stream)
{
    bool captured;
    CUresult result = captures(flavour, stream, &captured);

    if (!result && captured)
        return flavour->alloc_from_pool(address, bytes, pool, stream);
    return result ? result : pool_alloc(flavour, client, address, bytes, pool, true, stream);
}

CUresult cuMemAllocAsync(CUdeviceptr *address, size_t bytes, CUstream stream)
{
    struct ledger_client *client;
    CUresult result = shim_limit(&client);
    struct flavour flavour;

    if (result || !client)
        return result ? result : real(cuMemAllocAsync)(address, bytes, stream);
    flavour = flavour_legacy();
    return alloc_async(&flavour, client, address, bytes, stream);
}

CUresult cuMemAllocAsync_ptsz(CUdeviceptr *address, size_t bytes, CUstream stream)
{
    struct ledger_client *client;
    CUresult result = shim_limit(&client);
    struct flavour flavour;

    if (result || !client)
        return result ? result : real(cuMemAllocAsync_ptsz)(address, bytes, stream);
    flavour = flavour_ptsz();
    return alloc_async(&flavour, client, address, bytes, stream);
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr *address, size_t bytes, CUmemoryPool pool, CUstream stream)
{
    struct ledger_client *client;
    CUresult result = shim_limit(&client);
    struct flavour flavour;

    if (result || !client || !address || !pool)
        return result ? result : real(cuMemAllocFromPoolAsync)(address, bytes, pool, stream);
    flavour = flavour_legacy();
    return alloc_from_pool_async(&flavour, client, address, bytes, pool, stream);
}

CUresult cuMemAllocFromPoolAsync_ptsz(CUdeviceptr *address, size_t bytes, CUmemoryPool pool, CUstream stream)
{
    struct ledger_client *client;
    CUresult result = shim_limit(&client);
    struct flavour flavour;

    if (result || !client || !address || !pool)
        return result ? result : real(cuMemAllocFromPoolAsync_ptsz)(address, bytes, pool, stream);
    flavour = flavour_ptsz();
    return alloc_from_pool_async(&flavour, client, address, bytes, pool, stream);
}

/* ---- freeing ---- */

CUresult pool_api_free(struct ledger_client *client, const struct table_entry *entry,
                       CUresult (*driver_free)(uint64_t address))
{
    CUresult result = driver_free(entry->address);

    if (result != CUDA_SUCCESS) {
        table_insert(entry); /* into the room it just left */
        return result;
    }
    pool_release(client, entry, NULL, ROOM_ANY_STREAM, NULL);
    pool_settle(client, (struct pool *)entry->owner);
    return result;
}

static CUresult free_async(const struct flavour *flavour, struct ledger_client *client, CUdeviceptr address,
                           CUstream stream)
{
    CUstreamCaptureStatus status;
    struct table_entry entry;
    CUresult result;

    /* In a capture nothing is freed now: the free becomes a node, and what it would free stays charged. */
    if (flavour->is_capturing(stream, &status) != CUDA_SUCCESS || status != CU_STREAM_CAPTURE_STATUS_NONE ||
        !table_take(address, &entry))
        return flavour->free(address, stream);
    result = flavour->free(address, stream);
    if (result != CUDA_SUCCESS) {
        table_insert(&entry);
    } else if (entry.door == TABLE_POOL) {
        pool_release(client, &entry, stream, room_stream(flavour, stream), flavour->record);
    } else {
        deferred_add(&entry, stream, flavour->record);
    }
    return result;
}

CUresult cuMemFreeAsync(CUdeviceptr address, CUstream stream)
{
    struct ledger_client *client;
    CUresult result = shim_limit(&client);
    struct flavour flavour;

    if (result || !client)
        return result ? result : real(cuMemFreeAsync)(address, stream);
    flavour = flavour_legacy();
    return free_async(&flavour, client, address, stream);
}

CUresult cuMemFreeAsync_ptsz(CUdeviceptr address, CUstream stream)
{
    struct ledger_client *client;
    CUresult result = shim_limit(&client);
    struct flavour flavour;

    if (result || !client)
        return result ? result : real(cuMemFreeAsync_ptsz)(address, stream);
    flavour = flavour_ptsz();
    return free_async(&flavour, client, address, stream);
}

/* ---- the pools themselves ---- */

static int properties_device(const CUmemPoolProps *properties)
{
    switch (properties->location.type) {
    case CU_MEM_LOCATION_TYPE_DEVICE:
        return shim_device_index(properties->location.id);
    case CU_MEM_LOCATION_TYPE_HOST:
    case CU_MEM_LOCATION_TYPE_HOST_NUMA:
    case CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT:
        return POOL_NOT_ON_DEVICE;
    default:
        return -1;
    }
}

CUresult cuMemPoolCreate(CUmemoryPool *pool, const CUmemPoolProps *properties)
{
    struct ledger_client *client;
    CUresult result = shim_limit(&client);

    if (result)
        return result;
    if (!client || !properties || !pool) /* without a place for its answer it is the driver that refuses */
        return real(cuMemPoolCreate)(pool, properties);
    if (properties->allocType != CU_MEM_ALLOCATION_TYPE_PINNED)
        return shim_refuse("cuMemPoolCreate of a pool that is not of pinned device memory");
    result = real(cuMemPoolCreate)(pool, properties);
    if (result)
        return result;
    if (!pool_add(*pool, properties_device(properties))) {
        real(cuMemPoolDestroy)(*pool);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    return CUDA_SUCCESS;
}

CUresult cuMemPoolDestroy(CUmemoryPool handle)
{
    struct ledger_client *client;
    struct pool *pool;
    CUresult result = shim_limit(&client);

    if (result || !client)
        return result ? result : real(cuMemPoolDestroy)(handle);
    pool = pool_find(handle);
    if (pool)
        pool_trim(client, pool, 0);
    result = real(cuMemPoolDestroy)(handle);
    if (result == CUDA_SUCCESS && pool)
        pool_retire(pool);
    return result;
}

CUresult cuMemPoolTrimTo(CUmemoryPool handle, size_t keep_bytes)
{
    struct ledger_client *client;
    struct pool *pool;
    CUresult result = shim_limit(&client);

    if (result || !client)
        return result ? result : real(cuMemPoolTrimTo)(handle, keep_bytes);
    pool = pool_find(handle);
    return pool ? pool_trim(client, pool, keep_bytes) : real(cuMemPoolTrimTo)(handle, keep_bytes);
}
