/* A ledger area full of what a hostile tenant likes, under everything that vgpud does with it: readers stay
 * within what is possible, the reaper and new grants come to an end, limits are not touched. The input is
 * laid over the accounts, the first slots and the first shared objects. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/ledger.h"

enum { SLOTS = 4, OBJECTS = 4, CAPACITY_BYTES = 1 << 30, LIMIT_BYTES = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct ledger_areas areas;
static struct ledger_client *client;
static struct ledger_slot_usage rows[LEDGER_SLOTS_MAX];
static struct ledger_shared_usage objects[LEDGER_SHARED_MAX];

static void areas_make(void)
{
    const struct ledger_device_spec specs[2] = {
        {.uuid = {1}, .memory_limit_bytes = LIMIT_BYTES, .memory_capacity_bytes = CAPACITY_BYTES},
        {.uuid = {2}, .memory_limit_bytes = LIMIT_BYTES, .memory_capacity_bytes = CAPACITY_BYTES}};

    if (ledger_areas_new("fuzz", "fuzz", specs, 2, &areas, NULL) < 0 ||
        ledger_client_new(areas.limits_fd, areas.ledger_fd, sizeof(struct ledger_limits),
                          sizeof(struct ledger), 0, &client) < 0)
        abort();
}

static size_t lay(void *to, size_t room, const uint8_t *data, size_t bytes)
{
    size_t n = bytes < room ? bytes : room;

    memset(to, 0, room);
    memcpy(to, data, n);
    return n;
}

static void overlay(const uint8_t *data, size_t bytes)
{
    struct ledger *ledger = areas.ledger;
    size_t at = lay(ledger->accounts, sizeof(ledger->accounts), data, bytes);

    at += lay(ledger->slots, SLOTS * sizeof(ledger->slots[0]), data + at, bytes - at);
    lay(ledger->shared, OBJECTS * sizeof(ledger->shared[0]), data + at, bytes - at);
    ledger->shared_mark = bytes % 2 ? UINT32_MAX : OBJECTS;
}

static void require(int holds)
{
    if (!holds)
        abort();
}

static void read_all(void)
{
    struct ledger_usage usage;
    size_t n = ledger_slots_read(areas.ledger, rows, LEDGER_SLOTS_MAX);
    size_t n_objects = ledger_shared_read(areas.ledger, objects, LEDGER_SHARED_MAX);

    for (unsigned d = 0; d < 2; d++) {
        ledger_usage_read(areas.ledger, areas.limits, d, &usage);
        require(usage.used_bytes <= CAPACITY_BYTES && usage.peak_bytes <= CAPACITY_BYTES &&
                usage.used_bytes <= usage.peak_bytes);
    }
    for (size_t i = 0; i < n && i < LEDGER_SLOTS_MAX; i++)
        require(rows[i].pid >= 0 &&
                strnlen(rows[i].command, sizeof(rows[i].command)) < sizeof(rows[i].command));
    for (size_t i = 0; i < n_objects && i < LEDGER_SHARED_MAX; i++)
        require(objects[i].device < LEDGER_DEVICES_MAX && objects[i].n_holders <= LEDGER_SLOTS_MAX &&
                objects[i].used_bytes <= INT64_MAX);
}

/* A client comes to an end too, whatever another one wrote. */
static void share_all(void)
{
    static const uint8_t key[16];
    uint32_t shared = 0;
    unsigned device;
    uint64_t bytes;

    ledger_shared_join(client, key, &shared, &device, &bytes);
    ledger_shared_publish(client, 0, key, 4096, &shared);
    ledger_shared_alias(client, shared, (const uint8_t *)"another-name---");
    for (uint32_t i = 0; i < OBJECTS; i++)
        ledger_shared_leave(client, i);
    ledger_is_surely_over(client, 0, 1);
    require(ledger_context_bytes(client, 1) <= CAPACITY_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    uint32_t slot, generation;
    uint64_t given[2];

    if (!client)
        areas_make();
    for (int i = 0; i < SLOTS; i++)
        require(ledger_slot_grant(&areas, 1, 1, 0, "fuzz", &slot, &generation) == 0);
    overlay(data, bytes);
    read_all();
    ledger_reserve(client, 0, 4096);
    share_all();
    ledger_release(client, 0, 8192);
    ledger_charge(client, 1, UINT64_MAX);
    read_all();
    for (uint32_t i = 0; i < SLOTS; i++)
        require(ledger_slot_reap(&areas, i, given) == 0);
    read_all();
    require(areas.limits->n_devices == 2 && areas.limits->devices[0].memory_limit_bytes == LIMIT_BYTES);
    return 0;
}
