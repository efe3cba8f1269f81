/* The typical requests of a cluster: what is asked for how often. The fragmentation gradient measures idle
 * devices by them. Counted from a trace or, with ageing, from the live stream; compiled once into groups that
 * frag.c walks.
 *
 * After Weng et al. (ATC 2023), section 4: distinct requests, the most frequent ones until they cover 95 %,
 * weights renormalised. Host memory is no part of it. Wanted UUIDs and NUMA are left out too: they are rare
 * and of a moment. */
#ifndef VGPU_PLACE_MIX_H
#define VGPU_PLACE_MIX_H

#include "place/cluster.h"

/* Requests that differ only in processors. Ascending in cpu_milli; share_upto[i] is the sum of shares 0..i.
 */
struct place_mix_group {
    struct place_request request; /* its strings are the mix's */
    unsigned memory_permille;     /* of a device, where it is not in bytes; no amount is all */
    unsigned n;
    uint64_t *cpu_milli;
    double *share_upto;
    bool type_ok[PLACE_TYPES_MAX];
};

struct place_mix;

struct place_mix *place_mix_new(void);
void place_mix_free(struct place_mix *mix);

/* Counts a request `weight` times (> 0). 0 or -ENOMEM. */
int place_mix_add(struct place_mix *mix, const struct place_request *request, double weight);

/* Multiplies all counts by `factor` (0..1), so that old requests weigh less: called at even times it makes an
 * exponentially weighted average. Counts under a thousandth of one are forgotten. */
void place_mix_age(struct place_mix *mix, double factor);

/* Makes the groups for a cluster's types. coverage: 0.95 as in the paper. Needed after any of the above and
 * whenever the cluster's n_types changed. 0 or -ENOMEM (the groups are as before then). */
int place_mix_compile(struct place_mix *mix, const struct place_cluster *cluster, double coverage);

/* The groups of the last compilation; none before the first. */
const struct place_mix_group *place_mix_groups(const struct place_mix *mix, unsigned *ret_n);

/* Grows with each compilation: scores that rest on the mix are void then. */
uint64_t place_mix_generation(const struct place_mix *mix);

/* Of what the compiled requests ask in all, the part that is memory (the rest is compute): 0.5 where both are
 * asked for alike, 1 where no request names compute. A device's idle amount is weighed by it. */
double place_mix_memory_weight(const struct place_mix *mix);

#endif
