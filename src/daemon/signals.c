/* Lines of the signals area; see signals.h. A process has the same line on all devices of its instance. */
#include "daemon/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "daemon/keeping.h"
#include "daemon/share.h"

static int take_over(struct daemon *daemon, struct error *err)
{
    struct kept *kept = keeping_find(daemon, KEEPER_SIGNALS);
    int r = kept && kept->n_fds == 1 ? 0 : -ENOENT;

    if (r == 0)
        r = ledger_signals_adopt(kept->fds[0], &daemon->signals.area, err);
    if (r < 0)
        return r;
    daemon->signals.fd = kept->fds[0];
    daemon->signals.is_kept = kept->used = true;
    kept->fds[0] = -1;
    return 0;
}

int signals_open(struct daemon *daemon, struct error *err)
{
    struct signals *signals = &daemon->signals;
    char path[40];

    if (take_over(daemon, err) < 0) {
        int r = ledger_signals_new(&signals->fd, &signals->area, err);

        if (r < 0)
            return r;
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", signals->fd);
    signals->read_fd = open(path, O_RDONLY | O_CLOEXEC);
    return signals->read_fd >= 0
               ? 0
               : error_fail(err, -errno, "the signals area cannot be opened for reading: %s",
                            strerror(errno));
}

/* Nobody waits for the lowest, nor for fixed shares; but of those vgpud wants to know whether they have work
 * under way. */
static bool needs_lines(const struct instance *instance)
{
    return !instance->orphaned &&
           (instance->facts.policy == LEDGER_FIXED_SHARE || instance->facts.priority > LEDGER_PRIORITY_LOW);
}

int signals_descriptor(const struct instance *instance)
{
    const struct signals *signals = &instance->daemon->signals;

    return needs_lines(instance) ? signals->fd : signals->read_fd;
}

static uint64_t *taken_word(struct signals *signals, const struct instance *instance, unsigned d,
                            uint32_t line)
{
    return &signals->taken[instance->tenants[d].device][line / 64];
}

/* A line that is free on all devices of the instance, now taken; LEDGER_NO_SLOT: none is. */
static uint32_t line_take(struct signals *signals, const struct instance *instance)
{
    for (unsigned word = 0; word < SIGNALS_WORDS; word++) {
        uint64_t taken = 0;
        uint32_t line;

        for (unsigned d = 0; d < instance->facts.n_devices; d++)
            taken |= *taken_word(signals, instance, d, word * 64);
        if (!~taken)
            continue;
        line = word * 64 + (uint32_t)__builtin_ctzll(~taken);
        for (unsigned d = 0; d < instance->facts.n_devices; d++)
            *taken_word(signals, instance, d, line) |= UINT64_C(1) << line % 64;
        return line;
    }
    return LEDGER_NO_SLOT;
}

void signals_restore(struct client *client, uint32_t line)
{
    struct instance *instance = client->instance;
    struct signals *signals = &instance->daemon->signals;
    uint64_t bit = UINT64_C(1) << line % 64;

    if (line >= LEDGER_SIGNALS_MAX || !needs_lines(instance))
        return;
    for (unsigned d = 0; d < instance->facts.n_devices; d++)
        if (*taken_word(signals, instance, d, line) & bit)
            return;
    for (unsigned d = 0; d < instance->facts.n_devices; d++)
        *taken_word(signals, instance, d, line) |= bit;
    client->signal_line = line;
    ledger_slot_signal_set(&instance->areas, client->who.slot, line);
}

void signals_settle(struct instance *instance)
{
    struct signals *signals = &instance->daemon->signals;

    if (!needs_lines(instance))
        return;
    for (struct client *c = instance->clients; c; c = c->next) {
        if (c->dead || c->who.slot == LEDGER_NO_SLOT || c->signal_line != LEDGER_NO_SLOT)
            continue;
        c->signal_line = line_take(signals, instance);
        ledger_slot_signal_set(&instance->areas, c->who.slot, c->signal_line);
    }
    share_lines_changed(instance);
}

void signals_release(struct client *client)
{
    const struct instance *instance = client->instance;
    struct signals *signals = &instance->daemon->signals;
    uint32_t line = client->signal_line;

    if (line == LEDGER_NO_SLOT)
        return;
    client->signal_line = LEDGER_NO_SLOT;
    for (unsigned d = 0; d < instance->facts.n_devices; d++) {
        *taken_word(signals, instance, d, line) &= ~(UINT64_C(1) << line % 64);
        ledger_signal_clear(signals->area, instance->tenants[d].device, line);
    }
    share_lines_changed(instance);
}
