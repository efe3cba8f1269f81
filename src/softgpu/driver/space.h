/* The address space: every allocation a CUDA call can name, whatever made it, ordered by address. Copies,
 * kernels, pointer attributes and frees all look here.
 *
 * What lookups return is a copy: an allocation may go away the moment the lock is released, its description
 * does not. All functions are thread-safe. */
#ifndef VGPU_SOFTGPU_DRIVER_SPACE_H
#define VGPU_SOFTGPU_DRIVER_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum space_kind {
    SPACE_DEVICE,          /* cuMemAlloc: a block of the context's heap or a segment of its own */
    SPACE_GLOBAL,          /* a variable of a module: as DEVICE, but not to be freed by the user */
    SPACE_POOL,            /* cuMemAllocAsync: a block of a pool */
    SPACE_GRAPH,           /* an allocation node: addresses of its own, memory of the device's graph pool */
    SPACE_MANAGED,         /* cuMemAllocManaged */
    SPACE_ARRAY,           /* an array: copies that name the array reach it, addresses do not */
    SPACE_IPC,             /* cuIpcOpenMemHandle: another process's segment */
    SPACE_MAPPED,          /* cuMemMap: a range of an address reservation */
    SPACE_EXTERNAL,        /* a buffer of external memory */
    SPACE_KERNEL_HEAP,     /* what kernels take with malloc: out of the host's reach */
    SPACE_HOST,            /* cuMemHostAlloc, cuMemAllocHost */
    SPACE_HOST_REGISTERED, /* cuMemHostRegister: the user's own memory */
};

struct context;
struct physical;
struct pool;

struct space_allocation {
    uint64_t base;
    uint64_t bytes;       /* as asked for */
    uint64_t reach_bytes; /* what kernels may touch from base; more than bytes while an older use of the block
                             may still run */
    uint64_t block_bytes; /* what it takes of its heap; 0: it is a segment, or host memory, of its own */
    enum space_kind kind;
    unsigned flags;            /* as given to the call that made it */
    unsigned ordinal;          /* device whose memory it is; for host memory that of owner */
    struct context *owner;     /* not referenced: its end removes its allocations; NULL for pools */
    struct pool *pool;         /* referenced by the pool's own count of allocations */
    struct physical *physical; /* MAPPED, EXTERNAL: referenced */
    uint32_t device_mask; /* of a pool, MAPPED, GRAPH: ordinals of the devices whose kernels may use it */
    uint32_t write_mask;  /* MAPPED: of those, which may write */
    char *host;           /* where this process may touch base */
    uint64_t id;          /* CU_POINTER_ATTRIBUTE_BUFFER_ID */
    bool freed_in_stream; /* cuMemFreeAsync was called; usable by what was enqueued before */
    bool is_read_mostly, sync_memops;
};

/* Adds it; sets id. 0, -EEXIST: it overlaps another, -ENOMEM. */
int space_add(struct space_allocation *allocation);

/* Removes the one that begins at base and tells what it was. 0 or -ENOENT. */
int space_remove(uint64_t base, struct space_allocation *ret_allocation);

/* The one that holds addr; arrays, kernels' heaps and allocations freed in a stream are not found. False:
 * none. */
bool space_find(uint64_t addr, struct space_allocation *ret_allocation);

/* Replaces the description of the allocation at its base; base, bytes' upper end within its old reach. 0 or
 * -ENOENT. */
int space_update(const struct space_allocation *allocation);

/* Any one allocation of that owner, for tearing it down. False: it has none. */
bool space_find_owned(const struct context *owner, struct space_allocation *ret_allocation);
/* The same for a pool; those freed in a stream do not count. */
bool space_find_in_pool(const struct pool *pool, struct space_allocation *ret_allocation);

/* Marks the pool allocation that begins at base as freed in a stream; kernels may reach its whole block until
 * it is removed. True for the one caller who did; *ret_allocation is what it was before. */
bool space_claim_freed(uint64_t base, struct space_allocation *ret_allocation);

/* Changes the devices that may use the allocations of a pool. */
void space_set_pool_devices(const struct pool *pool, uint32_t device_mask);

/* True when all of [addr, addr + bytes) lies in one allocation, or in mapped ranges that follow one another;
 * *ret_host is where to touch it and
 * *ret_allocation, which may be NULL, what it is (of several the first, with only the rights that all give).
 * What kernels may reach counts, not only what was asked for.
 */
bool space_resolve(uint64_t addr, uint64_t bytes, char **ret_host, struct space_allocation *ret_allocation);

/* Does any allocation touch [base, base + bytes)? */
bool space_touches(uint64_t base, uint64_t bytes);

/* Changes whenever an allocation goes away or rights change: cached answers are then worthless. */
const uint64_t *space_generation(void);
void space_invalidate(void);

#endif
