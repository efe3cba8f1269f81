/* Fitting a request to a node. place_fits is the hot path: it is asked for every node that changed and every
 * kind of request. place_refuse looks again, slowly, where a reason is wanted; both rest on device_judge, so
 * that they cannot disagree. */
#include "place/fit.h"

#include <string.h>

void place_ask_init(struct place_ask *ask, const struct place_cluster *cluster,
                    const struct place_request *request)
{
    memset(ask, 0, sizeof(*ask));
    ask->request = request;
    ask->cluster = cluster;
    for (unsigned i = 0; i < cluster->n_types; i++)
        ask->type_ok[i] = place_request_accepts_type(request, cluster->types[i]);
}

static uint64_t left_of(uint64_t all, uint64_t used)
{
    return used < all ? all - used : 0;
}

uint64_t place_node_cpu_left_milli(const struct place_node *node)
{
    return left_of(node->cpu_milli, node->cpu_used_milli);
}

uint64_t place_node_memory_left_bytes(const struct place_node *node)
{
    return left_of(node->memory_bytes, node->memory_used_bytes);
}

/* The first thing that keeps a device from serving; PLACE_REASON_FITS when nothing does. */
static enum place_reason device_judge(const struct place_device *device, const struct place_ask *ask)
{
    const struct place_request *request = ask->request;

    if (!ask->type_ok[device->type])
        return PLACE_REASON_TYPE;
    if ((request->uuids.n || request->not_uuids.n) && !place_request_accepts_uuid(request, device->uuid))
        return PLACE_REASON_UUID;
    if (device->unhealthy)
        return PLACE_REASON_UNHEALTHY;
    if (request->whole)
        return device->slots_used || device->memory_used_bytes || device->compute_used_permille
                   ? PLACE_REASON_BUSY
                   : PLACE_REASON_FITS;
    if (device->slots && device->slots_used >= device->slots)
        return PLACE_REASON_SLOTS;
    if (place_device_need_bytes(device, request) > left_of(device->memory_bytes, device->memory_used_bytes))
        return PLACE_REASON_DEVICE_MEMORY;
    if (request->compute_permille > left_of(device->compute_permille, device->compute_used_permille))
        return PLACE_REASON_COMPUTE;
    return PLACE_REASON_FITS;
}

static uint64_t devices_that_fit(const struct place_node *node, const struct place_ask *ask)
{
    uint64_t devices = 0;

    for (unsigned i = 0; i < node->n_devices; i++) {
        if (device_judge(&node->devices[i], ask) == PLACE_REASON_FITS)
            devices |= UINT64_C(1) << i;
    }
    return devices;
}

/* The most devices of the set that are on one NUMA node. */
static unsigned most_on_one_numa_node(const struct place_node *node, uint64_t devices)
{
    unsigned most = 0;

    for (uint64_t left = devices; left; left &= left - 1) {
        int16_t numa_node = node->devices[__builtin_ctzll(left)].numa_node;
        unsigned n = 0;

        for (uint64_t other = devices; other; other &= other - 1)
            n += node->devices[__builtin_ctzll(other)].numa_node == numa_node;
        if (n > most)
            most = n;
    }
    return most;
}

/* What of the node itself keeps the request away. */
static enum place_reason node_judge(const struct place_node *node, const struct place_request *request)
{
    if (node->closed || node->gone)
        return PLACE_REASON_CLOSED;
    if (request->cpu_milli > place_node_cpu_left_milli(node))
        return PLACE_REASON_CPU;
    if (request->memory_bytes > place_node_memory_left_bytes(node))
        return PLACE_REASON_MEMORY;
    if (!node->n_devices && request->n_devices)
        return PLACE_REASON_NO_DEVICE;
    if (node->n_devices < request->n_devices)
        return PLACE_REASON_FEW_DEVICES;
    return PLACE_REASON_FITS;
}

bool place_fits(const struct place_node *node, const struct place_ask *ask, uint64_t *ret_devices)
{
    const struct place_request *request = ask->request;
    uint64_t devices = 0;

    if (node_judge(node, request) != PLACE_REASON_FITS)
        return false;
    if (request->n_devices) {
        devices = devices_that_fit(node, ask);
        if ((unsigned)__builtin_popcountll(devices) < request->n_devices)
            return false;
        if (request->one_numa_node && most_on_one_numa_node(node, devices) < request->n_devices)
            return false;
    }
    *ret_devices = devices;
    return true;
}

/* Of a device that cannot serve: what was wanted of it and what it has. */
static void device_numbers(const struct place_device *device, const struct place_ask *ask,
                           struct place_refusal *refusal)
{
    switch (refusal->reason) {
    case PLACE_REASON_TYPE:
        refusal->name = ask->cluster->types[device->type];
        refusal->ruled_out = place_request_rules_out_type(ask->request, refusal->name);
        break;
    case PLACE_REASON_UUID:
        refusal->name = device->uuid;
        refusal->ruled_out = place_request_rules_out_uuid(ask->request, refusal->name);
        break;
    case PLACE_REASON_DEVICE_MEMORY:
        refusal->wanted = place_device_need_bytes(device, ask->request);
        refusal->best = left_of(device->memory_bytes, device->memory_used_bytes);
        break;
    case PLACE_REASON_COMPUTE:
        refusal->wanted = ask->request->compute_permille;
        refusal->best = left_of(device->compute_permille, device->compute_used_permille);
        break;
    case PLACE_REASON_SLOTS:
        refusal->wanted = refusal->best = device->slots;
        break;
    default:
        break;
    }
}

/* The device that came nearest: furthest in the order of reasons, then with most to offer. */
static void refuse_by_device(const struct place_node *node, const struct place_ask *ask,
                             struct place_refusal *refusal)
{
    for (unsigned i = 0; i < node->n_devices; i++) {
        struct place_refusal one = *refusal;

        one.reason = device_judge(&node->devices[i], ask);
        one.device = i;
        one.wanted = one.best = 0;
        device_numbers(&node->devices[i], ask, &one);
        if (one.reason > refusal->reason || (one.reason == refusal->reason && one.best > refusal->best))
            *refusal = one;
    }
}

void place_refuse(const struct place_node *node, const struct place_ask *ask,
                  struct place_refusal *ret_refusal)
{
    const struct place_request *request = ask->request;
    struct place_refusal refusal = {.reason = node_judge(node, request),
                                    .wanted_devices = request->n_devices};
    uint64_t devices;

    if (refusal.reason == PLACE_REASON_CPU) {
        refusal.wanted = request->cpu_milli;
        refusal.best = place_node_cpu_left_milli(node);
    } else if (refusal.reason == PLACE_REASON_MEMORY) {
        refusal.wanted = request->memory_bytes;
        refusal.best = place_node_memory_left_bytes(node);
    } else if (refusal.reason == PLACE_REASON_FEW_DEVICES) {
        refusal.wanted = request->n_devices;
        refusal.best = node->n_devices;
    } else if (refusal.reason == PLACE_REASON_FITS && request->n_devices) {
        devices = devices_that_fit(node, ask);
        refusal.fit_devices = (unsigned)__builtin_popcountll(devices);
        if (refusal.fit_devices < request->n_devices) {
            refuse_by_device(node, ask, &refusal);
        } else if (request->one_numa_node && most_on_one_numa_node(node, devices) < request->n_devices) {
            refusal.reason = PLACE_REASON_NUMA;
            refusal.best = most_on_one_numa_node(node, devices);
        }
    }
    *ret_refusal = refusal;
}
