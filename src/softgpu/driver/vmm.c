/* Virtual memory management: reserved address ranges, and physical memory mapped into them. This process
 * reaches a mapping through a mirror of the whole reservation, so ranges that follow one another on the
 * device do so here, and a copy may run over several. Until cuMemSetAccess says so, nobody may touch a
 * mapping. */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "softgpu/driver/context.h"
#include "softgpu/driver/device.h"
#include "softgpu/driver/physical.h"
#include "softgpu/driver/pool.h"
#include "softgpu/driver/segment.h"
#include "softgpu/driver/space.h"

struct reservation {
    struct reservation *next;
    uint64_t base, bytes;
    char *mirror;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for the list, and for changes of what is mapped */
static struct reservation *reservations;

static uint64_t granule_bytes(void)
{
    return sgdev_properties(process_sgdev(), 0)->granule_bytes;
}

static bool is_granular(uint64_t bytes)
{
    return bytes % granule_bytes() == 0;
}

/* ---- physical memory ---- */

static CUresult properties_check(const CUmemAllocationProp *properties, struct device **ret_device)
{
    if (!properties)
        return CUDA_ERROR_INVALID_VALUE;
    if (properties->type == CU_MEM_ALLOCATION_TYPE_INVALID)
        return CUDA_ERROR_INVALID_VALUE;
    if (properties->type != CU_MEM_ALLOCATION_TYPE_PINNED || properties->allocFlags.compressionType ||
        (properties->requestedHandleTypes & ~CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR))
        return CUDA_ERROR_NOT_SUPPORTED;
    if (properties->location.type != CU_MEM_LOCATION_TYPE_DEVICE)
        return properties->location.type == CU_MEM_LOCATION_TYPE_INVALID ? CUDA_ERROR_INVALID_VALUE
                                                                         : CUDA_ERROR_NOT_SUPPORTED;
    return process_device(properties->location.id, ret_device);
}

CUresult cuMemGetAllocationGranularity(size_t *ret_bytes, const CUmemAllocationProp *properties,
                                       CUmemAllocationGranularity_flags option)
{
    struct device *device;
    CUresult result = properties_check(properties, &device);

    if (result)
        return result;
    if (!ret_bytes ||
        (option != CU_MEM_ALLOC_GRANULARITY_MINIMUM && option != CU_MEM_ALLOC_GRANULARITY_RECOMMENDED))
        return CUDA_ERROR_INVALID_VALUE;
    *ret_bytes = granule_bytes();
    return CUDA_SUCCESS;
}

CUresult cuMemCreate(CUmemGenericAllocationHandle *ret_handle, size_t bytes,
                     const CUmemAllocationProp *properties, unsigned long long flags)
{
    struct physical *physical;
    struct device *device;
    CUresult result = properties_check(properties, &device);
    int error;

    if (result)
        return result;
    if (!ret_handle || !bytes || !is_granular(bytes) || flags)
        return CUDA_ERROR_INVALID_VALUE;
    error = physical_new(device->ordinal, bytes, properties, &physical);
    if (error == -ENOMEM && pool_reclaim(device))
        error = physical_new(device->ordinal, bytes, properties, &physical);
    if (!error)
        *ret_handle = (CUmemGenericAllocationHandle)(uintptr_t)physical;
    return process_result(error);
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle)
{
    CUresult result = process_check();

    return result ? result : physical_release(handle) ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *ret_handle, void *address)
{
    struct space_allocation found;
    CUresult result = process_check();

    if (result)
        return result;
    if (!ret_handle)
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    result = space_find((uint64_t)(uintptr_t)address, &found) && found.kind == SPACE_MAPPED
                 ? CUDA_SUCCESS
                 : CUDA_ERROR_INVALID_VALUE;
    if (!result)
        *ret_handle = physical_retain(found.physical);
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *ret_properties,
                                                CUmemGenericAllocationHandle handle)
{
    CUresult result = process_check();
    struct physical *physical;

    if (result)
        return result;
    physical = physical_get(handle);
    if (!physical || !ret_properties) {
        object_unref(physical);
        return CUDA_ERROR_INVALID_VALUE;
    }
    *ret_properties = physical->properties;
    object_unref(physical);
    return CUDA_SUCCESS;
}

CUresult cuMemExportToShareableHandle(void *ret_shareable, CUmemGenericAllocationHandle handle,
                                      CUmemAllocationHandleType type, unsigned long long flags)
{
    CUresult result = process_check();
    struct physical *physical;

    if (result)
        return result;
    if (!ret_shareable || flags || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
        return type == CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ? CUDA_ERROR_INVALID_VALUE
                                                                : CUDA_ERROR_NOT_SUPPORTED;
    physical = physical_get(handle);
    if (!physical)
        return CUDA_ERROR_INVALID_VALUE;
    result = physical->properties.requestedHandleTypes & type
                 ? process_result(physical_export(physical, ret_shareable))
                 : CUDA_ERROR_INVALID_VALUE;
    object_unref(physical);
    return result;
}

CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *ret_handle, void *shareable,
                                        CUmemAllocationHandleType type)
{
    CUresult result = process_check();
    struct physical *physical;
    int error;

    if (result)
        return result;
    if (type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
        return CUDA_ERROR_NOT_SUPPORTED;
    if (!ret_handle)
        return CUDA_ERROR_INVALID_VALUE;
    error = physical_import((int)(intptr_t)shareable, &physical);
    if (error == -EINVAL || error == -ENOENT || error == -EBADF)
        return CUDA_ERROR_INVALID_VALUE;
    if (!error)
        *ret_handle = (CUmemGenericAllocationHandle)(uintptr_t)physical;
    return process_result(error);
}

/* ---- addresses ---- */

/* The reservation that all of [base, base + bytes) lies in. */
static struct reservation *reservation_find_locked(uint64_t base, uint64_t bytes)
{
    struct reservation *each = reservations;

    while (each && (base < each->base || base - each->base > each->bytes ||
                    bytes > each->bytes - (base - each->base)))
        each = each->next;
    return each;
}

static char *mirror_make(uint64_t bytes, void *at)
{
    char *mirror =
        mmap(at, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED : 0), -1, 0);

    if (mirror == MAP_FAILED)
        return NULL;
    madvise(mirror, bytes, MADV_DONTFORK);
    return mirror;
}

CUresult cuMemAddressReserve(CUdeviceptr *ret_base, size_t bytes, size_t align_bytes, CUdeviceptr wanted,
                             unsigned long long flags)
{
    struct reservation *reservation;
    CUresult result = process_check();

    if (result)
        return result;
    if (!ret_base || !bytes || !is_granular(bytes) || flags || (align_bytes & (align_bytes - 1)))
        return CUDA_ERROR_INVALID_VALUE;
    reservation = calloc(1, sizeof(*reservation));
    if (!reservation)
        return CUDA_ERROR_OUT_OF_MEMORY;
    reservation->bytes = bytes;
    reservation->mirror = mirror_make(bytes, NULL);
    if (!reservation->mirror || segment_addresses_take(bytes, align_bytes, wanted, &reservation->base)) {
        if (reservation->mirror)
            munmap(reservation->mirror, bytes);
        free(reservation);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    pthread_mutex_lock(&lock);
    reservation->next = reservations;
    reservations = reservation;
    pthread_mutex_unlock(&lock);
    *ret_base = reservation->base;
    return CUDA_SUCCESS;
}

/* Takes the reservation out, if it is just that one and nothing is mapped in it. */
static struct reservation *reservation_take_locked(uint64_t base, uint64_t bytes)
{
    struct reservation **link = &reservations, *found;

    while (*link && (*link)->base != base)
        link = &(*link)->next;
    found = *link;
    if (!found || found->bytes != bytes || space_touches(base, bytes))
        return NULL;
    *link = found->next;
    return found;
}

CUresult cuMemAddressFree(CUdeviceptr base, size_t bytes)
{
    struct reservation *reservation;
    CUresult result = process_check();

    if (result)
        return result;
    pthread_mutex_lock(&lock);
    reservation = reservation_take_locked(base, bytes);
    pthread_mutex_unlock(&lock);
    if (!reservation)
        return CUDA_ERROR_INVALID_VALUE;
    munmap(reservation->mirror, bytes);
    segment_addresses_give(base, bytes);
    free(reservation);
    return CUDA_SUCCESS;
}

/* ---- mapping ---- */

static CUresult map_locked(struct physical *physical, uint64_t base, uint64_t bytes, uint64_t offset_bytes)
{
    struct reservation *reservation = reservation_find_locked(base, bytes);
    struct space_allocation allocation = {.base = base,
                                          .bytes = bytes,
                                          .reach_bytes = bytes,
                                          .kind = SPACE_MAPPED,
                                          .ordinal = physical->ordinal,
                                          .physical = physical};
    int error;

    if (!reservation || space_touches(base, bytes))
        return CUDA_ERROR_INVALID_VALUE;
    allocation.host =
        physical_map(physical, offset_bytes, bytes, reservation->mirror + (base - reservation->base));
    if (!allocation.host)
        return CUDA_ERROR_OUT_OF_MEMORY;
    error = space_add(&allocation);
    if (error)
        mirror_make(bytes, allocation.host);
    else
        object_ref(physical);
    return process_result(error);
}

CUresult cuMemMap(CUdeviceptr base, size_t bytes, size_t offset_bytes, CUmemGenericAllocationHandle handle,
                  unsigned long long flags)
{
    CUresult result = process_check();
    struct physical *physical;

    if (result)
        return result;
    if (!bytes || !is_granular(base) || !is_granular(bytes) || !is_granular(offset_bytes) || flags)
        return CUDA_ERROR_INVALID_VALUE;
    physical = physical_get(handle);
    if (!physical)
        return CUDA_ERROR_INVALID_VALUE;
    result = CUDA_ERROR_INVALID_VALUE;
    if (offset_bytes <= physical->bytes && bytes <= physical->bytes - offset_bytes) {
        pthread_mutex_lock(&lock);
        result = map_locked(physical, base, bytes, offset_bytes);
        pthread_mutex_unlock(&lock);
    }
    object_unref(physical);
    return result;
}

/* Visits the mappings that make up [base, base + bytes). False, before the first visit, when it is not made
 * up of whole ones. */
static bool mappings_visit_locked(uint64_t base, uint64_t bytes,
                                  void (*visit)(struct space_allocation *mapping, void *argument),
                                  void *argument)
{
    struct space_allocation mapping;
    uint64_t at;

    if (!bytes || base + bytes < base)
        return false;
    for (at = base; at < base + bytes; at += mapping.bytes)
        if (!space_find(at, &mapping) || mapping.kind != SPACE_MAPPED || mapping.base != at ||
            mapping.bytes > base + bytes - at)
            return false;
    for (at = base; at < base + bytes && space_find(at, &mapping); at += mapping.bytes)
        visit(&mapping, argument);
    return true;
}

static void unmap_one(struct space_allocation *mapping, void *argument)
{
    struct space_allocation gone;

    space_remove(mapping->base, &gone);
    mirror_make(gone.bytes, gone.host);
    object_unref(gone.physical);
}

CUresult cuMemUnmap(CUdeviceptr base, size_t bytes)
{
    CUresult result = process_check();

    if (result)
        return result;
    context_wait_all();
    pthread_mutex_lock(&lock);
    if (!mappings_visit_locked(base, bytes, unmap_one, NULL))
        result = CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_unlock(&lock);
    return result;
}

/* ---- rights ---- */

struct rights {
    uint32_t devices, read, write; /* whose rights change, and to what */
};

static CUresult rights_of(const CUmemAccessDesc *descriptions, size_t n, struct rights *ret_rights)
{
    *ret_rights = (struct rights){0};
    for (size_t i = 0; i < n; i++) {
        struct device *device;
        CUresult result;
        uint32_t bit;

        if (descriptions[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE)
            return CUDA_ERROR_NOT_SUPPORTED;
        result = process_device(descriptions[i].location.id, &device);
        if (result)
            return result;
        bit = UINT32_C(1) << device->ordinal;
        ret_rights->devices |= bit;
        if (descriptions[i].flags != CU_MEM_ACCESS_FLAGS_PROT_NONE &&
            descriptions[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READ &&
            descriptions[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
            return CUDA_ERROR_INVALID_VALUE;
        if (descriptions[i].flags & CU_MEM_ACCESS_FLAGS_PROT_READ)
            ret_rights->read |= bit;
        if (descriptions[i].flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
            ret_rights->write |= bit;
    }
    return CUDA_SUCCESS;
}

static void rights_set(struct space_allocation *mapping, void *argument)
{
    const struct rights *rights = argument;

    mapping->device_mask = (mapping->device_mask & ~rights->devices) | rights->read;
    mapping->write_mask = (mapping->write_mask & ~rights->devices) | rights->write;
    space_update(mapping);
}

CUresult cuMemSetAccess(CUdeviceptr base, size_t bytes, const CUmemAccessDesc *descriptions, size_t n)
{
    CUresult result = process_check();
    struct rights rights;

    if (result)
        return result;
    if (!descriptions || !n)
        return CUDA_ERROR_INVALID_VALUE;
    result = rights_of(descriptions, n, &rights);
    if (result)
        return result;
    pthread_mutex_lock(&lock);
    if (!mappings_visit_locked(base, bytes, rights_set, &rights))
        result = CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_unlock(&lock);
    return result;
}

CUresult cuMemGetAccess(unsigned long long *ret_flags, const CUmemLocation *location, CUdeviceptr address)
{
    struct space_allocation found;
    struct device *device;
    CUresult result = process_check();
    uint32_t bit;

    if (result)
        return result;
    if (!ret_flags || !location || location->type != CU_MEM_LOCATION_TYPE_DEVICE)
        return CUDA_ERROR_INVALID_VALUE;
    result = process_device(location->id, &device);
    if (result)
        return result;
    if (!space_find(address, &found) || found.kind != SPACE_MAPPED)
        return CUDA_ERROR_INVALID_VALUE;
    bit = UINT32_C(1) << device->ordinal;
    *ret_flags = found.write_mask & bit    ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE
                 : found.device_mask & bit ? CU_MEM_ACCESS_FLAGS_PROT_READ
                                           : CU_MEM_ACCESS_FLAGS_PROT_NONE;
    return CUDA_SUCCESS;
}
