/* The cuEvent* calls. A record is a marker in its stream; the time it becomes complete at, on the device's
 * clock, is the event's time. */
#include "softgpu/driver/event.h"

#include <stdlib.h>

#include "softgpu/driver/capture.h"
#include "softgpu/driver/pool.h"
#include "softgpu/driver/shared_event.h"
#include "softgpu/driver/stream.h"

static void event_free(void *object)
{
    struct event *event = object;

    engine_work_unref(event->recorded);
    shared_event_unref(event->shared);
    free(event->captured_ids);
    object_unref(event->context);
    free(event);
}

struct engine_work *event_recorded(struct event *event)
{
    engine_lock();
    struct engine_work *recorded = event->recorded ? engine_work_ref(event->recorded) : NULL;
    engine_unlock();
    return recorded;
}

CUresult event_new(struct context *context, unsigned flags, struct shared_event *shared, CUevent *ret_event)
{
    struct event *event = calloc(1, sizeof(*event));

    if (!event)
        return CUDA_ERROR_OUT_OF_MEMORY;
    object_init(&event->object, OBJECT_EVENT, event_free);
    event->context = object_ref(context);
    event->flags = flags;
    event->shared = shared;
    object_publish(event);
    *ret_event = (CUevent)event;
    object_unref(event);
    return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent *ret_event, unsigned int flags)
{
    const unsigned known = CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS;
    struct context *context;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    if (!ret_event || (flags & ~known) ||
        ((flags & CU_EVENT_INTERPROCESS) && !(flags & CU_EVENT_DISABLE_TIMING)))
        return CUDA_ERROR_INVALID_VALUE;
    if (flags & CU_EVENT_INTERPROCESS)
        return ipc_event_new(context, flags, ret_event);
    return event_new(context, flags, NULL, ret_event);
}

CUresult cuEventDestroy_v2(CUevent handle)
{
    CUresult result = process_check();
    struct event *event;

    if (result)
        return result;
    event = object_get(OBJECT_EVENT, handle);
    if (!event)
        return CUDA_ERROR_INVALID_HANDLE;
    object_retire(event);
    object_unref(event);
    return CUDA_SUCCESS;
}

CUresult cuEventDestroy(CUevent handle)
{
    return cuEventDestroy_v2(handle);
}

static CUresult record(struct event *event, struct stream *stream)
{
    struct engine_work *marker, *before;
    CUresult result;

    if (event->context != stream->context)
        return CUDA_ERROR_INVALID_HANDLE;
    if (event->shared) {
        result = ipc_event_record(event, stream);
        if (!result)
            capture_forget_event(event);
        return result;
    }
    marker = engine_marker_new(&stream->context->queue);
    if (!marker)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = stream_submit(stream, marker);
    if (result) {
        engine_work_unref(marker);
        return result;
    }
    engine_lock();
    before = event->recorded;
    event->recorded = marker;
    engine_unlock();
    capture_forget_event(event);
    engine_work_unref(before);
    return CUDA_SUCCESS;
}

static CUresult record_in(bool per_thread, CUevent event_handle, CUstream stream_handle, unsigned flags)
{
    struct context *context;
    struct stream *stream;
    struct event *event;
    CUresult result = context_enter(&context);

    if (!result)
        result = stream_resolve(context, stream_handle, per_thread, &stream);
    if (result)
        return result;
    event = object_get(OBJECT_EVENT, event_handle);
    if (!event)
        result = CUDA_ERROR_INVALID_HANDLE;
    else if (flags & ~(unsigned)CU_EVENT_RECORD_EXTERNAL)
        result = CUDA_ERROR_INVALID_VALUE;
    else if (!capture_record(stream, event, flags, &result))
        result = record(event, stream);
    object_unref(event);
    object_unref(stream);
    return result;
}

static CUresult cuEventRecord_in(bool per_thread, CUevent event, CUstream stream)
{
    return record_in(per_thread, event, stream, CU_EVENT_RECORD_DEFAULT);
}

STREAM_VARIANTS(cuEventRecord, _ptsz, (CUevent event, CUstream stream), event, stream)

static CUresult cuEventRecordWithFlags_in(bool per_thread, CUevent event, CUstream stream, unsigned int flags)
{
    return record_in(per_thread, event, stream, flags);
}

STREAM_VARIANTS(cuEventRecordWithFlags, _ptsz, (CUevent event, CUstream stream, unsigned int flags), event,
                stream, flags)

CUresult event_get(CUevent handle, struct event **ret_event)
{
    CUresult result = process_check();
    struct event *event;

    if (result)
        return result;
    event = object_get(OBJECT_EVENT, handle);
    if (!event)
        return CUDA_ERROR_INVALID_HANDLE;
    result = context_status(event->context);
    if (result)
        object_unref(event);
    else
        *ret_event = event;
    return result;
}

static bool is_complete(struct event *event)
{
    struct engine_work *recorded;
    bool complete;

    if (event->shared)
        return shared_event_is_complete(event->shared, shared_event_latest(event->shared));
    recorded = event_recorded(event);
    complete = !recorded || engine_is_complete(recorded);
    engine_work_unref(recorded);
    return complete;
}

CUresult cuEventQuery(CUevent handle)
{
    struct event *event;
    CUresult result = event_get(handle, &event);

    if (result)
        return result;
    result = capture_forbid_event(event);
    if (result) {
        object_unref(event);
        return result;
    }
    if (!is_complete(event))
        result = CUDA_ERROR_NOT_READY;
    else
        result = context_status(event->context);
    object_unref(event);
    return result;
}

/* Blocks until the last record is complete; false when there is none. */
static bool wait_for_record(struct event *event)
{
    struct engine_work *recorded;
    uint64_t latest;
    bool is_recorded;

    if (event->shared) {
        latest = shared_event_latest(event->shared);
        shared_event_wait(event->shared, latest);
        return latest != 0;
    }
    recorded = event_recorded(event);
    is_recorded = recorded != NULL;
    if (is_recorded)
        engine_wait(recorded);
    engine_work_unref(recorded);
    return is_recorded;
}

CUresult cuEventSynchronize(CUevent handle)
{
    struct event *event;
    CUresult result = event_get(handle, &event);

    if (result)
        return result;
    result = capture_forbid_event(event);
    if (result) {
        object_unref(event);
        return result;
    }
    if (wait_for_record(event)) {
        print_flush(&event->context->print);
        pool_synchronized(event->context->device);
    }
    result = context_status(event->context);
    object_unref(event);
    return result;
}

static CUresult elapsed(float *ret_ms, const struct event *start, const struct event *end,
                        const struct engine_work *from, const struct engine_work *to)
{
    if (((start->flags | end->flags) & CU_EVENT_DISABLE_TIMING) ||
        start->context->device != end->context->device)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!from || !to)
        return CUDA_ERROR_INVALID_HANDLE;
    if (!engine_is_complete(from) || !engine_is_complete(to))
        return CUDA_ERROR_NOT_READY;
    *ret_ms = (float)((double)(int64_t)(to->end_ns - from->end_ns) / 1e6);
    return CUDA_SUCCESS;
}

CUresult cuEventElapsedTime_v2(float *ret_ms, CUevent start_handle, CUevent end_handle)
{
    struct event *start, *end;
    CUresult result = event_get(start_handle, &start);

    if (result)
        return result;
    result = event_get(end_handle, &end);
    if (result) {
        object_unref(start);
        return result;
    }
    struct engine_work *from = event_recorded(start), *to = event_recorded(end);

    result = ret_ms ? elapsed(ret_ms, start, end, from, to) : CUDA_ERROR_INVALID_VALUE;
    engine_work_unref(from);
    engine_work_unref(to);
    object_unref(start);
    object_unref(end);
    return result;
}

CUresult cuEventElapsedTime(float *ret_ms, CUevent start, CUevent end)
{
    return cuEventElapsedTime_v2(ret_ms, start, end);
}
