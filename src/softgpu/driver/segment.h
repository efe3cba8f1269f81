/* Device memory in granules: each segment is taken from the device process, has addresses in one window that
 * this process reserved, and is mapped so that kernels (which run in this process) reach it.
 *
 * The public addresses are PROT_NONE: a host program that follows a device pointer fails as on hardware.
 * Kernels and copies go through a second mapping. Managed memory has only one, usable by both. All functions
 * are thread-safe. */
#ifndef VGPU_SOFTGPU_DRIVER_SEGMENT_H
#define VGPU_SOFTGPU_DRIVER_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "softgpu/device/client.h"

enum segment_use { SEGMENT_DEVICE, SEGMENT_MANAGED };

/* Reserves the window, big enough for all devices several times over. Once. 0 or -ENOMEM. */
int segment_reserve_window(struct sgdev *dev);

/* bytes: rounded up to granules. 0 with *ret_base, a multiple of the granule; -ENOMEM: the device or the
 * window is full. */
int segment_alloc(unsigned ordinal, uint64_t bytes, enum segment_use use, uint64_t *ret_base);
void segment_free(uint64_t base);

/* Where this process may touch the byte at addr of a segment, or NULL when addr lies in none. */
char *segment_host(uint64_t addr);

/* bytes rounded up to whole granules of the device; 0 when that overflows. */
uint64_t segment_round(unsigned ordinal, uint64_t bytes);

/* True when [addr, addr + bytes) touches the window. */
bool segment_window_touches(uint64_t addr, uint64_t bytes);

#endif
