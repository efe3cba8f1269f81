/* vgpud's side of an instance's account: makes the two sealed areas, publishes limits, hands slots out and
 * takes them back from the dead. Called by the daemon alone, in one thread. It never believes the ledger
 * area: which slots are taken, and their generations, it knows by itself (`own`); what it reads there only
 * decides how many bytes of that same instance come back. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ledger/area.h"
#include "ledger/ledger.h"
#include "ledger/moving.h"
#include "ledger/operation.h"
#include "ledger/shared.h"
#include "ledger/word.h"

enum {
    REAP_ATTEMPTS = 1 << 16,
    OWN_FIRST = 16, /* most instances have a few processes */
};

struct ledger_slot_own {
    uint32_t state, generation;
};

/* Makes room for vgpud's word on that many slots. All that own[] has no room for are free and were never in
 * use. */
static int own_grow(struct ledger_areas *areas, uint32_t n)
{
    uint32_t room = areas->n_own ? areas->n_own : OWN_FIRST;
    struct ledger_slot_own *grown;

    while (room < n)
        room *= 2;
    if (room == areas->n_own)
        return 0;
    grown = realloc(areas->own, room * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    memset(grown + areas->n_own, 0, (room - areas->n_own) * sizeof(*grown));
    areas->own = grown;
    areas->n_own = room;
    return 0;
}

static uint32_t own_state(const struct ledger_areas *areas, uint32_t slot)
{
    return slot < areas->n_own ? areas->own[slot].state : LEDGER_SLOT_FREE;
}

static void limits_fill(struct ledger_limits *limits, const char *instance, const char *name,
                        const struct ledger_device_spec *devices, unsigned n_devices)
{
    limits->major = LEDGER_MAJOR;
    limits->minor = LEDGER_MINOR;
    limits->n_devices = n_devices;
    limits->area_bytes = sizeof(*limits);
    limits->priority = LEDGER_PRIORITY_NORMAL;
    snprintf(limits->instance, sizeof(limits->instance), "%s", instance);
    snprintf(limits->name, sizeof(limits->name), "%s", name ? name : "");
    for (unsigned i = 0; i < n_devices; i++) {
        memcpy(limits->devices[i].uuid, devices[i].uuid, sizeof(limits->devices[i].uuid));
        limits->devices[i].memory_limit_bytes = devices[i].memory_limit_bytes;
        limits->devices[i].memory_capacity_bytes = devices[i].memory_capacity_bytes;
        limits->gates[i] =
            (struct ledger_gate){.period_ns = 1, .rate_ppm = 1000000, .window_slot = LEDGER_NO_SLOT};
        limits->devices[i].weight = 1;
    }
    limits->magic = LEDGER_LIMITS_MAGIC;
}

static void ledger_fill(struct ledger *ledger, const char *instance, unsigned n_devices)
{
    ledger->major = LEDGER_MAJOR;
    ledger->minor = LEDGER_MINOR;
    ledger->n_devices = n_devices;
    ledger->area_bytes = sizeof(*ledger);
    ledger->n_slots = LEDGER_SLOTS_MAX;
    ledger->n_shared = LEDGER_SHARED_MAX;
    snprintf(ledger->instance, sizeof(ledger->instance), "%s", instance);
    ledger->magic = LEDGER_MAGIC;
}

int ledger_areas_new(const char *instance, const char *name, const struct ledger_device_spec *devices,
                     unsigned n_devices, struct ledger_areas *ret_areas, struct error *err)
{
    struct ledger_areas areas = {.limits_fd = -1, .ledger_fd = -1};
    void *map;
    int r;

    if (!n_devices || n_devices > LEDGER_DEVICES_MAX)
        return error_fail(err, -EINVAL, "an instance has 1 to %d devices, not %u", LEDGER_DEVICES_MAX,
                          n_devices);
    if (own_grow(&areas, OWN_FIRST) < 0)
        return error_fail(err, -ENOMEM, "no memory for the slots of instance %s", instance);
    r = area_new("vgpu-limits", sizeof(*areas.limits), AREA_LIMITS_SEALS, &areas.limits_fd, &map, err);
    if (r < 0)
        goto fail;
    areas.limits = map;
    r = area_new("vgpu-ledger", sizeof(*areas.ledger), AREA_SHARED_SEALS, &areas.ledger_fd, &map, err);
    if (r < 0)
        goto fail;
    areas.ledger = map;
    limits_fill(areas.limits, instance, name, devices, n_devices);
    ledger_fill(areas.ledger, instance, n_devices);
    *ret_areas = areas;
    return 0;
fail:
    ledger_areas_free(&areas);
    return r;
}

void ledger_areas_free(struct ledger_areas *areas)
{
    if (!areas)
        return;
    if (areas->limits)
        munmap(areas->limits, sizeof(*areas->limits));
    if (areas->ledger)
        munmap(areas->ledger, sizeof(*areas->ledger));
    if (areas->limits_fd >= 0)
        close(areas->limits_fd);
    if (areas->ledger_fd >= 0)
        close(areas->ledger_fd);
    free(areas->own);
    *areas = (struct ledger_areas){.limits_fd = -1, .ledger_fd = -1};
}

/* ---- after a vgpud that is dead ---- */

static bool limits_usable(const struct ledger_limits *limits, const char *instance)
{
    return limits->magic == LEDGER_LIMITS_MAGIC && limits->major == LEDGER_MAJOR &&
           limits->minor == LEDGER_MINOR && limits->area_bytes == sizeof(*limits) && limits->n_devices &&
           limits->n_devices <= LEDGER_DEVICES_MAX && memchr(limits->name, '\0', sizeof(limits->name)) &&
           strncmp(limits->instance, instance, sizeof(limits->instance)) == 0;
}

static bool ledger_usable(const struct ledger *ledger, const struct ledger_limits *limits)
{
    return ledger->magic == LEDGER_MAGIC && ledger->major == LEDGER_MAJOR && ledger->minor == LEDGER_MINOR &&
           ledger->area_bytes == sizeof(*ledger) && ledger->n_devices == limits->n_devices &&
           ledger->n_slots == LEDGER_SLOTS_MAX && ledger->n_shared == LEDGER_SHARED_MAX &&
           memcmp(ledger->instance, limits->instance, sizeof(ledger->instance)) == 0;
}

/* What the dead vgpud said last, as the beginning of what the new one says. A gate it was just writing is
 * made whole: it may hold parts of two versions until vgpud's next look. */
static void limits_continue(struct ledger_limits *limits, const struct ledger_limits *before)
{
    *limits = *before;
    limits->epoch++;
    limits->heartbeat_ns = 0;
    for (unsigned d = 0; d < LEDGER_DEVICES_MAX; d++) {
        struct ledger_gate *gate = &limits->gates[d];

        gate->sequence += gate->sequence & 1;
        gate->window_from_ns = gate->window_until_ns = 0;
        gate->window_slot = LEDGER_NO_SLOT;
    }
}

static int adopt_into(struct ledger_areas *areas, const struct ledger_limits *before, int ledger_fd,
                      struct error *err)
{
    uint32_t mark;
    void *map;
    int r = area_adopt("ledger", ledger_fd, sizeof(*areas->ledger), AREA_SHARED_SEALS, PROT_READ | PROT_WRITE,
                       &map, err);

    if (r < 0)
        return r;
    areas->ledger = map;
    if (!ledger_usable(areas->ledger, before))
        return error_fail(err, -EBADMSG, "the ledger that was kept is not that of instance %s",
                          before->instance);
    r = area_new("vgpu-limits", sizeof(*areas->limits), AREA_LIMITS_SEALS, &areas->limits_fd, &map, err);
    if (r < 0)
        return r;
    areas->limits = map;
    limits_continue(areas->limits, before);
    mark = slots_mark(areas->ledger);
    if (own_grow(areas, mark) < 0)
        return error_fail(err, -ENOMEM, "no memory for the slots of instance %s", before->instance);
    for (uint32_t i = 0; i < mark; i++)
        areas->own[i].generation = __atomic_load_n(&areas->ledger->slots[i].generation, __ATOMIC_RELAXED);
    return 0;
}

int ledger_areas_adopt(const char *instance, int limits_fd, int ledger_fd, struct ledger_areas *ret_areas,
                       struct error *err)
{
    struct ledger_areas areas = {.limits_fd = -1, .ledger_fd = -1};
    void *before;
    int r = area_adopt("limits area", limits_fd, sizeof(*areas.limits), AREA_LIMITS_SEALS, PROT_READ, &before,
                       err);

    if (r < 0)
        return r;
    if (own_grow(&areas, OWN_FIRST) < 0)
        r = error_fail(err, -ENOMEM, "no memory for the slots of instance %s", instance);
    else if (!limits_usable(before, instance))
        r = error_fail(err, -EBADMSG, "the limits area that was kept is not that of instance %s", instance);
    else
        r = adopt_into(&areas, before, ledger_fd, err);
    munmap(before, sizeof(*areas.limits));
    if (r < 0) {
        ledger_areas_free(&areas);
        return r;
    }
    areas.ledger_fd = ledger_fd;
    *ret_areas = areas;
    return 0;
}

static bool row_is_empty(const struct ledger_row *row)
{
    return !ledger_load(&row->applied.value) &&
           ledger_load(&row->intent_sequence) == ledger_load(&row->applied.tag);
}

bool ledger_slot_left(const struct ledger_areas *areas, uint32_t slot, struct ledger_slot_left *ret_left)
{
    const struct ledger_slot *left;
    uint32_t state;
    bool is_empty;

    if (slot >= slots_mark(areas->ledger) || own_state(areas, slot) != LEDGER_SLOT_FREE)
        return false;
    left = &areas->ledger->slots[slot];
    state = __atomic_load_n(&left->state, __ATOMIC_ACQUIRE);
    is_empty = state == LEDGER_SLOT_FREE;
    for (unsigned d = 0; is_empty && d < areas->limits->n_devices; d++)
        is_empty = row_is_empty(&left->devices[d].row);
    if (is_empty)
        return false;
    *ret_left = (struct ledger_slot_left){
        .generation = __atomic_load_n(&left->generation, __ATOMIC_RELAXED),
        .kind = __atomic_load_n(&left->kind, __ATOMIC_RELAXED),
        .signal_line = __atomic_load_n(&left->signal_line, __ATOMIC_RELAXED),
        .pid = __atomic_load_n(&left->pid, __ATOMIC_RELAXED),
        .start_ticks = ledger_load(&left->start_ticks),
        .is_live = state == LEDGER_SLOT_LIVE,
    };
    ledger_text_copy(left->command, ret_left->command, sizeof(ret_left->command));
    return true;
}

void ledger_limit_set(struct ledger_areas *areas, unsigned device, uint64_t memory_limit_bytes)
{
    __atomic_store_n(&areas->limits->devices[device].memory_limit_bytes, memory_limit_bytes,
                     __ATOMIC_RELEASE);
    __atomic_add_fetch(&areas->limits->epoch, 1, __ATOMIC_RELEASE);
}

static int slot_find_free(struct ledger_areas *areas, uint32_t *ret_slot)
{
    for (uint32_t i = 0; i < LEDGER_SLOTS_MAX; i++) {
        if (own_state(areas, i) == LEDGER_SLOT_FREE) {
            *ret_slot = i;
            return own_grow(areas, i + 1);
        }
    }
    for (uint32_t i = 0; i < LEDGER_SLOTS_MAX; i++) {
        if (own_state(areas, i) == LEDGER_SLOT_DEAD && ledger_slot_reap(areas, i, NULL) == 0) {
            *ret_slot = i;
            return 0;
        }
    }
    return -EAGAIN;
}

static void slot_state_set(struct ledger_areas *areas, uint32_t slot, uint32_t state)
{
    areas->own[slot].state = state;
    __atomic_store_n(&areas->ledger->slots[slot].state, state, __ATOMIC_RELEASE);
}

/* Not from what stands there: a tenant may have written it, and a mark too low would hide slots from the
 * others. */
static void slots_mark_set(struct ledger_areas *areas)
{
    uint32_t mark = areas->n_own;

    while (mark && !areas->own[mark - 1].generation)
        mark--;
    __atomic_store_n(&areas->ledger->slots_mark, mark, __ATOMIC_SEQ_CST);
}

int ledger_slot_grant(struct ledger_areas *areas, int pid, uint64_t start_ticks, unsigned kind,
                      const char *command, uint32_t *ret_slot, uint32_t *ret_generation)
{
    struct ledger_slot *slot;
    uint32_t index;
    int r = slot_find_free(areas, &index);

    if (r < 0)
        return r;
    /* The rows' sequences go on where the last holder's ended: a tag must never come back (docs/ledger.md).
     */
    slot = &areas->ledger->slots[index];
    slot->generation = ++areas->own[index].generation;
    slot->pid = pid;
    slot->kind = kind;
    slot->signal_line = LEDGER_NO_SLOT;
    slot->start_ticks = start_ticks;
    snprintf(slot->command, sizeof(slot->command), "%s", command ? command : "");
    slots_mark_set(areas);
    slot_state_set(areas, index, LEDGER_SLOT_LIVE);
    *ret_slot = index;
    *ret_generation = areas->own[index].generation;
    return 0;
}

int ledger_slot_adopt(struct ledger_areas *areas, uint32_t index, const struct ledger_slot_left *left)
{
    struct ledger_slot *slot;

    if (index >= LEDGER_SLOTS_MAX || own_state(areas, index) != LEDGER_SLOT_FREE)
        return -EEXIST;
    if (own_grow(areas, index + 1) < 0)
        return -ENOMEM;
    slot = &areas->ledger->slots[index];
    areas->own[index].generation = left->generation;
    slot->generation = left->generation;
    slot->pid = left->pid;
    slot->kind = left->kind;
    slot->signal_line = left->signal_line;
    slot->start_ticks = left->start_ticks;
    slots_mark_set(areas);
    slot_state_set(areas, index, LEDGER_SLOT_LIVE);
    return 0;
}

uint32_t ledger_slot_generation(const struct ledger_areas *areas, uint32_t slot)
{
    return slot < areas->n_own ? areas->own[slot].generation : 0;
}

int ledger_slot_reap(struct ledger_areas *areas, uint32_t slot, uint64_t *ret_bytes)
{
    unsigned n_devices = areas->limits->n_devices;
    int r;

    for (unsigned d = 0; ret_bytes && d < n_devices; d++)
        ret_bytes[d] = 0;
    if (own_state(areas, slot) == LEDGER_SLOT_FREE)
        return 0;
    slot_state_set(areas, slot, LEDGER_SLOT_DEAD);
    r = shared_reap(areas->ledger, n_devices, slot, REAP_ATTEMPTS);
    for (unsigned d = 0; r == 0 && d < n_devices; d++) {
        uint64_t used_bytes;

        r = operation_give_back(areas->ledger, d, slot, REAP_ATTEMPTS, &used_bytes);
        if (r == 0 && ret_bytes)
            ret_bytes[d] = used_bytes;
    }
    if (r < 0)
        return r;
    /* Only now: until its row is given back, the dead process's figures may say more than the device holds.
     */
    for (unsigned d = 0; d < n_devices; d++)
        moving_clear(&areas->ledger->slots[slot].devices[d].moving);
    slot_state_set(areas, slot, LEDGER_SLOT_FREE);
    return 0;
}
