/* Captures begin, end, and are told of. Nothing is freed under the lock: what ended is taken out of the list
 * and given back after it. */
#include <stdlib.h>

#include "softgpu/driver/capture_state.h"
#include "softgpu/driver/graph_api.h"
#include "softgpu/driver/thread.h"

/* Out of the list, with its streams, which the caller gives back with release. */
static void detach_locked(struct capture *capture)
{
    struct capture **link = &capture_all.first;

    while (*link != capture)
        link = &(*link)->next;
    *link = capture->next;
    __atomic_fetch_sub(&capture_all.n, 1, __ATOMIC_RELEASE);
    for (struct stream *each = capture->streams; each; each = each->next_captured) {
        __atomic_store_n(&each->capture, NULL, __ATOMIC_RELEASE);
        each->captured.n = 0;
    }
}

/* keep_graph: the program has it now. */
static void release(struct capture *capture, bool keep_graph)
{
    while (capture->streams) {
        struct stream *stream = capture->streams;

        capture->streams = stream->next_captured;
        object_unref(stream);
    }
    if (!keep_graph && !capture->is_users_graph)
        graph_end(capture->graph);
    object_unref(capture->graph);
    free(capture->edges);
    free(capture);
}

static CUresult begin_locked(struct capture *capture, struct stream *stream, const CUgraphNode *dependencies,
                             size_t count)
{
    struct graph_node **nodes;
    CUresult result;

    if (stream->capture)
        return CUDA_ERROR_ILLEGAL_STATE;
    if (count > capture->graph->nodes.n)
        return CUDA_ERROR_INVALID_VALUE;
    nodes = calloc(count + 1, sizeof(struct graph_node *));
    result = nodes ? graph_find_nodes_locked(capture->graph, dependencies, count, nodes)
                   : CUDA_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < count && !result; i++)
        if (graph_nodes_add(&stream->captured, nodes[i]))
            result = CUDA_ERROR_OUT_OF_MEMORY;
    free(nodes);
    if (result) {
        stream->captured.n = 0;
        return result;
    }
    capture_join_locked(capture, stream);
    capture->next = capture_all.first;
    capture_all.first = capture;
    __atomic_fetch_add(&capture_all.n, 1, __ATOMIC_RELEASE);
    return CUDA_SUCCESS;
}

static struct capture *capture_new(struct stream *stream, CUstreamCaptureMode mode, struct graph *graph)
{
    struct capture *capture = calloc(1, sizeof(*capture));

    if (!capture)
        return NULL;
    capture->is_users_graph = graph != NULL;
    capture->graph = graph ? object_ref(graph) : graph_create();
    if (!capture->graph) {
        free(capture);
        return NULL;
    }
    if (!graph)
        object_publish(capture->graph);
    capture->id = graph_next_id();
    capture->mode = mode;
    capture->thread = thread_serial();
    capture->origin = stream;
    return capture;
}

CUresult capture_begin(struct stream *stream, CUstreamCaptureMode mode, struct graph *graph,
                       const CUgraphNode *dependencies, size_t count)
{
    struct capture *capture;
    CUresult result;

    if ((unsigned)mode > CU_STREAM_CAPTURE_MODE_RELAXED || (count && !dependencies))
        return CUDA_ERROR_INVALID_VALUE;
    if (stream->is_legacy)
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    capture = capture_new(stream, mode, graph);
    if (!capture)
        return CUDA_ERROR_OUT_OF_MEMORY;
    graph_lock();
    result = begin_locked(capture, stream, dependencies, count);
    graph_unlock();
    if (result)
        release(capture, false);
    return result;
}

/* True when everything in the capture's other streams comes before what its first stream has come to. */
static bool is_joined_locked(const struct capture *capture)
{
    const struct graph_nodes *ends = &capture->origin->captured;

    for (struct stream *each = capture->streams; each; each = each->next_captured) {
        for (size_t i = 0; i < each->captured.n; i++) {
            bool joined = false;

            for (size_t k = 0; k < ends->n && !joined; k++)
                joined = graph_reaches_locked(each->captured.items[i], ends->items[k]);
            if (!joined)
                return false;
        }
    }
    return true;
}

CUresult capture_end(struct stream *stream, CUgraph *ret_graph)
{
    struct capture *capture;
    CUresult result = CUDA_SUCCESS;
    bool ends = false;

    graph_lock();
    capture = stream->capture;
    if (!capture)
        result = CUDA_ERROR_ILLEGAL_STATE;
    else if (capture->origin != stream)
        result = CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
    else if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && capture->thread != thread_serial())
        result = CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
    else
        ends = true;
    if (ends) {
        if (capture->invalid)
            result = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
        else if (!is_joined_locked(capture))
            result = CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
        detach_locked(capture);
    }
    graph_unlock();
    if (ret_graph && ends)
        *ret_graph = result ? NULL : (CUgraph)capture->graph;
    if (ends)
        release(capture, !result);
    return result;
}

void capture_stream_ended(struct stream *stream)
{
    struct capture *capture;
    bool gives_up;

    if (!capture_any())
        return;
    graph_lock();
    capture = stream->capture;
    gives_up = capture && capture->origin == stream;
    if (gives_up)
        detach_locked(capture);
    graph_unlock();
    if (gives_up)
        release(capture, false);
}

void capture_forget_node_locked(const struct graph_node *node)
{
    for (struct capture *capture = capture_all.first; capture; capture = capture->next)
        for (struct stream *each = capture->streams; each; each = each->next_captured)
            graph_nodes_drop(&each->captured, node);
}

/* ---- telling ---- */

CUresult capture_info(struct stream *stream, struct capture_info *ret_info)
{
    struct capture *capture;
    CUresult result = CUDA_SUCCESS;

    *ret_info = (struct capture_info){.status = CU_STREAM_CAPTURE_STATUS_NONE};
    if (!capture_any())
        return CUDA_SUCCESS;
    graph_lock();
    capture = stream->capture;
    if (!capture && stream->is_legacy && capture_of_blocking_locked(stream->context)) {
        result = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    } else if (capture && capture->invalid) {
        ret_info->status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
    } else if (capture) {
        CUgraphEdgeData *edges = calloc(stream->captured.n + 1, sizeof(*edges));

        free(capture->edges);
        capture->edges = edges;
        *ret_info = (struct capture_info){.status = CU_STREAM_CAPTURE_STATUS_ACTIVE,
                                          .id = capture->id,
                                          .graph = (CUgraph)capture->graph,
                                          .dependencies = (const CUgraphNode *)stream->captured.items,
                                          .edges = edges,
                                          .count = stream->captured.n};
        if (!edges)
            result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    graph_unlock();
    return result;
}

static CUresult set_locked(struct capture *capture, struct stream *stream, const CUgraphNode *handles,
                           size_t count, bool add)
{
    struct graph_node **nodes;
    CUresult result;

    if (count > capture->graph->nodes.n)
        return CUDA_ERROR_INVALID_VALUE;
    nodes = calloc(count + 1, sizeof(struct graph_node *));
    result =
        nodes ? graph_find_nodes_locked(capture->graph, handles, count, nodes) : CUDA_ERROR_OUT_OF_MEMORY;
    if (!result && !add)
        stream->captured.n = 0;
    for (size_t i = 0; i < count && !result; i++)
        if (!graph_nodes_have(&stream->captured, nodes[i]) && graph_nodes_add(&stream->captured, nodes[i]))
            result = CUDA_ERROR_OUT_OF_MEMORY;
    free(nodes);
    return result;
}

CUresult capture_set_dependencies(struct stream *stream, const CUgraphNode *nodes, size_t count, bool add)
{
    struct capture *capture;
    CUresult result;

    if (count && !nodes)
        return CUDA_ERROR_INVALID_VALUE;
    graph_lock();
    capture = capture_usable_locked(stream, &result);
    if (capture)
        result = set_locked(capture, stream, nodes, count, add);
    else if (!result)
        result = CUDA_ERROR_ILLEGAL_STATE;
    graph_unlock();
    return result;
}
