/* The account protocol: intent, one compare-and-swap of the account, one of the row. docs/ledger.md proves
 * it; the short form:
 *
 *   1 the owner writes its intent {delta, sequence} into its row, which nobody reads before step 2;
 *   2 a compare-and-swap puts {total + delta, (slot, sequence)} into the account. Here the operation takes
 * effect; 3 a compare-and-swap moves the row from {used, sequence - 1} to {used + delta, sequence}. The owner
 * does it, or whoever wants to change the account next: nobody replaces a tag whose operation is not in its
 * row.
 *
 * An owner is a slot or a shared object; both have the same kind of row.
 *
 * Everything read here may have been written by a hostile tenant when vgpud runs it, so sums saturate, owners
 * are range-checked and no loop depends on what is in the memory, only on its being changed meanwhile. */
#include "ledger/operation.h"

#include <errno.h>
#include <stddef.h>

#include "ledger/word.h"

/* Amounts stay below this, so that sums of two cannot wrap. */
#define BYTES_MAX     ((uint64_t)INT64_MAX)
#define SEQUENCE_MASK ((UINT64_C(1) << 48) - 1)

static uint64_t tag_make(uint32_t owner, uint64_t sequence)
{
    return owner | sequence << 16;
}

static struct ledger_row *row_of(struct ledger *ledger, unsigned device, uint32_t owner)
{
    return owner < LEDGER_SLOTS_MAX ? &ledger->slots[owner].devices[device].row
                                    : &ledger->shared[owner - LEDGER_SLOTS_MAX].row;
}

static uint64_t bytes_add(uint64_t bytes, int64_t delta_bytes)
{
    uint64_t amount = delta_bytes < 0 ? 0 - (uint64_t)delta_bytes : (uint64_t)delta_bytes;

    if (delta_bytes < 0)
        return bytes > amount ? bytes - amount : 0;
    return bytes < BYTES_MAX && amount <= BYTES_MAX - bytes ? bytes + amount : BYTES_MAX;
}

/* Step 3 for the operation that tag names. The row must be read before the intent: when the swap finds the
 * row as it was read, the owner cannot have begun another operation in between, so the intent read is the one
 * the tag means. */
static void operation_finish(struct ledger *ledger, unsigned device, uint64_t tag)
{
    uint32_t owner = (uint32_t)(tag & 0xffff);
    uint64_t sequence = tag >> 16;
    struct ledger_row *row;
    struct ledger_word applied;

    if (owner >= LEDGER_OWNER_SHARED(LEDGER_SHARED_MAX) || !sequence)
        return;
    row = row_of(ledger, device, owner);
    applied = ledger_word_load(&row->applied);
    if (((applied.tag + 1) & SEQUENCE_MASK) == sequence && ledger_load(&row->intent_sequence) == sequence) {
        int64_t delta_bytes = (int64_t)ledger_load((const uint64_t *)&row->intent_delta_bytes);
        struct ledger_word wanted = {.value = bytes_add(applied.value, delta_bytes), .tag = sequence};

        /* A failure means that somebody else did it. */
        ledger_word_cas(&row->applied, &applied, wanted, "row");
    }
}

uint64_t operation_settle(struct ledger *ledger, unsigned device, uint32_t owner)
{
    uint64_t tag = ledger_load(&ledger->accounts[device].used.tag);

    if ((tag & 0xffff) == owner)
        operation_finish(ledger, device, tag);
    return ledger_word_load(&row_of(ledger, device, owner)->applied).value;
}

static void intent_write(struct ledger_row *row, uint64_t sequence, int64_t delta_bytes)
{
    ledger_store((uint64_t *)&row->intent_delta_bytes, (uint64_t)delta_bytes, "intent delta");
    ledger_store(&row->intent_sequence, sequence, "intent sequence");
}

void operation_peak_raise(struct ledger_account *account, uint64_t total_bytes)
{
    uint64_t peak = __atomic_load_n(&account->peak_bytes, __ATOMIC_RELAXED);

    while (peak < total_bytes) {
        LEDGER_STEP("peak");
        if (__atomic_compare_exchange_n(&account->peak_bytes, &peak, total_bytes, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            return;
    }
}

int operation_apply(struct ledger *ledger, unsigned device, uint32_t owner, int64_t delta_bytes,
                    const struct operation_terms *terms, uint64_t *ret_total_bytes)
{
    struct ledger_account *account = &ledger->accounts[device];
    struct ledger_row *row = row_of(ledger, device, owner);
    uint64_t used = operation_settle(ledger, device, owner), sequence;
    struct ledger_word seen, wanted;

    if (delta_bytes < 0 && 0 - (uint64_t)delta_bytes > used)
        delta_bytes = -(int64_t)(used < BYTES_MAX ? used : BYTES_MAX);
    /* A refused operation's number was never in the account: the next one takes it again. */
    sequence = (ledger_load(&row->applied.tag) + 1) & SEQUENCE_MASK;
    intent_write(row, sequence, delta_bytes);
    seen = ledger_word_load(&account->used);
    for (unsigned round = 0;; round++) {
        if (terms->attempts && round == terms->attempts)
            return -EBUSY;
        if (delta_bytes > 0 && terms->limit_bytes != LEDGER_NO_LIMIT &&
            (seen.value > terms->limit_bytes || (uint64_t)delta_bytes > terms->limit_bytes - seen.value))
            return -ENOMEM;
        operation_finish(ledger, device, seen.tag);
        wanted = (struct ledger_word){.value = bytes_add(seen.value, delta_bytes),
                                      .tag = tag_make(owner, sequence)};
        if (ledger_word_cas(&account->used, &seen, wanted, "account"))
            break;
    }
    operation_finish(ledger, device, wanted.tag);
    if (delta_bytes > 0 && !terms->is_peakless)
        operation_peak_raise(account, wanted.value);
    if (ret_total_bytes)
        *ret_total_bytes = wanted.value;
    return 0;
}

int operation_give_back(struct ledger *ledger, unsigned device, uint32_t owner, unsigned attempts,
                        uint64_t *ret_bytes)
{
    const struct operation_terms terms = {.limit_bytes = LEDGER_NO_LIMIT, .attempts = attempts};
    uint64_t used = operation_settle(ledger, device, owner);
    int r;

    if (used > BYTES_MAX)
        used = BYTES_MAX;
    r = used ? operation_apply(ledger, device, owner, -(int64_t)used, &terms, NULL) : 0;
    if (r == 0)
        *ret_bytes = used;
    return r;
}
