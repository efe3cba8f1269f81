/* The instances that exist; see instance.h. Who may have one and how much is grant.c's; processes are
 * reaper.c's; how one is stopped is stop.c's. */
#include "daemon/instance.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/daemon.h"
#include "daemon/grant.h"
#include "daemon/keeping.h"
#include "daemon/reaper.h"
#include "daemon/say.h"
#include "daemon/share.h"
#include "daemon/signals.h"
#include "daemon/sweep.h"

bool instance_name_ok(const char *text)
{
    size_t n = strlen(text);

    if (!n || n >= STATE_NAME_MAX || !isalnum((unsigned char)text[0]))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("_.-", text[i]))
            return false;
    return true;
}

/* A random id, so that none is ever used twice, across restarts of vgpud too. */
static int make_id(char id[STATE_NAME_MAX])
{
    uint8_t bytes[6];

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return -EIO;
    id += sprintf(id, "v");
    for (size_t i = 0; i < sizeof(bytes); i++)
        id += sprintf(id, "%02x", bytes[i]);
    return 0;
}

static uint64_t unix_ms(void)
{
    uv_timeval64_t now = {0};

    uv_gettimeofday(&now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_usec / 1000;
}

/* Where an instance of that id begins to be looked for: tenants name theirs by id at each attach. */
static struct instance **bucket_of(struct daemon *daemon, const char *id)
{
    uint32_t hash = 2166136261; /* FNV-1a */

    for (; *id; id++)
        hash = (hash ^ (unsigned char)*id) * 16777619;
    return &daemon->instances_by_id[hash % DAEMON_BUCKETS];
}

struct instance *instance_find_by_id(const struct daemon *daemon, const char *id)
{
    struct instance *instance = *bucket_of((struct daemon *)daemon, id);

    while (instance && strcmp(instance->facts.id, id))
        instance = instance->next_by_id;
    return instance;
}

struct instance *instance_link(struct daemon *daemon, const struct state_instance *facts)
{
    struct instance *instance = calloc(1, sizeof(*instance)), **at = &daemon->instances;

    if (!instance)
        return NULL;
    while (*at) /* at the end: lists show the oldest first */
        at = &(*at)->next;
    *at = instance;
    instance->daemon = daemon;
    instance->sequence = ++daemon->last_sequence;
    instance->facts = *facts;
    instance->facts.sequence = instance->sequence;
    at = bucket_of(daemon, facts->id);
    instance->next_by_id = *at;
    *at = instance;
    instance->facts.clients = NULL;
    instance->facts.n_clients = 0;
    uv_timer_init(&daemon->loop, &instance->grace);
    instance->grace.data = instance;
    daemon->n_instances++;
    daemon_instances_changed(daemon);
    return instance;
}

static void instance_closed(uv_handle_t *grace)
{
    free(grace->data);
}

/* Takes an instance out of the daemon's list and frees what it has. */
static void instance_drop(struct instance *instance)
{
    struct daemon *daemon = instance->daemon;
    struct instance **at = &daemon->instances;

    while (*at != instance)
        at = &(*at)->next;
    *at = instance->next;
    for (at = bucket_of(daemon, instance->facts.id); *at != instance; at = &(*at)->next_by_id)
        ;
    *at = instance->next_by_id;
    daemon->n_instances--;
    share_instance_ended(instance);
    if (!instance->orphaned)
        ledger_areas_free(&instance->areas);
    uv_close((uv_handle_t *)&instance->grace, instance_closed);
    daemon_instances_changed(daemon);
}

int instance_make_areas(const struct state_instance *facts, struct ledger_areas *ret_areas, struct error *err)
{
    struct ledger_device_spec specs[LEDGER_DEVICES_MAX] = {0};

    for (unsigned i = 0; i < facts->n_devices; i++) {
        memcpy(specs[i].uuid, facts->devices[i].uuid, UUID_BYTES);
        specs[i].memory_limit_bytes = facts->devices[i].memory_limit_bytes;
        specs[i].memory_capacity_bytes = facts->devices[i].memory_capacity_bytes;
    }
    return ledger_areas_new(facts->id, facts->name, specs, facts->n_devices, ret_areas, err);
}

int instance_new(struct daemon *daemon, const struct state_instance *wanted, struct conn *lease,
                 struct instance **ret_instance, struct error *err)
{
    struct state_instance facts = *wanted;
    struct instance *instance;
    struct ledger_areas areas;
    int r;

    facts.created_ms = unix_ms();
    if (make_id(facts.id) < 0)
        return error_fail(err, -EIO, "the kernel gives no random numbers for an instance id");
    if (!facts.name[0])
        strcpy(facts.name, facts.id);
    facts.persistent = !lease;
    r = instance_make_areas(&facts, &areas, err);
    if (r < 0)
        return r;
    r = server_check_descriptor(areas.ledger_fd, err);
    instance = r == 0 ? instance_link(daemon, &facts) : NULL;
    if (!instance) {
        ledger_areas_free(&areas);
        return r < 0 ? r : error_fail(err, -ENOMEM, "vgpud is out of memory");
    }
    instance->areas = areas;
    areas.limits->heartbeat_ns = clock_monotonic_ns();
    instance->lease = lease;
    if (lease)
        lease->n_instances++;
    instance->persistent = !lease;
    r = share_instance_made(instance, err);
    if (r < 0) {
        instance_drop(instance);
        return r;
    }
    instance_save(instance);
    keeping_keep(instance);
    say("instance %s (%s) made for uid %u", facts.id, facts.name, (unsigned)facts.owner_uid);
    *ret_instance = instance;
    return 0;
}

static void instance_end(struct instance *instance)
{
    struct daemon *daemon = instance->daemon;

    say("instance %s (%s) ended", instance->facts.id, instance->facts.name);
    instance_forget_state(instance); /* before anybody is told: a next vgpud must not bring it back */
    keeping_drop(daemon, instance->facts.id);
    reaper_forget_all(instance);
    sweep_instance_ended(instance);
    while (instance->waiters) {
        struct instance_waiter *waiter = instance->waiters;

        instance->waiters = waiter->next;
        conn_answer(waiter->conn,
                    json_pack("{s:s, s:s}", "stopped", instance->facts.id, "name", instance->facts.name));
        free(waiter);
    }
    instance_drop(instance);
    grant_serve(daemon);
}

void instance_settle(struct instance *instance)
{
    if (!instance->lease && !instance->n_clients && (!instance->persistent || instance->stopping))
        instance_end(instance);
}

void instance_settle_all(struct daemon *daemon)
{
    for (struct instance *i = daemon->instances, *next; i; i = next) {
        next = i->next;
        instance_settle(i);
    }
}

unsigned instance_client_count(const struct instance *instance)
{
    unsigned n = instance->n_clients;

    for (const struct client *c = instance->clients; c && !instance->orphaned; c = c->next)
        n -= !c->dead && c->who.slot == REAPER_NO_SLOT;
    return n;
}

/* ---- finding ---- */

static bool may_use(const struct instance *instance, uid_t uid)
{
    return uid == 0 || uid == instance->facts.owner_uid;
}

int instance_find(struct daemon *daemon, const char *text, uid_t uid, struct instance **ret_instance,
                  struct error *err)
{
    struct instance *own = NULL, *other = NULL, *meant = instance_find_by_id(daemon, text);
    unsigned n_others = 0;

    if (meant && !may_use(meant, uid))
        return error_fail(err, -EPERM, "instance '%s' belongs to uid %u, not to uid %u", text,
                          (unsigned)meant->facts.owner_uid, (unsigned)uid);
    if (meant) {
        *ret_instance = meant;
        return 0;
    }
    for (struct instance *i = daemon->instances; i; i = i->next) {
        if (strcmp(i->facts.name, text))
            continue;
        if (i->facts.owner_uid == uid) {
            own = i;
        } else {
            other = i;
            n_others++;
        }
    }
    if (own || (uid == 0 && n_others == 1)) {
        *ret_instance = own ? own : other;
        return 0;
    }
    if (n_others && uid != 0)
        return error_fail(err, -EPERM, "instance '%s' belongs to another user", text);
    if (n_others)
        return error_fail(err, -ENOTUNIQ,
                          "%u users have an instance named '%s'; name it by its id (vgpu instance list)",
                          n_others, text);
    return error_fail(err, -ENOENT, "there is no instance '%s'; `vgpu instance list` shows those that exist",
                      text);
}

bool instance_holds(const struct instance *instance, const uint8_t uuid[UUID_BYTES])
{
    for (unsigned d = 0; d < instance->facts.n_devices; d++)
        if (!memcmp(instance->facts.devices[d].uuid, uuid, UUID_BYTES))
            return true;
    return false;
}

/* What an instance keeps from others on its device d: its limit, or what it uses where the limit was lowered
 * below that. */
static uint64_t reserved_on(const struct instance *instance, unsigned d)
{
    struct ledger_usage usage = {0};

    if (!instance->orphaned)
        ledger_usage_read(instance->areas.ledger, instance->areas.limits, d, &usage);
    return usage.used_bytes > instance->facts.devices[d].memory_limit_bytes
               ? usage.used_bytes
               : instance->facts.devices[d].memory_limit_bytes;
}

uint64_t instance_reserved_bytes(const struct daemon *daemon, const uint8_t uuid[UUID_BYTES],
                                 const struct instance *except)
{
    uint64_t sum = 0;

    for (const struct instance *i = daemon->instances; i; i = i->next)
        for (unsigned d = 0; i != except && d < i->facts.n_devices; d++)
            if (!memcmp(i->facts.devices[d].uuid, uuid, UUID_BYTES))
                sum += reserved_on(i, d);
    return sum;
}

unsigned instance_reserved_permille(const struct daemon *daemon, const uint8_t uuid[UUID_BYTES],
                                    const struct instance *except)
{
    unsigned sum = 0;

    for (const struct instance *i = daemon->instances; i; i = i->next)
        for (unsigned d = 0; i != except && d < i->facts.n_devices; d++)
            if (!memcmp(i->facts.devices[d].uuid, uuid, UUID_BYTES))
                sum += i->facts.devices[d].share_permille;
    return sum;
}

/* ---- changing ---- */

void instance_set_limits(struct instance *instance, const uint64_t *limits_bytes)
{
    for (unsigned d = 0; d < instance->facts.n_devices; d++) {
        instance->facts.devices[d].memory_limit_bytes = limits_bytes[d];
        if (!instance->orphaned)
            ledger_limit_set(&instance->areas, d, limits_bytes[d]);
    }
}

struct share_terms instance_share_terms(const struct instance *instance)
{
    const struct state_device *first = &instance->facts.devices[0];

    return (struct share_terms){.policy = instance->facts.policy,
                                .priority = instance->facts.priority,
                                .share_permille = first->share_permille,
                                .weight = first->weight,
                                .time_slice_ns = first->time_slice_ns};
}

void instance_set_share(struct instance *instance, const struct share_terms *terms)
{
    instance->facts.policy = terms->policy;
    instance->facts.priority = terms->priority;
    for (unsigned d = 0; d < instance->facts.n_devices; d++) {
        instance->facts.devices[d].share_permille = terms->share_permille;
        instance->facts.devices[d].weight = terms->weight;
        instance->facts.devices[d].time_slice_ns = terms->time_slice_ns;
    }
    if (instance->orphaned)
        return;
    share_terms_changed(instance);
    signals_settle(instance);
}

void instance_beat_all(struct daemon *daemon, uint64_t now_ns)
{
    for (struct instance *i = daemon->instances; i; i = i->next) {
        if (i->orphaned)
            continue;
        __atomic_store_n(&i->areas.limits->heartbeat_ns, now_ns, __ATOMIC_RELAXED);
    }
}

int instance_add_waiter(struct instance *instance, struct conn *conn)
{
    struct instance_waiter *waiter = calloc(1, sizeof(*waiter));

    if (!waiter)
        return -ENOMEM;
    waiter->conn = conn;
    conn->n_instances++;
    waiter->next = instance->waiters;
    instance->waiters = waiter;
    return 0;
}

static void forget_waiter(struct instance *instance, const struct conn *conn)
{
    for (struct instance_waiter **at = &instance->waiters; *at;) {
        struct instance_waiter *waiter = *at;

        if (waiter->conn == conn) {
            *at = waiter->next;
            free(waiter);
        } else {
            at = &waiter->next;
        }
    }
}

/* An instance whose lease is conn; ending one changes the list, hence one at a time. */
static struct instance *leased_by(const struct daemon *daemon, const struct conn *conn)
{
    for (struct instance *i = daemon->instances; i; i = i->next)
        if (i->lease == conn)
            return i;
    return NULL;
}

void instance_conn_ended(struct daemon *daemon, struct conn *conn)
{
    struct instance *instance;

    if (!conn->n_instances) /* as most: there may be many instances */
        return;
    for (struct instance *i = daemon->instances; i; i = i->next)
        forget_waiter(i, conn);
    while ((instance = leased_by(daemon, conn))) {
        instance->lease = NULL;
        instance_settle(instance);
    }
}
