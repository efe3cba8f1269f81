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

#include "ledger/ledger.h"
#include "ledger/moving.h"
#include "ledger/operation.h"
#include "ledger/shared.h"
#include "ledger/word.h"

#ifndef F_SEAL_FUTURE_WRITE
#    define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef MFD_NOEXEC_SEAL
#    define MFD_NOEXEC_SEAL 0x0008U
#endif

enum { REAP_ATTEMPTS = 1 << 16 };

struct ledger_slot_own {
    uint32_t state, generation;
};

/* Makes a memfd of bytes, maps it writable, then seals it. */
static int area_new(const char *label, size_t bytes, int seals, int *ret_fd, void **ret_map,
                    struct error *err)
{
    void *map;
    int r, fd = memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

    if (fd < 0 && errno == EINVAL) /* kernels before 6.3 */
        fd = memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
        goto fail;
    map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        goto fail;
    if (fcntl(fd, F_ADD_SEALS, seals) < 0) {
        munmap(map, bytes);
        goto fail;
    }
    *ret_fd = fd;
    *ret_map = map;
    return 0;
fail:
    r = error_errno();
    error_fail(err, r, "cannot make the %s area of %zu bytes: %s", label, bytes, strerror(-r));
    if (fd >= 0)
        close(fd);
    return r;
}

static void limits_fill(struct ledger_limits *limits, const char *instance, const char *name,
                        const struct ledger_device_spec *devices, unsigned n_devices)
{
    limits->major = LEDGER_MAJOR;
    limits->minor = LEDGER_MINOR;
    limits->n_devices = n_devices;
    limits->area_bytes = sizeof(*limits);
    snprintf(limits->instance, sizeof(limits->instance), "%s", instance);
    snprintf(limits->name, sizeof(limits->name), "%s", name ? name : "");
    for (unsigned i = 0; i < n_devices; i++) {
        memcpy(limits->devices[i].uuid, devices[i].uuid, sizeof(limits->devices[i].uuid));
        limits->devices[i].memory_limit_bytes = devices[i].memory_limit_bytes;
        limits->devices[i].memory_capacity_bytes = devices[i].memory_capacity_bytes;
        limits->devices[i].share_permille = 1000;
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
    areas.own = calloc(LEDGER_SLOTS_MAX, sizeof(*areas.own));
    if (!areas.own)
        return error_fail(err, -ENOMEM, "no memory for the slots of instance %s", instance);
    r = area_new("vgpu-limits", sizeof(*areas.limits),
                 F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, &areas.limits_fd, &map,
                 err);
    if (r < 0)
        goto fail;
    areas.limits = map;
    r = area_new("vgpu-ledger", sizeof(*areas.ledger), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
                 &areas.ledger_fd, &map, err);
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

void ledger_limit_set(struct ledger_areas *areas, unsigned device, uint64_t memory_limit_bytes)
{
    __atomic_store_n(&areas->limits->devices[device].memory_limit_bytes, memory_limit_bytes,
                     __ATOMIC_RELEASE);
    __atomic_add_fetch(&areas->limits->epoch, 1, __ATOMIC_RELEASE);
}

static int slot_find_free(struct ledger_areas *areas, uint32_t *ret_slot)
{
    for (uint32_t i = 0; i < LEDGER_SLOTS_MAX; i++) {
        if (areas->own[i].state == LEDGER_SLOT_FREE) {
            *ret_slot = i;
            return 0;
        }
    }
    for (uint32_t i = 0; i < LEDGER_SLOTS_MAX; i++) {
        if (areas->own[i].state == LEDGER_SLOT_DEAD && ledger_slot_reap(areas, i, NULL) == 0) {
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
    uint32_t mark = LEDGER_SLOTS_MAX;

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
    slot->start_ticks = start_ticks;
    slot->heartbeat_ns = 0;
    snprintf(slot->command, sizeof(slot->command), "%s", command ? command : "");
    slots_mark_set(areas);
    slot_state_set(areas, index, LEDGER_SLOT_LIVE);
    *ret_slot = index;
    *ret_generation = areas->own[index].generation;
    return 0;
}

int ledger_slot_reap(struct ledger_areas *areas, uint32_t slot, uint64_t *ret_bytes)
{
    unsigned n_devices = areas->limits->n_devices;
    int r;

    for (unsigned d = 0; ret_bytes && d < n_devices; d++)
        ret_bytes[d] = 0;
    if (slot >= LEDGER_SLOTS_MAX || areas->own[slot].state == LEDGER_SLOT_FREE)
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
