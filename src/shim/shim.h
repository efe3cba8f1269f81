/* What every hook of the cooperative library stands on: the state of this process, the real driver, and the
 * two ways a hook may end without it. Private to src/shim.
 *
 * A process is in one of four modes. It starts NEW; the first entry point that needs to know opens the driver
 * and reads VGPU_INSTANCE. PASS: no limit is set, and every hook is one load and a tail call. LIMITED: a slot
 * of the instance's ledger is ours. REFUSED: a limit is set and cannot be enforced, so nothing works (fail
 * closed). A forked child of a LIMITED process is NEW again: the slot is its parent's.
 *
 * A hook looks like this:
 *     if ((r = shim_limit(&client)) || !client)
 *         return r ? r : real(cuXxx)(...);
 * Hooks hold no lock over a driver call and never end the process. */
#ifndef VGPU_SHIM_SHIM_H
#define VGPU_SHIM_SHIM_H

#include <stdbool.h>
#include <stdint.h>

#include "api/cuda_api.h"
#include "driver/driver.h"
#include "ledger/ledger.h"
#include "shim/say.h"

enum shim_mode { SHIM_NEW, SHIM_PASS, SHIM_LIMITED, SHIM_REFUSED };

enum { SHIM_DEVICES_MAX = 64 };

struct shim {
    enum shim_mode mode; /* stored last, with release */
    CUresult refusal;    /* in REFUSED: what cuInit and the hooks return */
    struct ledger_client *client;
    int8_t device_index[SHIM_DEVICES_MAX]; /* by ordinal: 1 + index in the instance, -1 not in it, 0 not yet
                                              asked */
};
extern struct shim shim;
extern struct driver shim_driver;

/* The real driver's function; only after shim_limit or shim_open gave CUDA_SUCCESS. A name that this driver,
 * older than the description, does not have is shim_missing, which can be called: it answers
 * CUDA_ERROR_NOT_SUPPORTED. */
#define real(name) (shim_driver.cuda.name)

extern void *const shim_missing;

CUresult shim_limit_slow(struct ledger_client **ret_client);

/* May this process allocate, and by whose leave? CUDA_SUCCESS with *ret_client = NULL: no limit is set; with
 * a client: reserve there first. Otherwise the code to return. Cost when settled: one load, one compare. */
static inline CUresult shim_limit(struct ledger_client **ret_client)
{
    switch (__atomic_load_n(&shim.mode, __ATOMIC_ACQUIRE)) {
    case SHIM_PASS:
        *ret_client = NULL;
        return CUDA_SUCCESS;
    case SHIM_LIMITED:
        *ret_client = shim.client;
        return CUDA_SUCCESS;
    default:
        return shim_limit_slow(ret_client);
    }
}

/* Opens the driver if it is not open yet; says nothing of limits. */
CUresult shim_open(void);

/* Index of a device in the instance, by the device's UUID; -1 when the instance has no part of it (its limit
 * there is 0). */
int shim_device_index(CUdevice device);

/* Index in the instance of the device of the current context; the driver's error when there is none. */
CUresult shim_current_index(int *ret_index);

/* The one place where errors of ours become codes of the driver API. */
CUresult shim_result(int error);

/* Is a limit set for this process? Answers before cuInit too, where nobody has attached yet. */
bool shim_is_limited(void);

/* A function that takes memory and that the description only names: without a type it cannot be hooked, so
 * under a limit it is refused. */
struct cuda_row;
bool shim_is_closed(const struct cuda_row *row);

/* Refuses a call that would take memory that is not accounted for while a limit is set: one line that names
 * it, the first time. */
CUresult shim_refuse(const char *call);

/* Calls that ask or trim are forbidden to a thread that captures in a strict mode, unless it says that it
 * knows what it does: relax says so, restore takes it back. ret_mode: what restore needs. A driver without
 * modes forbids nothing. */
bool shim_capture_relax(CUstreamCaptureMode *ret_mode);
void shim_capture_restore(bool relaxed, CUstreamCaptureMode mode);

#endif
