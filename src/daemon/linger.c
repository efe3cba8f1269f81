/* Waiting for drivers to let go of what the dead held; see linger.h. All who wait for one kind of device
 * share one look, and one timer ends the wait of those for whom looks do not help. */
#include "daemon/linger.h"

#include <string.h>

#include "base/clock.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "daemon/reaper.h"
#include "daemon/say.h"
#include "daemon/sweep.h"

/* Beside the kinds of devices: only the deadline ends the wait. */
enum { LINGER_UNSEEN = 1 << INVENTORY_KINDS };

static void timer_run(uv_timer_t *timer);

/* It may hold something: in its own row, or of the instance's shared objects. */
static bool may_hold(const struct client *client, unsigned d)
{
    const struct ledger *ledger = client->instance->areas.ledger;

    return __atomic_load_n(&ledger->slots[client->who.slot].devices[d].row.applied.value, __ATOMIC_RELAXED) ||
           ledger_shared_read(ledger, NULL, 0);
}

/* Kinds of the devices on which the client holds something and whose driver tells who uses them. */
static unsigned kinds_to_ask(const struct client *client)
{
    const struct daemon *daemon = client->instance->daemon;
    unsigned kinds = 0;

    if (client->who.slot == REAPER_NO_SLOT || client->instance->orphaned || client->who.process.pid <= 0)
        return 0;
    for (unsigned d = 0; d < client->instance->facts.n_devices; d++) {
        int number = inventory_find(&daemon->inventory, client->instance->facts.devices[d].uuid);

        if (number < 0 &&
            may_hold(client, d)) /* a vgpud that was started anew may not know its drivers yet */
            kinds |= LINGER_UNSEEN;
        if (number >= 0 && may_hold(client, d)) {
            enum inventory_kind kind = inventory_at(&daemon->inventory, (unsigned)number)->kind;

            if (reconcile_can_tell(daemon, kind))
                kinds |= 1u << kind;
        }
    }
    return kinds;
}

static void timer_begin(struct daemon *daemon)
{
    if (!uv_is_active((uv_handle_t *)&daemon->linger_timer))
        uv_timer_start(&daemon->linger_timer, timer_run, LINGER_MS, 0);
}

bool linger_begin(struct client *client)
{
    struct daemon *daemon = client->instance->daemon;

    client->linger_kinds = kinds_to_ask(client);
    if (!client->linger_kinds)
        return false;
    client->ended_ns = clock_monotonic_ns();
    for (unsigned kind = 0; kind < INVENTORY_KINDS; kind++)
        if (client->linger_kinds & (1u << kind))
            reconcile_ask(daemon, kind);
    timer_begin(daemon);
    return true;
}

void linger_begin_unseen(struct client *client)
{
    uv_poll_stop(&client->watch);
    client->dead = true;
    client->instance->n_clients--;
    client->linger_kinds = LINGER_UNSEEN;
    client->ended_ns = clock_monotonic_ns();
    timer_begin(client->instance->daemon);
}

/* The client need not wait any longer. */
static void linger_end(struct client *client)
{
    struct instance *instance = client->instance;

    client->linger_kinds = 0;
    reaper_finish(client);
    instance_save_later(instance);
    sweep_client_ended(instance);
}

/* Visits every client that waits; visit may end it. */
static void each(struct daemon *daemon, void (*visit)(struct client *client, void *argument), void *argument)
{
    for (struct instance *i = daemon->instances; i; i = i->next)
        for (struct client *c = i->clients, *next; c; c = next) {
            next = c->next;
            if (c->linger_kinds)
                visit(c, argument);
        }
}

static void look_at(struct client *client, void *argument)
{
    struct daemon *daemon = client->instance->daemon;
    enum inventory_kind kind = *(const enum inventory_kind *)argument;

    if (!(client->linger_kinds & (1u << kind)))
        return;
    if (daemon->reconcile.begun_ns[kind] < client->ended_ns ||
        reconcile_finds(daemon, kind, client->who.process.pid)) {
        reconcile_ask(daemon, kind);
        return;
    }
    client->linger_kinds &= ~(1u << kind);
    if (!client->linger_kinds)
        linger_end(client);
}

void linger_receive(struct daemon *daemon, enum inventory_kind kind)
{
    each(daemon, look_at, &kind);
}

struct deadline {
    uint64_t now_ns, next_ns;
};

static void look_at_clock(struct client *client, void *argument)
{
    struct deadline *deadline = argument;
    uint64_t due_ns = client->ended_ns + LINGER_MS * NS_PER_MS;

    if (due_ns > deadline->now_ns) {
        deadline->next_ns = due_ns < deadline->next_ns ? due_ns : deadline->next_ns;
        return;
    }
    if (!(client->linger_kinds & LINGER_UNSEEN))
        say("instance %s: the driver still shows process %d, which ended %d ms ago; what it held is given "
            "back all the same",
            client->instance->facts.id, client->who.process.pid, LINGER_MS);
    linger_end(client);
}

static void timer_run(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    struct deadline deadline = {.now_ns = clock_monotonic_ns(), .next_ns = UINT64_MAX};

    each(daemon, look_at_clock, &deadline);
    if (deadline.next_ns != UINT64_MAX)
        uv_timer_start(&daemon->linger_timer, timer_run, (deadline.next_ns - deadline.now_ns) / NS_PER_MS + 1,
                       0);
    instance_settle_all(daemon);
}

bool linger_is_any(const struct instance *instance)
{
    for (const struct client *c = instance->clients; c; c = c->next)
        if (c->linger_kinds)
            return true;
    return false;
}

void linger_init(struct daemon *daemon)
{
    uv_timer_init(&daemon->loop, &daemon->linger_timer);
    daemon->linger_timer.data = daemon;
}
