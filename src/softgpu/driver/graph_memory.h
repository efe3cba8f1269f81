/* Memory of graphs. An allocation node has its addresses from the moment it is added; it has memory, from the
 * device's graph pool, while an executable graph that was launched or uploaded holds it, and while what a
 * launch allocated has not been freed ("live"). What nobody uses stays in the pool until
 * cuDeviceGraphMemTrim.
 *
 * All functions are thread-safe; none may be called with the engine's lock held. */
#ifndef VGPU_SOFTGPU_DRIVER_GRAPH_MEMORY_H
#define VGPU_SOFTGPU_DRIVER_GRAPH_MEMORY_H

#include "api/cuda_api.h"
#include "softgpu/driver/process.h"
#include "softgpu/driver/stream.h"

struct graph_allocation {
    uint32_t refs; /* atomic */
    struct device *device;
    uint64_t address, bytes;
    uint32_t device_mask;          /* ordinals of the devices whose kernels may use it */
    struct graph_allocation *next; /* among all of the process */

    /* guarded by the lock of graph memory */
    unsigned users; /* who needs its memory to be there */
    uint64_t block; /* its memory in the pool, while there are users */
    bool live;
};

/* Addresses for bytes (> 0) of device; one reference. */
CUresult graph_allocation_new(struct device *device, uint64_t bytes, uint32_t device_mask,
                              struct graph_allocation **ret_allocation);
struct graph_allocation *graph_allocation_ref(struct graph_allocation *allocation);
void graph_allocation_unref(struct graph_allocation *allocation); /* NULL is fine */
/* The one that begins at address with a reference for the caller, or NULL. */
struct graph_allocation *graph_allocation_at(uint64_t address);

/* One more, or one less, who needs its memory and holds a reference. 0 or -ENOMEM. */
int graph_allocation_take(struct graph_allocation *allocation);
void graph_allocation_give(struct graph_allocation *allocation);

/* A launch allocates it, and its memory is taken once more until it is freed. -EBUSY: it is live already. */
int graph_allocation_begin(struct graph_allocation *allocation);
/* It is no longer live; the caller gives that launch's use of the memory when no work needs it any more.
 * -ENOENT: it is not live. */
int graph_allocation_end(struct graph_allocation *allocation);
/* Takes that back. */
void graph_allocation_undo_end(struct graph_allocation *allocation);
bool graph_allocation_is_live(struct graph_allocation *allocation);

/* Frees a live allocation at once (no work uses it: the caller's business), or when stream comes to it.
 * -ENOENT: no allocation of a graph is live there. */
int graph_memory_free_now(uint64_t address);
CUresult graph_memory_free(uint64_t address, struct stream *stream);

#endif
