/* The account's promises in one process: exact sums, refusals that take nothing, limits that move, slots that
 * come back, areas that cannot be forged or shrunk, readers that do not believe what a tenant wrote. Races
 * and deaths are in tests/multi. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/units.h"
#include "ledger/ledger.h"

static const struct ledger_device_spec specs[2] = {
    {.uuid = "device-0-uuid-0", .memory_limit_bytes = 1000, .memory_capacity_bytes = 16 * GIB},
    {.uuid = "device-1-uuid-1", .memory_limit_bytes = 500, .memory_capacity_bytes = 16 * GIB},
};

struct fixture {
    struct ledger_areas areas;
    struct ledger_client *client[2];
    uint32_t slot[2], generation[2];
};

static struct ledger_client *client_of(struct ledger_areas *areas, int pid, uint32_t *ret_slot,
                                       uint32_t *ret_generation)
{
    struct ledger_client *client;

    assert_int_equal(ledger_slot_grant(areas, pid, 1, 0, "prog", ret_slot, ret_generation), 0);
    assert_int_equal(ledger_client_new(areas->limits_fd, areas->ledger_fd, sizeof(struct ledger_limits),
                                       sizeof(struct ledger), *ret_slot, &client),
                     0);
    return client;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_int_equal(ledger_areas_new("i1", "name", specs, 2, &f->areas, NULL), 0);
    for (int i = 0; i < 2; i++)
        f->client[i] = client_of(&f->areas, 100 + i, &f->slot[i], &f->generation[i]);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 2; i++)
        ledger_client_free(f->client[i]);
    ledger_areas_free(&f->areas);
    free(f);
    return 0;
}

static void reserved_bytes_are_counted_for_process_and_instance(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(ledger_reserve(f->client[0], 0, 300), 0);
    assert_int_equal(ledger_reserve(f->client[1], 0, 200), 0);
    assert_int_equal(ledger_used_bytes(f->client[0], 0), 500);
    assert_int_equal(ledger_own_bytes(f->client[0], 0), 300);
    assert_int_equal(ledger_own_bytes(f->client[1], 0), 200);
    assert_int_equal(ledger_used_bytes(f->client[0], 1), 0);
}

static void the_limit_is_exact_to_the_byte(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(ledger_reserve(f->client[0], 0, 999), 0);
    assert_int_equal(ledger_reserve(f->client[1], 0, 2), -ENOMEM);
    assert_int_equal(ledger_reserve(f->client[1], 0, 1), 0);
    assert_int_equal(ledger_reserve(f->client[1], 0, 1), -ENOMEM);
    assert_int_equal(ledger_used_bytes(f->client[0], 0), 1000);
}

static void a_refused_reservation_takes_nothing(void **state)
{
    struct fixture *f = *state;
    struct ledger_usage usage;

    assert_int_equal(ledger_reserve(f->client[0], 0, 600), 0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(ledger_reserve(f->client[0], 0, 401 + (uint64_t)i), -ENOMEM);
        assert_int_equal(ledger_reserve(f->client[1], 0, UINT64_MAX - (uint64_t)i), -ENOMEM);
    }
    assert_int_equal(ledger_used_bytes(f->client[0], 0), 600);
    assert_int_equal(ledger_own_bytes(f->client[0], 0), 600);
    assert_int_equal(ledger_own_bytes(f->client[1], 0), 0);
    ledger_usage_read(f->areas.ledger, f->areas.limits, 0, &usage);
    assert_int_equal(usage.denied_total, 10);
    assert_int_equal(ledger_reserve(f->client[0], 0, 400), 0);
    ledger_release(f->client[0], 0, 1000);
    assert_int_equal(ledger_used_bytes(f->client[0], 0), 0);
}

static void a_release_gives_back_no_more_than_is_held(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(ledger_reserve(f->client[0], 0, 300), 0);
    assert_int_equal(ledger_reserve(f->client[1], 0, 100), 0);
    ledger_release(f->client[1], 0, UINT64_MAX);
    assert_int_equal(ledger_used_bytes(f->client[0], 0), 300);
    assert_int_equal(ledger_own_bytes(f->client[1], 0), 0);
}

static void a_charge_passes_the_limit_and_says_so(void **state)
{
    struct fixture *f = *state;

    assert_true(ledger_charge(f->client[0], 0, 1000));
    assert_false(ledger_charge(f->client[0], 0, 50));
    assert_int_equal(ledger_used_bytes(f->client[0], 0), 1050);
    ledger_release(f->client[0], 0, 50);
    assert_true(ledger_charge(f->client[0], 0, 0));
}

static void a_limit_below_usage_holds_back_until_enough_is_free(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(ledger_reserve(f->client[0], 0, 800), 0);
    ledger_limit_set(&f->areas, 0, 500);
    assert_int_equal(ledger_limit_bytes(f->client[0], 0), 500);
    assert_int_equal(ledger_reserve(f->client[0], 0, 1), -ENOMEM);
    assert_int_equal(ledger_used_bytes(f->client[0], 0), 800);
    ledger_release(f->client[0], 0, 400);
    assert_int_equal(ledger_reserve(f->client[1], 0, 100), 0);
    assert_int_equal(ledger_reserve(f->client[1], 0, 1), -ENOMEM);
    ledger_limit_set(&f->areas, 0, 501);
    assert_int_equal(ledger_reserve(f->client[1], 0, 1), 0);
}

static void a_stopped_instance_takes_no_new_work_but_gives_back(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(ledger_reserve(f->client[0], 0, 10), 0);
    f->areas.limits->revoked = 1;
    assert_int_equal(ledger_reserve(f->client[0], 0, 10), -ESTALE);
    ledger_release(f->client[0], 0, 10);
    assert_int_equal(ledger_used_bytes(f->client[0], 0), 0);
}

static void devices_are_found_by_uuid_and_others_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(ledger_device_index(f->client[0], specs[1].uuid), 1);
    assert_int_equal(ledger_device_index(f->client[0], (const uint8_t *)"someone-elses-0"), -ENODEV);
    assert_int_equal(ledger_reserve(f->client[0], 2, 1), -ENODEV);
    assert_int_equal(ledger_limit_bytes(f->client[0], 2), 0);
    assert_false(ledger_charge(f->client[0], 99, 1));
}

static void reaping_gives_back_exactly_what_the_dead_held(void **state)
{
    struct fixture *f = *state;
    uint64_t bytes[2];

    assert_int_equal(ledger_reserve(f->client[0], 0, 300), 0);
    assert_int_equal(ledger_reserve(f->client[0], 1, 30), 0);
    assert_int_equal(ledger_reserve(f->client[1], 0, 200), 0);
    assert_int_equal(ledger_slot_reap(&f->areas, f->slot[0], bytes), 0);
    assert_int_equal(bytes[0], 300);
    assert_int_equal(bytes[1], 30);
    assert_int_equal(ledger_used_bytes(f->client[1], 0), 200);
    assert_int_equal(ledger_used_bytes(f->client[1], 1), 0);
    assert_int_equal(ledger_slot_reap(&f->areas, f->slot[0], bytes), 0);
    assert_int_equal(bytes[0], 0);
    assert_int_equal(ledger_used_bytes(f->client[1], 0), 200);
}

static void a_slot_handed_out_again_has_a_new_generation_and_goes_on_counting(void **state)
{
    struct fixture *f = *state;
    uint64_t sequence;
    uint32_t slot, generation;

    assert_int_equal(ledger_reserve(f->client[0], 0, 300), 0);
    ledger_slot_reap(&f->areas, f->slot[0], NULL);
    sequence = f->areas.ledger->slots[f->slot[0]].devices[0].row.applied.tag;
    ledger_client_free(f->client[0]);
    f->client[0] = client_of(&f->areas, 200, &slot, &generation);
    assert_int_equal(slot, f->slot[0]);
    assert_int_equal(generation, f->generation[0] + 1);
    assert_int_equal(ledger_own_bytes(f->client[0], 0), 0);
    assert_int_equal(ledger_reserve(f->client[0], 0, 1), 0);
    assert_int_equal(f->areas.ledger->slots[slot].devices[0].row.applied.tag, sequence + 1);
}

static void a_full_slot_table_says_so_and_a_reaped_slot_serves_again(void **state)
{
    struct fixture *f = *state;
    uint32_t slot, generation;

    for (int i = 2; i < LEDGER_SLOTS_MAX; i++)
        assert_int_equal(ledger_slot_grant(&f->areas, 1000 + i, 1, 0, NULL, &slot, &generation), 0);
    assert_int_equal(ledger_slot_grant(&f->areas, 9999, 1, 0, NULL, &slot, &generation), -EAGAIN);
    ledger_slot_reap(&f->areas, 77, NULL);
    assert_int_equal(ledger_slot_grant(&f->areas, 9999, 1, 0, NULL, &slot, &generation), 0);
    assert_int_equal(slot, 77);
}

static void a_tenant_cannot_free_a_slot_by_writing(void **state)
{
    struct fixture *f = *state;
    uint32_t slot, generation;

    f->areas.ledger->slots[f->slot[0]].state = LEDGER_SLOT_FREE;
    assert_int_equal(ledger_slot_grant(&f->areas, 300, 1, 0, NULL, &slot, &generation), 0);
    assert_int_not_equal(slot, f->slot[0]);
}

static void limits_cannot_be_written_by_who_holds_the_descriptor(void **state)
{
    struct fixture *f = *state;
    char path[64];
    int fd = f->areas.limits_fd, again;

    assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    again = open(path, O_RDWR | O_CLOEXEC);
    if (again >= 0) {
        assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0), MAP_FAILED);
        close(again);
    }
    ledger_limit_set(&f->areas, 0, 77);
    assert_int_equal(ledger_limit_bytes(f->client[0], 0), 77);
}

static void the_ledger_cannot_be_shrunk_under_its_readers(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(ftruncate(f->areas.ledger_fd, 4096), -1);
    assert_int_equal(ftruncate(f->areas.ledger_fd, 1 << 30), -1);
}

static void what_is_not_a_ledger_is_refused(void **state)
{
    struct fixture *f = *state;
    struct ledger_client *client = NULL;
    const uint64_t limits = sizeof(struct ledger_limits), ledger = sizeof(struct ledger);
    int unsealed = memfd_create("plain", MFD_CLOEXEC);

    assert_int_equal(ftruncate(unsealed, 4 << 20), 0);
    assert_int_equal(ledger_client_new(f->areas.limits_fd, unsealed, limits, ledger, 0, &client), -EBADMSG);
    assert_int_equal(ledger_client_new(f->areas.ledger_fd, f->areas.ledger_fd, limits, ledger, 0, &client),
                     -EBADMSG);
    assert_int_equal(
        ledger_client_new(f->areas.limits_fd, f->areas.ledger_fd, limits - 1, ledger, 0, &client), -EBADMSG);
    assert_int_equal(
        ledger_client_new(f->areas.limits_fd, f->areas.ledger_fd, limits, ledger * 8, 0, &client), -EBADMSG);
    assert_int_equal(
        ledger_client_new(f->areas.limits_fd, f->areas.ledger_fd, limits, ledger, LEDGER_SLOTS_MAX, &client),
        -EBADMSG);
    f->areas.limits->major++;
    assert_int_equal(ledger_client_new(f->areas.limits_fd, f->areas.ledger_fd, limits, ledger, 0, &client),
                     -EPROTO);
    assert_null(client);
    close(unsealed);
}

static void an_instance_without_devices_or_with_too_many_is_not_made(void **state)
{
    struct ledger_areas areas;
    struct error err;

    assert_int_equal(ledger_areas_new("i", "n", specs, 0, &areas, &err), -EINVAL);
    assert_int_equal(ledger_areas_new("i", "n", specs, LEDGER_DEVICES_MAX + 1, &areas, &err), -EINVAL);
    assert_non_null(strstr(err.text, "17"));
}

static void readers_clamp_what_a_tenant_wrote(void **state)
{
    struct fixture *f = *state;
    struct ledger *ledger = f->areas.ledger;
    struct ledger_slot_usage row;
    struct ledger_usage usage;

    ledger->accounts[0].used.value = UINT64_MAX;
    ledger->accounts[0].peak_bytes = 3;
    ledger_usage_read(ledger, f->areas.limits, 0, &usage);
    assert_int_equal(usage.used_bytes, 16 * GIB);
    assert_int_equal(usage.peak_bytes, 16 * GIB);
    ledger->accounts[0].used.value = 5;
    ledger->slots[f->slot[0]].devices[0].row.applied.value = UINT64_MAX;
    ledger->slots[f->slot[0]].pid = -7;
    memset(ledger->slots[f->slot[0]].command, '\033', sizeof(row.command));
    assert_int_equal(ledger_slots_read(ledger, &row, 1), 2);
    assert_int_equal(row.used_bytes[0], 5);
    assert_int_equal(row.pid, 0);
    assert_int_equal(row.command[0], '?');
    assert_int_equal(row.command[sizeof(row.command) - 1], '\0');
}

static void the_peak_stays_when_usage_falls(void **state)
{
    struct fixture *f = *state;
    struct ledger_usage usage;

    assert_int_equal(ledger_reserve(f->client[0], 0, 700), 0);
    ledger_release(f->client[0], 0, 600);
    ledger_usage_read(f->areas.ledger, f->areas.limits, 0, &usage);
    assert_int_equal(usage.used_bytes, 100);
    assert_int_equal(usage.peak_bytes, 700);
}

static void moving_bytes_hold_a_refusal_back_until_they_lie_still(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(ledger_reserve(f->client[0], 0, 900), 0);
    assert_int_equal(ledger_try_reserve(f->client[1], 0, 101), -ENOMEM);
    assert_true(ledger_is_surely_over(f->client[1], 0, 101));
    assert_false(ledger_is_surely_over(f->client[1], 0, 100));
    ledger_moving_add(f->client[0], 0, 1);
    assert_false(ledger_is_surely_over(f->client[1], 0, 101));
    assert_true(ledger_is_surely_over(f->client[1], 1, 501));
    ledger_moving_sub(f->client[0], 0, 1);
    assert_true(ledger_is_surely_over(f->client[1], 0, 101));
    assert_true(ledger_is_surely_over(f->client[1], 0, UINT64_MAX));
    assert_true(ledger_is_surely_over(f->client[1], 99, 0));
}

static void every_change_of_moving_bytes_is_counted(void **state)
{
    struct fixture *f = *state;
    const uint64_t *word = &f->areas.ledger->slots[f->slot[0]].devices[0].moving, kib_bits = 40;

    ledger_moving_add(f->client[0], 0, 1025);
    assert_int_equal(*word, (UINT64_C(1) << kib_bits) + 2);
    ledger_moving_add(f->client[0], 0, 4096);
    ledger_moving_sub(f->client[0], 0, 1025);
    assert_int_equal(*word, (UINT64_C(3) << kib_bits) + 4);
    ledger_slot_reap(&f->areas, f->slot[0], NULL);
    assert_int_equal(*word, UINT64_C(4) << kib_bits);
}

static void a_try_counts_no_refusal_and_a_denial_counts_one(void **state)
{
    struct fixture *f = *state;
    struct ledger_usage usage;

    assert_int_equal(ledger_try_reserve(f->client[0], 0, 1001), -ENOMEM);
    ledger_usage_read(f->areas.ledger, f->areas.limits, 0, &usage);
    assert_int_equal(usage.denied_total, 0);
    ledger_deny(f->client[0], 0, "cuMemAlloc_v2", 1001);
    ledger_usage_read(f->areas.ledger, f->areas.limits, 0, &usage);
    assert_int_equal(usage.denied_total, 1);
}

static void a_denial_is_written_down_for_people(void **state)
{
    struct fixture *f = *state;
    const struct ledger_note *note = &f->areas.ledger->accounts[0].denied;

    assert_int_equal(ledger_reserve(f->client[0], 0, 300), 0);
    ledger_deny(f->client[1], 0, "cuMemAlloc_v2", 1001);
    assert_int_equal(note->why, LEDGER_WHY_LIMIT);
    assert_string_equal(note->call, "cuMemAlloc_v2");
    assert_int_equal(note->amount, 1001);
    assert_int_equal(note->used, 300);
    assert_int_equal(note->limit, ledger_limit_bytes(f->client[0], 0));
    assert_int_equal(note->slot, ledger_own_slot_index(f->client[1]));
    assert_true(note->time_ns > 0);
    ledger_deny_by_driver(f->client[0], 0, "cuMemCreate", 7);
    assert_int_equal(note->why, LEDGER_WHY_DRIVER);
    assert_string_equal(note->call, "cuMemCreate");
    assert_int_equal(f->areas.ledger->accounts[0].denied_total, 1); /* the limit's refusals alone */
}

static void what_is_reserved_ahead_makes_no_peak_until_it_is_known(void **state)
{
    struct fixture *f = *state;
    struct ledger_usage usage;

    assert_int_equal(ledger_try_reserve_ahead(f->client[0], 0, 900), 0);
    assert_int_equal(ledger_try_reserve(f->client[1], 0, 900), -ENOMEM);
    ledger_release(f->client[0], 0, 800);
    ledger_peak_look(f->client[0], 0);
    ledger_release(f->client[0], 0, 100);
    ledger_usage_read(f->areas.ledger, f->areas.limits, 0, &usage);
    assert_int_equal(usage.used_bytes, 0);
    assert_int_equal(usage.peak_bytes, 100);
}

static void a_context_cost_is_passed_on_and_never_above_the_device(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(ledger_context_bytes(f->client[1], 0), 0);
    ledger_context_bytes_set(f->client[0], 0, 300 * MIB);
    assert_int_equal(ledger_context_bytes(f->client[1], 0), 300 * MIB);
    assert_int_equal(ledger_context_bytes(f->client[1], 1), 0);
    ledger_context_bytes_set(f->client[0], 0, UINT64_MAX);
    assert_int_equal(ledger_context_bytes(f->client[1], 0), 16 * GIB);
    assert_int_equal(ledger_context_bytes(f->client[1], 99), 0);
}

static const uint8_t key_a[16] = "object-a-------", key_b[16] = "object-b-------";

static void a_shared_object_stays_charged_until_its_last_holder_leaves(void **state)
{
    struct fixture *f = *state;
    struct ledger_shared_usage row;
    struct ledger_usage usage;
    uint32_t shared, joined;
    uint64_t bytes;
    unsigned device;

    assert_int_equal(ledger_reserve(f->client[0], 1, 400), 0);
    assert_int_equal(ledger_shared_join(f->client[1], key_a, &joined, &device, &bytes), -ENOENT);
    assert_int_equal(ledger_shared_publish(f->client[0], 1, key_a, 300, &shared), 0);
    assert_int_equal(ledger_own_bytes(f->client[0], 1), 100);
    assert_int_equal(ledger_shared_join(f->client[1], key_a, &joined, &device, &bytes), 0);
    assert_int_equal(ledger_shared_join(f->client[1], key_a, &joined, &device, &bytes), 0);
    assert_int_equal(joined, shared);
    assert_int_equal(device, 1);
    assert_int_equal(bytes, 300);
    assert_int_equal(ledger_shared_read(f->areas.ledger, &row, 1), 1);
    assert_true(row.shared == shared && row.device == 1 && row.n_holders == 2 && row.used_bytes == 300);
    ledger_shared_leave(f->client[0], shared);
    ledger_shared_leave(f->client[0], shared);
    assert_int_equal(ledger_used_bytes(f->client[0], 1), 400);
    assert_int_equal(ledger_shared_join(f->client[0], key_a, &joined, &device, &bytes), 0);
    ledger_shared_leave(f->client[0], shared);
    ledger_shared_leave(f->client[1], shared);
    assert_int_equal(ledger_used_bytes(f->client[0], 1), 100);
    assert_int_equal(ledger_shared_join(f->client[1], key_a, &joined, &device, &bytes), -ENOENT);
    assert_int_equal(ledger_shared_read(f->areas.ledger, &row, 1), 0);
    ledger_usage_read(f->areas.ledger, f->areas.limits, 1, &usage);
    assert_int_equal(usage.peak_bytes, 400); /* handing bytes over is no new peak */
}

static void a_name_has_one_object_and_an_object_several_names(void **state)
{
    struct fixture *f = *state;
    uint32_t shared, other, joined;
    uint64_t bytes;
    unsigned device;

    assert_int_equal(ledger_reserve(f->client[0], 0, 500), 0);
    assert_int_equal(ledger_reserve(f->client[1], 0, 100), 0);
    assert_int_equal(ledger_shared_publish(f->client[0], 0, key_a, 501, &shared), -EINVAL);
    assert_int_equal(ledger_shared_publish(f->client[0], 0, key_a, 0, &shared), -EINVAL);
    assert_int_equal(ledger_shared_publish(f->client[0], 0, key_a, 200, &shared), 0);
    assert_int_equal(ledger_shared_publish(f->client[1], 0, key_a, 100, &other), -EEXIST);
    assert_int_equal(ledger_own_bytes(f->client[1], 0), 100);
    assert_int_equal(ledger_shared_alias(f->client[1], shared, key_b), -EINVAL);
    assert_int_equal(ledger_shared_alias(f->client[0], LEDGER_SHARED_MAX, key_b), -EINVAL);
    assert_int_equal(ledger_shared_alias(f->client[0], shared, key_b), 0);
    assert_int_equal(ledger_shared_alias(f->client[0], shared, key_b), 0);
    assert_int_equal(ledger_shared_publish(f->client[1], 0, key_b, 100, &other), -EEXIST);
    assert_int_equal(ledger_shared_join(f->client[1], key_b, &joined, &device, &bytes), 0);
    assert_int_equal(joined, shared);
    assert_int_equal(bytes, 200);
    ledger_shared_leave(f->client[0], shared);
    ledger_shared_leave(f->client[1], shared);
    assert_int_equal(ledger_shared_join(f->client[1], key_b, &joined, &device, &bytes), -ENOENT);
    assert_int_equal(ledger_shared_publish(f->client[1], 0, key_b, 100, &other), 0);
    assert_int_equal(ledger_shared_publish(f->client[0], 0, key_a, 1, &shared), 0);
    assert_int_equal(ledger_shared_alias(f->client[0], shared, key_b), -EEXIST);
}

static void reaping_takes_the_dead_out_of_every_object(void **state)
{
    struct fixture *f = *state;
    uint32_t kept, lost, joined, generation;
    uint64_t bytes;
    unsigned device;

    assert_int_equal(ledger_reserve(f->client[0], 0, 700), 0);
    assert_int_equal(ledger_shared_publish(f->client[0], 0, key_a, 200, &kept), 0);
    assert_int_equal(ledger_shared_publish(f->client[0], 0, key_b, 400, &lost), 0);
    assert_int_equal(ledger_shared_join(f->client[1], key_a, &joined, &device, &bytes), 0);
    ledger_slot_reap(&f->areas, f->slot[0], NULL);
    assert_int_equal(ledger_used_bytes(f->client[1], 0), 200);
    assert_int_equal(ledger_shared_join(f->client[1], key_b, &joined, &device, &bytes), -ENOENT);
    ledger_client_free(f->client[0]);
    f->client[0] = client_of(&f->areas, 300, &f->slot[0], &generation);
    ledger_shared_leave(f->client[0], kept); /* the slot's new process holds nothing of the old one's */
    assert_int_equal(ledger_used_bytes(f->client[1], 0), 200);
    ledger_slot_reap(&f->areas, f->slot[1], NULL);
    assert_int_equal(ledger_used_bytes(f->client[0], 0), 0);
}

static void an_entry_used_again_goes_on_counting_on_another_device_too(void **state)
{
    struct fixture *f = *state;
    uint32_t shared, again;
    uint64_t sequence;

    assert_int_equal(ledger_reserve(f->client[0], 0, 10), 0);
    assert_int_equal(ledger_reserve(f->client[0], 1, 20), 0);
    assert_int_equal(ledger_shared_publish(f->client[0], 0, key_a, 10, &shared), 0);
    ledger_shared_leave(f->client[0], shared);
    sequence = f->areas.ledger->shared[shared].row.applied.tag;
    assert_int_equal(ledger_shared_publish(f->client[0], 1, key_a, 20, &again), 0);
    assert_int_equal(again, shared);
    assert_int_equal(f->areas.ledger->shared[shared].row.applied.tag, sequence + 1);
    ledger_shared_leave(f->client[0], again);
    assert_int_equal(ledger_used_bytes(f->client[0], 0), 0);
    assert_int_equal(ledger_used_bytes(f->client[0], 1), 0);
}

static void a_full_table_of_objects_leaves_the_bytes_where_they_are(void **state)
{
    struct fixture *f = *state;
    uint8_t key[16] = {0};
    uint32_t shared;

    ledger_limit_set(&f->areas, 0, 1 << 20);
    assert_int_equal(ledger_reserve(f->client[0], 0, LEDGER_SHARED_MAX + 1), 0);
    for (int i = 0; i < LEDGER_SHARED_MAX; i++) {
        key[0] = (uint8_t)i, key[1] = (uint8_t)(i >> 8);
        assert_int_equal(ledger_shared_publish(f->client[0], 0, key, 1, &shared), 0);
    }
    assert_int_equal(ledger_shared_publish(f->client[0], 0, key_a, 1, &shared), -ENOSPC);
    assert_int_equal(ledger_shared_alias(f->client[0], 0, key_a), -ENOSPC);
    assert_int_equal(ledger_own_bytes(f->client[0], 0), 1);
    assert_int_equal(ledger_shared_read(f->areas.ledger, NULL, 0), LEDGER_SHARED_MAX);
    ledger_slot_reap(&f->areas, f->slot[0], NULL);
    assert_int_equal(ledger_used_bytes(f->client[1], 0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reserved_bytes_are_counted_for_process_and_instance),
        TEST(the_limit_is_exact_to_the_byte),
        TEST(a_refused_reservation_takes_nothing),
        TEST(a_release_gives_back_no_more_than_is_held),
        TEST(a_charge_passes_the_limit_and_says_so),
        TEST(a_limit_below_usage_holds_back_until_enough_is_free),
        TEST(a_stopped_instance_takes_no_new_work_but_gives_back),
        TEST(devices_are_found_by_uuid_and_others_refused),
        TEST(reaping_gives_back_exactly_what_the_dead_held),
        TEST(a_slot_handed_out_again_has_a_new_generation_and_goes_on_counting),
        TEST(a_full_slot_table_says_so_and_a_reaped_slot_serves_again),
        TEST(a_tenant_cannot_free_a_slot_by_writing),
        TEST(limits_cannot_be_written_by_who_holds_the_descriptor),
        TEST(the_ledger_cannot_be_shrunk_under_its_readers),
        TEST(what_is_not_a_ledger_is_refused),
        TEST(an_instance_without_devices_or_with_too_many_is_not_made),
        TEST(readers_clamp_what_a_tenant_wrote),
        TEST(the_peak_stays_when_usage_falls),
        TEST(what_is_reserved_ahead_makes_no_peak_until_it_is_known),
        TEST(a_denial_is_written_down_for_people),
        TEST(moving_bytes_hold_a_refusal_back_until_they_lie_still),
        TEST(every_change_of_moving_bytes_is_counted),
        TEST(a_try_counts_no_refusal_and_a_denial_counts_one),
        TEST(a_context_cost_is_passed_on_and_never_above_the_device),
        TEST(a_shared_object_stays_charged_until_its_last_holder_leaves),
        TEST(a_name_has_one_object_and_an_object_several_names),
        TEST(reaping_takes_the_dead_out_of_every_object),
        TEST(an_entry_used_again_goes_on_counting_on_another_device_too),
        TEST(a_full_table_of_objects_leaves_the_bytes_where_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
