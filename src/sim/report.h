/* Figures of several runs: mean and standard deviation over the seeds, for people or as JSON. */
#ifndef VGPU_SIM_REPORT_H
#define VGPU_SIM_REPORT_H

#include <stdbool.h>

#include "sim/replay.h"

struct report {
    const char *policy, *nodes, *pods; /* as they were given */
    bool gpu_pods_only;
    const struct replay_churn *churn; /* NULL: arrivals */
    size_t n_nodes, n_pods;
    uint64_t gpu_milli, first_seed;
    unsigned n_seeds;
    const struct replay_result *results; /* n_seeds of them */
    uint64_t wall_ns;
};

/* Prints to stdout. A figure that no run has is null in JSON and "-" in the table. */
void report_print(const struct report *report, bool json);

#endif
