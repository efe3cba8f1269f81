/* One change of an account, crash-safe: the protocol of docs/ledger.md. Private to src/ledger: clients reach
 * it through client.c, the reaper through areas.c. */
#ifndef VGPU_LEDGER_OPERATION_H
#define VGPU_LEDGER_OPERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger/layout.h"

#define LEDGER_OWNER_SHARED(index) ((uint32_t)LEDGER_SLOTS_MAX + (index))

#define LEDGER_NO_LIMIT UINT64_MAX

/* An operation's terms. */
struct operation_terms {
    uint64_t limit_bytes; /* refuse what would make the sum pass this; LEDGER_NO_LIMIT */
    unsigned attempts;    /* rounds against others who change the account meanwhile; 0: as many as it takes */
    bool is_peakless;     /* the bytes are in the account already, or reserved ahead: no new peak */
};

/* Adds delta_bytes to the row of owner (a slot, or LEDGER_OWNER_SHARED(index)) and to the account of device,
 * in owner's name. At most one operation per owner and device at a time: the caller sees to that. -ENOMEM:
 * the sum would pass the limit, nothing was taken. Giving back more than the row holds gives back what it
 * holds. -EBUSY: attempts are used up and nothing was done (without a bound, somebody else got on in each
 * round). Returns 0 and fills *ret_total_bytes (may be NULL) with the account after the change. Never blocks.
 */
int operation_apply(struct ledger *ledger, unsigned device, uint32_t owner, int64_t delta_bytes,
                    const struct operation_terms *terms, uint64_t *ret_total_bytes);

/* The peak is at least that. */
void operation_peak_raise(struct ledger_account *account, uint64_t total_bytes);

/* Brings owner's row up to date: finishes the operation that the account names, if it is owner's. Returns the
 * row's bytes. */
uint64_t operation_settle(struct ledger *ledger, unsigned device, uint32_t owner);

/* Gives all that owner's row holds back, whoever began to do so before: settles, then one operation. Returns
 * the bytes in *ret_bytes. -EBUSY as above; to be tried again. */
int operation_give_back(struct ledger *ledger, unsigned device, uint32_t owner, unsigned attempts,
                        uint64_t *ret_bytes);

#endif
