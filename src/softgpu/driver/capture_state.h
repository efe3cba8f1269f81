/* What a capture is, for the files that make up capture.h. All of it is guarded by the lock of graphs. */
#ifndef VGPU_SOFTGPU_DRIVER_CAPTURE_STATE_H
#define VGPU_SOFTGPU_DRIVER_CAPTURE_STATE_H

#include "softgpu/driver/capture.h"

struct capture {
    uint64_t id;
    struct graph *graph; /* referenced */
    bool is_users_graph;
    CUstreamCaptureMode mode;
    uint64_t thread; /* who began it */
    struct stream *origin;
    struct stream *streams; /* by next_captured; referenced */
    bool invalid;
    CUgraphEdgeData *edges; /* zeroes, for capture_info */
    struct capture *next;
};

/* All that have begun and not ended. */
extern struct capture_set {
    struct capture *first;
    unsigned n; /* atomic */
} capture_all;

static inline bool capture_any(void)
{
    return __atomic_load_n(&capture_all.n, __ATOMIC_ACQUIRE) != 0;
}

/* The stream takes part, with what `captured` it has. */
void capture_join_locked(struct capture *capture, struct stream *stream);

/* The capture of a blocking stream of the context, which the legacy stream would wait for, or NULL. */
struct capture *capture_of_blocking_locked(const struct context *context);

/* Whether work may become a node of the stream's capture: NULL with *ret_result when not, or when the stream
 * does not capture and *ret_result is CUDA_SUCCESS. */
struct capture *capture_usable_locked(struct stream *stream, CUresult *ret_result);

#endif
