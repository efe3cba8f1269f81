/* Watching clients by pidfd; see reaper.h. */
#include "daemon/reaper.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdpass.h"
#include "daemon/daemon.h"
#include "daemon/grant.h"
#include "daemon/linger.h"
#include "daemon/say.h"
#include "daemon/sweep.h"

static void client_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;

    close(client->pidfd);
    free(client);
}

static void client_unlink(struct client *client)
{
    struct client **at = &client->instance->clients;

    while (*at != client)
        at = &(*at)->next;
    *at = client->next;
    instance_client_leaves(client);
}

/* Gives back what a dead client held. False when the ledger was kept too busy: the client stays in the list,
 * to try again. */
static bool client_reap(struct client *client)
{
    struct instance *instance = client->instance;

    if (client->who.slot != REAPER_NO_SLOT && ledger_slot_reap(&instance->areas, client->who.slot, NULL) < 0)
        return false;
    instance->reaped_total += client->who.slot != REAPER_NO_SLOT;
    client_unlink(client);
    uv_close((uv_handle_t *)&client->watch, client_closed);
    return true;
}

/* replaced: its process lives on with another program, so the driver cannot be asked for it. */
static void client_retire(struct client *client, bool replaced)
{
    struct instance *instance = client->instance;

    uv_poll_stop(&client->watch);
    client->dead = true;
    signals_release(client);
    instance->n_clients--;
    if (!replaced && linger_begin(client))
        return;
    reaper_finish(client);
}

void reaper_finish(struct client *client)
{
    const struct instance *instance = client->instance;

    if (!client_reap(client))
        say("instance %s: the ledger was kept busy while process %d was reaped; trying again",
            instance->facts.id, client->who.process.pid);
}

static void client_ended(uv_poll_t *watch, int status, int events)
{
    struct client *client = watch->data;
    struct instance *instance = client->instance;

    client_retire(client, false);
    instance_save_later(instance);
    sweep_client_ended(instance);
    instance_settle(instance);
}

int reaper_watch(struct instance *instance, int pidfd, const struct state_client *who)
{
    struct client *client = calloc(1, sizeof(*client));
    int r = client ? uv_poll_init(&instance->daemon->loop, &client->watch, pidfd) : UV_ENOMEM;

    if (r < 0) {
        close(pidfd);
        free(client);
        return r;
    }
    client->instance = instance;
    client->who = *who;
    client->pidfd = pidfd;
    client->signal_line = LEDGER_NO_SLOT;
    client->watch.data = client;
    client->next = instance->clients;
    instance->clients = client;
    instance->n_clients++;
    return uv_poll_start(&client->watch, UV_READABLE,
                         client_ended); /* fails only on a handle that is closing */
}

int reaper_watch_peer(struct client *client, int sock)
{
    struct instance *instance = client->instance;
    struct state_client who = client->who;
    int pidfd = fdpass_peer_pidfd(sock), r = pidfd < 0 ? pidfd : reaper_watch(instance, pidfd, &who);

    if (r < 0)
        return r;
    instance->clients->rejoined = true;
    uv_poll_stop(&client->watch);
    client_unlink(client);
    instance->n_clients--;
    uv_close((uv_handle_t *)&client->watch, client_closed);
    return 0;
}

void reaper_replace(struct instance *instance, const struct state_client *who)
{
    for (struct client *c = instance->clients, *next; c; c = next) {
        bool same =
            c->who.process.pid == who->process.pid && c->who.process.start_ticks == who->process.start_ticks;

        next = c->next;
        if (!c->dead && who->process.pid && same && c->who.image && who->image && c->who.image != who->image)
            client_retire(c, true);
    }
}

int reaper_open(struct state_process process)
{
    uint64_t start_ticks;
    int fd;

    if (process.pid <= 0)
        return -ESRCH;
    fd = (int)syscall(SYS_pidfd_open, process.pid, 0);
    if (fd < 0)
        return -errno;
    /* The descriptor now pins whichever process has the pid: see that it is the one meant. */
    if (clock_process_start(process.pid, &start_ticks) < 0 || start_ticks != process.start_ticks ||
        poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) != 0) {
        close(fd);
        return -ESRCH;
    }
    return fd;
}

unsigned reaper_signal(const struct instance *instance, int signal_number)
{
    unsigned n = 0;

    for (const struct client *c = instance->clients; c; c = c->next)
        n += !c->dead && syscall(SYS_pidfd_send_signal, c->pidfd, signal_number, NULL, 0) == 0;
    return n;
}

void reaper_retry(struct instance *instance)
{
    for (struct client *c = instance->clients, *next; c; c = next) {
        next = c->next;
        if (c->dead && !c->linger_kinds)
            client_reap(c);
    }
}

unsigned reaper_reap_dead(struct instance *instance)
{
    unsigned n = 0;

    for (struct client *c = instance->clients, *next; c; c = next) {
        next = c->next;
        if (c->linger_kinds)
            continue;
        if (c->dead) {
            client_reap(c);
        } else if (poll(&(struct pollfd){.fd = c->pidfd, .events = POLLIN}, 1, 0) > 0) {
            client_retire(c, false);
            n++;
        }
    }
    return n;
}

void reaper_forget_all(struct instance *instance)
{
    while (instance->clients) {
        struct client *client = instance->clients;

        instance->clients = client->next;
        signals_release(client);
        uv_close((uv_handle_t *)&client->watch, client_closed);
    }
    instance->n_clients = 0;
}
