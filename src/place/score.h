/* The two halves of a policy at one node: which of its devices, and how good the node is. Pure: the same node
 * gives the same score. Who remembers scores is engine.h. */
#ifndef VGPU_PLACE_SCORE_H
#define VGPU_PLACE_SCORE_H

#include "place/fit.h"
#include "place/mix.h"
#include "place/policy.h"
#include "place/random.h"

/* What scores depend on besides the node. */
struct place_scorer {
    const struct place_cluster *cluster;
    const struct place_mix *mix;
    double best_fit_weight; /* of fgd: PLACE_BEST_FIT_WEIGHT */
};

/* Best-fit's part beside the gradient. From a sweep over the openb trace (docs/results): the gradient alone
 * has many ties, and resolved at random they cost 5 points of allocation. */
#define PLACE_BEST_FIT_WEIGHT 0.1

/* Chooses the devices for a request that fits: as many as are asked for out of `fit` (place_fits). random:
 * needed by the policy `random` alone; NULL: the lowest there. */
uint64_t place_pick(const struct place_scorer *scorer, const struct place_node *node,
                    const struct place_ask *ask, uint64_t fit, enum place_order order,
                    struct place_random *random);

/* How good a node is for a request that fits; more is better. Scores of one request and policy can be
 * compared with each other, nothing else. */
double place_score(const struct place_scorer *scorer, const struct place_node *node,
                   const struct place_ask *ask, uint64_t fit, struct place_policy policy);

#endif
