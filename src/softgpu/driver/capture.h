/* Stream capture: while a stream captures, what is asked of it becomes nodes of a graph instead of work. A
 * capture begins in one stream and spreads to those that wait for events recorded in it.
 *
 * The state is guarded by the lock of graphs. Without any capture in the process each function is one atomic
 * load. */
#ifndef VGPU_SOFTGPU_DRIVER_CAPTURE_H
#define VGPU_SOFTGPU_DRIVER_CAPTURE_H

#include "api/cuda_api.h"
#include "softgpu/driver/event.h"
#include "softgpu/driver/graph_exec.h"
#include "softgpu/driver/stream.h"

/* Each of these is asked before a call hands work to stream. True: the stream captures, or must not be used
 * because another one does, and *ret_result is what the call returns. False: go on as usual. */
bool capture_node(struct stream *stream, const CUgraphNodeParams *node, CUresult *ret_result);
bool capture_kernel(struct stream *stream, const CUgraphNodeParams *node, const CUlaunchAttribute *attributes,
                    unsigned n_attributes, CUresult *ret_result);
bool capture_graph(struct stream *stream, struct graph_exec *exec, CUresult *ret_result);
bool capture_alloc(struct stream *stream, const CUmemPoolProps *properties, size_t bytes,
                   CUdeviceptr *ret_address, CUresult *ret_result);
bool capture_record(struct stream *stream, struct event *event, unsigned flags, CUresult *ret_result);
bool capture_wait(struct stream *stream, struct event *event, unsigned flags, CUresult *ret_result);
/* For calls that cannot be captured: the capture becomes invalid. */
bool capture_refuse(struct stream *stream, CUresult *ret_result);

/* For calls that may wait for, or depend on, more than they name: STREAM_CAPTURE_UNSUPPORTED where the modes
 * of the thread and of the captures forbid them, which makes those captures invalid. */
CUresult capture_forbid(void);
/* The same for a call that waits for a stream's work. */
CUresult capture_forbid_in(struct stream *stream);
/* For calls that ask about an event: CAPTURED_EVENT when its last record was captured. */
CUresult capture_forbid_event(struct event *event);
/* For calls that wait for a whole context. */
CUresult capture_forbid_context(struct context *context);

/* The event was recorded by work: it no longer means a place in a capture. */
void capture_forget_event(struct event *event);
/* The stream's handle ends: a capture that began in it is given up. */
void capture_stream_ended(struct stream *stream);
/* The node goes out of its graph; the lock of graphs is held. */
void capture_forget_node_locked(const struct graph_node *node);

/* Begins and ends, as the calls say. graph: where the nodes go, or NULL for a new one. */
CUresult capture_begin(struct stream *stream, CUstreamCaptureMode mode, struct graph *graph,
                       const CUgraphNode *dependencies, size_t count);
CUresult capture_end(struct stream *stream, CUgraph *ret_graph);

struct capture_info {
    CUstreamCaptureStatus status;
    cuuint64_t id;
    CUgraph graph;
    const CUgraphNode *dependencies; /* valid until the next call about the stream */
    const CUgraphEdgeData *edges;
    size_t count;
};

/* STREAM_CAPTURE_IMPLICIT: it is the legacy stream and a stream that waits for it captures. */
CUresult capture_info(struct stream *stream, struct capture_info *ret_info);
CUresult capture_set_dependencies(struct stream *stream, const CUgraphNode *nodes, size_t count, bool add);
CUstreamCaptureMode capture_exchange_mode(CUstreamCaptureMode mode);

#endif
