/* What is left of one node, in numbers that can be changed to try a placement out. Inside the room; on the
 * stack. */
#ifndef VGPU_PLACE_VIEW_H
#define VGPU_PLACE_VIEW_H

#include "place/fit.h"

struct place_view {
    const struct place_node *node;
    uint64_t cpu_left_milli;
    double memory_weight; /* of a device's idle amount; see mix.h */
    double idle_milli;    /* sum over the devices below */
    struct place_view_device {
        uint64_t memory_left_bytes;
        uint32_t memory_fits_permille; /* the largest part of the device's memory that is left */
        uint32_t compute_left_permille;
        uint32_t slots_left; /* UINT32_MAX: any number */
        bool all_free;
        bool unhealthy; /* serves nobody, and nothing of it counts as idle */
        double idle_milli;
    } devices[PLACE_DEVICES_MAX];
};

void place_view_init(struct place_view *view, const struct place_node *node, double memory_weight);

/* Takes what a request takes on one device. The processors are taken by the caller. */
void place_view_take(struct place_view *view, unsigned device, const struct place_request *request);

/* Whether two devices are in every respect the same to a request without UUIDs. */
bool place_view_same(const struct place_view *view, unsigned a, unsigned b);

#endif
