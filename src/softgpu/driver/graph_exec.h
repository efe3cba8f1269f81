/* Executable graphs: a graph made flat (child graphs dissolve into their nodes) and ready to be handed to a
 * stream as one piece. Independent of the graph it was made from. */
#ifndef VGPU_SOFTGPU_DRIVER_GRAPH_EXEC_H
#define VGPU_SOFTGPU_DRIVER_GRAPH_EXEC_H

#include "api/cuda_api.h"
#include "softgpu/driver/graph_node.h"
#include "softgpu/driver/stream.h"

struct exec_node {
    uint64_t id;                /* of the graph's node */
    CUgraphNode handle;         /* its handle when the graph was read; only to be told, never looked into */
    struct node_params *params; /* referenced */
    size_t *deps;               /* places of nodes before it */
    size_t n_deps;
    bool is_leaf, disabled;
};

/* The nodes that one child graph node became. */
struct exec_group {
    uint64_t id;
    size_t first, count;
};

/* A graph made flat: nodes in an order in which they can be handed over. */
struct exec_plan {
    struct exec_node *nodes;
    size_t n, capacity;
    struct exec_group *groups;
    size_t n_groups, groups_capacity;
};

struct graph_exec {
    struct object object;
    uint64_t id;
    uint64_t flags;
    struct user_reference *users;
    struct graph *memory_graph; /* referenced: the graph with memory nodes whose only exec this is; guarded by
                                   the lock of graphs */

    pthread_mutex_t lock; /* guards what follows; taken before all other locks but its own kind's */
    struct exec_plan plan;
    bool has_memory;           /* its allocations' memory is taken */
    struct engine_work **last; /* the leaves of its latest launch */
    size_t n_last;
};

/* Makes graph flat. OUT_OF_MEMORY; what *ret_plan then has goes with exec_plan_done, too, without the lock.
 */
CUresult exec_plan_read_locked(struct graph *graph, struct exec_plan *ret_plan);
void exec_plan_done(struct exec_plan *plan);

/* Published, with one reference for the caller. Memory of a graph with memory nodes is for one exec at a
 * time: NOT_SUPPORTED. */
CUresult graph_exec_new(struct graph *graph, uint64_t flags, struct graph_exec **ret_exec);
/* Ends the handle; launches under way go on. */
void graph_exec_end(struct graph_exec *exec);

/* Hands all nodes to stream in one step, after the stream's earlier work and the exec's earlier launches.
 * OUT_OF_MEMORY: nothing was taken; INVALID_VALUE: an allocation is live, or one to be freed is not. */
CUresult graph_exec_launch(struct graph_exec *exec, struct stream *stream);
/* Takes the memory that its launches will need. */
CUresult graph_exec_upload(struct graph_exec *exec);

/* Takes new parameters for all nodes from a graph of the same shape. GRAPH_EXEC_UPDATE_FAILURE, with
 * *ret_info saying why; nothing has changed then. */
CUresult graph_exec_update(struct graph_exec *exec, struct graph *graph,
                           CUgraphExecUpdateResultInfo *ret_info);
/* The same for one node. The exec takes params over unless it fails. INVALID_VALUE: no such node, or not
 * changeable so. */
CUresult graph_exec_set_params(struct graph_exec *exec, uint64_t id, struct node_params *params);
CUresult graph_exec_set_child(struct graph_exec *exec, uint64_t id, struct graph *child);
/* Kernel, copy and fill nodes only; else INVALID_VALUE. */
CUresult graph_exec_enable(struct graph_exec *exec, uint64_t id, bool enabled);
CUresult graph_exec_is_enabled(struct graph_exec *exec, uint64_t id, bool *ret_enabled);

/* A graph of the exec's nodes, not published: what a launch into a capturing stream becomes. */
CUresult graph_exec_to_graph(struct graph_exec *exec, struct graph **ret_graph);

#endif
