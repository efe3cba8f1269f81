/* Device memory of a context: cuMemAlloc and its family. Requests up to MEMORY_SMALL_MAX share granules,
 * larger ones have their own. */
#ifndef VGPU_SOFTGPU_DRIVER_MEMORY_H
#define VGPU_SOFTGPU_DRIVER_MEMORY_H

#include "api/cuda_api.h"
#include "softgpu/driver/context.h"
#include "softgpu/driver/space.h"

enum { MEMORY_BLOCK_BYTES = 512, MEMORY_SMALL_MAX = 1 << 20 };

/* bytes (> 0) of memory of context's device, of kind DEVICE, GLOBAL, MANAGED or ARRAY, in the address
 * space when this returns. */
CUresult memory_alloc(struct context *context, uint64_t bytes, enum space_kind kind, unsigned flags,
                      struct space_allocation *ret_allocation);

/* Takes the allocation of memory_alloc out of the address space and gives its memory back. The caller has
 * made sure that no work uses it. 0, or -ENOENT when another thread was first. */
int memory_free(uint64_t base);

/* Everything that a context whose work has ended still owns, host memory too. */
void memory_free_all(struct context *context);

#endif
