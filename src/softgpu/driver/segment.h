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

/* Addresses of the window without memory: bytes (a multiple of the granule) at a multiple of align_bytes (0:
 * of the granule), at wanted if that is free (0: anywhere). 0 or -ENOMEM. */
int segment_addresses_take(uint64_t bytes, uint64_t align_bytes, uint64_t wanted, uint64_t *ret_base);
void segment_addresses_give(uint64_t base, uint64_t bytes);

/* A token of the segment that holds addr, by which another process can import it, and where addr lies in it.
 * 0, or -EINVAL: addr lies in none. */
int segment_export(uint64_t addr, uint8_t ret_token[SGDEV_TOKEN_BYTES], unsigned *ret_ordinal,
                   uint64_t *ret_offset_bytes);
/* Another process's segment, at addresses of its own here; it is freed like any other. 0, -ENOENT or -ENOMEM.
 */
int segment_import(unsigned ordinal, const uint8_t token[SGDEV_TOKEN_BYTES], uint64_t *ret_base,
                   uint64_t *ret_bytes);

/* Where this process may touch the byte at addr of a segment, or NULL when addr lies in none. */
char *segment_host(uint64_t addr);

/* bytes rounded up to whole granules of the device; 0 when that overflows. */
uint64_t segment_round(unsigned ordinal, uint64_t bytes);

/* True when [addr, addr + bytes) touches the window. */
bool segment_window_touches(uint64_t addr, uint64_t bytes);

#endif
