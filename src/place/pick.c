/* The device half of the policies. */
#include "place/pick.h"

#include <math.h>

#include "place/frag.h"
#include "place/links.h"

enum { HAMI_SLOTS = 10 /* HAMi's default number of tenants a device, where ours has no limit */ };

/* Tries one device; the view is as before afterwards. */
static double frag_if_taken(const struct place_scorer *scorer, struct place_view *view, unsigned i,
                            const struct place_request *request)
{
    struct place_view_device before = view->devices[i];
    double idle_milli = view->idle_milli, frag_milli;

    place_view_take(view, i, request);
    frag_milli = place_frag_milli(view, scorer->mix);
    view->devices[i] = before;
    view->idle_milli = idle_milli;
    return frag_milli;
}

/* Whether a set's devices are all the same, so that nothing needs to be tried. */
static bool all_same(const struct place_view *view, uint64_t set)
{
    unsigned first = (unsigned)__builtin_ctzll(set);

    for (set &= set - 1; set; set &= set - 1) {
        if (!place_view_same(view, (unsigned)__builtin_ctzll(set), first))
            return false;
    }
    return true;
}

/* The device that leaves least when it is taken next, and what it leaves. */
static unsigned best_next(const struct place_scorer *scorer, struct place_view *view,
                          const struct place_request *request, uint64_t candidates, double *ret_least_milli)
{
    unsigned best = 0, previous = PLACE_DEVICES_MAX;
    double least_milli = INFINITY;

    for (; candidates; candidates &= candidates - 1) {
        unsigned i = (unsigned)__builtin_ctzll(candidates);
        double frag_milli;

        if (previous < PLACE_DEVICES_MAX && place_view_same(view, i, previous))
            continue;
        previous = i;
        frag_milli = frag_if_taken(scorer, view, i, request);
        if (frag_milli < least_milli) {
            least_milli = frag_milli;
            best = i;
        }
    }
    *ret_least_milli = least_milli;
    return best;
}

uint64_t place_pick_fgd(const struct place_scorer *scorer, const struct place_ask *ask, uint64_t fit,
                        struct place_view *view, double *ret_frag_milli)
{
    const struct place_request *request = ask->request;
    double frag_milli = 0;
    bool known = false; /* frag_milli is that of the view */
    uint64_t set = 0;

    view->cpu_left_milli -= request->cpu_milli;
    for (unsigned n = request->n_devices; n; n--) {
        uint64_t candidates = fit & ~set;
        unsigned best = (unsigned)__builtin_ctzll(candidates);

        known = !all_same(view, candidates);
        if (known)
            best = best_next(scorer, view, request, candidates, &frag_milli);
        place_view_take(view, best, request);
        set |= UINT64_C(1) << best;
    }
    *ret_frag_milli = known ? frag_milli : place_frag_milli(view, scorer->mix);
    return set;
}

/* What is left of a device before placing, memory and compute alike: 0..2000. */
static double device_left(const struct place_device *device)
{
    return place_device_memory_left_permille(device) + place_device_compute_left_permille(device);
}

/* HAMi's: parts in use of slots, compute and memory, with the request, to 30. The request's part is the same
 * on like devices. */
static double device_hami(const struct place_device *device, const struct place_request *request)
{
    double slots = (1.0 + device->slots_used) / (device->slots ? device->slots : HAMI_SLOTS);
    double compute = (double)(device->compute_used_permille + place_device_need_permille(device, request)) /
                     device->compute_permille;
    double memory = (double)(device->memory_used_bytes + place_device_need_bytes(device, request)) /
                    (double)device->memory_bytes;

    return 10 * (slots + compute + memory);
}

/* Smaller is chosen first. */
static double device_key(const struct place_device *device, const struct place_request *request,
                         enum place_order order, struct place_random *random)
{
    switch (order) {
    case PLACE_SPREAD:
        return -device_left(device);
    case PLACE_HAMI_BINPACK:
        return -device_hami(device, request);
    case PLACE_HAMI_SPREAD:
        return device_hami(device, request);
    case PLACE_RANDOM:
        return random ? place_random_unit(random) : 0;
    case PLACE_FIRST_FIT:
        return 0;
    default: /* binpack, and what the baselines of the paper do */
        return device_left(device);
    }
}

static uint64_t pick_by_key(const struct place_node *node, const struct place_request *request, uint64_t fit,
                            enum place_order order, struct place_random *random)
{
    double keys[PLACE_DEVICES_MAX] = {0};
    uint64_t set = 0;

    for (uint64_t left = fit; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);

        keys[i] = device_key(&node->devices[i], request, order, random);
    }
    for (unsigned n = request->n_devices; n; n--) {
        uint64_t left = fit & ~set;
        unsigned best = (unsigned)__builtin_ctzll(left);

        for (; left; left &= left - 1) {
            unsigned i = (unsigned)__builtin_ctzll(left);

            if (keys[i] < keys[best])
                best = i;
        }
        set |= UINT64_C(1) << best;
    }
    return set;
}

uint64_t place_narrow(const struct place_node *node, const struct place_request *request, uint64_t fit)
{
    uint64_t set;

    if (!request->one_numa_node || !request->n_devices)
        return fit;
    set = place_numa_pick(node, fit, request->n_devices);
    return place_numa_mates(node, fit, (unsigned)__builtin_ctzll(set));
}

uint64_t place_pick(const struct place_scorer *scorer, const struct place_node *node,
                    const struct place_ask *ask, uint64_t fit, enum place_order order,
                    struct place_random *random)
{
    const struct place_request *request = ask->request;
    struct place_view view;
    double frag_milli;

    if (!request->n_devices)
        return 0;
    fit = place_narrow(node, request, fit);
    switch (order) {
    case PLACE_FGD:
    case PLACE_FGD_PUBLISHED:
        place_view_init(&view, node, place_mix_memory_weight(scorer->mix));
        return place_pick_fgd(scorer, ask, fit, &view, &frag_milli);
    case PLACE_TOPOLOGY:
        return place_links_pick(node, fit, request->n_devices);
    case PLACE_NUMA:
        return place_numa_pick(node, fit, request->n_devices);
    default:
        return pick_by_key(node, request, fit, order, random);
    }
}
