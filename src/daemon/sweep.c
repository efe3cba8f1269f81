/* Reap requests; see sweep.h. All requests that came in one turn of the loop share one look at the processes
 * of their instance, so a tenant that asks all the time costs others at most that one look a turn. Nothing
 * here waits: who has to is kept in a list, and is answered by the end of the process he waits for, or by one
 * timer. */
#include "daemon/sweep.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/attach.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "daemon/linger.h"
#include "daemon/process.h"
#include "daemon/reaper.h"

static void sweep_run(uv_timer_t *timer);

/* ---- which processes are exiting ---- */

/* Whether the end of a process is worth waiting for. A first thread that has ended while others go on looks
 * like the end of the process, so one of those is waited for once only. */
static bool is_exiting(struct client *client, uint64_t now_ns)
{
    struct process_stat stat;

    if (client->who.process.pid <= 0 || !process_stat(client->who.process.pid, &stat) || !stat.exiting)
        return false;
    if (!client->exiting_since_ns)
        client->exiting_since_ns = now_ns;
    return stat.state != 'Z' || now_ns - client->exiting_since_ns < SWEEP_WAIT_MS * NS_PER_MS;
}

/* Takes back what the dead hold, and sees who of the others is exiting. */
static void instance_look(struct instance *instance, uint64_t now_ns)
{
    if (reaper_reap_dead(instance))
        instance_save_later(instance);
    for (struct client *c = instance->clients; c; c = c->next)
        c->exiting = !c->dead && is_exiting(c, now_ns);
}

static bool has_exiting(const struct instance *instance)
{
    for (const struct client *c = instance->clients; c; c = c->next)
        if (c->exiting && !c->dead)
            return true;
    return false;
}

/* Until when the answer to a request must wait, 0: it need not. What lingers takes a look at the device, so
 * it is given more time than the end of a process. */
static uint64_t waits_until_ns(const struct sweep *sweep)
{
    if (linger_is_any(sweep->instance))
        return sweep->deadline_ns + (SWEEP_LINGER_MS - SWEEP_WAIT_MS) * NS_PER_MS;
    return has_exiting(sweep->instance) ? sweep->deadline_ns : 0;
}

/* ---- the list ---- */

static void sweep_unlink(struct daemon *daemon, struct sweep *sweep)
{
    struct sweep **at = &daemon->sweeps;

    while (*at != sweep)
        at = &(*at)->next;
    *at = sweep->next;
    *sweep = (struct sweep){0};
}

static void sweep_answer(struct daemon *daemon, struct sweep *sweep)
{
    struct conn *conn = sweep->conn;
    uint64_t n_reaped = sweep->instance->reaped_total - sweep->reaped_before;
    struct control_reaped reaped = {.reaped = n_reaped > UINT32_MAX ? UINT32_MAX : (uint32_t)n_reaped};

    sweep_unlink(daemon, sweep);
    conn_answer_reaped(conn, &reaped);
}

/* Answers those of an instance (of all when NULL) who need not wait any longer, and sets the timer for the
 * others. */
static void answer_due(struct daemon *daemon, const struct instance *instance, uint64_t now_ns)
{
    uint64_t first_ns = UINT64_MAX;

    for (struct sweep *s = daemon->sweeps, *next; s; s = next) {
        bool meant = !instance || s->instance == instance;
        uint64_t until_ns = s->deadline_ns ? waits_until_ns(s) : 0;

        next = s->next;
        if (meant && s->deadline_ns && now_ns >= until_ns)
            sweep_answer(daemon, s);
        else if (until_ns < first_ns)
            first_ns = until_ns;
    }
    if (first_ns == UINT64_MAX)
        uv_timer_stop(&daemon->sweep_timer);
    else
        uv_timer_start(&daemon->sweep_timer, sweep_run,
                       first_ns > now_ns ? (first_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS : 0, 0);
}

static void sweep_run(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    uint64_t now_ns = clock_monotonic_ns();

    for (struct sweep *s = daemon->sweeps; s; s = s->next) {
        if (s->deadline_ns)
            continue;
        instance_look(s->instance, now_ns);
        for (struct sweep *same = s; same; same = same->next)
            if (same->instance == s->instance && !same->deadline_ns)
                same->deadline_ns = now_ns + SWEEP_WAIT_MS * NS_PER_MS;
    }
    answer_due(daemon, NULL, now_ns);
    instance_settle_all(daemon);
}

/* ---- what others call ---- */

void sweep_init(struct daemon *daemon)
{
    uv_timer_init(&daemon->loop, &daemon->sweep_timer);
    daemon->sweep_timer.data = daemon;
}

void sweep_receive(struct conn *conn, const void *body, size_t bytes)
{
    struct daemon *daemon = conn->daemon;
    struct sweep **at = &daemon->sweeps;
    struct control_reap request;
    struct instance *instance;
    struct error err = {0};

    if (bytes < sizeof(request)) {
        error_fail(&err, -EBADMSG, "a reap request has at least %zu bytes, this one has %zu", sizeof(request),
                   bytes);
        conn_answer_error(conn, &err);
        return;
    }
    memcpy(&request, body, sizeof(request)); /* a later minor version may have added fields behind */
    instance = attach_find(conn, request.instance, &err);
    if (!instance) {
        conn_answer_error(conn, &err);
        return;
    }
    while (*at)
        at = &(*at)->next;
    conn->sweep = (struct sweep){.conn = conn, .instance = instance, .reaped_before = instance->reaped_total};
    *at = &conn->sweep;
    uv_timer_start(&daemon->sweep_timer, sweep_run, 0, 0);
}

void sweep_client_ended(struct instance *instance)
{
    if (instance->daemon->sweeps)
        answer_due(instance->daemon, instance, clock_monotonic_ns());
}

void sweep_instance_ended(struct instance *instance)
{
    struct daemon *daemon = instance->daemon;

    for (struct sweep *s = daemon->sweeps, *next; s; s = next) {
        next = s->next;
        if (s->instance == instance)
            sweep_answer(daemon, s);
    }
}

void sweep_forget(struct daemon *daemon, struct conn *conn)
{
    if (conn->sweep.conn)
        sweep_unlink(daemon, &conn->sweep);
}
