/* Instances after a crash or restart of vgpud. What a former vgpud recorded (state files) and what its keeper
 * kept (limits area, ledger) come together again: the instance goes on, its processes are watched, and what
 * the dead hold is reaped. The limits are read from the kept area, which nobody could write since, the state
 * file says what stands nowhere else. Without the one or the other: no usable state file   the instance is
 * made from the areas, and its processes from the slots that say they are theirs; no areas               an
 * orphan: its reservation stands while its processes may hold memory, and nobody may join, because what it
 * uses cannot be known; one without processes gets areas anew. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "daemon/keeping.h"
#include "daemon/linger.h"
#include "daemon/reaper.h"
#include "daemon/say.h"

/* ---- processes ---- */

/* Watches a process of a former vgpud's again. One that is dead is reaped as if it ended now. A process that
 * cannot be seen from here is taken for living until it rejoins, and then watched. */
static void client_restore(struct instance *instance, const struct state_client *who)
{
    int pidfd = who->process.pid > 0 ? reaper_open(who->process) : eventfd(0, EFD_CLOEXEC);
    bool is_dead = pidfd == -ESRCH;

    if (is_dead && who->slot == REAPER_NO_SLOT)
        return;
    if (is_dead)
        pidfd = eventfd(0, EFD_CLOEXEC);
    if (pidfd < 0 || reaper_watch(instance, pidfd, who) < 0) {
        say("instance %s: process %d cannot be watched; what it holds stays with the instance",
            instance->facts.id, who->process.pid);
        return;
    }
    if (is_dead) {
        linger_begin_unseen(instance->clients);
    } else if (who->slot != REAPER_NO_SLOT) {
        signals_restore(instance->clients, who->signal_line);
        signals_settle(instance);
        share_client_joined(instance);
    }
}

/* The user of a live process. */
static bool process_is_of(const struct state_process *process, uid_t uid)
{
    CLEANUP_FD int pidfd = reaper_open(*process);
    char path[40];
    struct stat st;

    snprintf(path, sizeof(path), "/proc/%d", process->pid);
    /* What is not dumpable belongs to root there. */
    return pidfd >= 0 && stat(path, &st) == 0 && (st.st_uid == uid || st.st_uid == 0);
}

/* Slots that are in use by the ledger's word and that no state tells of: vgpud died between granting and
 * saving, or the state is lost. Tenants write there; a lie costs their own instance. */
static void slots_restore(struct instance *instance)
{
    struct ledger_slot_left left;

    for (uint32_t i = 0; i < LEDGER_SLOTS_MAX; i++) {
        struct state_client who = {.slot = i};

        if (!ledger_slot_left(&instance->areas, i, &left))
            continue;
        who.process = (struct state_process){.pid = left.pid, .start_ticks = left.start_ticks};
        who.generation = left.generation;
        who.kind = left.kind;
        who.signal_line = left.signal_line;
        strcpy(who.command, left.command);
        if (!left.is_live || !process_is_of(&who.process, instance->facts.owner_uid))
            who.process = (struct state_process){.pid = INT32_MAX}; /* nobody's: dead */
        ledger_slot_adopt(&instance->areas, i, &left);
        client_restore(instance, &who);
    }
}

static void clients_restore(struct instance *instance, const struct state_instance *facts)
{
    const struct state_client holder = {.process = facts->holder, .slot = REAPER_NO_SLOT};

    for (size_t i = 0; i < facts->n_clients; i++) {
        const struct state_client *who = &facts->clients[i];
        const struct ledger_slot_left left = {.generation = who->generation,
                                              .kind = who->kind,
                                              .signal_line = who->signal_line,
                                              .pid = who->process.pid,
                                              .start_ticks = who->process.start_ticks};

        if (who->slot == REAPER_NO_SLOT || ledger_slot_adopt(&instance->areas, who->slot, &left) == 0)
            client_restore(instance, who);
    }
    slots_restore(instance);
    if (holder.process.pid > 0)
        client_restore(instance, &holder);
}

/* ---- instances ---- */

/* The limits area's word instead of the state's, where they differ. */
static void facts_from_limits(struct state_instance *facts, const struct ledger_limits *limits)
{
    facts->policy = (enum ledger_policy)limits->policy;
    facts->priority = (enum ledger_priority)limits->priority;
    facts->n_devices = limits->n_devices;
    for (unsigned d = 0; d < limits->n_devices; d++) {
        memcpy(facts->devices[d].uuid, limits->devices[d].uuid, UUID_BYTES);
        facts->devices[d].memory_limit_bytes = limits->devices[d].memory_limit_bytes;
        facts->devices[d].memory_capacity_bytes = limits->devices[d].memory_capacity_bytes;
        facts->devices[d].share_permille = limits->devices[d].share_permille;
        facts->devices[d].weight = limits->devices[d].weight;
        facts->devices[d].time_slice_ns = limits->devices[d].time_slice_ns;
    }
}

/* Takes the kept areas over. False: they are of no use, which was said. */
static bool areas_restore(struct instance *instance, struct kept *kept)
{
    struct error err = {0};
    int r = kept->n_fds == 2
                ? ledger_areas_adopt(instance->facts.id, kept->fds[0], kept->fds[1], &instance->areas, &err)
                : error_fail(&err, -EBADMSG, "descriptors are missing");

    if (r < 0) {
        say("instance %s: %s", instance->facts.id, err.text);
        return false;
    }
    kept->fds[1] = -1;
    kept->used = true;
    facts_from_limits(&instance->facts, instance->areas.limits);
    instance->areas.limits->heartbeat_ns = clock_monotonic_ns();
    if (share_instance_restored(instance, &err) == 0)
        return true;
    say("instance %s: %s", instance->facts.id, err.text);
    ledger_areas_free(&instance->areas);
    return false;
}

/* Areas for an instance of which nobody has any. */
static bool areas_make(struct instance *instance)
{
    struct error err = {0};

    if (instance_make_areas(&instance->facts, &instance->areas, &err) == 0 &&
        share_instance_made(instance, &err) == 0)
        return true;
    say("instance %s: %s", instance->facts.id, err.text);
    ledger_areas_free(&instance->areas);
    return false;
}

static bool has_living_clients(const struct state_instance *facts)
{
    for (size_t i = 0; i < facts->n_clients; i++) {
        CLEANUP_FD int pidfd = reaper_open(facts->clients[i].process);

        if (pidfd >= 0 || facts->clients[i].process.pid == 0)
            return true;
    }
    return false;
}

/* The account is lost. */
static void orphan_restore(struct instance *instance, const struct state_instance *facts)
{
    if (!has_living_clients(facts) && areas_make(instance)) {
        clients_restore(instance, &(struct state_instance){.holder = facts->holder});
        return;
    }
    instance->orphaned = true;
    for (size_t i = 0; i < facts->n_clients; i++) {
        struct state_client who = facts->clients[i];

        who.slot = REAPER_NO_SLOT;
        client_restore(instance, &who);
    }
    client_restore(instance, &(struct state_client){.process = facts->holder, .slot = REAPER_NO_SLOT});
    say("instance %s (%s) is orphaned: %u of its processes outlived the last vgpud, and its account is lost; "
        "its memory "
        "stays reserved until they end",
        facts->id, facts->name, instance->n_clients);
}

static void restore(struct daemon *daemon, const struct state_instance *facts)
{
    struct kept *kept = keeping_find(daemon, facts->id);
    struct instance *instance = instance_link(daemon, facts);

    if (!instance)
        return;
    instance->persistent = facts->persistent;
    if (kept && areas_restore(instance, kept)) {
        clients_restore(instance, facts);
        say("instance %s (%s) goes on with %u processes", facts->id, facts->name,
            instance_client_count(instance));
    } else {
        orphan_restore(instance, facts);
    }
    instance_save(instance);
    if (!instance->orphaned)
        keeping_keep(instance); /* the new limits area too */
}

/* An instance whose state is lost, from the areas that were kept. */
static void restore_kept(struct daemon *daemon, struct kept *kept)
{
    const struct ledger_limits *limits;
    struct state_instance facts = {.owner_uid = kept->owner_uid, .overcommit = true};
    void *map =
        kept->n_fds == 2 ? mmap(NULL, sizeof(*limits), PROT_READ, MAP_SHARED, kept->fds[0], 0) : MAP_FAILED;

    if (map == MAP_FAILED)
        return;
    limits = map;
    snprintf(facts.id, sizeof(facts.id), "%s", kept->name);
    ledger_text_copy(limits->name, facts.name, sizeof(facts.name));
    munmap(map, sizeof(*limits));
    if (!instance_name_ok(facts.id) || !instance_name_ok(facts.name))
        return;
    say("instance %s (%s): its state is lost; it is made anew from its account, with the limits it had",
        facts.id, facts.name);
    restore(daemon, &facts);
}

/* ---- files ---- */

/* Moves a state file that cannot be used out of the way, and says so. */
static void set_aside(const char *path, const struct error *err)
{
    char aside[PATH_MAX];

    if ((size_t)snprintf(aside, sizeof(aside), "%s.aside", path) >= sizeof(aside) || rename(path, aside) < 0)
        say("state file %s is not usable (%s) and cannot be renamed: %s", path, err->text, strerror(errno));
    else
        say("state file %s is not usable (%s); set aside as %s", path, err->text, aside);
}

/* Reads the file of an instance. False when there is nothing to bring back from it. */
static bool file_read(struct daemon *daemon, const char *file_name, struct state_instance *ret_facts)
{
    char path[PATH_MAX], own[PATH_MAX], boot_id[STATE_BOOT_ID_MAX];
    struct error err = {0};

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", daemon->state_dir, file_name) >= sizeof(path))
        return false;
    if (state_load(path, ret_facts, boot_id, &err) < 0) {
        set_aside(path, &err);
        return false;
    }
    if (instance_state_path(daemon, ret_facts->id, own, sizeof(own)) < 0 || strcmp(path, own) ||
        !instance_name_ok(ret_facts->name)) {
        error_fail(&err, -EINVAL, "it is the state of another instance");
        set_aside(path, &err);
    } else if (strcmp(boot_id, daemon->boot_id)) {
        unlink(path);
    } else {
        return true;
    }
    state_done(ret_facts);
    return false;
}

static bool is_state_file(const char *name)
{
    size_t n = strlen(name);

    return n > 5 && !strcmp(name + n - 5, ".json");
}

static int by_sequence(const void *a, const void *b)
{
    uint64_t x = ((const struct state_instance *)a)->sequence,
             y = ((const struct state_instance *)b)->sequence;

    return (x > y) - (x < y);
}

/* All usable state files, the oldest instance first. Returns how many. */
static size_t files_read(struct daemon *daemon, struct state_instance **ret_all)
{
    CLEANUP_DIR DIR *dir = opendir(daemon->state_dir);
    struct state_instance *all = calloc(INSTANCES_MAX, sizeof(*all));
    const struct dirent *entry;
    size_t n = 0;

    while (dir && all && n < INSTANCES_MAX && (entry = readdir(dir)))
        if (is_state_file(entry->d_name) && file_read(daemon, entry->d_name, &all[n]))
            n++;
    if (n)
        qsort(all, n, sizeof(*all), by_sequence);
    *ret_all = all;
    return n;
}

void instance_load_all(struct daemon *daemon)
{
    struct state_instance *all;
    size_t n;
    int r = instance_state_dir(daemon);

    if (r < 0)
        say("cannot use %s: %s; should vgpud crash, running instances would be forgotten", daemon->state_dir,
            strerror(-r));
    n = files_read(daemon, &all);
    for (size_t i = 0; i < n; i++) {
        restore(daemon, &all[i]);
        state_done(&all[i]);
    }
    free(all);
    for (size_t i = 0; i < daemon->keeping.n_kept; i++) {
        struct kept *kept = &daemon->keeping.kept[i];

        if (!kept->used && strcmp(kept->name, KEEPER_SIGNALS))
            restore_kept(daemon, kept);
    }
    keeping_settle(daemon);
    instance_settle_all(daemon);
}

void instance_find_drivers(struct daemon *daemon)
{
    struct inventory *inventory = &daemon->inventory;

    if (inventory->sources[INVENTORY_NVIDIA].state < INVENTORY_PRESENT ||
        inventory->sources[INVENTORY_SOFTWARE].state != INVENTORY_UNKNOWN)
        return;
    for (const struct instance *i = daemon->instances; i; i = i->next)
        for (unsigned d = 0; d < i->facts.n_devices; d++)
            if (inventory_find(inventory, i->facts.devices[d].uuid) < 0) {
                inventory_probe(inventory, INVENTORY_SOFTWARE, NULL);
                return;
            }
}
