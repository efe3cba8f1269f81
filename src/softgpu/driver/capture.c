/* Captures. A capture has a graph, and streams, each with the nodes that its next node comes after. An event
 * that was recorded in a capture remembers the ids of such nodes, so it may outlive them. */
#include "softgpu/driver/capture.h"

#include <stdlib.h>

#include "softgpu/driver/capture_state.h"
#include "softgpu/driver/thread.h"

struct capture_set capture_all;
static __thread CUstreamCaptureMode thread_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;

CUstreamCaptureMode capture_exchange_mode(CUstreamCaptureMode mode)
{
    CUstreamCaptureMode before = thread_mode;

    thread_mode = mode;
    return before;
}

/* ---- streams of a capture ---- */

void capture_join_locked(struct capture *capture, struct stream *stream)
{
    object_ref(stream);
    stream->next_captured = capture->streams;
    capture->streams = stream;
    __atomic_store_n(&stream->capture, capture, __ATOMIC_RELEASE);
}

struct capture *capture_of_blocking_locked(const struct context *context)
{
    for (struct capture *capture = capture_all.first; capture; capture = capture->next)
        for (struct stream *each = capture->streams; each; each = each->next_captured)
            if (each->context == context && each->is_blocking)
                return capture;
    return NULL;
}

struct capture *capture_usable_locked(struct stream *stream, CUresult *ret_result)
{
    struct capture *capture = stream->capture, *blocking;

    *ret_result = CUDA_SUCCESS;
    if (!capture) {
        blocking = stream->is_legacy ? capture_of_blocking_locked(stream->context) : NULL;
        if (blocking) {
            blocking->invalid = true;
            *ret_result = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
        }
        return NULL;
    }
    if (capture->invalid) {
        *ret_result = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
        return NULL;
    }
    return capture;
}

/* ---- nodes ---- */

/* Adds a node behind the stream's, which is then all that its next one comes after. */
static CUresult add_locked(struct capture *capture, struct stream *stream, struct node_params *params)
{
    struct graph_node *node;
    CUresult result =
        graph_add_locked(capture->graph, stream->captured.items, stream->captured.n, params, &node);

    if (result)
        return result;
    stream->captured.n = 0;
    return graph_nodes_add(&stream->captured, node) ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
}

/* Whether the call is the capture's business at all. */
static bool concerns_capture(struct stream *stream, CUresult *ret_result)
{
    bool captures_now;

    if (!capture_any())
        return false;
    graph_lock();
    captures_now = capture_usable_locked(stream, ret_result) != NULL;
    graph_unlock();
    return captures_now || *ret_result;
}

/* Takes params over. */
static CUresult add_params(struct stream *stream, struct node_params *params)
{
    struct capture *capture;
    CUresult result;

    graph_lock();
    capture = capture_usable_locked(stream, &result);
    if (capture)
        result = add_locked(capture, stream, params);
    else if (!result)
        result = CUDA_ERROR_ILLEGAL_STATE;
    graph_unlock();
    if (result)
        node_params_unref(params);
    return result;
}

bool capture_kernel(struct stream *stream, const CUgraphNodeParams *node, const CUlaunchAttribute *attributes,
                    unsigned n_attributes, CUresult *ret_result)
{
    struct node_params *params;

    if (!concerns_capture(stream, ret_result))
        return false;
    if (!*ret_result)
        *ret_result = node_params_new(node, attributes, n_attributes, &params);
    if (!*ret_result)
        *ret_result = add_params(stream, params);
    return true;
}

bool capture_node(struct stream *stream, const CUgraphNodeParams *node, CUresult *ret_result)
{
    return capture_kernel(stream, node, NULL, 0, ret_result);
}

bool capture_graph(struct stream *stream, struct graph_exec *exec, CUresult *ret_result)
{
    struct node_params *params;
    struct graph *graph;

    if (!concerns_capture(stream, ret_result))
        return false;
    if (!*ret_result)
        *ret_result = graph_exec_to_graph(exec, &graph);
    if (*ret_result)
        return true;
    *ret_result = node_params_new_child(graph, &params);
    if (*ret_result) {
        object_unref(graph);
        return true;
    }
    object_publish(graph);
    *ret_result = add_params(stream, params);
    return true;
}

bool capture_alloc(struct stream *stream, const CUmemPoolProps *properties, size_t bytes,
                   CUdeviceptr *ret_address, CUresult *ret_result)
{
    CUgraphNodeParams node = {.type = CU_GRAPH_NODE_TYPE_MEM_ALLOC,
                              .alloc = {.poolProps = *properties, .bytesize = bytes}};
    struct node_params *params;
    CUdeviceptr address;

    if (!concerns_capture(stream, ret_result))
        return false;
    if (!*ret_result)
        *ret_result = node_params_new(&node, NULL, 0, &params);
    if (*ret_result)
        return true;
    address = params->values.alloc.dptr;
    *ret_result = add_params(stream, params);
    if (!*ret_result)
        *ret_address = address;
    return true;
}

bool capture_refuse(struct stream *stream, CUresult *ret_result)
{
    struct capture *capture;

    if (!capture_any())
        return false;
    graph_lock();
    capture = capture_usable_locked(stream, ret_result);
    if (capture) {
        capture->invalid = true;
        *ret_result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    graph_unlock();
    return *ret_result != CUDA_SUCCESS;
}

/* ---- events ---- */

static struct capture *find_locked(uint64_t id)
{
    struct capture *capture = capture_all.first;

    while (capture && capture->id != id)
        capture = capture->next;
    return capture;
}

static CUresult mark_event_locked(const struct capture *capture, const struct stream *stream,
                                  struct event *event)
{
    size_t n = stream->captured.n;
    uint64_t *ids = realloc(event->captured_ids, (n + 1) * sizeof(*ids));

    if (!ids)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < n; i++)
        ids[i] = stream->captured.items[i]->id;
    event->captured_ids = ids;
    event->n_captured = n;
    __atomic_store_n(&event->capture_id, capture->id, __ATOMIC_RELEASE);
    return CUDA_SUCCESS;
}

bool capture_record(struct stream *stream, struct event *event, unsigned flags, CUresult *ret_result)
{
    CUgraphNodeParams node = {.type = CU_GRAPH_NODE_TYPE_EVENT_RECORD, .eventRecord = {(CUevent)event}};
    struct capture *capture;
    bool concerned;

    if (flags & CU_EVENT_RECORD_EXTERNAL)
        return capture_node(stream, &node, ret_result);
    if (!capture_any())
        return false;
    graph_lock();
    capture = capture_usable_locked(stream, ret_result);
    if (capture)
        *ret_result = mark_event_locked(capture, stream, event);
    concerned = capture || *ret_result;
    graph_unlock();
    return concerned;
}

void capture_forget_event(struct event *event)
{
    if (!__atomic_load_n(&event->capture_id, __ATOMIC_ACQUIRE))
        return;
    graph_lock();
    event->capture_id = 0;
    event->n_captured = 0;
    graph_unlock();
}

/* The stream's next node comes after the event's nodes, too. */
static CUresult add_event_nodes_locked(struct capture *capture, struct stream *stream,
                                       const struct event *event)
{
    const struct graph_nodes *all = &capture->graph->nodes;

    for (size_t i = 0; i < event->n_captured; i++)
        for (size_t k = 0; k < all->n; k++)
            if (all->items[k]->id == event->captured_ids[i] &&
                !graph_nodes_have(&stream->captured, all->items[k]) &&
                graph_nodes_add(&stream->captured, all->items[k]))
                return CUDA_ERROR_OUT_OF_MEMORY;
    return CUDA_SUCCESS;
}

/* A wait for an event that was recorded in a capture. */
static CUresult wait_captured_locked(struct stream *stream, const struct event *event)
{
    struct capture *capture = find_locked(event->capture_id), *own = stream->capture;

    if (!capture)
        return CUDA_ERROR_CAPTURED_EVENT;
    if (capture->invalid)
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (own && own != capture) {
        own->invalid = capture->invalid = true;
        return CUDA_ERROR_STREAM_CAPTURE_MERGE;
    }
    if (stream->is_legacy) {
        capture->invalid = true;
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    if (!own)
        capture_join_locked(capture, stream);
    return add_event_nodes_locked(capture, stream, event);
}

bool capture_wait(struct stream *stream, struct event *event, unsigned flags, CUresult *ret_result)
{
    CUgraphNodeParams node = {.type = CU_GRAPH_NODE_TYPE_WAIT_EVENT, .eventWait = {(CUevent)event}};
    struct capture *capture;
    bool concerned = true;

    if (!__atomic_load_n(&event->capture_id, __ATOMIC_ACQUIRE) && !capture_any())
        return false;
    if (flags & CU_EVENT_WAIT_EXTERNAL)
        return capture_node(stream, &node, ret_result);
    graph_lock();
    if (event->capture_id) {
        *ret_result = wait_captured_locked(stream, event);
    } else {
        capture = capture_usable_locked(stream, ret_result);
        if (capture) {
            capture->invalid = true;
            *ret_result = CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
        }
        concerned = *ret_result != CUDA_SUCCESS;
    }
    graph_unlock();
    return concerned;
}

/* ---- what must not be called ---- */

static bool forbids(const struct capture *capture)
{
    if (capture->invalid || capture->mode == CU_STREAM_CAPTURE_MODE_RELAXED)
        return false;
    if (capture->thread == thread_serial())
        return true;
    return capture->mode == CU_STREAM_CAPTURE_MODE_GLOBAL && thread_mode == CU_STREAM_CAPTURE_MODE_GLOBAL;
}

CUresult capture_forbid(void)
{
    CUresult result = CUDA_SUCCESS;

    if (!capture_any() || thread_mode == CU_STREAM_CAPTURE_MODE_RELAXED)
        return CUDA_SUCCESS;
    graph_lock();
    for (struct capture *capture = capture_all.first; capture; capture = capture->next) {
        if (!forbids(capture))
            continue;
        capture->invalid = true;
        result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    graph_unlock();
    return result;
}

CUresult capture_forbid_in(struct stream *stream)
{
    CUresult result;

    return capture_refuse(stream, &result) ? result : CUDA_SUCCESS;
}

CUresult capture_forbid_event(struct event *event)
{
    struct capture *capture;

    if (!__atomic_load_n(&event->capture_id, __ATOMIC_ACQUIRE))
        return capture_forbid();
    graph_lock();
    capture = find_locked(event->capture_id);
    if (capture)
        capture->invalid = true;
    graph_unlock();
    return CUDA_ERROR_CAPTURED_EVENT;
}

CUresult capture_forbid_context(struct context *context)
{
    CUresult result = CUDA_SUCCESS;

    if (!capture_any())
        return CUDA_SUCCESS;
    graph_lock();
    for (struct capture *capture = capture_all.first; capture; capture = capture->next) {
        if (capture->origin->context != context)
            continue;
        capture->invalid = true;
        result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    graph_unlock();
    return result;
}
