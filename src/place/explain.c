/* Summing refusals up; see explain.h. The nearest is the node whose refusal is furthest in the order of
 * reasons, and among those the one that has most of what is missing. */
#include "place/explain.h"

#include <stdio.h>

void place_explain(const struct place_cluster *cluster, const struct place_request *request,
                   struct place_explanation *ret_explanation)
{
    struct place_explanation explanation = {.nearest = cluster->n_nodes};
    struct place_ask ask;

    place_ask_init(&ask, cluster, request);
    for (size_t i = 0; i < cluster->n_nodes; i++) {
        struct place_refusal refusal;
        bool nearer;

        if (cluster->nodes[i].gone)
            continue;
        place_refuse(&cluster->nodes[i], &ask, &refusal);
        explanation.n_nodes++;
        explanation.n_reasons[refusal.reason]++;
        nearer = explanation.nearest == cluster->n_nodes || refusal.reason > explanation.refusal.reason ||
                 (refusal.reason == explanation.refusal.reason && refusal.best > explanation.refusal.best);
        if (refusal.reason == PLACE_REASON_FITS || !nearer)
            continue;
        explanation.nearest = i;
        explanation.refusal = refusal;
    }
    *ret_explanation = explanation;
}

char *place_explanation_format(const struct place_explanation *explanation,
                               const struct place_cluster *cluster, char *buf, size_t buf_bytes)
{
    size_t used = (size_t)snprintf(buf, buf_bytes, "fits %zu of %zu nodes",
                                   explanation->n_reasons[PLACE_REASON_FITS], explanation->n_nodes);
    char why[PLACE_REFUSAL_BYTES];
    const char *before = "; ";

    for (unsigned i = PLACE_REASON_FITS + 1; i < PLACE_REASON_COUNT; i++) {
        if (explanation->n_reasons[i] && used < buf_bytes) {
            used += (size_t)snprintf(buf + used, buf_bytes - used, "%s%s: %zu", before,
                                     place_reason_text((enum place_reason)i), explanation->n_reasons[i]);
            before = ", ";
        }
    }
    if (explanation->nearest < cluster->n_nodes && used < buf_bytes)
        snprintf(buf + used, buf_bytes - used, "; nearest is %s: %s",
                 cluster->nodes[explanation->nearest].name,
                 place_refusal_format(&explanation->refusal, why, sizeof(why)));
    return buf;
}
