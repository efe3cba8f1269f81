/* Any two tables are either refused with a sentence or are a trace that makes a cluster. The input is the
 * nodes, a NUL, and the pods. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sim/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static char *copy(const uint8_t *data, size_t bytes)
{
    char *text = malloc(bytes + 1);

    if (!text)
        abort();
    if (bytes)
        memcpy(text, data, bytes);
    return text;
}

static void check(const struct trace *trace)
{
    struct error err = {0};
    struct place_cluster *cluster = trace_cluster(trace, &err);

    if (!cluster ? !err.text[0] : cluster->n_nodes != trace->n_nodes)
        abort();
    for (size_t i = 0; i < trace->n_pods; i++) {
        if (place_request_check(&trace->pods[i].request, NULL))
            abort();
        if (i && strcmp(trace->pods[i - 1].name, trace->pods[i].name) > 0)
            abort();
    }
    place_cluster_free(cluster);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const uint8_t *middle = bytes ? memchr(data, 0, bytes) : NULL;
    size_t node_bytes = middle ? (size_t)(middle - data) : bytes,
           pod_bytes = middle ? bytes - node_bytes - 1 : 0;
    struct error err = {0};
    struct trace trace;
    int rc = trace_init(&trace, copy(data, node_bytes), node_bytes, "nodes",
                        copy(middle ? middle + 1 : data, pod_bytes), pod_bytes, "pods", &err);

    if (rc > 0 || (rc < 0) != (err.text[0] != 0))
        abort();
    if (!rc)
        check(&trace);
    trace_done(&trace);
    return 0;
}
