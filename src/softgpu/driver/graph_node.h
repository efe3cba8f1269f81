/* What a node of a graph does. Its parameters are checked and copied once and never change: a node gets
 * others by getting another node_params, so graphs, their clones and executable graphs share them. */
#ifndef VGPU_SOFTGPU_DRIVER_GRAPH_NODE_H
#define VGPU_SOFTGPU_DRIVER_GRAPH_NODE_H

#include "api/cuda_api.h"
#include "softgpu/driver/event.h"
#include "softgpu/driver/graph.h"
#include "softgpu/driver/graph_memory.h"
#include "softgpu/driver/module.h"

struct node_params {
    uint32_t refs;            /* atomic */
    CUgraphNodeParams values; /* as the program gave them; what they point to is owned */
    struct context *context;  /* whose work it is; NULL: that of the stream it is launched into */
    struct function *function;
    struct event *event;
    struct graph *child;
    bool child_is_lent;                  /* the program's own until a node has it */
    struct graph_allocation *allocation; /* of a node that allocates or frees */
    CUlaunchAttribute *attributes;       /* of a kernel node; those that were set */
    unsigned n_attributes;
    char *storage;        /* values of a kernel's parameters */
    void **kernel_params; /* point into storage */
    CUstreamBatchMemOpParams *operations;
};

/* Checks and copies. A child graph is cloned, or taken over where values say so. INVALID_VALUE,
 * INVALID_HANDLE, NOT_SUPPORTED, and what checking a launch gives. Takes no lock of graphs. */
CUresult node_params_new(const CUgraphNodeParams *values, const CUlaunchAttribute *attributes,
                         unsigned n_attributes, struct node_params **ret_params);
/* A child node over a graph that it owns from then on. */
CUresult node_params_new_child(struct graph *child, struct node_params **ret_params);
struct node_params *node_params_ref(struct node_params *params);
void node_params_unref(struct node_params *params); /* NULL is fine; no lock may be held */

static inline CUgraphNodeType node_params_type(const struct node_params *params)
{
    return params->values.type;
}

/* The value of an attribute of a kernel node; zeroes when it was not set. */
CUlaunchAttributeValue node_params_attribute(const struct node_params *params, CUlaunchAttributeID id);

/* A graph with one reference, freed with its nodes. NULL: no memory. */
struct graph *graph_create(void);
/* Nodes in the same order with the same edges. NOT_SUPPORTED: it has memory nodes. Takes the lock of graphs.
 */
CUresult graph_clone(struct graph *graph, struct graph **ret_clone);
/* True when a node of it, or of a graph inside, allocates or frees. */
bool graph_has_memory_locked(const struct graph *graph);

/* Ends the handles of a graph and its nodes; its owner's reference stays. No lock may be held. */
void graph_end(struct graph *graph);

/* A new node, published, which owns params: INVALID_VALUE when it frees what another one frees, or holds a
 * graph that is part of another, and then params stay the caller's. The node's reference is the graph's. */
CUresult graph_add_locked(struct graph *graph, struct graph_node *const *before, size_t n_before,
                          struct node_params *params, struct graph_node **ret_node);

/* The node as work of a stream of `context`, one reference for the caller, not enqueued. A disabled node does
 * nothing. CONTEXT_IS_DESTROYED, a sticky error, OUT_OF_MEMORY. */
CUresult node_params_work(const struct node_params *params, struct context *context, bool disabled,
                          struct engine_work **ret_work);

#endif
