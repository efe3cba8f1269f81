/* Streams: which work comes after which. A stream's frontier is what its next work has to wait for: its
 * latest work, and what cuStreamWaitEvent added since.
 *
 * The legacy NULL stream of a context and its blocking streams wait for one another: work in the legacy
 * stream comes after all earlier work of the blocking ones, and work in a blocking one after all earlier work
 * of the legacy stream. */
#ifndef VGPU_SOFTGPU_DRIVER_STREAM_H
#define VGPU_SOFTGPU_DRIVER_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "api/cuda_api.h"
#include "softgpu/driver/context.h"
#include "softgpu/driver/graph.h"

enum { STREAM_ATTRIBUTES = CU_STREAM_ATTRIBUTE_MEM_SYNC_DOMAIN + 1 };

struct stream {
    struct object object;
    struct context *context; /* referenced, but for the legacy stream, which its context owns */
    unsigned flags;
    int priority;
    unsigned long long id;
    uint64_t thread; /* per-thread default stream: its thread's serial; else 0 */
    bool is_legacy, is_blocking;

    /* guarded by the engine's lock */
    struct engine_work *last;
    struct engine_work **extras;
    size_t n_extras, extras_capacity;
    CUstreamAttrValue attributes[STREAM_ATTRIBUTES]; /* by id; those that are hints */
    struct stream *next;                             /* in context->streams, which holds a reference */

    /* guarded by the lock of graphs */
    struct capture *capture;      /* atomic: the capture it takes part in, or NULL */
    struct graph_nodes captured;  /* what its next node comes after */
    struct stream *next_captured; /* in capture->streams */
};

enum { STREAM_PRIORITY_LEAST = 0, STREAM_PRIORITY_GREATEST = -5 };

/* A new stream of context with a reference for the caller, in the context's list, not published. */
CUresult stream_new(struct context *context, unsigned flags, int priority, struct stream **ret_stream);

/* The NULL stream of a context that is being made, in no list; one reference, the context's. */
CUresult stream_new_legacy(struct context *context, struct stream **ret_stream);

/* Takes it out of its context's list: legacy work no longer waits for it. */
void stream_unlink(struct stream *stream);

/* The stream a call means, with a reference for the caller: a handle, NULL, CU_STREAM_LEGACY or
 * CU_STREAM_PER_THREAD. per_thread: the call's variant in which NULL is the per-thread default stream.
 * INVALID_HANDLE; or the sticky error of the stream's context. */
CUresult stream_resolve(struct context *current, CUstream handle, bool per_thread,
                        struct stream **ret_stream);
/* The same in the calling thread's context, and what keeps that from being entered: how most calls with a
 * stream begin. */
CUresult stream_enter(CUstream handle, bool per_thread, struct stream **ret_stream);

/* Hands work to the stream, after what its order demands. Blocks only while the context's queue is full. */
CUresult stream_submit(struct stream *stream, struct engine_work *work);

/* The stream's next work also waits for `work`. */
CUresult stream_add_wait(struct stream *stream, struct engine_work *work);

/* Blocks until everything enqueued so far is complete, writes what kernels printed, returns the context's
 * status. */
CUresult stream_synchronize(struct stream *stream);
bool stream_is_idle(struct stream *stream);

/* Enqueues work whose caller does not look at it again, dropping the caller's reference. */
CUresult stream_submit_and_forget(struct stream *stream, struct engine_work *work);
/* The same, but waits for its end as a synchronous call does. */
CUresult stream_submit_and_wait(struct stream *stream, struct engine_work *work);

/* A call of function as work of context, one reference for the caller, not enqueued. NULL: no memory. */
struct engine_work *stream_host_work(struct context *context, CUhostFn function, void *user_data);

/* Works that are handed to a stream together: item i has its effect after the items deps[i], whose places are
 * lower, or, with none, after the stream's earlier work and `also`. */
struct stream_batch {
    struct engine_work **works;
    const size_t *const *deps;
    const size_t *n_deps;
    const bool *is_leaf; /* nothing in the batch comes after it; the stream's later work does */
    size_t n;
    struct engine_work *const *also;
    size_t n_also;
    /* Called for each item, in order, right before it is enqueued: more that it waits for, or NULL. */
    struct engine_work *(*before_locked)(void *argument, size_t item);
    void *argument;
};

/* All of it or nothing, in one step. `end`, a marker, is complete when all of it is; the stream does not wait
 * for it. Both stay the caller's. */
CUresult stream_submit_batch(struct stream *stream, const struct stream_batch *batch,
                             struct engine_work *end);

/* As stream_submit, but the stream's later work does not come after it. */
CUresult stream_submit_aside(struct stream *stream, struct engine_work *work);

/* The thread of that serial ends: its per-thread default streams go. */
void stream_thread_ended(uint64_t serial);

/* Drops all streams of a context whose work has ended. */
void stream_drop_all(struct context *context);

/* Defines the public function `name` and its per-thread variant, name##suffix, over name##_in(per_thread,
 * ...). */
#define STREAM_VARIANTS(name, suffix, params, ...)                                                           \
    __attribute__((visibility("default"))) CUresult name##suffix params;                                     \
    CUresult name params                                                                                     \
    {                                                                                                        \
        return name##_in(false, __VA_ARGS__);                                                                \
    }                                                                                                        \
    CUresult name##suffix params                                                                             \
    {                                                                                                        \
        return name##_in(true, __VA_ARGS__);                                                                 \
    }

#endif
