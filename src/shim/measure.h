/* The frame of hooks whose cost is known only afterwards: contexts, modules. Private to src/shim. */
#ifndef VGPU_SHIM_MEASURE_H
#define VGPU_SHIM_MEASURE_H

#include "shim/overhead.h"
#include "shim/shim.h"

struct measure {
    const char *call;             /* of the driver API, for people */
    struct ledger_client *client; /* NULL: no limit, nothing is measured */
    int device;                   /* index in the instance; -1: nothing is measured */
    CUdevice ordinal;
    struct overhead_mark mark;
    uint64_t prepaid_bytes;  /* reserved for a context */
    uint64_t overhead_bytes; /* charged before, when this is for a context */
};

/* Before a driver call that makes something on a device. CUDA_ERROR_OUT_OF_MEMORY when the instance has no
 * part of the device, or is over its limit already; the driver's code when ordinal is no device. */
CUresult measure_begin(struct measure *measure, CUdevice ordinal, const char *call);

/* The same for a context: reserves what the instance's contexts cost on this device. While nobody knows that
 * yet, reserves all that is left, so that contexts are made one after the other until the first one has told.
 */
CUresult measure_begin_context(struct measure *measure, CUdevice ordinal, const char *call);

/* The same on the current context's device. Without a current context nothing is measured: the driver will
 * refuse. */
CUresult measure_begin_current(struct measure *measure, const char *call);

/* Before a call that can only give back. */
void measure_begin_destruction(struct measure *measure, struct ledger_client *client, CUdevice ordinal);

/* After the driver call: brings the charge to the truth. 0, or -ENOMEM: over the limit, the caller undoes and
 * calls this again; or -errno: the truth cannot be had. */
int measure_end(struct measure *measure);

/* After a call that made `object`, or failed with result: measures, and when that does not fit, undoes.
 * Returns the code for the caller. */
CUresult measure_end_creation(struct measure *measure, CUresult result, void *object,
                              CUresult (*undo)(void *object));

#endif
