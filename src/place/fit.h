/* Which devices of a node can serve a request, and why they cannot. */
#ifndef VGPU_PLACE_FIT_H
#define VGPU_PLACE_FIT_H

#include "place/cluster.h"
#include "place/reason.h"

/* A request as a cluster sees it: which of the cluster's types serve it is known. */
struct place_ask {
    const struct place_request *request;
    const struct place_cluster *cluster;
    bool type_ok[PLACE_TYPES_MAX]; /* by the index of the type */
};

/* Request and cluster stay the caller's and must live as long as the ask. Good until the cluster's n_types
 * changes.
 */
void place_ask_init(struct place_ask *ask, const struct place_cluster *cluster,
                    const struct place_request *request);

/* Whether the request fits the node now. On success *ret_devices is the set of devices that could serve (0
 * where none is asked for); any wanted number of them will do, except that `one_numa_node` restricts the
 * choice (pick.h). A few comparisons a device; no refusal is made. */
bool place_fits(const struct place_node *node, const struct place_ask *ask, uint64_t *ret_devices);

/* The reason, for a node where place_fits says no; PLACE_REASON_FITS where it says yes. */
void place_refuse(const struct place_node *node, const struct place_ask *ask,
                  struct place_refusal *ret_refusal);

/* What is left of the node, 0 where more is taken than there is. */
uint64_t place_node_cpu_left_milli(const struct place_node *node);
uint64_t place_node_memory_left_bytes(const struct place_node *node);

#endif
