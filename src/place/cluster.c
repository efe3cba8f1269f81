/* Keeping the snapshot; see cluster.h. */
#include "place/cluster.h"

#include <stdlib.h>
#include <string.h>

/* So that thousandths of it can be reckoned without overflow. */
static const uint64_t device_bytes_max = UINT64_C(1) << 53;

struct place_cluster *place_cluster_new(void)
{
    struct place_cluster *cluster = calloc(1, sizeof(*cluster));

    if (cluster && !(cluster->changed_nodes = calloc(PLACE_CHANGES, sizeof(*cluster->changed_nodes)))) {
        free(cluster);
        return NULL;
    }
    return cluster;
}

static void node_done(struct place_node *node)
{
    free(node->name);
    free(node->devices);
    free(node->links);
    *node = (struct place_node){.gone = true};
}

void place_cluster_free(struct place_cluster *cluster)
{
    if (!cluster)
        return;
    for (size_t i = 0; i < cluster->n_nodes; i++)
        node_done(&cluster->nodes[i]);
    for (unsigned i = 0; i < cluster->n_types; i++)
        free(cluster->types[i]);
    free(cluster->nodes);
    free(cluster->changed_nodes);
    free(cluster);
}

void place_cluster_touch(struct place_cluster *cluster, size_t index)
{
    cluster->changed_nodes[cluster->n_changes++ % PLACE_CHANGES] = (uint32_t)index;
}

/* Index of a type, which is entered when it is new. */
static int cluster_type(struct place_cluster *cluster, const char *type)
{
    unsigned n = cluster->n_types;

    for (unsigned i = 0; i < n; i++) {
        if (!strcmp(cluster->types[i], type))
            return (int)i;
    }
    if (n == PLACE_TYPES_MAX)
        return -ENOSPC;
    cluster->types[n] = strdup(type);
    if (!cluster->types[n])
        return -ENOMEM;
    cluster->n_types++;
    cluster->shape++;
    return (int)n;
}

static int node_check(const struct place_node_spec *spec, struct error *err)
{
    if (!spec->name || !spec->name[0])
        return error_fail(err, -EINVAL, "a node without a name");
    if (spec->n_devices > PLACE_DEVICES_MAX)
        return error_fail(err, -EINVAL, "node %s has %u devices; at most %u are supported", spec->name,
                          spec->n_devices, (unsigned)PLACE_DEVICES_MAX);
    for (unsigned i = 0; i < spec->n_devices; i++) {
        const struct place_device_spec *device = &spec->devices[i];

        if (!device->uuid || strlen(device->uuid) >= PLACE_UUID_BYTES)
            return error_fail(err, -EINVAL, "device %u of node %s has a UUID of more than %u characters", i,
                              spec->name, (unsigned)PLACE_UUID_BYTES - 1);
        if (!device->memory_bytes || device->memory_bytes > device_bytes_max)
            return error_fail(err, -EINVAL, "device %u of node %s has no memory, or more than 8 PiB", i,
                              spec->name);
    }
    return 0;
}

static int node_init_devices(struct place_cluster *cluster, struct place_node *node,
                             const struct place_node_spec *spec, struct error *err)
{
    for (unsigned i = 0; i < spec->n_devices; i++) {
        const struct place_device_spec *from = &spec->devices[i];
        struct place_device *device = &node->devices[i];
        int type = cluster_type(cluster, from->type ? from->type : "");

        if (type < 0)
            return error_fail(err, type, "device type \"%s\" of node %s: %s", from->type, spec->name,
                              type == -ENOSPC ? "there are too many types" : "out of memory");
        *device = (struct place_device){
            .type = (uint16_t)type,
            .numa_node = (int16_t)from->numa_node,
            .slots = from->slots,
            .compute_permille = 1000,
            .memory_bytes = from->memory_bytes,
        };
        strcpy(device->uuid, from->uuid); /* node_check measured it */
    }
    return 0;
}

/* The links' copy; NULL where there are none. */
static int node_init_links(struct place_node *node, const struct place_node_spec *spec)
{
    size_t bytes = (size_t)spec->n_devices * spec->n_devices;

    if (!spec->links || !bytes)
        return 0;
    node->links = malloc(bytes);
    if (!node->links)
        return -ENOMEM;
    memcpy(node->links, spec->links, bytes);
    return 0;
}

static int node_init(struct place_cluster *cluster, struct place_node *node,
                     const struct place_node_spec *spec, struct error *err)
{
    int rc;

    *node = (struct place_node){
        .name = strdup(spec->name),
        .cpu_milli = spec->cpu_milli,
        .memory_bytes = spec->memory_bytes,
        .n_devices = spec->n_devices,
        .devices = calloc(spec->n_devices ? spec->n_devices : 1, sizeof(*node->devices)),
    };
    if (!node->name || !node->devices || node_init_links(node, spec))
        rc = error_fail(err, -ENOMEM, "out of memory for node %s", spec->name);
    else
        rc = node_init_devices(cluster, node, spec, err);
    if (rc)
        node_done(node);
    return rc;
}

/* A place in the array: that of a node that went, or a new one. */
static struct place_node *cluster_slot(struct place_cluster *cluster)
{
    for (size_t i = 0; i < cluster->n_nodes; i++) {
        if (cluster->nodes[i].gone)
            return &cluster->nodes[i];
    }
    if (cluster->n_nodes == cluster->room) {
        size_t room = cluster->room ? 2 * cluster->room : 64;
        struct place_node *nodes = reallocarray(cluster->nodes, room, sizeof(*nodes));

        if (!nodes)
            return NULL;
        cluster->nodes = nodes;
        cluster->room = room;
    }
    return &cluster->nodes[cluster->n_nodes];
}

int place_cluster_add(struct place_cluster *cluster, const struct place_node_spec *spec, size_t *ret_index,
                      struct error *err)
{
    uint64_t gpu_milli = UINT64_C(1000) * spec->n_devices;
    struct place_node *slot, node;
    int rc = node_check(spec, err);

    if (rc || (rc = node_init(cluster, &node, spec, err)))
        return rc;
    slot = cluster_slot(cluster);
    if (!slot) {
        node_done(&node);
        return error_fail(err, -ENOMEM, "out of memory for node %s", spec->name);
    }
    *slot = node;
    *ret_index = (size_t)(slot - cluster->nodes);
    if (*ret_index == cluster->n_nodes)
        cluster->n_nodes++;
    if (node.cpu_milli > cluster->max_cpu_milli || gpu_milli > cluster->max_gpu_milli)
        cluster->shape++;
    if (node.cpu_milli > cluster->max_cpu_milli)
        cluster->max_cpu_milli = node.cpu_milli;
    if (gpu_milli > cluster->max_gpu_milli)
        cluster->max_gpu_milli = gpu_milli;
    place_cluster_touch(cluster, *ret_index);
    return 0;
}

void place_cluster_remove(struct place_cluster *cluster, size_t index)
{
    node_done(&cluster->nodes[index]);
    place_cluster_touch(cluster, index);
}

uint64_t place_device_need_bytes(const struct place_device *device, const struct place_request *request)
{
    if (request->device_memory_bytes)
        return request->device_memory_bytes;
    if (!request->device_memory_permille)
        return device->memory_bytes;
    return device->memory_bytes / 1000 * request->device_memory_permille +
           device->memory_bytes % 1000 * request->device_memory_permille / 1000;
}

uint32_t place_device_need_permille(const struct place_device *device, const struct place_request *request)
{
    return request->whole ? device->compute_permille : request->compute_permille;
}

void place_cluster_assign(struct place_cluster *cluster, const struct place_request *request,
                          const struct place_choice *choice)
{
    struct place_node *node = &cluster->nodes[choice->node];

    node->cpu_used_milli += request->cpu_milli;
    node->memory_used_bytes += request->memory_bytes;
    for (uint64_t left = choice->devices; left; left &= left - 1) {
        struct place_device *device = &node->devices[__builtin_ctzll(left)];

        device->memory_used_bytes += place_device_need_bytes(device, request);
        device->compute_used_permille += place_device_need_permille(device, request);
        device->slots_used++;
    }
    place_cluster_touch(cluster, choice->node);
}

void place_cluster_release(struct place_cluster *cluster, const struct place_request *request,
                           const struct place_choice *choice)
{
    struct place_node *node = &cluster->nodes[choice->node];

    node->cpu_used_milli -= request->cpu_milli;
    node->memory_used_bytes -= request->memory_bytes;
    for (uint64_t left = choice->devices; left; left &= left - 1) {
        struct place_device *device = &node->devices[__builtin_ctzll(left)];

        device->memory_used_bytes -= place_device_need_bytes(device, request);
        device->compute_used_permille -= place_device_need_permille(device, request);
        device->slots_used--;
    }
    place_cluster_touch(cluster, choice->node);
}

double place_device_memory_left_permille(const struct place_device *device)
{
    if (device->memory_used_bytes >= device->memory_bytes)
        return 0;
    return 1000.0 * (double)(device->memory_bytes - device->memory_used_bytes) / (double)device->memory_bytes;
}

double place_device_compute_left_permille(const struct place_device *device)
{
    if (device->compute_used_permille >= device->compute_permille)
        return 0;
    return 1000.0 * (device->compute_permille - device->compute_used_permille) / device->compute_permille;
}
