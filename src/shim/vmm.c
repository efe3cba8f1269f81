/* cuMemCreate and what can be done with it. Physical memory is charged when it is made and given back when
 * the driver lets go of it: when its last handle is released and its last mapping is gone. So this file knows
 * which object each handle and each mapped range belongs to. Reserving addresses costs nothing and is the
 * driver's own. The lock is held for looking things up, never over the driver; a handle or a range is taken
 * out before the driver lets go of it, because then another thread may be given the same. */
#include "shim/vmm.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "shim/charge.h"
#include "shim/measure.h"
#include "shim/overhead.h"
#include "shim/physical.h"
#include "shim/shim.h"

enum { HANDLE_LISTS = 256 };

struct handle {
    struct handle *next;
    CUmemGenericAllocationHandle value;
    uint32_t count; /* releases that it takes */
    struct physical *physical;
};

struct range {
    uint64_t base, bytes;
    struct physical *physical;
    uint64_t leaving_bytes; /* while an unmap is under way */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t grow_lock = PTHREAD_MUTEX_INITIALIZER; /* for the sizes of imports */
static struct handle *handles[HANDLE_LISTS];
static struct range *ranges; /* sorted by base, none overlaps another */
static size_t n_ranges, ranges_room;

/* ---- handles ---- */

static struct handle **handle_list(CUmemGenericAllocationHandle value)
{
    return &handles[value * UINT64_C(0x9e3779b97f4a7c15) >> 56];
}

static struct handle **handle_find_locked(CUmemGenericAllocationHandle value)
{
    struct handle **link = handle_list(value);

    while (*link && (*link)->value != value)
        link = &(*link)->next;
    return link;
}

/* value is one more name of physical, whose reference it takes over. False: no memory. */
static bool handle_add(CUmemGenericAllocationHandle value, struct physical *physical)
{
    struct handle *fresh = calloc(1, sizeof(*fresh)), **link;

    if (!fresh)
        return false;
    pthread_mutex_lock(&lock);
    link = handle_find_locked(value);
    if (*link && (*link)->physical == physical) {
        (*link)->count++;
    } else {
        *fresh = (struct handle){.next = *link, .value = value, .count = 1, .physical = physical};
        *link = fresh;
        fresh = NULL;
    }
    pthread_mutex_unlock(&lock);
    free(fresh);
    return true;
}

/* The object of value with a reference for the caller, or NULL. */
static struct physical *handle_physical(CUmemGenericAllocationHandle value)
{
    struct physical *physical = NULL;
    struct handle *handle;

    pthread_mutex_lock(&lock);
    handle = *handle_find_locked(value);
    if (handle)
        physical = physical_ref(handle->physical);
    pthread_mutex_unlock(&lock);
    return physical;
}

/* Takes one count of value out; its reference goes to the caller. */
static struct physical *handle_take(CUmemGenericAllocationHandle value)
{
    struct handle **link, *gone = NULL;
    struct physical *physical = NULL;

    pthread_mutex_lock(&lock);
    link = handle_find_locked(value);
    if (*link) {
        physical = (*link)->physical;
        if (--(*link)->count == 0) {
            gone = *link;
            *link = gone->next;
        }
    }
    pthread_mutex_unlock(&lock);
    free(gone);
    return physical;
}

/* ---- mapped ranges ---- */

/* Index of the first range that ends behind address. */
static size_t range_after_locked(uint64_t address)
{
    size_t low = 0, high = n_ranges;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (ranges[middle].base + ranges[middle].bytes <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool ranges_grow_locked(void)
{
    size_t room = ranges_room ? 2 * ranges_room : 64;
    struct range *grown = realloc(ranges, room * sizeof(*grown));

    if (!grown)
        return false;
    ranges = grown;
    ranges_room = room;
    return true;
}

static bool range_add(uint64_t base, uint64_t bytes, struct physical *physical)
{
    bool added;
    size_t at;

    pthread_mutex_lock(&lock);
    added = n_ranges < ranges_room || ranges_grow_locked();
    if (added) {
        at = range_after_locked(base);
        memmove(ranges + at + 1, ranges + at, (n_ranges - at) * sizeof(*ranges));
        ranges[at] = (struct range){.base = base, .bytes = bytes, .physical = physical};
        n_ranges++;
    }
    pthread_mutex_unlock(&lock);
    return added;
}

/* Takes the first range that lies wholly in [base, base + bytes) out. */
static bool range_take(uint64_t base, uint64_t bytes, struct range *ret_range)
{
    bool found;
    size_t at;

    pthread_mutex_lock(&lock);
    at = range_after_locked(base);
    found = at < n_ranges && ranges[at].base >= base && ranges[at].base - base < bytes &&
            ranges[at].bytes <= bytes - (ranges[at].base - base);
    if (found) {
        *ret_range = ranges[at];
        memmove(ranges + at, ranges + at + 1, (n_ranges - at - 1) * sizeof(*ranges));
        n_ranges--;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

static struct physical *range_physical(uint64_t address)
{
    struct physical *physical = NULL;
    size_t at;

    pthread_mutex_lock(&lock);
    at = range_after_locked(address);
    if (at < n_ranges && ranges[at].base <= address)
        physical = physical_ref(ranges[at].physical);
    pthread_mutex_unlock(&lock);
    return physical;
}

/* ---- making and releasing ---- */

static bool is_on_host(const CUmemLocation *location)
{
    return location->type == CU_MEM_LOCATION_TYPE_HOST || location->type == CU_MEM_LOCATION_TYPE_HOST_NUMA ||
           location->type == CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT;
}

static bool is_on_device(const CUmemLocation *location)
{
    CUdevice same;

    return location->type == CU_MEM_LOCATION_TYPE_DEVICE &&
           real(cuDeviceGet)(&same, location->id) == CUDA_SUCCESS;
}

/* Enters what the driver made, whose bytes are charged and still uncertain. */
static CUresult create_keep(struct ledger_client *client, CUmemGenericAllocationHandle handle, int device,
                            uint64_t bytes)
{
    struct physical *physical = physical_new(device, bytes, PHYSICAL_NOT_SHARED);
    bool kept = physical && handle_add(handle, physical);

    if (!kept) {
        real(cuMemRelease)(handle);
        free(physical);
        ledger_release(client, (unsigned)device, bytes);
    }
    overhead_uncertain_sub(device, bytes);
    return kept ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* What lies nowhere that the description knows is the driver's to answer; what it would make in such a place
 * nobody could account for. */
static CUresult create_nowhere(CUmemGenericAllocationHandle *handle, size_t bytes,
                               const CUmemAllocationProp *properties, unsigned long long flags)
{
    CUresult result = real(cuMemCreate)(handle, bytes, properties, flags);

    if (result != CUDA_SUCCESS)
        return result;
    real(cuMemRelease)(*handle);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuMemCreate(CUmemGenericAllocationHandle *handle, size_t bytes,
                     const CUmemAllocationProp *properties, unsigned long long flags)
{
    struct ledger_client *client;
    uint64_t taken_bytes = charge_granules(bytes);
    CUresult result = shim_limit(&client);
    int device, r;

    if (result || !client || !properties || is_on_host(&properties->location))
        return result ? result : real(cuMemCreate)(handle, bytes, properties, flags);
    if (!is_on_device(&properties->location))
        return create_nowhere(handle, bytes, properties, flags);
    device = shim_device_index(properties->location.id);
    r = charge_reserve(client, device, taken_bytes, __func__);
    if (r < 0)
        return shim_result(r);
    result = real(cuMemCreate)(handle, bytes, properties, flags);
    if (result == CUDA_SUCCESS)
        return create_keep(client, *handle, device, taken_bytes);
    ledger_release(client, (unsigned)device, taken_bytes);
    overhead_uncertain_sub(device, taken_bytes);
    if (result == CUDA_ERROR_OUT_OF_MEMORY)
        ledger_deny_by_driver(client, (unsigned)device, __func__, bytes);
    return result;
}

/* The driver's release of a handle that was taken out. What a multicast object cost is measured. */
static CUresult release_taken(struct ledger_client *client, CUmemGenericAllocationHandle handle,
                              const struct physical *physical)
{
    struct measure measure;
    CUresult result;

    if (!physical->is_multicast)
        return real(cuMemRelease)(handle);
    measure_begin_destruction(&measure, client, physical->ordinal);
    result = real(cuMemRelease)(handle);
    measure_end(&measure);
    return result;
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle)
{
    struct ledger_client *client;
    struct physical *physical;
    CUresult result = shim_limit(&client);
    uint64_t bytes;
    int device;

    if (result || !client || !(physical = handle_take(handle)))
        return result ? result : real(cuMemRelease)(handle);
    bytes = physical_leaving(physical);
    device = physical->device;
    result = release_taken(client, handle, physical);
    if (result == CUDA_SUCCESS || !handle_add(handle, physical))
        physical_unref(client, physical);
    physical_left(device, bytes);
    return result;
}

CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, void *address)
{
    struct ledger_client *client;
    struct physical *physical;
    CUresult result = shim_limit(&client);

    if (result || !client)
        return result ? result : real(cuMemRetainAllocationHandle)(handle, address);
    physical = range_physical((uint64_t)(uintptr_t)address);
    result = real(cuMemRetainAllocationHandle)(handle, address);
    if (physical && (result != CUDA_SUCCESS || !handle_add(*handle, physical)))
        physical_unref(client, physical);
    return result;
}

/* ---- mapping ---- */

/* The size of an import shows when it is mapped: before, the bytes up to the mapping's end are charged if
 * they are not yet; afterwards, what no mapping has shown to be there goes back. 0 or negative errno. */
static int map_begin(struct ledger_client *client, struct physical *physical, uint64_t end_bytes)
{
    int r = 0;

    pthread_mutex_lock(&grow_lock);
    end_bytes = charge_granules(end_bytes);
    if (end_bytes > physical->bytes &&
        __atomic_load_n(&physical->shared, __ATOMIC_ACQUIRE) == PHYSICAL_NOT_SHARED)
        r = physical_grow(client, physical, end_bytes - physical->bytes, "cuMemMap");
    if (r == 0)
        physical->maps_under_way++;
    pthread_mutex_unlock(&grow_lock);
    return r;
}

static void map_end(struct ledger_client *client, struct physical *physical, uint64_t end_bytes, bool mapped)
{
    pthread_mutex_lock(&grow_lock);
    end_bytes = charge_granules(end_bytes);
    if (mapped && end_bytes > physical->sure_bytes)
        physical->sure_bytes = end_bytes < physical->bytes ? end_bytes : physical->bytes;
    if (--physical->maps_under_way == 0)
        physical_shrink(client, physical, physical->sure_bytes);
    pthread_mutex_unlock(&grow_lock);
}

CUresult cuMemMap(CUdeviceptr address, size_t bytes, size_t offset_bytes, CUmemGenericAllocationHandle handle,
                  unsigned long long flags)
{
    struct ledger_client *client;
    struct physical *physical;
    CUresult result = shim_limit(&client);
    uint64_t end_bytes;
    int r;

    if (result || !client || !(physical = handle_physical(handle)))
        return result ? result : real(cuMemMap)(address, bytes, offset_bytes, handle, flags);
    /* What is no range, the driver refuses. A multicast object has no bytes of its own. */
    end_bytes = offset_bytes > SIZE_MAX - bytes || physical->is_multicast ? 0 : offset_bytes + bytes;
    r = map_begin(client, physical, end_bytes);
    if (r < 0) {
        physical_unref(client, physical);
        return shim_result(r);
    }
    result = real(cuMemMap)(address, bytes, offset_bytes, handle, flags);
    if (result == CUDA_SUCCESS && !range_add(address, bytes, physical)) {
        real(cuMemUnmap)(address, bytes);
        result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    map_end(client, physical, end_bytes, result == CUDA_SUCCESS);
    if (result != CUDA_SUCCESS)
        physical_unref(client, physical);
    return result;
}

/* Ranges of one call, kept until the driver has answered. */
struct unmapped {
    struct range few[16], *all;
    size_t n, room;
};

static bool unmapped_add(struct unmapped *unmapped, const struct range *range)
{
    if (unmapped->n == unmapped->room) {
        struct range *grown = malloc(2 * unmapped->room * sizeof(*grown));

        if (!grown)
            return false;
        memcpy(grown, unmapped->all, unmapped->n * sizeof(*grown));
        if (unmapped->all != unmapped->few)
            free(unmapped->all);
        unmapped->all = grown;
        unmapped->room *= 2;
    }
    unmapped->all[unmapped->n++] = *range;
    return true;
}

static void unmapped_take(struct unmapped *unmapped, uint64_t address, uint64_t bytes)
{
    struct range range;

    *unmapped = (struct unmapped){.all = unmapped->few, .room = sizeof(unmapped->few) / sizeof(range)};
    while (range_take(address, bytes, &range)) {
        range.leaving_bytes = physical_leaving(range.physical);
        if (!unmapped_add(unmapped, &range)) {
            /* Nothing to remember it by: it stays charged. */
            physical_left(range.physical->device, range.leaving_bytes);
            range_add(range.base, range.bytes, range.physical);
            break;
        }
    }
}

static void unmapped_end(struct unmapped *unmapped, struct ledger_client *client, bool gone)
{
    for (size_t i = 0; i < unmapped->n; i++) {
        struct range *range = &unmapped->all[i];
        int device = range->physical->device;

        if (gone || !range_add(range->base, range->bytes, range->physical))
            physical_unref(client, range->physical);
        physical_left(device, range->leaving_bytes);
    }
    if (unmapped->all != unmapped->few)
        free(unmapped->all);
}

CUresult cuMemUnmap(CUdeviceptr address, size_t bytes)
{
    struct ledger_client *client;
    struct unmapped unmapped;
    CUresult result = shim_limit(&client);

    if (result || !client)
        return result ? result : real(cuMemUnmap)(address, bytes);
    unmapped_take(&unmapped, address, bytes);
    result = real(cuMemUnmap)(address, bytes);
    unmapped_end(&unmapped, client, result == CUDA_SUCCESS);
    return result;
}

/* ---- between processes ---- */

/* The key of what `shareable` leads to; false: nothing that would be the same in another process. */
static bool shareable_key(void *os_handle, const void *exported, CUmemAllocationHandleType type,
                          uint8_t ret_key[PHYSICAL_KEY_BYTES], uint64_t *ret_bytes)
{
    *ret_bytes = 0;
    if (type == CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
        return physical_key_of_file(exported ? *(const int *)exported : (int)(intptr_t)os_handle, ret_key,
                                    ret_bytes);
    if (type != CU_MEM_HANDLE_TYPE_FABRIC || !(exported || os_handle))
        return false;
    physical_key_of_bytes(exported ? exported : os_handle, sizeof(CUmemFabricHandle), 0, ret_key);
    return true;
}

CUresult cuMemExportToShareableHandle(void *shareable, CUmemGenericAllocationHandle handle,
                                      CUmemAllocationHandleType type, unsigned long long flags)
{
    struct ledger_client *client;
    struct physical *physical;
    uint8_t key[PHYSICAL_KEY_BYTES];
    uint64_t file_bytes;
    CUresult result = shim_limit(&client);

    if (result || !client || !(physical = handle_physical(handle)))
        return result ? result : real(cuMemExportToShareableHandle)(shareable, handle, type, flags);
    result = real(cuMemExportToShareableHandle)(shareable, handle, type, flags);
    if (result == CUDA_SUCCESS && physical->device >= 0 &&
        shareable_key(NULL, shareable, type, key, &file_bytes)) {
        pthread_mutex_lock(&lock);
        if (physical->shared == PHYSICAL_NOT_SHARED)
            __atomic_store_n(&physical->shared,
                             physical_publish(client, physical->device, key, physical->bytes),
                             __ATOMIC_RELEASE);
        else
            physical_alias(client, physical->shared, key);
        pthread_mutex_unlock(&lock);
    }
    physical_unref(client, physical);
    return result;
}

/* The object of this process that is the shared one, with a reference; what holds one more time is dropped.
 */
static struct physical *import_find(struct ledger_client *client, uint32_t shared, int device, uint64_t bytes)
{
    struct physical *physical = NULL;

    pthread_mutex_lock(&lock);
    for (int i = 0; i < HANDLE_LISTS && !physical; i++)
        for (struct handle *handle = handles[i]; handle && !physical; handle = handle->next)
            if (handle->physical->shared == shared)
                physical = physical_ref(handle->physical);
    for (size_t i = 0; i < n_ranges && !physical; i++)
        if (ranges[i].physical->shared == shared)
            physical = physical_ref(ranges[i].physical);
    pthread_mutex_unlock(&lock);
    if (physical)
        physical_drop(client, shared, device, bytes);
    return physical;
}

/* Nobody in the instance exported it: the importer pays, at once for what it knows the size of. Memory of the
 * host costs nothing: *ret_physical is NULL then. 0 or negative errno. */
static int import_foreign(struct ledger_client *client, CUmemGenericAllocationHandle handle,
                          uint64_t file_bytes, struct physical **ret_physical)
{
    CUmemAllocationProp properties;
    struct physical *physical;
    int r;

    if (real(cuMemGetAllocationPropertiesFromHandle)(&properties, handle) != CUDA_SUCCESS)
        return -EIO;
    if (is_on_host(&properties.location)) {
        *ret_physical = NULL;
        return 0;
    }
    if (!is_on_device(&properties.location))
        return -ENODEV;
    physical = physical_new(shim_device_index(properties.location.id), 0, PHYSICAL_NOT_SHARED);
    if (!physical)
        return -ENOMEM;
    r = physical_grow(client, physical, charge_granules(file_bytes), "cuMemImportFromShareableHandle");
    if (r < 0) {
        free(physical);
        return r;
    }
    physical->sure_bytes = physical->bytes;
    *ret_physical = physical;
    return 0;
}

/* What was joined in the ledger before, as an object of this process. */
static int import_joined(struct ledger_client *client, uint32_t shared, int device, uint64_t bytes,
                         struct physical **ret_physical)
{
    struct physical *physical = import_find(client, shared, device, bytes);

    if (!physical && !(physical = physical_new(device, bytes, shared))) {
        physical_drop(client, shared, device, bytes);
        return -ENOMEM;
    }
    *ret_physical = physical;
    return 0;
}

CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle, void *os_handle,
                                        CUmemAllocationHandleType type)
{
    struct ledger_client *client;
    struct physical *physical = NULL;
    uint8_t key[PHYSICAL_KEY_BYTES];
    uint64_t bytes = 0, file_bytes = 0;
    uint32_t shared;
    int device = -1, r;
    bool joined;
    CUresult result = shim_limit(&client);

    if (result || !client)
        return result ? result : real(cuMemImportFromShareableHandle)(handle, os_handle, type);
    joined = shareable_key(os_handle, NULL, type, key, &file_bytes) &&
             physical_join(client, key, &shared, &device, &bytes);
    result = real(cuMemImportFromShareableHandle)(handle, os_handle, type);
    if (result != CUDA_SUCCESS) {
        if (joined)
            physical_drop(client, shared, device, bytes);
        return result;
    }
    r = joined ? import_joined(client, shared, device, bytes, &physical)
               : import_foreign(client, *handle, file_bytes, &physical);
    if (r == 0 && (!physical || handle_add(*handle, physical)))
        return CUDA_SUCCESS;
    real(cuMemRelease)(*handle);
    physical_unref(client, physical);
    return r == -ESTALE ? shim_result(r) : CUDA_ERROR_OUT_OF_MEMORY;
}

/* A multicast object has no memory of its own but what the driver needs for it; the memory bound to it is
 * charged by its own handle. */
static CUresult undo_multicast(void *handle)
{
    return real(cuMemRelease)((CUmemGenericAllocationHandle)(uintptr_t)handle);
}

/* Remembers on which device it was measured, for its release. */
static void multicast_add(CUmemGenericAllocationHandle handle, const struct measure *measure)
{
    struct physical *physical = physical_new(measure->device, 0, PHYSICAL_NOT_SHARED);

    if (!physical)
        return;
    physical->is_multicast = true;
    physical->ordinal = measure->ordinal;
    if (!handle_add(handle, physical))
        free(physical);
}

CUresult cuMulticastCreate(CUmemGenericAllocationHandle *handle, const CUmulticastObjectProp *properties)
{
    struct measure measure;
    CUresult result = measure_begin_current(&measure, __func__);

    if (result || !measure.client)
        return result ? result : real(cuMulticastCreate)(handle, properties);
    result = real(cuMulticastCreate)(handle, properties);
    result =
        measure_end_creation(&measure, result, result ? NULL : (void *)(uintptr_t)*handle, undo_multicast);
    if (result == CUDA_SUCCESS)
        multicast_add(*handle, &measure);
    return result;
}

void vmm_reset_in_child(void)
{
    lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    grow_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    memset(handles, 0, sizeof(handles));
    ranges = NULL;
    n_ranges = ranges_room = 0;
}
