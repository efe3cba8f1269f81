/* Where device memory comes from: blocks of 512 bytes in shared granules of 2 MiB, or granules of their own;
 * arrays always have their own. A granule goes back to the device with its last block, so what cuMemGetInfo
 * says depends only on what is allocated now. */
#include "softgpu/driver/memory.h"

#include <errno.h>
#include <sys/mman.h>

#include "softgpu/driver/external.h"
#include "softgpu/driver/segment.h"

static struct heap *heap_for(struct context *context, enum space_kind kind)
{
    return kind == SPACE_MANAGED ? &context->small_managed : &context->small;
}

static enum segment_use use_for(enum space_kind kind)
{
    return kind == SPACE_MANAGED ? SEGMENT_MANAGED : SEGMENT_DEVICE;
}

/* A block of the context's heap, which grows by a granule when it has no room. */
static int take_block(struct context *context, enum space_kind kind, uint64_t bytes, uint64_t *ret_base)
{
    struct heap *heap = heap_for(context, kind);
    unsigned ordinal = context->device->ordinal;
    uint64_t chunk;
    int error;

    pthread_mutex_lock(&context->lock);
    error = heap_take(heap, bytes, ret_base);
    if (error == -ENOSPC) {
        error = segment_alloc(ordinal, 1, use_for(kind), &chunk);
        if (!error) {
            error = heap_add(heap, chunk, segment_round(ordinal, 1));
            if (error)
                segment_free(chunk);
        }
        if (!error)
            error = heap_take(heap, bytes, ret_base);
    }
    pthread_mutex_unlock(&context->lock);
    return error;
}

static void give_block(struct context *context, enum space_kind kind, uint64_t base, uint64_t bytes)
{
    struct heap *heap = heap_for(context, kind);
    struct heap_range chunk;

    pthread_mutex_lock(&context->lock);
    heap_give(heap, base, bytes);
    while (heap_remove_free_chunk(heap, &chunk))
        segment_free(chunk.base);
    pthread_mutex_unlock(&context->lock);
}

static void give_back(const struct space_allocation *allocation)
{
    if (allocation->block_bytes)
        give_block(allocation->owner, allocation->kind, allocation->base, allocation->block_bytes);
    else
        segment_free(allocation->base);
}

static bool is_small(const struct context *context, uint64_t bytes)
{
    uint64_t half_granule = context->device->properties->granule_bytes / 2;

    return bytes <= (half_granule < MEMORY_SMALL_MAX ? half_granule : MEMORY_SMALL_MAX);
}

CUresult memory_alloc(struct context *context, uint64_t bytes, enum space_kind kind, unsigned flags,
                      struct space_allocation *ret_allocation)
{
    struct space_allocation allocation = {
        .bytes = bytes,
        .reach_bytes = bytes,
        .kind = kind,
        .flags = flags,
        .ordinal = context->device->ordinal,
        .owner = context,
    };
    int error;

    if (kind != SPACE_ARRAY && is_small(context, bytes)) {
        allocation.block_bytes = heap_block_bytes(&context->small, bytes);
        error = take_block(context, kind, bytes, &allocation.base);
    } else {
        error = segment_alloc(allocation.ordinal, bytes, use_for(kind), &allocation.base);
    }
    if (error)
        return process_result(error);
    allocation.host = segment_host(allocation.base);
    error = space_add(&allocation);
    if (error) {
        give_back(&allocation);
        return process_result(error);
    }
    *ret_allocation = allocation;
    return CUDA_SUCCESS;
}

int memory_free(uint64_t base)
{
    struct space_allocation allocation;
    int error = space_remove(base, &allocation);

    if (!error)
        give_back(&allocation);
    return error;
}

void memory_free_all(struct context *context)
{
    struct space_allocation allocation;

    while (space_find_owned(context, &allocation)) {
        if (space_remove(allocation.base, &allocation))
            continue;
        if (allocation.kind == SPACE_HOST)
            munmap(allocation.host, allocation.bytes);
        else if (allocation.kind == SPACE_EXTERNAL)
            external_buffer_end(&allocation);
        else if (allocation.kind != SPACE_HOST_REGISTERED)
            give_back(&allocation);
    }
}
