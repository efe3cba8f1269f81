/* Address ranges in two sorted arrays: chunks and gaps. Arrays because they are short (a context has tens of
 * chunks), are walked more than changed, and can be read in a debugger. */
#include "softgpu/driver/heap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void heap_init(struct heap *heap, uint64_t align_bytes)
{
    *heap = (struct heap){.align_bytes = align_bytes};
}

void heap_done(struct heap *heap)
{
    free(heap->chunks);
    free(heap->gaps);
    heap_init(heap, heap->align_bytes);
}

uint64_t heap_block_bytes(const struct heap *heap, uint64_t bytes)
{
    uint64_t mask = heap->align_bytes - 1;

    return bytes > UINT64_MAX - mask ? 0 : (bytes + mask) & ~mask;
}

/* Index of the first range whose base is above `base`. */
static size_t ranges_after(const struct heap_range *ranges, size_t n, uint64_t base)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (ranges[mid].base <= base)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static int ranges_reserve(struct heap_range **ranges, size_t n, size_t *capacity)
{
    if (n < *capacity)
        return 0;
    size_t wanted = *capacity ? *capacity * 2 : 8;
    struct heap_range *grown = realloc(*ranges, wanted * sizeof(*grown));

    if (!grown)
        return -ENOMEM;
    *ranges = grown;
    *capacity = wanted;
    return 0;
}

static void ranges_insert(struct heap_range *ranges, size_t *n, size_t at, struct heap_range range)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): a list that has room has an address */
    memmove(ranges + at + 1, ranges + at, (*n - at) * sizeof(*ranges));
    ranges[at] = range;
    (*n)++;
}

static void ranges_remove(struct heap_range *ranges, size_t *n, size_t at)
{
    memmove(ranges + at, ranges + at + 1, (*n - at - 1) * sizeof(*ranges));
    (*n)--;
}

int heap_add(struct heap *heap, uint64_t base, uint64_t bytes)
{
    struct heap_range chunk = {base, bytes};

    if (ranges_reserve(&heap->chunks, heap->n_chunks, &heap->chunks_capacity) ||
        ranges_reserve(&heap->gaps, heap->n_gaps, &heap->gaps_capacity))
        return -ENOMEM;
    ranges_insert(heap->chunks, &heap->n_chunks, ranges_after(heap->chunks, heap->n_chunks, base), chunk);
    ranges_insert(heap->gaps, &heap->n_gaps, ranges_after(heap->gaps, heap->n_gaps, base), chunk);
    heap->chunk_bytes += bytes;
    return 0;
}

int heap_take(struct heap *heap, uint64_t bytes, uint64_t *ret_base)
{
    uint64_t block = heap_block_bytes(heap, bytes);
    size_t best = heap->n_gaps;

    if (!block)
        return -ENOSPC;
    for (size_t i = 0; i < heap->n_gaps; i++)
        if (heap->gaps[i].bytes >= block &&
            (best == heap->n_gaps || heap->gaps[i].bytes < heap->gaps[best].bytes))
            best = i;
    if (best == heap->n_gaps)
        return -ENOSPC;
    *ret_base = heap->gaps[best].base;
    heap->gaps[best].base += block;
    heap->gaps[best].bytes -= block;
    if (!heap->gaps[best].bytes)
        ranges_remove(heap->gaps, &heap->n_gaps, best);
    heap->used_bytes += block;
    return 0;
}

int heap_take_at(struct heap *heap, uint64_t base, uint64_t bytes)
{
    uint64_t block = heap_block_bytes(heap, bytes);
    size_t after = ranges_after(heap->gaps, heap->n_gaps, base);
    struct heap_range *gap = after ? &heap->gaps[after - 1] : NULL, behind;

    if (!block || base % heap->align_bytes || !gap || base - gap->base > gap->bytes ||
        gap->bytes - (base - gap->base) < block)
        return -ENOSPC;
    behind = (struct heap_range){base + block, gap->base + gap->bytes - (base + block)};
    if (base > gap->base && behind.bytes) {
        if (ranges_reserve(&heap->gaps, heap->n_gaps, &heap->gaps_capacity))
            return -ENOMEM;
        heap->gaps[after - 1].bytes = base - heap->gaps[after - 1].base;
        ranges_insert(heap->gaps, &heap->n_gaps, after, behind);
    } else if (base > gap->base) {
        gap->bytes = base - gap->base;
    } else if (behind.bytes) {
        *gap = behind;
    } else {
        ranges_remove(heap->gaps, &heap->n_gaps, after - 1);
    }
    heap->used_bytes += block;
    return 0;
}

/* Neighbouring chunks may touch, but a gap must not reach over the border: a chunk leaves as it came. */
static bool begins_chunk(const struct heap *heap, uint64_t base)
{
    size_t after = ranges_after(heap->chunks, heap->n_chunks, base);

    return after > 0 && heap->chunks[after - 1].base == base;
}

int heap_give(struct heap *heap, uint64_t base, uint64_t bytes)
{
    struct heap_range gap = {base, heap_block_bytes(heap, bytes)};

    if (ranges_reserve(&heap->gaps, heap->n_gaps, &heap->gaps_capacity))
        return -ENOMEM;
    heap->used_bytes -= gap.bytes;

    size_t at = ranges_after(heap->gaps, heap->n_gaps, base);
    struct heap_range *next = at < heap->n_gaps ? &heap->gaps[at] : NULL;
    struct heap_range *previous = at > 0 ? &heap->gaps[at - 1] : NULL;

    if (next && gap.base + gap.bytes == next->base && !begins_chunk(heap, next->base)) {
        gap.bytes += next->bytes;
        ranges_remove(heap->gaps, &heap->n_gaps, at);
    }
    if (previous && previous->base + previous->bytes == gap.base && !begins_chunk(heap, gap.base))
        previous->bytes += gap.bytes;
    else
        ranges_insert(heap->gaps, &heap->n_gaps, at, gap);
    return 0;
}

bool heap_remove_free_chunk(struct heap *heap, struct heap_range *ret_chunk)
{
    for (size_t i = heap->n_chunks; i-- > 0;) {
        struct heap_range chunk = heap->chunks[i];
        size_t after = ranges_after(heap->gaps, heap->n_gaps, chunk.base);

        if (after == 0 || heap->gaps[after - 1].base != chunk.base ||
            heap->gaps[after - 1].bytes != chunk.bytes)
            continue;
        ranges_remove(heap->gaps, &heap->n_gaps, after - 1);
        ranges_remove(heap->chunks, &heap->n_chunks, i);
        heap->chunk_bytes -= chunk.bytes;
        *ret_chunk = chunk;
        return true;
    }
    return false;
}

bool heap_remove_any_chunk(struct heap *heap, struct heap_range *ret_chunk)
{
    if (!heap->n_chunks)
        return false;
    *ret_chunk = heap->chunks[--heap->n_chunks];
    heap->chunk_bytes -= ret_chunk->bytes;
    return true;
}
