/* Contexts: what one costs is known only when it is there. So the driver makes it, its NVML says what the
 * process holds now, that is charged, and if the instance is over its limit then the context is destroyed
 * again. Destroying one gives back what the program left in it. */
#include <stddef.h>

#include "shim/charge.h"
#include "shim/deferred.h"
#include "shim/gate.h"
#include "shim/graph_charge.h"
#include "shim/ipc.h"
#include "shim/measure.h"
#include "shim/pool.h"

/* Handles of the primary contexts, by ordinal: a release names the device, the table knows the context. */
static CUcontext primaries[SHIM_DEVICES_MAX];

/* What was allocated in a context went with it. */
static void context_forget(struct ledger_client *client, CUcontext context)
{
    if (!context)
        return;
    charge_forget_context(client, context);
    gate_forget_context(context);
    deferred_forget_context(client, context);
    ipc_forget_context(client, context);
    graph_settle_all(client);
}

static CUresult undo_context(void *context)
{
    return real(cuCtxDestroy_v2)(context);
}

/* Frames of the creating hooks: all versions of cuCtxCreate differ only in the driver call in the middle. A
 * call without a place for its answer is the driver's to refuse. */
#define CREATE(begin, created, device, undo, name, ...)                                                      \
    struct ledger_client *client;                                                                            \
    struct measure measure;                                                                                  \
    CUresult result = shim_limit(&client);                                                                   \
                                                                                                             \
    if (result || !client || !(created))                                                                     \
        return result ? result : real(name)(__VA_ARGS__);                                                    \
    result = begin(&measure, device, __func__);                                                              \
    if (result)                                                                                              \
        return result;                                                                                       \
    result = real(name)(__VA_ARGS__);                                                                        \
    return measure_end_creation(&measure, result, result ? NULL : *(created), undo)

CUresult cuCtxCreate(CUcontext *context, unsigned int flags, CUdevice device)
{
    CREATE(measure_begin_context, context, device, undo_context, cuCtxCreate, context, flags, device);
}

CUresult cuCtxCreate_v2(CUcontext *context, unsigned int flags, CUdevice device)
{
    CREATE(measure_begin_context, context, device, undo_context, cuCtxCreate_v2, context, flags, device);
}

CUresult cuCtxCreate_v3(CUcontext *context, CUexecAffinityParam *params, int params_count, unsigned int flags,
                        CUdevice device)
{
    CREATE(measure_begin_context, context, device, undo_context, cuCtxCreate_v3, context, params,
           params_count, flags, device);
}

CUresult cuCtxCreate_v4(CUcontext *context, CUctxCreateParams *params, unsigned int flags, CUdevice device)
{
    CREATE(measure_begin_context, context, device, undo_context, cuCtxCreate_v4, context, params, flags,
           device);
}

/* Device of a context that need not be current. */
static bool context_device(CUcontext context, CUdevice *ret_device)
{
    CUcontext popped;
    bool known;

    if (!context || real(cuCtxPushCurrent_v2)(context) != CUDA_SUCCESS)
        return false;
    known = real(cuCtxGetDevice)(ret_device) == CUDA_SUCCESS;
    real(cuCtxPopCurrent_v2)(&popped);
    return known;
}

static bool context_lives(CUcontext context)
{
    unsigned int version;

    return real(cuCtxGetApiVersion)(context, &version) == CUDA_SUCCESS;
}

static CUresult context_destroy(struct ledger_client *client, CUcontext context,
                                CUresult (*driver_destroy)(CUcontext context), bool may_live_on)
{
    struct measure measure;
    CUdevice device;
    CUresult result;

    if (!context_device(context, &device))
        return driver_destroy(context);
    measure_begin_destruction(&measure, client, device);
    result = driver_destroy(context);
    if (result == CUDA_SUCCESS && !(may_live_on && context_lives(context)))
        context_forget(client, context);
    measure_end(&measure);
    return result;
}

/* Frame of hooks that take one argument and give something back. */
#define DESTROY(name, argument, limited)                                                                     \
    struct ledger_client *client;                                                                            \
    CUresult result = shim_limit(&client);                                                                   \
                                                                                                             \
    if (result || !client)                                                                                   \
        return result ? result : real(name)(argument);                                                       \
    return limited

CUresult cuCtxDestroy(CUcontext context)
{
    DESTROY(cuCtxDestroy, context, context_destroy(client, context, real(cuCtxDestroy), false));
}

CUresult cuCtxDestroy_v2(CUcontext context)
{
    DESTROY(cuCtxDestroy_v2, context, context_destroy(client, context, real(cuCtxDestroy_v2), false));
}

CUresult cuCtxDetach(CUcontext context)
{
    DESTROY(cuCtxDetach, context, context_destroy(client, context, real(cuCtxDetach), true));
}

/* ---- primary contexts ---- */

static bool primary_is_active(CUdevice device)
{
    unsigned int flags;
    int active;

    return real(cuDevicePrimaryCtxGetState)(device, &flags, &active) == CUDA_SUCCESS && active;
}

static CUresult undo_retain(void *device)
{
    return real(cuDevicePrimaryCtxRelease_v2)((CUdevice)(intptr_t)device);
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device)
{
    struct ledger_client *client;
    struct measure measure;
    CUresult result = shim_limit(&client);

    if (result || !client || !context)
        return result ? result : real(cuDevicePrimaryCtxRetain)(context, device);
    if (primary_is_active(device)) {
        result = measure_begin(&measure, device, __func__);
        measure.device = -1; /* it is there and charged: one reference more costs nothing */
    } else {
        result = measure_begin_context(&measure, device, __func__);
    }
    if (result)
        return result;
    result = real(cuDevicePrimaryCtxRetain)(context, device);
    result = measure_end_creation(&measure, result, (void *)(intptr_t)device, undo_retain);
    if (result == CUDA_SUCCESS && device >= 0 && device < SHIM_DEVICES_MAX)
        __atomic_store_n(&primaries[device], *context, __ATOMIC_RELAXED);
    return result;
}

static CUresult primary_end(struct ledger_client *client, CUdevice device,
                            CUresult (*driver_end)(CUdevice device))
{
    struct measure measure;
    CUresult result;

    if (device < 0 || device >= SHIM_DEVICES_MAX)
        return driver_end(device);
    measure_begin_destruction(&measure, client, device);
    result = driver_end(device);
    if (result == CUDA_SUCCESS && !primary_is_active(device)) {
        context_forget(client, __atomic_load_n(&primaries[device], __ATOMIC_RELAXED));
        pool_settle_all(client);
    }
    measure_end(&measure);
    return result;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device)
{
    DESTROY(cuDevicePrimaryCtxRelease, device, primary_end(client, device, real(cuDevicePrimaryCtxRelease)));
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device)
{
    DESTROY(cuDevicePrimaryCtxRelease_v2, device,
            primary_end(client, device, real(cuDevicePrimaryCtxRelease_v2)));
}

CUresult cuDevicePrimaryCtxReset(CUdevice device)
{
    DESTROY(cuDevicePrimaryCtxReset, device, primary_end(client, device, real(cuDevicePrimaryCtxReset)));
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice device)
{
    DESTROY(cuDevicePrimaryCtxReset_v2, device,
            primary_end(client, device, real(cuDevicePrimaryCtxReset_v2)));
}

/* ---- green contexts: parts of the primary one, which they keep alive ---- */

static CUresult undo_green(void *context)
{
    return real(cuGreenCtxDestroy)(context);
}

CUresult cuGreenCtxCreate(CUgreenCtx *context, CUdevResourceDesc description, CUdevice device,
                          unsigned int flags)
{
    CREATE(measure_begin, context, device, undo_green, cuGreenCtxCreate, context, description, device, flags);
}

static CUresult green_destroy(struct ledger_client *client, CUgreenCtx context)
{
    struct measure measure;
    CUcontext as_context;
    CUdevice device;
    CUresult result;

    if (!context || real(cuCtxFromGreenCtx)(&as_context, context) != CUDA_SUCCESS ||
        !context_device(as_context, &device))
        return real(cuGreenCtxDestroy)(context);
    measure_begin_destruction(&measure, client, device);
    result = real(cuGreenCtxDestroy)(context);
    if (result == CUDA_SUCCESS)
        context_forget(client, as_context);
    measure_end(&measure);
    return result;
}

CUresult cuGreenCtxDestroy(CUgreenCtx context)
{
    DESTROY(cuGreenCtxDestroy, context, green_destroy(client, context));
}

/* Heaps, stacks and printf buffers of a context: when they do not fit, the old size comes back. What cannot
 * be asked cannot be undone; the driver says whether it can be set. */
CUresult cuCtxSetLimit(CUlimit limit, size_t value)
{
    struct ledger_client *client;
    struct measure measure;
    size_t old;
    bool known;
    CUresult result = shim_limit(&client);

    if (result || !client)
        return result ? result : real(cuCtxSetLimit)(limit, value);
    result = measure_begin_current(&measure, __func__);
    if (result)
        return result;
    known = real(cuCtxGetLimit)(&old, limit) == CUDA_SUCCESS;
    result = real(cuCtxSetLimit)(limit, value);
    if (measure_end(&measure) < 0 && result == CUDA_SUCCESS && known && value > old) {
        real(cuCtxSetLimit)(limit, old);
        measure_end(&measure);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    return result;
}
