/* Reconciling; see reconcile.h. The driver is asked by a probe (inventory.c), so its answer is a moment old
 * when it comes; the ledger is read at that moment, and a process that just allocated may show a difference
 * until the next look. */
#include "daemon/reconcile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/cgroup.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "daemon/linger.h"
#include "daemon/process.h"
#include "daemon/say.h"

/* ---- the driver's answer ---- */

/* The pid namespace that the kernel starts with has a fixed inode number. NVIDIA's driver names processes as
 * that one does. */
static bool sees_all_processes(void)
{
    char link[64];
    ssize_t n = readlink("/proc/self/ns/pid", link, sizeof(link) - 1);

    if (n < 0)
        return false;
    link[n] = '\0';
    return !strcmp(link, "pid:[4026531836]");
}

static int by_pid(const void *a, const void *b)
{
    int x = ((const struct reconcile_process *)a)->pid, y = ((const struct reconcile_process *)b)->pid;

    return (x > y) - (x < y);
}

static struct reconcile_process *find_process(const struct reconcile_device *device, int pid)
{
    struct reconcile_process key = {.pid = pid};

    return device->n_processes ? bsearch(&key, device->processes, device->n_processes, sizeof(key), by_pid)
                               : NULL;
}

/* Reads rows of [pid, bytes or null]. False when they are malformed or memory is out. */
static bool read_processes(const json_t *rows, struct reconcile_device *device)
{
    size_t n = json_array_size(rows);

    device->processes = calloc(n + 1, sizeof(*device->processes));
    if (!device->processes)
        return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(rows, i), *bytes = json_array_get(row, 1);
        json_int_t pid = json_integer_value(json_array_get(row, 0));

        if (pid <= 0 || pid > INT32_MAX || json_integer_value(bytes) < 0)
            return false;
        device->processes[i] =
            (struct reconcile_process){.pid = (int)pid,
                                       .known = json_is_integer(bytes),
                                       .driver_bytes = (uint64_t)json_integer_value(bytes)};
    }
    device->n_processes = n;
    qsort(device->processes, n, sizeof(*device->processes), by_pid);
    return true;
}

static void device_forget(struct reconcile_device *device, const char *problem)
{
    free(device->processes);
    device->processes = NULL;
    device->n_processes = 0;
    snprintf(device->problem, sizeof(device->problem), "%.199s", problem);
}

/* Rows of [pid, permille]; who is on the device but has none did nothing. */
static void read_load(const json_t *rows, struct reconcile_device *device)
{
    const json_t *row;
    size_t i;

    device->tells_load = json_is_array(rows);
    json_array_foreach(rows, i, row)
    {
        json_int_t pid = json_integer_value(json_array_get(row, 0)),
                   permille = json_integer_value(json_array_get(row, 1));
        struct reconcile_process *process =
            pid > 0 && pid <= INT32_MAX ? find_process(device, (int)pid) : NULL;

        if (process && permille > process->busy_permille && permille <= 1000)
            process->busy_permille = (unsigned)permille;
    }
}

static void device_read(const json_t *object, struct reconcile_device *device)
{
    const json_t *rows = json_object_get(object, "processes");
    const char *problem = json_string_value(json_object_get(object, "processes_error"));

    if (device->kind == INVENTORY_NVIDIA && !sees_all_processes())
        device_forget(
            device, "vgpud runs in a pid namespace of its own, and NVML names processes by the host's pids");
    else if (!json_is_array(rows))
        device_forget(device, problem ? problem : "NVML does not tell which processes use it");
    else if (!read_processes(rows, device))
        device_forget(device, "NVML's list of processes could not be read");
    else
        read_load(json_object_get(object, "utilization"), device);
}

static struct reconcile_device *find_device(const struct reconcile *reconcile, const uint8_t uuid[UUID_BYTES])
{
    for (unsigned i = 0; i < reconcile->n_devices; i++)
        if (!memcmp(reconcile->devices[i].uuid, uuid, UUID_BYTES))
            return (struct reconcile_device *)&reconcile->devices[i];
    return NULL;
}

/* Replaces what was known of the devices of one kind. */
static void devices_replace(struct reconcile *reconcile, enum inventory_kind kind, const json_t *devices)
{
    unsigned n = 0;
    const json_t *object;
    size_t i;

    for (unsigned d = 0; d < reconcile->n_devices; d++) {
        if (reconcile->devices[d].kind == kind)
            free(reconcile->devices[d].processes);
        else
            reconcile->devices[n++] = reconcile->devices[d];
    }
    json_array_foreach(devices, i, object)
    {
        struct reconcile_device *device = &reconcile->devices[n];
        const char *uuid = json_string_value(json_object_get(object, "uuid"));

        if (n == INVENTORY_DEVICES_MAX)
            break;
        *device = (struct reconcile_device){.kind = kind};
        if (!uuid || uuid_parse(uuid, device->uuid) < 0)
            continue;
        device_read(object, device);
        n++;
    }
    reconcile->n_devices = n;
}

/* ---- beside the ledger ---- */

static uint64_t ledger_bytes(const struct client *client, unsigned d, const struct ledger_slot_usage *rows,
                             size_t n_rows)
{
    for (size_t i = 0; i < n_rows; i++)
        if (rows[i].slot == client->who.slot)
            return rows[i].used_bytes[d];
    return 0;
}

/* The driver's word of the last second beside what was billed since the last comparison. */
static void load_compare(struct client *client, unsigned d, unsigned busy_permille)
{
    const struct instance *instance = client->instance;
    const struct ledger_slot_device *row = &instance->areas.ledger->slots[client->who.slot].devices[d];
    uint64_t now_ns = clock_monotonic_ns(), billed_ns = __atomic_load_n(&row->billed_ns, __ATOMIC_RELAXED);
    struct reconcile_load *load = &client->load[d];
    uint64_t elapsed_ns = now_ns - load->looked_ns, billed_permille;
    bool had_alarm = reconcile_alarm(instance);

    if (load->looked_ns && elapsed_ns < RECONCILE_LOAD_MS * NS_PER_MS)
        return;
    billed_permille =
        (uint64_t)((unsigned __int128)(billed_ns > load->billed_ns ? billed_ns - load->billed_ns : 0) * 1000 /
                   elapsed_ns);
    if (load->looked_ns && busy_permille > 2 * billed_permille + RECONCILE_OVER_PERMILLE)
        load->over += load->over < RECONCILE_OVER;
    else
        load->over = 0;
    load->looked_ns = now_ns;
    load->billed_ns = billed_ns;
    if (!had_alarm && reconcile_alarm(instance))
        say("instance %s (%s): process %d keeps the device busy for %u %% of the time by the driver's word, "
            "and was billed for %u %%",
            instance->facts.id, instance->facts.name, client->who.process.pid, busy_permille / 10,
            (unsigned)(billed_permille / 10));
}

bool reconcile_alarm(const struct instance *instance)
{
    for (const struct client *c = instance->clients; c; c = c->next)
        for (unsigned d = 0; !c->dead && d < instance->facts.n_devices; d++)
            if (c->load[d].over >= RECONCILE_OVER)
                return true;
    return false;
}

static void client_reconcile(struct client *client, unsigned d, const struct reconcile_device *device,
                             const struct ledger_slot_usage *rows, size_t n_rows)
{
    struct reconcile_process *process = NULL;
    struct reconcile_figure figure = {0};

    if (device && !device->problem[0] && client->who.process.pid > 0) {
        process = find_process(device, client->who.process.pid);
        if (process)
            process->limited = true;
        figure.known = !process || process->known;
        figure.driver_bytes = process ? process->driver_bytes : 0;
        figure.compared = figure.known && !client->instance->orphaned;
        figure.difference_bytes = (int64_t)(figure.driver_bytes - ledger_bytes(client, d, rows, n_rows));
    }
    client->driver[d] = figure;
    if (figure.known && device->tells_load && !client->instance->orphaned &&
        client->who.slot != LEDGER_NO_SLOT)
        load_compare(client, d, process ? process->busy_permille : 0);
}

static void instance_reconcile(struct instance *instance, enum inventory_kind kind,
                               struct ledger_slot_usage *rows)
{
    const struct daemon *daemon = instance->daemon;
    size_t n_rows =
        rows && !instance->orphaned ? ledger_slots_read(instance->areas.ledger, rows, LEDGER_SLOTS_MAX) : 0;

    for (unsigned d = 0; d < instance->facts.n_devices; d++) {
        const struct reconcile_device *device =
            find_device(&daemon->reconcile, instance->facts.devices[d].uuid);

        if (device && device->kind != kind)
            continue;
        for (struct client *c = instance->clients; c; c = c->next)
            if (!c->dead)
                client_reconcile(c, d, device, rows, n_rows);
    }
}

static bool any_cgroup(const struct daemon *daemon)
{
    for (const struct instance *i = daemon->instances; i; i = i->next)
        if (i->facts.cgroup[0])
            return true;
    return false;
}

/* Who uses a device and is in an instance's control group, but went around our library. */
static void rogues_find(struct daemon *daemon, struct reconcile_device *device)
{
    for (size_t i = 0; i < device->n_processes; i++) {
        struct reconcile_process *process = &device->processes[i];
        struct instance *instance;
        char path[CGROUP_MAX], command[32];

        if (process->limited || !cgroup_of_process(process->pid, path) ||
            !(instance = cgroup_find(daemon, path)) || !instance_holds(instance, device->uuid))
            continue;
        strcpy(process->instance, instance->facts.id);
        if (instance->rogue_said_pid == process->pid)
            continue;
        instance->rogue_said_pid = process->pid;
        process_command(process->pid, command, sizeof(command));
        say("instance %s (%s): process %d (%s) is in its control group and uses its device without being "
            "limited",
            instance->facts.id, instance->facts.name, process->pid, command);
    }
}

void reconcile_receive(struct daemon *daemon, enum inventory_kind kind, const json_t *document,
                       const struct error *why)
{
    struct ledger_slot_usage *rows = calloc(LEDGER_SLOTS_MAX, sizeof(*rows));

    daemon->reconcile.asked_ns[kind] = clock_monotonic_ns();
    if (document)
        devices_replace(&daemon->reconcile, kind, json_object_get(document, "devices"));
    for (unsigned i = 0; i < daemon->reconcile.n_devices; i++)
        if (daemon->reconcile.devices[i].kind == kind && (!document || !rows))
            device_forget(&daemon->reconcile.devices[i], document ? "vgpud is out of memory" : why->text);
    for (struct instance *i = daemon->instances; i; i = i->next)
        instance_reconcile(i, kind, rows);
    free(rows);
    for (unsigned i = 0; any_cgroup(daemon) && i < daemon->reconcile.n_devices; i++)
        if (daemon->reconcile.devices[i].kind == kind)
            rogues_find(daemon, &daemon->reconcile.devices[i]);
    linger_receive(daemon, kind);
}

/* ---- when ---- */

/* Kinds of the instance's devices as a set of bits; 0 without processes. */
static unsigned kinds_of(const struct instance *instance)
{
    const struct inventory *inventory = &instance->daemon->inventory;
    unsigned set = 0;

    for (unsigned d = 0; (instance->n_clients || instance->facts.cgroup[0]) && d < instance->facts.n_devices;
         d++) {
        int number = inventory_find(inventory, instance->facts.devices[d].uuid);

        if (number >= 0)
            set |= 1u << inventory_at(inventory, (unsigned)number)->kind;
    }
    return set;
}

void reconcile_ask(struct daemon *daemon, enum inventory_kind kind)
{
    if (inventory_is_measuring(&daemon->inventory, kind))
        return;
    daemon->reconcile.begun_ns[kind] = clock_monotonic_ns();
    inventory_measure(&daemon->inventory, kind);
}

bool reconcile_can_tell(const struct daemon *daemon, enum inventory_kind kind)
{
    for (unsigned d = 0; d < daemon->reconcile.n_devices; d++)
        if (daemon->reconcile.devices[d].kind == kind && daemon->reconcile.devices[d].problem[0])
            return false;
    return kind != INVENTORY_NVIDIA || sees_all_processes();
}

bool reconcile_finds(const struct daemon *daemon, enum inventory_kind kind, int pid)
{
    for (unsigned d = 0; d < daemon->reconcile.n_devices; d++)
        if (daemon->reconcile.devices[d].kind == kind && find_process(&daemon->reconcile.devices[d], pid))
            return true;
    return false;
}

static void ask(struct daemon *daemon, unsigned kinds, uint64_t now_ns, uint64_t age_ms)
{
    for (unsigned kind = 0; kind < INVENTORY_KINDS; kind++)
        if ((kinds & (1u << kind)) && now_ns - daemon->reconcile.asked_ns[kind] >= age_ms * NS_PER_MS)
            reconcile_ask(daemon, kind);
}

void reconcile_tick(struct daemon *daemon, uint64_t now_ns)
{
    unsigned kinds = 0;

    for (const struct instance *i = daemon->instances; i; i = i->next)
        kinds |= kinds_of(i);
    ask(daemon, kinds, now_ns, RECONCILE_MS);
}

void reconcile_refresh(const struct instance *instance, uint64_t now_ns)
{
    ask(instance->daemon, kinds_of(instance), now_ns, RECONCILE_FRESH_MS);
}

bool reconcile_is_asking(const struct instance *instance)
{
    unsigned kinds = kinds_of(instance);

    for (unsigned kind = 0; kind < INVENTORY_KINDS; kind++)
        if ((kinds & (1u << kind)) && inventory_is_measuring(&instance->daemon->inventory, kind))
            return true;
    return false;
}

/* ---- what is shown ---- */

void reconcile_set_figures(json_t *object, const struct reconcile_figure *figure)
{
    json_object_set_new(object, "driver_bytes",
                        figure->known ? json_integer((json_int_t)figure->driver_bytes) : json_null());
    json_object_set_new(object, "difference_bytes",
                        figure->compared ? json_integer((json_int_t)figure->difference_bytes) : json_null());
}

void reconcile_add(struct reconcile_figure *sum, const struct reconcile_figure *part)
{
    sum->known &= part->known;
    sum->compared &= part->compared;
    sum->driver_bytes += part->driver_bytes;
    sum->difference_bytes += part->difference_bytes;
}

struct reconcile_figure reconcile_sum(const struct instance *instance, unsigned d)
{
    struct reconcile_figure sum = {.known = true, .compared = true};

    for (const struct client *c = instance->clients; c; c = c->next) {
        if (!c->dead)
            reconcile_add(&sum, &c->driver[d]);
    }
    return sum;
}

static json_t *process_json(const struct reconcile_process *process)
{
    char command[32];
    json_t *row;

    process_command(process->pid, command, sizeof(command));
    row = json_pack("{s:i, s:s}", "pid", process->pid, "command", command);
    json_object_set_new(row, "driver_bytes",
                        process->known ? json_integer((json_int_t)process->driver_bytes) : json_null());
    return row;
}

static json_t *not_limited_json(const struct daemon *daemon, const struct reconcile_device *device)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < device->n_processes; i++) {
        const struct reconcile_process *process = &device->processes[i];
        const struct instance *instance;
        json_t *row;

        if (process->limited)
            continue;
        instance = process->instance[0] ? instance_find_by_id(daemon, process->instance) : NULL;
        row = process_json(process);
        json_object_set_new(row, "instance", instance ? json_string(instance->facts.name) : json_null());
        json_array_append_new(rows, row);
    }
    return rows;
}

json_t *reconcile_rogue_json(const struct instance *instance)
{
    json_t *rows = json_array();

    for (unsigned d = 0; d < instance->facts.n_devices; d++) {
        const struct reconcile_device *device =
            find_device(&instance->daemon->reconcile, instance->facts.devices[d].uuid);

        for (size_t i = 0; device && i < device->n_processes; i++)
            if (!device->processes[i].limited && !strcmp(device->processes[i].instance, instance->facts.id))
                json_array_append_new(rows, process_json(&device->processes[i]));
    }
    return rows;
}

void reconcile_describe(const struct daemon *daemon, const uint8_t uuid[UUID_BYTES], json_t *object)
{
    const struct reconcile_device *device = find_device(&daemon->reconcile, uuid);
    bool is_known = device && !device->problem[0];
    struct reconcile_figure sum = {.known = is_known, .compared = is_known};

    for (const struct instance *i = daemon->instances; i; i = i->next) {
        for (unsigned d = 0; d < i->facts.n_devices; d++) {
            struct reconcile_figure part;

            if (memcmp(i->facts.devices[d].uuid, uuid, UUID_BYTES))
                continue;
            part = reconcile_sum(i, d);
            reconcile_add(&sum, &part);
        }
    }
    reconcile_set_figures(object, &sum);
    json_object_set_new(object, "driver_problem",
                        device && device->problem[0] ? json_string(device->problem) : json_null());
    json_object_set_new(object, "not_limited", is_known ? not_limited_json(daemon, device) : json_null());
}
