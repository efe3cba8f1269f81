/* Small clusters for the tests of src/place. */
#ifndef PLACE_FIXTURE_H
#define PLACE_FIXTURE_H

#include "base/units.h"
#include "place/cluster.h"

/* A node of like devices of 16,000 MiB, with UUIDs "NAME-0".. and devices 0..n/2-1 on NUMA node 0, the rest
 * on 1. */
size_t fixture_add(struct place_cluster *cluster, const char *name, uint64_t cpu_milli, unsigned n_devices,
                   const char *type, uint32_t slots);

/* n devices, of each so many thousandths of memory and compute. */
struct place_request fixture_ask(uint64_t cpu_milli, unsigned n_devices, unsigned permille);

/* Enters a request on the devices of a set. */
void fixture_take(struct place_cluster *cluster, size_t node, uint64_t devices, struct place_request request);

#endif
