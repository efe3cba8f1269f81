/* Figures for people from an area that tenants can write: vgpud's answers and the command line. Everything is
 * read once, clamped to what is possible, and made fit to print; nothing read here steers a loop. Read-only
 * mappings suffice. */
#include <string.h>

#include "ledger/ledger.h"
#include "ledger/shared.h"
#include "ledger/word.h"

static uint64_t clamp_bytes(uint64_t bytes, uint64_t most_bytes)
{
    return bytes < most_bytes ? bytes : most_bytes;
}

void ledger_usage_read(const struct ledger *ledger, const struct ledger_limits *limits, unsigned device,
                       struct ledger_usage *ret_usage)
{
    const struct ledger_account *account = &ledger->accounts[device];
    uint64_t limit = ledger_load(&limits->devices[device].memory_limit_bytes);
    uint64_t most = limits->devices[device].memory_capacity_bytes;

    if (most < limit)
        most = limit;
    ret_usage->used_bytes = clamp_bytes(ledger_load(&account->used.value), most);
    ret_usage->peak_bytes = clamp_bytes(ledger_load(&account->peak_bytes), most);
    if (ret_usage->peak_bytes < ret_usage->used_bytes)
        ret_usage->peak_bytes = ret_usage->used_bytes;
    ret_usage->denied_total = ledger_load(&account->denied_total);
}

/* A tenant chose these bytes: no control characters into somebody's terminal. */
void ledger_text_copy(const char *shared, char *ret_text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        char c = __atomic_load_n(&shared[i], __ATOMIC_RELAXED);

        ret_text[i] = c == '\0' || (c >= ' ' && c <= '~') ? c : '?';
    }
    ret_text[bytes - 1] = '\0';
}

static void slot_read(const struct ledger *ledger, uint32_t index, struct ledger_slot_usage *ret_row)
{
    const struct ledger_slot *slot = &ledger->slots[index];
    int pid = __atomic_load_n(&slot->pid, __ATOMIC_RELAXED);

    ret_row->slot = index;
    ret_row->kind = __atomic_load_n(&slot->kind, __ATOMIC_RELAXED);
    ret_row->pid = pid > 0 ? pid : 0;
    ledger_text_copy(slot->command, ret_row->command, sizeof(ret_row->command));
    for (unsigned d = 0; d < LEDGER_DEVICES_MAX; d++) {
        /* A row follows its account by one operation, so it may be ahead for a moment; nobody holds more than
         * all do. */
        uint64_t total = clamp_bytes(ledger_load(&ledger->accounts[d].used.value), INT64_MAX);

        ret_row->used_bytes[d] = clamp_bytes(ledger_load(&slot->devices[d].row.applied.value), total);
    }
}

size_t ledger_slots_read(const struct ledger *ledger, struct ledger_slot_usage *rows, size_t max)
{
    size_t n = 0;

    for (uint32_t i = 0, mark = slots_mark(ledger); i < mark; i++) {
        if (__atomic_load_n(&ledger->slots[i].state, __ATOMIC_ACQUIRE) != LEDGER_SLOT_LIVE)
            continue;
        if (n < max)
            slot_read(ledger, i, &rows[n]);
        n++;
    }
    return n;
}

size_t ledger_shared_read(const struct ledger *ledger, struct ledger_shared_usage *rows, size_t max)
{
    size_t n = 0;

    for (uint32_t i = 0, mark = shared_mark(ledger); i < mark; i++) {
        const struct ledger_shared *entry = &ledger->shared[i];
        uint32_t device = __atomic_load_n(&entry->device, __ATOMIC_RELAXED);

        if (shared_kind(ledger_load(&entry->state)) != LEDGER_SHARED_READY || device >= LEDGER_DEVICES_MAX)
            continue;
        if (n < max) {
            uint64_t total = clamp_bytes(ledger_load(&ledger->accounts[device].used.value), INT64_MAX);

            rows[n] = (struct ledger_shared_usage){
                .shared = i,
                .device = device,
                .n_holders = shared_holders_count(entry),
                .used_bytes = clamp_bytes(ledger_load(&entry->row.applied.value), total),
            };
        }
        n++;
    }
    return n;
}
