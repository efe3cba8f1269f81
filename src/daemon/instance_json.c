/* Instances as answers show them (docs/control-protocol.md): one name for a figure everywhere, that of the
 * ledger. */
#include <stdlib.h>

#include "base/clock.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "daemon/memory.h"
#include "daemon/reaper.h"
#include "daemon/share_json.h"

struct totals {
    uint64_t limit_bytes, used_bytes, peak_bytes, denied_total;
    struct reconcile_figure driver;
    bool over_limit;
    uint64_t now_ns;
    struct share_summary share;
};

static json_int_t count(uint64_t value)
{
    return value > INT64_MAX ? INT64_MAX : (json_int_t)value;
}

/* A figure of the ledger, null where the ledger is lost: an unknown amount is not 0. */
static json_t *figure(const struct instance *instance, uint64_t value)
{
    return instance->orphaned ? json_null() : json_integer(count(value));
}

static json_t *device_json(const struct instance *instance, unsigned d, struct totals *totals)
{
    const struct state_device *device = &instance->facts.devices[d];
    int number = inventory_find(&instance->daemon->inventory, device->uuid);
    const struct inventory_device *known =
        number < 0 ? NULL : inventory_at(&instance->daemon->inventory, (unsigned)number);
    struct reconcile_figure driver = reconcile_sum(instance, d);
    struct ledger_usage usage = {0};
    json_t *object;
    char uuid[UUID_TEXT_BYTES];
    bool over_limit;

    if (!instance->orphaned)
        ledger_usage_read(instance->areas.ledger, instance->areas.limits, d, &usage);
    over_limit = usage.used_bytes > device->memory_limit_bytes;
    totals->limit_bytes += device->memory_limit_bytes;
    totals->used_bytes += usage.used_bytes;
    totals->peak_bytes += usage.peak_bytes;
    totals->denied_total += usage.denied_total;
    totals->over_limit |= over_limit;
    reconcile_add(&totals->driver, &driver);
    object =
        json_pack("{s:s, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:b}", "uuid", uuid_format(device->uuid, uuid),
                  "name", known ? json_string(known->name) : json_null(), "kind",
                  known ? json_string(inventory_kind_name(known->kind)) : json_null(),
                  "memory_capacity_bytes", (json_int_t)device->memory_capacity_bytes, "memory_limit_bytes",
                  (json_int_t)device->memory_limit_bytes, "memory_used_bytes",
                  figure(instance, usage.used_bytes), "memory_peak_bytes", figure(instance, usage.peak_bytes),
                  "denied_total", figure(instance, usage.denied_total), "over_limit", over_limit);
    share_device_json(instance, d, totals->now_ns, object, &totals->share);
    reconcile_set_figures(object, &driver);
    return object;
}

static const char *state_name(const struct instance *instance, bool over_limit)
{
    if (instance->stopping)
        return "stopping";
    if (instance->orphaned)
        return "orphaned";
    if (over_limit)
        return "over-limit";
    return instance_client_count(instance) ? "running" : "ready";
}

static const char *client_kind_name(uint32_t kind)
{
    static const char *const names[] = {"process", "worker", "vm", "remote"};

    return kind < sizeof(names) / sizeof(*names) ? names[kind] : "unknown";
}

/* What the driver says the process holds, in all and on each device. */
static void set_driver_figures(json_t *object, const struct client *client)
{
    struct reconcile_figure sum = {.known = true, .compared = true};
    json_t *devices = json_array();

    for (unsigned d = 0; d < client->instance->facts.n_devices; d++) {
        const struct reconcile_figure *figure = &client->driver[d];
        char uuid[UUID_TEXT_BYTES];
        json_t *row = json_pack("{s:s}", "uuid", uuid_format(client->instance->facts.devices[d].uuid, uuid));

        reconcile_set_figures(row, figure);
        json_array_append_new(devices, row);
        reconcile_add(&sum, figure);
    }
    reconcile_set_figures(object, &sum);
    json_object_set_new(object, "devices", devices);
}

static json_t *client_json(const struct instance *instance, const struct client *client,
                           const struct ledger_slot_usage *rows, size_t n_rows)
{
    uint64_t used_bytes = 0;

    for (size_t i = 0; i < n_rows; i++)
        for (unsigned d = 0; rows[i].slot == client->who.slot && d < instance->facts.n_devices; d++)
            used_bytes += rows[i].used_bytes[d];
    return json_pack("{s:i, s:i, s:s, s:s, s:I, s:b}", "pid", client->who.process.pid, "slot",
                     (int)client->who.slot, "kind", client_kind_name(client->who.kind), "command",
                     client->who.command, "memory_used_bytes", count(used_bytes), "rejoined",
                     client->rejoined);
}

static json_t *clients_json(const struct instance *instance)
{
    struct ledger_slot_usage *rows = memory_new(LEDGER_SLOTS_MAX, sizeof(*rows));
    size_t n_rows =
        rows && !instance->orphaned ? ledger_slots_read(instance->areas.ledger, rows, LEDGER_SLOTS_MAX) : 0;
    json_t *array = json_array();

    for (const struct client *c = instance->clients; c; c = c->next) {
        json_t *object;

        if (c->dead || (!instance->orphaned && c->who.slot == REAPER_NO_SLOT))
            continue;
        object = instance->orphaned ? json_pack("{s:i, s:n}", "pid", c->who.process.pid, "memory_used_bytes")
                                    : client_json(instance, c, rows, n_rows);
        set_driver_figures(object, c);
        json_array_append_new(array, object);
    }
    free(rows);
    return array;
}

json_t *instance_json(const struct instance *instance, bool with_clients)
{
    const struct state_instance *facts = &instance->facts;
    struct totals totals = {.driver = {.known = true, .compared = true}, .now_ns = clock_monotonic_ns()};
    json_t *devices = json_array(), *object;

    for (unsigned d = 0; d < facts->n_devices; d++)
        json_array_append_new(devices, device_json(instance, d, &totals));
    object =
        json_pack("{s:s, s:s, s:I, s:s, s:I, s:b, s:b, s:I}", "id", facts->id, "name", facts->name,
                  "owner_uid", (json_int_t)facts->owner_uid, "state", state_name(instance, totals.over_limit),
                  "created_ms", (json_int_t)facts->created_ms, "overcommit", facts->overcommit, "leased",
                  instance->lease != NULL, "client_count", (json_int_t)instance_client_count(instance));
    json_object_set_new(object, "memory_limit_bytes", json_integer((json_int_t)totals.limit_bytes));
    json_object_set_new(object, "memory_used_bytes", figure(instance, totals.used_bytes));
    json_object_set_new(object, "memory_peak_bytes", figure(instance, totals.peak_bytes));
    json_object_set_new(object, "denied_total", figure(instance, totals.denied_total));
    share_instance_json(instance, &totals.share, totals.now_ns, object);
    reconcile_set_figures(object, &totals.driver);
    json_object_set_new(object, "over_limit", json_boolean(totals.over_limit));
    json_object_set_new(object, "devices", devices);
    json_object_set_new(object, "cgroup", facts->cgroup[0] ? json_string(facts->cgroup) : json_null());
    if (with_clients) {
        json_object_set_new(object, "alarm", json_boolean(reconcile_alarm(instance)));
        json_object_set_new(object, "rogue", reconcile_rogue_json(instance));
        json_object_set_new(object, "clients", clients_json(instance));
    }
    return object;
}
