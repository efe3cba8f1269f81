/* Each device's graph pool is a heap of segments. An allocation's block is found by best fit among the unused
 * granules and is mapped to the node's addresses by no more than an entry in the address space: kernels and
 * copies go through this process's own mapping anyway. */
#include "softgpu/driver/graph_memory.h"

#include <errno.h>
#include <stdlib.h>

#include "softgpu/driver/heap.h"
#include "softgpu/driver/pool.h"
#include "softgpu/driver/segment.h"
#include "softgpu/driver/space.h"

struct graph_pool {
    struct heap heap;
    bool ready;
    uint64_t used_high_bytes, reserved_high_bytes;
};

static struct {
    pthread_mutex_t lock;
    struct graph_allocation *first;
    struct graph_pool pools[SGDEV_DEVICES_MAX]; /* by ordinal */
} memory = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct graph_pool *pool_of_locked(const struct device *device)
{
    struct graph_pool *pool = &memory.pools[device->ordinal];

    if (!pool->ready)
        heap_init(&pool->heap, device->properties->granule_bytes);
    pool->ready = true;
    return pool;
}

/* ---- allocations ---- */

CUresult graph_allocation_new(struct device *device, uint64_t bytes, uint32_t device_mask,
                              struct graph_allocation **ret_allocation)
{
    struct graph_allocation *self = calloc(1, sizeof(*self));

    if (!self)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (segment_addresses_take(segment_round(device->ordinal, bytes), 0, 0, &self->address)) {
        free(self);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    self->refs = 1;
    self->device = device;
    self->bytes = bytes;
    self->device_mask = device_mask;
    pthread_mutex_lock(&memory.lock);
    self->next = memory.first;
    memory.first = self;
    pthread_mutex_unlock(&memory.lock);
    *ret_allocation = self;
    return CUDA_SUCCESS;
}

struct graph_allocation *graph_allocation_ref(struct graph_allocation *allocation)
{
    __atomic_fetch_add(&allocation->refs, 1, __ATOMIC_RELAXED);
    return allocation;
}

void graph_allocation_unref(struct graph_allocation *allocation)
{
    struct graph_allocation **link = &memory.first;

    if (!allocation)
        return;
    /* Under the lock, so that nobody finds by its address what is about to go. */
    pthread_mutex_lock(&memory.lock);
    bool last = __atomic_sub_fetch(&allocation->refs, 1, __ATOMIC_ACQ_REL) == 0;
    if (last) {
        while (*link != allocation)
            link = &(*link)->next;
        *link = allocation->next;
    }
    pthread_mutex_unlock(&memory.lock);
    if (!last)
        return;
    segment_addresses_give(allocation->address,
                           segment_round(allocation->device->ordinal, allocation->bytes));
    free(allocation);
}

struct graph_allocation *graph_allocation_at(uint64_t address)
{
    pthread_mutex_lock(&memory.lock);
    struct graph_allocation *found = memory.first;
    while (found && found->address != address)
        found = found->next;
    if (found)
        graph_allocation_ref(found);
    pthread_mutex_unlock(&memory.lock);
    return found;
}

/* ---- memory ---- */

static int grow_locked(struct graph_pool *pool, const struct device *device, uint64_t bytes)
{
    uint64_t base;
    int error = segment_alloc(device->ordinal, bytes, SEGMENT_DEVICE, &base);

    if (error)
        return error;
    error = heap_add(&pool->heap, base, segment_round(device->ordinal, bytes));
    if (error)
        segment_free(base);
    return error;
}

static bool trim_locked(struct graph_pool *pool)
{
    struct heap_range chunk;
    bool any = false;

    while (heap_remove_free_chunk(&pool->heap, &chunk)) {
        segment_free(chunk.base);
        any = true;
    }
    return any;
}

static int take_block_locked(struct graph_pool *pool, struct graph_allocation *allocation)
{
    int error;

    if (heap_take(&pool->heap, allocation->bytes, &allocation->block) == 0)
        return 0;
    error = grow_locked(pool, allocation->device, allocation->bytes);
    /* Unused pieces that are each too small make room for one that is not. */
    if (error && trim_locked(pool))
        error = grow_locked(pool, allocation->device, allocation->bytes);
    return error ? error : heap_take(&pool->heap, allocation->bytes, &allocation->block);
}

static void give_block_locked(struct graph_pool *pool, struct graph_allocation *allocation)
{
    heap_give(&pool->heap, allocation->block, segment_round(allocation->device->ordinal, allocation->bytes));
}

static int make_usable_locked(struct graph_allocation *allocation)
{
    struct graph_pool *pool = pool_of_locked(allocation->device);
    struct space_allocation entry = {
        .base = allocation->address,
        .bytes = allocation->bytes,
        .reach_bytes = allocation->bytes,
        .kind = SPACE_GRAPH,
        .ordinal = allocation->device->ordinal,
        .device_mask = allocation->device_mask,
    };
    int error = take_block_locked(pool, allocation);

    if (error)
        return error;
    entry.host = segment_host(allocation->block);
    error = space_add(&entry);
    if (error) {
        give_block_locked(pool, allocation);
        return error;
    }
    if (pool->heap.used_bytes > pool->used_high_bytes)
        pool->used_high_bytes = pool->heap.used_bytes;
    if (pool->heap.chunk_bytes > pool->reserved_high_bytes)
        pool->reserved_high_bytes = pool->heap.chunk_bytes;
    return 0;
}

static int take_locked(struct graph_allocation *allocation)
{
    int error = allocation->users ? 0 : make_usable_locked(allocation);

    if (!error) {
        allocation->users++;
        graph_allocation_ref(allocation);
    }
    return error;
}

int graph_allocation_take(struct graph_allocation *allocation)
{
    pthread_mutex_lock(&memory.lock);
    int error = take_locked(allocation);
    pthread_mutex_unlock(&memory.lock);
    if (error != -ENOMEM || !pool_reclaim(allocation->device))
        return error;
    pthread_mutex_lock(&memory.lock);
    error = take_locked(allocation);
    pthread_mutex_unlock(&memory.lock);
    return error;
}

void graph_allocation_give(struct graph_allocation *allocation)
{
    struct space_allocation gone;

    pthread_mutex_lock(&memory.lock);
    if (--allocation->users == 0) {
        space_remove(allocation->address, &gone);
        give_block_locked(pool_of_locked(allocation->device), allocation);
    }
    pthread_mutex_unlock(&memory.lock);
    graph_allocation_unref(allocation);
}

/* ---- life ---- */

int graph_allocation_begin(struct graph_allocation *allocation)
{
    pthread_mutex_lock(&memory.lock);
    int error = allocation->live ? -EBUSY : take_locked(allocation);
    if (!error)
        allocation->live = true;
    pthread_mutex_unlock(&memory.lock);
    return error;
}

int graph_allocation_end(struct graph_allocation *allocation)
{
    pthread_mutex_lock(&memory.lock);
    int error = allocation->live ? 0 : -ENOENT;
    allocation->live = false;
    pthread_mutex_unlock(&memory.lock);
    return error;
}

void graph_allocation_undo_end(struct graph_allocation *allocation)
{
    pthread_mutex_lock(&memory.lock);
    allocation->live = true;
    pthread_mutex_unlock(&memory.lock);
}

bool graph_allocation_is_live(struct graph_allocation *allocation)
{
    pthread_mutex_lock(&memory.lock);
    bool live = allocation->live;
    pthread_mutex_unlock(&memory.lock);
    return live;
}

/* ---- frees outside a graph ---- */

int graph_memory_free_now(uint64_t address)
{
    struct graph_allocation *allocation = graph_allocation_at(address);
    int error = allocation ? graph_allocation_end(allocation) : -ENOENT;

    if (!error)
        graph_allocation_give(allocation);
    graph_allocation_unref(allocation);
    return error;
}

struct free_work {
    struct engine_work work;
    struct graph_allocation *allocation;
};

/* The stream has come to it, or it was never enqueued. */
static void free_destroy(struct engine_work *work)
{
    struct free_work *self = (struct free_work *)work;

    if (self->allocation)
        graph_allocation_give(self->allocation);
    free(self);
}

static CUresult free_in_stream(struct graph_allocation *allocation, struct stream *stream)
{
    struct free_work *work = calloc(1, sizeof(*work));
    CUresult result;

    if (!work)
        return CUDA_ERROR_OUT_OF_MEMORY;
    engine_work_init(&work->work, &stream->context->queue, ENGINE_MARKER, NULL, free_destroy);
    if (graph_allocation_end(allocation)) {
        result = CUDA_ERROR_INVALID_VALUE;
    } else {
        work->allocation = allocation;
        result = stream_submit_aside(stream, &work->work);
        if (result) {
            work->allocation = NULL;
            graph_allocation_undo_end(allocation);
        }
    }
    engine_work_unref(&work->work);
    return result;
}

CUresult graph_memory_free(uint64_t address, struct stream *stream)
{
    struct graph_allocation *allocation = graph_allocation_at(address);
    CUresult result = allocation ? free_in_stream(allocation, stream) : CUDA_ERROR_INVALID_VALUE;

    graph_allocation_unref(allocation);
    return result;
}

/* ---- the calls about a device's graph pool ---- */

CUresult cuDeviceGraphMemTrim(CUdevice ordinal)
{
    struct device *device;
    CUresult result = process_device(ordinal, &device);

    if (result)
        return result;
    pthread_mutex_lock(&memory.lock);
    trim_locked(pool_of_locked(device));
    pthread_mutex_unlock(&memory.lock);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetGraphMemAttribute(CUdevice ordinal, CUgraphMem_attribute attribute, void *value)
{
    struct device *device;
    CUresult result = process_device(ordinal, &device);
    uint64_t figures[4];

    if (result)
        return result;
    if (!value || (unsigned)attribute > CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&memory.lock);
    const struct graph_pool *pool = pool_of_locked(device);
    figures[CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT] = pool->heap.used_bytes;
    figures[CU_GRAPH_MEM_ATTR_USED_MEM_HIGH] = pool->used_high_bytes;
    figures[CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT] = pool->heap.chunk_bytes;
    figures[CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH] = pool->reserved_high_bytes;
    pthread_mutex_unlock(&memory.lock);
    *(cuuint64_t *)value = figures[attribute];
    return CUDA_SUCCESS;
}

/* The high marks can only be set back, by writing 0. */
CUresult cuDeviceSetGraphMemAttribute(CUdevice ordinal, CUgraphMem_attribute attribute, void *value)
{
    struct device *device;
    CUresult result = process_device(ordinal, &device);

    if (result)
        return result;
    if (!value || *(const cuuint64_t *)value ||
        (attribute != CU_GRAPH_MEM_ATTR_USED_MEM_HIGH && attribute != CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH))
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&memory.lock);
    struct graph_pool *pool = pool_of_locked(device);
    if (attribute == CU_GRAPH_MEM_ATTR_USED_MEM_HIGH)
        pool->used_high_bytes = pool->heap.used_bytes;
    else
        pool->reserved_high_bytes = pool->heap.chunk_bytes;
    pthread_mutex_unlock(&memory.lock);
    return CUDA_SUCCESS;
}
