/* The cuStreamWriteValue*, cuStreamWaitValue* and cuStreamBatchMemOp calls. A batch is one work in the gates'
 * lane: it goes through its operations as far as they can be done, and is asked again while a wait is not
 * satisfied, so that a waiting stream holds up nobody else. */
#include "softgpu/driver/memop.h"

#include <stdlib.h>
#include <string.h>

#include "softgpu/driver/capture.h"
#include "softgpu/driver/segment.h"
#include "softgpu/driver/space.h"
#include "softgpu/driver/stream.h"

enum { OPERATIONS_MAX = 256 };

struct memop_work {
    struct engine_work work;
    struct context *context;
    unsigned n, next; /* those before next are done */
    CUstreamBatchMemOpParams operations[];
};

/* ---- doing ---- */

static bool is_64(CUstreamBatchMemOpType operation)
{
    return operation == CU_STREAM_MEM_OP_WAIT_VALUE_64 || operation == CU_STREAM_MEM_OP_WRITE_VALUE_64;
}

/* Where this process touches the value, or NULL. */
static void *value_at(CUdeviceptr address, size_t bytes)
{
    char *host;

    return space_resolve(address, bytes, &host, NULL) ? host : NULL;
}

static bool is_satisfied(const struct CUstreamMemOpWaitValueParams_st *wait, const void *at)
{
    bool wide = is_64(wait->operation);
    uint64_t now = wide ? __atomic_load_n((const uint64_t *)at, __ATOMIC_ACQUIRE)
                        : __atomic_load_n((const uint32_t *)at, __ATOMIC_ACQUIRE);
    uint64_t value = wide ? wait->value64 : wait->value;

    switch (wait->flags & ~(unsigned)CU_STREAM_WAIT_VALUE_FLUSH) {
    case CU_STREAM_WAIT_VALUE_GEQ:
        /* Cyclic, as counters are. */
        return wide ? (int64_t)(now - value) >= 0 : (int32_t)((uint32_t)now - (uint32_t)value) >= 0;
    case CU_STREAM_WAIT_VALUE_EQ:
        return now == value;
    case CU_STREAM_WAIT_VALUE_AND:
        return (now & value) != 0;
    default:
        return wide ? ~(now | value) != 0 : (uint32_t) ~(now | value) != 0;
    }
}

/* True when the operation is done; a fault of the memory is the context's error and ends all of them. */
static bool try_operation(struct memop_work *self, const CUstreamBatchMemOpParams *params)
{
    CUstreamBatchMemOpType operation = params->operation;
    size_t bytes = is_64(operation) ? 8 : 4;
    void *at;

    if (operation == CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES || operation == CU_STREAM_MEM_OP_BARRIER)
        return true;
    at = value_at(params->waitValue.address, bytes);
    if (!at) {
        context_fail(self->context, CUDA_ERROR_ILLEGAL_ADDRESS);
        return true;
    }
    if (operation == CU_STREAM_MEM_OP_WRITE_VALUE_64)
        __atomic_store_n((uint64_t *)at, params->writeValue.value64, __ATOMIC_RELEASE);
    else if (operation == CU_STREAM_MEM_OP_WRITE_VALUE_32)
        __atomic_store_n((uint32_t *)at, params->writeValue.value, __ATOMIC_RELEASE);
    else
        return is_satisfied(&params->waitValue, at);
    return true;
}

static void memop_run(struct engine_work *work)
{
    struct memop_work *self = (struct memop_work *)work;

    while (self->next < self->n && !context_status(self->context) &&
           !__atomic_load_n(&self->context->destroyed, __ATOMIC_ACQUIRE)) {
        if (!try_operation(self, &self->operations[self->next])) {
            work->is_shut = true;
            return;
        }
        self->next++;
    }
    work->is_shut = false;
}

static void memop_destroy(struct engine_work *work)
{
    free(work);
}

/* ---- making ---- */

static CUresult check_one(const CUstreamBatchMemOpParams *params)
{
    unsigned flags = params->waitValue.flags;

    switch (params->operation) {
    case CU_STREAM_MEM_OP_WAIT_VALUE_32:
    case CU_STREAM_MEM_OP_WAIT_VALUE_64:
        if ((flags & ~(unsigned)CU_STREAM_WAIT_VALUE_FLUSH) > CU_STREAM_WAIT_VALUE_NOR)
            return CUDA_ERROR_INVALID_VALUE;
        break;
    case CU_STREAM_MEM_OP_WRITE_VALUE_32:
    case CU_STREAM_MEM_OP_WRITE_VALUE_64:
        if (flags & ~(unsigned)CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER)
            return CUDA_ERROR_INVALID_VALUE;
        break;
    case CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES:
    case CU_STREAM_MEM_OP_BARRIER:
        return CUDA_SUCCESS;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
    return params->waitValue.address % (is_64(params->operation) ? 8 : 4) ? CUDA_ERROR_INVALID_VALUE
                                                                          : CUDA_SUCCESS;
}

CUresult memop_check(unsigned count, const CUstreamBatchMemOpParams *operations, unsigned flags)
{
    CUresult result = CUDA_SUCCESS;

    if (flags || count > OPERATIONS_MAX || (count && !operations))
        return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < count && !result; i++)
        result = check_one(&operations[i]);
    return result;
}

struct engine_work *memop_work(struct context *context, unsigned count,
                               const CUstreamBatchMemOpParams *operations)
{
    struct memop_work *self = calloc(1, sizeof(*self) + count * sizeof(*operations));

    if (!self)
        return NULL;
    engine_work_init(&self->work, &context->queue, ENGINE_GATE, memop_run, memop_destroy);
    self->context = context;
    self->n = count;
    for (unsigned i = 0; i < count; i++)
        self->operations[i] = operations[i];
    return &self->work;
}

/* ---- the calls ---- */

/* An address that a call names is looked at at once; one in a graph's node when the node runs. */
static bool addresses_exist(unsigned count, const CUstreamBatchMemOpParams *operations)
{
    for (unsigned i = 0; i < count; i++) {
        CUstreamBatchMemOpType operation = operations[i].operation;

        if (operation != CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES && operation != CU_STREAM_MEM_OP_BARRIER &&
            !value_at(operations[i].waitValue.address, is_64(operation) ? 8 : 4))
            return false;
    }
    return true;
}

static CUresult submit(struct stream *stream, unsigned count, const CUstreamBatchMemOpParams *operations)
{
    struct engine_work *work;

    if (!addresses_exist(count, operations))
        return CUDA_ERROR_INVALID_VALUE;
    work = memop_work(stream->context, count, operations);
    return work ? stream_submit_and_forget(stream, work) : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult batch(bool per_thread, CUstream handle, unsigned count, CUstreamBatchMemOpParams *operations,
                      unsigned flags)
{
    CUgraphNodeParams node = {.type = CU_GRAPH_NODE_TYPE_BATCH_MEM_OP,
                              .memOp = {.count = count, .paramArray = operations, .flags = flags}};
    struct stream *stream;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    result = memop_check(count, operations, flags);
    if (!result && !capture_node(stream, &node, &result))
        result = submit(stream, count, operations);
    object_unref(stream);
    return result;
}

static CUresult cuStreamBatchMemOp_v2_in(bool per_thread, CUstream stream, unsigned int count,
                                         CUstreamBatchMemOpParams *operations, unsigned int flags)
{
    return batch(per_thread, stream, count, operations, flags);
}

STREAM_VARIANTS(cuStreamBatchMemOp_v2, _ptsz,
                (CUstream stream, unsigned int count, CUstreamBatchMemOpParams *operations,
                 unsigned int flags),
                stream, count, operations, flags)

static CUresult cuStreamBatchMemOp_in(bool per_thread, CUstream stream, unsigned int count,
                                      CUstreamBatchMemOpParams *operations, unsigned int flags)
{
    return batch(per_thread, stream, count, operations, flags);
}

STREAM_VARIANTS(cuStreamBatchMemOp, _ptsz,
                (CUstream stream, unsigned int count, CUstreamBatchMemOpParams *operations,
                 unsigned int flags),
                stream, count, operations, flags)

/* One operation. The older functions of the same name mean the same here. */
#define VALUE_CALL(name, member, field, bits, code)                                                          \
    static CUresult name##_in(bool per_thread, CUstream stream, CUdeviceptr address, cuuint##bits##_t value, \
                              unsigned int flags)                                                            \
    {                                                                                                        \
        CUstreamBatchMemOpParams params = {                                                                  \
            .member = {.operation = (code), .address = address, .field = value, .flags = flags}};            \
                                                                                                             \
        return batch(per_thread, stream, 1, &params, 0);                                                     \
    }                                                                                                        \
    STREAM_VARIANTS(name, _ptsz,                                                                             \
                    (CUstream stream, CUdeviceptr address, cuuint##bits##_t value, unsigned int flags),      \
                    stream, address, value, flags)

VALUE_CALL(cuStreamWaitValue32, waitValue, value, 32, CU_STREAM_MEM_OP_WAIT_VALUE_32)
VALUE_CALL(cuStreamWaitValue32_v2, waitValue, value, 32, CU_STREAM_MEM_OP_WAIT_VALUE_32)
VALUE_CALL(cuStreamWaitValue64, waitValue, value64, 64, CU_STREAM_MEM_OP_WAIT_VALUE_64)
VALUE_CALL(cuStreamWaitValue64_v2, waitValue, value64, 64, CU_STREAM_MEM_OP_WAIT_VALUE_64)
VALUE_CALL(cuStreamWriteValue32, writeValue, value, 32, CU_STREAM_MEM_OP_WRITE_VALUE_32)
VALUE_CALL(cuStreamWriteValue32_v2, writeValue, value, 32, CU_STREAM_MEM_OP_WRITE_VALUE_32)
VALUE_CALL(cuStreamWriteValue64, writeValue, value64, 64, CU_STREAM_MEM_OP_WRITE_VALUE_64)
VALUE_CALL(cuStreamWriteValue64_v2, writeValue, value64, 64, CU_STREAM_MEM_OP_WRITE_VALUE_64)
