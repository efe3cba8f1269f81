/* The fragmentation half of place_pick, which place_score uses too. Inside the room. */
#ifndef VGPU_PLACE_PICK_H
#define VGPU_PLACE_PICK_H

#include "place/score.h"
#include "place/view.h"

/* Devices that leave least fragmentation, one after the other; *view is as after placing, processors
 * included, and *ret_frag_milli what place_frag_milli says of it. */
uint64_t place_pick_fgd(const struct place_scorer *scorer, const struct place_ask *ask, uint64_t fit,
                        struct place_view *view, double *ret_frag_milli);

/* Where one NUMA node is wanted, the candidates on the one that has just enough; otherwise all. */
uint64_t place_narrow(const struct place_node *node, const struct place_request *request, uint64_t fit);

#endif
