/* Measuring what a driver call cost; see measure.h and overhead.h. */
#include "shim/measure.h"

#include <errno.h>
#include <stddef.h>

#include "shim/charge.h"

static CUresult measure_start(struct measure *measure, CUdevice ordinal)
{
    int r;

    measure->ordinal = ordinal;
    measure->device = shim_device_index(ordinal);
    /* Even nothing is too much where the instance has no part of the device, was stopped, or is over its
     * limit. */
    r = charge_reserve(measure->client, measure->device, 0);
    if (r == 0 && ledger_used_bytes(measure->client, (unsigned)measure->device) >
                      ledger_limit_bytes(measure->client, (unsigned)measure->device))
        r = -ENOMEM;
    if (r < 0)
        return shim_result(r);
    measure->mark = overhead_mark(measure->client, measure->device, ordinal);
    return CUDA_SUCCESS;
}

CUresult measure_begin(struct measure *measure, CUdevice ordinal)
{
    CUresult result = shim_limit(&measure->client);

    measure->device = -1;
    return result || !measure->client ? result : measure_start(measure, ordinal);
}

CUresult measure_begin_current(struct measure *measure)
{
    CUdevice ordinal;
    CUresult result = shim_limit(&measure->client);

    measure->device = -1;
    if (result || !measure->client || real(cuCtxGetDevice)(&ordinal) != CUDA_SUCCESS)
        return result;
    return measure_start(measure, ordinal);
}

void measure_begin_destruction(struct measure *measure, struct ledger_client *client, CUdevice ordinal)
{
    measure->client = client;
    measure->ordinal = ordinal;
    measure->device = shim_device_index(ordinal);
    measure->mark = overhead_mark(client, measure->device, ordinal);
}

static int measure_settle(struct measure *measure, bool must_hold)
{
    return measure->client ? overhead_settle(measure->client, measure->device, measure->ordinal,
                                             &measure->mark, must_hold)
                           : 0;
}

int measure_end(struct measure *measure)
{
    return measure_settle(measure, false);
}

CUresult measure_end_creation(struct measure *measure, CUresult result, void *object,
                              CUresult (*undo)(void *object))
{
    int r = measure_settle(measure, result == CUDA_SUCCESS);

    if (result != CUDA_SUCCESS || r == 0)
        return result;
    if (r != -ENOMEM)
        shim_say("the driver's NVML does not say how much memory this process holds: its limit cannot be "
                 "kept, so it is refused a context or module");
    undo(object);
    measure_end(measure);
    return CUDA_ERROR_OUT_OF_MEMORY;
}
