/* A tenant process's view of its gates and of the time its instance used. Reading a gate is the reader's half
 * of a sequence lock whose writer, vgpud, may be killed at any instruction: so it is tried a few times and
 * then given up. */
#include <string.h>

#include "ledger/client.h"
#include "ledger/word.h"

enum { READ_ATTEMPTS = 64 };

bool ledger_gate_read(const struct ledger_client *client, unsigned device, struct ledger_gate *ret_gate)
{
    const struct ledger_gate *gate = &client->limits->gates[device];

    for (int attempt = 0; device < client->n_devices && attempt < READ_ATTEMPTS; attempt++) {
        uint32_t before = __atomic_load_n(&gate->sequence, __ATOMIC_ACQUIRE);
        uint64_t copy[sizeof(*gate) / sizeof(uint64_t)];

        for (size_t i = 0; i < sizeof(copy) / sizeof(*copy); i++)
            copy[i] = __atomic_load_n((const uint64_t *)(const void *)gate + i, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (before % 2 == 0 && __atomic_load_n(&gate->sequence, __ATOMIC_RELAXED) == before) {
            memcpy(ret_gate, copy, sizeof(*ret_gate));
            return true;
        }
    }
    return false;
}

const uint32_t *ledger_gate_word(const struct ledger_client *client, unsigned device)
{
    return device < client->n_devices ? &client->limits->gates[device].sequence : NULL;
}

struct ledger_account *ledger_time_account(struct ledger_client *client, unsigned device)
{
    return client_can_take(client, device) ? &client->ledger->accounts[device] : NULL;
}

struct ledger_slot *ledger_own_slot(struct ledger_client *client)
{
    return client->slot == LEDGER_OBSERVER ? NULL : &client->ledger->slots[client->slot];
}

uint32_t ledger_own_slot_index(const struct ledger_client *client)
{
    return client->slot;
}

struct ledger_signals *ledger_client_signals(const struct ledger_client *client)
{
    return __atomic_load_n(&client->signals, __ATOMIC_ACQUIRE);
}

bool ledger_client_may_signal(const struct ledger_client *client)
{
    return __atomic_load_n(&client->may_signal, __ATOMIC_RELAXED);
}

unsigned ledger_device_count(const struct ledger_client *client)
{
    return client->n_devices;
}

uint32_t ledger_tick_seen(const struct ledger_client *client)
{
    return (uint32_t)ledger_load(&client->limits->tick);
}

uint64_t ledger_heartbeat_ns(const struct ledger_client *client)
{
    return ledger_load(&client->limits->heartbeat_ns);
}

void ledger_note_set(struct ledger_note *note, uint64_t time_ns, enum ledger_why why, uint32_t slot,
                     const char *call, uint64_t amount, uint64_t used, uint64_t limit)
{
    struct ledger_note made = {
        .time_ns = time_ns, .amount = amount, .used = used, .limit = limit, .why = why, .slot = slot};
    uint64_t words[sizeof(made) / sizeof(uint64_t)];

    strncpy(made.call, call, sizeof(made.call) - 1);
    memcpy(words, &made, sizeof(words));
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        __atomic_store_n((uint64_t *)(void *)note + i, words[i], __ATOMIC_RELAXED);
}
