/* Stream-ordered memory. A free is a marker in its stream: until the marker is complete the block is pending,
 * usable by the work before it and, again, by allocations of the same stream, whose work comes after it. */
#include "softgpu/driver/pool.h"

#include <errno.h>
#include <stdlib.h>

#include "softgpu/driver/memory.h"
#include "softgpu/driver/segment.h"

struct pool_pending {
    struct pool_pending *next;
    uint64_t base, bytes;
    unsigned long long stream_id;
    struct engine_work *freed; /* complete: the stream has come to the free */
};

static struct {
    pthread_mutex_t lock;
    struct pool *first;
} pools = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- the set of pools ---- */

static void pools_add(struct pool *pool)
{
    pthread_mutex_lock(&pools.lock);
    pool->next = pools.first;
    pools.first = pool;
    pthread_mutex_unlock(&pools.lock);
}

static void pools_remove(struct pool *pool)
{
    pthread_mutex_lock(&pools.lock);
    for (struct pool **link = &pools.first; *link; link = &(*link)->next) {
        if (*link != pool)
            continue;
        *link = pool->next;
        break;
    }
    pthread_mutex_unlock(&pools.lock);
}

/* True when visit said so for any pool of the device. No lock is held while it runs. */
static bool for_each_pool(struct device *device, bool (*visit)(struct pool *))
{
    struct pool *few[32], **all = few;
    size_t n = 0, n_all = 0;
    bool any = false;

    pthread_mutex_lock(&pools.lock);
    for (struct pool *pool = pools.first; pool; pool = pool->next)
        n_all++;
    if (n_all > sizeof(few) / sizeof(few[0]))
        all = malloc(n_all * sizeof(*all));
    for (struct pool *pool = pools.first; pool && all; pool = pool->next)
        if (pool->device == device && object_try_ref(pool))
            all[n++] = pool;
    pthread_mutex_unlock(&pools.lock);
    for (size_t i = 0; i < n; i++) {
        any |= visit(all[i]);
        object_unref(all[i]);
    }
    if (all != few)
        free(all);
    return any;
}

static void pool_destroy(void *object)
{
    struct pool *pool = object;
    struct heap_range chunk;

    pools_remove(pool);
    while (heap_remove_any_chunk(&pool->heap, &chunk))
        segment_free(chunk.base);
    heap_done(&pool->heap);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

CUresult pool_new(struct device *device, uint64_t max_bytes, bool is_default, struct pool **ret_pool)
{
    struct pool *pool = calloc(1, sizeof(*pool));

    if (!pool)
        return CUDA_ERROR_OUT_OF_MEMORY;
    object_init(&pool->object, OBJECT_POOL, pool_destroy);
    pool->device = device;
    pool->is_default = is_default;
    pool->max_bytes = max_bytes;
    pool->follow_events = pool->opportunistic = pool->internal_dependencies = true;
    pool->device_mask = UINT32_C(1) << device->ordinal;
    pthread_mutex_init(&pool->lock, NULL);
    heap_init(&pool->heap, MEMORY_BLOCK_BYTES);
    pools_add(pool);
    object_publish(pool);
    *ret_pool = pool;
    return CUDA_SUCCESS;
}

static CUresult default_locked(struct device *device)
{
    CUresult result = CUDA_SUCCESS;

    if (!device->default_pool)
        result = pool_new(device, 0, true, &device->default_pool);
    if (!result && !device->current_pool)
        device->current_pool = object_ref(device->default_pool);
    return result;
}

CUresult pool_default(struct device *device, struct pool **ret_pool)
{
    pthread_mutex_lock(&device->lock);
    CUresult result = default_locked(device);
    if (!result)
        *ret_pool = device->default_pool;
    pthread_mutex_unlock(&device->lock);
    return result;
}

CUresult pool_current(struct device *device, struct pool **ret_pool)
{
    pthread_mutex_lock(&device->lock);
    CUresult result = default_locked(device);
    if (!result)
        *ret_pool = device->current_pool;
    pthread_mutex_unlock(&device->lock);
    return result;
}

/* ---- blocks ---- */

/* The block of a freed allocation is unused from now on. The caller drops the reference of the pool that it
 * held. */
static void block_ended_locked(struct pool *pool, uint64_t base, uint64_t bytes)
{
    struct space_allocation gone;

    space_remove(base, &gone);
    heap_give(&pool->heap, base, bytes);
}

/* Ends the pending blocks whose free is complete, or all of them. Returns how many: each held a reference of
 * the pool. */
static unsigned settle_locked(struct pool *pool)
{
    struct pool_pending **link = &pool->pending;
    unsigned n_ended = 0;

    while (*link) {
        struct pool_pending *pending = *link;

        if (!engine_is_complete(pending->freed)) {
            link = &pending->next;
            continue;
        }
        *link = pending->next;
        block_ended_locked(pool, pending->base, pending->bytes);
        engine_work_unref(pending->freed);
        free(pending);
        n_ended++;
    }
    return n_ended;
}

static void drop_references(struct pool *pool, unsigned count)
{
    while (count--)
        object_unref(pool);
}

void pool_settle(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    unsigned n_ended = settle_locked(pool);
    pthread_mutex_unlock(&pool->lock);
    drop_references(pool, n_ended);
}

static bool trim_locked(struct pool *pool, uint64_t keep_bytes)
{
    struct heap_range chunk;
    bool any = false;

    while (pool->heap.chunk_bytes > keep_bytes && heap_remove_free_chunk(&pool->heap, &chunk)) {
        segment_free(chunk.base);
        any = true;
    }
    return any;
}

bool pool_trim(struct pool *pool, uint64_t keep_bytes)
{
    pool_settle(pool);
    pthread_mutex_lock(&pool->lock);
    bool any = trim_locked(pool, keep_bytes);
    pthread_mutex_unlock(&pool->lock);
    return any;
}

static void note_high_locked(struct pool *pool)
{
    if (pool->heap.used_bytes > pool->used_high_bytes)
        pool->used_high_bytes = pool->heap.used_bytes;
    if (pool->heap.chunk_bytes > pool->reserved_high_bytes)
        pool->reserved_high_bytes = pool->heap.chunk_bytes;
}

/* One more chunk, big enough for bytes. */
static int grow_locked(struct pool *pool, uint64_t bytes)
{
    uint64_t unit = pool->device->properties->pool_chunk_bytes, chunk_bytes, base;
    int error;

    if (bytes > UINT64_MAX - unit)
        return -ENOMEM;
    chunk_bytes = segment_round(pool->device->ordinal, (bytes + unit - 1) / unit * unit);
    if (pool->max_bytes && pool->heap.chunk_bytes + chunk_bytes > pool->max_bytes)
        return -ENOMEM;
    error = segment_alloc(pool->device->ordinal, chunk_bytes, SEGMENT_DEVICE, &base);
    if (error)
        return error;
    error = heap_add(&pool->heap, base, chunk_bytes);
    if (error)
        segment_free(base);
    return error;
}

static int take_locked(struct pool *pool, uint64_t bytes, uint64_t *ret_base)
{
    if (heap_take(&pool->heap, bytes, ret_base) == 0)
        return 0;
    int error = grow_locked(pool, bytes);
    return error ? error : heap_take(&pool->heap, bytes, ret_base);
}

/* ---- allocation ---- */

static struct space_allocation describe(struct pool *pool, uint64_t base, uint64_t bytes,
                                        uint64_t block_bytes)
{
    return (struct space_allocation){
        .base = base,
        .bytes = bytes,
        .reach_bytes = bytes,
        .block_bytes = block_bytes,
        .kind = SPACE_POOL,
        .ordinal = pool->device->ordinal,
        .pool = pool,
        .device_mask = pool->device_mask,
        .host = segment_host(base),
    };
}

/* A pending block of the same stream, about as big as needed, is used again as a whole: its old work is done
 * before its new one begins, because the stream says so. */
static bool reuse_locked(struct pool *pool, uint64_t bytes, const struct stream *stream, uint64_t *ret_base)
{
    uint64_t block = heap_block_bytes(&pool->heap, bytes);

    for (struct pool_pending **link = &pool->pending; *link; link = &(*link)->next) {
        struct pool_pending *pending = *link;

        if (pending->stream_id != stream->id || pending->bytes < block || pending->bytes - block > block / 4)
            continue;
        struct space_allocation again = describe(pool, pending->base, bytes, pending->bytes);

        again.reach_bytes = pending->bytes;
        if (space_update(&again))
            continue;
        *ret_base = pending->base;
        *link = pending->next;
        engine_work_unref(pending->freed);
        free(pending);
        return true;
    }
    return false;
}

static int alloc_locked(struct pool *pool, uint64_t bytes, const struct stream *stream, uint64_t *ret_base)
{
    if (reuse_locked(pool, bytes, stream, ret_base))
        return 0;
    int error = take_locked(pool, bytes, ret_base);
    if (error)
        return error;

    uint64_t block = heap_block_bytes(&pool->heap, bytes);
    struct space_allocation allocation = describe(pool, *ret_base, bytes, block);

    error = space_add(&allocation);
    if (error) {
        heap_give(&pool->heap, *ret_base, block);
        return error;
    }
    object_ref(pool);
    note_high_locked(pool);
    return 0;
}

static int alloc_settled(struct pool *pool, uint64_t bytes, const struct stream *stream, uint64_t *ret_base)
{
    pool_settle(pool);
    pthread_mutex_lock(&pool->lock);
    int error = alloc_locked(pool, bytes, stream, ret_base);
    pthread_mutex_unlock(&pool->lock);
    return error;
}

/* Waits until the streams have come to every free of this pool. */
static bool wait_for_pending(struct pool *pool)
{
    bool any = false;

    for (;;) {
        pthread_mutex_lock(&pool->lock);
        struct engine_work *freed = NULL;
        for (struct pool_pending *each = pool->pending; each && !freed; each = each->next)
            if (!engine_is_complete(each->freed))
                freed = engine_work_ref(each->freed);
        any |= pool->pending != NULL;
        pthread_mutex_unlock(&pool->lock);
        if (!freed)
            return any;
        engine_wait(freed);
        engine_work_unref(freed);
    }
}

CUresult pool_alloc(struct pool *pool, uint64_t bytes, struct stream *stream, uint64_t *ret_address)
{
    int error = alloc_settled(pool, bytes, stream, ret_address);

    /* Full: what others hold without need goes first; then what streams are about to free is waited for. */
    if (error && pool_reclaim(pool->device))
        error = alloc_settled(pool, bytes, stream, ret_address);
    if (error && wait_for_pending(pool)) {
        pool_reclaim(pool->device);
        error = alloc_settled(pool, bytes, stream, ret_address);
    }
    return process_result(error);
}

static void marker_destroy(struct engine_work *work)
{
    free(work);
}

CUresult pool_free(uint64_t address, struct stream *stream)
{
    struct pool_pending *pending = calloc(1, sizeof(*pending));
    struct engine_work *marker = calloc(1, sizeof(*marker));
    struct space_allocation allocation;
    CUresult result = CUDA_ERROR_INVALID_VALUE;
    struct pool *pool;

    if (!pending || !marker) {
        free(pending);
        free(marker);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    engine_work_init(marker, &stream->context->queue, ENGINE_MARKER, NULL, marker_destroy);
    /* Claiming the allocation and marking it freed is one step for other threads that free it too. */
    if (space_claim_freed(address, &allocation)) {
        pool = allocation.pool;
        result = stream_submit(stream, marker);
        if (result)
            space_update(&allocation);
    }
    if (result) {
        engine_work_unref(marker);
        free(pending);
        return result;
    }
    *pending = (struct pool_pending){
        .base = allocation.base, .bytes = allocation.block_bytes, .stream_id = stream->id, .freed = marker};
    pthread_mutex_lock(&pool->lock);
    pending->next = pool->pending;
    pool->pending = pending;
    pthread_mutex_unlock(&pool->lock);
    return CUDA_SUCCESS;
}

int pool_free_now(const struct space_allocation *allocation)
{
    struct space_allocation claimed;
    struct pool *pool;

    if (!space_claim_freed(allocation->base, &claimed))
        return -ENOENT;
    pool = claimed.pool;
    pthread_mutex_lock(&pool->lock);
    block_ended_locked(pool, claimed.base, claimed.block_bytes);
    pthread_mutex_unlock(&pool->lock);
    object_unref(pool);
    return 0;
}

/* ---- all pools of a device ---- */

static bool settle_and_trim_to_threshold(struct pool *pool)
{
    return pool_trim(pool, __atomic_load_n(&pool->release_threshold_bytes, __ATOMIC_RELAXED));
}

static bool trim_to_nothing(struct pool *pool)
{
    return pool_trim(pool, 0);
}

static bool free_all(struct pool *pool)
{
    struct space_allocation allocation;

    while (space_find_in_pool(pool, &allocation))
        pool_free_now(&allocation);
    return pool_trim(pool, 0);
}

void pool_synchronized(struct device *device)
{
    for_each_pool(device, settle_and_trim_to_threshold);
}

bool pool_reclaim(struct device *device)
{
    return for_each_pool(device, trim_to_nothing);
}

void pool_reset(struct device *device)
{
    for_each_pool(device, free_all);
}
