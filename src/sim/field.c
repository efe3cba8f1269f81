/* The field of a run; see field.h. */
#include "sim/field.h"

#include "place/frag.h"

/* How much of the trace the typical requests cover, as in the paper. */
static const double typical_coverage = 0.95;

int field_init(struct field *field, const struct trace *trace, struct place_policy policy, uint64_t seed,
               struct error *err)
{
    int rc = 0;

    *field = (struct field){.trace = trace, .policy = policy, .random = {.state = seed}};
    field->cluster = trace_cluster(trace, err);
    if (!field->cluster)
        return err->code;
    field->mix = place_mix_new();
    for (size_t i = 0; field->mix && !rc && i < trace->n_pods; i++)
        rc = place_mix_add(field->mix, &trace->pods[i].request, 1);
    if (field->mix && !rc)
        rc = place_mix_compile(field->mix, field->cluster, typical_coverage);
    if (field->mix && !rc)
        field->engine = place_engine_new(field->cluster, field->mix);
    if (field->engine)
        return 0;
    field_done(field);
    return error_fail(err, -ENOMEM, "out of memory for the typical requests");
}

void field_done(struct field *field)
{
    place_engine_free(field->engine);
    place_mix_free(field->mix);
    place_cluster_free(field->cluster);
    *field = (struct field){0};
}

int field_arrive(struct field *field, const struct trace_pod *pod, struct place_choice *ret_choice)
{
    int rc = place_engine_decide(field->engine, &pod->request, field->policy, &field->random, ret_choice);

    if (rc == -ENOMEM)
        return rc;
    field->n_arrived++;
    field->arrived_milli += pod->gpu_milli;
    if (rc) {
        field->n_rejected++;
        field->rejected_milli += pod->gpu_milli;
        return 0;
    }
    place_cluster_assign(field->cluster, &pod->request, ret_choice);
    field->allocated_milli += pod->gpu_milli;
    return 1;
}

static double percent(double part, double whole)
{
    return whole > 0 ? 100 * part / whole : 0;
}

void field_finish(const struct field *field, struct replay_result *result)
{
    double frag_milli = 0, idle_milli = 0;

    for (size_t i = 0; i < field->cluster->n_nodes; i++) {
        double node_idle_milli;

        frag_milli += place_node_frag_milli(&field->cluster->nodes[i], field->mix, &node_idle_milli);
        idle_milli += node_idle_milli;
    }
    result->final_allocation_pct = percent((double)field->allocated_milli, (double)field->trace->gpu_milli);
    result->frag_pct_of_total = percent(frag_milli, (double)field->trace->gpu_milli);
    result->frag_pct_of_idle = percent(frag_milli, idle_milli);
    result->rejected_gpu_pct = percent((double)field->rejected_milli, (double)field->arrived_milli);
    result->rejected_pods_pct = percent((double)field->n_rejected, (double)field->n_arrived);
    result->n_arrived = field->n_arrived;
    result->n_rejected = field->n_rejected;
    result->scored_total = place_engine_scored_total(field->engine);
}
