/* Making a graph flat. What comes after a child graph node comes after the ends of the child graph, and the
 * child's roots come after what its node comes after; an empty child graph passes its predecessors on. */
#include <stdlib.h>
#include <string.h>

#include "softgpu/driver/graph_exec.h"

/* Places of nodes in the plan. */
struct places {
    size_t *items;
    size_t n, capacity;
};

static CUresult places_add(struct places *places, size_t place)
{
    for (size_t i = 0; i < places->n; i++)
        if (places->items[i] == place)
            return CUDA_SUCCESS;
    if (places->n == places->capacity) {
        size_t wanted = places->capacity ? places->capacity * 2 : 4;
        size_t *grown = realloc(places->items, wanted * sizeof(*grown));

        if (!grown)
            return CUDA_ERROR_OUT_OF_MEMORY;
        places->items = grown;
        places->capacity = wanted;
    }
    places->items[places->n++] = place;
    return CUDA_SUCCESS;
}

static CUresult places_add_all(struct places *places, const struct places *more)
{
    CUresult result = CUDA_SUCCESS;

    for (size_t i = 0; i < more->n && !result; i++)
        result = places_add(places, more->items[i]);
    return result;
}

/* Takes deps over. */
static CUresult add_node(struct exec_plan *plan, const struct graph_node *node, struct places *deps)
{
    if (plan->n == plan->capacity) {
        size_t wanted = plan->capacity ? plan->capacity * 2 : 16;
        struct exec_node *grown = realloc(plan->nodes, wanted * sizeof(*grown));

        if (!grown)
            return CUDA_ERROR_OUT_OF_MEMORY;
        plan->nodes = grown;
        plan->capacity = wanted;
    }
    for (size_t i = 0; i < deps->n; i++)
        plan->nodes[deps->items[i]].is_leaf = false;
    plan->nodes[plan->n++] = (struct exec_node){
        .id = node->id,
        .handle = (CUgraphNode)(uintptr_t)node,
        .params = node_params_ref(node->params),
        .deps = deps->items,
        .n_deps = deps->n,
        .is_leaf = true,
    };
    *deps = (struct places){0};
    return CUDA_SUCCESS;
}

static CUresult add_group(struct exec_plan *plan, uint64_t id, size_t first)
{
    if (plan->n_groups == plan->groups_capacity) {
        size_t wanted = plan->groups_capacity ? plan->groups_capacity * 2 : 4;
        struct exec_group *grown = realloc(plan->groups, wanted * sizeof(*grown));

        if (!grown)
            return CUDA_ERROR_OUT_OF_MEMORY;
        plan->groups = grown;
        plan->groups_capacity = wanted;
    }
    plan->groups[plan->n_groups++] = (struct exec_group){id, first, plan->n - first};
    return CUDA_SUCCESS;
}

static CUresult flatten(struct exec_plan *plan, struct graph *graph, const struct places *entry,
                        struct places *ret_ends);

/* ends: by place in the graph, what comes after a node has to wait for. */
static CUresult flatten_node(struct exec_plan *plan, struct graph_node *node, const struct places *entry,
                             struct places *ends)
{
    struct places deps = {0};
    size_t first = plan->n;
    CUresult result = node->before.n ? CUDA_SUCCESS : places_add_all(&deps, entry);

    for (size_t i = 0; i < node->before.n && !result; i++)
        result = places_add_all(&deps, &ends[node->before.items[i]->place]);
    if (!result && node->params->child) {
        result = flatten(plan, node->params->child, &deps, &ends[node->place]);
        if (!result)
            result = add_group(plan, node->id, first);
    } else if (!result) {
        result = add_node(plan, node, &deps);
        if (!result)
            result = places_add(&ends[node->place], first);
    }
    free(deps.items);
    return result;
}

static CUresult flatten(struct exec_plan *plan, struct graph *graph, const struct places *entry,
                        struct places *ret_ends)
{
    size_t n = graph->nodes.n;
    struct graph_node **order = calloc(n + 1, sizeof(struct graph_node *));
    struct places *ends = calloc(n + 1, sizeof(*ends));
    CUresult result = order && ends ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;

    if (!result)
        graph_order_locked(graph, order);
    for (size_t i = 0; i < n && !result; i++)
        result = flatten_node(plan, order[i], entry, ends);
    for (size_t i = 0; i < n && !result; i++)
        if (!graph->nodes.items[i]->after.n)
            result = places_add_all(ret_ends, &ends[i]);
    if (!n && !result)
        result = places_add_all(ret_ends, entry);
    for (size_t i = 0; i < n && ends; i++)
        free(ends[i].items);
    free(ends);
    free(order);
    return result;
}

CUresult exec_plan_read_locked(struct graph *graph, struct exec_plan *ret_plan)
{
    struct exec_plan plan = {0};
    struct places nothing = {0}, ends = {0};
    CUresult result = flatten(&plan, graph, &nothing, &ends);

    free(ends.items);
    *ret_plan = plan;
    return result;
}

void exec_plan_done(struct exec_plan *plan)
{
    for (size_t i = 0; i < plan->n; i++) {
        node_params_unref(plan->nodes[i].params);
        free(plan->nodes[i].deps);
    }
    free(plan->nodes);
    free(plan->groups);
    *plan = (struct exec_plan){0};
}
