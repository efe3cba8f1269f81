/* One run of a trace against one policy.
 *
 * Arrivals, as in Weng et al. (ATC 2023) and its artifact: the pods in an order shuffled by the seed, then
 * pods drawn at random from the trace until `until` times the cluster's devices were asked for; one after the
 * other, none leaves.
 *
 * Churn, an extension: pods drawn at random arrive as a Poisson process and stay for exponentially
 * distributed times, so that what is asked for at once is `load` times the cluster's devices on average. It
 * begins empty; after some mean lifetimes of warming up, others are measured. In balance allocation +
 * rejected = load; a warm-up of less than about 4 lifetimes measures a cluster that is still filling. */
#ifndef VGPU_SIM_REPLAY_H
#define VGPU_SIM_REPLAY_H

#include "place/policy.h"
#include "sim/trace.h"

enum {
    REPLAY_PERCENTS = 131, /* 0..130 % of the devices asked for */
};

struct replay_churn {
    double load;                                 /* in parts of the cluster's devices */
    double warmup_lifetimes, measured_lifetimes; /* > 0 */
};

struct replay_result {
    /* arrivals only; sums over the events at each per cent of arrived requests. */
    double allocation_pct[REPLAY_PERCENTS];
    unsigned n_events[REPLAY_PERCENTS];
    /* both; of the end, or of the time that is measured */
    double final_allocation_pct; /* churn: mean over time */
    double frag_pct_of_total;    /* fragmentation of all devices (frag.h); churn: at the end */
    double frag_pct_of_idle;     /* of what is idle */
    double rejected_gpu_pct;     /* of the devices that were asked for */
    double rejected_pods_pct;
    uint64_t n_arrived, n_rejected;
    uint64_t scored_total; /* nodes that were scored */
};

/* Mean allocation at a per cent of arrived requests; NAN where no event fell on it. */
double replay_allocation_pct(const struct replay_result *result, unsigned arrived_pct);

/* 0, -ENOMEM or what the cluster refuses, with err filled. */
int replay_arrivals(const struct trace *trace, struct place_policy policy, uint64_t seed,
                    struct replay_result *ret_result, struct error *err);
int replay_churn(const struct trace *trace, struct place_policy policy, uint64_t seed,
                 const struct replay_churn *churn, struct replay_result *ret_result, struct error *err);

#endif
