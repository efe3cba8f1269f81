/* Events: a name for the point that a stream had reached when the event was recorded last. */
#ifndef VGPU_SOFTGPU_DRIVER_EVENT_H
#define VGPU_SOFTGPU_DRIVER_EVENT_H

#include "softgpu/driver/context.h"

struct shared_event;

struct event {
    struct object object;
    struct context *context; /* referenced */
    unsigned flags;
    struct engine_work *recorded; /* marker of the last record, or NULL; guarded by the engine's lock */
    struct shared_event *shared;  /* of an event of several processes, which has no marker; referenced */

    /* guarded by the lock of graphs */
    uint64_t capture_id;    /* atomic: the last record was captured, by the capture of this id; else 0 */
    uint64_t *captured_ids; /* nodes that whoever waits for it comes after */
    size_t n_captured;
};

/* A new event, published; it takes shared (which may be NULL) over unless that fails. */
CUresult event_new(struct context *context, unsigned flags, struct shared_event *shared, CUevent *ret_event);

/* A live event with a reference, for a call that needs no current context: the event's own decides. */
CUresult event_get(CUevent handle, struct event **ret_event);

/* The marker of the last record with a reference for the caller, or NULL. */
struct engine_work *event_recorded(struct event *event);

/* ---- events of several processes (ipc_event.c) ---- */

/* What event_new does, with a shared_event of its own. */
CUresult ipc_event_new(struct context *context, unsigned flags, CUevent *ret_event);

/* Records an event that has a shared_event; makes the stream wait for its latest record. */
CUresult ipc_event_record(struct event *event, struct stream *stream);
CUresult ipc_event_wait(struct event *event, struct stream *stream);

#endif
