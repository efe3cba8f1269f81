/* Reading a trace; see trace.h. */
#include "sim/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "sim/csv.h"

enum { DEVICE_MIB = 16000 /* where the trace has no gpu_memory_mib: divides into thousandths */ };

static const uint64_t cpu_milli_max = 1000000000, mib_max = UINT64_C(1) << 40;

/* Makes room for one more row; room grows in steps of two. */
static int grow(void **rows, size_t n, size_t row_bytes, const struct csv *csv, struct error *err)
{
    void *grown;

    if (n & (n - 1) || n == 1)
        return 0;
    grown = reallocarray(*rows, n ? 2 * n : 2, row_bytes);
    if (!grown)
        return error_fail(err, -ENOMEM, "%s:%u: out of memory", csv->name, csv->line);
    *rows = grown;
    return 0;
}

struct node_columns {
    int name, cpu, memory, gpus, model, gpu_memory;
};

static int node_columns_find(const struct csv *csv, struct node_columns *columns, struct error *err)
{
    const struct {
        int *index;
        const char *name;
        int needed;
    } rows[] = {
        {&columns->name, "sn", 1},     {&columns->cpu, "cpu_milli", 1},
        {&columns->gpus, "gpu", 1},    {&columns->memory, "memory_mib", 1},
        {&columns->model, "model", 1}, {&columns->gpu_memory, "gpu_memory_mib", 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        *rows[i].index = csv_column(csv, rows[i].name, rows[i].needed, err);
        if (rows[i].needed && *rows[i].index < 0)
            return -EINVAL;
    }
    return 0;
}

static int node_read(const struct csv *csv, const struct node_columns *columns, struct trace_node *node,
                     struct error *err)
{
    uint64_t memory_mib, n_gpus, gpu_memory_mib = DEVICE_MIB;
    int rc;

    *node = (struct trace_node){.name = csv->fields[columns->name], .model = csv->fields[columns->model]};
    if ((rc = csv_number(csv, columns->cpu, cpu_milli_max, &node->cpu_milli, err)) ||
        (rc = csv_number(csv, columns->memory, mib_max, &memory_mib, err)) ||
        (rc = csv_number(csv, columns->gpus, PLACE_DEVICES_MAX, &n_gpus, err)))
        return rc;
    if (columns->gpu_memory >= 0 &&
        (rc = csv_number(csv, columns->gpu_memory, mib_max, &gpu_memory_mib, err)))
        return rc;
    if (!node->name[0])
        return error_fail(err, -EINVAL, "%s:%u: a node without a name", csv->name, csv->line);
    if (n_gpus && !gpu_memory_mib)
        return error_fail(err, -EINVAL, "%s:%u: devices without memory", csv->name, csv->line);
    node->memory_bytes = memory_mib * MIB;
    node->gpu_memory_bytes = gpu_memory_mib * MIB;
    node->n_gpus = (unsigned)n_gpus;
    return 0;
}

static int nodes_read(struct trace *trace, struct csv *csv, struct error *err)
{
    struct node_columns columns;
    int rc = node_columns_find(csv, &columns, err), more = 0;

    while (!rc && (more = csv_next(csv, err)) > 0) {
        if (trace->n_nodes == TRACE_NODES_MAX)
            return error_fail(err, -EINVAL, "%s:%u: more than %u nodes", csv->name, csv->line,
                              (unsigned)TRACE_NODES_MAX);
        rc = grow((void **)&trace->nodes, trace->n_nodes, sizeof(*trace->nodes), csv, err);
        if (!rc)
            rc = node_read(csv, &columns, &trace->nodes[trace->n_nodes], err);
        if (!rc)
            trace->gpu_milli += UINT64_C(1000) * trace->nodes[trace->n_nodes++].n_gpus;
    }
    return rc ? rc : more;
}

struct pod_columns {
    int name, cpu, memory, gpus, milli, models, memory_milli;
};

static int pod_columns_find(const struct csv *csv, struct pod_columns *columns, struct error *err)
{
    const struct {
        int *index;
        const char *name;
        int needed;
    } rows[] = {
        {&columns->name, "name", 1},
        {&columns->cpu, "cpu_milli", 1},
        {&columns->memory, "memory_mib", 1},
        {&columns->gpus, "num_gpu", 1},
        {&columns->milli, "gpu_milli", 1},
        {&columns->models, "gpu_spec", 0},
        {&columns->memory_milli, "gpu_memory_milli", 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        *rows[i].index = csv_column(csv, rows[i].name, rows[i].needed, err);
        if (rows[i].needed && *rows[i].index < 0)
            return -EINVAL;
    }
    return 0;
}

/* "V100|P100" becomes an array of names; the text is cut in place. */
static int pod_read_models(const struct csv *csv, char *text, struct trace_pod *pod, struct error *err)
{
    unsigned n = 0;
    char *rest = text, *model;

    if (!text[0])
        return 0;
    pod->models = calloc(TRACE_MODELS_MAX, sizeof(char *));
    if (!pod->models)
        return error_fail(err, -ENOMEM, "%s:%u: out of memory", csv->name, csv->line);
    while ((model = strsep(&rest, "|"))) {
        if (n == TRACE_MODELS_MAX || !model[0])
            return error_fail(err, -EINVAL, "%s:%u: gpu_spec: expected at most %u names joined by '|'",
                              csv->name, csv->line, (unsigned)TRACE_MODELS_MAX);
        pod->models[n++] = model;
    }
    pod->request.types = (struct place_names){pod->models, n};
    return 0;
}

static int pod_read_gpus(const struct csv *csv, const struct pod_columns *columns, struct trace_pod *pod,
                         struct error *err)
{
    struct place_request *request = &pod->request;
    uint64_t n, milli, memory_milli;
    int rc;

    if ((rc = csv_number(csv, columns->gpus, PLACE_DEVICES_MAX, &n, err)) ||
        (rc = csv_number(csv, columns->milli, 1000, &milli, err)))
        return rc;
    memory_milli = milli;
    if (columns->memory_milli >= 0 && (rc = csv_number(csv, columns->memory_milli, 1000, &memory_milli, err)))
        return rc;
    if (!n)
        return 0;
    if (!milli || !memory_milli)
        return error_fail(err, -EINVAL,
                          "%s:%u: a pod asks for nothing of %llu devices; expected 1 to 1000 thousandths",
                          csv->name, csv->line, (unsigned long long)n);
    request->n_devices = (unsigned)n;
    request->compute_permille = (unsigned)milli;
    request->device_memory_permille = (unsigned)memory_milli;
    pod->gpu_milli = n * milli;
    return columns->models >= 0 ? pod_read_models(csv, csv->fields[columns->models], pod, err) : 0;
}

static int pod_read(const struct csv *csv, const struct pod_columns *columns, struct trace_pod *pod,
                    struct error *err)
{
    uint64_t memory_mib;
    int rc;

    *pod = (struct trace_pod){.name = csv->fields[columns->name]};
    if ((rc = csv_number(csv, columns->cpu, cpu_milli_max, &pod->request.cpu_milli, err)) ||
        (rc = csv_number(csv, columns->memory, mib_max, &memory_mib, err)))
        return rc;
    pod->request.memory_bytes = memory_mib * MIB;
    return pod_read_gpus(csv, columns, pod, err);
}

static int pods_read(struct trace *trace, struct csv *csv, struct error *err)
{
    struct pod_columns columns;
    int rc = pod_columns_find(csv, &columns, err), more = 0;

    while (!rc && (more = csv_next(csv, err)) > 0) {
        rc = grow((void **)&trace->pods, trace->n_pods, sizeof(*trace->pods), csv, err);
        if (!rc)
            rc = pod_read(csv, &columns, &trace->pods[trace->n_pods++],
                          err); /* counted first: it may own models */
    }
    return rc ? rc : more;
}

static int pod_compare(const void *a, const void *b)
{
    return strcmp(((const struct trace_pod *)a)->name, ((const struct trace_pod *)b)->name);
}

int trace_init(struct trace *trace, char *node_text, size_t node_bytes, const char *node_name, char *pod_text,
               size_t pod_bytes, const char *pod_name, struct error *err)
{
    struct csv csv;
    int rc;

    *trace = (struct trace){.node_text = node_text, .pod_text = pod_text};
    if ((rc = csv_begin(&csv, node_name, node_text, node_bytes, err)) || (rc = nodes_read(trace, &csv, err)))
        return rc;
    if (!trace->gpu_milli)
        return error_fail(err, -EINVAL, "%s: no node has a device", node_name);
    if ((rc = csv_begin(&csv, pod_name, pod_text, pod_bytes, err)) || (rc = pods_read(trace, &csv, err)))
        return rc;
    if (!trace->n_pods)
        return error_fail(err, -EINVAL, "%s: no pods", pod_name);
    qsort(trace->pods, trace->n_pods, sizeof(*trace->pods), pod_compare);
    return 0;
}

int trace_load(struct trace *trace, const char *node_path, const char *pod_path, struct error *err)
{
    char *node_text, *pod_text;
    size_t node_bytes, pod_bytes;
    int rc;

    *trace = (struct trace){0};
    rc = csv_load(node_path, &node_text, &node_bytes, err);
    if (rc)
        return rc;
    rc = csv_load(pod_path, &pod_text, &pod_bytes, err);
    if (rc) {
        free(node_text);
        return rc;
    }
    return trace_init(trace, node_text, node_bytes, node_path, pod_text, pod_bytes, pod_path, err);
}

void trace_done(struct trace *trace)
{
    for (size_t i = 0; i < trace->n_pods; i++)
        free(trace->pods[i].models);
    free(trace->pods);
    free(trace->nodes);
    free(trace->node_text);
    free(trace->pod_text);
    *trace = (struct trace){0};
}

void trace_keep_gpu_pods(struct trace *trace)
{
    size_t kept = 0;

    for (size_t i = 0; i < trace->n_pods; i++) {
        if (trace->pods[i].gpu_milli)
            trace->pods[kept++] = trace->pods[i];
    }
    trace->n_pods = kept;
}

static int cluster_add(struct place_cluster *cluster, const struct trace_node *node, struct error *err)
{
    struct place_device_spec devices[PLACE_DEVICES_MAX];
    char uuids[PLACE_DEVICES_MAX][24];
    size_t index;

    for (unsigned i = 0; i < node->n_gpus; i++) {
        snprintf(uuids[i], sizeof(uuids[i]), "%u", i);
        devices[i] = (struct place_device_spec){
            .uuid = uuids[i], .type = node->model, .numa_node = -1, .memory_bytes = node->gpu_memory_bytes};
    }
    return place_cluster_add(cluster,
                             &(struct place_node_spec){.name = node->name,
                                                       .cpu_milli = node->cpu_milli,
                                                       .memory_bytes = node->memory_bytes,
                                                       .devices = devices,
                                                       .n_devices = node->n_gpus},
                             &index, err);
}

struct place_cluster *trace_cluster(const struct trace *trace, struct error *err)
{
    struct place_cluster *cluster = place_cluster_new();

    if (!cluster) {
        error_fail(err, -ENOMEM, "out of memory for a cluster");
        return NULL;
    }
    for (size_t i = 0; i < trace->n_nodes; i++) {
        if (cluster_add(cluster, &trace->nodes[i], err)) {
            place_cluster_free(cluster);
            return NULL;
        }
    }
    return cluster;
}
