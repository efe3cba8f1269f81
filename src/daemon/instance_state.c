/* Saving instances: a file each (state.h), at once where the next vgpud could not do without, else gathered
 * for a moment. Reading them is instance_restore.c's. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/paths.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "daemon/memory.h"
#include "daemon/say.h"

enum { SAVE_LATER_MS = 500 };

int instance_state_dir(const struct daemon *daemon)
{
    return paths_make_private_dir(daemon->state_dir);
}

int instance_state_path(const struct daemon *daemon, const char *id, char *buf, size_t buf_bytes)
{
    return (size_t)snprintf(buf, buf_bytes, "%s/%s.json", daemon->state_dir, id) < buf_bytes ? 0
                                                                                             : -ENAMETOOLONG;
}

/* The instance as it is now. The dead whose slots are not reaped yet are in it too: the next vgpud reaps
 * them. */
static json_t *encode(const struct instance *instance)
{
    struct state_instance record = instance->facts;
    size_t room = 1;
    json_t *document;

    for (const struct client *c = instance->clients; c; c = c->next)
        room++;
    record.n_clients = 0;
    record.clients = calloc(room, sizeof(*record.clients));
    if (!record.clients)
        return NULL;
    for (const struct client *c = instance->clients; c; c = c->next)
        if (c->who.slot != LEDGER_NO_SLOT || instance->orphaned) {
            record.clients[record.n_clients] = c->who;
            record.clients[record.n_clients++].signal_line = c->signal_line;
        }
    document = state_encode(&record, instance->daemon->boot_id);
    state_done(&record);
    return document;
}

static int save(const struct instance *instance)
{
    char path[PATH_MAX];
    json_t *document;
    int r = instance_state_path(instance->daemon, instance->facts.id, path, sizeof(path));

    if (r < 0)
        return r;
    document = encode(instance);
    r = state_save(path, document);
    if (r == -ENOENT && instance_state_dir(instance->daemon) == 0) /* somebody tidied up */
        r = state_save(path, document);
    json_decref(document);
    return r;
}

void instance_save(struct instance *instance)
{
    struct daemon *daemon = instance->daemon;
    bool failed = memory_failed();
    int r = save(instance);

    instance->is_unsaved = r < 0;
    for (struct client *c = instance->clients; c; c = c->next)
        c->is_saved = true;
    memory_set_failed(failed); /* that it was not saved is said here, and is no matter of an answer */
    if (r < 0 && r != daemon->save_error) /* a full disk is worth one line, not one a change */
        say("cannot save %s/%s.json: %s; should vgpud crash now, running instances would be forgotten",
            daemon->state_dir, instance->facts.id, strerror(-r));
    daemon->save_error = r;
}

/* Whether the file would tell anything new. */
static bool is_behind(const struct instance *instance)
{
    for (const struct client *c = instance->clients; c; c = c->next)
        if (!c->is_saved)
            return true;
    return instance->is_unsaved;
}

static void save_unsaved(uv_timer_t *timer)
{
    const struct daemon *daemon = timer->data;

    for (struct instance *i = daemon->instances; i; i = i->next) {
        if (i->is_to_save && is_behind(i))
            instance_save(i);
        i->is_to_save = false;
    }
}

void instance_save_later(struct instance *instance)
{
    uv_timer_t *timer = &instance->daemon->save_timer;

    instance->is_to_save = true;
    if (!uv_is_active((uv_handle_t *)timer))
        uv_timer_start(timer, save_unsaved, SAVE_LATER_MS, 0);
}

void instance_save_client(struct instance *instance)
{
    const struct client *c = instance->clients;

    while (c && (!c->is_saved || c->dead))
        c = c->next;
    if (c)
        instance_save_later(instance);
    else
        instance_save(instance);
}

void instance_client_leaves(const struct client *client)
{
    client->instance->is_unsaved |= client->is_saved;
}

void instance_forget_state(const struct instance *instance)
{
    char path[PATH_MAX];

    if (instance_state_path(instance->daemon, instance->facts.id, path, sizeof(path)) == 0)
        unlink(path);
}
