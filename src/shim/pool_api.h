/* A door between the two families of memory hooks. Private to src/shim. */
#ifndef VGPU_SHIM_POOL_API_H
#define VGPU_SHIM_POOL_API_H

#include "shim/shim.h"
#include "shim/table.h"

/* Frees an allocation of a pool by a call that waits (cuMemFree): entry was taken out of the table, and goes
 * back if the driver refuses. */
CUresult pool_api_free(struct ledger_client *client, const struct table_entry *entry,
                       CUresult (*driver_free)(uint64_t address));

#endif
