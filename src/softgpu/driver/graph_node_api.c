/* The calls that add nodes, and that read and change what they do, in graphs and in executable graphs. Each
 * type's calls only say which member of CUgraphNodeParams they mean. */
#include <stdlib.h>

#include "softgpu/driver/graph_api.h"

/* ---- any type ---- */

static CUresult add_params(struct graph *graph, const CUgraphNode *dependencies, size_t count,
                           struct node_params *params, struct graph_node **ret_node)
{
    struct graph_node **before;
    CUresult result;

    if (count && !dependencies)
        return CUDA_ERROR_INVALID_VALUE;
    graph_lock();
    if (count > graph->nodes.n) {
        graph_unlock();
        return CUDA_ERROR_INVALID_VALUE;
    }
    before = calloc(count + 1, sizeof(struct graph_node *));
    result = before ? graph_find_nodes_locked(graph, dependencies, count, before) : CUDA_ERROR_OUT_OF_MEMORY;
    if (!result)
        result = graph_add_locked(graph, before, count, params, ret_node);
    graph_unlock();
    free(before);
    return result;
}

CUresult graph_add(CUgraphNode *ret_node, CUgraph handle, const CUgraphNode *dependencies, size_t count,
                   const CUgraphNodeParams *from, const CUlaunchAttribute *attributes, unsigned n_attributes)
{
    struct node_params *params;
    struct graph_node *node;
    struct graph *graph;
    CUresult result = graph_get(handle, &graph);

    if (result)
        return result;
    result = ret_node ? node_params_new(from, attributes, n_attributes, &params) : CUDA_ERROR_INVALID_VALUE;
    if (!result) {
        result = add_params(graph, dependencies, count, params, &node);
        if (result)
            node_params_unref(params);
        else
            *ret_node = (CUgraphNode)node;
    }
    object_unref(graph);
    return result;
}

CUresult cuGraphAddNode_v2(CUgraphNode *ret_node, CUgraph graph, const CUgraphNode *dependencies,
                           const CUgraphEdgeData *edges, size_t count, CUgraphNodeParams *params)
{
    struct node_params *made;
    CUgraphNode node;
    CUresult result = params ? graph_check_edges(edges, count) : CUDA_ERROR_INVALID_VALUE;

    if (!result && !ret_node)
        result = CUDA_ERROR_INVALID_VALUE;
    if (!result)
        result = graph_add(&node, graph, dependencies, count, params, NULL, 0);
    if (result)
        return result;
    if (!graph_node_params(node, params->type, &made)) {
        if (params->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC)
            params->alloc.dptr = made->values.alloc.dptr;
        if (params->type == CU_GRAPH_NODE_TYPE_GRAPH)
            params->graph.graph = (CUgraph)made->child;
        node_params_unref(made);
    }
    *ret_node = node;
    return CUDA_SUCCESS;
}

CUresult cuGraphAddNode(CUgraphNode *ret_node, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                        CUgraphNodeParams *params)
{
    return cuGraphAddNode_v2(ret_node, graph, dependencies, NULL, count, params);
}

CUresult graph_node_params(CUgraphNode handle, CUgraphNodeType type, struct node_params **ret_params)
{
    struct graph_node *node;
    CUresult result = graph_node_get(handle, &node);

    if (result)
        return result;
    graph_lock();
    if (node_params_type(node->params) == type)
        *ret_params = node_params_ref(node->params);
    else
        result = CUDA_ERROR_INVALID_VALUE;
    graph_unlock();
    object_unref(node);
    return result;
}

/* Types whose parameters are for good. */
static bool is_fixed(CUgraphNodeType type)
{
    return type == CU_GRAPH_NODE_TYPE_GRAPH || type == CU_GRAPH_NODE_TYPE_EMPTY ||
           type == CU_GRAPH_NODE_TYPE_MEM_ALLOC || type == CU_GRAPH_NODE_TYPE_MEM_FREE;
}

/* New parameters for a node, which keeps its attributes. */
static CUresult make_params(struct graph_node *node, const CUgraphNodeParams *from,
                            struct node_params **ret_params)
{
    struct node_params *before;
    CUresult result;

    graph_lock();
    before = node_params_ref(node->params);
    graph_unlock();
    if (node_params_type(before) != from->type || is_fixed(from->type))
        result = CUDA_ERROR_INVALID_VALUE;
    else
        result = node_params_new(from, before->attributes, before->n_attributes, ret_params);
    node_params_unref(before);
    return result;
}

CUresult graph_node_set(CUgraphNode handle, const CUgraphNodeParams *from)
{
    struct node_params *params, *before;
    struct graph_node *node;
    CUresult result = graph_node_get(handle, &node);

    if (result)
        return result;
    result = make_params(node, from, &params);
    if (!result) {
        graph_lock();
        before = node->params;
        node->params = params;
        graph_unlock();
        node_params_unref(before);
    }
    object_unref(node);
    return result;
}

static CUresult exec_and_node(CUgraphExec exec_handle, CUgraphNode handle, struct graph_exec **ret_exec,
                              struct graph_node **ret_node)
{
    struct graph_exec *exec;
    CUresult result = graph_node_get(handle, ret_node);

    if (result)
        return result;
    exec = object_get(OBJECT_GRAPH_EXEC, exec_handle);
    if (!exec) {
        object_unref(*ret_node);
        return CUDA_ERROR_INVALID_VALUE;
    }
    *ret_exec = exec;
    return CUDA_SUCCESS;
}

CUresult graph_node_set_in_exec(CUgraphExec exec_handle, CUgraphNode handle, const CUgraphNodeParams *from)
{
    struct node_params *params;
    struct graph_node *node;
    struct graph_exec *exec;
    CUresult result = exec_and_node(exec_handle, handle, &exec, &node);

    if (result)
        return result;
    result = make_params(node, from, &params);
    if (!result) {
        result = graph_exec_set_params(exec, node->id, params);
        if (result)
            node_params_unref(params);
    }
    object_unref(exec);
    object_unref(node);
    return result;
}

CUresult cuGraphNodeSetParams(CUgraphNode node, CUgraphNodeParams *params)
{
    return params ? graph_node_set(node, params) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphExecNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraphNodeParams *params)
{
    if (!params)
        return CUDA_ERROR_INVALID_VALUE;
    if (params->type == CU_GRAPH_NODE_TYPE_GRAPH)
        return cuGraphExecChildGraphNodeSetParams(exec, node, params->graph.graph);
    return graph_node_set_in_exec(exec, node, params);
}

CUresult cuGraphNodeSetEnabled(CUgraphExec exec_handle, CUgraphNode handle, unsigned int enabled)
{
    struct graph_node *node;
    struct graph_exec *exec;
    CUresult result = exec_and_node(exec_handle, handle, &exec, &node);

    if (result)
        return result;
    result = graph_exec_enable(exec, node->id, enabled != 0);
    object_unref(exec);
    object_unref(node);
    return result;
}

CUresult cuGraphNodeGetEnabled(CUgraphExec exec_handle, CUgraphNode handle, unsigned int *ret_enabled)
{
    struct graph_node *node;
    struct graph_exec *exec;
    bool enabled;
    CUresult result = exec_and_node(exec_handle, handle, &exec, &node);

    if (result)
        return result;
    result = ret_enabled ? graph_exec_is_enabled(exec, node->id, &enabled) : CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *ret_enabled = enabled;
    object_unref(exec);
    object_unref(node);
    return result;
}

/* ---- copies and fills ---- */

static CUgraphNodeParams copy_from(const CUDA_MEMCPY3D *params, CUcontext context)
{
    return (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_MEMCPY,
                               .memcpy = {.copyCtx = context, .copyParams = *params}};
}

static CUgraphNodeParams fill_from(const CUDA_MEMSET_NODE_PARAMS *params, CUcontext context)
{
    return (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_MEMSET,
                               .memset = {.dst = params->dst,
                                          .pitch = params->pitch,
                                          .value = params->value,
                                          .elementSize = params->elementSize,
                                          .width = params->width,
                                          .height = params->height,
                                          .ctx = context}};
}

static void copy_to(const struct node_params *params, CUDA_MEMCPY3D *ret_params)
{
    *ret_params = params->values.memcpy.copyParams;
}

static void fill_to(const struct node_params *params, CUDA_MEMSET_NODE_PARAMS *ret_params)
{
    const CUDA_MEMSET_NODE_PARAMS_v2 *fill = &params->values.memset;

    *ret_params = (CUDA_MEMSET_NODE_PARAMS){.dst = fill->dst,
                                            .pitch = fill->pitch,
                                            .value = fill->value,
                                            .elementSize = fill->elementSize,
                                            .width = fill->width,
                                            .height = fill->height};
}

/* Copies and fills belong to a context, which a node keeps when it gets other parameters. */
#define NODE_WITH_CONTEXT(add, set, set_in_exec, declaration, node_type, from)                               \
    CUresult add(CUgraphNode *ret_node, CUgraph graph, const CUgraphNode *dependencies, size_t count,        \
                 const declaration *params, CUcontext context)                                               \
    {                                                                                                        \
        if (!params)                                                                                         \
            return CUDA_ERROR_INVALID_VALUE;                                                                 \
        CUgraphNodeParams node = from(params, context);                                                      \
        return graph_add(ret_node, graph, dependencies, count, &node, NULL, 0);                              \
    }                                                                                                        \
    CUresult set(CUgraphNode handle, const declaration *params)                                              \
    {                                                                                                        \
        struct node_params *before;                                                                          \
        CUresult result = params ? graph_node_params(handle, node_type, &before) : CUDA_ERROR_INVALID_VALUE; \
                                                                                                             \
        if (result)                                                                                          \
            return result;                                                                                   \
        CUgraphNodeParams node = from(params, (CUcontext)before->context);                                   \
        result = graph_node_set(handle, &node);                                                              \
        node_params_unref(before);                                                                           \
        return result;                                                                                       \
    }                                                                                                        \
    CUresult set_in_exec(CUgraphExec exec, CUgraphNode handle, const declaration *params, CUcontext context) \
    {                                                                                                        \
        if (!params)                                                                                         \
            return CUDA_ERROR_INVALID_VALUE;                                                                 \
        CUgraphNodeParams node = from(params, context);                                                      \
        return graph_node_set_in_exec(exec, handle, &node);                                                  \
    }

NODE_WITH_CONTEXT(cuGraphAddMemcpyNode, cuGraphMemcpyNodeSetParams, cuGraphExecMemcpyNodeSetParams,
                  CUDA_MEMCPY3D, CU_GRAPH_NODE_TYPE_MEMCPY, copy_from)
NODE_WITH_CONTEXT(cuGraphAddMemsetNode, cuGraphMemsetNodeSetParams, cuGraphExecMemsetNodeSetParams,
                  CUDA_MEMSET_NODE_PARAMS, CU_GRAPH_NODE_TYPE_MEMSET, fill_from)
NODE_GET(cuGraphMemcpyNodeGetParams, CUDA_MEMCPY3D, CU_GRAPH_NODE_TYPE_MEMCPY, copy_to)
NODE_GET(cuGraphMemsetNodeGetParams, CUDA_MEMSET_NODE_PARAMS, CU_GRAPH_NODE_TYPE_MEMSET, fill_to)

/* ---- host functions and batches of memory operations ---- */

static CUgraphNodeParams host_from(const CUDA_HOST_NODE_PARAMS *params)
{
    return (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_HOST, .host = {params->fn, params->userData}};
}

static void host_to(const struct node_params *params, CUDA_HOST_NODE_PARAMS *ret_params)
{
    *ret_params = (CUDA_HOST_NODE_PARAMS){params->values.host.fn, params->values.host.userData};
}

NODE_ADD(cuGraphAddHostNode, CUDA_HOST_NODE_PARAMS, host_from)
NODE_SET(cuGraphHostNodeSetParams, CUDA_HOST_NODE_PARAMS, host_from)
NODE_SET_IN_EXEC(cuGraphExecHostNodeSetParams, CUDA_HOST_NODE_PARAMS, host_from)
NODE_GET(cuGraphHostNodeGetParams, CUDA_HOST_NODE_PARAMS, CU_GRAPH_NODE_TYPE_HOST, host_to)

static CUgraphNodeParams batch_from(const CUDA_BATCH_MEM_OP_NODE_PARAMS *params)
{
    return (CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_BATCH_MEM_OP,
                               .memOp = {params->ctx, params->count, params->paramArray, params->flags}};
}

static void batch_to(const struct node_params *params, CUDA_BATCH_MEM_OP_NODE_PARAMS *ret_params)
{
    const CUDA_BATCH_MEM_OP_NODE_PARAMS_v2 *batch = &params->values.memOp;

    *ret_params = (CUDA_BATCH_MEM_OP_NODE_PARAMS){(CUcontext)params->context, batch->count, batch->paramArray,
                                                  batch->flags};
}

NODE_ADD(cuGraphAddBatchMemOpNode, CUDA_BATCH_MEM_OP_NODE_PARAMS, batch_from)
NODE_SET(cuGraphBatchMemOpNodeSetParams, CUDA_BATCH_MEM_OP_NODE_PARAMS, batch_from)
NODE_SET_IN_EXEC(cuGraphExecBatchMemOpNodeSetParams, CUDA_BATCH_MEM_OP_NODE_PARAMS, batch_from)
NODE_GET(cuGraphBatchMemOpNodeGetParams, CUDA_BATCH_MEM_OP_NODE_PARAMS, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP,
         batch_to)

/* ---- child graphs and empty nodes ---- */

CUresult cuGraphAddChildGraphNode(CUgraphNode *ret_node, CUgraph graph, const CUgraphNode *dependencies,
                                  size_t count, CUgraph child)
{
    CUgraphNodeParams node = {.type = CU_GRAPH_NODE_TYPE_GRAPH,
                              .graph = {child, CU_GRAPH_CHILD_GRAPH_OWNERSHIP_CLONE}};

    return graph_add(ret_node, graph, dependencies, count, &node, NULL, 0);
}

static void child_to(const struct node_params *params, CUgraph *ret_graph)
{
    *ret_graph = (CUgraph)params->child;
}

NODE_GET(cuGraphChildGraphNodeGetGraph, CUgraph, CU_GRAPH_NODE_TYPE_GRAPH, child_to)

CUresult cuGraphExecChildGraphNodeSetParams(CUgraphExec exec_handle, CUgraphNode handle, CUgraph child_handle)
{
    struct graph_node *node;
    struct graph_exec *exec;
    struct graph *child;
    CUresult result = exec_and_node(exec_handle, handle, &exec, &node);

    if (result)
        return result;
    result = graph_get(child_handle, &child);
    if (!result) {
        result = graph_exec_set_child(exec, node->id, child);
        object_unref(child);
    }
    object_unref(exec);
    object_unref(node);
    return result;
}

CUresult cuGraphAddEmptyNode(CUgraphNode *ret_node, CUgraph graph, const CUgraphNode *dependencies,
                             size_t count)
{
    CUgraphNodeParams node = {.type = CU_GRAPH_NODE_TYPE_EMPTY};

    return graph_add(ret_node, graph, dependencies, count, &node, NULL, 0);
}

/* ---- events ---- */

#define NODE_OF_EVENT(add, get, set, set_in_exec, node_type, member)                                         \
    CUresult add(CUgraphNode *ret_node, CUgraph graph, const CUgraphNode *dependencies, size_t count,        \
                 CUevent event)                                                                              \
    {                                                                                                        \
        CUgraphNodeParams node = {.type = node_type, .member = {event}};                                     \
                                                                                                             \
        return graph_add(ret_node, graph, dependencies, count, &node, NULL, 0);                              \
    }                                                                                                        \
    static void get##_to(const struct node_params *params, CUevent *ret_event)                               \
    {                                                                                                        \
        *ret_event = params->values.member.event;                                                            \
    }                                                                                                        \
    NODE_GET(get, CUevent, node_type, get##_to)                                                              \
    CUresult set(CUgraphNode handle, CUevent event)                                                          \
    {                                                                                                        \
        CUgraphNodeParams node = {.type = node_type, .member = {event}};                                     \
                                                                                                             \
        return graph_node_set(handle, &node);                                                                \
    }                                                                                                        \
    CUresult set_in_exec(CUgraphExec exec, CUgraphNode handle, CUevent event)                                \
    {                                                                                                        \
        CUgraphNodeParams node = {.type = node_type, .member = {event}};                                     \
                                                                                                             \
        return graph_node_set_in_exec(exec, handle, &node);                                                  \
    }

NODE_OF_EVENT(cuGraphAddEventRecordNode, cuGraphEventRecordNodeGetEvent, cuGraphEventRecordNodeSetEvent,
              cuGraphExecEventRecordNodeSetEvent, CU_GRAPH_NODE_TYPE_EVENT_RECORD, eventRecord)
NODE_OF_EVENT(cuGraphAddEventWaitNode, cuGraphEventWaitNodeGetEvent, cuGraphEventWaitNodeSetEvent,
              cuGraphExecEventWaitNodeSetEvent, CU_GRAPH_NODE_TYPE_WAIT_EVENT, eventWait)

/* ---- memory ---- */

CUresult cuGraphAddMemAllocNode(CUgraphNode *ret_node, CUgraph graph, const CUgraphNode *dependencies,
                                size_t count, CUDA_MEM_ALLOC_NODE_PARAMS *params)
{
    CUgraphNodeParams node = {.type = CU_GRAPH_NODE_TYPE_MEM_ALLOC};
    CUresult result;

    if (!params)
        return CUDA_ERROR_INVALID_VALUE;
    node.alloc = (CUDA_MEM_ALLOC_NODE_PARAMS_v2){.poolProps = params->poolProps,
                                                 .accessDescs = params->accessDescs,
                                                 .accessDescCount = params->accessDescCount,
                                                 .bytesize = params->bytesize};
    result = cuGraphAddNode_v2(ret_node, graph, dependencies, NULL, count, &node);
    if (!result)
        params->dptr = node.alloc.dptr;
    return result;
}

static void alloc_to(const struct node_params *params, CUDA_MEM_ALLOC_NODE_PARAMS *ret_params)
{
    *ret_params = (CUDA_MEM_ALLOC_NODE_PARAMS){.poolProps = params->values.alloc.poolProps,
                                               .bytesize = params->values.alloc.bytesize,
                                               .dptr = params->values.alloc.dptr};
}

NODE_GET(cuGraphMemAllocNodeGetParams, CUDA_MEM_ALLOC_NODE_PARAMS, CU_GRAPH_NODE_TYPE_MEM_ALLOC, alloc_to)

CUresult cuGraphAddMemFreeNode(CUgraphNode *ret_node, CUgraph graph, const CUgraphNode *dependencies,
                               size_t count, CUdeviceptr address)
{
    CUgraphNodeParams node = {.type = CU_GRAPH_NODE_TYPE_MEM_FREE, .free = {address}};

    return graph_add(ret_node, graph, dependencies, count, &node, NULL, 0);
}

static void free_to(const struct node_params *params, CUdeviceptr *ret_address)
{
    *ret_address = params->values.free.dptr;
}

NODE_GET(cuGraphMemFreeNodeGetParams, CUdeviceptr, CU_GRAPH_NODE_TYPE_MEM_FREE, free_to)
