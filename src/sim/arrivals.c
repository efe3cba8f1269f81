/* Arrivals without departures; see replay.h. */
#include "sim/replay.h"

#include <math.h>
#include <stdlib.h>

#include "sim/field.h"

/* So many times the cluster's devices are asked for, in per cent. */
enum { UNTIL_PCT = REPLAY_PERCENTS - 1 };

double replay_allocation_pct(const struct replay_result *result, unsigned arrived_pct)
{
    return result->n_events[arrived_pct] ? result->allocation_pct[arrived_pct] / result->n_events[arrived_pct]
                                         : NAN;
}

/* The order of arrival: indices of all pods, shuffled. NULL: out of memory. */
static uint32_t *shuffled(size_t n, struct place_random *random)
{
    uint32_t *order = calloc(n, sizeof(*order));

    for (size_t i = 0; order && i < n; i++) {
        size_t other = place_random_below(random, i + 1);

        order[i] = order[other];
        order[other] = (uint32_t)i;
    }
    return order;
}

/* Enters the state after an event under the per cent to which the arrived requests round. */
static void note_event(const struct field *field, struct replay_result *result)
{
    double capacity_milli = (double)field->trace->gpu_milli;
    double arrived_pct = 100 * (double)field->arrived_milli / capacity_milli;
    unsigned at = (unsigned)(arrived_pct + 0.5);

    if (at >= REPLAY_PERCENTS)
        return;
    result->allocation_pct[at] += 100 * (double)field->allocated_milli / capacity_milli;
    result->n_events[at]++;
}

static int run(struct field *field, struct replay_result *result, struct error *err)
{
    const struct trace *trace = field->trace;
    uint64_t until_milli = trace->gpu_milli / 100 * UNTIL_PCT;
    uint32_t *order = shuffled(trace->n_pods, &field->random);
    struct place_choice choice;
    int rc = order ? 0 : -ENOMEM;

    for (size_t i = 0; rc >= 0 && (i < trace->n_pods || field->arrived_milli < until_milli); i++) {
        size_t index = i < trace->n_pods ? order[i] : place_random_below(&field->random, trace->n_pods);

        rc = field_arrive(field, &trace->pods[index], &choice);
        note_event(field, result);
    }
    free(order);
    return rc < 0 ? error_fail(err, rc, "out of memory for scores") : 0;
}

/* Whether any pod asks for a device: otherwise no run would end. */
static bool asks_for_devices(const struct trace *trace)
{
    for (size_t i = 0; i < trace->n_pods; i++) {
        if (trace->pods[i].gpu_milli)
            return true;
    }
    return false;
}

int replay_arrivals(const struct trace *trace, struct place_policy policy, uint64_t seed,
                    struct replay_result *ret_result, struct error *err)
{
    struct replay_result result = {0};
    struct field field;
    int rc;

    if (!asks_for_devices(trace))
        return error_fail(err, -EINVAL, "no pod of the trace asks for a device");
    rc = field_init(&field, trace, policy, seed, err);
    if (rc)
        return rc;
    rc = run(&field, &result, err);
    if (!rc) {
        field_finish(&field, &result);
        *ret_result = result;
    }
    field_done(&field);
    return rc;
}
