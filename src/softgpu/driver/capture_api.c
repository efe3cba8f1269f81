/* The calls about stream capture. */
#include "softgpu/driver/capture.h"
#include "softgpu/driver/graph_api.h"

static CUresult cuStreamBeginCapture_v2_in(bool per_thread, CUstream handle, CUstreamCaptureMode mode)
{
    struct stream *stream;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    result = capture_begin(stream, mode, NULL, NULL, 0);
    object_unref(stream);
    return result;
}

STREAM_VARIANTS(cuStreamBeginCapture_v2, _ptsz, (CUstream stream, CUstreamCaptureMode mode), stream, mode)

static CUresult cuStreamBeginCapture_in(bool per_thread, CUstream stream)
{
    return cuStreamBeginCapture_v2_in(per_thread, stream, CU_STREAM_CAPTURE_MODE_GLOBAL);
}

STREAM_VARIANTS(cuStreamBeginCapture, _ptsz, (CUstream stream), stream)

static CUresult cuStreamBeginCaptureToGraph_in(bool per_thread, CUstream handle, CUgraph graph_handle,
                                               const CUgraphNode *dependencies, const CUgraphEdgeData *edges,
                                               size_t count, CUstreamCaptureMode mode)
{
    struct stream *stream;
    struct graph *graph;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    result = graph_check_edges(edges, count);
    if (!result)
        result = graph_get(graph_handle, &graph);
    if (!result) {
        result = capture_begin(stream, mode, graph, dependencies, count);
        object_unref(graph);
    }
    object_unref(stream);
    return result;
}

STREAM_VARIANTS(cuStreamBeginCaptureToGraph, _ptsz,
                (CUstream stream, CUgraph graph, const CUgraphNode *dependencies,
                 const CUgraphEdgeData *edges, size_t count, CUstreamCaptureMode mode),
                stream, graph, dependencies, edges, count, mode)

static CUresult cuStreamEndCapture_in(bool per_thread, CUstream handle, CUgraph *ret_graph)
{
    struct stream *stream;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    result = ret_graph ? capture_end(stream, ret_graph) : CUDA_ERROR_INVALID_VALUE;
    object_unref(stream);
    return result;
}

STREAM_VARIANTS(cuStreamEndCapture, _ptsz, (CUstream stream, CUgraph *ret_graph), stream, ret_graph)

/* ---- telling ---- */

static CUresult get_info(CUstream handle, bool per_thread, struct capture_info *ret_info)
{
    struct stream *stream;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    result = capture_info(stream, ret_info);
    object_unref(stream);
    return result;
}

static CUresult cuStreamGetCaptureInfo_v3_in(bool per_thread, CUstream stream,
                                             CUstreamCaptureStatus *ret_status, cuuint64_t *ret_id,
                                             CUgraph *ret_graph, const CUgraphNode **ret_dependencies,
                                             const CUgraphEdgeData **ret_edges, size_t *ret_count)
{
    struct capture_info info;
    CUresult result = get_info(stream, per_thread, &info);

    if (result)
        return result;
    if (!ret_status)
        return CUDA_ERROR_INVALID_VALUE;
    *ret_status = info.status;
    if (info.status != CU_STREAM_CAPTURE_STATUS_ACTIVE)
        return CUDA_SUCCESS;
    if (ret_id)
        *ret_id = info.id;
    if (ret_graph)
        *ret_graph = info.graph;
    if (ret_dependencies)
        *ret_dependencies = info.dependencies;
    if (ret_edges)
        *ret_edges = info.edges;
    if (ret_count)
        *ret_count = info.count;
    return CUDA_SUCCESS;
}

STREAM_VARIANTS(cuStreamGetCaptureInfo_v3, _ptsz,
                (CUstream stream, CUstreamCaptureStatus *ret_status, cuuint64_t *ret_id, CUgraph *ret_graph,
                 const CUgraphNode **ret_dependencies, const CUgraphEdgeData **ret_edges, size_t *ret_count),
                stream, ret_status, ret_id, ret_graph, ret_dependencies, ret_edges, ret_count)

static CUresult cuStreamGetCaptureInfo_v2_in(bool per_thread, CUstream stream,
                                             CUstreamCaptureStatus *ret_status, cuuint64_t *ret_id,
                                             CUgraph *ret_graph, const CUgraphNode **ret_dependencies,
                                             size_t *ret_count)
{
    return cuStreamGetCaptureInfo_v3_in(per_thread, stream, ret_status, ret_id, ret_graph, ret_dependencies,
                                        NULL, ret_count);
}

STREAM_VARIANTS(cuStreamGetCaptureInfo_v2, _ptsz,
                (CUstream stream, CUstreamCaptureStatus *ret_status, cuuint64_t *ret_id, CUgraph *ret_graph,
                 const CUgraphNode **ret_dependencies, size_t *ret_count),
                stream, ret_status, ret_id, ret_graph, ret_dependencies, ret_count)

static CUresult cuStreamGetCaptureInfo_in(bool per_thread, CUstream stream, CUstreamCaptureStatus *ret_status,
                                          cuuint64_t *ret_id)
{
    return cuStreamGetCaptureInfo_v3_in(per_thread, stream, ret_status, ret_id, NULL, NULL, NULL, NULL);
}

STREAM_VARIANTS(cuStreamGetCaptureInfo, _ptsz,
                (CUstream stream, CUstreamCaptureStatus *ret_status, cuuint64_t *ret_id), stream, ret_status,
                ret_id)

static CUresult cuStreamIsCapturing_in(bool per_thread, CUstream stream, CUstreamCaptureStatus *ret_status)
{
    return cuStreamGetCaptureInfo_in(per_thread, stream, ret_status, NULL);
}

STREAM_VARIANTS(cuStreamIsCapturing, _ptsz, (CUstream stream, CUstreamCaptureStatus *ret_status), stream,
                ret_status)

/* ---- changing ---- */

static CUresult cuStreamUpdateCaptureDependencies_v2_in(bool per_thread, CUstream handle,
                                                        CUgraphNode *dependencies,
                                                        const CUgraphEdgeData *edges, size_t count,
                                                        unsigned int flags)
{
    struct stream *stream;
    CUresult result = stream_enter(handle, per_thread, &stream);

    if (result)
        return result;
    result = graph_check_edges(edges, count);
    if (flags > CU_STREAM_SET_CAPTURE_DEPENDENCIES)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = capture_set_dependencies(stream, dependencies, count,
                                          flags == CU_STREAM_ADD_CAPTURE_DEPENDENCIES);
    object_unref(stream);
    return result;
}

STREAM_VARIANTS(cuStreamUpdateCaptureDependencies_v2, _ptsz,
                (CUstream stream, CUgraphNode *dependencies, const CUgraphEdgeData *edges, size_t count,
                 unsigned int flags),
                stream, dependencies, edges, count, flags)

static CUresult cuStreamUpdateCaptureDependencies_in(bool per_thread, CUstream stream,
                                                     CUgraphNode *dependencies, size_t count,
                                                     unsigned int flags)
{
    return cuStreamUpdateCaptureDependencies_v2_in(per_thread, stream, dependencies, NULL, count, flags);
}

STREAM_VARIANTS(cuStreamUpdateCaptureDependencies, _ptsz,
                (CUstream stream, CUgraphNode *dependencies, size_t count, unsigned int flags), stream,
                dependencies, count, flags)

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
    if (!mode || (unsigned)*mode > CU_STREAM_CAPTURE_MODE_RELAXED)
        return CUDA_ERROR_INVALID_VALUE;
    *mode = capture_exchange_mode(*mode);
    return CUDA_SUCCESS;
}
