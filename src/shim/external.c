/* cuImportExternalMemory: memory that another API, or another process, made. It is charged to whoever imports
 * it, unless a process of this instance exported it and the instance pays for it already. It stays as long as
 * the import or any buffer or array mapped from it does; those are in the table of allocations, since they
 * end like any other (cuMemFree, cuMipmappedArrayDestroy), each with a reference of its own. */
#include "shim/external.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#include "shim/charge.h"
#include "shim/overhead.h"
#include "shim/physical.h"
#include "shim/shim.h"
#include "shim/table.h"

struct import {
    struct import *next;
    CUexternalMemory handle;
    struct physical *physical;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* never held over the driver */
static struct import *imports;

/* ---- importing ---- */

/* The object that the description leads to, held; or a new one whose bytes are charged. 0 or negative errno;
 * -ENODEV: no context is current, which the driver will say. */
static int import_physical(struct ledger_client *client, const CUDA_EXTERNAL_MEMORY_HANDLE_DESC *description,
                           struct physical **ret_physical)
{
    uint8_t key[PHYSICAL_KEY_BYTES];
    uint64_t bytes;
    uint32_t shared = PHYSICAL_NOT_SHARED;
    int device, r = 0;
    struct physical *physical;

    if (description->type == CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD &&
        physical_key_of_file(description->handle.fd, key, &bytes) &&
        physical_join(client, key, &shared, &device, &bytes)) {
        physical = physical_new(device, bytes, shared);
        if (!physical)
            physical_drop(client, shared, device, bytes);
    } else {
        if (shim_current_index(&device) != CUDA_SUCCESS)
            return -ENODEV;
        physical = physical_new(device, 0, PHYSICAL_NOT_SHARED);
        if (physical)
            r = physical_grow(client, physical, charge_granules(description->size), "cuImportExternalMemory");
    }
    if (!physical)
        return -ENOMEM;
    if (r < 0)
        physical_unref(client, physical);
    else
        *ret_physical = physical;
    return r;
}

static bool import_add(CUexternalMemory handle, struct physical *physical)
{
    struct import *import = calloc(1, sizeof(*import));

    if (!import)
        return false;
    pthread_mutex_lock(&lock);
    *import = (struct import){.next = imports, .handle = handle, .physical = physical};
    imports = import;
    pthread_mutex_unlock(&lock);
    return true;
}

/* Without a context: nobody could say whose device it is. */
static CUresult import_nowhere(CUexternalMemory *memory, const CUDA_EXTERNAL_MEMORY_HANDLE_DESC *description)
{
    CUresult result = real(cuImportExternalMemory)(memory, description);

    if (result != CUDA_SUCCESS)
        return result;
    real(cuDestroyExternalMemory)(*memory);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuImportExternalMemory(CUexternalMemory *memory, const CUDA_EXTERNAL_MEMORY_HANDLE_DESC *description)
{
    struct ledger_client *client;
    struct physical *physical;
    CUresult result = shim_limit(&client);
    int r;

    if (result || !client || !description)
        return result ? result : real(cuImportExternalMemory)(memory, description);
    r = import_physical(client, description, &physical);
    if (r == -ENODEV)
        return import_nowhere(memory, description);
    if (r < 0)
        return shim_result(r);
    result = real(cuImportExternalMemory)(memory, description);
    if (result == CUDA_SUCCESS && !import_add(*memory, physical)) {
        real(cuDestroyExternalMemory)(*memory);
        result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (result != CUDA_SUCCESS)
        physical_unref(client, physical);
    return result;
}

/* Takes the import of handle out; its reference goes to the caller. */
static struct physical *import_take(CUexternalMemory handle)
{
    struct physical *physical = NULL;
    struct import **link = &imports, *gone = NULL;

    pthread_mutex_lock(&lock);
    while (*link && (*link)->handle != handle)
        link = &(*link)->next;
    if (*link) {
        gone = *link;
        *link = gone->next;
        physical = gone->physical;
    }
    pthread_mutex_unlock(&lock);
    free(gone);
    return physical;
}

CUresult cuDestroyExternalMemory(CUexternalMemory memory)
{
    struct ledger_client *client;
    struct physical *physical;
    CUresult result = shim_limit(&client);
    uint64_t bytes;
    int device;

    if (result || !client || !(physical = import_take(memory)))
        return result ? result : real(cuDestroyExternalMemory)(memory);
    bytes = physical_leaving(physical);
    device = physical->device;
    result = real(cuDestroyExternalMemory)(memory);
    if (result == CUDA_SUCCESS || !import_add(memory, physical))
        physical_unref(client, physical);
    physical_left(device, bytes);
    return result;
}

/* ---- mapping ---- */

static struct physical *import_physical_of(CUexternalMemory handle)
{
    struct physical *physical = NULL;

    pthread_mutex_lock(&lock);
    for (struct import *import = imports; import && !physical; import = import->next)
        if (import->handle == handle)
            physical = physical_ref(import->physical);
    pthread_mutex_unlock(&lock);
    return physical;
}

/* Writes down what was mapped at address, with the reference; on failure the caller undoes. */
static bool mapping_add(uint64_t address, struct physical *physical)
{
    struct table_entry entry = {.address = address,
                                .bytes = physical->bytes,
                                .chunk = (uint64_t)(uintptr_t)physical,
                                .device = (uint16_t)physical->device,
                                .door = TABLE_EXTERNAL};
    CUcontext context;

    if (real(cuCtxGetCurrent)(&context) == CUDA_SUCCESS)
        entry.owner = context;
    return table_insert(&entry) == 0;
}

CUresult cuExternalMemoryGetMappedBuffer(CUdeviceptr *address, CUexternalMemory memory,
                                         const CUDA_EXTERNAL_MEMORY_BUFFER_DESC *description)
{
    struct ledger_client *client;
    struct physical *physical;
    CUresult result = shim_limit(&client);

    if (result || !client || !(physical = import_physical_of(memory)))
        return result ? result : real(cuExternalMemoryGetMappedBuffer)(address, memory, description);
    result = real(cuExternalMemoryGetMappedBuffer)(address, memory, description);
    if (result == CUDA_SUCCESS && !mapping_add(*address, physical)) {
        real(cuMemFree_v2)(*address);
        result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (result != CUDA_SUCCESS)
        physical_unref(client, physical);
    return result;
}

CUresult cuExternalMemoryGetMappedMipmappedArray(CUmipmappedArray *array, CUexternalMemory memory,
                                                 const CUDA_EXTERNAL_MEMORY_MIPMAPPED_ARRAY_DESC *description)
{
    struct ledger_client *client;
    struct physical *physical;
    CUresult result = shim_limit(&client);

    if (result || !client || !(physical = import_physical_of(memory)))
        return result ? result : real(cuExternalMemoryGetMappedMipmappedArray)(array, memory, description);
    result = real(cuExternalMemoryGetMappedMipmappedArray)(array, memory, description);
    if (result == CUDA_SUCCESS && !mapping_add(table_array_key(*array), physical)) {
        real(cuMipmappedArrayDestroy)(*array);
        result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (result != CUDA_SUCCESS)
        physical_unref(client, physical);
    return result;
}

void external_reset_in_child(void)
{
    lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    imports = NULL;
}
