/* The calls about the structure of graphs: making, copying, nodes and edges. */
#include "softgpu/driver/graph_api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/driver/capture.h"

CUresult graph_get(CUgraph handle, struct graph **ret_graph)
{
    CUresult result = process_check();
    struct graph *graph;

    if (result)
        return result;
    graph = object_get(OBJECT_GRAPH, handle);
    if (!graph)
        return CUDA_ERROR_INVALID_VALUE;
    *ret_graph = graph;
    return CUDA_SUCCESS;
}

CUresult graph_node_get(CUgraphNode handle, struct graph_node **ret_node)
{
    CUresult result = process_check();
    struct graph_node *node;

    if (result)
        return result;
    node = object_get(OBJECT_GRAPH_NODE, handle);
    if (!node)
        return CUDA_ERROR_INVALID_VALUE;
    *ret_node = node;
    return CUDA_SUCCESS;
}

CUresult graph_check_edges(const CUgraphEdgeData *edges, size_t count)
{
    static const CUgraphEdgeData plain;

    for (size_t i = 0; i < count && edges; i++) {
        if (edges[i].type > CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC ||
            memcmp(edges[i].reserved, plain.reserved, sizeof(plain.reserved)) != 0)
            return CUDA_ERROR_INVALID_VALUE;
        if (edges[i].type || edges[i].from_port || edges[i].to_port)
            return CUDA_ERROR_NOT_SUPPORTED;
    }
    return CUDA_SUCCESS;
}

/* ---- graphs ---- */

CUresult cuGraphCreate(CUgraph *ret_graph, unsigned int flags)
{
    CUresult result = process_check();
    struct graph *graph;

    if (result)
        return result;
    if (!ret_graph || flags)
        return CUDA_ERROR_INVALID_VALUE;
    graph = graph_create();
    if (!graph)
        return CUDA_ERROR_OUT_OF_MEMORY;
    object_publish(graph);
    /* The table's reference is the one that keeps it: graph_end gives it up. */
    object_unref(graph);
    *ret_graph = (CUgraph)graph;
    return CUDA_SUCCESS;
}

CUresult cuGraphClone(CUgraph *ret_clone, CUgraph original)
{
    struct graph *graph, *clone;
    CUresult result = graph_get(original, &graph);

    if (result)
        return result;
    result = ret_clone ? graph_clone(graph, &clone) : CUDA_ERROR_INVALID_VALUE;
    object_unref(graph);
    if (result)
        return result;
    object_unref(clone);
    *ret_clone = (CUgraph)clone;
    return CUDA_SUCCESS;
}

/* A child graph belongs to its node and goes with it. */
CUresult cuGraphDestroy(CUgraph handle)
{
    struct graph *graph;
    CUresult result = graph_get(handle, &graph);

    if (result)
        return result;
    graph_lock();
    if (graph->parent)
        result = CUDA_ERROR_INVALID_VALUE;
    graph_unlock();
    if (!result)
        graph_end(graph);
    object_unref(graph);
    return result;
}

/* ---- lists ---- */

/* Copies handles into the caller's array: without an array only the count is told; room beyond the nodes is
 * cleared, as documented. */
static void tell_nodes(const struct graph_nodes *nodes, CUgraphNode *ret_nodes, CUgraphEdgeData *ret_edges,
                       size_t *count)
{
    size_t room = *count;

    if (!ret_nodes) {
        *count = nodes->n;
        return;
    }
    for (size_t i = 0; i < room; i++) {
        ret_nodes[i] = i < nodes->n ? (CUgraphNode)nodes->items[i] : NULL;
        if (ret_edges)
            ret_edges[i] = (CUgraphEdgeData){0};
    }
    *count = room < nodes->n ? room : nodes->n;
}

CUresult cuGraphGetNodes(CUgraph handle, CUgraphNode *ret_nodes, size_t *count)
{
    struct graph *graph;
    CUresult result = graph_get(handle, &graph);

    if (result)
        return result;
    if (!count) {
        result = CUDA_ERROR_INVALID_VALUE;
    } else {
        graph_lock();
        tell_nodes(&graph->nodes, ret_nodes, NULL, count);
        graph_unlock();
    }
    object_unref(graph);
    return result;
}

CUresult cuGraphGetRootNodes(CUgraph handle, CUgraphNode *ret_nodes, size_t *count)
{
    struct graph_nodes roots = {0};
    struct graph *graph;
    CUresult result = graph_get(handle, &graph);

    if (result)
        return result;
    if (!count)
        result = CUDA_ERROR_INVALID_VALUE;
    graph_lock();
    for (size_t i = 0; i < graph->nodes.n && !result; i++)
        if (!graph->nodes.items[i]->before.n && graph_nodes_add(&roots, graph->nodes.items[i]))
            result = CUDA_ERROR_OUT_OF_MEMORY;
    if (!result)
        tell_nodes(&roots, ret_nodes, NULL, count);
    graph_unlock();
    graph_nodes_done(&roots);
    object_unref(graph);
    return result;
}

static void tell_edges_locked(const struct graph *graph, CUgraphNode *ret_from, CUgraphNode *ret_to,
                              CUgraphEdgeData *ret_edges, size_t *count)
{
    size_t room = *count, n = 0;

    for (size_t i = 0; i < graph->nodes.n; i++) {
        const struct graph_node *to = graph->nodes.items[i];

        for (size_t k = 0; k < to->before.n && n < room; k++, n++) {
            ret_from[n] = (CUgraphNode)to->before.items[k];
            ret_to[n] = (CUgraphNode)(uintptr_t)to;
        }
    }
    for (size_t i = 0; i < room && ret_edges; i++)
        ret_edges[i] = (CUgraphEdgeData){0};
    for (size_t i = n; i < room; i++)
        ret_from[i] = ret_to[i] = NULL;
    *count = n;
}

CUresult cuGraphGetEdges_v2(CUgraph handle, CUgraphNode *ret_from, CUgraphNode *ret_to,
                            CUgraphEdgeData *ret_edges, size_t *count)
{
    struct graph *graph;
    CUresult result = graph_get(handle, &graph);

    if (result)
        return result;
    graph_lock();
    if (!count || !ret_from != !ret_to)
        result = CUDA_ERROR_INVALID_VALUE;
    else if (ret_from)
        tell_edges_locked(graph, ret_from, ret_to, ret_edges, count);
    else
        *count = graph_edge_count_locked(graph);
    graph_unlock();
    object_unref(graph);
    return result;
}

CUresult cuGraphGetEdges(CUgraph graph, CUgraphNode *ret_from, CUgraphNode *ret_to, size_t *count)
{
    return cuGraphGetEdges_v2(graph, ret_from, ret_to, NULL, count);
}

static CUresult tell_neighbours(CUgraphNode handle, bool before, CUgraphNode *ret_nodes,
                                CUgraphEdgeData *ret_edges, size_t *count)
{
    struct graph_node *node;
    CUresult result = graph_node_get(handle, &node);

    if (result)
        return result;
    if (!count) {
        result = CUDA_ERROR_INVALID_VALUE;
    } else {
        graph_lock();
        tell_nodes(before ? &node->before : &node->after, ret_nodes, ret_edges, count);
        graph_unlock();
    }
    object_unref(node);
    return result;
}

CUresult cuGraphNodeGetDependencies_v2(CUgraphNode node, CUgraphNode *ret_nodes, CUgraphEdgeData *ret_edges,
                                       size_t *count)
{
    return tell_neighbours(node, true, ret_nodes, ret_edges, count);
}

CUresult cuGraphNodeGetDependencies(CUgraphNode node, CUgraphNode *ret_nodes, size_t *count)
{
    return tell_neighbours(node, true, ret_nodes, NULL, count);
}

CUresult cuGraphNodeGetDependentNodes_v2(CUgraphNode node, CUgraphNode *ret_nodes, CUgraphEdgeData *ret_edges,
                                         size_t *count)
{
    return tell_neighbours(node, false, ret_nodes, ret_edges, count);
}

CUresult cuGraphNodeGetDependentNodes(CUgraphNode node, CUgraphNode *ret_nodes, size_t *count)
{
    return tell_neighbours(node, false, ret_nodes, NULL, count);
}

/* ---- edges ---- */

/* Adds or removes the edges one by one. When one cannot be, those before it are undone. */
static CUresult change_edges_locked(struct graph_node **from, struct graph_node **to, size_t count, bool add)
{
    int error = 0;
    size_t i;

    for (i = 0; i < count && !error; i++)
        error = add ? graph_edge_add_locked(from[i], to[i]) : graph_edge_remove_locked(from[i], to[i]);
    if (!error)
        return CUDA_SUCCESS;
    for (size_t k = 0; k + 1 < i; k++) {
        if (add)
            graph_edge_remove_locked(from[k], to[k]);
        else
            graph_edge_add_locked(from[k], to[k]);
    }
    return process_result(error);
}

static CUresult find_ends_locked(struct graph *graph, const CUgraphNode *handles, size_t count,
                                 struct graph_node **ret_nodes)
{
    CUresult result = CUDA_SUCCESS;

    for (size_t i = 0; i < count && !result; i++)
        result = graph_find_nodes_locked(graph, &handles[i], 1, &ret_nodes[i]);
    return result;
}

static CUresult change_edges(CUgraph handle, const CUgraphNode *from, const CUgraphNode *to,
                             const CUgraphEdgeData *edges, size_t count, bool add)
{
    struct graph_node **nodes;
    struct graph *graph;
    CUresult result = graph_get(handle, &graph);

    if (result)
        return result;
    result = graph_check_edges(edges, count);
    if (!result && count && (!from || !to))
        result = CUDA_ERROR_INVALID_VALUE;
    nodes = result ? NULL : calloc(count + 1, 2 * sizeof(struct graph_node *));
    if (!result && !nodes)
        result = CUDA_ERROR_OUT_OF_MEMORY;
    graph_lock();
    if (!result)
        result = find_ends_locked(graph, from, count, nodes);
    if (!result)
        result = find_ends_locked(graph, to, count, nodes + count);
    if (!result && !add && count && graph_has_memory_locked(graph))
        result = CUDA_ERROR_NOT_SUPPORTED;
    if (!result)
        result = change_edges_locked(nodes, nodes + count, count, add);
    graph_unlock();
    free(nodes);
    object_unref(graph);
    return result;
}

CUresult cuGraphAddDependencies_v2(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to,
                                   const CUgraphEdgeData *edges, size_t count)
{
    return change_edges(graph, from, to, edges, count, true);
}

CUresult cuGraphAddDependencies(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to, size_t count)
{
    return change_edges(graph, from, to, NULL, count, true);
}

CUresult cuGraphRemoveDependencies_v2(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to,
                                      const CUgraphEdgeData *edges, size_t count)
{
    return change_edges(graph, from, to, edges, count, false);
}

CUresult cuGraphRemoveDependencies(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to,
                                   size_t count)
{
    return change_edges(graph, from, to, NULL, count, false);
}

/* ---- nodes ---- */

CUresult graph_find_nodes_locked(struct graph *graph, const CUgraphNode *handles, size_t count,
                                 struct graph_node **ret_nodes)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;

        /* The handles are only compared, so any value is fine. */
        while (at < graph->nodes.n && (CUgraphNode)graph->nodes.items[at] != handles[i])
            at++;
        if (at == graph->nodes.n)
            return CUDA_ERROR_INVALID_VALUE;
        for (size_t k = 0; k < i; k++)
            if (ret_nodes[k] == graph->nodes.items[at])
                return CUDA_ERROR_INVALID_VALUE;
        ret_nodes[i] = graph->nodes.items[at];
    }
    return CUDA_SUCCESS;
}

CUresult cuGraphDestroyNode(CUgraphNode handle)
{
    struct graph_node *node;
    CUresult result = graph_node_get(handle, &node);
    bool removed = false;

    if (result)
        return result;
    graph_lock();
    if (node->graph && graph_has_memory_locked(node->graph)) {
        result = CUDA_ERROR_NOT_SUPPORTED;
    } else if (node->graph) {
        capture_forget_node_locked(node);
        graph_node_remove_locked(node);
        removed = true;
    }
    graph_unlock();
    if (removed) {
        object_retire(node);
        object_unref(node);
    }
    object_unref(node);
    return result;
}

CUresult cuGraphNodeGetType(CUgraphNode handle, CUgraphNodeType *ret_type)
{
    struct graph_node *node;
    CUresult result = graph_node_get(handle, &node);

    if (result)
        return result;
    graph_lock();
    if (ret_type)
        *ret_type = node_params_type(node->params);
    else
        result = CUDA_ERROR_INVALID_VALUE;
    graph_unlock();
    object_unref(node);
    return result;
}

CUresult cuGraphNodeFindInClone(CUgraphNode *ret_node, CUgraphNode original, CUgraph clone)
{
    struct graph_node *node;
    struct graph *graph;
    CUresult result = graph_node_get(original, &node);

    if (result)
        return result;
    result = graph_get(clone, &graph);
    if (result) {
        object_unref(node);
        return result;
    }
    result = CUDA_ERROR_INVALID_VALUE;
    graph_lock();
    for (size_t i = 0; i < graph->nodes.n && ret_node; i++) {
        if (graph->nodes.items[i]->origin != node->id)
            continue;
        *ret_node = (CUgraphNode)graph->nodes.items[i];
        result = CUDA_SUCCESS;
    }
    graph_unlock();
    object_unref(graph);
    object_unref(node);
    return result;
}
