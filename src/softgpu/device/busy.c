/* Accounts of busy time; see busy.h. Called by the timeline for each stretch of work, so adding is O(1) but
 * for long gaps. */
#include "softgpu/device/busy.h"

/* Makes `slot` the newest one; forgets those that fall out of the window. */
static void busy_roll(struct busy *busy, uint64_t slot)
{
    uint64_t from = busy->newest_slot + 1;

    if (slot <= busy->newest_slot)
        return;
    if (slot - busy->newest_slot > BUSY_SLOTS)
        from = slot - BUSY_SLOTS + 1;
    for (uint64_t i = from; i <= slot; i++)
        busy->slot_ns[i % BUSY_SLOTS] = 0;
    busy->newest_slot = slot;
}

void busy_add(struct busy *busy, uint64_t start_ns, uint64_t end_ns, uint32_t sm_permille)
{
    uint64_t length_ns = end_ns - start_ns, window_ns = BUSY_SLOTS * BUSY_SLOT_NS;
    unsigned __int128 sm;

    if (end_ns <= start_ns)
        return;
    sm = (unsigned __int128)length_ns * sm_permille + busy->sm_rest;
    busy->sm_ns += (uint64_t)(sm / 1000);
    busy->sm_rest = (uint32_t)(sm % 1000);
    busy->total_ns += length_ns;
    busy->last_end_ns = end_ns;
    if (length_ns > window_ns)
        start_ns = end_ns - window_ns;
    while (start_ns < end_ns) {
        uint64_t slot = start_ns / BUSY_SLOT_NS, slot_end_ns = (slot + 1) * BUSY_SLOT_NS;
        uint64_t until_ns = slot_end_ns < end_ns ? slot_end_ns : end_ns;

        busy_roll(busy, slot);
        busy->slot_ns[slot % BUSY_SLOTS] += (uint32_t)(until_ns - start_ns);
        start_ns = until_ns;
    }
}

uint64_t busy_slot_ns(const struct busy *busy, uint64_t slot)
{
    if (slot > busy->newest_slot || slot + BUSY_SLOTS <= busy->newest_slot)
        return 0;
    return busy->slot_ns[slot % BUSY_SLOTS];
}

uint64_t busy_last_second(const struct busy *busy, uint64_t now_ns)
{
    uint64_t now_slot = now_ns / BUSY_SLOT_NS, sum_ns = 0;

    for (uint64_t age = 0; age < BUSY_SLOTS && age <= now_slot; age++) {
        uint64_t ns = busy_slot_ns(busy, now_slot - age);

        if (age == BUSY_SLOTS - 1)
            ns = ns * (BUSY_SLOT_NS - now_ns % BUSY_SLOT_NS) / BUSY_SLOT_NS;
        sum_ns += ns;
    }
    return sum_ns;
}
