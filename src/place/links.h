/* Sets of devices by how they hang together: links between devices, and NUMA nodes. */
#ifndef VGPU_PLACE_LINKS_H
#define VGPU_PLACE_LINKS_H

#include "place/cluster.h"

/* What connects two devices, slowest first; the names `nvidia-smi topo -m` uses are SYS, NODE, PHB, PXB, PIX,
 * NV#. */
enum place_link {
    PLACE_LINK_UNKNOWN,
    PLACE_LINK_SYSTEM,        /* between NUMA nodes */
    PLACE_LINK_NODE,          /* between host bridges of one NUMA node */
    PLACE_LINK_HOST_BRIDGE,   /* through one host bridge */
    PLACE_LINK_MANY_SWITCHES, /* through several PCIe switches */
    PLACE_LINK_SWITCH,        /* through one PCIe switch */
    PLACE_LINK_NVLINK         /* one NVLink; +n-1 for n of them */
};

/* The worth of a link: 10 for each step of PCIe above unknown, 100 for each NVLink, the weights NVIDIA's
 * device plugin uses for its preferred allocation. */
unsigned place_link_weight(uint8_t link);

/* Sum of the weights within a set, and between a set and others. 0 where the node's links are unknown. */
unsigned place_links_within(const struct place_node *node, uint64_t set);
unsigned place_links_between(const struct place_node *node, uint64_t set, uint64_t others);

/* n of the devices with the greatest sum of weights within; among equals those that leave most to the other
 * devices; then the lowest. Exact up to 16 candidates, beyond that by growing from each device. n is at most
 * the number of devices. */
uint64_t place_links_pick(const struct place_node *node, uint64_t devices, unsigned n);

/* n of the devices on as few NUMA nodes as possible; a NUMA node with just enough is preferred to one with
 * more. */
uint64_t place_numa_pick(const struct place_node *node, uint64_t devices, unsigned n);

/* The devices that are on the same NUMA node as one of them. */
uint64_t place_numa_mates(const struct place_node *node, uint64_t devices, unsigned device);

/* How many NUMA nodes a set touches. */
unsigned place_numa_count(const struct place_node *node, uint64_t set);

#endif
