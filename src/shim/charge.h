/* Reserve, act, keep or release: the frame of every hook that allocates. Private to src/shim.
 *
 *     struct charge charge;
 *     if ((r = charge_begin(&charge, "cuMemAlloc_v2", bytes, TABLE_DIRECT)))
 *         return r;                                // refused: nothing was taken
 *     r = real(...)(&address, ...);
 *     return charge_end(&charge, r, address, bytes);
 *
 * What is charged is what the device takes, in granules of 2 MiB: a request of more than 1 MiB has granules
 * of its own; smaller ones lie together in granules, which are known by their addresses: the first block in
 * one brings it, the last one takes it away. */
#ifndef VGPU_SHIM_CHARGE_H
#define VGPU_SHIM_CHARGE_H

#include "shim/shim.h"
#include "shim/table.h"

struct charge {
    struct ledger_client *client; /* NULL: no limit, nothing to do */
    const char *call;             /* of the driver API, for people; it stays */
    CUcontext context;
    int device; /* index in the instance */
    enum table_door door;
    uint64_t reserved_bytes;
};

/* Reserves the most that a request of bytes takes on the current context's device. Before it refuses, it
 * takes back what pools have let go of, and lets a small request through that fits into a granule which is
 * there. */
CUresult charge_begin(struct charge *charge, const char *call, uint64_t bytes, enum table_door door);

/* After the driver: when result is CUDA_SUCCESS, keeps what `bytes` at address took (which may be more than
 * was asked for: a pitch) and gives the rest back; else gives all back. Returns result, or
 * CUDA_ERROR_OUT_OF_MEMORY when it took more than the limit allows or could not be written down; the
 * allocation is freed again then. */
CUresult charge_end(struct charge *charge, CUresult result, uint64_t address, uint64_t bytes);

/* Would bytes fit at this moment? device: an index in the instance. For choosing a way only: charge_reserve
 * decides. */
bool charge_fits(const struct ledger_client *client, int device, uint64_t bytes);

/* Takes bytes on a device of the instance (an index, or -1: not in it). They are uncertain then
 * (overhead_uncertain_add), until the caller, having settled with the driver, calls overhead_uncertain_sub. 0
 * or negative errno, then nothing was taken. Before it refuses it looks whether that is right: it settles and
 * trims this process's pools and graph memory, waits for what is under way in the instance, and has dead
 * processes reaped. call: of the driver API, for people. */
int charge_reserve(struct ledger_client *client, int device, uint64_t bytes, const char *call);

/* The same without looking twice: one attempt, which is not counted as a refusal. device: not -1. */
int charge_try(struct ledger_client *client, int device, uint64_t bytes);
/* That, for ledger_try_reserve_ahead. */
int charge_try_ahead(struct ledger_client *client, int device, uint64_t bytes);

/* bytes in granules of the device. */
uint64_t charge_granules(uint64_t bytes);

/* The allocation at address was exported to other processes as `handle`: it, or the granules it lies in, pays
 * for itself from now on (physical.h). */
void charge_share(struct ledger_client *client, uint64_t address, const void *handle, size_t handle_bytes);

/* Gives back what entry, taken out of the table, holds: after the driver freed it. */
void charge_release(struct ledger_client *client, const struct table_entry *entry);

/* The most that charge_release gives back. */
uint64_t charge_most_bytes(const struct table_entry *entry);

/* Gives back all that was allocated in a context, which is gone. */
void charge_forget_context(struct ledger_client *client, CUcontext context);

#endif
