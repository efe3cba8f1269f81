/* A trace: nodes and the pods that come to them, in the format of Alibaba's openb trace (2023).
 *
 * nodes: sn, cpu_milli, memory_mib, gpu (count), model; optional gpu_memory_mib (of one device).
 * pods: name, cpu_milli, memory_mib, num_gpu, gpu_milli (thousandths of each device), gpu_spec (models joined
 * by '|', empty: any); optional gpu_memory_milli, where a pod's part of a device's memory is another than of
 * its compute. Other columns are passed over. */
#ifndef VGPU_SIM_TRACE_H
#define VGPU_SIM_TRACE_H

#include <stddef.h>

#include "place/cluster.h"

enum {
    TRACE_NODES_MAX = 100000,
    TRACE_MODELS_MAX = 16, /* of one gpu_spec */
};

struct trace_node {
    const char *name, *model;
    uint64_t cpu_milli, memory_bytes, gpu_memory_bytes;
    unsigned n_gpus;
};

struct trace_pod {
    const char *name;
    const char **models; /* what request.types points at */
    struct place_request request;
    uint64_t gpu_milli; /* of all its devices together */
};

struct trace {
    char *node_text, *pod_text; /* what the names point into */
    struct trace_node *nodes;
    struct trace_pod *pods; /* by name */
    size_t n_nodes, n_pods;
    uint64_t gpu_milli; /* of all nodes */
};

/* Reads the two tables. The texts become the trace's, also on failure. -EINVAL, -ERANGE, -ENOMEM with err
 * filled; the trace is to be freed by trace_done in any case. Refused besides what csv.h refuses: no node or
 * no pod, no device in all nodes, a gpu_milli of 0 or over 1000 where devices are asked for, too many devices
 * of a node. */
int trace_init(struct trace *trace, char *node_text, size_t node_bytes, const char *node_name, char *pod_text,
               size_t pod_bytes, const char *pod_name, struct error *err);

/* The same from files. */
int trace_load(struct trace *trace, const char *node_path, const char *pod_path, struct error *err);
void trace_done(struct trace *trace);

/* Leaves only pods that ask for a device. */
void trace_keep_gpu_pods(struct trace *trace);

/* A cluster of the trace's nodes, all free; NULL with err filled. */
struct place_cluster *trace_cluster(const struct trace *trace, struct error *err);

#endif
