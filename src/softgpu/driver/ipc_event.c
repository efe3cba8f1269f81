/* Events between processes. Such an event means the latest record that any of its processes made; what all of
 * them know of it is in a shared_event. A record is a work that tells the others, a wait in a stream is a
 * gate. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/driver/event.h"
#include "softgpu/driver/shared_event.h"
#include "softgpu/driver/stream.h"

#define HANDLE_MAGIC UINT32_C(0x45504947) /* "GIPE" */

/* What is in the 64 bytes of a CUipcEventHandle. */
struct handle {
    uint32_t magic, unused;
    uint8_t token[SGDEV_TOKEN_BYTES];
};
_Static_assert(sizeof(struct handle) <= sizeof(CUipcEventHandle), "fits");

/* A record or a wait: both are works in the gates' lane, which run even when their context failed. */
struct event_work {
    struct engine_work work;
    struct context *context;
    struct shared_event *shared; /* referenced */
    uint64_t serial;
    bool is_record;
};

/* ---- works ---- */

static void record_run(struct engine_work *work)
{
    struct event_work *self = (struct event_work *)work;

    shared_event_complete(self->shared, self->serial);
}

static void wait_run(struct engine_work *work)
{
    struct event_work *self = (struct event_work *)work;

    work->is_shut = !context_status(self->context) &&
                    !__atomic_load_n(&self->context->destroyed, __ATOMIC_ACQUIRE) &&
                    !shared_event_is_complete(self->shared, self->serial);
}

static void event_work_destroy(struct engine_work *work)
{
    struct event_work *self = (struct event_work *)work;

    /* One that was never enqueued must not keep others waiting; of one that ran this changes nothing. */
    if (self->is_record)
        shared_event_complete(self->shared, self->serial);
    shared_event_unref(self->shared);
    free(self);
}

static struct event_work *event_work_new(struct context *context, struct shared_event *shared, bool is_record)
{
    struct event_work *self = calloc(1, sizeof(*self));

    if (!self)
        return NULL;
    engine_work_init(&self->work, &context->queue, ENGINE_GATE, is_record ? record_run : wait_run,
                     event_work_destroy);
    self->context = context;
    self->shared = shared_event_ref(shared);
    self->is_record = is_record;
    return self;
}

CUresult ipc_event_record(struct event *event, struct stream *stream)
{
    struct event_work *record = event_work_new(stream->context, event->shared, true);

    if (!record)
        return CUDA_ERROR_OUT_OF_MEMORY;
    record->serial = shared_event_begin(event->shared);
    return stream_submit_and_forget(stream, &record->work);
}

CUresult ipc_event_wait(struct event *event, struct stream *stream)
{
    uint64_t latest = shared_event_latest(event->shared);
    struct event_work *wait;

    if (shared_event_is_complete(event->shared, latest))
        return CUDA_SUCCESS;
    wait = event_work_new(stream->context, event->shared, false);
    if (!wait)
        return CUDA_ERROR_OUT_OF_MEMORY;
    wait->serial = latest;
    return stream_submit_and_forget(stream, &wait->work);
}

/* ---- the calls ---- */

static CUresult result_of(int error)
{
    switch (error) {
    case 0:
        return CUDA_SUCCESS;
    case -EXDEV:
        return CUDA_ERROR_INVALID_CONTEXT;
    case -ENOENT:
        return CUDA_ERROR_INVALID_HANDLE;
    case -EUSERS:
        return CUDA_ERROR_MAP_FAILED;
    default:
        return process_result(error);
    }
}

CUresult ipc_event_new(struct context *context, unsigned flags, CUevent *ret_event)
{
    struct shared_event *shared;
    CUresult result = result_of(shared_event_new(&shared));

    if (result)
        return result;
    result = event_new(context, flags, shared, ret_event);
    if (result)
        shared_event_unref(shared);
    return result;
}

CUresult cuIpcGetEventHandle(CUipcEventHandle *ret_handle, CUevent event_handle)
{
    struct handle handle = {.magic = HANDLE_MAGIC};
    struct event *event;
    CUresult result = event_get(event_handle, &event);

    if (result)
        return result;
    if (!ret_handle || !(event->flags & CU_EVENT_INTERPROCESS)) {
        result = CUDA_ERROR_INVALID_VALUE;
    } else {
        memcpy(handle.token, shared_event_token(event->shared), SGDEV_TOKEN_BYTES);
        memset(ret_handle, 0, sizeof(*ret_handle));
        memcpy(ret_handle->reserved, &handle, sizeof(handle));
    }
    object_unref(event);
    return result;
}

CUresult cuIpcOpenEventHandle(CUevent *ret_event, CUipcEventHandle shareable)
{
    struct shared_event *shared;
    struct context *context;
    struct handle handle;
    CUresult result = context_enter(&context);

    if (result)
        return result;
    memcpy(&handle, shareable.reserved, sizeof(handle));
    if (!ret_event)
        return CUDA_ERROR_INVALID_VALUE;
    if (handle.magic != HANDLE_MAGIC)
        return CUDA_ERROR_INVALID_HANDLE;
    result = result_of(shared_event_open(handle.token, &shared));
    if (result)
        return result;
    result = event_new(context, CU_EVENT_DISABLE_TIMING, shared, ret_event);
    if (result)
        shared_event_unref(shared);
    return result;
}
