/* Device memory without addresses: what cuMemCreate makes and what is imported from another process. It lives
 * as long as a handle or a mapping of it, here or in another process. All functions are thread-safe. */
#ifndef VGPU_SOFTGPU_DRIVER_PHYSICAL_H
#define VGPU_SOFTGPU_DRIVER_PHYSICAL_H

#include <stdint.h>

#include "api/cuda_api.h"
#include "softgpu/driver/object.h"

struct physical {
    struct object object; /* a reference a mapping, and one while handles is not 0 */
    CUmemAllocationProp properties;
    unsigned ordinal;
    uint64_t arena_offset, bytes;
    uint32_t handles; /* releases that it takes; guarded by the file's lock */
    int fd;           /* what it is exported as, or -1; guarded by the same */
};

/* bytes (a multiple of the granule) of a device's memory, with one handle. 0 or negative errno. */
int physical_new(unsigned ordinal, uint64_t bytes, const CUmemAllocationProp *properties,
                 struct physical **ret_physical);

/* The memory that another process, or this one, exported as fd (which stays the caller's), with one handle.
 * 0, -EINVAL: fd is no such thing, -ENOENT: the memory is gone, or another negative errno. */
int physical_import(int fd, struct physical **ret_physical);

/* A new descriptor for it, always of the same file. 0 or negative errno. */
int physical_export(struct physical *physical, int *ret_fd);

/* The memory of a handle with a reference for the caller, or NULL. */
struct physical *physical_get(CUmemGenericAllocationHandle handle);

/* One handle more of memory that the caller holds a reference of; one less (-EINVAL: it is no handle). */
CUmemGenericAllocationHandle physical_retain(struct physical *physical);
int physical_release(CUmemGenericAllocationHandle handle);

/* Maps bytes from offset on for this process: at `at`, in place of what is there, or anywhere (NULL). NULL
 * when that fails. */
char *physical_map(const struct physical *physical, uint64_t offset_bytes, uint64_t bytes, void *at);

#endif
