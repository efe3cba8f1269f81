/* The operations of the control socket that are JSON; one row of `operations` each. What a request may do is
 * decided by the peer's credentials: everybody may see devices, and his own instances; root all of them. */
#include "daemon/request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/cgroup.h"
#include "daemon/daemon.h"
#include "daemon/grant.h"
#include "daemon/instance.h"
#include "daemon/memory.h"
#include "daemon/reconcile.h"
#include "daemon/request_read.h"
#include "daemon/share_json.h"
#include "daemon/tenant.h"
#include "place/offer.h"

enum {
    LIST_PAGE = 128 /* instances in one answer, so that it fits a message */,
    SOFTWARE_DEVICES_MAX = 4096
};

typedef int (*operation_fn)(struct conn *conn, const json_t *request, struct error *err);

/* An operation returns 0 when it has answered or will, a negative errno with err filled to be answered, or
 * REQUEST_PARKED. */
enum { REQUEST_PARKED = 1 };

struct operation {
    const char *name;
    operation_fn run;
    const char *members[17]; /* ends with NULL */
};

/* ---- waiting for the inventory ---- */

/* 0 when the devices a request needs are known. Else they are being asked for and it is REQUEST_PARKED, or
 * -ENOMEM. */
static int await_sources(struct conn *conn, const json_t *request, bool software, struct error *err)
{
    struct inventory *inventory = &conn->daemon->inventory;
    const char *devices = json_string_value(json_object_get(request, "software_devices"));
    enum inventory_kind kind = INVENTORY_NVIDIA;

    if (inventory->sources[kind].state >= INVENTORY_PRESENT) {
        if (!software && !inventory_lacks_nvidia(inventory))
            return 0;
        kind = INVENTORY_SOFTWARE;
        if (inventory->sources[kind].state >= INVENTORY_PRESENT)
            return 0;
    }
    if (inventory_probe(inventory, kind, conn->peer.uid == geteuid() ? devices : NULL) < 0)
        return error_fail(err, -ENOMEM, "vgpud is out of memory");
    return REQUEST_PARKED;
}

static bool software_in_use(const struct daemon *daemon)
{
    const struct inventory_source *source = &daemon->inventory.sources[INVENTORY_SOFTWARE];

    for (const struct instance *i = daemon->instances; i; i = i->next)
        for (unsigned d = 0; d < source->n_devices; d++)
            if (instance_holds(i, source->devices[d].uuid))
                return true;
    return false;
}

/* The software GPU's devices may be described anew between its runs, and a missing driver may have come: what
 * nobody uses is asked again, once a request; everything, where figures are wanted. */
static void refresh_sources(struct conn *conn, bool everything)
{
    struct inventory *inventory = &conn->daemon->inventory;

    if (conn->repeated)
        return;
    if (everything || !software_in_use(conn->daemon))
        inventory_forget(inventory, INVENTORY_SOFTWARE);
    if (everything || inventory->sources[INVENTORY_NVIDIA].state == INVENTORY_ABSENT)
        inventory_forget(inventory, INVENTORY_NVIDIA);
}

/* ---- operations ---- */

static json_t *source_json(const struct inventory_source *source)
{
    static const char *const states[] = {"unknown", "probing", "present", "absent"};

    return json_pack("{s:s, s:s, s:s, s:i, s:s}", "state", states[source->state], "driver_dir",
                     source->driver_dir, "driver_version", source->driver_version, "device_count",
                     (int)source->n_devices, "error",
                     source->state == INVENTORY_ABSENT ? source->error.text : "");
}

static int op_daemon_status(struct conn *conn, const json_t *request, struct error *err)
{
    const struct daemon *daemon = conn->daemon;
    char protocol[16];

    snprintf(protocol, sizeof(protocol), "%d.%d", CONTROL_MAJOR, CONTROL_MINOR);
    conn_answer(conn,
                json_pack("{s:s, s:s, s:i, s:i, s:s, s:i, s:i, s:I, s:o, s:o}", "version", VGPU_VERSION,
                          "protocol", protocol, "pid", (int)getpid(), "uid", (int)geteuid(), "runtime_dir",
                          daemon->runtime_dir, "instance_count", (int)daemon->n_instances, "connection_count",
                          (int)daemon->server.n_connections, "uptime_ms",
                          (json_int_t)((clock_monotonic_ns() - daemon->started_ns) / NS_PER_MS), "nvidia",
                          source_json(&daemon->inventory.sources[INVENTORY_NVIDIA]), "software",
                          source_json(&daemon->inventory.sources[INVENTORY_SOFTWARE])));
    return 0;
}

static json_t *device_json(const struct daemon *daemon, unsigned number)
{
    json_t *object;
    const struct inventory_device *device = inventory_at(&daemon->inventory, number);
    uint64_t reserved_bytes = instance_reserved_bytes(daemon, device->uuid, NULL);
    unsigned reserved_permille = instance_reserved_permille(daemon, device->uuid, NULL);
    int n_instances = 0;

    for (const struct instance *i = daemon->instances; i; i = i->next)
        n_instances += instance_holds(i, device->uuid);
    object = json_pack(
        "{s:i, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:i, s:i, s:i}", "index", (int)number, "uuid",
        device->uuid_text, "name", device->name, "kind", inventory_kind_name(device->kind), "pci_bus_id",
        device->pci_bus_id, "memory_capacity_bytes", (json_int_t)device->memory_capacity_bytes,
        "memory_reserved_bytes", (json_int_t)reserved_bytes, "memory_free_bytes",
        (json_int_t)place_free_bytes(device->memory_capacity_bytes, reserved_bytes), "memory_used_bytes",
        (json_int_t)device->memory_used_bytes, "compute_reserved_permille", (int)reserved_permille,
        "compute_free_permille", (int)place_free_permille(reserved_permille), "instance_count", n_instances);
    share_device_describe(daemon, device->uuid, clock_monotonic_ns(), object);
    reconcile_describe(daemon, device->uuid, object);
    return object;
}

static int op_device_list(struct conn *conn, const json_t *request, struct error *err)
{
    const struct inventory *inventory = &conn->daemon->inventory;
    const char *software_devices;
    json_t *devices;
    bool software, fresh;
    int r;

    if (request_read_bool(request, "software", false, &software, err) < 0 ||
        request_read_bool(request, "fresh", true, &fresh, err) < 0 ||
        request_read_text(request, "software_devices", SOFTWARE_DEVICES_MAX, false, &software_devices, err) <
            0)
        return -EINVAL;
    if (fresh)
        refresh_sources(conn, true);
    r = await_sources(conn, request, software, err);
    if (r)
        return r;
    devices = json_array();
    for (unsigned i = 0; i < inventory_count(inventory); i++)
        json_array_append_new(devices, device_json(conn->daemon, i));
    conn_answer(conn, json_pack("{s:o, s:o, s:o}", "devices", devices, "nvidia",
                                source_json(&inventory->sources[INVENTORY_NVIDIA]), "software",
                                source_json(&inventory->sources[INVENTORY_SOFTWARE])));
    return 0;
}

/* Whether the request ends on a software device. */
static bool wants_software(const struct inventory *inventory, const struct grant_request *grant)
{
    if (grant->choice == GRANT_LISTED)
        return inventory_at(inventory, (unsigned)inventory_find(inventory, grant->devices[0]))->kind ==
               INVENTORY_SOFTWARE;
    return grant->choice == GRANT_SOFTWARE ||
           (grant->choice == GRANT_ANY && inventory_lacks_nvidia(inventory));
}

/* Reads all of a create request but its devices. */
static int read_create(struct conn *conn, const json_t *request, struct grant_request *grant,
                       struct error *err)
{
    const char *name, *software_devices;
    struct share_request share;

    if (request_read_text(request, "name", STATE_NAME_MAX, false, &name, err) < 0 ||
        request_read_text(request, "software_devices", SOFTWARE_DEVICES_MAX, false, &software_devices, err) <
            0 ||
        request_read_bool(request, "wait", false, &grant->wait, err) < 0 ||
        request_read_bool(request, "lease", true, &grant->lease, err) < 0 ||
        request_read_memory(request, &grant->memory, err) < 0 || request_read_share(request, &share, err) < 0)
        return -EINVAL;
    grant->share = share_terms_default;
    if (share_terms_apply(&grant->share, &share, err) < 0)
        return -EINVAL;
    if (name && !instance_name_ok(name))
        return error_fail(err, -EINVAL,
                          "'%.64s' cannot name an instance; use a letter or digit, then letters, digits, "
                          "'_', '.', '-', up to "
                          "%d in all",
                          name, STATE_NAME_MAX - 1);
    strcpy(grant->name, name ? name : "");
    grant->uid = conn->peer.uid;
    grant->pid = conn->peer.pid;
    return 0;
}

/* A control group that the asker names for an instance is its own or below it; root may name any. */
static int read_cgroup(struct conn *conn, const json_t *request, struct grant_request *grant,
                       struct error *err)
{
    char own[CGROUP_MAX];
    const char *text;
    int r = request_read_text(request, "cgroup", CGROUP_MAX, false, &text, err);

    if (r < 0 || !text)
        return r;
    if (!cgroup_ok(text))
        return error_fail(
            err, -EINVAL,
            "'%.80s' is no control group; name one by its path below the root, as /proc/PID/cgroup does",
            text);
    if (conn->peer.uid != 0 && !(cgroup_of_process(conn->peer.pid, own) && cgroup_contains(own, text)))
        return error_fail(err, -EPERM, "control group '%.80s' is not that of process %d, nor below it", text,
                          conn->peer.pid);
    strcpy(grant->cgroup, text);
    return 0;
}

static int op_instance_create(struct conn *conn, const json_t *request, struct error *err)
{
    struct inventory *inventory = &conn->daemon->inventory;
    struct grant_request grant = {0};
    struct instance *instance = NULL;
    bool software;
    int r = read_create(conn, request, &grant, err);

    if (r < 0 || (r = read_cgroup(conn, request, &grant, err)) < 0)
        return r;
    refresh_sources(conn, false);
    r = await_sources(conn, request, false, err);
    if (r)
        return r;
    r = request_read_devices(request, inventory, &grant, err);
    if (r < 0 && r != -EAGAIN)
        return r;
    software = r == -EAGAIN || wants_software(inventory, &grant);
    r = await_sources(conn, request, software, err);
    if (r)
        return r;
    if (software && conn->peer.uid != geteuid() && conn->peer.uid != 0)
        return error_fail(err, -EPERM,
                          "the software GPU of this vgpud is for uid %u alone; set VGPU_RUNTIME_DIR to a "
                          "directory of your own to "
                          "have one",
                          (unsigned)geteuid());
    r = grant_try(conn->daemon, &grant, conn, &instance, err);
    if (r == 0) {
        r = grant_answer(instance, conn);
        if (r < 0)
            return error_fail(err, r, "vgpud is out of memory");
    } else if (r == -EAGAIN && grant.wait) {
        r = grant_wait(conn->daemon, &grant, conn);
        if (r < 0)
            return error_fail(err, r, "vgpud is out of memory");
        grant_tell_queued(conn, r, err->text);
        r = 0;
    }
    return r;
}

static int op_instance_list(struct conn *conn, const json_t *request, struct error *err)
{
    json_t *array, *next = json_null();
    uint64_t after;
    int r;

    if (request_read_count(request, "after", 0, INT64_MAX, 0, &after, err) < 0)
        return -EINVAL;
    r = await_sources(conn, request, false, err);
    if (r)
        return r;
    array = json_array();
    for (const struct instance *i = conn->daemon->instances; i; i = i->next) {
        if (i->sequence <= after || (conn->peer.uid != 0 && conn->peer.uid != i->facts.owner_uid))
            continue;
        if (json_array_size(array) == LIST_PAGE) {
            next = json_integer((json_int_t)after);
            break;
        }
        json_array_append_new(array, instance_json(i, false));
        after = i->sequence;
    }
    conn_answer(conn, json_pack("{s:o, s:o}", "instances", array, "next", next));
    return 0;
}

static int named_instance(struct conn *conn, const json_t *request, struct instance **ret_instance,
                          struct error *err)
{
    const char *text;
    int r = request_read_text(request, "instance", STATE_NAME_MAX, true, &text, err);

    return r < 0 ? r : instance_find(conn->daemon, text, conn->peer.uid, ret_instance, err);
}

static int op_instance_show(struct conn *conn, const json_t *request, struct error *err)
{
    struct instance *instance = NULL;
    int r = named_instance(conn, request, &instance, err);
    bool fresh;

    if (r < 0 || (r = request_read_bool(request, "fresh", false, &fresh, err)) < 0)
        return r;
    r = await_sources(conn, request, false, err);
    if (r)
        return r;
    if (fresh && !conn->repeated)
        reconcile_refresh(instance, clock_monotonic_ns());
    if (fresh && reconcile_is_asking(instance))
        return REQUEST_PARKED;
    conn_answer(conn, json_pack("{s:o}", "instance", instance_json(instance, true)));
    return 0;
}

static int op_instance_set(struct conn *conn, const json_t *request, struct error *err)
{
    struct reservation_request memory;
    struct share_request share;
    struct instance *instance = NULL;
    int r = named_instance(conn, request, &instance, err);

    if (r < 0 || (r = tenant_refuse(conn, err)) < 0 || (r = request_read_memory(request, &memory, err)) < 0 ||
        (r = request_read_share(request, &share, err)) < 0)
        return r;
    if (memory.amount == RESERVATION_ALL_FREE && share_request_is_empty(&share))
        return error_fail(
            err, -EINVAL,
            "nothing to set: 'memory_limit_bytes' or 'memory_limit_permille' is missing, and so is all of "
            "'compute_permille', 'policy', 'weight', 'priority' and 'time_slice_ns'");
    if (instance->stopping)
        return error_fail(err, -ESTALE, "instance '%s' is being stopped", instance->facts.name);
    if (instance->orphaned)
        return error_fail(err, -ESTALE,
                          "instance '%s' lost its account when vgpud and its keeper ended; its limits cannot "
                          "be changed any more",
                          instance->facts.name);
    r = await_sources(conn, request, false, err);
    if (r)
        return r;
    r = grant_change(conn->daemon, instance, &memory, &share, err);
    if (r == 0)
        conn_answer(conn, json_pack("{s:o}", "instance", instance_json(instance, true)));
    return r;
}

static int op_instance_stop(struct conn *conn, const json_t *request, struct error *err)
{
    struct instance *instance = NULL;
    uint64_t grace_ms;
    int r = named_instance(conn, request, &instance, err);

    if (r < 0 || (r = request_read_count(request, "grace_ms", 0, INSTANCE_GRACE_MAX_MS, INSTANCE_GRACE_MS,
                                         &grace_ms, err)) < 0)
        return r;
    if (instance_add_waiter(instance, conn) < 0)
        return error_fail(err, -ENOMEM, "vgpud is out of memory");
    instance_stop(instance, grace_ms); /* answers when the instance is gone */
    return 0;
}

static const struct operation operations[] = {
    {"daemon.status", op_daemon_status, {NULL}},
    {"device.list", op_device_list, {"software", "software_devices", "fresh"}},
    {"instance.create",
     op_instance_create,
     {"name", "devices", "memory_limit_bytes", "memory_limit_permille", "overcommit", "wait", "lease",
      "software_devices", "compute_permille", "policy", "weight", "priority", "time_slice_ns", "cgroup"}},
    {"instance.list", op_instance_list, {"after"}},
    {"instance.show", op_instance_show, {"instance", "fresh"}},
    {"instance.set",
     op_instance_set,
     {"instance", "memory_limit_bytes", "memory_limit_permille", "overcommit", "compute_permille", "policy",
      "weight", "priority", "time_slice_ns"}},
    {"instance.stop", op_instance_stop, {"instance", "grace_ms"}},
};

/* ---- dispatch ---- */

static int run(struct conn *conn, const json_t *request, struct error *err)
{
    const char *op = json_string_value(json_object_get(request, "op"));

    if (!op)
        return error_fail(err, -EINVAL, "a request is a JSON object with a text 'op'");
    for (size_t i = 0; i < sizeof(operations) / sizeof(*operations); i++) {
        int r;

        if (strcmp(operations[i].name, op))
            continue;
        r = request_check_members(request, operations[i].members, err);
        return r < 0 ? r : operations[i].run(conn, request, err);
    }
    return error_fail(err, -EOPNOTSUPP, "this vgpud (%s) has no operation '%.40s'", VGPU_VERSION, op);
}

/* Works on a request, which this takes over. */
static void dispatch(struct conn *conn, json_t *request)
{
    struct error err;
    int r = run(conn, request, &err);

    if (r == REQUEST_PARKED) {
        conn->parked = request;
        return;
    }
    json_decref(request);
    if (r < 0)
        conn_answer_error(conn, &err);
}

void request_receive(struct conn *conn, const char *text, size_t bytes)
{
    json_error_t where;
    json_t *request = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &where);
    struct error err;

    conn->repeated = false;
    if (memory_failed()) { /* then the JSON library may also have lost a part of a text */
        json_decref(request);
        error_fail(&err, -ENOMEM, "vgpud is out of memory");
        conn_answer_error(conn, &err);
        return;
    }
    if (request) {
        dispatch(conn, request);
        return;
    }
    error_fail(&err, -EINVAL, "the request is not JSON: line %d: %s", where.line, where.text);
    conn_answer_error(conn, &err);
}

void request_resume_all(struct daemon *daemon)
{
    for (struct conn *c = daemon->server.connections, *next; c; c = next) {
        json_t *request = c->parked;

        next = c->next;
        if (!request)
            continue;
        c->parked = NULL;
        c->repeated = true;
        memory_set_failed(false);
        dispatch(c, request);
    }
}
