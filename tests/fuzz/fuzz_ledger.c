/* A ledger area full of what a hostile tenant likes, under everything that vgpud does with it: readers stay
 * within what is possible, the reaper and new grants come to an end, limits are not touched. The input is
 * laid over the accounts and over the first slots. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/ledger.h"

enum { SLOTS = 4, CAPACITY_BYTES = 1 << 30, LIMIT_BYTES = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct ledger_areas areas;
static struct ledger_client *client;
static struct ledger_slot_usage rows[LEDGER_SLOTS_MAX];

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

static void overlay(const uint8_t *data, size_t bytes)
{
    struct ledger *ledger = areas.ledger;
    size_t n = bytes < sizeof(ledger->accounts) ? bytes : sizeof(ledger->accounts);

    memset(ledger->accounts, 0, sizeof(ledger->accounts));
    memset(ledger->slots, 0, SLOTS * sizeof(ledger->slots[0]));
    memcpy(ledger->accounts, data, n);
    data += n;
    bytes -= n;
    n = SLOTS * sizeof(ledger->slots[0]);
    memcpy(ledger->slots, data, bytes < n ? bytes : n);
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

    for (unsigned d = 0; d < 2; d++) {
        ledger_usage_read(areas.ledger, areas.limits, d, &usage);
        require(usage.used_bytes <= CAPACITY_BYTES && usage.peak_bytes <= CAPACITY_BYTES &&
                usage.used_bytes <= usage.peak_bytes);
    }
    for (size_t i = 0; i < n && i < LEDGER_SLOTS_MAX; i++)
        require(rows[i].pid >= 0 &&
                strnlen(rows[i].command, sizeof(rows[i].command)) < sizeof(rows[i].command));
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
    ledger_release(client, 0, 8192);
    ledger_charge(client, 1, UINT64_MAX);
    read_all();
    for (uint32_t i = 0; i < SLOTS; i++)
        require(ledger_slot_reap(&areas, i, given) == 0);
    read_all();
    require(areas.limits->n_devices == 2 && areas.limits->devices[0].memory_limit_bytes == LIMIT_BYTES);
    return 0;
}
