/* The device heap. What it costs was taken from the device with the context or with its limit, so its bytes
 * need no segment: they are this process's own memory, mapped when a kernel first asks and filled as kernels
 * write. Addresses are reserved apart from it, as those of segments are, so that a host program that follows
 * a kernel's pointer fails. */
#include "softgpu/driver/kernel_heap.h"

#include <errno.h>
#include <sys/mman.h>

#include "softgpu/driver/context.h"
#include "softgpu/driver/space.h"

enum { UNIT_BYTES = 16 };

void kernel_heap_init(struct kernel_heap *heap)
{
    *heap = (struct kernel_heap){.lock = PTHREAD_MUTEX_INITIALIZER};
    heap_init(&heap->blocks, UNIT_BYTES);
}

static void *map(uint64_t bytes, int protection)
{
    void *at = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (at == MAP_FAILED)
        return NULL;
    madvise(at, bytes, MADV_DONTFORK);
    return at;
}

static uint64_t units_bytes(uint64_t bytes)
{
    return bytes / UNIT_BYTES * sizeof(uint32_t);
}

static void unmap_locked(struct kernel_heap *heap, uint64_t bytes, void *addresses)
{
    if (addresses)
        munmap(addresses, bytes);
    if (heap->host)
        munmap(heap->host, bytes);
    if (heap->units)
        munmap(heap->units, units_bytes(bytes));
    heap->host = NULL;
    heap->units = NULL;
}

/* Makes the heap as large as the limit says now. False: it cannot be had. */
static bool make_locked(struct kernel_heap *heap, struct context *context)
{
    uint64_t bytes;
    void *addresses;

    pthread_mutex_lock(&context->lock);
    bytes = context->limits[CU_LIMIT_MALLOC_HEAP_SIZE] / UNIT_BYTES * UNIT_BYTES;
    pthread_mutex_unlock(&context->lock);
    if (!bytes)
        return false;
    addresses = map(bytes, PROT_NONE);
    heap->host = map(bytes, PROT_READ | PROT_WRITE);
    heap->units = map(units_bytes(bytes), PROT_READ | PROT_WRITE);

    struct space_allocation allocation = {
        .base = (uint64_t)(uintptr_t)addresses,
        .bytes = bytes,
        .reach_bytes = bytes,
        .kind = SPACE_KERNEL_HEAP,
        .ordinal = context->device->ordinal,
        .owner = context,
        .host = heap->host,
    };

    if (!addresses || !heap->host || !heap->units || heap_add(&heap->blocks, allocation.base, bytes) ||
        space_add(&allocation)) {
        struct heap_range chunk;

        heap_remove_free_chunk(&heap->blocks, &chunk);
        unmap_locked(heap, bytes, addresses);
        return false;
    }
    heap->base = allocation.base;
    heap->bytes = bytes;
    return true;
}

void kernel_heap_done(struct kernel_heap *heap)
{
    struct space_allocation allocation;

    if (heap->bytes) {
        space_remove(heap->base, &allocation);
        unmap_locked(heap, heap->bytes, (void *)(uintptr_t)heap->base);
        heap->bytes = 0;
    }
    heap_done(&heap->blocks);
}

bool kernel_heap_is_made(struct kernel_heap *heap)
{
    pthread_mutex_lock(&heap->lock);
    bool made = heap->bytes != 0;
    pthread_mutex_unlock(&heap->lock);
    return made;
}

uint64_t kernel_heap_take(void *owner, uint64_t bytes)
{
    struct context *context = owner;
    struct kernel_heap *heap = &context->kernel_heap;
    uint64_t address = 0;

    pthread_mutex_lock(&heap->lock);
    if (bytes && (heap->bytes || make_locked(heap, context)) && !heap_take(&heap->blocks, bytes, &address))
        heap->units[(address - heap->base) / UNIT_BYTES] =
            (uint32_t)(heap_block_bytes(&heap->blocks, bytes) / UNIT_BYTES);
    pthread_mutex_unlock(&heap->lock);
    return address;
}

int kernel_heap_give(void *owner, uint64_t address)
{
    struct context *context = owner;
    struct kernel_heap *heap = &context->kernel_heap;
    int error = -EINVAL;

    pthread_mutex_lock(&heap->lock);
    uint64_t offset = address - heap->base;
    uint32_t *units = heap->bytes && offset < heap->bytes ? &heap->units[offset / UNIT_BYTES] : NULL;
    if (units && *units && offset % UNIT_BYTES == 0) {
        error = heap_give(&heap->blocks, address, (uint64_t)*units * UNIT_BYTES);
        if (!error)
            *units = 0;
    }
    pthread_mutex_unlock(&heap->lock);
    return error;
}
