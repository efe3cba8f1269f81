/* What both kinds of run work on: a cluster of the trace, its typical requests, an engine, and the account.
 */
#ifndef VGPU_SIM_FIELD_H
#define VGPU_SIM_FIELD_H

#include "place/engine.h"
#include "place/mix.h"
#include "sim/replay.h"

struct field {
    const struct trace *trace;
    struct place_policy policy;
    struct place_cluster *cluster;
    struct place_mix *mix;
    struct place_engine *engine;
    struct place_random random;
    uint64_t allocated_milli, arrived_milli, rejected_milli; /* of devices */
    uint64_t n_arrived, n_rejected;
};

int field_init(struct field *field, const struct trace *trace, struct place_policy policy, uint64_t seed,
               struct error *err);
void field_done(struct field *field);

/* A pod arrives: placed and entered, or counted as rejected. 1 where it was placed, 0, or -ENOMEM. */
int field_arrive(struct field *field, const struct trace_pod *pod, struct place_choice *ret_choice);

/* Fills what the result says of the end. */
void field_finish(const struct field *field, struct replay_result *result);

#endif
