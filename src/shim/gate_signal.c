/* Reading and writing signals; see gate_signal.h. */
#include "shim/gate_signal.h"

#include <pthread.h>
#include <stddef.h>

#include "base/clock.h"
#include "meter/pauses.h"
#include "shim/rejoin.h"

/* A count that has not changed for so long is of somebody who polls, or whose kernel is long: then he has no
 * claim to be waited for. */
#define STILL_NS (UINT64_C(50) * NS_PER_MS)

/* What was seen of a line, by any thread of this process. */
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    uint64_t begun, changed_ns;
    struct pauses pauses;
} seen[LEDGER_SIGNALS_MAX];

static struct ledger_signal *own_line(struct ledger_client *client, int device)
{
    struct ledger_signals *signals = ledger_client_signals(client);
    const struct ledger_slot *slot = ledger_own_slot(client);
    struct ledger_gate gate;
    uint32_t line;

    if (!signals || !slot)
        return NULL;
    line = __atomic_load_n(&slot->signal_line, __ATOMIC_RELAXED);
    if (!ledger_client_may_signal(client)) {
        if (line != LEDGER_NO_SLOT) /* the instance was of the lowest priority when it attached */
            rejoin_slow(client, clock_coarse_ns());
        return NULL;
    }
    if (line >= LEDGER_SIGNALS_MAX || !ledger_gate_read(client, (unsigned)device, &gate) ||
        gate.signal_device >= LEDGER_SIGNAL_DEVICES_MAX)
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

static bool line_is_busy_locked(const struct ledger_signal *line, unsigned number, uint64_t now_ns)
{
    uint64_t begun = __atomic_load_n(&line->begun, __ATOMIC_ACQUIRE);

    if (begun == __atomic_load_n(&line->ended, __ATOMIC_ACQUIRE))
        return false;
    if (seen[number].begun != begun) {
        seen[number].begun = begun;
        seen[number].changed_ns = now_ns;
        return true;
    }
    return now_ns - seen[number].changed_ns < STILL_NS;
}

enum gate_signal gate_signal_look(struct ledger_client *client, const struct ledger_gate *gate,
                                  uint64_t work_ns, uint64_t now_ns)
{
    const struct ledger_signals *signals = ledger_client_signals(client);
    enum gate_signal found = GATE_SIGNAL_FREE;

    if (!signals || gate->signal_device >= LEDGER_SIGNAL_DEVICES_MAX)
        return found;
    pthread_mutex_lock(&seen_lock);
    for (unsigned word = 0; word < 2; word++)
        for (uint64_t bits = gate->yield[word]; bits; bits &= bits - 1) {
            unsigned number = 64 * word + (unsigned)__builtin_ctzll(bits);
            bool is_busy = line_is_busy_locked(&signals->lines[gate->signal_device][number], number, now_ns);

            pauses_look(&seen[number].pauses, is_busy, now_ns);
            if (is_busy)
                found = GATE_SIGNAL_BUSY;
            else if (found == GATE_SIGNAL_FREE && !pauses_have_room(&seen[number].pauses, work_ns, now_ns))
                found = GATE_SIGNAL_SHORT;
        }
    pthread_mutex_unlock(&seen_lock);
    return found;
}

void gate_signal_reset_in_child(void)
{
    seen_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}
