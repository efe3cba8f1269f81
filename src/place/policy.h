/* Names of placement policies, and which of them a pod gets. A policy has two halves: the node half orders
 * nodes, the device half chooses the devices within a node. */
#ifndef VGPU_PLACE_POLICY_H
#define VGPU_PLACE_POLICY_H

#include "base/error.h"

/* The first five are ours and are what users are offered; the rest are what others do, for comparison:
 *   fgd            fragmentation gradient (Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing
 * Workloads with Fragmentation Gradient Descent", USENIX ATC 2023) plus a tenth of best-fit, in full
 * precision binpack        the node, then the device, that is fullest afterwards spread         the one that
 * is emptiest afterwards topology       devices with the fastest links between them numa           devices of
 * as few NUMA nodes as possible, and of the fullest of those fgd-published  that paper's score, rounded to
 * whole numbers of 0..100 as the authors' scheduler does best-fit       least left over, processors and
 * devices by half, as in that paper dot-product    least dot product of free and asked (after Grandl et al.,
 * "Multi-resource packing for cluster schedulers", SIGCOMM 2014), as in that paper random         any node
 * and device that fits first-fit      the first device that fits; nodes by Kubernetes' LeastAllocated
 *   hami-binpack, hami-spread  as HAMi 2.10 scores: slots, memory and compute by equal parts, nodes before
 * the pod */
#define PLACE_POLICIES(X)                                                                                    \
    X(FGD, "fgd")                                                                                            \
    X(BINPACK, "binpack")                                                                                    \
    X(SPREAD, "spread")                                                                                      \
    X(TOPOLOGY, "topology")                                                                                  \
    X(NUMA, "numa")                                                                                          \
    X(FGD_PUBLISHED, "fgd-published")                                                                        \
    X(BEST_FIT, "best-fit")                                                                                  \
    X(DOT_PRODUCT, "dot-product")                                                                            \
    X(RANDOM, "random")                                                                                      \
    X(FIRST_FIT, "first-fit")                                                                                \
    X(HAMI_BINPACK, "hami-binpack")                                                                          \
    X(HAMI_SPREAD, "hami-spread")

#define PLACE_POLICY_ENUM(name, text) PLACE_##name,
enum place_order { PLACE_UNSET, PLACE_POLICIES(PLACE_POLICY_ENUM) PLACE_ORDERS };
#undef PLACE_POLICY_ENUM

struct place_policy {
    enum place_order node, device; /* PLACE_UNSET: nothing said at this level */
};

/* "fgd" for both halves, "hami-binpack/hami-spread" for node and device, "hami" for just that pair, HAMi's
 * default. -EINVAL with a sentence that lists the names. */
int place_policy_parse(const char *text, struct place_policy *ret_policy, struct error *err);

const char *place_order_text(enum place_order order);

/* What holds for a pod: each half from the most particular level that sets it, pod before namespace before
 * cluster; fgd where none does. Any of them may be NULL. */
struct place_policy place_policy_resolve(const struct place_policy *cluster,
                                         const struct place_policy *namespace_policy,
                                         const struct place_policy *pod);

#endif
