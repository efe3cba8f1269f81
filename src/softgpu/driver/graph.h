/* The structure of graphs: which nodes there are and which comes after which. What a node does is nobody's
 * business here (graph_node.h).
 *
 * One lock for all graphs and captures guards the structure; graphs are small and calls about them rare. It
 * is taken before the engine's lock, and never held while an object's last reference may go. */
#ifndef VGPU_SOFTGPU_DRIVER_GRAPH_H
#define VGPU_SOFTGPU_DRIVER_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "softgpu/driver/object.h"

struct graph;
struct graph_node;
struct node_params;

/* A growing array of nodes. */
struct graph_nodes {
    struct graph_node **items;
    size_t n, capacity;
};

struct graph_node {
    struct object object;
    struct graph *graph;
    struct node_params *params; /* owned */
    uint64_t id;                /* of no other node, ever */
    uint64_t origin;            /* id of the node that this one was cloned from; 0: of none */
    struct graph_nodes before, after;
    size_t place;   /* in its graph's nodes */
    size_t n_unmet; /* scratch of graph_order */
};

struct graph {
    struct object object;
    struct graph_node *parent; /* the node whose child graph it is, or NULL */
    uint64_t id, origin;       /* origin: id of the graph it was cloned from */
    struct graph_nodes nodes;  /* in the order of their making; holds a reference each */
    struct user_reference *users;
    struct node_params *failed_child; /* of the node that ended the making of a clone, or NULL */
    uint64_t exec_id;                 /* a graph with memory nodes has one exec at a time: its id, or 0 */
};

void graph_lock(void);
void graph_unlock(void);

/* An empty graph with one reference. destroy frees it with graph_done and free. NULL: no memory. */
struct graph *graph_new(void (*destroy)(void *));
/* Frees the arrays of a graph whose nodes are gone. */
void graph_done(struct graph *graph);

/* A node of graph after `before` (nodes of the same graph, each once), with what it does, which it owns from
 * then on; one reference, the graph's. NULL: no memory, params is still the caller's. destroy as above. */
struct graph_node *graph_node_new_locked(struct graph *graph, struct graph_node *const *before,
                                         size_t n_before, struct node_params *params,
                                         void (*destroy)(void *));
/* Takes node out of its graph, with its edges; the graph's reference goes to the caller. */
void graph_node_remove_locked(struct graph_node *node);
void graph_node_done(struct graph_node *node);

/* `to` comes after `from`, both of one graph. -EINVAL: they would come after themselves, or the edge is there
 * already; -ENOMEM. */
int graph_edge_add_locked(struct graph_node *from, struct graph_node *to);
/* -EINVAL: there is no such edge. */
int graph_edge_remove_locked(struct graph_node *from, struct graph_node *to);
bool graph_has_edge_locked(const struct graph_node *from, const struct graph_node *to);
/* True when `to` is from, or comes after it. */
bool graph_reaches_locked(const struct graph_node *from, const struct graph_node *to);

/* Fills ret_order, as long as the graph has nodes, with each node behind all that it comes after. The order
 * depends on nothing but the graph's making. */
void graph_order_locked(struct graph *graph, struct graph_node **ret_order);
size_t graph_edge_count_locked(const struct graph *graph);

/* 0 or -ENOMEM. */
int graph_nodes_add(struct graph_nodes *nodes, struct graph_node *node);
bool graph_nodes_have(const struct graph_nodes *nodes, const struct graph_node *node);
void graph_nodes_drop(struct graph_nodes *nodes, const struct graph_node *node);
void graph_nodes_done(struct graph_nodes *nodes);

/* A number that is given out once. */
uint64_t graph_next_id(void);

#endif
