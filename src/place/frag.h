/* How much of a node's idle devices the typical requests cannot use: the fragmentation measure of Weng et
 * al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent"
 * (USENIX ATC 2023), section 4.
 *
 * For a typical request m of share p_m, with k devices and c processors, and a node with idle amounts g_i, R
 * = sum g_i: F_m = R                              where m asks for no device, or does not fit the node F_m =
 * sum of g_i where m does not fit device i    otherwise F   = sum p_m F_m The paper has one number a device;
 * here a request fits a device when both its memory and its compute do, and g_i weighs both by how much of
 * each is asked for (mix.h). With equal numbers for both it is the paper's measure. */
#ifndef VGPU_PLACE_FRAG_H
#define VGPU_PLACE_FRAG_H

#include "place/mix.h"
#include "place/view.h"

/* F of what is left in the view, in thousandths of a device. */
double place_frag_milli(const struct place_view *view, const struct place_mix *mix);

/* F of a node as it is. *ret_idle_milli is its R. */
double place_node_frag_milli(const struct place_node *node, const struct place_mix *mix,
                             double *ret_idle_milli);

#endif
