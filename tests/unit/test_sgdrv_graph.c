/* The structure of graphs (softgpu/driver/graph.h): edges, cycles, order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#include "softgpu/driver/graph.h"

static void end_node(void *object)
{
    graph_node_done(object);
    free(object);
}

static void end_graph(void *object)
{
    struct graph *graph = object;

    for (size_t i = 0; i < graph->nodes.n; i++)
        object_unref(graph->nodes.items[i]);
    graph_done(graph);
    free(graph);
}

static struct graph_node *add(struct graph *graph, struct graph_node *before)
{
    struct graph_node *node = graph_node_new_locked(graph, &before, before != NULL, NULL, end_node);

    assert_non_null(node);
    return node;
}

static void an_edge_that_closes_a_cycle_is_refused(void **state)
{
    struct graph *graph = graph_new(end_graph);
    struct graph_node *a = add(graph, NULL), *b = add(graph, a), *c = add(graph, b), *d = add(graph, NULL);

    assert_int_equal(graph_edge_add_locked(c, a), -EINVAL);
    assert_int_equal(graph_edge_add_locked(a, a), -EINVAL);
    assert_int_equal(graph_edge_add_locked(a, b), -EINVAL);
    assert_int_equal(graph_edge_add_locked(c, d), 0);
    assert_int_equal(graph_edge_add_locked(d, b), -EINVAL);
    assert_true(graph_reaches_locked(a, d));
    assert_false(graph_reaches_locked(d, a));
    assert_int_equal(graph_edge_count_locked(graph), 3);
    assert_int_equal(graph_edge_remove_locked(b, c), 0);
    assert_int_equal(graph_edge_remove_locked(b, c), -EINVAL);
    assert_int_equal(graph_edge_add_locked(d, b), 0);
    object_unref(graph);
}

static void a_removed_node_takes_its_edges_along(void **state)
{
    struct graph *graph = graph_new(end_graph);
    struct graph_node *a = add(graph, NULL), *b = add(graph, a), *c = add(graph, b);

    graph_node_remove_locked(b);
    object_unref(b);
    assert_int_equal(graph_edge_count_locked(graph), 0);
    assert_int_equal(a->after.n, 0);
    assert_int_equal(c->before.n, 0);
    assert_int_equal(c->place, 1);
    assert_int_equal(graph_edge_add_locked(c, a), 0);
    object_unref(graph);
}

enum { NODES = 200 };

/* Edges between random nodes, half of which would go back: whatever was accepted, the order holds it. */
static void the_order_has_each_node_once_and_behind_those_before_it(void **state)
{
    struct graph_node *nodes[NODES], *order[NODES];
    size_t position[NODES];
    struct graph *graph = graph_new(end_graph);
    uint32_t random = 12345;
    int accepted = 0;

    for (int i = 0; i < NODES; i++)
        nodes[i] = add(graph, NULL);
    for (int i = 0; i < 10 * NODES; i++) {
        random = random * 1664525 + 1013904223;
        accepted += graph_edge_add_locked(nodes[(random >> 8) % NODES], nodes[(random >> 20) % NODES]) == 0;
    }
    assert_true(accepted > NODES);
    assert_int_equal(graph_edge_count_locked(graph), accepted);
    for (int i = 0; i < NODES; i++)
        position[i] = NODES;
    graph_order_locked(graph, order);
    for (int i = 0; i < NODES; i++) {
        assert_int_equal(position[order[i]->place], NODES);
        position[order[i]->place] = (size_t)i;
    }
    for (int i = 0; i < NODES; i++)
        for (size_t k = 0; k < nodes[i]->before.n; k++)
            assert_true(position[nodes[i]->before.items[k]->place] < position[i]);
    object_unref(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_edge_that_closes_a_cycle_is_refused),
        cmocka_unit_test(a_removed_node_takes_its_edges_along),
        cmocka_unit_test(the_order_has_each_node_once_and_behind_those_before_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
