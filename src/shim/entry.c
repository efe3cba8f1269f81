/* The ways in: cuInit, and cuGetProcAddress, through which the runtime library and most programs get every
 * function. */
#include <string.h>

#include "api/entries.h"
#include "api/lookup.h"
#include "shim/descriptors.h"
#include "shim/overhead.h"
#include "shim/shim.h"

CUresult cuInit(unsigned int flags)
{
    struct ledger_client *client;
    CUresult result = shim_limit(&client);

    if (result || !client)
        return result ? result : real(cuInit)(flags);
    result = real(cuInit)(flags);
    if (result || descriptors_open_high(overhead_init) == 0)
        return result;
    shim_say("the driver's libnvidia-ml.so.1 cannot be used, so the memory of contexts cannot be counted; "
             "nothing runs without its limit");
    return CUDA_ERROR_SYSTEM_NOT_READY;
}

/* Is a name that the description does not have (a driver newer than it) something that takes memory or
 * launches work? */
static bool looks_like_door(const char *name)
{
    static const char *const marks[] = {"Alloc",     "Launch", "ArrayCreate", "MemCreate", "PoolCreate",
                                        "CtxCreate", "Import", "IpcOpen",     "Load"};

    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
        if (strstr(name, marks[i]))
            return true;
    return false;
}

/* The row that name means at version in this driver, which may be older than the description. NULL: the
 * description has no such name. */
static const struct cuda_row *row_of(const char *name, int version, cuuint64_t flags)
{
    const struct cuda_row *row;

    while (api_cuda_find(name, version, flags, &row) == 0) {
        if (((void **)&shim_driver.cuda)[row->slot] != shim_missing)
            return row;
        version = row->since - 1;
    }
    return NULL;
}

static CUresult not_found(void **function, CUdriverProcAddressQueryResult *status)
{
    *function = NULL;
    if (status)
        *status = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    return status ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

static CUresult refuse_newer(const char *name, void **function, CUdriverProcAddressQueryResult *status)
{
    shim_say("%s of this driver is newer than vgpu knows and may take memory: refused, because this instance "
             "has a memory limit",
             name);
    return not_found(function, status);
}

/* The driver answered *function. Where that is a function that we hook, our variant of just that version
 * takes its place; whether it is that version, the driver says: asked for the version that the row began
 * with, it must answer the same. */
static CUresult proc_address_hook(const char *name, void **function, int version, cuuint64_t flags,
                                  CUdriverProcAddressQueryResult *status)
{
    const struct cuda_row *row = row_of(name, version, flags);
    void *same = NULL;
    CUresult result;

    if (!row)
        return looks_like_door(name) ? refuse_newer(name, function, status) : CUDA_SUCCESS;
    /* Runtime libraries ask for every name there is, to call a few: not finding it is answer enough. */
    if (shim_is_closed(row))
        return not_found(function, status);
    if (!row->hooked)
        return CUDA_SUCCESS;
    if ((void *)real(cuGetProcAddress_v2) != shim_missing)
        result = real(cuGetProcAddress_v2)(name, &same, row->since, flags, NULL);
    else
        result = real(cuGetProcAddress)(name, &same, row->since, flags);
    if (result == CUDA_SUCCESS && same && same != *function)
        return refuse_newer(name, function, status);
    *function = api_cuda_entries[row->slot];
    return CUDA_SUCCESS;
}

CUresult cuGetProcAddress(const char *symbol, void **function, int version, cuuint64_t flags)
{
    CUresult result = shim_open();

    if (result || !shim_is_limited())
        return result ? result : real(cuGetProcAddress)(symbol, function, version, flags);
    result = real(cuGetProcAddress)(symbol, function, version, flags);
    if (result || !symbol || !function || !*function)
        return result;
    return proc_address_hook(symbol, function, version, flags, NULL);
}

CUresult cuGetProcAddress_v2(const char *symbol, void **function, int version, cuuint64_t flags,
                             CUdriverProcAddressQueryResult *status)
{
    CUresult result = shim_open();

    if (result || !shim_is_limited())
        return result ? result : real(cuGetProcAddress_v2)(symbol, function, version, flags, status);
    result = real(cuGetProcAddress_v2)(symbol, function, version, flags, status);
    if (result || !symbol || !function || !*function)
        return result;
    return proc_address_hook(symbol, function, version, flags, status);
}
