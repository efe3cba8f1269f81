/* The node half of the policies; see score.h and, for where each comes from, policy.h. */
#include "place/score.h"

#include <math.h>

#include "place/frag.h"
#include "place/links.h"
#include "place/pick.h"

enum { HAMI_SLOTS = 10 /* as in pick.c */ };

/* The node as it would be with the request on the given devices. */
static void view_take(struct place_view *view, const struct place_request *request, uint64_t set)
{
    view->cpu_left_milli -= request->cpu_milli;
    for (; set; set &= set - 1)
        place_view_take(view, (unsigned)__builtin_ctzll(set), request);
}

/* What is left, processors and devices by half, in parts of the largest node: 0..1. */
static double left_over(const struct place_scorer *scorer, const struct place_view *view)
{
    const struct place_cluster *cluster = scorer->cluster;
    double left = 0;

    if (cluster->max_cpu_milli)
        left += 0.5 * (double)view->cpu_left_milli / (double)cluster->max_cpu_milli;
    if (cluster->max_gpu_milli)
        left += 0.5 * view->idle_milli / (double)cluster->max_gpu_milli;
    return left;
}

/* The same in parts of the node itself, so that a small empty node is as empty as a large one. */
static double left_over_of_own(const struct place_view *view)
{
    const struct place_node *node = view->node;
    double left = 0;

    if (node->cpu_milli)
        left += 0.5 * (double)view->cpu_left_milli / (double)node->cpu_milli;
    if (node->n_devices)
        left += 0.5 * view->idle_milli / (1000.0 * node->n_devices);
    return left;
}

/* The gradient, and best-fit's part unless it is to be as published. */
static double score_fgd(const struct place_scorer *scorer, const struct place_node *node,
                        const struct place_ask *ask, uint64_t fit, struct place_policy policy)
{
    double before_milli, after_milli, gradient;
    struct place_view view;

    place_view_init(&view, node, place_mix_memory_weight(scorer->mix));
    before_milli = place_frag_milli(&view, scorer->mix);
    if (policy.device == PLACE_FGD || policy.device == PLACE_FGD_PUBLISHED) {
        place_pick_fgd(scorer, ask, place_narrow(node, ask->request, fit), &view, &after_milli);
    } else {
        view_take(&view, ask->request, place_pick(scorer, node, ask, fit, policy.device, NULL));
        after_milli = place_frag_milli(&view, scorer->mix);
    }
    gradient = (before_milli - after_milli) / 1000;
    if (policy.node == PLACE_FGD_PUBLISHED)
        return floor(100 / (1 + exp(-gradient)));
    return gradient - scorer->best_fit_weight * left_over(scorer, &view);
}

/* Kubernetes' NodeResourcesFit with LeastAllocated, its default: whole numbers of 0..100 for processors and
 * memory. */
static double score_least_allocated(const struct place_node *node, const struct place_request *request)
{
    uint64_t cpu_left = place_node_cpu_left_milli(node), memory_left = place_node_memory_left_bytes(node);
    double cpu = node->cpu_milli
                     ? floor(100.0 * (double)(cpu_left - request->cpu_milli) / (double)node->cpu_milli)
                     : 0;
    double memory =
        node->memory_bytes
            ? floor(100.0 * (double)(memory_left - request->memory_bytes) / (double)node->memory_bytes)
            : 0;

    return floor((cpu + memory) / 2);
}

/* HAMi's usage of a node before the pod, 0..30: more is fuller. */
static double node_hami(const struct place_node *node)
{
    double slots = 0, slots_used = 0, compute = 0, compute_used = 0, memory = 0, memory_used = 0;

    for (unsigned i = 0; i < node->n_devices; i++) {
        const struct place_device *device = &node->devices[i];

        slots += device->slots ? device->slots : HAMI_SLOTS;
        slots_used += device->slots_used;
        compute += device->compute_permille;
        compute_used += device->compute_used_permille;
        memory += (double)device->memory_bytes;
        memory_used += (double)device->memory_used_bytes;
    }
    return node->n_devices ? 10 * (slots_used / slots + compute_used / compute + memory_used / memory) : 0;
}

/* Processors and devices, free times asked, in parts of the largest node. */
static double score_dot_product(const struct place_scorer *scorer, const struct place_view *before,
                                const struct place_view *after)
{
    const struct place_cluster *cluster = scorer->cluster;
    double cpu_max = cluster->max_cpu_milli ? (double)cluster->max_cpu_milli : 1;
    double gpu_max = cluster->max_gpu_milli ? (double)cluster->max_gpu_milli : 1;
    double cpu = (double)before->cpu_left_milli / cpu_max *
                 ((double)(before->cpu_left_milli - after->cpu_left_milli) / cpu_max);
    double gpu = before->idle_milli / gpu_max * ((before->idle_milli - after->idle_milli) / gpu_max);

    return floor(100 * (1 - (cpu + gpu) / 2));
}

/* For several devices how well they are linked; for one how little it leaves the others without. */
static double score_topology(const struct place_node *node, uint64_t set, uint64_t fit)
{
    unsigned n = (unsigned)__builtin_popcountll(set);

    if (n > 1)
        return place_links_within(node, set) / (n * (n - 1) / 2.0) / 100;
    return -(double)place_links_between(node, set, fit & ~set) / 100;
}

/* Policies that look at the node without the request. */
static double score_before(const struct place_node *node, const struct place_request *request,
                           enum place_order order)
{
    if (order == PLACE_RANDOM)
        return 0;
    if (order == PLACE_FIRST_FIT || !request->n_devices)
        return score_least_allocated(node, request);
    return order == PLACE_HAMI_BINPACK ? node_hami(node) : -node_hami(node);
}

double place_score(const struct place_scorer *scorer, const struct place_node *node,
                   const struct place_ask *ask, uint64_t fit, struct place_policy policy)
{
    const struct place_request *request = ask->request;
    struct place_view before, after;
    uint64_t set;

    switch (policy.node) {
    case PLACE_RANDOM:
    case PLACE_FIRST_FIT:
    case PLACE_HAMI_BINPACK:
    case PLACE_HAMI_SPREAD:
        return score_before(node, request, policy.node);
    case PLACE_FGD:
    case PLACE_FGD_PUBLISHED:
        return score_fgd(scorer, node, ask, fit, policy);
    default:
        break;
    }
    set = place_pick(scorer, node, ask, fit, policy.device, NULL);
    place_view_init(&before, node, place_mix_memory_weight(scorer->mix));
    after = before;
    view_take(&after, request, set);
    switch (policy.node) {
    case PLACE_BINPACK:
        return -left_over_of_own(&after);
    case PLACE_SPREAD:
        return left_over_of_own(&after);
    case PLACE_TOPOLOGY:
        return score_topology(node, set, fit) - scorer->best_fit_weight * left_over(scorer, &after);
    case PLACE_NUMA:
        return -(double)place_numa_count(node, set) - scorer->best_fit_weight * left_over(scorer, &after);
    case PLACE_DOT_PRODUCT:
        return score_dot_product(scorer, &before, &after);
    default: /* best-fit */
        return floor(100 * (1 - left_over(scorer, &after)));
    }
}
