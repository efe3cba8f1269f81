/* Granting and queueing; see grant.h. The arithmetic is reservation.c's and the choice offer.c's; this file
 * gathers what they need from the inventory and the instances, and says in words why a request was not
 * granted. */
#include "daemon/grant.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "daemon/memory.h"
#include "place/offer.h"

/* A set of devices by their number in the inventory. */
static uint64_t device_bit(int number)
{
    return UINT64_C(1) << number;
}

static bool choice_includes(const struct inventory *inventory, enum grant_choice choice,
                            const struct inventory_device *device)
{
    switch (choice) {
    case GRANT_NVIDIA:
        return device->kind == INVENTORY_NVIDIA;
    case GRANT_SOFTWARE:
        return device->kind == INVENTORY_SOFTWARE;
    case GRANT_ANY:
        return device->kind == (inventory_lacks_nvidia(inventory) ? INVENTORY_SOFTWARE : INVENTORY_NVIDIA);
    case GRANT_LISTED:
        break;
    }
    return false;
}

/* The devices that a request may end up on. */
static uint64_t request_devices(const struct inventory *inventory, const struct grant_request *request)
{
    uint64_t set = 0;

    if (request->choice == GRANT_LISTED) {
        for (unsigned i = 0; i < request->n_devices; i++) {
            int number = inventory_find(inventory, request->devices[i]);

            if (number >= 0)
                set |= device_bit(number);
        }
        return set;
    }
    for (unsigned i = 0; i < inventory_count(inventory); i++)
        if (choice_includes(inventory, request->choice, inventory_at(inventory, i)))
            set |= device_bit((int)i);
    return set;
}

/* ---- words ---- */

enum { AMOUNT_BYTES = 24 };

/* Writes what a holder has of something; false: nothing. */
typedef bool (*describe_fn)(const struct state_device *device, char amount[AMOUNT_BYTES]);

static bool describe_memory(const struct state_device *device, char amount[AMOUNT_BYTES])
{
    units_format_bytes(device->memory_limit_bytes, amount, AMOUNT_BYTES);
    return true;
}

static bool describe_compute(const struct state_device *device, char amount[AMOUNT_BYTES])
{
    units_format_percent(device->share_permille, amount, AMOUNT_BYTES);
    return device->share_permille > 0;
}

/* Appends "NAME 4.00 GiB, ..." for those who hold a part of the device, as far as there is room. Names of
 * other users' instances stay theirs. */
static void describe_holders(const struct daemon *daemon, const uint8_t *uuid, uid_t uid,
                             describe_fn describe, char *buf, size_t buf_bytes)
{
    unsigned left_out = 0;
    size_t at = 0;
    char amount[AMOUNT_BYTES];

    buf[0] = '\0';
    for (const struct instance *i = daemon->instances; i; i = i->next) {
        for (unsigned d = 0; d < i->facts.n_devices; d++) {
            const char *who = uid == 0 || uid == i->facts.owner_uid ? i->facts.name : "another user";

            if (memcmp(i->facts.devices[d].uuid, uuid, UUID_BYTES) || !describe(&i->facts.devices[d], amount))
                continue;
            if (at + strlen(who) + 48 > buf_bytes) {
                left_out++;
                continue;
            }
            at += (size_t)snprintf(buf + at, buf_bytes - at, "%s%s %s", at ? ", " : "", who, amount);
        }
    }
    if (left_out)
        snprintf(buf + at, buf_bytes - at, " and %u more", left_out);
}

static int fail_not_free(const struct daemon *daemon, const struct inventory_device *device,
                         const struct reservation_request *memory, const struct instance *except, uid_t uid,
                         int code, struct error *err)
{
    uint64_t reserved_bytes = instance_reserved_bytes(daemon, device->uuid, except);
    uint64_t asked_bytes = reservation_named_bytes(memory, device->memory_capacity_bytes);
    char holders[200], free_text[24], capacity_text[24], asked_text[24] = "some memory";

    if (memory->amount != RESERVATION_ALL_FREE)
        units_format_bytes(asked_bytes, asked_text, sizeof(asked_text));
    units_format_bytes(device->memory_capacity_bytes, capacity_text, sizeof(capacity_text));
    if (code == -ERANGE)
        return error_fail(err, code, "%s was asked for, but %s has only %s in all; ask for less", asked_text,
                          device->name, capacity_text);
    units_format_bytes(place_free_bytes(device->memory_capacity_bytes, reserved_bytes), free_text,
                       sizeof(free_text));
    describe_holders(daemon, device->uuid, uid, describe_memory, holders, sizeof(holders));
    return error_fail(err, code,
                      "%s was asked for, but %s of %s is free on %s (held by: %s); ask for less, or use "
                      "--wait or --overcommit",
                      asked_text, free_text, capacity_text, device->name, holders[0] ? holders : "nobody");
}

/* how: what to do, besides asking for less. */
static int fail_compute_not_free(const struct daemon *daemon, const struct inventory_device *device,
                                 uint32_t asked_permille, unsigned reserved_permille, uid_t uid,
                                 const char *how, struct error *err)
{
    char holders[200], free_text[AMOUNT_BYTES], asked_text[AMOUNT_BYTES];

    describe_holders(daemon, device->uuid, uid, describe_compute, holders, sizeof(holders));
    return error_fail(
        err, -EAGAIN,
        "%s of the compute time was asked for, but %s is free on %s (held by: %s); ask for less%s",
        units_format_percent(asked_permille, asked_text, sizeof(asked_text)),
        units_format_percent(place_free_permille(reserved_permille), free_text, sizeof(free_text)),
        device->name, holders[0] ? holders : "nobody", how);
}

static int fail_claimed(const struct inventory_device *device, struct error *err)
{
    return error_fail(err, -EAGAIN,
                      "others wait for a part of %s already; use --wait to stand in line behind them",
                      device->name);
}

static int fail_no_device(const struct inventory *inventory, enum grant_choice choice, struct error *err)
{
    const struct inventory_source *nvidia = &inventory->sources[INVENTORY_NVIDIA];
    const struct inventory_source *software = &inventory->sources[INVENTORY_SOFTWARE];

    if (choice == GRANT_NVIDIA)
        return error_fail(err, -ENODEV, "there is no NVIDIA device here: %s; try --device software",
                          nvidia->error.text);
    return error_fail(err, -ENODEV, "there is no %s device here: %s",
                      choice == GRANT_SOFTWARE ? "software" : "usable", software->error.text);
}

/* ---- granting ---- */

/* Fills facts with one device and its limit, or says why not. claimed: devices that somebody stands in line
 * for. */
static int grant_device(struct daemon *daemon, const struct grant_request *request, int number,
                        uint64_t claimed, struct state_instance *facts, struct error *err)
{
    const struct inventory_device *device = inventory_at(&daemon->inventory, (unsigned)number);
    uint64_t reserved_bytes = instance_reserved_bytes(daemon, device->uuid, NULL), limit_bytes;
    int r = reservation_limit(&request->memory, device->memory_capacity_bytes, reserved_bytes, &limit_bytes);
    unsigned reserved_permille = instance_reserved_permille(daemon, device->uuid, NULL);
    struct state_device *slot = &facts->devices[facts->n_devices];

    if (r < 0)
        return fail_not_free(daemon, device, &request->memory, NULL, request->uid, r == -ENOSPC ? -EAGAIN : r,
                             err);
    if (request->share.share_permille > place_free_permille(reserved_permille))
        return fail_compute_not_free(daemon, device, request->share.share_permille, reserved_permille,
                                     request->uid, ", or use --wait", err);
    if (claimed & device_bit(number))
        return fail_claimed(device, err);
    memcpy(slot->uuid, device->uuid, UUID_BYTES);
    slot->memory_limit_bytes = limit_bytes;
    slot->memory_capacity_bytes = device->memory_capacity_bytes;
    slot->share_permille = request->share.share_permille;
    slot->weight = request->share.weight;
    slot->time_slice_ns = request->share.time_slice_ns;
    facts->n_devices++;
    return 0;
}

/* Number of the device that suits a request without a list best: one it fits on now, else one it will fit on.
 */
static int choose_device(const struct daemon *daemon, const struct grant_request *request, uint64_t claimed)
{
    const struct inventory *inventory = &daemon->inventory;
    struct place_offer snapshot[INVENTORY_DEVICES_MAX];
    unsigned n = inventory_count(inventory);
    uint64_t wanted = request_devices(inventory, request);
    size_t best;

    for (unsigned i = 0; i < n; i++) {
        const struct inventory_device *device = inventory_at(inventory, i);

        snapshot[i] = (struct place_offer){
            .capacity_bytes = device->memory_capacity_bytes,
            .reserved_bytes = instance_reserved_bytes(daemon, device->uuid, NULL),
            .request_bytes = reservation_named_bytes(&request->memory, device->memory_capacity_bytes),
            .compute_reserved_permille = instance_reserved_permille(daemon, device->uuid, NULL),
            .compute_request_permille = request->share.share_permille,
            .eligible = (wanted & ~claimed & device_bit((int)i)) != 0,
        };
    }
    best = place_most_free(snapshot, n, PLACE_FREE_NOW);
    for (unsigned i = 0; best == PLACE_NONE && i < n; i++)
        snapshot[i].eligible = (wanted & device_bit((int)i)) != 0;
    if (best == PLACE_NONE)
        best = place_most_free(snapshot, n, PLACE_WITHIN_DEVICE);
    if (best == PLACE_NONE && wanted) /* too large for each: the message names one of them */
        best = (size_t)__builtin_ctzll(wanted);
    return best == PLACE_NONE ? -ENODEV : (int)best;
}

static int grant_listed(struct daemon *daemon, const struct grant_request *request, uint64_t claimed,
                        struct state_instance *facts, struct error *err)
{
    enum inventory_kind kind = INVENTORY_NVIDIA;

    for (unsigned i = 0; i < request->n_devices; i++) {
        int number = inventory_find(&daemon->inventory, request->devices[i]), r;
        char text[UUID_TEXT_BYTES];

        if (number < 0)
            return error_fail(err, -ENODEV,
                              "there is no device %s here; `vgpu device list --all` shows those there are",
                              uuid_format(request->devices[i], text));
        if (i && inventory_at(&daemon->inventory, (unsigned)number)->kind != kind)
            return error_fail(
                err, -EINVAL,
                "NVIDIA and software devices cannot be in one instance: a process has one driver");
        kind = inventory_at(&daemon->inventory, (unsigned)number)->kind;
        r = grant_device(daemon, request, number, claimed, facts, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool name_taken(const struct daemon *daemon, const char *name, uid_t uid)
{
    for (const struct instance *i = daemon->instances; i; i = i->next)
        if (i->facts.owner_uid == uid && (!strcmp(i->facts.name, name) || !strcmp(i->facts.id, name)))
            return true;
    return false;
}

static unsigned count_of_uid(const struct daemon *daemon, uid_t uid)
{
    unsigned n = 0;

    for (const struct instance *i = daemon->instances; i; i = i->next)
        n += i->facts.owner_uid == uid;
    return n;
}

static int grant_with_claims(struct daemon *daemon, const struct grant_request *request, struct conn *conn,
                             uint64_t claimed, struct instance **ret_instance, struct error *err)
{
    struct state_instance facts = {.owner_uid = request->uid,
                                   .overcommit = request->memory.overcommit,
                                   .policy = request->share.policy,
                                   .priority = request->share.priority};
    int number, r;

    if (request->name[0] && name_taken(daemon, request->name, request->uid))
        return error_fail(
            err, -EEXIST,
            "an instance named '%s' exists already; choose another name or stop it: vgpu instance stop %s",
            request->name, request->name);
    if (daemon->n_instances >= INSTANCES_MAX ||
        (request->uid != 0 && count_of_uid(daemon, request->uid) >= INSTANCES_PER_UID_MAX))
        return error_fail(err, -EDQUOT, "there are too many instances already (%d a user, %d in all)",
                          INSTANCES_PER_UID_MAX, INSTANCES_MAX);
    if (request->choice == GRANT_LISTED) {
        r = grant_listed(daemon, request, claimed, &facts, err);
    } else {
        number = choose_device(daemon, request, claimed);
        r = number < 0 ? fail_no_device(&daemon->inventory, request->choice, err)
                       : grant_device(daemon, request, number, claimed, &facts, err);
    }
    if (r < 0)
        return r;
    strcpy(facts.name, request->name);
    strcpy(facts.cgroup, request->cgroup);
    if (request->lease) {
        facts.holder.pid = request->pid;
        if (clock_process_start(request->pid, &facts.holder.start_ticks) < 0)
            facts.holder.pid = 0;
    }
    return instance_new(daemon, &facts, request->lease ? conn : NULL, ret_instance, err);
}

int grant_try(struct daemon *daemon, const struct grant_request *request, struct conn *conn,
              struct instance **ret_instance, struct error *err)
{
    uint64_t claimed = 0;

    for (const struct grant_waiting *w = daemon->waiting; w; w = w->next)
        claimed |= request_devices(&daemon->inventory, &w->request);
    return grant_with_claims(daemon, request, conn, claimed, ret_instance, err);
}

/* ---- the answer ---- */

static json_t *grant_json(const struct daemon *daemon, const struct instance *instance)
{
    const struct inventory *inventory = &daemon->inventory;
    int number = inventory_find(inventory, instance->facts.devices[0].uuid);
    enum inventory_kind kind =
        number < 0 ? INVENTORY_NVIDIA : inventory_at(inventory, (unsigned)number)->kind;
    const struct inventory_source *source = &inventory->sources[kind];

    return json_pack("{s:o, s:s, s:s, s:s, s:i}", "instance", instance_json(instance, false), "driver_kind",
                     inventory_kind_name(kind), "driver_dir", source->driver_dir, "softgpu_dir",
                     daemon->softgpu_dir, "driver_device_count", (int)source->n_devices);
}

int grant_answer(struct instance *instance, struct conn *conn)
{
    memory_set_failed(false);
    if (conn_try_answer(conn, grant_json(instance->daemon, instance)) == 0)
        return 0;
    instance->lease = NULL;
    instance->persistent = false;
    instance_settle(instance);
    return -ENOMEM;
}

/* ---- the queue ---- */

int grant_wait(struct daemon *daemon, const struct grant_request *request, struct conn *conn)
{
    struct grant_waiting *waiting = calloc(1, sizeof(*waiting));
    int place = 1;

    if (!waiting)
        return -ENOMEM;
    for (const struct grant_waiting *w = daemon->waiting; w; w = w->next)
        place++;
    waiting->conn = conn;
    waiting->request = *request;
    waiting->told_place = place;
    *daemon->waiting_tail = waiting;
    daemon->waiting_tail = &waiting->next;
    conn->waiting = waiting;
    return place;
}

void grant_tell_queued(struct conn *conn, int place, const char *reason)
{
    conn_event(conn,
               json_pack("{s:s, s:i, s:s}", "event", "instance.queued", "position", place, "reason", reason));
}

void grant_forget(struct daemon *daemon, struct conn *conn)
{
    struct grant_waiting **at = &daemon->waiting;

    if (!conn->waiting)
        return;
    while (*at != conn->waiting)
        at = &(*at)->next;
    *at = conn->waiting->next;
    if (daemon->waiting_tail == &conn->waiting->next)
        daemon->waiting_tail = at;
    free(conn->waiting);
    conn->waiting = NULL;
}

static void tell_place(struct grant_waiting *waiting, int place, const char *reason)
{
    if (waiting->told_place == place)
        return;
    waiting->told_place = place;
    grant_tell_queued(waiting->conn, place, reason);
}

/* The first in line who can be served or refused for good; NULL when all must wait on. */
static struct conn *serve_one(struct daemon *daemon, struct instance **ret_instance, struct error *ret_error)
{
    uint64_t claimed = 0;
    int place = 0;

    for (struct grant_waiting *w = daemon->waiting; w; w = w->next) {
        int r;

        ret_error->code = 0; /* of one who waits on */
        r = grant_with_claims(daemon, &w->request, w->conn, claimed, ret_instance, ret_error);
        if (r != -EAGAIN)
            return w->conn;
        tell_place(w, ++place, ret_error->text);
        claimed |= request_devices(&daemon->inventory, &w->request);
    }
    return NULL;
}

void grant_serve(struct daemon *daemon)
{
    struct instance *instance = NULL;
    struct error err = {0};
    struct conn *conn;

    while ((conn = serve_one(daemon, &instance, &err))) {
        grant_forget(daemon, conn);
        if (instance && grant_answer(instance, conn) < 0)
            error_fail(&err, -ENOMEM, "vgpud is out of memory");
        if (err.code)
            conn_answer_error(conn, &err);
        instance = NULL;
        err = (struct error){0};
    }
}

/* ---- changing ---- */

/* The device of the inventory, or one made up for words where it is gone. */
static const struct inventory_device *device_of(const struct daemon *daemon, const struct state_device *mine,
                                                struct inventory_device *gone)
{
    int number = inventory_find(&daemon->inventory, mine->uuid);

    if (number >= 0)
        return inventory_at(&daemon->inventory, (unsigned)number);
    *gone =
        (struct inventory_device){.name = "the device", .memory_capacity_bytes = mine->memory_capacity_bytes};
    return gone;
}

/* The limit of each device when memory is asked for. */
static int change_memory(struct daemon *daemon, const struct instance *instance,
                         const struct reservation_request *memory,
                         uint64_t ret_limits_bytes[LEDGER_DEVICES_MAX], struct error *err)
{
    for (unsigned i = 0; i < instance->facts.n_devices; i++) {
        const struct state_device *mine = &instance->facts.devices[i];
        struct inventory_device gone;
        int r = reservation_change(memory, mine->memory_capacity_bytes,
                                   instance_reserved_bytes(daemon, mine->uuid, instance),
                                   mine->memory_limit_bytes, &ret_limits_bytes[i]);

        if (r < 0)
            return fail_not_free(daemon, device_of(daemon, mine, &gone), memory, instance,
                                 instance->facts.owner_uid, r, err);
    }
    return 0;
}

/* Whether a share may be as large as that: less than before always may. */
static int change_compute(struct daemon *daemon, const struct instance *instance, uint32_t share_permille,
                          struct error *err)
{
    for (unsigned i = 0; i < instance->facts.n_devices; i++) {
        const struct state_device *mine = &instance->facts.devices[i];
        unsigned reserved_permille = instance_reserved_permille(daemon, mine->uuid, instance);
        struct inventory_device gone;

        if (share_permille > mine->share_permille && share_permille > place_free_permille(reserved_permille))
            return fail_compute_not_free(daemon, device_of(daemon, mine, &gone), share_permille,
                                         reserved_permille, instance->facts.owner_uid, "", err);
    }
    return 0;
}

int grant_change(struct daemon *daemon, struct instance *instance, const struct reservation_request *memory,
                 const struct share_request *share, struct error *err)
{
    bool has_memory = memory->amount != RESERVATION_ALL_FREE;
    struct share_terms terms = instance_share_terms(instance);
    uint64_t limits_bytes[LEDGER_DEVICES_MAX];
    int r = share_terms_apply(&terms, share, err);

    if (r < 0 || (has_memory && (r = change_memory(daemon, instance, memory, limits_bytes, err)) < 0) ||
        (r = change_compute(daemon, instance, terms.share_permille, err)) < 0)
        return r;
    if (memory->overcommit)
        instance->facts.overcommit = true;
    if (!share_request_is_empty(share))
        instance_set_share(instance, &terms);
    if (has_memory)
        instance_set_limits(instance, limits_bytes);
    instance_save(instance);
    grant_serve(daemon);
    return 0;
}
