/* Events: a name for the point that a stream had reached when the event was recorded last. */
#ifndef VGPU_SOFTGPU_DRIVER_EVENT_H
#define VGPU_SOFTGPU_DRIVER_EVENT_H

#include "softgpu/driver/context.h"

struct event {
    struct object object;
    struct context *context; /* referenced */
    unsigned flags;
    struct engine_work *recorded; /* marker of the last record, or NULL; guarded by the engine's lock */
};

/* The marker of the last record with a reference for the caller, or NULL. */
struct engine_work *event_recorded(struct event *event);

#endif
