/* Memory pools: stream-ordered allocation. A pool takes chunks from its device and keeps them until a
 * synchronisation finds more unused than its release threshold. Pools belong to devices, not to contexts. All
 * functions are thread-safe. */
#ifndef VGPU_SOFTGPU_DRIVER_POOL_H
#define VGPU_SOFTGPU_DRIVER_POOL_H

#include "api/cuda_api.h"
#include "softgpu/driver/heap.h"
#include "softgpu/driver/object.h"
#include "softgpu/driver/process.h"
#include "softgpu/driver/space.h"
#include "softgpu/driver/stream.h"

struct pool_pending;

struct pool {
    struct object object;
    struct device *device;
    bool is_default;
    uint64_t max_bytes; /* 0: as much as the device has */
    struct pool *next;  /* among all pools of the process */

    pthread_mutex_t lock;             /* guards what follows */
    struct heap heap;                 /* chunks of device memory */
    struct pool_pending *pending;     /* blocks freed in a stream that has not come to the free yet */
    uint64_t release_threshold_bytes; /* atomic */
    uint64_t used_high_bytes, reserved_high_bytes;
    bool follow_events, opportunistic, internal_dependencies;
    uint32_t device_mask;
};

/* The device's default pool and the one that cuMemAllocAsync uses, borrowed; made at the first question. */
CUresult pool_default(struct device *device, struct pool **ret_pool);
CUresult pool_current(struct device *device, struct pool **ret_pool);

/* A new pool of device; one reference for the caller, published. */
CUresult pool_new(struct device *device, uint64_t max_bytes, bool is_default, struct pool **ret_pool);

/* Memory for bytes (> 0), for work that comes in stream after this call. */
CUresult pool_alloc(struct pool *pool, uint64_t bytes, struct stream *stream, uint64_t *ret_address);

/* Frees an allocation for when the stream comes to it. INVALID_VALUE: no allocation of a pool begins there.
 */
CUresult pool_free(uint64_t address, struct stream *stream);

/* Frees an allocation at once; the caller has made sure that no work uses it. 0 or -ENOENT. */
int pool_free_now(const struct space_allocation *allocation);

/* Gives unused chunks back until at most keep_bytes are reserved. True when that was anything. */
bool pool_trim(struct pool *pool, uint64_t keep_bytes);

/* Looks which freed blocks the streams have come to. The caller holds a reference. */
void pool_settle(struct pool *pool);

/* Something was waited for: every pool of the device gives back what it holds unused beyond its threshold. */
void pool_synchronized(struct device *device);

/* Gives back everything the device's pools hold unused. True when that was anything. */
bool pool_reclaim(struct device *device);

/* The device's primary context ends: all allocations of its pools end too. */
void pool_reset(struct device *device);

#endif
