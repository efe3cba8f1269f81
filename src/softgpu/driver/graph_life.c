/* Graphs with their nodes: how they are made, copied and freed. */
#include <errno.h>
#include <stdlib.h>

#include "softgpu/driver/graph_node.h"
#include "softgpu/driver/user_object.h"

static void node_free(void *object)
{
    struct graph_node *node = object;

    node_params_unref(node->params);
    graph_node_done(node);
    free(node);
}

static void graph_free(void *object)
{
    struct graph *graph = object;

    graph_end(graph);
    for (size_t i = 0; i < graph->nodes.n; i++)
        object_unref(graph->nodes.items[i]);
    node_params_unref(graph->failed_child);
    user_references_drop(graph->users);
    graph_done(graph);
    free(graph);
}

struct graph *graph_create(void)
{
    return graph_new(graph_free);
}

void graph_end(struct graph *graph)
{
    for (size_t i = 0; i < graph->nodes.n; i++)
        object_retire(graph->nodes.items[i]);
    object_retire(graph);
}

bool graph_has_memory_locked(const struct graph *graph)
{
    for (size_t i = 0; i < graph->nodes.n; i++) {
        const struct node_params *params = graph->nodes.items[i]->params;
        CUgraphNodeType type = node_params_type(params);

        if (type == CU_GRAPH_NODE_TYPE_MEM_ALLOC || type == CU_GRAPH_NODE_TYPE_MEM_FREE ||
            (params->child && graph_has_memory_locked(params->child)))
            return true;
    }
    return false;
}

static bool frees_again(const struct graph *graph, const struct graph_allocation *allocation)
{
    for (size_t i = 0; i < graph->nodes.n; i++) {
        const struct node_params *params = graph->nodes.items[i]->params;

        if (node_params_type(params) == CU_GRAPH_NODE_TYPE_MEM_FREE && params->allocation == allocation)
            return true;
    }
    return false;
}

static bool is_inside(const struct graph *graph, const struct graph *outer)
{
    while (graph && graph != outer && graph->parent)
        graph = graph->parent->graph;
    return graph == outer;
}

CUresult graph_add_locked(struct graph *graph, struct graph_node *const *before, size_t n_before,
                          struct node_params *params, struct graph_node **ret_node)
{
    struct graph_node *node;

    if (node_params_type(params) == CU_GRAPH_NODE_TYPE_MEM_FREE && frees_again(graph, params->allocation))
        return CUDA_ERROR_INVALID_VALUE;
    if (params->child && (params->child->parent || is_inside(graph, params->child)))
        return CUDA_ERROR_INVALID_VALUE;
    node = graph_node_new_locked(graph, before, n_before, params, node_free);
    if (!node)
        return CUDA_ERROR_OUT_OF_MEMORY;
    if (params->child) {
        params->child->parent = node;
        params->child_is_lent = false;
    }
    object_publish(node);
    *ret_node = node;
    return CUDA_SUCCESS;
}

/* ---- copies ---- */

static CUresult clone_locked(struct graph *graph, struct graph *clone);

/* The parameters of a clone's node: the same, but a child graph is a graph of its own. */
static CUresult clone_params_locked(struct node_params *params, struct node_params **ret_params)
{
    struct graph *child;
    CUresult result;

    if (!params->child) {
        *ret_params = node_params_ref(params);
        return CUDA_SUCCESS;
    }
    child = graph_create();
    if (!child)
        return CUDA_ERROR_OUT_OF_MEMORY;
    result = node_params_new_child(child, ret_params);
    if (result) {
        object_unref(child);
        return result;
    }
    object_publish(child);
    return clone_locked(params->child, child);
}

static CUresult clone_node_locked(struct graph_node *node, struct graph *clone)
{
    struct graph_node *copy;
    struct node_params *params = NULL;
    CUresult result = clone_params_locked(node->params, &params);

    if (!params)
        return result;
    /* What was made of a child graph hangs on the node, which goes with the clone, also when it is not
     * complete. */
    if (graph_add_locked(clone, NULL, 0, params, &copy)) {
        /* Shared ones live on elsewhere, so this is not their end; a child's may only go without the lock. */
        if (params->child)
            clone->failed_child = params;
        else
            node_params_unref(params);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    copy->origin = node->id;
    return result;
}

/* Into clone, which is empty; when it fails the clone is incomplete. */
static CUresult clone_locked(struct graph *graph, struct graph *clone)
{
    CUresult result = CUDA_SUCCESS;
    bool failed = false;

    clone->origin = graph->id;
    clone->users = user_references_copy(graph->users, &failed);
    for (size_t i = 0; i < graph->nodes.n && !result; i++)
        result = clone_node_locked(graph->nodes.items[i], clone);
    for (size_t i = 0; i < graph->nodes.n && !result; i++) {
        const struct graph_node *node = graph->nodes.items[i];

        for (size_t k = 0; k < node->before.n && !result; k++)
            if (graph_edge_add_locked(clone->nodes.items[node->before.items[k]->place],
                                      clone->nodes.items[i]))
                result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    return failed ? CUDA_ERROR_OUT_OF_MEMORY : result;
}

CUresult graph_clone(struct graph *graph, struct graph **ret_clone)
{
    struct graph *clone = graph_create();
    CUresult result;

    if (!clone)
        return CUDA_ERROR_OUT_OF_MEMORY;
    graph_lock();
    result = graph_has_memory_locked(graph) ? CUDA_ERROR_NOT_SUPPORTED : clone_locked(graph, clone);
    graph_unlock();
    if (result) {
        object_unref(clone);
        return result;
    }
    object_publish(clone);
    *ret_clone = clone;
    return CUDA_SUCCESS;
}
