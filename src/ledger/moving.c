/* Bytes on their way to or from the device, and the proof that a request must be refused in spite of them.
 * Called by the hooks around a driver call that makes or frees memory, and before a refusal. Never blocks,
 * and looks a bounded number of times.
 *
 * A slot's word {changes, KiB} changes in one atomic addition, each of which counts. So a collection of all
 * words that finds, a second time, the same sum of changes saw every word as it was at each moment between
 * the two: counts only grow. (They wrap at 2^24; that many changes do not fit between two collections.) */
#include "ledger/moving.h"

#include "ledger/client.h"
#include "ledger/word.h"

enum { KIB_BITS = 40, KIB_BYTES = 1024, SNAPSHOT_ATTEMPTS = 4 };

#define KIB_MASK   ((UINT64_C(1) << KIB_BITS) - 1)
#define ONE_CHANGE (UINT64_C(1) << KIB_BITS)

static uint64_t kib_of(uint64_t bytes)
{
    return (bytes / KIB_BYTES + !!(bytes % KIB_BYTES)) & KIB_MASK;
}

static void moving_change(struct ledger_client *client, unsigned device, uint64_t change)
{
    if (!client_can_take(client, device))
        return;
    LEDGER_STEP("moving");
    __atomic_add_fetch(&client->ledger->slots[client->slot].devices[device].moving, change, __ATOMIC_SEQ_CST);
}

void ledger_moving_add(struct ledger_client *client, unsigned device, uint64_t bytes)
{
    moving_change(client, device, ONE_CHANGE + kib_of(bytes));
}

void ledger_moving_sub(struct ledger_client *client, unsigned device, uint64_t bytes)
{
    moving_change(client, device, ONE_CHANGE - kib_of(bytes));
}

void moving_clear(uint64_t *moving)
{
    uint64_t seen = ledger_load(moving);

    /* Its process is dead: nobody else changes the word, or a tenant does that harms itself. */
    if (seen & KIB_MASK)
        ledger_store(moving, (seen & ~KIB_MASK) + ONE_CHANGE, "moving cleared");
}

struct collection {
    uint64_t changes, bytes;
};

static struct collection moving_collect(const struct ledger_client *client, unsigned device)
{
    uint32_t mark = __atomic_load_n(&client->ledger->slots_mark, __ATOMIC_SEQ_CST);
    struct collection all = {0};

    for (uint32_t i = 0; i < mark && i < LEDGER_SLOTS_MAX; i++) {
        uint64_t word = __atomic_load_n(&client->ledger->slots[i].devices[device].moving, __ATOMIC_SEQ_CST);

        all.changes += word >> KIB_BITS;
        all.bytes += (word & KIB_MASK) * KIB_BYTES; /* 1024 slots of 2^50 bytes: no wrap */
    }
    return all;
}

/* The account's total and what is moving of it, both as they were at one moment. */
static bool snapshot_take(const struct ledger_client *client, unsigned device, uint64_t *ret_total_bytes,
                          uint64_t *ret_moving_bytes)
{
    const struct ledger_word *used = &client->ledger->accounts[device].used;
    struct ledger_word before, after;
    struct collection first, second;

    if (!ledger_word_try_load(used, &before))
        return false;
    first = moving_collect(client, device);
    second = moving_collect(client, device);
    if (first.changes != second.changes || first.bytes != second.bytes ||
        !ledger_word_try_load(used, &after) || after.tag != before.tag || after.value != before.value)
        return false;
    *ret_total_bytes = before.value;
    *ret_moving_bytes = first.bytes;
    return true;
}

bool ledger_is_surely_over(const struct ledger_client *client, unsigned device, uint64_t bytes)
{
    uint64_t limit_bytes = ledger_limit_bytes(client, device), total_bytes, moving_bytes, there_bytes;

    if (device >= client->n_devices || bytes > limit_bytes)
        return true;
    for (int attempt = 0; attempt < SNAPSHOT_ATTEMPTS; attempt++) {
        if (!snapshot_take(client, device, &total_bytes, &moving_bytes))
            continue;
        there_bytes = total_bytes > moving_bytes ? total_bytes - moving_bytes : 0;
        return there_bytes > limit_bytes - bytes;
    }
    return false;
}
