/* Nodes and edges. Edges are kept at both ends. The graph never has a cycle, because an edge that would close
 * one is refused; so an order always exists. */
#include "softgpu/driver/graph.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void graph_lock(void)
{
    pthread_mutex_lock(&lock);
}

void graph_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

uint64_t graph_next_id(void)
{
    static uint64_t last;

    return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
}

/* ---- arrays of nodes ---- */

static int nodes_reserve(struct graph_nodes *nodes, size_t more)
{
    size_t wanted = nodes->capacity ? nodes->capacity : 4;
    struct graph_node **grown;

    if (nodes->n + more <= nodes->capacity)
        return 0;
    while (wanted < nodes->n + more)
        wanted *= 2;
    grown = realloc(nodes->items, wanted * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    nodes->items = grown;
    nodes->capacity = wanted;
    return 0;
}

int graph_nodes_add(struct graph_nodes *nodes, struct graph_node *node)
{
    int error = nodes_reserve(nodes, 1);

    if (!error)
        nodes->items[nodes->n++] = node;
    return error;
}

static size_t nodes_find(const struct graph_nodes *nodes, const struct graph_node *node)
{
    size_t at = 0;

    while (at < nodes->n && nodes->items[at] != node)
        at++;
    return at;
}

bool graph_nodes_have(const struct graph_nodes *nodes, const struct graph_node *node)
{
    return nodes_find(nodes, node) < nodes->n;
}

void graph_nodes_drop(struct graph_nodes *nodes, const struct graph_node *node)
{
    size_t at = nodes_find(nodes, node);

    if (at == nodes->n)
        return;
    memmove(nodes->items + at, nodes->items + at + 1, (nodes->n - at - 1) * sizeof(struct graph_node *));
    nodes->n--;
}

void graph_nodes_done(struct graph_nodes *nodes)
{
    free(nodes->items);
    *nodes = (struct graph_nodes){0};
}

/* ---- graphs and nodes ---- */

struct graph *graph_new(void (*destroy)(void *))
{
    struct graph *graph = calloc(1, sizeof(*graph));

    if (!graph)
        return NULL;
    object_init(&graph->object, OBJECT_GRAPH, destroy);
    graph->id = graph_next_id();
    return graph;
}

void graph_done(struct graph *graph)
{
    graph_nodes_done(&graph->nodes);
}

void graph_node_done(struct graph_node *node)
{
    graph_nodes_done(&node->before);
    graph_nodes_done(&node->after);
}

struct graph_node *graph_node_new_locked(struct graph *graph, struct graph_node *const *before,
                                         size_t n_before, struct node_params *params, void (*destroy)(void *))
{
    struct graph_node *node = calloc(1, sizeof(*node));
    int error = node ? nodes_reserve(&graph->nodes, 1) : -ENOMEM;

    if (!error)
        error = nodes_reserve(&node->before, n_before);
    for (size_t i = 0; i < n_before && !error; i++)
        error = nodes_reserve(&before[i]->after, 1);
    if (error) {
        if (node)
            graph_node_done(node);
        free(node);
        return NULL;
    }
    object_init(&node->object, OBJECT_GRAPH_NODE, destroy);
    node->graph = graph;
    node->params = params;
    node->id = graph_next_id();
    node->place = graph->nodes.n;
    graph->nodes.items[graph->nodes.n++] = node;
    for (size_t i = 0; i < n_before; i++) {
        node->before.items[node->before.n++] = before[i];
        before[i]->after.items[before[i]->after.n++] = node;
    }
    return node;
}

void graph_node_remove_locked(struct graph_node *node)
{
    struct graph *graph = node->graph;

    while (node->before.n)
        graph_edge_remove_locked(node->before.items[node->before.n - 1], node);
    while (node->after.n)
        graph_edge_remove_locked(node, node->after.items[node->after.n - 1]);
    graph_nodes_drop(&graph->nodes, node);
    for (size_t i = node->place; i < graph->nodes.n; i++)
        graph->nodes.items[i]->place = i;
    node->graph = NULL;
}

/* ---- edges ---- */

bool graph_has_edge_locked(const struct graph_node *from, const struct graph_node *to)
{
    return graph_nodes_have(&to->before, from);
}

/* Marks, by place, what comes after from. seen has room for all nodes of the graph, stack too. */
static void mark_reached(const struct graph_node *from, bool *seen, const struct graph_node **stack)
{
    size_t n = 0;

    seen[from->place] = true;
    stack[n++] = from;
    while (n) {
        const struct graph_node *node = stack[--n];

        for (size_t i = 0; i < node->after.n; i++) {
            struct graph_node *next = node->after.items[i];

            if (seen[next->place])
                continue;
            seen[next->place] = true;
            stack[n++] = next;
        }
    }
}

/* 1, 0, or -ENOMEM. */
static int reaches(const struct graph_node *from, const struct graph_node *to)
{
    size_t n = from->graph->nodes.n;
    bool *seen;
    const struct graph_node **stack;
    int reached = -ENOMEM;

    if (from == to)
        return 1;
    seen = calloc(n, sizeof(*seen));
    stack = calloc(n, sizeof(*stack));
    if (seen && stack) {
        mark_reached(from, seen, stack);
        reached = seen[to->place];
    }
    free(seen);
    free(stack);
    return reached;
}

bool graph_reaches_locked(const struct graph_node *from, const struct graph_node *to)
{
    return reaches(from, to) == 1;
}

int graph_edge_add_locked(struct graph_node *from, struct graph_node *to)
{
    int back, error;

    if (graph_has_edge_locked(from, to))
        return -EINVAL;
    back = reaches(to, from);
    if (back)
        return back < 0 ? back : -EINVAL;
    error = nodes_reserve(&from->after, 1);
    if (!error)
        error = graph_nodes_add(&to->before, from);
    if (!error)
        from->after.items[from->after.n++] = to;
    return error;
}

int graph_edge_remove_locked(struct graph_node *from, struct graph_node *to)
{
    if (!graph_has_edge_locked(from, to))
        return -EINVAL;
    graph_nodes_drop(&to->before, from);
    graph_nodes_drop(&from->after, to);
    return 0;
}

size_t graph_edge_count_locked(const struct graph *graph)
{
    size_t n = 0;

    for (size_t i = 0; i < graph->nodes.n; i++)
        n += graph->nodes.items[i]->before.n;
    return n;
}

/* ---- order ---- */

void graph_order_locked(struct graph *graph, struct graph_node **ret_order)
{
    size_t n = 0;

    for (size_t i = 0; i < graph->nodes.n; i++) {
        struct graph_node *node = graph->nodes.items[i];

        node->n_unmet = node->before.n;
        if (!node->n_unmet)
            ret_order[n++] = node;
    }
    /* What is in the order already is also the queue of those whose followers are still to be looked at. */
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < ret_order[i]->after.n; k++)
            if (--ret_order[i]->after.items[k]->n_unmet == 0)
                ret_order[n++] = ret_order[i]->after.items[k];
}
