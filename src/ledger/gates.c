/* vgpud's side of shares in an instance's limits area: what was asked for, and the gates. Called by the
 * daemon alone, in one thread; the area is sealed, so nobody else writes it. */
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ledger/ledger.h"
#include "ledger/word.h"

static void epoch_advance(struct ledger_areas *areas)
{
    __atomic_add_fetch(&areas->limits->epoch, 1, __ATOMIC_RELEASE);
}

void ledger_class_set(struct ledger_areas *areas, enum ledger_policy policy, enum ledger_priority priority)
{
    __atomic_store_n(&areas->limits->policy, (uint32_t)policy, __ATOMIC_RELAXED);
    __atomic_store_n(&areas->limits->priority, (uint32_t)priority, __ATOMIC_RELAXED);
    epoch_advance(areas);
}

void ledger_share_set(struct ledger_areas *areas, unsigned device, uint32_t share_permille, uint32_t weight,
                      uint64_t time_slice_ns)
{
    struct ledger_limits_device *limits = &areas->limits->devices[device];

    __atomic_store_n(&limits->share_permille, share_permille, __ATOMIC_RELAXED);
    __atomic_store_n(&limits->weight, weight, __ATOMIC_RELAXED);
    __atomic_store_n(&limits->time_slice_ns, time_slice_ns, __ATOMIC_RELAXED);
    epoch_advance(areas);
}

/* A vgpud that was killed in the middle left the sequence odd, and this goes on from there. */
void ledger_gate_publish(struct ledger_areas *areas, unsigned device, const struct ledger_gate *gate)
{
    struct ledger_gate *shared = &areas->limits->gates[device];
    uint32_t odd = __atomic_load_n(&shared->sequence, __ATOMIC_RELAXED) | 1;
    uint64_t words[sizeof(*gate) / sizeof(uint64_t)];

    memcpy(words, gate, sizeof(words));
    __atomic_store_n(&shared->sequence, odd, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    __atomic_store_n(&shared->flags, gate->flags, __ATOMIC_RELAXED);
    for (size_t i = 1; i < sizeof(words) / sizeof(*words); i++)
        __atomic_store_n((uint64_t *)(void *)shared + i, words[i], __ATOMIC_RELAXED);
    __atomic_store_n(&shared->sequence, odd + 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &shared->sequence, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void ledger_tick(struct ledger_areas *areas)
{
    __atomic_add_fetch(&areas->limits->tick, 1, __ATOMIC_RELAXED);
}

void ledger_slot_signal_set(struct ledger_areas *areas, uint32_t slot, uint32_t signal_line)
{
    __atomic_store_n(&areas->ledger->slots[slot].signal_line, signal_line, __ATOMIC_RELEASE);
}
