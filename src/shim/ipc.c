/* cuIpcGetMemHandle and its peers. Exporting an allocation makes it a shared object of the ledger
 * (charge_share); opening one holds that object as long as it is open, so the instance pays once and never
 * too little. What no process of this instance exported is charged in full. The driver counts how often a
 * handle is opened; so does this file, by the address. */
#include "shim/ipc.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#include "shim/charge.h"
#include "shim/physical.h"

/* An allocation lies in one shared object, or, when it is small, in one or two granules. */
enum { PARTS_MAX = 2 };

struct parts {
    struct physical *part[PARTS_MAX];
    unsigned n;
};

struct opened {
    struct opened *next;
    uint64_t address;
    uint32_t count; /* closes that it takes */
    CUcontext context;
    struct parts parts;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* never held over the driver */
static struct opened *list;

CUresult cuIpcGetMemHandle(CUipcMemHandle *handle, CUdeviceptr address)
{
    struct ledger_client *client;
    CUdeviceptr base;
    size_t bytes;
    CUresult result = shim_limit(&client);

    if (result || !client)
        return result ? result : real(cuIpcGetMemHandle)(handle, address);
    result = real(cuIpcGetMemHandle)(handle, address);
    if (result == CUDA_SUCCESS && real(cuMemGetAddressRange_v2)(&base, &bytes, address) == CUDA_SUCCESS)
        charge_share(client, base, handle->reserved, sizeof(handle->reserved));
    return result;
}

/* ---- what an opened handle holds ---- */

static void parts_unref(struct ledger_client *client, struct parts *parts)
{
    while (parts->n)
        physical_unref(client, parts->part[--parts->n]);
}

/* Holds what the instance knows of the handle; none: nobody in it exported it. */
static void parts_join(struct ledger_client *client, const CUipcMemHandle *handle, struct parts *ret_parts)
{
    uint8_t key[PHYSICAL_KEY_BYTES];
    uint64_t bytes;
    uint32_t shared;
    int device;

    *ret_parts = (struct parts){0};
    for (unsigned part = 0; part < PARTS_MAX; part++) {
        struct physical *physical;

        physical_key_of_bytes(handle->reserved, sizeof(handle->reserved), part, key);
        if (!physical_join(client, key, &shared, &device, &bytes))
            return;
        physical = physical_new(device, bytes, shared);
        if (physical)
            ret_parts->part[ret_parts->n++] = physical;
        else
            physical_drop(client, shared, device, bytes);
    }
}

/* Charges what was opened at address to this instance: it is nobody else's here. 0 or negative errno. */
static int parts_charge(struct ledger_client *client, CUdeviceptr address, struct parts *ret_parts)
{
    struct physical *physical;
    CUdeviceptr base;
    size_t bytes;
    int device, r;

    if (shim_current_index(&device) != CUDA_SUCCESS ||
        real(cuMemGetAddressRange_v2)(&base, &bytes, address) != CUDA_SUCCESS ||
        !(physical = physical_new(device, 0, PHYSICAL_NOT_SHARED)))
        return -ENOMEM;
    r = physical_grow(client, physical, charge_granules(bytes), "cuIpcOpenMemHandle");
    if (r < 0) {
        physical_unref(client, physical);
        return r;
    }
    *ret_parts = (struct parts){.part = {physical}, .n = 1};
    return 0;
}

/* ---- opening and closing ---- */

static struct opened **find_locked(uint64_t address)
{
    struct opened **link = &list;

    while (*link && (*link)->address != address)
        link = &(*link)->next;
    return link;
}

/* One more opening of an address that is open; the parts are held already then. */
static bool opened_again(uint64_t address)
{
    struct opened *opened;

    pthread_mutex_lock(&lock);
    opened = *find_locked(address);
    if (opened)
        opened->count++;
    pthread_mutex_unlock(&lock);
    return opened != NULL;
}

static bool opened_add(uint64_t address, const struct parts *parts)
{
    struct opened *opened = calloc(1, sizeof(*opened));

    if (!opened)
        return false;
    *opened = (struct opened){.address = address, .count = 1, .parts = *parts};
    if (real(cuCtxGetCurrent)(&opened->context) != CUDA_SUCCESS)
        opened->context = NULL;
    pthread_mutex_lock(&lock);
    opened->next = list;
    list = opened;
    pthread_mutex_unlock(&lock);
    return true;
}

static CUresult ipc_open(CUdeviceptr *address, CUipcMemHandle handle, unsigned int flags,
                         CUresult (*driver_call)(CUdeviceptr *, CUipcMemHandle, unsigned int))
{
    struct ledger_client *client;
    struct parts parts;
    CUresult result = shim_limit(&client);
    int r = 0;

    if (result || !client)
        return result ? result : driver_call(address, handle, flags);
    parts_join(client, &handle, &parts);
    result = driver_call(address, handle, flags);
    if (result != CUDA_SUCCESS || opened_again(*address)) {
        parts_unref(client, &parts);
        return result;
    }
    if (!parts.n)
        r = parts_charge(client, *address, &parts);
    if (r == 0 && opened_add(*address, &parts))
        return CUDA_SUCCESS;
    real(cuIpcCloseMemHandle)(*address);
    parts_unref(client, &parts);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuIpcOpenMemHandle(CUdeviceptr *address, CUipcMemHandle handle, unsigned int flags)
{
    return ipc_open(address, handle, flags, real(cuIpcOpenMemHandle));
}

CUresult cuIpcOpenMemHandle_v2(CUdeviceptr *address, CUipcMemHandle handle, unsigned int flags)
{
    return ipc_open(address, handle, flags, real(cuIpcOpenMemHandle_v2));
}

/* Takes one opening of address out; the record comes back when it was the last one. */
static struct opened *opened_take(uint64_t address)
{
    struct opened **link, *gone = NULL;

    pthread_mutex_lock(&lock);
    link = find_locked(address);
    if (*link && --(*link)->count == 0) {
        gone = *link;
        *link = gone->next;
    }
    pthread_mutex_unlock(&lock);
    return gone;
}

static void opened_put_back(uint64_t address, struct opened *opened)
{
    pthread_mutex_lock(&lock);
    if (!opened)
        opened = *find_locked(address);
    else {
        opened->next = list;
        list = opened;
    }
    if (opened)
        opened->count++;
    pthread_mutex_unlock(&lock);
}

CUresult cuIpcCloseMemHandle(CUdeviceptr address)
{
    struct ledger_client *client;
    struct opened *opened;
    struct physical before[PARTS_MAX];
    unsigned n = 0;
    CUresult result = shim_limit(&client);

    if (result || !client)
        return result ? result : real(cuIpcCloseMemHandle)(address);
    opened = opened_take(address);
    for (; opened && n < opened->parts.n; n++) {
        before[n] = *opened->parts.part[n];
        physical_leaving(&before[n]);
    }
    result = real(cuIpcCloseMemHandle)(address);
    if (result != CUDA_SUCCESS) {
        opened_put_back(address, opened);
    } else if (opened) {
        parts_unref(client, &opened->parts);
        free(opened);
    }
    for (unsigned i = 0; i < n; i++)
        physical_left(before[i].device, before[i].bytes);
    return result;
}

void ipc_forget_context(struct ledger_client *client, CUcontext context)
{
    struct opened *gone = NULL, **link = &list;

    pthread_mutex_lock(&lock);
    while (*link) {
        struct opened *opened = *link;

        if (opened->context != context) {
            link = &opened->next;
            continue;
        }
        *link = opened->next;
        opened->next = gone;
        gone = opened;
    }
    pthread_mutex_unlock(&lock);
    while (gone) {
        struct opened *next = gone->next;

        parts_unref(client, &gone->parts);
        free(gone);
        gone = next;
    }
}

void ipc_reset_in_child(void)
{
    lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    list = NULL;
}
