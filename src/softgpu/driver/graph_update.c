/* Changing an executable graph: which new parameters a node may get, and taking them. */
#include <stdlib.h>
#include <string.h>

#include "softgpu/driver/graph_exec.h"

static bool same_attributes(const struct node_params *old, const struct node_params *new)
{
    return old->n_attributes ==
           new->n_attributes &&node_params_attribute(old, CU_LAUNCH_ATTRIBUTE_COOPERATIVE).cooperative ==
           node_params_attribute(new, CU_LAUNCH_ATTRIBUTE_COOPERATIVE).cooperative;
}

/* Whether a node of the exec may get these parameters. */
static CUgraphExecUpdateResult check_change(const struct node_params *old, const struct node_params *new)
{
    CUgraphNodeType type = node_params_type(old);

    if (type != node_params_type(new))
        return CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED;
    if (type == CU_GRAPH_NODE_TYPE_KERNEL && old->context != new->context)
        return CU_GRAPH_EXEC_UPDATE_ERROR_UNSUPPORTED_FUNCTION_CHANGE;
    if (type == CU_GRAPH_NODE_TYPE_KERNEL && !same_attributes(old, new))
        return CU_GRAPH_EXEC_UPDATE_ERROR_ATTRIBUTES_CHANGED;
    if (old->context != new->context || old->allocation != new->allocation)
        return CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED;
    return CU_GRAPH_EXEC_UPDATE_SUCCESS;
}

static bool same_deps(const struct exec_node *a, size_t a_first, const struct exec_node *b)
{
    if (a->n_deps != b->n_deps)
        return false;
    for (size_t i = 0; i < a->n_deps; i++)
        if (a->deps[i] != b->deps[i] + a_first)
            return false;
    return true;
}

/* Compares `new` with the part of `old` that begins at first, whose outer dependencies do not count. */
static void compare(const struct exec_plan *old, size_t first, size_t count, const struct exec_plan *new,
                    CUgraphExecUpdateResultInfo *ret_info)
{
    *ret_info = (CUgraphExecUpdateResultInfo){.result = CU_GRAPH_EXEC_UPDATE_SUCCESS};
    if (count != new->n) {
        ret_info->result = CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
        return;
    }
    for (size_t i = 0; i < count && !ret_info->result; i++) {
        const struct exec_node *a = &old->nodes[first + i], *b = &new->nodes[i];
        bool is_root = first && !b->n_deps;

        ret_info->result = is_root || same_deps(a, first, b) ? check_change(a->params, b->params)
                                                             : CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
        if (ret_info->result)
            ret_info->errorNode = b->handle;
    }
}

/* Gives the nodes from first on the parameters of `new`, which gets the old ones. */
static void exchange(struct exec_plan *old, size_t first, struct exec_plan *new)
{
    for (size_t i = 0; i < new->n; i++) {
        struct node_params *before = old->nodes[first + i].params;

        old->nodes[first + i].params = new->nodes[i].params;
        new->nodes[i].params = before;
    }
}

CUresult graph_exec_update(struct graph_exec *exec, struct graph *graph,
                           CUgraphExecUpdateResultInfo *ret_info)
{
    struct exec_plan plan;
    CUresult result;

    graph_lock();
    result = exec_plan_read_locked(graph, &plan);
    graph_unlock();
    if (!result) {
        pthread_mutex_lock(&exec->lock);
        compare(&exec->plan, 0, exec->plan.n, &plan, ret_info);
        if (ret_info->result)
            result = CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
        else
            exchange(&exec->plan, 0, &plan);
        pthread_mutex_unlock(&exec->lock);
    }
    exec_plan_done(&plan);
    return result;
}

CUresult graph_exec_set_child(struct graph_exec *exec, uint64_t id, struct graph *child)
{
    CUgraphExecUpdateResultInfo info = {.result = CU_GRAPH_EXEC_UPDATE_ERROR};
    struct exec_plan plan;
    CUresult result;

    graph_lock();
    result = exec_plan_read_locked(child, &plan);
    graph_unlock();
    if (!result) {
        pthread_mutex_lock(&exec->lock);
        for (size_t i = 0; i < exec->plan.n_groups; i++) {
            const struct exec_group *group = &exec->plan.groups[i];

            if (group->id != id)
                continue;
            compare(&exec->plan, group->first, group->count, &plan, &info);
            if (!info.result)
                exchange(&exec->plan, group->first, &plan);
        }
        pthread_mutex_unlock(&exec->lock);
        result = info.result ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
    }
    exec_plan_done(&plan);
    return result;
}

static struct exec_node *find_locked(struct graph_exec *exec, uint64_t id)
{
    for (size_t i = 0; i < exec->plan.n; i++)
        if (exec->plan.nodes[i].id == id)
            return &exec->plan.nodes[i];
    return NULL;
}

CUresult graph_exec_set_params(struct graph_exec *exec, uint64_t id, struct node_params *params)
{
    struct node_params *before = NULL;

    pthread_mutex_lock(&exec->lock);
    struct exec_node *node = find_locked(exec, id);
    if (node && !check_change(node->params, params)) {
        before = node->params;
        node->params = params;
    }
    pthread_mutex_unlock(&exec->lock);
    node_params_unref(before);
    return before ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static bool may_be_disabled(const struct exec_node *node)
{
    CUgraphNodeType type = node_params_type(node->params);

    return type == CU_GRAPH_NODE_TYPE_KERNEL || type == CU_GRAPH_NODE_TYPE_MEMCPY ||
           type == CU_GRAPH_NODE_TYPE_MEMSET;
}

CUresult graph_exec_enable(struct graph_exec *exec, uint64_t id, bool enabled)
{
    pthread_mutex_lock(&exec->lock);
    struct exec_node *node = find_locked(exec, id);
    bool can = node && may_be_disabled(node);
    if (can)
        node->disabled = !enabled;
    pthread_mutex_unlock(&exec->lock);
    return can ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult graph_exec_is_enabled(struct graph_exec *exec, uint64_t id, bool *ret_enabled)
{
    pthread_mutex_lock(&exec->lock);
    struct exec_node *node = find_locked(exec, id);
    bool can = node && may_be_disabled(node);
    if (can)
        *ret_enabled = !node->disabled;
    pthread_mutex_unlock(&exec->lock);
    return can ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
