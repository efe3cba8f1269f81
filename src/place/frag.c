/* The fragmentation measure; see frag.h. The hot path of the fgd policy: typical requests that differ only in
 * processors share one walk over the devices. */
#include "place/frag.h"

/* Share of the group's requests whose processors are left. */
static double group_share_that_fits(const struct place_mix_group *group, uint64_t cpu_left_milli)
{
    unsigned low = 0, high = group->n;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (group->cpu_milli[middle] <= cpu_left_milli)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? group->share_upto[low - 1] : 0;
}

static bool device_fits(const struct place_view *view, unsigned i, const struct place_mix_group *group)
{
    const struct place_view_device *left = &view->devices[i];
    const struct place_request *request = &group->request;

    if (left->unhealthy || !left->slots_left || !group->type_ok[view->node->devices[i].type])
        return false;
    if (request->whole)
        return left->all_free;
    if (request->compute_permille > left->compute_left_permille)
        return false;
    return request->device_memory_bytes ? request->device_memory_bytes <= left->memory_left_bytes
                                        : group->memory_permille <= left->memory_fits_permille;
}

static double group_frag(const struct place_view *view, const struct place_mix_group *group)
{
    double all = group->share_upto[group->n - 1], fits, stranded_milli = 0;
    unsigned n_fit = 0;

    if (!group->request.n_devices)
        return all * view->idle_milli;
    fits = group_share_that_fits(group, view->cpu_left_milli);
    if (fits <= 0)
        return all * view->idle_milli;
    for (unsigned i = 0; i < view->node->n_devices; i++) {
        if (device_fits(view, i, group))
            n_fit++;
        else
            stranded_milli += view->devices[i].idle_milli;
    }
    if (n_fit < group->request.n_devices)
        return all * view->idle_milli;
    return fits * stranded_milli + (all - fits) * view->idle_milli;
}

double place_frag_milli(const struct place_view *view, const struct place_mix *mix)
{
    unsigned n;
    const struct place_mix_group *groups = place_mix_groups(mix, &n);
    double frag_milli = 0;

    for (unsigned i = 0; i < n; i++)
        frag_milli += group_frag(view, &groups[i]);
    return frag_milli;
}

double place_node_frag_milli(const struct place_node *node, const struct place_mix *mix,
                             double *ret_idle_milli)
{
    struct place_view view;

    place_view_init(&view, node, place_mix_memory_weight(mix));
    *ret_idle_milli = view.idle_milli;
    return place_frag_milli(&view, mix);
}
