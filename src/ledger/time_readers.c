/* Time in an area that tenants can write, read for vgpud and people: each word once, texts made fit to print.
 * What the words are worth is for the caller to judge. */
#include <string.h>

#include "base/clock.h"
#include "ledger/ledger.h"
#include "ledger/word.h"

void ledger_time_read(const struct ledger *ledger, unsigned device, struct ledger_time *ret_time)
{
    const struct ledger_account *account = &ledger->accounts[device];

    for (unsigned e = 0; e < LEDGER_ENGINES; e++) {
        ret_time->drawn_ns[e] = ledger_load(&account->drawn_ns[e]);
        ret_time->billed_ns[e] = ledger_load(&account->billed_ns_total[e]);
    }
    ret_time->throttled_ns = ledger_load(&account->throttled_ns_total);
    ret_time->throttled = ledger_load(&account->throttled_total);
    ret_time->active_ns = ledger_load(&account->active_ns);
}

void ledger_slot_time_read(const struct ledger *ledger, uint32_t slot, unsigned device,
                           struct ledger_slot_time *ret_time)
{
    const struct ledger_slot_device *row = &ledger->slots[slot].devices[device];

    ret_time->active_ns = ledger_load(&row->active_ns);
    ret_time->wants_window_ns =
        (uint64_t)__atomic_load_n(&row->wants_window_us, __ATOMIC_RELAXED) * NS_PER_US;
    ret_time->longest_ns = (uint64_t)__atomic_load_n(&row->longest_us, __ATOMIC_RELAXED) * NS_PER_US;
    ret_time->waiting = __atomic_load_n(&ledger->slots[slot].waiting, __ATOMIC_RELAXED);
}

static bool note_read(const struct ledger_note *shared, struct ledger_note *ret_note)
{
    struct ledger_note note;
    uint64_t words[sizeof(note) / sizeof(uint64_t)] = {0};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        words[i] = ledger_load((const uint64_t *)(const void *)shared + i);
    memcpy(&note, words, sizeof(note));
    if (!note.time_ns || note.why == LEDGER_WHY_NONE || note.why > LEDGER_WHY_DRIVER)
        return false;
    note.call[sizeof(note.call) - 1] = '\0';
    for (size_t i = 0; note.call[i]; i++)
        if (note.call[i] < ' ' || note.call[i] > '~')
            note.call[i] = '?';
    *ret_note = note;
    return true;
}

bool ledger_denied_read(const struct ledger *ledger, unsigned device, struct ledger_note *ret_note)
{
    return note_read(&ledger->accounts[device].denied, ret_note);
}

bool ledger_held_read(const struct ledger *ledger, unsigned device, struct ledger_note *ret_note)
{
    return note_read(&ledger->accounts[device].held, ret_note);
}
