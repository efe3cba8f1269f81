/* Memory operations of streams: values that are written and waited for in stream order. */
#ifndef VGPU_SOFTGPU_DRIVER_MEMOP_H
#define VGPU_SOFTGPU_DRIVER_MEMOP_H

#include "api/cuda_api.h"
#include "softgpu/driver/context.h"

/* INVALID_VALUE: an operation, a flag or an alignment that does not exist; NOT_SUPPORTED. */
CUresult memop_check(unsigned count, const CUstreamBatchMemOpParams *operations, unsigned flags);

/* The checked operations, which are copied, one after another as work of context; one reference for the
 * caller, not enqueued. NULL: no memory. */
struct engine_work *memop_work(struct context *context, unsigned count,
                               const CUstreamBatchMemOpParams *operations);

#endif
