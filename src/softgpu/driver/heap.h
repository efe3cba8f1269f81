/* A heap of address ranges: pure arithmetic over chunks that somebody else provides and takes back. Small
 * device allocations, memory pools and the reserved address window are each one heap.
 *
 * Not thread-safe: the owner locks. Never touches the memory it speaks of. */
#ifndef VGPU_SOFTGPU_DRIVER_HEAP_H
#define VGPU_SOFTGPU_DRIVER_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_range {
    uint64_t base, bytes;
};

struct heap {
    uint64_t align_bytes; /* every block begins at a multiple of it and is as long as one; a power of two */
    struct heap_range *chunks; /* sorted by base */
    size_t n_chunks, chunks_capacity;
    struct heap_range *gaps; /* what is free, sorted by base; neighbours within a chunk are one gap */
    size_t n_gaps, gaps_capacity;
    uint64_t chunk_bytes, used_bytes; /* sums */
};

void heap_init(struct heap *heap, uint64_t align_bytes);
void heap_done(struct heap *heap);

/* bytes rounded up to what a block of this heap really takes; 0 when that overflows. */
uint64_t heap_block_bytes(const struct heap *heap, uint64_t bytes);

/* Gives the heap a chunk [base, base + bytes), both multiples of align_bytes, apart from all others. 0 or
 * -ENOMEM. */
int heap_add(struct heap *heap, uint64_t base, uint64_t bytes);

/* Takes a block of at least bytes (> 0) from the smallest gap that holds it; the lowest of equals. 0 or
 * -ENOSPC. */
int heap_take(struct heap *heap, uint64_t bytes, uint64_t *ret_base);

/* Takes just [base, base + bytes), a multiple of align_bytes. 0, -ENOSPC: not all of it is free, or -ENOMEM.
 */
int heap_take_at(struct heap *heap, uint64_t base, uint64_t bytes);

/* Gives back [base, base + bytes), a block of heap_take or a part of one. 0, or -ENOMEM: nothing changed. */
int heap_give(struct heap *heap, uint64_t base, uint64_t bytes);

/* Takes away one chunk that holds no block, the one with the highest address. False when every chunk is in
 * use. */
bool heap_remove_free_chunk(struct heap *heap, struct heap_range *ret_chunk);

/* Takes away any chunk, used or not: for tearing down. False when there is none. */
bool heap_remove_any_chunk(struct heap *heap, struct heap_range *ret_chunk);

#endif
