/* Entries of shared objects: states, holders, and how one is given back. docs/ledger.md says why it is right.
 * Private to src/ledger: clients reach it through shared_client.c, the reaper through areas.c. */
#ifndef VGPU_LEDGER_SHARED_H
#define VGPU_LEDGER_SHARED_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger/layout.h"

/* A state word is {kind, slot, use}. It changes by compare-and-swap; no (kind, slot) comes back in another
 * use. */
static inline unsigned shared_kind(uint64_t state)
{
    return (unsigned)(state & 0xff);
}

static inline uint32_t shared_slot(uint64_t state)
{
    return (uint32_t)(state >> 8 & 0xffff);
}

static inline uint64_t shared_use(uint64_t state)
{
    return state >> 24;
}

static inline uint64_t shared_state(unsigned kind, uint32_t slot, uint64_t use)
{
    return kind | (uint64_t)slot << 8 | use << 24;
}

/* Entries from here on were never in use. Raised before one is, so nobody misses one; a tenant that lowers it hides what its own instance
 * holds. The area is large, and pages that nobody reads take no memory. */
static inline uint32_t shared_mark(const struct ledger *ledger)
{
    uint32_t mark = __atomic_load_n(&ledger->shared_mark, __ATOMIC_SEQ_CST);

    return mark < LEDGER_SHARED_MAX ? mark : LEDGER_SHARED_MAX;
}

/* The same of slots, by vgpud's hand. */
static inline uint32_t slots_mark(const struct ledger *ledger)
{
    uint32_t mark = __atomic_load_n(&ledger->slots_mark, __ATOMIC_SEQ_CST);

    return mark < LEDGER_SLOTS_MAX ? mark : LEDGER_SLOTS_MAX;
}

/* True: the entry was in state `from` and is in state `to` now. */
bool shared_state_change(struct ledger_shared *entry, uint64_t from, uint64_t to, const char *what);

bool shared_has_holder(const struct ledger_shared *entry, uint32_t slot);
uint32_t shared_holders_count(const struct ledger_shared *entry);
void shared_holder_set(struct ledger_shared *entry, uint32_t slot);
void shared_holder_clear(struct ledger_shared *entry, uint32_t slot);

/* Gives an object back if nobody holds it, in the name of slot. -EBUSY: attempts were used up, to be tried
 * again. */
int shared_release_unheld(struct ledger *ledger, unsigned n_devices, uint32_t index, uint32_t slot,
                          unsigned attempts);
/* Gives back what an entry that is CLAIMED or DYING by slot has in its row, and frees it with its aliases. */
int shared_finish(struct ledger *ledger, unsigned n_devices, uint32_t index, uint32_t slot,
                  unsigned attempts);

/* Everything of a dead slot: ends what it was making or giving back, takes it out of all holders, gives back
 * what is left without one. Idempotent. -EBUSY as above. */
int shared_reap(struct ledger *ledger, unsigned n_devices, uint32_t slot, unsigned attempts);

#endif
