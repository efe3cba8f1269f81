/* The calls about executable graphs: instantiation, launch, update. */
#include "softgpu/driver/capture.h"
#include "softgpu/driver/graph_api.h"

/* ---- instantiation ---- */

static CUresult instantiate(CUgraphExec *ret_exec, CUgraph handle, unsigned long long flags)
{
    const unsigned long long known =
        CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH | CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD |
        CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH | CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY;
    struct graph_exec *exec;
    struct graph *graph;
    CUresult result = graph_get(handle, &graph);

    if (result)
        return result;
    if (!ret_exec || (flags & ~known))
        result = CUDA_ERROR_INVALID_VALUE;
    else if (flags & CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH)
        result = CUDA_ERROR_NOT_SUPPORTED;
    else
        result = graph_exec_new(graph, flags, &exec);
    object_unref(graph);
    if (result)
        return result;
    object_unref(exec);
    *ret_exec = (CUgraphExec)exec;
    return CUDA_SUCCESS;
}

/* UPLOAD is for the call that says in which stream. */
CUresult cuGraphInstantiateWithFlags(CUgraphExec *ret_exec, CUgraph graph, unsigned long long flags)
{
    if (flags & CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD)
        return CUDA_ERROR_INVALID_VALUE;
    return instantiate(ret_exec, graph, flags);
}

CUresult cuGraphInstantiate_v2(CUgraphExec *ret_exec, CUgraph graph, CUgraphNode *ret_error_node, char *log,
                               size_t log_bytes)
{
    CUresult result = instantiate(ret_exec, graph, 0);

    if (ret_error_node)
        *ret_error_node = NULL;
    if (log && log_bytes)
        log[0] = '\0';
    return result;
}

CUresult cuGraphInstantiate(CUgraphExec *ret_exec, CUgraph graph, CUgraphNode *ret_error_node, char *log,
                            size_t log_bytes)
{
    return cuGraphInstantiate_v2(ret_exec, graph, ret_error_node, log, log_bytes);
}

static CUresult upload(CUgraphExec handle, CUstream stream_handle, bool per_thread);

static CUresult cuGraphInstantiateWithParams_in(bool per_thread, CUgraphExec *ret_exec, CUgraph graph,
                                                CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
    CUgraphExec exec;
    CUresult result;

    if (!params || !ret_exec)
        return CUDA_ERROR_INVALID_VALUE;
    params->hErrNode_out = NULL;
    params->result_out = CUDA_GRAPH_INSTANTIATE_ERROR;
    result = instantiate(&exec, graph, params->flags);
    if (result == CUDA_ERROR_NOT_SUPPORTED)
        params->result_out = CUDA_GRAPH_INSTANTIATE_NODE_OPERATION_NOT_SUPPORTED;
    if (result)
        return result;
    if (params->flags & CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD) {
        result = upload(exec, params->hUploadStream, per_thread);
        if (result) {
            cuGraphExecDestroy(exec);
            return result;
        }
    }
    params->result_out = CUDA_GRAPH_INSTANTIATE_SUCCESS;
    *ret_exec = exec;
    return CUDA_SUCCESS;
}

STREAM_VARIANTS(cuGraphInstantiateWithParams, _ptsz,
                (CUgraphExec * ret_exec, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS *params), ret_exec,
                graph, params)

static CUresult exec_get(CUgraphExec handle, struct graph_exec **ret_exec)
{
    CUresult result = process_check();
    struct graph_exec *exec;

    if (result)
        return result;
    exec = object_get(OBJECT_GRAPH_EXEC, handle);
    if (!exec)
        return CUDA_ERROR_INVALID_VALUE;
    *ret_exec = exec;
    return CUDA_SUCCESS;
}

CUresult cuGraphExecDestroy(CUgraphExec handle)
{
    struct graph_exec *exec;
    CUresult result = exec_get(handle, &exec);

    if (result)
        return result;
    graph_exec_end(exec);
    object_unref(exec);
    return CUDA_SUCCESS;
}

CUresult cuGraphExecGetFlags(CUgraphExec handle, cuuint64_t *ret_flags)
{
    struct graph_exec *exec;
    CUresult result = exec_get(handle, &exec);

    if (result)
        return result;
    if (ret_flags)
        *ret_flags = exec->flags & ~(uint64_t)CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD;
    else
        result = CUDA_ERROR_INVALID_VALUE;
    object_unref(exec);
    return result;
}

/* ---- launch ---- */

static CUresult upload(CUgraphExec handle, CUstream stream_handle, bool per_thread)
{
    struct graph_exec *exec;
    struct stream *stream;
    CUresult result = stream_enter(stream_handle, per_thread, &stream);

    if (result)
        return result;
    result = exec_get(handle, &exec);
    if (!result) {
        result = graph_exec_upload(exec);
        object_unref(exec);
    }
    object_unref(stream);
    return result;
}

static CUresult cuGraphUpload_in(bool per_thread, CUgraphExec exec, CUstream stream)
{
    return upload(exec, stream, per_thread);
}

STREAM_VARIANTS(cuGraphUpload, _ptsz, (CUgraphExec exec, CUstream stream), exec, stream)

static CUresult cuGraphLaunch_in(bool per_thread, CUgraphExec handle, CUstream stream_handle)
{
    struct graph_exec *exec;
    struct stream *stream;
    CUresult result = stream_enter(stream_handle, per_thread, &stream);

    if (result)
        return result;
    result = exec_get(handle, &exec);
    if (!result) {
        if (!capture_graph(stream, exec, &result))
            result = graph_exec_launch(exec, stream);
        object_unref(exec);
    }
    object_unref(stream);
    return result;
}

STREAM_VARIANTS(cuGraphLaunch, _ptsz, (CUgraphExec exec, CUstream stream), exec, stream)

/* ---- update ---- */

CUresult cuGraphExecUpdate_v2(CUgraphExec exec_handle, CUgraph graph_handle,
                              CUgraphExecUpdateResultInfo *ret_info)
{
    CUgraphExecUpdateResultInfo info = {.result = CU_GRAPH_EXEC_UPDATE_ERROR};
    struct graph_exec *exec;
    struct graph *graph;
    CUresult result = exec_get(exec_handle, &exec);

    if (result)
        return result;
    result = graph_get(graph_handle, &graph);
    if (!result) {
        result = graph_exec_update(exec, graph, &info);
        object_unref(graph);
    }
    object_unref(exec);
    if (ret_info)
        *ret_info = info;
    return result;
}

CUresult cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphNode *ret_error_node,
                           CUgraphExecUpdateResult *ret_result)
{
    CUgraphExecUpdateResultInfo info = {.result = CU_GRAPH_EXEC_UPDATE_ERROR};
    CUresult result = cuGraphExecUpdate_v2(exec, graph, &info);

    if (ret_error_node)
        *ret_error_node = info.errorNode;
    if (ret_result)
        *ret_result = info.result;
    return result;
}
