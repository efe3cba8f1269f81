/* The cuStream* calls, and host functions. */
#include <stdlib.h>

#include "softgpu/driver/capture.h"
#include "softgpu/driver/event.h"
#include "softgpu/driver/stream.h"
#include "softgpu/driver/thread.h"

/* ---- making and ending ---- */

CUresult cuStreamCreateWithPriority(CUstream *ret_stream, unsigned int flags, int priority)
{
    struct context *context;
    struct stream *stream;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    if (!ret_stream || (flags & ~(unsigned)CU_STREAM_NON_BLOCKING))
        return CUDA_ERROR_INVALID_VALUE;
    /* Priorities outside the range count as its nearest end. */
    if (priority > STREAM_PRIORITY_LEAST)
        priority = STREAM_PRIORITY_LEAST;
    if (priority < STREAM_PRIORITY_GREATEST)
        priority = STREAM_PRIORITY_GREATEST;
    result = stream_new(context, flags, priority, &stream);
    if (result)
        return result;
    object_publish(stream);
    *ret_stream = (CUstream)stream;
    object_unref(stream);
    return CUDA_SUCCESS;
}

CUresult cuStreamCreate(CUstream *ret_stream, unsigned int flags)
{
    return cuStreamCreateWithPriority(ret_stream, flags, STREAM_PRIORITY_LEAST);
}

/* The stream goes at once for its owner; its pending work goes on. */
CUresult cuStreamDestroy_v2(CUstream handle)
{
    CUresult result = process_check();
    struct stream *stream;

    if (result)
        return result;
    stream = object_get(OBJECT_STREAM, handle);
    if (!stream)
        return CUDA_ERROR_INVALID_HANDLE;
    if (object_retire(stream)) {
        capture_stream_ended(stream);
        stream_unlink(stream);
    }
    object_unref(stream);
    return CUDA_SUCCESS;
}

CUresult cuStreamDestroy(CUstream handle)
{
    return cuStreamDestroy_v2(handle);
}

/* ---- properties ---- */

static CUresult cuStreamGetPriority_in(bool per_thread, CUstream handle, int *ret_priority)
{
    struct stream *stream;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    if (ret_priority)
        *ret_priority = stream->priority;
    else
        result = CUDA_ERROR_INVALID_VALUE;
    object_unref(stream);
    return result;
}

STREAM_VARIANTS(cuStreamGetPriority, _ptsz, (CUstream stream, int *ret_priority), stream, ret_priority)

static CUresult cuStreamGetFlags_in(bool per_thread, CUstream handle, unsigned int *ret_flags)
{
    struct stream *stream;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    if (ret_flags)
        *ret_flags = stream->flags;
    else
        result = CUDA_ERROR_INVALID_VALUE;
    object_unref(stream);
    return result;
}

STREAM_VARIANTS(cuStreamGetFlags, _ptsz, (CUstream stream, unsigned int *ret_flags), stream, ret_flags)

static CUresult cuStreamGetId_in(bool per_thread, CUstream handle, unsigned long long *ret_id)
{
    struct stream *stream;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    if (ret_id)
        *ret_id = stream->id;
    else
        result = CUDA_ERROR_INVALID_VALUE;
    object_unref(stream);
    return result;
}

STREAM_VARIANTS(cuStreamGetId, _ptsz, (CUstream stream, unsigned long long *ret_id), stream, ret_id)

static CUresult cuStreamGetDevice_in(bool per_thread, CUstream handle, CUdevice *ret_device)
{
    struct stream *stream;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    if (ret_device)
        *ret_device = (CUdevice)stream->context->device->number;
    else
        result = CUDA_ERROR_INVALID_VALUE;
    object_unref(stream);
    return result;
}

STREAM_VARIANTS(cuStreamGetDevice, _ptsz, (CUstream stream, CUdevice *ret_device), stream, ret_device)

static CUresult cuStreamGetCtx_in(bool per_thread, CUstream handle, CUcontext *ret_context)
{
    struct stream *stream;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    if (ret_context)
        *ret_context = (CUcontext)stream->context;
    else
        result = CUDA_ERROR_INVALID_VALUE;
    object_unref(stream);
    return result;
}

STREAM_VARIANTS(cuStreamGetCtx, _ptsz, (CUstream stream, CUcontext *ret_context), stream, ret_context)

static CUresult cuStreamGetCtx_v2_in(bool per_thread, CUstream handle, CUcontext *ret_context,
                                     CUgreenCtx *ret_green)
{
    CUresult result =
        ret_green ? cuStreamGetCtx_in(per_thread, handle, ret_context) : CUDA_ERROR_INVALID_VALUE;

    if (!result)
        *ret_green = NULL;
    return result;
}

STREAM_VARIANTS(cuStreamGetCtx_v2, _ptsz, (CUstream stream, CUcontext *ret_context, CUgreenCtx *ret_green),
                stream, ret_context, ret_green)

/* ---- waiting ---- */

static CUresult cuStreamSynchronize_in(bool per_thread, CUstream handle)
{
    struct stream *stream;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    result = capture_forbid_in(stream);
    if (!result)
        result = stream_synchronize(stream);
    object_unref(stream);
    return result;
}

STREAM_VARIANTS(cuStreamSynchronize, _ptsz, (CUstream stream), stream)

static CUresult cuStreamQuery_in(bool per_thread, CUstream handle)
{
    struct stream *stream;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    result = capture_forbid_in(stream);
    if (!result)
        result = stream_is_idle(stream) ? context_status(stream->context) : CUDA_ERROR_NOT_READY;
    object_unref(stream);
    return result;
}

STREAM_VARIANTS(cuStreamQuery, _ptsz, (CUstream stream), stream)

static CUresult cuStreamWaitEvent_in(bool per_thread, CUstream handle, CUevent event_handle,
                                     unsigned int flags)
{
    struct engine_work *recorded = NULL;
    struct stream *stream;
    struct event *event;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    event = object_get(OBJECT_EVENT, event_handle);
    if (!event)
        result = CUDA_ERROR_INVALID_HANDLE;
    else if (flags & ~(unsigned)CU_EVENT_WAIT_EXTERNAL)
        result = CUDA_ERROR_INVALID_VALUE;
    /* An event nobody recorded is nothing to wait for. */
    if (!result && !capture_wait(stream, event, flags, &result)) {
        if (event->shared)
            result = ipc_event_wait(event, stream);
        else
            recorded = event_recorded(event);
    }
    if (recorded) {
        result = stream_add_wait(stream, recorded);
        engine_work_unref(recorded);
    }
    object_unref(event);
    object_unref(stream);
    return result;
}

STREAM_VARIANTS(cuStreamWaitEvent, _ptsz, (CUstream stream, CUevent event, unsigned int flags), stream, event,
                flags)

/* ---- host functions ---- */

struct host_work {
    struct engine_work work;
    struct context *context;
    CUhostFn function;
    CUstreamCallback callback; /* instead of function */
    CUstream handle;
    void *user_data;
};

static void host_run(struct engine_work *work)
{
    struct host_work *self = (struct host_work *)work;
    CUresult status = context_status(self->context);

    print_flush(&self->context->print);
    thread_set_in_callback(true);
    if (self->callback)
        self->callback(self->handle, status, self->user_data);
    else if (!status)
        self->function(self->user_data);
    thread_set_in_callback(false);
}

static void host_destroy(struct engine_work *work)
{
    free(work);
}

static struct host_work *host_work_new(struct context *context)
{
    struct host_work *self = calloc(1, sizeof(*self));

    if (!self)
        return NULL;
    engine_work_init(&self->work, &context->queue, ENGINE_HOST, host_run, host_destroy);
    self->context = context;
    return self;
}

struct engine_work *stream_host_work(struct context *context, CUhostFn function, void *user_data)
{
    struct host_work *self = host_work_new(context);

    if (!self)
        return NULL;
    self->function = function;
    self->user_data = user_data;
    return &self->work;
}

static CUresult enqueue_host(CUstream handle, bool per_thread, CUhostFn function, CUstreamCallback callback,
                             void *user_data)
{
    CUgraphNodeParams node = {.type = CU_GRAPH_NODE_TYPE_HOST, .host = {function, user_data}};
    struct host_work *self;
    struct stream *stream;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    if (callback ? capture_refuse(stream, &result) : capture_node(stream, &node, &result)) {
        object_unref(stream);
        return result;
    }
    self = function || callback ? host_work_new(stream->context) : NULL;
    if (self) {
        self->function = function;
        self->callback = callback;
        self->handle = handle;
        self->user_data = user_data;
        result = stream_submit_and_forget(stream, &self->work);
    } else {
        result = function || callback ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_VALUE;
    }
    object_unref(stream);
    return result;
}

static CUresult cuLaunchHostFunc_in(bool per_thread, CUstream stream, CUhostFn function, void *user_data)
{
    return enqueue_host(stream, per_thread, function, NULL, user_data);
}

STREAM_VARIANTS(cuLaunchHostFunc, _ptsz, (CUstream stream, CUhostFn function, void *user_data), stream,
                function, user_data)

static CUresult cuStreamAddCallback_in(bool per_thread, CUstream stream, CUstreamCallback callback,
                                       void *user_data, unsigned int flags)
{
    return flags ? CUDA_ERROR_INVALID_VALUE : enqueue_host(stream, per_thread, NULL, callback, user_data);
}

STREAM_VARIANTS(cuStreamAddCallback, _ptsz,
                (CUstream stream, CUstreamCallback callback, void *user_data, unsigned int flags), stream,
                callback, user_data, flags)
