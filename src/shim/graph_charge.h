/* The account of graph memory. The driver keeps what graphs allocate in one store for each device, which
 * grows when a graph is launched or uploaded and shrinks when it is trimmed. So a device's graph memory is
 * charged by what the driver has reserved for it (CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT): a launch reserves
 * the most that it may grow by, asks the driver, and settles to the truth. Thread-safe, no lock is held over
 * a driver call. Private to src/shim. */
#ifndef VGPU_SHIM_GRAPH_CHARGE_H
#define VGPU_SHIM_GRAPH_CHARGE_H

#include "shim/graph_exec.h"
#include "shim/shim.h"

/* A call that may make graph memory grow. */
struct graph_growth {
    struct ledger_client *client;
    const struct graph_needs *needs;
    uint64_t reserved_bytes[LEDGER_DEVICES_MAX + 1]; /* for each of needs */
};

/* Reserves what needs name, on all devices or on none. launched: the graph has had its memory before, so
 * where the limit has no room it is let through if all graphs that were launched still have theirs; otherwise
 * what no graph uses is trimmed first. 0, or negative errno: refused. needs must stay where they are until
 * graph_growth_end. */
int graph_growth_begin(struct graph_growth *growth, struct ledger_client *client,
                       const struct graph_needs *needs, bool launched, const char *call);

/* After the driver, whatever it said: settles to the truth. A launch cannot be undone, so a device that took
 * more than was reserved is charged with it even beyond the limit; then the next allocation is refused. */
void graph_growth_end(const struct graph_growth *growth);

/* cuDeviceGraphMemTrim, with the account. device: index in the instance, or -1. */
CUresult graph_trim(struct ledger_client *client, int device, CUdevice ordinal);

/* Brings every device's charge to what the driver says: one load when there is no graph memory. */
void graph_settle_all(struct ledger_client *client);

/* The same when something happened since, after which the driver may have given memory back. */
void graph_settle_later(void);
void graph_settle_after_sync(struct ledger_client *client);

void graph_charge_reset_in_child(void);

#endif
