/* Decisions over a whole cluster, remembered as far as they hold.
 *
 * For each kind of request (all its fields and the policy) the engine keeps the score of every node. The
 * cluster counts its changes, so the next decision rescores only nodes that changed since this kind was last
 * asked for; everything is rescored when the cluster's shape or the typical requests changed. Memory: 8 bytes
 * a node and kind, at most PLACE_KINDS_MAX kinds, the least recently used going first. Not thread-safe; no
 * clock, no files. */
#ifndef VGPU_PLACE_ENGINE_H
#define VGPU_PLACE_ENGINE_H

#include "place/score.h"

enum { PLACE_KINDS_MAX = 512 };

/* The score of a node where the request does not fit. */
#define PLACE_NO_FIT (-__builtin_inf())

struct place_engine;

/* Cluster and mix stay the caller's, must outlive the engine and may be changed between calls. NULL: out of
 * memory. */
struct place_engine *place_engine_new(const struct place_cluster *cluster, const struct place_mix *mix);
void place_engine_free(struct place_engine *engine);

/* The best node and the devices there; one of equals at random. Enters nothing: place_cluster_assign does. 0;
 * -ENOSPC: it fits nowhere (explain.h says why); -ENOMEM. */
int place_engine_decide(struct place_engine *engine, const struct place_request *request,
                        struct place_policy policy, struct place_random *random,
                        struct place_choice *ret_choice);

/* The scores of all nodes by index, PLACE_NO_FIT where the request does not fit; the array is the engine's
 * and good until the next call. 0 or -ENOMEM. */
int place_engine_scores(struct place_engine *engine, const struct place_request *request,
                        struct place_policy policy, const double **ret_scores);

/* Nodes scored since the beginning: what the memory saves. */
uint64_t place_engine_scored_total(const struct place_engine *engine);

#endif
