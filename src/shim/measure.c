/* Measuring what a driver call cost; see measure.h and overhead.h. The driver calls around the application's
 * own leave errno as it was. */
#include "shim/measure.h"

#include <errno.h>
#include <stddef.h>

#include "shim/charge.h"

enum { RESERVE_ATTEMPTS = 64 };

static CUresult measure_start(struct measure *measure, CUdevice ordinal)
{
    CUdevice same;
    int r;

    measure->ordinal = ordinal;
    measure->device = shim_device_index(ordinal);
    if (measure->device < 0) {
        CUresult result = real(cuDeviceGet)(&same, ordinal); /* is it a device at all? */

        if (result)
            return result;
    }
    /* Even nothing is too much where the instance has no part of the device, was stopped, or is over its
     * limit. */
    r = charge_reserve(measure->client, measure->device, 0, measure->call);
    if (r == 0 && ledger_used_bytes(measure->client, (unsigned)measure->device) >
                      ledger_limit_bytes(measure->client, (unsigned)measure->device)) {
        ledger_deny(measure->client, (unsigned)measure->device, measure->call, 0);
        r = -ENOMEM;
    }
    if (r < 0)
        return shim_result(r);
    measure->mark = overhead_mark(measure->client, measure->device, ordinal);
    return CUDA_SUCCESS;
}

CUresult measure_begin(struct measure *measure, CUdevice ordinal, const char *call)
{
    CUresult result = shim_limit(&measure->client);
    const int kept_errno = errno;

    measure->call = call;
    measure->device = -1;
    measure->prepaid_bytes = 0;
    if (!result && measure->client)
        result = measure_start(measure, ordinal);
    errno = kept_errno;
    return result;
}

/* What a context of this instance cost last; 0: nobody knows yet, then *ret_bytes is all that is left, so
 * that no other process can take it before the first one has told. */
static bool context_cost(const struct measure *measure, uint64_t *ret_bytes)
{
    unsigned device = (unsigned)measure->device;
    uint64_t known = ledger_context_bytes(measure->client, device),
             limit = ledger_limit_bytes(measure->client, device),
             used = ledger_used_bytes(measure->client, device);

    *ret_bytes = known ? known : used < limit ? limit - used : 0;
    return known != 0;
}

static int context_reserve(struct measure *measure)
{
    int r = -ENOMEM;

    for (unsigned attempt = 0; r == -ENOMEM && attempt < RESERVE_ATTEMPTS; attempt++) {
        if (context_cost(measure, &measure->prepaid_bytes))
            return charge_reserve(measure->client, measure->device, measure->prepaid_bytes, measure->call);
        if (measure->prepaid_bytes) {
            r = charge_try_ahead(measure->client, measure->device, measure->prepaid_bytes);
            continue;
        }
        /* Somebody has it all: when there is a byte again, more is known. */
        r = charge_reserve(measure->client, measure->device, 1, measure->call);
        if (r < 0)
            return r;
        ledger_release(measure->client, (unsigned)measure->device, 1);
        overhead_uncertain_sub(measure->device, 1);
        r = -ENOMEM;
    }
    return r;
}

CUresult measure_begin_context(struct measure *measure, CUdevice ordinal, const char *call)
{
    CUresult result = measure_begin(measure, ordinal, call);
    int r;

    if (result || !measure->client)
        return result;
    measure->overhead_bytes = overhead_bytes(measure->device);
    r = context_reserve(measure);
    if (r < 0) {
        measure->prepaid_bytes = 0;
        return shim_result(r);
    }
    overhead_prepay(measure->device, measure->prepaid_bytes);
    /* It is no allocation that may not have got there: for this process it has an account of its own. */
    overhead_unplaced_sub(measure->device, measure->prepaid_bytes);
    return CUDA_SUCCESS;
}

/* What is left of the prepayment goes back; what a context costs is remembered for the next one. */
static void prepaid_end(struct measure *measure, bool made)
{
    uint64_t grown_bytes;

    if (!measure->prepaid_bytes)
        return;
    grown_bytes = overhead_bytes(measure->device) - measure->overhead_bytes;
    if (made && grown_bytes && grown_bytes <= INT64_MAX)
        ledger_context_bytes_set(measure->client, (unsigned)measure->device, grown_bytes);
    overhead_prepaid_end(measure->client, measure->device, measure->prepaid_bytes);
    ledger_peak_look(measure->client, (unsigned)measure->device);
    ledger_moving_sub(measure->client, (unsigned)measure->device, measure->prepaid_bytes);
}

CUresult measure_begin_current(struct measure *measure, const char *call)
{
    CUdevice ordinal;
    CUresult result = shim_limit(&measure->client);
    const int kept_errno = errno;

    measure->call = call;
    measure->device = -1;
    measure->prepaid_bytes = 0;
    if (!result && measure->client && real(cuCtxGetDevice)(&ordinal) == CUDA_SUCCESS)
        result = measure_start(measure, ordinal);
    errno = kept_errno;
    return result;
}

void measure_begin_destruction(struct measure *measure, struct ledger_client *client, CUdevice ordinal)
{
    const int kept_errno = errno;

    measure->client = client;
    measure->ordinal = ordinal;
    measure->prepaid_bytes = 0;
    measure->device = shim_device_index(ordinal);
    measure->mark = overhead_mark(client, measure->device, ordinal);
    errno = kept_errno;
}

static int measure_settle(struct measure *measure, bool must_hold)
{
    const int kept_errno = errno;
    int r = 0;

    if (measure->client)
        r = overhead_settle(measure->client, measure->device, measure->ordinal, &measure->mark, must_hold);
    errno = kept_errno;
    return r;
}

int measure_end(struct measure *measure)
{
    return measure_settle(measure, false);
}

CUresult measure_end_creation(struct measure *measure, CUresult result, void *object,
                              CUresult (*undo)(void *object))
{
    int r = measure_settle(measure, result == CUDA_SUCCESS);

    if (result != CUDA_SUCCESS || r == 0) {
        prepaid_end(measure, result == CUDA_SUCCESS);
        return result;
    }
    if (r == -ENOMEM)
        ledger_deny(measure->client, (unsigned)measure->device, measure->call, 0);
    else
        shim_say("the driver's NVML does not say how much memory this process holds: its limit cannot be "
                 "kept, so it is refused a context or module");
    undo(object);
    measure_end(measure);
    prepaid_end(measure, false);
    return CUDA_ERROR_OUT_OF_MEMORY;
}
