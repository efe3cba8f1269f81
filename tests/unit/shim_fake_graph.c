/* Graphs of the tests' fake driver, as far as memory goes: an executable one has the memory of its allocation
 * nodes from its first launch until it is destroyed (or, with graphs_share, for as long as the launch), and
 * what is let go of stays in the device's graph memory until that is trimmed. */
#include "shim_fake_parts.h"

#include <string.h>

enum { GRAPHS = 64, NODES = 128 };

struct CUgraph_st {
    bool alive;
};

struct CUgraphNode_st {
    CUgraph graph; /* NULL: there is none */
    CUgraphNodeType type;
    CUDA_MEM_ALLOC_NODE_PARAMS alloc;
    CUgraph child;
};

struct CUgraphExec_st {
    bool alive, holds; /* holds: it was launched, and its memory is its own */
    uint64_t bytes[FAKE_DEVICES];
};

static struct CUgraph_st graphs[GRAPHS];
static struct CUgraphNode_st nodes[NODES];
static struct CUgraphExec_st execs[GRAPHS];
static struct graph_memory {
    uint64_t reserved_bytes, used_bytes;
} graph_memory[FAKE_DEVICES];
static CUgraph captured;

CUresult cuGraphCreate(CUgraph *graph, unsigned int flags)
{
    FAKE_CALL(cuGraphCreate, false);
    for (int i = 0; i < GRAPHS; i++) {
        if (graphs[i].alive)
            continue;
        graphs[i].alive = true;
        *graph = &graphs[i];
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_UNKNOWN;
}

static CUresult node_new(CUgraphNode *node, CUgraph graph, CUgraphNodeType type)
{
    if (!graph || !graph->alive || !node)
        return CUDA_ERROR_INVALID_VALUE;
    for (int i = 0; i < NODES; i++) {
        if (nodes[i].graph)
            continue;
        nodes[i] = (struct CUgraphNode_st){.graph = graph, .type = type};
        *node = &nodes[i];
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_UNKNOWN;
}

bool fake_graph_node_at(CUdeviceptr address)
{
    for (int i = 0; i < NODES; i++)
        if (nodes[i].graph && nodes[i].type == CU_GRAPH_NODE_TYPE_MEM_ALLOC && nodes[i].alloc.dptr == address)
            return true;
    return false;
}

CUresult cuGraphAddMemAllocNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies,
                                size_t count, CUDA_MEM_ALLOC_NODE_PARAMS *params)
{
    CUresult result;

    FAKE_CALL(cuGraphAddMemAllocNode, false);
    result = params ? node_new(node, graph, CU_GRAPH_NODE_TYPE_MEM_ALLOC) : CUDA_ERROR_INVALID_VALUE;
    if (result)
        return result;
    params->dptr = fake_address_take(params->bytesize);
    (*node)->alloc = *params;
    return CUDA_SUCCESS;
}

CUresult cuGraphAddNode_v2(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies,
                           const CUgraphEdgeData *edges, size_t count, CUgraphNodeParams *params)
{
    CUresult result;

    FAKE_CALL(cuGraphAddNode_v2, false);
    result = node_new(node, graph, params->type);
    if (result == CUDA_SUCCESS && params->type == CU_GRAPH_NODE_TYPE_GRAPH)
        (*node)->child = params->graph.graph;
    if (result || params->type != CU_GRAPH_NODE_TYPE_MEM_ALLOC)
        return result;
    params->alloc.dptr = fake_address_take(params->alloc.bytesize);
    (*node)->alloc = (CUDA_MEM_ALLOC_NODE_PARAMS){
        .poolProps = params->alloc.poolProps, .bytesize = params->alloc.bytesize, .dptr = params->alloc.dptr};
    return CUDA_SUCCESS;
}

CUresult fake_capture_alloc(CUdeviceptr *address, uint64_t bytes, CUdevice device)
{
    CUDA_MEM_ALLOC_NODE_PARAMS params = {
        .poolProps.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = device}, .bytesize = bytes};
    CUgraphNode node;
    CUresult result = cuGraphAddMemAllocNode(&node, captured, NULL, 0, &params);

    if (result == CUDA_SUCCESS)
        *address = params.dptr;
    return result;
}

CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode)
{
    fake_state()->capturing = true;
    return cuGraphCreate(&captured, 0);
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph)
{
    fake_state()->capturing = false;
    *graph = captured;
    return CUDA_SUCCESS;
}

CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode *ret_nodes, size_t *count)
{
    size_t n = 0;

    if (!graph || !graph->alive)
        return CUDA_ERROR_INVALID_VALUE;
    for (int i = 0; i < NODES; i++) {
        if (nodes[i].graph != graph)
            continue;
        if (ret_nodes)
            ret_nodes[n] = &nodes[i];
        n++;
    }
    *count = n;
    return CUDA_SUCCESS;
}

CUresult cuGraphNodeGetType(CUgraphNode node, CUgraphNodeType *type)
{
    *type = node->type;
    return CUDA_SUCCESS;
}

CUresult cuGraphMemAllocNodeGetParams(CUgraphNode node, CUDA_MEM_ALLOC_NODE_PARAMS *params)
{
    *params = node->alloc;
    return CUDA_SUCCESS;
}

CUresult cuGraphChildGraphNodeGetGraph(CUgraphNode node, CUgraph *graph)
{
    *graph = node->child;
    return CUDA_SUCCESS;
}

static void exec_fill(CUgraphExec exec, CUgraph graph)
{
    for (int i = 0; i < NODES; i++) {
        if (nodes[i].graph != graph)
            continue;
        if (nodes[i].type == CU_GRAPH_NODE_TYPE_MEM_ALLOC)
            exec->bytes[nodes[i].alloc.poolProps.location.id] += fake_granules(nodes[i].alloc.bytesize);
        if (nodes[i].type == CU_GRAPH_NODE_TYPE_GRAPH)
            exec_fill(exec, nodes[i].child);
    }
}

static CUresult graph_memory_take(CUdevice device, uint64_t bytes)
{
    struct graph_memory *memory = &graph_memory[device];
    uint64_t wanted = memory->used_bytes + bytes, grown = 0;

    if (wanted > memory->reserved_bytes)
        grown = wanted - memory->reserved_bytes + fake_state()->graph_extra_bytes;
    if (!fake_take(device, grown))
        return CUDA_ERROR_OUT_OF_MEMORY;
    memory->reserved_bytes += grown;
    memory->used_bytes += fake_state()->graphs_share ? 0 : bytes;
    return CUDA_SUCCESS;
}

static CUresult exec_use(CUgraphExec exec)
{
    CUresult result = fake_fail();

    if (result)
        return result;
    if (!exec || !exec->alive)
        return CUDA_ERROR_INVALID_VALUE;
    for (CUdevice device = 0; device < FAKE_DEVICES && !exec->holds; device++) {
        result = graph_memory_take(device, exec->bytes[device]);
        if (result)
            return result;
    }
    exec->holds = !fake_state()->graphs_share;
    return CUDA_SUCCESS;
}

static CUresult exec_new(CUgraphExec *exec, CUgraph graph, unsigned long long flags)
{
    if (!graph || !graph->alive || !exec)
        return CUDA_ERROR_INVALID_VALUE;
    for (int i = 0; i < GRAPHS; i++) {
        if (execs[i].alive)
            continue;
        execs[i] = (struct CUgraphExec_st){.alive = true};
        exec_fill(&execs[i], graph);
        *exec = &execs[i];
        return flags & CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD ? exec_use(*exec) : CUDA_SUCCESS;
    }
    return CUDA_ERROR_UNKNOWN;
}

CUresult cuGraphInstantiate_v2(CUgraphExec *exec, CUgraph graph, CUgraphNode *error_node, char *log,
                               size_t log_bytes)
{
    FAKE_CALL(cuGraphInstantiate_v2, false);
    return exec_new(exec, graph, 0);
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph, unsigned long long flags)
{
    FAKE_CALL(cuGraphInstantiateWithFlags, false);
    return exec_new(exec, graph, flags);
}

CUresult cuGraphInstantiateWithParams(CUgraphExec *exec, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
    FAKE_CALL(cuGraphInstantiateWithParams, false);
    return exec_new(exec, graph, params->flags);
}

CUresult cuGraphExecUpdate_v2(CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo *update_result)
{
    FAKE_CALL(cuGraphExecUpdate_v2, false);
    memset(exec->bytes, 0, sizeof(exec->bytes));
    exec_fill(exec, graph);
    return CUDA_SUCCESS;
}

CUresult cuGraphExecChildGraphNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraph child)
{
    FAKE_CALL(cuGraphExecChildGraphNodeSetParams, false);
    memset(exec->bytes, 0, sizeof(exec->bytes));
    exec_fill(exec, child);
    return CUDA_SUCCESS;
}

CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream)
{
    FAKE_CALL(cuGraphLaunch, false);
    return exec_use(exec);
}

CUresult cuGraphLaunch_ptsz(CUgraphExec exec, CUstream stream)
{
    FAKE_CALL(cuGraphLaunch_ptsz, false);
    return exec_use(exec);
}

CUresult cuGraphUpload(CUgraphExec exec, CUstream stream)
{
    FAKE_CALL(cuGraphUpload, false);
    return exec_use(exec);
}

CUresult cuGraphExecDestroy(CUgraphExec exec)
{
    FAKE_CALL(cuGraphExecDestroy, false);
    if (!exec || !exec->alive)
        return CUDA_ERROR_INVALID_VALUE;
    for (CUdevice device = 0; device < FAKE_DEVICES && exec->holds; device++)
        graph_memory[device].used_bytes -= exec->bytes[device];
    exec->alive = false;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGraphMemTrim(CUdevice device)
{
    struct graph_memory *memory = &graph_memory[device];

    FAKE_CALL(cuDeviceGraphMemTrim, false);
    fake_state()->devices[device].used_bytes -= memory->reserved_bytes - memory->used_bytes;
    memory->reserved_bytes = memory->used_bytes;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetGraphMemAttribute(CUdevice device, CUgraphMem_attribute attribute, void *value)
{
    *(cuuint64_t *)value = attribute == CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT
                               ? graph_memory[device].reserved_bytes
                               : graph_memory[device].used_bytes;
    return CUDA_SUCCESS;
}
