/* Why a request fits nowhere: the refusals of all nodes, summed up. */
#ifndef VGPU_PLACE_EXPLAIN_H
#define VGPU_PLACE_EXPLAIN_H

#include "place/fit.h"

struct place_explanation {
    size_t n_nodes, n_reasons[PLACE_REASON_COUNT]; /* n_reasons[PLACE_REASON_FITS]: where it would fit */
    size_t nearest;               /* the node that came nearest; n_nodes where there is none */
    struct place_refusal refusal; /* its refusal */
};

enum { PLACE_EXPLANATION_BYTES = 1024 };

/* Looks at every node. */
void place_explain(const struct place_cluster *cluster, const struct place_request *request,
                   struct place_explanation *ret_explanation);

/* "fits 0 of 1213 nodes; not enough device memory: 800, not enough processors: 413; nearest is node7: needs
 * ...". buf of at least PLACE_EXPLANATION_BYTES; returns buf. */
char *place_explanation_format(const struct place_explanation *explanation,
                               const struct place_cluster *cluster, char *buf, size_t buf_bytes);

#endif
