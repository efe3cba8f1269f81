/* Instances across a crash of vgpud: saving them after every change, and bringing back those whose processes
 * still live. A crash takes the ledger along, so what comes back is an orphan: its reservation stands while
 * its processes may hold memory, and nobody new may join, because what it uses cannot be known any more. */
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "daemon/memory.h"
#include "daemon/reaper.h"
#include "daemon/say.h"

/* A record of the instance as it is now; its clients array is for the caller to free. -ENOMEM. */
static int record(const struct instance *instance, struct state_instance *ret_record)
{
    struct state_instance made = instance->facts;

    made.n_clients = 0;
    made.clients = calloc(instance->n_clients + 1, sizeof(*made.clients));
    if (!made.clients)
        return -ENOMEM;
    for (const struct client *c = instance->clients; c; c = c->next)
        if (!c->dead)
            made.clients[made.n_clients++] = c->who.process;
    *ret_record = made;
    return 0;
}

static int save_all(const struct daemon *daemon)
{
    struct state state = {.n_instances = 0};
    json_t *document;
    int r = -ENOMEM;

    snprintf(state.boot_id, sizeof(state.boot_id), "%s", daemon->boot_id);
    state.instances = calloc(daemon->n_instances + 1, sizeof(*state.instances));
    if (!state.instances)
        return r;
    for (const struct instance *i = daemon->instances; i; i = i->next, state.n_instances++)
        if (record(i, &state.instances[state.n_instances]) < 0)
            goto done;
    document = state_encode(&state);
    r = state_save(daemon->state_path, document);
    json_decref(document);
done:
    state_free(&state);
    return r;
}

void instance_save_all(struct daemon *daemon)
{
    bool failed = memory_failed();
    int r = save_all(daemon);

    memory_set_failed(failed); /* that it was not saved is said here, and is no matter of an answer */
    if (r < 0 && r != daemon->save_error) /* a full disk is worth one line, not one a change */
        say("cannot save %s: %s; should vgpud crash now, running instances would be forgotten",
            daemon->state_path, strerror(-r));
    daemon->save_error = r;
}

/* Brings one record back when a process of it still lives. */
static void restore(struct daemon *daemon, const struct state_instance *facts)
{
    struct instance *instance = instance_link(daemon, facts);
    unsigned n_lost = 0;

    if (!instance)
        return;
    instance->orphaned = true;
    for (size_t i = 0; i <= facts->n_clients; i++) { /* the last round is for the holder of the lease */
        struct client_identity who = {.process = i < facts->n_clients ? facts->clients[i] : facts->holder,
                                      .slot = REAPER_NO_SLOT};
        int pidfd = reaper_open(who.process);

        if (pidfd >= 0 && reaper_watch(instance, pidfd, &who) < 0)
            n_lost++;
    }
    if (n_lost)
        say("instance %s: %u of its processes cannot be watched", facts->id, n_lost);
    if (instance->n_clients)
        say("instance %s (%s) is orphaned: %u of its processes outlived the last vgpud; its memory stays "
            "reserved until they end",
            facts->id, facts->name, instance->n_clients);
    instance_settle(instance);
}

/* Moves a state file that cannot be used out of the way, and says so. */
static void set_aside(const char *path, const struct error *err)
{
    char aside[PATH_MAX];

    if ((size_t)snprintf(aside, sizeof(aside), "%s.aside", path) >= sizeof(aside) || rename(path, aside) < 0)
        say("state file %s is not usable (%s) and cannot be renamed: %s", path, err->text, strerror(errno));
    else
        say("state file %s is not usable (%s); set aside as %s", path, err->text, aside);
}

void instance_load_all(struct daemon *daemon)
{
    struct state state;
    struct error err = {0};
    int r = state_load(daemon->state_path, &state, &err);

    if (r == -ENOENT)
        return;
    if (r < 0) {
        set_aside(daemon->state_path, &err);
        return;
    }
    if (!strcmp(state.boot_id, daemon->boot_id)) {
        for (size_t i = 0; i < state.n_instances; i++)
            restore(daemon, &state.instances[i]);
    }
    state_free(&state);
    instance_save_all(daemon);
}
