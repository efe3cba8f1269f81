/* The what-if picture of a node; see view.h. */
#include "place/view.h"

/* A device's idle amount: memory and compute weighed as they are asked for. With one number for both, as in
 * the paper, it is that number. */
static double device_idle(const struct place_view *view, const struct place_view_device *left,
                          const struct place_device *device)
{
    double memory = 1000.0 * (double)left->memory_left_bytes / (double)device->memory_bytes;
    double compute = 1000.0 * left->compute_left_permille / device->compute_permille;

    return memory == compute ? memory : view->memory_weight * memory + (1 - view->memory_weight) * compute;
}

/* The largest p with place_device_need_bytes(p) <= left, that is floor(bytes * p / 1000) <= left. No
 * overflow: place_cluster_add refuses devices so large. */
static uint32_t memory_fits(const struct place_device *device, uint64_t left_bytes)
{
    return left_bytes < device->memory_bytes
               ? (uint32_t)(((left_bytes + 1) * 1000 - 1) / device->memory_bytes)
               : 1000;
}

void place_view_init(struct place_view *view, const struct place_node *node, double memory_weight)
{
    view->node = node;
    view->cpu_left_milli = place_node_cpu_left_milli(node);
    view->memory_weight = memory_weight;
    view->idle_milli = 0;
    for (unsigned i = 0; i < node->n_devices; i++) {
        const struct place_device *device = &node->devices[i];
        struct place_view_device *left = &view->devices[i];

        left->unhealthy = device->unhealthy;
        left->slots_left = !device->slots                       ? UINT32_MAX
                           : device->slots_used < device->slots ? device->slots - device->slots_used
                                                                : 0;
        left->all_free = !device->slots_used && !device->memory_used_bytes && !device->compute_used_permille;
        left->memory_left_bytes = device->memory_used_bytes < device->memory_bytes
                                      ? device->memory_bytes - device->memory_used_bytes
                                      : 0;
        left->memory_fits_permille = memory_fits(device, left->memory_left_bytes);
        left->compute_left_permille = device->compute_used_permille < device->compute_permille
                                          ? device->compute_permille - device->compute_used_permille
                                          : 0;
        left->idle_milli = left->unhealthy ? 0 : device_idle(view, left, device);
        view->idle_milli += left->idle_milli;
    }
}

void place_view_take(struct place_view *view, unsigned at, const struct place_request *request)
{
    const struct place_device *device = &view->node->devices[at];
    struct place_view_device *left = &view->devices[at];

    view->idle_milli -= left->idle_milli;
    left->memory_left_bytes -= place_device_need_bytes(device, request);
    left->memory_fits_permille = memory_fits(device, left->memory_left_bytes);
    left->compute_left_permille -= place_device_need_permille(device, request);
    left->all_free = false;
    if (left->slots_left != UINT32_MAX)
        left->slots_left--;
    left->idle_milli = device_idle(view, left, device);
    view->idle_milli += left->idle_milli;
}

bool place_view_same(const struct place_view *view, unsigned a, unsigned b)
{
    const struct place_view_device *one = &view->devices[a], *other = &view->devices[b];
    const struct place_device *first = &view->node->devices[a], *second = &view->node->devices[b];

    return one->memory_left_bytes == other->memory_left_bytes &&
           one->compute_left_permille == other->compute_left_permille && one->all_free == other->all_free &&
           one->unhealthy == other->unhealthy && one->slots_left == other->slots_left &&
           first->type == second->type && first->memory_bytes == second->memory_bytes;
}
