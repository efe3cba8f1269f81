/* What the files with the calls about graphs share: from handles to nodes. */
#ifndef VGPU_SOFTGPU_DRIVER_GRAPH_API_H
#define VGPU_SOFTGPU_DRIVER_GRAPH_API_H

#include "softgpu/driver/graph_exec.h"
#include "softgpu/driver/graph_node.h"

/* The graph or node of a handle with a reference for the caller; process_check, INVALID_VALUE. */
CUresult graph_get(CUgraph handle, struct graph **ret_graph);
CUresult graph_node_get(CUgraphNode handle, struct graph_node **ret_node);

/* Only edges of the default kind exist: INVALID_VALUE, or NOT_SUPPORTED for a programmatic one. NULL is fine.
 */
CUresult graph_check_edges(const CUgraphEdgeData *edges, size_t count);

/* A new node of graph after dependencies; `from` says what it does. */
CUresult graph_add(CUgraphNode *ret_node, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                   const CUgraphNodeParams *from, const CUlaunchAttribute *attributes, unsigned n_attributes);

/* Nodes of handles, each once and of that graph, in ret_nodes, which has room for count. INVALID_VALUE. The
 * lock of graphs is held, so they stay. */
CUresult graph_find_nodes_locked(struct graph *graph, const CUgraphNode *handles, size_t count,
                                 struct graph_node **ret_nodes);

/* Parameters of a node, if it is of that type, with a reference for the caller. */
CUresult graph_node_params(CUgraphNode handle, CUgraphNodeType type, struct node_params **ret_params);
/* Gives it other ones. */
CUresult graph_node_set(CUgraphNode handle, const CUgraphNodeParams *from);
CUresult graph_node_set_in_exec(CUgraphExec exec, CUgraphNode handle, const CUgraphNodeParams *from);

/* The calls of one type. `from` turns the call's parameters into CUgraphNodeParams, `put` a node's into the
 * call's. */
#define NODE_ADD(name, declaration, from)                                                                    \
    CUresult name(CUgraphNode *ret_node, CUgraph graph, const CUgraphNode *dependencies, size_t count,       \
                  const declaration *params)                                                                 \
    {                                                                                                        \
        if (!params)                                                                                         \
            return CUDA_ERROR_INVALID_VALUE;                                                                 \
        CUgraphNodeParams node = from(params);                                                               \
        return graph_add(ret_node, graph, dependencies, count, &node, NULL, 0);                              \
    }
#define NODE_SET(name, declaration, from)                                                                    \
    CUresult name(CUgraphNode handle, const declaration *params)                                             \
    {                                                                                                        \
        if (!params)                                                                                         \
            return CUDA_ERROR_INVALID_VALUE;                                                                 \
        CUgraphNodeParams node = from(params);                                                               \
        return graph_node_set(handle, &node);                                                                \
    }
#define NODE_SET_IN_EXEC(name, declaration, from)                                                            \
    CUresult name(CUgraphExec exec, CUgraphNode handle, const declaration *params)                           \
    {                                                                                                        \
        if (!params)                                                                                         \
            return CUDA_ERROR_INVALID_VALUE;                                                                 \
        CUgraphNodeParams node = from(params);                                                               \
        return graph_node_set_in_exec(exec, handle, &node);                                                  \
    }
#define NODE_GET(name, declaration, node_type, put)                                                          \
    CUresult name(CUgraphNode handle, declaration *ret_params)                                               \
    {                                                                                                        \
        struct node_params *params;                                                                          \
        CUresult result = graph_node_params(handle, node_type, &params);                                     \
                                                                                                             \
        if (result)                                                                                          \
            return result;                                                                                   \
        if (ret_params)                                                                                      \
            put(params, ret_params);                                                                         \
        else                                                                                                 \
            result = CUDA_ERROR_INVALID_VALUE;                                                               \
        node_params_unref(params);                                                                           \
        return result;                                                                                       \
    }

#endif
