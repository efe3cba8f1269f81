/* Reading and writing signals; see gate_signal.h. */
#include "shim/gate_signal.h"

#include <stddef.h>

#include "base/clock.h"
#include "shim/rejoin.h"

/* A count that has not changed for so long is of somebody who polls, or whose kernel is long: then he has no
 * claim to be waited for. */
#define STILL_NS (UINT64_C(50) * NS_PER_MS)

/* What was seen of a line last, by any thread of this process; races between threads lose a look. */
static struct {
    uint64_t begun, changed_ns;
} seen[LEDGER_SIGNALS_MAX];

static struct ledger_signal *own_line(struct ledger_client *client, int device)
{
    struct ledger_signals *signals = ledger_client_signals(client);
    const struct ledger_slot *slot = ledger_own_slot(client);
    struct ledger_gate gate;
    uint32_t line;

    if (!signals || !slot || !ledger_gate_read(client, (unsigned)device, &gate))
        return NULL;
    line = __atomic_load_n(&slot->signal_line, __ATOMIC_RELAXED);
    if (!ledger_client_may_signal(client)) {
        if (line != LEDGER_NO_SLOT) /* the instance was of the lowest priority when it attached */
            rejoin_slow(client, clock_coarse_ns());
        return NULL;
    }
    if (line >= LEDGER_SIGNALS_MAX || gate.signal_device >= LEDGER_SIGNAL_DEVICES_MAX)
        return NULL;
    return &signals->lines[gate.signal_device][line];
}

uint64_t *gate_signal_begun(struct ledger_client *client, int device)
{
    struct ledger_signal *line = own_line(client, device);

    return line ? &line->begun : NULL;
}

void gate_signal_ended(struct ledger_client *client, int device, uint64_t begun)
{
    struct ledger_signal *line = own_line(client, device);

    if (line)
        __atomic_store_n(&line->ended, begun, __ATOMIC_RELEASE);
}

static bool line_is_busy(const struct ledger_signal *line, unsigned number, uint64_t now_ns)
{
    uint64_t begun = __atomic_load_n(&line->begun, __ATOMIC_ACQUIRE);

    if (begun == __atomic_load_n(&line->ended, __ATOMIC_ACQUIRE))
        return false;
    if (__atomic_load_n(&seen[number].begun, __ATOMIC_RELAXED) != begun) {
        __atomic_store_n(&seen[number].begun, begun, __ATOMIC_RELAXED);
        __atomic_store_n(&seen[number].changed_ns, now_ns, __ATOMIC_RELAXED);
        return true;
    }
    return now_ns - __atomic_load_n(&seen[number].changed_ns, __ATOMIC_RELAXED) < STILL_NS;
}

bool gate_signal_is_busy(struct ledger_client *client, const struct ledger_gate *gate, uint64_t now_ns)
{
    const struct ledger_signals *signals = ledger_client_signals(client);

    if (!signals || gate->signal_device >= LEDGER_SIGNAL_DEVICES_MAX)
        return false;
    for (unsigned word = 0; word < 2; word++)
        for (uint64_t bits = gate->yield[word]; bits; bits &= bits - 1) {
            unsigned number = 64 * word + (unsigned)__builtin_ctzll(bits);

            if (line_is_busy(&signals->lines[gate->signal_device][number], number, now_ns))
                return true;
        }
    return false;
}
