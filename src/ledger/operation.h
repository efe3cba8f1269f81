/* One change of an account, crash-safe: the protocol of docs/ledger.md. Private to src/ledger: clients reach
 * it through client.c, the reaper through areas.c. */
#ifndef VGPU_LEDGER_OPERATION_H
#define VGPU_LEDGER_OPERATION_H

#include <stdint.h>

#include "ledger/layout.h"

#define LEDGER_NO_LIMIT UINT64_MAX

/* Adds delta_bytes to slot's row and to the account of device, in slot's name. At most one operation per slot
 * and device at a time: the caller sees to that. Refuses, taking nothing, when the sum would pass limit_bytes
 * (-ENOMEM). Giving back more than the row holds gives back what it holds. attempts bounds the rounds against
 * others who change the account meanwhile; -EBUSY when they are used up and nothing was done; 0 = as many as
 * it takes (somebody else got on in each). Returns 0 and fills *ret_total_bytes (may be NULL) with the
 * account after the change. Never blocks. */
int operation_apply(struct ledger *ledger, unsigned device, uint32_t slot, int64_t delta_bytes,
                    uint64_t limit_bytes, unsigned attempts, uint64_t *ret_total_bytes);

/* Brings slot's row up to date: finishes the operation that the account names, if it is slot's. Returns the
 * row's bytes. */
uint64_t operation_settle(struct ledger *ledger, unsigned device, uint32_t slot);

#endif
