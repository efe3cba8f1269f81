/* What the driver holds for this process beyond what was asked for: contexts, modules, the rest of a granule.
 * It is known only from the driver's own NVML, and only afterwards. So at each call that may change it, the
 * account is brought to what NVML says this process holds on the device - what is charged for allocations.
 * Allocations that are under way, and managed memory (charged in full, wherever it lies), make that a range
 * instead of a figure; the charge then moves by the difference that the call made and stays in the range.
 * Private to src/shim. */
#ifndef VGPU_SHIM_OVERHEAD_H
#define VGPU_SHIM_OVERHEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "shim/shim.h"

/* Opens the driver's NVML: without it contexts cannot be counted. 0 or negative errno. */
int overhead_init(void);

/* Bytes that are charged but may not be on the device just now: a reservation whose driver call has not
 * ended, memory whose free is under way. They begin and end with these two around the driver call. Others in
 * the instance see it (ledger_moving_add) and are not refused because of it. Cost: three atomic additions. */
void overhead_uncertain_add(int device, uint64_t bytes);
void overhead_uncertain_sub(int device, uint64_t bytes);

/* Bytes charged for the whole of an allocation's life wherever they lie: managed memory, which moves. For
 * this process's own reckoning only: nobody waits for them. */
void overhead_unplaced_add(int device, uint64_t bytes);
void overhead_unplaced_sub(int device, uint64_t bytes);

/* Bytes of shared objects that this process holds: on the device for certain, and paid by the object
 * (ledger_shared_publish) instead of by this process; NVML may show them as this process's or as another
 * holder's. */
void overhead_held_add(int device, uint64_t bytes);
void overhead_held_sub(int device, uint64_t bytes);

struct overhead_mark {
    bool known;           /* false: nothing was uncertain, the figure after the call suffices */
    int64_t beyond_bytes; /* NVML's figure minus what is charged for allocations, before the call */
};

/* Before the call, and after it, whether it succeeded or not; device: index in the instance, or -1, which
 * does nothing and holds. settle returns 0, -ENOMEM: the instance is over its limit now, so undo the call and
 * settle again; or another negative errno: NVML does not say what this process holds (-ENODATA: it must hold
 * something, and is not listed). Both ask the driver: microseconds to a millisecond. */
struct overhead_mark overhead_mark(struct ledger_client *client, int device, CUdevice ordinal);
int overhead_settle(struct ledger_client *client, int device, CUdevice ordinal,
                    const struct overhead_mark *mark, bool must_hold);

/* Bytes reserved in the ledger for what a call is about to make, before anybody knows what it costs: no
 * allocation. overhead_settle pays with them; the end gives back what is left. */
void overhead_prepay(int device, uint64_t bytes);
void overhead_prepaid_end(struct ledger_client *client, int device, uint64_t bytes);

/* What is charged for contexts and modules of this process now. */
uint64_t overhead_bytes(int device);

/* After a wait: settles what earlier calls could only settle within a range, now that nothing is uncertain.
 * One load when there is no such thing. */
void overhead_settle_rest(struct ledger_client *client);

void overhead_reset_in_child(void);

#endif
