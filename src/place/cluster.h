/* The snapshot that placement works on: nodes with their processors, memory and devices, and what is taken of
 * them.
 *
 * The cluster owns all it holds; strings and arrays are copied in. It counts its own changes, so that who
 * remembers scores (engine.h) rescores only nodes that changed. Memory is in bytes, compute in thousandths of
 * a device, processors in thousandths of one. Not thread-safe; no clock, no files. */
#ifndef VGPU_PLACE_CLUSTER_H
#define VGPU_PLACE_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "place/request.h"

enum {
    PLACE_DEVICES_MAX = 64, /* of a node; sets of devices are bits of a uint64_t */
    PLACE_TYPES_MAX = 256,  /* different device types of a cluster */
    PLACE_UUID_BYTES = 64,  /* with the NUL; MIG instances have longer names than devices */
};

struct place_device {
    char uuid[PLACE_UUID_BYTES];
    uint16_t type;     /* index into the cluster's types */
    int16_t numa_node; /* -1: unknown */
    bool unhealthy;
    uint32_t slots, slots_used; /* how many tenants at once; slots 0: any number */
    uint32_t compute_permille, compute_used_permille;
    uint64_t memory_bytes, memory_used_bytes;
};

struct place_node {
    char *name;
    uint64_t cpu_milli, cpu_used_milli;
    uint64_t memory_bytes, memory_used_bytes;
    unsigned n_devices;
    struct place_device *devices;
    uint8_t *links; /* n_devices x n_devices of enum place_link (links.h), or NULL: unknown */
    bool closed;    /* takes nobody: cordoned, not ready */
    bool gone;      /* removed; the place in the array is free */
};

/* What a device is to be; strings are copied. */
struct place_device_spec {
    const char *uuid, *type;
    uint64_t memory_bytes;
    int numa_node;
    uint32_t slots;
};

struct place_node_spec {
    const char *name;
    uint64_t cpu_milli, memory_bytes;
    const struct place_device_spec *devices;
    unsigned n_devices;
    const uint8_t *links; /* as in place_node */
};

/* Where a request went: a node and a set of its devices. */
struct place_choice {
    size_t node;
    uint64_t devices; /* bit i: device i */
};

enum { PLACE_CHANGES = 16384 /* newest changes that are remembered by node; a power of two */ };

struct place_cluster {
    struct place_node *nodes;
    size_t n_nodes, room;
    char *types[PLACE_TYPES_MAX];
    unsigned n_types;
    uint64_t max_cpu_milli;  /* of the largest node, the unit of leftovers; */
    uint64_t max_gpu_milli;  /* of all a node's devices together, a whole one being 1000 */
    uint64_t shape;          /* grows when all scores are void: the above changed */
    uint32_t *changed_nodes; /* ring of the last PLACE_CHANGES */
    uint64_t n_changes;
};

struct place_cluster *place_cluster_new(void);
void place_cluster_free(struct place_cluster *cluster);

/* Adds a node; *ret_index is its place until it is removed. -EINVAL (no name, too many devices, a device
 * without memory or with a uuid that is too long), -ENOSPC (too many types), -ENOMEM; nothing was added then.
 */
int place_cluster_add(struct place_cluster *cluster, const struct place_node_spec *spec, size_t *ret_index,
                      struct error *err);

/* Takes a node out. What was assigned there is forgotten with it. */
void place_cluster_remove(struct place_cluster *cluster, size_t index);

/* Says that a node was changed by hand (closed, health, use). */
void place_cluster_touch(struct place_cluster *cluster, size_t index);

/* Enters what a request takes at a choice, or gives it back. The choice must be one that fits (fit.h); giving
 * back is exact for the same request. */
void place_cluster_assign(struct place_cluster *cluster, const struct place_request *request,
                          const struct place_choice *choice);
void place_cluster_release(struct place_cluster *cluster, const struct place_request *request,
                           const struct place_choice *choice);

/* What of a device one device of the request takes. */
uint64_t place_device_need_bytes(const struct place_device *device, const struct place_request *request);
uint32_t place_device_need_permille(const struct place_device *device, const struct place_request *request);

/* What is left of a device in thousandths, of memory and of compute. 0 where more is taken than there is. */
double place_device_memory_left_permille(const struct place_device *device);
double place_device_compute_left_permille(const struct place_device *device);

#endif
