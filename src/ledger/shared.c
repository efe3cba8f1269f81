/* The life of a shared object's entry: who may change it when, and how it ends exactly once. Called by
 * clients and by the reaper, for which everything here is hostile: indexes are range-checked, rounds bounded.
 *
 * An entry that is CLAIMED or DYING belongs to the slot in its state word, to that slot's process, or, after
 * its death, to the reaper. So its row has one operation at a time, as a slot's row has, and whoever goes on
 * after a death settles first. The bit of a slot among the holders is set by that slot's process alone, for a
 * moment perhaps in an entry that is not what it looked for; so nobody wipes the bits of others, and whoever
 * clears one looks whether it was the last. */
#include "ledger/shared.h"

#include <errno.h>
#include <stddef.h>

#include "ledger/operation.h"
#include "ledger/word.h"

enum { WORDS = LEDGER_SLOTS_MAX / 64 };

bool shared_state_change(struct ledger_shared *entry, uint64_t from, uint64_t to, const char *what)
{
    (void)what;
    LEDGER_STEP(what);
    return __atomic_compare_exchange_n(&entry->state, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

bool shared_has_holder(const struct ledger_shared *entry, uint32_t slot)
{
    return __atomic_load_n(&entry->holders[slot / 64], __ATOMIC_SEQ_CST) >> slot % 64 & 1;
}

uint32_t shared_holders_count(const struct ledger_shared *entry)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < WORDS; i++)
        n += (uint32_t)__builtin_popcountll(__atomic_load_n(&entry->holders[i], __ATOMIC_SEQ_CST));
    return n;
}

void shared_holder_set(struct ledger_shared *entry, uint32_t slot)
{
    LEDGER_STEP("holder set");
    __atomic_fetch_or(&entry->holders[slot / 64], UINT64_C(1) << slot % 64, __ATOMIC_SEQ_CST);
}

void shared_holder_clear(struct ledger_shared *entry, uint32_t slot)
{
    LEDGER_STEP("holder cleared");
    __atomic_fetch_and(&entry->holders[slot / 64], ~(UINT64_C(1) << slot % 64), __ATOMIC_SEQ_CST);
}

static bool is_held(const struct ledger_shared *entry)
{
    LEDGER_STEP(
        "holders looked at"); /* no store, but others' stores before and after it make all the difference */
    for (unsigned i = 0; i < WORDS; i++)
        if (__atomic_load_n(&entry->holders[i], __ATOMIC_SEQ_CST))
            return true;
    return false;
}

/* Frees the other names of the use-th object of entry index. Nobody makes one any more: only a holder does.
 */
static void aliases_free(struct ledger *ledger, uint32_t index, uint64_t use)
{
    for (uint32_t i = 0, mark = shared_mark(ledger); i < mark; i++) {
        struct ledger_shared *alias = &ledger->shared[i];
        uint64_t state = __atomic_load_n(&alias->state, __ATOMIC_SEQ_CST);

        if (shared_kind(state) == LEDGER_SHARED_ALIAS &&
            __atomic_load_n(&alias->alias_of, __ATOMIC_RELAXED) == index &&
            ledger_load(&alias->alias_uses) == use)
            shared_state_change(alias, state, shared_state(LEDGER_SHARED_FREE, 0, shared_use(state)),
                                "alias free");
    }
}

int shared_finish(struct ledger *ledger, unsigned n_devices, uint32_t index, uint32_t slot, unsigned attempts)
{
    struct ledger_shared *entry = &ledger->shared[index];
    uint64_t state = __atomic_load_n(&entry->state, __ATOMIC_SEQ_CST), bytes;
    uint32_t device = __atomic_load_n(&entry->device, __ATOMIC_RELAXED);
    int r;

    if ((shared_kind(state) != LEDGER_SHARED_CLAIMED && shared_kind(state) != LEDGER_SHARED_DYING) ||
        shared_slot(state) != slot)
        return 0;
    if (device < n_devices) {
        r = operation_give_back(ledger, device, LEDGER_OWNER_SHARED(index), attempts, &bytes);
        if (r < 0)
            return r;
    }
    if (__atomic_load_n(&entry->has_aliases, __ATOMIC_RELAXED))
        aliases_free(ledger, index, shared_use(state));
    shared_state_change(entry, state, shared_state(LEDGER_SHARED_FREE, 0, shared_use(state)), "shared free");
    return 0;
}

int shared_release_unheld(struct ledger *ledger, unsigned n_devices, uint32_t index, uint32_t slot,
                          unsigned attempts)
{
    struct ledger_shared *entry = &ledger->shared[index];

    for (unsigned round = 0; !attempts || round < attempts; round++) {
        uint64_t ready = __atomic_load_n(&entry->state, __ATOMIC_SEQ_CST);
        uint64_t dying = shared_state(LEDGER_SHARED_DYING, slot, shared_use(ready));

        if (shared_kind(ready) != LEDGER_SHARED_READY || is_held(entry))
            return 0;
        if (!shared_state_change(entry, ready, dying, "dying"))
            continue;
        /* Who joins sets its bit and then looks at the state: it saw DYING, or its bit is seen here. */
        if (!is_held(entry))
            return shared_finish(ledger, n_devices, index, slot, attempts);
        shared_state_change(entry, dying, ready, "ready again");
        /* Its joiner may have left, seeing DYING, without looking further: look once more. */
    }
    return -EBUSY;
}

/* What a dead slot was making is undone. What it was giving back may have got a holder since it looked: as
 * long as the bytes are in the row it can be as it was before, and the search for objects without a holder
 * decides anew. */
static int claims_end(struct ledger *ledger, unsigned n_devices, uint32_t index, uint32_t slot,
                      unsigned attempts)
{
    struct ledger_shared *entry = &ledger->shared[index];
    uint64_t state = __atomic_load_n(&entry->state, __ATOMIC_SEQ_CST);
    uint32_t device = __atomic_load_n(&entry->device, __ATOMIC_RELAXED);

    if (shared_kind(state) == LEDGER_SHARED_DYING && shared_slot(state) == slot && device < n_devices &&
        operation_settle(ledger, device, LEDGER_OWNER_SHARED(index)) > 0) {
        shared_state_change(entry, state, shared_state(LEDGER_SHARED_READY, 0, shared_use(state)),
                            "ready again");
        return 0;
    }
    return shared_finish(ledger, n_devices, index, slot, attempts);
}

int shared_reap(struct ledger *ledger, unsigned n_devices, uint32_t slot, unsigned attempts)
{
    int r;

    for (uint32_t i = 0, mark = shared_mark(ledger); i < mark; i++) {
        r = claims_end(ledger, n_devices, i, slot, attempts);
        if (r < 0)
            return r;
    }
    for (uint32_t i = 0, mark = shared_mark(ledger); i < mark; i++) {
        if (shared_has_holder(&ledger->shared[i], slot))
            shared_holder_clear(&ledger->shared[i], slot);
        /* Also where the bit was clear: the process may have died between clearing it and what follows. */
        r = shared_release_unheld(ledger, n_devices, i, slot, attempts);
        if (r < 0)
            return r;
    }
    return 0;
}
