/* The hooks of graphs' memory: which executable graphs have some is learned when they are instantiated or
 * changed (graph_exec.h); what their launches take is charged (graph_charge.h). Allocation nodes themselves
 * take nothing, and what a launch allocated stays in the device's graph memory when it is freed, by whomever;
 * so frees are the driver's alone.
 *
 * A launch in a process none of whose graphs allocates costs two loads and a tail call; otherwise a lookup
 * behind a lock, and for a graph that allocates one reservation and one question to the driver. */
#include <stddef.h>

#include "shim/charge.h"
#include "shim/gate.h"
#include "shim/gate_thread.h"
#include "shim/graph_charge.h"
#include "shim/graph_exec.h"
#include "shim/shim.h"

/* ---- nodes ---- */

static CUresult node_begin(const CUgraphNodeParams *params)
{
    struct ledger_client *client;
    CUresult result = shim_limit(&client);

    if (result == CUDA_SUCCESS && client && params && params->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC)
        graph_nodes_expect();
    return result;
}

CUresult cuGraphAddMemAllocNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies,
                                size_t count, CUDA_MEM_ALLOC_NODE_PARAMS *params)
{
    struct ledger_client *client;
    CUresult result = shim_limit(&client);

    if (result)
        return result;
    if (client)
        graph_nodes_expect();
    return real(cuGraphAddMemAllocNode)(node, graph, dependencies, count, params);
}

CUresult cuGraphAddNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                        CUgraphNodeParams *params)
{
    CUresult result = node_begin(params);

    return result ? result : real(cuGraphAddNode)(node, graph, dependencies, count, params);
}

CUresult cuGraphAddNode_v2(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies,
                           const CUgraphEdgeData *edges, size_t count, CUgraphNodeParams *params)
{
    CUresult result = node_begin(params);

    return result ? result : real(cuGraphAddNode_v2)(node, graph, dependencies, edges, count, params);
}

/* ---- instantiation ---- */

/* Around a call that instantiates: what the graph needs; with CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD the memory
 * is taken there and then. */
struct instantiation {
    struct ledger_client *client; /* NULL: nothing to remember */
    struct graph_needs needs;
    struct graph_growth growth;
    bool uploads;
};

/* The flags are those in params, if there are any: read only when they matter, because without a limit it is
 * the driver's business what params points to. */
static CUresult instantiation_begin(struct instantiation *instantiation, CUgraph graph,
                                    unsigned long long flags, const CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
    CUresult result = shim_limit(&instantiation->client);

    if (!graph || !graph_nodes_expected())
        instantiation->client = NULL;
    if (result || !instantiation->client)
        return result;
    instantiation->needs = (struct graph_needs){0};
    result = graph_needs_walk(&instantiation->needs, graph);
    if (result || !instantiation->needs.n)
        return result;
    if (params)
        flags = params->flags;
    if (flags & CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH)
        return shim_refuse("a graph that allocates memory and is launched from the device");
    instantiation->uploads = flags & CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD;
    return instantiation->uploads
               ? shim_result(graph_growth_begin(&instantiation->growth, instantiation->client,
                                                &instantiation->needs, false, "cuGraphInstantiate"))
               : CUDA_SUCCESS;
}

static CUresult instantiation_end(const struct instantiation *instantiation, CUresult result,
                                  const CUgraphExec *exec)
{
    if (!instantiation->client || !instantiation->needs.n)
        return result;
    if (result == CUDA_SUCCESS && graph_exec_set(*exec, &instantiation->needs, instantiation->uploads) < 0) {
        real(cuGraphExecDestroy)(*exec);
        result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (instantiation->uploads)
        graph_growth_end(&instantiation->growth);
    return result;
}

#define INSTANTIATE(call, exec, graph, flags, params)                                                        \
    struct instantiation instantiation;                                                                      \
    CUresult result = instantiation_begin(&instantiation, graph, flags, params);                             \
                                                                                                             \
    if (result || !instantiation.client)                                                                     \
        return result ? result : call;                                                                       \
    return instantiation_end(&instantiation, call, exec)

CUresult cuGraphInstantiate(CUgraphExec *exec, CUgraph graph, CUgraphNode *error_node, char *log,
                            size_t log_bytes)
{
    INSTANTIATE(real(cuGraphInstantiate)(exec, graph, error_node, log, log_bytes), exec, graph, 0, NULL);
}

CUresult cuGraphInstantiate_v2(CUgraphExec *exec, CUgraph graph, CUgraphNode *error_node, char *log,
                               size_t log_bytes)
{
    INSTANTIATE(real(cuGraphInstantiate_v2)(exec, graph, error_node, log, log_bytes), exec, graph, 0, NULL);
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph, unsigned long long flags)
{
    INSTANTIATE(real(cuGraphInstantiateWithFlags)(exec, graph, flags), exec, graph, flags, NULL);
}

CUresult cuGraphInstantiateWithParams(CUgraphExec *exec, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
    INSTANTIATE(real(cuGraphInstantiateWithParams)(exec, graph, params), exec, graph, 0, params);
}

CUresult cuGraphInstantiateWithParams_ptsz(CUgraphExec *exec, CUgraph graph,
                                           CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
    INSTANTIATE(real(cuGraphInstantiateWithParams_ptsz)(exec, graph, params), exec, graph, 0, params);
}

/* ---- changing an executable graph: the caller's business to do nothing else with it meanwhile ---- */

/* Before a change; ret_client NULL: nothing to remember. */
static CUresult change_begin(struct ledger_client **ret_client)
{
    CUresult result = shim_limit(ret_client);

    if (!graph_nodes_expected())
        *ret_client = NULL;
    return result;
}

/* The executable graph is like a graph with these needs now. */
static CUresult change_end(CUresult result, CUgraphExec exec, const struct graph_needs *needs)
{
    struct graph_exec known = {0};

    if (result != CUDA_SUCCESS || (!graph_exec_find(exec, &known) && !needs->n))
        return result;
    return shim_result(graph_exec_set(exec, needs, known.launched));
}

/* Part of it is replaced by what has these needs; what that was is not known, so they are added. */
static CUresult change_end_part(CUresult result, CUgraphExec exec, const struct graph_needs *part)
{
    struct graph_exec known = {0};

    if (result != CUDA_SUCCESS || !part->n)
        return result;
    graph_exec_find(exec, &known);
    graph_needs_add_all(&known.needs, part);
    return shim_result(graph_exec_set(exec, &known.needs, known.launched));
}

/* What a node with these parameters needs. */
static CUresult params_needs(struct graph_needs *needs, const CUgraphNodeParams *params)
{
    if (!params)
        return CUDA_SUCCESS;
    if (params->type == CU_GRAPH_NODE_TYPE_GRAPH)
        return graph_needs_walk(needs, params->graph.graph);
    if (params->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC &&
        params->alloc.poolProps.location.type == CU_MEM_LOCATION_TYPE_DEVICE)
        graph_needs_add(needs, params->alloc.poolProps.location.id, params->alloc.bytesize);
    return CUDA_SUCCESS;
}

/* The frame of changes: what the new part needs is found out by find(&needs, part) before the driver makes
 * the change, and end remembers it. */
#define CHANGE(call, exec, find, part, end)                                                                  \
    struct ledger_client *client;                                                                            \
    struct graph_needs needs = {0};                                                                          \
    CUresult result = change_begin(&client);                                                                 \
                                                                                                             \
    if (!result && client)                                                                                   \
        result = find(&needs, part);                                                                         \
    if (result || !client)                                                                                   \
        return result ? result : call;                                                                       \
    return end(call, exec, &needs)

CUresult cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphNode *error_node,
                           CUgraphExecUpdateResult *update_result)
{
    CHANGE(real(cuGraphExecUpdate)(exec, graph, error_node, update_result), exec, graph_needs_walk, graph,
           change_end);
}

CUresult cuGraphExecUpdate_v2(CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo *update_result)
{
    CHANGE(real(cuGraphExecUpdate_v2)(exec, graph, update_result), exec, graph_needs_walk, graph, change_end);
}

CUresult cuGraphExecChildGraphNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraph child)
{
    CHANGE(real(cuGraphExecChildGraphNodeSetParams)(exec, node, child), exec, graph_needs_walk, child,
           change_end_part);
}

CUresult cuGraphExecNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraphNodeParams *params)
{
    CHANGE(real(cuGraphExecNodeSetParams)(exec, node, params), exec, params_needs, params, change_end_part);
}

CUresult cuGraphExecDestroy(CUgraphExec handle)
{
    struct ledger_client *client;
    struct graph_exec *exec = NULL;
    CUresult result = shim_limit(&client);

    if (!result && client)
        gate_forget_graph(handle); /* its name may come again */
    if (result || !client || !graph_exec_any() || !(exec = graph_exec_take(handle)))
        return result ? result : real(cuGraphExecDestroy)(handle);
    result = real(cuGraphExecDestroy)(handle);
    if (result != CUDA_SUCCESS) {
        graph_exec_put_back(exec);
        return result;
    }
    graph_exec_ended(exec);
    graph_settle_all(client);
    graph_settle_later(); /* launches under way may hold what it had */
    return result;
}

/* ---- launching ---- */

typedef CUresult (*launch_fn)(CUgraphExec exec, CUstream stream);

static CUresult launch(struct ledger_client *client, CUgraphExec exec, CUstream stream,
                       launch_fn driver_launch)
{
    struct graph_growth growth;
    struct graph_exec known;
    CUresult result;

    if (!graph_exec_find(exec, &known))
        return driver_launch(exec, stream);
    result = shim_result(graph_growth_begin(&growth, client, &known.needs, known.launched, "cuGraphLaunch"));
    if (result)
        return result;
    /* Before the driver: whoever else is at the limit must know of this one's memory (graph_charge.c). */
    graph_exec_mark(exec, true);
    result = driver_launch(exec, stream);
    if (result != CUDA_SUCCESS)
        graph_exec_mark(exec, known.launched);
    graph_growth_end(&growth);
    return result;
}

/* The frame of both launches: its time is paid for by what the graph cost before, and its memory where it has
 * any. */
#define LAUNCH(name, exec, on, per_thread)                                                                   \
    struct ledger_client *client;                                                                            \
    struct gate_ticket ticket;                                                                               \
    CUresult result = shim_limit(&client);                                                                   \
                                                                                                             \
    if (result || !client)                                                                                   \
        return result ? result : real(name)(exec, on);                                                       \
    if (gate_pay(gate_key_graph(exec)))                                                                      \
        return graph_exec_any() ? launch(client, exec, on, real(name)) : real(name)(exec, on);               \
    gate_enter(&ticket, &(struct gate_work){.kind = GATE_GRAPH,                                              \
                                            .call = #name,                                                   \
                                            .stream = (on),                                                  \
                                            .is_per_thread = (per_thread),                                   \
                                            .object = (exec)});                                              \
    result = graph_exec_any() ? launch(client, exec, on, real(name)) : real(name)(exec, on);                 \
    gate_leave(&ticket, result);                                                                             \
    return result

CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream)
{
    LAUNCH(cuGraphLaunch, exec, stream, false);
}

CUresult cuGraphLaunch_ptsz(CUgraphExec exec, CUstream stream)
{
    LAUNCH(cuGraphLaunch_ptsz, exec, stream, true);
}

#define UPLOAD(name, exec, stream)                                                                           \
    struct ledger_client *client;                                                                            \
    CUresult result = shim_limit(&client);                                                                   \
                                                                                                             \
    if (result || !client || !graph_exec_any())                                                              \
        return result ? result : real(name)(exec, stream);                                                   \
    return launch(client, exec, stream, real(name))

CUresult cuGraphUpload(CUgraphExec exec, CUstream stream)
{
    UPLOAD(cuGraphUpload, exec, stream);
}

CUresult cuGraphUpload_ptsz(CUgraphExec exec, CUstream stream)
{
    UPLOAD(cuGraphUpload_ptsz, exec, stream);
}

CUresult cuDeviceGraphMemTrim(CUdevice device)
{
    struct ledger_client *client;
    CUresult result = shim_limit(&client);

    if (result || !client)
        return result ? result : real(cuDeviceGraphMemTrim)(device);
    return graph_trim(client, shim_device_index(device), device);
}
