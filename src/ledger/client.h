/* What a client of the account is made of. Private to src/ledger: client.c makes it, moving.c and shared.c
 * act in its name too. */
#ifndef VGPU_LEDGER_CLIENT_H
#define VGPU_LEDGER_CLIENT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger/ledger.h"

struct device_lock {
    pthread_mutex_t mutex;
} __attribute__((aligned(LEDGER_LINE_BYTES)));

struct ledger_client {
    const struct ledger_limits *limits;
    struct ledger *ledger;
    struct ledger_signals *signals; /* NULL: none */
    bool may_signal;
    size_t limits_bytes, ledger_bytes;
    uint32_t slot;
    unsigned n_devices;
    struct device_lock locks[LEDGER_DEVICES_MAX]; /* this process's operations on a device, one at a time */
    pthread_mutex_t shared_lock;                  /* its acts on shared objects; taken before a device's */
};

/* An observer takes nothing. */
static inline bool client_can_take(const struct ledger_client *client, unsigned device)
{
    return device < client->n_devices && client->slot != LEDGER_OBSERVER;
}

#endif
